// Checkpoints of window state that changes everywhere: build/release/tests/bench/micro/snapshot_bench. The same rows
// without snapshots, with snapshots in one go, and with a portion of 1 024 entries after every batch of 1 024 rows, as
// a shard takes them: the longest time without rows at each barrier, and what of the CPU they are. Writing to disk is
// not in it (another thread's).

#include <benchmark/benchmark.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include "engine/operators/window_operator.h"
#include "engine/state/row_codec.h"

namespace twinspan::engine {
namespace {

// The thread's CPU: other programs on the machine are in no figure.
double cpu_ms() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_nsec) / 1e6;
}

class Nowhere : public Output {
 public:
  void emit(Batch&& b) override { rows += b.rows; }
  void watermark(Watermark) override {}
  void late(Batch&&) override {}
  void failed(const Batch&, std::uint32_t, std::string_view) override {}
  std::uint64_t rows = 0;
};

constexpr std::size_t kBatch = 1024;
constexpr std::size_t kRows = 24u << 20;     // of a run
constexpr std::size_t kEvery = 8u << 20;     // rows between barriers
constexpr std::size_t kFilled = 4 * kEvery;  // rows before the run is timed: the state has its size
enum Mode : int { kNone, kAtOnce, kPortions };

void run(benchmark::State& state, WindowSpec spec) {
  const auto keys = static_cast<std::uint64_t>(state.range(0));
  const auto mode = static_cast<Mode>(state.range(1));
  const Schema schema = window_output_schema(spec, {"key"}, std::vector<std::string>(spec.aggregates.size(), "a"));
  const Schema input{{{"id", types::int64}, {"v", types::int64}}};
  const RowCodec codec({0}, {types::int64});
  for (auto _ : state) {
    const auto window = make_window(spec, schema);
    Nowhere out;
    std::mt19937_64 random(7);
    std::vector<std::int64_t> id(kBatch), v(kBatch);
    std::vector<EventTime> time(kBatch, 1'700'000'000'000), watermark(kBatch, 1'699'999'990'000);
    std::vector<std::uint64_t> hash(kBatch);
    std::vector<double> stalls;
    double saving_ms = 0, rows_ms = 0, stall = 0;
    std::uint64_t saved = 0, state_bytes = 0;
    DeltaWriter delta;
    bool more = false;
    for (std::size_t row = 0; row < kFilled + kRows; row += kBatch) {
      const bool timed = row >= kFilled;
      for (std::size_t i = 0; i < kBatch; ++i) {
        id[i] = static_cast<std::int64_t>(random() % keys);
        v[i] = static_cast<std::int64_t>(random() % 1000);
      }
      Batch batch;
      batch.schema = &input;
      batch.rows = kBatch;
      batch.columns = {{types::int64, id.data()}, {types::int64, v.data()}};
      batch.time = time.data();
      batch.firing = batch.retention = watermark.data();
      codec.hash(batch, hash.data());
      batch.hash = hash.data();
      const double began = cpu_ms();
      window->process(0, std::move(batch), out);
      while (window->pending()) window->resume(out);
      if (timed) rows_ms += cpu_ms() - began;
      if (mode == kNone) continue;
      stall = 0;
      const double snapshot = cpu_ms();
      if (row % kEvery == 0 && row > 0 && !more) {
        if (mode == kAtOnce)
          window->snapshot(delta);
        else
          more = window->begin_snapshot(delta);
        if (timed) stalls.push_back(0);
      }
      if (more) more = window->snapshot_portion(1024, delta);
      stall = cpu_ms() - snapshot;
      if (!more && delta.bytes() > 0) {
        saved += timed ? delta.bytes() : 0;
        delta = {};
      }
      if (!timed || stalls.empty()) continue;
      saving_ms += stall;
      stalls.back() = std::max(stalls.back(), stall);
    }
    state_bytes = window->stats().state_bytes;
    state.counters["ns_per_row"] = (rows_ms + saving_ms) * 1e6 / kRows;
    state.counters["state_MiB"] = static_cast<double>(state_bytes) / (1 << 20);
    state.counters["saved_MB"] = static_cast<double>(saved) / 1e6;
    state.counters["saving_share"] = saving_ms / (rows_ms + saving_ms);
    if (stalls.empty()) continue;
    state.counters["stall_max_ms"] = *std::max_element(stalls.begin(), stalls.end());
    state.counters["cpu_ms_per_barrier"] = saving_ms / static_cast<double>(stalls.size());
  }
}

WindowSpec spec_of(WindowKind kind) {
  WindowSpec s;
  s.kind = kind;
  s.size = 600'000;
  if (kind == WindowKind::sliding) s.every = 60'000;
  s.key_columns = {0};
  s.key_types = {types::int64};
  AggregateSpec sum{AggregateFunction::sum, 1, types::int64, false, -1}, most = sum;
  most.function = AggregateFunction::max;
  s.aggregates = {{AggregateFunction::count, -1, types::null, false, -1}, sum, most};
  return s;
}

void Tumbling(benchmark::State& state) { run(state, spec_of(WindowKind::tumbling)); }
void Sliding(benchmark::State& state) { run(state, spec_of(WindowKind::sliding)); }
void Session(benchmark::State& state) { run(state, spec_of(WindowKind::session)); }

void modes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"keys", "mode"})->Iterations(1)->Unit(benchmark::kMillisecond);
  for (const int mode : {kNone, kAtOnce, kPortions}) b->Args({8'000'000, mode});
}
BENCHMARK(Tumbling)->Apply(modes);
BENCHMARK(Sliding)->Apply(modes);
BENCHMARK(Session)->Apply(modes);

}  // namespace
}  // namespace twinspan::engine

BENCHMARK_MAIN();
