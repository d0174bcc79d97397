#include "admin/endpoints.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <memory>

#include "admin/json_body.h"
#include "admin/json_views.h"
#include "admin/metrics_text.h"
#include "admin/pipeline_metrics.h"
#include "admin/time_text.h"

namespace twinspan::admin {
namespace {

namespace json = boost::json;
using In = Parameter::In;

const Parameter kPipeline{"p", In::path, true, R"({"type":"string"})", "name of the pipeline"};
const Parameter kSource{"source", In::body, false, R"({"type":"string"})",
                        "name of a source; absent: all sources of the pipeline"};
constexpr const char* kLimitSchema = R"({"type":["integer","null"],"minimum":0})";

Reply reply(const json::value& body) { return {200, "application/json", json::serialize(body)}; }
Reply text(int status, std::string body, const char* type = "text/plain; charset=utf-8") {
  return {status, type, std::move(body)};
}

std::optional<std::string> text_of(const json::object& body, std::string_view key) {
  const json::value* value = body.if_contains(key);
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return std::string(value->as_string());
}

// --- probes ---

void add_probes(EndpointTable& table, ControlPlane& control, const Clock& clock) {
  table.add({.method = "GET",
             .path = "/livez",
             .id = "livez",
             .summary = "200 while the process can do its work; never depends on Kafka",
             .role = Role::none,
             .produces = "text/plain",
             .handler = [&control](const Call&) -> Handled {
               return control.live() ? text(200, "ok\n") : text(503, "the control loop does not turn\n");
             }});
  table.add({.method = "GET",
             .path = "/readyz",
             .id = "readyz",
             .summary = "200 when state is restored and listeners are up; never depends on Kafka",
             .role = Role::none,
             .produces = "text/plain",
             .handler = [&control](const Call&) -> Handled {
               const Readiness readiness = control.ready();
               std::string body;
               for (const Readiness::Check& c : readiness.checks) {
                 body += fmt::format("[{}] {}{}{}\n", c.ok ? '+' : '-', c.name, c.detail.empty() ? "" : ": ", c.detail);
               }
               body += readiness.ready ? "ready\n" : "not ready\n";
               return text(readiness.ready ? 200 : 503, std::move(body));
             }});
  table.add({.method = "GET",
             .path = "/metrics",
             .id = "metrics",
             .summary = "Prometheus text",
             .role = Role::none,
             .produces = "text/plain",
             .handler = [&control, &clock](const Call&) -> Handled {
               std::vector<MetricSample> samples = control.metrics();
               append_metrics(control.service(), samples);
               for (const std::string& name : control.list_pipelines()) {
                 if (auto status = control.pipeline(name)) append_metrics(status.value(), clock.wall_ms(), samples);
               }
               return text(200, metrics_text(samples), kMetricsContentType);
             }});
  table.add({.method = "GET",
             .path = "/v1/version",
             .id = "version",
             .summary = "version, commit, start",
             .role = Role::viewer,
             .handler = [&control](const Call&) -> Handled {
               const ServiceInfo s = control.service();
               return reply(json::object{{"version", s.version},
                                         {"commit", s.commit},
                                         {"started_at", s.started_at},
                                         {"data_directory", s.data_directory}});
             }});
}

// --- pipelines ---

void add_pipelines(EndpointTable& table, ControlPlane& control) {
  table.add({.method = "GET",
             .path = "/v1/pipelines",
             .id = "list_pipelines",
             .summary = "every pipeline with state, clusters, rates, lag and route",
             .role = Role::viewer,
             .handler = [&control](const Call&) -> Handled {
               json::array rows;
               for (const std::string& name : control.list_pipelines()) {
                 if (auto status = control.pipeline(name)) rows.push_back(summary_json(status.value()));
               }
               return reply(json::object{{"pipelines", std::move(rows)}});
             }});
  table.add({.method = "GET",
             .path = "/v1/pipelines/{p}",
             .id = "get_pipeline",
             .summary = "a pipeline with its lanes, steps, sinks and last checkpoint",
             .role = Role::viewer,
             .parameters = {kPipeline},
             .handler = [&control](const Call& call) -> Handled {
               TS_TRY(status, control.pipeline(call.path.at("p")));
               return reply(to_json(status));
             }});
  table.add({.method = "POST",
             .path = "/v1/pipelines/{p}:pause",
             .id = "pause",
             .summary = "stop reading; everything stays where it is",
             .role = Role::operator_,
             .mutates = true,
             .slow = true,
             .parameters = {kPipeline, {"reason", In::body, false, R"({"type":"string"})", "why; shown in the status"}},
             .handler = [&control](const Call& call) -> Handled {
               const std::string& name = call.path.at("p");
               TS_TRYV(control.pause(name, text_of(call.body, "reason").value_or("paused by an operator")));
               TS_TRY(status, control.pipeline(name));
               return reply(summary_json(status));
             }});
  table.add({.method = "POST",
             .path = "/v1/pipelines/{p}:resume",
             .id = "resume",
             .summary = "go on from where it was paused",
             .role = Role::operator_,
             .mutates = true,
             .slow = true,
             .parameters = {kPipeline},
             .handler = [&control](const Call& call) -> Handled {
               const std::string& name = call.path.at("p");
               TS_TRYV(control.resume(name));
               TS_TRY(status, control.pipeline(name));
               return reply(summary_json(status));
             }});
}

// --- throttle ---

json::object throttle_json(const PipelineStatus& status) {
  json::array sources;
  for (const SourceStatus& s : status.sources) {
    json::object one = to_json(s.limits);
    one["source"] = s.name;
    sources.push_back(std::move(one));
  }
  return {{"pipeline", status.name}, {"sources", std::move(sources)}};
}

// A key that is absent leaves the limit as it is; null lifts it.
void change_limit(const json::object& body, std::string_view key, std::optional<std::uint64_t>& limit) {
  const json::value* value = body.if_contains(key);
  if (value == nullptr) return;
  if (value->is_null())
    limit.reset();
  else
    limit = value->to_number<std::uint64_t>();
}

Handled put_throttle(ControlPlane& control, const Call& call) {
  const std::string& name = call.path.at("p");
  if (!call.body.contains("records_per_s") && !call.body.contains("bytes_per_s")) {
    return invalid("", "names no limit", "records_per_s, bytes_per_s: an integer, 0 to pause, null to lift the limit");
  }
  TS_TRY(before, control.pipeline(name));
  const std::optional<std::string> source = text_of(call.body, "source");
  bool found = false;
  for (const SourceStatus& s : before.sources) {
    if (source && s.name != *source) continue;
    found = true;
    RateLimits limits = s.limits;
    change_limit(call.body, "records_per_s", limits.records_per_s);
    change_limit(call.body, "bytes_per_s", limits.bytes_per_s);
    TS_TRYV(control.set_throttle(name, s.name, limits));
  }
  if (!found)
    return Problem(404, kSourceNotFound,
                   fmt::format("pipeline \"{}\" has no source \"{}\"", name, source.value_or("")));
  TS_TRY(after, control.pipeline(name));
  return reply(throttle_json(after));
}

void add_throttle(EndpointTable& table, ControlPlane& control) {
  table.add({.method = "GET",
             .path = "/v1/pipelines/{p}/throttle",
             .id = "get_throttle",
             .summary = "rate limits of the sources; null = unlimited",
             .role = Role::viewer,
             .parameters = {kPipeline},
             .handler = [&control](const Call& call) -> Handled {
               TS_TRY(status, control.pipeline(call.path.at("p")));
               return reply(throttle_json(status));
             }});
  table.add({.method = "PUT",
             .path = "/v1/pipelines/{p}/throttle",
             .id = "put_throttle",
             .summary = "change rate limits while running; absent = as it is",
             .role = Role::operator_,
             .mutates = true,
             .slow = true,
             .parameters = {kPipeline,
                            kSource,
                            {"records_per_s", In::body, false, kLimitSchema,
                             "records per second over all clusters; 0 = pause, null = unlimited"},
                            {"bytes_per_s", In::body, false, kLimitSchema,
                             "bytes per second over all clusters; 0 = pause, null = unlimited"}},
             .handler = [&control](const Call& call) { return put_throttle(control, call); }});
}

// --- lag discard ---

constexpr const char* kTargetHint =
    R"("latest", {"timestamp": "2026-01-01T00:00:00Z" or milliseconds}, or {"keep_last": "5m"})";

outcome::basic_result<DiscardTarget, Problem, outcome::policy::terminate> read_target(const json::value& value) {
  using Kind = DiscardTarget::Kind;
  if (value.is_string()) {
    if (value.as_string() == "latest") return DiscardTarget{};
    return invalid("/target", fmt::format("\"{}\" is not a target", std::string(value.as_string())), kTargetHint);
  }
  const json::object& object = value.as_object();
  if (object.size() != 1) return invalid("/target", "needs exactly one of timestamp, keep_last", kTargetHint);
  const json::value& aim = object.begin()->value();
  if (object.contains("timestamp")) {
    if (aim.is_int64() && aim.as_int64() >= 0) return DiscardTarget{Kind::timestamp, aim.as_int64()};
    if (aim.is_string()) {
      if (const auto ms = parse_timestamp(std::string_view(aim.as_string())); ms && *ms >= 0)
        return DiscardTarget{Kind::timestamp, *ms};
    }
    return invalid("/target/timestamp", "is not a time", kTargetHint);
  }
  if (object.contains("keep_last")) {
    if (aim.is_string()) {
      if (const auto ms = parse_duration(std::string_view(aim.as_string()))) return DiscardTarget{Kind::keep_last, *ms};
    }
    return invalid("/target/keep_last", "is not a duration", kTargetHint);
  }
  return invalid("/target", "needs exactly one of timestamp, keep_last", kTargetHint);
}

Handled plan_discard(ControlPlane& control, const Call& call) {
  TS_TRY(target, read_target(call.body.at("target")));
  TS_TRY(plan, control.plan_discard(call.path.at("p"), text_of(call.body, "source"), target));
  return reply(to_json(plan));
}

Handled execute_discard(ControlPlane& control, const Call& call) {
  TS_TRY(done, control.execute_discard(call.path.at("p"), *text_of(call.body, "plan"), *text_of(call.body, "reason")));
  return reply(to_json(done));
}

Handled list_discards(ControlPlane& control, const Call& call) {
  std::size_t limit = 100;
  if (const auto given = call.query.find("limit"); given != call.query.end()) {
    const std::string& text = given->second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
    if (error != std::errc() || end != text.data() + text.size() || limit < 1 || limit > 1'000) {
      return Problem(400, "bad_parameter", "limit must be a number from 1 to 1000");
    }
  }
  TS_TRY(all, control.discards(call.path.at("p")));
  json::array rows;
  for (std::size_t i = 0; i < std::min(limit, all.size()); ++i) rows.push_back(to_json(all[i]));
  return reply(json::object{{"discards", std::move(rows)}, {"total", all.size()}});
}

void add_discards(EndpointTable& table, ControlPlane& control) {
  table.add(
      {.method = "POST",
       .path = "/v1/pipelines/{p}/lag-discards:plan",
       .id = "plan_lag_discard",
       .summary = "what a discard would skip, per lane; valid 5 minutes; changes nothing",
       .role = Role::operator_,
       .mutates = true,
       .slow = true,
       .parameters = {kPipeline, kSource, {"target", In::body, true, R"({"type":["string","object"]})", kTargetHint}},
       .handler = [&control](const Call& call) { return plan_discard(control, call); }});
  table.add({.method = "POST",
             .path = "/v1/pipelines/{p}/lag-discards",
             .id = "execute_lag_discard",
             .summary = "skip what the plan says, now, on all clusters",
             .role = Role::operator_,
             .mutates = true,
             .slow = true,
             .parameters = {kPipeline,
                            {"plan", In::body, true, R"({"type":"string"})", "id of a plan of this pipeline"},
                            {"reason", In::body, true, R"({"type":"string"})", "why; goes into the ledger"}},
             .handler = [&control](const Call& call) { return execute_discard(control, call); }});
  table.add({.method = "GET",
             .path = "/v1/pipelines/{p}/lag-discards",
             .id = "list_lag_discards",
             .summary = "the ledger of skipped ranges, newest first",
             .role = Role::viewer,
             .parameters = {kPipeline,
                            {"limit", In::query, false, R"({"type":"integer","minimum":1,"maximum":1000})",
                             "how many; default 100"}},
             .handler = [&control](const Call& call) { return list_discards(control, call); }});
}

}  // namespace

EndpointTable make_endpoints(ControlPlane& control, const Clock& clock) {
  EndpointTable table;
  add_probes(table, control, clock);
  add_pipelines(table, control);
  add_throttle(table, control);
  add_discards(table, control);
  // The listing lists itself, so its text is made when the table is complete.
  auto listing = std::make_shared<std::string>();
  table.add({.method = "GET",
             .path = "/v1/openapi.json",
             .id = "openapi",
             .summary = "this API, OpenAPI 3.1",
             .role = Role::viewer,
             .handler = [listing](const Call&) -> Handled { return text(200, *listing, "application/json"); }});
  *listing = table.openapi(control.service().version);
  return table;
}

}  // namespace twinspan::admin
