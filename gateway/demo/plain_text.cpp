#include "gateway/demo/plain_text.h"

#include <algorithm>

#include <fmt/format.h>

#include "admin/time_text.h"
#include "gateway/demo/screen.h"

namespace twinspan::gateway {

std::string plain_time(std::int64_t elapsed_ms) {
  return fmt::format("{:>6.1f}s ", static_cast<double>(elapsed_ms) / 1000.0);
}

std::string status_line(const DemoView& v) {
  std::string out = plain_time(v.elapsed_ms) +
                    fmt::format("status  {}{}", admin::to_string(v.status.state), v.held ? " (held back)" : "");
  for (const auto& c : v.clusters)
    out += fmt::format(" | {} {} {:.0f}/s lag {}", c.name, c.state, c.records_per_s[0] + c.records_per_s[1], c.lag);
  if (const auto* s = v.source("impressions"))
    out += fmt::format(" | watermark {} / {}", event_clock(s->watermark.firing), event_clock(s->watermark.retention));
  if (const auto* s = v.sink("uv_out"))
    out += fmt::format(" | uv_out -> {} (generation {})", s->active_cluster, s->generation);
  out += fmt::format(" | checkpoint {} | dead letters {} | results {}", v.status.last_checkpoint.epoch,
                     v.status.dead_letters, v.results.records);
  return out;
}

std::string event_line(const DemoEvent& e) {
  return plain_time(e.at_ms) + (e.kind == DemoEvent::Kind::deed ? "deed    " : "event   ") + printable(e.text);
}

std::vector<std::string> ResultLines::take_new(const DemoView& v) {
  std::vector<std::string> out;
  for (const auto& [end, window] : v.results.windows) {
    unsigned updates = 0;
    bool final = true;
    for (const auto& [region, row] : window) {
      updates += row.updates;
      final &= row.final;
    }
    // A new window is shown when all regions are there, or when a newer one shows that no more come.
    const bool whole = window.size() == v.results.regions.size() || end != v.results.windows.rbegin()->first;
    const bool fresh = end > shown_to_;
    if (!whole || (!fresh && updates == updates_[end])) continue;
    std::string line = plain_time(v.elapsed_ms) + fmt::format("result  day so far to {}{}{}:", event_minute(end),
                                                              fresh ? "" : " again", final ? "" : " (not final)");
    for (const auto& [region, row] : window)
      line +=
          fmt::format(" {} uv {} click {} spend {};", printable(region), row.uv, row.click_uv, printable(row.spend));
    line.back() = ' ';
    line += "from " + window.begin()->second.cluster;
    out.push_back(std::move(line));
    shown_to_ = std::max(shown_to_, end);
    updates_[end] = updates;
  }
  while (updates_.size() > ResultTable::kWindows) updates_.erase(updates_.begin());
  return out;
}

std::string verdict(const DemoView& v, const SummaryRules& rules) {
  if (!rules.failure.empty()) return rules.failure;
  if (v.status.state == admin::PipelineState::failed) return v.status.reason;
  if (!rules.whole) return "";
  std::string missing;
  const auto need = [&](bool seen, const char* what) {
    if (!seen) missing += (missing.empty() ? "not seen: " : ", ") + std::string(what);
  };
  need(v.results.windows_seen > 0, "results");
  need(v.results.unreadable == 0, "results that all can be read");
  if (rules.scripted) {
    need(v.tally.failovers > 0, "a source failover");
    need(v.tally.rejoins > 0, "the lost cluster's return");
    need(v.tally.switches > 0, "a sink switch");
    const auto west = v.results.by_cluster.find("west");
    need(west != v.results.by_cluster.end() && west->second > 0, "results on the other cluster");
    need(v.tally.discards > 0 && v.tally.discarded_records > 0, "a lag discard");
  }
  if (v.tally.failed_deeds > 0 && missing.empty()) missing = "something that was asked for failed, see its event";
  return missing;
}

std::string summary(const DemoView& v, const std::string& verdict) {
  std::uint64_t read = 0;
  std::string by_source;
  for (const auto& s : v.status.sources) {
    read += s.records;
    by_source += fmt::format("{}{} {}", by_source.empty() ? "" : ", ", s.name, s.records);
  }
  std::string by_cluster;
  for (const auto& [cluster, n] : v.results.by_cluster) by_cluster += fmt::format(", {} from {}", n, cluster);
  const auto time = [](std::int64_t ms) { return ms < 0 ? std::string("none") : admin::format_duration(ms); };
  const DemoTally& t = v.tally;
  std::string out = "summary\n";
  out += fmt::format("  records read      {} ({})\n", read, by_source);
  out += fmt::format("  results           {} in {} windows of {} regions{}\n", v.results.records,
                     v.results.windows_seen, v.results.regions.size(), by_cluster);
  out += fmt::format("  updates           {} (rows that replaced an earlier one)\n", v.results.updates);
  out += fmt::format("  repeats           {} (same identity header, dropped by the reader)\n", v.results.repeats);
  out += fmt::format("  source failovers  {} (noticed within {}), returns {}\n", t.failovers,
                     time(t.slowest_detection_ms), t.rejoins);
  out += fmt::format(
      "  sink switches     {} (route moved within {}, next result acknowledged there within {}), fail-backs "
      "{}\n",
      t.switches, time(t.slowest_route_ms), time(t.slowest_acknowledgement_ms), t.fail_backs);
  out += fmt::format("  lag discards      {} ({} records skipped)\n", t.discards, t.discarded_records);
  out += fmt::format("  dead letters      {}\n", v.status.dead_letters);
  out += fmt::format("  checkpoints       {} ({} failed)\n", v.status.last_checkpoint.epoch,
                     v.status.last_checkpoint.failures);
  out += fmt::format("  verdict           {}\n", verdict.empty() ? "ok" : verdict);
  return out;
}

}  // namespace twinspan::gateway
