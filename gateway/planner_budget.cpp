// State budgets of steps, and which sources feed which steps: what the pipeline watches while it runs.
#include <algorithm>

#include <fmt/format.h>

#include "gateway/planner.h"

namespace twinspan::gateway {

void Planner::plan_budgets() {
  const engine::Graph& graph = plan_->graph;
  for (const engine::SourceNode& source : graph.sources) {
    std::vector<bool> reached(graph.nodes.size());
    const auto reach = [&](const std::vector<engine::Target>& out) {
      for (const engine::Target& t : out)
        if (t.kind == engine::Target::Kind::node) reached[t.index] = true;
    };
    reach(source.out);
    // Edges never point backwards.
    for (unsigned n = 0; n < graph.nodes.size(); ++n)
      if (reached[n]) reach(graph.nodes[n].out);
    auto& nodes = plan_->fed_by.emplace_back();
    for (unsigned n = 0; n < graph.nodes.size(); ++n)
      if (reached[n]) nodes.push_back(n);
  }
  for (const auto& step : spec_.steps) {
    const auto& budget = step.value.interval_join && step.value.interval_join->max_state
                             ? step.value.interval_join->max_state
                             : step.value.max_state;
    if (!budget || !budget->bytes) continue;
    const auto info = std::find_if(plan_->steps.begin(), plan_->steps.end(),
                                   [&](const StepInfo& i) { return i.id == step.name.value; });
    if (info == plan_->steps.end()) continue;  // its errors have been reported
    if (info->kind == "filter" || info->kind == "project") {
      diagnostics_.error(step.name.origin, "T0444", fmt::format("step '{}' keeps no state to limit", step.name.value),
                         "max_state belongs to a step with state: a join, a window, deduplicate");
      continue;
    }
    if (budget->when_full == config::WhenFull::spill &&
        (info->kind != "interval_join" || spec_.state.backend.value == config::StateBackend::memory)) {
      diagnostics_.error(step.name.origin, "T0448",
                         fmt::format("step '{}' cannot spill: {}", step.name.value,
                                     info->kind != "interval_join" ? "only interval joins do, in this version"
                                                                   : "state.backend is memory"),
                         "when_full: slow_sources or shed");
      continue;
    }
    StepBudget b{info->node, *budget->bytes, budget->when_full, {}, {}};
    for (const auto& [node, column] : info->value_nodes) b.more_nodes.push_back(node);
    for (unsigned s = 0; s < plan_->fed_by.size(); ++s)
      if (std::find(plan_->fed_by[s].begin(), plan_->fed_by[s].end(), b.node) != plan_->fed_by[s].end())
        b.sources.push_back(s);
    plan_->budgets.push_back(std::move(b));
  }
}

}  // namespace twinspan::gateway
