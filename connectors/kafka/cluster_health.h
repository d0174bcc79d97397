#pragma once
// What sources and sinks ask about a physical cluster. One monitor per cluster, shared by every pipeline of the
// process; the watchdog (watchdog.h) feeds it. Thread: any.

#include <cstdint>
#include <string>

#include "connectors/lane.h"

namespace twinspan::connectors {

struct HealthSnapshot {
  ClusterState state = ClusterState::up;
  std::int64_t since_ms = 0;           // monotonic, of the last change of state
  std::int64_t healthy_since_ms = -1;  // monotonic; -1 while not healthy. Fail-back and re-admission count from here
  bool ever_reached = false;           // false: has not answered since the process started
  std::string last_error;
};

class ClusterHealth {
 public:
  virtual ~ClusterHealth() = default;
  virtual HealthSnapshot snapshot() const = 0;
  // Signs from the data path, used beside the probe. Cheap, lock-free or nearly so.
  virtual void data_progress() = 0;                 // a fetch was answered or a produce acknowledged
  virtual void data_failure(const char* what) = 0;  // a request failed hard (refused, timed out)
};

}  // namespace twinspan::connectors
