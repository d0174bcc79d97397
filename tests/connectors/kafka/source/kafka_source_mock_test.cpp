#include <chrono>
#include <string>

#include "tests/connectors/kafka/source/mock_kafka.h"
#include "tests/connectors/kafka/source/source_rig.h"

namespace twinspan::connectors {
namespace {

using namespace std::chrono_literals;
using Start = KafkaSourceSettings::Start;
using OnGap = KafkaSourceSettings::OnGap;

KafkaSourceSettings on(const std::vector<std::pair<std::string, const MockKafka*>>& clusters,
                       const std::string& topic) {
  KafkaSourceSettings settings;
  settings.name = "s";
  settings.start = Start::earliest;
  settings.readmit_after_ms = 500;
  for (const auto& [name, mock] : clusters) {
    settings.clusters.push_back(
        {{.name = name, .bootstrap = mock != nullptr ? mock->bootstrap() : "127.0.0.1:1"}, {topic}});
  }
  return settings;
}
const ConsumerOptions kMock{.mock = true};

TEST(KafkaSourceMock, UnionOfBothClustersOnOneAndTwoShards) {
  MockKafka a, b;
  for (auto* mock : {&a, &b}) {
    mock->create_topic("t", 4);
    for (int p = 0; p < 4; ++p) mock->produce("t", p, 0, 500);
  }
  for (unsigned shards : {1u, 2u}) {
    auto settings = on({{"a", &a}, {"b", &b}}, "t");
    settings.shards = shards;
    Rig rig(settings, kMock);
    ASSERT_TRUE(rig.pump_total(4000));
    EXPECT_EQ(rig.lanes.size(), 8u);
    for (const auto& [key, lane] : rig.lanes) {
      Rig::expect_contiguous(lane, 0, 500);
      EXPECT_EQ(lane.values[7], "7");
    }
    ASSERT_TRUE(rig.pump(5s, [&] { return rig.count(LaneEvent::Kind::at_end) >= 8; }));
    for (const auto& position : rig.positions()) EXPECT_EQ(position.offset, 500);
  }
}

TEST(KafkaSourceMock, ATopicThatDoesNotExistIsWaitedFor) {
  MockKafka a;
  a.create_topic("other", 1);
  Rig rig(on({{"a", &a}}, "late"), kMock);
  rig.pump_for(500ms);
  EXPECT_EQ(rig.total, 0u);
  a.create_topic("late", 2);
  a.produce("late", 0, 0, 10);
  a.produce("late", 1, 0, 10);
  EXPECT_TRUE(rig.pump_total(20));
}

TEST(KafkaSourceMock, AWrongAddressOfOneClusterDoesNotHoldUpTheOther) {
  MockKafka b;
  b.create_topic("t", 1);
  b.produce("t", 0, 0, 100);
  Rig rig(on({{"a", nullptr}, {"b", &b}}, "t"), kMock);
  ASSERT_TRUE(rig.pump_total(100, 3s));
  ASSERT_TRUE(rig.pump(3s, [&] { return rig.state_of("a") == ClusterState::down; }));
  for (const auto& cluster : rig.source().clusters()) {
    if (cluster.cluster == "a")
      EXPECT_FALSE(cluster.last_error.empty());
    else
      EXPECT_TRUE(cluster.last_error.empty()) << cluster.last_error;
  }
}

TEST(KafkaSourceMock, BothClustersDownAtStartAreWaitedFor) {
  MockKafka a, b;
  for (auto* mock : {&a, &b}) {
    mock->create_topic("t", 2);
    mock->produce("t", 0, 0, 50);
    mock->produce("t", 1, 0, 50);
    mock->down();
  }
  Rig rig(on({{"a", &a}, {"b", &b}}, "t"), kMock);
  rig.pump(4s, [&] { return rig.state_of("a") == ClusterState::down && rig.state_of("b") == ClusterState::down; });
  EXPECT_EQ(rig.total, 0u);
  a.up();
  ASSERT_TRUE(rig.pump_total(100));
  EXPECT_EQ(rig.records_of("a"), 100u);
  b.up();
  ASSERT_TRUE(rig.pump_total(200));
}

TEST(KafkaSourceMock, RestoredLanesOfAnUnreachableClusterKeepTheirPositions) {
  Rig rig(on({{"a", nullptr}}, "t"), kMock, {{{"a", "t", 0}, 41, 3}, {{"gone", "x", 1}, 7, 0}});
  rig.pump_for(300ms);
  const auto positions = rig.positions();
  ASSERT_EQ(positions.size(), 2u);
  EXPECT_EQ(positions[0].offset, 41);
  EXPECT_EQ(positions[0].leader_epoch, 3);
  EXPECT_EQ(positions[1].lane.cluster, "gone");
  EXPECT_EQ(positions[1].offset, 7);
  EXPECT_EQ(rig.lanes.at({"a", "t", 0}).added_at, 41);
}

TEST(KafkaSourceMock, BrokerDownAndUpLosesAndRepeatsNothing) {
  MockKafka a, b;
  for (auto* mock : {&a, &b}) {
    mock->create_topic("t", 2);
    mock->produce("t", 0, 0, 1000);
    mock->produce("t", 1, 0, 1000);
  }
  Rig rig(on({{"a", &a}, {"b", &b}}, "t"), kMock);
  ASSERT_TRUE(rig.pump_total(1500));
  a.down();
  b.produce("t", 0, 1000, 1000);
  ASSERT_TRUE(rig.pump(5s, [&] { return rig.told_of("a") == ClusterState::down; }));
  ASSERT_TRUE(rig.pump(5s, [&] { return rig.records_of("b") == 3000; }));
  a.up();
  a.produce("t", 0, 1000, 500);
  ASSERT_TRUE(rig.pump_total(5500));
  Rig::expect_contiguous(rig.lanes.at({"a", "t", 0}), 0, 1500);
  Rig::expect_contiguous(rig.lanes.at({"a", "t", 1}), 0, 1000);
  Rig::expect_contiguous(rig.lanes.at({"b", "t", 0}), 0, 2000);
  EXPECT_TRUE(rig.pump(5s, [&] { return rig.told_of("a") == ClusterState::up; }));
  EXPECT_EQ(rig.state_of("a"), ClusterState::up);
  std::vector<ClusterState> states;
  for (const auto& event : rig.events) {
    if (event.kind == LaneEvent::Kind::cluster_state && event.cluster == "a") states.push_back(event.state);
  }
  ASSERT_GE(states.size(), 3u);
  EXPECT_EQ(states[states.size() - 2], ClusterState::rejoining);
  EXPECT_EQ(states.back(), ClusterState::up);
}

TEST(KafkaSourceMock, JumpSkipsExactlyTheRange) {
  MockKafka a;
  a.create_topic("t", 1);
  a.produce("t", 0, 0, 20'000);
  Rig rig(on({{"a", &a}}, "t"), kMock);
  ASSERT_TRUE(rig.pump(10s, [&] { return rig.total >= 1000; }));
  const LaneIndex lane = rig.keys.begin()->first;
  const auto at = rig.positions()[0].offset;
  EXPECT_EQ(rig.reader().jump(lane, 15'000), at);
  EXPECT_EQ(rig.positions()[0].offset, 15'000);
  EXPECT_EQ(rig.reader().jump(lane, 10), 15'000) << "never backwards";
  const std::size_t before = rig.total;
  ASSERT_TRUE(rig.pump(10s, [&] { return rig.positions()[0].offset == 20'000; }));
  EXPECT_EQ(rig.total - before, 5000u);
  EXPECT_EQ(rig.lanes.begin()->second.offsets[before], 15'000);
}

// max_state, slow_sources: a lane is held, the others are not; whatever happens meanwhile, no record is lost or comes
// twice (turn() checks that too).
TEST(KafkaSourceMock, APausedLaneStandsStillWhileOthersGoOn) {
  MockKafka a;
  a.create_topic("t", 2);
  for (int p = 0; p < 2; ++p) a.produce("t", p, 0, 20'000);
  Rig rig(on({{"a", &a}}, "t"), kMock);
  ASSERT_TRUE(rig.pump(10s, [&] { return rig.keys.size() == 2 && rig.total >= 500; }));
  const auto lane = [&](int p) {
    for (const auto& [index, key] : rig.keys)
      if (key.partition == p) return index;
    return LaneIndex(99);
  };
  const auto& held = rig.lanes.at({"a", "t", 0}).offsets;
  const auto& free = rig.lanes.at({"a", "t", 1}).offsets;
  rig.reader().set_paused(lane(0), true);
  rig.reader().set_paused(lane(0), true);  // twice is once
  ASSERT_TRUE(rig.pump(10s, [&] { return free.size() == 20'000; }));
  const std::size_t stood = held.size();
  EXPECT_LT(stood, 20'000u);
  a.produce("t", 1, 20'000, 5000);
  ASSERT_TRUE(rig.pump(10s, [&] { return free.size() == 25'000; }));
  EXPECT_EQ(held.size(), stood);
  EXPECT_EQ(rig.positions()[0].offset, static_cast<std::int64_t>(stood));
  // The broker goes and comes while the lane is paused.
  a.down();
  ASSERT_TRUE(rig.pump(5s, [&] { return rig.told_of("a") == ClusterState::down; }));
  a.up();
  ASSERT_TRUE(rig.pump(10s, [&] { return rig.told_of("a") == ClusterState::up; }));
  a.produce("t", 1, 25'000, 100);
  ASSERT_TRUE(rig.pump(10s, [&] { return free.size() == 25'100; }));
  EXPECT_EQ(held.size(), stood);
  rig.reader().set_paused(lane(0), false);
  ASSERT_TRUE(rig.pump(10s, [&] { return held.size() == 20'000; }));
  Rig::expect_contiguous(rig.lanes.at({"a", "t", 0}), 0, 20'000);
  Rig::expect_contiguous(rig.lanes.at({"a", "t", 1}), 0, 25'100);
}

TEST(KafkaSourceMock, PausingAgainAndAgainLosesAndRepeatsNothing) {
  MockKafka a;
  a.create_topic("t", 2);
  for (int p = 0; p < 2; ++p) a.produce("t", p, 0, 30'000);
  Rig rig(on({{"a", &a}}, "t"), kMock);
  ASSERT_TRUE(rig.pump(10s, [&] { return rig.keys.size() == 2; }));
  const LaneIndex lane = rig.keys.begin()->first;
  auto& offsets = rig.lanes.at(rig.keys.begin()->second).offsets;
  std::int64_t skipped_to = 0;
  std::size_t before_jump = 0;
  for (int round = 0; round < 30; ++round) {
    const std::size_t at = rig.total;
    rig.reader().set_paused(lane, true);
    rig.pump(20ms, [&] { return rig.total > at + 300; });
    if (round == 15) {  // a jump of a paused lane
      const std::int64_t from = rig.reader().jump(lane, static_cast<std::int64_t>(offsets.size()) + 1000);
      EXPECT_EQ(from, static_cast<std::int64_t>(offsets.size()));
      before_jump = offsets.size();
      skipped_to = from + 1000;
    }
    rig.reader().set_paused(lane, false);
    const std::size_t resumed = offsets.size();
    if (resumed < 29'000 - 1000) rig.pump(5s, [&] { return offsets.size() > resumed; });
  }
  ASSERT_TRUE(rig.pump(20s, [&] { return rig.total >= 59'000; }));
  ASSERT_EQ(offsets.size(), 29'000u);
  for (std::size_t i = 0; i < offsets.size(); ++i)
    ASSERT_EQ(offsets[i], static_cast<std::int64_t>(i) +
                              (i < before_jump ? 0 : skipped_to - static_cast<std::int64_t>(before_jump)));
}

TEST(KafkaSourceMock, StartLatestReadsEverythingWrittenAfterTheFirstContact) {
  MockKafka a;
  a.create_topic("t", 1);
  a.produce("t", 0, 0, 100);
  auto settings = on({{"a", &a}}, "t");
  settings.start = Start::latest;
  Rig rig(settings, kMock);
  ASSERT_TRUE(rig.pump(5s, [&] { return rig.count(LaneEvent::Kind::added) == 1; }));
  a.produce("t", 0, 100, 50);
  ASSERT_TRUE(rig.pump_total(50));
  Rig::expect_contiguous(rig.lanes.begin()->second, 100, 50);
}

TEST(KafkaSourceMock, StartTimestampFindsItsPlaceByBisection) {
  MockKafka a;
  a.create_topic("t", 2);
  a.produce("t", 0, 0, 1000, 1'700'000'000'000);  // one ms apart
  a.produce("t", 1, 0, 10, 1'600'000'000'000);    // all older
  auto settings = on({{"a", &a}}, "t");
  settings.start = Start::timestamp;
  settings.start_ms = 1'700'000'000'700;
  Rig rig(settings, kMock);
  ASSERT_TRUE(rig.pump_total(300));
  Rig::expect_contiguous(rig.lanes.at({"a", "t", 0}), 700, 300);
  ASSERT_TRUE(rig.pump(5s, [&] { return rig.lanes.size() == 2; }));
  EXPECT_EQ(rig.lanes.at({"a", "t", 1}).added_at, 10);
}

// The mock keeps 5 MiB a partition: a position from long ago is gone.
void fill_beyond_retention(MockKafka& mock) {
  mock.create_topic("t", 1);
  mock.produce("t", 0, 0, 10'000, 0, 1000);
}

TEST(KafkaSourceMock, APositionThatIsGoneStopsTheLaneWhenOnGapIsFail) {
  MockKafka a;
  fill_beyond_retention(a);
  Rig rig(on({{"a", &a}}, "t"), kMock, {{{"a", "t", 0}, 100, -1}});
  ASSERT_TRUE(rig.pump(10s, [&] { return rig.count(LaneEvent::Kind::stopped) == 1; }));
  const auto* event = rig.last(LaneEvent::Kind::stopped);
  EXPECT_EQ(event->position, 100);
  EXPECT_GT(event->to, 100);
  EXPECT_NE(event->detail.find("on_gap"), std::string::npos) << event->detail;
  EXPECT_EQ(rig.total, 0u);
  EXPECT_EQ(rig.positions()[0].offset, 100);
  EXPECT_TRUE(rig.source().lanes()[0].stopped);
}

TEST(KafkaSourceMock, APositionThatIsGoneIsReportedExactlyAndSkipped) {
  MockKafka a;
  fill_beyond_retention(a);
  for (const OnGap policy : {OnGap::skip, OnGap::earliest}) {
    auto settings = on({{"a", &a}}, "t");
    settings.on_gap = policy;
    Rig rig(settings, kMock, {{{"a", "t", 0}, 100, -1}});
    ASSERT_TRUE(rig.pump(10s, [&] {
      return !rig.lanes.empty() && !rig.lanes.begin()->second.offsets.empty() && rig.positions()[0].offset == 10'000;
    }));
    ASSERT_EQ(rig.count(LaneEvent::Kind::gap), 1u);
    const auto* gap = rig.last(LaneEvent::Kind::gap);
    EXPECT_EQ(gap->position, 100);
    EXPECT_EQ(gap->to, rig.lanes.begin()->second.offsets.front());
    Rig::expect_contiguous(rig.lanes.begin()->second, gap->to, static_cast<std::size_t>(10'000 - gap->to));
  }
}

TEST(KafkaSourceMock, APositionBeyondTheLogGoesOnAtItsEndOrBeginning) {
  MockKafka a;
  a.create_topic("t", 1);
  a.produce("t", 0, 0, 100);
  for (const OnGap policy : {OnGap::skip, OnGap::earliest}) {
    auto settings = on({{"a", &a}}, "t");
    settings.on_gap = policy;
    Rig rig(settings, kMock, {{{"a", "t", 0}, 5000, -1}});
    ASSERT_TRUE(rig.pump(10s, [&] { return rig.count(LaneEvent::Kind::gap) == 1; }));
    const std::int64_t to = policy == OnGap::skip ? 100 : 0;
    EXPECT_EQ(rig.last(LaneEvent::Kind::gap)->position, 5000);
    EXPECT_EQ(rig.last(LaneEvent::Kind::gap)->to, to);
    if (policy == OnGap::earliest) {
      ASSERT_TRUE(rig.pump_total(100));
      Rig::expect_contiguous(rig.lanes.begin()->second, 0, 100);
    }
  }
}

TEST(KafkaSourceMock, BoundedEndsAtTheEndOfTheStart) {
  MockKafka a;
  a.create_topic("t", 3);
  a.produce("t", 0, 0, 100);
  a.produce("t", 1, 0, 200);
  auto settings = on({{"a", &a}}, "t");
  settings.bounded = true;
  Rig rig(settings, kMock);
  ASSERT_TRUE(rig.pump(5s, [&] { return rig.count(LaneEvent::Kind::added) == 3; }));
  EXPECT_FALSE(rig.reader().ended());
  a.produce("t", 0, 100, 50);
  a.produce("t", 2, 0, 50);
  ASSERT_TRUE(rig.pump(10s, [&] { return rig.reader().ended(); }));
  rig.pump_for(200ms);
  EXPECT_EQ(rig.total, 300u);
}

TEST(KafkaSourceMock, PlansALatestDiscardAndReportsTheUnreachableCluster) {
  MockKafka a, b;
  for (auto* mock : {&a, &b}) {
    mock->create_topic("t", 1);
    mock->produce("t", 0, 0, 1000);
  }
  Rig rig(on({{"a", &a}, {"b", &b}}, "t"), kMock);
  ASSERT_TRUE(rig.pump_total(2000));
  b.down();
  ASSERT_TRUE(rig.pump(5s, [&] { return rig.state_of("b") == ClusterState::down; }));
  a.produce("t", 0, 1000, 300);
  const auto plan = rig.source().plan_discard({DiscardTarget::Kind::latest, 0}, 1000);
  ASSERT_TRUE(plan);
  ASSERT_EQ(plan.value().size(), 2u);
  for (const auto& cut : plan.value()) {
    if (cut.lane.cluster == "a") {
      EXPECT_TRUE(cut.reachable);
      EXPECT_EQ(cut.to, 1300);
    } else {
      EXPECT_FALSE(cut.reachable);
      EXPECT_EQ(cut.cut_offset, 1000);
    }
  }
}

TEST(KafkaSourceMock, PendingCutGoesToTheLastEndSeenAndDropsNothingProducedAfter) {
  MockKafka a;
  a.create_topic("t", 1);
  a.produce("t", 0, 0, 1000);
  a.down();
  LaneCut cut;
  cut.lane = {"a", "t", 0};
  cut.cut_offset = 800;
  Rig rig(on({{"a", &a}}, "t"), kMock, {{{"a", "t", 0}, 100, -1}}, {cut});
  rig.pump_for(300ms);
  EXPECT_EQ(rig.source().pending_cuts().size(), 1u);
  EXPECT_TRUE(rig.source().lanes()[0].pending_cut);
  a.up();
  ASSERT_TRUE(rig.pump_total(200));
  Rig::expect_contiguous(rig.lanes.begin()->second, 800, 200);
  const auto* event = rig.last(LaneEvent::Kind::cut);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->position, 100);
  EXPECT_EQ(event->to, 800);
  EXPECT_TRUE(rig.source().pending_cuts().empty());
}

TEST(KafkaSourceMock, StopsQuicklyWhileNobodyAnswers) {
  const auto before = std::chrono::steady_clock::now();
  {
    Rig rig(on({{"a", nullptr}}, "t"), kMock, {{{"a", "t", 0}, 100, -1}});
    rig.pump_for(100ms);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - before, 5s);
}

}  // namespace
}  // namespace twinspan::connectors
