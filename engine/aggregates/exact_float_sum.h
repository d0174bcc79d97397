#pragma once
// The exact sum of float64 values, as an integer of 192 bits that counts 2^-100: values from 2^-48 to 2^52, and zero,
// go there with a shift and three additions. What lies outside, NaN and the infinities go to a `Far` of 2 176 bits,
// which covers every double (Kulisch's long accumulator) and is made when the first of them comes. Sums are then
// rounded once, so they depend neither on the order of rows nor on parts, and values can be taken back. Owned by a
// block. Thread: shard.

#include <bit>
#include <cstdint>

#include "engine/aggregates/block_memory.h"

namespace twinspan::engine {

struct ExactFloatSum {
  struct Far {
    std::int64_t nan, infinity, minus_infinity;  // how many
    std::uint64_t words[34];                     // two's complement, in units of 2^-1074
  };
  std::uint64_t near[3];  // two's complement, in units of 2^-100
  Far* far;

  void add(double v, BlockMemory& memory) { count(v, 1, memory); }
  void remove(double v, BlockMemory& memory) { count(v, -1, memory); }
  void merge(const ExactFloatSum& from, BlockMemory& memory);

  // Rounded to nearest, ties to even. The infinities as in IEEE 754; a sum of finite values that is out of range is
  // reported as not `finite_range`.
  struct Rounded {
    double value;
    bool in_range;
  };
  Rounded rounded() const;

 private:
  static constexpr int kLow = -100;  // exponent of the lowest bit

  void count(double v, int times, BlockMemory& memory) {  // times: 1 or -1
    const auto bits = std::bit_cast<std::uint64_t>(v);
    const auto exponent = static_cast<int>((bits >> 52) & 0x7FF) - 1023;
    if (exponent < -48 || exponent >= 52) [[unlikely]] {
      if (v != 0) count_far(v, times, memory);
      return;
    }
    const std::uint64_t mantissa = (bits & ((std::uint64_t{1} << 52) - 1)) | (std::uint64_t{1} << 52);
    const auto shift = static_cast<unsigned>(exponent - 52 - kLow);  // 0 to 99
    const UDecimal wide = static_cast<UDecimal>(mantissa) << (shift & 63);
    const auto low = static_cast<std::uint64_t>(wide), high = static_cast<std::uint64_t>(wide >> 64);
    const std::uint64_t up = shift >= 64 ? ~std::uint64_t{0} : 0;
    const std::uint64_t sign = (bits >> 63) != (times < 0 ? 1u : 0u) ? ~std::uint64_t{0} : 0;
    const std::uint64_t part[3] = {low & ~up, (high & ~up) | (low & up), high & up};
    UDecimal carry = sign & 1;
    for (int i = 0; i < 3; ++i) {
      carry += static_cast<UDecimal>(near[i]) + (part[i] ^ sign);
      near[i] = static_cast<std::uint64_t>(carry);
      carry >>= 64;
    }
  }
  void count_far(double v, int times, BlockMemory& memory);
  Far& make_far(BlockMemory& memory);
};

}  // namespace twinspan::engine
