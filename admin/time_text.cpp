#include "admin/time_text.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <ctime>
#include <utility>

namespace twinspan::admin {
namespace {

bool digit(char c) { return c >= '0' && c <= '9'; }

// Digits only, from the front of `text`; at most `max_digits`.
std::optional<std::int64_t> take_number(std::string_view& text, std::size_t max_digits = 15) {
  std::size_t n = 0;
  while (n < text.size() && n <= max_digits && digit(text[n])) ++n;
  if (n == 0 || n > max_digits) return std::nullopt;
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + n, value);
  text.remove_prefix(n);
  return value;
}

bool take(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word)) return false;
  text.remove_prefix(word.size());
  return true;
}

std::optional<int> two(std::string_view& text, int low, int high) {
  if (text.size() < 2 || !digit(text[0]) || !digit(text[1])) return std::nullopt;
  const int value = (text[0] - '0') * 10 + (text[1] - '0');
  text.remove_prefix(2);
  if (value < low || value > high) return std::nullopt;
  return value;
}

}  // namespace

std::optional<std::int64_t> parse_duration(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, std::int64_t>, 5> kUnits{
      {{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
  if (text.empty()) return std::nullopt;
  std::int64_t total = 0, last_unit = 0;
  while (!text.empty()) {
    const auto number = take_number(text, 12);
    if (!number) return std::nullopt;
    std::int64_t unit = 0;
    for (const auto& [name, ms] : kUnits) {
      if (take(text, name)) {
        unit = ms;
        break;
      }
    }
    if (unit == 0 || (last_unit != 0 && unit >= last_unit)) return std::nullopt;
    last_unit = unit;
    std::int64_t part = 0;
    if (__builtin_mul_overflow(*number, unit, &part) || __builtin_add_overflow(total, part, &total))
      return std::nullopt;
  }
  return total;
}

std::optional<std::int64_t> parse_timestamp(std::string_view text) {
  if (text.size() < 20 || !digit(text[0]) || !digit(text[1]) || !digit(text[2]) || !digit(text[3])) return std::nullopt;
  std::tm tm{};
  const auto year = take_number(text, 4);
  if (!year || !take(text, "-")) return std::nullopt;
  const auto month = two(text, 1, 12);
  if (!month || !take(text, "-")) return std::nullopt;
  const auto day = two(text, 1, 31);
  if (!day || !(take(text, "T") || take(text, " "))) return std::nullopt;
  const auto hour = two(text, 0, 23);
  if (!hour || !take(text, ":")) return std::nullopt;
  const auto minute = two(text, 0, 59);
  if (!minute || !take(text, ":")) return std::nullopt;
  const auto second = two(text, 0, 59);
  if (!second) return std::nullopt;
  std::int64_t fraction_ms = 0;
  if (take(text, ".")) {
    int scale = 100;
    std::size_t digits = 0;
    for (; !text.empty() && digit(text[0]); text.remove_prefix(1), ++digits) {
      fraction_ms += (text[0] - '0') * scale;
      scale /= 10;
    }
    if (digits == 0) return std::nullopt;
  }
  std::int64_t offset_minutes = 0;
  if (!take(text, "Z")) {
    if (text.empty() || (text[0] != '+' && text[0] != '-')) return std::nullopt;
    const int sign = text[0] == '-' ? -1 : 1;
    text.remove_prefix(1);
    const auto h = two(text, 0, 23);
    if (!h || !take(text, ":")) return std::nullopt;
    const auto m = two(text, 0, 59);
    if (!m) return std::nullopt;
    offset_minutes = sign * (*h * 60 + *m);
  }
  if (!text.empty()) return std::nullopt;
  tm.tm_year = static_cast<int>(*year) - 1900;
  tm.tm_mon = *month - 1;
  tm.tm_mday = *day;
  tm.tm_hour = *hour;
  tm.tm_min = *minute;
  tm.tm_sec = *second;
  const std::int64_t seconds = timegm(&tm);
  if (tm.tm_mday != *day) return std::nullopt;  // 31 February was normalised
  return (seconds - offset_minutes * 60) * 1000 + fraction_ms;
}

std::optional<std::uint64_t> parse_count(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc() || !(value >= 0)) return std::nullopt;
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  static constexpr std::array<std::pair<std::string_view, double>, 11> kUnits{{{"", 1},
                                                                               {"k", 1e3},
                                                                               {"M", 1e6},
                                                                               {"G", 1e9},
                                                                               {"B", 1},
                                                                               {"kB", 1e3},
                                                                               {"MB", 1e6},
                                                                               {"GB", 1e9},
                                                                               {"KiB", 1024.0},
                                                                               {"MiB", 1048576.0},
                                                                               {"GiB", 1073741824.0}}};
  for (const auto& [name, factor] : kUnits) {
    if (unit == name) {
      const double total = std::round(value * factor);
      if (!(total < 1e15)) return std::nullopt;
      return static_cast<std::uint64_t>(total);
    }
  }
  return std::nullopt;
}

std::string format_timestamp(std::int64_t ms) {
  if (ms < 0) return "-";
  const std::time_t seconds = ms / 1000;
  std::tm tm{};
  gmtime_r(&seconds, &tm);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
                     tm.tm_hour, tm.tm_min, tm.tm_sec, ms % 1000);
}

std::string format_duration(std::int64_t ms) {
  if (ms < 0) return "-";
  if (ms < 1'000) return fmt::format("{} ms", ms);
  if (ms < 60'000) return fmt::format("{}.{} s", ms / 1'000, ms % 1'000 / 100);
  const std::int64_t s = ms / 1'000;
  if (s < 3'600) return fmt::format("{} min {} s", s / 60, s % 60);
  if (s < 86'400) return fmt::format("{} h {} min", s / 3'600, s % 3'600 / 60);
  return fmt::format("{} d {} h", s / 86'400, s % 86'400 / 3'600);
}

std::string format_count(std::int64_t n) {
  if (n < 0) return "-";
  std::string digits = std::to_string(n);
  for (std::size_t at = digits.size(); at > 3;) {
    at -= 3;
    digits.insert(at, 1, ',');
  }
  return digits;
}

std::string format_bytes(double bytes) {
  static constexpr std::array<const char*, 5> kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < kUnits.size()) bytes /= 1024, ++unit;
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, kUnits[unit]);
}

std::string format_rate(double per_second) {
  if (per_second >= 1e6) return fmt::format("{:.2f} M/s", per_second / 1e6);
  if (per_second >= 1e4) return fmt::format("{:.1f} k/s", per_second / 1e3);
  return fmt::format("{:.0f} /s", per_second);
}

}  // namespace twinspan::admin
