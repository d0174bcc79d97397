// WindowAggregate against the slow reference, on seeded random streams.

#include "tests/engine/operators/window/oracle_window.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace twinspan::testing {
namespace {

using F = AggregateFunction;

class Dice {
 public:
  explicit Dice(unsigned seed) : random_(seed) {}
  std::int64_t to(std::int64_t n) {
    return static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(n));
  }  // [0, n)
  bool one_in(std::int64_t n) { return to(n) == 0; }
  template <class T>
  T of(std::initializer_list<T> list) {
    return list.begin()[to(static_cast<std::int64_t>(list.size()))];
  }

 private:
  std::mt19937_64 random_;
};

WindowSpec random_spec(Dice& dice) {
  WindowSpec s;
  if (dice.one_in(2)) {
    s.kind = WindowKind::cumulate;
    s.every = dice.of<std::int64_t>({10, 25, 100});
    s.size = s.every * (1 + dice.to(8));
  } else {
    s.size = dice.of<std::int64_t>({7, 50, 200});
    s.every = dice.one_in(2) ? dice.of<std::int64_t>({3, 7}) : 0;
  }
  s.offset = dice.one_in(3) ? dice.to(s.size) : 0;
  for (const int c : dice.of<std::vector<int>>({{}, {kShard}, {kName}, {kName, kShard}})) {
    s.key_columns.push_back(c);
    s.key_types.push_back(input_schema().fields[c].type);
  }
  const std::vector<AggregateSpec> all = {aggregate(F::count),
                                          aggregate(F::count, kV, false, kOk),
                                          aggregate(F::sum, kV),
                                          aggregate(F::min, kV),
                                          aggregate(F::max, kDevice),
                                          aggregate(F::min, kDevice, false, kOk),
                                          aggregate(F::avg, kV),
                                          aggregate(F::sum, kPrice),
                                          aggregate(F::avg, kPrice),
                                          aggregate(F::max, kPrice),
                                          aggregate(F::sum, kRatio),
                                          aggregate(F::min, kRatio),
                                          aggregate(F::count, kDevice, true),
                                          aggregate(F::count, kDevice, true, kOk),
                                          aggregate(F::count, kV, true)};
  for (const AggregateSpec& a : all)
    if (dice.one_in(2)) s.aggregates.push_back(a);
  s.allow_lateness = dice.one_in(2) ? dice.of<std::int64_t>({1, 15, 120}) : 0;
  s.mode = dice.of({EmitMode::accumulating, EmitMode::discarding, EmitMode::retracting});
  return s;
}

// Out-of-order rows; phases in which R stays behind F; idle times; rows far behind.
std::vector<Event> random_stream(Dice& dice, std::size_t n) {
  std::vector<Event> out;
  EventTime clock = 1'000 + dice.to(1000);
  const std::int64_t shards = dice.one_in(3) ? 200 : 3;  // more keys than a mask of a DISTINCT count has bits
  const std::int64_t devices = shards == 200 ? 4 : 40;
  Watermark now;
  std::size_t outage = 0;
  for (std::size_t i = 0; i < n; ++i) {
    clock += dice.one_in(3) ? dice.to(8) : 0;
    if (dice.one_in(150)) clock += dice.one_in(4) ? 100'000'000 : dice.to(800);
    if (outage > 0)
      --outage;
    else if (dice.one_in(80))
      outage = static_cast<std::size_t>(dice.to(120));
    if (dice.one_in(2)) {
      now.firing = std::max(now.firing, clock - 12);
      if (outage == 0)
        now.retention = now.firing;
      else if (dice.one_in(10) && now.retention != kMinTime)
        now.retention += (now.firing - now.retention) / 2;
    }
    Event e;
    e.at = now;
    e.is_row = !dice.one_in(20);
    e.row.time = clock - dice.to(14) - (dice.one_in(12) ? dice.to(400) : 0) + (dice.one_in(20) ? dice.to(300) : 0);
    if (!dice.one_in(6))
      e.row.name =
          dice.one_in(5) ? "a rather long name for a key " + std::to_string(dice.to(3)) : std::to_string(dice.to(4));
    e.row.shard = dice.to(shards);
    if (!dice.one_in(5)) e.row.v = dice.to(30) - 10;
    if (!dice.one_in(5)) e.row.price = dice.to(100'000) - 30'000;
    if (!dice.one_in(5)) e.row.device = "device-" + std::to_string(dice.to(devices));
    if (!dice.one_in(5)) e.row.ok = dice.one_in(2);
    if (!dice.one_in(5)) e.row.ratio = static_cast<double>(dice.to(1000)) / 8;
    out.push_back(e);
  }
  return out;
}

void expect_same(const Recorder& got, const OracleWindow& want, unsigned seed, const char* how) {
  ASSERT_EQ(got.problems, std::vector<std::string>{}) << "seed " << seed << ", " << how;
  ASSERT_EQ(got.late_rows, want.late_rows) << "seed " << seed << ", " << how;
  const auto at = std::mismatch(got.rows.begin(), got.rows.end(), want.rows.begin(), want.rows.end());
  if (at.first == got.rows.end() && at.second == want.rows.end()) return;
  FAIL() << "seed " << seed << ", " << how << ", row " << at.first - got.rows.begin() << " of " << want.rows.size()
         << "\n got: " << (at.first == got.rows.end() ? "(end)" : *at.first)
         << "\nwant: " << (at.second == want.rows.end() ? "(end)" : *at.second);
}

constexpr unsigned kSeeds = 400;

TEST(WindowOracleTest, ResultsDoNotDependOnBatches) {
  std::size_t late = 0, provisional = 0, corrected = 0;
  for (unsigned seed = 1; seed <= kSeeds; ++seed) {
    Dice dice(seed);
    const WindowSpec spec = random_spec(dice);
    ASSERT_TRUE(validate(spec).has_value());
    const std::vector<Event> events = random_stream(dice, 400);
    OracleWindow oracle(spec);
    oracle.run(events);
    const Schema schema = schema_of(spec);
    for (const std::size_t batch : {1, 7, 1024}) {
      WindowAggregate op(spec, schema);
      Recorder out;
      feed(op, events, 0, events.size(), batch, out);
      op.finish(out);
      ASSERT_NO_FATAL_FAILURE(expect_same(out, oracle, seed, fmt::format("batches of {}", batch).c_str()));
      EXPECT_EQ(op.stats().rows_out, oracle.rows.size());
      EXPECT_EQ(op.stats().rows_late, oracle.late_rows.size());
    }
    late += oracle.late_rows.size();
    for (const std::string& r : oracle.rows) {
      provisional += r[2] == '?';
      corrected += r.starts_with("-U");
    }
  }
  // The streams are worth something.
  EXPECT_GT(late, 1000u);
  EXPECT_GT(provisional, 1000u);
  EXPECT_GT(corrected, 1000u);
}

TEST(WindowOracleTest, GoesOnAfterRestoreAsIfNothingHadHappened) {
  for (unsigned seed = 1; seed <= kSeeds; ++seed) {
    Dice dice(seed + 10'000);
    const WindowSpec spec = random_spec(dice);
    const std::vector<Event> events = random_stream(dice, 400);
    OracleWindow oracle(spec);
    oracle.run(events);
    const Schema schema = schema_of(spec);
    auto op = std::make_unique<WindowAggregate>(spec, schema);
    Recorder out;
    StateImage image;
    std::size_t at = 0;
    while (at < events.size()) {
      const std::size_t to = std::min(events.size(), at + 1 + static_cast<std::size_t>(dice.to(90)));
      feed(*op, events, at, to, dice.of<std::size_t>({1, 7, 1024}), out);
      at = to;
      DeltaWriter delta;
      op->snapshot(delta);
      image.apply(delta.take());
      if (!dice.one_in(3)) continue;
      op = std::make_unique<WindowAggregate>(spec, schema);
      image.restore(*op);
      op->restore_watermark(0, events[at - 1].at);
    }
    op->finish(out);
    ASSERT_NO_FATAL_FAILURE(expect_same(out, oracle, seed, "restored"));
    DeltaWriter last;
    op->snapshot(last);
    image.apply(last.take());
    for (const auto& [place, value] : image.entries) ASSERT_EQ(place.space, 3) << "left behind, seed " << seed;
  }
}

// 1 -> 2 -> 1 -> 3 shards, rows by key: the same rows, whatever the order between keys.
TEST(WindowOracleTest, NumberOfShardsChangesAtRestore) {
  for (unsigned seed = 1; seed <= 150; ++seed) {
    Dice dice(seed + 20'000);
    WindowSpec spec = random_spec(dice);
    const std::vector<Event> events = random_stream(dice, 400);
    OracleWindow oracle(spec);
    oracle.run(events);
    const Schema schema = schema_of(spec);
    const RowCodec codec(spec.key_columns, spec.key_types);
    Recorder out;
    StateImage image;
    const unsigned counts[] = {1, 2, 1, 3};
    std::vector<std::unique_ptr<WindowAggregate>> ops;
    for (unsigned phase = 0; phase < 4; ++phase) {
      const unsigned shards = counts[phase];
      const std::size_t from = events.size() * phase / 4, to = events.size() * (phase + 1) / 4;
      ops.clear();
      for (unsigned s = 0; s < shards; ++s) {
        ops.push_back(std::make_unique<WindowAggregate>(spec, schema));
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
    std::sort(out.rows.begin(), out.rows.end());
    std::sort(oracle.rows.begin(), oracle.rows.end());
    out.problems.clear();  // several shards write to one recorder: watermarks go to and fro
    ASSERT_NO_FATAL_FAILURE(expect_same(out, oracle, seed, "other shards"));
  }
}

}  // namespace
}  // namespace twinspan::testing
