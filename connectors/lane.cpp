#include "connectors/lane.h"

namespace twinspan::connectors {

const char* to_string(ClusterState state) {
  switch (state) {
    case ClusterState::up: return "UP";
    case ClusterState::suspect: return "SUSPECT";
    case ClusterState::down: return "DOWN";
    case ClusterState::rejoining: return "REJOINING";
  }
  return "UNKNOWN";
}

}  // namespace twinspan::connectors
