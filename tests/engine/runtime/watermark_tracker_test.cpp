#include "engine/runtime/watermark_tracker.h"

#include <gtest/gtest.h>

#include <random>

#include <fmt/format.h>

namespace twinspan::engine {
namespace {

constexpr LaneIndex kA(0), kB(1), kC(2), kD(3);

struct Row {
  LaneIndex lane;
  EventTime time;
};

Batch batch_of(const std::vector<Row>& rows) {
  Batch b;
  b.rows = static_cast<std::uint32_t>(rows.size());
  auto origins = std::make_shared<Origins>();
  Arena& arena = b.add_arena();
  auto* time = arena.make<EventTime>(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    origins->lane.push_back(rows[i].lane);
    time[i] = rows[i].time;
  }
  b.origins = origins;
  b.time = time;
  return b;
}

class WatermarkTrackerTest : public ::testing::Test {
 protected:
  static WatermarkPolicy policy() {
    WatermarkPolicy p;
    p.out_of_order_ms = 10;
    p.idle_after_ms = 1000;
    p.hold_ms = 5000;
    p.outage_budget_ms = 60'000;
    return p;
  }
  explicit WatermarkTrackerTest(WatermarkPolicy p = policy()) : tracker(p) {}

  void row(LaneIndex lane, EventTime time) { rows({{lane, time}}); }
  Batch rows(const std::vector<Row>& r) {
    Batch b = batch_of(r);
    tracker.assign(b, now);
    return b;
  }
  Watermark after(std::int64_t ms) {
    now += ms;
    tracker.advance(now);
    return tracker.watermark();
  }
  void two_clusters() {
    tracker.add_lane(kA, "east", kMinTime, now);
    tracker.add_lane(kB, "west", kMinTime, now);
  }

  WatermarkTracker tracker;
  std::int64_t now = 100'000;
};

TEST_F(WatermarkTrackerTest, IsTheSmallestLaneLessOutOfOrder) {
  two_clusters();
  row(kA, 1000);
  EXPECT_EQ(after(0).firing, kMinTime);  // the other lane has said nothing
  row(kB, 500);
  // A row at 490 may still come, and must not be late: the watermark is below it.
  EXPECT_EQ(after(0), (Watermark{489, 489}));
  row(kB, 2000);
  EXPECT_EQ(after(0), (Watermark{989, 989}));
  row(kA, 900);  // an older row takes nothing back
  EXPECT_EQ(after(0), (Watermark{989, 989}));
}

TEST_F(WatermarkTrackerTest, EachRowIsPrecededByWhatTheRowsBeforeItMade) {
  tracker.add_lane(kA, "east", kMinTime, now);
  const Batch b = rows({{kA, 100}, {kA, 200}, {kA, 150}, {kA, 300}});
  const EventTime expected[] = {kMinTime, 89, 189, 189};
  for (int i = 0; i < 4; ++i) EXPECT_EQ(b.firing[i], expected[i]) << i;
  EXPECT_EQ(b.retention, b.firing);
  EXPECT_EQ(tracker.watermark().firing, 289);
}

TEST_F(WatermarkTrackerTest, ALaneIsIdleOnlyAfterAFetchShowedItsEnd) {
  two_clusters();
  row(kA, 1000);
  row(kB, 100);
  // protocol.md 19: nothing came from B, but nobody has seen its end: it is stalled, and holds.
  for (int i = 0; i < 10; ++i) {
    row(kA, 2000 + i);
    EXPECT_EQ(after(1000).firing, 89);
  }
  EXPECT_FALSE(tracker.lane_idle(kB));
  tracker.lane_at_end(kB, now);
  EXPECT_EQ(after(0).firing, 1998);
  EXPECT_TRUE(tracker.lane_idle(kB));
  EXPECT_FALSE(tracker.idle());
  // The end was seen too long ago: it may be stalled now. It holds again, but nothing goes back.
  row(kA, 5000);
  EXPECT_EQ(after(1001).firing, 4989);
  EXPECT_FALSE(tracker.lane_idle(kB));
  row(kA, 6000);
  EXPECT_EQ(after(0).firing, 4989);
}

TEST_F(WatermarkTrackerTest, ALaneAtItsEndIsNotIdleBeforeItsTime) {
  two_clusters();
  row(kA, 1000);
  row(kB, 100);
  tracker.lane_at_end(kB, now);
  EXPECT_EQ(after(999).firing, 89);
  EXPECT_EQ(after(1).firing, 989);
}

TEST_F(WatermarkTrackerTest, ARowEndsIdleness) {
  two_clusters();
  row(kA, 1000);
  row(kB, 100);
  tracker.lane_at_end(kB, now);
  EXPECT_EQ(after(1000).firing, 989);
  row(kB, 150);
  EXPECT_FALSE(tracker.lane_idle(kB));
  row(kA, 3000);
  EXPECT_EQ(after(0).firing, 989);
  row(kB, 2000);
  EXPECT_EQ(after(0).firing, 1989);
}

TEST_F(WatermarkTrackerTest, WhenAllAreIdleTheWatermarkStays) {
  two_clusters();
  row(kA, 1000);
  row(kB, 100);
  tracker.lane_at_end(kA, now + 1000);
  tracker.lane_at_end(kB, now + 1000);
  EXPECT_EQ(after(1000).firing, 89);
  EXPECT_TRUE(tracker.idle());
  EXPECT_TRUE(tracker.idle_firing());
}

struct AdvancingTracker : WatermarkTrackerTest {
  static WatermarkPolicy advancing() {
    WatermarkPolicy p = policy();
    p.advance_when_all_idle = true;
    return p;
  }
  AdvancingTracker() : WatermarkTrackerTest(advancing()) {}
};
TEST_F(AdvancingTracker, WhenAllAreIdleTheWatermarkAdvancesToTheLargest) {
  two_clusters();
  row(kA, 1000);
  row(kB, 100);
  tracker.lane_at_end(kA, now + 1000);
  tracker.lane_at_end(kB, now + 1000);
  EXPECT_EQ(after(1000), (Watermark{989, 989}));
}

TEST_F(WatermarkTrackerTest, WithoutLanesItIsIdle) {
  EXPECT_TRUE(tracker.idle());
  tracker.advance(now);
  EXPECT_TRUE(tracker.idle());
  tracker.add_lane(kA, "east", kMinTime, now);
  EXPECT_FALSE(tracker.idle());
  tracker.end_lane(kA);
  tracker.advance(now);
  EXPECT_TRUE(tracker.idle());
}

TEST_F(WatermarkTrackerTest, RemovedAndEndedLanesHoldNothing) {
  two_clusters();
  tracker.add_lane(kC, "west", kMinTime, now);
  row(kA, 1000);
  row(kB, 100);
  tracker.end_lane(kB);
  EXPECT_EQ(after(0).firing, kMinTime);
  tracker.remove_lane(kC);
  EXPECT_EQ(after(0).firing, 989);
}

TEST_F(WatermarkTrackerTest, ALostClusterHoldsFForATimeAndRUpToTheBudget) {
  two_clusters();
  row(kA, 1000);
  row(kB, 900);
  EXPECT_EQ(after(0), (Watermark{889, 889}));
  tracker.cluster_lost("west", now);
  EXPECT_TRUE(tracker.outage());
  row(kA, 2000);
  EXPECT_EQ(after(4999), (Watermark{889, 889}));
  EXPECT_EQ(after(1), (Watermark{1989, 889}));
  const Batch b = rows({{kA, 3000}, {kA, 3100}});
  EXPECT_EQ(b.firing[1], 2989);
  EXPECT_EQ(b.retention[1], 889);
  EXPECT_EQ(after(54'999), (Watermark{3089, 889}));
  EXPECT_EQ(after(1), (Watermark{3089, 3089}));  // the budget is spent
}

// outage_state.bytes: R moves on at once, until the outage is over; the next one holds again.
TEST_F(WatermarkTrackerTest, AnOutageThatIsGivenUpNoLongerHoldsR) {
  two_clusters();
  row(kA, 1000);
  row(kB, 1000);
  const Watermark before = after(0);
  tracker.cluster_lost("east", now);
  row(kB, 9000);
  EXPECT_EQ(after(5000).retention, before.retention);
  tracker.give_up_outage();
  EXPECT_EQ(after(0), (Watermark{8989, 8989}));
  row(kB, 9500);
  EXPECT_EQ(after(0), (Watermark{9489, 9489}));
  tracker.cluster_rejoining("east", now);
  row(kA, 2000);  // its backlog: late, and holds nothing
  row(kB, 9600);
  EXPECT_EQ(after(0), (Watermark{9589, 9589}));
  row(kA, 9700);
  EXPECT_EQ(after(0).retention, 9589);
  tracker.cluster_lost("east", now);
  row(kB, 20'000);
  const Watermark second = after(5000);
  EXPECT_EQ(second.firing, 19'989);
  EXPECT_EQ(second.retention, 9689);
}

TEST_F(WatermarkTrackerTest, WithoutAnOutageThereIsNothingToGiveUp) {
  two_clusters();
  row(kA, 1000);
  row(kB, 1000);
  tracker.give_up_outage();
  const Watermark before = after(0);
  tracker.cluster_lost("east", now);
  row(kB, 9000);
  EXPECT_EQ(after(10).retention, before.retention);
}

TEST_F(WatermarkTrackerTest, ALostClusterHoldsRFromTheMomentOfLossThoughItWasIdle) {
  two_clusters();
  row(kA, 1000);
  row(kB, 900);
  tracker.lane_at_end(kB, now + 1000);
  row(kA, 1000);
  EXPECT_EQ(after(1000).firing, 989);
  tracker.cluster_lost("west", now);
  row(kA, 5000);
  after(6000);
  EXPECT_EQ(tracker.watermark(), (Watermark{4989, 989}));
}

struct SideTracker : WatermarkTrackerTest {
  static WatermarkPolicy side() {
    WatermarkPolicy p = policy();
    p.merge_backlog = false;
    return p;
  }
  SideTracker() : WatermarkTrackerTest(side()) {}
};
TEST_F(SideTracker, WithoutMergeRIsF) {  // protocol.md 20
  two_clusters();
  row(kA, 1000);
  row(kB, 900);
  tracker.cluster_lost("west", now);
  row(kA, 2000);
  EXPECT_EQ(after(4999), (Watermark{889, 889}));
  EXPECT_EQ(after(1), (Watermark{1989, 1989}));
}

TEST_F(WatermarkTrackerTest, ARejoiningLaneCountsInFOnlyWhenItHasCaughtUp) {
  two_clusters();
  row(kA, 1000);
  row(kB, 900);
  tracker.cluster_lost("west", now);
  row(kA, 5000);
  EXPECT_EQ(after(5000), (Watermark{4989, 889}));
  tracker.cluster_rejoining("west", now);
  // Its backlog moves R, and never F back.
  row(kB, 2000);
  EXPECT_EQ(after(0), (Watermark{4989, 1989}));
  row(kA, 6000);
  EXPECT_EQ(after(0), (Watermark{5989, 1989}));
  row(kB, 5999);  // its watermark is 5988: not yet
  EXPECT_EQ(after(0), (Watermark{5989, 5988}));
  EXPECT_TRUE(tracker.outage());
  row(kB, 6000);
  EXPECT_FALSE(tracker.outage());
  row(kA, 9000);
  EXPECT_EQ(after(0), (Watermark{5989, 5989}));  // it counts again
  row(kB, 8000);
  EXPECT_EQ(after(0), (Watermark{7989, 7989}));
}

// Nothing was written to it while it was away: at its end it has caught up, and being quiet it is idle.
TEST_F(WatermarkTrackerTest, AQuietLaneThatRejoinsAtItsEndDoesNotHoldF) {
  two_clusters();
  row(kA, 1000);
  row(kB, 900);
  tracker.cluster_lost("west", now);
  row(kA, 5000);
  EXPECT_EQ(after(5000), (Watermark{4989, 889}));
  tracker.cluster_rejoining("west", now);
  tracker.lane_at_end(kB, now);
  EXPECT_EQ(after(0), (Watermark{4989, 4989}));
  row(kA, 6000);
  EXPECT_EQ(after(0), (Watermark{5989, 5989}));
  EXPECT_FALSE(tracker.outage());
}

TEST_F(WatermarkTrackerTest, LostAgainWhileCatchingUpTheOutageGoesOnFromItsFirstMoment) {
  two_clusters();
  row(kA, 1000);
  row(kB, 900);
  tracker.cluster_lost("west", now);
  row(kA, 5000);
  after(6000);
  tracker.cluster_rejoining("west", now);
  row(kB, 1000);
  tracker.cluster_lost("west", now);
  row(kA, 6000);
  EXPECT_EQ(after(0), (Watermark{5989, 989}));  // F does not wait a second time
  EXPECT_EQ(after(53'999).retention, 989);
  EXPECT_EQ(after(1).retention, 5989);
}

TEST_F(WatermarkTrackerTest, AllLanesOfAShardLostIsIdleForFOnly) {
  tracker.add_lane(kB, "west", kMinTime, now);
  row(kB, 900);
  tracker.cluster_lost("west", now);
  after(4999);
  EXPECT_FALSE(tracker.idle_firing());
  after(1);
  EXPECT_TRUE(tracker.idle_firing());
  EXPECT_FALSE(tracker.idle());
  after(55'000);
  EXPECT_TRUE(tracker.idle());
}

TEST_F(WatermarkTrackerTest, ANewLaneStartsAtTheFiringWatermark) {
  tracker.add_lane(kA, "east", kMinTime, now);
  row(kA, 1000);
  tracker.add_lane(kD, "east", kMinTime, now);
  EXPECT_EQ(after(0).firing, 989);
  EXPECT_EQ(tracker.lane_watermark(kD), 989);
  row(kA, 2000);
  EXPECT_EQ(after(0).firing, 989);  // it counts: it has not been at its end
  row(kD, 500);
  EXPECT_EQ(after(0).firing, 989);
  row(kD, 1500);
  EXPECT_EQ(after(0).firing, 1489);
}

TEST_F(WatermarkTrackerTest, ARestoredLaneGoesOnWhereItWas) {
  tracker.restore({700, 650});
  tracker.add_lane(kA, "east", 900, now);
  tracker.add_lane(kB, "west", 600, now);
  EXPECT_EQ(tracker.watermark(), (Watermark{700, 650}));
  EXPECT_EQ(after(0), (Watermark{700, 650}));  // B is behind what was reached: nothing goes back
  row(kB, 800);
  EXPECT_EQ(after(0), (Watermark{789, 789}));
  EXPECT_EQ(tracker.lane_max(kA), 900);
}

// The same rows, cut in any way, with losses and returns between them at fixed places: the same watermark
// before each.
TEST(WatermarkTracker, DoesNotDependOnHowRowsAreCutIntoBatches) {
  for (std::uint32_t seed = 1; seed <= 40; ++seed) {
    std::mt19937 random(seed);
    std::vector<Row> all;
    std::int64_t base = 0;
    for (int i = 0; i < 3000; ++i) {
      base += random() % 5;
      all.push_back({LaneIndex(random() % 4), base - static_cast<std::int64_t>(random() % 60)});
    }
    std::vector<std::vector<Watermark>> results;
    for (const std::size_t cut : {1, 7, 1024}) {
      WatermarkPolicy policy;
      policy.out_of_order_ms = 20;
      policy.hold_ms = 50;
      policy.idle_after_ms = 100;
      WatermarkTracker tracker(policy);
      for (unsigned l = 0; l < 4; ++l) tracker.add_lane(LaneIndex(l), l < 2 ? "east" : "west", kMinTime, 0);
      auto& result = results.emplace_back();
      // Four phases; between them time and clusters change, for every way of cutting at the same row.
      std::size_t from = 0;
      for (int phase = 0; phase < 4; ++phase) {
        const std::size_t end = all.size() * (phase + 1) / 4;
        const std::int64_t now = phase * 1000;
        if (phase == 1) tracker.cluster_lost("west", now - 100);  // the hold is over: F goes on alone
        if (phase == 2) tracker.cluster_rejoining("west", now);
        if (phase == 3) tracker.lane_at_end(LaneIndex(3), now);
        tracker.advance(now);
        while (from < end) {
          const std::size_t n = std::min(cut, end - from);
          Batch b = batch_of(
              {all.begin() + static_cast<std::ptrdiff_t>(from), all.begin() + static_cast<std::ptrdiff_t>(from + n)});
          tracker.assign(b, now);
          for (std::uint32_t i = 0; i < b.rows; ++i) result.push_back({b.firing[i], b.retention[i]});
          from += n;
        }
      }
    }
    for (std::size_t i = 1; i < results[0].size(); ++i) {
      ASSERT_GE(results[0][i].firing, results[0][i - 1].firing);
      ASSERT_GE(results[0][i].retention, results[0][i - 1].retention);
      ASSERT_LE(results[0][i].retention, results[0][i].firing);
    }
    ASSERT_TRUE(results[0] == results[1]) << seed;
    ASSERT_TRUE(results[0] == results[2]) << seed;
  }
}

}  // namespace
}  // namespace twinspan::engine
