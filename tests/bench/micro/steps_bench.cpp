// deduplicate and dict_id alone, rows in memory: build/release/tests/bench/micro/steps_bench. Time is per row, expiry
// included. Hashes are computed before, as the exchange does.

#include <benchmark/benchmark.h>

#include <random>

#include "engine/operators/deduplicate.h"
#include "engine/operators/dict_id.h"

namespace twinspan::engine {
namespace {

class Nowhere : public Output {
 public:
  void emit(Batch&& b) override { rows += b.rows; }
  void watermark(Watermark) override {}
  void late(Batch&&) override {}
  void failed(const Batch&, std::uint32_t, std::string_view) override {}
  std::uint64_t rows = 0;
};

constexpr std::size_t kBatch = 1024;
constexpr std::size_t kBatches = 4096;  // 4 M rows: a cycle of input

// id int64 of `keys`, name string of 18 of the same.
struct Input {
  Input(std::int64_t keys, int hashed, DataType type) {
    std::mt19937_64 random(7);
    schema = {{{"id", types::int64}, {"name", types::string}}};
    const RowCodec codec({hashed}, {type});
    for (std::size_t b = 0; b < kBatches; ++b) {
      auto arena = std::make_shared<Arena>();
      Batch batch;
      batch.schema = &schema;
      batch.rows = kBatch;
      auto* id = arena->make<std::int64_t>(kBatch);
      auto* name = arena->make<std::string_view>(kBatch);
      for (std::size_t i = 0; i < kBatch; ++i) {
        id[i] = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(keys));
        char text[32];
        std::snprintf(text, sizeof text, "device-%011lld", static_cast<long long>(id[i] * 7919));
        name[i] = arena->copy({text, 18});
      }
      batch.columns = {{types::int64, id}, {types::string, name}};
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

void report(benchmark::State& state, const Operator& op, const Nowhere& out) {
  const auto rows = static_cast<double>(state.iterations() * kBatch);
  state.counters["ns_per_row"] =
      benchmark::Counter(rows * 1e-9, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["passed"] = static_cast<double>(out.rows) / rows;
  state.counters["state_rows"] = static_cast<double>(op.stats().state_rows);
  state.counters["state_MB"] = static_cast<double>(op.stats().state_bytes) / 1e6;
}

// `rows_per_ms` against 10 s decides how many of the rows are repeats.
void deduplicate(benchmark::State& state, const Input& input, int column, DataType type) {
  DeduplicateSpec spec;
  spec.key_columns = {column};
  spec.key_types = {type};
  spec.within = 10'000;
  spec.schema = input.schema;
  Deduplicate op(spec);
  Nowhere out;
  const std::int64_t rows_per_ms = state.range(0);
  std::vector<EventTime> time(kBatch), firing(kBatch);
  std::int64_t row = 0, first = 1'700'000'000'000;
  std::size_t b = 0;
  for (auto _ : state) {
    Batch batch = input.batches[b];
    b = (b + 1) % kBatches;
    for (std::size_t i = 0; i < kBatch; ++i) {
      time[i] = first + row++ / rows_per_ms;
      firing[i] = time[i] - 1000;
    }
    batch.time = time.data();
    batch.firing = batch.retention = firing.data();
    op.process(0, std::move(batch), out);
  }
  report(state, op, out);
}

void DeduplicateInt(benchmark::State& state) {
  static const Input input(1'000'000, 0, types::int64);
  deduplicate(state, input, 0, types::int64);
}
void DeduplicateString(benchmark::State& state) {
  static const Input input(1'000'000, 1, types::string);
  deduplicate(state, input, 1, types::string);
}

void DictIdString(benchmark::State& state) {
  static const Input input(1'000'000, 1, types::string);
  DictIdSpec spec{1, types::string, input.schema};
  spec.schema.fields.push_back({"number", types::int64});
  DictionaryPlaces places;
  const unsigned place = places.add();
  DictId op(spec, places.join(0, place), place);
  Nowhere out;
  std::vector<EventTime> time(kBatch);
  std::size_t b = 0;
  for (auto _ : state) {
    Batch batch = input.batches[b];
    b = (b + 1) % kBatches;
    batch.time = time.data();
    op.process(0, std::move(batch), out);
  }
  report(state, op, out);
}

BENCHMARK(DeduplicateInt)->Arg(2000)->Arg(50)->MinTime(3);  // nearly all repeats; half of the rows pass
BENCHMARK(DeduplicateString)->Arg(2000)->Arg(50)->MinTime(3);
BENCHMARK(DictIdString)->MinTime(3);

}  // namespace
}  // namespace twinspan::engine

BENCHMARK_MAIN();
