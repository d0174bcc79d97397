#pragma once
// One count(DISTINCT) of one chunk of a sliding window: for every (key, value) its first and its last pane with rows,
// and in each entry how many values begin and end there. A window that holds the panes of a chunk from step s on and
// those of the next before s has
//   values that end in the one at s or later + values that begin in the other before s - values that do both,
// and of the last each chunk's entries know their part too: a value with its first pane there before its last pane here
// is in both for the borders in between. So a row costs a lookup or two, and a result the sum over the entries of its
// key, whatever the windows and the order of rows. Owned by a WindowChunk. Thread: shard.

#include <cstdint>

#include "engine/operators/dictionary.h"
#include "engine/operators/pane_probe.h"

namespace twinspan::engine {

class ChunkDistinct {
 public:
  // Of an entry: values that begin and end there, and of those how many are in both chunks for some border.
  struct Counts {
    std::int32_t first, last, first_in_both, last_in_both;
  };
  struct Slot {
    std::uint64_t a;
    std::uint32_t b;
    std::uint32_t kid_plus_1;
    std::uint32_t first, last;  // entries of the key
    bool empty() const { return kid_plus_1 == 0; }
    std::uint64_t hash() const { return hash_of(kid_plus_1 - 1, {a, b}); }
  };

  [[gnu::always_inline]] void prefetch(std::uint32_t kid, const Dictionary::Identity& v) const {
    table_.prefetch(hash_of(kid, v));
  }
  // nullptr: not there. Valid until the next insert. While the table grows a slot may stand in it twice: write through
  // for_each_copy.
  Slot* find(std::uint32_t kid, const Dictionary::Identity& v) const {
    return table_.find(hash_of(kid, v),
                       [&](const Slot& s) { return s.a == v.a && s.b == v.b && s.kid_plus_1 == kid + 1; });
  }
  void insert(std::uint32_t kid, const Dictionary::Identity& v, std::uint32_t entry) {
    table_.insert({v.a, v.b, kid + 1, entry, entry});
  }
  std::size_t size() const { return table_.size(); }
  std::size_t bytes() const { return table_.bytes(); }

 private:
  static std::uint64_t hash_of(std::uint32_t kid, const Dictionary::Identity& v) {
    const std::uint64_t h = (v.a ^ (std::uint64_t{kid} << 40) ^ v.b) * 0x9E3779B97F4A7C15ull;
    return h ^ (h >> 32);
  }
  ProbeTable<Slot> table_;
};

}  // namespace twinspan::engine
