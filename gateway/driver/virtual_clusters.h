#pragma once
// Clusters without brokers: the logs of all lanes, which clusters are away, and what came out of the sinks. Sources and
// sinks made here keep the contracts of connectors/source.h and sink.h; they outlive the pipelines that run on them, so
// a restart reads on. Only for stepped pipelines: everything happens in the calling thread (the fakes for pipelines
// with threads, which also break on command, are in tests/support). Owned by a PipelineDriver. Thread: one.

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/clock.h"
#include "gateway/connector_factory.h"

namespace twinspan::gateway {

struct VirtualRecord {
  std::int64_t timestamp = -1;
  std::string key, value;
  bool has_key = false, has_value = true;
};

struct VirtualOutput {
  std::string key, value;
  bool has_key = false, has_value = true;
  std::int64_t timestamp = -1;
  std::vector<std::pair<std::string, std::string>> headers;
};

class VirtualClusters final : public ConnectorFactory {
 public:
  VirtualClusters(const Clock& clock, std::size_t batch) : clock_(clock), batch_(batch) {}

  void add_lane(const connectors::LaneKey& lane) { logs_[lane]; }
  void push(const connectors::LaneKey& lane, VirtualRecord record) { logs_.at(lane).push_back(std::move(record)); }
  void set_down(const std::string& cluster, bool down) {
    if (down)
      down_.insert(cluster);
    else
      down_.erase(cluster);
  }
  bool is_down(const std::string& cluster) const { return down_.contains(cluster); }
  void end() { ended_ = true; }  // what is there is all there will be
  const std::vector<VirtualOutput>& output(const std::string& sink) { return outputs_[sink]; }

  // The lanes of a source that exist, in order.
  std::vector<connectors::LaneKey> lanes_of(const config::SourceSpec& source) const;

  Result<std::unique_ptr<connectors::Source>> make_source(const SourceRequest& request) override;
  Result<std::unique_ptr<connectors::Sink>> make_sink(const SinkRequest& request) override;
  void pipeline_stopped(const std::string&) override {}

 private:
  class Source;
  class Reader;
  class Sink;
  class Writer;

  const Clock& clock_;
  const std::size_t batch_;  // largest poll
  std::map<connectors::LaneKey, std::vector<VirtualRecord>> logs_;
  std::set<std::string> down_;
  std::map<std::string, std::vector<VirtualOutput>> outputs_;  // by sink
  bool ended_ = false;
};

// The lane a source has on a cluster ("file" for a file).
connectors::LaneKey virtual_lane(const config::SourceSpec& source, const std::string& cluster, std::int32_t partition);

}  // namespace twinspan::gateway
