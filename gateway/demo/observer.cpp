#include "gateway/demo/observer.h"

#include <algorithm>

#include <fmt/format.h>

#include "admin/time_text.h"

namespace twinspan::gateway {

namespace {

constexpr std::int64_t kSampleMs = 500;
constexpr std::uint64_t kSwitchLimit = 3;  // semantics.md, "Sinks"

int badness(const std::string& state) {
  if (state == "down") return 3;
  if (state == "rejoining") return 2;
  if (state == "suspect") return 1;
  return 0;
}

}  // namespace

Observer::Observer(std::array<std::string, 2> clusters, std::string result_sink, EventLog& events)
    : names_(std::move(clusters)), result_sink_(std::move(result_sink)), events_(events) {}

void Observer::observe(DemoView& view, std::int64_t now_ms, std::int64_t wall_ms) {
  double seconds = 0;
  if (sampled_at_ < 0 || now_ms - sampled_at_ >= kSampleMs) {
    seconds = sampled_at_ < 0 ? 0 : static_cast<double>(now_ms - sampled_at_) / 1000.0;
    sampled_at_ = now_ms;
  } else {
    seconds = -1;  // keep the rates
  }
  for (unsigned i = 0; i < 2; ++i) observe_cluster(i, view.clusters[i], view.status, now_ms, wall_ms, seconds);
  for (const auto& sink : view.status.sinks) observe_sink(sink, now_ms);
  observe_pipeline(view.status, now_ms);
  const auto& c = view.status.last_checkpoint;
  view.checkpoint_ms_ago = c.epoch == 0 ? -1 : std::max<std::int64_t>(0, wall_ms - c.at);
  view.tally = tally_;
}

void Observer::observe_cluster(unsigned index, DemoClusterView& out, const admin::PipelineStatus& status,
                               std::int64_t now_ms, std::int64_t wall_ms, double seconds) {
  ClusterMemory& memory = clusters_[index];
  std::array<std::int64_t, 2> positions{};
  for (std::size_t s = 0; s < status.sources.size(); ++s) {
    const auto& source = status.sources[s];
    for (const auto& c : source.clusters) {
      if (c.name != names_[index]) continue;
      if (badness(c.state) >= badness(out.state)) {
        out.state = c.state;
        out.since_ms = c.since_at < 0 ? -1 : std::max<std::int64_t>(0, wall_ms - c.since_at);
        if (!c.last_error.empty()) out.last_error = c.last_error;
      }
      out.last_data_ms_ago =
          out.last_data_ms_ago < 0 ? c.last_data_ms_ago : std::min(out.last_data_ms_ago, c.last_data_ms_ago);
    }
    for (const auto& lane : source.lanes) {
      if (lane.cluster != names_[index]) continue;
      if (s < 2) positions[s] += std::max<std::int64_t>(0, lane.position);
      out.lag += std::max<std::int64_t>(0, lane.lag);
      const std::string id = fmt::format("{}[{}]@{}", lane.topic, lane.partition, lane.cluster);
      if (lane.stopped && stopped_lanes_.emplace(id, lane.note).second)
        say(now_ms, DemoEvent::Kind::bad, fmt::format("lane {} is no longer read: {}", id, lane.note));
    }
  }
  if (seconds >= 0) {
    for (std::size_t s = 0; s < 2; ++s) {
      if (seconds > 0) {
        const double rate =
            static_cast<double>(std::max<std::int64_t>(0, positions[s] - memory.positions[s])) / seconds;
        memory.rates[s] = memory.rates[s] * 0.5 + rate * 0.5;
      }
      memory.positions[s] = positions[s];
    }
  }
  out.records_per_s = memory.rates;

  if (out.state == memory.state) return;
  const std::string was = std::exchange(memory.state, out.state);
  const std::string& name = names_[index];
  if (out.state == "down") {
    ++tally_.failovers;
    memory.lost_at = now_ms;
    std::string noticed;
    if (broken_at_[index] >= 0) {
      const std::int64_t took = now_ms - broken_at_[index];
      tally_.slowest_detection_ms = std::max(tally_.slowest_detection_ms, took);
      noticed = fmt::format(", noticed {} after it broke", admin::format_duration(took));
    }
    say(now_ms, DemoEvent::Kind::bad,
        fmt::format("source cluster {} is lost{}; {}", name, noticed,
                    clusters_[1 - index].state == "down" ? "none is left" : names_[1 - index] + " is read on"));
  } else if (out.state == "rejoining") {
    say(now_ms, DemoEvent::Kind::note,
        fmt::format("{} rejoins: reading goes on at the exact position, its backlog is late", name));
  } else if (out.state == "up" && memory.lost_at >= 0) {
    ++tally_.rejoins;
    say(now_ms, DemoEvent::Kind::good,
        fmt::format("{} has caught up and counts again, {} after it was lost", name,
                    admin::format_duration(now_ms - memory.lost_at)));
    memory.lost_at = -1;
  } else if (out.state == "suspect") {
    say(now_ms, DemoEvent::Kind::note,
        fmt::format("{} is suspect: {}", name, out.last_error.empty() ? "no answer" : out.last_error));
  } else if (out.state == "up") {
    say(now_ms, DemoEvent::Kind::good, fmt::format("{} answers again (was {})", name, was));
  }
}

void Observer::observe_sink(const admin::SinkStatus& sink, std::int64_t now_ms) {
  SinkMemory& memory = sinks_[sink.name];
  if (!memory.seen) {
    memory = {true, sink.generation, sink.active_cluster, sink.last_switch_took_ms, sink.holding};
    return;
  }
  const bool ours = sink.name == result_sink_;
  if (sink.generation != memory.generation || sink.active_cluster != memory.cluster) {
    const bool back = sink.active_cluster == names_[0] && ours;
    if (ours) ++(back ? tally_.fail_backs : tally_.switches);
    std::string took;
    const std::int64_t broken_at = broken_at_[memory.cluster == names_[0] ? 0 : 1];
    if (broken_at >= 0) {
      if (ours) tally_.slowest_route_ms = std::max(tally_.slowest_route_ms, now_ms - broken_at);
      took = fmt::format(", {} after {} broke", admin::format_duration(now_ms - broken_at), memory.cluster);
    }
    say(now_ms, back ? DemoEvent::Kind::good : DemoEvent::Kind::bad,
        fmt::format("sink {} {} {} (route generation {}){}: {}", sink.name, back ? "fails back to" : "switches to",
                    sink.active_cluster, sink.generation, took, sink.route_reason));
    if (ours && sink.switches == kSwitchLimit)
      say(now_ms, DemoEvent::Kind::note,
          fmt::format("{} switches in 10 minutes are the limit: {} stays there, and holds its output if that "
                      "cluster goes",
                      kSwitchLimit, sink.name));
    memory.generation = sink.generation;
    memory.cluster = sink.active_cluster;
  }
  if (sink.last_switch_took_ms != memory.took_ms && sink.last_switch_took_ms >= 0) {
    // Includes the wait for a first result to write.
    if (ours) tally_.slowest_acknowledgement_ms = std::max(tally_.slowest_acknowledgement_ms, sink.last_switch_took_ms);
    say(now_ms, DemoEvent::Kind::good,
        fmt::format("sink {}: the first record is acknowledged on {}, {} after the first bad sign", sink.name,
                    sink.active_cluster, admin::format_duration(sink.last_switch_took_ms)));
  }
  memory.took_ms = sink.last_switch_took_ms;
  if (sink.holding != memory.holding)
    say(now_ms, sink.holding ? DemoEvent::Kind::bad : DemoEvent::Kind::good,
        sink.holding ? fmt::format("sink {} holds its output: {}", sink.name, sink.route_reason)
                     : fmt::format("sink {} writes again", sink.name));
  memory.holding = sink.holding;
}

void Observer::observe_pipeline(const admin::PipelineStatus& status, std::int64_t now_ms) {
  if (status.state != state_) {
    const bool bad = status.state == admin::PipelineState::failed || status.state == admin::PipelineState::waiting;
    say(now_ms, bad ? DemoEvent::Kind::bad : DemoEvent::Kind::note,
        fmt::format("pipeline {} is {}{}{}", status.name, admin::to_string(status.state),
                    status.reason.empty() ? "" : ": ", status.reason));
    state_ = status.state;
  }
  if (status.last_checkpoint.failures > checkpoint_failures_) {
    checkpoint_failures_ = status.last_checkpoint.failures;
    say(now_ms, DemoEvent::Kind::bad, "a checkpoint failed: " + status.last_checkpoint.last_error);
  }
  bool apart = false, lost = false;
  for (const auto& s : status.sources) apart |= s.watermark.retention < s.watermark.firing;
  for (const auto& c : clusters_) lost |= c.state == "down";
  if (apart != apart_)
    say(now_ms, DemoEvent::Kind::note,
        apart  ? "the firing watermark goes on without the lost cluster; the retention watermark waits for "
                 "its backlog"
        : lost ? "outage_state.for is over: results go on; what the lost cluster still holds will be late"
               : "both watermarks are together again: what was late is in, every window is final");
  apart_ = apart;
}

}  // namespace twinspan::gateway
