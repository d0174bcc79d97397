#include "engine/aggregates/exact_float_sum.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace twinspan::engine {

namespace {

constexpr int kFarLow = -1074;  // exponent of the lowest bit: that of the smallest double
constexpr std::size_t kWords = 34;

// a += b, both two's complement of n words.
void add_words(std::uint64_t* a, const std::uint64_t* b, std::size_t n) {
  UDecimal carry = 0;
  for (std::size_t i = 0; i < n; ++i) {
    carry += static_cast<UDecimal>(a[i]) + b[i];
    a[i] = static_cast<std::uint64_t>(carry);
    carry >>= 64;
  }
}

void negate(std::uint64_t* a, std::size_t n) {
  UDecimal carry = 1;
  for (std::size_t i = 0; i < n; ++i) {
    carry += ~a[i];
    a[i] = static_cast<std::uint64_t>(carry);
    carry >>= 64;
  }
}

// words << shift, sign extended, into kWords words.
void widen(const std::uint64_t* words, std::size_t n, unsigned shift, std::uint64_t* out) {
  const std::uint64_t fill = (words[n - 1] >> 63) != 0 ? ~std::uint64_t{0} : 0;
  const std::size_t by = shift / 64;
  const unsigned bits = shift % 64;
  auto word = [&](std::size_t i) { return i < n ? words[i] : fill; };
  for (std::size_t i = 0; i < kWords; ++i) {
    if (i < by)
      out[i] = 0;
    else
      out[i] = bits == 0 ? word(i - by) : (word(i - by) << bits) | (i == by ? 0 : word(i - by - 1) >> (64 - bits));
  }
}

ExactFloatSum::Rounded round_words(const std::uint64_t* words, std::size_t n, int low_exponent) {
  std::uint64_t a[kWords];
  std::memcpy(a, words, n * sizeof *words);
  const bool negative = (a[n - 1] >> 63) != 0;
  if (negative) negate(a, n);
  std::size_t top = n;
  while (top > 0 && a[top - 1] == 0) --top;
  if (top == 0) return {0.0, true};
  const auto length = static_cast<int>(top * 64) - std::countl_zero(a[top - 1]);  // in bits
  std::uint64_t mantissa = 0;
  int exponent = low_exponent;
  if (length <= 53) {
    mantissa = a[0];
  } else {
    const int drop = length - 53;
    const auto bit = [&](int i) { return (a[i / 64] >> (i % 64)) & 1; };
    const int word = drop / 64, bits = drop % 64;
    mantissa = a[word] >> bits;
    if (bits > 11) mantissa |= a[word + 1] << (64 - bits);
    mantissa &= (std::uint64_t{1} << 53) - 1;
    bool sticky = false;
    for (int i = 0; i < (drop - 1) / 64 && !sticky; ++i) sticky = a[i] != 0;
    for (int i = (drop - 1) / 64 * 64; i < drop - 1 && !sticky; ++i) sticky = bit(i) != 0;
    if (bit(drop - 1) != 0 && (sticky || (mantissa & 1) != 0)) ++mantissa;
    exponent += drop;
  }
  // Exact: what was rounded is no subnormal, and subnormals were not rounded.
  const double v = std::ldexp(static_cast<double>(mantissa), exponent);
  return {negative ? -v : v, !std::isinf(v)};
}

}  // namespace

ExactFloatSum::Far& ExactFloatSum::make_far(BlockMemory& memory) {
  if (far == nullptr) {
    far = reinterpret_cast<Far*>(memory.take(sizeof(Far)));
    std::memset(far, 0, sizeof(Far));
  }
  return *far;
}

void ExactFloatSum::count_far(double v, int times, BlockMemory& memory) {
  Far& f = make_far(memory);
  if (std::isnan(v)) {
    f.nan += times;
  } else if (std::isinf(v)) {
    (v > 0 ? f.infinity : f.minus_infinity) += times;
  } else {
    const auto bits = std::bit_cast<std::uint64_t>(v);
    const auto exponent = static_cast<unsigned>((bits >> 52) & 0x7FF);
    std::uint64_t word = bits & ((std::uint64_t{1} << 52) - 1);
    if (exponent != 0) word |= std::uint64_t{1} << 52;
    const std::uint64_t one[2] = {word, 0};
    std::uint64_t wide[kWords];
    widen(one, 2, exponent == 0 ? 0 : exponent - 1, wide);
    if ((v < 0) != (times < 0)) negate(wide, kWords);
    add_words(f.words, wide, kWords);
  }
}

void ExactFloatSum::merge(const ExactFloatSum& from, BlockMemory& memory) {
  add_words(near, from.near, 3);
  if (from.far == nullptr) return;
  Far& f = make_far(memory);
  f.nan += from.far->nan;
  f.infinity += from.far->infinity;
  f.minus_infinity += from.far->minus_infinity;
  add_words(f.words, from.far->words, kWords);
}

ExactFloatSum::Rounded ExactFloatSum::rounded() const {
  if (far == nullptr) return round_words(near, 3, kLow);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (far->nan > 0 || (far->infinity > 0 && far->minus_infinity > 0))
    return {std::numeric_limits<double>::quiet_NaN(), true};
  if (far->infinity > 0) return {kInfinity, true};
  if (far->minus_infinity > 0) return {-kInfinity, true};
  std::uint64_t all[kWords];
  widen(near, 3, kLow - kFarLow, all);
  add_words(all, far->words, kWords);
  return round_words(all, kWords, kFarLow);
}

}  // namespace twinspan::engine
