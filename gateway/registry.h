#pragma once
// The one list of connectors: which kinds of source and sink there are, and how their settings come from the files.
// Owned by main; outlives the service. Thread: control.

#include <map>
#include <memory>
#include <string>

#include "config/service_spec.h"
#include "connectors/kafka/cluster_consumer_set.h"
#include "connectors/kafka/watchdog.h"
#include "engine/base/clock.h"
#include "gateway/connector_factory.h"

namespace twinspan::gateway {

struct ConnectorOptions {
  bool mock = false;  // the demo's embedded brokers: no time look-ups, no transactions, slow empty fetches
};

class ConnectorRegistry final : public ConnectorFactory {
 public:
  ConnectorRegistry(const config::ServiceSpec& service, const Clock& clock, ConnectorOptions options);
  ~ConnectorRegistry() override;

  Result<std::unique_ptr<connectors::Source>> make_source(const SourceRequest& request) override;
  Result<std::unique_ptr<connectors::Sink>> make_sink(const SinkRequest& request) override;
  void pipeline_stopped(const std::string& pipeline) override;

  connectors::HealthRegistry& health() { return health_; }

 private:
  Result<connectors::ClusterSettings> cluster(const std::string& name) const;
  connectors::ConsumerSet& consumers(const std::string& pipeline, const std::map<std::string, std::string>& client);

  const config::ServiceSpec& service_;
  const Clock& clock_;
  const ConnectorOptions options_;
  connectors::HealthRegistry health_;
  std::map<std::string, std::unique_ptr<connectors::ConsumerSet>> consumers_;
};

}  // namespace twinspan::gateway
