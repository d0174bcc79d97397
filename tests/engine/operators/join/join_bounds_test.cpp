// Memory and cost stay bounded: hot keys, one timestamp, silent sides, bursts of expiry, rows far ahead.

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>

#include <unistd.h>

#include "tests/engine/operators/join/join_fixture.h"

namespace twinspan::engine::join_testing {
namespace {

using Clock = std::chrono::steady_clock;

// Counts and checks order; keeps nothing.
class Counter : public Output {
 public:
  void emit(Batch&& b) override {
    EXPECT_LE(b.rows, 1024u);
    rows += b.rows;
    for (std::uint32_t i = 0; i < b.rows; ++i) {
      if (b.time[i] < last) ++backwards;
      last = b.time[i];
      last_right = b.columns[2].is_null(i) ? -1 : b.columns[2].as<std::int64_t>()[i];
    }
  }
  void watermark(Watermark) override {}
  void late(Batch&& b) override { late_rows += b.rows; }
  void failed(const Batch&, std::uint32_t, std::string_view) override {}
  std::uint64_t rows = 0, backwards = 0, late_rows = 0;
  EventTime last = kMinTime;
  std::int64_t last_right = 0;
};

// `n` rows of one input, as `row(i)` says, in batches of 1 024.
template <class F>
void feed_rows(IntervalJoin& join, unsigned input, std::int64_t n, Output& out, F&& row) {
  std::vector<Event> events(1024);
  for (std::int64_t i = 0; i < n;) {
    std::size_t k = 0;
    for (; k < events.size() && i < n; ++k, ++i) events[k].row = row(i);
    join.process(input, make_batch(events, 0, k, false, false), out);
  }
}

std::size_t resident() {
  std::ifstream statm("/proc/self/statm");
  std::size_t total = 0, pages = 0;
  statm >> total >> pages;
  return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

TEST(JoinBounds, AMillionRowsOfOneKeyOnOneTimestampCostNoProbeThatMissesThem) {
  IntervalJoin join(spec(0, 0));
  Counter out;
  feed_rows(join, 0, 1'000'000, out, [](std::int64_t i) { return JoinRowIn{1, i, 1000}; });
  EXPECT_EQ(join.stats().state_rows, 1'000'000u);
  EXPECT_LT(join.stats().state_bytes, 160'000'000u);
  const auto start = Clock::now();
  feed_rows(join, 1, 200'000, out, [](std::int64_t i) { return JoinRowIn{1, i, i % 2 == 0 ? 999 : 1001}; });
  // Looking at every row would be 2 * 10^11 steps.
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(10));
  EXPECT_EQ(out.rows, 0u);
  feed_rows(join, 1, 1, out, [](std::int64_t) { return JoinRowIn{1, 7, 1000}; });
  EXPECT_EQ(out.rows, 1'000'000u);
  join.watermark(0, {5000, 5000}, out);
  join.watermark(1, {5000, 5000}, out);
  for (int i = 0; i < 300; ++i) join.watermark(1, {6000 + i, 6000 + i}, out);  // the tree goes in portions
  EXPECT_LT(join.stats().state_bytes, 12'000'000u);
}

TEST(JoinBounds, FirstOfAMillionRowsIsFoundWithoutLookingAtThem) {
  IntervalJoinSpec s = spec(-1'000'000, 1'000'000);
  s.matches = IntervalJoinSpec::Matches::first;
  IntervalJoin join(s);
  Counter out;
  feed_rows(join, 1, 1'000'000, out, [](std::int64_t i) { return JoinRowIn{1, i, 5'000'000 - i}; });
  const auto start = Clock::now();
  feed_rows(join, 0, 100'000, out, [](std::int64_t i) { return JoinRowIn{1, i, 3'500'000}; });
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(10));
  EXPECT_EQ(out.rows, 100'000u);
  EXPECT_EQ(out.last_right, 500'000);  // the first to arrive of those within 4 500 000
}

TEST(JoinBounds, RowsTakenByTheirFirstMatchGiveTheirMemoryBack) {
  IntervalJoinSpec s = spec(-3'600'000, 3'600'000);
  s.matches = IntervalJoinSpec::Matches::first;
  IntervalJoin join(s);
  Counter out;
  for (std::int64_t round = 0; round < 200; ++round) {
    const EventTime now = 10'000'000 + round * 1000;
    feed_rows(join, 0, 2048, out, [&](std::int64_t i) { return JoinRowIn{round * 2048 + i, i, now}; });
    join.watermark(0, {now + 3'600'000, now + 3'600'000}, out);  // the right rows are not kept
    feed_rows(join, 1, 2048, out, [&](std::int64_t i) { return JoinRowIn{round * 2048 + i, i, now}; });
    ASSERT_LT(join.stats().state_bytes, 4'000'000u) << round;
  }
  EXPECT_EQ(out.rows, 200u * 2048u);
}

TEST(JoinBounds, ALongRunKeepsTheSizeOfItsWindow) {
  IntervalJoin join(spec(-1000, 1000));
  Counter out;
  std::size_t largest = 0;
  for (std::int64_t round = 0; round < 1000; ++round) {  // 2 million rows, 40 000 alive
    const EventTime now = 1'000'000 + round * 100;
    for (const unsigned input : {0u, 1u}) {
      join.watermark(input, {now - 1, now - 1}, out);
      feed_rows(join, input, 1000, out, [&](std::int64_t i) { return JoinRowIn{round * 1000 + i, i, now}; });
    }
    if (round > 50) largest = std::max(largest, join.stats().state_bytes);
  }
  EXPECT_LT(largest, 16'000'000u);
  EXPECT_LT(join.stats().state_rows, 100'000u);
}

TEST(JoinBounds, RowsFarAheadDoNotPinTheRest) {
  IntervalJoinSpec s = spec(-1000, 1000);
  IntervalJoin join(s);
  Counter out;
  std::size_t largest = 0;
  for (std::int64_t round = 0; round < 1000; ++round) {
    const EventTime now = 1'000'000 + round * 100;
    for (const unsigned input : {0u, 1u}) {
      join.watermark(input, {now - 1, now - 1}, out);
      feed_rows(join, input, 1000, out, [&](std::int64_t i) {
        return JoinRowIn{round * 1000 + i, i, i % 200 == 0 ? now + 3'600'000 : now};
      });
    }
    if (round > 50) largest = std::max(largest, join.stats().state_bytes);
  }
  EXPECT_LT(largest, 24'000'000u);  // pinned, it would be 200 MB
  // They are all still there.
  out.rows = 0;
  feed_rows(join, 1, 1000, out, [](std::int64_t i) { return JoinRowIn{i * 1000, i, 1'000'000 + i * 100 + 3'600'000}; });
  EXPECT_EQ(out.rows, 1000u);
}

TEST(JoinBounds, ABurstOfExpiryAfterASilenceComesInOrderAndFreesEverything) {
  IntervalJoinSpec s = spec(-1000, 1000);
  s.type = IntervalJoinSpec::Type::left;
  IntervalJoin join(s);
  Counter out;
  feed_rows(join, 0, 500'000, out, [](std::int64_t i) {
    return JoinRowIn{i % 300'000, i, 1'000'000 + i / 10 - i % 77};
  });
  EXPECT_EQ(out.rows, 0u);
  EXPECT_GT(join.stats().state_bytes, 40'000'000u);
  join.watermark(0, {9'000'000, 9'000'000}, out);
  join.watermark(1, {9'000'000, 9'000'000}, out);
  EXPECT_EQ(out.rows, 500'000u);
  EXPECT_EQ(out.backwards, 0u);
  EXPECT_EQ(join.stats().state_rows, 0u);
  EXPECT_LT(join.stats().state_bytes, 30'000'000u);  // the index, which shrinks with the next rows
  const EventTime now = 9'000'000;
  feed_rows(join, 0, 200'000, out, [&](std::int64_t i) { return JoinRowIn{i, i, now + i}; });
  EXPECT_EQ(out.late_rows, 0u);
}

TEST(JoinBounds, StateBytesAreWhatTheProcessHolds) {
  IntervalJoinSpec s = spec(-1000, 1000);
  s.type = IntervalJoinSpec::Type::left;
  IntervalJoin join(s);
  Counter out;
  feed_rows(join, 0, 5000, out, [](std::int64_t i) { return JoinRowIn{i, i, 1000}; });  // allocators are warm
  [[maybe_unused]] const std::size_t resident_before = resident();
  const std::size_t stated_before = join.stats().state_bytes;
  feed_rows(join, 0, 1'000'000, out, [](std::int64_t i) { return JoinRowIn{i % 400'000, i, 1'000'000 + i / 1000}; });
  const auto stated_more = static_cast<double>(join.stats().state_bytes - stated_before);
  EXPECT_GT(stated_more, 80e6);
#ifndef TWINSPAN_SANITIZED  // with their shadow and quarantine, residence says little
  EXPECT_NEAR(stated_more / static_cast<double>(resident() - resident_before), 1.0, 0.2);
#endif
}

}  // namespace
}  // namespace twinspan::engine::join_testing
