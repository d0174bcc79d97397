// The interval join alone, in steady state: +-10 s, 1 M keys, 100 000 events per second of event time over both sides,
// about one match per event, 64 bytes kept of each row. Input batches are ready; result columns are built and summed
// up. "ns/event" is the number that performance.md D.8 and RESULTS.md speak of.

#include <benchmark/benchmark.h>

#include <random>

#include "engine/operators/interval_join.h"

namespace twinspan::engine {
namespace {

constexpr int kKept = 8;
constexpr std::uint32_t kBatch = 1024;

class Sum : public Output {
 public:
  void emit(Batch&& b) override {
    rows += b.rows;
    for (const Column& c : b.columns) sum += static_cast<std::uint64_t>(c.as<std::int64_t>()[b.rows - 1]);
  }
  void watermark(Watermark) override {}
  void late(Batch&& b) override { late_rows += b.rows; }
  void failed(const Batch&, std::uint32_t, std::string_view) override {}
  std::uint64_t rows = 0, late_rows = 0, sum = 0;
};

void process(IntervalJoin& join, unsigned input, Batch&& batch, Output& out) {
  join.process(input, std::move(batch), out);
  while (join.pending()) join.resume(out);
}

struct Stream {
  explicit Stream(std::int64_t keys, std::int64_t per_second) : keys(keys), per_second(per_second) {}

  Batch next(const Schema& schema) {
    Batch b;
    b.schema = &schema;
    b.rows = kBatch;
    Arena& arena = b.add_arena();
    auto* key = arena.make<std::int64_t>(kBatch);
    auto* time = arena.make<EventTime>(kBatch);
    auto* watermark = arena.make<EventTime>(kBatch);
    auto* hash = arena.make<std::uint64_t>(kBatch);
    for (std::uint32_t i = 0; i < kBatch; ++i) {
      key[i] = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(keys));
      const EventTime now = 1'000'000 + static_cast<EventTime>(count++) * 1000 / per_second;
      time[i] = now - static_cast<EventTime>(random() % 1000);
      watermark[i] = now - 1000 - 1;
    }
    b.columns.push_back({types::int64, key, nullptr});
    for (int k = 0; k < kKept; ++k) b.columns.push_back({types::int64, key, nullptr});
    b.time = time;
    b.firing = b.retention = watermark;
    codec.hash(b, hash);
    b.hash = hash;
    return b;
  }

  std::int64_t keys, per_second;
  std::uint64_t count = 0;
  std::mt19937_64 random{7};
  RowCodec codec{{0}, {types::int64}};
};

IntervalJoinSpec make_spec(IntervalJoinSpec::Type type) {
  IntervalJoinSpec s;
  s.left.key = s.right.key = {0};
  s.left.key_types = s.right.key_types = {types::int64};
  for (int k = 1; k <= kKept; ++k) {
    s.left.kept.push_back(k);
    s.left.kept_types.push_back(types::int64);
  }
  s.right.kept = s.left.kept;
  s.right.kept_types = s.left.kept_types;
  s.lower = -10'000;
  s.upper = 10'000;
  s.type = type;
  for (int k = 0; k < 2 * kKept; ++k) s.schema.fields.push_back({"c" + std::to_string(k), types::int64});
  return s;
}

void run(benchmark::State& state, IntervalJoinSpec::Type type, std::int64_t keys) {
  Schema schema;
  for (int k = 0; k <= kKept; ++k) schema.fields.push_back({"c" + std::to_string(k), types::int64});
  IntervalJoin join(make_spec(type));
  Sum out;
  Stream stream(keys, 100'000);
  unsigned input = 0;
  // Until both horizons have passed the first rows.
  for (int i = 0; i < 3500; ++i, input ^= 1) process(join, input, stream.next(schema), out);
  const std::uint64_t rows = out.rows;
  for (auto _ : state) {
    state.PauseTiming();
    std::vector<Batch> batches;
    for (int i = 0; i < 64; ++i) batches.push_back(stream.next(schema));
    state.ResumeTiming();
    for (Batch& b : batches) {
      process(join, input, std::move(b), out);
      input ^= 1;
    }
  }
  const double events = static_cast<double>(state.iterations()) * 64 * kBatch;
  state.counters["ns/event"] =
      benchmark::Counter(events / 1e9, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["matches/event"] = static_cast<double>(out.rows - rows) / events;
  state.counters["state_MB"] = static_cast<double>(join.stats().state_bytes) / 1e6;
  state.counters["B/row"] =
      static_cast<double>(join.stats().state_bytes) / static_cast<double>(join.stats().state_rows);
  state.counters["late"] = static_cast<double>(out.late_rows);
}

BENCHMARK_CAPTURE(run, inner_1M_keys, IntervalJoinSpec::Type::inner, 1'000'000)->MinTime(3);
BENCHMARK_CAPTURE(run, left_1M_keys, IntervalJoinSpec::Type::left, 1'000'000)->MinTime(3);
BENCHMARK_CAPTURE(run, full_1M_keys, IntervalJoinSpec::Type::full, 1'000'000)->MinTime(3);

}  // namespace
}  // namespace twinspan::engine

BENCHMARK_MAIN();
