#pragma once
// The columns an expression may name. Owned by whoever binds; a plan builder makes one per step. Thread: control.

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/types.h"
#include "engine/expr/ast.h"

namespace twinspan::engine {

struct ScopeColumn {
  std::string qualifier;  // "left" in left.price; empty = none
  std::string name;
  DataType type;
  int index = 0;  // the column of the Batch
};

class Scope {
 public:
  Scope() = default;
  explicit Scope(std::vector<ScopeColumn> c) : columns(std::move(c)) {}
  // Every field under its own name; indices from `first_index`.
  explicit Scope(const Schema& schema, std::string qualifier = "", int first_index = 0);
  void add(std::string qualifier, std::string name, DataType type, int index) {
    columns.push_back({std::move(qualifier), std::move(name), type, index});
  }

  // An unqualified name finds a qualified column when only one has that name. `a.b` where `a` qualifies nothing is
  // field b of the column a: is_field_of() tells. Errors: unknown (with the nearest name), ambiguous. Names are
  // case-sensitive.
  ExprResult<const ScopeColumn*> find(const Ast& column) const;
  static bool is_field_of(const Ast& column, const ScopeColumn& found) {
    return !column.qualifier.empty() && (found.name != column.text || found.qualifier != column.qualifier);
  }

  std::vector<ScopeColumn> columns;
};

// Batch columns the expression reads, ascending, each once; names that do not resolve are left out (binding reports
// them).
std::vector<int> used_columns(const Ast& ast, const Scope& scope);

// The candidate nearest to `name`, or empty when none is near enough to suggest.
std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace twinspan::engine
