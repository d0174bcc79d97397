#pragma once
// A chain of filters and projections over one input as one compiled plan, so that equal pure calls are evaluated once a
// row across the steps: what a filter has computed is not computed again for the result, nor what an earlier step has
// for a later one. A step's results run only on the rows its filter let through. Steps stay apart where it matters: a
// failing row is reported for the step it fails in, also when no later step reads what failed. Compiled once, copied
// for each shard (a copy has its own scratch memory). Thread: control (building), shard (one at a time).

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/batch.h"
#include "engine/expr/ast.h"
#include "engine/expr/scope.h"

namespace twinspan::engine {

struct ExprPlan;
class ExprBuilder;
class ExprExecutor;

class Chain {
 public:
  Chain(const Chain& other);
  Chain(Chain&&) noexcept;
  Chain& operator=(const Chain& other);
  Chain& operator=(Chain&&) noexcept;
  ~Chain();

  struct Failure {
    std::uint32_t stage = 0, row = 0;  // the row of the input
    std::string message;
  };
  struct StageRows {
    std::uint32_t in = 0, out = 0;
  };
  struct Result {
    std::uint32_t rows = 0;
    const std::uint32_t* selection = nullptr;  // rows of the input, ascending; nullptr: all. Until the next evaluate()
    std::vector<Column> columns;               // of the last step; empty when no row is left
    std::vector<Failure> failures;             // by step, then row; a row at most once
    std::vector<StageRows> stages;
  };
  // String results may be views into the input's strings: keep both `arena` and the input's arenas alive.
  Result evaluate(const Batch& in, Arena& arena);

  std::size_t stages() const;
  std::uint64_t evaluations() const;  // kernel runs so far; a shared part counts once a batch
  std::string explain() const;
  std::vector<std::pair<std::string, unsigned>> shared() const;  // calls computed once, and for how many uses

 private:
  friend class ChainBuilder;
  explicit Chain(std::shared_ptr<const ExprPlan> plan);
  std::shared_ptr<const ExprPlan> plan_;
  std::unique_ptr<ExprExecutor> executor_;
};

// Use: for each step where() if it filters, then select() for each of its columns or keep_all(), then end_stage().
class ChainBuilder {
 public:
  explicit ChainBuilder(const Schema& input);
  ChainBuilder(const ChainBuilder& other);
  ChainBuilder& operator=(const ChainBuilder&) = delete;
  ~ChainBuilder();

  // The step at work reads these names; an index is that of the column of the step before. Else: its schema.
  void scope(Scope scope);
  ExprErrors where(const Ast& ast);
  ExprResult<DataType> select(const std::string& name, const Ast& ast);  // its type
  void keep_all();
  void end_stage();

  const Schema& output() const { return output_; }  // of the step ended last
  std::vector<int> used_columns() const;            // of the input
  Chain build() const;

 private:
  struct Step;
  std::unique_ptr<ExprBuilder> builder_;
  std::unique_ptr<Step> step_;  // at work, and those before it
  Schema output_;
};

}  // namespace twinspan::engine
