#pragma once
// The process: data directory, pipelines, HTTP listener, in the order in which they start and, backwards, stop. It is
// what the HTTP API speaks to. Owned by main. Thread: control (start, stop); the ControlPlane part any.

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include <spdlog/logger.h>

#include "admin/control_plane.h"
#include "admin/http_server.h"
#include "config/service_spec.h"
#include "gateway/connector_factory.h"
#include "gateway/load.h"
#include "gateway/pipeline.h"

namespace twinspan::gateway {

extern const char* const kVersion;

struct ServiceOptions {
  bool bounded = false;
  bool listen = true;  // HTTP
};

class Service final : public admin::ControlPlane {
 public:
  Service(const config::ServiceSpec& spec, ServiceOptions options, ConnectorFactory& connectors, const Clock& clock,
          engine::FileSystem& files, std::shared_ptr<spdlog::logger> log);
  ~Service() override;

  void add(LoadedPipeline pipeline);
  // Claims the data directory, listens, then starts the pipelines. On an error nothing is left running.
  Status start();
  // Pipelines first, so that the API can be asked about them while they stop.
  Status stop();
  bool all_finished() const;  // no pipeline runs any more
  // The first pipeline's failure; empty if none failed.
  std::string failure() const;
  std::string address() const;

  admin::ServiceInfo service() const override;
  bool live() const override { return true; }
  admin::Readiness ready() const override;
  std::vector<admin::MetricSample> metrics() const override;
  std::vector<std::string> list_pipelines() const override;
  Result<admin::PipelineStatus> pipeline(const std::string& name) const override;
  Status pause(const std::string& name, const std::string& reason) override;
  Status resume(const std::string& name) override;
  Status set_throttle(const std::string& name, const std::string& source, const admin::RateLimits& limits) override;
  Result<admin::DiscardPlan> plan_discard(const std::string& name, const std::optional<std::string>& source,
                                          const admin::DiscardTarget& target) override;
  Result<admin::Discard> execute_discard(const std::string& name, const std::string& plan_id,
                                         const std::string& reason) override;
  Result<std::vector<admin::Discard>> discards(const std::string& name) const override;

 private:
  struct Entry {
    std::unique_ptr<Pipeline> pipeline;
    std::atomic<bool> started{false};
  };
  Result<Pipeline*> find(const std::string& name) const;

  const config::ServiceSpec& spec_;
  const ServiceOptions options_;
  ConnectorFactory& connectors_;
  const Clock& clock_;
  engine::FileSystem& files_;
  std::shared_ptr<spdlog::logger> log_;
  const std::int64_t started_ms_;
  std::unique_ptr<engine::DirectoryLock> lock_;
  std::vector<std::unique_ptr<Entry>> pipelines_;
  std::unique_ptr<admin::HttpServer> http_;
};

}  // namespace twinspan::gateway
