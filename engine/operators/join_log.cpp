#include "engine/operators/join_log.h"

#include <algorithm>
#include <bit>

namespace twinspan::engine {

namespace {
constexpr unsigned kSampleEvery = 8;
}  // namespace

std::size_t RowLog::bytes() const {
  constexpr std::size_t page = 4096;
  std::size_t total = sample_.capacity() * sizeof(EventTime) + segments_.size() * sizeof(Segment);
  for (const Segment& s : segments_) {
    // A full-size block is resident whole (huge pages, used before); of a small one only what was touched.
    total += &s == &segments_.back() && s.memory.size() < kSegmentBytes ? (s.used + page - 1) / page * page
                                                                        : s.memory.size();
  }
  for (const PageBlock& b : spare_) total += b.size();
  return total;
}

void RowLog::open(std::size_t size) {
  const std::uint64_t number = first_ + segments_.size();
  // Small at first, so that a join with little state stays little, and a segment is never much of the whole.
  std::size_t capacity = std::clamp(std::bit_ceil(used_ / 8 + 1), smallest_, largest_);
  Segment& s = segments_.emplace_back();
  s.number = number;
  if (size <= kSegmentBytes && capacity < size) capacity = std::bit_ceil(size);
  if (size > kSegmentBytes) {
    s.memory = PageBlock(size);  // one huge row: it starts at offset 0, so its address is fine
  } else if (capacity == kSegmentBytes && !spare_.empty()) {
    s.memory = std::move(spare_.back());
    spare_.pop_back();
  } else {
    s.memory = PageBlock(capacity);
  }
  bases_.push_back(s.memory.data());
}

void RowLog::seal() {
  Segment& s = segments_.back();
  std::sort(sample_.begin(), sample_.end());
  const std::size_t n = sample_.size();  // > 0: the first row of a segment is always in it
  for (std::size_t i = 0; i < kQuantiles; ++i)
    s.quantiles[i] = sample_[((i + 1) * n + kQuantiles - 1) / kQuantiles - 1];
  sample_.clear();
}

RowLog::Place RowLog::append(std::size_t size, EventTime time) {
  const std::size_t step = stride(size);
  if (segments_.empty() || segments_.back().used + step > segments_.back().memory.size() ||
      segments_.back().used >= kSegmentBytes) [[unlikely]] {
    if (!segments_.empty()) seal();
    open(step);
  }
  Segment& s = segments_.back();
  auto* row = reinterpret_cast<JoinRow*>(s.memory.data() + s.used);
  const RowAddress address = (s.number << kSegmentBits) + s.used;
  row->time = time;
  row->previous = 0;
  row->size = static_cast<std::uint32_t>(size);
  row->flags = 0;
  if (s.rows % kSampleEvery == 0) sample_.push_back(time);
  s.used += static_cast<std::uint32_t>(step);
  ++s.rows;
  s.max_time = std::max(s.max_time, time);
  ++rows_;
  used_ += step;
  return {address, row};
}

void RowLog::drop_front() {
  if (segments_.size() == 1) sample_.clear();
  Segment& s = segments_.front();
  rows_ -= s.rows;
  used_ -= s.used;
  if (s.memory.size() == kSegmentBytes && spare_.size() < 1 + segments_.size() / 16)
    spare_.push_back(std::move(s.memory));
  segments_.pop_front();
  bases_.erase(bases_.begin());
  ++first_;
  if (spare_.size() > 1 + segments_.size() / 16) spare_.pop_back();
}

std::size_t RowLog::dead_bytes(EventTime horizon) const {
  std::size_t total = 0;
  for (std::size_t i = 0; i + 1 < segments_.size(); ++i) {
    const Segment& s = segments_[i];
    const auto dead = std::upper_bound(s.quantiles.begin(), s.quantiles.end(), horizon) - s.quantiles.begin();
    const double share = static_cast<double>(dead) / kQuantiles + static_cast<double>(s.removed) / s.rows;
    total += static_cast<std::size_t>(std::min(1.0, share) * s.used);
  }
  return total;
}

}  // namespace twinspan::engine
