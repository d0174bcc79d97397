// Budgets of state: what is done when a step or an outage has spent its own. Decisions are throttle/'s; here are the
// figures they need, and the shards that are told.
#include <algorithm>

#include <fmt/format.h>

#include "gateway/pipeline.h"

namespace twinspan::gateway {

namespace {
constexpr std::int64_t kLookEveryMs = 200;  // as often as shards say how they are
}

void Pipeline::build_budgets() {
  for (const StepBudget& b : plan_->budgets) budgets_.push_back({&b, throttle::StatePressure(b.bytes), false});
  for (const SourcePlan& s : plan_->sources) outages_.emplace_back(s.spec->outage_state.bytes);
  std::lock_guard lock(mutex_);
  outage_held_.assign(plan_->sources.size(), 0);
}

void Pipeline::check_budgets(std::int64_t now) {
  if (now < next_budget_look_) return;
  next_budget_look_ = now + kLookEveryMs;
  std::vector<std::shared_ptr<const ShardSnapshot>> shards;
  for (const auto& t : threads_) {
    shards.push_back(t->snapshot());
    if (shards.back()->nodes.empty()) return;  // has not said anything yet
  }
  std::vector<std::uint64_t> state(plan_->graph.nodes.size(), 0);
  for (const auto& s : shards)
    for (std::size_t n = 0; n < state.size(); ++n) state[n] += s->nodes[n].state_bytes;
  const std::vector<bool> outage = check_outages(shards, state);
  check_steps(shards, state, outage);
}

// Returns which sources are in an outage.
std::vector<bool> Pipeline::check_outages(const std::vector<std::shared_ptr<const ShardSnapshot>>& shards,
                                          const std::vector<std::uint64_t>& state) {
  std::vector<bool> out(plan_->sources.size(), false);
  for (std::size_t i = 0; i < out.size(); ++i) {
    for (const auto& s : shards) out[i] = out[i] || s->outage[i];
    std::uint64_t bytes = 0;
    for (const unsigned n : plan_->fed_by[i]) bytes += state[n];
    const bool was = outages_[i].spent();
    const bool spent = outages_[i].update(out[i], bytes);
    {
      std::lock_guard lock(mutex_);
      outage_held_[i] = outages_[i].held();
    }
    if (!spent) continue;
    if (!was)
      env_.log->warn(
          "source '{}': outage_state.bytes is spent ({} MiB kept for a lost cluster): its late records are no longer "
          "waited for",
          plan_->sources[i].id, outages_[i].held() >> 20);
    // Every time: a shard whose lanes were lost later than others' must hear it too.
    for (auto& t : threads_) t->post([i](ShardParts& parts) { parts.feeds[i]->give_up_outage(); });
  }
  return out;
}

void Pipeline::check_steps(const std::vector<std::shared_ptr<const ShardSnapshot>>& shards,
                           const std::vector<std::uint64_t>& state, const std::vector<bool>& outage) {
  std::set<std::pair<unsigned, connectors::LaneKey>> paused;
  for (BudgetWatch& b : budgets_) {
    const std::string& step = plan_->graph.nodes[b.budget->node].id;
    const bool was = b.pressure.pressed();
    std::uint64_t bytes = state[b.budget->node];
    for (const unsigned n : b.budget->more_nodes) bytes += state[n];
    const bool pressed = b.pressure.update(bytes);
    if (pressed != was)
      env_.log->warn("step '{}': {} MiB of state, {} its budget of {} MiB", step, bytes >> 20, pressed ? "at" : "below",
                     b.budget->bytes >> 20);
    if (b.budget->when_full == config::WhenFull::shed) {
      if (pressed == b.shedding) continue;
      b.shedding = pressed;
      for (auto& t : threads_)
        t->post([node = b.budget->more_nodes.empty() ? b.budget->node : b.budget->more_nodes[0],
                 pressed](ShardParts& parts) { parts.shard->set_shedding(node, pressed); });
      continue;
    }
    if (!pressed || b.budget->when_full == config::WhenFull::spill) continue;
    // What an outage keeps is given up, never at the price of the lanes that live.
    bool away = false;
    for (const unsigned s : b.budget->sources) {
      if (!outage[s]) continue;
      away = true;
      for (auto& t : threads_) t->post([s](ShardParts& parts) { parts.feeds[s]->give_up_outage(); });
    }
    if (away) continue;
    std::vector<throttle::PressureLane> lanes;
    std::vector<std::pair<unsigned, connectors::LaneKey>> keys;
    for (const unsigned s : b.budget->sources) {
      for (const auto& shard : shards) {
        for (const ShardFeed::LaneTime& l : shard->lanes[s]) {
          lanes.push_back({l.watermark, l.counts, paused_lanes_.contains({s, l.lane})});
          keys.emplace_back(s, l.lane);
        }
      }
    }
    const std::vector<bool> pause = throttle::lanes_to_pause(lanes, true);
    for (std::size_t i = 0; i < keys.size(); ++i)
      if (pause[i]) paused.insert(keys[i]);
  }
  const auto tell = [this](const std::pair<unsigned, connectors::LaneKey>& lane, bool pause) {
    for (auto& t : threads_)
      t->post([lane, pause](ShardParts& parts) { parts.feeds[lane.first]->set_lane_paused(lane.second, pause); });
  };
  for (const auto& lane : paused)
    if (!paused_lanes_.contains(lane)) tell(lane, true);
  for (const auto& lane : paused_lanes_)
    if (!paused.contains(lane)) tell(lane, false);
  paused_lanes_ = std::move(paused);
}

// What a shard shed in an epoch is in the ledger of that epoch. Thread: shard.
void Pipeline::record_shed(const std::vector<engine::ShedRows>& shed, const DeadLetterDesk& desk) {
  if (shed.empty()) return;
  std::lock_guard lock(mutex_);
  for (const engine::ShedRows& s : shed) {
    SkippedRange range;
    range.from = s.from;
    range.to = s.to;
    range.why = fmt::format("shed: {} rows, step '{}' had spent its max_state", s.rows, s.step);
    if (const auto lane = s.known ? desk.lanes().find(s.lane) : std::nullopt) {
      range.lane = *lane;
      for (std::size_t i = 0; i < plan_->sources.size(); ++i) {
        const auto lanes = sources_[i]->lanes();
        if (std::any_of(lanes.begin(), lanes.end(), [&](const auto& l) { return l.lane == range.lane; }))
          range.source = plan_->sources[i].id;
      }
    } else {
      range.to = static_cast<std::int64_t>(s.rows);  // results of a step have no offsets
    }
    skipped_.push_back(std::move(range));
  }
}

}  // namespace twinspan::gateway
