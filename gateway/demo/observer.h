#pragma once
// Looks at the pipeline's status again and again and says what changed: a cluster lost and back, a sink's
// route, states, checkpoints that fail. Also the figures a status does not have: rates per cluster. Status
// in, events and view out, no I/O. Owned by the demo. Thread: main.

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "gateway/demo/demo_view.h"

namespace twinspan::gateway {

class Observer {
 public:
  Observer(std::array<std::string, 2> clusters, std::string result_sink, EventLog& events);

  // The demo broke or mended it: what the time until it is noticed is measured from.
  void cluster_broken(unsigned cluster, std::int64_t now_ms) { broken_at_[cluster] = now_ms; }
  void cluster_mended(unsigned cluster) { broken_at_[cluster] = -1; }

  // `now_ms` since the start, `wall_ms` for ages. Fills the clusters of `view` (names are there already) and
  // its tally.
  void observe(DemoView& view, std::int64_t now_ms, std::int64_t wall_ms);

 private:
  struct ClusterMemory {
    std::string state = "up";
    std::int64_t lost_at = -1;
    std::array<std::int64_t, 2> positions{-1, -1};
    std::array<double, 2> rates{};
  };
  struct SinkMemory {
    bool seen = false;
    std::uint64_t generation = 0;
    std::string cluster;
    std::int64_t took_ms = -1;
    bool holding = false;
  };
  void observe_cluster(unsigned index, DemoClusterView& out, const admin::PipelineStatus& status, std::int64_t now_ms,
                       std::int64_t wall_ms, double seconds);
  void observe_sink(const admin::SinkStatus& sink, std::int64_t now_ms);
  void observe_pipeline(const admin::PipelineStatus& status, std::int64_t now_ms);
  void say(std::int64_t now_ms, DemoEvent::Kind kind, std::string text) { events_.add(now_ms, kind, std::move(text)); }

  const std::array<std::string, 2> names_;
  const std::string result_sink_;
  EventLog& events_;
  std::array<ClusterMemory, 2> clusters_;
  std::array<std::int64_t, 2> broken_at_{-1, -1};
  std::map<std::string, SinkMemory> sinks_;
  std::map<std::string, std::string> stopped_lanes_;
  DemoTally tally_;
  admin::PipelineState state_ = admin::PipelineState::starting;
  std::uint64_t checkpoint_failures_ = 0;
  bool apart_ = false;  // firing and retention watermark
  std::int64_t sampled_at_ = -1;
};

}  // namespace twinspan::gateway
