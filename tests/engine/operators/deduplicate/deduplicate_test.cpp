// Streams of (key, id) rows out of order and late, with NULL keys, in batches of any size, against a list that is
// searched from end to end; restarts at random barriers; other numbers of shards.

#include "engine/operators/deduplicate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <random>
#include <string>

#include "tests/support/engine/portioned_snapshots.h"
#include "tests/support/engine/restore_deltas.h"

namespace twinspan::engine {
namespace {

struct Row {
  std::optional<std::int64_t> key;
  std::int64_t id = 0;
  EventTime time = 0;
  Watermark before;
};

struct Seen {
  std::vector<std::int64_t> passed, late;
  Watermark watermark;
};

const Schema& row_schema() {
  static const Schema schema{{{"key", types::int64}, {"text", types::string}, {"id", types::int64}}};
  return schema;
}

DeduplicateSpec spec_of(std::int64_t within, std::int64_t allow, bool text_key) {
  DeduplicateSpec s;
  s.key_columns = text_key ? std::vector<int>{0, 1} : std::vector<int>{0};
  s.key_types = text_key ? std::vector<DataType>{types::int64, types::string} : std::vector<DataType>{types::int64};
  s.within = within;
  s.allow_lateness = allow;
  s.schema = row_schema();
  return s;
}

Batch batch_of(const std::vector<Row>& rows, std::size_t begin, std::size_t end, const RowCodec* hashed) {
  const std::size_t n = end - begin;
  Batch b;
  b.schema = &row_schema();
  b.rows = static_cast<std::uint32_t>(n);
  Arena& arena = b.add_arena();
  auto* key = arena.make<std::int64_t>(n);
  auto* valid = arena.make<std::uint8_t>(n);
  auto* text = arena.make<std::string_view>(n);
  auto* id = arena.make<std::int64_t>(n);
  auto* time = arena.make<EventTime>(n);
  auto* firing = arena.make<EventTime>(n);
  auto* retention = arena.make<EventTime>(n);
  for (std::size_t i = 0; i < n; ++i) {
    const Row& r = rows[begin + i];
    key[i] = r.key.value_or(-1);
    valid[i] = r.key.has_value();
    text[i] = arena.copy(std::string(static_cast<std::size_t>(key[i] + 1) % 40, 'k'));
    id[i] = r.id;
    time[i] = r.time;
    firing[i] = r.before.firing;
    retention[i] = r.before.retention;
  }
  b.columns = {{types::int64, key, valid}, {types::string, text, nullptr}, {types::int64, id, nullptr}};
  b.time = time;
  b.firing = firing;
  b.retention = retention;
  if (hashed != nullptr) {
    auto* hash = arena.make<std::uint64_t>(n);
    hashed->hash(b, hash);
    b.hash = hash;
  }
  return b;
}

class Collector final : public Output {
 public:
  void emit(Batch&& b) override {
    for (std::uint32_t i = 0; i < b.rows; ++i) {
      seen.passed.push_back(b.columns[2].as<std::int64_t>()[i]);
      raise({b.firing[i], b.retention[i]});
      if (b.time[i] <= b.retention[i]) ++wrong;  // what it emits must not be late downstream
    }
  }
  void watermark(Watermark w) override { raise(w); }
  void late(Batch&& b) override {
    for (std::uint32_t i = 0; i < b.rows; ++i) seen.late.push_back(b.columns[2].as<std::int64_t>()[i]);
  }
  void failed(const Batch&, std::uint32_t, std::string_view) override { ++failures; }

  Seen seen;
  int wrong = 0, failures = 0;

 private:
  void raise(Watermark w) {
    if (w.retention > w.firing || w.firing < seen.watermark.firing || w.retention < seen.watermark.retention) ++wrong;
    seen.watermark = w;
  }
};

// The definition: nothing is ever forgotten.
class Oracle {
 public:
  Oracle(std::int64_t within, std::int64_t allow) : within_(within), allow_(allow) {}
  void row(const Row& r) {
    if (r.time <= shift(r.before.retention, -allow_)) {
      seen.late.push_back(r.id);
      return;
    }
    for (const Row& p : passed_)
      if (p.key == r.key && std::abs(p.time - r.time) < within_) return;
    passed_.push_back(r);
    seen.passed.push_back(r.id);
  }
  Seen seen;

 private:
  std::int64_t within_, allow_;
  std::vector<Row> passed_;
};

struct Case {
  std::int64_t within = 0, allow = 0;
  bool text_key = false;
  std::vector<Row> rows;
};

Case random_case(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto pick = [&](std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random);
  };
  Case c;
  c.within = std::vector<std::int64_t>{1, 7, 300, 1000, 5000, 600'000}[static_cast<std::size_t>(pick(0, 5))];
  c.allow = pick(0, 2) == 0 ? pick(0, 2 * c.within) : 0;
  c.text_key = pick(0, 1) == 0;
  const std::int64_t keys = std::vector<std::int64_t>{1, 3, 40}[static_cast<std::size_t>(pick(0, 2))];
  const std::int64_t pace = std::max<std::int64_t>(1, c.within / (1 + pick(0, 20)));
  const std::int64_t disorder = pick(0, 3) * c.within / 2;
  EventTime now = pick(0, 3) == 0 ? -3 * c.within : 1'700'000'000'000;
  EventTime largest = kMinTime;
  Watermark w;
  bool outage = false;
  const std::int64_t count = pick(50, 700);
  for (std::int64_t id = 0; id < count; ++id) {
    if (pick(0, 40) == 0) outage = !outage;
    if (pick(0, 60) == 0) now += pick(1, 30) * c.within;  // a gap
    now += pick(0, pace);
    Row r;
    r.id = id;
    if (pick(0, 12) != 0) r.key = pick(0, keys - 1);
    r.time = now - pick(0, disorder + 1);
    if (pick(0, 20) == 0) r.time -= pick(0, 4 * c.within);  // perhaps late
    if (pick(0, 40) == 0) r.time += pick(0, 9 * c.within);  // far ahead
    r.before = w;
    c.rows.push_back(r);
    if (r.time <= now) largest = std::max(largest, r.time);
    if (largest == kMinTime) continue;
    w.firing = std::max(w.firing, largest - disorder);
    if (!outage)
      w.retention = w.firing;
    else if (w.retention != kMinTime && pick(0, 3) == 0)  // its budget is spent little by little
      w.retention = std::min(w.firing, w.retention + pick(0, c.within));
  }
  return c;
}

void feed(Deduplicate& op, const Case& c, std::size_t begin, std::size_t end, std::size_t size, Output& out) {
  const DeduplicateSpec spec = spec_of(c.within, c.allow, c.text_key);
  const RowCodec codec(spec.key_columns, spec.key_types);
  for (std::size_t i = begin; i < end; i += size) {
    const std::size_t j = std::min(end, i + size);
    op.process(0, batch_of(c.rows, i, j, (i + size) % 2 == 0 ? &codec : nullptr), out);
    if (i % 3 == 0) op.watermark(0, c.rows[j - 1].before, out);
  }
}

std::string what_of(std::uint64_t seed, std::size_t size) {
  return "seed " + std::to_string(seed) + ", batch size " + std::to_string(size);
}

constexpr std::uint64_t kSeeds = 500;

TEST(Deduplicate, SameRowsPassAtEveryBatchSize) {
  std::size_t passed = 0, repeats = 0, late = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Case c = random_case(seed);
    Oracle oracle(c.within, c.allow);
    for (const Row& r : c.rows) oracle.row(r);
    passed += oracle.seen.passed.size();
    late += oracle.seen.late.size();
    repeats += c.rows.size() - oracle.seen.passed.size() - oracle.seen.late.size();
    for (const std::size_t size : {1u, 7u, 1024u}) {
      Deduplicate op(spec_of(c.within, c.allow, c.text_key));
      Collector out;
      feed(op, c, 0, c.rows.size(), size, out);
      ASSERT_EQ(out.wrong + out.failures, 0) << what_of(seed, size);
      ASSERT_EQ(out.seen.passed, oracle.seen.passed) << what_of(seed, size);
      ASSERT_EQ(out.seen.late, oracle.seen.late) << what_of(seed, size);
      ASSERT_EQ(op.stats().rows_out, oracle.seen.passed.size());
      ASSERT_EQ(op.stats().rows_late, oracle.seen.late.size());
    }
  }
  EXPECT_GT(passed, 20'000u);  // the streams do exercise what they are for
  EXPECT_GT(repeats, 20'000u);
  EXPECT_GT(late, 2'000u);
}

std::vector<std::string> deltas_after(Deduplicate& op, std::vector<std::string> before) {
  DeltaWriter writer;
  op.snapshot(writer);
  before.push_back(writer.take());
  return before;
}

TEST(Deduplicate, SameRowsPassAfterRestartsAtRandomBarriers) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Case c = random_case(seed);
    Oracle oracle(c.within, c.allow);
    for (const Row& r : c.rows) oracle.row(r);
    std::mt19937_64 random(seed * 31);
    const std::size_t size = std::vector<std::size_t>{1, 7, 1024}[random() % 3];
    auto op = std::make_unique<Deduplicate>(spec_of(c.within, c.allow, c.text_key));
    Collector out;
    std::vector<std::string> deltas;
    for (std::size_t at = 0; at < c.rows.size();) {
      const std::size_t next = std::min(c.rows.size(), at + 1 + random() % (c.rows.size() / 4));
      feed(*op, c, at, next, size, out);
      at = next;
      deltas = deltas_after(*op, std::move(deltas));
      if (random() % 2 == 0) continue;
      op = std::make_unique<Deduplicate>(spec_of(c.within, c.allow, c.text_key));
      testing::restore_deltas(*op, deltas, 0, 1);
      op->restore_watermark(0, c.rows[at - 1].before);
    }
    ASSERT_EQ(out.wrong + out.failures, 0) << what_of(seed, size);
    ASSERT_EQ(out.seen.passed, oracle.seen.passed) << what_of(seed, size);
    ASSERT_EQ(out.seen.late, oracle.seen.late) << what_of(seed, size);
  }
}

// Snapshots in portions, rows in between: every epoch goes on from its barrier.
TEST(Deduplicate, SameRowsPassFromEveryBarrierWhateverCameUntilItsSnapshotWasDone) {
  std::size_t between = 0;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    const Case c = random_case(seed + 5000);
    Oracle oracle(c.within, c.allow);
    for (const Row& r : c.rows) oracle.row(r);
    std::mt19937_64 random(seed * 37);
    struct Mark {
      std::size_t at = 0;
      Seen seen;
    };
    Deduplicate op(spec_of(c.within, c.allow, c.text_key));
    Collector out;
    testing::PortionedSnapshots<Mark> snapshots(seed);
    for (std::size_t at = 0; at < c.rows.size();) {
      const std::size_t next = std::min(c.rows.size(), at + 1 + random() % (c.rows.size() / 8));
      feed(op, c, at, next, 7, out);
      at = next;
      snapshots.step(op, {at, out.seen});
    }
    snapshots.finish(op);
    between += snapshots.between;
    std::vector<std::string> deltas;
    for (const auto& [mark, delta] : snapshots.epochs) {
      deltas.push_back(delta);
      Deduplicate again(spec_of(c.within, c.allow, c.text_key));
      testing::restore_deltas(again, deltas, 0, 1);
      again.restore_watermark(0, c.rows[mark.at - 1].before);
      Collector rest;
      rest.seen = mark.seen;
      feed(again, c, mark.at, c.rows.size(), 7, rest);
      ASSERT_EQ(rest.wrong + rest.failures, 0) << what_of(seed, 7) << " from row " << mark.at;
      ASSERT_EQ(rest.seen.passed, oracle.seen.passed) << what_of(seed, 7) << " from row " << mark.at;
      ASSERT_EQ(rest.seen.late, oracle.seen.late) << what_of(seed, 7) << " from row " << mark.at;
    }
  }
  EXPECT_GT(between, 150u);
}

TEST(Deduplicate, SameRowsPassWhenTheNumberOfShardsChanges) {
  for (std::uint64_t seed = 1; seed <= 120; ++seed) {
    const Case c = random_case(seed);
    Oracle oracle(c.within, c.allow);
    for (const Row& r : c.rows) oracle.row(r);
    const DeduplicateSpec spec = spec_of(c.within, c.allow, c.text_key);
    const RowCodec codec(spec.key_columns, spec.key_types);
    Seen all;
    std::vector<std::string> deltas;
    std::size_t at = 0;
    for (const unsigned shards : {1u, 4u, 3u, 2u}) {
      const std::size_t next = shards == 2 ? c.rows.size() : at + c.rows.size() / 4;
      std::vector<std::string> after = deltas;
      for (unsigned s = 0; s < shards; ++s) {
        Deduplicate op(spec);
        testing::restore_deltas(op, deltas, s, shards);
        if (at > 0) op.restore_watermark(0, c.rows[at - 1].before);
        Case mine = c;
        mine.rows.clear();
        for (std::size_t i = at; i < next; ++i)
          if (shard_of_hash(batch_of(c.rows, i, i + 1, &codec).hash[0], shards) == s) mine.rows.push_back(c.rows[i]);
        Collector out;
        feed(op, mine, 0, mine.rows.size(), 7, out);
        if (next > 0) op.watermark(0, c.rows[next - 1].before, out);
        ASSERT_EQ(out.wrong, 0) << "seed " << seed;
        all.passed.insert(all.passed.end(), out.seen.passed.begin(), out.seen.passed.end());
        all.late.insert(all.late.end(), out.seen.late.begin(), out.seen.late.end());
        after = deltas_after(op, std::move(after));
      }
      deltas = std::move(after);
      at = next;
    }
    std::sort(all.passed.begin(), all.passed.end());
    std::sort(all.late.begin(), all.late.end());
    ASSERT_EQ(all.passed, oracle.seen.passed) << "seed " << seed;
    ASSERT_EQ(all.late, oracle.seen.late) << "seed " << seed;
  }
}

TEST(Deduplicate, StateEndsWithTheRetentionWatermark) {
  Deduplicate op(spec_of(10'000, 0, false));
  Collector out;
  std::uint64_t most = 0;
  for (std::int64_t second = 0; second < 3'000; ++second) {
    std::vector<Row> rows;
    for (std::int64_t k = 0; k < 100; ++k)
      rows.push_back({second * 100 + k, k, second * 1000, {second * 1000 - 1, second * 1000 - 1}});
    op.process(0, batch_of(rows, 0, rows.size(), nullptr), out);
    most = std::max(most, op.stats().state_rows);
  }
  EXPECT_LE(most, 3u * 10 * 100);  // what can still be met, and the rest of its panes
  op.watermark(0, {10'000'000, 10'000'000}, out);
  EXPECT_EQ(op.stats().state_rows, 0u);
  EXPECT_EQ(out.seen.passed.size(), 300'000u);
}

// While a cluster is away R stands still, and what it brings later is still compared.
TEST(Deduplicate, RowsOfAReturningClusterMeetWhatPassedDuringTheOutage) {
  Deduplicate op(spec_of(1'000, 0, false));
  Collector out;
  const auto row = [&](std::int64_t id, EventTime t, Watermark w) {
    op.process(0, batch_of({{7, id, t, w}}, 0, 1, nullptr), out);
  };
  row(1, 10'000, {9'000, 9'000});
  row(2, 500'000, {400'000, 9'000});
  row(3, 10'500, {499'000, 9'000});
  row(4, 12'000, {499'000, 9'000});
  row(5, 12'100, {499'000, 11'999});
  row(6, 11'000, {499'000, 11'999});
  EXPECT_EQ(out.seen.passed, (std::vector<std::int64_t>{1, 2, 4}));
  EXPECT_EQ(out.seen.late, (std::vector<std::int64_t>{6}));
}

TEST(Deduplicate, TheBoundIsExact) {
  Deduplicate op(spec_of(1'000, 0, false));
  Collector out;
  std::vector<Row> rows;
  const EventTime t[] = {5'000, 5'999, 6'000, 6'999, 4'001, 4'000, 7'000};
  for (std::int64_t i = 0; i < 7; ++i) rows.push_back({1, i, t[i], {}});
  op.process(0, batch_of(rows, 0, rows.size(), nullptr), out);
  EXPECT_EQ(out.seen.passed, (std::vector<std::int64_t>{0, 2, 5, 6}));
}

TEST(Deduplicate, RefusesWhatItCannotTake) {
  Deduplicate op(spec_of(1'000, 0, false));
  Collector out;
  Batch b = batch_of({{1, 1, 5'000, {}}, {1, 2, kMaxTime, {}}}, 0, 2, nullptr);
  auto* flags = b.add_arena().make<std::uint8_t>(2);
  flags[0] = static_cast<std::uint8_t>(RowOp::update_before);
  flags[1] = 0;
  b.flags = flags;
  op.process(0, std::move(b), out);
  EXPECT_EQ(out.failures, 2);
  EXPECT_TRUE(out.seen.passed.empty());
  EXPECT_FALSE(op.restore({StateEntry::Kind::put, 0, 0, 5, "short", ""}));
  EXPECT_FALSE(op.restore({StateEntry::Kind::put, 9, 0, 5, "", ""}));
}

}  // namespace
}  // namespace twinspan::engine
