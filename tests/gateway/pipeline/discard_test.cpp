// Lag discard through the pipeline: exact ranges, durability, cuts of clusters that are away (protocol.md 25, 26).
#include "tests/gateway/pipeline/pipeline_rig.h"

namespace twinspan::gateway {
namespace {

using connectors::ClusterState;
using connectors::LaneKey;

class Discard : public ::testing::Test {
 protected:
  void SetUp() override {
    rig.every_ms = 60'000;  // checkpoints when a test stops the pipeline
  }
  // Every lane has `behind` records that the readers are kept from.
  void lag(int read, int behind) {
    for (int i = 0; i < read + behind; ++i)
      for (const LaneKey& lane : rig.lanes) rig.put(lane, fmt::format("k{}", i % 7), 1);
    for (const LaneKey& lane : rig.lanes) rig.world.limit(lane, read);
  }
  void open_lanes() {
    for (const LaneKey& lane : rig.lanes) rig.world.limit(lane, -1);
  }
  admin::Discard discard(const std::string& reason) {
    auto plan = rig.pipeline->plan_discard(std::nullopt, {});
    EXPECT_TRUE(plan) << plan.error().message;
    auto done = rig.pipeline->execute_discard(plan.value().id, reason);
    EXPECT_TRUE(done) << done.error().message;
    return done ? done.value() : admin::Discard{};
  }
  // Ranges of the ledger: lane -> "from..to why".
  std::map<LaneKey, std::vector<std::string>> ledger() {
    std::map<LaneKey, std::vector<std::string>> out;
    for (const auto& l : rig.lines("ledger.jsonl"))
      out[{std::string(l.at("cluster").as_string()), std::string(l.at("topic").as_string()),
           l.at("partition").to_number<std::int32_t>()}]
          .push_back(fmt::format("{}..{} {}", l.at("from").to_number<int>(), l.at("to").to_number<int>(),
                                 std::string(l.at("why").as_string())));
    return out;
  }
  void expect_each_read_or_skipped(const LaneKey& lane, std::int64_t skipped_from, std::int64_t skipped_to) {
    for (std::int64_t o = 0; o < rig.world.end(lane); ++o) {
      const bool skipped = o >= skipped_from && o < skipped_to;
      EXPECT_EQ(rig.world.read(lane, o) > 0, !skipped) << lane.cluster << "/" << lane.partition << " @" << o;
    }
  }
  Counting rig;
};

TEST_F(Discard, RangesAreExactOnBothClustersAndInTheLedgerOnce) {
  lag(100, 400);
  ASSERT_TRUE(rig.start(2)) << rig.error;
  ASSERT_TRUE(rig.drained());
  auto plan = rig.pipeline->plan_discard(std::nullopt, {});
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan.value().records, 4 * 400);
  EXPECT_EQ(plan.value().pending_lanes, 0u);
  EXPECT_EQ(plan.value().touched_steps, std::vector<std::string>{"w"});
  // What comes between plan and execution is after the click: it is read.
  for (const LaneKey& lane : rig.lanes) rig.put(lane, "new", 1);
  const auto done = rig.pipeline->execute_discard(plan.value().id, "too far behind");
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done.value().records, 4 * 400);
  EXPECT_EQ(done.value().ranges.size(), 4u);
  for (const auto& r : done.value().ranges) {
    EXPECT_EQ(r.from, 100);
    EXPECT_EQ(r.to, 500);
  }
  EXPECT_FALSE(done.value().durable_in.has_value());
  open_lanes();
  ASSERT_TRUE(rig.drained());
  EXPECT_EQ(rig.pipeline->status().discarded_records, 1600u);
  rig.stop();
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(rig.start(1)) << rig.error;
    ASSERT_EQ(rig.pipeline->discards().size(), 1u);
    EXPECT_EQ(rig.pipeline->discards()[0].records, 1600);
    EXPECT_TRUE(rig.pipeline->discards()[0].durable_in.has_value());
    rig.stop();
  }
  for (const LaneKey& lane : rig.lanes) {
    expect_each_read_or_skipped(lane, 100, 500);
    EXPECT_EQ(ledger()[lane], std::vector<std::string>{"100..500 discard 1: too far behind"});
  }
}

TEST_F(Discard, KilledBeforePreparedItIsDoneAgain) {
  lag(100, 400);
  ASSERT_TRUE(rig.start(2)) << rig.error;
  ASSERT_TRUE(rig.drained());
  discard("first");
  rig.kill();
  for (const LaneKey& lane : rig.lanes) rig.put(lane, "new", 1);
  ASSERT_TRUE(rig.start(2)) << rig.error;  // nothing was prepared: from the start of the lanes
  open_lanes();
  ASSERT_TRUE(rig.drained());
  rig.stop();
  for (const LaneKey& lane : rig.lanes) EXPECT_EQ(ledger()[lane], std::vector<std::string>{"0..500 discard 1: first"});
  ASSERT_TRUE(rig.start(2)) << rig.error;
  ASSERT_EQ(rig.pipeline->discards().size(), 1u);
  EXPECT_EQ(rig.pipeline->discards()[0].records, 4 * 500);
  EXPECT_EQ(rig.pipeline->discards()[0].pending_lanes, 0u);
  rig.stop();
  for (const LaneKey& lane : rig.lanes) EXPECT_EQ(rig.world.read(lane, 500), 1u);
}

TEST_F(Discard, DurableOnlyInTheEpochThatHoldsTheJump) {
  rig.every_ms = 20;
  rig.world.cork("out", true);
  lag(400, 400);
  ASSERT_TRUE(rig.start()) << rig.error;
  ASSERT_TRUE(rig.drained());
  ASSERT_TRUE(eventually([&] { return rig.world.waiting("out") > 0; }));
  // A barrier is under way and waits for the sink; the discard comes after it.
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(100);
  while (std::chrono::steady_clock::now() < until) std::this_thread::yield();
  const std::uint64_t before = rig.epoch();
  discard("late");
  rig.world.cork("out", false);
  ASSERT_TRUE(eventually([&] { return rig.pipeline->discards()[0].durable_in.has_value(); }));
  const std::uint64_t durable = *rig.pipeline->discards()[0].durable_in;
  ASSERT_TRUE(eventually([&] { return rig.lines("ledger.jsonl").size() == 4; }));
  EXPECT_EQ(rig.lines("ledger.jsonl")[0].at("epoch").to_number<std::uint64_t>(), durable)
      << "barrier before the discard: " << before + 1;
  rig.stop();
}

TEST_F(Discard, ClusterThatIsAwayTakesItsCutAtItsReturnAlsoAfterARestart) {
  for (const bool killed : {false, true}) {
    Counting own;
    std::swap(own.every_ms, rig.every_ms);
    const LaneKey west0{"west", "t", 0};
    Counting& r = own;
    for (const LaneKey& lane : r.lanes)
      for (int i = 0; i < 50; ++i) r.put(lane, "k", 1);
    ASSERT_TRUE(r.start(2)) << r.error;
    ASSERT_TRUE(r.drained());
    r.world.set_state("west", ClusterState::down);
    for (const LaneKey& lane : r.lanes)
      for (int i = 0; i < 20; ++i) r.put(lane, "unseen", 1);  // west: written by others while we cannot see it
    ASSERT_TRUE(r.drained());
    // 40 records that were seen before the loss, not read: as if the reader was behind.
    auto plan = r.pipeline->plan_discard(std::nullopt, {});
    ASSERT_TRUE(plan);
    EXPECT_EQ(plan.value().pending_lanes, 2u);
    auto done = r.pipeline->execute_discard(plan.value().id, "away");
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(done.value().pending_lanes, 2u);
    if (killed)
      r.kill();
    else
      r.stop();
    ASSERT_TRUE(r.start(2)) << r.error;
    EXPECT_EQ(r.pipeline->discards()[0].pending_lanes, 2u);
    r.world.set_state("west", ClusterState::up);
    ASSERT_TRUE(r.drained());
    r.stop();
    // Nothing produced after the last end that was seen is dropped.
    EXPECT_GT(r.world.read(west0, 69), 0u);
    std::swap(own.every_ms, rig.every_ms);
  }
}

TEST_F(Discard, CutsOfTheReturnBelongToTheirDiscards) {
  const LaneKey west0{"west", "t", 0}, west1{"west", "t", 1};
  lag(100, 400);
  ASSERT_TRUE(rig.start(2)) << rig.error;
  ASSERT_TRUE(rig.drained());
  rig.world.set_state("west", ClusterState::down);
  discard("one");
  rig.stop();
  ASSERT_TRUE(rig.start(1)) << rig.error;
  ASSERT_EQ(rig.pipeline->discards().size(), 1u);
  EXPECT_EQ(rig.pipeline->discards()[0].pending_lanes, 2u);
  // West was seen for a moment between the two, with more records, then lost again: the second cut is further on.
  open_lanes();
  rig.world.limit(west0, 100);
  rig.world.limit(west1, 100);
  discard("two");
  EXPECT_EQ(rig.pipeline->discards()[0].pending_lanes, 2u);
  rig.world.set_state("west", ClusterState::rejoining);
  ASSERT_TRUE(eventually([&] { return rig.world.position(west0) == 500 && rig.world.position(west1) == 500; }));
  rig.world.limit(west0, -1);
  rig.world.limit(west1, -1);
  rig.stop();
  EXPECT_EQ(ledger()[west0], std::vector<std::string>{"100..500 discard 1: one"});
  ASSERT_TRUE(rig.start(2)) << rig.error;
  ASSERT_EQ(rig.pipeline->discards().size(), 2u);  // newest first
  EXPECT_EQ(rig.pipeline->discards()[1].records, 4 * 400);
  EXPECT_EQ(rig.pipeline->discards()[1].pending_lanes, 0u);
  EXPECT_EQ(rig.pipeline->discards()[0].records, 0);
  EXPECT_EQ(rig.pipeline->discards()[0].pending_lanes, 0u);
  rig.stop();
  expect_each_read_or_skipped(west0, 100, 500);
}

TEST_F(Discard, PlansAreRefusedWithTheirReason) {
  lag(10, 10);
  ASSERT_TRUE(rig.start()) << rig.error;
  ASSERT_TRUE(rig.drained());
  const auto plan = rig.pipeline->plan_discard(std::string("ev"), {});
  ASSERT_TRUE(plan);
  const auto code = [&](const std::string& id, const std::string& reason) -> std::string {
    const auto r = rig.pipeline->execute_discard(id, reason);
    return r ? "done" : fmt::format("{}:{}", to_string(r.error().kind), r.error().code);
  };
  EXPECT_EQ(code(plan.value().id, ""), "conflict:reason_missing");
  EXPECT_EQ(code("nonsense", "why"), "conflict:plan_unknown");
  EXPECT_EQ(code(plan.value().id, "why"), "done");
  EXPECT_EQ(code(plan.value().id, "why"), "conflict:plan_executed");
  EXPECT_FALSE(rig.pipeline->plan_discard(std::string("nobody"), {}));
  rig.pipeline->stop(5000).value();
  EXPECT_FALSE(rig.pipeline->plan_discard(std::nullopt, {}));
  EXPECT_EQ(code(plan.value().id, "why").substr(0, 9), "conflict:");
}

TEST_F(Discard, TimestampTargetSkipsExactlyWhatIsOlder) {
  const std::int64_t now = rig.clock.wall_ms();
  for (const LaneKey& lane : rig.lanes) {
    for (int i = 0; i < 100; ++i)
      rig.world.push(lane, {now - 100'000 + i * 1000, "", Counting::text("k", 1, rig.base + i)});
    rig.world.limit(lane, 0);
  }
  ASSERT_TRUE(rig.start(2)) << rig.error;
  auto plan = rig.pipeline->plan_discard(std::nullopt, {admin::DiscardTarget::Kind::timestamp, now - 60'000});
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan.value().records, 4 * 40);
  auto done = rig.pipeline->execute_discard(plan.value().id, "old");
  ASSERT_TRUE(done);
  rig.kill();
  ASSERT_TRUE(rig.start(2)) << rig.error;
  open_lanes();
  ASSERT_TRUE(rig.drained());
  rig.stop();
  for (const LaneKey& lane : rig.lanes) expect_each_read_or_skipped(lane, 0, 40);
}

}  // namespace
}  // namespace twinspan::gateway
