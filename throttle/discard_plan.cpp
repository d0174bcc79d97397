#include "throttle/discard_plan.h"

#include <fmt/format.h>

#include <algorithm>

namespace twinspan::throttle {

std::optional<std::int64_t> time_to_locate(const DiscardTarget& target, std::int64_t click_ms) {
  switch (target.kind) {
    case DiscardTarget::Kind::latest: return std::nullopt;
    case DiscardTarget::Kind::timestamp: return std::min(target.ms, click_ms);
    case DiscardTarget::Kind::keep_last: return click_ms - std::max<std::int64_t>(0, target.ms);
  }
  return std::nullopt;
}

namespace {

void keep_position(LaneDiscard& out, std::int64_t position, const char* why) {
  out.from = out.to = position;
  out.note = why;
}

LaneDiscard plan_lane(const LaneView& lane, const DiscardTarget& target, std::int64_t click_ms) {
  LaneDiscard out;
  out.source = lane.source;
  out.cluster = lane.cluster;
  out.topic = lane.topic;
  out.partition = lane.partition;

  // A lane with cuts still to be resolved takes this one after them, even if its cluster is just back: order
  // is kept.
  if (!lane.reachable || !lane.pending.empty()) {
    out.pending = true;
    out.cut = {time_to_locate(target, click_ms).value_or(click_ms), lane.end};
    out.from = out.to = lane.position;
    out.note = lane.pending.empty() ? "cluster away: taken at its return" : "waits behind an earlier pending cut";
    return out;
  }
  if (lane.end < 0) {
    keep_position(out, lane.position, "end offset not known: nothing is dropped");
    return out;
  }
  std::int64_t to = lane.end;
  if (target.kind != DiscardTarget::Kind::latest) {
    if (!lane.located) {
      keep_position(out, lane.position, "time could not be located: nothing is dropped");
      return out;
    }
    if (!lane.located->past_end) to = std::min(to, lane.located->offset);
  }
  if (to <= lane.position) {
    keep_position(out, lane.position, "already there");
    return out;
  }
  out.from = lane.position;
  out.to = to;
  out.records = std::max<std::int64_t>(0, to - std::max(lane.position, lane.low));
  out.first_timestamp = lane.first_timestamp;
  out.last_timestamp = lane.last_timestamp;
  return out;
}

std::uint64_t mix(std::uint64_t x) {  // splitmix64 (Steele, Lea, Flood 2014)
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

}  // namespace

DiscardPlan plan_discard(const std::vector<LaneView>& lanes, const DiscardTarget& target, std::int64_t click_ms) {
  DiscardPlan plan;
  plan.target = target;
  plan.click_ms = click_ms;
  plan.lanes.reserve(lanes.size());
  for (const LaneView& lane : lanes) {
    const LaneDiscard& made = plan.lanes.emplace_back(plan_lane(lane, target, click_ms));
    plan.records += made.records;
    plan.pending_lanes += made.pending ? 1 : 0;
    if (made.first_timestamp >= 0 && (plan.first_timestamp < 0 || made.first_timestamp < plan.first_timestamp)) {
      plan.first_timestamp = made.first_timestamp;
    }
    plan.last_timestamp = std::max(plan.last_timestamp, made.last_timestamp);
  }
  return plan;
}

const PlanBook::Entry& PlanBook::add(std::string pipeline, DiscardPlan plan, std::int64_t now_ms) {
  if (entries_.size() >= kKept) entries_.erase(entries_.begin());
  Entry& entry = entries_.emplace_back();
  entry.id = fmt::format("d{:012x}", mix(mix(seed_) + made_++) >> 16);
  entry.pipeline = std::move(pipeline);
  entry.created_ms = now_ms;
  entry.expires_ms = now_ms + kValidMs;
  entry.plan = std::move(plan);
  return entry;
}

Result<PlanBook::Entry> PlanBook::take(const std::string& id, const std::string& pipeline, const std::string& reason,
                                       std::int64_t now_ms) {
  if (reason.find_first_not_of(" \t\r\n") == std::string::npos) {
    return conflict_error("a lag discard needs a reason: it goes into the ledger", "reason_missing");
  }
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.id == id; });
  if (found == entries_.end()) {
    return conflict_error(fmt::format("there is no plan \"{}\": make a new one", id), "plan_unknown");
  }
  if (found->pipeline != pipeline) {
    return conflict_error(fmt::format("plan \"{}\" is for pipeline \"{}\", not \"{}\"", id, found->pipeline, pipeline),
                          "plan_of_another_pipeline");
  }
  if (found->executed) {
    return conflict_error(fmt::format("plan \"{}\" was executed before: a plan is executed once", id), "plan_executed");
  }
  if (now_ms >= found->expires_ms) {
    return conflict_error(
        fmt::format("plan \"{}\" expired {} s ago: make a new one", id, (now_ms - found->expires_ms) / 1000),
        "plan_expired");
  }
  found->executed = true;
  return *found;
}

}  // namespace twinspan::throttle
