#pragma once
// The lanes of one source on one cluster, as its service thread sees them: which partitions there are, where each
// begins, how far it goes, what to do about a position the broker does not have, and pending cuts before the first
// fetch after an outage. Owned by the KafkaSource. Thread: the consumer's service thread, unless said otherwise.

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "connectors/kafka/cluster_consumer.h"
#include "connectors/kafka/cut_pending.h"
#include "connectors/kafka/kafka_source.h"
#include "connectors/kafka/kafka_source_reader.h"
#include "connectors/kafka/lane_state.h"

namespace twinspan::connectors {

class SourceCluster final : public ClusterConsumer::Member {
 public:
  SourceCluster(const KafkaSourceSettings& settings, unsigned member, ClusterConsumer& consumer, LaneTable& table,
                PendingCuts& cuts, std::vector<KafkaSourceReader*> readers, const Clock& clock);

  // Before the first tick. Thread: control.
  void restore(const LanePosition& position);
  void tick() override;

  // Takes the lane from the client, so that nothing of it is delivered before its cut is resolved. Thread: control.
  void hold_for_cut(SourceLane& lane);
  // Releases every lane. After the last tick. Thread: control.
  void release_all();

  // What a discard needs to know of this cluster's lanes; asks the brokers. Thread: control.
  std::vector<LaneCut> plan(DiscardTarget target, std::int64_t click_ms, int timeout_ms);

  ClusterConsumer& consumer() const { return consumer_; }
  const std::atomic<bool>& settled() const { return settled_; }
  std::string problem() const;  // why lanes are missing; empty if none are. Thread: any.

 private:
  SourceLane& make_lane(const std::string& topic, std::int32_t partition);
  void discover(std::int64_t now);
  void find_starts();
  void place(std::int64_t now);
  void recover();
  void refresh(std::int64_t now);
  void watch_bounds();
  bool resolve_cuts(SourceLane& lane);
  void post(SourceLane& lane, LaneNews::Kind kind, std::int64_t to = 0, std::string detail = {});
  void set_problem(std::string text);
  static TopicPartition at(const SourceLane& lane) { return {lane.key.topic, lane.key.partition}; }

  const KafkaSourceSettings& settings_;
  const unsigned member_;
  ClusterConsumer& consumer_;
  LaneTable& table_;
  PendingCuts& cuts_;
  const std::vector<KafkaSourceReader*> readers_;
  const Clock& clock_;

  std::mutex placing_;  // place() and hold_for_cut() must not cross
  std::vector<SourceLane*> lanes_;
  std::set<std::string> seen_topics_;  // discovered once: a partition that appears later begins at its first offset
  std::atomic<bool> settled_ = false;
  std::int64_t next_discovery_ = 0, next_try_ = 0, next_refresh_ = 0;
  bool retry_soon_ = false;

  mutable std::mutex problem_mutex_;
  std::string problem_;
};

}  // namespace twinspan::connectors
