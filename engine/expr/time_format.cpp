#include "engine/expr/time_format.h"

#include <algorithm>

#include <fmt/format.h>

#include "engine/expr/time_units.h"

namespace twinspan::engine {

namespace {

constexpr std::string_view kMonths[] = {"January", "February", "March",     "April",   "May",      "June",
                                        "July",    "August",   "September", "October", "November", "December"};
constexpr std::string_view kDays[] = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};
constexpr std::size_t kMaxPattern = 256;

bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool known(char field, int n) {
  switch (field) {
    case 'y': return n == 2 || n == 4;
    case 'M': return n <= 4;
    case 'E': return n <= 4;
    case 'D': return n == 1 || n == 3;
    case 'd':
    case 'H':
    case 'h':
    case 'm':
    case 's': return n <= 2;
    case 'S': return n <= 6;
    case 'a': return n == 1;
    case 'X':
    case 'x': return n <= 3;
    case 'z': return n == 1;
    default: return false;
  }
}

void put_offset(char field, int width, std::int64_t offset, std::string& out) {
  if (field == 'X' && offset == 0) {
    out += 'Z';
    return;
  }
  const std::int64_t minutes = (offset < 0 ? -offset : offset) / 60'000;
  const bool colon = field == 'z' || width == 3;
  out += offset < 0 ? '-' : '+';
  out += fmt::format("{:02}", minutes / 60);
  if (width == 1 && field != 'z' && minutes % 60 == 0) return;
  out += fmt::format("{}{:02}", colon ? ":" : "", minutes % 60);
}

bool read_digits(std::string_view s, std::size_t& i, int least, int most, std::int64_t& out) {
  out = 0;
  int n = 0;
  while (n < most && i < s.size() && s[i] >= '0' && s[i] <= '9') out = out * 10 + (s[i++] - '0'), ++n;
  return n >= least;
}

template <std::size_t N>
bool read_name(std::string_view s, std::size_t& i, const std::string_view (&names)[N], bool full, std::int64_t& out) {
  for (std::size_t k = 0; k < N; ++k) {
    const std::string_view name = full ? names[k] : names[k].substr(0, 3);
    if (s.size() - i < name.size()) continue;
    bool same = true;
    for (std::size_t c = 0; c < name.size(); ++c) same = same && (s[i + c] | 0x20) == (name[c] | 0x20);
    if (!same) continue;
    i += name.size();
    out = static_cast<std::int64_t>(k) + 1;
    return true;
  }
  return false;
}

bool read_offset(std::string_view s, std::size_t& i, std::int64_t& out) {
  if (i < s.size() && s[i] == 'Z') {
    ++i;
    out = 0;
    return true;
  }
  if (i >= s.size() || (s[i] != '+' && s[i] != '-')) return false;
  const std::int64_t sign = s[i++] == '-' ? -1 : 1;
  std::int64_t hours = 0, minutes = 0;
  if (!read_digits(s, i, 2, 2, hours)) return false;
  const bool colon = i < s.size() && s[i] == ':';
  if (colon) ++i;
  if (!read_digits(s, i, colon ? 2 : 0, 2, minutes)) return false;
  out = sign * (hours * 60 + minutes) * 60'000;
  return hours <= 18 && minutes <= 59;
}

}  // namespace

std::optional<TimeFormat> TimeFormat::compile(std::string_view s, std::string& error) {
  TimeFormat out;
  const auto literal = [&](std::string_view text) {
    if (out.parts_.empty() || out.parts_.back().field != 0) out.parts_.push_back({});
    out.parts_.back().literal += text;
  };
  if (s.size() > kMaxPattern) {
    error = fmt::format("the format has more than {} characters", kMaxPattern);
    return std::nullopt;
  }
  for (std::size_t i = 0; i < s.size();) {
    if (s[i] == '\'') {
      const std::size_t close = s.find('\'', i + 1);
      if (close == std::string_view::npos) {
        error = "a quoted part of the format is not closed";
        return std::nullopt;
      }
      literal(close == i + 1 ? "'" : s.substr(i + 1, close - i - 1));
      i = close + 1;
    } else if (letter(s[i])) {
      std::size_t n = 1;
      while (i + n < s.size() && s[i + n] == s[i]) ++n;
      if (n > 6 || !known(s[i], static_cast<int>(n))) {
        error = fmt::format(
            "unknown field `{}` in the format: yyyy, MM, dd, HH, mm, ss, SSS and the like are known, text goes in "
            "quotes",
            s.substr(i, n));
        return std::nullopt;
      }
      out.parts_.push_back({s[i], static_cast<int>(n), {}});
      i += n;
    } else {
      literal(s.substr(i++, 1));
    }
  }
  return out;
}

void TimeFormat::format(std::int64_t local, std::int64_t offset, std::string& out) const {
  const auto number = [&](std::int64_t v, int width) { out += fmt::format("{:0{}}", v, width); };
  for (const Part& p : parts_) {
    switch (p.field) {
      case 0: out += p.literal; break;
      case 'y': {
        const std::int64_t y = extract_time(TimeUnit::year, local);
        number(p.width == 2 ? ((y % 100) + 100) % 100 : y, p.width);
        break;
      }
      case 'M': {
        const std::int64_t m = extract_time(TimeUnit::month, local);
        if (p.width <= 2)
          number(m, p.width);
        else
          out += p.width == 3 ? kMonths[m - 1].substr(0, 3) : kMonths[m - 1];
        break;
      }
      case 'E': {
        const std::string_view day = kDays[extract_time(TimeUnit::isodow, local) - 1];
        out += p.width < 4 ? day.substr(0, 3) : day;
        break;
      }
      case 'd': number(extract_time(TimeUnit::day, local), p.width); break;
      case 'D': number(extract_time(TimeUnit::doy, local), p.width); break;
      case 'H': number(extract_time(TimeUnit::hour, local), p.width); break;
      case 'h': number((extract_time(TimeUnit::hour, local) + 11) % 12 + 1, p.width); break;
      case 'a': out += extract_time(TimeUnit::hour, local) < 12 ? "AM" : "PM"; break;
      case 'm': number(extract_time(TimeUnit::minute, local), p.width); break;
      case 's': number(extract_time(TimeUnit::second, local), p.width); break;
      case 'S': {
        const std::string digits = fmt::format("{:03}000", extract_time(TimeUnit::millisecond, local));
        out += digits.substr(0, static_cast<std::size_t>(p.width));
        break;
      }
      default: put_offset(p.field, p.width, offset, out);
    }
  }
}

std::optional<TimeFormat::Parsed> TimeFormat::parse(std::string_view s) const {
  std::int64_t year = 1970, month = 1, day = 1, doy = 0, hour = 0, half = 0, minute = 0, second = 0, ms = 0,
               ignored = 0;
  bool pm = false, twelve = false;
  Parsed out;
  std::size_t i = 0;
  for (std::size_t k = 0; k < parts_.size(); ++k) {
    const Part& p = parts_[k];
    // Digits that follow each other without a mark in between have the width of the pattern; else up to two (or four).
    const bool tight = k + 1 < parts_.size() && parts_[k + 1].field != 0;
    const int most = tight || p.width >= 2 ? std::max(p.width, 1) : 2;
    const int least = p.width >= 2 ? p.width : 1;
    bool good = true;
    switch (p.field) {
      case 0:
        good = s.substr(i).starts_with(p.literal);
        i += p.literal.size();
        break;
      case 'y':
        good = read_digits(s, i, least, p.width == 2 ? 2 : 4, year);
        if (p.width == 2) year += 2000;
        break;
      case 'M':
        good = p.width >= 3 ? read_name(s, i, kMonths, p.width == 4, month) : read_digits(s, i, least, most, month);
        break;
      case 'E': good = read_name(s, i, kDays, p.width == 4, ignored); break;
      case 'd': good = read_digits(s, i, least, most, day); break;
      case 'D': good = read_digits(s, i, least, 3, doy) && doy >= 1; break;
      case 'H': good = read_digits(s, i, least, most, hour) && hour <= 23; break;
      case 'h':
        good = read_digits(s, i, least, most, half) && half >= 1 && half <= 12;
        twelve = true;
        break;
      case 'a': {
        const std::string_view mark = s.substr(i, 2);
        pm = mark == "PM" || mark == "pm";
        good = pm || mark == "AM" || mark == "am";
        i += 2;
        break;
      }
      case 'm': good = read_digits(s, i, least, most, minute) && minute <= 59; break;
      case 's': good = read_digits(s, i, least, most, second) && second <= 59; break;
      case 'S': {
        good = read_digits(s, i, p.width, p.width, ms);
        for (int n = p.width; n < 3; ++n) ms *= 10;
        for (int n = p.width; n > 3; --n) ms /= 10;
        break;
      }
      default: {
        std::int64_t offset = 0;
        good = read_offset(s, i, offset);
        out.offset = offset;
      }
    }
    if (!good) return std::nullopt;
  }
  if (i != s.size()) return std::nullopt;
  if (twelve) hour = half % 12 + (pm ? 12 : 0);
  const std::int64_t in_day = ((hour * 60 + minute) * 60 + second) * 1000 + ms;
  if (doy > 0) {
    if (!make_time(year, 1, 1, in_day, out.local)) return std::nullopt;
    out.local += (doy - 1) * 86'400'000;
    if (extract_time(TimeUnit::year, out.local) != year) return std::nullopt;
    return out;
  }
  if (!make_time(year, month, day, in_day, out.local)) return std::nullopt;
  return out;
}

}  // namespace twinspan::engine
