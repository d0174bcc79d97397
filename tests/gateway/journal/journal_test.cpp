#include "gateway/journal.h"

#include <gtest/gtest.h>

#include "tests/support/engine/fault_file_system.h"

namespace twinspan::gateway {
namespace {

constexpr const char* kOperations = "/p/operations.jsonl";
constexpr const char* kLedger = "/p/ledger.jsonl";

class Journal : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(disk.make_directories("/p"));
    ASSERT_TRUE(disk.sync_directory("/"));
  }
  static DiscardOperation operation(std::uint64_t id) {
    DiscardOperation o;
    o.id = id;
    o.plan = "plan-" + std::to_string(id);
    o.reason = "line\nbreak \"quoted\" \xc3\xa4";
    o.target = {connectors::DiscardTarget::Kind::keep_last, 300'000};
    o.at_ms = 1'000 + static_cast<std::int64_t>(id);
    connectors::LaneCut cut;
    cut.lane = {"east", "t", 3};
    cut.reachable = id % 2 == 0;
    cut.from = 5;
    cut.to = 77;
    cut.cut_time_ms = 99;
    cut.cut_offset = 80;
    cut.by_time = true;
    o.cuts.emplace_back("ev", cut);
    return o;
  }
  static SkippedRange range(std::int64_t from) { return {"ev", {"west", "t", 1}, from, from + 10, "discard 1: why"}; }
  std::vector<std::uint64_t> ids() {
    OperationLog log(disk, kOperations);
    EXPECT_TRUE(log.open());
    std::vector<std::uint64_t> out;
    for (const auto& o : log.operations()) out.push_back(o.id);
    return out;
  }
  testing::FaultFileSystem disk;
};

TEST_F(Journal, OperationsComeBackAsTheyWereAfterACrash) {
  {
    OperationLog log(disk, kOperations);
    ASSERT_TRUE(log.open());
    EXPECT_EQ(log.next_id(), 1u);
    ASSERT_TRUE(log.append(operation(1)));
    ASSERT_TRUE(log.append(operation(2)));
    EXPECT_EQ(log.next_id(), 3u);
  }
  disk.crash(testing::FaultFileSystem::Unsynced::lost);
  OperationLog log(disk, kOperations);
  ASSERT_TRUE(log.open());
  ASSERT_EQ(log.operations().size(), 2u);
  const DiscardOperation want = operation(2), &got = log.operations()[1];
  EXPECT_EQ(got.plan, want.plan);
  EXPECT_EQ(got.reason, want.reason);
  EXPECT_EQ(got.target.kind, want.target.kind);
  EXPECT_EQ(got.target.ms, want.target.ms);
  ASSERT_EQ(got.cuts.size(), 1u);
  EXPECT_EQ(got.cuts[0].second.lane, want.cuts[0].second.lane);
  EXPECT_EQ(got.cuts[0].second.to, 77);
  EXPECT_EQ(got.cuts[0].second.cut_offset, 80);
  EXPECT_TRUE(got.cuts[0].second.by_time);
  EXPECT_TRUE(got.cuts[0].second.reachable);
  EXPECT_FALSE(log.operations()[0].cuts[0].second.reachable);
}

TEST_F(Journal, TornLastLineIsDroppedWhereverItIsTorn) {
  OperationLog log(disk, kOperations);
  ASSERT_TRUE(log.append(operation(1)));
  const std::size_t whole = disk.size(kOperations);
  ASSERT_TRUE(log.append(operation(2)));
  const std::string bytes = disk.read(kOperations).value();
  for (std::size_t size = whole; size < bytes.size(); ++size) {
    ASSERT_TRUE(disk.write_and_sync(kOperations, {std::string_view(bytes).substr(0, size)}));
    EXPECT_EQ(ids(), std::vector<std::uint64_t>{1});
  }
}

TEST_F(Journal, WhatFollowsATornLineIsReadable) {
  {
    OperationLog log(disk, kOperations);
    ASSERT_TRUE(log.append(operation(1)));
    ASSERT_TRUE(log.append(operation(2)));
  }
  disk.truncate(kOperations, disk.size(kOperations) - 5);
  {
    OperationLog log(disk, kOperations);
    ASSERT_TRUE(log.open());
    ASSERT_TRUE(log.append(operation(2)));
    ASSERT_TRUE(log.append(operation(3)));
  }
  EXPECT_EQ(ids(), (std::vector<std::uint64_t>{1, 2, 3}));
}

TEST_F(Journal, WhatFollowsAWriteThatAFullDiskCutOffIsReadable) {
  OperationLog log(disk, kOperations);
  ASSERT_TRUE(log.append(operation(1)));
  disk.reset_calls();
  disk.fail_call(1, 28);
  const Status full = log.append(operation(2));
  ASSERT_FALSE(full);
  EXPECT_NE(full.error().message.find(kOperations), std::string::npos) << full.error().message;
  EXPECT_EQ(log.next_id(), 2u);
  ASSERT_TRUE(log.append(operation(2)));
  ASSERT_TRUE(log.append(operation(3)));
  EXPECT_EQ(ids(), (std::vector<std::uint64_t>{1, 2, 3}));
}

TEST_F(Journal, DamagedMiddleLineIsRefusedWithItsPlace) {
  OperationLog log(disk, kOperations);
  for (std::uint64_t id = 1; id <= 3; ++id) ASSERT_TRUE(log.append(operation(id)));
  std::string bytes = disk.read(kOperations).value();
  bytes[bytes.find('\n') + 1] = '#';
  ASSERT_TRUE(disk.write_and_sync(kOperations, {bytes}));
  OperationLog again(disk, kOperations);
  const Status opened = again.open();
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().message.find("operations.jsonl' line 2"), std::string::npos) << opened.error().message;
}

TEST_F(Journal, LedgerTakesAnEpochOnce) {
  Ledger ledger(disk, kLedger);
  ASSERT_TRUE(ledger.open());
  ASSERT_TRUE(ledger.append(Epoch(4), {range(0), range(10)}, 1));
  ASSERT_TRUE(ledger.append(Epoch(4), {range(0), range(10)}, 2));
  ASSERT_TRUE(ledger.append(Epoch(3), {range(90)}, 3));
  ASSERT_TRUE(ledger.append(Epoch(5), {}, 3));
  ASSERT_TRUE(ledger.append(Epoch(6), {range(20)}, 4));
  Ledger again(disk, kLedger);
  ASSERT_TRUE(again.open());
  ASSERT_TRUE(again.append(Epoch(6), {range(20)}, 5));
  ASSERT_EQ(again.entries().size(), 3u);
  EXPECT_EQ(again.entries()[2].epoch, Epoch(6));
  EXPECT_EQ(again.entries()[2].range.from, 20);
  EXPECT_EQ(again.entries()[1].range.lane.cluster, "west");
}

// Two lines of one epoch are one write. Torn between them, the first alone must not pass for the whole epoch.
TEST_F(Journal, HalfAnEpochInTheLedgerIsCompleted) {
  const std::vector<SkippedRange> ranges{range(0), range(10), range(20)};
  {
    Ledger ledger(disk, kLedger);
    ASSERT_TRUE(ledger.append(Epoch(3), {range(90)}, 1));
    ASSERT_TRUE(ledger.append(Epoch(4), ranges, 1));
  }
  const std::string bytes = disk.read(kLedger).value();
  const std::size_t first = bytes.find('\n') + 1;
  for (std::size_t size = first; size <= bytes.size(); ++size) {
    ASSERT_TRUE(disk.write_and_sync(kLedger, {std::string_view(bytes).substr(0, size)}));
    {
      Ledger ledger(disk, kLedger);
      ASSERT_TRUE(ledger.open());
      ASSERT_TRUE(ledger.append(Epoch(4), ranges, 1));
    }
    Ledger again(disk, kLedger);
    ASSERT_TRUE(again.open());
    ASSERT_EQ(again.entries().size(), 4u) << "cut at " << size;
    for (std::size_t i = 0; i < 3; ++i)
      ASSERT_EQ(again.entries()[i + 1].range.from, static_cast<std::int64_t>(i) * 10) << "cut at " << size;
  }
}

}  // namespace
}  // namespace twinspan::gateway
