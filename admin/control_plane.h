#pragma once
// What the HTTP API may ask of the running process, and nothing more: plain structs in, plain structs out.
// gateway/ implements it; admin/ knows nothing of how anything works. Owned by the app, outlives the HTTP
// server. Thread: any, several at once. Calls marked `quick` read snapshots and never wait for a shard, a
// disk or a broker: the server makes them on its I/O thread. The others may take seconds and run on the
// server's workers.
//
// Errors: ErrorKind decides the HTTP status (not_found 404, conflict 409, data and config 422, transient and
// shutdown 503 with Retry-After, permanent 500); Error::code is the stable name that clients may test, "" =
// the kind's own name. Codes an implementation uses are the kXxx below.
//
// Fields ending in _at are wall-clock milliseconds since 1970 UTC, in _ms_ago ages; -1 = none yet. Event
// times are EventTime, kMinTime = none yet. Counters run since the process started.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/result.h"

namespace twinspan::admin {

// Stable error codes (Error::code) of a control plane. admin/problem.h adds those of HTTP itself.
inline constexpr const char* kPipelineNotFound = "pipeline_not_found";
inline constexpr const char* kSourceNotFound = "source_not_found";
inline constexpr const char* kWrongState = "wrong_state";  // e.g. resume of a failed pipeline
inline constexpr const char* kPlanUnknown = "plan_unknown";
inline constexpr const char* kPlanExpired = "plan_expired";
inline constexpr const char* kPlanExecuted = "plan_executed";
inline constexpr const char* kPlanForeign = "plan_of_another_pipeline";
inline constexpr const char* kReasonMissing = "reason_missing";

// starting ─▶ running ◀─▶ waiting (no source cluster answers; resumes by itself)
//                ▲ └────▶ paused (by an operator) ; any ─▶ stopped (asked) | failed (reason says why)
enum class PipelineState : std::uint8_t { starting, running, paused, waiting, stopped, failed };
constexpr const char* to_string(PipelineState state) {
  switch (state) {
    case PipelineState::starting: return "starting";
    case PipelineState::running: return "running";
    case PipelineState::paused: return "paused";
    case PipelineState::waiting: return "waiting";
    case PipelineState::stopped: return "stopped";
    case PipelineState::failed: return "failed";
  }
  return "failed";
}

struct ClusterStatus {
  std::string name;
  std::string state = "up";            // up | suspect | down | rejoining
  std::int64_t since_at = -1;          // last change of state
  std::int64_t last_data_ms_ago = -1;  // age of the last record or empty answer (sources), acknowledgement (sinks)
  std::string last_error;
};

struct LaneStatus {
  std::string cluster, topic;
  std::int32_t partition = 0;
  std::int64_t position = 0;  // next offset to read
  std::int64_t end = -1;      // end offset last seen
  std::int64_t lag = -1;      // end - position; -1 = end never seen
  EventTime watermark = kMinTime;
  bool at_end = false, stopped = false, pending_cut = false;
  std::string note;     // why it is stopped, or what is pending
  bool paused = false;  // held back by a state budget (max_state)
};

// nullopt = unlimited, 0 = paused.
struct RateLimits {
  std::optional<std::uint64_t> records_per_s, bytes_per_s;
  friend bool operator==(const RateLimits&, const RateLimits&) = default;
};

struct SourceStatus {
  std::string name;
  std::vector<ClusterStatus> clusters;
  std::vector<LaneStatus> lanes;
  double records_per_s = 0, bytes_per_s = 0;  // over the last few seconds
  std::uint64_t records = 0, bytes = 0;
  std::int64_t lag_records = -1;  // sum over lanes whose end is known
  Watermark watermark;            // firing and retention
  RateLimits limits;
  double throttled_seconds = 0;                       // time spent held back by the limits
  std::uint64_t outage_bytes = 0, outage_budget = 0;  // state kept for a lost cluster's late records, and its limit
};

struct SinkStatus {
  std::string name;
  std::vector<ClusterStatus> clusters;
  std::string active_cluster;
  std::uint64_t generation = 0;  // of the route; grows with every switch
  std::string route_reason;
  std::int64_t route_since_at = -1;
  double records_per_s = 0;
  std::uint64_t records = 0, acknowledged = 0, resent = 0, dropped = 0, switches = 0;
  std::uint64_t unacknowledged_bytes = 0;
  std::int64_t oldest_unacknowledged_ms = 0;  // age
  bool holding = false;                       // takes no output: switch limit reached, or no cluster answers
  std::int64_t last_switch_took_ms = -1;
};

struct StepStatus {
  std::string id, kind;  // kind: filter | interval_join | window | ...
  std::uint64_t rows_in = 0, rows_out = 0, rows_late = 0, rows_failed = 0;
  std::uint64_t state_rows = 0, state_bytes = 0;
  std::uint64_t spilled_bytes = 0;  // of rows that lie in files alone
  std::uint64_t state_budget = 0;   // max_state.bytes; 0 = none
  std::uint64_t rows_shed = 0;      // not taken because the budget was spent
  bool splits_keys = false;         // has skew handling
  std::uint64_t rows_combined = 0,
                hot_keys = 0;  // rows counted before the exchange; keys split now, in a shard at most
};

struct CheckpointStatus {
  std::uint64_t epoch = 0;  // 0 = none yet
  std::int64_t at = -1;
  std::int64_t took_ms = -1;
  std::uint64_t bytes = 0;
  std::uint64_t failures = 0;
  std::string last_error;  // of the newest attempt; "" = it was good
  std::int64_t write_ms = -1;
  std::uint64_t bytes_total = 0;
  std::vector<double> stall_p99_ms;  // by shard: how long barriers kept it from its rows
};

// Bases are folded from checkpoints in the background.
struct BaseStatus {
  std::uint64_t merges = 0, failures = 0;
  double cpu_seconds = 0;
  std::uint64_t base_bytes = 0, delta_bytes = 0;  // the newest one, and the checkpoints since
  std::uint64_t read_bytes = 0, written_bytes = 0;
  std::int64_t last_took_ms = -1;
  std::string last_error;
};

struct PipelineStatus {
  std::string name;
  PipelineState state = PipelineState::starting;
  std::string reason;  // why it is paused, waiting, stopped or failed; for people
  std::int64_t since_at = -1;
  std::string delivery;  // at_least_once | exactly_once
  unsigned shards = 1;
  std::vector<SourceStatus> sources;
  std::vector<StepStatus> steps;
  std::vector<SinkStatus> sinks;
  CheckpointStatus last_checkpoint;
  BaseStatus bases;
  std::uint64_t dead_letters = 0, discarded_records = 0;
};

// --- lag discard (semantics.md, "One-click lag discard") ---

struct DiscardTarget {
  enum class Kind : std::uint8_t { latest, timestamp, keep_last };
  Kind kind = Kind::latest;
  std::int64_t ms = 0;  // timestamp: wall ms; keep_last: a duration
  friend bool operator==(const DiscardTarget&, const DiscardTarget&) = default;
};

struct DiscardRange {
  std::string source, cluster, topic;
  std::int32_t partition = 0;
  bool pending = false;           // cluster away: resolved before its first fetch at its return; from, to unknown
  std::int64_t from = 0, to = 0;  // [from, to); empty if there is nothing to do
  std::int64_t records = 0;       // to - from without what retention removed before; transaction markers count
  std::int64_t first_at = -1, last_at = -1;  // record timestamps of the range, as far as known
};

struct DiscardPlan {
  std::string id, pipeline;
  std::optional<std::string> source;  // nullopt = all sources
  DiscardTarget target;
  std::int64_t created_at = -1, expires_at = -1;
  std::int64_t cut_at = -1;  // the click: what is produced after it is never dropped
  std::vector<DiscardRange> ranges;
  std::int64_t records = 0;  // totals over ranges
  std::int64_t first_at = -1, last_at = -1;
  unsigned pending_lanes = 0;
  std::vector<std::string> touched_steps;  // windows and joins that lose rows
};

// What an execution did; also one entry of the ledger. Here ranges are what the readers left: [actual
// position, to).
struct Discard {
  std::string id, pipeline, plan, reason;
  DiscardTarget target;
  std::int64_t executed_at = -1;
  std::int64_t took_ms = -1;                // until the last reader had jumped
  std::optional<std::uint64_t> durable_in;  // epoch that made it durable; nullopt = not yet
  std::vector<DiscardRange> ranges;
  std::int64_t records = 0;
  unsigned pending_lanes = 0;
};

// --- process ---

struct ServiceInfo {
  std::string version, commit, data_directory;
  std::int64_t started_at = -1;
};

struct Readiness {
  struct Check {
    std::string name;  // state restored | ...
    bool ok = false;
    std::string detail;
  };
  bool ready = false;
  std::vector<Check> checks;
};

// `name` without the prefix twinspan_, one of metric_families() (metrics_text.h) or a new one listed there.
struct MetricSample {
  std::string name;
  std::vector<std::pair<std::string, std::string>> labels;
  double value = 0;
};

class ControlPlane {
 public:
  virtual ~ControlPlane() = default;

  virtual ServiceInfo service() const = 0;  // quick
  virtual bool live() const = 0;            // quick; false: the control loop hangs. Never depends on Kafka
  virtual Readiness ready() const = 0;      // quick; state restored, listeners up. Never depends on Kafka
  // quick; what cannot be computed from PipelineStatus (pipeline_metrics.h does the rest): process, brokers,
  // ...
  virtual std::vector<MetricSample> metrics() const = 0;

  virtual std::vector<std::string> list_pipelines() const = 0;                 // quick
  virtual Result<PipelineStatus> pipeline(const std::string& name) const = 0;  // quick

  // Both are idempotent: pausing what is paused is no error. Return when the readers have stopped or started.
  virtual Status pause(const std::string& name, const std::string& reason) = 0;
  virtual Status resume(const std::string& name) = 0;

  // Absolute limits of one source; effective at the readers' next poll, durable with the next checkpoint.
  virtual Status set_throttle(const std::string& name, const std::string& source, const RateLimits& limits) = 0;

  // Asks the brokers; bounded by a few seconds. Valid 5 min, executable once.
  virtual Result<DiscardPlan> plan_discard(const std::string& name, const std::optional<std::string>& source,
                                           const DiscardTarget& target) = 0;
  // Returns when every reachable lane has jumped. Errors: conflict with kPlanXxx or kReasonMissing.
  virtual Result<Discard> execute_discard(const std::string& name, const std::string& plan_id,
                                          const std::string& reason) = 0;
  virtual Result<std::vector<Discard>> discards(const std::string& name) const = 0;  // quick; newest first
};

}  // namespace twinspan::admin
