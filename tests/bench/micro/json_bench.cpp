// ns per event of JSON -> columns and back, on the event of tests/bench (198 B, 10 flat fields).
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "connectors/formats/json_decoder.h"
#include "connectors/formats/json_encoder.h"

namespace {

using namespace twinspan;
using namespace twinspan::connectors;

std::vector<std::string> events(std::size_t n) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint64_t r = (i + 1) * 0x9E3779B97F4A7C15ull;
    std::string e = fmt::format(
        R"({{"event_id":"{:016x}","device_id":"d-{:08x}","event_type":"{}","region":"region-{:02}","ts":{},"campaign":{},"price":0.{:04},"os":"android","app_ver":"5.{}.1","pad":")",
        r, static_cast<std::uint32_t>(r >> 32), i % 3 == 0 ? "click" : "impression", r % 40, 1767225600000 + i,
        1000 + r % 9000, r % 10000, r % 10);
    e += std::string(e.size() < 196 ? 196 - e.size() : 0, 'x') + "\"}";
    out.push_back(std::move(e));
  }
  return out;
}

void decode(benchmark::State& state, std::vector<JsonField> fields, int event_time) {
  const auto values = events(1024 * 16);
  std::vector<RawRecord> records;
  std::size_t bytes = 0;
  for (const auto& v : values)
    records.push_back({LaneIndex(0), 1, 1767225600000, {}, v, false, true}), bytes += v.size();
  auto decoder = std::move(JsonDecoder::make({std::move(fields), {}, event_time})).value();
  std::vector<DecodeFailure> failures;
  std::size_t at = 0;
  for (auto _ : state) {
    Batch b = decoder->decode(records.data() + at, 1024, nullptr, failures);
    benchmark::DoNotOptimize(b.time);
    at = (at + 1024) % records.size();
  }
  if (!failures.empty()) state.SkipWithError(failures[0].reason.c_str());
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * 1024);
  state.counters["ns/event"] = benchmark::Counter(static_cast<double>(state.iterations()) * 1024 * 1e-9,
                                                  benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["B/event"] = static_cast<double>(bytes) / static_cast<double>(values.size());
}

void BM_Decode4Of10(benchmark::State& s) {
  decode(s,
         {{"device_id", types::string},
          {"event_type", types::string},
          {"region", types::string},
          {"ts", types::timestamp}},
         3);
}
void BM_Decode4Of10WithDecimal(benchmark::State& s) {
  decode(s,
         {{"device_id", types::string},
          {"campaign", types::int64},
          {"price", types::decimal(18, 4)},
          {"ts", types::timestamp}},
         3);
}
void BM_Decode1Of10(benchmark::State& s) { decode(s, {{"ts", types::timestamp}}, 0); }

void BM_Encode4(benchmark::State& state) {
  const auto values = events(1024);
  std::vector<RawRecord> records;
  for (const auto& v : values) records.push_back({LaneIndex(0), 1, 1767225600000, {}, v, false, true});
  auto decoder = std::move(JsonDecoder::make({{{"device_id", types::string},
                                               {"region", types::string},
                                               {"campaign", types::int64},
                                               {"price", types::decimal(18, 4)}},
                                              {},
                                              -1}))
                     .value();
  std::vector<DecodeFailure> failures;
  const Batch b = decoder->decode(records.data(), records.size(), nullptr, failures);
  const JsonEncoder encoder(decoder->schema());
  std::string out;
  for (auto _ : state) {
    out.clear();
    for (std::size_t i = 0; i < b.rows; ++i) encoder.encode(b, i, out);
    benchmark::DoNotOptimize(out.data());
  }
  state.counters["ns/row"] = benchmark::Counter(static_cast<double>(state.iterations()) * b.rows * 1e-9,
                                                benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

BENCHMARK(BM_Decode4Of10);
BENCHMARK(BM_Decode4Of10WithDecimal);
BENCHMARK(BM_Decode1Of10);
BENCHMARK(BM_Encode4);

}  // namespace

BENCHMARK_MAIN();
