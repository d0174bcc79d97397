#pragma once
// Which keys come often, found while rows pass: a Space-Saving sketch over a sample of the keys' hashes, read and begun
// anew every few thousand samples, so that a key that has become frequent is known some ten thousand rows later, and
// one that no longer is is forgotten as soon. What it says decides only where rows are counted, never a result, so it
// is in no checkpoint. Owned by a CombineRows. Thread: shard.

#include <cstdint>
#include <vector>

#include "engine/aggregates/block_memory.h"
#include "engine/aggregates/space_saving.h"
#include "engine/operators/window_spec.h"

namespace twinspan::engine {

class HotKeys {
 public:
  static constexpr std::uint32_t kNone = 0xFFFF'FFFF;

  // A key is hot for automatic skew handling if it has 1/128 of the rows: several of each batch, so that counting them
  // together is worth it. Of more than four shards 1/32 of the rows of one.
  HotKeys(const SkewSpec& skew, unsigned shards);

  // Rows with these key hashes come next. The numbers that find() gives stay until the next call.
  void see(const std::uint64_t* hashes, std::uint32_t n);

  // The number of a hot key, 0 to size() - 1, or kNone.
  std::uint32_t find(std::uint64_t hash) const {
    if (slots_.empty()) return kNone;
    for (std::size_t i = hash & mask_; slots_[i].number_plus_1 != 0; i = (i + 1) & mask_)
      if (slots_[i].hash == hash) return slots_[i].number_plus_1 - 1;
    return kNone;
  }
  std::uint32_t size() const { return size_; }

 private:
  struct Slot {
    std::uint64_t hash;
    std::uint32_t number_plus_1;
  };
  void choose();

  const SkewSpec skew_;
  const double share_;  // automatic
  const std::uint32_t counters_;
  SpaceSaving sketch_{};
  BlockMemory memory_;
  std::uint32_t samples_ = 0, enough_;  // of the sketch
  std::uint64_t skip_ = 0;              // rows until the next sample
  std::uint64_t random_ = 0x9E3779B97F4A7C15ull;
  std::vector<Slot> slots_;
  std::size_t mask_ = 0;
  std::uint32_t size_ = 0;
};

}  // namespace twinspan::engine
