#pragma once
// Key hash -> newest row of that hash. Open addressing, 16-byte slots, linear probing. Growing moves a few slots with
// each insert, so no insert ever pays for a whole rehash. Nothing is deleted: a slot whose row lies below the log's
// tail is dead, is used again by the next key that passes, and is left behind by the next move. Slots are by hash, not
// by key: rows of two keys with one 64-bit hash share a chain, and who walks it compares keys. Owner: JoinSide. Thread:
// shard.

#include <cstdint>

#include "engine/operators/join_log.h"
#include "engine/operators/join_memory.h"

namespace twinspan::engine {

class JoinIndex {
 public:
  // `ref`: 0 = dead; low 8 bits kHot: id of a hot key; else the chain's length, with the address of its newest row
  // above.
  struct Slot {
    std::uint64_t hash;  // 0 = never used
    std::uint64_t ref;

    static constexpr std::uint64_t kHot = 255;
    bool is_hot() const { return (ref & 255) == kHot; }
    std::uint64_t hot_id() const { return ref >> 8; }
    unsigned length() const { return static_cast<unsigned>(ref & 255); }
    RowAddress newest() const { return ref >> 8 << 3; }
    void set_chain(RowAddress newest, unsigned length) { ref = newest >> 3 << 8 | length; }
    void set_hot(std::uint64_t id) { ref = id << 8 | kHot; }
    bool is_dead(RowAddress tail) const { return !is_hot() && newest() < tail; }
  };

  JoinIndex();

  // What to prefetch before find() or obtain(). An address, because GCC 12 drops calls of functions that only prefetch.
  const void* line_of(std::uint64_t hash) const { return &new_.slots[hash & new_.mask]; }
  // nullptr: no row with this hash was ever there, or was forgotten. Valid until the next obtain().
  Slot* find(std::uint64_t hash) {
    hash = stored(hash);
    Slot* s = find(new_, hash);
    if (s == nullptr && old_.slots != nullptr) [[unlikely]]
      s = find(old_, hash);
    return s;
  }
  // The slot of this hash, a dead one if it is new. `live_rows`: upper bound of the hashes in use, for sizing.
  Slot* obtain(std::uint64_t hash, RowAddress tail, std::uint64_t live_rows);

  std::size_t bytes() const { return new_.memory.size() + old_.memory.size(); }

 private:
  struct Table {
    PageBlock memory;
    Slot* slots = nullptr;
    std::uint64_t mask = 0, used = 0;
  };
  static std::uint64_t stored(std::uint64_t hash) { return hash + (hash == 0); }
  static Slot* find(const Table& table, std::uint64_t hash) {
    for (std::uint64_t i = hash & table.mask;; i = (i + 1) & table.mask) {
      Slot& s = table.slots[i];
      if (s.hash == hash) return &s;
      if (s.hash == 0) return nullptr;
    }
  }
  static Table make(std::uint64_t slots);
  static Slot* place(Table& table, std::uint64_t hash, RowAddress tail);
  void start_move(std::uint64_t live_rows);
  void step(RowAddress tail);

  Table new_, old_;
  std::uint64_t moved_ = 0;  // slots of old_ already in new_
  std::uint64_t step_ = 0;   // slots to move with each insert
};

}  // namespace twinspan::engine
