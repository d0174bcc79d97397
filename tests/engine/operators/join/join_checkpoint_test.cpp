// Checkpoints of a join: what is written, what is only linked, and what a restore makes of bytes that cannot be right.

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/engine/operators/join/join_fixture.h"

namespace twinspan::engine::join_testing {
namespace {

IntervalJoinSpec left_join() { return typed(spec(0, 1'000'000), IntervalJoinSpec::Type::left); }

// Rows [from, to) of one side, one after the other in time.
void feed_rows(IntervalJoin& join, unsigned input, std::int64_t from, std::int64_t to, Output& out,
               std::int64_t key_offset = 0) {
  std::vector<Event> events;
  for (std::int64_t i = from; i < to; ++i) {
    Event e;
    e.input = input;
    e.row = JoinRowIn{i + key_offset, i, 1'000'000 + i};
    events.push_back(e);
  }
  feed(join, events, 0, events.size(), 256, out);
}

TEST(JoinCheckpoint, SealedSegmentsAreWrittenOnceAndDroppedWhenTheyExpire) {
  IntervalJoinSpec s = spec(-100'000, 100'000);
  s.segment_bytes = 64u << 10;
  IntervalJoin join(s);
  Collector out;
  Checkpoints checkpoints;
  feed_rows(join, 0, 0, 100'000, out);
  checkpoints.take(join);
  const std::uint64_t all = checkpoints.figures().disk_bytes;
  EXPECT_GT(all, 7'000'000u);
  for (int i = 1; i <= 10; ++i) {
    const std::uint64_t before = checkpoints.sealed_bytes;
    feed_rows(join, 0, 99'000 + 1000 * i, 100'000 + 1000 * i, out);  // 1 % more
    checkpoints.take(join);
    EXPECT_LT(checkpoints.sealed_bytes - before + checkpoints.entry_bytes, all / 20);
  }
  EXPECT_EQ(checkpoints.sealed_bytes, checkpoints.figures().disk_bytes);  // no segment twice
  join.watermark(1, {1'160'000, 1'160'000}, out);                         // left rows through 1 060 000 end
  drain(join, out);
  checkpoints.take(join);
  EXPECT_LT(checkpoints.figures().disk_bytes, all * 6 / 10);
  EXPECT_GT(checkpoints.figures().disk_bytes, all * 4 / 10);
}

TEST(JoinCheckpoint, AMatchOfASealedRowIsAFewBytesNotItsSegment) {
  IntervalJoinSpec s = left_join();
  s.segment_bytes = 64u << 10;
  IntervalJoin join(s);
  Collector out;
  Checkpoints checkpoints;
  feed_rows(join, 0, 0, 50'000, out);
  checkpoints.take(join);
  const std::uint64_t sealed = checkpoints.sealed_bytes;
  feed_rows(join, 1, 0, 50'000, out);  // every left row has its match
  checkpoints.take(join);
  const std::uint64_t right_rows = checkpoints.sealed_bytes - sealed;
  EXPECT_LT(checkpoints.entry_bytes, (64u << 10) + 50'000 * 3u);
  EXPECT_LT(right_rows, sealed * 11 / 10);
}

// A segment that cannot be written is written by the next try; what was sealed before stays as it is.
TEST(JoinCheckpoint, AFailedWriteIsTakenUpWhereItStopped) {
  IntervalJoinSpec s = spec(-100'000, 100'000);
  s.segment_bytes = 64u << 10;
  IntervalJoin join(s);
  Collector out;
  feed_rows(join, 0, 0, 5000, out);
  DeltaWriter writer;
  join.snapshot(writer);
  const auto part = writer.take_part();
  EXPECT_GT(part->bytes(), 200'000u);
  twinspan::testing::FaultFileSystem disk;
  SegmentFiles files(disk, "/segments");
  ASSERT_TRUE(files.open());
  int failures = 0;
  for (std::uint64_t call = 1;; ++call) {
    disk.reset_calls();
    disk.fail_call(call, 28);
    DeltaWriter delta;
    const std::size_t before = files.list().size();
    const Status written = part->write(files, delta);
    disk.clear_faults();
    if (written) {
      EXPECT_GT(delta.entries(), 0u);
      break;
    }
    EXPECT_GE(files.list().size(), before);
    ++failures;
    ASSERT_LT(failures, 1000);
  }
  EXPECT_GT(failures, 2);
  EXPECT_EQ(files.figures().segments, files.list().size());
  EXPECT_EQ(files.written_bytes(), files.figures().disk_bytes);
}

// One sealed left segment, rows of the open one, and flags.
void write(const IntervalJoinSpec& s, std::vector<StateEntry>& entries, std::string& bytes, std::string& segment,
           std::uint64_t& number) {
  twinspan::testing::FaultFileSystem disk;
  SegmentFiles files(disk, "/segments");
  ASSERT_TRUE(files.open());
  IntervalJoin join(s);
  Collector out;
  DeltaWriter delta;
  feed_rows(join, 0, 0, 70, out);
  join.snapshot(delta);
  ASSERT_TRUE(delta.take_part()->write(files, delta));
  feed_rows(join, 1, 0, 1, out);  // a match of a row in the sealed one
  join.snapshot(delta);
  ASSERT_TRUE(delta.take_part()->write(files, delta));
  ASSERT_FALSE(files.list().empty());
  number = number_of_segment(files.list()[0].name).value();
  ASSERT_TRUE(files.read_all(number, segment));
  bytes = delta.take();
  DeltaReader reader(bytes);
  StateEntry e;
  while (reader.next(e).value())
    if (e.kind == StateEntry::Kind::put) entries.push_back(e);
}

TEST(JoinCheckpoint, DamagedStateIsAnErrorNotACrash) {
  IntervalJoinSpec s = left_join();
  s.segment_bytes = 4096;
  std::vector<StateEntry> entries;
  std::string bytes, segment;
  std::uint64_t number = 0;
  write(s, entries, bytes, segment, number);
  bool kinds[5] = {};
  for (const StateEntry& whole : entries) {
    kinds[whole.space] = true;
    IntervalJoin fine(s);
    EXPECT_TRUE(fine.restore(whole));
    StateEntry e = whole;
    if (whole.space < 2) {
      for (std::size_t n = 1; n < whole.value.size(); n += 3) {
        IntervalJoin fresh(s);
        e.value = whole.value.substr(0, n);
        const bool a_row_ends_here = static_cast<bool>(fresh.restore(e));
        EXPECT_TRUE(!a_row_ends_here || n % 8 == 0) << n;
      }
      e.value = whole.value;
    }
    IntervalJoin fresh(s);
    e.key = whole.key.substr(1);
    EXPECT_FALSE(fresh.restore(e));
    e.key = whole.key;
    e.space = 5;
    EXPECT_FALSE(fresh.restore(e));
    e.space = whole.space;
    e.kind = StateEntry::Kind::erase;
    EXPECT_FALSE(fresh.restore(e));
  }
  EXPECT_TRUE(kinds[0] && kinds[1] && kinds[2]);

  const auto restore = [&](std::string contents) {
    IntervalJoin fresh(s);
    return static_cast<bool>(
        fresh.restore_segments({{0, 1, number, [contents] { return Result<std::string>(contents); }}}));
  };
  EXPECT_TRUE(restore(segment));
  EXPECT_FALSE(restore(""));
  EXPECT_FALSE(restore(segment.substr(0, segment.size() - 8)));
  for (const std::size_t at : {24u, 25u, 28u, 31u}) {  // size, key size and flags of the first row
    std::string damaged = segment;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
    EXPECT_FALSE(restore(damaged)) << at;
  }
  IntervalJoin fresh(s);
  EXPECT_FALSE(fresh.restore_segments({{0, 1, number, [] { return Result<std::string>(data_error("damaged")); }}}));
  // A gap between segments.
  IntervalJoin gap(s);
  const auto read = [&] { return Result<std::string>(segment); };
  EXPECT_FALSE(gap.restore_segments({{0, 1, number, read}, {0, 1, number + 4, read}}));
}

// Shards may differ in what has ended, and with another number of shards the smallest watermark is taken: a row that
// went out unmatched before must not do so again.
TEST(JoinCheckpoint, WhatHasEndedStaysEndedOnOtherShards) {
  const IntervalJoinSpec s = typed(spec(0, 10), IntervalJoinSpec::Type::left);
  Collector out;
  Checkpoints checkpoints;
  {
    IntervalJoin join(s, 0, 1);
    feed_rows(join, 0, 0, 100, out);
    join.watermark(1, {1'000'060, 1'000'060}, out);  // ends rows through 1 000 050
    drain(join, out);
    EXPECT_EQ(out.results.pairs.size(), 51u);
    checkpoints.take(join);
  }
  for (const unsigned shards : {2u, 3u, 1u}) {
    std::vector<std::unique_ptr<IntervalJoin>> joins;
    std::vector<IntervalJoin*> all;
    for (unsigned n = 0; n < shards; ++n)
      all.push_back(joins.emplace_back(std::make_unique<IntervalJoin>(s, n, shards)).get());
    ASSERT_TRUE(checkpoints.restore(all));
    for (IntervalJoin* join : all) join->restore_watermark(1, {1'000'020, 1'000'020});
    checkpoints.take(all);
  }
  IntervalJoin last(s, 0, 1);
  ASSERT_TRUE(checkpoints.restore(last));
  last.restore_watermark(1, {1'000'020, 1'000'020});
  last.watermark(1, {1'000'070, 1'000'070}, out);  // ten more
  drain(last, out);
  EXPECT_EQ(out.results.pairs.size(), 61u);
  last.finish(out);
  drain(last, out);
  EXPECT_EQ(out.results.pairs.size(), 100u);
}

}  // namespace
}  // namespace twinspan::engine::join_testing
