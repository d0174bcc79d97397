#pragma once
// Makes the typed nodes of a plan. Equal nodes are made once (hash consing), which is all of common subexpression
// elimination; calls of constants are computed at once. Owned by a ProgramBuilder. Thread: control.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/expr/ast.h"
#include "engine/expr/plan.h"
#include "engine/expr/scope.h"

namespace twinspan::engine {

class NodeBuilder {
 public:
  NodeBuilder() : memory_(std::make_shared<Arena>(1024)) {}

  NodeId column(const ScopeColumn& column);
  NodeId null(DataType type);
  NodeId boolean(bool value);
  NodeId int64(std::int64_t value, DataType type = types::int64);  // also timestamp and duration
  NodeId float64(double value);
  NodeId decimal(Decimal value, DataType type);
  NodeId string(std::string_view value);

  NodeId kernel(std::string_view name, KernelChoice choice, std::vector<NodeId> args);
  NodeId logical(NodeKind kind, std::vector<NodeId> terms);   // logical_and, logical_or
  NodeId case_when(std::vector<NodeId> args, DataType type);  // when1, then1, ..., else; results already of `type`

  const ExprNode& node(NodeId id) const { return nodes_[id]; }
  DataType type(NodeId id) const { return nodes_[id].type; }
  bool is_constant(NodeId id) const { return nodes_[id].kind == NodeKind::constant; }
  bool is_null(NodeId id) const { return is_constant(id) && nodes_[id].constant.is_null(0); }
  bool is_text(NodeId id) const { return is_constant(id) && !is_null(id) && type(id) == types::string; }
  std::string_view text(NodeId id) const { return nodes_[id].constant.at<std::string_view>(0); }

  // The plan of these slots: unreachable nodes stay in it and never run. See schedule.cpp.
  std::shared_ptr<const ExprPlan> finish(const std::vector<NodeId>& slots) const;
  // The plan of a chain of steps, `outputs` being what the last one gives.
  std::shared_ptr<const ExprPlan> finish(std::vector<ExprStage> stages, const std::vector<NodeId>& outputs) const;

 private:
  NodeId intern(ExprNode node, const std::string& key);
  NodeId constant(DataType type, const void* data, std::size_t size, const std::string& key);

  std::vector<ExprNode> nodes_;
  std::map<std::string, NodeId, std::less<>> known_;
  std::shared_ptr<Arena> memory_;
};

// Turns syntax into nodes: names, implicit conversions, overloads; collects every error it finds.
class ExprBuilder {
 public:
  explicit ExprBuilder(Scope scope) : scope_(std::move(scope)) {}

  // nullopt: `errors` grew.
  std::optional<NodeId> bind(const Ast& ast, ExprErrors& errors);
  // `id`, converted implicitly; nullopt without a message when there is no such conversion.
  std::optional<NodeId> convert(NodeId id, DataType to);

  // From now on names are looked up in `scope`, and its column i is this node: the next step of a chain.
  void rebase(Scope scope, std::vector<NodeId> values);

  NodeBuilder nodes;
  std::vector<NodeId> slots;
  std::set<int> columns;
  const Scope& scope() const { return scope_; }

 private:
  using Bound = std::optional<NodeId>;
  using Ids = std::vector<NodeId>;
  Bound fail(const Ast& at, std::string message, std::string hint = "");
  std::optional<Ids> bind_all(const std::vector<AstPtr>& children);
  Bound visit(const Ast& ast);
  Bound visit_number(const Ast& ast);
  Bound visit_arithmetic(const Ast& ast, char op, NodeId a, NodeId b);
  Bound visit_negate(const Ast& ast, NodeId x);
  Bound visit_comparison(const Ast& ast, CompareOp op, NodeId a, NodeId b);
  Bound visit_logical(const Ast& ast, const Ids& terms);
  Bound visit_in(const Ast& ast, const Ids& ids);
  Bound visit_like(const Ast& ast, const Ids& ids);
  Bound visit_case(const Ast& ast, const Ids& ids);
  Bound visit_cast(const Ast& ast, NodeId x);
  Bound visit_concat(const Ast& ast, const Ids& ids);
  Bound visit_call(const Ast& ast);
  Bound visit_special(const Ast& ast, const Ids& args);
  Bound visit_function(const Ast& ast, const Ids& args);
  Bound visit_decode(const Ast& ast, const Ids& args);
  // Nested values: binder_nested.cpp.
  Bound visit_field(const Ast& ast, NodeId x, const std::string& name);
  Bound visit_element(const Ast& ast, const Ids& ids);
  Bound visit_array(const Ast& ast, const Ids& ids);
  Bound visit_map(const Ast& ast, const Ids& ids);
  Bound visit_row(const Ast& ast, const Ids& ids);
  Bound visit_contains(const Ast& ast, NodeId x, NodeId array);  // x IN array
  Bound boolean_term(const Ast& ast, NodeId id);
  Bound comparison_pair(const Ast& ast, NodeId& a, NodeId& b);  // converts both to comparable types; value is `a`
  // The type all can be converted to; nullopt and an error at `ast` otherwise.
  std::optional<DataType> common_type(const Ast& ast, const Ids& ids, std::string_view what);
  std::optional<Ids> to_common(const Ast& ast, Ids ids, std::string_view what);
  NodeId negate(NodeId condition);
  std::optional<NodeId> range(NodeId at_least, NodeId at_most);
  bool is_zero(NodeId id) const;
  DataType as_decimal(NodeId id) const;  // of a decimal or int64; a constant int64 takes only the digits it has

  Scope scope_;
  std::optional<std::vector<NodeId>> values_;  // of the scope's columns; nullopt: columns of the batch
  ExprErrors* errors_ = nullptr;
};

}  // namespace twinspan::engine
