#pragma once
// One logical topic on one or two Kafka clusters: the union of all lanes, each read from our own position. Both
// clusters are equal; what happens to one (refused, frozen, topic missing, position out of range) never reaches the
// other's lanes. Unreachable clusters and missing topics are waited for: status says why, nothing crashes or restarts.
//
// Owned by the pipeline; its ConsumerSet and HealthRegistry outlive it. Threads as in connectors/source.h.
// Lanes belong to shards by hash(lane) mod shards.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "connectors/kafka/cluster_consumer_set.h"
#include "connectors/kafka/cluster_settings.h"
#include "connectors/kafka/watchdog.h"
#include "connectors/source.h"
#include "engine/base/clock.h"

namespace spdlog {
class logger;
}

namespace twinspan::connectors {

struct KafkaSourceSettings {
  struct Member {
    ClusterSettings cluster;
    std::vector<std::string> topics;  // as they are called on this cluster
  };

  // Where a lane begins that has no position yet. Resolved once, to an offset, when the cluster is first reached. A
  // partition that appears later begins at its first offset.
  enum class Start : std::uint8_t { latest, earliest, timestamp };

  // A position that the broker does not have any more. skip: go on at the nearest offset it has; earliest: at its
  // first.
  enum class OnGap : std::uint8_t { fail, skip, earliest };

  std::string name;
  std::vector<Member> clusters;
  Start start = Start::latest;
  std::int64_t start_ms = 0;  // Start::timestamp, wall
  OnGap on_gap = OnGap::fail;
  std::int64_t readmit_after_ms = 5'000;
  std::int64_t discover_every_ms = 3'000;
  bool bounded = false;  // up to the end offsets of the moment a lane is first reached (read_committed: last stable)
  unsigned shards = 1;
  std::shared_ptr<spdlog::logger> log;  // of the pipeline; nullptr = the process's
};

class KafkaSource final : public Source {
 public:
  // Opens the clients; refused settings are errors, unreachable clusters are not. `clock` outlives the source.
  static Result<std::unique_ptr<KafkaSource>> make(KafkaSourceSettings settings, ConsumerSet& consumers,
                                                   HealthRegistry& health, const Clock& clock);
  ~KafkaSource() override;

  Status start(const std::vector<LanePosition>& restored) override;
  SourceReader& reader(unsigned shard) override;
  int wake_fd(unsigned shard) const override;
  std::vector<LaneStatus> lanes() const override;
  std::vector<ClusterStatus> clusters() const override;
  Result<std::vector<LaneCut>> plan_discard(DiscardTarget target, int timeout_ms) override;
  void add_pending_cut(const LaneCut& cut) override;
  std::vector<LaneCut> pending_cuts() const override;
  void stop() override;

 private:
  struct Impl;
  explicit KafkaSource(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace twinspan::connectors
