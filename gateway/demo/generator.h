#pragma once
// The producers of the demo: a thread that writes impressions and clicks to both clusters, half each. Event
// time runs faster than the clock. When a cluster breaks, its share goes to the other one, as producers of
// split topics do; what the broken one had not taken yet is delivered at its return, late. With both broken
// the producers stop and wait. Owned by the demo; destroyed before the clusters. Thread: control; figures():
// any.

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "engine/base/clock.h"
#include "engine/base/result.h"
#include "gateway/demo/traffic.h"

namespace twinspan::gateway {

struct GeneratorSettings {
  std::array<std::string, 2> bootstraps;  // east, west
  TrafficSettings traffic;
  EventTime start = 0;          // event time at the clock's first reading
  std::int64_t history_ms = 0;  // event time before `start` that is produced at once
  double speed = 30;            // seconds of event time a second
};

class Generator {
 public:
  struct Figures {
    EventTime event_time = kMinTime;  // created up to here
    std::uint64_t impressions = 0, clicks = 0;
    std::array<std::uint64_t, 2> sent{};  // by cluster
  };

  static Result<std::unique_ptr<Generator>> start(const GeneratorSettings& settings, const Clock& clock);
  ~Generator();

  void set_broken(unsigned cluster, bool broken);
  Figures figures() const;
  void stop();  // idempotent

 private:
  struct Producer;
  Generator(const GeneratorSettings& settings, const Clock& clock);
  void run(std::stop_token stop);
  void send(Traffic::Kind kind, std::string_view key, std::string_view value, std::stop_token stop);

  const GeneratorSettings settings_;
  const Clock& clock_;
  Traffic traffic_;
  std::array<std::unique_ptr<Producer>, 2> producers_;
  std::array<std::atomic<bool>, 2> broken_{};
  std::atomic<EventTime> event_time_{kMinTime};
  std::atomic<std::uint64_t> impressions_{0}, clicks_{0};
  std::array<std::atomic<std::uint64_t>, 2> sent_{};
  std::uint64_t turn_ = 0;
  std::jthread thread_;
};

}  // namespace twinspan::gateway
