#pragma once
// The first row of a key within a time passes, later ones are dropped. Exactly: a row at time t is a repeat when a row
// of its key that passed has a time less than `within` away from t, before or after it (rows may come out of order);
// "first" is by arrival. Rows that are dropped do not prolong anything. A row with time <= R - allow is late. NULL is a
// value like any other in the key. What is kept of a key is the times at which it passed; one that no row can meet any
// more (R decides) ends with its pane, whole: no timers, no work a row.
//
// Times are cut into slices of `within`: two passed rows of a key are never in one slice, so a row looks at its own
// slice and the two beside it, each one probe. Panes hold one slice, or as many as make a second. Operator; one input.
// Thread: shard.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "engine/operators/operator.h"
#include "engine/operators/pane_keys.h"
#include "engine/operators/save_list.h"
#include "engine/state/row_codec.h"

namespace twinspan::engine {

struct DeduplicateSpec {
  std::vector<int> key_columns;  // may be empty: one key
  std::vector<DataType> key_types;
  std::int64_t within = 0;  // ms, > 0
  std::int64_t allow_lateness = 0;
  Schema schema;  // of input and output
};

class Deduplicate final : public Operator {
 public:
  explicit Deduplicate(DeduplicateSpec spec);

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
  struct Pane {
    explicit Pane(std::size_t fixed_key) : keys(fixed_key, sizeof(EventTime)) {}
    PaneKeys keys;  // encoded key and number of the slice; payload: the time of the row that passed
    Arena strings{1024};
    SaveList<std::uint32_t> unsaved;
  };
  struct Probe {
    std::string_view key;  // with room for the slice's number behind it
    std::uint64_t hash = 0;
    std::int64_t slice = 0;
  };

  void decide(const Batch& batch, std::uint32_t from, std::uint32_t n, Output& out);
  void look_up(const Batch& batch, std::uint32_t from, std::uint32_t n);
  bool passed_near(const Probe& probe, EventTime time) const;
  void insert(const Probe& probe, EventTime time, bool saved);
  void advance(Watermark to);
  void tell(Output& out);
  Watermark output_watermark() const;

  std::int64_t slice_of(EventTime time) const;
  std::int64_t pane_of(std::int64_t slice) const;
  Pane* find_pane(std::int64_t number) const;
  static std::uint64_t hash_of(std::uint64_t key_hash, std::int64_t slice) {
    return key_hash + static_cast<std::uint64_t>(slice) * 0x9E3779B97F4A7C15ull;
  }
  // The bytes that stand for (key, slice) in a pane: written over the room behind the key.
  static std::string_view with_slice(std::string_view key, std::int64_t slice) {
    std::memcpy(const_cast<char*>(key.data()) + key.size(), &slice, sizeof slice);  // of keys_, which is ours
    return {key.data(), key.size() + sizeof slice};
  }

  DeduplicateSpec spec_;
  RowCodec codec_;
  std::size_t fixed_key_ = 0;  // encoded size with the slice, 0: varies
  std::int64_t pane_slices_ = 1;
  std::map<std::int64_t, std::unique_ptr<Pane>> panes_;
  // Panes found last, by the low bits of their number: rows come from few of them.
  struct Found {
    std::int64_t number = 0;
    Pane* pane = nullptr;
  };
  static constexpr std::size_t kFound = 4;
  mutable Found found_[kFound];

  Watermark now_;  // of the input
  Watermark told_;
  EventTime dead_ = kMinTime;        // times up to this one are met by no row any more
  EventTime dead_saved_ = kMinTime;  // at the last barrier
  // The snapshot under way. What passed does not change: a pane that ends meanwhile is only kept until it is written.
  bool saving_ = false;
  std::deque<std::pair<const Pane*, SaveList<std::uint32_t>>> saving_panes_;
  std::vector<std::unique_ptr<Pane>> ended_;

  std::vector<char> keys_;
  Probe probes_[PaneKeys::kGroup];
  std::vector<std::uint32_t> passed_, late_;
  OperatorStats stats_;
};

}  // namespace twinspan::engine
