#pragma once
// Makes the sources and sinks that a plan names. The one place that knows which kinds there are is registry.cpp; tests
// bring their own. Owned by the app, outlives its pipelines. Thread: control.

#include <functional>
#include <memory>
#include <string>

#include "connectors/sink.h"
#include "connectors/source.h"
#include "gateway/plan.h"

namespace twinspan::gateway {

struct SourceRequest {
  const SourcePlan* plan = nullptr;
  std::string pipeline;
  unsigned shards = 1;
  bool bounded = false;
};

struct SinkRequest {
  std::string id;  // sink id, or "dead_letter"
  std::string pipeline;
  std::string unit;  // first part of every record's identity
  std::uint64_t incarnation = 0;
  unsigned shards = 1;
  const config::SinkSpec* sink = nullptr;  // one of the two
  const config::DeadLetterSpec* dead_letter = nullptr;
  std::uint64_t route_generation = 0;  // restored
  std::string route_cluster;           // restored; empty: the configuration's first
  // Must have returned ok before the first record goes to another cluster. Thread: the sink's.
  std::function<Status(std::uint64_t generation, const std::string& cluster)> persist_route;
  // A record that no cluster will ever take (too large, ...). On the shard's thread; views hold during the call.
  std::function<void(unsigned shard, const connectors::OutputRecord& record, std::string_view reason)> rejected;
};

class ConnectorFactory {
 public:
  virtual ~ConnectorFactory() = default;
  virtual Result<std::unique_ptr<connectors::Source>> make_source(const SourceRequest& request) = 0;
  virtual Result<std::unique_ptr<connectors::Sink>> make_sink(const SinkRequest& request) = 0;
  // Called when a pipeline's sources are gone: what they shared (consumers) may go as well.
  virtual void pipeline_stopped(const std::string& pipeline) = 0;
};

}  // namespace twinspan::gateway
