#pragma once
// The inside of WindowAggregate: placing rows (window_place.cpp), counting them (window_aggregate.cpp),
// firing (window_fire.cpp), checkpoints (window_save.cpp, window_state.cpp). Thread: shard.

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/operators/window_aggregate.h"
#include "engine/operators/window_panes.h"
#include "engine/operators/window_results.h"
#include "engine/operators/window_work.h"
#include "engine/state/row_codec.h"

namespace twinspan::engine {

class WindowAggregate::Impl {
 public:
  Impl(WindowSpec spec, const Schema& schema);

  void process(Batch&& batch, Output& out);
  void advance(Watermark to, Output& out);  // a watermark message
  bool pending() const { return work_.active(); }
  void resume(Output& out);
  bool wants_clock() const { return spec_.early_clock == EarlyClock::wall; }
  void clock(std::int64_t wall_ms, Output& out);
  bool begin_snapshot(DeltaWriter& out);
  bool snapshot_portion(std::size_t entries, DeltaWriter& out);
  Status restore(const StateEntry& entry);
  void restore_watermark(Watermark watermark);
  OperatorStats stats() const;
  const Schema& schema() const { return schema_; }

 private:
  static constexpr std::size_t kTogether = 128;  // keys told together

  // Entries of a checkpoint. Tags of keys and pairs are window ends, of steps the step's end, of ids the
  // generation.
  enum Space : std::uint8_t { kKeys = 0, kSteps = 1, kPairs = 2, kIds = 3 };

  // Which ids a key group has in the checkpoint: bits by (group, block of ids).
  class IdsWritten {
   public:
    // false: it was there.
    bool add(std::uint16_t group, std::uint32_t id) {
      auto& block = blocks_[(std::uint64_t{group} << 16) | (id >> 16)];
      if (!block) block = std::make_unique<std::array<std::uint64_t, 1024>>();
      std::uint64_t& word = (*block)[(id & 0xFFFF) / 64];
      const std::uint64_t bit = std::uint64_t{1} << (id % 64);
      if ((word & bit) != 0) return false;
      word |= bit;
      return true;
    }
    std::size_t bytes() const { return blocks_.size() * 8192; }

   private:
    std::unordered_map<std::uint64_t, std::unique_ptr<std::array<std::uint64_t, 1024>>> blocks_;
  };

  // All DISTINCT counts of one column.
  struct Distinct {
    int argument = -1;
    std::vector<std::size_t> aggregates;
    std::vector<std::size_t> sets;  // of Window::sets, one an aggregate
    Dictionary dictionary;
    IdsWritten written;  // in this generation
  };

  // --- rows
  bool run(Output& out);
  // true: F and R stand there now. false: the portion is used up.
  bool move_to(Watermark to, Output& out) {
    if (!step_.on && to == now_) [[likely]]
      return true;
    to.firing = std::max(to.firing, to.retention);
    if ((step_.on || due(to)) && !step(to, out)) return false;
    now_ = to;
    return true;
  }

  // --- placing
  bool global() const { return spec_.kind == WindowKind::global; }
  bool closed(EventTime end, Watermark at) const {
    if (end == kMaxTime) return at.retention == kMaxTime;
    return at.retention >= shift(end - 1, spec_.allow_lateness);
  }
  Pane* place(EventTime t, Watermark at) {
    if (t >= hit_.from && t < hit_.to && at.retention < hit_.until) [[likely]]
      return hit_.pane;
    return find_pane(t, at);
  }
  Pane* find_pane(EventTime t, Watermark at);
  Window& window_at(WindowRange range);
  Pane& pane_at(Window& window, std::uint32_t step, EventTime end, Watermark at);
  void note_change_after_firing(const Pane& pane, Watermark at);
  EventTime early_after(const Pane& pane, EventTime firing) const;
  void wake_for(const Pane& pane);

  // --- counting: the rows placed since the last call
  void count_placed(const Batch& batch);
  void count_group(const Batch& batch, std::uint32_t from, std::uint32_t n);
  void count_distinct(const Batch& batch, Distinct& distinct);
  bool counts(const Batch& batch, std::size_t aggregate, std::uint32_t row) const;

  // --- firing
  bool due(Watermark to) const {
    return to.firing >= wake_firing_ || to.retention >= wake_retention_ || (changed_after_firing_ && to != now_);
  }
  // Of those that are bool: false: the portion is used up, and the next one goes on.
  bool step(Watermark to, Output& out);
  void begin_firing(Pane& pane, Watermark to, bool closing);
  bool fire(Output& out);
  bool fire_by_wall(Output& out);
  // An entry that goes with its window stays as it is: a snapshot under way may still have to read it.
  bool goes() const { return firing_.closing && !layout_.cumulate; }
  // All its rows were taken back.
  bool none_left(const char* value) const { return spec_.updating && accumulators_.count(value, rows_counted_) <= 0; }
  void tell(std::uint32_t kid, Output& out);
  void settle(std::uint32_t kid);
  bool close_step(Pane& pane, Output& out);
  EventTime moment_of(const Pane& pane, EventTime firing) const;
  void turn_dictionaries(EventTime retention);
  Watermark output_watermark(Watermark w) const { return {w.firing, shift(w.retention, -spec_.allow_lateness)}; }

  // --- checkpoints
  // Before an entry changes, whatever in it.
  void change(char* entry, Pane& pane, std::uint32_t kid) {
    if ((entry_flags(entry) & save_flags_.due) == 0) first_change(entry, pane, kid);
  }
  void first_change(char* entry, Pane& pane, std::uint32_t kid);
  void change_closed(Window& window, std::uint32_t kid);  // the same of a cumulate key's own entry
  // Before it changes the last time and then is gone.
  void keep_old(char* entry, const Pane& pane, std::uint32_t kid) {
    if ((entry_flags(entry) & save_flags_.saving) != 0) save_entry(entry, pane, kid, saving_.changed);
  }
  void save_entry(char* entry, const Pane& pane, std::uint32_t kid, DeltaWriter& out);
  void save_closed(Window& window, std::uint32_t kid, DeltaWriter& out);
  bool save_pairs(Window& window, std::size_t set, std::size_t& entries, DeltaWriter& out);
  void finish_restore();
  void restore_ids();
  void restore_keys();
  void restore_steps();
  void restore_last(Pane& pane, std::uint32_t kid, std::uint32_t flags, std::string_view value);
  void restore_pairs();

  const WindowSpec spec_;
  const Schema& schema_;
  mutable Calendar calendar_;
  RowCodec codec_;
  KeyGroup keys_;
  Accumulators accumulators_;
  PaneLayout layout_;
  std::vector<Distinct> distinct_;
  std::vector<std::size_t> set_aggregate_;  // set -> aggregate
  std::vector<std::size_t> set_distinct_;   // set -> distinct_
  bool tells_before_ = false;               // an update is the old values, then the new ones
  std::size_t rows_counted_ = 0;            // updating: the accumulator, behind those of the spec, that counts rows
  WindowResults results_;

  std::map<EventTime, std::unique_ptr<Window>> windows_;  // by end
  Watermark now_;                                         // of the input
  EventTime newest_ = kMinTime;                           // global: of the rows that came
  std::int64_t wall_ = kMinTime;                          // of the last firing by the wall clock
  EventTime next_turn_ = kMinTime;                        // of the dictionaries, by retention

  // Nothing fires or closes before one of these: conservative.
  EventTime wake_firing_ = kMaxTime, wake_retention_ = kMaxTime;
  bool changed_after_firing_ = false;  // a pane that is complete by retention changed: fires at the next step

  struct {
    EventTime from = 0, to = 0;  // rows of these times ...
    EventTime until = kMinTime;  // ... while retention is smaller ...
    Pane* pane = nullptr;        // ... go there
  } hit_;

  // The call under way, and where in it: the step of the watermark, the firing of a pane.
  WindowWork work_;
  struct {
    bool on = false, in_window = false, in_pane = false;
    std::map<EventTime, std::unique_ptr<Window>>::iterator window;
    std::map<std::uint32_t, std::unique_ptr<Pane>>::iterator pane;
    std::uint32_t closed = 0;  // entries of the pane that have gone to their keys
  } step_;
  struct {
    Pane* pane = nullptr;  // nullptr: none
    EventTime time = 0;
    bool provisional = false, closing = false;
    std::size_t at = 0;  // of its list
  } firing_;

  // Rows placed and not yet counted.
  std::vector<std::uint32_t> rows_;
  std::vector<Pane*> panes_;
  std::vector<std::uint32_t> kids_;
  std::vector<char*> blocks_;
  bool retractions_ = false;  // among the rows placed
  // count_distinct
  std::vector<std::uint32_t> chosen_, chosen_rows_, ids_;
  std::vector<Dictionary::Identity> identities_;

  std::vector<char> total_;  // a block: the value of a cumulate result
  BlockMemory total_strings_;
  std::vector<char> no_rows_;  // a block of no rows

  // What the next snapshot says is over: the largest end of a window and of a step closed since the last one.
  EventTime windows_closed_ = kMinTime, steps_closed_ = kMinTime;
  bool generation_turned_ = false;
  struct Entry {
    std::uint16_t group;
    std::int64_t tag;
    std::string key, value;
  };
  struct Restored {  // entries given to restore(), until the watermark comes; the last of (tag, key) counts
    std::map<std::pair<std::int64_t, std::string>, Entry> spaces[4];
    // Of every DISTINCT column: (group, id as written) -> value and id now.
    std::vector<std::map<std::pair<std::uint16_t, std::uint32_t>, std::pair<Dictionary::Identity, std::uint32_t>>> ids;
    bool ids_changed = false;
  };
  std::unique_ptr<Restored> restored_;
  struct Place {
    std::uint8_t space;
    std::uint16_t group;
    std::int64_t tag;
    std::string key;
  };
  SaveList<Place> erase_;  // entries with ids of other shards, after their number has changed

  SaveFlags save_flags_;
  // The snapshot under way: what there was at the barrier and is not in the delta yet.
  struct Saving {
    struct Part {
      Window* window;
      Pane* pane;  // nullptr: a cumulate window's own entries
      SaveList<std::uint32_t> kids;
    };
    bool on = false;
    SaveList<Place> erase;
    std::deque<Part> parts;
    std::deque<std::pair<Window*, std::size_t>> sets;
    DeltaWriter changed;  // entries that could not wait; behind all others, for the last frame of a place counts
    // Closed since the barrier; parts and sets may still name them.
    std::vector<std::unique_ptr<Window>> windows;
    std::vector<std::unique_ptr<Pane>> panes;
  } saving_;
  std::string value_, bytes_;  // of the entry being written

  OperatorStats stats_;
};

}  // namespace twinspan::engine
