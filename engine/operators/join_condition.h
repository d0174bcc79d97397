#pragma once
// The residual condition of a join (`where:`): is a pair with equal keys and times within the bounds a match? Evaluated
// column by column on many candidate pairs at once. Owner: IntervalJoin. Thread: shard.

#include <cstdint>
#include <string>
#include <vector>

#include "engine/expr/program.h"

namespace twinspan::engine {

class JoinCondition {
 public:
  static constexpr std::uint32_t kPairs = 1024;  // most pairs of one call
  struct Side {
    std::vector<int> columns;  // kept columns in the side's input batches
    std::vector<DataType> types;
  };

  // `predicate`: over the left kept columns, then the right kept columns.
  JoinCondition(Predicate predicate, Side left, Side right)
      : predicate_(std::move(predicate)), sides_{std::move(left), std::move(right)} {}

  // Pair i is row rows[i] of the batch, which arrived on `input`, and the encoded kept columns stored[i] of the other
  // side. Sets verdicts[i]: 1 a match, 0 none; errors name the pairs that could not be computed, which are none.
  void test(const Batch& batch, unsigned input, const std::uint32_t* rows, const char* const* stored, std::uint32_t n,
            std::uint8_t* verdicts, EvalErrors& errors);
  // The same of stored pairs.
  void test(const char* const* left, const char* const* right, std::uint32_t n, std::uint8_t* verdicts,
            EvalErrors& errors);

 private:
  void run(Batch& pairs, std::uint8_t* verdicts, EvalErrors& errors);

  Predicate predicate_;
  Side sides_[2];
  std::vector<std::uint32_t> selected_;
};

}  // namespace twinspan::engine
