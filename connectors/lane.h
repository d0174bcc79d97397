#pragma once
// The unit of order, offsets, watermark and pausing: one partition of a physical topic on one cluster. Thread: any.

#include <compare>
#include <cstdint>
#include <string>

namespace twinspan::connectors {

struct LaneKey {
  std::string cluster;
  std::string topic;
  std::int32_t partition = 0;
  friend auto operator<=>(const LaneKey&, const LaneKey&) = default;
};

// A lane's place in the log: the offset of the next record to read, and the leader epoch it was read under (-1:
// unknown; lets the broker notice truncation, KIP-320).
struct LanePosition {
  LaneKey lane;
  std::int64_t offset = 0;
  std::int32_t leader_epoch = -1;
};

// What our own watchdog says of a cluster (semantics.md, "Sources"). rejoining: reachable again, its lanes are read
// from where they stood but count neither in the firing watermark nor in alignment until they caught up.
enum class ClusterState : std::uint8_t { up, suspect, down, rejoining };
const char* to_string(ClusterState state);

}  // namespace twinspan::connectors
