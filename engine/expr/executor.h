#pragma once
// Runs a plan over one batch. Values live in a table by node; a group that runs for some rows only sees gathered copies
// of what it reads, so kernels always work on dense columns and know nothing of selections. Owned by one Program; its
// memory is used again for every batch. Thread: shard (one at a time).

#include <string>
#include <vector>

#include "engine/base/batch.h"
#include "engine/expr/plan.h"

namespace twinspan::engine {

// A constant as a column.
Column spread(const Value& v, DataType type, std::uint32_t rows, Arena& arena);

class ExprExecutor {
 public:
  explicit ExprExecutor(const ExprPlan& plan);

  // Fills value(slot) for every slot. `results` takes the memory of outputs and the bytes of strings made on the way;
  // nullptr: outputs stay in scratch memory until the next run.
  void run(const Batch& in, Arena& bytes, Arena* results);
  // The same for the plan of a chain: runs its steps on the rows that are left, and says which.
  struct Failure {
    std::uint32_t stage = 0, row = 0;  // the row of the batch
    std::uint32_t error = 0;
  };
  struct StageRows {
    std::uint32_t in = 0, out = 0;
  };
  struct ChainResult {
    std::uint32_t rows = 0;
    const std::uint32_t* selection = nullptr;  // rows of the batch, ascending; nullptr: all. Valid until the next run
    std::vector<Failure> failures;             // by step; a row is in it once
    std::vector<StageRows> stages;
    std::vector<Column> columns;
  };
  void run_chain(const Batch& in, Arena& results, ChainResult& out);

  const Value& value(NodeId id) const { return values_[id]; }
  const std::string& message(std::uint32_t error) const { return messages_[error - 1]; }
  std::uint64_t evaluations() const { return evaluations_; }

 private:
  void begin(const Batch& in, Arena& bytes, Arena* results);
  void keep_rows(const std::vector<NodeId>& ids, const std::uint32_t* selection, std::uint32_t n, bool last,
                 ChainResult& out);
  Column finished(NodeId slot, std::uint32_t rows, Arena& results);
  void run_group(std::uint32_t group, std::uint32_t rows);
  void run_kernel(const ExprNode& node, NodeId id, std::uint32_t rows);
  void run_logical(const ExprNode& node, NodeId id, std::uint32_t rows);
  void blend_case(const ExprNode& node, NodeId id, std::uint32_t rows);
  bool choose_constants(const ExprNode& node, std::uint64_t* out, std::uint32_t rows);
  void combine_bytes(const ExprNode& node, NodeId id, std::uint32_t rows);
  void run_case(const ExprNode& node, NodeId id, std::uint32_t rows);
  // The argument's value for these rows only (compact: value k is of row selection[k]).
  Value run_branch(std::uint32_t group, NodeId arg, const std::uint32_t* selection, std::uint32_t n,
                   std::uint32_t rows);
  // In the arena, or in scratch memory where it is nullptr.
  Value gathered(const Value& v, DataType type, const std::uint32_t* selection, std::uint32_t n, Arena* to = nullptr);
  const std::uint8_t* merged_valid(const std::vector<Value>& args, std::uint32_t rows);
  void* result_memory(const ExprNode& node, std::uint32_t rows);
  const std::uint8_t* kept(const ExprNode& node, const std::uint8_t* valid, std::uint32_t rows);

  const ExprPlan& plan_;
  Scratch scratch_;
  std::vector<Value> values_;
  std::vector<std::uint8_t> moved_;  // of a chain: the value is a gathered copy in scratch memory
  std::vector<Value> args_;
  std::vector<std::string> messages_;
  Arena* bytes_ = nullptr;
  Arena* results_ = nullptr;
  std::uint64_t evaluations_ = 0;
};

}  // namespace twinspan::engine
