// What a pipeline tells of itself. Snapshots only: never waits for a shard or a broker.
#include <algorithm>

#include "gateway/pipeline.h"

namespace twinspan::gateway {

namespace {

std::string lower(const char* text) {
  std::string out = text;
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

}  // namespace

admin::PipelineStatus Pipeline::status() const {
  admin::PipelineStatus out;
  out.name = name();
  out.delivery = "at_least_once";
  out.shards = shards_;
  std::vector<std::shared_ptr<const ShardSnapshot>> shards;
  for (const auto& t : threads_) shards.push_back(t->snapshot());
  std::vector<RateSample> rates;
  std::vector<double> sink_rates;
  std::vector<std::uint64_t> outage_held;
  {
    std::lock_guard lock(mutex_);
    out.state = state_;
    out.reason = reason_;
    out.since_at = since_ms_;
    out.discarded_records = discarded_;
    rates = rates_;
    outage_held = outage_held_;
    sink_rates = sink_rates_;
  }
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    admin::SourceStatus s;
    s.name = plan_->sources[i].id;
    for (const auto& c : sources_[i]->clusters())
      s.clusters.push_back(
          {c.cluster, lower(connectors::to_string(c.state)), c.since_ms, c.last_data_ms_ago, c.last_error});
    for (const auto& l : sources_[i]->lanes()) {
      admin::LaneStatus lane;
      lane.cluster = l.lane.cluster;
      lane.topic = l.lane.topic;
      lane.partition = l.lane.partition;
      lane.position = l.position;
      lane.end = l.end;
      lane.lag = l.end < 0 ? -1 : std::max<std::int64_t>(0, l.end - l.position);
      lane.at_end = l.at_end;
      lane.stopped = l.stopped;
      lane.pending_cut = l.pending_cut;
      lane.note = l.note;
      for (const auto& shard : shards) {
        if (i >= shard->lanes.size()) continue;
        for (const auto& t : shard->lanes[i])
          if (t.lane == l.lane) lane.watermark = t.watermark, lane.paused = t.paused;
      }
      if (lane.lag >= 0) s.lag_records = std::max<std::int64_t>(0, s.lag_records) + lane.lag;
      s.lanes.push_back(std::move(lane));
    }
    for (const auto& t : threads_) {
      s.records += t->figures(i).records.load(std::memory_order_relaxed);
      s.bytes += t->figures(i).bytes.load(std::memory_order_relaxed);
      s.throttled_seconds += static_cast<double>(t->figures(i).throttled_ms.load(std::memory_order_relaxed)) / 1000.0;
    }
    if (i < rates.size()) {
      s.records_per_s = rates[i].records_per_s;
      s.bytes_per_s = rates[i].bytes_per_s;
    }
    s.outage_budget = plan_->sources[i].spec->outage_state.bytes;
    if (i < outage_held.size()) s.outage_bytes = outage_held[i];
    bool any = false;
    for (const auto& shard : shards) {
      if (i >= shard->sources.size() || shard->lanes[i].empty()) continue;
      const Watermark& w = shard->sources[i];
      s.watermark =
          any ? Watermark{std::min(s.watermark.firing, w.firing), std::min(s.watermark.retention, w.retention)} : w;
      any = true;
    }
    const throttle::Limits limits = buckets_[i]->limits();
    s.limits = {limits.records_per_s, limits.bytes_per_s};
    out.sources.push_back(std::move(s));
  }
  for (const StepInfo& info : plan_->steps) {
    admin::StepStatus s;
    s.id = info.id;
    s.kind = info.kind;
    for (const auto& shard : shards) {
      if (info.node >= shard->nodes.size()) continue;
      const engine::OperatorStats& n = shard->nodes[info.node];
      const bool part = info.stage >= 0 && static_cast<std::size_t>(info.stage) < n.steps.size();
      const engine::StepRows rows =
          part ? n.steps[static_cast<std::size_t>(info.stage)] : engine::StepRows{n.rows_in, n.rows_out, n.rows_failed};
      s.rows_in += rows.rows_in;
      s.rows_out += rows.rows_out;
      s.rows_late += n.rows_late;
      s.rows_failed += rows.rows_failed;
      s.state_rows += n.state_rows;
      s.state_bytes += n.state_bytes;
      s.spilled_bytes += n.spilled_bytes;
      s.rows_shed += shard->shed[info.node];
      for (const auto& [node, column] : info.value_nodes) {
        const engine::OperatorStats& values = shard->nodes[node];
        s.rows_in += values.rows_late;
        s.rows_late += values.rows_late;
        s.state_rows += values.state_rows;
        s.state_bytes += values.state_bytes;
        s.rows_shed += shard->shed[node];
      }
      if (info.skew_node < 0) continue;
      const engine::OperatorStats& skew = shard->nodes[static_cast<std::size_t>(info.skew_node)];
      s.splits_keys = true;
      s.rows_combined += skew.rows_combined;
      s.hot_keys = std::max(s.hot_keys, skew.hot_keys);
    }
    for (const StepBudget& b : plan_->budgets)
      if (b.node == info.node) s.state_budget = b.bytes;
    out.steps.push_back(std::move(s));
  }
  for (std::size_t i = 0; i < sinks_.size(); ++i) {
    const connectors::SinkStatus k = sinks_[i]->status();
    if (plan_->graph.terminals[i] == "dead_letter") out.dead_letters = k.records;
    admin::SinkStatus s;
    s.name = plan_->graph.terminals[i];
    for (const auto& [cluster, state] : k.clusters)
      s.clusters.push_back({cluster, lower(connectors::to_string(state)), -1, -1, ""});
    s.active_cluster = k.active_cluster;
    s.generation = k.route_generation;
    s.route_reason = k.route_reason;
    s.route_since_at = k.route_since_ms;
    s.records = k.records;
    s.acknowledged = k.acknowledged;
    s.resent = k.resent;
    s.switches = k.switches;
    s.unacknowledged_bytes = k.unacknowledged_bytes;
    s.oldest_unacknowledged_ms = k.oldest_unacknowledged_ms;
    s.holding = k.holding;
    s.last_switch_took_ms = k.last_switch_took_ms;
    if (i < sink_rates.size()) s.records_per_s = sink_rates[i];
    out.sinks.push_back(std::move(s));
  }
  if (cycle_) {
    const CheckpointFigures f = cycle_->figures();
    out.last_checkpoint = {f.epoch, f.at_ms, f.took_ms, f.bytes, f.failures, f.last_error};
    out.last_checkpoint.write_ms = f.write_ms;
    out.last_checkpoint.bytes_total = f.bytes_total;
    out.last_checkpoint.stall_p99_ms = f.stall_p99_ms;
    const engine::CheckpointStore::Figures files = store_.figures();
    const engine::BaseMerger::Figures merger = merger_->figures();
    out.bases = {merger.merges,
                 merger.failures,
                 static_cast<double>(merger.cpu_us) / 1e6,
                 files.base_bytes,
                 files.delta_bytes,
                 files.merge_read_bytes,
                 files.merge_written_bytes,
                 merger.last_took_ms,
                 merger.last_error};
  }
  return out;
}

}  // namespace twinspan::gateway
