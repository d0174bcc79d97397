#pragma once
// The judgement over one cluster: UP -> SUSPECT -> DOWN -> REJOINING -> UP (semantics.md, "Sources"). Event and `now`
// in, state out; no clock, no thread, no I/O of its own, so every path is a row of a test table. That both clusters of
// a pair are bad at the same moment (then the fault is probably ours) is judged by whoever looks at both. Milliseconds,
// monotonic. Owned by the watchdog, which calls it under its lock.

#include <cstdint>

#include "connectors/lane.h"

namespace twinspan::connectors {

struct HealthRules {
  int suspect_after = 2;  // bad rounds in a row
  int down_after = 3;
  std::int64_t readmit_after_ms = 5'000;  // good for so long after the return: UP
  std::int64_t void_after_ms = 500;       // we were not scheduled for longer: what was under way proves nothing
};

class HealthMachine {
 public:
  enum class Round : std::uint8_t { good, bad };

  HealthMachine(HealthRules rules, std::int64_t now) : rules_(rules), since_(now) {}

  // A probe that began at `started` ended now. A bad one is void if it began before the last sign of life or before the
  // end of a stall of ours: probes overlap, and an older one may end after a newer. True: the state changed.
  bool round(std::int64_t started, Round result, std::int64_t now);

  // The data path had an answer from the cluster (not: records from a local queue).
  void progress(std::int64_t now);

  // To be called regularly; a longer pause than void_after_ms voids the rounds under way. True: the state changed.
  bool tick(std::int64_t now);

  ClusterState state() const { return state_; }
  std::int64_t since() const { return since_; }
  std::int64_t healthy_since() const { return healthy_since_; }  // -1: not healthy, or not yet known to be
  bool ever_reached() const { return ever_reached_; }

 private:
  bool enter(ClusterState state, std::int64_t now);

  HealthRules rules_;
  ClusterState state_ = ClusterState::up;
  std::int64_t since_;
  std::int64_t healthy_since_ = -1;
  std::int64_t void_before_ = 0;
  std::int64_t last_tick_ = -1;
  int bad_ = 0;
  bool ever_reached_ = false;
};

// How one source sees the cluster: it may want a longer time of health after an outage than the watchdog does.
// Thread: one, the owner's.
class ReadmissionView {
 public:
  explicit ReadmissionView(std::int64_t readmit_after_ms) : readmit_after_ms_(readmit_after_ms) {}

  ClusterState look(ClusterState state, std::int64_t healthy_since, std::int64_t now) {
    // `rejoining` as well: who looks seldom may have missed the outage, and our time may be shorter than the
    // watchdog's.
    if (state == ClusterState::down || state == ClusterState::rejoining) was_down_ = true;
    if (!was_down_ || state == ClusterState::down || state == ClusterState::suspect) return state;
    if (healthy_since < 0 || now - healthy_since < readmit_after_ms_) return ClusterState::rejoining;
    was_down_ = false;
    return ClusterState::up;
  }

 private:
  std::int64_t readmit_after_ms_;
  bool was_down_ = false;
};

}  // namespace twinspan::connectors
