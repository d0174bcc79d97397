#include "admin/metrics_text.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <map>

namespace twinspan::admin {
namespace {

constexpr std::array kFamilies = std::to_array<MetricFamily>({
    {"build_info", "gauge", "1, with version and commit as labels."},
    {"process_start_time_seconds", "gauge", "When the process started, Unix time."},
    {"process_resident_memory_bytes", "gauge", "Resident memory of the process."},
    {"process_cpu_seconds_total", "counter", "CPU time of the process, user and system."},
    {"pipeline_state", "gauge", "1 for the state the pipeline is in, 0 for the others."},
    {"source_lag_records", "gauge",
     "Records between position and end, over the lanes of a cluster whose end is known."},
    {"source_records_total", "counter", "Records read from a source."},
    {"source_bytes_total", "counter", "Bytes of keys and values read from a source."},
    {"source_throttled_seconds_total", "counter", "Time a source was held back by its rate limits."},
    {"source_paused", "gauge", "1 while a rate limit of 0 pauses the source."},
    {"source_limit_records_per_second", "gauge", "Rate limit of a source in records per second; absent = unlimited."},
    {"source_limit_bytes_per_second", "gauge", "Rate limit of a source in bytes per second; absent = unlimited."},
    {"source_fetch_delay_seconds", "gauge", "Age of the last data from a cluster of a source."},
    {"cluster_up", "gauge", "1 while the watchdog says a cluster is up (suspect, down, rejoining: 0)."},
    {"cluster_excluded", "gauge",
     "1 while a cluster is down or rejoining, so that its lanes do not count in the watermark."},
    {"cluster_failovers_total", "counter", "Times a cluster went down."},
    {"broker_discovery_age_seconds", "gauge", "Age of the broker list of a cluster."},
    {"watermark_lag_seconds", "gauge", "Wall clock minus the watermark of a source (kind: firing or retention)."},
    {"idle_partitions", "gauge", "Lanes of a source that are at their end."},
    {"step_records_in_total", "counter", "Rows that entered a step."},
    {"step_records_out_total", "counter", "Rows that left a step."},
    {"step_state_rows", "gauge", "Rows or entries in the state of a step."},
    {"state_bytes", "gauge", "Bytes of state of a step."},
    {"state_spilled_bytes", "gauge", "Bytes of rows of a join that lie on disk alone."},
    {"state_budget_bytes", "gauge", "Bytes of state a step may keep (max_state)."},
    {"shed_records_total", "counter", "Rows a step did not take because its state had spent its budget."},
    {"skew_combined_records_total", "counter", "Rows of hot keys that a step counted before it sent them on."},
    {"skew_hot_keys", "gauge", "Keys a step splits now, in the shard with the most."},
    {"paused_partitions", "gauge", "Lanes of a source held back because a step's state has spent its budget."},
    {"outage_state_bytes", "gauge", "State kept for the late records of a lost cluster of a source."},
    {"outage_state_budget_bytes", "gauge", "What may be kept for them (outage_state.bytes)."},
    {"late_records_total", "counter", "Rows that came too late for a step."},
    {"records_error_total", "counter", "Rows an expression of a step failed on."},
    {"dead_letter_total", "counter", "Records sent to the dead letters."},
    {"discarded_records_total", "counter", "Records skipped by lag discards."},
    {"checkpoint_epoch", "gauge", "Epoch of the last good checkpoint."},
    {"checkpoint_last_duration_seconds", "gauge", "How long the last good checkpoint took."},
    {"checkpoint_duration_seconds", "histogram", "How long checkpoints took."},
    {"checkpoint_size_bytes", "gauge", "Bytes written by the last good checkpoint."},
    {"checkpoint_failures_total", "counter", "Checkpoints that failed."},
    {"checkpoint_bytes_total", "counter", "Bytes written by checkpoints, without bases."},
    {"checkpoint_write_seconds", "gauge", "Of the last good checkpoint: sorting, writing and syncing its files."},
    {"checkpoint_stall_p99_seconds", "gauge", "How long the last 256 barriers kept a shard from its rows, p99."},
    {"checkpoint_base_bytes", "gauge", "Size of the newest base: all state up to its epoch."},
    {"checkpoint_delta_bytes", "gauge", "Bytes of the checkpoints since the newest base."},
    {"base_merges_total", "counter", "Bases made in the background."},
    {"base_merge_failures_total", "counter", "Bases that could not be made; tried again."},
    {"base_merge_cpu_seconds_total", "counter", "CPU time of the thread that makes bases."},
    {"base_merge_read_bytes_total", "counter", "Bytes read to make bases."},
    {"base_merge_written_bytes_total", "counter", "Bytes of bases written."},
    {"checkpoint_last_success_timestamp_seconds", "gauge", "When the last good checkpoint was made, Unix time."},
    {"sink_records_total", "counter", "Records produced by a sink."},
    {"sink_acknowledged_total", "counter", "Records of a sink that a broker acknowledged."},
    {"sink_resent_total", "counter", "Records sent again, after a switch or a failure."},
    {"sink_dropped_total", "counter", "Records dropped within the loss tolerance."},
    {"sink_unacknowledged_bytes", "gauge", "Bytes sent and not acknowledged."},
    {"sink_oldest_unacknowledged_seconds", "gauge", "Age of the oldest record that is not acknowledged."},
    {"sink_active", "gauge", "1 for the cluster the route of a sink points to."},
    {"sink_switches_total", "counter", "Switches of a sink's route."},
    {"sink_failover_state", "gauge", "0 = taking output, 1 = holding (switch limit, or no cluster answers)."},
    {"restarts_total", "counter", "Restarts of a pipeline."},
});

// "checkpoint_duration_seconds_bucket" -> its family, if that is a histogram.
std::size_t family_of(std::string_view name) {
  for (std::size_t i = 0; i < kFamilies.size(); ++i) {
    const MetricFamily& f = kFamilies[i];
    if (name == f.name) return i;
    if (f.type == "histogram" && name.starts_with(f.name)) {
      const std::string_view rest = name.substr(f.name.size());
      if (rest == "_bucket" || rest == "_sum" || rest == "_count") return i;
    }
  }
  return kFamilies.size();
}

void append_value(std::string& out, double value) {
  if (std::isnan(value))
    out += "NaN";
  else if (std::isinf(value))
    out += value > 0 ? "+Inf" : "-Inf";
  else if (value == std::floor(value) && std::abs(value) < 9e15)
    fmt::format_to(std::back_inserter(out), "{}", static_cast<long long>(value));
  else
    fmt::format_to(std::back_inserter(out), "{}", value);
}

void append_sample(std::string& out, const MetricSample& sample) {
  out += kMetricPrefix;
  out += sample.name;
  if (!sample.labels.empty()) {
    char separator = '{';
    for (const auto& [name, value] : sample.labels) {
      out += separator;
      out += name;
      out += "=\"";
      for (const char c : value) {
        if (c == '\\')
          out += "\\\\";
        else if (c == '"')
          out += "\\\"";
        else if (c == '\n')
          out += "\\n";
        else
          out += c;
      }
      out += '"';
      separator = ',';
    }
    out += '}';
  }
  out += ' ';
  append_value(out, sample.value);
  out += '\n';
}

}  // namespace

std::span<const MetricFamily> metric_families() { return kFamilies; }

std::string metrics_text(const std::vector<MetricSample>& samples) {
  std::map<std::pair<std::size_t, std::string_view>, std::vector<const MetricSample*>> groups;
  for (const MetricSample& sample : samples) {
    const std::size_t family = family_of(sample.name);
    groups[{family, family < kFamilies.size() ? kFamilies[family].name : std::string_view(sample.name)}].push_back(
        &sample);
  }
  std::string out;
  for (const auto& [key, members] : groups) {
    const auto& [family, name] = key;
    if (family < kFamilies.size()) {
      fmt::format_to(std::back_inserter(out), "# HELP {}{} {}\n", kMetricPrefix, name, kFamilies[family].help);
    }
    fmt::format_to(std::back_inserter(out), "# TYPE {}{} {}\n", kMetricPrefix, name,
                   family < kFamilies.size() ? kFamilies[family].type : std::string_view("untyped"));
    for (const MetricSample* sample : members) append_sample(out, *sample);
  }
  return out;
}

}  // namespace twinspan::admin
