#pragma once
// Which ids were counted for which key of one window, for one count(DISTINCT); in a cumulate window also the
// first step each pair counts in. Grows only. The first 32 keys of the window share one bit mask an id, the
// others have flat pairs (key number, id). For checkpoints the pairs lie in roaring bitmaps by (key, step,
// block of 65 536 ids), built after the barrier from what was added since the one before, so that a change
// rewrites one small block, and rows that come meanwhile do not matter. Owned by a window. Thread: shard.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/operators/dictionary.h"
#include "engine/operators/pane_probe.h"
#include "engine/operators/save_list.h"

struct roaring_bitmap_s;

namespace twinspan::engine {

class DistinctSet {
 public:
  static constexpr std::int32_t kKnown = -1, kAdded = -2;

  explicit DistinctSet(bool stepped);
  ~DistinctSet();
  DistinctSet(DistinctSet&&) noexcept;

  [[gnu::always_inline]] void prefetch(std::uint32_t kid, std::uint32_t id) const {
    if (kid < kMasked)
      masks_.prefetch(hash_of(0, id));
    else if (stepped_)
      stepped_pairs_.prefetch(hash_of(kid, id));
    else
      pairs_.prefetch(hash_of(kid, id));
  }
  // kKnown: counted already, in this step or an earlier one. kAdded: new. Else the later step it was counted
  // in until now, which counts one less.
  std::int32_t add(std::uint32_t kid, std::uint32_t id, std::uint16_t step, const Dictionary::Identity& identity);

  // No row will come for steps below this one any more: which of them a pair was in is forgotten.
  void close_steps(std::uint32_t open);

  struct Added {
    std::uint32_t kid;
    std::uint32_t id;
    std::uint16_t step;
    Dictionary::Identity identity;  // for the dictionary's own entry
  };
  struct Block {
    std::uint32_t kid;
    std::uint16_t step;
    std::uint16_t high;  // id >> 16
    std::string bytes;   // portable roaring
  };
  // Turns over what was added since the last time. false: nothing.
  bool begin_save();
  // After begin_save, until it returns false: about `entries` (which it counts down) of the pairs that were added then,
  // each once, and then of the blocks they changed, whole.
  template <class VisitAdded, class VisitBlock>
  bool save(std::size_t& entries, VisitAdded visit_added, VisitBlock visit_block);

  // Restore: ids of a block, through the new ids `map(old)`.
  template <class Map>
  bool restore_block(std::uint32_t kid, std::uint16_t step, std::uint16_t high, std::string_view bytes, Map map);

  std::size_t size() const { return size_; }
  std::size_t bytes() const;

 private:
  static constexpr std::uint32_t kMasked =
      32;  // a slot of 8 bytes: half the memory of 64, which is what a row waits for
  static constexpr std::uint32_t kGone = 0xFFFF'FFFF;  // kid_plus_1 of a pair that moved to an earlier step
  static std::uint64_t hash_of(std::uint32_t kid, std::uint32_t id) {
    const std::uint64_t h = ((std::uint64_t{kid} << 32) | id) * 0x9E3779B97F4A7C15ull;
    return h ^ (h >> 32);
  }
  struct Pair {
    std::uint32_t kid_plus_1, id;
    bool empty() const { return kid_plus_1 == 0; }
    std::uint64_t hash() const { return hash_of(kid_plus_1 - 1, id); }
  };
  struct SteppedPair : Pair {
    std::uint32_t step;
  };

  struct Mask {
    std::uint32_t id_plus_1;
    std::uint32_t keys;  // bit k: counted for key k
    bool empty() const { return id_plus_1 == 0; }
    std::uint64_t hash() const { return hash_of(0, id_plus_1 - 1); }
  };

  std::int32_t add_masked(std::uint32_t kid, std::uint32_t id, std::uint32_t step);
  std::int32_t add_pair(std::uint32_t kid, std::uint32_t id, std::uint32_t step);
  void place(const Added& added);
  // Of a block that changed. The entries that it counts for.
  std::size_t take_block(Block& out);
  static bool ids_of(std::string_view bytes, std::vector<std::uint32_t>& low);

  bool stepped_;
  std::size_t size_ = 0;
  ProbeTable<Mask> masks_;
  // Cumulate, masked keys: the pairs that an open step saw first, each in one step only.
  std::map<std::uint32_t, ProbeTable<Pair>> first_in_;
  std::uint32_t latest_step_ = 0;
  ProbeTable<Pair> pairs_;
  ProbeTable<SteppedPair> stepped_pairs_;
  SaveList<Added> added_;
  struct Blocks;
  std::unique_ptr<Blocks> blocks_;
  std::size_t block_bytes_ = 0;
  struct Saving;
  std::unique_ptr<Saving> saving_;
};

struct DistinctSet::Saving {
  struct Slot {
    std::uint64_t place;
    std::uint32_t bucket_plus_1;
    bool empty() const { return bucket_plus_1 == 0; }
    std::uint64_t hash() const {
      return hash_of(static_cast<std::uint32_t>(place >> 32), static_cast<std::uint32_t>(place));
    }
  };
  struct Bucket {         // what is to be added to a block
    std::uint64_t place;  // kid, step, high
    std::vector<std::uint32_t> low;
  };
  SaveList<Added> added;
  ProbeTable<Slot> index;  // of `buckets`
  std::deque<Bucket> buckets;
  std::vector<std::uint64_t> bits;  // 65 536 of them, all 0
};

template <class VisitAdded, class VisitBlock>
bool DistinctSet::save(std::size_t& entries, VisitAdded visit_added, VisitBlock visit_block) {
  while (!saving_->added.empty()) {
    if (entries == 0) return true;
    const auto some = saving_->added.take(entries);
    entries -= some.size();
    for (const Added& a : some) {
      visit_added(a);
      place(a);
    }
  }
  while (!saving_->buckets.empty()) {
    if (entries == 0) return true;
    Block block;
    entries -= std::min(entries, take_block(block));
    visit_block(block);
  }
  saving_.reset();
  return false;
}

template <class Map>
bool DistinctSet::restore_block(std::uint32_t kid, std::uint16_t step, std::uint16_t high, std::string_view bytes,
                                Map map) {
  std::vector<std::uint32_t> low;
  if (!ids_of(bytes, low)) return false;
  for (const std::uint32_t v : low) {
    Added a{kid, (std::uint32_t{high} << 16) | v, step, {}};
    if (!map(a)) return false;
    add(a.kid, a.id, step, a.identity);
  }
  return true;
}

}  // namespace twinspan::engine
