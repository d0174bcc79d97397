#include "admin/pipeline_metrics.h"

#include <map>
#include <utility>

namespace twinspan::admin {
namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;

// Adds samples that all carry the same first labels.
class Adder {
 public:
  Adder(std::vector<MetricSample>& out, Labels labels) : out_(out), labels_(std::move(labels)) {}
  Adder with(std::string name, std::string value) const {
    Labels labels = labels_;
    labels.emplace_back(std::move(name), std::move(value));
    return {out_, std::move(labels)};
  }
  void operator()(const char* name, double value) const { out_.push_back({name, labels_, value}); }
  void operator()(const char* name, std::uint64_t value) const { (*this)(name, static_cast<double>(value)); }

 private:
  std::vector<MetricSample>& out_;
  Labels labels_;
};

void add_clusters(const std::vector<ClusterStatus>& clusters, const char* role, const Adder& add) {
  for (const ClusterStatus& c : clusters) {
    const Adder of = add.with("cluster", c.name).with("role", role);
    of("cluster_up", c.state == "up" ? 1.0 : 0.0);
    of("cluster_excluded", c.state == "down" || c.state == "rejoining" ? 1.0 : 0.0);
  }
}

void add_source(const SourceStatus& s, std::int64_t now_ms, const Adder& pipeline) {
  const Adder add = pipeline.with("source", s.name);
  add("source_records_total", s.records);
  add("source_bytes_total", s.bytes);
  add("source_throttled_seconds_total", s.throttled_seconds);
  add("source_paused", s.limits.records_per_s == 0u || s.limits.bytes_per_s == 0u ? 1.0 : 0.0);
  if (s.limits.records_per_s) add("source_limit_records_per_second", *s.limits.records_per_s);
  if (s.limits.bytes_per_s) add("source_limit_bytes_per_second", *s.limits.bytes_per_s);
  add_clusters(s.clusters, "source", add);
  for (const ClusterStatus& c : s.clusters) {
    if (c.last_data_ms_ago >= 0) {
      add.with("cluster", c.name)("source_fetch_delay_seconds", static_cast<double>(c.last_data_ms_ago) / 1000);
    }
  }
  std::map<std::string, double> lag;
  std::uint64_t idle = 0, paused = 0;
  for (const LaneStatus& l : s.lanes) {
    if (l.lag >= 0) lag[l.cluster] += static_cast<double>(l.lag);
    idle += l.at_end ? 1 : 0;
    paused += l.paused ? 1 : 0;
  }
  for (const auto& [cluster, records] : lag) add.with("cluster", cluster)("source_lag_records", records);
  add("idle_partitions", idle);
  add("paused_partitions", paused);
  add("outage_state_bytes", s.outage_bytes);
  add("outage_state_budget_bytes", s.outage_budget);
  for (const auto& [kind, time] :
       {std::pair{"firing", s.watermark.firing}, std::pair{"retention", s.watermark.retention}}) {
    if (time == kMinTime || time == kMaxTime) continue;
    add.with("kind", kind)("watermark_lag_seconds", static_cast<double>(now_ms - time) / 1000);
  }
}

void add_sink(const SinkStatus& s, const Adder& pipeline) {
  const Adder add = pipeline.with("sink", s.name);
  add("sink_records_total", s.records);
  add("sink_acknowledged_total", s.acknowledged);
  add("sink_resent_total", s.resent);
  add("sink_dropped_total", s.dropped);
  add("sink_switches_total", s.switches);
  add("sink_unacknowledged_bytes", s.unacknowledged_bytes);
  add("sink_oldest_unacknowledged_seconds", static_cast<double>(s.oldest_unacknowledged_ms) / 1000);
  add("sink_failover_state", s.holding ? 1.0 : 0.0);
  add_clusters(s.clusters, "sink", add);
  for (const ClusterStatus& c : s.clusters)
    add.with("cluster", c.name)("sink_active", c.name == s.active_cluster ? 1.0 : 0.0);
}

}  // namespace

void append_metrics(const PipelineStatus& p, std::int64_t now_ms, std::vector<MetricSample>& out) {
  const Adder add(out, {{"pipeline", p.name}});
  for (const PipelineState state : {PipelineState::starting, PipelineState::running, PipelineState::paused,
                                    PipelineState::waiting, PipelineState::stopped, PipelineState::failed}) {
    add.with("state", to_string(state))("pipeline_state", p.state == state ? 1.0 : 0.0);
  }
  for (const SourceStatus& s : p.sources) add_source(s, now_ms, add);
  for (const StepStatus& s : p.steps) {
    const Adder step = add.with("step", s.id);
    step("step_records_in_total", s.rows_in);
    step("step_records_out_total", s.rows_out);
    step("late_records_total", s.rows_late);
    step("records_error_total", s.rows_failed);
    step("step_state_rows", s.state_rows);
    step("state_bytes", s.state_bytes);
    if (s.spilled_bytes > 0) step("state_spilled_bytes", s.spilled_bytes);
    if (s.state_budget > 0) {
      step("state_budget_bytes", s.state_budget);
      step("shed_records_total", s.rows_shed);
    }
    if (s.splits_keys) {
      step("skew_combined_records_total", s.rows_combined);
      step("skew_hot_keys", s.hot_keys);
    }
  }
  for (const SinkStatus& s : p.sinks) add_sink(s, add);
  add("dead_letter_total", p.dead_letters);
  add("discarded_records_total", p.discarded_records);
  add("checkpoint_failures_total", p.last_checkpoint.failures);
  if (p.last_checkpoint.epoch > 0) {
    add("checkpoint_epoch", p.last_checkpoint.epoch);
    add("checkpoint_last_duration_seconds", static_cast<double>(p.last_checkpoint.took_ms) / 1000);
    add("checkpoint_size_bytes", p.last_checkpoint.bytes);
    add("checkpoint_last_success_timestamp_seconds", static_cast<double>(p.last_checkpoint.at) / 1000);
    add("checkpoint_write_seconds", static_cast<double>(p.last_checkpoint.write_ms) / 1000);
    add("checkpoint_bytes_total", p.last_checkpoint.bytes_total);
    for (std::size_t shard = 0; shard < p.last_checkpoint.stall_p99_ms.size(); ++shard)
      add.with("shard", std::to_string(shard))("checkpoint_stall_p99_seconds",
                                               p.last_checkpoint.stall_p99_ms[shard] / 1000);
    add("checkpoint_base_bytes", p.bases.base_bytes);
    add("checkpoint_delta_bytes", p.bases.delta_bytes);
  }
  add("base_merges_total", p.bases.merges);
  add("base_merge_failures_total", p.bases.failures);
  add("base_merge_cpu_seconds_total", p.bases.cpu_seconds);
  add("base_merge_read_bytes_total", p.bases.read_bytes);
  add("base_merge_written_bytes_total", p.bases.written_bytes);
}

void append_metrics(const ServiceInfo& service, std::vector<MetricSample>& out) {
  out.push_back({"build_info", {{"version", service.version}, {"commit", service.commit}}, 1});
  if (service.started_at >= 0) {
    out.push_back({"process_start_time_seconds", {}, static_cast<double>(service.started_at) / 1000});
  }
}

}  // namespace twinspan::admin
