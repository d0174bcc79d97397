#pragma once
// What users of an ad network do, made up: devices see ads, some of them click within minutes. One seed gives
// one stream, in order of creation; event times within it are up to 5 s out of order. Among the records are
// what real topics carry: regions in mixed case and with blanks, missing devices, negative prices, and text
// that is no JSON. Owned by the generator. Thread: one.

#include <cstdint>
#include <functional>
#include <queue>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/ids.h"

namespace twinspan::gateway {

struct TrafficSettings {
  std::uint64_t seed = 1;
  double impressions_per_event_s = 70;  // of event time
  double click_ratio = 0.2;
  double malformed_ratio = 0.0005;
  std::size_t devices = 60'000;
  int ads = 40;
};

class Traffic {
 public:
  enum class Kind : std::uint8_t { impression, click };
  // Views hold during the call.
  using Emit = std::function<void(Kind kind, std::string_view key, std::string_view value, EventTime ts)>;

  Traffic(TrafficSettings settings, EventTime start);

  // Everything that is created in [now(), to).
  void advance(EventTime to, const Emit& emit);
  EventTime now() const { return now_; }

 private:
  struct Click {
    EventTime at;
    std::uint32_t device;
    int ad;
    bool operator>(const Click& other) const { return at > other.at; }
  };
  void impression(EventTime at, const Emit& emit);
  void click(const Click& click, const Emit& emit);
  double uniform() { return std::uniform_real_distribution<double>(0, 1)(random_); }

  const TrafficSettings settings_;
  std::mt19937_64 random_;
  EventTime now_;
  double next_impression_;  // ms; fractions would otherwise be lost
  std::priority_queue<Click, std::vector<Click>, std::greater<>> clicks_;
  std::string key_, value_;
};

}  // namespace twinspan::gateway
