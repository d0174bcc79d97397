#include "tests/bench/bench_events.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "tests/support/kafka_io.h"

namespace twinspan::bench {

namespace {

std::uint64_t mix(std::uint64_t x) {  // splitmix64
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

constexpr const char* kTypes[] = {"click", "view", "play", "like", "exit"};
constexpr const char* kOs[] = {"android", "ios"};
constexpr const char* kNet[] = {"wifi", "5g", "4g"};

}  // namespace

std::string Event::device_id() const { return fmt::format("dev-{:014d}", device); }

std::string Event::json() const {
  const std::uint64_t r = mix(static_cast<std::uint64_t>(id) * 3 + 1);
  return fmt::format(
      R"({{"event_id":{},"device_id":"{}","user_id":{},"ts":{},"type":"{}","page":"/p/video/{}","os":"{}","app_ver":"12.{}.{}-release","dur_ms":{},"net":"{}"}})",
      id, device_id(), 100'000'000 + r % 900'000'000, ts, type, 1000 + r / 7 % 9000, kOs[r % 2], r / 3 % 10,
      100 + r / 11 % 900, dur_ms, kNet[r % 3]);
}

Event event_at(int stream, std::int64_t number) {
  const std::uint64_t r = mix(static_cast<std::uint64_t>(number) * 4 + static_cast<std::uint64_t>(stream));
  Event e;
  e.id = number;
  // Both sides of the join advance through the same event time at half the rate each.
  const std::int64_t rate = stream == 0 ? kPerSecond : kPerSecond / 2;
  e.ts = kEpochMs + number * 1000 / rate + static_cast<std::int64_t>(r % 900);
  e.device = static_cast<std::uint32_t>(r / 1000 % 1'000'000);
  e.type = kTypes[r / 7 % 5];
  e.dur_ms = static_cast<std::int64_t>(r / 31 % 100'000);
  return e;
}

Event closing_event(int stream, std::int64_t count, int partition) {
  Event e = event_at(stream, count);
  e.id = count + partition;
  e.ts += 3'600'000;
  e.type = "closing";
  e.device = 2'000'000 + static_cast<std::uint32_t>(stream * kPartitions + partition);  // joins with nothing
  return e;
}

std::uint64_t load(const std::string& bootstrap, const std::string& topic, int stream, std::int64_t count,
                   unsigned cluster, unsigned clusters) {
  constexpr std::int64_t kChunk = 500'000;
  std::uint64_t bytes = 0;
  const auto record = [&](const Event& e, int partition) {
    testing::Record r;
    r.partition = partition;
    r.value = e.json();
    r.timestamp_ms = e.ts;
    bytes += r.value->size();
    return r;
  };
  for (std::int64_t begin = 0; begin < count; begin += kChunk) {
    std::vector<testing::Record> records;
    records.reserve(static_cast<std::size_t>(kChunk));
    for (std::int64_t i = begin; i < std::min(count, begin + kChunk); ++i) {
      const Event e = event_at(stream, i);
      if (e.device / kPartitions % clusters != cluster) continue;
      records.push_back(record(e, static_cast<int>(e.device % kPartitions)));
    }
    testing::produce(bootstrap, topic, records);
  }
  std::vector<testing::Record> closing;
  for (int p = 0; p < kPartitions; ++p) closing.push_back(record(closing_event(stream, count, p), p));
  testing::produce(bootstrap, topic, closing);
  return bytes;
}

}  // namespace twinspan::bench
