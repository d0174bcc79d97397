// Aggregate functions alone, rows in memory: build/release/tests/bench/micro/aggregate_bench. The argument is the
// number of keys; rows go to random ones, in groups of 32 as the window operator makes them. Time is per row.

#include <benchmark/benchmark.h>

#include <random>

#include "engine/aggregates/accumulators.h"

namespace twinspan::engine {
namespace {

using F = AggregateFunction;

constexpr std::uint32_t kBatch = 1024, kGroup = 32;
constexpr std::size_t kBatches = 256;

struct Input {  // int64 | float64 | decimal(18,4) | string of 12; numbers up to a million, strings of 10 000
  Input() {
    std::mt19937_64 random(7);
    for (std::size_t b = 0; b < kBatches; ++b) {
      Batch batch;
      batch.rows = kBatch;
      Arena& arena = batch.add_arena();
      auto* time = arena.make<EventTime>(kBatch);
      auto* number = arena.make<std::int64_t>(kBatch);
      auto* real = arena.make<double>(kBatch);
      auto* decimal = static_cast<Decimal*>(arena.allocate(kBatch * sizeof(Decimal), 16));
      auto* text = arena.make<std::string_view>(kBatch);
      for (std::uint32_t i = 0; i < kBatch; ++i) {
        time[i] = 0;  // the batches come again and again: in order all the same
        number[i] = static_cast<std::int64_t>(random() % 1'000'000);
        real[i] = static_cast<double>(random() % 1'000'000'000) / 977;
        decimal[i] = static_cast<Decimal>(random() % 1'000'000'000);
        char bytes[16];
        std::snprintf(bytes, sizeof bytes, "value-%06u", static_cast<unsigned>(random() % 10'000));
        text[i] = arena.copy({bytes, 12});
      }
      batch.time = time;
      batch.columns = {
          {types::int64, number}, {types::float64, real}, {types::decimal(18, 4), decimal}, {types::string, text}};
      batches.push_back(std::move(batch));
    }
  }
  std::vector<Batch> batches;
};

void run(benchmark::State& state, F function, int column, AggregateParameters parameters = {}, bool updating = false) {
  static const Input input;
  AggregateSpec spec;
  spec.function = function;
  spec.argument = column;
  spec.argument_type = input.batches[0].columns[static_cast<std::size_t>(column)].type;
  spec.parameters = std::move(parameters);
  const Accumulators accumulators({spec}, updating);
  BlockMemory memory;
  const auto keys = static_cast<std::size_t>(state.range(0));
  const std::size_t words = accumulators.bytes() / 8;
  std::vector<std::uint64_t> blocks(keys * words);
  std::mt19937_64 random(11);
  std::vector<std::uint32_t> rows(kBatch);
  std::vector<char*> to(kBatches * kBatch);
  for (char*& p : to) p = reinterpret_cast<char*>(&blocks[random() % keys * words]);
  for (std::uint32_t i = 0; i < kBatch; ++i) rows[i] = i;
  std::size_t b = 0;
  for (auto _ : state) {
    const Batch& batch = input.batches[b % kBatches];
    char* const* blocks_of = &to[b++ % kBatches * kBatch];
    for (std::uint32_t i = 0; i < kBatch; i += kGroup)
      accumulators.update(batch, &rows[i], blocks_of + i, kGroup, memory);
  }
  state.counters["ns_per_row"] = benchmark::Counter(static_cast<double>(state.iterations() * kBatch) * 1e-9,
                                                    benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["bytes_per_key"] =
      static_cast<double>(accumulators.bytes()) + static_cast<double>(memory.bytes()) / static_cast<double>(keys);
}

void Count(benchmark::State& s) { run(s, F::count, 0); }
void SumInt(benchmark::State& s) { run(s, F::sum, 0); }
void SumFloat(benchmark::State& s) { run(s, F::sum, 1); }
void SumDecimal(benchmark::State& s) { run(s, F::sum, 2); }
void MaxInt(benchmark::State& s) { run(s, F::max, 0); }
void MaxIntUpdating(benchmark::State& s) { run(s, F::max, 0, {}, true); }
void LastInt(benchmark::State& s) { run(s, F::last, 0); }
void LastString(benchmark::State& s) { run(s, F::last, 3); }
void ApproxDistinctInt(benchmark::State& s) { run(s, F::approx_count_distinct, 0); }
void ApproxDistinctString(benchmark::State& s) { run(s, F::approx_count_distinct, 3); }
void PercentileInt(benchmark::State& s) { run(s, F::percentile, 0, {.fraction = 0.5}); }
void PercentileFloat(benchmark::State& s) { run(s, F::percentile, 1, {.fraction = 0.5}); }
void TopString(benchmark::State& s) { run(s, F::top_k, 3, {.number = 10}); }
void StringAgg(benchmark::State& s) { run(s, F::string_agg, 3, {.number = 1000, .text = ","}); }

#define TS_BENCH(name) BENCHMARK(name)->Arg(10)->Arg(1000)->Unit(benchmark::kMicrosecond)
TS_BENCH(Count);
TS_BENCH(SumInt);
TS_BENCH(SumFloat);
TS_BENCH(SumDecimal);
TS_BENCH(MaxInt);
TS_BENCH(MaxIntUpdating);
TS_BENCH(LastInt);
TS_BENCH(LastString);
TS_BENCH(ApproxDistinctInt);
TS_BENCH(ApproxDistinctString);
TS_BENCH(PercentileInt);
TS_BENCH(PercentileFloat);
TS_BENCH(TopString);
TS_BENCH(StringAgg);

}  // namespace
}  // namespace twinspan::engine

BENCHMARK_MAIN();
