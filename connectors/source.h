#pragma once
// Where records come from. A Source stands for one logical topic (all its lanes on all its clusters, or a file) and is
// owned by the pipeline; it hands every shard one SourceReader, which delivers that shard's lanes. Offsets belong to
// us: positions come from the checkpoint, are never read back from a consumer group, and move only as records are
// delivered.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "connectors/lane.h"
#include "engine/base/ids.h"
#include "engine/base/result.h"

namespace twinspan::connectors {

struct RawRecord {
  LaneIndex lane;
  std::int64_t offset = 0;
  std::int64_t timestamp = 0;  // ms, the record's own
  std::string_view key, value;
  bool has_key = false, has_value = false;
};

struct LaneEvent {
  enum class Kind : std::uint8_t {
    added,   // a lane this shard reads from now on; `position` = where it starts
    at_end,  // a successful fetch showed position = end: nothing more to read at this moment (idle if it stays so)
    cluster_state,  // `cluster` changed to `state`
    gap,            // records [position, to) are gone (retention, truncation, topic recreated); handled by on_gap
    stopped,        // the lane is no longer read (on_gap: fail, topic deleted); `detail` says why
    lanes_known,    // every lane that `cluster` has at this moment was told, each to the shard that reads it; once a
                    // cluster
    cut,            // a pending cut was resolved at the cluster's return: records [position, to) are skipped
  };
  Kind kind = Kind::added;
  LaneIndex lane;
  LaneKey key;
  std::int64_t position = 0, to = 0;
  std::string cluster;
  ClusterState state = ClusterState::up;
  std::string detail;
};

// One shard's view of a source. Thread: shard (all of it). Nothing blocks.
class SourceReader {
 public:
  virtual ~SourceReader() = default;

  // Up to `max` records in the order of each lane. Views stay valid until release(). The lane's position moves past
  // what is returned. Not polling is how a shard holds a source back: nothing is lost and nothing grows beyond the
  // client's queue. Returns 0 while an `added`, `gap` or `cut` waits to be taken: records never overtake those. After a
  // wake-up poll until it returns 0 with no event taken, else the descriptor does not fire again.
  virtual std::size_t poll(RawRecord* out, std::size_t max) = 0;
  virtual void release() = 0;

  // What happened to lanes since the last call, in order. `added` comes before the first record of a lane.
  virtual void take_events(std::vector<LaneEvent>& out) = 0;

  // Next offset of every lane of this shard, lanes of lost clusters included (their last one): what a barrier records.
  virtual void positions(std::vector<LanePosition>& out) const = 0;

  // Lag discard: the lane goes on at `to`, never backwards. Records before it that are queued are dropped.
  // Returns the position it left: the skipped range is [returned, to) and empty if to <= returned.
  virtual std::int64_t jump(LaneIndex lane, std::int64_t to) = 0;

  // A paused lane delivers little or nothing more (what is on its way may still come) and keeps its position; the
  // others go on. Not for a source without lanes that could wait (a file).
  virtual void set_paused(LaneIndex lane, bool paused) { (void)lane, (void)paused; }

  // Bounded runs: every lane reached the end it had when the source was started.
  virtual bool ended() const = 0;
};

struct LaneStatus {
  LaneKey lane;
  std::int64_t position = 0;
  std::int64_t end = -1;  // end offset last seen; -1 = never seen
  std::int64_t low = -1;  // first offset kept by the broker; -1 = never seen
  std::int64_t end_seen_ms_ago = -1;
  bool at_end = false, stopped = false, pending_cut = false;
  std::string note;
};

struct ClusterStatus {
  std::string cluster;
  ClusterState state = ClusterState::up;
  std::int64_t since_ms = 0;           // wall clock of the last change
  std::int64_t last_data_ms_ago = -1;  // age of the last record or empty answer; -1 = none yet
  std::string last_error;
};

// What a lag discard aims at. The cut is fixed when the plan is made.
struct DiscardTarget {
  enum class Kind : std::uint8_t { latest, timestamp, keep_last } kind = Kind::latest;
  std::int64_t ms = 0;  // timestamp: wall ms; keep_last: a duration
};

struct LaneCut {
  LaneKey lane;
  LaneIndex index;
  unsigned shard = 0;             // whose reader must jump
  bool reachable = false;         // false: the cluster is away, the cut stays pending for its return
  std::int64_t from = 0, to = 0;  // only if reachable
  std::int64_t cut_time_ms = 0;   // time of the click, wall
  std::int64_t cut_offset = -1;  // last end offset seen before the click; what a pending cut uses without LogAppendTime
  bool by_time = false;          // timestamp, keep_last: a pending cut goes to cut_time_ms, on any topic
  std::int64_t first_timestamp = -1, last_timestamp = -1;  // of the skipped range, as far as known
};

class Source {
 public:
  virtual ~Source() = default;

  // Starts reading: lanes named in `restored` from their positions, all others where the configuration says (`start`).
  // A cluster that cannot be reached is waited for; that is no error. Thread: control.
  virtual Status start(const std::vector<LanePosition>& restored) = 0;
  // Borrowed; lives as long as the source. One per shard, made before start(). Thread: control.
  virtual SourceReader& reader(unsigned shard) = 0;
  // A file descriptor that becomes readable when reader(shard) may have something to poll; -1 = poll always.
  virtual int wake_fd(unsigned shard) const = 0;

  // Snapshots for the API; never block on a broker. Thread: any.
  virtual std::vector<LaneStatus> lanes() const = 0;
  virtual std::vector<ClusterStatus> clusters() const = 0;

  // Asks the brokers where the target lies; bounded by `timeout_ms`; lanes of unreachable clusters come back as such.
  // Thread: control.
  virtual Result<std::vector<LaneCut>> plan_discard(DiscardTarget target, int timeout_ms) = 0;
  // A cut for a cluster that is away: resolved before its first fetch at its return, reported through LaneEvent::cut
  // (from, to as for a reachable lane). Survives in the checkpoint through pending_cuts(). Thread: control.
  // Also for cuts of a checkpoint, before start(). For a barrier ask pending_cuts() before the shards record their
  // positions: a cut resolved in between is then in both, and a second time it skips nothing.
  virtual void add_pending_cut(const LaneCut& cut) = 0;
  virtual std::vector<LaneCut> pending_cuts() const = 0;

  virtual void stop() = 0;  // idempotent; returns within seconds even if brokers do not answer
};

}  // namespace twinspan::connectors
