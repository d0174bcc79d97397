#pragma once
// Session windows on one shard: rows of a key that are less than the gap apart are one window, which ends the gap after
// its last row. A row may extend a session or join two.
//
// Semantics (semantics.md "Event time", "Windows and aggregates"), decided per row:
// - A row at t is [t, t + gap), and one with every session that this overlaps; exactly the gap apart are two sessions.
// - A session fires when F >= end - 1 and is closed when R >= end - 1 + allow_lateness. A row that meets no session
// that is not closed, and would be closed itself, is late.
// - Early firings at multiples of `early` (and of the offset) with sessions that changed; provisional firing and
// correction, late updates, flags and modes as in window_aggregate.h.
// - A result is known by (key, start, end). When a session that was told gets other bounds, what was told is removed at
// once (-D with the old values; not if discarding), and the session is told anew when it is due.
// - Result rows have time end - 1; what one step of the watermark fires comes in no particular order.
// Thread: shard.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/aggregates/accumulators.h"
#include "engine/operators/identity_set.h"
#include "engine/operators/operator.h"
#include "engine/operators/save_list.h"
#include "engine/operators/window_results.h"
#include "engine/operators/window_sessions.h"
#include "engine/operators/window_spec.h"
#include "engine/operators/window_timers.h"
#include "engine/operators/window_work.h"
#include "engine/state/row_codec.h"

namespace twinspan::engine {

class SessionWindow final : public Operator {
 public:
  // `spec` must be valid, of kind session; `schema` is window_output_schema's, owned by the plan.
  SessionWindow(WindowSpec spec, const Schema& schema);

  void process(unsigned input, Batch&& batch, Output& out) override;
  void watermark(unsigned input, Watermark watermark, Output& out) override;
  void finish(Output& out) override { watermark(0, {kMaxTime, kMaxTime}, out); }
  bool pending() const override { return work_.active(); }
  void resume(Output& out) override;
  void snapshot(DeltaWriter& out) override { snapshot_at_once(*this, out); }
  bool begin_snapshot(DeltaWriter& out) override;
  bool snapshot_portion(std::size_t entries, DeltaWriter& out) override;
  Status restore(const StateEntry& entry) override;
  void restore_watermark(unsigned input, Watermark watermark) override;
  OperatorStats stats() const override;
  const Schema& schema() const override { return schema_; }
  bool wants_clock() const override { return spec_.early_clock == EarlyClock::wall; }
  void clock(std::int64_t wall_ms, Output& out) override;

 private:
  using Head = SessionStore::Head;
  static constexpr unsigned kGroup = 32;        // sessions that are looked at together
  static constexpr std::uint8_t kSessions = 0;  // space: tag start, key: the encoded key, value: see save_session
  // What only some windows keep of a session.
  struct Extra {
    std::vector<IdentitySet> distinct;  // by distinct_
    std::vector<char> last;             // values last told, while kEmitted
  };

  // --- rows (window_session.cpp)
  bool run(Output& out);
  void look_up(std::uint32_t row);
  bool closed(EventTime end) const { return now_.retention >= shift(end - 1, spec_.allow_lateness); }
  bool place(const Batch& batch, std::uint32_t row, std::string_view key, std::uint64_t hash, Output& out);
  std::uint32_t meet(EventTime t, std::uint32_t first, Output& out);
  void join(std::uint32_t into, std::uint32_t from, Output& out);
  void set_bounds(std::uint32_t i, EventTime start, EventTime end, Output& out);
  void count_placed(const Batch& batch);
  void count_distinct(const Batch& batch, std::uint32_t row, std::uint32_t i);
  bool counts(const Batch& batch, std::size_t aggregate, std::uint32_t row) const;
  void mark_changed(std::uint32_t i);
  // Before a session changes, whatever of it.
  void change(std::uint32_t i) {
    if ((sessions_.head(i).flags & save_flags_.due) == 0) first_change(i);
  }
  void first_change(std::uint32_t i);
  // Before it changes the last time and then ends.
  void keep_old(std::uint32_t i) {
    if ((sessions_.head(i).flags & save_flags_.saving) != 0) save_session(i, changed_since_);
  }

  // --- firing (window_session_fire.cpp)
  bool due(Watermark to) const {
    return to.firing >= wake_firing_ || to.retention >= wake_retention_ || (changed_after_firing_ && to != now_);
  }
  void wait_for_firing(std::uint32_t i);
  bool move_to(Watermark to, Output& out);
  void begin_step();
  // false: the portion is used up; the next one goes on.
  bool step(Watermark to, Output& out);
  bool fire_complete(Watermark to, Output& out);
  void list_early();
  void list_changed(Watermark to);
  bool fire_listed(bool provisional, Output& out);
  bool close(Watermark to, Output& out);
  void fire(std::uint32_t i, bool provisional, bool closing, Output& out);
  void settle();
  void take_back(std::uint32_t i, Output& out);
  void drop(std::uint32_t i);
  EventTime early_after(EventTime firing) const;
  Watermark output_watermark(Watermark w) const { return {w.firing, shift(w.retention, -spec_.allow_lateness)}; }

  // --- checkpoints (window_session_state.cpp)
  void save_session(std::uint32_t i, DeltaWriter& out);
  void forget_saved(std::uint32_t i);
  void finish_restore();

  const WindowSpec spec_;
  const Schema& schema_;
  RowCodec codec_;
  KeyGroup keys_;
  Accumulators accumulators_;
  std::vector<std::size_t> distinct_;  // aggregates
  bool tells_before_ = false;
  std::size_t fixed_key_ = 0;
  WindowResults results_;
  SessionStore sessions_;
  std::unordered_map<std::uint32_t, Extra> extra_;

  Watermark now_;  // of the input
  // Sessions by an end they had: one whose end has moved is put where it belongs when its time comes.
  EventTimers firing_timers_, closing_timers_;
  // The call under way, and where in it: the group of its rows that is looked up, the step that is not done.
  WindowWork work_;
  std::uint32_t group_ = 0, group_end_ = 0;
  enum class Phase : std::uint8_t { none, complete, early, changed, close } phase_ = Phase::none;
  std::vector<EventTimers::Entry> ready_;
  std::vector<std::uint32_t> listed_;  // to be fired from listed_at_ on
  std::size_t listed_at_ = 0;
  bool early_provisional_ = false;
  std::vector<std::uint32_t> told_, ended_;  // fired, and not settled yet: they stay; they end
  std::vector<std::uint32_t> changed_;       // kFireDue, not fired: for early firings; may hold what is no longer so
  std::vector<std::uint32_t> again_;         // kFireDue and fired: told again when retention is there; the same
  EventTime wake_firing_ = kMaxTime, wake_retention_ = kMaxTime;
  bool changed_after_firing_ = false;  // one of `again_` is complete by retention: told at the next step
  EventTime next_early_ = kMaxTime;

  BlockMemory memory_;  // of all blocks

  // Rows placed and not yet counted.
  std::vector<std::uint32_t> rows_, placed_;
  std::vector<char*> blocks_;

  SessionStore::SaveFlags save_flags_;
  SaveList<std::uint32_t> save_list_;
  struct Place {
    EventTime start;
    std::string key;
  };
  SaveList<Place> erase_;
  // The snapshot under way: what there was at the barrier and is not in the delta yet.
  bool saving_ = false;
  SaveList<std::uint32_t> saving_list_;
  SaveList<Place> saving_erase_;
  DeltaWriter changed_since_;  // what could not wait; behind all others, for the last frame of a place counts
  std::string value_;          // of the session being written
  bool restoring_ = false;
  std::int64_t wall_ = kMinTime;
  OperatorStats stats_;
};

}  // namespace twinspan::engine
