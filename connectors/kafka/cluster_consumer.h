#pragma once
// One librdkafka consumer for one cluster and pipeline (and a second client that only asks questions): manual
// assignment, partition queues forwarded to a queue per (source, shard), and a service thread for what may block:
// metadata, offset look-ups, topic settings. An answer that does not come holds up this cluster's service thread only.
// The handle is kept through outages and never recreated: it resumes by itself without gap or repeat, recreating is the
// risky path (kafka_ha.md, section 0.9). Owned by the ConsumerSet. Thread: any, unless said otherwise. Milliseconds.

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "connectors/kafka/cluster_consumer_set.h"
#include "connectors/kafka/rdkafka_handle.h"

namespace twinspan::connectors {

struct TopicPartition {
  std::string topic;
  std::int32_t partition = 0;
  friend auto operator<=>(const TopicPartition&, const TopicPartition&) = default;
};

struct PartitionInfo {
  std::int32_t partition = 0;
  std::int32_t leader = -1;  // -1: none at this moment
};

inline constexpr std::int64_t kQueryBeginning = RD_KAFKA_OFFSET_BEGINNING;
inline constexpr std::int64_t kQueryEnd = RD_KAFKA_OFFSET_END;  // read_committed: the last stable offset

// `what`: a timestamp in ms (first offset at or after it; answer -1 if there is none), or one of the two above.
struct OffsetQuery {
  TopicPartition at;
  std::int64_t what = kQueryEnd;
  bool answered = false;
  std::int64_t offset = -1;
};

enum class TimestampType : std::uint8_t { unknown, create, log_append };

class ClusterConsumer {
 public:
  // What runs on the service thread, every 20 ms or so. `tick` may block for a second or two.
  class Member {
   public:
    virtual ~Member() = default;
    virtual void tick() = 0;
  };

  static Result<std::unique_ptr<ClusterConsumer>> open(const std::string& pipeline, const ClusterSettings& cluster,
                                                       const ConsumerOptions& options, ClusterHealth& health,
                                                       const Clock& clock);
  ~ClusterConsumer();

  const std::string& cluster() const { return settings_.name; }
  ClusterHealth& health() const { return health_; }
  const ConsumerOptions& options() const { return options_; }
  rd_kafka_t* handle() const { return handle_.get(); }

  void add(Member& member);
  void remove(Member& member);  // returns when no tick of it runs any more

  // Partitions of a topic with their leaders; not_found if the topic does not exist (it is never created).
  Result<std::vector<PartitionInfo>> partitions(const std::string& topic, int timeout_ms);

  // One call per leader, since one leader that is away spoils the whole answer. What could not be asked stays
  // unanswered.
  void look_up(std::vector<OffsetQuery>& queries, int timeout_ms);

  // message.timestamp.type of the topic; unknown if it cannot be asked now. A known answer is kept.
  TimestampType timestamp_type(const std::string& topic, int timeout_ms);

  // The queue of one (source, shard): becomes readable on `wake_fd`. Destroy it before the consumer.
  RdQueue make_queue(int wake_fd);

  // Starts reading at a concrete offset into `queue`. Also used again after release(): the partition's forwarding is
  // lost when its fetcher stops, so it is set again by keep_forwarded().
  void assign(const TopicPartition& at, std::int64_t offset, std::int32_t leader_epoch, rd_kafka_queue_t* queue);
  void keep_forwarded(const TopicPartition& at, rd_kafka_queue_t* queue);
  void release(const TopicPartition& at);  // what is queued of it is dropped by the client from here on
  // Never blocks. What was fetched before is dropped by the client from here on.
  void seek(const TopicPartition& at, std::int64_t offset);

  // Never blocks. Pair them: never the same twice in a row (kafka_ha.md 0.8). Outlives a release and a new assignment.
  void set_paused(const TopicPartition& at, bool paused);

  void cached_watermarks(const TopicPartition& at, std::int64_t* low, std::int64_t* end);

  std::string last_error() const;
  std::int64_t last_answer_ms() const { return last_answer_ms_.load(std::memory_order_relaxed); }  // monotonic; -1 none
  void note_answer();  // a sign of life from the data path

 private:
  ClusterConsumer(ClusterSettings cluster, const ConsumerOptions& options, ClusterHealth& health, const Clock& clock)
      : settings_(std::move(cluster)), cluster_(settings_.name), options_(options), health_(health), clock_(clock) {}
  void serve(std::stop_token stop);
  void on_error(rd_kafka_resp_err_t err, const char* reason);
  RdTopic topic(const std::string& name) const;
  void search_times(std::vector<OffsetQuery>& queries, int timeout_ms);

  const ClusterSettings settings_;
  const std::string& cluster_;  // its name
  const ConsumerOptions options_;
  ClusterHealth& health_;
  const Clock& clock_;
  RdHandle handle_;  // reads
  RdHandle asker_;   // metadata, offset look-ups, topic settings

  mutable std::mutex mutex_;  // the four below
  std::map<TopicPartition, std::int32_t> leaders_;
  std::map<std::string, TimestampType> timestamp_types_;
  std::string last_error_;

  std::mutex members_mutex_;  // held during ticks
  std::vector<Member*> members_;
  std::atomic<std::int64_t> last_answer_ms_ = -1;
  std::jthread service_;
};

}  // namespace twinspan::connectors
