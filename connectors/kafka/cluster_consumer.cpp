#include "connectors/kafka/cluster_consumer.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "connectors/kafka/cut_time_search.h"

namespace twinspan::connectors {
namespace {

constexpr int kServePollMs = 20;

}  // namespace

ConsumerSet::ConsumerSet(std::string pipeline, ConsumerOptions options, const Clock& clock)
    : pipeline_(std::move(pipeline)), options_(std::move(options)), clock_(clock) {}

ConsumerSet::~ConsumerSet() = default;

Result<ClusterConsumer*> ConsumerSet::get(const ClusterSettings& cluster, ClusterHealth& health) {
  const auto found = consumers_.find(cluster.name);
  if (found != consumers_.end()) return found->second.get();
  TS_TRY(opened, ClusterConsumer::open(pipeline_, cluster, options_, health, clock_));
  return consumers_.emplace(cluster.name, std::move(opened)).first->second.get();
}

Result<std::unique_ptr<ClusterConsumer>> ClusterConsumer::open(const std::string& pipeline,
                                                               const ClusterSettings& cluster,
                                                               const ConsumerOptions& options, ClusterHealth& health,
                                                               const Clock& clock) {
  TS_TRY(conf, make_client_conf(cluster, "source"));
  // Assign mode joins no group and commits nothing; the client only insists on a name.
  TS_TRYV(set_conf(conf, "group.id", "twinspan." + pipeline));
  TS_TRYV(set_conf(conf, "enable.auto.commit", "false"));
  TS_TRYV(set_conf(conf, "enable.auto.offset.store", "false"));
  // Never a silent reset: an offset out of range comes to us.
  TS_TRYV(set_conf(conf, "auto.offset.reset", "error"));
  TS_TRYV(set_conf(conf, "check.crcs", "true"));
  TS_TRYV(set_conf(conf, "enable.partition.eof", "true"));
  TS_TRYV(set_conf(conf, "isolation.level", options.read_committed ? "read_committed" : "read_uncommitted"));
  TS_TRYV(set_conf(conf, "fetch.wait.max.ms", std::to_string(options.fetch_wait_max_ms)));
  // The thresholds hold for a forwarded-to queue as a whole. At one, the client looks again after the back-off (1 s by
  // default, which costs up to 25 x of throughput).
  TS_TRYV(set_conf(conf, "fetch.queue.backoff.ms", "10"));
  TS_TRYV(set_conf(conf, "queued.min.messages", std::to_string(options.prefetch_messages)));
  TS_TRYV(set_conf(conf, "queued.max.messages.kbytes", std::to_string(options.prefetch_kbytes)));
  for (const auto& [name, value] : options.client) TS_TRYV(set_conf(conf, name.c_str(), value));

  std::unique_ptr<ClusterConsumer> consumer(new ClusterConsumer(cluster, options, health, clock));
  rd_kafka_conf_set_opaque(conf.get(), consumer.get());
  rd_kafka_conf_set_error_cb(conf.get(), [](rd_kafka_t*, int err, const char* reason, void* opaque) {
    static_cast<ClusterConsumer*>(opaque)->on_error(static_cast<rd_kafka_resp_err_t>(err), reason);
  });
  TS_TRY(handle, make_client(RD_KAFKA_CONSUMER, std::move(conf), cluster));
  consumer->handle_ = std::move(handle);

  // No group, nothing assigned. On the consumer's own connection an answer would wait behind fetched data: up to a
  // second when far behind, which is when somebody discards lag.
  TS_TRY(asking, make_client_conf(cluster, "ask"));
  TS_TRYV(set_conf(asking, "isolation.level", options.read_committed ? "read_committed" : "read_uncommitted"));
  TS_TRY(asker, make_client(RD_KAFKA_CONSUMER, std::move(asking), cluster));
  consumer->asker_ = std::move(asker);
  rd_kafka_poll_set_consumer(consumer->handle());
  auto* self = consumer.get();
  consumer->service_ = std::jthread([self](std::stop_token stop) { self->serve(stop); });
  return consumer;
}

ClusterConsumer::~ClusterConsumer() = default;  // service_ joins first, then handle_ is reaped

void ClusterConsumer::serve(std::stop_token stop) {
  while (!stop.stop_requested()) {
    // Serves error callbacks. Records never come this way: every partition is forwarded before it is assigned.
    for (int left = 64, wait = kServePollMs; left > 0; --left, wait = 0) {
      const RdMessage message(rd_kafka_consumer_poll(handle(), wait));
      if (!message) break;
      if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        spdlog::error("cluster={} a record of {} [{}] came outside its queue", cluster_,
                      rd_kafka_topic_name(message->rkt), message->partition);
      } else {
        on_error(message->err, rd_kafka_message_errstr(message.get()));
      }
    }
    std::lock_guard lock(members_mutex_);
    for (Member* member : members_) member->tick();
  }
}

void ClusterConsumer::on_error(rd_kafka_resp_err_t err, const char* reason) {
  {
    std::lock_guard lock(mutex_);
    last_error_ = reason != nullptr ? reason : rd_kafka_err2str(err);
  }
  if (is_hard_transport_error(err)) health_.data_failure(reason != nullptr ? reason : rd_kafka_err2name(err));
}

void ClusterConsumer::add(Member& member) {
  std::lock_guard lock(members_mutex_);
  members_.push_back(&member);
}

void ClusterConsumer::remove(Member& member) {
  std::lock_guard lock(members_mutex_);
  std::erase(members_, &member);
}

std::string ClusterConsumer::last_error() const {
  std::lock_guard lock(mutex_);
  return last_error_;
}

void ClusterConsumer::note_answer() {
  last_answer_ms_.store(clock_.monotonic_ms(), std::memory_order_relaxed);
  health_.data_progress();
}

RdTopic ClusterConsumer::topic(const std::string& name) const {
  return RdTopic(rd_kafka_topic_new(asker_.get(), name.c_str(), nullptr));
}

Result<std::vector<PartitionInfo>> ClusterConsumer::partitions(const std::string& name, int timeout_ms) {
  const RdTopic rkt = topic(name);
  if (!rkt) return permanent_error("cluster '" + cluster_ + "': '" + name + "' is no valid topic name");
  const rd_kafka_metadata_t* raw = nullptr;
  const auto err = rd_kafka_metadata(asker_.get(), 0, rkt.get(), &raw, timeout_ms);
  const RdMetadata metadata(raw);
  if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
    return transient_error("cluster '" + cluster_ + "' does not answer: " + error_text(err));
  note_answer();
  std::vector<PartitionInfo> found;
  for (int t = 0; t < metadata->topic_cnt; ++t) {
    const auto& answer = metadata->topics[t];
    if (name != answer.topic) continue;
    if (answer.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
      return not_found_error("topic '" + name + "' does not exist on cluster '" + cluster_ + "'");
    if (answer.err != RD_KAFKA_RESP_ERR_NO_ERROR)
      return transient_error("topic '" + name + "' on cluster '" + cluster_ + "': " + error_text(answer.err));
    for (int p = 0; p < answer.partition_cnt; ++p)
      found.push_back({answer.partitions[p].id, answer.partitions[p].leader});
  }
  if (found.empty()) return not_found_error("topic '" + name + "' does not exist on cluster '" + cluster_ + "'");
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.partition < b.partition; });
  std::lock_guard lock(mutex_);
  for (const auto& p : found) leaders_[{name, p.partition}] = p.leader;
  return found;
}

void ClusterConsumer::look_up(std::vector<OffsetQuery>& queries, int timeout_ms) {
  if (options_.mock && !queries.empty() && queries.front().what >= 0) return search_times(queries, timeout_ms);
  const std::int64_t deadline = clock_.monotonic_ms() + timeout_ms;
  std::map<std::int32_t, std::vector<OffsetQuery*>> by_leader;
  {
    std::lock_guard lock(mutex_);
    for (auto& query : queries) {
      const auto leader = leaders_.find(query.at);
      by_leader[leader == leaders_.end() ? -1 : leader->second].push_back(&query);
    }
  }
  for (auto& [leader, group] : by_leader) {
    // A share for everybody: a leader that does not answer must not use up the time of the others.
    const std::int64_t left = deadline - clock_.monotonic_ms();
    if (left <= 0) return;
    RdPartitions list = make_partitions(static_cast<int>(group.size()));
    for (const OffsetQuery* query : group) {
      rd_kafka_topic_partition_list_add(list.get(), query->at.topic.c_str(), query->at.partition)->offset = query->what;
    }
    const auto share =
        std::max<std::int64_t>(left / static_cast<std::int64_t>(by_leader.size()), std::min<std::int64_t>(left, 300));
    if (rd_kafka_offsets_for_times(asker_.get(), list.get(), static_cast<int>(share)) != RD_KAFKA_RESP_ERR_NO_ERROR)
      continue;
    note_answer();
    for (OffsetQuery* query : group) {
      const auto* answer = rd_kafka_topic_partition_list_find(list.get(), query->at.topic.c_str(), query->at.partition);
      // A look-up that finds nothing answers END (-1).
      if (answer == nullptr || answer->err != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
      // An entry the client did not fill in still holds the question.
      if (query->what > 0 && answer->offset == query->what) continue;
      query->answered = answer->offset >= 0 || query->what >= 0;
      query->offset = answer->offset >= 0 ? answer->offset : -1;
    }
  }
}

// All of `queries` ask for times.
void ClusterConsumer::search_times(std::vector<OffsetQuery>& queries, int timeout_ms) {
  std::vector<OffsetQuery> low, end;
  for (const auto& query : queries) {
    low.push_back({query.at, kQueryBeginning});
    end.push_back({query.at, kQueryEnd});
  }
  look_up(low, timeout_ms);
  look_up(end, timeout_ms);
  std::vector<TimeSearch> searches;
  std::vector<OffsetQuery*> asked;
  for (std::size_t i = 0; i < queries.size(); ++i) {
    if (!low[i].answered || !end[i].answered) continue;
    searches.push_back({queries[i].at, queries[i].what, low[i].offset, end[i].offset});
    asked.push_back(&queries[i]);
  }
  search_by_time(settings_, searches, timeout_ms);
  for (std::size_t i = 0; i < asked.size(); ++i) {
    asked[i]->answered = searches[i].found;
    asked[i]->offset = searches[i].offset;
  }
}

TimestampType ClusterConsumer::timestamp_type(const std::string& name, int timeout_ms) {
  if (options_.mock) return TimestampType::create;
  {
    std::lock_guard lock(mutex_);
    if (const auto known = timestamp_types_.find(name); known != timestamp_types_.end()) return known->second;
  }
  const std::unique_ptr<rd_kafka_AdminOptions_t, RdDestroy<rd_kafka_AdminOptions_destroy>> options(
      rd_kafka_AdminOptions_new(asker_.get(), RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS));
  std::array<char, 256> why{};
  rd_kafka_AdminOptions_set_request_timeout(options.get(), timeout_ms, why.data(), why.size());
  const std::unique_ptr<rd_kafka_ConfigResource_t, RdDestroy<rd_kafka_ConfigResource_destroy>> resource(
      rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name.c_str()));
  const RdQueue queue(rd_kafka_queue_new(asker_.get()));
  rd_kafka_ConfigResource_t* asked[] = {resource.get()};
  rd_kafka_DescribeConfigs(asker_.get(), asked, 1, options.get(), queue.get());
  const RdEvent event(rd_kafka_queue_poll(queue.get(), timeout_ms));
  const auto* result = event ? rd_kafka_event_DescribeConfigs_result(event.get()) : nullptr;
  if (result == nullptr || rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR)
    return TimestampType::unknown;
  std::size_t count = 0;
  const auto** resources = rd_kafka_DescribeConfigs_result_resources(result, &count);
  TimestampType type = TimestampType::unknown;
  for (std::size_t r = 0; r < count; ++r) {
    // Without the right to look, a cut goes by offset, which is always safe.
    if (rd_kafka_ConfigResource_error(resources[r]) == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
      type = TimestampType::create;
    std::size_t entries = 0;
    const auto** entry = rd_kafka_ConfigResource_configs(resources[r], &entries);
    for (std::size_t e = 0; e < entries; ++e) {
      if (std::strcmp(rd_kafka_ConfigEntry_name(entry[e]), "message.timestamp.type") != 0) continue;
      const char* value = rd_kafka_ConfigEntry_value(entry[e]);
      type = value != nullptr && std::strcmp(value, "LogAppendTime") == 0 ? TimestampType::log_append
                                                                          : TimestampType::create;
    }
  }
  if (type == TimestampType::unknown) return type;
  std::lock_guard lock(mutex_);
  return timestamp_types_[name] = type;
}

RdQueue ClusterConsumer::make_queue(int wake_fd) {
  RdQueue queue(rd_kafka_queue_new(handle()));
  static const std::uint64_t kOne = 1;
  rd_kafka_queue_io_event_enable(queue.get(), wake_fd, &kOne, sizeof kOne);
  return queue;
}

void ClusterConsumer::keep_forwarded(const TopicPartition& at, rd_kafka_queue_t* queue) {
  const RdQueue partition(rd_kafka_queue_get_partition(handle(), at.topic.c_str(), at.partition));
  // What is in the partition's own queue moves along, in order.
  if (partition) rd_kafka_queue_forward(partition.get(), queue);
}

void ClusterConsumer::assign(const TopicPartition& at, std::int64_t offset, std::int32_t leader_epoch,
                             rd_kafka_queue_t* queue) {
  // A topic that the client learns of by an assignment waits for its leader until a timer of one second comes round;
  // this one, if the topic is new to it, asks at once (and does not wait for the answer).
  const RdTopic announced(rd_kafka_topic_new(handle(), at.topic.c_str(), nullptr));
  // Forwarding by the application sticks to the partition: the client's own queue never gets its records, also not
  // after a release, when they wait in the partition's queue for keep_forwarded().
  keep_forwarded(at, queue);
  RdPartitions list = make_partitions(1);
  auto* partition = rd_kafka_topic_partition_list_add(list.get(), at.topic.c_str(), at.partition);
  partition->offset = offset;
  if (leader_epoch >= 0) rd_kafka_topic_partition_set_leader_epoch(partition, leader_epoch);
  const RdError error(rd_kafka_incremental_assign(handle(), list.get()));
  if (error)
    spdlog::error("cluster={} cannot read {} [{}]: {}", cluster_, at.topic, at.partition,
                  rd_kafka_error_string(error.get()));
  keep_forwarded(at, queue);
}

void ClusterConsumer::release(const TopicPartition& at) {
  RdPartitions list = make_partitions(1);
  rd_kafka_topic_partition_list_add(list.get(), at.topic.c_str(), at.partition);
  const RdError error(rd_kafka_incremental_unassign(handle(), list.get()));
}

void ClusterConsumer::seek(const TopicPartition& at, std::int64_t offset) {
  RdPartitions list = make_partitions(1);
  rd_kafka_topic_partition_list_add(list.get(), at.topic.c_str(), at.partition)->offset = offset;
  const RdError error(rd_kafka_seek_partitions(handle(), list.get(), 0));
}

void ClusterConsumer::set_paused(const TopicPartition& at, bool paused) {
  RdPartitions list = make_partitions(1);
  rd_kafka_topic_partition_list_add(list.get(), at.topic.c_str(), at.partition);
  if (paused)
    rd_kafka_pause_partitions(handle(), list.get());
  else
    rd_kafka_resume_partitions(handle(), list.get());
}

void ClusterConsumer::cached_watermarks(const TopicPartition& at, std::int64_t* low, std::int64_t* end) {
  *low = *end = -1;
  if (rd_kafka_get_watermark_offsets(handle(), at.topic.c_str(), at.partition, low, end) != RD_KAFKA_RESP_ERR_NO_ERROR)
    *low = *end = -1;
}

}  // namespace twinspan::connectors
