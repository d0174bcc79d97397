#pragma once
// What the planner does with expressions of a pipeline file before they are compiled. Thread: control.

#include <map>
#include <optional>
#include <set>
#include <string>

#include "config/diagnostic.h"
#include "config/pipeline_spec.h"
#include "engine/expr/program.h"
#include "gateway/expression_reader.h"

namespace twinspan::gateway {

// `let` names of a step. Each may use those before it; they are substituted into the expressions that name them, so
// that the compiler sees one expression and computes equal parts once.
class LetScope {
 public:
  LetScope(const config::NameMap<config::Expression>& let, ExpressionReader& reader, config::Diagnostics& diagnostics);
  // nullptr: it became too large (reported).
  engine::AstPtr expand(const engine::AstPtr& ast) const;
  bool has(const std::string& name) const { return names_.count(name) > 0; }
  engine::AstPtr value_of(const std::string& name) const;  // expanded; nullptr: it did not parse

  // From now on a call with this canonical text (engine::to_string) is the column.
  void replace_call(std::string canonical, const std::string& column);
  engine::AstPtr replace_calls(const engine::AstPtr& ast) const;

 private:
  struct Name {
    engine::AstPtr tree;
    const config::Text* written;
  };
  engine::AstPtr part(const std::string& name, const Name& let, const engine::Ast& use) const;
  engine::AstPtr column_of(const engine::AstPtr& call) const;

  ExpressionReader& reader_;
  config::Diagnostics& diagnostics_;
  std::map<std::string, Name> names_;
  std::map<std::string, std::string, std::less<>> calls_;
};

engine::AstPtr column_ast(const std::string& name);
// The argument of a native function as the type that it takes, by the implicit conversions of calls; nullptr: none
// leads there.
engine::AstPtr as_type(const engine::AstPtr& ast, DataType have, DataType want);
// Whether rows can be grouped, joined or partitioned by this type; reports if not.
bool accept_key(DataType type, const config::Text& at, config::Diagnostics& diagnostics);

// Every column an expression names, as (qualifier, name).
void collect_columns(const engine::Ast& ast, std::set<std::pair<std::string, std::string>>& out);

}  // namespace twinspan::gateway
