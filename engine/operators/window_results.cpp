#include "engine/operators/window_results.h"

#include <algorithm>

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
  rows_ = 0;
  good_.clear();
  bad_.clear();
}

void WindowResults::add(std::string_view key, WindowRange range, EventTime time, const char* block, std::uint8_t flags,
                        Watermark before, Output& out, OperatorStats& stats) {
  if (op_of(flags) == RowOp::update_before && rows_ == kRows - 1) flush(out, stats);  // its update_after follows it
  if (!arena_) begin();
  const std::uint32_t row = rows_++;
  keys_->append(key);
  auto* starts = static_cast<EventTime*>(const_cast<void*>(columns_[0].data));
  auto* ends = static_cast<EventTime*>(const_cast<void*>(columns_[1].data));
  const bool global = range.end == kMaxTime;
  starts[row] = global ? 0 : range.start;
  ends[row] = global ? 0 : range.end;
  valid_[0][row] = valid_[1][row] = global ? 0 : 1;
  bool fine = true;
  std::string_view why;  // of the first that has no value
  for (std::size_t a = 0; 2 + a < columns_.size(); ++a) {
    auto* data = static_cast<char*>(const_cast<void*>(columns_[2 + a].data));
    std::string_view reason;
    if (accumulators_.finish(a, block, data, valid_[2 + a], row, *arena_, &reason)) continue;
    if (fine) why = reason;
    fine = false;
  }
  time_[row] = time;
  firing_[row] = before.firing;
  retention_[row] = before.retention;
  flags_[row] = flags;
  const bool pair = op_of(flags) == RowOp::update_after && row > 0 && op_of(flags_[row - 1]) == RowOp::update_before;
  const bool before_fine = pair && !good_.empty() && good_.back() == row - 1;
  if (fine) {
    good_.push_back(row);
    if (pair && !before_fine) flags_[row] = (flags & kProvisionalFlag) | static_cast<std::uint8_t>(RowOp::insert);
  } else if (!is_retraction(flags)) {  // the old values had failed then
    bad_.push_back({row, why});
    if (before_fine) flags_[row - 1] = (flags & kProvisionalFlag) | static_cast<std::uint8_t>(RowOp::remove);
  }
  if (rows_ == kRows) flush(out, stats);
}

void WindowResults::flush(Output& out, OperatorStats& stats) {
  if (!arena_) return;
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
  for (const Bad& bad : bad_) {
    ++stats.rows_failed;
    out.failed(batch, bad.row, bad.why);
  }
  stats.rows_out += good_.size();
  if (good_.size() != rows_ && !good_.empty())
    batch = gather(batch, good_.data(), static_cast<std::uint32_t>(good_.size()), std::make_shared<Arena>());
  if (!good_.empty()) out.emit(std::move(batch));
  arena_.reset();
  keys_.reset();
}

}  // namespace twinspan::engine
