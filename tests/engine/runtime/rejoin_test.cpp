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

}  // namespace
}  // namespace twinspan::engine
