// Window operator alone, rows in memory: build/release/tests/bench/micro/window_bench. Time is per row
// (items/s), firing and dropping windows included. Key hashes are computed before, as the exchange does.

#include <benchmark/benchmark.h>

#include <random>

#include "engine/operators/window_operator.h"
#include "engine/state/row_codec.h"

namespace twinspan::engine {
namespace {

class Nowhere : public Output {
 public:
  void emit(Batch&& b) override { rows += b.rows; }
  void watermark(Watermark) override {}
  void late(Batch&& b) override { rows_late += b.rows; }
  void failed(const Batch&, std::uint32_t, std::string_view) override {}
  std::uint64_t rows = 0, rows_late = 0;
};

constexpr std::size_t kBatch = 1024;
constexpr std::size_t kBatches = 8192;  // 8 M rows: a cycle of input

// key int64 | key string of 18 | group int64 (10) | device string of 18; times are set when a batch is fed.
struct Input {
  explicit Input(std::int64_t keys, int key_column, DataType key_type) {
    std::mt19937_64 random(7);
    schema = {{{"id", types::int64}, {"name", types::string}, {"region", types::int64}, {"device", types::string}}};
    const RowCodec codec({key_column}, {key_type});
    for (std::size_t b = 0; b < kBatches; ++b) {
      auto arena = std::make_shared<Arena>();
      Batch batch;
      batch.schema = &schema;
      batch.rows = kBatch;
      auto* id = arena->make<std::int64_t>(kBatch);
      auto* name = arena->make<std::string_view>(kBatch);
      auto* region = arena->make<std::int64_t>(kBatch);
      for (std::size_t i = 0; i < kBatch; ++i) {
        id[i] = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(keys));
        char text[32];
        std::snprintf(text, sizeof text, "device-%011lld", static_cast<long long>(id[i] * 7919));
        name[i] = arena->copy({text, 18});
        region[i] = static_cast<std::int64_t>(random() % 10);
      }
      batch.columns = {{types::int64, id}, {types::string, name}, {types::int64, region}, {types::string, name}};
      auto* hash = arena->make<std::uint64_t>(kBatch);
      codec.hash(batch, hash);
      batch.hash = hash;
      batch.arenas.push_back(arena);
      batches.push_back(std::move(batch));
    }
  }
  Schema schema;
  std::vector<Batch> batches;
};

void run(benchmark::State& state, const Input& input, WindowSpec spec, std::int64_t rows_per_ms,
         std::size_t snapshot_every) {
  const Schema schema = window_output_schema(spec, {"key"}, std::vector<std::string>(spec.aggregates.size(), "a"));
  const auto window = make_window(spec, schema);
  Operator& op = *window;
  Nowhere out;
  std::vector<EventTime> time(kBatch), firing(kBatch);
  std::int64_t row = 0, first = 1'700'000'000'000;
  std::size_t b = 0, fed = 0;
  std::uint64_t saved = 0;
  for (auto _ : state) {
    Batch batch = input.batches[b];
    b = (b + 1) % kBatches;
    for (std::size_t i = 0; i < kBatch; ++i) {
      time[i] = first + row / rows_per_ms;
      firing[i] = time[i] - 1000;
      ++row;
    }
    batch.time = time.data();
    batch.firing = batch.retention = firing.data();
    op.process(0, std::move(batch), out);
    while (op.pending()) op.resume(out);
    if (snapshot_every != 0 && ++fed % snapshot_every == 0) {
      DeltaWriter delta;
      op.snapshot(delta);
      saved += delta.bytes();
    }
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kBatch));
  state.counters["ns_per_row"] = benchmark::Counter(static_cast<double>(state.iterations() * kBatch) * 1e-9,
                                                    benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["results"] = static_cast<double>(out.rows);
  state.counters["late"] = static_cast<double>(out.rows_late);
  state.counters["saved_MB"] = static_cast<double>(saved) / 1e6;
}

WindowSpec tumbling(int key, DataType type) {
  WindowSpec s;
  s.size = 10'000;
  s.key_columns = {key};
  s.key_types = {type};
  s.aggregates = {{AggregateFunction::count, -1, types::null, false, -1}};
  return s;
}

// 10 s windows of 20 M rows (2 M rows/s of event time), so the 1 M keys come 20 times each.
void TumblingCountInt(benchmark::State& state) {
  static const Input input(1'000'000, 0, types::int64);
  run(state, input, tumbling(0, types::int64), 2000, static_cast<std::size_t>(state.range(0)));
}
void TumblingCountString(benchmark::State& state) {
  static const Input input(1'000'000, 1, types::string);
  run(state, input, tumbling(1, types::string), 2000, static_cast<std::size_t>(state.range(0)));
}
void Uv(benchmark::State& state) {
  static const Input input(1'000'000, 2, types::int64);
  WindowSpec s = tumbling(2, types::int64);
  s.aggregates = {{AggregateFunction::count, 3, types::string, true, -1}};
  run(state, input, s, 2000, static_cast<std::size_t>(state.range(0)));
}
void UvCumulate(benchmark::State& state) {
  static const Input input(1'000'000, 2, types::int64);
  WindowSpec s = tumbling(2, types::int64);
  s.kind = WindowKind::cumulate;
  s.size = 86'400'000;
  s.every = 60'000;
  s.aggregates = {{AggregateFunction::count, 3, types::string, true, -1}};
  run(state, input, s, 200, static_cast<std::size_t>(state.range(0)));
}

// 100 rows/ms, as the jobs of peers.md: a count of 10 000 pages over windows of the argument in s, one a second; and
// sessions of 1 M devices with a gap of 5 s, each with a row in 10 s on average.
void SlidingCount(benchmark::State& state) {
  static const Input input(10'000, 0, types::int64);
  WindowSpec s = tumbling(0, types::int64);
  s.kind = WindowKind::sliding;
  s.size = state.range(0) * 1000;
  s.every = 1000;
  run(state, input, s, 100, static_cast<std::size_t>(state.range(1)));
}
void SlidingMax(benchmark::State& state) {  // cannot be subtracted
  static const Input input(10'000, 0, types::int64);
  WindowSpec s = tumbling(0, types::int64);
  s.kind = WindowKind::sliding;
  s.size = state.range(0) * 1000;
  s.every = 1000;
  s.aggregates = {{AggregateFunction::max, 2, types::int64, false, -1}};
  run(state, input, s, 100, 0);
}
void SessionCount(benchmark::State& state) {
  static const Input input(1'000'000, 0, types::int64);
  WindowSpec s = tumbling(0, types::int64);
  s.kind = WindowKind::session;
  s.size = 5000;
  run(state, input, s, 100, static_cast<std::size_t>(state.range(0)));
}

// The argument: batches between snapshots, 0 = none. 20 000 = every 20 M rows.
BENCHMARK(TumblingCountInt)->Arg(0)->Arg(20'000)->Iterations(80'000)->Unit(benchmark::kMicrosecond);
BENCHMARK(TumblingCountString)->Arg(0)->Arg(20'000)->Iterations(80'000)->Unit(benchmark::kMicrosecond);
BENCHMARK(SlidingCount)
    ->Args({1, 0})
    ->Args({10, 0})
    ->Args({60, 0})
    ->Args({600, 0})
    ->Args({60, 1000})
    ->Iterations(80'000)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK(SlidingMax)->Arg(60)->Iterations(80'000)->Unit(benchmark::kMicrosecond);
BENCHMARK(SessionCount)->Arg(0)->Arg(1000)->Iterations(40'000)->Unit(benchmark::kMicrosecond);
BENCHMARK(Uv)->Arg(0)->Arg(20'000)->Iterations(80'000)->Unit(benchmark::kMicrosecond);
BENCHMARK(UvCumulate)->Arg(0)->Arg(2'000)->Iterations(80'000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace twinspan::engine

BENCHMARK_MAIN();
