// Decides where each node runs. A node used by one branch of a CASE, or only by a later term of AND or OR, can wait
// until it is known which rows need it; a node used in several places runs where all of them can see it. Branches too
// cheap to be worth gathering their inputs are run with everything else: an error in them shows only if the branch is
// taken.

#include <algorithm>

#include "engine/expr/builder.h"

namespace twinspan::engine {

namespace {

constexpr int kWorthWaiting = 12;  // nanoseconds a row; gathering and scattering cost a few

struct Context {
  std::uint32_t parent = 0;
  std::uint32_t depth = 0;
  int cost = 0;
  bool merged = false;
  bool filtered = false;  // behind the filter of a step: always a group of its own
  std::uint32_t group = kRootGroup;
};

class Scheduler {
 public:
  explicit Scheduler(ExprPlan& plan) : plan_(plan) {}

  void run() {
    place();
    merge_cheap();
    make_groups();
  }

 private:
  static bool conditional(const ExprNode& n, std::size_t arg) {
    return arg > 0 &&
           (n.kind == NodeKind::logical_and || n.kind == NodeKind::logical_or || n.kind == NodeKind::case_when);
  }
  bool runs(NodeId id) const {
    return plan_.nodes[id].kind != NodeKind::constant && plan_.nodes[id].kind != NodeKind::column;
  }

  std::uint32_t common(std::uint32_t a, std::uint32_t b) const {
    while (a != b) {
      if (contexts_[a].depth >= contexts_[b].depth)
        a = contexts_[a].parent;
      else
        b = contexts_[b].parent;
    }
    return a;
  }
  void use(NodeId id, std::uint32_t context) {
    where_[id] = used_[id] ? common(where_[id], context) : context;
    used_[id] = true;
  }

  void place() {
    const std::size_t n = plan_.nodes.size();
    where_.assign(n, 0);
    used_.assign(n, false);
    edges_.resize(n);
    contexts_.push_back({});
    std::uint32_t at = 0;
    for (ExprStage& stage : plan_.stages) {
      if (stage.where != ExprStage::kNoFilter) {
        use(stage.where, at);
        contexts_.push_back({at, contexts_[at].depth + 1});
        at = static_cast<std::uint32_t>(contexts_.size() - 1);
        contexts_[at].filtered = true;
      }
      stage.group = at;  // the context, until there are groups
      for (NodeId id : stage.select) use(id, at);
    }
    for (NodeId slot : plan_.slots) {
      use(slot, at);
      plan_.nodes[slot].output = true;
    }
    for (NodeId id = static_cast<NodeId>(n); id-- > 0;) {  // users before what they use
      ExprNode& node = plan_.nodes[id];
      if (!used_[id] || !runs(id)) continue;
      contexts_[where_[id]].cost += node.kernel.cost;
      if (node.output && node.kernel.reuses_arg) plan_.nodes[node.args[0]].output = true;
      edges_[id].assign(node.args.size(), where_[id]);
      for (std::size_t k = 0; k < node.args.size(); ++k) {
        if (conditional(node, k) && runs(node.args[k])) {
          edges_[id][k] = static_cast<std::uint32_t>(contexts_.size());
          contexts_.push_back({where_[id], contexts_[where_[id]].depth + 1});
        }
        use(node.args[k], edges_[id][k]);
      }
    }
  }

  std::uint32_t resolve(std::uint32_t c) const {
    while (contexts_[c].merged) c = contexts_[c].parent;
    return c;
  }

  void merge_cheap() {
    for (std::size_t c = contexts_.size(); c-- > 1;) {  // inner ones come later, so they are seen first
      Context& context = contexts_[c];
      if (context.filtered) continue;
      context.merged = context.cost < kWorthWaiting;
      contexts_[context.parent].cost += context.merged ? context.cost : context.cost / 2;
    }
  }

  void make_groups() {
    plan_.groups.assign(1, {});
    for (std::size_t c = 1; c < contexts_.size(); ++c) {
      if (contexts_[c].merged) continue;
      contexts_[c].group = static_cast<std::uint32_t>(plan_.groups.size());
      plan_.groups.push_back({contexts_[resolve(contexts_[c].parent)].group, {}, {}});
    }
    const auto group_of = [&](std::uint32_t context) { return contexts_[resolve(context)].group; };
    for (NodeId id = 0; id < plan_.nodes.size(); ++id) {
      ExprNode& node = plan_.nodes[id];
      if (!used_[id]) continue;
      if (node.kind == NodeKind::column) plan_.columns.push_back(id);
      if (!runs(id)) continue;
      node.group = group_of(where_[id]);
      plan_.groups[node.group].nodes.push_back(id);
      node.groups.assign(node.args.size(), kRootGroup);
      for (std::size_t k = 0; k < node.args.size(); ++k) {
        const NodeId arg = node.args[k];
        if (node.type.is_string_like() && plan_.nodes[arg].kind == NodeKind::constant &&
            plan_.nodes[arg].type.is_string_like())
          plan_.texts.push_back(arg);
        const std::uint32_t group = group_of(edges_[id][k]);
        // The group of the edge is there only if the argument itself waits in it.
        if (group != node.group && runs(arg) && plan_.nodes[arg].group == group)
          node.groups[k] = group;
        else
          plan_.groups[node.group].inputs.push_back(arg);
      }
    }
    // What a step gives or filters by may have been computed before an earlier filter.
    for (std::size_t s = 0; s < plan_.stages.size(); ++s) {
      ExprStage& stage = plan_.stages[s];
      stage.group = group_of(stage.group);
      auto& inputs = plan_.groups[stage.group].inputs;
      inputs.insert(inputs.end(), stage.select.begin(), stage.select.end());
      if (s + 1 < plan_.stages.size() && plan_.stages[s + 1].where != ExprStage::kNoFilter)
        inputs.push_back(plan_.stages[s + 1].where);
      if (s + 1 == plan_.stages.size()) inputs.insert(inputs.end(), plan_.slots.begin(), plan_.slots.end());
    }
    for (std::size_t g = plan_.groups.size(); g-- > 1;) {
      ExprGroup& group = plan_.groups[g];
      std::vector<NodeId> outer;
      std::sort(group.inputs.begin(), group.inputs.end());
      group.inputs.erase(std::unique(group.inputs.begin(), group.inputs.end()), group.inputs.end());
      for (NodeId in : group.inputs) {
        const ExprNode& node = plan_.nodes[in];
        if (node.kind == NodeKind::constant || (runs(in) && node.group == g)) continue;
        outer.push_back(in);
      }
      group.inputs = std::move(outer);
      auto& around = plan_.groups[group.parent].inputs;  // what a group reads passes through the one around it
      around.insert(around.end(), group.inputs.begin(), group.inputs.end());
    }
    plan_.groups[0].inputs.clear();
    std::sort(plan_.texts.begin(), plan_.texts.end());
    plan_.texts.erase(std::unique(plan_.texts.begin(), plan_.texts.end()), plan_.texts.end());
  }

  ExprPlan& plan_;
  std::vector<Context> contexts_;
  std::vector<std::uint32_t> where_;
  std::vector<bool> used_;
  std::vector<std::vector<std::uint32_t>> edges_;  // node -> context of each argument
};

}  // namespace

std::shared_ptr<const ExprPlan> NodeBuilder::finish(const std::vector<NodeId>& slots) const {
  return finish({}, slots);
}

std::shared_ptr<const ExprPlan> NodeBuilder::finish(std::vector<ExprStage> stages,
                                                    const std::vector<NodeId>& outputs) const {
  auto plan = std::make_shared<ExprPlan>();
  plan->nodes = nodes_;
  plan->slots = outputs;
  plan->stages = std::move(stages);
  plan->memory = memory_;
  Scheduler(*plan).run();
  return plan;
}

}  // namespace twinspan::engine
