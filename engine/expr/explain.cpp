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

std::vector<std::pair<std::string, unsigned>> shared_calls(const ExprPlan& plan) {
  constexpr std::size_t kLongest = 200;
  std::vector<unsigned> uses(plan.nodes.size(), 0);
  for (const ExprGroup& group : plan.groups)
    for (const NodeId id : group.nodes)
      for (const NodeId arg : plan.nodes[id].args) ++uses[arg];
  for (const NodeId slot : plan.slots) ++uses[slot];
  for (const ExprStage& stage : plan.stages)
    if (stage.where != ExprStage::kNoFilter) ++uses[stage.where];
  std::vector<std::string> text(plan.nodes.size());
  std::vector<std::pair<std::string, unsigned>> out;
  for (NodeId id = 0; id < plan.nodes.size(); ++id) {  // arguments stand before who uses them
    const ExprNode& n = plan.nodes[id];
    text[id] = n.name;
    if (n.kind == NodeKind::constant || n.kind == NodeKind::column) continue;
    text[id] += '(';
    for (std::size_t k = 0; k < n.args.size() && text[id].size() < kLongest; ++k)
      text[id] += (k > 0 ? ", " : "") + text[n.args[k]];
    text[id] += ')';
    if (uses[id] > 1) out.emplace_back(text[id], uses[id]);
  }
  return out;
}

}  // namespace twinspan::engine
