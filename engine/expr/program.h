#pragma once
// Expressions, typed and compiled, and run column at a time over a batch. Several expressions over one input are one
// Program: equal pure parts are computed once a batch, constants at load.
//
// A failing value (overflow, division by zero, a cast of 'abc' to int64) is NULL and carries an error with it through
// everything computed from it; it counts only if it reaches a result. So CASE, COALESCE and IF never report a branch
// that was not taken, and FALSE AND <error> is FALSE, in either order. Expensive branches are run only on the rows that
// need them.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/batch.h"
#include "engine/base/types.h"
#include "engine/expr/ast.h"
#include "engine/expr/scope.h"

namespace twinspan::engine {

// A row whose value could not be computed. At most one a row and call, ascending by row; `slot` is the first that
// failed.
struct EvalError {
  std::uint32_t row = 0;
  std::uint32_t slot = 0;
  std::string message;
};
using EvalErrors = std::vector<EvalError>;

struct ExprPlan;     // the compiled, immutable form
class ExprBuilder;   // typed nodes under construction
class ExprExecutor;  // one thread's scratch memory

// Runs what a ProgramBuilder compiled. A copy shares the compiled form and has its own scratch memory: one a shard.
// Thread: shard (one at a time).
class Program {
 public:
  Program();  // no slots
  Program(const Program& other);
  Program(Program&&) noexcept;
  Program& operator=(const Program& other);
  Program& operator=(Program&&) noexcept;
  ~Program();

  std::size_t slots() const;
  DataType type(std::size_t slot) const;

  // One column a slot, `in.rows` long. Plain column references are the input's own columns, and string results may be
  // views into the input's strings: the output must keep both `arena` and the input's arenas alive. Appends to
  // `errors`.
  std::vector<Column> evaluate(const Batch& in, Arena& arena, EvalErrors& errors);

  // Kernel runs so far, over all batches (a shared part counts once a batch); for tests and explain.
  std::uint64_t evaluations() const;

  // The compiled form, one line a node, for explain.
  std::string explain() const;

 private:
  friend class ProgramBuilder;
  friend class Predicate;
  explicit Program(std::shared_ptr<const ExprPlan> plan);
  std::shared_ptr<const ExprPlan> plan_;
  std::unique_ptr<ExprExecutor> executor_;
};

// Compiles expressions over one scope. Thread: control. Use: add() for each, then build() once.
class ProgramBuilder {
 public:
  explicit ProgramBuilder(Scope scope);
  ProgramBuilder(ProgramBuilder&&) noexcept;
  ProgramBuilder& operator=(ProgramBuilder&&) noexcept;
  ~ProgramBuilder();

  // The slot, or every type error of this expression. A refused expression leaves the others usable.
  ExprResult<std::size_t> add(const Ast& ast);
  // The same, converted implicitly to `type` (NULL, int64 -> decimal -> float64, string literal -> timestamp), else an
  // error.
  ExprResult<std::size_t> add(const Ast& ast, DataType type);
  DataType type(std::size_t slot) const;
  std::vector<int> used_columns() const;  // batch columns read by the slots, ascending
  Program build();

 private:
  std::unique_ptr<ExprBuilder> builder_;
};

// The type an expression has in a scope, or its errors.
ExprResult<DataType> type_of(const Ast& ast, const Scope& scope);

// A boolean expression as a row filter. Copies like Program. Thread: shard (one at a time).
class Predicate {
 public:
  // Errors: those of binding, and an expression that is not boolean.
  static ExprResult<Predicate> compile(const Ast& ast, const Scope& scope);

  // Replaces `rows` with the rows where the expression is TRUE, ascending. A row with an error is not selected.
  void select(const Batch& in, std::vector<std::uint32_t>& rows, EvalErrors& errors);
  std::uint64_t evaluations() const { return program_.evaluations(); }
  std::string explain() const { return program_.explain(); }

 private:
  explicit Predicate(Program program) : program_(std::move(program)) {}
  Program program_;
};

}  // namespace twinspan::engine
