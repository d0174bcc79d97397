#pragma once
// Metrics that follow from a PipelineStatus, so that the API, the command line and /metrics show the same
// numbers. Cardinality: per step, source, sink and cluster; never per lane. Thread: any (pure).

#include <cstdint>
#include <vector>

#include "admin/control_plane.h"

namespace twinspan::admin {

void append_metrics(const PipelineStatus& status, std::int64_t now_ms, std::vector<MetricSample>& out);
void append_metrics(const ServiceInfo& service, std::vector<MetricSample>& out);

}  // namespace twinspan::admin
