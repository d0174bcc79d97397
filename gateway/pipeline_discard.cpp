// Lag discard: plan, then execute (semantics.md, "One-click lag discard"; protocol.md 25, 26).
#include <algorithm>
#include <future>

#include <fmt/format.h>

#include "gateway/pipeline.h"

namespace twinspan::gateway {

namespace {
constexpr int kPlanTimeoutMs = 4000;
constexpr auto kJumpTimeout = std::chrono::seconds(5);

throttle::DiscardTarget to_throttle(const connectors::DiscardTarget& t) {
  return {static_cast<throttle::DiscardTarget::Kind>(t.kind), t.ms};
}
connectors::DiscardTarget to_connectors(const admin::DiscardTarget& t) {
  return {static_cast<connectors::DiscardTarget::Kind>(t.kind), t.ms};
}
admin::DiscardTarget to_admin(const connectors::DiscardTarget& t) {
  return {static_cast<admin::DiscardTarget::Kind>(t.kind), t.ms};
}

}  // namespace

Result<admin::DiscardPlan> Pipeline::plan_discard(const std::optional<std::string>& source,
                                                  const admin::DiscardTarget& target) {
  if (finished())
    return conflict_error(fmt::format("pipeline '{}' is {}", name(), admin::to_string(state())), admin::kWrongState);
  if (source && source_index(*source) >= sources_.size())
    return not_found_error(fmt::format("pipeline '{}' has no source '{}'", name(), *source), admin::kSourceNotFound);
  const std::int64_t click = env_.clock.wall_ms();
  std::vector<throttle::LaneView> views;
  std::vector<PlannedCut> cuts;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    if (source && plan_->sources[i].id != *source) continue;
    TS_TRY(located, sources_[i]->plan_discard(to_connectors(target), kPlanTimeoutMs));
    const auto lanes = sources_[i]->lanes();
    for (connectors::LaneCut& cut : located) {
      throttle::LaneView view;
      view.source = plan_->sources[i].id;
      view.cluster = cut.lane.cluster;
      view.topic = cut.lane.topic;
      view.partition = cut.lane.partition;
      view.position = cut.from;
      view.reachable = cut.reachable;
      view.end = cut.reachable ? cut.to : cut.cut_offset;
      view.first_timestamp = cut.first_timestamp;
      view.last_timestamp = cut.last_timestamp;
      for (const auto& l : lanes) {
        if (l.lane != cut.lane) continue;
        view.low = l.low;
        if (!cut.reachable) view.position = l.position;
        if (l.pending_cut) view.pending.push_back({});
      }
      if (target.kind != admin::DiscardTarget::Kind::latest && cut.reachable) {
        view.end = std::max(view.end, cut.to);
        view.located = throttle::LaneView::Located{cut.to, false};
      }
      views.push_back(std::move(view));
      cuts.push_back({plan_->sources[i].id, std::move(cut), false});
    }
  }
  throttle::DiscardPlan decided = throttle::plan_discard(views, to_throttle(to_connectors(target)), click);

  admin::DiscardPlan out;
  std::lock_guard lock(mutex_);
  const auto& entry = plans_.add(name(), decided, click);
  out.id = entry.id;
  out.pipeline = name();
  out.source = source;
  out.target = target;
  out.created_at = entry.created_ms;
  out.expires_at = entry.expires_ms;
  out.cut_at = click;
  out.records = decided.records;
  out.first_at = decided.first_timestamp;
  out.last_at = decided.last_timestamp;
  out.pending_lanes = decided.pending_lanes;
  for (std::size_t i = 0; i < decided.lanes.size(); ++i) {
    const throttle::LaneDiscard& l = decided.lanes[i];
    out.ranges.push_back({l.source, l.cluster, l.topic, l.partition, l.pending, l.from, l.to, l.records,
                          l.first_timestamp, l.last_timestamp});
    cuts[i].pending = l.pending;
    if (!l.pending) cuts[i].cut.to = l.to;
  }
  for (const StepInfo& s : plan_->steps)
    if (s.kind == "interval_join" || s.kind.ends_with("window")) out.touched_steps.push_back(s.id);
  if (planned_cuts_.size() >= throttle::PlanBook::kKept) planned_cuts_.clear();
  planned_cuts_[out.id] = std::move(cuts);
  return out;
}

Result<admin::Discard> Pipeline::execute_discard(const std::string& plan_id, const std::string& reason) {
  if (finished())
    return conflict_error(fmt::format("pipeline '{}' is {}", name(), admin::to_string(state())), admin::kWrongState);
  std::lock_guard one_at_a_time(executing_);
  const std::int64_t began = env_.clock.monotonic_ms();
  DiscardOperation operation;
  std::vector<PlannedCut> cuts;
  {
    std::lock_guard lock(mutex_);
    TS_TRY(entry, plans_.take(plan_id, name(), reason, env_.clock.wall_ms()));
    cuts = std::move(planned_cuts_[plan_id]);
    planned_cuts_.erase(plan_id);
    operation.id = operations_.next_id();
    operation.plan = plan_id;
    operation.reason = reason;
    operation.target = {static_cast<connectors::DiscardTarget::Kind>(entry.plan.target.kind), entry.plan.target.ms};
    operation.at_ms = env_.clock.wall_ms();
    for (const PlannedCut& c : cuts) {
      if (!c.pending && c.cut.to <= c.cut.from) continue;
      operation.cuts.emplace_back(c.source, c.cut);
      operation.cuts.back().second.reachable = !c.pending;
    }
    // Written down before it is done: a crash in between does it again.
    if (!env_.bounded) TS_TRYV(operations_.append(operation));
  }
  const std::string why = fmt::format("discard {}: {}", operation.id, reason);
  std::vector<std::future<SkippedRange>> jumps;
  for (const auto& [source, cut] : operation.cuts) {
    const unsigned s = source_index(source);
    if (!cut.reachable) {
      wait_for_cut(source, cut, operation.id);
      continue;
    }
    auto promise = std::make_shared<std::promise<SkippedRange>>();
    jumps.push_back(promise->get_future());
    threads_[cut.shard]->post([promise, s, cut = cut, why](ShardParts& parts) {
      promise->set_value(parts.feeds[s]->jump(cut.index, cut.to, why));
    });
  }
  for (auto& j : jumps) {
    if (j.wait_for(kJumpTimeout) != std::future_status::ready)
      return transient_error(
          fmt::format("discard {} is under way, but a shard has not answered within 5 s", operation.id));
    try {
      operation.ranges.push_back(j.get());
    } catch (const std::future_error&) {  // the shard is gone and never ran it
      return conflict_error(
          fmt::format("pipeline '{}' is being stopped; discard {} is written down and is done at its next start",
                      name(), operation.id),
          admin::kWrongState);
    }
  }
  operation.took_ms = env_.clock.monotonic_ms() - began;
  std::lock_guard lock(mutex_);
  for (const SkippedRange& r : operation.ranges) discarded_ += static_cast<std::uint64_t>(r.to - r.from);
  for (DiscardOperation& o : operations_.operations()) {
    if (o.id != operation.id) continue;
    o.ranges = operation.ranges;
    o.took_ms = operation.took_ms;
  }
  last_operation_ = std::max(last_operation_, operation.id);
  env_.log->warn("{}: {} lanes jumped in {} ms", why, operation.ranges.size(), operation.took_ms);
  return describe(operation);
}

admin::Discard Pipeline::describe(const DiscardOperation& o) const {
  admin::Discard out;
  out.id = std::to_string(o.id);
  out.pipeline = name();
  out.plan = o.plan;
  out.reason = o.reason;
  out.target = to_admin(o.target);
  out.executed_at = o.at_ms;
  out.took_ms = o.took_ms;
  out.durable_in = o.durable_in;
  for (const SkippedRange& r : o.ranges) {
    out.ranges.push_back(
        {r.source, r.lane.cluster, r.lane.topic, r.lane.partition, false, r.from, r.to, r.to - r.from, -1, -1});
    out.records += r.to - r.from;
  }
  for (const auto& [source, cut] : o.cuts) {
    const auto queue = waiting_cuts_.find({source, cut.lane});
    if (queue == waiting_cuts_.end() ||
        std::find(queue->second.begin(), queue->second.end(), o.id) == queue->second.end())
      continue;
    out.ranges.push_back({source, cut.lane.cluster, cut.lane.topic, cut.lane.partition, true, 0, 0, 0, -1, -1});
    ++out.pending_lanes;
  }
  return out;
}

std::vector<admin::Discard> Pipeline::discards() const {
  std::lock_guard lock(mutex_);
  std::vector<admin::Discard> out;
  for (const DiscardOperation& o : operations_.operations()) out.push_back(describe(o));
  std::reverse(out.begin(), out.end());
  return out;
}

}  // namespace twinspan::gateway
