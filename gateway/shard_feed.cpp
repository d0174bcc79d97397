#include "gateway/shard_feed.h"

#include <algorithm>

#include <fmt/format.h>
#include <boost/json.hpp>

namespace twinspan::gateway {

namespace json = boost::json;

namespace {
constexpr std::size_t kRecordsPerPoll = 1024;
constexpr std::uint64_t kBytesPerPoll = 4u << 20;
constexpr std::int64_t kAdvanceEveryMs = 20;
}  // namespace

Result<RestoredFeed> parse_feed_states(const std::vector<std::string>& states) {
  RestoredFeed out;
  out.watermark = {kMaxTime, kMaxTime};
  for (const std::string& text : states) {
    try {
      const json::value value = json::parse(text);
      const auto& w = value.at("watermark").as_array();
      // A shard that had no lane says nothing about time.
      if (!value.at("lanes").as_array().empty()) {
        out.watermark.firing = std::min(out.watermark.firing, w.at(0).to_number<std::int64_t>());
        out.watermark.retention = std::min(out.watermark.retention, w.at(1).to_number<std::int64_t>());
      }
      for (const auto& l : value.at("lanes").as_array()) {
        RestoredLane lane;
        lane.position.lane = {std::string(l.at("cluster").as_string()), std::string(l.at("topic").as_string()),
                              l.at("partition").to_number<std::int32_t>()};
        lane.position.offset = l.at("offset").to_number<std::int64_t>();
        lane.position.leader_epoch = l.at("leader_epoch").to_number<std::int32_t>();
        lane.max_time = l.at("max_time").to_number<std::int64_t>();
        out.lanes.push_back(std::move(lane));
      }
    } catch (const std::exception& e) {
      return permanent_error(fmt::format("checkpoint holds a source state that cannot be read: {}", e.what()));
    }
  }
  if (out.watermark.firing == kMaxTime) out.watermark = {};
  return out;
}

ShardFeed::ShardFeed(const SourcePlan& plan, connectors::SourceReader& reader,
                     std::unique_ptr<connectors::JsonDecoder> decoder, throttle::TokenBucket& bucket,
                     std::atomic<EventTime>& source_firing, DeadLetterDesk& dead_letters, ErrorCounts& counts,
                     const Clock& clock)
    : plan_(plan),
      reader_(reader),
      decoder_(std::move(decoder)),
      bucket_(bucket),
      source_firing_(source_firing),
      dead_letters_(dead_letters),
      counts_(counts),
      clock_(clock),
      tracker_(plan.watermarks),
      records_(kRecordsPerPoll) {
  if (plan.spec->clusters)
    for (const config::Id& cluster : plan.spec->clusters->names) tracker_.await_cluster(cluster.value);
}

void ShardFeed::restore(const RestoredFeed& restored) {
  tracker_.restore(restored.watermark);
  for (const RestoredLane& l : restored.lanes) restored_max_[l.position.lane] = l.max_time;
}

void ShardFeed::take_events(std::int64_t now_ms) {
  events_.clear();
  reader_.take_events(events_);
  due_ |= !events_.empty();
  for (connectors::LaneEvent& e : events_) {
    using Kind = connectors::LaneEvent::Kind;
    switch (e.kind) {
      case Kind::added: {
        const LaneIndex lane = dead_letters_.know_lane(e.key);
        if (of_source_.size() <= e.lane.value) of_source_.resize(e.lane.value + 1);
        of_source_[e.lane.value] = lane;
        by_key_[e.key] = e.lane;
        lanes_.resize(lane.value + 1);
        lanes_[lane.value] = e.key;
        decoder_->add_lane(lane, e.key);
        const auto known = restored_max_.find(e.key);
        tracker_.add_lane(lane, e.key.cluster, known == restored_max_.end() ? kMinTime : known->second, now_ms);
        const auto state = clusters_.find(e.key.cluster);
        if (state != clusters_.end() && state->second == connectors::ClusterState::down)
          tracker_.cluster_lost(e.key.cluster, now_ms);
        break;
      }
      case Kind::at_end: tracker_.lane_at_end(of_source_.at(e.lane.value), now_ms); break;
      case Kind::cluster_state:
        clusters_[e.cluster] = e.state;
        if (e.state == connectors::ClusterState::down) tracker_.cluster_lost(e.cluster, now_ms);
        if (e.state == connectors::ClusterState::rejoining || e.state == connectors::ClusterState::up)
          tracker_.cluster_rejoining(e.cluster, now_ms);
        break;
      case Kind::lanes_known: tracker_.cluster_known(e.cluster); break;
      case Kind::gap: skipped_.push_back({plan_.id, e.key, e.position, e.to, "gap: " + e.detail, false}); break;
      case Kind::stopped:
        tracker_.remove_lane(of_source_.at(e.lane.value));
        if (stopped_lane_.empty())
          stopped_lane_ =
              fmt::format("lane {}/{}/{} stopped: {}", e.key.cluster, e.key.topic, e.key.partition, e.detail);
        break;
      case Kind::cut:  // also when there was nothing to skip: the cut is no longer pending
        skipped_.push_back(
            {plan_.id, e.key, e.position, std::max(e.position, e.to), "discard at the cluster's return", true});
        break;
    }
  }
}

bool ShardFeed::poll(std::int64_t now_ms, Batch& out) {
  take_events(now_ms);
  const std::int64_t now_ns = now_ms * 1'000'000;
  const throttle::Grant grant = bucket_.acquire(kRecordsPerPoll, kBytesPerPoll, now_ns);
  if (grant.records == 0) {
    if (throttled_since_ < 0) throttled_since_ = now_ms;
    return false;
  }
  if (throttled_since_ >= 0) {
    figures_.throttled_ms.fetch_add(static_cast<std::uint64_t>(now_ms - throttled_since_), std::memory_order_relaxed);
    throttled_since_ = -1;
  }
  const std::size_t n = reader_.poll(records_.data(), std::min<std::size_t>(grant.records, kRecordsPerPoll));
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < n; ++i) {
    bytes += records_[i].key.size() + records_[i].value.size();
    records_[i].lane = of_source_[records_[i].lane.value];
  }
  bucket_.settle(grant, n, bytes);
  take_events(now_ms);
  if (n == 0) return false;
  failures_.clear();
  out = decoder_->decode(records_.data(), n, &plan_.schema, failures_);
  for (const connectors::DecodeFailure& f : failures_) {
    const connectors::RawRecord& r = records_[f.index];
    dead_letters_.record_failed(plan_.on_error, plan_.id, lanes_[r.lane.value], r, f.reason);
  }
  reader_.release();
  figures_.records.fetch_add(n, std::memory_order_relaxed);
  figures_.bytes.fetch_add(bytes, std::memory_order_relaxed);
  figures_.failed.fetch_add(failures_.size(), std::memory_order_relaxed);
  counts_.records.fetch_add(n, std::memory_order_relaxed);
  reject_future_rows(out);
  tracker_.assign(out, now_ms);
  return true;
}

void ShardFeed::reject_future_rows(Batch& batch) {
  const EventTime limit =
      shift(std::max<EventTime>(clock_.wall_ms(), tracker_.watermark().firing), plan_.spec->max_future.count());
  std::uint32_t bad = 0;
  for (std::uint32_t i = 0; i < batch.rows; ++i) bad += batch.time[i] > limit ? 1 : 0;
  if (bad == 0) [[likely]]
    return;
  std::vector<std::uint32_t> good;
  for (std::uint32_t i = 0; i < batch.rows; ++i) {
    if (batch.time[i] <= limit) {
      good.push_back(i);
    } else {
      dead_letters_.row_failed(
          plan_.on_error, plan_.id, batch, i,
          fmt::format("event time {} is more than max_future ahead", timestamp_to_string(batch.time[i])));
    }
  }
  figures_.failed.fetch_add(bad, std::memory_order_relaxed);
  batch = gather(batch, good.data(), static_cast<std::uint32_t>(good.size()), std::make_shared<Arena>());
}

Watermark ShardFeed::watermark(std::int64_t now_ms) {
  if (due_ || now_ms - advanced_at_ >= kAdvanceEveryMs) {
    advanced_at_ = now_ms;
    take_events(now_ms);
    due_ = false;
    tracker_.advance(now_ms);
    const EventTime mine = tracker_.watermark().firing;
    EventTime furthest = source_firing_.load(std::memory_order_relaxed);
    while (mine > furthest && !source_firing_.compare_exchange_weak(furthest, mine, std::memory_order_relaxed)) {
    }
    tracker_.source_is_at(furthest);
  }
  return tracker_.watermark();
}

void ShardFeed::reach(EventTime watermark, const LaneFilter& wanted, std::int64_t now_ms) {
  for (std::uint32_t i = 0; i < lanes_.size(); ++i)
    if (!lanes_[i].topic.empty() && wanted(lanes_[i])) tracker_.reach(LaneIndex(i), watermark, now_ms);
  due_ = true;
}

void ShardFeed::keep_alive(const LaneFilter& wanted, std::int64_t now_ms) {
  for (std::uint32_t i = 0; i < lanes_.size(); ++i)
    if (!lanes_[i].topic.empty() && wanted(lanes_[i])) tracker_.touch(LaneIndex(i), now_ms);
  due_ = true;
}

std::string ShardFeed::barrier_state() {
  std::vector<connectors::LanePosition> positions;
  reader_.positions(positions);
  json::array lanes;
  for (const auto& p : positions) {
    EventTime max_time = kMinTime;
    bool known = false;
    for (std::uint32_t i = 0; i < lanes_.size() && !known; ++i) {
      if (lanes_[i] != p.lane) continue;
      max_time = tracker_.lane_max(LaneIndex(i));
      known = true;
    }
    // A lane of a cluster that has not answered since the start has not been added yet: what was restored stands.
    if (!known) {
      const auto it = restored_max_.find(p.lane);
      if (it != restored_max_.end()) max_time = it->second;
    }
    lanes.push_back({{"cluster", p.lane.cluster},
                     {"topic", p.lane.topic},
                     {"partition", p.lane.partition},
                     {"offset", p.offset},
                     {"leader_epoch", p.leader_epoch},
                     {"max_time", max_time}});
  }
  const Watermark w = tracker_.watermark();
  return json::serialize(json::object{{"watermark", {w.firing, w.retention}}, {"lanes", std::move(lanes)}});
}

SkippedRange ShardFeed::jump(LaneIndex lane, std::int64_t to, const std::string& why) {
  const std::int64_t from = reader_.jump(lane, to);
  const connectors::LaneKey key =
      lane.value < of_source_.size() ? lanes_[of_source_[lane.value].value] : connectors::LaneKey{};
  SkippedRange range{plan_.id, key, from, std::max(from, to), why, false};
  // Taken by the barrier that records the new position, so ledger and checkpoint agree whatever happens in between.
  if (range.to > range.from) skipped_.push_back(range);
  return range;
}

std::vector<ShardFeed::LaneTime> ShardFeed::lane_times() const {
  std::vector<LaneTime> out;
  for (std::uint32_t i = 0; i < lanes_.size(); ++i)
    if (!lanes_[i].topic.empty())
      out.push_back({lanes_[i], tracker_.lane_watermark(LaneIndex(i)), tracker_.lane_idle(LaneIndex(i)),
                     tracker_.lane_counts(LaneIndex(i)), paused_.contains(lanes_[i])});
  return out;
}

void ShardFeed::set_lane_paused(const connectors::LaneKey& lane, bool paused) {
  const auto known = by_key_.find(lane);
  if (known == by_key_.end()) return;  // of another shard
  if (paused ? !paused_.insert(lane).second : paused_.erase(lane) == 0) return;
  reader_.set_paused(known->second, paused);
}

}  // namespace twinspan::gateway
