#include "connectors/kafka/kafka_source_cluster.h"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace twinspan::connectors {
namespace {

constexpr int kMetadataMs = 1'000;
constexpr int kLookUpMs = 1'500;
constexpr std::int64_t kRetryMs = 300;
constexpr std::int64_t kRetryTopicMs = 1'000;
constexpr std::int64_t kRefreshMs = 1'000;
// After a release the client stops the fetcher in the background, and with it the forwarding: it is set again for so
// long.
constexpr std::int64_t kForwardMs = 5'000;

}  // namespace

SourceCluster::SourceCluster(const KafkaSourceSettings& settings, unsigned member, ClusterConsumer& consumer,
                             LaneTable& table, PendingCuts& cuts, std::vector<KafkaSourceReader*> readers,
                             const Clock& clock)
    : settings_(settings),
      member_(member),
      consumer_(consumer),
      table_(table),
      cuts_(cuts),
      readers_(std::move(readers)),
      clock_(clock) {}

SourceLane& SourceCluster::make_lane(const std::string& topic, std::int32_t partition) {
  LaneKey key{consumer_.cluster(), topic, partition};
  // Partitions of one topic go round, so that few lanes spread as evenly as many.
  const std::size_t hash = std::hash<std::string>()(key.cluster + '\n' + topic) + static_cast<std::size_t>(partition);
  SourceLane& lane = table_.add(std::move(key), member_, static_cast<unsigned>(hash % settings_.shards));
  lanes_.push_back(&lane);
  return lane;
}

void SourceCluster::restore(const LanePosition& position) {
  SourceLane& lane = make_lane(position.lane.topic, position.lane.partition);
  lane.position = position.offset;
  lane.leader_epoch = position.leader_epoch;
  lane.phase = LanePhase::parked;
  seen_topics_.insert(position.lane.topic);
  post(lane, LaneNews::Kind::added);
}

void SourceCluster::post(SourceLane& lane, LaneNews::Kind kind, std::int64_t to, std::string detail) {
  readers_[lane.shard]->inbox().post({kind, &lane, to, std::move(detail)});
}

void SourceCluster::set_problem(std::string text) {
  std::lock_guard lock(problem_mutex_);
  if (text != problem_ && !text.empty())
    settings_.log->warn("cluster={} source={} {}; waiting for it", consumer_.cluster(), settings_.name, text);
  problem_ = std::move(text);
}

std::string SourceCluster::problem() const {
  std::lock_guard lock(problem_mutex_);
  return problem_;
}

void SourceCluster::tick() {
  const std::int64_t now = clock_.monotonic_ms();
  const bool down = consumer_.health().snapshot().state == ClusterState::down;
  // A cluster that is down costs time-outs to ask; the watchdog says when it answers again.
  if (!down && now >= next_discovery_) discover(now);
  if (!down && now >= next_try_) {
    retry_soon_ = false;
    find_starts();
    recover();
    if (retry_soon_) next_try_ = clock_.monotonic_ms() + kRetryMs;
  }
  place(now);
  if (settings_.bounded) watch_bounds();
  if (now >= next_refresh_) refresh(down ? -1 : now);
}

void SourceCluster::discover(std::int64_t now) {
  next_discovery_ = now + settings_.discover_every_ms;
  std::string problem;
  for (const auto& topic : settings_.clusters[member_].topics) {
    const auto found = consumer_.partitions(topic, kMetadataMs);
    if (!found) {
      problem = found.error().message;
      next_discovery_ = std::min(next_discovery_, clock_.monotonic_ms() + kRetryTopicMs);
      if (found.error().kind == ErrorKind::transient)
        break;  // the cluster, not the topic: no need to ask for the others
      continue;
    }
    const bool first = seen_topics_.insert(topic).second;
    for (const auto& partition : found.value()) {
      const bool known = std::any_of(lanes_.begin(), lanes_.end(), [&](const SourceLane* lane) {
        return lane->key.topic == topic && lane->key.partition == partition.partition;
      });
      if (known) continue;
      SourceLane& lane = make_lane(topic, partition.partition);
      lane.from_first = !first;
      next_try_ = 0;
      if (!first)
        settings_.log->info("cluster={} source={} new partition {} [{}]", consumer_.cluster(), settings_.name, topic,
                            partition.partition);
    }
    consumer_.timestamp_type(topic, kMetadataMs);  // asked while the cluster answers; kept for the cut of an outage
  }
  set_problem(std::move(problem));
}

void SourceCluster::find_starts() {
  // Per lane: where it begins, and its end, which bounds a bounded run and is what a time look-up falls back to.
  std::vector<SourceLane*> lanes;
  std::vector<OffsetQuery> begin, end;
  for (SourceLane* lane : lanes_) {
    const bool starting = lane->phase == LanePhase::starting;
    const bool needs_bound = settings_.bounded && lane->bound < 0 && lane->phase == LanePhase::parked;
    if (!starting && !needs_bound) continue;
    std::int64_t what = kQueryEnd;
    if (starting && (lane->from_first || settings_.start == KafkaSourceSettings::Start::earliest))
      what = kQueryBeginning;
    else if (starting && settings_.start == KafkaSourceSettings::Start::timestamp)
      what = settings_.start_ms;
    lanes.push_back(lane);
    end.push_back({at(*lane), kQueryEnd});
    begin.push_back({at(*lane), what});
  }
  if (lanes.empty()) return;
  // The end first: what is written in between is then read, not skipped.
  consumer_.look_up(end, kLookUpMs);
  consumer_.look_up(begin, kLookUpMs);
  const std::int64_t now = clock_.monotonic_ms();
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    SourceLane& lane = *lanes[i];
    if (!end[i].answered || !begin[i].answered) {
      retry_soon_ = true;
      continue;
    }
    lane.end = end[i].offset;
    lane.end_seen_at = now;
    if (settings_.bounded && lane.bound < 0) lane.bound = end[i].offset;
    if (lane.phase != LanePhase::starting) continue;
    const bool latest = begin[i].what == kQueryEnd || begin[i].offset < 0;
    lane.position = latest ? end[i].offset : begin[i].offset;
    lane.phase = LanePhase::parked;
    post(lane, LaneNews::Kind::added);
  }
}

void SourceCluster::place(std::int64_t now) {
  bool all = !seen_topics_.empty() && seen_topics_.size() >= settings_.clusters[member_].topics.size();
  std::lock_guard lock(placing_);
  for (SourceLane* lane : lanes_) {
    const LanePhase phase = lane->phase;
    if (lane->forward_until > 0) {
      consumer_.keep_forwarded(at(*lane), readers_[lane->shard]->queue(member_));
      if (now > lane->forward_until) lane->forward_until = 0;
    }
    if (phase == LanePhase::starting) all = false;
    if (phase != LanePhase::parked || lane->recovering) continue;
    if (settings_.bounded && lane->bound < 0) {
      all = false;
      continue;
    }
    if (!cuts_.open_of(lane->key).empty() && !resolve_cuts(*lane)) continue;
    const std::int64_t position = lane->position;
    const std::int64_t from = lane->resume_back ? lane->resume_at : std::max(position, lane->resume_at);
    if (settings_.bounded && from >= lane->bound) {
      lane->phase = LanePhase::done;
      continue;
    }
    consumer_.assign(at(*lane), from, from == position ? lane->leader_epoch.load() : -1,
                     readers_[lane->shard]->queue(member_));
    lane->forward_until = now + kForwardMs;
    lane->resume_at = -1;
    lane->resume_back = false;
    lane->phase.store(LanePhase::reading, std::memory_order_seq_cst);
    // A jump of the shard saw "parked" and left the seek to us, or sees "reading" and does it.
    const std::int64_t moved = lane->position.load(std::memory_order_seq_cst);
    if (moved > position && moved > from) consumer_.seek(at(*lane), moved);
  }
  if (all && !settled_) settled_.store(true, std::memory_order_release);
}

bool SourceCluster::resolve_cuts(SourceLane& lane) {
  if (consumer_.health().snapshot().state == ClusterState::down || clock_.monotonic_ms() < next_try_) return false;
  const TimestampType type = consumer_.timestamp_type(lane.key.topic, kMetadataMs);
  std::vector<OffsetQuery> end{{at(lane), kQueryEnd}};
  consumer_.look_up(end, kLookUpMs);
  bool known = end[0].answered && type != TimestampType::unknown;
  for (const LaneCut& cut : known ? cuts_.open_of(lane.key) : std::vector<LaneCut>()) {
    std::int64_t to = cut.cut_offset;
    if (cut.by_time || type == TimestampType::log_append) {
      std::vector<OffsetQuery> time{{at(lane), cut.cut_time_ms}};
      consumer_.look_up(time, kLookUpMs);
      known = time[0].answered;
      if (!known) break;
      to = time[0].offset >= 0 ? time[0].offset
                               : end[0].offset;  // nothing so young: all there was is older than the click
    }
    // Without LogAppendTime and without an end seen before the click (-1) nothing is known, so nothing is dropped.
    to = std::min(to, end[0].offset);
    cuts_.posted(lane.key);  // first: the shard may take it at once, and takes it off the list
    post(lane, LaneNews::Kind::cut, to, type == TimestampType::log_append || cut.by_time ? "by time" : "by offset");
    lane.resume_at = std::max(lane.resume_at, to);
  }
  if (!known) next_try_ = clock_.monotonic_ms() + kRetryMs;
  return known;
}

void SourceCluster::hold_for_cut(SourceLane& lane) {
  std::lock_guard lock(placing_);
  if (lane.phase != LanePhase::reading) return;
  consumer_.release(at(lane));
  lane.phase = LanePhase::parked;
}

void SourceCluster::recover() {
  std::vector<SourceLane*> lanes;
  std::vector<OffsetQuery> low, end;
  for (SourceLane* lane : lanes_) {
    if (lane->out_of_range.exchange(false, std::memory_order_acquire) && lane->phase == LanePhase::reading) {
      // A seek is refused in this state; release and assign again is the one cure.
      std::lock_guard lock(placing_);
      consumer_.release(at(*lane));
      lane->phase = LanePhase::parked;
      lane->recovering = true;
    }
    if (!lane->recovering) continue;
    lanes.push_back(lane);
    low.push_back({at(*lane), kQueryBeginning});
    end.push_back({at(*lane), kQueryEnd});
  }
  if (lanes.empty()) return;
  consumer_.look_up(low, kLookUpMs);
  consumer_.look_up(end, kLookUpMs);
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    SourceLane& lane = *lanes[i];
    if (!low[i].answered || !end[i].answered) {
      retry_soon_ = true;
      continue;
    }
    lane.low = low[i].offset;
    lane.end = end[i].offset;
    lane.recovering = false;
    const std::int64_t position = lane.position, first = lane.low;
    lane.leader_epoch = -1;                                      // what the broker said about it is settled here
    if (position >= lane.low && position <= lane.end) continue;  // an old answer, from before a jump
    const bool lost = position < first;
    const std::int64_t to = lost || settings_.on_gap == KafkaSourceSettings::OnGap::earliest ? first : end[i].offset;
    const std::string why =
        lane.key.topic + " [" + std::to_string(lane.key.partition) + "] on cluster '" + lane.key.cluster +
        "': position " + std::to_string(position) +
        (lost ? " is older than what the broker keeps (first offset " + std::to_string(first)
              : " is beyond the log, which was truncated or begun anew (end " + std::to_string(end[i].offset)) +
        ")";
    settings_.log->warn("cluster={} source={} {}", consumer_.cluster(), settings_.name, why);
    lane.set_note(why);
    if (settings_.on_gap == KafkaSourceSettings::OnGap::fail) {
      lane.phase = LanePhase::stopped;
      post(lane, LaneNews::Kind::stopped, to, why + "; on_gap is 'fail'");
      continue;
    }
    post(lane, LaneNews::Kind::gap, to, why);
    lane.resume_at =
        to;  // the shard reports the range and moves the position when it takes the news, before the first record
    lane.resume_back = !lost;
  }
}

void SourceCluster::refresh(std::int64_t now) {
  next_refresh_ = clock_.monotonic_ms() + kRefreshMs;
  std::vector<SourceLane*> lanes;
  std::vector<OffsetQuery> end;
  for (SourceLane* lane : lanes_) {
    if (lane->position < 0) continue;
    std::int64_t low = -1, high = -1;
    consumer_.cached_watermarks(at(*lane), &low, &high);
    if (low >= 0) lane->low = low;
    if (now < 0) continue;
    lanes.push_back(lane);
    end.push_back({at(*lane), kQueryEnd});
  }
  if (lanes.empty()) return;
  consumer_.look_up(end, kLookUpMs);
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    if (!end[i].answered) continue;
    lanes[i]->end = end[i].offset;
    lanes[i]->end_seen_at = clock_.monotonic_ms();
    // The client reports an end once; that it still is the end makes the difference between idle and stalled.
    if (lanes[i]->phase == LanePhase::reading && lanes[i]->position == end[i].offset)
      post(*lanes[i], LaneNews::Kind::at_end, end[i].offset);
  }
  next_refresh_ = clock_.monotonic_ms() + kRefreshMs;
}

void SourceCluster::watch_bounds() {
  for (SourceLane* lane : lanes_) {
    if (lane->phase != LanePhase::reading || lane->bound < 0 || lane->position < lane->bound) continue;
    consumer_.release(at(*lane));
    lane->phase = LanePhase::done;
  }
}

void SourceCluster::release_all() {
  std::lock_guard lock(placing_);
  for (SourceLane* lane : lanes_) {
    if (lane->phase != LanePhase::reading) continue;
    consumer_.release(at(*lane));
    lane->phase = LanePhase::parked;
  }
}

std::vector<LaneCut> SourceCluster::plan(DiscardTarget target, std::int64_t click_ms, int timeout_ms) {
  std::vector<LaneCut> cuts;
  std::vector<OffsetQuery> end, time;
  std::map<std::string, TimestampType> types;
  const bool down = consumer_.health().snapshot().state == ClusterState::down;
  const std::int64_t deadline = clock_.monotonic_ms() + timeout_ms;
  const auto left = [&] { return static_cast<int>(std::max<std::int64_t>(deadline - clock_.monotonic_ms(), 1)); };
  for (SourceLane* lane : table_.all()) {
    if (lane->member != member_ || lane->position < 0 || lane->phase == LanePhase::stopped) continue;
    LaneCut cut;
    cut.lane = lane->key;
    cut.index = lane->index;
    cut.shard = lane->shard;
    cut.cut_time_ms = target.kind == DiscardTarget::Kind::timestamp   ? target.ms
                      : target.kind == DiscardTarget::Kind::keep_last ? click_ms - target.ms
                                                                      : click_ms;
    cut.by_time = target.kind != DiscardTarget::Kind::latest;
    cut.cut_offset = lane->end;
    cuts.push_back(std::move(cut));
    end.push_back({at(*lane), kQueryEnd});
  }
  if (cuts.empty() || down) return cuts;
  // The end as of the click bounds every cut: what was written after the look-up is never dropped.
  consumer_.look_up(end, left() / 2);
  std::vector<std::size_t> asked;
  for (std::size_t i = 0; i < cuts.size(); ++i) {
    if (!end[i].answered) continue;
    auto type = types.find(cuts[i].lane.topic);
    if (type == types.end())
      type = types.emplace(cuts[i].lane.topic, consumer_.timestamp_type(cuts[i].lane.topic, left() / 2)).first;
    cuts[i].reachable = true;
    cuts[i].to = end[i].offset;
    if (!cuts[i].by_time && type->second != TimestampType::log_append) continue;
    time.push_back({end[i].at, cuts[i].cut_time_ms});
    asked.push_back(i);
  }
  if (!time.empty()) consumer_.look_up(time, left());
  for (std::size_t t = 0; t < asked.size(); ++t) {
    LaneCut& cut = cuts[asked[t]];
    if (!time[t].answered)
      cut.reachable = false;
    else if (time[t].offset >= 0)
      cut.to = std::min(cut.to, time[t].offset);
  }
  for (auto& cut : cuts) {
    SourceLane* lane = table_.at(cut.index);
    cut.from = lane->position;
    if (cut.reachable) {
      lane->end = std::max<std::int64_t>(lane->end, cut.to);
      cut.to = std::max(cut.to, cut.from);
    }
  }
  return cuts;
}

}  // namespace twinspan::connectors
