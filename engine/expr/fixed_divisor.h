#pragma once
// Division of int64 by a number that does not change, by multiplication (Granlund and Montgomery, 1994; the constant as
// in Warren: Hacker's Delight, 10-1). Of every divisor but 0, 1, -1 and the least int64. Thread: any.

#include <cstdint>

#include "engine/base/types.h"

namespace twinspan::engine {

class FixedDivisor {
 public:
  static bool takes(std::int64_t d) { return d != 0 && d != 1 && d != -1 && d != INT64_MIN; }
  explicit FixedDivisor(std::int64_t d) : divisor_(d) {
    const std::uint64_t half = std::uint64_t{1} << 63, magnitude = static_cast<std::uint64_t>(d < 0 ? -d : d);
    const std::uint64_t t = half + (d < 0 ? 1 : 0), limit = t - 1 - t % magnitude;
    std::uint64_t q1 = half / limit, r1 = half % limit, q2 = half / magnitude, r2 = half % magnitude, delta = 0;
    do {
      ++shift_;
      const auto twice = [](std::uint64_t& q, std::uint64_t& r, std::uint64_t by) {
        q *= 2;
        r *= 2;
        if (r >= by) ++q, r -= by;
      };
      twice(q1, r1, limit);
      twice(q2, r2, magnitude);
      delta = magnitude - r2;
    } while (q1 < delta || (q1 == delta && r1 == 0));
    --shift_;
    factor_ = static_cast<std::int64_t>(d < 0 ? -(q2 + 1) : q2 + 1);
    add_ = d > 0 && factor_ < 0 ? 1 : d < 0 && factor_ > 0 ? -1 : 0;
  }
  std::int64_t quotient(std::int64_t x) const {
    auto q = static_cast<std::uint64_t>((static_cast<Decimal>(factor_) * x) >> 64) +
             static_cast<std::uint64_t>(add_) * static_cast<std::uint64_t>(x);
    q = static_cast<std::uint64_t>(static_cast<std::int64_t>(q) >> shift_);
    return static_cast<std::int64_t>(q + (q >> 63));
  }
  // What is left of x, where the divisor is 2^n or -2^n: without a multiplication, so that it is a vector.
  bool is_power_of_two() const { return (magnitude() & (magnitude() - 1)) == 0; }
  std::uint64_t magnitude() const {
    return divisor_ < 0 ? -static_cast<std::uint64_t>(divisor_) : static_cast<std::uint64_t>(divisor_);
  }
  static std::int64_t remainder_of_power(std::int64_t x, std::uint64_t mask) {
    const std::uint64_t up = x < 0 ? mask : 0;
    return static_cast<std::int64_t>(((static_cast<std::uint64_t>(x) + up) & mask) - up);
  }
  std::int64_t remainder(std::int64_t x) const {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(x) -
                                     static_cast<std::uint64_t>(quotient(x)) * static_cast<std::uint64_t>(divisor_));
  }

 private:
  std::int64_t divisor_, factor_ = 0, add_ = 0;
  int shift_ = 0;
};

}  // namespace twinspan::engine
