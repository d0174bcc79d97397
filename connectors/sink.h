#pragma once
// Where output goes. A Sink stands for one sink of a pipeline (one topic on one or two clusters, or a file) and is
// owned by the pipeline; every shard writes through a SinkWriter of its own, so that order per key needs no lock.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "connectors/lane.h"
#include "engine/base/result.h"

namespace twinspan::connectors {

// Views must hold until write() returns.
struct OutputRecord {
  std::string_view key, value;
  bool has_key = false, has_value = true;                                  // no value = tombstone
  std::int64_t timestamp = -1;                                             // ms; -1 = none
  const std::pair<std::string_view, std::string_view>* headers = nullptr;  // beside the identity, which the writer adds
  std::size_t header_count = 0;
};

// One shard's way into a sink. Gives every record its identity (unit, incarnation.shard, sink, sequence), which no
// resend changes. Keeps what is not acknowledged, in order. Thread: shard.
class SinkWriter {
 public:
  virtual ~SinkWriter() = default;
  // False while more than the allowed bytes are unacknowledged: the shard then stops reading. write() itself never
  // refuses.
  virtual bool has_room() const = 0;
  virtual void write(const OutputRecord& record) = 0;
  // Once a step: follows the route (resends what is unacknowledged to the new cluster, in order), retries what failed.
  virtual void step() = 0;
  virtual std::uint64_t written() const = 0;       // sequence of the last record written; 0 = none
  virtual std::uint64_t acknowledged() const = 0;  // everything up to here is acknowledged. Thread: any
};

struct SinkStatus {
  std::string sink, active_cluster;
  std::uint64_t route_generation = 0;
  std::string route_reason;  // why the last switch happened
  std::int64_t route_since_ms = 0;
  std::uint64_t records = 0, acknowledged = 0, resent = 0, switches = 0;
  std::int64_t oldest_unacknowledged_ms = 0;  // age
  // From the first failed sign, or the first record there was to write after it, to the first acknowledgement on the
  // other cluster; -1: no switch yet.
  std::int64_t last_switch_took_ms = -1;
  std::uint64_t unacknowledged_bytes = 0;
  bool holding = false;  // switch limit reached, or no cluster takes output
  std::vector<std::pair<std::string, ClusterState>> clusters;
};

class Sink {
 public:
  virtual ~Sink() = default;
  // No cluster reachable at start is no error: records wait. Thread: control.
  virtual Status start() = 0;
  virtual SinkWriter& writer(unsigned shard) = 0;  // borrowed; one per shard, made before start()
  virtual SinkStatus status() const = 0;           // Thread: any
  // Raised durably before the first record goes to another cluster; restored from the checkpoint.
  virtual std::uint64_t route_generation() const = 0;
  // Waits until everything written is acknowledged; transient error at the deadline. Thread: control.
  virtual Status flush(int timeout_ms) = 0;
  virtual void stop() = 0;  // idempotent; does not wait for acknowledgements
};

}  // namespace twinspan::connectors
