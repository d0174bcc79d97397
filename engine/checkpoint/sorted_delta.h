#pragma once
// A delta in the order of state files: (space, tag, key group, hash of the key, key), of each key the latest change
// only. The hash (XXH3-64) stands before the key because any order will do and this one is decided by a few bits:
// entries are placed by a radix sort of a 64-bit prefix of the order, and only equal prefixes are compared.
// drop_below entries do not take part: a sorted delta is "first the drops, then the entries", so what a delta put
// before a drop that ends it is left out here. Holds 32 bytes an entry beside the delta. Thread: any one (checkpoint
// writer).

#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/state/state_entry.h"

namespace twinspan::engine {

struct SpaceDrop {
  std::uint8_t space = 0;
  std::int64_t below = 0;  // entries with a smaller tag end
};

std::uint64_t order_hash(std::string_view key);
// <0, 0, >0: whether `a` comes before `b`; the hashes are those of their keys.
int compare_entries(const StateEntry& a, std::uint64_t hash_a, const StateEntry& b, std::uint64_t hash_b);

class SortedDelta {
 public:
  // `delta` must outlive the result. An error if its bytes are not frames.
  static Result<SortedDelta> make(const Delta& delta);

  const std::vector<SpaceDrop>& drops() const { return drops_; }  // one a space
  std::size_t size() const { return items_.size(); }
  StateEntry operator[](std::size_t i) const { return entry_at(items_[i].frame); }
  // The bytes of an entry, as they lie in the delta.
  static std::string_view frame_of(const StateEntry& entry) {
    return {entry.key.data() - kFrameHeader, kFrameHeader + entry.key.size() + entry.value.size()};
  }
  // What a loop over all entries is about to read: they lie scattered in the delta.
  void prefetch(std::size_t i) const {
    if (i >= items_.size()) return;
    __builtin_prefetch(items_[i].frame);
    __builtin_prefetch(items_[i].frame + 64);
  }

 private:
  struct Item {
    std::uint64_t prefix;
    const char* frame;
  };
  static StateEntry entry_at(const char* frame);
  void sort();
  void order_equal_prefixes();

  std::vector<Item> items_;
  std::vector<SpaceDrop> drops_;
};

}  // namespace twinspan::engine
