#pragma once
// The scalars of JSON, read from the place where stage 1 found their first character. Inline: the decoder's inner loop.
// Every function may look up to 16 bytes past what it reads: buffers are padded. Thread: any.

#include <bit>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "engine/base/batch.h"
#include "engine/base/types.h"

namespace twinspan::connectors::json {

// What may stand right behind a number or a literal.
inline bool is_end_of_scalar(unsigned char c) {
  if (c == ',' || c == '}') return true;
  return c == ']' || c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

inline bool is_literal(const char* at, const char* literal, std::size_t length) {
  return std::memcmp(at, literal, length) == 0 && is_end_of_scalar(static_cast<unsigned char>(at[length]));
}
inline bool is_null(const char* at) { return is_literal(at, "null", 4); }
inline bool is_true(const char* at) { return is_literal(at, "true", 4); }
inline bool is_false(const char* at) { return is_literal(at, "false", 5); }

inline bool is_digit(char c) { return static_cast<unsigned char>(c - '0') < 10; }

// The end of a number after RFC 8259's grammar, or nullptr.
inline const char* number_end(const char* p) {
  if (*p == '-') ++p;
  if (!is_digit(*p)) return nullptr;
  if (*p == '0')
    ++p;
  else
    while (is_digit(*p)) ++p;
  if (*p == '.') {
    if (!is_digit(*++p)) return nullptr;
    while (is_digit(*p)) ++p;
  }
  if (*p == 'e' || *p == 'E') {
    ++p;
    if (*p == '+' || *p == '-') ++p;
    if (!is_digit(*p)) return nullptr;
    while (is_digit(*p)) ++p;
  }
  return is_end_of_scalar(static_cast<unsigned char>(*p)) ? p : nullptr;
}

// Eight digits at once, if they are (Lemire, "Quickly parsing eight digits", 2018).
inline bool eight_digits(const char* p, std::uint64_t& value) {
  if constexpr (std::endian::native != std::endian::little) return false;
  std::uint64_t w;
  std::memcpy(&w, p, 8);
  const std::uint64_t not_digits = ((w + 0x4646464646464646ull) | (w - 0x3030303030303030ull)) & 0x8080808080808080ull;
  if (not_digits != 0) return false;
  w -= 0x3030303030303030ull;
  w = w * 10 + (w >> 8);
  w = ((w & 0x000000FF000000FFull) * 0x000F424000000064ull +
       ((w >> 16) & 0x000000FF000000FFull) * 0x0000271000000001ull) >>
      32;
  value = value * 100'000'000 + w;
  return true;
}

// An integer that fits: true. Anything else (also valid JSON such as 1.0) is false; the caller words the failure.
inline bool read_int64(const char* p, std::int64_t& out) {
  const bool negative = *p == '-';
  if (negative) ++p;
  const char* first = p;
  std::uint64_t value = 0;
  if (eight_digits(p, value)) {
    p += 8;
    if (eight_digits(p, value)) p += 8;
  }
  while (is_digit(*p)) value = value * 10 + static_cast<std::uint64_t>(*p++ - '0');
  const auto count = p - first;
  if (count == 0 || !is_end_of_scalar(static_cast<unsigned char>(*p)) || (*first == '0' && count > 1)) return false;
  constexpr std::uint64_t kLimit = std::uint64_t{1} << 63;
  // 19 digits cannot wrap 64 bits.
  if (count > 19 || value > (negative ? kLimit : kLimit - 1)) return false;
  out = static_cast<std::int64_t>(negative ? 0 - value : value);
  return true;
}

// Has [p, p + n) a backslash? Without a loop over single bytes, whose end no branch predictor knows.
inline bool has_backslash(const char* p, std::size_t n) {
#ifdef __SSE2__
  const __m128i backslash = _mm_set1_epi8('\\');
  for (;; p += 16, n -= 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const auto hits = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, backslash)));
    if (n <= 16) return (hits & ((1u << n) - 1)) != 0;
    if (hits != 0) return true;
  }
#else
  return std::memchr(p, '\\', n) != nullptr;
#endif
}

// Exact decimals of up to 18 digits without a detour; the rest through parse_decimal.
inline std::optional<Decimal> read_decimal(std::string_view text, DataType type) {
  static constexpr std::int64_t kPow10[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000};
  if (text.size() <= 19 && type.precision >= 18) {
    const char* p = text.data();
    const char* end = p + text.size();
    const bool negative = p < end && *p == '-';
    if (negative) ++p;
    std::int64_t value = 0;
    const char* digits = p;
    int point = -1, count = 0;
    for (; p < end; ++p) {
      if (is_digit(*p))
        value = value * 10 + (*p - '0'), ++count;
      else if (*p == '.' && point < 0)
        point = static_cast<int>(p - digits);
      else
        break;
    }
    const int fraction = point < 0 ? 0 : count - point;
    const int up = static_cast<int>(type.scale) - fraction;
    if (p == end && count > 0 && up >= 0 && up <= 9 && count + up <= 18) {
      value *= kPow10[up];
      return negative ? -static_cast<Decimal>(value) : static_cast<Decimal>(value);
    }
  }
  return parse_decimal(text, type.precision, type.scale);
}

// Years 1 to 9999, so that every timestamp prints and window arithmetic cannot overflow.
inline bool is_sane_time(std::int64_t ms) { return ms >= -62'135'596'800'000 && ms <= 253'402'300'799'999; }

}  // namespace twinspan::connectors::json
