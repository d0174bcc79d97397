// The state machine of a checkpoint, ticked by hand.
#include "gateway/checkpoint_cycle.h"

#include <gtest/gtest.h>

#include <atomic>
#include <semaphore>
#include <thread>

#include <boost/json.hpp>

#include "tests/support/engine/fault_file_system.h"

namespace twinspan::gateway {
namespace {

class Cycle : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(engine::make_durable_directories(disk, "/p"));
    ASSERT_TRUE(store.open());
    ASSERT_TRUE(ledger.open());
    cycle = std::make_unique<CheckpointCycle>(store, ledger, disk, "/p", 2, 1000, clock,
                                              CheckpointCycle::Hooks{[this](Epoch e) {
                                                                       begun.push_back(e.value);
                                                                       return std::string(R"({"pipeline":"p"})");
                                                                     },
                                                                     [this] { return std::exchange(ranges, {}); },
                                                                     [this](const auto&) { return acknowledged; },
                                                                     [this](Epoch e) { prepared.push_back(e.value); }});
  }
  void barrier(unsigned shard, std::uint64_t epoch, const std::string& key) {
    engine::ShardBarrier b;
    b.shard = shard;
    b.epoch = Epoch(epoch);
    engine::DeltaWriter delta;
    if (!key.empty()) delta.put(0, static_cast<std::uint16_t>(shard * 64), 1, key, "v");
    b.deltas.push_back({"w", shard, 2, delta.take()});
    b.feeds.push_back("feed" + std::to_string(shard));
    cycle->barrier_from(std::move(b));
  }
  void both(std::uint64_t epoch, const std::string& key = "") {
    barrier(1, epoch, key.empty() ? "" : key + "1");
    barrier(0, epoch, key.empty() ? "" : key + "0");
  }
  std::pair<boost::json::object, std::size_t> restored() {
    engine::CheckpointStore again(disk, "/p/copy");
    std::pair<boost::json::object, std::size_t> out;
    auto state = store.restore();
    EXPECT_TRUE(state) << state.error().message;
    if (!state || !state.value()) return out;
    out.first = boost::json::parse(state.value()->meta).as_object();
    out.second = state.value()->state.live_entries();
    return out;
  }

  testing::FaultFileSystem disk;
  ManualClock clock;
  engine::CheckpointStore store{disk, "/p/state"};
  Ledger ledger{disk, "/p/ledger.jsonl"};
  std::vector<SkippedRange> ranges;
  std::vector<std::uint64_t> begun, prepared;
  bool acknowledged = true;
  std::unique_ptr<CheckpointCycle> cycle;
};

TEST_F(Cycle, BeginsWhenDueWaitsForAllShardsThenForAcknowledgements) {
  cycle->tick();
  EXPECT_TRUE(begun.empty());
  clock.advance(999);
  cycle->tick();
  EXPECT_TRUE(begun.empty());
  clock.advance(1);
  cycle->tick();
  EXPECT_EQ(begun, std::vector<std::uint64_t>{1});
  barrier(1, 1, "a");
  clock.advance(5000);
  cycle->tick();
  EXPECT_TRUE(prepared.empty());
  EXPECT_EQ(begun.size(), 1u);  // the next barrier waits for this one
  acknowledged = false;
  barrier(0, 1, "b");
  cycle->tick();
  EXPECT_TRUE(prepared.empty());
  acknowledged = true;
  cycle->tick();
  EXPECT_EQ(prepared, std::vector<std::uint64_t>{1});
  EXPECT_EQ(cycle->last_prepared(), Epoch(1));
  EXPECT_EQ(cycle->figures().took_ms, 5000);
  const auto [meta, entries] = restored();
  EXPECT_EQ(entries, 2u);
  EXPECT_EQ(meta.at("feeds").as_array()[0].as_array()[0].as_string(), "feed0");  // by shard, not by arrival
  EXPECT_EQ(meta.at("pipeline").as_string(), "p");
}

TEST_F(Cycle, RequestIsServedByABarrierThatBeganAfterIt) {
  cycle->tick();
  clock.advance(1000);
  cycle->tick();
  ASSERT_EQ(begun.size(), 1u);
  const std::uint64_t request = cycle->request_now();
  both(1);
  cycle->tick();
  EXPECT_EQ(prepared.size(), 1u);
  EXPECT_FALSE(cycle->served(request));
  cycle->tick();  // at once, not a period later
  ASSERT_EQ(begun.size(), 2u);
  both(2);
  cycle->tick();
  EXPECT_TRUE(cycle->served(request));
  cycle->tick();
  EXPECT_EQ(begun.size(), 2u);
}

// A slow disk holds up neither the control thread nor anything it does; the next barrier still waits for PREPARED.
TEST_F(Cycle, TheWriterThreadWritesWhileTheControlThreadTicks) {
  std::atomic<bool> in_write{false};
  std::binary_semaphore go_on(0);
  cycle->start();
  const std::uint64_t request = cycle->request_now();
  cycle->tick();
  ASSERT_EQ(begun.size(), 1u);
  disk.reset_calls();
  disk.before_call(1, [&] {
    in_write = true;
    go_on.acquire();
  });
  both(1, "a");
  cycle->tick();
  while (!in_write) std::this_thread::yield();
  (void)cycle->request_now();
  for (int i = 0; i < 100; ++i) cycle->tick();
  EXPECT_EQ(begun.size(), 1u);
  EXPECT_TRUE(prepared.empty());
  EXPECT_FALSE(cycle->served(request));
  go_on.release();
  while (prepared.empty()) {
    cycle->tick();
    std::this_thread::yield();
  }
  EXPECT_TRUE(cycle->served(request));
  EXPECT_EQ(prepared, std::vector<std::uint64_t>{1});
  cycle->tick();
  EXPECT_EQ(begun.size(), 2u);
  cycle->stop();
  EXPECT_EQ(restored().second, 2u);
}

TEST_F(Cycle, ShowsTheStallOfEachShard) {
  for (std::uint64_t epoch = 1; epoch <= 300; ++epoch) {
    (void)cycle->request_now();
    cycle->tick();
    for (unsigned shard : {1u, 0u}) {
      engine::ShardBarrier b;
      b.shard = shard;
      b.epoch = Epoch(epoch);
      b.stall_us = shard == 0 ? 1500 : static_cast<std::int64_t>(epoch) * 1000;
      cycle->barrier_from(std::move(b));
    }
    cycle->tick();
  }
  const auto stalls = cycle->figures().stall_p99_ms;
  ASSERT_EQ(stalls.size(), 2u);
  EXPECT_DOUBLE_EQ(stalls[0], 1.5);
  EXPECT_DOUBLE_EQ(stalls[1], 298);  // of the last 256: 45 to 300
}

TEST_F(Cycle, FailedWriteIsNotServedAndIsTriedAgain) {
  const std::uint64_t request = cycle->request_now();
  cycle->tick();
  disk.set_capacity(disk.bytes());
  both(1, "a");
  cycle->tick();
  EXPECT_FALSE(cycle->served(request));
  EXPECT_EQ(cycle->figures().failures, 1u);
  EXPECT_FALSE(cycle->figures().last_error.empty());
  cycle->tick();
  EXPECT_EQ(begun.size(), 1u);  // not in a tight loop
  disk.clear_faults();
  clock.advance(1000);
  cycle->tick();
  ASSERT_EQ(begun, (std::vector<std::uint64_t>{1, 1}));
  both(1, "b");
  cycle->tick();
  EXPECT_TRUE(cycle->served(request));
  EXPECT_EQ(cycle->figures().last_error, "");
  EXPECT_EQ(restored().second, 4u);  // also what the failed one carried
}

TEST_F(Cycle, RangesOfAFailedEpochAreInTheLedgerOnce) {
  ranges = {{"ev", {"east", "t", 0}, 0, 10, "discard 1: why"}};
  (void)cycle->request_now();
  cycle->tick();
  disk.set_capacity(disk.bytes());
  both(1);
  cycle->tick();
  EXPECT_TRUE(ledger.entries().empty());
  disk.clear_faults();
  ranges = {{"ev", {"east", "t", 0}, 20, 30, "gap"}};
  clock.advance(1000);
  cycle->tick();
  both(1);
  cycle->tick();
  ASSERT_EQ(ledger.entries().size(), 2u);
  EXPECT_EQ(ledger.entries()[0].range.from, 0);
  EXPECT_EQ(ledger.entries()[1].range.from, 20);
  (void)cycle->request_now();
  cycle->tick();
  both(2);
  cycle->tick();
  EXPECT_EQ(ledger.entries().size(), 2u);
}

TEST_F(Cycle, LedgerThatCannotBeWrittenIsMadeUpForInTheNextEpoch) {
  for (std::uint64_t call = 1; call < 40; ++call) {
    ranges = {{"ev",
               {"east", "t", 0},
               static_cast<std::int64_t>(call) * 10,
               static_cast<std::int64_t>(call) * 10 + 5,
               "gap"}};
    (void)cycle->request_now();
    clock.advance(2000);
    cycle->tick();
    both(begun.back(), "k" + std::to_string(call));
    disk.reset_calls();
    disk.fail_call(call, 28);
    cycle->tick();
    disk.clear_faults();
  }
  clock.advance(2000);
  cycle->tick();
  both(begun.back());
  cycle->tick();
  EXPECT_GT(cycle->figures().failures, 4u);
  Ledger again(disk, "/p/ledger.jsonl");
  const Status opened = again.open();
  ASSERT_TRUE(opened) << opened.error().message;
  std::map<std::int64_t, int> seen;
  for (const auto& e : again.entries()) ++seen[e.range.from];
  EXPECT_EQ(seen.size(), 39u);
  for (const auto& [from, n] : seen) EXPECT_EQ(n, 1) << from;
  EXPECT_EQ(restored().second, 39u * 2);
}

// A step that seals one segment a barrier, drops the one of three barriers ago, and notes it in an entry.
class SealsOne final : public engine::SnapshotPart {
 public:
  explicit SealsOne(std::uint64_t number) : number_(number) {}
  Status write(engine::SegmentStore& files, engine::DeltaWriter& delta) override {
    if (!files.has(number_)) TS_TRYV(files.seal(number_, "segment " + std::to_string(number_)));
    if (number_ > 3) TS_TRYV(files.drop(number_ - 3));
    delta.put(0, 0, 0, std::to_string(number_), "sealed");
    return ok();
  }
  std::size_t bytes() const override { return 4096; }

 private:
  const std::uint64_t number_;
};

// Whatever call fails: an epoch that is prepared links all that its steps have sealed, and says so in its entries.
TEST_F(Cycle, PartsOfFailedEpochsAreWrittenInTheirOrder) {
  ASSERT_TRUE(cycle->open_segments({}));
  std::uint64_t number = 0;
  const auto restart = [&](std::uint64_t failing) {
    auto state = store.restore();
    ASSERT_TRUE(state) << state.error().message;
    ASSERT_TRUE(state.value().has_value());
    EXPECT_EQ(state.value()->state.live_entries(), number) << failing;
    ASSERT_EQ(state.value()->segments.size(), 1u);
    std::vector<std::string> found;
    for (const engine::SegmentFile& f : state.value()->segments[0].files) {
      auto bytes = engine::read_segment(disk, f);
      ASSERT_TRUE(bytes) << bytes.error().message;
      found.push_back(std::move(bytes).value());
    }
    std::vector<std::string> expected;
    for (std::uint64_t n = number > 3 ? number - 2 : 1; n <= number; ++n)
      expected.push_back("segment " + std::to_string(n));
    EXPECT_EQ(found, expected) << failing;
  };
  const auto barriers = [&] {
    for (unsigned shard : {1u, 0u}) {
      engine::ShardBarrier b;
      b.shard = shard;
      b.epoch = Epoch(begun.back());
      if (shard == 1) b.parts.push_back({"join", 1, 2, std::make_unique<SealsOne>(++number)});
      cycle->barrier_from(std::move(b));
    }
  };
  for (std::uint64_t failing = 1; failing < 45; ++failing) {
    for (const bool fails : {true, false}) {
      (void)cycle->request_now();
      clock.advance(2000);
      cycle->tick();
      barriers();
      disk.reset_calls();
      if (fails) disk.fail_call(failing, 28);
      cycle->tick();
      disk.clear_faults();
    }
    restart(failing);
  }
  EXPECT_GT(cycle->figures().failures, 10u);
  EXPECT_GT(cycle->figures().bytes_total, 90u * 4096);
}

// The same number of shards goes on with the files; another one reads them and writes its own.
TEST_F(Cycle, SegmentsAreTakenOverByTheSameNumberOfShards) {
  ASSERT_TRUE(cycle->open_segments({}));
  const auto round = [&](CheckpointCycle& c, std::uint64_t number) {
    (void)c.request_now();
    c.tick();
    for (unsigned shard : {1u, 0u}) {
      engine::ShardBarrier b;
      b.shard = shard;
      b.epoch = Epoch(begun.back());
      if (shard == 1 && number > 0) b.parts.push_back({"join", 1, 2, std::make_unique<SealsOne>(number)});
      c.barrier_from(std::move(b));
    }
    c.tick();
  };
  const auto next_cycle = [&](unsigned shards) {
    const auto state = store.restore();
    EXPECT_TRUE(state && state.value());
    auto next =
        std::make_unique<CheckpointCycle>(store, ledger, disk, "/p", shards, 1000, clock,
                                          CheckpointCycle::Hooks{[this](Epoch e) {
                                                                   begun.push_back(e.value);
                                                                   return std::string(R"({"pipeline":"p"})");
                                                                 },
                                                                 [] { return std::vector<SkippedRange>(); },
                                                                 [](const auto&) { return true; }, [](Epoch) {}});
    next->resume_after(store.last_epoch());
    EXPECT_TRUE(next->open_segments(state.value()->segments));
    return next;
  };
  const auto linked = [&] {
    const auto state = store.restore();
    return state.value()->segments.empty() ? 0 : state.value()->segments[0].files.size();
  };
  round(*cycle, 1);
  round(*cycle, 2);
  EXPECT_EQ(linked(), 2u);
  auto same = next_cycle(2);
  round(*same, 0);  // nothing new: all are linked again
  EXPECT_EQ(linked(), 2u);
  EXPECT_LT(same->figures().bytes, 4096u);
  round(*same, 3);
  EXPECT_EQ(linked(), 3u);
  auto more = next_cycle(3);
  (void)more->request_now();
  more->tick();
  for (unsigned shard = 0; shard < 3; ++shard) {
    engine::ShardBarrier b;
    b.shard = shard;
    b.epoch = Epoch(begun.back());
    more->barrier_from(std::move(b));
  }
  more->tick();
  EXPECT_EQ(linked(), 0u);
}

TEST_F(Cycle, EpochsGoOnAboveTheRestoredOne) {
  cycle->resume_after(Epoch(41));
  (void)cycle->request_now();
  cycle->tick();
  EXPECT_EQ(begun, std::vector<std::uint64_t>{42});
}

}  // namespace
}  // namespace twinspan::gateway
