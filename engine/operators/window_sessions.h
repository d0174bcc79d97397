#pragma once
// The sessions a session window keeps: records of one size with key, bounds and a block of accumulators, found by key.
// Sessions of one key are a list (nearly always of one). A record with a key of up to 24 bytes and one counter is one
// cache line, so that a row costs two cache misses: slot and record; both are prefetched for a group of rows. Unlike
// PaneKeys, what ends is removed: the table deletes by shifting back (Knuth 6.4, algorithm R), records are used again.
// Owned by a window operator. Thread: shard.

#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/batch.h"
#include "engine/base/result.h"
#include "engine/operators/key_group.h"
#include "engine/operators/pane_probe.h"

namespace twinspan::engine {

class SessionStore {
 public:
  // Flags of a session.
  static constexpr std::uint32_t kFireDue = 1;  // changed since it was last told
  static constexpr std::uint32_t kEmitted = 4;  // told with its present bounds
  static constexpr std::uint32_t kFired = 8;    // firing F has passed end - 1
  static constexpr std::uint32_t kSaved = 16;   // in the checkpoint under its present start
  static constexpr std::uint32_t kFree = 32;
  // `due` and `saving` as in pane_keys.h. `listed`, `taken`: the record, whoever has
  // it, is in the save list; in that of the snapshot under way.
  struct SaveFlags {
    std::uint32_t due = 2, saving = 128, listed = 64, taken = 256;
    void turn() {
      std::swap(due, saving);
      std::swap(listed, taken);
    }
  };
  static constexpr std::uint32_t kListed = 64 | 256;
  static constexpr std::uint32_t kWaits = 512;  // a timer will look at it before F passes its end

  struct Head {
    EventTime start, end;       // end: the last row + gap
    std::uint32_t next_plus_1;  // another session of this key
    std::uint32_t flags;
    std::uint32_t tag;  // of the key's hash
    std::uint32_t key_size;
  };

  // `fixed_key`: encoded size of every key, or 0 if it varies.
  SessionStore(std::size_t fixed_key, std::size_t block)
      : key_room_(fixed_key != 0 && fixed_key <= kInline ? (fixed_key + 7) & ~std::size_t{7} : kInline),
        block_bytes_(block),
        records_(sizeof(Head) + key_room_ + block) {}

  std::size_t size() const { return live_; }
  std::size_t bytes() const { return records_.bytes() + (slots_ ? (mask_ + 1) * sizeof(Slot) : 0) + long_keys_bytes_; }
  std::uint32_t records() const { return records_.size(); }  // free ones included
  Head& head(std::uint32_t i) const { return *reinterpret_cast<Head*>(records_.at(i)); }
  char* block(std::uint32_t i) const { return records_.at(i) + sizeof(Head) + key_room_; }
  std::string_view key(std::uint32_t i) const { return key_of(records_.at(i)); }

  [[gnu::always_inline]] void prefetch(std::uint64_t hash) const {
    if (slots_) __builtin_prefetch(&slots_[hash & mask_]);
  }
  [[gnu::always_inline]] void prefetch_whole(std::uint32_t i) const {
    __builtin_prefetch(records_.at(i), 1);
    __builtin_prefetch(block(i));
  }
  // Of a session that is to end: its record, then its slot.
  [[gnu::always_inline]] void prefetch_head(std::uint32_t i) const { __builtin_prefetch(records_.at(i), 1); }
  [[gnu::always_inline]] void prefetch_slot(std::uint32_t i) const {
    __builtin_prefetch(&slots_[head(i).tag & mask_], 1);
    __builtin_prefetch(block(i));
  }
  // After the slot was prefetched: the record that is probably meant.
  [[gnu::always_inline]] void prefetch_record(std::uint64_t hash) const {
    if (!slots_) return;
    const auto tag = static_cast<std::uint32_t>(hash);
    for (std::size_t i = tag & mask_;; i = (i + 1) & mask_) {
      const Slot& s = slots_[i];
      if (s.index_plus_1 == 0) return;
      if (s.tag != tag) continue;
      const char* record = records_.at(s.index_plus_1 - 1);
      __builtin_prefetch(record, 1);
      if (records_.entry_bytes() > 64) __builtin_prefetch(record + sizeof(Head) + key_room_ + 7, 1);
      return;
    }
  }

  // The first session of this key, + 1; 0: it has none.
  std::uint32_t find(std::uint64_t hash, std::string_view key_bytes) const {
    const Slot* s = find_slot(static_cast<std::uint32_t>(hash), key_bytes);
    return s == nullptr ? 0 : s->index_plus_1;
  }
  // A new session, zero but for its key; the first of its key's list. `first`: as find() has just said.
  std::uint32_t add(std::uint64_t hash, std::string_view key_bytes, std::uint32_t first) {
    std::uint32_t i;
    if (!free_.empty()) {
      i = free_.back();
      free_.pop_back();
      const std::uint32_t listed = head(i).flags & kListed;
      std::memset(records_.at(i), 0, sizeof(Head));
      head(i).flags = listed;
      std::memset(block(i), 0, block_bytes_);
    } else {
      i = records_.add();
    }
    ++live_;
    Head& h = head(i);
    h.tag = static_cast<std::uint32_t>(hash);
    h.key_size = static_cast<std::uint32_t>(key_bytes.size());
    char* at = records_.at(i) + sizeof(Head);
    if (key_bytes.size() <= key_room_) {
      std::memcpy(at, key_bytes.data(), key_bytes.size());
    } else {
      char* copy = new char[key_bytes.size()];
      long_keys_bytes_ += key_bytes.size();
      std::memcpy(copy, key_bytes.data(), key_bytes.size());
      std::memcpy(at, &copy, sizeof copy);
    }
    if (first != 0) {
      h.next_plus_1 = first;
      find_slot(h.tag, key_bytes)->index_plus_1 = i + 1;
    } else {
      insert({h.tag, i + 1});
    }
    return i;
  }
  void remove(std::uint32_t i) {
    Head& h = head(i);
    Slot* s = slot_of(i);
    TS_CHECK(s != nullptr);
    if (s->index_plus_1 == i + 1) {
      if (h.next_plus_1 != 0)
        s->index_plus_1 = h.next_plus_1;
      else
        erase(static_cast<std::size_t>(s - slots_.get()));
    } else {
      std::uint32_t before = s->index_plus_1 - 1;
      while (head(before).next_plus_1 != i + 1) before = head(before).next_plus_1 - 1;
      head(before).next_plus_1 = h.next_plus_1;
    }
    if (h.key_size > key_room_) {
      char* copy = nullptr;
      std::memcpy(&copy, records_.at(i) + sizeof(Head), sizeof copy);
      delete[] copy;
      long_keys_bytes_ -= h.key_size;
      h.key_size = 0;
    }
    h.flags = kFree | (h.flags & kListed);
    --live_;
    free_.push_back(i);
  }

  SessionStore(const SessionStore&) = delete;
  SessionStore& operator=(const SessionStore&) = delete;
  ~SessionStore() {
    for (std::uint32_t i = 0; i < records_.size(); ++i) {
      if ((head(i).flags & kFree) != 0 || head(i).key_size <= key_room_) continue;
      char* copy = nullptr;
      std::memcpy(&copy, records_.at(i) + sizeof(Head), sizeof copy);
      delete[] copy;
    }
  }

 private:
  static constexpr std::size_t kInline = 24;
  struct Slot {
    std::uint32_t tag;
    std::uint32_t index_plus_1;
  };

  std::string_view key_of(const char* record) const {
    const Head& h = *reinterpret_cast<const Head*>(record);
    const char* at = record + sizeof(Head);
    if (h.key_size <= key_room_) return {at, h.key_size};
    const char* p = nullptr;
    std::memcpy(&p, at, sizeof p);
    return {p, h.key_size};
  }
  Slot* find_slot(std::uint32_t tag, std::string_view key_bytes) const {
    if (!slots_) return nullptr;
    for (std::size_t i = tag & mask_;; i = (i + 1) & mask_) {
      Slot& s = slots_[i];
      if (s.index_plus_1 == 0) return nullptr;
      if (s.tag == tag && same_key(key_of(records_.at(s.index_plus_1 - 1)), key_bytes)) return &s;
    }
  }
  // Of the key of this session: nearly always the slot that names it, so other records are not looked at.
  Slot* slot_of(std::uint32_t session) const {
    const std::uint32_t tag = head(session).tag;
    for (std::size_t i = tag & mask_; slots_[i].index_plus_1 != 0; i = (i + 1) & mask_)
      if (slots_[i].index_plus_1 == session + 1) return &slots_[i];
    return find_slot(tag, key(session));
  }
  void insert(const Slot& slot) {
    if (!slots_ || (used_ + 1) * 8 > (mask_ + 1) * 5) grow();
    place(slot);
    ++used_;
  }
  void place(const Slot& slot) {
    std::size_t i = slot.tag & mask_;
    while (slots_[i].index_plus_1 != 0) i = (i + 1) & mask_;
    slots_[i] = slot;
  }
  void erase(std::size_t hole) {
    for (std::size_t i = (hole + 1) & mask_; slots_[i].index_plus_1 != 0; i = (i + 1) & mask_) {
      const std::size_t home = slots_[i].tag & mask_;
      if (((i - home) & mask_) < ((i - hole) & mask_)) continue;  // must not stand before its home
      slots_[hole] = slots_[i];
      hole = i;
    }
    slots_[hole] = {};
    --used_;
  }
  void grow() {
    const std::size_t capacity = slots_ ? (mask_ + 1) * 2 : 64;
    TableArray<Slot> old = std::move(slots_);
    const std::size_t old_size = old ? mask_ + 1 : 0;
    slots_ = zeroed_array<Slot>(capacity);
    mask_ = capacity - 1;
    for (std::size_t i = 0; i < old_size; ++i)
      if (old[i].index_plus_1 != 0) place(old[i]);
  }

  std::size_t key_room_, block_bytes_;
  PaneChunks records_;
  std::vector<std::uint32_t> free_;
  std::size_t live_ = 0, long_keys_bytes_ = 0;
  TableArray<Slot> slots_;
  std::size_t mask_ = 0, used_ = 0;
};

}  // namespace twinspan::engine
