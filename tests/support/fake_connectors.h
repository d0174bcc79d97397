#pragma once
// Two clusters without brokers, for tests of a whole pipeline: a FakeWorld holds the logs of all lanes, the state of
// every cluster and what sinks delivered, and outlives the pipelines that run on it, as real clusters do.
// FakeConnectors makes sources and sinks on it that keep the contracts of connectors/source.h and sink.h. What a sink
// has written but not acknowledged when its pipeline goes is lost, as in a producer's queue. Owned by the test. Thread:
// any (one lock).

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "engine/base/clock.h"
#include "gateway/connector_factory.h"

namespace twinspan::testing {

struct FakeRecord {
  std::int64_t timestamp = 0;
  std::string key, value;
};

// One record that a sink's cluster has acknowledged.
struct Delivered {
  std::string sink, cluster, unit, key, value;
  std::uint64_t incarnation = 0, sequence = 0;
  unsigned shard = 0;
  std::int64_t timestamp = -1;
  bool has_key = false, has_value = true;
  std::map<std::string, std::string> headers;
};

class FakeWorld {
  template <class F>
  auto with(F f) const {
    std::lock_guard lock(mutex_);
    return f();
  }

 public:
  explicit FakeWorld(const Clock& clock, std::uint32_t seed = 1) : clock_(clock), random_(seed) {}

  // --- sources ---
  void create(const std::string& cluster, const std::string& topic, int partitions);
  std::int64_t push(const connectors::LaneKey& lane, FakeRecord record);  // its offset
  void set_state(const std::string& cluster, connectors::ClusterState state);
  void retain_from(const connectors::LaneKey& lane,
                   std::int64_t offset);  // older records are gone: a gap for who stands before
  void set_batch(std::size_t records) {
    with([&] { batch_ = records; });
  }  // largest poll; 0 = random
  // At most so many more records leave the lane, so that a test decides how far a pipeline gets. -1: no limit.
  void limit(const connectors::LaneKey& lane, std::int64_t up_to);
  std::int64_t end(const connectors::LaneKey& lane) const;
  std::int64_t position(const connectors::LaneKey& lane) const;  // of the reader now, or the last one
  bool drained() const;  // the readers stand at the end of every lane of a cluster that is not down
  std::uint64_t read(const connectors::LaneKey& lane, std::int64_t offset) const;  // how often it was handed out

  // --- sinks ---
  void cork(const std::string& sink, bool corked);   // nothing is acknowledged while corked
  void close(const std::string& sink, bool closed);  // has_room() is false
  void refuse(const std::string& sink, std::function<bool(const std::string& value)> refused);
  void switch_route(const std::string& sink, const std::string& cluster);
  void acknowledge_slowly(bool slowly) {
    with([&] { slowly_ = slowly; });
  }  // a random part of what waits, a step
  std::vector<Delivered> delivered(const std::string& sink) const;
  std::size_t delivered_count(const std::string& sink) const;
  std::size_t waiting(const std::string& sink) const;  // written, not acknowledged
  gateway::SinkRequest last_request(const std::string& sink) const;

 private:
  friend class FakeSource;
  friend class FakeReader;
  friend class FakeSink;
  friend class FakeWriter;
  struct Lane {
    std::vector<std::shared_ptr<const FakeRecord>> log;
    std::vector<std::uint64_t> read;
    std::int64_t low = 0, position = -1, limit = -1;
    std::int64_t end_seen = -1;  // when its cluster was last seen; what a cut of a lost cluster goes by
  };
  struct SinkState {
    bool corked = false, closed = false;
    std::function<bool(const std::string&)> refused;
    std::string route;  // asked for; empty: stay
    std::vector<Delivered> delivered;
    std::size_t waiting = 0;
    gateway::SinkRequest request;
  };
  connectors::ClusterState state(const std::string& cluster) const;  // under mutex_

  const Clock& clock_;
  mutable std::mutex mutex_;
  std::mt19937 random_;
  std::map<connectors::LaneKey, Lane> lanes_;
  std::map<std::string, connectors::ClusterState> states_;
  std::map<std::string, std::int64_t> since_;
  std::map<std::string, SinkState> sinks_;
  std::size_t batch_ = 0;
  bool slowly_ = false;
};

class FakeConnectors final : public gateway::ConnectorFactory {
 public:
  explicit FakeConnectors(FakeWorld& world) : world_(world) {}
  Result<std::unique_ptr<connectors::Source>> make_source(const gateway::SourceRequest& request) override;
  Result<std::unique_ptr<connectors::Sink>> make_sink(const gateway::SinkRequest& request) override;
  void pipeline_stopped(const std::string&) override {}

 private:
  FakeWorld& world_;
};

}  // namespace twinspan::testing
