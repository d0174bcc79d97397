#pragma once
// Sliding windows on one shard: windows of `size` that begin every `every`, so that a row is in several. Time is cut
// into panes of the greatest common divisor of both; a row touches the one pane it lies in. A result is put together of
// what lies before and behind a border between chunks, a chunk being `size` of panes: the suffix of one chunk (made
// backwards once, when the first window leaves its first pane) and the prefix of the next (one more pane a window). So
// a result is one merge, a pane's entry is merged twice in its life, however many windows overlap (the two stacks of
// functional queues; van Herk, 1992, for panes: Li et al., "No pane, no gain", 2005).
//
// Semantics as in window_aggregate.h, per window: it fires at F >= end - 1, is closed at R >= end - 1 + allow_lateness,
// and a row counts in those of its windows that are not closed; in none: it is late. The first firing of a window holds
// all keys that have rows in it, every later one (late updates, corrections when R passes, after early firings at start
// + k * early) the keys that got rows since the one before. What a row changes in a window that has been told is
// written down before it counts (`pending_`): nothing else is kept of what was told. Result rows are ordered by window
// end within what one step of the watermark fires first, then come the changed ones; keys in no particular order.
//
// count(DISTINCT): window_chunk_distinct.h. Its results walk the panes of their key.
// Thread: shard.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/aggregates/accumulators.h"
#include "engine/operators/calendar.h"
#include "engine/operators/operator.h"
#include "engine/operators/window_chunk.h"
#include "engine/operators/window_results.h"
#include "engine/operators/window_spec.h"
#include "engine/operators/window_work.h"
#include "engine/state/row_codec.h"

namespace twinspan::engine {

class SlidingWindow final : public Operator {
 public:
  // `spec` must be valid, of kind sliding; `schema` is window_output_schema's, owned by the plan.
  SlidingWindow(WindowSpec spec, const Schema& schema);

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

 private:
  // Spaces of a checkpoint. Tags: the end of the last window that a pane is in; a window's end.
  enum Space : std::uint8_t { kPanes = 0, kPending = 1, kValues = 2 };
  // A key that changed in a window since that was told.
  struct Pending {
    bool told = false;        // it was in the last record
    bool saved = false;       // in a snapshot that is complete
    std::uint32_t flags = 0;  // SaveFlags
    std::vector<char> old;    // the values told
    std::vector<char> delta;  // discarding: what came since
  };
  using PendingKeys = std::map<std::string, Pending, std::less<>>;
  struct PendingWindow {
    PendingKeys keys;
    BlockMemory strings{1024};
    SaveList<PendingKeys::value_type*> save_list;  // changed since the last barrier
  };

  static std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b != 0 && (a ^ b) < 0 ? 1 : 0); }
  static std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return -floor_div(-a, b); }

  // --- windows and panes, by number. Window k is the panes [k * slide_, k * slide_ + panes_).
  EventTime start_of(std::int64_t window) const { return unit_.start_of(window * slide_); }
  EventTime end_of(std::int64_t window) const { return unit_.start_of(window * slide_ + panes_); }
  std::int64_t first_ending_after(EventTime t) const;  // the first window with end > t
  std::int64_t first_with(std::int64_t pane) const;
  std::int64_t last_with(std::int64_t pane) const;
  std::int64_t first_unfired(Watermark w) const { return first_ending_after(shift(w.firing, 1)); }
  std::int64_t first_open(Watermark w) const {
    return first_ending_after(shift(shift(w.retention, 1), -spec_.allow_lateness));
  }
  bool told(std::int64_t window, Watermark w) const;

  // --- rows (window_sliding.cpp)
  struct Hit {
    EventTime from = 0, to = 0;  // rows of these times ...
    WindowChunk* chunk = nullptr;
    std::uint32_t step = 0;
  };
  bool find_hit(EventTime t);
  WindowChunk& chunk_at(std::int64_t number);
  bool run(Output& out);
  // true: F and R stand there now. false: the portion is used up.
  bool move_to(Watermark to, Output& out);
  void count_placed(const Batch& batch);
  void count_group(const Batch& batch, std::uint32_t from, std::uint32_t n);
  void count_behind(const Batch& batch, std::uint32_t row);
  std::uint32_t kid_of(WindowChunk& chunk, std::uint64_t hash, std::string_view key, std::uint32_t probable = 0);
  void update(const Batch& batch, std::uint32_t row, char* block, BlockMemory& memory) const;
  void count_distinct(const Batch& batch, const std::uint32_t* rows, WindowChunk* const* chunks,
                      const std::uint32_t* entries, std::uint32_t n);
  bool counts(const Batch& batch, std::size_t aggregate, std::uint32_t row) const;
  void note_pending(std::int64_t window, std::string_view key, std::uint64_t hash);

  // --- firing (window_sliding_fire.cpp)
  bool due(Watermark to) const {
    return to.firing >= wake_firing_ || to.retention >= wake_retention_ || (changed_after_firing_ && to != now_);
  }
  void set_wakes(Watermark at);
  // Of those that are bool: false: the portion is used up, and the next one goes on.
  bool step(Watermark to, Output& out);
  bool fire_complete(Watermark to, Output& out);
  bool fire_early(Watermark to, Output& out);
  bool fire_changed(Watermark to, Output& out);
  bool begin_telling(std::int64_t window, bool provisional, Output& out);
  bool tell(Output& out);
  bool tell_all(Output& out);
  bool tell_sums(WindowChunk* a, WindowChunk* b, Output& out);
  bool tell_prefix(WindowChunk& of, const WindowChunk* told_with, Output& out);
  bool tell_by_panes(WindowChunk* a, WindowChunk* b, std::uint32_t step, Output& out);
  bool tell_changed(Output& out);
  void tell_first(std::string_view key, char* block, Output& out);
  char* next_total();
  bool paused(Output& out);
  // The values of a key in a window, into total_; false: it has no rows there. Walks its panes.
  bool value_of(std::int64_t window, std::string_view key, std::uint64_t hash);
  WindowChunk* chunk(std::int64_t number) const {
    const auto at = chunks_.find(number);
    return at == chunks_.end() ? nullptr : at->second.get();
  }
  void forget_pending(std::map<std::int64_t, PendingWindow>::iterator window);

  // --- checkpoints (window_sliding_state.cpp)
  // Before an entry changes, and what is kept of a window that was told.
  void change(WindowChunk& chunk, std::uint32_t e) {
    if ((chunk.entry(e).flags & save_flags_.due) == 0) first_change(chunk, e);
  }
  void first_change(WindowChunk& chunk, std::uint32_t e);
  void change(std::int64_t window, PendingWindow& w, PendingKeys::value_type& key);
  void save_entry(WindowChunk& chunk, std::uint32_t e, DeltaWriter& out);
  void save_values(const WindowChunk& chunk, std::span<WindowChunk::Added> values, DeltaWriter& out);
  void save_pending(std::int64_t window, PendingKeys::value_type& key, DeltaWriter& out);
  Watermark output_watermark(Watermark w) const { return {w.firing, shift(w.retention, -spec_.allow_lateness)}; }

  const WindowSpec spec_;
  const Schema& schema_;
  mutable Calendar unit_;             // panes
  const std::int64_t panes_, slide_;  // of a window; between two windows
  RowCodec codec_;
  KeyGroup keys_;
  Accumulators accumulators_;
  std::vector<std::size_t> distinct_;  // aggregates
  std::size_t rows_counted_ = 0;       // updating: the accumulator that counts rows
  bool tells_before_ = false;
  ChunkLayout layout_;
  WindowResults results_;

  std::map<std::int64_t, std::unique_ptr<WindowChunk>> chunks_;
  std::map<std::int64_t, PendingWindow> pending_;  // by window
  Watermark now_;                                  // of the input
  EventTime wake_firing_ = kMaxTime, wake_retention_ = kMaxTime;
  bool changed_after_firing_ = false;
  Hit hit_;

  // The call under way, and where in it: the step of the watermark, the window that is told.
  WindowWork work_;
  struct {
    enum class Phase : std::uint8_t { none, complete, early, changed } phase = Phase::none;
    std::int64_t window = 0;  // the next one
  } step_;
  struct {
    bool on = false, provisional = false;
    bool changed = false;  // only the keys that changed since
    std::int64_t window = 0;
    bool second = false;           // the first chunk, or list of keys, is done
    std::size_t at = 0, kept = 0;  // of the keys that are told now
    PendingKeys::iterator changed_at;
  } telling_;
  static constexpr std::size_t kTogether = 64;  // keys between two looks at the portion
  std::size_t looked_at_ = 0;
  std::vector<char> totals_;  // kTogether blocks: sums told and not settled
  std::size_t totals_used_ = 0;

  // Rows placed and not yet counted, all in panes that no fired window holds.
  std::vector<std::uint32_t> rows_;
  std::vector<WindowChunk*> placed_;
  std::vector<std::uint32_t> steps_;
  bool retractions_ = false;
  BlockMemory scratch_{1024};  // for blocks that own nothing

  std::vector<char> total_;
  BlockMemory total_strings_{1024};

  EventTime dropped_ = kMinTime;  // checkpoint entries below this tag are dropped already
  struct Place {
    EventTime tag;
    std::string key;
  };
  SaveList<Place> erase_;          // of kPending
  std::uint32_t next_serial_ = 1;  // of kValues
  SaveFlags save_flags_;
  // The snapshot under way: what there was at the barrier and is not in the delta yet.
  struct Saving {
    bool on = false;
    SaveList<Place> erase;
    std::deque<std::pair<WindowChunk*, SaveList<std::uint32_t>>> entries;
    std::deque<std::pair<WindowChunk*, SaveList<WindowChunk::Added>>> values;
    std::deque<std::pair<std::int64_t, SaveList<PendingKeys::value_type*>>> pending;
    DeltaWriter changed;  // what could not wait; behind all others, for the last frame of a place counts
    // Ended since the barrier; the lists may still name them.
    std::vector<std::unique_ptr<WindowChunk>> chunks;
    std::vector<std::map<std::int64_t, PendingWindow>::node_type> windows;
  } saving_;
  std::string bytes_, value_;  // of the entry being written
  bool restoring_ = false;
  OperatorStats stats_;
};

}  // namespace twinspan::engine
