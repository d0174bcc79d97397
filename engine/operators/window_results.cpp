#include "engine/operators/window_results.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace twinspan::engine {

void WindowResults::begin() {
  arena_ = std::make_shared<Arena>();
  keys_.emplace(key_types_, kRows, *arena_);
  columns_.clear();
  valid_.clear();
  for (std::size_t c = key_types_.size(); c < schema_.fields.size(); ++c) {
    const DataType type = schema_.fields[c].type;
    columns_.push_back({type, arena_->allocate(kRows * value_width(type.kind), 16), nullptr});
    valid_.push_back(arena_->make<std::uint8_t>(kRows));
  }
  time_ = arena_->make<EventTime>(kRows);
  firing_ = arena_->make<EventTime>(kRows);
  retention_ = arena_->make<EventTime>(kRows);
  flags_ = arena_->make<std::uint8_t>(kRows);
  fine_ = arena_->make<std::uint8_t>(kRows);
  rows_ = settled_ = 0;
  all_fine_ = true;
}

void WindowResults::add(std::string_view key, WindowRange range, EventTime time, const char* block, std::uint8_t flags,
                        Watermark before, Output& out, OperatorStats& stats) {
  if (op_of(flags) == RowOp::update_before && rows_ == kRows - 1) flush(out, stats);  // its update_after follows it
  if (!arena_) begin();
  const std::uint32_t row = rows_++;
  row_keys_[row] = key.data();
  row_blocks_[row] = block;
  auto* starts = static_cast<EventTime*>(const_cast<void*>(columns_[0].data));
  auto* ends = static_cast<EventTime*>(const_cast<void*>(columns_[1].data));
  const bool global = range.end == kMaxTime;
  starts[row] = global ? 0 : range.start;
  ends[row] = global ? 0 : range.end;
  valid_[0][row] = valid_[1][row] = global ? 0 : 1;
  time_[row] = time;
  firing_[row] = before.firing;
  retention_[row] = before.retention;
  flags_[row] = flags;
  if (rows_ == kRows) flush(out, stats);
}

void WindowResults::make_columns() {
  const std::uint32_t first = settled_, n = rows_ - first;
  settled_ = rows_;
  keys_->append(row_keys_ + first, n);
  std::memset(fine_ + first, 1, n);
  for (std::size_t a = 0; 2 + a < columns_.size(); ++a) {
    auto* data = static_cast<char*>(const_cast<void*>(columns_[2 + a].data));
    all_fine_ &= accumulators_.finish(a, row_blocks_ + first, n, data, valid_[2 + a], first, *arena_, fine_ + first,
                                      why_.data() + first);
  }
}

// Of rows some of which have a value that is out of range.
void WindowResults::set_aside_bad() {
  good_.clear();
  bad_.clear();
  for (std::uint32_t row = 0; row < rows_; ++row) {
    const std::uint8_t flags = flags_[row];
    const bool pair = op_of(flags) == RowOp::update_after && row > 0 && op_of(flags_[row - 1]) == RowOp::update_before;
    const bool before_fine = pair && fine_[row - 1] != 0;
    if (fine_[row] != 0) {
      good_.push_back(row);
      if (pair && !before_fine) flags_[row] = (flags & kProvisionalFlag) | static_cast<std::uint8_t>(RowOp::insert);
    } else if (!is_retraction(flags)) {  // the old values had failed then
      bad_.push_back(row);
      if (before_fine) flags_[row - 1] = (flags & kProvisionalFlag) | static_cast<std::uint8_t>(RowOp::remove);
    }
  }
}

void WindowResults::flush(Output& out, OperatorStats& stats) {
  if (!arena_) return;
  settle();
  Batch batch;
  batch.schema = &schema_;
  batch.rows = rows_;
  batch.columns = keys_->finish();
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    if (std::find(valid_[c], valid_[c] + rows_, 0) != valid_[c] + rows_) columns_[c].valid = valid_[c];
    batch.columns.push_back(columns_[c]);
  }
  batch.time = time_;
  batch.flags = flags_;
  batch.firing = firing_;
  batch.retention = retention_;
  batch.arenas.push_back(arena_);
  if (all_fine_) {
    stats.rows_out += rows_;
    out.emit(std::move(batch));
  } else {
    set_aside_bad();
    for (const std::uint32_t row : bad_) {
      ++stats.rows_failed;
      out.failed(batch, row, why_[row]);
    }
    stats.rows_out += good_.size();
    if (!good_.empty())
      out.emit(gather(batch, good_.data(), static_cast<std::uint32_t>(good_.size()), std::make_shared<Arena>()));
  }
  arena_.reset();
  keys_.reset();
}

}  // namespace twinspan::engine
