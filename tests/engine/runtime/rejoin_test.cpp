// A lane that comes back catches up with the source as a whole, not only with what its own shard has seen.
#include "engine/runtime/watermark_tracker.h"

#include <gtest/gtest.h>

namespace twinspan::engine {
namespace {

Batch row(LaneIndex lane, EventTime time) {
  Batch b;
  Arena& arena = b.add_arena();
  auto* t = arena.make<EventTime>(1);
  t[0] = time;
  b.time = t;
  b.rows = 1;
  auto origins = std::make_shared<Origins>();
  origins->lane = {lane};
  origins->offset = {0};
  origins->payload = {""};
  b.origins = origins;
  return b;
}

TEST(Rejoin, LaneCountsAgainOnlyAtTheFiringWatermarkOfTheWholeSource) {
  WatermarkPolicy policy;
  policy.out_of_order_ms = 0;
  policy.hold_ms = 0;
  WatermarkTracker tracker(policy);
  tracker.add_lane(LaneIndex(0), "east", kMinTime, 0);
  auto first = row(LaneIndex(0), 1'000);
  tracker.assign(first, 0);
  tracker.cluster_lost("east", 1);
  tracker.source_is_at(60'000);  // other shards went on
  tracker.cluster_rejoining("east", 2);
  auto behind = row(LaneIndex(0), 30'000);
  tracker.assign(behind, 3);
  EXPECT_TRUE(tracker.outage());
  auto caught_up = row(LaneIndex(0), 61'000);
  tracker.assign(caught_up, 4);
  EXPECT_FALSE(tracker.outage());
  EXPECT_EQ(tracker.watermark().firing, 60'999);
}

// Two clusters start: the one that answers first must not make the other's rows late.
TEST(Awaited, ClusterWhoseLanesAreNotKnownHoldsBothWatermarks) {
  WatermarkPolicy policy;
  policy.out_of_order_ms = 0;
  WatermarkTracker tracker(policy);
  tracker.await_cluster("east");
  tracker.await_cluster("west");
  EXPECT_FALSE(tracker.idle());
  tracker.add_lane(LaneIndex(0), "east", kMinTime, 0);
  tracker.cluster_known("east");
  auto early = row(LaneIndex(0), 50'000);
  tracker.assign(early, 1);
  tracker.advance(2);
  EXPECT_EQ(tracker.watermark(), (Watermark{}));
  tracker.add_lane(LaneIndex(1), "west", kMinTime, 3);
  tracker.cluster_known("west");
  auto other = row(LaneIndex(1), 10'000);
  tracker.assign(other, 4);
  EXPECT_EQ(tracker.watermark(), (Watermark{9'999, 9'999}));
}

TEST(Awaited, LostBeforeItWasEverReachedHoldsLikeAnyLostCluster) {
  WatermarkPolicy policy;
  policy.out_of_order_ms = 0;
  policy.hold_ms = 1'000;
  policy.outage_budget_ms = 10'000;
  WatermarkTracker tracker(policy);
  tracker.await_cluster("east");
  tracker.await_cluster("west");
  tracker.add_lane(LaneIndex(0), "east", kMinTime, 0);
  tracker.cluster_known("east");
  tracker.cluster_lost("west", 100);
  auto r = row(LaneIndex(0), 50'000);
  tracker.assign(r, 200);
  EXPECT_EQ(tracker.watermark(), (Watermark{}));
  tracker.advance(1'200);
  EXPECT_EQ(tracker.watermark(), (Watermark{49'999, kMinTime}));
  // Its lanes, when they come, are not late by R.
  tracker.cluster_rejoining("west", 2'000);
  tracker.add_lane(LaneIndex(1), "west", kMinTime, 2'000);
  tracker.cluster_known("west");
  auto late = row(LaneIndex(1), 20'000);
  tracker.assign(late, 2'001);
  EXPECT_LT(tracker.watermark().retention, 20'000);
}

TEST(Awaited, HoldBeginsWhenTheFirstClusterIsBack) {
  WatermarkPolicy policy;
  policy.out_of_order_ms = 0;
  policy.hold_ms = 1'000;
  WatermarkTracker tracker(policy);
  tracker.await_cluster("east");
  tracker.await_cluster("west");
  tracker.cluster_lost("east", 0);
  tracker.cluster_lost("west", 0);
  tracker.advance(60'000);
  tracker.cluster_rejoining("east", 60'000);
  tracker.add_lane(LaneIndex(0), "east", kMinTime, 60'010);
  tracker.cluster_known("east");
  auto r = row(LaneIndex(0), 50'000);
  tracker.assign(r, 60'020);
  tracker.advance(60'500);
  EXPECT_EQ(tracker.watermark(), (Watermark{}));
  tracker.cluster_rejoining("west", 60'600);
  tracker.add_lane(LaneIndex(1), "west", kMinTime, 60'610);
  tracker.cluster_known("west");
  auto w = row(LaneIndex(1), 40'000);
  tracker.assign(w, 60'620);
  EXPECT_LE(tracker.watermark().firing, 39'999);
}

TEST(Rejoin, OutageShorterThanTheHoldChangesNothing) {
  WatermarkPolicy policy;
  policy.out_of_order_ms = 0;
  policy.hold_ms = 30'000;
  WatermarkTracker tracker(policy);
  tracker.add_lane(LaneIndex(0), "east", kMinTime, 0);
  tracker.add_lane(LaneIndex(1), "west", kMinTime, 0);
  auto e = row(LaneIndex(0), 1'000), w = row(LaneIndex(1), 1'000);
  tracker.assign(e, 0);
  tracker.assign(w, 0);
  tracker.cluster_lost("west", 100);
  auto on = row(LaneIndex(0), 90'000);
  tracker.assign(on, 1'000);
  tracker.cluster_rejoining("west", 5'000);
  tracker.advance(5'001);
  EXPECT_EQ(tracker.watermark(), (Watermark{999, 999}));
}

}  // namespace
}  // namespace twinspan::engine
