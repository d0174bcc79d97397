// The tables of the pipeline language. A key that stands in pipeline.md but not in this version is `unavailable`, so
// that it gives a clear error instead of "unknown key".

#include "config/pipeline_codecs.h"

namespace twinspan::config {

const ObjectTable& ParamSpec::table() {
  static const ObjectTable kTable =
      TableBuilder<ParamSpec>("a param", "A value that ${param:name} stands for.")
          .field("type", &ParamSpec::type, "What the value must be.", {.required = true})
          .field("default", &ParamSpec::default_value, "Used where none is given; without one the param is required.")
          .field("doc", &ParamSpec::doc, "What it is for.");
  return kTable;
}

const ObjectTable& FormatSpec::table() {
  static const ObjectTable kTable =
      TableBuilder<FormatSpec>("format", "How records are decoded.")
          .field("type", &FormatSpec::type, "The encoding.", {.required = true})
          .field(
              "on_error", &FormatSpec::on_error,
              "What happens to a record that does not decode: dead_letter if the pipeline has dead letters, else fail.")
          .unavailable("registry");
  return kTable;
}

const ObjectTable& SinkFormatSpec::table() {
  static const ObjectTable kTable = TableBuilder<SinkFormatSpec>("format", "How rows are encoded.")
                                        .field("type", &SinkFormatSpec::type, "The encoding.", {.required = true})
                                        .field("op_field", &SinkFormatSpec::op_field,
                                               "Adds _op: +I, -U, +U or -D, the header twinspan-op as a field.")
                                        .field("final_field", &SinkFormatSpec::final_field,
                                               "Adds _final: false for a result that came while a cluster was away.")
                                        .unavailable("registry");
  return kTable;
}

const ObjectTable& EventTimeSpec::table() {
  static const ObjectTable kTable =
      TableBuilder<EventTimeSpec>("event_time", "When things happened, as opposed to when they arrived.")
          .field("field", &EventTimeSpec::field, "The field that holds it; the record's Kafka timestamp if absent.")
          .field("out_of_order", &EventTimeSpec::out_of_order,
                 "How far a record may be behind the newest of its lane without being late.", {.min = 0})
          .field("idle_after", &EventTimeSpec::idle_after,
                 "A lane read to its end is idle after so long without a record.", {.min = 1})
          .field("when_idle", &EventTimeSpec::when_idle,
                 "hold: event time stays when all lanes are idle; advance: it follows the clock.");
  return kTable;
}

const ObjectTable& OnClusterDownSpec::table() {
  static const ObjectTable kTable =
      TableBuilder<OnClusterDownSpec>("on_cluster_down",
                                      "What a lost cluster means for event time and for its late records.")
          .field("hold_watermark", &OnClusterDownSpec::hold_watermark,
                 "Windows wait so long for a lost cluster before they fire without it.", {.min = 0})
          .field("late_backlog", &OnClusterDownSpec::late_backlog,
                 "What it brings after that: merge updates results, side sends it to the late sink, drop discards it.");
  return kTable;
}

const ObjectTable& OutageStateSpec::table() {
  static const ObjectTable kTable =
      TableBuilder<OutageStateSpec>("outage_state", "How much is kept for a lost cluster's late records.")
          .field("bytes", &OutageStateSpec::bytes, "State kept at most.")
          .field("for", &OutageStateSpec::for_time, "Time it is kept at most.", {.min = 0});
  return kTable;
}

const ObjectTable& ThrottleSpec::table() {
  static const ObjectTable kTable =
      TableBuilder<ThrottleSpec>("throttle", "Limits over all lanes of the source.")
          .field("max_rate", &ThrottleSpec::max_rate, "Records per second; 0/s is a pause.", {.live = true, .min = 0})
          .field("max_bytes", &ThrottleSpec::max_bytes, "Bytes per second; 0B/s is a pause.", {.live = true, .min = 0})
          .unavailable("align");
  return kTable;
}

const ObjectTable& SourceSpec::table() {
  static const ObjectTable kTable =
      TableBuilder<SourceSpec>("a source", "One logical topic on one or two clusters, or a file.")
          .field("topic", &SourceSpec::topic, "Topic name, or one for each cluster.")
          .field("clusters", &SourceSpec::clusters, "A cluster's name, or a pair.")
          .field("file", &SourceSpec::file, "JSON lines, in place of topic and clusters.", {.not_empty = true})
          .field("start", &SourceSpec::start, "Where the first run begins; afterwards the checkpoint decides.")
          .field("format", &SourceSpec::format, "How records are decoded; JSON when not given.")
          .field("fields", &SourceSpec::fields, "The fields that are read, each with its type.",
                 {.required = true, .not_empty = true})
          .field("event_time", &SourceSpec::event_time, "When things happened.")
          .field("on_cluster_down", &SourceSpec::on_cluster_down, "What a lost cluster means.")
          .field("outage_state", &SourceSpec::outage_state, "How much is kept for a lost cluster.")
          .field("throttle", &SourceSpec::throttle, "Rate limits.")
          .field("on_gap", &SourceSpec::on_gap, "What to do when records were deleted before they were read.")
          .field("readmit_after", &SourceSpec::readmit_after,
                 "A returned cluster is read again after so long of health.", {.min = 0})
          .field("max_future", &SourceSpec::max_future, "A record further ahead of the clock is an error.", {.min = 1})
          .field("client", &SourceSpec::client, "librdkafka settings, from the allowed list.")
          .unavailable("read")
          .unavailable("id")
          .unavailable("window")
          .unavailable("overlap")
          .unavailable("commit_group")
          .unavailable("sample")
          .unavailable("dedup");
  return kTable;
}

const ObjectTable& MaxStateSpec::table() {
  static const ObjectTable kTable =
      TableBuilder<MaxStateSpec>("max_state", "The state budget of a step.")
          .field("bytes", &MaxStateSpec::bytes, "The budget.", {.required = true, .min = 1 << 20})
          .field("when_full", &MaxStateSpec::when_full,
                 "slow_sources: lanes ahead of the slowest are paused; a join that grows on leaves its oldest rows to "
                 "disk. spill: it does so without pausing. shed: rows are left out, with a ledger entry.");
  return kTable;
}

const ObjectTable& IntervalJoinSpec::table() {
  static const ObjectTable kTable =
      TableBuilder<IntervalJoinSpec>("interval_join",
                                     "Rows of two inputs with equal keys whose times are near each other.")
          .field("left", &IntervalJoinSpec::left, "A source or step.", {.required = true})
          .field("right", &IntervalJoinSpec::right, "A source or step.", {.required = true})
          .field("on", &IntervalJoinSpec::on, "Columns that are equal on both sides.", {.not_empty = true})
          .field("pairs", &IntervalJoinSpec::pairs, "In place of on: [[left.a, right.b], ...].", {.not_empty = true})
          .field("between", &IntervalJoinSpec::between, "Least and largest right.ts - left.ts, both included.",
                 {.required = true})
          .field(
              "type", &IntervalJoinSpec::type,
              "left, right, full: rows of that side without a match too; semi, anti: left rows with, without a match.")
          .field("matches", &IntervalJoinSpec::matches,
                 "For a left row: all, the first to arrive, or the earliest by time (decided at the watermark).")
          .field("time", &IntervalJoinSpec::time, "Whose event time the result has.")
          .field("where", &IntervalJoinSpec::where, "A further condition of the match, over left.x and right.x.")
          .field("emit_unmatched_after", &IntervalJoinSpec::emit_unmatched_after,
                 "Unmatched rows come out after this much event time, and are taken back if a match comes.", {.min = 0})
          .field("max_state", &IntervalJoinSpec::max_state, "The state budget.");
  return kTable;
}

const ObjectTable& WindowSpec::table() {
  static const ObjectTable kTable =
      TableBuilder<WindowSpec>("window", "One of tumbling, sliding, session, cumulate and global.")
          .field("tumbling", &WindowSpec::tumbling, "Windows of this size, one after the other.", {.min = 1})
          .field("sliding", &WindowSpec::sliding, "Windows of this size, a new one at every `every`.", {.min = 1})
          .field("session", &WindowSpec::session,
                 "The gap: rows of a key less than that apart are one window, which ends the gap after the last.",
                 {.min = 1})
          .field("cumulate", &WindowSpec::cumulate, "The window so far, again at every `every`.", {.min = 1})
          .field("global", &WindowSpec::global, "One window without end; results come every emit.every.")
          .field("every", &WindowSpec::every,
                 "The step of a cumulate window, which divides its size; of a sliding one the distance of windows.",
                 {.min = 1})
          .field("offset", &WindowSpec::offset, "Shifts where windows begin.")
          .field("timezone", &WindowSpec::timezone, "Where the day begins, such as Asia/Shanghai.", {.not_empty = true})
          .field("time", &WindowSpec::time,
                 "event: when things happened; processing: when rows come here, which no second run repeats.");
  return kTable;
}

const ObjectTable& EmitSpec::table() {
  static const ObjectTable kTable =
      TableBuilder<EmitSpec>("emit", "When and how results come out.")
          .field("every", &EmitSpec::every, "Early results at this distance.", {.min = 1})
          .field("mode", &EmitSpec::mode,
                 "What a sink gets. accumulating: the value so far; discarding: the change since the last record; "
                 "retracting: the old value as -U, then the new one as +U.")
          .field("clock", &EmitSpec::clock,
                 "The clock of `every`: event time, or the wall clock, whose results no second run repeats.");
  return kTable;
}

const ObjectTable& LateSpec::table() {
  static const ObjectTable kTable =
      TableBuilder<LateSpec>("late", "What happens to rows behind the watermark.")
          .field("allow", &LateSpec::allow, "Rows up to so late still change results.", {.min = 0})
          .field("then", &LateSpec::then, "The sink for later ones; without it they are counted and dropped.");
  return kTable;
}

const ObjectTable& SkewSpec::table() {
  static const ObjectTable kTable =
      TableBuilder<SkewSpec>("skew", "Rows of frequent keys are counted where they are read, then where the key is.")
          .field("split_keys", &SkewSpec::split_keys,
                 "Which keys: auto finds those with a large share of the rows while running; a number: so many, the "
                 "most frequent; off: none. Results are the same.");
  return kTable;
}

const ObjectTable& DeduplicateSpec::table() {
  static const ObjectTable kTable =
      TableBuilder<DeduplicateSpec>("deduplicate", "Of rows with equal `by`, only the first passes within a time.")
          .field("by", &DeduplicateSpec::by, "What makes rows equal: columns, or names under `let`; NULL equals NULL.",
                 {.required = true, .not_empty = true})
          .field("within", &DeduplicateSpec::within,
                 "A row less than this away in event time from one that passed, before or after it, is dropped.",
                 {.required = true, .min = 1, .max = 320'000'000'000});
  return kTable;
}

const ObjectTable& UnnestSpec::table() {
  static const ObjectTable kTable =
      TableBuilder<UnnestSpec>("unnest", "A row of each element of an array, with the other columns of its row.")
          .field("array", &UnnestSpec::array, "The array: a column, or computed.", {.required = true})
          .field(
              "as", &UnnestSpec::as,
              "The elements' column; without it the elements take the place of the array, which must be a column then.")
          .field("ordinality", &UnnestSpec::ordinality, "A column that has the element's number, from 1.")
          .field("keep_empty", &UnnestSpec::keep_empty,
                 "An empty or NULL array is a row whose element is NULL; else it is none.");
  return kTable;
}

const ObjectTable& StepSpec::table() {
  static const ObjectTable kTable =
      TableBuilder<StepSpec>("a step", "Filter and project, join, or aggregate.")
          .field("from", &StepSpec::from, "A source or step, or a list of them (a union).")
          .field("interval_join", &StepSpec::interval_join, "Join two inputs, in place of from.")
          .field("deduplicate", &StepSpec::deduplicate, "Drop repeated rows.")
          .field("unnest", &StepSpec::unnest, "Make a row of each element of an array.")
          .field("let", &StepSpec::let, "Named intermediate values.")
          .field("where", &StepSpec::where, "Only rows for which this is true.")
          .field("select", &StepSpec::select, "The columns of the result; all if absent.", {.not_empty = true})
          .field("window", &StepSpec::window, "Aggregate by window.")
          .field("key", &StepSpec::key, "The columns to group by.")
          .field("emit", &StepSpec::emit, "When and how results come out.")
          .field("late", &StepSpec::late, "What happens to late rows.")
          .field("aggregate", &StepSpec::aggregate,
                 "The aggregates by name, such as count(DISTINCT x) FILTER (WHERE y).", {.not_empty = true})
          .field("apply", &StepSpec::apply,
                 "In place of aggregate: a native function over all rows of a key in a window, such as "
                 "visits.cut(page, 1800000).")
          .field("max_state", &StepSpec::max_state, "The state budget.")
          .field("unmatched", &StepSpec::unmatched,
                 "During an outage, unmatched rows wait for it, or come out provisionally and are taken back if a "
                 "match comes.")
          .field(
              "on_error", &StepSpec::on_error,
              "What happens to a row whose expression fails: dead_letter if the pipeline has dead letters, else fail.")
          .field("skew", &StepSpec::skew, "What is done about keys with a large share of all rows.");
  return kTable;
}

const ObjectTable& SinkSpec::table() {
  static const ObjectTable kTable =
      TableBuilder<SinkSpec>("a sink", "A topic on one or two clusters, or a file.")
          .field("from", &SinkSpec::from, "A source or step; absent for a sink of late rows.")
          .field("topic", &SinkSpec::topic, "Topic name, or one for each cluster.")
          .field("clusters", &SinkSpec::clusters, "A cluster's name, or a pair with its policy.")
          .field("file", &SinkSpec::file, "JSON lines, in place of topic and clusters.", {.not_empty = true})
          .field("key", &SinkSpec::key, "The record's key.")
          .field("format", &SinkSpec::format, "How rows are encoded; JSON when not given.")
          .field("delivery", &SinkSpec::delivery, "at_least_once: nothing acknowledged is lost.")
          .field("headers", &SinkSpec::headers, "Headers by name.")
          .field("compression", &SinkSpec::compression, "Compression of batches.")
          .field("partitioner", &SinkSpec::partitioner,
                 "How a key chooses its partition; the default is that of Java clients.")
          .unavailable("loss_tolerance")
          .unavailable("on_doubt")
          .unavailable("timestamp");
  return kTable;
}

const ObjectTable& DeadLetterSpec::table() {
  static const ObjectTable kTable =
      TableBuilder<DeadLetterSpec>("dead_letter", "Where records go that cannot be processed, with origin and reason.")
          .field("topic", &DeadLetterSpec::topic, "Topic name, or one for each cluster.")
          .field("clusters", &DeadLetterSpec::clusters, "A cluster's name, or a pair with its policy.")
          .field("file", &DeadLetterSpec::file, "JSON lines, in place of topic and clusters.", {.not_empty = true})
          .field("max_error_ratio", &DeadLetterSpec::max_error_ratio,
                 "Beyond this share within a minute the pipeline stops.", {.min = 0, .max = 1});
  return kTable;
}

const ObjectTable& CheckpointSpec::table() {
  static const ObjectTable kTable =
      TableBuilder<CheckpointSpec>("checkpoint", "When state and positions are saved.")
          .field("every", &CheckpointSpec::every, "The distance of checkpoints.", {.min = 100, .max = 86'400'000})
          .unavailable("copy_to");
  return kTable;
}

const ObjectTable& StateSpec::table() {
  static const ObjectTable kTable =
      TableBuilder<StateSpec>("state", "How state is kept.")
          .field("backend", &StateSpec::backend, "memory never evicts; rocksdb may be larger than memory.");
  return kTable;
}

const ObjectTable& FunctionSpec::table() {
  static const ObjectTable kTable =
      TableBuilder<FunctionSpec>("a function", "An expression over its arguments, put in where it is called.")
          .field("args", &FunctionSpec::args, "The names of its arguments; the body sees nothing else.")
          .field("body", &FunctionSpec::body, "The expression.", {.required = true})
          .field("doc", &FunctionSpec::doc, "What it computes.");
  return kTable;
}

const ObjectTable& PipelineSpec::table() {
  static const ObjectTable kTable =
      TableBuilder<PipelineSpec>("the pipeline", "One pipeline: a named graph of sources, steps and sinks.")
          .field("version", &PipelineSpec::version, "The version of the language.",
                 {.required = true, .min = 1, .max = 1})
          .field("name", &PipelineSpec::name, "The pipeline's name: a-z, 0-9, '_' and '-'.", {.required = true})
          .field("params", &PipelineSpec::params, "Values that ${param:name} stands for.")
          .field("functions", &PipelineSpec::functions, "Functions that the expressions of this pipeline may call.")
          .field("sources", &PipelineSpec::sources, "Where rows come from.", {.required = true, .not_empty = true})
          .field("steps", &PipelineSpec::steps, "What is computed.")
          .field("sinks", &PipelineSpec::sinks, "Where results go.", {.required = true, .not_empty = true})
          .field("dead_letter", &PipelineSpec::dead_letter, "Where records go that cannot be processed.")
          .field("checkpoint", &PipelineSpec::checkpoint, "When state and positions are saved.")
          .field("shards", &PipelineSpec::shards, "How many threads own keys; auto: half of the cores, at most 8.")
          .field("state", &PipelineSpec::state, "How state is kept.")
          .field("tests", &PipelineSpec::tests, "Scenarios in virtual time; `twinspan test` runs them.")
          .unavailable("priority")
          .unavailable("outbox")
          .unavailable("on_state_damage")
          .unavailable("keep_revisions")
          .unavailable("discard_lag")
          .unavailable("health")
          .unavailable("upgrade");
  return kTable;
}

}  // namespace twinspan::config
