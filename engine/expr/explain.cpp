#include <algorithm>

#include <fmt/format.h>

#include "engine/expr/plan.h"

namespace twinspan::engine {

std::string explain_plan(const ExprPlan& plan) {
  std::string out;
  const auto name = [&](NodeId id) {
    const ExprNode& n = plan.nodes[id];
    return n.kind == NodeKind::constant || n.kind == NodeKind::column ? n.name : fmt::format("%{}", id);
  };
  for (std::size_t g = 0; g < plan.groups.size(); ++g) {
    if (g > 0) {
      const auto behind = std::find_if(plan.stages.begin(), plan.stages.end(), [&](const ExprStage& s) {
        return s.where != ExprStage::kNoFilter && s.group == g;
      });
      if (behind != plan.stages.end())
        out += fmt::format("on the rows of step {} ({}):\n", behind - plan.stages.begin(), g);
      else
        out += fmt::format("only where needed ({}):\n", g);
    }
    for (NodeId id : plan.groups[g].nodes) {
      const ExprNode& n = plan.nodes[id];
      out += fmt::format("{}%{}: {} = {}(", g > 0 ? "  " : "", id, to_string(n.type), n.name);
      for (std::size_t k = 0; k < n.args.size(); ++k) {
        out += (k > 0 ? ", " : "") + name(n.args[k]);
        if (n.groups[k] != kRootGroup) out += fmt::format(" in {}", n.groups[k]);
      }
      out += ")\n";
    }
  }
  for (std::size_t s = 0; s < plan.stages.size(); ++s)
    if (plan.stages[s].where != ExprStage::kNoFilter)
      out += fmt::format("step {}: where {}\n", s, name(plan.stages[s].where));
  for (std::size_t s = 0; s < plan.slots.size(); ++s) out += fmt::format("slot {}: {}\n", s, name(plan.slots[s]));
  return out;
}

}  // namespace twinspan::engine
