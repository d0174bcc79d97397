#pragma once
// The example of the language's description, and what of it this version has.

#include <string>

namespace twinspan::testing {

inline const std::string kServiceExample = R"(clusters:
  east:
    discovery: static
    bootstrap: ["k1.east.example:9093", "k2.east.example:9093"]
    security: { protocol: sasl_ssl, mechanism: SCRAM-SHA-512, user: twinspan, password: "${secret:kafka_east}" }
  west: { bootstrap: ["k1.west.example:9093"], security: { protocol: ssl } }
secrets: { directory: "${env:CREDENTIALS_DIRECTORY}" }
data_directory: /var/lib/twinspan
admin: { listen: "127.0.0.1:8480" }
)";

inline const std::string kPipelineExample = R"(version: 1
name: ad-uv
params: { day: { type: duration, default: 1d } }

sources:
  impressions:
    topic: ad_impression
    clusters: { pair: [east, west], mode: split }
    start: latest                                   # first run only; afterwards the checkpoint decides
    format: { type: json, on_error: dead_letter }
    fields: { device_id: string, ad_id: int64, region: string, price: decimal(18,4), ts: timestamp_ms }
    event_time: { field: ts, out_of_order: 10s, idle_after: 30s }
    on_cluster_down: { hold_watermark: 30s, late_backlog: merge }
    throttle: { max_rate: 200k/s, align: { group: ads, max_ahead: 60s } }
  clicks:
    topic: ad_click
    clusters: { pair: [east, west], mode: split }
    format: { type: json, on_error: dead_letter }
    fields: { device_id: string, ad_id: int64, ts: timestamp_ms }
    event_time: { field: ts, out_of_order: 10s, idle_after: 30s }
    throttle: { align: { group: ads, max_ahead: 60s } }

steps:
  valid_impressions:
    from: impressions
    where: device_id IS NOT NULL AND price >= 0
    select: { device_id: device_id, ad_id: ad_id, region: upper(trim(region)), price: price, ts: ts }
  joined:
    interval_join:
      left: valid_impressions
      right: clicks
      on: [ad_id, device_id]                        # or pairs: [[left.a, right.b], ...]
      between: [0s, 10m]                            # right.ts - left.ts
      type: left
      matches: first
      max_state: { bytes: 40GiB, when_full: slow_sources }
    select: { device_id: left.device_id, region: left.region, price: left.price, clicked: right.ad_id IS NOT NULL, ts: left.ts }
  uv:
    from: joined
    window: { cumulate: "${param:day}", every: 60s, timezone: Asia/Shanghai }
    key: [region]
    emit: { mode: accumulating }
    late: { allow: 10m, then: late_rows }
    skew: { split_keys: auto }
    aggregate:
      uv: count(DISTINCT device_id)
      click_uv: count(DISTINCT device_id) FILTER (WHERE clicked)
      spend: sum(price)

sinks:
  uv_out:
    from: uv
    topic: ad_uv_minute
    clusters: { pair: [east, west], policy: primary_backup, fail_back_after: 5m }
    key: region || '|' || CAST(window_start AS string)
    format: { type: json }
    delivery: exactly_once
    loss_tolerance: { max_ratio: 0.001, per: 10m, buffer: 1GiB }
  late_rows: { topic: ad_uv_late, clusters: west, format: { type: json } }

dead_letter: { topic: ad_uv_dlq, clusters: { pair: [west, east] }, max_error_ratio: 0.01 }
checkpoint: { every: 1s }
health: { lag_objective: 30s }
upgrade: { gate: { min_score: 8, for: 5m }, else: rollback }

tests:                                              # `twinspan test` runs these with virtual time, no broker
  - name: a device counts once, and the loss of east changes nothing
    steps:
      - send: { impressions@east: [{ device_id: d1, ad_id: 7, region: " gd ", price: 1, ts: "2026-01-01T00:00:01Z" }] }
      - send: { clicks@west: [{ device_id: d1, ad_id: 7, ts: "2026-01-01T00:03:00Z" }] }
      - cluster_down: east
      - watermark: "2026-01-01T00:20:00Z"
      - expect: { uv_out: [{ region: GD, uv: 1, click_uv: 1 }] }
)";

inline std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
  return text;
}

// With at_least_once, and without the keys that come later.
inline std::string available_example() {
  std::string text = replaced(kPipelineExample, "exactly_once", "at_least_once");
  text = replaced(text, "max_rate: 200k/s, align: { group: ads, max_ahead: 60s }", "max_rate: 200k/s");
  text = replaced(text, "    throttle: { align: { group: ads, max_ahead: 60s } }\n", "");
  text = replaced(text, "    loss_tolerance: { max_ratio: 0.001, per: 10m, buffer: 1GiB }\n", "");
  text = replaced(text, "health: { lag_objective: 30s }\n", "");
  return replaced(text, "upgrade: { gate: { min_score: 8, for: 5m }, else: rollback }\n", "");
}

}  // namespace twinspan::testing
