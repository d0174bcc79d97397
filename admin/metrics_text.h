#pragma once
// Prometheus text exposition (version 0.0.4) of samples, and the one list of metric families there are.
// Thread: any (pure).

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "admin/control_plane.h"

namespace twinspan::admin {

inline constexpr std::string_view kMetricPrefix = "twinspan_";
inline constexpr const char* kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

struct MetricFamily {
  std::string_view name;  // without prefix
  std::string_view type;  // gauge | counter | histogram
  std::string_view help;
};
std::span<const MetricFamily> metric_families();

// Samples grouped by family, each with HELP and TYPE. Samples of a histogram are named with its _bucket,
// _sum, _count. One whose family is not listed comes out as untyped, at the end.
std::string metrics_text(const std::vector<MetricSample>& samples);

}  // namespace twinspan::admin
