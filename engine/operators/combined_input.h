#pragma once
// What stands before a window that gets combined rows (combine_rows.h). Of those about which nothing is decided yet the
// window merges what they counted. The others, which come when other shards' watermarks are ahead of their sender's,
// become the rows they were, so that each is late, or a late update, by itself. Owned by the shard, around a window.
// Thread: shard.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "engine/operators/operator.h"

namespace twinspan::engine {

class CombinedInput final : public Operator {
 public:
  explicit CombinedInput(std::unique_ptr<Operator> window) : window_(std::move(window)) {}

  void process(unsigned input, Batch&& batch, Output& out) override;
  void watermark(unsigned input, Watermark watermark, Output& out) override {
    reach(watermark);
    window_->watermark(input, watermark, out);
  }
  void finish(Output& out) override { window_->finish(out); }
  bool pending() const override { return window_->pending(); }
  void resume(Output& out) override { window_->resume(out); }
  bool wants_clock() const override { return window_->wants_clock(); }
  void clock(std::int64_t wall_ms, Output& out) override { window_->clock(wall_ms, out); }
  void snapshot(DeltaWriter& out) override { window_->snapshot(out); }
  bool begin_snapshot(DeltaWriter& out) override { return window_->begin_snapshot(out); }
  bool snapshot_portion(std::size_t entries, DeltaWriter& out) override {
    return window_->snapshot_portion(entries, out);
  }
  Status restore(const StateEntry& entry) override { return window_->restore(entry); }
  void restore_watermark(unsigned input, Watermark watermark) override {
    firing_ = kMinTime;
    reach(watermark);
    window_->restore_watermark(input, watermark);
  }
  OperatorStats stats() const override;
  const Schema& schema() const override { return window_->schema(); }

 private:
  void reach(Watermark w) { firing_ = std::max({firing_, w.firing, w.retention}); }
  // F just before a row of the batch.
  EventTime firing_at(const Batch& batch, std::uint32_t row) const;
  Batch taken_apart(const Batch& batch) const;

  std::unique_ptr<Operator> window_;
  EventTime firing_ = kMinTime;  // F of the input
  std::int64_t more_rows_ = 0;   // than the window was given
};

}  // namespace twinspan::engine
