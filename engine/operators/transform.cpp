#include "engine/operators/transform.h"

#include <algorithm>

namespace twinspan::engine {

namespace {

// The flags after the rows not in `kept` were left out: half an update is a remove or an insert. `kept` ascends.
const std::uint8_t* flags_of_rest(const Batch& batch, const std::uint32_t* kept, std::uint32_t n, Arena& arena) {
  if (batch.flags == nullptr) return nullptr;
  auto* flags = arena.make<std::uint8_t>(batch.rows);
  std::copy(batch.flags, batch.flags + batch.rows, flags);
  const auto turn = [&](std::uint32_t row, RowOp op) {
    flags[row] = static_cast<std::uint8_t>((flags[row] & ~(kOpMask | kForStepsFlag)) | static_cast<std::uint8_t>(op));
  };
  for (std::uint32_t i = 0; i < n; ++i) {
    const std::uint32_t row = kept[i];
    if (op_of(batch.flags[row]) == RowOp::update_before) {
      const bool with_next = i + 1 < n && kept[i + 1] == row + 1;
      if (!with_next || op_of(batch.flags[row + 1]) != RowOp::update_after) turn(row, RowOp::remove);
    } else if (op_of(batch.flags[row]) == RowOp::update_after && row > 0) {
      const bool with_previous = i > 0 && kept[i - 1] == row - 1;
      if (!with_previous && op_of(batch.flags[row - 1]) == RowOp::update_before) turn(row, RowOp::insert);
    }
  }
  return flags;
}

}  // namespace

void Transform::fail(const Batch& batch, const std::vector<Chain::Failure>& failures, Output& out) {
  for (const Chain::Failure& f : failures) {
    if (is_retraction(batch.flag(f.row))) continue;
    ++stats_.rows_failed;
    ++stats_.steps[f.stage].rows_failed;
    if (spec_.steps.size() > 1)
      out.failed_in(spec_.steps[f.stage], batch, f.row, f.message);
    else
      out.failed(batch, f.row, f.message);
  }
}

void Transform::process(unsigned, Batch&& batch, Output& out) {
  auto arena = std::make_shared<Arena>(16 * 1024);
  Chain::Result result = spec_.program.evaluate(batch, *arena);
  stats_.rows_in += batch.rows;
  stats_.rows_out += result.rows;
  for (std::size_t s = 0; s < result.stages.size(); ++s) {
    stats_.steps[s].rows_in += result.stages[s].in;
    stats_.steps[s].rows_out += result.stages[s].out;
  }
  fail(batch, result.failures, out);
  if (result.rows == 0) return;
  batch.hash = nullptr;
  if (result.selection != nullptr) {
    batch.columns.clear();  // gathered already
    batch.flags = flags_of_rest(batch, result.selection, result.rows, *arena);
    batch = gather(batch, result.selection, result.rows, std::move(arena));
  } else {
    batch.arenas.push_back(std::move(arena));
  }
  batch.columns = std::move(result.columns);
  batch.schema = &spec_.output;
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
