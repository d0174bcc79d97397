#pragma once
// What blocks of accumulators own: strings, sketches, lists. Pieces come from an arena and go back to free lists by
// size (four sizes to each doubling), so that replacing, merging and resetting blocks needs no more than the most they
// held at one time; destroyed whole, whatever still points in. Owned by a window, or whoever holds the blocks. Thread:
// shard.

#include <array>
#include <bit>
#include <cstddef>

#include "engine/base/batch.h"

namespace twinspan::engine {

class BlockMemory : public Arena {
 public:
  explicit BlockMemory(std::size_t first_block = 4096) : Arena(first_block) {}

  // What a piece of this size really has.
  static constexpr std::size_t rounded(std::size_t bytes) { return size_of(class_of(bytes)); }

  // 8-aligned, not zeroed.
  char* take(std::size_t bytes) {
    Free*& head = free_[class_of(bytes)];
    if (head == nullptr) return static_cast<char*>(allocate(rounded(bytes), 8));
    char* p = reinterpret_cast<char*>(head);
    head = head->next;
    return p;
  }
  // What take() gave for this size, or for another one that rounds to the same.
  void give(void* p, std::size_t bytes) {
    if (p == nullptr) return;
    Free*& head = free_[class_of(bytes)];
    head = new (p) Free{head};
  }

 private:
  struct Free {
    Free* next;
  };
  // 8, 16, 24, 32, then 40, 48, 56, 64, 80, 96, 112, 128, 160 ...
  static constexpr std::size_t class_of(std::size_t bytes) {
    const std::size_t eights = bytes <= 8 ? 0 : (bytes - 1) / 8;  // less one
    if (eights < 4) return eights;
    const auto top = static_cast<std::size_t>(std::bit_width(eights)) - 3;
    return 4 * top + (eights >> top);
  }
  static constexpr std::size_t size_of(std::size_t c) {
    if (c < 4) return (c + 1) * 8;
    const std::size_t top = c / 4 - 1;
    return ((c - 4 * top + 1) << top) * 8;
  }

  std::array<Free*, 160> free_{};  // up to 2^41 bytes
};

}  // namespace twinspan::engine
