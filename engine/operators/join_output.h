#pragma once
// Collects result rows of a join and emits them as batches of at most 1 024, each row with the output watermark before
// it. A part of a result is a row of the batch being processed, a row in a log, or NULLs.
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
    bool emitted = true;  // false: results have none of them
  };

  // `schema`: left columns, then right columns, of the sides that are emitted. Owned by the operator.
  JoinOutput(const Schema* schema, SideColumns left, SideColumns right);

  // From now on "incoming" rows are those of this batch, which arrived on this input. Everything has been flushed.
  void begin(const Batch* batch, unsigned input) {
    batch_ = batch;
    input_ = input;
  }
  static constexpr std::int64_t kNone = -1;
  // One result row: a row of the batch (or kNone: NULLs) and the encoded kept columns of a stored row of the other
  // input (or nullptr: NULLs), which must stay where it is until flush().
  void add(std::int64_t incoming, const char* stored, EventTime time, Watermark before, Output& out,
           std::uint8_t flags = 0) {
    if (stored_only_) [[unlikely]]
      switch_kind(out);
    incoming_[n_] = static_cast<std::uint32_t>(incoming);
    missing_ |= incoming == kNone;
    stored_[1 - input_][n_] = stored;
    add_time(time, before, out, flags);
  }
  // The same of two stored rows, either of which may be nullptr.
  void add_stored(const char* left, const char* right, EventTime time, Watermark before, Output& out,
                  std::uint8_t flags = 0) {
    if (!stored_only_) [[unlikely]]
      switch_kind(out);
    stored_[0][n_] = left;
    stored_[1][n_] = right;
    add_time(time, before, out, flags);
  }
  void flush(Output& out);
  // A new portion of work begins; full(): since then, what is below has run out of room.
  void begin_portion() { full_ = false; }
  bool full() const { return full_; }
  std::uint64_t rows_out() const { return rows_out_ + n_; }

 private:
  void add_time(EventTime time, Watermark before, Output& out, std::uint8_t flags) {
    time_[n_] = time;
    firing_[n_] = before.firing;
    retention_[n_] = before.retention;
    flags_[n_] = flags;
    any_flags_ |= flags;
    if (++n_ == kRows) flush(out);
  }
  void switch_kind(Output& out);
  std::vector<Column> incoming_columns(Batch& result, Arena& arena) const;

  const Schema* schema_;
  SideColumns sides_[2];
  bool strings_[2];

  const Batch* batch_ = nullptr;
  unsigned input_ = 0;
  std::uint32_t n_ = 0;
  bool stored_only_ = false;  // the rows have two stored parts
  bool missing_ = false;      // some row has no incoming part
  bool full_ = false;
  std::uint8_t any_flags_ = 0;
  std::uint64_t rows_out_ = 0;
  std::uint32_t incoming_[kRows];
  const char* stored_[2][kRows];
  EventTime time_[kRows], firing_[kRows], retention_[kRows];
  std::uint8_t flags_[kRows];
};

}  // namespace twinspan::engine
