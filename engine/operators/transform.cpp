#include "engine/operators/transform.h"

#include <algorithm>

namespace twinspan::engine {

namespace {

// The flags after the rows not in `kept` were left out: half an update is a remove or an insert. `kept` ascends.
const std::uint8_t* flags_of_rest(const Batch& batch, const std::vector<std::uint32_t>& kept, Arena& arena) {
  if (batch.flags == nullptr) return nullptr;
  auto* flags = arena.make<std::uint8_t>(batch.rows);
  std::copy(batch.flags, batch.flags + batch.rows, flags);
  const auto turn = [&](std::uint32_t row, RowOp op) {
    flags[row] = static_cast<std::uint8_t>((flags[row] & ~(kOpMask | kForStepsFlag)) | static_cast<std::uint8_t>(op));
  };
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const std::uint32_t row = kept[i];
    if (op_of(batch.flags[row]) == RowOp::update_before) {
      const bool with_next = i + 1 < kept.size() && kept[i + 1] == row + 1;
      if (!with_next || op_of(batch.flags[row + 1]) != RowOp::update_after) turn(row, RowOp::remove);
    } else if (op_of(batch.flags[row]) == RowOp::update_after && row > 0) {
      const bool with_previous = i > 0 && kept[i - 1] == row - 1;
      if (!with_previous && op_of(batch.flags[row - 1]) == RowOp::update_before) turn(row, RowOp::insert);
    }
  }
  return flags;
}

}  // namespace

void Transform::fail(const Batch& batch, const EvalErrors& errors, Output& out) {
  for (const EvalError& e : errors) {
    if (is_retraction(batch.flag(e.row))) continue;
    out.failed(batch, e.row, e.message);
    ++stats_.rows_failed;
  }
}

void Transform::process(unsigned, Batch&& batch, Output& out) {
  stats_.rows_in += batch.rows;
  EvalErrors errors;
  if (spec_.where) {
    spec_.where->select(batch, selection_, errors);
    fail(batch, errors, out);
    errors.clear();
    if (selection_.empty()) return;
    if (selection_.size() < batch.rows) {
      // Columns nobody reads any more are not copied.
      if (!spec_.identity) {
        for (int c = 0; c < static_cast<int>(batch.columns.size()); ++c) {
          if (std::binary_search(spec_.select_columns.begin(), spec_.select_columns.end(), c)) continue;
          batch.columns[c].data = nullptr;
          batch.columns[c].valid = nullptr;
        }
      }
      auto arena = std::make_shared<Arena>(16 * 1024);
      batch.flags = flags_of_rest(batch, selection_, *arena);
      batch = gather(batch, selection_.data(), static_cast<std::uint32_t>(selection_.size()), std::move(arena));
    }
  }
  batch.hash = nullptr;
  if (!spec_.identity) {
    auto arena = std::make_shared<Arena>(16 * 1024);
    std::vector<Column> columns = spec_.select.evaluate(batch, *arena, errors);
    if (!errors.empty()) {
      std::vector<std::uint32_t> good;
      std::size_t next = 0;
      for (std::uint32_t row = 0; row < batch.rows; ++row) {
        if (next < errors.size() && errors[next].row == row) {
          ++next;
        } else {
          good.push_back(row);
        }
      }
      fail(batch, errors, out);
      batch.columns = std::move(columns);
      batch.arenas.push_back(arena);
      auto rest = std::make_shared<Arena>(16 * 1024);
      batch.flags = flags_of_rest(batch, good, *rest);
      batch = gather(batch, good.data(), static_cast<std::uint32_t>(good.size()), std::move(rest));
    } else {
      batch.columns = std::move(columns);
      batch.arenas.push_back(std::move(arena));
    }
  }
  batch.schema = &spec_.output;
  stats_.rows_out += batch.rows;
  out.emit(std::move(batch));
}

Watermark Union::minimum(unsigned except) const {
  Watermark w{kMaxTime, kMaxTime};
  for (unsigned i = 0; i < inputs_.size(); ++i) {
    if (i == except) continue;
    if (!idle_[i].firing) w.firing = std::min(w.firing, inputs_[i].firing);
    if (!idle_[i].retention) w.retention = std::min(w.retention, inputs_[i].retention);
  }
  return w;
}

void Union::process(unsigned input, Batch&& batch, Output& out) {
  stats_.rows_in += batch.rows;
  stats_.rows_out += batch.rows;
  if (idle_[input].retention) idle_[input] = {};  // it was idle, and here are rows
  if (batch.firing != nullptr) {
    const Watermark others = minimum(input);
    Arena& arena = batch.add_arena();
    auto* firing = arena.make<EventTime>(batch.rows);
    auto* retention = arena.make<EventTime>(batch.rows);
    for (std::uint32_t i = 0; i < batch.rows; ++i) {
      out_.firing = firing[i] = std::max(out_.firing, std::min(batch.firing[i], others.firing));
      out_.retention = retention[i] = std::max(out_.retention, std::min(batch.retention[i], others.retention));
    }
    inputs_[input].firing = std::max(inputs_[input].firing, batch.firing[batch.rows - 1]);
    inputs_[input].retention = std::max(inputs_[input].retention, batch.retention[batch.rows - 1]);
    batch.firing = firing;
    batch.retention = retention;
  }
  batch.schema = &schema_;
  out.emit(std::move(batch));
}

void Union::watermark(unsigned input, Watermark watermark, Output& out) {
  inputs_[input].firing = std::max(inputs_[input].firing, watermark.firing);
  inputs_[input].retention = std::max(inputs_[input].retention, watermark.retention);
  advance(out);
}

void Union::input_idle(unsigned input, Idleness idle, Output& out) {
  idle_[input] = idle;
  advance(out);
}

void Union::advance(Output& out) {
  const Watermark w = minimum(static_cast<unsigned>(inputs_.size()));
  if (w.firing != kMaxTime) out_.firing = std::max(out_.firing, w.firing);
  if (w.retention != kMaxTime) out_.retention = std::max(out_.retention, std::min(w.retention, out_.firing));
  out.watermark(out_);
}

}  // namespace twinspan::engine
