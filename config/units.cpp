#include "config/units.h"

#include "config/diagnostic.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

namespace twinspan::config {

namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

constexpr std::array<Unit, 5> kTimes = {{{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr std::array<Unit, 9> kSizes = {{{"TiB", 1ull << 40},
                                         {"TB", 1'000'000'000'000},
                                         {"GiB", 1ull << 30},
                                         {"GB", 1'000'000'000},
                                         {"MiB", 1ull << 20},
                                         {"MB", 1'000'000},
                                         {"KiB", 1ull << 10},
                                         {"kB", 1'000},
                                         {"B", 1}}};
constexpr std::array<Unit, 4> kCounts = {{{"G", 1'000'000'000}, {"M", 1'000'000}, {"k", 1'000}, {"", 1}}};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_number(std::string_view text) {
  if (!text.empty() && text.front() == '-') text.remove_prefix(1);
  return !text.empty() && text.find_first_not_of("0123456789.") == std::string_view::npos && is_digit(text.front());
}

UnitError bare(std::string_view text, std::string_view what, std::string hint) {
  return {true, fmt::format("{} has no unit, and {} needs one", in_quotes(text), what), std::move(hint)};
}

UnitError bad(std::string_view text, std::string_view what, std::string hint) {
  return {false, fmt::format("{} is not {}", in_quotes(text), what), std::move(hint)};
}

// Splits "1.5GiB" into 1.5 and "GiB".
std::optional<std::pair<double, std::string_view>> split_number(std::string_view text) {
  const std::size_t end = text.find_first_not_of("0123456789.");
  const std::string_view digits = text.substr(0, end);
  if (digits.empty() || !is_digit(digits.front()) || digits.back() == '.') return std::nullopt;
  double value = 0;
  const auto [rest, code] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (code != std::errc() || rest != digits.data() + digits.size()) return std::nullopt;
  return std::pair(value, end == std::string_view::npos ? std::string_view() : text.substr(end));
}

std::optional<double> size_of(std::string_view text) {
  const auto parts = split_number(text);
  if (!parts) return std::nullopt;
  for (const Unit& unit : kSizes) {
    if (parts->second == unit.name) return parts->first * static_cast<double>(unit.factor);
  }
  return std::nullopt;
}

}  // namespace

UnitResult<Duration> parse_duration(std::string_view text) {
  static constexpr std::string_view kHint = "units are ms, s, m, h, d: 500ms, 30s, 1h30m";
  if (is_number(text)) {
    return bare(text, "a duration", fmt::format("write {}s or {}ms", text, text));
  }
  std::string_view rest = text;
  const bool negative = !rest.empty() && rest.front() == '-';
  if (negative) rest.remove_prefix(1);
  if (rest.empty()) return bad(text, "a duration", std::string(kHint));
  std::uint64_t total = 0;
  std::size_t next_unit = 0;  // units come largest first, each once
  while (!rest.empty()) {
    std::uint64_t number = 0;
    const auto [end, code] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    if (code != std::errc()) return bad(text, "a duration", std::string(kHint));
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    std::size_t length = 0;
    while (length < rest.size() && !is_digit(rest[length])) ++length;
    std::size_t unit = next_unit;
    while (unit < kTimes.size() && kTimes[unit].name != rest.substr(0, length)) ++unit;
    if (unit == kTimes.size()) return bad(text, "a duration", std::string(kHint));
    next_unit = unit + 1;
    rest.remove_prefix(length);
    constexpr std::uint64_t kMax = 36'500ull * 86'400'000ull;  // a century
    if (number > kMax / kTimes[unit].factor || (total += number * kTimes[unit].factor) > kMax) {
      return UnitError{false, fmt::format("{} is longer than 36500d", in_quotes(text)), {}};
    }
  }
  const auto value = static_cast<std::int64_t>(total);
  return Duration(negative ? -value : value);
}

UnitResult<std::uint64_t> parse_bytes(std::string_view text) {
  if (is_number(text)) return bare(text, "a size", fmt::format("write {}B or {}MiB", text, text));
  const auto size = size_of(text);
  if (!size) return bad(text, "a size", "units are B, kB, MB, GB, TB, KiB, MiB, GiB, TiB: 64MiB");
  if (*size > 9e18) return UnitError{false, fmt::format("{} is too large", in_quotes(text)), {}};
  return static_cast<std::uint64_t>(std::llround(*size));
}

UnitResult<Rate> parse_rate(std::string_view text) {
  static constexpr std::string_view kHint = "records per second, with k, M or G: 500/s, 200k/s, 1.5M/s";
  if (is_number(text)) return bare(text, "a rate", fmt::format("write {}/s", text));
  if (!text.ends_with("/s")) return bad(text, "a rate", std::string(kHint));
  const auto parts = split_number(text.substr(0, text.size() - 2));
  if (!parts) return bad(text, "a rate", std::string(kHint));
  for (const Unit& unit : kCounts) {
    if (parts->second == unit.name) return Rate{parts->first * static_cast<double>(unit.factor)};
  }
  return bad(text, "a rate", std::string(kHint));
}

UnitResult<ByteRate> parse_byte_rate(std::string_view text) {
  if (is_number(text)) return bare(text, "a rate", fmt::format("write {}MiB/s", text));
  const auto size = text.ends_with("/s") ? size_of(text.substr(0, text.size() - 2)) : std::nullopt;
  if (!size) return bad(text, "a rate in bytes", "bytes per second: 500kB/s, 10MiB/s");
  return ByteRate{*size};
}

UnitResult<std::int64_t> parse_timestamp(std::string_view text) {
  const UnitError error =
      bad(text, "a timestamp", "write date, time and zone: 2026-01-01T00:00:00Z or 2026-01-01T08:00:00+08:00");
  std::size_t at = 0;
  bool good = true;
  const auto digits = [&](std::size_t count) {
    int value = 0;
    for (std::size_t i = 0; i < count; ++i, ++at) {
      if (at >= text.size() || !is_digit(text[at])) {
        good = false;
        return 0;
      }
      value = value * 10 + (text[at] - '0');
    }
    return value;
  };
  const auto literal = [&](std::string_view choices) {
    if (at >= text.size() || choices.find(text[at]) == std::string_view::npos) {
      good = false;
      return '\0';
    }
    return text[at++];
  };
  const int year = digits(4);
  literal("-");
  const int month = digits(2);
  literal("-");
  const int day = digits(2);
  literal("T ");
  const int hour = digits(2);
  literal(":");
  const int minute = digits(2);
  literal(":");
  const int second = digits(2);
  int millis = 0;
  if (good && at < text.size() && text[at] == '.') {
    ++at;
    int scale = 100;
    const std::size_t begin = at;
    for (; at < text.size() && is_digit(text[at]); ++at, scale /= 10) millis += (text[at] - '0') * scale;
    good = at > begin;
  }
  int offset_minutes = 0;
  if (const char zone = literal("Z+-"); good && zone != 'Z') {
    const int offset_hours = digits(2);
    literal(":");
    offset_minutes = (offset_hours * 60 + digits(2)) * (zone == '-' ? -1 : 1);
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!good || at != text.size() || !date.ok() || hour > 23 || minute > 59 || second > 59) return error;
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return ((days * 24 + hour) * 60 + minute - offset_minutes) * 60'000 + second * 1000 + millis;
}

std::string duration_text(Duration value) {
  std::int64_t left = value.count();
  if (left == 0) return "0s";
  std::string out = left < 0 ? "-" : "";
  left = std::abs(left);
  for (const Unit& unit : kTimes) {
    const auto factor = static_cast<std::int64_t>(unit.factor);
    if (left >= factor) out += fmt::format("{}{}", left / factor, unit.name);
    left %= factor;
  }
  return out;
}

std::string bytes_text(std::uint64_t value) {
  for (const Unit& unit : kSizes) {
    if (value >= unit.factor && value % unit.factor == 0) return fmt::format("{}{}", value / unit.factor, unit.name);
  }
  return "0B";
}

std::string rate_text(Rate value) {
  for (const Unit& unit : kCounts) {
    const double count = value.per_second / static_cast<double>(unit.factor);
    if (count >= 1 && count == std::floor(count)) return fmt::format("{}{}/s", count, unit.name);
  }
  return fmt::format("{}/s", value.per_second);
}

std::string byte_rate_text(ByteRate value) {
  return bytes_text(static_cast<std::uint64_t>(std::llround(value.per_second))) + "/s";
}

}  // namespace twinspan::config
