// Where the CPU of a checkpoint goes, per changed entry: the shard's encoding, sorting, writing with sync, merging into
// a base. Entries are those of a join (a row of about 50 bytes, tags near together) and of a unique count (one id, one
// tag). CPU is that of the calling thread, kernel included. `DIR=/some/disk checkpoint_bench`; else a temporary one.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <random>

#include <fmt/format.h>

#include "engine/base/ids.h"
#include "engine/checkpoint/state_file.h"
#include "engine/checkpoint/state_merge.h"

namespace twinspan::engine {
namespace {

enum class Kind { join, unique };

std::int64_t cpu_ns() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return t.tv_sec * 1'000'000'000 + t.tv_nsec;
}

class Cpu {
 public:
  Cpu(benchmark::State& state, double entries) : state_(state), entries_(entries) {}
  void begin() { at_ = cpu_ns(); }
  void end() { total_ += cpu_ns() - at_; }
  ~Cpu() {
    state_.counters["cpu_ns/entry"] = static_cast<double>(total_) / entries_ / static_cast<double>(state_.iterations());
  }

 private:
  benchmark::State& state_;
  const double entries_;
  std::int64_t at_ = 0, total_ = 0;
};

std::string directory() {
  const char* given = std::getenv("DIR");
  const std::string at = (given != nullptr ? std::string(given) : std::filesystem::temp_directory_path().string()) +
                         "/twinspan-checkpoint-bench";
  std::filesystem::create_directories(at);
  return at;
}

void encode(Kind kind, int n, std::uint64_t first, DeltaWriter& out) {
  std::mt19937_64 random(first + 1);
  char key[16], value[64] = {};
  for (int i = 0; i < n; ++i) {
    const std::uint64_t at = first + static_cast<std::uint64_t>(i);
    const std::uint64_t r = random();
    if (kind == Kind::join) {
      const std::uint64_t sequence = __builtin_bswap64(at << 7 | (r & 127));
      std::memcpy(key, &sequence, 8);
      std::memcpy(value, &r, 8);
      out.put(0, r & 127, static_cast<std::int64_t>(at / 100 + r % 1000), {key, 8}, {value, 50});
    } else {
      std::memcpy(key, &r, 8);
      out.put(3, r % 5, 17, {key, 13}, {value, 4});
    }
  }
}

void snapshot(benchmark::State& state, Kind kind) {
  const int n = static_cast<int>(state.range(0));
  Cpu cpu(state, n);
  for (auto _ : state) {
    cpu.begin();
    DeltaWriter delta;
    encode(kind, n, 0, delta);
    Delta bytes = delta.take_delta();
    cpu.end();
    benchmark::DoNotOptimize(bytes);
  }
}

void sort(benchmark::State& state, Kind kind) {
  const int n = static_cast<int>(state.range(0));
  DeltaWriter writer;
  encode(kind, n, 0, writer);
  const Delta delta = writer.take_delta();
  Cpu cpu(state, n);
  for (auto _ : state) {
    cpu.begin();
    auto sorted = SortedDelta::make(delta);
    cpu.end();
    benchmark::DoNotOptimize(sorted);
  }
}

void write(benchmark::State& state, Kind kind) {
  const int n = static_cast<int>(state.range(0));
  PosixFileSystem files;
  const std::string path = directory() + "/delta";
  DeltaWriter writer;
  encode(kind, n, 0, writer);
  const Delta delta = writer.take_delta();
  Cpu cpu(state, n);
  for (auto _ : state) {
    cpu.begin();
    auto written = write_state_file(files, path, delta);
    cpu.end();
    if (!written) state.SkipWithError(written.error().message.c_str());
    state.counters["B/entry"] = static_cast<double>(written.value().size) / n;
  }
}

void merge(benchmark::State& state, Kind kind) {
  const int n = static_cast<int>(state.range(0)), deltas = 10;
  PosixFileSystem files;
  std::vector<MergeInput> inputs;
  for (int d = 0; d < deltas; ++d) {
    DeltaWriter writer;
    encode(kind, n / deltas, static_cast<std::uint64_t>(d) * static_cast<std::uint64_t>(n / deltas), writer);
    const std::string path = fmt::format("{}/merge-{}", directory(), d);
    auto written = write_state_file(files, path, writer.take_delta());
    if (!written) return state.SkipWithError(written.error().message.c_str());
    inputs.push_back({path, written.value().size, written.value().sum, static_cast<std::uint64_t>(d), 0, 1});
  }
  Cpu cpu(state, n);
  for (auto _ : state) {
    cpu.begin();
    auto merged = merge_state_files(files, inputs, directory() + "/base", {});
    cpu.end();
    if (!merged) state.SkipWithError(merged.error().message.c_str());
  }
}

#define CHECKPOINT_BENCH(what)                                                              \
  BENCHMARK_CAPTURE(what, join, Kind::join)->Arg(1'000'000)->Unit(benchmark::kMillisecond); \
  BENCHMARK_CAPTURE(what, unique, Kind::unique)->Arg(1'000'000)->Unit(benchmark::kMillisecond)
CHECKPOINT_BENCH(snapshot);
CHECKPOINT_BENCH(sort);
CHECKPOINT_BENCH(write);
CHECKPOINT_BENCH(merge);

}  // namespace
}  // namespace twinspan::engine

BENCHMARK_MAIN();
