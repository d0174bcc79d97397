#include "tests/bench/bench_events.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "tests/support/kafka_io.h"

namespace twinspan::bench {

namespace {

constexpr const char* kTypes[] = {"click", "view", "play", "like", "exit"};
constexpr const char* kOs[] = {"android", "ios"};
constexpr const char* kNet[] = {"wifi", "5g", "4g"};

std::uint64_t rest_of(const Event& e) { return mix(static_cast<std::uint64_t>(e.id) * 3 + 1); }

}  // namespace

std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

std::string Event::device_id() const { return fmt::format("dev-{:014d}", device); }
std::int64_t Event::user_id() const { return static_cast<std::int64_t>(100'000'000 + rest_of(*this) % 900'000'000); }
std::string Event::page() const { return fmt::format("/p/video/{}", 1000 + rest_of(*this) / 7 % 9000); }
const char* Event::os() const { return kOs[rest_of(*this) % 2]; }
std::string Event::app_ver() const {
  const std::uint64_t r = rest_of(*this);
  return fmt::format("12.{}.{}-release", r / 3 % 10, 100 + r / 11 % 900);
}
const char* Event::net() const { return kNet[rest_of(*this) % 3]; }

std::string Event::json() const {
  return fmt::format(
      R"({{"event_id":{},"device_id":"{}","user_id":{},"ts":{},"type":"{}","page":"{}","os":"{}","app_ver":"{}","dur_ms":{},"net":"{}"}})",
      id, device_id(), user_id(), ts, type, page(), os(), app_ver(), dur_ms, net());
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
