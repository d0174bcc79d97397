#pragma once
// Collects result rows of a window step and hands them out in batches, each row with the output watermark
// before it. A row with a value out of range goes to Output::failed; the old or new values that are left of its update
// are an insert or a remove then. An update_before and its update_after are neighbours in one batch. Keys and values
// are made into columns for many rows at a time. Owned by a window operator, used within one call. Thread: shard.

#include <memory>
#include <optional>
#include <string_view>

#include "engine/aggregates/accumulators.h"
#include "engine/operators/operator.h"
#include "engine/operators/window_panes.h"
#include "engine/state/row_codec.h"

namespace twinspan::engine {

class WindowResults {
 public:
  static constexpr std::uint32_t kRows = 1024;  // of a batch

  WindowResults(const std::vector<DataType>& key_types, const Accumulators& accumulators, const Schema& schema)
      : key_types_(key_types), accumulators_(accumulators), schema_(schema) {}

  // `time`: of the row. A range that ends at kMaxTime (global) is told as NULL. Key and block are read when the row
  // settles: they stay as they are until then.
  void add(std::string_view key, WindowRange range, EventTime time, const char* block, std::uint8_t flags,
           Watermark before, Output& out, OperatorStats& stats);
  // Before anything changes that add() was given.
  void settle() {
    if (settled_ < rows_) make_columns();
  }
  void flush(Output& out, OperatorStats& stats);

 private:
  void begin();
  void make_columns();
  void set_aside_bad();

  const std::vector<DataType>& key_types_;
  const Accumulators& accumulators_;
  const Schema& schema_;

  std::shared_ptr<Arena> arena_;  // of the batch being filled; nullptr = none
  std::optional<RowColumns> keys_;
  std::uint32_t rows_ = 0, settled_ = 0;
  const char* row_keys_[kRows];  // of rows that have not settled
  const char* row_blocks_[kRows];
  bool all_fine_ = true;
  std::uint8_t* fine_ = nullptr;
  std::vector<Column> columns_;  // window_start, window_end, aggregates
  std::vector<std::uint8_t*> valid_;
  EventTime *time_ = nullptr, *firing_ = nullptr, *retention_ = nullptr;
  std::uint8_t* flags_ = nullptr;
  std::vector<std::string_view> why_ = std::vector<std::string_view>(kRows);  // of rows that are not fine
  std::vector<std::uint32_t> good_, bad_;
};

}  // namespace twinspan::engine
