#pragma once
// One moment of the demo, for the screen and for plain lines. Plain values. Thread: any.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "admin/control_plane.h"
#include "gateway/demo/event_log.h"
#include "gateway/demo/result_table.h"

namespace twinspan::gateway {

struct DemoClusterView {
  std::string name, bootstrap;
  bool broken = false;         // by us
  std::string state = "up";    // as the pipeline's watchdog sees it: the worst of its sources
  std::int64_t since_ms = -1;  // age of that state
  std::int64_t last_data_ms_ago = -1;
  std::string last_error;
  std::array<double, 2> records_per_s{};  // read by the pipeline: impressions, clicks
  std::int64_t lag = 0;
};

// What the run has shown so far; the summary's figures.
struct DemoTally {
  std::uint64_t failovers = 0;  // source clusters lost
  std::uint64_t rejoins = 0;
  std::uint64_t switches = 0, fail_backs = 0;    // of the result sink
  std::int64_t slowest_route_ms = -1;            // breaking a cluster to its sink's new route
  std::int64_t slowest_acknowledgement_ms = -1;  // first bad sign to the first acknowledgement on the other cluster
  std::int64_t slowest_detection_ms = -1;        // breaking a cluster to its sources calling it down
  std::uint64_t discards = 0, discarded_records = 0;
  std::uint64_t failed_deeds = 0;
};

struct DemoView {
  std::int64_t elapsed_ms = 0;
  double speed = 1;
  std::string address, version;
  admin::PipelineStatus status;
  std::array<DemoClusterView, 2> clusters;
  EventTime generated_to = kMinTime;
  std::int64_t checkpoint_ms_ago = -1;
  bool held = false;  // sources held back
  ResultSummary results;
  DemoTally tally;
  std::vector<DemoEvent> events;  // newest last

  const admin::SourceStatus* source(const std::string& name) const {
    for (const auto& s : status.sources)
      if (s.name == name) return &s;
    return nullptr;
  }
  const admin::SinkStatus* sink(const std::string& name) const {
    for (const auto& s : status.sinks)
      if (s.name == name) return &s;
    return nullptr;
  }
};

}  // namespace twinspan::gateway
