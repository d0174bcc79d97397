#include "engine/runtime/watermark_tracker.h"

#include <algorithm>

namespace twinspan::engine {

EventTime WatermarkTracker::own(const Lane& lane) const {
  // Rows at exactly max - out_of_order may still come, so the watermark stands one millisecond below.
  return std::max(lane.floor, shift(shift(lane.max, -policy_.out_of_order_ms), -1));
}

bool WatermarkTracker::counts_in_firing(const Lane& lane, std::int64_t now) const {
  switch (lane.presence) {
    case Presence::live: return !lane.idle;
    case Presence::lost: return now - lane.lost_at < policy_.hold_ms;
    // Back within the hold, it goes on holding: a short outage changes nothing at all.
    case Presence::catching_up: return now - lane.lost_at < policy_.hold_ms;
  }
  return true;
}

bool WatermarkTracker::counts_in_retention(const Lane& lane, std::int64_t now) const {
  if (!policy_.merge_backlog) return counts_in_firing(lane, now);
  // A lost cluster holds R from the moment of loss, idle or not, because what it kept for us is still to come.
  if (lane.presence != Presence::live) return !outage_given_up_ && now - lane.lost_at < policy_.outage_budget_ms;
  return !lane.idle;
}

template <class Visit>
void WatermarkTracker::each_holding(Visit visit) {
  for (Lane& l : lanes_)
    if (l.used) visit(l);
  for (Lane& l : awaited_) visit(l);
}

void WatermarkTracker::await_cluster(std::string cluster) {
  Lane& l = awaited_.emplace_back();
  l.used = true;
  l.cluster = std::move(cluster);
  lost_clusters_[l.cluster] = false;
  idle_ = idle_firing_ = false;
}

void WatermarkTracker::cluster_known(const std::string& cluster) {
  std::erase_if(awaited_, [&](const Lane& l) { return l.cluster == cluster; });
}

void WatermarkTracker::add_lane(LaneIndex lane, std::string cluster, EventTime restored_max, std::int64_t now) {
  if (lanes_.size() <= lane.value) lanes_.resize(lane.value + 1);
  Lane& l = lanes_[lane.value];
  l = Lane{};
  l.used = true;
  l.cluster = std::move(cluster);
  l.max = restored_max;
  lost_clusters_.try_emplace(l.cluster, false);
  const auto awaited =
      std::find_if(awaited_.begin(), awaited_.end(), [&](const Lane& a) { return a.cluster == l.cluster; });
  if (awaited != awaited_.end()) {
    l.presence = awaited->presence;
    l.lost_at = awaited->lost_at;
  } else if (restored_max == kMinTime) {
    l.floor = watermark_.firing;
  }
  l.last_row = now;
  idle_ = idle_firing_ = false;
}

void WatermarkTracker::remove_lane(LaneIndex lane) {
  if (lane.value < lanes_.size()) lanes_[lane.value].used = false;
}

void WatermarkTracker::lane_at_end(LaneIndex lane, std::int64_t now) {
  if (lane.value >= lanes_.size()) return;
  Lane& l = lanes_[lane.value];
  l.at_end = now;
  if (l.presence == Presence::catching_up) l.presence = Presence::live;
}

void WatermarkTracker::end_lane(LaneIndex lane) {
  if (lane.value < lanes_.size()) lanes_[lane.value].ended = true;
}

void WatermarkTracker::cluster_lost(const std::string& cluster, std::int64_t now) {
  lost_clusters_[cluster] = true;
  each_holding([&](Lane& l) {
    if (l.cluster != cluster || l.presence == Presence::lost) return;
    // Lost again while catching up: the outage goes on from its first moment.
    if (l.presence == Presence::live) l.lost_at = now;
    l.presence = Presence::lost;
    l.idle = false;
    l.at_end = -1;
  });
}

void WatermarkTracker::cluster_rejoining(const std::string& cluster, std::int64_t now) {
  const bool all_lost = !lost_clusters_.empty() && std::all_of(lost_clusters_.begin(), lost_clusters_.end(),
                                                               [](const auto& c) { return c.second; });
  lost_clusters_[cluster] = false;
  if (all_lost) each_holding([&](Lane& l) { l.lost_at = now; });
  each_holding([&](Lane& l) {
    if (l.cluster != cluster || l.presence != Presence::lost) return;
    // last_row stays: a lane that was quiet all along and is found at its end is idle at once, not idle_after later.
    l.presence = Presence::catching_up;
    l.at_end = -1;
  });
}

void WatermarkTracker::recompute(std::int64_t now) {
  EventTime firing = kMaxTime, retention = kMaxTime, idle_firing = kMinTime;
  bool any_firing = false, any_retention = false;
  each_holding([&](const Lane& l) {
    if (l.ended) return;
    const EventTime w = own(l);
    if (counts_in_firing(l, now)) firing = std::min(firing, w), any_firing = true;
    if (counts_in_retention(l, now)) retention = std::min(retention, w), any_retention = true;
    idle_firing = std::max(idle_firing, w);
  });
  idle_ = !any_firing && !any_retention;
  idle_firing_ = !any_firing;
  if (any_firing) {
    watermark_.firing = std::max(watermark_.firing, firing);
  } else if (policy_.advance_when_all_idle) {
    watermark_.firing = std::max(watermark_.firing, idle_firing);
  }
  const EventTime r = any_retention ? std::min(retention, watermark_.firing) : watermark_.firing;
  watermark_.retention = std::max(watermark_.retention, r);
}

void WatermarkTracker::reach(LaneIndex lane, EventTime watermark, std::int64_t now) {
  if (lane.value >= lanes_.size()) return;
  Lane& l = lanes_[lane.value];
  if (!l.used || l.presence != Presence::live) return;
  l.max = std::max(l.max, shift(shift(watermark, policy_.out_of_order_ms), 1));
  touch(lane, now);
}

void WatermarkTracker::touch(LaneIndex lane, std::int64_t now) {
  if (lane.value >= lanes_.size() || lanes_[lane.value].presence != Presence::live) return;
  lanes_[lane.value].last_row = now;
  lanes_[lane.value].idle = false;
}

void WatermarkTracker::advance(std::int64_t now) {
  for (Lane& l : lanes_) {
    if (!l.used || l.presence != Presence::live) continue;
    l.idle = now - l.last_row >= policy_.idle_after_ms && l.at_end >= 0 && now - l.at_end <= policy_.idle_after_ms;
  }
  outage_given_up_ = outage_given_up_ && outage();
  recompute(now);
}

void WatermarkTracker::assign(Batch& batch, std::int64_t now) {
  if (batch.rows == 0) return;
  const Origins& origins = *batch.origins;
  Arena& arena = batch.add_arena();
  auto* firing = arena.make<EventTime>(batch.rows);
  EventTime* retention = nullptr;  // made when F and R first differ
  std::uint32_t row = 0;
  while (row < batch.rows) {
    const LaneIndex index = origins.lane[batch.origin_row ? batch.origin_row[row] : row];
    Lane& lane = lanes_[index.value];
    lane.last_row = now;
    lane.at_end = -1;
    lane.idle = false;
    // Everything but this lane stands still while the run lasts.
    EventTime others_f = kMaxTime, others_r = kMaxTime;
    each_holding([&](const Lane& l) {
      if (l.ended || &l == &lane) return;
      const EventTime w = own(l);
      if (counts_in_firing(l, now)) others_f = std::min(others_f, w);
      if (counts_in_retention(l, now)) others_r = std::min(others_r, w);
    });
    bool in_f = counts_in_firing(lane, now), in_r = counts_in_retention(lane, now);
    idle_firing_ &= !in_f;
    for (; row < batch.rows; ++row) {
      const std::uint32_t origin = batch.origin_row ? batch.origin_row[row] : row;
      if (origins.lane[origin] != index) break;
      firing[row] = watermark_.firing;
      if (watermark_.retention != watermark_.firing && retention == nullptr) {
        retention = arena.make<EventTime>(batch.rows);
        std::copy_n(firing, row, retention);
      }
      if (retention != nullptr) retention[row] = watermark_.retention;
      if (batch.time[row] <= lane.max) continue;
      lane.max = batch.time[row];
      const EventTime w = own(lane);
      if (lane.presence == Presence::catching_up && w >= std::max(watermark_.firing, source_firing_)) {
        lane.presence = Presence::live;
        in_f = in_r = true;
      }
      idle_firing_ &= !in_f;
      const EventTime f = in_f ? std::min(w, others_f) : others_f;
      if (f != kMaxTime) watermark_.firing = std::max(watermark_.firing, f);
      const EventTime r = std::min(in_r ? std::min(w, others_r) : others_r, watermark_.firing);
      if (r != kMaxTime) watermark_.retention = std::max(watermark_.retention, r);
    }
  }
  batch.firing = firing;
  batch.retention = retention != nullptr ? retention : firing;
  idle_ = false;
}

EventTime WatermarkTracker::lane_max(LaneIndex lane) const {
  return lane.value < lanes_.size() ? lanes_[lane.value].max : kMinTime;
}
std::int64_t WatermarkTracker::lane_watermark(LaneIndex lane) const {
  return lane.value < lanes_.size() ? own(lanes_[lane.value]) : kMinTime;
}
bool WatermarkTracker::lane_idle(LaneIndex lane) const { return lane.value < lanes_.size() && lanes_[lane.value].idle; }

bool WatermarkTracker::lane_counts(LaneIndex lane) const {
  if (lane.value >= lanes_.size()) return false;
  const Lane& l = lanes_[lane.value];
  return l.used && !l.ended && !l.idle && l.presence == Presence::live;
}

bool WatermarkTracker::outage() const {
  const auto away = [](const Lane& l) { return l.used && l.presence != Presence::live; };
  return std::any_of(lanes_.begin(), lanes_.end(), away) || std::any_of(awaited_.begin(), awaited_.end(), away);
}

}  // namespace twinspan::engine
