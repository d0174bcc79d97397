#pragma once
// Expressions of a pipeline file as trees: parsed, the functions of `functions:` put in, errors put where they were
// written. A function is hygienic: its body sees its arguments and nothing else, so no name of the caller can be
// caught. What is put in remembers where it comes from, so an error inside of it points into the function (or the
// `let`) and says where that was used. Owned by the planner, for one call. Thread: control.

#include <map>
#include <string>
#include <vector>

#include "config/diagnostic.h"
#include "config/pipeline_spec.h"
#include "engine/expr/ast.h"

namespace twinspan::gateway {

class ExpressionReader {
 public:
  // Reports what is wrong with the functions themselves: names, arguments, syntax, recursion.
  ExpressionReader(const config::IdMap<config::FunctionSpec>& functions, config::Diagnostics& diagnostics);

  // nullptr: it does not parse (reported).
  engine::AstPtr parse(const config::Text& text, config::Diagnostics& diagnostics);
  // Adds each error to the diagnostics, at its bytes inside `at` or where the part that is wrong was written.
  void report(const engine::ExprErrors& errors, const config::Text& at, config::Diagnostics& diagnostics) const;

  // A tree that stands for a name, as it is used at `use`: `what` ("let `x`") was written at `written`.
  engine::AstPtr used(const engine::AstPtr& tree, const config::Text& written, const std::string& what,
                      const engine::Ast& use);

 private:
  struct Function {
    std::string name;
    const config::FunctionSpec* spec = nullptr;
    engine::AstPtr body;  // nullptr: not usable (reported)
  };
  struct Use {
    const config::Text* written;  // what was put in
    std::string what;
    const config::Text* used_in;         // nullptr: in the text the error is reported for
    std::size_t offset = 0, length = 0;  // of the use, in used_in
    std::uint32_t parent = 0;            // source of the use itself
  };
  using Arguments = std::map<std::string, engine::AstPtr>;

  void check_function(Function& function, config::Diagnostics& diagnostics);
  void refuse_circles(config::Diagnostics& diagnostics);
  engine::AstPtr expand(const engine::AstPtr& tree, const config::Text& text, config::Diagnostics& diagnostics);
  engine::AstPtr call(const engine::AstPtr& ast, const config::Text& text, config::Diagnostics& diagnostics);
  engine::AstPtr copy(const engine::AstPtr& body, const Arguments& args, std::uint32_t source, const engine::Ast& use);
  std::string place(const Use& use, const config::Text& at, const engine::ExprError& error) const;

  std::map<std::string, Function> functions_;
  std::vector<Use> uses_;    // source n is uses_[n - 1]
  std::size_t budget_ = 0;   // nodes that may still be put into the expression at work
  std::size_t nesting_ = 0;  // of functions put into each other
  bool refused_ = false;
};

}  // namespace twinspan::gateway
