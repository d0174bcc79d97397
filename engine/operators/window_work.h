#pragma once
// A call of a window operator that is under way: its rows or its watermark, how far it has come, and what is left of
// the portion (operator.h). A firing of millions of keys stops when the portion is used up or nobody below has room,
// and goes on with the next resume(). Owned by a window operator. Thread: shard.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "engine/operators/operator.h"

namespace twinspan::engine {

class WindowWork {
 public:
  // `output`: the operator's output watermark now.
  void begin_rows(Batch&& rows, Watermark output) {
    begin(output);
    batch = std::move(rows);
  }
  void begin_watermark(Watermark watermark, Watermark output) {
    begin(output);
    marked = true;
    to = watermark;
  }
  void begin_clock(Watermark output) {
    begin(output);
    wall = true;
  }
  bool active() const { return active_; }

  // The watermark before a row of the batch.
  Watermark at(std::uint32_t i, Watermark now) const {
    return {batch.firing != nullptr ? batch.firing[i] : now.firing,
            batch.retention != nullptr ? batch.retention[i] : now.retention};
  }

  void begin_portion(std::int64_t keys) { left_ = keys; }
  // So many keys more were looked at. true: stop, and go on with the next portion.
  bool spent(std::size_t keys, const Output& out) {
    left_ -= static_cast<std::int64_t>(keys);
    return left_ <= 0 || !out.has_room();
  }

  // Everything is done and `output` the output watermark.
  void end(Watermark output, Output& out, OperatorStats& stats) {
    if (!late.empty()) {
      stats.rows_late += late.size();
      const auto n = static_cast<std::uint32_t>(late.size());
      out.late(n == batch.rows ? std::move(batch) : gather(batch, late.data(), n, std::make_shared<Arena>()));
      late.clear();
    }
    batch = {};
    active_ = marked = wall = false;
    if (output != before_) out.watermark(output);
  }

  Batch batch;
  std::uint32_t row = 0;            // the next one
  std::vector<std::uint32_t> late;  // rows
  bool marked = false;              // the call is a watermark: `to`
  bool wall = false;                // the call is a firing by the wall clock
  Watermark to;

 private:
  void begin(Watermark output) {
    TS_CHECK(!active_);
    active_ = true;
    row = 0;
    before_ = output;
  }

  bool active_ = false;
  Watermark before_;
  std::int64_t left_ = 0;
};

}  // namespace twinspan::engine
