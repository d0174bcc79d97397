#pragma once
// One pipeline as written: sources, steps, sinks and their settings. Filled and checked by parse_pipeline(): names
// refer to things that exist, the graph has no cycle, a window has one kind. Expressions and field types are still text
// with its place; the gateway compiles them and adds what it finds to the same Diagnostics. Defaults are the member
// initializers here and nowhere else. Plain values. Thread: any.

#include "config/fields.h"
#include "config/test_spec.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace twinspan::config {

enum class StartAt { latest, earliest, timestamp };
enum class FormatType { json };
enum class OnError { dead_letter, skip, fail };
enum class WhenIdle { hold, advance };
enum class LateBacklog { merge, side, drop };
enum class OnGap { fail, skip, earliest };
enum class PairMode { split };
enum class JoinType { inner, left, right, full, semi, anti };
enum class Matches { all, first, earliest };
enum class JoinTime { left, right };
enum class WhenFull { slow_sources, spill, shed };
enum class Unmatched { wait, provisional };
enum class EmitMode { accumulating, discarding, retracting };
enum class EmitClock { event, wall };
enum class WindowTime { event, processing };
enum class RoutePolicy { primary_backup };
enum class Delivery { at_least_once };
enum class Compression { none, gzip, snappy, lz4, zstd };
enum class Partitioner { murmur2_random, murmur2, consistent_random, consistent, fnv1a_random, fnv1a, random };
enum class StateBackend { memory, rocksdb };
enum class ParamType { string, int64, bool_, duration, bytes, rate };

struct ParamSpec {
  Located<ParamType> type{ParamType::string, {}};
  std::optional<Text> default_value;
  std::string doc;
  static const ObjectTable& table();
};

// --- sources ---

// `topic: ad`, or another name on each cluster: `topic: { east: ad, west: west.ad }`.
struct TopicSpec {
  Text all;
  NameMap<Text> per_cluster;

  const std::string& on(std::string_view cluster) const {
    const Text* own = per_cluster.find(cluster);
    return own != nullptr ? own->value : all.value;
  }
};

// `clusters: west`, or `clusters: { pair: [east, west], mode: split }`.
struct SourceClusters {
  std::vector<Id> names;  // one or two
  PairMode mode = PairMode::split;
};

struct StartSpec {
  StartAt at = StartAt::latest;
  std::int64_t timestamp_ms = 0;
};

struct FormatSpec {
  FormatType type = FormatType::json;
  std::optional<Located<OnError>>
      on_error;  // sources; not given: dead_letter if the pipeline has dead letters, else fail
  static const ObjectTable& table();
};

struct SinkFormatSpec {
  FormatType type = FormatType::json;
  bool op_field = false;
  bool final_field = false;
  static const ObjectTable& table();
};

struct EventTimeSpec {
  std::optional<Id> field;  // not given: the record's Kafka timestamp
  Duration out_of_order{1000};
  Duration idle_after{30'000};
  WhenIdle when_idle = WhenIdle::hold;
  static const ObjectTable& table();
};

struct OnClusterDownSpec {
  Duration hold_watermark{30'000};
  LateBacklog late_backlog = LateBacklog::merge;
  static const ObjectTable& table();
};

struct OutageStateSpec {
  std::uint64_t bytes = 1ull << 30;
  Duration for_time{3'600'000};
  static const ObjectTable& table();
};

struct ThrottleSpec {
  std::optional<Rate> max_rate;
  std::optional<ByteRate> max_bytes;
  static const ObjectTable& table();
};

struct SourceSpec {
  std::optional<TopicSpec> topic;
  std::optional<SourceClusters> clusters;
  std::optional<Text> file;  // JSON lines, in place of topic and clusters
  StartSpec start;
  FormatSpec format;
  NameMap<Text> fields;  // name -> type text: `decimal(18,4)`
  EventTimeSpec event_time;
  OnClusterDownSpec on_cluster_down;
  OutageStateSpec outage_state;
  ThrottleSpec throttle;
  OnGap on_gap = OnGap::fail;
  Duration readmit_after{5'000};
  Duration max_future{3'600'000};
  NameMap<Text> client;  // librdkafka settings, from the allowed list
  static const ObjectTable& table();
};

// --- steps ---

struct Inputs {
  std::vector<Id> ids;  // several are a union
};

// `ad_id` (the same column on both sides, left == right) or `[left.a, right.b]`, as written.
struct JoinKey {
  Expression left;
  Expression right;
};

struct Interval {
  Duration lower{0};
  Duration upper{0};
  Origin origin;
};

struct MaxStateSpec {
  std::optional<std::uint64_t> bytes;
  WhenFull when_full = WhenFull::slow_sources;
  static const ObjectTable& table();
};

struct IntervalJoinSpec {
  Id left;
  Id right;
  std::vector<JoinKey> on;     // `on:` and `pairs:` together
  std::vector<JoinKey> pairs;  // empty after parsing
  Interval between;            // right.ts - left.ts, both bounds inclusive
  Located<JoinType> type{JoinType::inner, {}};
  Located<Matches> matches{Matches::all, {}};
  Located<JoinTime> time{JoinTime::left, {}};
  std::optional<Expression> where;  // part of the match; the step's own `where` filters joined rows
  std::optional<Located<Duration>> emit_unmatched_after;  // of event time; not given: at the end of the interval
  std::optional<MaxStateSpec> max_state;
  static const ObjectTable& table();

  // Rows of this side come out also if nothing matches them.
  bool left_unmatched() const {
    return type.value == JoinType::left || type.value == JoinType::full || type.value == JoinType::anti;
  }
  bool right_unmatched() const { return type.value == JoinType::right || type.value == JoinType::full; }
  bool left_only() const { return type.value == JoinType::semi || type.value == JoinType::anti; }
};

enum class WindowKind { tumbling, sliding, session, cumulate, global };

struct WindowSpec {
  std::optional<Located<Duration>> tumbling;
  std::optional<Located<Duration>> sliding;
  std::optional<Located<Duration>> session;  // the gap
  std::optional<Located<Duration>> cumulate;
  Located<bool> global{false, {}};
  std::optional<Located<Duration>> every;
  Located<Duration> offset;
  Text timezone{"UTC", {}};
  Located<WindowTime> time{WindowTime::event, {}};
  static const ObjectTable& table();

  WindowKind kind() const {
    return sliding        ? WindowKind::sliding
           : session      ? WindowKind::session
           : cumulate     ? WindowKind::cumulate
           : global.value ? WindowKind::global
                          : WindowKind::tumbling;
  }
  // Of its kind's key.
  const Origin& origin() const {
    const auto& size = sliding ? sliding : session ? session : cumulate ? cumulate : tumbling;
    return size ? size->origin : global.origin;
  }
  // The gap of a session window; 0 of a global one.
  Duration size() const {
    const auto& size = sliding ? sliding : session ? session : cumulate ? cumulate : tumbling;
    return size ? size->value : Duration(0);
  }
};

struct EmitSpec {
  std::optional<Duration> every;  // early results
  EmitMode mode = EmitMode::accumulating;
  Located<EmitClock> clock{EmitClock::event, {}};
  static const ObjectTable& table();
};

struct LateSpec {
  Duration allow{0};
  std::optional<Id> then;  // a sink; not given: later rows are counted and dropped
  static const ObjectTable& table();
};

// `split_keys: auto`, `off`, or how many keys.
struct SplitKeys {
  enum class Kind { off, automatic, number } kind = Kind::automatic;
  std::int64_t count = 0;
};
inline constexpr std::int64_t kMaxSplitKeys = 1024;

// Rows of frequent keys are counted where they are read, before they go to the shard of their key.
struct SkewSpec {
  Located<SplitKeys> split_keys;
  static const ObjectTable& table();
};

// The first row of equal `by` within a time.
struct DeduplicateSpec {
  std::vector<Expression> by;  // columns, or names under `let`
  Located<Duration> within;
  static const ObjectTable& table();
};

// `unnest: items`, or with a name for the elements: `unnest: { array: split(tags, ','), as: tag }`.
struct UnnestSpec {
  Expression array;
  std::optional<Id> as;
  std::optional<Id> ordinality;  // a column with the element's number
  bool keep_empty = false;
  static const ObjectTable& table();
};

enum class StepKind { transform, interval_join, window, window_function, deduplicate, unnest };

// transform: from, let, where, select. interval_join: interval_join, then let, where, select on the joined rows.
// window: from; let and where on its input rows; key, aggregate or apply; select on its result. deduplicate: from; let
// and where on its input rows; select on the rows that pass. unnest: the same.
struct StepSpec {
  std::optional<Inputs> from;
  std::optional<IntervalJoinSpec> interval_join;
  std::optional<DeduplicateSpec> deduplicate;
  std::optional<UnnestSpec> unnest;
  NameMap<Expression> let;
  std::optional<Expression> where;
  NameMap<Expression> select;
  std::optional<WindowSpec> window;
  std::vector<Expression> key;
  std::optional<EmitSpec> emit;
  std::optional<LateSpec> late;
  std::optional<SkewSpec> skew;
  NameMap<Expression> aggregate;
  std::optional<Expression> apply;  // in place of aggregate: a call of a native whole-window function
  std::optional<MaxStateSpec> max_state;
  Located<Unmatched> unmatched{Unmatched::wait, {}};
  std::optional<Located<OnError>> on_error;  // as in FormatSpec
  static const ObjectTable& table();

  StepKind kind() const {
    return interval_join ? StepKind::interval_join
           : window      ? apply ? StepKind::window_function : StepKind::window
           : deduplicate ? StepKind::deduplicate
           : unnest      ? StepKind::unnest
                         : StepKind::transform;
  }
  std::vector<const Id*> inputs() const;
};

// --- sinks ---

// `clusters: west`, or `clusters: { pair: [east, west], policy: primary_backup, fail_back_after: 60s }`; the first is
// primary.
struct RouteSpec {
  std::vector<Id> names;  // one or two
  RoutePolicy policy = RoutePolicy::primary_backup;
  Duration fail_back_after{60'000};
};

struct SinkSpec {
  std::optional<Id> from;  // not given: late rows of the step that names this sink
  std::optional<TopicSpec> topic;
  std::optional<RouteSpec> clusters;
  std::optional<Text> file;  // JSON lines, in place of topic and clusters
  std::optional<Expression> key;
  SinkFormatSpec format;
  Delivery delivery = Delivery::at_least_once;
  NameMap<Expression> headers;
  Compression compression = Compression::lz4;
  Partitioner partitioner = Partitioner::murmur2_random;
  static const ObjectTable& table();
};

// --- the pipeline ---

// A function of the user: an expression over its arguments, put in where it is called.
struct FunctionSpec {
  std::vector<Id> args;
  Expression body;
  std::string doc;
  static const ObjectTable& table();
};

struct DeadLetterSpec {
  Origin origin;  // its key
  std::size_t end = 0;
  std::optional<TopicSpec> topic;
  std::optional<RouteSpec> clusters;
  std::optional<Text> file;
  double max_error_ratio = 0.05;  // over one minute; beyond it the pipeline stops
  static const ObjectTable& table();
};

struct CheckpointSpec {
  Duration every{10'000};
  static const ObjectTable& table();
};

struct StateSpec {
  Located<StateBackend> backend{StateBackend::rocksdb, {}};
  static const ObjectTable& table();
};

// `shards: auto` or a number.
struct ShardCount {
  std::optional<std::int64_t> count;
};

struct PipelineSpec {
  std::int64_t version = 1;
  Text name;
  IdMap<ParamSpec> params;
  IdMap<FunctionSpec> functions;
  IdMap<SourceSpec> sources;
  IdMap<StepSpec> steps;
  IdMap<SinkSpec> sinks;
  std::optional<DeadLetterSpec> dead_letter;
  CheckpointSpec checkpoint;
  ShardCount shards;
  StateSpec state;
  std::vector<TestSpec> tests;
  static const ObjectTable& table();
};

// What `on_error` means where it is not written.
OnError effective_on_error(const std::optional<Located<OnError>>& written, const PipelineSpec& pipeline);

}  // namespace twinspan::config
