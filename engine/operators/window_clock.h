#pragma once
// A window over processing time: rows get the time of the clock when they come, and the clock is the watermark,
// whatever the input's own time is. So nothing is late, and results cannot be repeated. The clock never goes back, also
// not through a restart with the same number of shards. Contract: clock() before the first row. Owned by the shard.
// Thread: shard.

#include <algorithm>
#include <memory>

#include "engine/operators/operator.h"

namespace twinspan::engine {

class ProcessingTimeWindow final : public Operator {
 public:
  ProcessingTimeWindow(std::unique_ptr<Operator> window, unsigned shard, unsigned shards) : window_(std::move(window)) {
    while (group_ + 1 < kKeyGroups && shard_of_group(group_, shards) != shard) ++group_;
  }

  void process(unsigned, Batch&& batch, Output& out) override {
    TS_CHECK(now_ != kMinTime);
    Arena& arena = batch.add_arena();
    auto* time = arena.make<EventTime>(batch.rows);
    auto* before = arena.make<EventTime>(batch.rows);
    std::fill_n(time, batch.rows, now_);
    std::fill_n(before, batch.rows, now_ - 1);
    batch.time = time;
    batch.firing = batch.retention = before;
    window_->process(0, std::move(batch), out);
  }
  void watermark(unsigned, Watermark, Output&) override {}
  void finish(Output& out) override { window_->finish(out); }
  bool pending() const override { return window_->pending(); }
  void resume(Output& out) override { window_->resume(out); }
  bool wants_clock() const override { return true; }
  void clock(std::int64_t wall_ms, Output& out) override {
    if (wall_ms <= now_) return;
    now_ = wall_ms;
    window_->watermark(0, {now_ - 1, now_ - 1}, out);
    if (window_->wants_clock() && !window_->pending()) window_->clock(wall_ms, out);  // else with the next one
  }
  void snapshot(DeltaWriter& out) override { snapshot_at_once(*this, out); }
  bool begin_snapshot(DeltaWriter& out) override {
    out.put(kClock, group_, 0, "clock", {reinterpret_cast<const char*>(&now_), sizeof now_});
    return window_->begin_snapshot(out);
  }
  bool snapshot_portion(std::size_t entries, DeltaWriter& out) override {
    return window_->snapshot_portion(entries, out);
  }
  Status restore(const StateEntry& entry) override {
    if (entry.space != kClock) return window_->restore(entry);
    EventTime at = 0;
    if (entry.value.size() != sizeof at) return data_error("window state: the clock does not fit");
    std::copy_n(entry.value.data(), sizeof at, reinterpret_cast<char*>(&at));
    now_ = std::max(now_, at);  // of several shards, perhaps
    return ok();
  }
  void restore_watermark(unsigned, Watermark) override {
    const EventTime passed = shift(now_, -1);
    window_->restore_watermark(0, {passed, passed});
  }
  OperatorStats stats() const override { return window_->stats(); }
  const Schema& schema() const override { return window_->schema(); }

 private:
  static constexpr std::uint8_t kClock = 250;  // space

  std::unique_ptr<Operator> window_;
  std::uint16_t group_ = 0;  // one of this shard
  EventTime now_ = kMinTime;
};

}  // namespace twinspan::engine
