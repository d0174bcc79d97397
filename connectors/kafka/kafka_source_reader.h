#pragma once
// One shard's view of a Kafka source: takes batches from the client queues of all clusters (timeout 0, in turn) and
// moves the positions. Owned by the KafkaSource. Thread: shard; only the constructor, connect() and inbox() belong to
// others.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "connectors/kafka/cluster_consumer.h"
#include "connectors/kafka/cluster_health_machine.h"
#include "connectors/kafka/cut_pending.h"
#include "connectors/kafka/lane_state.h"
#include "connectors/source.h"

namespace twinspan::connectors {

class KafkaSourceReader final : public SourceReader {
 public:
  KafkaSourceReader(const Clock& clock, PendingCuts& cuts, std::int64_t readmit_after_ms, bool bounded)
      : clock_(clock), cuts_(cuts), readmit_after_ms_(readmit_after_ms), bounded_(bounded) {}
  ~KafkaSourceReader() override;

  // Before start(), once per cluster and in the order of SourceLane::member. `settled` becomes true when every lane of
  // the cluster has been posted (bounded runs only end after that). Thread: control.
  void connect(ClusterConsumer& consumer, const std::atomic<bool>& settled);
  LaneInbox& inbox() { return inbox_; }
  rd_kafka_queue_t* queue(unsigned member) const { return feeds_[member]->queue.get(); }

  std::size_t poll(RawRecord* out, std::size_t max) override;
  void release() override;
  void take_events(std::vector<LaneEvent>& out) override;
  void positions(std::vector<LanePosition>& out) const override;
  std::int64_t jump(LaneIndex lane, std::int64_t to) override;
  void set_paused(LaneIndex lane, bool paused) override;
  bool ended() const override;

  // Positions to repeat at every barrier without being lanes: of clusters that left the configuration.
  void keep(LanePosition position) { kept_.push_back(std::move(position)); }

  // Monotonic ms of the last record of a cluster; -1 none. Thread: any.
  std::int64_t last_record_ms(unsigned member) const {
    return feeds_[member]->last_record_ms.load(std::memory_order_relaxed);
  }

 private:
  struct Topic {
    RdTopic handle;  // held, so that the pointer in a record means this topic for ever
    std::string name;
    std::vector<SourceLane*> by_partition;
  };
  struct Feed {
    ClusterConsumer* consumer = nullptr;
    const std::atomic<bool>* settled = nullptr;
    bool told_settled = false;
    RdQueue queue;
    std::vector<Topic> topics;
    ReadmissionView view{0};
    ClusterState state = ClusterState::up;
    std::atomic<std::int64_t> last_record_ms = -1;
  };

  void drain_inbox();
  void apply(LaneNews& news);
  void look_at_health();
  std::size_t deliver(RawRecord* out, std::size_t max);
  void on_client_error(const rd_kafka_message_t& message, SourceLane& lane);
  SourceLane* lane_of(Feed& feed, const rd_kafka_message_t& message);
  void look_for_settled();
  void raise(LaneEvent::Kind kind, const SourceLane& lane, std::int64_t position, std::int64_t to, std::string detail);

  const Clock& clock_;
  PendingCuts& cuts_;
  const std::int64_t readmit_after_ms_;
  const bool bounded_;
  LaneInbox inbox_;
  std::vector<std::unique_ptr<Feed>> feeds_;
  std::vector<SourceLane*> lanes_;
  std::vector<LanePosition> kept_;

  std::vector<rd_kafka_message_t*> messages_;  // of the last consume call
  std::size_t next_ = 0;  // of messages_: those before are delivered, the rest waits for the next poll
  Feed* batch_feed_ = nullptr;
  std::size_t next_feed_ = 0;
  std::vector<LaneEvent> events_;
  bool ordered_event_waits_ = false;  // added, gap or cut in events_
  std::vector<LaneNews> news_;        // scratch
  std::int64_t next_health_look_ = 0;
};

}  // namespace twinspan::connectors
