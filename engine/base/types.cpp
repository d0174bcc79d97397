#include "engine/base/types.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace twinspan {

std::string decimal_to_string(Decimal unscaled, unsigned scale) {
  bool negative = unscaled < 0;
  UDecimal magnitude = negative ? -static_cast<UDecimal>(unscaled) : static_cast<UDecimal>(unscaled);
  std::string digits;
  do {
    digits.push_back(static_cast<char>('0' + static_cast<int>(magnitude % 10)));
    magnitude /= 10;
  } while (magnitude != 0);
  while (digits.size() <= scale) digits.push_back('0');
  std::reverse(digits.begin(), digits.end());
  if (scale > 0) digits.insert(digits.size() - scale, 1, '.');
  return negative ? "-" + digits : digits;
}

std::optional<Decimal> parse_decimal(std::string_view text, unsigned precision, unsigned scale) {
  std::size_t i = 0;
  bool negative = false;
  if (i < text.size() && (text[i] == '-' || text[i] == '+')) negative = text[i++] == '-';
  // Mantissa digits and the decimal exponent are gathered first, so that 1.5e3 is as exact as 1500.
  std::string digits;
  int exponent = 0;
  bool any = false, point = false;
  for (; i < text.size(); ++i) {
    char c = text[i];
    if (c >= '0' && c <= '9') {
      any = true;
      if (digits.size() < 80) {
        if (!(digits.empty() && c == '0')) digits.push_back(c);
        if (point) --exponent;
      } else if (!point) {
        ++exponent;
      }
    } else if (c == '.' && !point) {
      point = true;
    } else {
      break;
    }
  }
  if (!any) return std::nullopt;
  if (i < text.size()) {
    if (text[i] != 'e' && text[i] != 'E') return std::nullopt;
    const char* p = text.data() + i + 1;
    const char* end = text.data() + text.size();
    if (p < end && *p == '+' && (++p == end || *p == '-')) return std::nullopt;
    int e = 0;
    auto r = std::from_chars(p, end, e);
    if (r.ec != std::errc() || r.ptr != end || e > 1000 || e < -1000) return std::nullopt;
    exponent += e;
  }
  int shift = exponent + static_cast<int>(scale);  // digits * 10^shift is the unscaled value
  bool round_up = false;
  if (shift < 0) {
    std::size_t cut = static_cast<std::size_t>(-shift);
    if (cut > digits.size()) {
      digits.clear();
    } else {
      round_up = digits[digits.size() - cut] >= '5';
      digits.resize(digits.size() - cut);
    }
  } else if (!digits.empty()) {
    if (digits.size() + static_cast<std::size_t>(shift) > 38) return std::nullopt;
    digits.append(static_cast<std::size_t>(shift), '0');
  }
  if (digits.size() > 38) return std::nullopt;
  Decimal value = 0;
  for (char c : digits) value = value * 10 + (c - '0');
  if (round_up) ++value;
  Decimal limit = 1;
  for (unsigned p = 0; p < precision; ++p) limit *= 10;
  if (value >= limit) return std::nullopt;
  return negative ? -value : value;
}

namespace {

// Days since 1970-01-01 of a proleptic Gregorian date, and back (H. Hinnant, "chrono-Compatible Low-Level Date
// Algorithms").
std::int64_t days_from_civil(std::int64_t y, unsigned m, unsigned d) {
  y -= m <= 2;
  const std::int64_t era = (y >= 0 ? y : y - 399) / 400;
  const auto yoe = static_cast<unsigned>(y - era * 400);
  const unsigned doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  const unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
  return era * 146097 + static_cast<std::int64_t>(doe) - 719468;
}

struct Civil {
  std::int64_t year;
  unsigned month, day;
};
Civil civil_from_days(std::int64_t z) {
  z += 719468;
  const std::int64_t era = (z >= 0 ? z : z - 146096) / 146097;
  const auto doe = static_cast<unsigned>(z - era * 146097);
  const unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  const std::int64_t y = static_cast<std::int64_t>(yoe) + era * 400;
  const unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  const unsigned mp = (5 * doy + 2) / 153;
  const unsigned m = mp + (mp < 10 ? 3 : -9);
  return {y + (m <= 2), m, doy - (153 * mp + 2) / 5 + 1};
}

bool digits(std::string_view s, std::size_t at, std::size_t n, unsigned& out) {
  if (at + n > s.size()) return false;
  out = 0;
  for (std::size_t i = at; i < at + n; ++i) {
    if (s[i] < '0' || s[i] > '9') return false;
    out = out * 10 + static_cast<unsigned>(s[i] - '0');
  }
  return true;
}

}  // namespace

std::string timestamp_to_string(std::int64_t ms) {
  std::int64_t days = ms / 86400000, rest = ms % 86400000;
  if (rest < 0) rest += 86400000, --days;
  const Civil c = civil_from_days(days);
  auto text = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", c.year, c.month, c.day, rest / 3600000,
                          rest / 60000 % 60, rest / 1000 % 60);
  if (rest % 1000 != 0) text += fmt::format(".{:03}", rest % 1000);
  return text + "Z";
}

std::optional<std::int64_t> parse_timestamp(std::string_view s) {
  unsigned y = 0, mo = 0, d = 0, h = 0, mi = 0, sec = 0;
  if (!digits(s, 0, 4, y) || s.size() < 10 || s[4] != '-' || !digits(s, 5, 2, mo) || s[7] != '-' || !digits(s, 8, 2, d))
    return std::nullopt;
  static constexpr unsigned kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (mo < 1 || mo > 12) return std::nullopt;
  const bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
  if (d < 1 || d > kDays[mo - 1] + (mo == 2 && leap ? 1 : 0)) return std::nullopt;
  std::int64_t ms = days_from_civil(y, mo, d) * 86400000;
  std::size_t i = 10;
  if (i == s.size()) return ms;
  if (s[i] != 'T' && s[i] != ' ' && s[i] != 't') return std::nullopt;
  if (!digits(s, 11, 2, h) || s.size() < 16 || s[13] != ':' || !digits(s, 14, 2, mi) || h > 23 || mi > 59)
    return std::nullopt;
  i = 16;
  if (i < s.size() && s[i] == ':') {
    if (!digits(s, 17, 2, sec) || sec > 60) return std::nullopt;
    i = 19;
    if (i < s.size() && (s[i] == '.' || s[i] == ',')) {
      ++i;
      std::size_t n = 0;
      std::int64_t fraction = 0;
      for (; i < s.size() && s[i] >= '0' && s[i] <= '9'; ++i, ++n)
        if (n < 3) fraction = fraction * 10 + (s[i] - '0');
      if (n == 0) return std::nullopt;
      for (; n < 3; ++n) fraction *= 10;
      ms += fraction;
    }
  }
  ms += (static_cast<std::int64_t>(h) * 3600 + mi * 60 + sec) * 1000;
  if (i == s.size()) return ms;
  if ((s[i] == 'Z' || s[i] == 'z') && i + 1 == s.size()) return ms;
  if (s[i] != '+' && s[i] != '-') return std::nullopt;
  unsigned zh = 0, zm = 0;
  const bool west = s[i] == '-';
  if (!digits(s, i + 1, 2, zh)) return std::nullopt;
  std::size_t at = i + 3;
  const bool colon = at < s.size() && s[at] == ':';
  if (colon) ++at;
  if (colon || at < s.size()) {
    if (!digits(s, at, 2, zm)) return std::nullopt;
    at += 2;
  }
  if (at != s.size() || zh > 18 || zm > 59) return std::nullopt;
  const std::int64_t zone = (static_cast<std::int64_t>(zh) * 60 + zm) * 60000;
  return west ? ms + zone : ms - zone;
}

}  // namespace twinspan
