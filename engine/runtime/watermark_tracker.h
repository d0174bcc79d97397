#pragma once
// The event time of one source in one shard: a clock per lane, and from them the two watermarks of semantics.md, "Event
// time". F (firing) leaves out idle lanes, lost clusters after `hold`, and rejoining lanes until they caught up; R
// (retention) leaves out idle lanes only, and with late_backlog: merge a lost cluster keeps its last value within the
// outage budget. Neither ever goes back. A lane is idle only if a fetch within `idle_after` showed position = end
// (protocol.md 19): a lane that is stalled holds.
// Owned by the shard's feed. Thread: shard. Times in ms; `now` is monotonic.

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/base/batch.h"
#include "engine/base/ids.h"

namespace twinspan::engine {

struct WatermarkPolicy {
  std::int64_t out_of_order_ms = 1000;
  std::int64_t idle_after_ms = 30'000;
  bool advance_when_all_idle = false;         // when_idle: advance; otherwise the watermark stays
  std::int64_t hold_ms = 30'000;              // hold_watermark: how long a lost cluster still counts in F
  bool merge_backlog = true;                  // late_backlog: merge; otherwise R = F
  std::int64_t outage_budget_ms = 3'600'000;  // outage_state.for: then R moves on as well
};

class WatermarkTracker {
 public:
  explicit WatermarkTracker(WatermarkPolicy policy) : policy_(policy) {}

  // A cluster whose lanes are not known yet (the start of a source): until they are, it holds both watermarks as one of
  // its lanes would, so that no row of it is late only because another cluster answered first. Lost, it holds like any
  // lost one.
  void await_cluster(std::string cluster);
  void cluster_known(const std::string& cluster);  // after add_lane of all its lanes

  // A lane this shard reads. Starts at `restored_max` when a checkpoint knew the lane, at nothing while its cluster is
  // awaited, and at the firing watermark reached so far afterwards (a new partition cannot hold it back).
  void add_lane(LaneIndex lane, std::string cluster, EventTime restored_max, std::int64_t now);
  void remove_lane(LaneIndex lane);
  void lane_at_end(LaneIndex lane, std::int64_t now);
  void end_lane(LaneIndex lane);  // bounded input: nothing comes any more
  void cluster_lost(const std::string& cluster, std::int64_t now);
  // While every cluster is lost nothing goes on without them: holds and budgets begin when the first one is back.
  void cluster_rejoining(const std::string& cluster, std::int64_t now);
  // outage_state.bytes is spent: lost clusters no longer hold R, what they bring later goes the late way. Until all of
  // them have caught up.
  void give_up_outage() { outage_given_up_ = outage(); }
  void restore(Watermark watermark) { watermark_ = watermark; }
  // How far the source is as a whole, over all shards: what a rejoining lane has to catch up with.
  void source_is_at(EventTime firing) { source_firing_ = std::max(source_firing_, firing); }

  // Sets batch.firing and batch.retention: the watermark before each row, as if rows came one by one. The batch's
  // origins name the lanes.
  void assign(Batch& batch, std::int64_t now);
  // For virtual time. A live lane's own watermark is at least `watermark` from now on, as after a row that is
  // `out_of_order` further; and a lane is as if a row had just come, which moves no event time.
  void reach(LaneIndex lane, EventTime watermark, std::int64_t now);
  void touch(LaneIndex lane, std::int64_t now);
  // Idleness, holds and budgets pass with time. Call at least every 100 ms.
  void advance(std::int64_t now);

  Watermark watermark() const { return watermark_; }
  bool idle() const { return idle_; }                // every lane is idle, or there is none: do not wait for this shard
  bool idle_firing() const { return idle_firing_; }  // the same for F: a lost cluster still holds R, no longer F
  EventTime lane_max(LaneIndex lane) const;          // kMinTime: no row yet. For checkpoints and status
  std::int64_t lane_watermark(LaneIndex lane) const;
  bool lane_idle(LaneIndex lane) const;
  bool lane_counts(LaneIndex lane) const;  // others wait for it: neither idle nor lost nor catching up
  bool outage() const;                     // F and R may differ

 private:
  enum class Presence : std::uint8_t { live, lost, catching_up };
  struct Lane {
    bool used = false, ended = false, idle = false;
    std::string cluster;
    Presence presence = Presence::live;
    EventTime max = kMinTime;    // largest event time seen
    EventTime floor = kMinTime;  // the lane counts as at least here
    std::int64_t last_row = 0;   // monotonic
    std::int64_t at_end = -1;    // monotonic time of the last fetch that showed the end; -1 = not since the last row
    std::int64_t lost_at = -1;
  };
  EventTime own(const Lane& lane) const;
  bool counts_in_firing(const Lane& lane, std::int64_t now) const;
  bool counts_in_retention(const Lane& lane, std::int64_t now) const;
  void recompute(std::int64_t now);
  template <class Visit>
  void each_holding(Visit visit);  // lanes in use, and clusters awaited

  const WatermarkPolicy policy_;
  std::vector<Lane> lanes_;                    // by LaneIndex
  std::map<std::string, bool> lost_clusters_;  // every cluster of the source -> whether it is lost
  std::vector<Lane> awaited_;                  // one for each cluster whose lanes are not known yet
  Watermark watermark_;
  EventTime source_firing_ = kMinTime;
  bool idle_ = true, idle_firing_ = true;
  bool outage_given_up_ = false;
};

}  // namespace twinspan::engine
