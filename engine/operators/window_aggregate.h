#pragma once
// One step of windows and aggregates on one shard, complete: rows in, a result row per window and key out.
// The rows of a key must all come here (the plan partitions by key).
//
// Semantics (design: semantics.md "Event time", "Windows and aggregates"; protocol.md 22, 23), decided per
// row:
// - A window (of a cumulate window: each step, "pane") is complete when firing F >= end - 1, and closed when
// R >= end - 1
//   + allow_lateness. A row counts in its window unless that is closed; in a cumulate window it counts in
//   every pane that is still open (late rows of the morning are in the evening's panes). A row that counts
//   nowhere is late.
// - Firings: at F; early, at start + k * every (tumbling); again with what changed when R passes end - 1, if
// F was ahead;
//   after that, within allow_lateness, at the next watermark step. A firing holds only keys that got rows
//   since the last firing of that pane, so a watermark that passes unchanged results emits nothing.
// - Flags: insert at the first record of (window, key), update_after later (retracting: update_before with
// the old values
//   first); kProvisionalFlag while R < end - 1 (of an early firing: R < the moment it stands for).
// - Discarding: every record holds what came since the record before; in a cumulate window what came to this
// step.
// - Result rows have time end - 1, are ordered by (window end, order in which keys came first), and carry the
// output
//   watermark before the step that fired them: firing F, retention R - allow_lateness.
// - A result that has no value in its type (int64 sum out of range) goes to Output::failed instead of out.
// Thread: shard.

#include <memory>

#include "engine/operators/operator.h"
#include "engine/operators/window_spec.h"

namespace twinspan::engine {

class WindowAggregate final : public Operator {
 public:
  // `spec` must be valid; `schema` is window_output_schema's, owned by the plan.
  WindowAggregate(WindowSpec spec, const Schema& schema);
  ~WindowAggregate() override;

  void process(unsigned input, Batch&& batch, Output& out) override;
  void watermark(unsigned input, Watermark watermark, Output& out) override;
  void finish(Output& out) override;
  bool pending() const override;
  void resume(Output& out) override;
  bool wants_clock() const override;
  void clock(std::int64_t wall_ms, Output& out) override;
  void snapshot(DeltaWriter& out) override { snapshot_at_once(*this, out); }
  bool begin_snapshot(DeltaWriter& out) override;
  bool snapshot_portion(std::size_t entries, DeltaWriter& out) override;
  Status restore(const StateEntry& entry) override;
  void restore_watermark(unsigned input, Watermark watermark) override;
  OperatorStats stats() const override;
  const Schema& schema() const override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace twinspan::engine
