#include "connectors/kafka/cluster_health_machine.h"

#include <algorithm>

namespace twinspan::connectors {

bool HealthMachine::enter(ClusterState state, std::int64_t now) {
  if (state == state_) return false;
  state_ = state;
  since_ = now;
  return true;
}

bool HealthMachine::round(std::int64_t started, Round result, std::int64_t now) {
  if (result == Round::good) {
    bad_ = 0;
    ever_reached_ = true;
    void_before_ = std::max(void_before_, now);
    if (healthy_since_ < 0) healthy_since_ = now;
    switch (state_) {
      case ClusterState::up: return false;
      case ClusterState::suspect: return enter(ClusterState::up, now);
      case ClusterState::down: return enter(ClusterState::rejoining, now);
      case ClusterState::rejoining: return tick(now);
    }
  }
  if (started < void_before_) return false;
  ++bad_;
  // On its way back a cluster gets no second chance: two bad rounds and it is down again.
  const int down_after = state_ == ClusterState::rejoining ? rules_.suspect_after : rules_.down_after;
  if (bad_ >= rules_.suspect_after) healthy_since_ = -1;
  if (bad_ >= down_after) return enter(ClusterState::down, now);
  if (bad_ >= rules_.suspect_after && state_ == ClusterState::up) return enter(ClusterState::suspect, now);
  return false;
}

void HealthMachine::progress(std::int64_t now) {
  void_before_ = std::max(void_before_, now);
  if (state_ == ClusterState::up) bad_ = 0;
}

bool HealthMachine::tick(std::int64_t now) {
  if (last_tick_ >= 0 && now - last_tick_ > rules_.void_after_ms) void_before_ = std::max(void_before_, now);
  last_tick_ = now;
  if (state_ == ClusterState::rejoining && healthy_since_ >= 0 && now - healthy_since_ >= rules_.readmit_after_ms) {
    return enter(ClusterState::up, now);
  }
  return false;
}

}  // namespace twinspan::connectors
