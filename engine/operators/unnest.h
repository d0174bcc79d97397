#pragma once
// An array to rows: each element becomes a row, with the other columns of the row it came from, its event time, op,
// watermarks and origin. Elements of a row stay together and in order. A NULL or empty array gives no row, or with
// `keep_empty` one whose element (and number) is NULL. Keeps no state. Operator; one input. Thread: shard.

#include <vector>

#include "engine/operators/operator.h"

namespace twinspan::engine {

struct UnnestSpec {
  int column = 0;        // the array
  DataType element;      // of the array
  int into = -1;         // the column that becomes the element; -1: a new one behind the others
  bool ordinal = false;  // the element's number from 1, as the last column (int64)
  bool keep_empty = false;
  Schema schema;  // of the output
};

class Unnest final : public Operator {
 public:
  explicit Unnest(UnnestSpec spec) : spec_(std::move(spec)) {}

  void process(unsigned input, Batch&& batch, Output& out) override;
  void watermark(unsigned, Watermark watermark, Output& out) override { out.watermark(watermark); }
  void restore_watermark(unsigned, Watermark) override {}
  bool pending() const override { return batch_.rows > 0; }
  void resume(Output& out) override;
  OperatorStats stats() const override { return stats_; }
  const Schema& schema() const override { return spec_.schema; }

 private:
  static constexpr std::uint32_t kRows = 1024;  // of a batch that goes out: a row may have any number of elements
  static constexpr std::uint32_t kNone = 0xFFFF'FFFF;

  void emit(Output& out);

  UnnestSpec spec_;
  OperatorStats stats_;
  Batch batch_;  // what is left of it: from this element of this row
  std::uint32_t row_ = 0, element_ = 0;
  std::vector<std::uint32_t> rows_, elements_;  // of the next batch: row of the input, element of its array or kNone
};

}  // namespace twinspan::engine
