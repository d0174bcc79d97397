#pragma once
// Quantiles of float64 values within a relative error of 1/129 (0.78 %): DDSketch (Masson, Rim, Lee 2019) with buckets
// that divide each power of two into 64 equal parts, so that a value's bucket is the upper bits of its double. Buckets
// lie in pages of one power of two and one sign, 64 counts each; at most 64 pages are kept, those of the greatest
// magnitudes that ever came, and smaller values count as zero. Counts are added when parts are merged, and may be taken
// back; the content depends neither on order nor on parts. 48 bytes, 0.5 KiB of owned memory a page. Owned by a block.
// Thread: shard.

#include <bit>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "engine/aggregates/block_memory.h"

namespace twinspan::engine {

class QuantileSketch {
 public:
  static constexpr double kRelativeError = 1.0 / 129;
  static constexpr std::uint32_t kPages = 64;

  void add(double v, std::int64_t times, BlockMemory& memory) {
    total_ += times;
    const auto bits = std::bit_cast<std::uint64_t>(v);
    const auto exponent = static_cast<std::int32_t>((bits >> 52) & 0x7FF);
    if (v != v) [[unlikely]] {
      nan_ += times;
      return;
    }
    if (exponent == 0) {  // zero and subnormals
      zero_ += times;
      return;
    }
    if (std::int64_t* counts = page((bits >> 63) != 0 ? -exponent : exponent, memory))
      counts[(bits >> 46) & 63] += times;
    else
      zero_ += times;
  }
  void merge(const QuantileSketch& from, BlockMemory& memory);
  std::int64_t total() const { return total_; }
  // The value at rank floor(p * (total - 1)); total must be above zero.
  double quantile(double p) const;
  void release(BlockMemory& memory);
  void save(std::string& to) const;
  bool load(std::string_view& from, BlockMemory& memory);  // on an empty one

 private:
  struct Page {
    std::int64_t octave;  // the exponent bits; below zero: of negative values
    std::int64_t* counts;
  };
  static constexpr std::size_t kPageBytes = 64 * sizeof(std::int64_t);
  static std::uint32_t rank_of(std::int64_t octave) {
    return static_cast<std::uint32_t>(std::abs(octave)) * 2 + (octave > 0 ? 1 : 0);
  }
  // nullptr: too small to be told from zero.
  std::int64_t* page(std::int64_t octave, BlockMemory& memory) {
    // From the greatest on: half of evenly spread values lie in the last page, a quarter in the one before.
    for (std::uint32_t i = size_; i > 0; --i)
      if (pages_[i - 1].octave == octave) return pages_[i - 1].counts;
    return make_page(octave, memory);
  }
  std::int64_t* make_page(std::int64_t octave, BlockMemory& memory);
  void drop_page(std::uint32_t i, BlockMemory& memory);

  Page* pages_;  // by octave; all zero: empty
  std::uint32_t size_, capacity_;
  std::int64_t total_, zero_, nan_;
  std::uint64_t floor_;  // ranks up to this one count as zero
};

}  // namespace twinspan::engine
