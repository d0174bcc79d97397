#pragma once
// Seeded impressions and clicks of the main job, spread over two clusters as producers of a `split` topic do,
// and a producer that writes them at a bounded pace and goes around a cluster that is down.

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/kafka_io.h"

namespace twinspan::testing {

struct Event {
  enum class Stream { impression, click };
  Stream stream = Stream::impression;
  std::string id;    // key of its record, unlike every other's
  std::string json;  // value of its record
  bool decodes = true;
  int cluster = 0, partition = 0;  // where it is meant to go
  // What the json says.
  std::optional<std::string> device_id;
  std::int64_t ad_id = 0;
  std::string region;
  std::int64_t price_e4 = 0;  // in 1/10000
  std::int64_t ts = 0;
};

struct EventStreamOptions {
  std::uint64_t seed = 1;
  int impressions = 2000;
  int partitions = 2;                         // of each topic on each cluster
  std::int64_t start_ms = 1'705'277'400'000;  // 2024-01-15 08:10 in Shanghai
  std::int64_t span_ms = 20 * 60'000;
  std::int64_t out_of_order_ms = 10'000;  // an event is less than this behind any that came before it
  int devices = 300, ads = 40, regions = 5;
  double clicked = 0.4;  // impressions that have a click, from 0 to 12 minutes after them
  // Shares of impressions, clicks, or both.
  double malformed = 0.01, null_device = 0.02, negative_price = 0.02, untidy_region = 0.3;
  double lone_click = 0.05, duplicate_click = 0.05;
};

// In the order in which they arrive.
std::vector<Event> generate_events(const EventStreamOptions& options);

// One event for every lane of both streams, at `ts`, that no result contains: moves event time past
// everything before.
std::vector<Event> closing_events(int partitions, std::int64_t ts);

// Writes events from its own thread, each to its cluster or, while that does not take records, to the other
// one, same partition. A record whose fate is unknown is written again, so a few may be on both: what counts
// is what the topics hold. Thread: one.
class PacedProducer {
 public:
  struct Settings {
    std::string bootstrap[2];
    std::string impressions, clicks;  // topics
    int events_per_second = 1000;
  };
  struct Acknowledged {
    std::size_t event;  // index
    int cluster;
    int partition;
    std::int64_t offset;
    std::chrono::steady_clock::time_point at;
  };

  PacedProducer(Settings settings, std::vector<Event> events);
  ~PacedProducer();  // stops, finished or not

  void wait_acknowledged(std::size_t count, std::chrono::milliseconds limit = std::chrono::seconds(60));
  // Waits for the last event; in order of acknowledgement. Throws what went wrong in the thread.
  std::vector<Acknowledged> finish(std::chrono::milliseconds limit = std::chrono::seconds(60));
  const std::vector<Event>& events() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace twinspan::testing
