#pragma once
// The consumers of one pipeline: one librdkafka handle per cluster, shared by all its sources, because every handle
// costs about six threads and its own connections. Owned by the pipeline; made before its sources and destroyed after
// them. Thread: control.

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "connectors/kafka/cluster_health.h"
#include "connectors/kafka/cluster_settings.h"
#include "engine/base/clock.h"
#include "engine/base/result.h"

namespace twinspan::connectors {

class ClusterConsumer;

struct ConsumerOptions {
  bool read_committed = true;
  int fetch_wait_max_ms = 100;                // mock brokers answer an empty fetch only then: 10-50 there
  std::int64_t prefetch_kbytes = 16'384;      // per cluster, source and shard: what waits to be polled
  std::int64_t prefetch_messages = 50'000;    // the same, counted; more falls out of the cache before it is polled
  bool mock = false;                          // librdkafka's mock brokers: no time look-ups, no DescribeConfigs
  std::map<std::string, std::string> client;  // the user's own settings, last word
};

class ConsumerSet {
 public:
  ConsumerSet(std::string pipeline, ConsumerOptions options, const Clock& clock);
  ~ConsumerSet();  // hands the handles to reaper threads; does not wait for brokers

  // The first call for a cluster opens its consumer. An unreachable cluster is no error; a refused setting is.
  Result<ClusterConsumer*> get(const ClusterSettings& cluster, ClusterHealth& health);
  const ConsumerOptions& options() const { return options_; }

 private:
  std::string pipeline_;
  ConsumerOptions options_;
  const Clock& clock_;
  std::map<std::string, std::unique_ptr<ClusterConsumer>> consumers_;
};

}  // namespace twinspan::connectors
