#include "engine/aggregates/value_list.h"

#include <algorithm>
#include <cstring>

#include "engine/aggregates/kernel.h"

namespace twinspan::engine {

void ValueList::add(EventTime time, std::string_view value, const ListLimits& limits, BlockMemory& memory) {
  if (is_cut_ != 0 && time >= cut_) return;
  put(time, value, limits.distinct, memory);
  apply(limits, memory);
}

void ValueList::put(EventTime time, std::string_view value, bool distinct, BlockMemory& memory) {
  if (distinct) {
    for (std::uint32_t i = 0; i < size_; ++i) {
      if (text(items_[i]) != value) continue;
      if (items_[i].time <= time) return;
      remove(i, memory);
      break;
    }
  }
  if (size_ == capacity_) {
    const std::uint32_t more = std::max<std::uint32_t>(4, capacity_ * 2);
    auto* items = reinterpret_cast<Item*>(memory.take(more * sizeof(Item)));
    if (size_ != 0) std::memcpy(items, items_, size_ * sizeof(Item));
    memory.give(items_, capacity_ * sizeof(Item));
    items_ = items;
    capacity_ = more;
  }
  char* p = memory.take(value.size());
  if (!value.empty()) std::memcpy(p, value.data(), value.size());
  Item* at = items_ + size_;
  if (size_ != 0 && items_[size_ - 1].time > time) {
    at = std::upper_bound(items_, items_ + size_, time, [](EventTime t, const Item& i) { return t < i.time; });
    std::memmove(at + 1, at, static_cast<std::size_t>(items_ + size_ - at) * sizeof(Item));
  }
  *at = {time, p, value.size()};
  ++size_;
  bytes_ += value.size();
}

void ValueList::remove(std::uint32_t at, BlockMemory& memory) {
  bytes_ -= items_[at].size;
  memory.give(items_[at].p, items_[at].size);
  std::memmove(items_ + at, items_ + at + 1, (size_ - at - 1) * sizeof(Item));
  --size_;
}

void ValueList::cut_at(std::uint32_t at, BlockMemory& memory) {
  cut_ = is_cut_ != 0 ? std::min(cut_, items_[at].time) : items_[at].time;
  is_cut_ = 1;
  while (size_ > at) remove(size_ - 1, memory);
}

void ValueList::apply(const ListLimits& limits, BlockMemory& memory) {
  if (size_ <= limits.count && bytes_ <= limits.bytes) return;
  std::uint64_t bytes = 0;
  for (std::uint32_t i = 0; i < size_; ++i) {
    bytes += items_[i].size;
    if (i < limits.count && bytes <= limits.bytes) continue;
    cut_at(i, memory);
    return;
  }
}

void ValueList::merge(const ValueList& from, const ListLimits& limits, BlockMemory& memory) {
  if (from.is_cut_ != 0) {
    // What was cut off there comes after all values of the same time here.
    std::uint32_t keep = size_;
    while (keep > 0 && items_[keep - 1].time > from.cut_) --keep;
    if (keep < size_) cut_at(keep, memory);
  }
  for (std::uint32_t i = 0; i < from.size_; ++i) {
    const Item& item = from.items_[i];
    if (is_cut_ != 0 && item.time >= cut_) break;
    put(item.time, text(item), limits.distinct, memory);
  }
  if (from.is_cut_ != 0) {
    cut_ = is_cut_ != 0 ? std::min(cut_, from.cut_) : from.cut_;
    is_cut_ = 1;
  }
  apply(limits, memory);
}

void ValueList::release(BlockMemory& memory) {
  for (std::uint32_t i = 0; i < size_; ++i) memory.give(items_[i].p, items_[i].size);
  memory.give(items_, capacity_ * sizeof(Item));
}

void ValueList::save(std::string& to) const {
  append_raw(to, static_cast<std::uint8_t>(is_cut_));
  append_raw(to, cut_);
  append_raw(to, size_);
  for (std::uint32_t i = 0; i < size_; ++i) {
    append_raw(to, items_[i].time);
    append_raw(to, static_cast<std::uint32_t>(items_[i].size));
    to.append(text(items_[i]));
  }
}

bool ValueList::load(std::string_view& from, const ListLimits& limits, BlockMemory& memory) {
  std::uint8_t is_cut = 0;
  std::uint32_t size = 0;
  if (!take_raw(from, is_cut) || is_cut > 1 || !take_raw(from, cut_) || !take_raw(from, size) || size > limits.count)
    return false;
  is_cut_ = is_cut;
  EventTime before = kMinTime;
  for (std::uint32_t i = 0; i < size; ++i) {
    EventTime time = 0;
    std::uint32_t n = 0;
    std::string_view value;
    if (!take_raw(from, time) || time < before || !take_raw(from, n) || !take_bytes(from, n, value)) return false;
    put(time, value, false, memory);
    before = time;
  }
  return bytes_ <= limits.bytes;
}

}  // namespace twinspan::engine
