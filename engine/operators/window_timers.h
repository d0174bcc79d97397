#pragma once
// What waits for moments of event time: numbers, each with the moment it is due. A ring of slots (Varghese and Lauck's
// timing wheel) for the time that most wait, a map for what is further away; the slots that hold something are bits. A
// slot is a list of blocks of a cache line, taken from and given back to one stack: rings of a vector a slot keep
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
#include "engine/operators/pane_probe.h"

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
    earliest_ = std::min(earliest_, due);
    added_[added_count_++] = {due, what};
    if (added_count_ == kTogether) place_added();
  }

  // Nothing is due before this; kMaxTime: nothing at all. Conservative.
  EventTime earliest() const { return earliest_; }

  // What is due by `until`, in order of its moment, appended to `out`: `at_most` of it, the earliest.
  void take(EventTime until, std::vector<Entry>& out, std::size_t at_most = std::numeric_limits<std::size_t>::max()) {
    if (until < earliest_) return;
    place_added();
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
    return heads_.capacity() * sizeof heads_[0] + blocks_.bytes() + due_.capacity() * sizeof(Entry) + far_.size() * 96;
  }

 private:
  static constexpr std::uint32_t kItems = 7;
  static constexpr std::uint32_t kTogether = 32;
  struct Item {
    std::uint32_t what, after;  // ms since its slot began
  };
  struct Block {  // a cache line
    std::uint32_t next_plus_1, used;
    Item items[kItems];
  };

  Block& block(std::uint32_t plus_1) const { return *reinterpret_cast<Block*>(blocks_.at(plus_1 - 1)); }
  bool in_ring(std::int64_t slot) const { return slot > now_ && slot - now_ < static_cast<std::int64_t>(size_); }
  // What was added goes to its slots: those are cold, so they are loaded together.
  void place_added() {
    if (added_count_ == 0) return;
    if (in_ring_ == 0 && far_.empty() && taken_ == due_.size())  // nothing waits: any place will do
      now_ = slot_of(added_[0].due) - static_cast<std::int64_t>(size_ / 2);
    if (heads_.empty()) {
      heads_.resize(size_);
      filled_.resize((size_ + 63) / 64);
    }
    for (std::uint32_t i = 0; i < added_count_; ++i) {
      const std::uint32_t head = heads_[static_cast<std::uint64_t>(slot_of(added_[i].due)) & (size_ - 1)];
      if (head != 0) __builtin_prefetch(blocks_.at(head - 1), 1);
    }
    for (std::uint32_t i = 0; i < added_count_; ++i) place(added_[i]);
    added_count_ = 0;
  }
  void place(const Entry& e) {
    const std::int64_t slot = slot_of(e.due);
    if (slot <= now_) {
      const auto at = std::upper_bound(due_.begin() + static_cast<std::ptrdiff_t>(taken_), due_.end(), e.due,
                                       [](EventTime d, const Entry& x) { return d < x.due; });
      due_.insert(at, e);
      return;
    }
    if (!in_ring(slot)) {
      far_[e.due].push_back(e.what);
      return;
    }
    const std::size_t at = static_cast<std::uint64_t>(slot) & (size_ - 1);
    std::uint32_t& head = heads_[at];
    if (head == 0 || block(head).used == kItems) {
      const std::uint32_t fresh = new_block();
      block(fresh).next_plus_1 = head;
      head = fresh;
      filled_[at / 64] |= std::uint64_t{1} << (at % 64);
    }
    Block& b = block(head);
    b.items[b.used++] = {e.what, static_cast<std::uint32_t>(e.due - slot * tick_)};
    ++in_ring_;
  }
  std::int64_t slot_of(EventTime t) const { return tick_ == 1 ? t : t / tick_ - (t % tick_ < 0 ? 1 : 0); }
  std::uint32_t new_block() {
    if (free_plus_1_ == 0) return blocks_.add() + 1;
    const std::uint32_t fresh = free_plus_1_;
    free_plus_1_ = block(fresh).next_plus_1;
    block(fresh).used = 0;
    return fresh;
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
    if (in_ring(slot)) {
      for (std::uint32_t at_block = heads_[at]; at_block != 0;) {
        Block& b = block(at_block);
        for (std::uint32_t i = 0; i < b.used; ++i) due_.push_back({slot * tick_ + b.items[i].after, b.items[i].what});
        in_ring_ -= b.used;
        const std::uint32_t next = b.next_plus_1;
        b.next_plus_1 = free_plus_1_;
        free_plus_1_ = at_block;
        at_block = next;
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
  PaneChunks blocks_{sizeof(Block)};
  std::uint32_t free_plus_1_ = 0;
  std::vector<std::uint64_t> filled_;
  std::int64_t now_ = 0;    // the slot that time is in: what it held is in due_, the ring holds those behind it
  std::vector<Entry> due_;  // sorted; those before taken_ are gone
  std::size_t taken_ = 0;
  std::size_t in_ring_ = 0;  // entries
  std::map<EventTime, std::vector<std::uint32_t>> far_;
  Entry added_[kTogether];  // and not placed
  std::uint32_t added_count_ = 0;
  EventTime earliest_ = kMaxTime;
};

}  // namespace twinspan::engine
