#pragma once
// What waits for moments of event time: numbers, each with the moment it is due. A ring of slots (Varghese and Lauck's
// timing wheel) for the time that most wait, a map for what is further away; the slots that hold something are bits. A
// slot is a list of blocks of two cache lines, taken from and given back to one stack: rings of a vector a slot keep
// the most every slot ever had, which is many times what waits, and cold. A slot is sorted when time enters it, so that
// every entry is looked at once. Nothing is taken out before its time: who has moved on is recognised when it is due.
// Owned by a window operator. Thread: shard.

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <vector>

#include "engine/base/ids.h"

namespace twinspan::engine {

class EventTimers {
 public:
  struct Entry {
    EventTime due;
    std::uint32_t what;
  };

  // `usual_wait`: ms that most entries wait.
  explicit EventTimers(std::int64_t usual_wait)
      : tick_(std::max<std::int64_t>(1, usual_wait / 16'384)),
        size_(std::bit_ceil(static_cast<std::uint64_t>(std::max<std::int64_t>(64, 2 * usual_wait / tick_)))) {}

  void add(EventTime due, std::uint32_t what) {
    const std::int64_t slot = slot_of(due);
    if (earliest_ == kMaxTime) now_ = slot - static_cast<std::int64_t>(size_ / 2);  // nothing waits: anywhere will do
    earliest_ = std::min(earliest_, due);
    if (slot <= now_) {
      const auto place = std::upper_bound(due_.begin() + static_cast<std::ptrdiff_t>(taken_), due_.end(), due,
                                          [](EventTime d, const Entry& e) { return d < e.due; });
      due_.insert(place, {due, what});
      return;
    }
    if (slot - now_ >= static_cast<std::int64_t>(size_)) {
      far_[due].push_back(what);
      return;
    }
    if (heads_.empty()) {
      heads_.resize(size_);
      filled_.resize((size_ + 63) / 64);
    }
    const std::size_t at = static_cast<std::uint64_t>(slot) & (size_ - 1);
    std::uint32_t& head = heads_[at];
    if (head == 0 || blocks_[head - 1].used == kItems) {
      const std::uint32_t block = new_block();
      blocks_[block].next_plus_1 = head;
      head = block + 1;
      filled_[at / 64] |= std::uint64_t{1} << (at % 64);
    }
    Block& b = blocks_[head - 1];
    b.items[b.used++] = {what, static_cast<std::uint32_t>(due - slot * tick_)};
    ++in_ring_;
  }

  // Nothing is due before this; kMaxTime: nothing at all. Conservative.
  EventTime earliest() const { return earliest_; }

  // What is due by `until`, in order of its moment, appended to `out`: `at_most` of it, the earliest.
  void take(EventTime until, std::vector<Entry>& out, std::size_t at_most = std::numeric_limits<std::size_t>::max()) {
    if (until < earliest_) return;
    for (;;) {
      for (; taken_ < due_.size() && due_[taken_].due <= until && at_most > 0; ++taken_, --at_most)
        out.push_back(due_[taken_]);
      if (taken_ < due_.size()) {
        earliest_ = due_[taken_].due;
        return;
      }
      due_.clear();
      taken_ = 0;
      earliest_ = next_slot();
      if (earliest_ == kMaxTime) return;
      if (earliest_ > until || at_most == 0) return;
      enter(slot_of(earliest_));
    }
  }

  std::size_t bytes() const {
    return heads_.capacity() * sizeof heads_[0] + blocks_.capacity() * sizeof(Block) + due_.capacity() * sizeof(Entry) +
           far_.size() * 96;
  }

 private:
  static constexpr std::uint32_t kItems = 15;
  struct Item {
    std::uint32_t what, after;  // ms since its slot began
  };
  struct Block {
    std::uint32_t next_plus_1, used;
    Item items[kItems];
  };

  std::int64_t slot_of(EventTime t) const { return tick_ == 1 ? t : t / tick_ - (t % tick_ < 0 ? 1 : 0); }
  std::uint32_t new_block() {
    if (free_plus_1_ == 0) {
      blocks_.push_back({});
      return static_cast<std::uint32_t>(blocks_.size() - 1);
    }
    const std::uint32_t block = free_plus_1_ - 1;
    free_plus_1_ = blocks_[block].next_plus_1;
    blocks_[block].used = 0;
    return block;
  }
  // When the first slot behind `now_` that holds something begins, or the first entry far away is due.
  EventTime next_slot() const {
    EventTime next = far_.empty() ? kMaxTime : far_.begin()->first;
    if (in_ring_ == 0) return next;
    std::size_t at = static_cast<std::uint64_t>(now_ + 1) & (size_ - 1);
    std::int64_t passed = 0;
    std::uint64_t word = filled_[at / 64] >> (at % 64);
    while (word == 0) {
      passed += static_cast<std::int64_t>(64 - at % 64);
      at = (at / 64 * 64 + 64) & (size_ - 1);
      word = filled_[at / 64];
    }
    return std::min(next, (now_ + 1 + passed + std::countr_zero(word)) * tick_);
  }
  // Everything of this slot is now in `due_`.
  void enter(std::int64_t slot) {
    const std::size_t at = static_cast<std::uint64_t>(slot) & (size_ - 1);
    if (in_ring_ > 0 && slot - now_ < static_cast<std::int64_t>(size_)) {
      for (std::uint32_t block = heads_[at]; block != 0;) {
        Block& b = blocks_[block - 1];
        for (std::uint32_t i = 0; i < b.used; ++i) due_.push_back({slot * tick_ + b.items[i].after, b.items[i].what});
        in_ring_ -= b.used;
        const std::uint32_t next = b.next_plus_1;
        b.next_plus_1 = free_plus_1_;
        free_plus_1_ = block;
        block = next;
      }
      heads_[at] = 0;
      filled_[at / 64] &= ~(std::uint64_t{1} << (at % 64));
    }
    now_ = slot;
    for (; !far_.empty() && slot_of(far_.begin()->first) == slot; far_.erase(far_.begin()))
      for (const std::uint32_t what : far_.begin()->second) due_.push_back({far_.begin()->first, what});
    if (tick_ > 1)
      std::stable_sort(due_.begin(), due_.end(), [](const Entry& x, const Entry& y) { return x.due < y.due; });
  }

  const std::int64_t tick_;
  const std::uint64_t size_;
  std::vector<std::uint32_t> heads_;  // of each slot: its newest block + 1
  std::vector<Block> blocks_;
  std::uint32_t free_plus_1_ = 0;
  std::vector<std::uint64_t> filled_;
  std::int64_t now_ = 0;    // the slot that time is in: what it held is in due_, the ring holds those behind it
  std::vector<Entry> due_;  // sorted; those before taken_ are gone
  std::size_t taken_ = 0;
  std::size_t in_ring_ = 0;  // entries
  std::map<EventTime, std::vector<std::uint32_t>> far_;
  EventTime earliest_ = kMaxTime;
};

}  // namespace twinspan::engine
