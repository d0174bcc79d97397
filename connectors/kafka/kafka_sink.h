#pragma once
// The failover sink: one topic on one or two clusters, at least once. Every record has an identity (header twinspan-id
// =
// "<unit>/<sink>/<incarnation>.<shard>/<sequence>") that no resend changes, so a reader of both topics can drop
// repeats.
//
// A thread of the sink takes delivery reports, asks the route (route.h) and moves the output: the new generation is
// made durable first (persist_route), the old producer is purged and never used again, everything unacknowledged goes
// to the other cluster in order. Per key order holds within a route generation. Nothing times out: a record waits until
// a cluster takes it, and the shard is held back by has_room().
//
// Owned by the pipeline; health monitors and clock outlive it. Threads as in connectors/sink.h.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "connectors/kafka/cluster_health.h"
#include "connectors/kafka/cluster_producer.h"
#include "connectors/kafka/cluster_settings.h"
#include "connectors/kafka/kafka_sink_writer.h"
#include "connectors/kafka/route.h"
#include "connectors/sink.h"
#include "engine/base/clock.h"

namespace spdlog {
class logger;
}

namespace twinspan::connectors {

struct KafkaSinkSettings {
  struct Member {
    ClusterSettings cluster;
    std::string topic;                // as it is called on this cluster
    ClusterHealth* health = nullptr;  // borrowed
  };
  std::string name, unit;
  std::uint64_t incarnation = 0;
  std::vector<Member> clusters;  // one or two; the first is the primary
  unsigned shards = 1;
  std::size_t max_unacknowledged_bytes = 16u << 20;  // of one shard; deeper queues fall out of the cache and cost more
  RouteRules route;
  ProducerTuning producer;

  std::string restored_cluster;  // active at the checkpoint; empty = the primary
  std::uint64_t restored_generation = 0;

  // Must make the generation durable before it returns: the first record goes to `cluster` only then. An error is tried
  // again. On the sink's thread; must not wait for this sink. Empty = nothing to keep.
  std::function<Status(std::uint64_t generation, const std::string& cluster)> persist_route;
  RejectedRecord rejected;
  std::shared_ptr<spdlog::logger> log;  // of the pipeline; nullptr = the process's
};

class KafkaSink final : public Sink {
 public:
  // Config error: a client setting that is refused. A restored cluster that is not configured any more: the primary.
  static Result<std::unique_ptr<KafkaSink>> make(KafkaSinkSettings settings, const Clock& clock);
  ~KafkaSink() override;

  Status start() override;
  SinkWriter& writer(unsigned shard) override;
  SinkStatus status() const override;
  std::uint64_t route_generation() const override;
  Status flush(int timeout_ms) override;
  void stop() override;

  // Moves the output by hand and keeps it there; an empty name gives the route back to its rules. Thread: any.
  Status force_route(const std::string& cluster);

 private:
  struct Impl;
  explicit KafkaSink(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace twinspan::connectors
