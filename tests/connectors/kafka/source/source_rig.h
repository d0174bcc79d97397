#pragma once
// What the tests of the Kafka source share: a source with its consumers, pumped by the test's own thread as a shard
// would, and a checker that knows for every lane which offsets came, in which order, and how long a cluster said
// nothing.

#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "connectors/kafka/kafka_source.h"
#include "connectors/kafka/watchdog.h"
#include "engine/base/clock.h"

namespace twinspan::connectors {

struct Seen {
  std::vector<std::int64_t> offsets;
  std::vector<std::string> values;
  std::int64_t added_at = -1;
};

class Rig {
 public:
  explicit Rig(KafkaSourceSettings settings, ConsumerOptions options = {}, std::vector<LanePosition> restored = {},
               std::vector<LaneCut> cuts = {}, bool keep_values = true)
      : keep_values_(keep_values) {
    options.fetch_wait_max_ms = 20;
    settings.discover_every_ms = 500;
    shards_ = settings.shards;
    consumers_ = std::make_unique<ConsumerSet>("test", options, clock_);
    auto made = KafkaSource::make(std::move(settings), *consumers_, health_, clock_);
    if (!made) {
      ADD_FAILURE() << made.error().message;
      std::abort();
    }
    source_ = std::move(made).value();
    for (const auto& cut : cuts) source_->add_pending_cut(cut);
    EXPECT_TRUE(source_->start(restored));
  }
  ~Rig() {
    source_->stop();
    source_.reset();
    const auto before = std::chrono::steady_clock::now();
    consumers_.reset();
    EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(2))
        << "closing consumers must not wait for brokers";
  }

  KafkaSource& source() { return *source_; }
  SourceReader& reader(unsigned shard = 0) { return source_->reader(shard); }
  const Clock& clock() const { return clock_; }

  // One turn of every shard; how many records came.
  std::size_t turn() {
    std::size_t count = 0;
    for (unsigned shard = 0; shard < shards_; ++shard) {
      auto& reader = source_->reader(shard);
      std::vector<LaneEvent> news;
      reader.take_events(news);
      for (auto& event : news) on_event(event);
      RawRecord records[1000];
      const std::size_t n = reader.poll(records, 1000);
      const std::int64_t now = clock_.wall_ms();
      for (std::size_t i = 0; i < n; ++i) {
        auto& lane = lanes[keys.at(records[i].lane)];
        EXPECT_TRUE(lane.offsets.empty() || records[i].offset > lane.offsets.back()) << "repeated or out of order";
        EXPECT_GE(lane.added_at, 0) << "a record before its lane was added";
        lane.offsets.push_back(records[i].offset);
        if (keep_values_) lane.values.emplace_back(records[i].value);
        if (watch_delay) {
          auto& delay = longest_delay[keys.at(records[i].lane).cluster];
          delay = std::max(delay, now - records[i].timestamp);
        }
      }
      reader.release();
      count += n;
      total += n;
    }
    return count;
  }

  // Turns until `done`, sleeping on the wake-up descriptors when there is nothing; false when the time is up.
  bool pump(std::chrono::milliseconds limit, const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!done()) {
      if (std::chrono::steady_clock::now() >= end) return false;
      if (turn() > 0) continue;
      std::vector<pollfd> fds;
      for (unsigned shard = 0; shard < shards_; ++shard) fds.push_back({source_->wake_fd(shard), POLLIN, 0});
      ::poll(fds.data(), fds.size(), 20);
    }
    return true;
  }
  void pump_for(std::chrono::milliseconds time) {
    pump(time, [] { return false; });
  }
  // Turns while something slow happens elsewhere, as a shard would.
  void pump_while(const std::function<void()>& slow) {
    std::atomic<bool> over = false;
    std::thread elsewhere([&] {
      slow();
      over = true;
    });
    pump(std::chrono::minutes(2), [&] { return over.load(); });
    elsewhere.join();
  }
  bool pump_total(std::size_t records, std::chrono::milliseconds limit = std::chrono::seconds(20)) {
    return pump(limit, [&] { return total >= records; });
  }

  std::size_t count(LaneEvent::Kind kind) const {
    return static_cast<std::size_t>(
        std::count_if(events.begin(), events.end(), [&](const LaneEvent& e) { return e.kind == kind; }));
  }
  const LaneEvent* last(LaneEvent::Kind kind) const {
    const auto found = std::find_if(events.rbegin(), events.rend(), [&](const LaneEvent& e) { return e.kind == kind; });
    return found == events.rend() ? nullptr : &*found;
  }
  std::size_t records_of(const std::string& cluster) const {
    std::size_t n = 0;
    for (const auto& [key, lane] : lanes) n += key.cluster == cluster ? lane.offsets.size() : 0;
    return n;
  }
  ClusterState state_of(const std::string& cluster) const {
    for (const auto& c : source_->clusters()) {
      if (c.cluster == cluster) return c.state;
    }
    return ClusterState::up;
  }
  // The last state that a reader told.
  ClusterState told_of(const std::string& cluster) const {
    for (auto event = events.rbegin(); event != events.rend(); ++event) {
      if (event->kind == LaneEvent::Kind::cluster_state && event->cluster == cluster) return event->state;
    }
    return ClusterState::up;
  }
  std::vector<LanePosition> positions() {
    std::vector<LanePosition> all;
    for (unsigned shard = 0; shard < shards_; ++shard) source_->reader(shard).positions(all);
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.lane < b.lane; });
    return all;
  }
  // The lane's offsets are exactly [first, first + n).
  static void expect_contiguous(const Seen& lane, std::int64_t first, std::size_t n) {
    ASSERT_EQ(lane.offsets.size(), n);
    for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(lane.offsets[i], first + static_cast<std::int64_t>(i));
  }

  std::map<LaneIndex, LaneKey> keys;
  std::map<LaneKey, Seen> lanes;
  std::vector<LaneEvent> events;
  bool watch_delay = false;
  std::map<std::string, std::int64_t> longest_delay;  // ms from a record's own time to its arrival here, by cluster
  std::size_t total = 0;

 private:
  void on_event(LaneEvent& event) {
    if (event.kind == LaneEvent::Kind::added) {
      keys[event.lane] = event.key;
      lanes[event.key].added_at = event.position;
    }
    events.push_back(std::move(event));
  }

  SystemClock clock_;
  HealthRegistry health_;
  std::unique_ptr<ConsumerSet> consumers_;
  std::unique_ptr<KafkaSource> source_;
  unsigned shards_ = 1;
  const bool keep_values_;
};

}  // namespace twinspan::connectors
