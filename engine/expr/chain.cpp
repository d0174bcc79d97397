#include "engine/expr/chain.h"

#include <fmt/format.h>

#include "engine/base/result.h"
#include "engine/expr/builder.h"
#include "engine/expr/executor.h"

namespace twinspan::engine {

Chain::Chain(std::shared_ptr<const ExprPlan> plan)
    : plan_(std::move(plan)), executor_(std::make_unique<ExprExecutor>(*plan_)) {}
Chain::Chain(const Chain& other) : Chain(other.plan_) {}
Chain::Chain(Chain&&) noexcept = default;
Chain& Chain::operator=(const Chain& other) { return *this = Chain(other); }
Chain& Chain::operator=(Chain&&) noexcept = default;
Chain::~Chain() = default;

std::size_t Chain::stages() const { return plan_->stages.size(); }
std::uint64_t Chain::evaluations() const { return executor_->evaluations(); }
std::string Chain::explain() const { return explain_plan(*plan_); }
std::vector<std::pair<std::string, unsigned>> Chain::shared() const { return shared_calls(*plan_); }

Chain::Result Chain::evaluate(const Batch& in, Arena& arena) {
  ExprExecutor::ChainResult r;
  executor_->run_chain(in, arena, r);
  Result out;
  out.rows = r.rows;
  out.selection = r.selection;
  out.columns = std::move(r.columns);
  for (const auto& f : r.failures) out.failures.push_back({f.stage, f.row, executor_->message(f.error)});
  for (const auto& s : r.stages) out.stages.push_back({s.in, s.out});
  return out;
}

struct ChainBuilder::Step {
  std::vector<ExprStage> done;
  ExprStage now;
  Schema output;
  std::vector<NodeId> values;  // of the step before: of output_'s columns
  bool all = false;
};

ChainBuilder::ChainBuilder(const Schema& input)
    : builder_(std::make_unique<ExprBuilder>(Scope(input))), step_(std::make_unique<Step>()), output_(input) {
  for (std::size_t i = 0; i < input.fields.size(); ++i)
    step_->values.push_back(
        builder_->nodes.column({"", input.fields[i].name, input.fields[i].type, static_cast<int>(i)}));
  builder_->rebase(Scope(input), step_->values);
}
ChainBuilder::ChainBuilder(const ChainBuilder& other)
    : builder_(std::make_unique<ExprBuilder>(*other.builder_)),
      step_(std::make_unique<Step>(*other.step_)),
      output_(other.output_) {}
ChainBuilder::~ChainBuilder() = default;

void ChainBuilder::scope(Scope scope) { builder_->rebase(std::move(scope), step_->values); }

ExprErrors ChainBuilder::where(const Ast& ast) {
  ExprErrors errors;
  const auto id = builder_->bind(ast, errors);
  if (!id) return errors;
  const auto condition = builder_->convert(*id, types::boolean);
  if (!condition)
    return {error_at(ast, fmt::format("bool is due here, this is {}", to_string(builder_->nodes.type(*id))),
                     "compare it with something, for example `x > 0`")};
  step_->now.where = *condition;
  return {};
}

ExprResult<DataType> ChainBuilder::select(const std::string& name, const Ast& ast) {
  ExprErrors errors;
  const auto id = builder_->bind(ast, errors);
  if (!id) return errors;
  const DataType type = builder_->nodes.type(*id);
  step_->now.select.push_back(*id);
  step_->output.fields.push_back({name, type});
  return type;
}

void ChainBuilder::keep_all() { step_->all = true; }

void ChainBuilder::end_stage() {
  Step& s = *step_;
  if (!s.all) {
    s.values = s.now.select;
    output_ = std::move(s.output);
  }
  s.done.push_back(std::move(s.now));
  s.now = {};
  s.output = {};
  s.all = false;
  builder_->rebase(Scope(output_), s.values);
}

std::vector<int> ChainBuilder::used_columns() const {
  const auto plan = builder_->nodes.finish(step_->done, step_->values);
  std::vector<int> out;
  for (NodeId id : plan->columns) out.push_back(builder_->nodes.node(id).column);
  return out;
}

Chain ChainBuilder::build() const { return Chain(builder_->nodes.finish(step_->done, step_->values)); }

}  // namespace twinspan::engine
