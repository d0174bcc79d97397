#include "connectors/kafka/kafka_source_reader.h"

#include <algorithm>
#include <cstring>

namespace twinspan::connectors {
namespace {

constexpr std::size_t kMostAtOnce = 1'000;
constexpr std::int64_t kHealthEveryMs = 20;

}  // namespace

KafkaSourceReader::~KafkaSourceReader() {
  next_ = messages_.size();
  release();
}

void KafkaSourceReader::connect(ClusterConsumer& consumer, const std::atomic<bool>& settled) {
  auto feed = std::make_unique<Feed>();
  feed->consumer = &consumer;
  feed->settled = &settled;
  feed->queue = consumer.make_queue(inbox_.wake_fd());
  feed->view = ReadmissionView(readmit_after_ms_);
  feeds_.push_back(std::move(feed));
}

void KafkaSourceReader::raise(LaneEvent::Kind kind, const SourceLane& lane, std::int64_t position, std::int64_t to,
                              std::string detail) {
  LaneEvent event;
  event.kind = kind;
  event.lane = lane.index;
  event.key = lane.key;
  event.cluster = lane.key.cluster;
  event.position = position;
  event.to = to;
  event.state = feeds_[lane.member]->state;
  event.detail = std::move(detail);
  events_.push_back(std::move(event));
  if (kind == LaneEvent::Kind::added || kind == LaneEvent::Kind::gap || kind == LaneEvent::Kind::cut)
    ordered_event_waits_ = true;
}

void KafkaSourceReader::apply(LaneNews& news) {
  SourceLane& lane = *news.lane;
  const std::int64_t position = lane.position.load(std::memory_order_relaxed);
  switch (news.kind) {
    case LaneNews::Kind::added: {
      Feed& feed = *feeds_[lane.member];
      auto topic = std::find_if(feed.topics.begin(), feed.topics.end(),
                                [&](const Topic& t) { return t.name == lane.key.topic; });
      if (topic == feed.topics.end()) {
        RdTopic handle(rd_kafka_topic_new(feed.consumer->handle(), lane.key.topic.c_str(), nullptr));
        topic = feed.topics.insert(topic, Topic{std::move(handle), lane.key.topic, {}});
      }
      const auto slot = static_cast<std::size_t>(lane.key.partition);
      if (topic->by_partition.size() <= slot) topic->by_partition.resize(slot + 1);
      topic->by_partition[slot] = &lane;
      lanes_.push_back(&lane);
      raise(LaneEvent::Kind::added, lane, position, position, {});
      return;
    }
    case LaneNews::Kind::gap:
      // Beyond it by a jump already: nothing is missing. Behind us: the log was truncated or begun anew.
      if (news.to == position) return;
      lane.at_end.store(false, std::memory_order_relaxed);
      lane.position.store(news.to, std::memory_order_relaxed);
      lane.leader_epoch.store(-1, std::memory_order_relaxed);
      raise(LaneEvent::Kind::gap, lane, position, news.to, std::move(news.detail));
      return;
    case LaneNews::Kind::cut: {
      const std::int64_t to = std::max(position, news.to);
      lane.position.store(to, std::memory_order_relaxed);
      raise(LaneEvent::Kind::cut, lane, position, to, std::move(news.detail));
      cuts_.applied(lane.key);
      return;
    }
    case LaneNews::Kind::stopped:
      lane.halted = true;
      raise(LaneEvent::Kind::stopped, lane, position, news.to, std::move(news.detail));
      return;
    case LaneNews::Kind::at_end:
      if (news.to != position || lane.halted) return;
      lane.at_end.store(true, std::memory_order_relaxed);
      raise(LaneEvent::Kind::at_end, lane, position, position, {});
      return;
  }
}

void KafkaSourceReader::drain_inbox() {
  if (!inbox_.waiting()) return;
  inbox_.take(news_);
  for (auto& news : news_) apply(news);
}

void KafkaSourceReader::look_at_health() {
  const std::int64_t now = clock_.monotonic_ms();
  if (now < next_health_look_) return;
  next_health_look_ = now + kHealthEveryMs;
  for (auto& feed : feeds_) {
    const HealthSnapshot health = feed->consumer->health().snapshot();
    const ClusterState state = feed->view.look(health.state, health.healthy_since_ms, now);
    if (state == feed->state) continue;
    feed->state = state;
    LaneEvent event;
    event.kind = LaneEvent::Kind::cluster_state;
    event.cluster = feed->consumer->cluster();
    event.state = state;
    event.detail = health.last_error;
    events_.push_back(std::move(event));
  }
}

SourceLane* KafkaSourceReader::lane_of(Feed& feed, const rd_kafka_message_t& message) {
  for (auto& topic : feed.topics) {
    if (topic.handle.get() != message.rkt) continue;
    const auto slot = static_cast<std::size_t>(message.partition);
    return slot < topic.by_partition.size() ? topic.by_partition[slot] : nullptr;
  }
  if (message.rkt == nullptr) return nullptr;
  const char* name = rd_kafka_topic_name(message.rkt);
  for (auto& topic : feed.topics) {
    if (topic.name != name) continue;
    const auto slot = static_cast<std::size_t>(message.partition);
    return slot < topic.by_partition.size() ? topic.by_partition[slot] : nullptr;
  }
  return nullptr;
}

void KafkaSourceReader::on_client_error(const rd_kafka_message_t& message, SourceLane& lane) {
  switch (message.err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF: {
      // Also moves over control records of transactions at the end, which are never delivered.
      const std::int64_t bound = bounded_ ? lane.bound.load(std::memory_order_relaxed) : -1;
      const std::int64_t end = bound >= 0 ? std::min<std::int64_t>(message.offset, bound) : message.offset;
      if (end < lane.position.load(std::memory_order_relaxed)) return;
      lane.position.store(end, std::memory_order_relaxed);
      lane.at_end.store(true, std::memory_order_relaxed);
      raise(LaneEvent::Kind::at_end, lane, end, end, {});
      return;
    }
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET: lane.out_of_range.store(true, std::memory_order_release); return;
    default: lane.set_note(error_text(message.err)); return;
  }
}

std::size_t KafkaSourceReader::deliver(RawRecord* out, std::size_t max) {
  std::size_t count = 0;
  SourceLane* lane = nullptr;
  const rd_kafka_topic_t* lane_topic = nullptr;
  std::int32_t lane_partition = -1;
  std::int64_t position = 0, bound = -1;
  const rd_kafka_message_t* last = nullptr;

  // Positions are kept in registers while records of one lane follow each other, as they do in a fetch.
  const auto put_down = [&] {
    if (lane == nullptr) return;
    lane->position.store(position, std::memory_order_relaxed);
    if (last == nullptr) return;
    lane->at_end.store(false, std::memory_order_relaxed);
    lane->leader_epoch.store(rd_kafka_message_leader_epoch(last), std::memory_order_relaxed);
    last = nullptr;
  };
  for (; next_ < messages_.size() && count < max; ++next_) {
    const rd_kafka_message_t* message = messages_[next_];
    if (lane == nullptr || message->rkt != lane_topic || message->partition != lane_partition) {
      put_down();
      lane = lane_of(*batch_feed_, *message);
      lane_topic = message->rkt;
      lane_partition = message->partition;
      if (lane != nullptr) {
        position = lane->position.load(std::memory_order_relaxed);
        bound = bounded_ ? lane->bound.load(std::memory_order_relaxed) : -1;
      }
    }
    if (lane == nullptr || lane->halted) continue;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) [[unlikely]] {
      put_down();
      on_client_error(*message, *lane);
      position = lane->position.load(std::memory_order_relaxed);
      continue;
    }
    // Before the position: fetched before a jump, or again after a seek to a place that was passed meanwhile.
    if (message->offset < position) continue;
    if (bound >= 0 && message->offset >= bound) {
      position = std::max(position, bound);
      continue;
    }
    RawRecord& record = out[count++];
    record.lane = lane->index;
    record.offset = message->offset;
    record.timestamp = rd_kafka_message_timestamp(message, nullptr);
    record.has_key = message->key != nullptr;
    record.key = record.has_key ? std::string_view(static_cast<const char*>(message->key), message->key_len)
                                : std::string_view();
    record.has_value = message->payload != nullptr;
    record.value = record.has_value ? std::string_view(static_cast<const char*>(message->payload), message->len)
                                    : std::string_view();
    position = message->offset + 1;
    last = message;
  }
  put_down();
  if (count > 0) batch_feed_->last_record_ms.store(clock_.monotonic_ms(), std::memory_order_relaxed);
  return count;
}

std::size_t KafkaSourceReader::poll(RawRecord* out, std::size_t max) {
  release();
  look_at_health();
  drain_inbox();
  if (ordered_event_waits_ || max == 0) return 0;
  if (!messages_.empty()) {  // held back for an event
    const std::size_t count = deliver(out, max);
    if (count > 0) return count;
    release();
  }
  max = std::min(max, kMostAtOnce);
  for (int round = 0; round < 2; ++round) {
    for (std::size_t i = 0; i < feeds_.size(); ++i) {
      batch_feed_ = feeds_[next_feed_].get();
      next_feed_ = (next_feed_ + 1) % feeds_.size();
      messages_.resize(max);
      const auto taken = rd_kafka_consume_batch_queue(batch_feed_->queue.get(), 0, messages_.data(), max);
      messages_.resize(taken > 0 ? static_cast<std::size_t>(taken) : 0);
      if (messages_.empty()) continue;
      // News posted before a record was fetched are in the inbox by now: they come first.
      drain_inbox();
      if (ordered_event_waits_) return 0;
      const std::size_t count = deliver(out, max);
      if (count > 0) return count;
      release();
      if (!events_.empty()) return 0;
    }
    // Everything is empty: arm the wake-up, then look once more.
    if (round == 0) inbox_.drain_wake();
  }
  if (inbox_.waiting()) inbox_.wake();
  return 0;
}

void KafkaSourceReader::release() {
  for (std::size_t i = 0; i < next_; ++i) rd_kafka_message_destroy(messages_[i]);
  messages_.erase(messages_.begin(), messages_.begin() + static_cast<std::ptrdiff_t>(next_));
  next_ = 0;
}

void KafkaSourceReader::look_for_settled() {
  for (auto& feed : feeds_) {
    if (feed->told_settled || !feed->settled->load(std::memory_order_acquire)) continue;
    feed->told_settled = true;
    drain_inbox();  // the lanes themselves come first
    LaneEvent event;
    event.kind = LaneEvent::Kind::lanes_known;
    event.cluster = feed->consumer->cluster();
    events_.push_back(std::move(event));
  }
}

void KafkaSourceReader::take_events(std::vector<LaneEvent>& out) {
  look_for_settled();
  look_at_health();
  drain_inbox();
  for (auto& event : events_) {
    // An end that records have passed since is none.
    if (event.kind == LaneEvent::Kind::at_end) {
      const auto lane =
          std::find_if(lanes_.begin(), lanes_.end(), [&](const SourceLane* l) { return l->index == event.lane; });
      if (lane == lanes_.end() || (*lane)->position.load(std::memory_order_relaxed) != event.position) continue;
    }
    out.push_back(std::move(event));
  }
  events_.clear();
  ordered_event_waits_ = false;
}

void KafkaSourceReader::positions(std::vector<LanePosition>& out) const {
  for (const SourceLane* lane : lanes_) {
    out.push_back({lane->key, lane->position.load(std::memory_order_relaxed),
                   lane->leader_epoch.load(std::memory_order_relaxed)});
  }
  out.insert(out.end(), kept_.begin(), kept_.end());
}

std::int64_t KafkaSourceReader::jump(LaneIndex index, std::int64_t to) {
  const auto found = std::find_if(lanes_.begin(), lanes_.end(), [&](const SourceLane* l) { return l->index == index; });
  if (found == lanes_.end()) return to;
  SourceLane& lane = **found;
  const std::int64_t from = lane.position.load(std::memory_order_relaxed);
  if (to <= from) return from;
  lane.position.store(to, std::memory_order_seq_cst);
  lane.leader_epoch.store(-1, std::memory_order_relaxed);
  lane.at_end.store(false, std::memory_order_relaxed);
  // A lane that is not being read is assigned at its position later. The other order of the two steps: see place().
  if (lane.phase.load(std::memory_order_seq_cst) == LanePhase::reading) {
    feeds_[lane.member]->consumer->seek({lane.key.topic, lane.key.partition}, to);
  }
  return from;
}

void KafkaSourceReader::set_paused(LaneIndex index, bool paused) {
  const auto found = std::find_if(lanes_.begin(), lanes_.end(), [&](const SourceLane* l) { return l->index == index; });
  if (found == lanes_.end() || (*found)->paused == paused) return;
  SourceLane& lane = **found;
  lane.paused = paused;
  feeds_[lane.member]->consumer->set_paused({lane.key.topic, lane.key.partition}, paused);
}

bool KafkaSourceReader::ended() const {
  if (!bounded_) return false;
  for (const auto& feed : feeds_) {
    if (!feed->settled->load(std::memory_order_acquire)) return false;
  }
  if (inbox_.waiting() || ordered_event_waits_ || !messages_.empty()) return false;
  return std::all_of(lanes_.begin(), lanes_.end(), [](const SourceLane* lane) {
    return lane->halted || (lane->bound.load() >= 0 && lane->position.load() >= lane->bound.load());
  });
}

}  // namespace twinspan::connectors
