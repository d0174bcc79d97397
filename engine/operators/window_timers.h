#pragma once
// What waits for moments of event time: numbers, each with the moment it is due. A ring of slots (Varghese and Lauck's
// timing wheel) for the time that most wait, a map for what is further away; the slots that hold something are bits. A
// slot is sorted when time enters it, so that every entry is looked at once. Nothing is taken out before its time: who
// has moved on is recognised when it is due. Owned by a window operator. Thread: shard.

#include <algorithm>
#include <bit>
#include <cstdint>
#include <map>
#include <vector>

#include "engine/base/ids.h"

namespace twinspan::engine {

class EventTimers {
 public:
  // `usual_wait`: ms that most entries wait.
  explicit EventTimers(std::int64_t usual_wait)
      : tick_(std::max<std::int64_t>(1, usual_wait / 16'384)),
        size_(std::bit_ceil(static_cast<std::uint64_t>(std::max<std::int64_t>(64, 2 * usual_wait / tick_)))) {}

  void add(EventTime due, std::uint32_t what) {
    const std::int64_t slot = slot_of(due);
    earliest_ = std::min(earliest_, due);
    if (count_ == 0) first_ = slot;
    if (slot < first_ || slot >= first_ + static_cast<std::int64_t>(size_)) {
      far_[due].push_back(what);
      return;
    }
    if (slots_.empty()) {
      slots_.resize(size_);
      filled_.resize((size_ + 63) / 64);
    }
    const std::size_t at = static_cast<std::uint64_t>(slot) & (size_ - 1);
    auto& entries = slots_[at];
    if (slot == sorted_) {  // the one that time is in: from the last to the first
      const auto place =
          std::upper_bound(entries.begin(), entries.end(), due, [](EventTime d, const Entry& e) { return d > e.due; });
      entries.insert(place, {due, what});
    } else {
      entries.push_back({due, what});
    }
    filled_[at / 64] |= std::uint64_t{1} << (at % 64);
    ++count_;
  }

  // Nothing is due before this; kMaxTime: nothing at all. Conservative.
  EventTime earliest() const { return earliest_; }

  // Everything due by `until`, in order of its moment, appended to `out`.
  struct Entry {
    EventTime due;
    std::uint32_t what;
  };
  void take(EventTime until, std::vector<Entry>& out) {
    if (until < earliest_) return;
    const std::size_t before = out.size();
    while (count_ > 0) {
      const std::int64_t slot = next_filled();
      if (slot * tick_ > until) break;
      first_ = slot;
      const std::size_t at = static_cast<std::uint64_t>(slot) & (size_ - 1);
      auto& entries = slots_[at];
      if (tick_ > 1 && slot != sorted_)
        std::stable_sort(entries.begin(), entries.end(), [](const Entry& x, const Entry& y) { return x.due > y.due; });
      sorted_ = slot;
      if (tick_ == 1) {
        out.insert(out.end(), entries.begin(), entries.end());
        count_ -= entries.size();
        entries.clear();
      }
      while (!entries.empty() && entries.back().due <= until) {
        out.push_back(entries.back());
        entries.pop_back();
        --count_;
      }
      if (!entries.empty()) break;
      filled_[at / 64] &= ~(std::uint64_t{1} << (at % 64));
    }
    bool merged = false;
    while (!far_.empty() && far_.begin()->first <= until) {
      for (const std::uint32_t what : far_.begin()->second) out.push_back({far_.begin()->first, what});
      far_.erase(far_.begin());
      merged = true;
    }
    if (merged)
      std::stable_sort(out.begin() + static_cast<std::ptrdiff_t>(before), out.end(),
                       [](const Entry& x, const Entry& y) { return x.due < y.due; });
    earliest_ = far_.empty() ? kMaxTime : far_.begin()->first;
    if (count_ == 0) return;
    const std::int64_t slot = next_filled();
    const auto& entries = slots_[static_cast<std::uint64_t>(slot) & (size_ - 1)];
    earliest_ = std::min(earliest_, slot == sorted_ ? entries.back().due : slot * tick_);
  }

  std::size_t bytes() const {
    std::size_t n = slots_.capacity() * sizeof slots_[0] + far_.size() * 96;
    for (const auto& s : slots_) n += s.capacity() * sizeof(Entry);
    return n;
  }

 private:
  std::int64_t slot_of(EventTime t) const { return t / tick_ - (t % tick_ < 0 ? 1 : 0); }
  // From first_ on; there is one.
  std::int64_t next_filled() const {
    std::size_t at = static_cast<std::uint64_t>(first_) & (size_ - 1);
    std::int64_t passed = 0;
    std::uint64_t word = filled_[at / 64] >> (at % 64);
    while (word == 0) {
      passed += static_cast<std::int64_t>(64 - at % 64);
      at = (at / 64 * 64 + 64) & (size_ - 1);
      word = filled_[at / 64];
    }
    return first_ + passed + std::countr_zero(word);
  }

  const std::int64_t tick_;
  const std::uint64_t size_;
  std::vector<std::vector<Entry>> slots_;
  std::vector<std::uint64_t> filled_;
  std::int64_t first_ = 0;          // slots of the ring are [first_, first_ + size_)
  std::int64_t sorted_ = kMinTime;  // the slot that time is in
  std::size_t count_ = 0;           // in the ring
  std::map<EventTime, std::vector<std::uint32_t>> far_;
  EventTime earliest_ = kMaxTime;
};

}  // namespace twinspan::engine
