// Native aggregates: beside a built-in one that computes the same, in every kind of window, on seeded random streams,
// with restarts half way and other numbers of shards; and what goes wrong in one.

#include "engine/native/native_aggregate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "engine/aggregates/accumulators.h"
#include "tests/engine/operators/window/random_window.h"

namespace twinspan::testing {
namespace {

// ---- the functions -------------------------------------------------------------------------------------------------

// sum(int64), and NULL without rows. 13 is refused; 14 has no value.
struct Total {
  std::int64_t rows, sum;
};
template <int kSign>
void total(const ts_host* host, uint64_t rows, const ts_column* args, const int64_t*, ts_state* const* states) {
  for (uint64_t i = 0; i < rows; ++i) {
    auto* t = static_cast<Total*>(states[i]->data);
    const int64_t x = ts_int64(&args[0], i);
    if (x == 1'000'013) {
      host->fail(host->self, i, "thirteen is not counted");
      continue;
    }
    t->rows += kSign;
    t->sum += kSign * x;
  }
}
void total_merge(const ts_host*, const ts_state* from, ts_state* into) {
  static_cast<Total*>(into->data)->rows += static_cast<const Total*>(from->data)->rows;
  static_cast<Total*>(into->data)->sum += static_cast<const Total*>(from->data)->sum;
}
void total_value(const ts_host* host, const ts_state* state, ts_value* out) {
  const auto* t = static_cast<const Total*>(state->data);
  out->null = t->rows == 0;
  out->as.int64 = t->sum;
  if (t->sum == 1'000'014) host->fail(host->self, 0, "fourteen is no result");
}

// A list of entries: how often, a time, a size and that many bytes (rounded up to 8). state: u64 bytes used, entries.
struct Entry {
  std::int64_t count, time;
  std::uint64_t size;
  char* text() { return reinterpret_cast<char*>(this + 1); }
  std::string_view view() { return {text(), size}; }
  std::uint64_t bytes() const { return sizeof(Entry) + (size + 7) / 8 * 8; }
};
std::uint64_t& used(const ts_state* s) { return *static_cast<std::uint64_t*>(s->data); }
Entry* first(const ts_state* s) { return reinterpret_cast<Entry*>(static_cast<char*>(s->data) + 8); }
Entry* end(const ts_state* s) { return reinterpret_cast<Entry*>(static_cast<char*>(s->data) + 8 + used(s)); }
Entry* next(Entry* e) { return reinterpret_cast<Entry*>(reinterpret_cast<char*>(e) + e->bytes()); }

// Before `at` (an offset, for the state may move).
bool insert(const ts_host* host, ts_state* s, std::uint64_t at, std::int64_t count, std::int64_t time,
            std::string_view text) {
  Entry e{count, time, text.size()};
  if (host->resize(host->self, s, 8 + used(s) + e.bytes()) == 0) return false;
  char* to = static_cast<char*>(s->data) + 8 + at;
  std::memmove(to + e.bytes(), to, used(s) - at);
  std::memset(to, 0, e.bytes());
  std::memcpy(to, &e, sizeof e);
  std::memcpy(to + sizeof e, text.data(), text.size());
  used(s) += e.bytes();
  return true;
}
std::uint64_t offset_of(const ts_state* s, Entry* e) {
  return static_cast<std::uint64_t>(reinterpret_cast<char*>(e) - reinterpret_cast<char*>(first(s)));
}

// count(DISTINCT x)
bool tally(const ts_host* host, ts_state* s, std::string_view text, std::int64_t by) {
  for (Entry* e = first(s); e != end(s); e = next(e))
    if (e->view() == text) return e->count += by, true;
  return insert(host, s, used(s), by, 0, text);
}
template <int kSign>
void distinct(const ts_host* host, uint64_t rows, const ts_column* args, const int64_t*, ts_state* const* states) {
  for (uint64_t i = 0; i < rows; ++i) {
    const ts_text x = ts_string(&args[0], i);
    if (!tally(host, states[i], {x.data, x.size}, kSign)) host->fail(host->self, i, "too many values");
  }
}
void distinct_merge(const ts_host* host, const ts_state* from, ts_state* into) {
  for (Entry* e = first(from); e != end(from); e = next(e))
    if (!tally(host, into, e->view(), e->count)) return host->fail(host->self, 0, "too many values");
}
void distinct_value(const ts_host*, const ts_state* s, ts_value* out) {
  for (Entry* e = first(s); e != end(s); e = next(e)) out->as.int64 += e->count > 0;
}

// string_agg(x, ';'): by event time, then arrival.
bool append(const ts_host* host, ts_state* s, std::int64_t time, std::string_view text) {
  Entry* e = first(s);
  while (e != end(s) && e->time <= time) e = next(e);
  return insert(host, s, offset_of(s, e), 1, time, text);
}
void joined(const ts_host* host, uint64_t rows, const ts_column* args, const int64_t* time, ts_state* const* states) {
  for (uint64_t i = 0; i < rows; ++i) {
    const ts_text x = ts_string(&args[0], i);
    if (!append(host, states[i], time[i], {x.data, x.size})) host->fail(host->self, i, "too long");
  }
}
void joined_merge(const ts_host* host, const ts_state* from, ts_state* into) {
  for (Entry* e = first(from); e != end(from); e = next(e))
    if (!append(host, into, e->time, e->view())) return host->fail(host->self, 0, "too long");
}
void joined_value(const ts_host* host, const ts_state* s, ts_value* out) {
  if (used(s) == 0) {
    out->null = 1;
    return;
  }
  auto* text = static_cast<char*>(host->allocate(host->self, used(s)));
  std::uint64_t n = 0;
  for (Entry* e = first(s); e != end(s); e = next(e)) {
    if (n != 0) text[n++] = ';';
    std::memcpy(text + n, e->text(), e->size);
    n += e->size;
  }
  out->as.text = {text, n};
}

// count(*), of two arguments that may be NULL
template <int kSign>
void rows_of_any(const ts_host* host, uint64_t rows, const ts_column* args, const int64_t*, ts_state* const* states) {
  for (uint64_t i = 0; i < rows; ++i) {
    if (!ts_is_null(&args[1], i) && ts_string(&args[1], i).size > 1000) host->fail(host->self, i, "never");
    *static_cast<std::int64_t*>(states[i]->data) += kSign;
  }
}
void add_up(const ts_host*, const ts_state* from, ts_state* into) {
  *static_cast<std::int64_t*>(into->data) += *static_cast<const std::int64_t*>(from->data);
}
void as_it_is(const ts_host*, const ts_state* s, ts_value* out) {
  out->as.int64 = *static_cast<const std::int64_t*>(s->data);
}

const std::uint32_t kInt[] = {TS_INT64};
const std::uint32_t kText[] = {TS_STRING};
const std::uint32_t kIntAndText[] = {TS_INT64, TS_STRING};
constexpr std::uint32_t kSize = sizeof(ts_aggregate);
const ts_aggregate kTotal = {
    kSize,         0,        "total",   "",      1,           TS_INT64,   kInt, 1, sizeof(Total),
    sizeof(Total), total<1>, total<-1>, nullptr, total_merge, total_value};
const ts_aggregate kDistinct = {kSize, 0,    "distinct",  "",           1,       TS_INT64,       kText,         1,
                                8,     4096, distinct<1>, distinct<-1>, nullptr, distinct_merge, distinct_value};
const ts_aggregate kJoined = {kSize, 0,       "joined", "",      1,       TS_STRING,    kText,       1,
                              8,     1 << 20, joined,   nullptr, "order", joined_merge, joined_value};
const ts_aggregate kRowsOfAny = {kSize, TS_TAKES_NULLS, "rows",          "",      2,      TS_INT64, kIntAndText, 1, 8,
                                 8,     rows_of_any<1>, rows_of_any<-1>, nullptr, add_up, as_it_is};

const AggregateInfo& info(const ts_aggregate& f) {
  static std::deque<std::pair<AggregateInfo, NativeAggregateTexts>> known;
  for (const auto& [i, texts] : known)
    if (i.native_state == &f) return i;
  auto& [i, texts] = known.emplace_back();
  i = native_aggregate(f, f.name, texts);
  return i;
}

AggregateSpec native(const ts_aggregate& f, int argument, int filter = -1, std::vector<int> more = {}) {
  AggregateSpec a = aggregate(AggregateFunction::native, argument, false, filter);
  a.native = &info(f);
  a.more_arguments = std::move(more);
  for (const int c : a.more_arguments) a.more_types.push_back(input_schema().fields[static_cast<std::size_t>(c)].type);
  return a;
}

// ---- beside the built-in ones --------------------------------------------------------------------------------------

// Each built-in function is followed by the native one.
WindowSpec twins(Dice& dice, WindowKind kind) {
  WindowSpec s = random_spec(dice, kind);
  s.aggregates.clear();
  const auto both = [&](AggregateSpec built_in, AggregateSpec other) {
    if (s.updating && !info_of(other).retractable()) return;
    s.aggregates.push_back(std::move(built_in));
    s.aggregates.push_back(std::move(other));
  };
  both(aggregate(AggregateFunction::sum, kV), native(kTotal, kV));
  if (dice.one_in(2)) both(aggregate(AggregateFunction::sum, kV, false, kOk), native(kTotal, kV, kOk));
  if (dice.one_in(2)) both(aggregate(AggregateFunction::count), native(kRowsOfAny, kV, -1, {kDevice}));
  // What is told of a DISTINCT count when discarding is the change of the window's, not the count of the rows.
  if (s.mode != EmitMode::discarding)
    both(aggregate(AggregateFunction::count, kDevice, true), native(kDistinct, kDevice));
  if (dice.one_in(2))
    both(aggregate(AggregateFunction::string_agg, kDevice, {.number = 10'000, .text = ";"}), native(kJoined, kDevice));
  return s;
}

// Counts rows, and keeps those where a native result is not its neighbour's.
class Compare : public Recorder {
 public:
  explicit Compare(const WindowSpec& spec) : first_(spec.key_columns.size() + 2) {}
  void emit(Batch&& b) override {
    for (std::size_t r = 0; r < b.rows; ++r) {
      for (std::size_t c = first_; c < b.columns.size(); c += 2) {
        const std::string want = text_of(b.columns[c], r), got = text_of(b.columns[c + 1], r);
        if (want != got) different.push_back(fmt::format("column {}: {}, and not {}", c, got, want));
      }
    }
    Recorder::emit(std::move(b));
  }
  std::vector<std::string> different;

 private:
  const std::size_t first_;
};

class NativeAggregateOracle : public ::testing::TestWithParam<WindowKind> {};

TEST_P(NativeAggregateOracle, EqualsTheBuiltInOneWhateverTheBatches) {
  std::size_t rows = 0, retractions = 0;
  for (unsigned seed = 1; seed <= seeds(40); ++seed) {
    Dice dice(seed);
    const WindowSpec spec = twins(dice, GetParam());
    ASSERT_TRUE(validate(spec).has_value()) << validate(spec).error().message;
    const std::vector<Event> events = random_stream(dice, 400, spec.updating);
    const Schema schema = schema_of(spec);
    std::vector<std::string> first;
    for (const std::size_t batch : {1, 7, 1024}) {
      const auto op = make_window(spec, schema);
      Compare out(spec);
      feed(*op, events, 0, events.size(), batch, out);
      op->finish(out);
      ASSERT_EQ(out.different, std::vector<std::string>{}) << "seed " << seed << ", batches of " << batch;
      ASSERT_EQ(out.failures, std::vector<std::string>{}) << "seed " << seed;
      if (batch == 1) first = out.rows;
      ASSERT_EQ(out.rows, first) << "seed " << seed << ", batches of " << batch;
      rows += out.rows.size();
    }
    for (const Event& e : events) retractions += e.is_row && e.row.op != RowOp::insert;
  }
  EXPECT_GT(rows, 2'000u);
  EXPECT_TRUE(retractions > 500 || GetParam() == WindowKind::session) << retractions;
}

// 1 -> 2 -> 1 -> 3 shards, each phase stopped several times.
TEST_P(NativeAggregateOracle, IsSavedAndRestored) {
  for (unsigned seed = 1; seed <= seeds(40); ++seed) {
    Dice dice(seed + 10'000);
    const WindowSpec spec = twins(dice, GetParam());
    const std::vector<Event> events = random_stream(dice, 400, spec.updating);
    const Schema schema = schema_of(spec);
    const RowCodec codec(spec.key_columns, spec.key_types);
    Compare out(spec), whole(spec);
    const auto one = make_window(spec, schema);
    feed(*one, events, 0, events.size(), 1024, whole);
    one->finish(whole);
    StateImage image;
    const unsigned counts[] = {1, 2, 1, 3, 1, 1};
    std::vector<std::unique_ptr<Operator>> ops;
    for (unsigned phase = 0; phase < 6; ++phase) {
      const unsigned shards = counts[phase];
      const std::size_t from = events.size() * phase / 6, to = events.size() * (phase + 1) / 6;
      ops.clear();
      for (unsigned s = 0; s < shards; ++s) {
        ops.push_back(make_window(spec, schema, s, shards));
        image.restore(*ops[s], s, shards);
        if (from > 0) ops[s]->restore_watermark(0, events[from - 1].at);
      }
      for (std::size_t i = from; i < to; ++i) {
        for (auto& op : ops) op->watermark(0, events[i].at, out);
        if (!events[i].is_row) continue;
        Batch b = batch_of(&events[i], 1);
        std::uint64_t hash = 0;
        codec.hash(b, &hash);
        b.hash = &hash;
        ops[shard_of_hash(hash, shards)]->process(0, std::move(b), out);
      }
      for (unsigned s = 0; s < shards; ++s) {
        DeltaWriter delta;
        ops[s]->snapshot(delta);
        image.apply(delta.take(), s, shards);
      }
    }
    for (auto& op : ops) op->finish(out);
    ASSERT_EQ(out.different, std::vector<std::string>{}) << "seed " << seed;
    std::sort(out.rows.begin(), out.rows.end());
    std::sort(whole.rows.begin(), whole.rows.end());
    ASSERT_EQ(out.rows, whole.rows) << "seed " << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, NativeAggregateOracle,
                         ::testing::Values(WindowKind::tumbling, WindowKind::cumulate, WindowKind::sliding,
                                           WindowKind::session, WindowKind::global));

// ---- what goes wrong -----------------------------------------------------------------------------------------------

// One group.
class Group {
 public:
  explicit Group(const AggregateSpec& spec) : accumulators_({spec}), words_(accumulators_.bytes() / 8) {}
  char* data() { return reinterpret_cast<char*>(words_.data()); }
  Group& take(const std::vector<std::int64_t>& values, bool back = false) {
    std::vector<Event> events(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      events[i].row.v = values[i];
      events[i].row.device = "d" + std::to_string(values[i]);
    }
    const Batch b = batch_of(events.data(), events.size());
    for (std::uint32_t i = 0; i < b.rows; ++i) {
      char* block = data();
      if (back)
        accumulators_.retract(b, &i, &block, 1, memory_);
      else
        accumulators_.update(b, &i, &block, 1, memory_);
    }
    return *this;
  }
  Group& back(const std::vector<std::int64_t>& values) { return take(values, true); }
  Group& merge(Group& from) {
    accumulators_.merge(from.data(), data(), memory_);
    return *this;
  }
  Group& restart() {
    std::string bytes;
    accumulators_.save(data(), bytes);
    std::string_view from = bytes;
    EXPECT_TRUE(accumulators_.load(from, data(), memory_) && from.empty());
    return *this;
  }
  bool load(std::string_view bytes) { return accumulators_.load(bytes, data(), memory_) && bytes.empty(); }
  std::string saved() {
    std::string bytes;
    accumulators_.save(data(), bytes);
    return bytes;
  }
  void reset() { accumulators_.reset(data(), memory_); }
  std::string result() {
    Arena arena;
    std::int64_t value = 0;
    std::uint8_t valid = 0;
    std::string_view why;
    if (!accumulators_.finish(0, data(), reinterpret_cast<char*>(&value), &valid, 0, arena, &why))
      return "error: " + std::string(why);
    return valid != 0 ? std::to_string(value) : "NULL";
  }
  std::size_t bytes() const { return memory_.bytes(); }

 private:
  Accumulators accumulators_;
  BlockMemory memory_;
  std::vector<std::uint64_t> words_;
};

TEST(NativeAggregate, AGroupWithARowThatFailsHasNoValue) {
  const AggregateSpec spec = native(kTotal, kV);
  EXPECT_EQ(Group(spec).result(), "NULL");
  EXPECT_EQ(Group(spec).take({1, 2}).result(), "3");
  EXPECT_EQ(Group(spec).take({1, 1'000'013, 2}).result(), "error: thirteen is not counted");
  EXPECT_EQ(Group(spec).take({1, 1'000'013, 2}).restart().take({5}).result(), "error: thirteen is not counted");
  EXPECT_EQ(Group(spec).take({1'000'014}).result(), "error: fourteen is no result");
  EXPECT_EQ(Group(spec).take({1'000'014, 1}).result(), "1000015");
}

TEST(NativeAggregate, AFailureIsTakenBackWithItsRow) {
  const AggregateSpec spec = native(kTotal, kV);
  EXPECT_EQ(Group(spec).take({1, 1'000'013, 1'000'013}).back({1'000'013}).result(), "error: thirteen is not counted");
  EXPECT_EQ(Group(spec).take({1, 1'000'013}).back({1'000'013}).result(), "1");
  EXPECT_EQ(Group(spec).back({1'000'013, 4}).restart().take({4, 7, 1'000'013}).result(), "7");
  Group pane(spec), other(spec);
  pane.take({3, 1'000'013});
  other.back({1'000'013}).take({4});
  EXPECT_EQ(other.merge(pane).result(), "7");
}

TEST(NativeAggregate, FailuresAreMerged) {
  const AggregateSpec spec = native(kTotal, kV);
  Group empty(spec), bad(spec), good(spec);
  bad.take({1'000'013});
  good.take({5});
  EXPECT_EQ(good.merge(bad).result(), "error: thirteen is not counted");
  EXPECT_EQ(empty.merge(bad).result(), "error: thirteen is not counted");
  good.reset();
  EXPECT_EQ(good.result(), "NULL");
}

TEST(NativeAggregate, AStateGrowsNoFurtherThanItsFunctionSays) {
  const AggregateSpec spec = native(kDistinct, kDevice);
  std::vector<std::int64_t> many;
  for (std::int64_t i = 0; i < 100; ++i) many.push_back(i);
  EXPECT_EQ(Group(spec).take(many).result(), "100");
  for (std::int64_t i = 100; i < 1000; ++i) many.push_back(i);
  Group full(spec);
  EXPECT_EQ(full.take(many).result(), "error: too many values");
  EXPECT_LT(full.bytes(), 64u * 1024);
  Group low(spec), high(spec);
  low.take({many.begin(), many.begin() + 100});
  high.take({many.begin() + 100, many.begin() + 200});
  EXPECT_EQ(low.merge(high).result(), "error: too many values");
}

TEST(NativeAggregate, WhatItHeldIsUsedAgain) {
  const AggregateSpec spec = native(kDistinct, kDevice);
  Group g(spec);
  g.take({1, 2, 3, 4, 5}).reset();
  const std::size_t bytes = g.bytes();
  for (int i = 0; i < 10'000; ++i) g.take({1, 2, 3, 4, 5}).reset();
  EXPECT_EQ(g.bytes(), bytes);
}

TEST(NativeAggregate, SavedBytesOfAnotherVersionOrFunctionAreRefused) {
  const std::string saved = Group(native(kTotal, kV)).take({1, 2}).saved();
  EXPECT_TRUE(Group(native(kTotal, kV)).load(saved));
  static ts_aggregate newer = kTotal;
  newer.state_version = 2;
  EXPECT_FALSE(Group(native(newer, kV)).load(saved));
  static ts_aggregate other = kTotal;
  other.name = "other";
  EXPECT_FALSE(Group(native(other, kV)).load(saved));
  EXPECT_FALSE(Group(aggregate(AggregateFunction::sum, kV)).load(saved));
}

TEST(NativeAggregate, DamagedBytesAreRefused) {
  const AggregateSpec spec = native(kDistinct, kDevice);
  const std::string saved = Group(spec).take({1, 2, 3}).saved();
  for (std::size_t n = 0; n < saved.size(); ++n) EXPECT_FALSE(Group(spec).load(saved.substr(0, n))) << n;
  std::string large = saved;
  large[2 + 8 + 4 + 2] = 1;  // 64 KiB of state
  EXPECT_FALSE(Group(spec).load(large));
}

TEST(NativeAggregate, TwoFunctionsOfOneColumnKeepTwoStates) {
  static const ts_aggregate twice = [] {
    ts_aggregate f = kTotal;
    f.name = "twice";
    f.add = [](const ts_host*, uint64_t rows, const ts_column* args, const int64_t*, ts_state* const* states) {
      for (uint64_t i = 0; i < rows; ++i) {
        static_cast<Total*>(states[i]->data)->rows += 1;
        static_cast<Total*>(states[i]->data)->sum += 2 * ts_int64(&args[0], i);
      }
    };
    return f;
  }();
  const Accumulators a({native(kTotal, kV), native(twice, kV), native(kTotal, kV)});
  EXPECT_EQ(a.bytes(), 64u);  // the first and the third share theirs
}

TEST(NativeAggregate, WrongTypesAreRefused) {
  EXPECT_TRUE(validate(native(kTotal, kV), false).has_value());
  EXPECT_FALSE(validate(native(kTotal, kDevice), false).has_value());
  EXPECT_FALSE(validate(native(kTotal, kV, -1, {kV}), false).has_value());
  EXPECT_FALSE(validate(native(kRowsOfAny, kV), false).has_value());
  EXPECT_TRUE(validate(native(kJoined, kDevice), false).has_value());
  const Status updating = validate(native(kJoined, kDevice), true);
  ASSERT_FALSE(updating.has_value());
  EXPECT_NE(updating.error().message.find("cannot take rows back: order"), std::string::npos);
}

}  // namespace
}  // namespace twinspan::testing
