#include "engine/aggregates/quantile_sketch.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "engine/aggregates/kernel.h"

namespace twinspan::engine {

namespace {

// Of all values in the bucket the one with the least relative error.
double middle(std::int64_t octave, unsigned part) {
  const auto exponent = static_cast<int>(std::abs(octave));
  if (exponent == 0x7FF)
    return octave > 0 ? std::numeric_limits<double>::infinity() : -std::numeric_limits<double>::infinity();
  const double low = 1 + part / 64.0, high = 1 + (part + 1) / 64.0;
  const double v = std::ldexp(2 * low * high / (low + high), exponent - 1023);
  return octave > 0 ? v : -v;
}

}  // namespace

std::int64_t* QuantileSketch::make_page(std::int64_t octave, BlockMemory& memory) {
  if (rank_of(octave) <= floor_) return nullptr;
  if (size_ == capacity_) {
    const std::uint32_t more = capacity_ == 0 ? 2 : capacity_ * 2;
    auto* pages = reinterpret_cast<Page*>(memory.take(more * sizeof(Page)));
    if (size_ != 0) std::memcpy(pages, pages_, size_ * sizeof(Page));
    memory.give(pages_, capacity_ * sizeof(Page));
    pages_ = pages;
    capacity_ = more;
  }
  auto* counts = reinterpret_cast<std::int64_t*>(memory.take(kPageBytes));
  std::memset(counts, 0, kPageBytes);
  std::uint32_t at = size_++;
  for (; at > 0 && pages_[at - 1].octave > octave; --at) pages_[at] = pages_[at - 1];
  pages_[at] = {octave, counts};
  if (size_ <= kPages) return counts;
  std::uint32_t least = 0;
  for (std::uint32_t i = 1; i < size_; ++i)
    if (rank_of(pages_[i].octave) < rank_of(pages_[least].octave)) least = i;
  const bool own = least == at;
  drop_page(least, memory);
  return own ? nullptr : counts;
}

void QuantileSketch::drop_page(std::uint32_t i, BlockMemory& memory) {
  floor_ = std::max<std::uint64_t>(floor_, rank_of(pages_[i].octave));
  for (unsigned b = 0; b < 64; ++b) zero_ += pages_[i].counts[b];
  memory.give(pages_[i].counts, kPageBytes);
  for (--size_; i < size_; ++i) pages_[i] = pages_[i + 1];
}

void QuantileSketch::merge(const QuantileSketch& from, BlockMemory& memory) {
  total_ += from.total_;
  zero_ += from.zero_;
  nan_ += from.nan_;
  for (std::uint32_t i = size_; i > 0; --i)
    if (rank_of(pages_[i - 1].octave) <= from.floor_) drop_page(i - 1, memory);
  floor_ = std::max(floor_, from.floor_);
  for (std::uint32_t i = 0; i < from.size_; ++i) {
    const Page& p = from.pages_[i];
    std::int64_t* counts = page(p.octave, memory);
    for (unsigned b = 0; b < 64; ++b) (counts != nullptr ? counts[b] : zero_) += p.counts[b];
  }
}

double QuantileSketch::quantile(double p) const {
  auto rest = static_cast<std::int64_t>(p * static_cast<double>(total_ - 1));
  rest = std::clamp<std::int64_t>(rest, 0, total_ - 1);
  std::uint32_t i = 0;
  for (; i < size_ && pages_[i].octave < 0; ++i)
    for (unsigned b = 64; b > 0; --b)
      if ((rest -= pages_[i].counts[b - 1]) < 0) return middle(pages_[i].octave, b - 1);
  if ((rest -= zero_) < 0) return 0;
  for (; i < size_; ++i)
    for (unsigned b = 0; b < 64; ++b)
      if ((rest -= pages_[i].counts[b]) < 0) return middle(pages_[i].octave, b);
  return std::numeric_limits<double>::quiet_NaN();
}

void QuantileSketch::release(BlockMemory& memory) {
  for (std::uint32_t i = 0; i < size_; ++i) memory.give(pages_[i].counts, kPageBytes);
  memory.give(pages_, capacity_ * sizeof(Page));
}

void QuantileSketch::save(std::string& to) const {
  append_raw(to, total_);
  append_raw(to, zero_);
  append_raw(to, nan_);
  append_raw(to, floor_);
  append_raw(to, static_cast<std::uint8_t>(size_));
  for (std::uint32_t i = 0; i < size_; ++i) {  // counts that are there, behind a bit for each
    append_raw(to, static_cast<std::int16_t>(pages_[i].octave));
    std::uint64_t there = 0;
    for (unsigned b = 0; b < 64; ++b) there |= static_cast<std::uint64_t>(pages_[i].counts[b] != 0) << b;
    append_raw(to, there);
    for (unsigned b = 0; b < 64; ++b)
      if (pages_[i].counts[b] != 0) append_raw(to, pages_[i].counts[b]);
  }
}

bool QuantileSketch::load(std::string_view& from, BlockMemory& memory) {
  std::uint8_t size = 0;
  if (!take_raw(from, total_) || !take_raw(from, zero_) || !take_raw(from, nan_) || !take_raw(from, floor_) ||
      !take_raw(from, size) || size > kPages || floor_ > 2 * 0x7FF + 1)
    return false;
  auto sum = static_cast<std::uint64_t>(zero_) + static_cast<std::uint64_t>(nan_);
  for (std::uint8_t i = 0; i < size; ++i) {
    std::int16_t octave = 0;
    std::uint64_t there = 0;
    if (!take_raw(from, octave) || !take_raw(from, there)) return false;
    if (octave == 0 || std::abs(octave) > 0x7FF || rank_of(octave) <= floor_ ||
        (i > 0 && pages_[i - 1].octave >= octave))
      return false;
    std::int64_t* counts = page(octave, memory);
    for (; there != 0; there &= there - 1) {
      std::int64_t& count = counts[std::countr_zero(there)];
      if (!take_raw(from, count)) return false;
      sum += static_cast<std::uint64_t>(count);
    }
  }
  return sum == static_cast<std::uint64_t>(total_);
}

}  // namespace twinspan::engine
