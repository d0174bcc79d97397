#pragma once
// The benchmark's records: JSON of 10 flat fields, 198 bytes on average, 100 000 a second of event time over one
// million devices, out of order by less than a second. A record is a function of its number, so loading and checking
// need no store. Every topic ends with one closing record per partition, an hour later, which lets all windows before
// it fire. Thread: any (pure).

#include <cstdint>
#include <string>

namespace twinspan::bench {

std::uint64_t mix(std::uint64_t x);  // splitmix64: the one source of what looks random here

inline constexpr std::int64_t kEpochMs = 1'767'225'600'000;  // 2026-01-01
inline constexpr std::int64_t kPerSecond = 100'000;          // of event time
inline constexpr int kPartitions = 4;

struct Event {
  std::int64_t id = 0, ts = 0, dur_ms = 0;
  std::uint32_t device = 0;
  const char* type = "";
  std::string device_id() const;
  std::int64_t user_id() const;
  std::string page() const;
  const char* os() const;
  std::string app_ver() const;
  const char* net() const;
  std::string json() const;
};

// `stream` 0: events; 1, 2: the two sides of the join. `side` streams together make 100 000 a second.
Event event_at(int stream, std::int64_t number);
using Events = Event (*)(int stream, std::int64_t number);  // event_at, or another with a shape of its own
Event closing_event(int stream, std::int64_t count, int partition);

// Loads one cluster's share of [0, count) (each device lives on one of `clusters`) and its closing records; the
// partition is the device's. Returns bytes of JSON.
std::uint64_t load(const std::string& bootstrap, const std::string& topic, int stream, std::int64_t count,
                   unsigned cluster, unsigned clusters);

}  // namespace twinspan::bench
