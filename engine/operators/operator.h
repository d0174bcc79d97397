#pragma once
// What a step of the plan is at run time. An operator belongs to one shard, is called by that shard's thread alone, and
// does no I/O; the path is plain calls from one operator to the next (a virtual call a batch, never one a row).
//
// Contract, for every operator:
// - `process` gets rows in arrival order. Row i was preceded by the watermark batch.firing/retention[i] of that input
//   (nullptr: as last told). Decisions (late or not, what a firing contains) are made per row, as if rows came alone:
//   results never depend on how rows were cut into batches.
// - Whatever is emitted carries, in the same way, the operator's *output* watermark; after the call the operator emits
//   its final output watermark by `Output::watermark` if it moved.
// - `snapshot` appends what changed since the snapshot before (the first one: everything since start or restore);
//   `restore` gets the live entries of the shard's own key groups, each once, in any order, before any other call.
// - `begin_snapshot` and `snapshot_portion` are the same in portions, for state that rows must not wait for; an
// operator
//   that has none leaves them as they are.
// - A row that cannot be computed goes to `Output::failed` and never stops anything.
// - Work of unknown length is done in portions: `process`, `watermark` and `finish` may return with work left, when a
//   portion is used up or when Output::has_room() has become false, and say so by `pending`. Until it is false again
//   nothing but `resume` (and `stats`) is called; the final watermark of the call comes with the last portion. Where a
//   portion ends must not show in the results. Counts decide, never a clock.
// Thread: shard.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/batch.h"
#include "engine/base/result.h"
#include "engine/state/state_entry.h"

namespace twinspan::engine {

class Output {
 public:
  virtual ~Output() = default;
  virtual void emit(Batch&& batch) = 0;
  virtual void watermark(Watermark watermark) = 0;
  virtual void late(Batch&& rows) = 0;  // rows this operator no longer takes; same schema as its input `late_input`
  // One row that failed: goes to the dead letters with its origin (batch.origins) when it has one.
  virtual void failed(const Batch& batch, std::uint32_t row, std::string_view reason) = 0;
  // The same for an operator that several steps became (Transform): `step` is the id of the one it failed in.
  virtual void failed_in(const std::string& step, const Batch& batch, std::uint32_t row, std::string_view reason) {
    (void)step;
    failed(batch, row, reason);
  }
  // Whether whoever is below takes more now. Ask after each emit if there may be many; one batch more always fits, and
  // so does a watermark.
  virtual bool has_room() const { return true; }
};

// An input nothing is expected from for now (all its lanes are idle, or it ended): who takes the minimum of several
// leaves it out. Per watermark, because a lost cluster holds R while F has left it behind. retention implies firing.
struct Idleness {
  bool firing = false, retention = false;
  friend constexpr bool operator==(const Idleness&, const Idleness&) = default;
};

struct StepRows {
  std::uint64_t rows_in = 0, rows_out = 0, rows_failed = 0;
};

struct OperatorStats {
  std::uint64_t rows_in = 0, rows_out = 0, rows_late = 0, rows_failed = 0;
  std::uint64_t state_rows = 0;     // rows, panes x keys, ids: what the step keeps
  std::uint64_t state_bytes = 0;    // resident, estimated from above
  std::uint64_t spilled_bytes = 0;  // beside them: what lies in files alone
  std::string failure;              // why it does not go on (pending for ever); empty: it does
  std::uint64_t rows_combined = 0;  // CombineRows: rows that were counted together before they were sent on
  std::uint64_t hot_keys = 0;       // and of how many keys at present
  std::vector<StepRows> steps;      // of a Transform: each of the steps it is made of
};

// A file of state that a SnapshotPart has sealed; the shard that did has number `shard` of `shards`.
struct SealedSegment {
  unsigned shard = 0, shards = 1;
  std::uint64_t number = 0;
  std::function<Result<std::string>()> read;  // its bytes, verified
};

class Operator {
 public:
  virtual ~Operator() = default;
  virtual void process(unsigned input, Batch&& batch, Output& out) = 0;
  virtual void watermark(unsigned input, Watermark watermark, Output& out) = 0;
  // Of interest where inputs become one stream; a join waits for both sides all the same.
  virtual void input_idle(unsigned input, Idleness idle, Output& out) { (void)input, (void)idle, (void)out; }
  // End of a bounded input: everything open fires as if the watermark were kMaxTime. Called once all inputs ended.
  virtual void finish(Output& out) { (void)out; }
  // Work is left of the last call: resume() does the next portion.
  virtual bool pending() const { return false; }
  virtual void resume(Output& out) { (void)out; }
  // The wall clock, ms since 1970: told again and again if the operator wants it, never while a barrier passes.
  virtual bool wants_clock() const { return false; }
  virtual void clock(std::int64_t wall_ms, Output& out) { (void)wall_ms, (void)out; }
  virtual void snapshot(DeltaWriter& out) { (void)out; }
  // The moment of the barrier: the delta says what the state is now. true: something is left, and snapshot_portion
  // appends about `entries` of it at a time until it returns false. In between comes any other call (also resume), so
  // what is about to change or to end and is not in the delta yet has to be written first. `out` stays the same, and
  // there is no further begin_snapshot, until the last portion is done.
  virtual bool begin_snapshot(DeltaWriter& out) {
    snapshot(out);
    return false;
  }
  virtual bool snapshot_portion(std::size_t entries, DeltaWriter& out) {
    (void)entries, (void)out;
    return false;
  }
  virtual Status restore(const StateEntry& entry) {
    (void)entry;
    return ok();
  }
  // Whether it leaves rows to its segment files when memory is short; then it is told where they are, after the
  // restore.
  virtual bool wants_segments() const { return false; }
  virtual void use_segments(SegmentStore& store) { (void)store; }
  // For state that is not laid out by key: restore() gets all live entries of the step, of every shard.
  virtual bool restores_all_groups() const { return false; }
  // After the last restore(), once, also if there are none: the sealed segments of all shards that held key groups of
  // this one.
  virtual Status restore_segments(const std::vector<SealedSegment>& segments) {
    (void)segments;
    return ok();
  }
  // After these: where the input's watermark stood. Sets it, fires nothing (it had fired before).
  virtual void restore_watermark(unsigned input, Watermark watermark) = 0;
  virtual OperatorStats stats() const = 0;
  virtual const Schema& schema() const = 0;  // of what it emits
};

// What `snapshot` is to an operator that works in portions.
inline void snapshot_at_once(Operator& op, DeltaWriter& out) {
  if (!op.begin_snapshot(out)) return;
  while (op.snapshot_portion(std::size_t{1} << 20, out)) {
  }
}

}  // namespace twinspan::engine
