// Whole-window functions: random streams against lists that are never forgotten, batches of any size, restarts at
// random barriers, other numbers of shards.

#include "engine/native/native_window.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <set>

#include "tests/support/engine/portioned_snapshots.h"
#include "tests/support/engine/restore_deltas.h"

namespace twinspan::engine {
namespace {

// Pairs of rows that follow one another with a distance of x above 3: (from, to, "s of the first > s of the second").
// Fails on a window that holds 999.
void gaps(const ts_host* host, uint64_t rows, const ts_column* args, const int64_t* time, const ts_rows* out) {
  for (uint64_t i = 0; i < rows; ++i)
    if (!ts_is_null(&args[0], i) && ts_int64(&args[0], i) == 999) host->fail(host->self, i, "999 is in it");
  for (uint64_t i = 1; i < rows; ++i) {
    if (ts_is_null(&args[0], i - 1) || ts_is_null(&args[0], i)) continue;
    const int64_t a = ts_int64(&args[0], i - 1), b = ts_int64(&args[0], i);
    if (b - a <= 3) continue;
    const ts_text s = ts_string(&args[1], i - 1), t = ts_string(&args[1], i);
    char* text = static_cast<char*>(host->allocate(host->self, s.size + t.size + 1));
    std::copy_n(s.data, s.size, text);
    text[s.size] = '>';
    std::copy_n(t.data, t.size, text + s.size + 1);
    ts_value row[4] = {};
    row[0].as.int64 = a;
    row[1].as.int64 = b;
    row[2].null = ts_is_null(&args[1], i);
    row[2].as.text = {text, s.size + t.size + 1};
    row[3].as.int64 = time[i];
    out->add(out->self, row);
  }
}

const std::uint32_t kArgs[] = {TS_INT64, TS_STRING};
const ts_named_kind kColumns[] = {{"a", TS_INT64}, {"b", TS_INT64}, {"text", TS_STRING}, {"at", TS_TIMESTAMP}};
const ts_window_function kGaps = {
    sizeof(ts_window_function), TS_TAKES_NULLS, "gaps", "Gaps.", 2, 4, kArgs, kColumns, gaps};

NativeWindowSpec spec_of(std::int64_t size, std::int64_t allow) {
  NativeWindowSpec s;
  s.function = &kGaps;
  s.key_columns = {0};
  s.key_types = {types::string};
  s.argument_columns = {1, 0};
  s.argument_types = {types::int64, types::string};
  s.size = size;
  s.allow_lateness = allow;
  s.schema.fields = {{"key", types::string},
                     {"window_start", types::timestamp},
                     {"window_end", types::timestamp},
                     {"a", types::int64},
                     {"b", types::int64},
                     {"text", types::string},
                     {"at", types::timestamp}};
  return s;
}

struct Row {
  std::optional<std::string> key;
  std::optional<std::int64_t> x;
  EventTime time = 0;
  EventTime before = kMinTime;  // R
};

Batch batch_of(const std::vector<Row>& rows, std::size_t begin, std::size_t end) {
  static const Schema schema{{{"key", types::string}, {"x", types::int64}}};
  const std::size_t n = end - begin;
  Batch b;
  b.schema = &schema;
  b.rows = static_cast<std::uint32_t>(n);
  Arena& arena = b.add_arena();
  auto* key = arena.make<std::string_view>(n);
  auto* x = arena.make<std::int64_t>(n);
  auto* kv = arena.make<std::uint8_t>(n);
  auto* xv = arena.make<std::uint8_t>(n);
  auto* time = arena.make<EventTime>(n);
  auto* retention = arena.make<EventTime>(n);
  for (std::size_t i = 0; i < n; ++i) {
    const Row& r = rows[begin + i];
    key[i] = arena.copy(r.key.value_or(""));
    kv[i] = r.key.has_value();
    x[i] = r.x.value_or(0);
    xv[i] = r.x.has_value();
    time[i] = r.time;
    retention[i] = r.before;
  }
  b.columns = {{types::string, key, kv}, {types::int64, x, xv}};
  b.time = time;
  b.firing = b.retention = retention;
  return b;
}

std::string cell(const Column& c, std::uint32_t row) {
  if (c.is_null(row)) return "NULL";
  if (c.type.is_string_like()) return std::string(c.as<std::string_view>()[row]);
  return std::to_string(c.as<std::int64_t>()[row]);
}

struct Seen {
  std::vector<std::string> rows, failed;
  std::size_t late = 0;
  EventTime watermark = kMinTime;
  int wrong = 0;
};

class Collector final : public Output {
 public:
  // Full at every second question: a portion ends wherever it can.
  bool has_room() const override { return !narrow || (asked_++ % 2) == 0; }
  bool narrow = false;
  void emit(Batch&& b) override {
    if (b.rows == 0 || b.rows > 1024 || b.columns.size() != b.schema->fields.size()) ++seen.wrong;
    for (std::uint32_t i = 0; i < b.rows; ++i) {
      std::string text;
      for (const Column& c : b.columns) text += cell(c, i) + " ";
      seen.rows.push_back(text);
      if (b.time[i] != b.columns[2].as<std::int64_t>()[i] - 1 || b.time[i] <= b.retention[i]) ++seen.wrong;
      raise(b.retention[i]);
    }
  }
  void watermark(Watermark w) override { raise(w.retention); }
  void late(Batch&& b) override { seen.late += b.rows; }
  void failed(const Batch& b, std::uint32_t row, std::string_view reason) override {
    seen.failed.push_back(cell(b.columns[0], row) + " " + cell(b.columns[1], row) + " " + std::string(reason));
  }
  Seen seen;

 private:
  mutable unsigned asked_ = 0;
  void raise(EventTime w) {
    if (w < seen.watermark) ++seen.wrong;
    seen.watermark = std::max(seen.watermark, w);
  }
};

// Windows as plain lists, fired by a scan over all of them before every row.
class Oracle {
 public:
  Oracle(std::int64_t size, std::int64_t allow) : size_(size), allow_(allow) {}
  void row(const Row& r) {
    advance(r.before == kMinTime ? kMinTime : r.before - allow_);
    const EventTime end = (r.time >= 0 ? r.time / size_ : -((-r.time + size_ - 1) / size_)) * size_ + size_;
    if (end - 1 <= now_) {
      ++seen.late;
      return;
    }
    auto& keys = windows_[end];
    auto it = std::find_if(keys.begin(), keys.end(), [&](const auto& k) { return k.first == r.key; });
    if (it == keys.end()) it = keys.insert(keys.end(), {r.key, {}});
    it->second.push_back(r);
  }
  void finish() { advance(kMaxTime); }
  Seen seen;

 private:
  void advance(EventTime to) {
    now_ = std::max(now_, to);
    while (!windows_.empty() && windows_.begin()->first - 1 <= now_) {
      const EventTime end = windows_.begin()->first;
      for (auto& [key, rows] : windows_.begin()->second) {
        std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.time < b.time; });
        const std::string name = key.value_or("NULL"), start = std::to_string(end - size_);
        if (std::any_of(rows.begin(), rows.end(), [](const Row& r) { return r.x == 999; })) {
          seen.failed.push_back(name + " " + start + " 999 is in it");
          continue;
        }
        for (std::size_t i = 1; i < rows.size(); ++i)
          if (rows[i - 1].x && rows[i].x && *rows[i].x - *rows[i - 1].x > 3)
            seen.rows.push_back(name + " " + start + " " + std::to_string(end) + " " + std::to_string(*rows[i - 1].x) +
                                " " + std::to_string(*rows[i].x) + " " + (key ? *key + ">" + *key : "NULL") + " " +
                                std::to_string(rows[i].time) + " ");
      }
      windows_.erase(windows_.begin());
    }
  }
  std::int64_t size_, allow_;
  EventTime now_ = kMinTime;
  std::map<EventTime, std::vector<std::pair<std::optional<std::string>, std::vector<Row>>>> windows_;
};

struct Case {
  std::int64_t size = 0, allow = 0;
  std::vector<Row> rows;
};

Case random_case(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto pick = [&](std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random);
  };
  Case c;
  c.size = std::vector<std::int64_t>{10, 1000, 60'000}[static_cast<std::size_t>(pick(0, 2))];
  c.allow = pick(0, 2) == 0 ? pick(0, 2 * c.size) : 0;
  const std::int64_t keys = pick(0, 1) == 0 ? 2 : 30;
  const std::int64_t disorder = pick(0, 2) * c.size / 2;
  EventTime now = pick(0, 3) == 0 ? -5 * c.size : 1'700'000'000'000, largest = kMinTime, r = kMinTime;
  for (std::int64_t i = pick(30, 600); i > 0; --i) {
    now += pick(0, c.size / 8 + 1);
    if (pick(0, 60) == 0) now += pick(1, 8) * c.size;
    Row row;
    if (pick(0, 15) != 0)
      row.key = std::string(static_cast<std::size_t>(pick(0, 3)), 'k') + std::to_string(pick(0, keys));
    if (pick(0, 10) != 0) row.x = pick(0, 150) == 0 ? 999 : pick(0, 12);
    row.time = now - pick(0, disorder + 1);
    if (pick(0, 20) == 0) row.time -= pick(0, 4 * c.size);
    row.before = r;
    c.rows.push_back(row);
    largest = std::max(largest, row.time);
    r = std::max(r, largest - disorder);
  }
  return c;
}

void feed(NativeWindow& op, const Case& c, std::size_t begin, std::size_t end, std::size_t size, Output& out) {
  for (std::size_t i = begin; i < end; i += size) {
    op.process(0, batch_of(c.rows, i, std::min(end, i + size)), out);
    while (op.pending()) op.resume(out);
  }
}

void finish(NativeWindow& op, Output& out) {
  op.finish(out);
  while (op.pending()) op.resume(out);
}

constexpr std::uint64_t kSeeds = 300;

void expect_same(const Seen& want, const Seen& have, const std::string& what) {
  ASSERT_EQ(have.wrong, 0) << what;
  ASSERT_EQ(have.rows, want.rows) << what;
  ASSERT_EQ(have.failed, want.failed) << what;
  ASSERT_EQ(have.late, want.late) << what;
}

TEST(NativeWindow, SameRowsAtEveryBatchSize) {
  std::size_t rows = 0, failed = 0, late = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Case c = random_case(seed);
    Oracle oracle(c.size, c.allow);
    for (const Row& r : c.rows) oracle.row(r);
    oracle.finish();
    rows += oracle.seen.rows.size();
    failed += oracle.seen.failed.size();
    late += oracle.seen.late;
    for (const std::size_t size : {1u, 7u, 1024u}) {
      NativeWindow op(spec_of(c.size, c.allow));
      Collector out;
      out.narrow = seed % 2 == 0;
      feed(op, c, 0, c.rows.size(), size, out);
      finish(op, out);
      expect_same(oracle.seen, out.seen, "seed " + std::to_string(seed) + ", batch size " + std::to_string(size));
      if (HasFatalFailure()) return;
      ASSERT_EQ(op.stats().state_rows, 0u);
    }
  }
  EXPECT_GT(rows, 3'000u);
  EXPECT_GT(failed, 100u);
  EXPECT_GT(late, 500u);
}

std::string delta_of(NativeWindow& op) {
  DeltaWriter writer;
  op.snapshot(writer);
  return writer.take();
}

TEST(NativeWindow, SameRowsAfterRestartsAtRandomBarriers) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Case c = random_case(seed);
    Oracle oracle(c.size, c.allow);
    for (const Row& r : c.rows) oracle.row(r);
    oracle.finish();
    std::mt19937_64 random(seed * 13);
    const std::size_t size = std::vector<std::size_t>{1, 7, 1024}[random() % 3];
    auto op = std::make_unique<NativeWindow>(spec_of(c.size, c.allow));
    Collector out;
    std::vector<std::string> deltas;
    for (std::size_t at = 0; at < c.rows.size();) {
      const std::size_t next = std::min(c.rows.size(), at + 1 + random() % (c.rows.size() / 4));
      feed(*op, c, at, next, size, out);
      at = next;
      deltas.push_back(delta_of(*op));
      if (random() % 2 == 0) continue;
      op = std::make_unique<NativeWindow>(spec_of(c.size, c.allow));
      testing::restore_deltas(*op, deltas, 0, 1);
      op->restore_watermark(0, {c.rows[at - 1].before, c.rows[at - 1].before});
    }
    finish(*op, out);
    expect_same(oracle.seen, out.seen, "seed " + std::to_string(seed) + ", batch size " + std::to_string(size));
    if (HasFatalFailure()) return;
  }
}

// Snapshots in portions, rows in between: every epoch goes on from its barrier.
TEST(NativeWindow, SameRowsFromEveryBarrierWhateverCameUntilItsSnapshotWasDone) {
  std::size_t between = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    const Case c = random_case(seed + 5000);
    Oracle oracle(c.size, c.allow);
    for (const Row& r : c.rows) oracle.row(r);
    oracle.finish();
    std::mt19937_64 random(seed * 17);
    struct Mark {
      std::size_t at = 0;
      Seen seen;
    };
    NativeWindow op(spec_of(c.size, c.allow));
    Collector out;
    testing::PortionedSnapshots<Mark> snapshots(seed);
    for (std::size_t at = 0; at < c.rows.size();) {
      const std::size_t next = std::min(c.rows.size(), at + 1 + random() % (c.rows.size() / 8));
      feed(op, c, at, next, 7, out);
      at = next;
      snapshots.step(op, {at, out.seen});
    }
    finish(op, out);
    snapshots.finish(op);
    expect_same(oracle.seen, out.seen, "seed " + std::to_string(seed));
    if (HasFatalFailure()) return;
    between += snapshots.between;
    std::vector<std::string> deltas;
    for (const auto& [mark, delta] : snapshots.epochs) {
      deltas.push_back(delta);
      NativeWindow again(spec_of(c.size, c.allow));
      testing::restore_deltas(again, deltas, 0, 1);
      again.restore_watermark(0, {c.rows[mark.at - 1].before, c.rows[mark.at - 1].before});
      Collector rest;
      rest.seen = mark.seen;
      feed(again, c, mark.at, c.rows.size(), 7, rest);
      finish(again, rest);
      expect_same(oracle.seen, rest.seen, "seed " + std::to_string(seed) + " from row " + std::to_string(mark.at));
      if (HasFatalFailure()) return;
    }
  }
  EXPECT_GT(between, 100u);
}

TEST(NativeWindow, SameRowsWhenTheNumberOfShardsChanges) {
  const RowCodec codec({0}, {types::string});
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    const Case c = random_case(seed);
    Oracle oracle(c.size, c.allow);
    for (const Row& r : c.rows) oracle.row(r);
    oracle.finish();
    Seen all;
    std::vector<std::string> deltas;
    std::size_t at = 0;
    for (const unsigned shards : {1u, 4u, 2u}) {
      const bool last = shards == 2;
      const std::size_t next = last ? c.rows.size() : at + c.rows.size() / 3;
      std::vector<std::string> after = deltas;
      for (unsigned s = 0; s < shards; ++s) {
        NativeWindow op(spec_of(c.size, c.allow));
        testing::restore_deltas(op, deltas, s, shards);
        if (at > 0) op.restore_watermark(0, {c.rows[at - 1].before, c.rows[at - 1].before});
        Case mine = c;
        mine.rows.clear();
        for (std::size_t i = at; i < next; ++i) {
          const Batch one = batch_of(c.rows, i, i + 1);
          std::uint64_t hash = 0;
          codec.hash(one, &hash);
          if (shard_of_hash(hash, shards) == s) mine.rows.push_back(c.rows[i]);
        }
        Collector out;
        feed(op, mine, 0, mine.rows.size(), 7, out);
        if (last)
          finish(op, out);
        else if (next > 0)
          op.watermark(0, {c.rows[next - 1].before, c.rows[next - 1].before}, out);
        while (op.pending()) op.resume(out);
        ASSERT_EQ(out.seen.wrong, 0);
        all.rows.insert(all.rows.end(), out.seen.rows.begin(), out.seen.rows.end());
        all.failed.insert(all.failed.end(), out.seen.failed.begin(), out.seen.failed.end());
        all.late += out.seen.late;
        after.push_back(delta_of(op));
      }
      deltas = std::move(after);
      at = next;
    }
    for (auto* v : {&all.rows, &all.failed, &oracle.seen.rows, &oracle.seen.failed}) std::sort(v->begin(), v->end());
    expect_same(oracle.seen, all, "seed " + std::to_string(seed));
    if (HasFatalFailure()) return;
  }
}

TEST(NativeWindow, RefusesEntriesThatDoNotFit) {
  NativeWindow op(spec_of(1000, 0));
  EXPECT_FALSE(op.restore({StateEntry::Kind::put, 0, 0, 1000, "short", "short"}));
  EXPECT_FALSE(op.restore({StateEntry::Kind::put, 3, 0, 1000, "", ""}));
}

}  // namespace
}  // namespace twinspan::engine
