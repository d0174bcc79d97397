#pragma once
// Our own monitor of one cluster. librdkafka's signals alone are none: a frozen or black-holed cluster raises nothing
// for half a minute (kafka_ha.md, section 2). A metadata request every 500 ms over a client of its own, each with its
// own deadline, so that they overlap; where connections are refused, a short one every 100 ms. Refused is DOWN within 1
// s, gray (stopped process, black hole) within 3 s.
//
// Owned by the HealthRegistry, one per cluster name, shared by every pipeline. One thread for timing, and as many
// threads as probes overlap (one while the cluster answers, up to eight while it does not). Thread: any.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "connectors/kafka/cluster_health.h"
#include "connectors/kafka/cluster_health_machine.h"
#include "connectors/kafka/cluster_settings.h"
#include "engine/base/result.h"

namespace twinspan::connectors {

struct WatchdogSettings {
  HealthRules rules;
  int probe_every_ms = 500;
  int hurry_after_ms = 300;  // a probe without answer for so long: the next ones follow closer, so that a gray fault
  int hurry_every_ms = 150;  // is found within 3 s whenever it begins
  int deadline_ms = 1'500;
  int hard_every_ms = 100;  // after a refused connection
  int hard_deadline_ms = 300;
};

class Watchdog final : public ClusterHealth {
 public:
  // Starts probing. An unreachable cluster is no error; settings the client refuses are.
  static Result<std::unique_ptr<Watchdog>> start(const ClusterSettings& cluster, WatchdogSettings settings = {});
  ~Watchdog() override;  // waits for probes under way, at most deadline_ms

  HealthSnapshot snapshot() const override;
  void data_progress() override;
  void data_failure(const char* what) override;  // "probe now", never a verdict

 private:
  class Impl;
  explicit Watchdog(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Gives every source and sink of the process the same monitor of a cluster. Lives as long as the process. Thread: any.
class HealthRegistry {
 public:
  explicit HealthRegistry(WatchdogSettings settings = {});
  ~HealthRegistry();

  // The first call for a name starts its watchdog. Borrowed; valid as long as the registry.
  Result<ClusterHealth*> get(const ClusterSettings& cluster);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace twinspan::connectors
