#pragma once
// count(DISTINCT x) of a window step with `skew`: rows come by the hash of x, and each is told whether its x is new for
// its key and window. What is left for the window behind is to count the rows where it is: a plain aggregate, whose hot
// keys are counted in parts like any other's (combine_rows.h). So each shard owns its share of the values of every
// group, and no group is too large for one. Several columns are several of these, one behind the other.
//
// A row gets a boolean column for each count, true where the row counts, which is false in what NULL and FILTER leave
// out. In a cumulate window a value counts in the first step it comes in; a row that brings it in an earlier one takes
// it back from the later one, by a row that is only that (CombinedRows with n = 0).
//
// Whether a row is late is decided here, as the window would: what comes through is on time there, where the watermark
// is not ahead of this one. Rows and watermarks keep their order. State: the values by (window, key), in the key group
// of the value, until their window is closed. Owned by the shard. Thread: shard.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/aggregates/accumulators.h"
#include "engine/operators/calendar.h"
#include "engine/operators/dictionary.h"
#include "engine/operators/operator.h"
#include "engine/operators/pane_keys.h"
#include "engine/operators/save_list.h"
#include "engine/operators/window_spec.h"
#include "engine/state/row_codec.h"

namespace twinspan::engine {

class NewValues final : public Operator {
 public:
  struct Spec {
    WindowSpec window;                // what the user asked for: tumbling, cumulate or global
    WindowSpec counting;              // the same as the window behind computes it
    std::vector<std::size_t> counts;  // which of its aggregates are count(DISTINCT x) of the same x
    Schema schema;                    // of the input, and behind it a column for each of them
  };

  // Why DISTINCT counts of such a window cannot be split, for the user; empty: they can.
  static std::string_view not_splittable(WindowKind kind);

  explicit NewValues(Spec spec);

  void process(unsigned input, Batch&& batch, Output& out) override;
  void watermark(unsigned input, Watermark watermark, Output& out) override;
  void snapshot(DeltaWriter& out) override { snapshot_at_once(*this, out); }
  bool begin_snapshot(DeltaWriter& out) override;
  bool snapshot_portion(std::size_t entries, DeltaWriter& out) override;
  Status restore(const StateEntry& entry) override;
  void restore_watermark(unsigned input, Watermark watermark) override;
  OperatorStats stats() const override;
  const Schema& schema() const override { return spec_.schema; }

 private:
  static constexpr unsigned kGroup = 32;    // rows prefetched together
  static constexpr std::uint8_t kSeen = 0;  // space: tag window end, key: count u8, identity, the key; value: step
  struct Slot {
    std::uint64_t a;
    std::uint32_t b;
    std::uint32_t kid_plus_1;
    std::uint32_t step, unused;
    bool empty() const { return kid_plus_1 == 0; }
    std::uint64_t hash() const { return hash_of(kid_plus_1 - 1, {a, b}); }
  };
  static std::uint64_t hash_of(std::uint32_t kid, const Dictionary::Identity& v) {
    const std::uint64_t h = (v.a ^ (std::uint64_t{kid} << 40) ^ v.b) * 0x9E3779B97F4A7C15ull;
    return h ^ (h >> 32);
  }
  struct Unsaved {
    Dictionary::Identity value;
    std::uint32_t kid, step;
    std::uint16_t count, group;
  };
  struct Window {
    Window(WindowRange r, std::size_t fixed_key, std::size_t counts) : range(r), keys(fixed_key, 0), seen(counts) {}
    WindowRange range;
    PaneKeys keys;
    Arena strings{4096};
    std::vector<ProbeTable<Slot>> seen;  // by count
    SaveList<Unsaved> unsaved;
  };
  struct Placed {
    Window* window;
    std::uint32_t row, step;
  };
  // A value that counted in a later step until now.
  struct TakenBack {
    std::uint32_t row;
    EventTime time;
    std::size_t count;
  };

  bool closed(EventTime end) const {
    if (end == kMaxTime) return now_.retention == kMaxTime;
    return now_.retention >= shift(end - 1, spec_.window.allow_lateness);
  }
  bool place(EventTime t, Placed& placed);
  Window& window_at(WindowRange range);
  void look_at(const Batch& batch, const Placed* placed, std::uint32_t n, const std::uint64_t* hash);
  Batch with_rows_between(Batch&& batch);
  void advance(Watermark to);

  const Spec spec_;
  const WindowSpec& window_;
  const int argument_;
  Calendar calendar_;
  RowCodec key_, value_;
  std::size_t fixed_key_;
  Accumulators accumulators_;                             // of the window behind
  std::map<EventTime, std::unique_ptr<Window>> windows_;  // by end
  Watermark now_;
  EventTime closed_ = kMinTime;  // the largest end of a window closed since the last snapshot
  // The snapshot under way. What it writes does not change, and windows that end meanwhile are kept for their keys.
  bool saving_ = false;
  std::deque<std::pair<Window*, SaveList<Unsaved>>> saving_windows_;
  std::vector<std::unique_ptr<Window>> ended_;

  std::string key_bytes_;
  std::vector<std::uint8_t*> is_new_;  // the columns, of the batch
  std::vector<std::uint32_t> late_;
  std::vector<TakenBack> taken_back_;
  OperatorStats stats_;
};

// A window step whose DISTINCT counts are split: `stages` one behind the other, each in the exchange by its column, and
// the window behind them. `window` is valid, not updating, and its kind splittable; `input`: of its rows.
struct SplitDistinct {
  WindowSpec counting;
  std::vector<NewValues::Spec> stages;  // none: there is no such count

  int column(std::size_t stage) const { return counting_of(stage).argument; }
  DataType type(std::size_t stage) const { return counting_of(stage).argument_type; }

 private:
  const AggregateSpec& counting_of(std::size_t stage) const {
    return stages[stage].window.aggregates[stages[stage].counts[0]];
  }
};
SplitDistinct split_distinct(const WindowSpec& window, const Schema& input);

}  // namespace twinspan::engine
