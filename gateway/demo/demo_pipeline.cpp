#include "gateway/demo/demo_pipeline.h"

#include <fmt/format.h>

namespace twinspan::gateway {

const std::string& demo_pipeline_yaml() {
  static const std::string kText =
      R"yaml(# A click counts if it follows its impression within 10 minutes; exact unique devices per region, every minute of
# event time, the day so far. Both topics are on both clusters, and so is the output.
# The waits (hold_watermark, outage_state, readmit_after, fail_back_after, checkpoint) are short, to be seen in two
# minutes; leave them out to get the defaults.
version: 1
name: ad-uv
params: { day: { type: duration, default: 1d } }

sources:
  impressions:
    topic: ad_impression
    clusters: { pair: [east, west], mode: split }   # producers write to either; the source is the union
    start: earliest                                 # first run only; afterwards the checkpoint decides
    format: { type: json, on_error: dead_letter }
    fields: { device_id: string, ad_id: int64, region: string, price: "decimal(18,4)", ts: timestamp_ms }
    event_time: { field: ts, out_of_order: 10s, idle_after: 1s }
    on_cluster_down: { hold_watermark: 2s, late_backlog: merge }
    outage_state: { for: 4s }                       # then results go on without the lost cluster's last records
    readmit_after: 1s
  clicks:
    topic: ad_click
    clusters: { pair: [east, west], mode: split }
    start: earliest
    format: { type: json, on_error: dead_letter }
    fields: { device_id: string, ad_id: int64, ts: timestamp_ms }
    event_time: { field: ts, out_of_order: 10s, idle_after: 1s }
    on_cluster_down: { hold_watermark: 2s, late_backlog: merge }
    outage_state: { for: 4s }
    readmit_after: 1s

steps:
  valid_impressions:
    from: impressions
    where: device_id IS NOT NULL AND price >= 0
    select: { device_id: device_id, ad_id: ad_id, region: upper(trim(region)), price: price, ts: ts }
  joined:
    interval_join:
      left: valid_impressions
      right: clicks
      on: [ad_id, device_id]
      between: [0s, 10m]                            # right.ts - left.ts
      type: left
      matches: first
    select: { device_id: left.device_id, region: left.region, price: left.price, clicked: right.ad_id IS NOT NULL, ts: left.ts }
  uv:
    from: joined
    window: { cumulate: "${param:day}", every: 60s, timezone: Asia/Shanghai }
    key: [region]
    emit: { mode: accumulating }
    late: { allow: 10m, then: late_rows }
    aggregate:
      uv: count(DISTINCT device_id)
      click_uv: count(DISTINCT device_id) FILTER (WHERE clicked)
      spend: sum(price)

sinks:
  uv_out:
    from: uv
    topic: ad_uv_minute
    clusters: { pair: [east, west], policy: primary_backup, fail_back_after: 5s }
    key: region || '|' || CAST(window_start AS string)
    format: { type: json }
    delivery: at_least_once
  late_rows: { topic: ad_uv_late, clusters: west, format: { type: json } }

dead_letter: { topic: ad_uv_dlq, clusters: { pair: [west, east], fail_back_after: 5s }, max_error_ratio: 0.01 }
checkpoint: { every: 1s }
state: { backend: memory }
)yaml";
  return kText;
}

std::string demo_service_yaml(const DemoServiceFile& file) {
  return fmt::format(R"yaml(# two embedded mock clusters
clusters:
  east: {{ bootstrap: ["{}"] }}
  west: {{ bootstrap: ["{}"] }}
data_directory: {}
admin: {{ listen: "{}" }}
log: {{ level: info, file: {} }}
)yaml",
                     file.east, file.west, file.data_directory, file.listen, file.log_file);
}

}  // namespace twinspan::gateway
