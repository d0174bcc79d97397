#include "admin/json_views.h"

#include <boost/json.hpp>

#include <cmath>

namespace twinspan::admin {
namespace {

namespace json = boost::json;

json::value known(std::int64_t n) { return n < 0 ? json::value(nullptr) : json::value(n); }
json::value event_time(EventTime t) { return t == kMinTime ? json::value(nullptr) : json::value(t); }
double rate(double per_second) { return std::round(per_second * 10) / 10; }

json::array clusters_json(const std::vector<ClusterStatus>& clusters) {
  json::array out;
  for (const ClusterStatus& c : clusters) {
    out.push_back(json::object{{"name", c.name},
                               {"state", c.state},
                               {"since_at", known(c.since_at)},
                               {"last_data_ms_ago", known(c.last_data_ms_ago)},
                               {"last_error", c.last_error}});
  }
  return out;
}

json::object to_json(const Watermark& w) {
  return {{"firing", event_time(w.firing)}, {"retention", event_time(w.retention)}};
}

json::object source_summary(const SourceStatus& s) {
  return {{"name", s.name},
          {"clusters", clusters_json(s.clusters)},
          {"records_per_s", rate(s.records_per_s)},
          {"bytes_per_s", rate(s.bytes_per_s)},
          {"records", s.records},
          {"bytes", s.bytes},
          {"lag_records", known(s.lag_records)},
          {"watermark", to_json(s.watermark)},
          {"limits", admin::to_json(s.limits)},
          {"throttled_seconds", s.throttled_seconds},
          {"outage_bytes", s.outage_bytes},
          {"outage_budget", s.outage_budget}};
}

json::object source_json(const SourceStatus& s) {
  json::object out = source_summary(s);
  json::array lanes;
  for (const LaneStatus& l : s.lanes) {
    lanes.push_back(json::object{{"cluster", l.cluster},
                                 {"topic", l.topic},
                                 {"partition", l.partition},
                                 {"position", l.position},
                                 {"end", known(l.end)},
                                 {"lag", known(l.lag)},
                                 {"watermark", event_time(l.watermark)},
                                 {"at_end", l.at_end},
                                 {"stopped", l.stopped},
                                 {"pending_cut", l.pending_cut},
                                 {"paused", l.paused},
                                 {"note", l.note}});
  }
  out["lanes"] = std::move(lanes);
  return out;
}

json::object sink_json(const SinkStatus& s) {
  return {{"name", s.name},
          {"clusters", clusters_json(s.clusters)},
          {"active_cluster", s.active_cluster},
          {"generation", s.generation},
          {"route_reason", s.route_reason},
          {"route_since_at", known(s.route_since_at)},
          {"records_per_s", rate(s.records_per_s)},
          {"records", s.records},
          {"acknowledged", s.acknowledged},
          {"resent", s.resent},
          {"dropped", s.dropped},
          {"switches", s.switches},
          {"unacknowledged_bytes", s.unacknowledged_bytes},
          {"oldest_unacknowledged_ms", s.oldest_unacknowledged_ms},
          {"holding", s.holding},
          {"last_switch_took_ms", known(s.last_switch_took_ms)}};
}

json::object step_json(const StepStatus& s) {
  return {{"id", s.id},
          {"kind", s.kind},
          {"rows_in", s.rows_in},
          {"rows_out", s.rows_out},
          {"rows_late", s.rows_late},
          {"rows_failed", s.rows_failed},
          {"state_rows", s.state_rows},
          {"state_bytes", s.state_bytes},
          {"spilled_bytes", s.spilled_bytes},
          {"state_budget", s.state_budget},
          {"rows_shed", s.rows_shed},
          {"rows_combined", s.rows_combined},
          {"hot_keys", s.hot_keys}};
}

json::value checkpoint_json(const CheckpointStatus& c) {
  json::array stalls;
  for (const double ms : c.stall_p99_ms) stalls.push_back(ms);
  return json::object{{"epoch", c.epoch},
                      {"at", known(c.at)},
                      {"took_ms", known(c.took_ms)},
                      {"write_ms", known(c.write_ms)},
                      {"bytes", c.bytes},
                      {"bytes_total", c.bytes_total},
                      {"stall_p99_ms", std::move(stalls)},
                      {"failures", c.failures},
                      {"last_error", c.last_error}};
}

json::value bases_json(const BaseStatus& b) {
  return json::object{{"merges", b.merges},
                      {"failures", b.failures},
                      {"cpu_seconds", b.cpu_seconds},
                      {"base_bytes", b.base_bytes},
                      {"delta_bytes", b.delta_bytes},
                      {"read_bytes", b.read_bytes},
                      {"written_bytes", b.written_bytes},
                      {"last_took_ms", known(b.last_took_ms)},
                      {"last_error", b.last_error}};
}

json::object head(const PipelineStatus& p) {
  return {{"name", p.name},         {"state", to_string(p.state)},
          {"reason", p.reason},     {"since_at", known(p.since_at)},
          {"delivery", p.delivery}, {"shards", p.shards}};
}

void tail(const PipelineStatus& p, json::object& out) {
  out["last_checkpoint"] = checkpoint_json(p.last_checkpoint);
  out["bases"] = bases_json(p.bases);
  out["dead_letters"] = p.dead_letters;
  out["discarded_records"] = p.discarded_records;
}

json::array ranges_json(const std::vector<DiscardRange>& ranges) {
  json::array out;
  for (const DiscardRange& r : ranges) {
    out.push_back(json::object{{"source", r.source},
                               {"cluster", r.cluster},
                               {"topic", r.topic},
                               {"partition", r.partition},
                               {"pending", r.pending},
                               {"from", r.pending ? json::value(nullptr) : json::value(r.from)},
                               {"to", r.pending ? json::value(nullptr) : json::value(r.to)},
                               {"records", r.records},
                               {"first_at", known(r.first_at)},
                               {"last_at", known(r.last_at)}});
  }
  return out;
}

}  // namespace

json::object to_json(const RateLimits& limits) {
  return {{"records_per_s", limits.records_per_s ? json::value(*limits.records_per_s) : json::value(nullptr)},
          {"bytes_per_s", limits.bytes_per_s ? json::value(*limits.bytes_per_s) : json::value(nullptr)}};
}

json::object to_json(const DiscardTarget& target) {
  switch (target.kind) {
    case DiscardTarget::Kind::latest: return {{"latest", true}};
    case DiscardTarget::Kind::timestamp: return {{"timestamp", target.ms}};
    case DiscardTarget::Kind::keep_last: return {{"keep_last_ms", target.ms}};
  }
  return {};
}

json::object to_json(const PipelineStatus& p) {
  json::object out = head(p);
  json::array sources, steps, sinks;
  for (const SourceStatus& s : p.sources) sources.push_back(source_json(s));
  for (const StepStatus& s : p.steps) steps.push_back(step_json(s));
  for (const SinkStatus& s : p.sinks) sinks.push_back(sink_json(s));
  out["sources"] = std::move(sources);
  out["steps"] = std::move(steps);
  out["sinks"] = std::move(sinks);
  tail(p, out);
  return out;
}

json::object summary_json(const PipelineStatus& p) {
  json::object out = head(p);
  json::array sources, sinks;
  for (const SourceStatus& s : p.sources) sources.push_back(source_summary(s));
  for (const SinkStatus& s : p.sinks) sinks.push_back(sink_json(s));
  out["sources"] = std::move(sources);
  out["sinks"] = std::move(sinks);
  tail(p, out);
  return out;
}

json::object to_json(const DiscardPlan& plan) {
  json::array touched;
  for (const std::string& step : plan.touched_steps) touched.emplace_back(step);
  return {{"plan", plan.id},
          {"pipeline", plan.pipeline},
          {"source", plan.source ? json::value(*plan.source) : json::value(nullptr)},
          {"target", to_json(plan.target)},
          {"created_at", known(plan.created_at)},
          {"expires_at", known(plan.expires_at)},
          {"cut_at", known(plan.cut_at)},
          {"records", plan.records},
          {"first_at", known(plan.first_at)},
          {"last_at", known(plan.last_at)},
          {"pending_lanes", plan.pending_lanes},
          {"touched_steps", std::move(touched)},
          {"ranges", ranges_json(plan.ranges)}};
}

json::object to_json(const Discard& d) {
  return {{"id", d.id},
          {"pipeline", d.pipeline},
          {"plan", d.plan},
          {"reason", d.reason},
          {"target", to_json(d.target)},
          {"executed_at", known(d.executed_at)},
          {"took_ms", known(d.took_ms)},
          {"durable_in", d.durable_in ? json::value(*d.durable_in) : json::value(nullptr)},
          {"records", d.records},
          {"pending_lanes", d.pending_lanes},
          {"ranges", ranges_json(d.ranges)}};
}

}  // namespace twinspan::admin
