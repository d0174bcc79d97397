#pragma once
// Two building blocks of the window tables. `ProbeTable`: open addressing with linear probing and
// power-of-two sizes, all-zero slots are empty, nothing is ever removed. It grows little by little: the old
// slots stay readable while every insertion moves a few of them, so no row waits for a whole rehash
// (performance.md D.7). `PaneChunks`: entries of one fixed size with dense numbers, in chunks that double, so
// growing copies nothing and addresses stay. Owned by one table of one shard. Thread: shard.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "engine/operators/table_memory.h"

namespace twinspan::engine {

// Slot: trivially copyable; `bool empty() const`; `std::uint64_t hash() const`, the low bits of which choose
// its place.
template <class Slot>
class ProbeTable {
 public:
  std::size_t size() const { return size_; }
  std::size_t bytes() const { return ((slots_ ? mask_ + 1 : 0) + (old_ ? old_mask_ + 1 : 0)) * sizeof(Slot); }

  // Always inline: GCC 12 takes a function that only prefetches for one without effect, and drops the calls.
  [[gnu::always_inline]] void prefetch(std::uint64_t hash) const {
    if (slots_) __builtin_prefetch(&slots_[hash & mask_]);
    if (old_) __builtin_prefetch(&old_[hash & old_mask_]);
  }

  // The slot of this hash for which `same(slot)`, or nullptr. Valid until the next insert. While the table grows, a
  // slot that was moved still stands in the old memory behind it: who changes what `same` looks at must find it again.
  template <class Same>
  Slot* find(std::uint64_t hash, Same same) const {
    if (Slot* s = find_in(slots_.get(), mask_, hash, same)) return s;
    return old_ ? find_in(old_.get(), old_mask_, hash, same) : nullptr;
  }

  // `slot` must not be there.
  void insert(const Slot& slot) {
    if (!slots_ || (size_ + 1) * 8 > (mask_ + 1) * 5) grow();
    place(slot);
    ++size_;
    if (old_) move_some();
  }

  template <class Visit>
  void for_each(Visit visit) const {
    if (!slots_) return;
    for (std::size_t i = 0; i <= mask_; ++i)
      if (!slots_[i].empty()) visit(slots_[i]);
    if (!old_) return;
    for (std::size_t i = moved_; i <= old_mask_; ++i)
      if (!old_[i].empty()) visit(old_[i]);
  }

 private:
  static constexpr std::size_t kFirst = 16;
  static constexpr std::size_t kMoves = 16;  // slots moved an insertion: done after 1/16 of the room that growing made

  template <class Same>
  static Slot* find_in(Slot* slots, std::size_t mask, std::uint64_t hash, Same& same) {
    if (slots == nullptr) return nullptr;
    for (std::size_t i = hash & mask;; i = (i + 1) & mask) {
      Slot& s = slots[i];
      if (s.empty()) return nullptr;
      if (same(s)) return &s;
    }
  }
  void place(const Slot& slot) {
    std::size_t i = slot.hash() & mask_;
    while (!slots_[i].empty()) i = (i + 1) & mask_;
    slots_[i] = slot;
  }
  void grow() {
    while (old_) move_some();
    const std::size_t capacity = slots_ ? (mask_ + 1) * 2 : kFirst;
    old_ = std::move(slots_);
    old_mask_ = mask_;
    moved_ = 0;
    slots_ = zeroed_array<Slot>(capacity);
    mask_ = capacity - 1;
  }
  void move_some() {
    const std::size_t to = moved_ + kMoves <= old_mask_ ? moved_ + kMoves : old_mask_ + 1;
    for (; moved_ < to; ++moved_)
      if (!old_[moved_].empty()) place(old_[moved_]);
    if (moved_ > old_mask_) old_.reset();
  }

  TableArray<Slot> slots_, old_;
  std::size_t mask_ = 0, old_mask_ = 0, moved_ = 0, size_ = 0;
};

class PaneChunks {
 public:
  // `entry_bytes`: a multiple of 8. Entries of 64 bytes are cache lines.
  explicit PaneChunks(std::size_t entry_bytes) : entry_bytes_(entry_bytes) {}

  std::uint32_t size() const { return size_; }
  std::size_t entry_bytes() const { return entry_bytes_; }
  std::size_t bytes() const { return bytes_; }
  char* at(std::uint32_t i) const {
    const std::uint32_t n = i + kFirst;
    const unsigned top = 31u - static_cast<unsigned>(std::countl_zero(n));
    return chunks_[top - kFirstLog].get() + (n - (1u << top)) * entry_bytes_;
  }
  // A new entry, all zero.
  std::uint32_t add() {
    const std::uint32_t n = size_ + kFirst;
    if (std::has_single_bit(n)) {
      std::size_t mapped = 0;
      char* p = TableMemory::allocate(n * entry_bytes_, false, mapped, clean_);
      chunks_.emplace_back(p, FreeMemory{mapped});
      bytes_ += n * entry_bytes_;
    }
    if (!clean_) std::memset(at(size_), 0, entry_bytes_);
    return size_++;
  }

 private:
  static constexpr std::uint32_t kFirst = 16;
  static constexpr unsigned kFirstLog = 4;

  std::vector<TableArray<char>> chunks_;  // chunk c holds kFirst << c entries
  std::size_t entry_bytes_;
  std::size_t bytes_ = 0;
  std::uint32_t size_ = 0;
  bool clean_ = false;  // what the newest chunk has beyond size_ is zero
};

}  // namespace twinspan::engine
