#include "engine/operators/join_log.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "engine/base/result.h"

namespace twinspan::engine {

namespace {
constexpr unsigned kSampleEvery = 8;
}  // namespace

std::size_t RowLog::bytes() const {
  constexpr std::size_t page = 4096;
  std::size_t total = sample_.capacity() * sizeof(EventTime) + segments_.size() * sizeof(Segment);
  if (pager_ != nullptr) total += pager_->bytes();
  for (const Segment& s : segments_) {
    if (s.memory == nullptr) continue;  // spilled
    const std::size_t size = s.memory->pages.size();
    // A full-size block is resident whole (huge pages, used before); of a small one only what was touched.
    total += &s == &segments_.back() && size < kSegmentBytes ? (s.used + page - 1) / page * page : size;
  }
  for (const auto& b : spare_) total += b->pages.size();
  return total;
}

std::shared_ptr<SegmentMemory> RowLog::take_memory(std::size_t capacity) {
  if (capacity == kSegmentBytes) {
    // One that a checkpoint still reads is left alone; it goes when that is done.
    while (!spare_.empty()) {
      std::shared_ptr<SegmentMemory> memory = std::move(spare_.back());
      spare_.pop_back();
      if (memory->readers.load(std::memory_order_acquire) == 0) return memory;
    }
  }
  return std::make_shared<SegmentMemory>(capacity);
}

void RowLog::add(std::shared_ptr<SegmentMemory> memory) {
  const std::uint64_t number = end_number();
  Segment& s = segments_.emplace_back();
  s.number = number;
  s.memory = std::move(memory);
  bases_.push_back(s.memory->pages.data());
}

void RowLog::open(std::size_t size) {
  // Small at first, so that a join with little state stays little, and a segment is never much of the whole.
  std::size_t capacity = std::clamp(std::bit_ceil(used_ / 8 + 1), smallest_, largest_);
  if (size > kSegmentBytes)
    capacity = size;  // one huge row: it starts at offset 0, so its address is fine
  else if (capacity < size)
    capacity = std::bit_ceil(size);
  add(take_memory(capacity));
  open_ = true;
}

void RowLog::seal() {
  Segment& s = segments_.back();
  open_ = false;
  std::sort(sample_.begin(), sample_.end());
  const std::size_t n = sample_.size();  // > 0: the first row of a segment is always in it
  for (std::size_t i = 0; i < kQuantiles; ++i)
    s.quantiles[i] = sample_[((i + 1) * n + kQuantiles - 1) / kQuantiles - 1];
  sample_.clear();
}

void RowLog::count(Segment& s, std::size_t step, EventTime time) {
  if (s.rows % kSampleEvery == 0) sample_.push_back(time);
  s.used += static_cast<std::uint32_t>(step);
  ++s.rows;
  s.max_time = std::max(s.max_time, time);
  ++rows_;
  used_ += step;
}

RowLog::Place RowLog::append(std::size_t size, EventTime time) {
  const std::size_t step = stride(size);
  if (!open_ || segments_.back().used + step > segments_.back().memory->pages.size() ||
      segments_.back().used >= kSegmentBytes) [[unlikely]] {
    if (open_) seal();
    open(step);
  }
  Segment& s = segments_.back();
  auto* row = reinterpret_cast<JoinRow*>(s.memory->pages.data() + s.used);
  const RowAddress address = (s.number << kSegmentBits) + s.used;
  row->time = time;
  row->set_previous(0);
  row->set_flags(0);
  row->size = static_cast<std::uint32_t>(size);
  row->first = 0;
  count(s, step, time);
  return {address, row};
}

void RowLog::adopt(std::uint64_t number, std::string_view rows, bool sealed) {
  TS_CHECK(can_adopt(number));
  if (segments_.empty()) first_ = number;
  std::size_t capacity = rows.size();
  if (!sealed) capacity = std::max(capacity, std::clamp(std::bit_ceil(used_ / 8 + 1), smallest_, largest_));
  add(take_memory(capacity));
  open_ = true;
  Segment& s = segments_.back();
  std::memcpy(s.memory->pages.data(), rows.data(), rows.size());
  while (s.used < rows.size()) {
    const auto* row = reinterpret_cast<const JoinRow*>(s.memory->pages.data() + s.used);
    count(s, stride(row->size), row->time);
  }
  if (sealed) seal();
}

bool RowLog::spill_one() {
  spill_next_ = std::max(spill_next_, first_);
  if (spill_next_ >= end_number() || !is_sealed(spill_next_) || !pager_->can_spill(spill_next_)) return false;
  Segment& s = segments_[spill_next_ - first_];
  if (s.memory->readers.load(std::memory_order_acquire) != 0) return false;  // by a checkpoint
  pager_->spill(s.number, std::move(s.memory), s.used);
  bases_[spill_next_ - first_] += 1;
  s.memory = nullptr;
  ++spill_next_;
  return true;
}

void RowLog::drop_front() {
  if (front_is_open()) {
    sample_.clear();
    open_ = false;
  }
  Segment& s = segments_.front();
  rows_ -= s.rows;
  used_ -= s.used;
  if (s.memory == nullptr)
    pager_->drop(s.number);
  else if (s.memory->pages.size() == kSegmentBytes && spare_.size() < 1 + segments_.size() / 16)
    spare_.push_back(std::move(s.memory));
  segments_.pop_front();
  bases_.erase(bases_.begin());
  ++first_;
  if (spare_.size() > 1 + segments_.size() / 16) spare_.pop_back();
}

std::size_t RowLog::dead_bytes(EventTime horizon) const {
  std::size_t total = 0;
  for (std::size_t i = 0; i + (open_ ? 1 : 0) < segments_.size(); ++i) {
    const Segment& s = segments_[i];
    const auto dead = std::upper_bound(s.quantiles.begin(), s.quantiles.end(), horizon) - s.quantiles.begin();
    const double share = static_cast<double>(dead) / kQuantiles + static_cast<double>(s.removed) / s.rows;
    total += static_cast<std::size_t>(std::min(1.0, share) * s.used);
  }
  return total;
}

}  // namespace twinspan::engine
