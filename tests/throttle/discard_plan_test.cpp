#include "throttle/discard_plan.h"

#include <gtest/gtest.h>

#include <set>

namespace twinspan::throttle {
namespace {

using Kind = DiscardTarget::Kind;
constexpr std::int64_t kClick = 1'800'000'000'000;

LaneView lane(const char* cluster, std::int32_t partition, std::int64_t position, std::int64_t end) {
  LaneView v;
  v.source = "impressions";
  v.cluster = cluster;
  v.topic = "ad_impression";
  v.partition = partition;
  v.position = position;
  v.end = end;
  return v;
}

TEST(DiscardPlan, LatestSkipsToTheEndSeenAtTheClickOnEveryCluster) {
  LaneView east = lane("east", 0, 100, 1'100), west = lane("west", 3, 0, 250);
  east.first_timestamp = 5'000, east.last_timestamp = 9'000;
  west.first_timestamp = 4'000;
  const DiscardPlan plan = plan_discard({east, west}, {}, kClick);
  ASSERT_EQ(plan.lanes.size(), 2u);
  EXPECT_EQ(plan.lanes[0].from, 100);
  EXPECT_EQ(plan.lanes[0].to, 1'100);
  EXPECT_EQ(plan.lanes[0].records, 1'000);
  EXPECT_EQ(plan.lanes[1].cluster, "west");
  EXPECT_EQ(plan.lanes[1].partition, 3);
  EXPECT_EQ(plan.lanes[1].to, 250);
  EXPECT_EQ(plan.records, 1'250);
  EXPECT_EQ(plan.first_timestamp, 4'000);
  EXPECT_EQ(plan.last_timestamp, 9'000);
  EXPECT_EQ(plan.pending_lanes, 0u);
}

TEST(DiscardPlan, NeverGoesBackwards) {
  LaneView ahead = lane("east", 0, 500, 500), moved = lane("east", 1, 700, 600), located = lane("west", 0, 900, 1'000);
  located.located = LaneView::Located{400};
  for (const auto& target : {DiscardTarget{}, DiscardTarget{Kind::timestamp, 77}}) {
    ahead.located = moved.located = LaneView::Located{10};
    const DiscardPlan plan = plan_discard({ahead, moved}, target, kClick);
    for (const LaneDiscard& l : plan.lanes) {
      EXPECT_EQ(l.from, l.to);
      EXPECT_EQ(l.records, 0);
      EXPECT_EQ(l.note, "already there");
    }
    EXPECT_TRUE(plan.nothing_to_do());
  }
  EXPECT_TRUE(plan_discard({located}, {Kind::timestamp, 77}, kClick).nothing_to_do());
}

TEST(DiscardPlan, TimestampSkipsToTheLocatedOffset) {
  LaneView a = lane("east", 0, 100, 1'000), b = lane("east", 1, 100, 1'000);
  a.located = LaneView::Located{640};
  b.located = LaneView::Located{-1, true};  // every record is older
  const DiscardPlan plan = plan_discard({a, b}, {Kind::timestamp, 77}, kClick);
  EXPECT_EQ(plan.lanes[0].to, 640);
  EXPECT_EQ(plan.lanes[1].to, 1'000);
  EXPECT_EQ(plan.records, 540 + 900);
}

TEST(DiscardPlan, NothingBeyondTheEndOfTheClickIsDropped) {
  LaneView a = lane("east", 0, 100, 1'000);
  a.located = LaneView::Located{4'711};  // found after more had been produced
  EXPECT_EQ(plan_discard({a}, {Kind::keep_last, 300'000}, kClick).lanes[0].to, 1'000);
}

TEST(DiscardPlan, WhatIsUnknownIsReadNotDropped) {
  LaneView no_end = lane("east", 0, 100, -1), not_located = lane("east", 1, 100, 1'000);
  const DiscardPlan latest = plan_discard({no_end}, {}, kClick);
  EXPECT_TRUE(latest.nothing_to_do());
  EXPECT_EQ(latest.lanes[0].to, 100);
  EXPECT_TRUE(plan_discard({not_located}, {Kind::timestamp, 5}, kClick).nothing_to_do());
}

TEST(DiscardPlan, TimeToLocateIsNeverAfterTheClick) {
  EXPECT_EQ(time_to_locate({}, kClick), std::nullopt);
  EXPECT_EQ(time_to_locate({Kind::timestamp, 12}, kClick), 12);
  EXPECT_EQ(time_to_locate({Kind::timestamp, kClick + 1}, kClick), kClick);
  EXPECT_EQ(time_to_locate({Kind::keep_last, 300'000}, kClick), kClick - 300'000);
  EXPECT_EQ(time_to_locate({Kind::keep_last, -5}, kClick), kClick);
}

TEST(DiscardPlan, AnUnreachableLaneKeepsTheCutAsPending) {
  LaneView away = lane("east", 0, 100, 5'000);
  away.reachable = false;
  const DiscardPlan plan = plan_discard({away, lane("west", 0, 10, 20)}, {}, kClick);
  EXPECT_TRUE(plan.lanes[0].pending);
  EXPECT_EQ(plan.lanes[0].cut, (PendingCut{kClick, 5'000}));
  EXPECT_EQ(plan.lanes[0].records, 0);
  EXPECT_EQ(plan.pending_lanes, 1u);
  EXPECT_EQ(plan.records, 10);
  const DiscardPlan keep = plan_discard({away}, {Kind::keep_last, 60'000}, kClick);
  EXPECT_EQ(keep.lanes[0].cut, (PendingCut{kClick - 60'000, 5'000}));
  EXPECT_FALSE(keep.nothing_to_do());
}

TEST(DiscardPlan, ANewCutWaitsBehindPendingOnes) {
  LaneView back = lane("east", 0, 100, 5'000);
  back.pending = {{kClick - 10, 4'000}};
  const DiscardPlan plan = plan_discard({back}, {}, kClick);
  EXPECT_TRUE(plan.lanes[0].pending);
  EXPECT_EQ(plan.pending_lanes, 1u);
}

TEST(DiscardPlan, RecordsRetentionHasRemovedAreNotCountedAsDropped) {
  LaneView old = lane("east", 0, 100, 1'000);
  old.low = 600;
  const LaneDiscard made = plan_discard({old}, {}, kClick).lanes[0];
  EXPECT_EQ(made.from, 100);
  EXPECT_EQ(made.to, 1'000);
  EXPECT_EQ(made.records, 400);
}

class PlanBookTest : public testing::Test {
 protected:
  PlanBook book{42};
  DiscardPlan plan = plan_discard({lane("east", 0, 1, 9)}, {}, kClick);
  std::string code(const std::string& id, const std::string& pipeline, const std::string& reason, std::int64_t now) {
    auto taken = book.take(id, pipeline, reason, now);
    if (taken) return "ok";
    EXPECT_EQ(taken.error().kind, ErrorKind::conflict);
    EXPECT_FALSE(taken.error().message.empty());
    return taken.error().code;
  }
};

TEST_F(PlanBookTest, APlanIsExecutedExactlyOnce) {
  const std::string id = book.add("ad-uv", plan, kClick).id;
  auto taken = book.take(id, "ad-uv", "stale data", kClick + 1'000);
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken.value().plan.records, 8);
  EXPECT_EQ(code(id, "ad-uv", "again", kClick + 1'001), "plan_executed");
}

TEST_F(PlanBookTest, APlanIsValidFiveMinutes) {
  const std::string a = book.add("ad-uv", plan, kClick).id, b = book.add("ad-uv", plan, kClick).id;
  EXPECT_EQ(code(a, "ad-uv", "r", kClick + PlanBook::kValidMs - 1), "ok");
  EXPECT_EQ(code(b, "ad-uv", "r", kClick + PlanBook::kValidMs), "plan_expired");
}

TEST_F(PlanBookTest, ABlankReasonIsRefusedAndThePlanStaysValid) {
  const std::string id = book.add("ad-uv", plan, kClick).id;
  EXPECT_EQ(code(id, "ad-uv", "", kClick), "reason_missing");
  EXPECT_EQ(code(id, "ad-uv", " \t\n", kClick), "reason_missing");
  EXPECT_EQ(code(id, "ad-uv", "r", kClick), "ok");
}

TEST_F(PlanBookTest, UnknownAndForeignPlansAreRefused) {
  const std::string id = book.add("ad-uv", plan, kClick).id;
  EXPECT_EQ(code("d000000000000", "ad-uv", "r", kClick), "plan_unknown");
  EXPECT_EQ(code("", "ad-uv", "r", kClick), "plan_unknown");
  EXPECT_EQ(code(id, "other", "r", kClick), "plan_of_another_pipeline");
  EXPECT_EQ(code(id, "ad-uv", "r", kClick), "ok");
}

TEST_F(PlanBookTest, KeepsTheLastPlansOnlyAndIdsDiffer) {
  std::set<std::string> ids;
  const std::string first = book.add("p", plan, kClick).id;
  for (std::size_t i = 0; i < PlanBook::kKept; ++i) ids.insert(book.add("p", plan, kClick).id);
  EXPECT_EQ(ids.size(), PlanBook::kKept);
  EXPECT_EQ(code(first, "p", "r", kClick), "plan_unknown");
  PlanBook other(43);
  EXPECT_FALSE(ids.contains(other.add("p", plan, kClick).id));
}

}  // namespace
}  // namespace twinspan::throttle
