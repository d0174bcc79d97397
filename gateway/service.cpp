#include "gateway/service.h"

#include <algorithm>

#include <spdlog/sinks/stdout_sinks.h>

#include <fmt/format.h>

#include "admin/endpoints.h"

namespace twinspan::gateway {

#ifndef TWINSPAN_VERSION
#define TWINSPAN_VERSION "0.1.0"
#endif
const char* const kVersion = TWINSPAN_VERSION;

namespace {
constexpr int kStopDeadlineMs = 15'000;
}

Service::Service(const config::ServiceSpec& spec, ServiceOptions options, ConnectorFactory& connectors,
                 const Clock& clock, engine::FileSystem& files, std::shared_ptr<spdlog::logger> log)
    : spec_(spec),
      options_(options),
      connectors_(connectors),
      clock_(clock),
      files_(files),
      log_(std::move(log)),
      started_ms_(clock.wall_ms()) {}

Service::~Service() {
  http_.reset();
  pipelines_.clear();
}

void Service::add(LoadedPipeline loaded) {
  const std::string name = loaded.plan->name;
  auto log = log_->clone(name);
  PipelineEnvironment environment{clock_,           files_, connectors_, spec_.data_directory + "/pipelines/" + name,
                                  options_.bounded, log};
  // Files end, so a pipeline that reads nothing else is a batch.
  const auto& sources = loaded.spec->sources;
  if (!sources.empty() &&
      std::all_of(sources.begin(), sources.end(), [](const auto& s) { return s.value.file.has_value(); }))
    environment.bounded = true;
  auto entry = std::make_unique<Entry>();
  entry->pipeline = std::make_unique<Pipeline>(std::move(loaded.spec), std::move(loaded.plan), std::move(environment));
  pipelines_.push_back(std::move(entry));
}

Status Service::start() {
  const bool needs_directory =
      std::any_of(pipelines_.begin(), pipelines_.end(), [](const auto& e) { return !e->pipeline->bounded(); });
  if (needs_directory) {
    TS_TRYV(engine::make_durable_directories(files_, spec_.data_directory));
    TS_TRY(lock, files_.lock_directory(spec_.data_directory));
    lock_ = std::move(lock);
  }
  if (options_.listen) {
    admin::HttpServer::Options http;
    http.listen = spec_.admin.listen.value;
    auto server = admin::HttpServer::start(http, admin::make_endpoints(*this, clock_));
    if (server)
      http_ = std::move(server.value());
    else if (needs_directory)
      return server.error();
    else
      log_->warn("the API is off: {}", server.error().message);  // a batch gives its result without it
  }
  std::string names;
  for (const auto& e : pipelines_) names += (names.empty() ? "" : ", ") + e->pipeline->name();
  std::string clusters;
  for (const auto& c : spec_.clusters) clusters += (clusters.empty() ? "" : ", ") + c.name.value;
  log_->info("twinspan {} | pipelines: {} | clusters: {} | api: {} | data: {}", kVersion, names,
             clusters.empty() ? "none" : clusters, http_ ? http_->address() : "off",
             needs_directory ? spec_.data_directory : "none (bounded)");
  for (auto& e : pipelines_) {
    TS_TRYV(e->pipeline->start());
    e->started = true;
  }
  return ok();
}

Status Service::stop() {
  Status result = ok();
  for (auto& e : pipelines_)
    if (e->started)
      if (auto s = e->pipeline->stop(kStopDeadlineMs); !s && result) result = s;
  if (http_) http_->stop();
  return result;
}

bool Service::all_finished() const {
  return std::all_of(pipelines_.begin(), pipelines_.end(), [](const auto& e) { return e->pipeline->finished(); });
}

std::string Service::failure() const {
  for (const auto& e : pipelines_)
    if (e->pipeline->state() == admin::PipelineState::failed)
      return fmt::format("pipeline '{}': {}", e->pipeline->name(), e->pipeline->reason());
  return "";
}

std::string Service::address() const { return http_ ? http_->address() : ""; }

admin::ServiceInfo Service::service() const { return {kVersion, "", spec_.data_directory, started_ms_}; }

admin::Readiness Service::ready() const {
  admin::Readiness out;
  out.ready = true;
  for (const auto& e : pipelines_) {
    const bool restored = e->pipeline->restored();
    out.checks.push_back({"state of " + e->pipeline->name() + " restored", restored, ""});
    out.ready &= restored;
  }
  return out;
}

std::vector<admin::MetricSample> Service::metrics() const { return {}; }

std::vector<std::string> Service::list_pipelines() const {
  std::vector<std::string> names;
  for (const auto& e : pipelines_) names.push_back(e->pipeline->name());
  return names;
}

Result<Pipeline*> Service::find(const std::string& name) const {
  for (const auto& e : pipelines_) {
    if (e->pipeline->name() != name) continue;
    if (!e->started) return conflict_error(fmt::format("pipeline '{}' is still starting", name), admin::kWrongState);
    return e->pipeline.get();
  }
  return not_found_error(fmt::format("there is no pipeline '{}'", name), admin::kPipelineNotFound);
}

Result<admin::PipelineStatus> Service::pipeline(const std::string& name) const {
  auto found = find(name);
  if (found) return found.value()->status();
  if (found.error().kind != ErrorKind::conflict) return found.error();
  admin::PipelineStatus starting;
  starting.name = name;
  return starting;
}

Status Service::pause(const std::string& name, const std::string& reason) {
  TS_TRY(p, find(name));
  return p->pause(reason);
}

Status Service::resume(const std::string& name) {
  TS_TRY(p, find(name));
  return p->resume();
}

Status Service::set_throttle(const std::string& name, const std::string& source, const admin::RateLimits& limits) {
  TS_TRY(p, find(name));
  return p->set_throttle(source, limits);
}

Result<admin::DiscardPlan> Service::plan_discard(const std::string& name, const std::optional<std::string>& source,
                                                 const admin::DiscardTarget& target) {
  TS_TRY(p, find(name));
  return p->plan_discard(source, target);
}

Result<admin::Discard> Service::execute_discard(const std::string& name, const std::string& plan_id,
                                                const std::string& reason) {
  TS_TRY(p, find(name));
  return p->execute_discard(plan_id, reason);
}

Result<std::vector<admin::Discard>> Service::discards(const std::string& name) const {
  TS_TRY(p, find(name));
  return p->discards();
}

}  // namespace twinspan::gateway
