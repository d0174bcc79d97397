#include "connectors/kafka/route.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/clock.h"

namespace twinspan::connectors {
namespace {

using Action = RouteVerdict::Action;

// Two clusters, seen every 20 ms of a manual clock.
struct World {
  ManualClock clock;
  Route route;
  RouteInput in;
  std::vector<std::pair<std::int64_t, std::size_t>> moves;  // ms since the start, target
  std::int64_t start = clock.monotonic_ms();
  RouteVerdict last;

  explicit World(std::size_t active = 0, RouteRules rules = {}) : route(rules, 2, active, 7) {
    for (int i = 0; i < 2; ++i) in.members.push_back({ClusterState::up, start, start, true, ""});
  }
  void set(std::size_t i, ClusterState state) {
    const bool healthy = state == ClusterState::up || state == ClusterState::rejoining;
    const bool was = in.members[i].healthy_since_ms >= 0;
    in.members[i].state = state;
    in.members[i].since_ms = clock.monotonic_ms();
    in.members[i].healthy_since_ms = !healthy ? -1 : was ? in.members[i].healthy_since_ms : clock.monotonic_ms();
  }
  RouteVerdict run(std::int64_t ms) {
    for (std::int64_t t = 0; t < ms; t += 20) {
      clock.advance(20);
      in.now = clock.monotonic_ms();
      if (in.stalled_ms > 0) in.stalled_ms += 20;
      if (in.oldest_ms > 0) in.oldest_ms += 20;
      last = route.decide(in);
      if (last.action == Action::move) {
        moves.emplace_back(in.now - start, last.target);
        route.moved(last.target, in.now);
        in.stalled_ms = in.oldest_ms = 0;
      }
    }
    return last;
  }
};

TEST(Route, StaysWhileAllIsWell) {
  World w;
  EXPECT_EQ(w.run(600'000).action, Action::stay);
  EXPECT_TRUE(w.moves.empty());
  EXPECT_EQ(w.route.generation(), 7u);
}

TEST(Route, MovesWhenTheActiveIsDownAndTheOtherUp) {
  World w;
  w.set(0, ClusterState::down);
  w.run(1'000);
  ASSERT_EQ(w.moves.size(), 1u);
  EXPECT_LE(w.moves[0].first, 400);
  EXPECT_EQ(w.route.active(), 1u);
  EXPECT_EQ(w.route.generation(), 8u);
}

TEST(Route, SuspectAloneMovesNothing) {
  World w;
  w.set(0, ClusterState::suspect);
  w.run(10'000);
  EXPECT_TRUE(w.moves.empty());
  EXPECT_GE(w.route.first_bad_sign_ms(), 0);
  w.set(0, ClusterState::up);
  w.run(100);
  EXPECT_EQ(w.route.first_bad_sign_ms(), -1);
}

struct Both {
  ClusterState active, other;
  bool moves;
};
class RouteBoth : public ::testing::TestWithParam<Both> {};
TEST_P(RouteBoth, Table) {
  World w;
  w.set(0, GetParam().active);
  w.set(1, GetParam().other);
  w.run(5'000);
  EXPECT_EQ(!w.moves.empty(), GetParam().moves);
  EXPECT_EQ(w.last.holding, GetParam().active == ClusterState::down && !GetParam().moves);
}
INSTANTIATE_TEST_SUITE_P(Table, RouteBoth,
                         ::testing::Values(Both{ClusterState::down, ClusterState::up, true},
                                           Both{ClusterState::down, ClusterState::rejoining, true},
                                           Both{ClusterState::down, ClusterState::suspect, false},
                                           Both{ClusterState::down, ClusterState::down, false},
                                           Both{ClusterState::suspect, ClusterState::down, false},
                                           Both{ClusterState::rejoining, ClusterState::up, false}));

TEST(Route, OtherThatWasNeverReachedIsNoTarget) {
  World w;
  w.in.members[1].ever_reached = false;
  w.set(0, ClusterState::down);
  EXPECT_TRUE(w.run(10'000).holding);
  EXPECT_TRUE(w.moves.empty());
  w.in.members[1].ever_reached = true;
  w.run(1'000);
  EXPECT_EQ(w.moves.size(), 1u);
}

TEST(Route, CommonFaultSeenFirstOnTheActiveMovesNothing) {
  World w;
  w.set(0, ClusterState::down);
  w.run(200);  // the other side shows it a little later, within the settle time
  w.set(1, ClusterState::suspect);
  w.run(1'000);
  w.set(1, ClusterState::down);
  EXPECT_TRUE(w.run(30'000).holding);
  EXPECT_TRUE(w.moves.empty());
  w.set(0, ClusterState::up);  // whoever comes back first takes the output; here it is the active
  w.set(1, ClusterState::up);
  EXPECT_FALSE(w.run(1'000).holding);
  EXPECT_TRUE(w.moves.empty());
}

TEST(Route, NoAcknowledgementForThreeSecondsMovesOnlyToAnUpCluster) {
  World w;
  w.in.stalled_ms = 20;
  w.run(3'000);
  EXPECT_TRUE(w.moves.empty());
  w.run(1'000);
  ASSERT_EQ(w.moves.size(), 1u);
  EXPECT_LT(w.moves[0].first, 3'500);

  World fresh;
  fresh.set(1, ClusterState::rejoining);
  fresh.in.stalled_ms = 20;
  EXPECT_TRUE(fresh.run(10'000).holding);
  EXPECT_TRUE(fresh.moves.empty());
}

TEST(Route, OneStuckPartitionMovesAfterFifteenSeconds) {
  World w;
  w.in.oldest_ms = 20;
  w.run(14'000);
  EXPECT_TRUE(w.moves.empty());
  w.run(2'000);
  EXPECT_EQ(w.moves.size(), 1u);
}

TEST(Route, MissingTopicIsWaitedFor) {
  World w;
  w.in.stalled_ms = w.in.oldest_ms = 20;
  w.in.topic_missing = true;
  w.run(120'000);
  EXPECT_TRUE(w.moves.empty());
}

TEST(Route, FailsBackAfterHealthAndOnlyDrained) {
  World w;
  w.set(0, ClusterState::down);
  w.run(1'000);
  ASSERT_EQ(w.route.active(), 1u);
  w.set(0, ClusterState::rejoining);
  w.run(5'000);
  w.set(0, ClusterState::up);
  w.run(54'000);
  EXPECT_EQ(w.last.action, Action::stay);
  w.in.idle = false;
  w.run(2'000);
  EXPECT_EQ(w.last.action, Action::drain);
  EXPECT_EQ(w.moves.size(), 1u);
  w.in.idle = true;
  w.run(40);
  ASSERT_EQ(w.moves.size(), 2u);
  EXPECT_EQ(w.route.active(), 0u);
  EXPECT_EQ(w.route.generation(), 9u);
}

TEST(Route, PrimaryThatFailsWhileDrainingEndsTheDrain) {
  World w(1);
  w.in.idle = false;
  w.run(61'000);
  ASSERT_EQ(w.last.action, Action::drain);
  w.set(0, ClusterState::suspect);
  w.run(40);
  EXPECT_EQ(w.last.action, Action::stay);
  EXPECT_EQ(w.route.active(), 1u);
}

TEST(Route, ThreeMovesInTenMinutesThenHolds) {
  RouteRules rules;
  rules.fail_back_after_ms = 1'000;
  World w(0, rules);
  for (int i = 0; i < 20; ++i) {
    w.set(0, ClusterState::down);
    w.run(5'000);
    w.set(0, ClusterState::up);
    w.run(5'000);
  }
  EXPECT_EQ(w.moves.size(), 3u);
  w.set(1, ClusterState::down);
  w.set(w.route.active(), ClusterState::down);
  w.set(1 - w.route.active(), ClusterState::up);
  EXPECT_TRUE(w.run(1'000).holding);
  EXPECT_THAT(w.last.reason, ::testing::HasSubstr("moved 3 times within 10 min"));
  w.run(600'000);  // the window has passed
  EXPECT_EQ(w.moves.size(), 4u);
}

TEST(Route, ByHandMovesAtOnceBeyondTheLimitAndStays) {
  RouteRules rules;
  rules.max_switches = 0;
  World w(0, rules);
  w.route.force(1);
  w.run(20);
  EXPECT_EQ(w.route.active(), 1u);
  w.run(300'000);
  EXPECT_EQ(w.route.active(), 1u);  // pinned: no fail-back
  World free(0);
  free.route.force(1);
  free.run(20);
  free.route.release();
  free.run(61'000);
  EXPECT_EQ(free.route.active(), 0u);
}

TEST(Route, ASingleClusterIsWaitedFor) {
  Route route({}, 1, 0, 0);
  RouteInput in;
  in.members = {{ClusterState::down, 0, -1, true, ""}};
  in.now = 10'000;
  const auto v = route.decide(in);
  EXPECT_EQ(v.action, Action::stay);
  EXPECT_TRUE(v.holding);
}

}  // namespace
}  // namespace twinspan::connectors
