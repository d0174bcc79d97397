#pragma once
// Collects result rows of a join (pairs of a row of the batch being processed and a row in the log) and emits them as
// batches of at most 1 024, each row with the output watermark before it.
// Owner: IntervalJoin. Thread: shard.

#include <cstdint>
#include <vector>

#include "engine/operators/operator.h"

namespace twinspan::engine {

class JoinOutput {
 public:
  static constexpr std::uint32_t kRows = 1024;
  struct SideColumns {
    std::vector<int> columns;  // kept columns in the side's input batches
    std::vector<DataType> types;
  };

  // `schema`: left columns, then right columns. Owned by the operator.
  JoinOutput(const Schema* schema, SideColumns left, SideColumns right);

  // From now on "incoming" rows are those of this batch, which arrived on this input. Everything has been flushed.
  void begin(const Batch* batch, unsigned input) {
    batch_ = batch;
    input_ = input;
  }
  static constexpr std::int64_t kNone = -1;
  // One result row: a row of the batch (or kNone: NULLs) and the encoded kept columns of a stored row of the other
  // input (or nullptr: NULLs), which must stay where it is until flush().
  void add(std::int64_t incoming, const char* stored, EventTime time, Watermark before, Output& out) {
    incoming_[n_] = static_cast<std::uint32_t>(incoming);
    missing_ |= incoming == kNone;
    stored_[n_] = stored;
    time_[n_] = time;
    firing_[n_] = before.firing;
    retention_[n_] = before.retention;
    if (++n_ == kRows) flush(out);
  }
  void flush(Output& out);
  std::uint64_t rows_out() const { return rows_out_ + n_; }

 private:
  std::vector<Column> incoming_columns(Batch& result, Arena& arena) const;

  const Schema* schema_;
  SideColumns sides_[2];
  bool strings_[2];

  const Batch* batch_ = nullptr;
  unsigned input_ = 0;
  std::uint32_t n_ = 0;
  bool missing_ = false;  // some row has no incoming part
  std::uint64_t rows_out_ = 0;
  std::uint32_t incoming_[kRows];
  const char* stored_[kRows];
  EventTime time_[kRows], firing_[kRows], retention_[kRows];
};

}  // namespace twinspan::engine
