// Memory and cost stay bounded: hot keys, one timestamp, silent sides, bursts of expiry, rows far ahead.

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include <unistd.h>

#include "tests/engine/operators/join/join_fixture.h"

namespace twinspan::engine::join_testing {
namespace {

// Counts and checks order; keeps nothing.
class Counter : public Output {
 public:
  void emit(Batch&& b) override {
    EXPECT_LE(b.rows, 1024u);
    rows += b.rows;
    in_portion += b.rows;
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
  std::uint64_t in_portion = 0;  // rows since it was last set to 0
  EventTime last = kMinTime;
  std::int64_t last_right = 0;
};

void tell(IntervalJoin& join, unsigned input, Watermark watermark, Output& out) {
  join.watermark(input, watermark, out);
  drain(join, out);
}

// What one call of the operator did.
class Portions {
 public:
  Portions(IntervalJoin& join, Counter& out) : join_(join), out_(out) { next(); }
  void next() {
    most_rows = std::max(most_rows, out_.in_portion);
    most_visits = std::max(most_visits, join_.visited() - visited_);
    out_.in_portion = 0;
    visited_ = join_.visited();
  }
  void drain() {
    for (next(); join_.pending(); next(), ++count) join_.resume(out_);
  }
  std::uint64_t most_rows = 0, most_visits = 0, count = 0;

 private:
  IntervalJoin& join_;
  Counter& out_;
  std::uint64_t visited_ = 0;
};

// `n` rows of one input, as `row(i)` says, in batches of 1 024.
template <class F>
void feed_rows(IntervalJoin& join, unsigned input, std::int64_t n, Output& out, F&& row) {
  std::vector<Event> events(1024);
  for (std::int64_t i = 0; i < n;) {
    std::size_t k = 0;
    for (; k < events.size() && i < n; ++k, ++i) events[k].row = row(i);
    join.process(input, make_batch(events, 0, k, false, false), out);
    drain(join, out);
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
  const std::uint64_t visited = join.visited();
  feed_rows(join, 1, 200'000, out, [](std::int64_t i) { return JoinRowIn{1, i, i % 2 == 0 ? 999 : 1001}; });
  EXPECT_EQ(join.visited(), visited);  // of 2 * 10^11 pairs
  EXPECT_EQ(out.rows, 0u);
  feed_rows(join, 1, 1, out, [](std::int64_t) { return JoinRowIn{1, 7, 1000}; });
  EXPECT_EQ(out.rows, 1'000'000u);
  tell(join, 0, {5000, 5000}, out);
  tell(join, 1, {5000, 5000}, out);
  for (int i = 0; i < 300; ++i) tell(join, 1, {6000 + i, 6000 + i}, out);  // the tree goes in portions
  EXPECT_LT(join.stats().state_bytes, 12'000'000u);
}

TEST(JoinBounds, FirstOfAMillionRowsIsFoundWithoutLookingAtThem) {
  IntervalJoinSpec s = spec(-1'000'000, 1'000'000);
  s.matches = IntervalJoinSpec::Matches::first;
  IntervalJoin join(s);
  Counter out;
  feed_rows(join, 1, 1'000'000, out, [](std::int64_t i) { return JoinRowIn{1, i, 5'000'000 - i}; });
  const std::uint64_t visited = join.visited();
  feed_rows(join, 0, 100'000, out, [](std::int64_t i) { return JoinRowIn{1, i, 3'500'000}; });
  EXPECT_EQ(join.visited(), visited + 100'000);
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
    tell(join, 0, {now + 3'600'000, now + 3'600'000}, out);  // the right rows are not kept
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
      tell(join, input, {now - 1, now - 1}, out);
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
      tell(join, input, {now - 1, now - 1}, out);
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
  tell(join, 0, {9'000'000, 9'000'000}, out);
  tell(join, 1, {9'000'000, 9'000'000}, out);
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

// A portion: at most its fuel in looks at rows and in results, give or take one group of rows and one batch.
constexpr std::uint64_t kFuel = 8192;
constexpr std::uint64_t kMostRows = kFuel + 2048, kMostVisits = kFuel + 4096;

TEST(JoinBounds, OneRowWithAMillionMatchesComesInPortions) {
  for (const auto type : {IntervalJoinSpec::Type::left, IntervalJoinSpec::Type::full}) {
    IntervalJoin join(typed(spec(-10, 10), type));
    Counter out;
    feed_rows(join, 1, 1'000'000, out, [](std::int64_t i) { return JoinRowIn{1, i, 1000 + i % 3}; });
    const std::size_t before = join.stats().state_bytes;
    Portions portions(join, out);
    Event e;
    e.row = JoinRowIn{1, 7, 1001};
    join.process(0, make_batch({e}, 0, 1, false, false), out);
    EXPECT_TRUE(join.pending());
    portions.drain();
    EXPECT_EQ(out.rows, 1'000'000u);
    EXPECT_EQ(out.backwards, 0u);
    EXPECT_GT(portions.count, 100u);
    EXPECT_LE(portions.most_rows, kMostRows);
    EXPECT_LE(portions.most_visits, kMostVisits);
    EXPECT_LT(join.stats().state_bytes, before + (1u << 20));
  }
}

TEST(JoinBounds, AMillionLeftRowsOfOneKeyAreTakenInPortions) {
  for (const auto matches : {IntervalJoinSpec::Matches::first, IntervalJoinSpec::Matches::earliest}) {
    IntervalJoinSpec s = spec(-10, 10);
    s.matches = matches;
    IntervalJoin join(s);
    Counter out;
    feed_rows(join, 0, 1'000'000, out, [](std::int64_t i) { return JoinRowIn{1, i, 1000 + i % 3}; });
    Portions portions(join, out);
    Event e;
    e.row = JoinRowIn{1, 7, 1001};
    join.process(1, make_batch({e}, 0, 1, false, false), out);
    portions.drain();
    join.watermark(1, {1001, 1001}, out);  // closes it
    portions.drain();
    EXPECT_EQ(out.rows, 1'000'000u);
    EXPECT_LE(portions.most_rows, kMostRows);
    EXPECT_LE(portions.most_visits, kMostVisits);
    join.watermark(0, {9000, 9000}, out);
    portions.drain();
    join.watermark(1, {9000, 9000}, out);
    portions.drain();
    EXPECT_LT(join.stats().state_bytes, 24'000'000u);
  }
}

// The right side is silent for hours, then says how late it is: everything of the left side ends at once.
TEST(JoinBounds, AnExpiryBurstAfterALongStopComesInPortions) {
  for (const bool one_timestamp : {false, true}) {
    IntervalJoin join(typed(spec(-1000, 1000), IntervalJoinSpec::Type::left));
    Counter out;
    feed_rows(join, 0, 1'000'000, out, [&](std::int64_t i) {
      return JoinRowIn{i, i, one_timestamp ? 1'000'000 : 1'000'000 + i * 15 - i % 777};  // four hours
    });
    const double bytes_of_a_row =
        static_cast<double>(join.stats().state_bytes) / static_cast<double>(join.stats().state_rows);
    EXPECT_LT(bytes_of_a_row, 160);
    join.watermark(0, {99'000'000, 99'000'000}, out);
    drain(join, out);
    Portions portions(join, out);
    join.watermark(1, {99'000'000, 99'000'000}, out);
    EXPECT_TRUE(join.pending());
    portions.drain();
    EXPECT_EQ(out.rows, 1'000'000u);
    EXPECT_EQ(out.backwards, 0u);
    EXPECT_LE(portions.most_rows, kMostRows);
    EXPECT_LE(portions.most_visits, kMostVisits);
    EXPECT_EQ(join.stats().state_rows, 0u);
    EXPECT_LT(join.stats().state_bytes, 50'000'000u);  // the index, which shrinks with the next rows
  }
}

TEST(JoinBounds, AFullOutputStopsTheJoinWithinABatch) {
  struct Full final : Counter {
    bool has_room() const override { return false; }
  } out;
  IntervalJoin join(spec(-10, 10));
  feed_rows(join, 1, 10'000, out, [](std::int64_t i) { return JoinRowIn{1, i, 1000}; });
  Event e;
  e.row = JoinRowIn{1, 7, 1001};
  join.process(0, make_batch({e}, 0, 1, false, false), out);
  EXPECT_LE(out.rows, 2048u);
  EXPECT_TRUE(join.pending());
  drain(join, out);
  EXPECT_EQ(out.rows, 10'000u);
}

}  // namespace
}  // namespace twinspan::engine::join_testing
