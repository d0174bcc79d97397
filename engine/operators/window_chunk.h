#pragma once
// A chunk of panes of a sliding window (window_sliding.h): the keys with rows in it, an entry for every (key, pane)
// with rows, and sums of entries over steps: of each key over all steps below `prefix_steps`, and, once `flip` was
// called, of each entry with all newer ones of its key. Owned by one operator. Thread: shard.

#include <cstdint>
#include <cstring>
#include <vector>

#include "engine/aggregates/accumulators.h"
#include "engine/operators/pane_keys.h"
#include "engine/operators/save_list.h"
#include "engine/operators/window_chunk_distinct.h"

namespace twinspan::engine {

struct ChunkLayout {
  std::size_t block_bytes = 0;
  std::size_t fixed_key = 0;
  std::size_t distinct_counts = 0;
  std::uint32_t steps = 0;
};

class WindowChunk {
 public:
  struct Entry {
    std::uint32_t flags;  // SaveFlags
    std::uint32_t kid, step;
    std::uint32_t older_plus_1, newer_plus_1;  // of this key
    std::uint32_t unused;
  };
  struct KeyHead {
    std::uint32_t newest_plus_1;                // entry
    std::uint32_t front_plus_1;                 // its oldest entry of a step >= cursor; set by flip
    std::uint32_t before_plus_1, after_plus_1;  // its kid in the chunks before and after this one
    std::uint32_t in_prefix, in_live;
  };

  WindowChunk(std::int64_t chunk_number, const ChunkLayout& layout, const Accumulators& accumulators)
      : number(chunk_number),
        keys(layout.fixed_key, sizeof(KeyHead) + layout.block_bytes),
        strings(4096),
        panes(layout.steps),
        distinct(layout.distinct_counts),
        layout_(layout),
        accumulators_(accumulators),
        entries_(sizeof(Entry) + layout.block_bytes + layout.distinct_counts * sizeof(ChunkDistinct::Counts)),
        suffixes_(layout.block_bytes) {}

  KeyHead& head(std::uint32_t kid) const { return *reinterpret_cast<KeyHead*>(keys.payload(keys.entry(kid))); }
  char* prefix(std::uint32_t kid) const { return keys.payload(keys.entry(kid)) + sizeof(KeyHead); }
  Entry& entry(std::uint32_t e) const { return *reinterpret_cast<Entry*>(entries_.at(e)); }
  char* block(std::uint32_t e) const { return entries_.at(e) + sizeof(Entry); }
  char* suffix(std::uint32_t e) const { return suffixes_.at(e); }
  ChunkDistinct::Counts& counts(std::uint32_t e, std::size_t d) const {
    return reinterpret_cast<ChunkDistinct::Counts*>(entries_.at(e) + sizeof(Entry) + layout_.block_bytes)[d];
  }

  void prefetch_newest(std::uint32_t kid) const {
    if (const std::uint32_t e = head(kid).newest_plus_1; e != 0) __builtin_prefetch(entries_.at(e - 1), 1);
  }
  [[gnu::always_inline]] void prefetch_entry(std::uint32_t e) const {
    __builtin_prefetch(entries_.at(e), 1);
    __builtin_prefetch(entries_.at(e) + 64);
  }
  [[gnu::always_inline]] void prefetch_key(std::uint32_t e) const { __builtin_prefetch(keys.entry(entry(e).kid)); }
  std::uint32_t entry_at(std::uint32_t kid, std::uint32_t step) {
    const std::uint32_t newest = head(kid).newest_plus_1;
    if (newest != 0 && entry(newest - 1).step == step) [[likely]]
      return newest - 1;
    return find_or_insert(kid, step);
  }

  // A row of this entry has this value of DISTINCT count `d`. `before`, `after`: the chunks beside this one, if there.
  // true: the checkpoint must know.
  bool add_value(std::size_t d, std::uint32_t e, const Dictionary::Identity& v, WindowChunk* before,
                 WindowChunk* after);

  // Both look at about `most` keys and are called until they say true; no rows come in between.
  bool advance_prefix(std::uint32_t steps, std::size_t most);
  // The fronts, of steps >= `step`; only forward.
  bool flip(std::uint32_t step, std::size_t most);
  // After an entry of this key changed that is in the prefix or behind the flip.
  void repair(std::uint32_t kid);
  std::uint32_t prefix_steps() const { return prefix_steps_; }
  bool flipped() const { return flipped_; }

  std::size_t entries() const { return entries_.size(); }
  std::size_t bytes() const;

  const std::int64_t number;
  PaneKeys keys;
  BlockMemory strings;                            // long keys, and what blocks own
  std::vector<std::vector<std::uint32_t>> panes;  // entries, by step
  std::vector<ChunkDistinct> distinct;
  std::vector<std::uint32_t> in_prefix;  // kids
  std::vector<std::uint32_t> live;       // kids with a front, and some that have none any more
  SaveList<std::uint32_t> save_list;     // entries changed since the last barrier
  struct Added {
    std::uint32_t entry, d;
    Dictionary::Identity value;
  };
  SaveList<Added> added;  // values, since the last barrier

 private:
  std::uint32_t find_or_insert(std::uint32_t kid, std::uint32_t step);
  void add_to_prefix(std::uint32_t kid, std::uint32_t e);
  void make_suffixes(std::uint32_t kid);
  // A value with its last pane in `a` at `last`, its first in the chunk after it at `first`, is in both or no longer.
  static void overlap(WindowChunk& a, std::uint32_t last, WindowChunk& b, std::uint32_t first, std::size_t d, int by);

  const ChunkLayout& layout_;
  const Accumulators& accumulators_;
  PaneChunks entries_, suffixes_;
  std::uint32_t prefix_steps_ = 0, cursor_ = 0;
  std::size_t prefix_at_ = 0;  // entries of the next step that are in the prefix already
  std::uint32_t flip_at_ = 0;  // keys that have their suffixes
  bool flipped_ = false;
};

}  // namespace twinspan::engine
