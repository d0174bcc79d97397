#include "engine/expr/program.h"

#include <fmt/format.h>

#include "engine/base/result.h"
#include "engine/expr/builder.h"
#include "engine/expr/executor.h"

namespace twinspan::engine {

namespace {

// Rows of `in` with an error in any of the slots, ascending, the first slot's message.
void collect_errors(const ExprPlan& plan, const ExprExecutor& run, std::uint32_t rows, EvalErrors& errors) {
  bool any = false;
  for (NodeId slot : plan.slots) any = any || run.value(slot).errors != nullptr;
  if (!any) return;
  for (std::uint32_t row = 0; row < rows; ++row) {
    for (std::uint32_t slot = 0; slot < plan.slots.size(); ++slot) {
      const Value& v = run.value(plan.slots[slot]);
      if (v.errors == nullptr || v.errors[row] == 0) continue;
      errors.push_back({row, slot, run.message(v.errors[row])});
      break;
    }
  }
}

const std::shared_ptr<const ExprPlan>& empty_plan() {
  static const std::shared_ptr<const ExprPlan> plan = NodeBuilder().finish({});
  return plan;
}

}  // namespace

Program::Program() : Program(empty_plan()) {}
Program::Program(std::shared_ptr<const ExprPlan> plan)
    : plan_(std::move(plan)), executor_(std::make_unique<ExprExecutor>(*plan_)) {}
Program::Program(const Program& other) : Program(other.plan_) {}
Program::Program(Program&&) noexcept = default;
Program& Program::operator=(const Program& other) { return *this = Program(other); }
Program& Program::operator=(Program&&) noexcept = default;
Program::~Program() = default;

std::size_t Program::slots() const { return plan_->slots.size(); }
DataType Program::type(std::size_t slot) const { return plan_->nodes[plan_->slots[slot]].type; }
std::uint64_t Program::evaluations() const { return executor_->evaluations(); }

std::vector<Column> Program::evaluate(const Batch& in, Arena& arena, EvalErrors& errors) {
  executor_->run(in, arena, &arena);
  std::vector<Column> out;
  out.reserve(plan_->slots.size());
  for (NodeId slot : plan_->slots) {
    const Value& v = executor_->value(slot);
    const DataType type = plan_->nodes[slot].type;
    out.push_back(v.stride == 0 ? spread(v, type, in.rows, arena) : Column{type, v.data, v.valid});
  }
  collect_errors(*plan_, *executor_, in.rows, errors);
  return out;
}

std::string Program::explain() const { return explain_plan(*plan_); }

ProgramBuilder::ProgramBuilder(Scope scope) : builder_(std::make_unique<ExprBuilder>(std::move(scope))) {}
ProgramBuilder::ProgramBuilder(ProgramBuilder&&) noexcept = default;
ProgramBuilder& ProgramBuilder::operator=(ProgramBuilder&&) noexcept = default;
ProgramBuilder::~ProgramBuilder() = default;

ExprResult<std::size_t> ProgramBuilder::add(const Ast& ast) {
  ExprErrors errors;
  const auto id = builder_->bind(ast, errors);
  if (!id) return errors;
  builder_->slots.push_back(*id);
  return builder_->slots.size() - 1;
}

ExprResult<std::size_t> ProgramBuilder::add(const Ast& ast, DataType type) {
  ExprErrors errors;
  auto id = builder_->bind(ast, errors);
  if (!id) return errors;
  const auto converted = builder_->convert(*id, type);
  if (!converted) {
    const DataType have = builder_->nodes.type(*id);
    return error_at(ast, fmt::format("{} is due here, this is {}", to_string(type), to_string(have)),
                    fmt::format("use CAST(... AS {})", to_string(type)));
  }
  builder_->slots.push_back(*converted);
  return builder_->slots.size() - 1;
}

DataType ProgramBuilder::type(std::size_t slot) const { return builder_->nodes.type(builder_->slots[slot]); }
std::vector<int> ProgramBuilder::used_columns() const { return {builder_->columns.begin(), builder_->columns.end()}; }
Program ProgramBuilder::build() { return Program(builder_->nodes.finish(builder_->slots)); }

ExprResult<DataType> type_of(const Ast& ast, const Scope& scope) {
  ProgramBuilder builder(scope);
  const auto slot = builder.add(ast);
  if (!slot) return slot.errors();
  return builder.type(*slot);
}

ExprResult<Predicate> Predicate::compile(const Ast& ast, const Scope& scope) {
  ProgramBuilder builder(scope);
  const auto slot = builder.add(ast, types::boolean);
  if (!slot) return slot.errors();
  return Predicate(builder.build());
}

void Predicate::select(const Batch& in, std::vector<std::uint32_t>& rows, EvalErrors& errors) {
  Arena bytes;  // texts made on the way; takes memory only if there are any
  ExprExecutor& run = *program_.executor_;
  run.run(in, bytes, nullptr);
  const Value& v = run.value(program_.plan_->slots[0]);
  rows.resize(in.rows);
  std::uint32_t n = 0;
  if (v.stride == 0) {
    if (!v.is_null(0) && v.at<std::uint8_t>(0) != 0)
      for (; n < in.rows; ++n) rows[n] = n;
  } else {
    const auto* value = static_cast<const std::uint8_t*>(v.data);
    if (v.valid == nullptr) {
      for (std::uint32_t i = 0; i < in.rows; ++i) {
        rows[n] = i;
        n += value[i] != 0;
      }
    } else {
      for (std::uint32_t i = 0; i < in.rows; ++i) {
        rows[n] = i;
        n += (value[i] & v.valid[i]) != 0;
      }
    }
  }
  rows.resize(n);
  if (v.stride != 0) collect_errors(*program_.plan_, run, in.rows, errors);
}

}  // namespace twinspan::engine
