// Time functions, all in UTC, on milliseconds since 1970 (proleptic Gregorian calendar).

#include <chrono>

#include <fmt/format.h>

#include "engine/expr/overload.h"

namespace twinspan::engine {

namespace {

constexpr std::int64_t kSecond = 1000, kMinute = 60 * kSecond, kHour = 60 * kMinute, kDay = 24 * kHour;
// Years -9999 to 9999: where a calendar date has a meaning, and far from the edges of the arithmetic.
constexpr std::int64_t kFirst = -377705116800000, kLast = 253402300799999;

enum class Unit : std::int64_t { millisecond, second, minute, hour, day, week, month, quarter, year, dow, doy, epoch };

bool parse_unit(std::string_view s, Unit& out) {
  static constexpr std::pair<std::string_view, Unit> kUnits[] = {{"millisecond", Unit::millisecond},
                                                                 {"second", Unit::second},
                                                                 {"minute", Unit::minute},
                                                                 {"hour", Unit::hour},
                                                                 {"day", Unit::day},
                                                                 {"week", Unit::week},
                                                                 {"month", Unit::month},
                                                                 {"quarter", Unit::quarter},
                                                                 {"year", Unit::year},
                                                                 {"dow", Unit::dow},
                                                                 {"doy", Unit::doy},
                                                                 {"epoch", Unit::epoch}};
  std::string name(s);
  for (char& c : name)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  for (const auto& [text, unit] : kUnits)
    if (name == text) return out = unit, true;
  return false;
}

std::int64_t floor_to(std::int64_t v, std::int64_t step) {
  const std::int64_t r = v % step;
  return v - (r < 0 ? r + step : r);
}

std::chrono::year_month_day date_of(std::int64_t ms) {
  return std::chrono::year_month_day(std::chrono::sys_days(std::chrono::days(floor_to(ms, kDay) / kDay)));
}
std::int64_t ms_of(std::chrono::year_month_day date) {
  return std::chrono::sys_days(date).time_since_epoch().count() * kDay;
}
std::int64_t year_of(std::chrono::year_month_day date) { return static_cast<int>(date.year()); }
std::int64_t month_of(std::chrono::year_month_day date) { return static_cast<unsigned>(date.month()); }

std::int64_t truncate(Unit unit, std::int64_t ms) {
  using namespace std::chrono;
  switch (unit) {
    case Unit::millisecond: return ms;
    case Unit::second: return floor_to(ms, kSecond);
    case Unit::minute: return floor_to(ms, kMinute);
    case Unit::hour: return floor_to(ms, kHour);
    case Unit::day: return floor_to(ms, kDay);
    case Unit::week: return floor_to(ms - 4 * kDay, 7 * kDay) + 4 * kDay;  // 1970-01-05 was a Monday
    default: break;
  }
  const year_month_day date = date_of(ms);
  const auto first_month = unit == Unit::month     ? static_cast<unsigned>(date.month())
                           : unit == Unit::quarter ? (static_cast<unsigned>(date.month()) - 1) / 3 * 3 + 1
                                                   : 1u;
  return ms_of(year_month_day(date.year(), month(first_month), day(1)));
}

std::int64_t extract(Unit unit, std::int64_t ms) {
  using namespace std::chrono;
  const std::int64_t in_day = ms - floor_to(ms, kDay);
  switch (unit) {
    case Unit::millisecond: return in_day % kSecond;
    case Unit::second: return in_day / kSecond % 60;
    case Unit::minute: return in_day / kMinute % 60;
    case Unit::hour: return in_day / kHour;
    case Unit::epoch: return floor_to(ms, kSecond) / kSecond;
    case Unit::dow: return weekday(sys_days(days(floor_to(ms, kDay) / kDay))).c_encoding() + 1;
    default: break;
  }
  const year_month_day date = date_of(ms);
  switch (unit) {
    case Unit::day: return static_cast<unsigned>(date.day());
    case Unit::month: return month_of(date);
    case Unit::quarter: return (month_of(date) - 1) / 3 + 1;
    case Unit::year: return year_of(date);
    case Unit::doy: return (floor_to(ms, kDay) - ms_of(year_month_day(date.year(), January, day(1)))) / kDay + 1;
    default: {  // ISO 8601: week 1 has the year's first Thursday
      const std::int64_t thursday = truncate(Unit::week, ms) + 3 * kDay;
      return (thursday - ms_of(year_month_day(date_of(thursday).year(), January, day(1)))) / (7 * kDay) + 1;
    }
  }
}

// params: a = unit. f(unit, ms)
template <std::int64_t (*f)(Unit, std::int64_t), int arg>
void by_unit(KernelCall& call) {
  auto* out = call.result<std::int64_t>();
  const auto unit = static_cast<Unit>(call.params->a);
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = 0;
    if (!call.computes(i)) continue;
    const std::int64_t ms = call.args[arg].at<std::int64_t>(i);
    if (ms < kFirst || ms > kLast)
      call.fail(i, "timestamp out of the calendar's range");
    else
      out[i] = f(unit, ms);
  }
}

bool unit_argument(std::span<const ArgInfo> args, KernelChoice& k, std::string& error, std::size_t&, bool truncates) {
  Unit unit{};
  const bool constant = args[0].constant != nullptr && !args[0].constant->is_null(0);
  const std::string_view text = constant ? args[0].constant->at<std::string_view>(0) : std::string_view();
  if (constant && parse_unit(text, unit) && (!truncates || unit <= Unit::year)) {
    k.params.a = static_cast<std::int64_t>(unit);
    return true;
  }
  error = constant
              ? fmt::format("unknown unit `{}`: use millisecond, second, minute, hour, day, week, month, quarter{}",
                            text, truncates ? " or year" : ", year, dow, doy or epoch")
              : "the unit must be a constant";
  return false;
}
template <bool truncates>
bool unit_from_text(std::span<const ArgInfo> args, KernelChoice& k, std::string& error, std::size_t& bad) {
  return unit_argument(args, k, error, bad, truncates);
}
template <Unit unit>
bool fixed_unit(std::span<const ArgInfo>, KernelChoice& k, std::string&, std::size_t&) {
  k.params.a = static_cast<std::int64_t>(unit);
  return true;
}

void same(KernelCall& call) {
  call.each<std::int64_t>([&](std::uint32_t i) { return call.args[0].at<std::int64_t>(i); });
}

void text_to_timestamp(KernelCall& call) {
  auto* out = call.result<std::int64_t>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = 0;
    if (!call.computes(i)) continue;
    const auto s = call.args[0].at<std::string_view>(i);
    if (const auto ms = parse_timestamp(s))
      out[i] = *ms;
    else
      call.fail(i, fmt::format("`{}` is not a timestamp", s.substr(0, 40)));
  }
}

struct Format {
  std::vector<std::pair<char, std::string>>
      parts;  // letter of the field (0 = literal), its width as text or the literal
};

bool date_pattern(std::span<const ArgInfo> args, KernelChoice& k, std::string& error, std::size_t& bad) {
  bad = 1;
  if (args[1].constant == nullptr || args[1].constant->is_null(0)) {
    error = "the format must be a constant";
    return false;
  }
  const auto s = args[1].constant->at<std::string_view>(0);
  auto format = std::make_shared<Format>();
  for (std::size_t i = 0; i < s.size();) {
    if (s[i] == '\'') {
      const std::size_t close = s.find('\'', i + 1);
      if (close == std::string_view::npos) {
        error = "a quoted part of the format is not closed";
        return false;
      }
      format->parts.emplace_back(0, close == i + 1 ? "'" : std::string(s.substr(i + 1, close - i - 1)));
      i = close + 1;
    } else if ((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z')) {
      std::size_t n = 1;
      while (i + n < s.size() && s[i + n] == s[i]) ++n;
      const std::string_view field = s.substr(i, n);
      bool known = false;
      for (std::string_view f : {"yyyy", "MM", "dd", "HH", "mm", "ss", "SSS"}) known = known || f == field;
      if (!known) {
        error = fmt::format(
            "unknown field `{}` in the format: yyyy, MM, dd, HH, mm, ss and SSS are known, text goes in quotes", field);
        return false;
      }
      format->parts.emplace_back(s[i], std::string(field));
      i += n;
    } else {
      format->parts.emplace_back(0, std::string(1, s[i++]));
    }
  }
  k.params.state = std::move(format);
  return true;
}

void date_format(KernelCall& call) {
  auto* to = call.result<std::string_view>();
  const auto& format = call.params->as<Format>();
  std::string out;
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    to[i] = {};
    if (!call.computes(i)) continue;
    const std::int64_t ms = call.args[0].at<std::int64_t>(i);
    if (ms < kFirst || ms > kLast) {
      call.fail(i, "timestamp out of the calendar's range");
      continue;
    }
    out.clear();
    for (const auto& [field, text] : format.parts) {
      switch (field) {
        case 'y': out += fmt::format("{:04}", extract(Unit::year, ms)); break;
        case 'M': out += fmt::format("{:02}", extract(Unit::month, ms)); break;
        case 'd': out += fmt::format("{:02}", extract(Unit::day, ms)); break;
        case 'H': out += fmt::format("{:02}", extract(Unit::hour, ms)); break;
        case 'm': out += fmt::format("{:02}", extract(Unit::minute, ms)); break;
        case 's': out += fmt::format("{:02}", extract(Unit::second, ms)); break;
        case 'S': out += fmt::format("{:03}", extract(Unit::millisecond, ms)); break;
        default: out += text;
      }
    }
    to[i] = call.bytes->copy(out);
  }
}

}  // namespace

std::span<const Overload> time_functions() {
  static const Overload table[] = {
      {{"timestamp_ms", "time", "timestamp_ms(ms int64) -> timestamp", "The timestamp of milliseconds since 1970 UTC."},
       "i",
       't',
       same,
       1},
      {{"to_timestamp", "time", "to_timestamp(ms int64) -> timestamp", "The timestamp of milliseconds since 1970 UTC."},
       "i",
       't',
       same,
       1},
      {{"to_timestamp", "time", "to_timestamp(text string) -> timestamp",
        "An ISO 8601 text as a timestamp; without a zone it is UTC."},
       "s",
       't',
       text_to_timestamp,
       40},
      {{"unix_millis", "time", "unix_millis(ts timestamp) -> int64", "Milliseconds since 1970 UTC."},
       "t",
       'i',
       same,
       1},
      {{"date_trunc", "time", "date_trunc(unit string, ts timestamp) -> timestamp",
        "The start of the unit (millisecond to year; weeks begin on Monday) in UTC."},
       "st",
       't',
       by_unit<truncate, 1>,
       5,
       unit_from_text<true>},
      {{"extract", "time", "extract(unit FROM ts timestamp) -> int64",
        "A field in UTC: millisecond to year, ISO week, quarter, dow (1 = Sunday), doy, epoch (seconds)."},
       "st",
       'i',
       by_unit<extract, 1>,
       8,
       unit_from_text<false>},
      {{"year", "time", "year(ts timestamp) -> int64", "Year in UTC."},
       "t",
       'i',
       by_unit<extract, 0>,
       8,
       fixed_unit<Unit::year>},
      {{"month", "time", "month(ts timestamp) -> int64", "Month in UTC, 1 to 12."},
       "t",
       'i',
       by_unit<extract, 0>,
       8,
       fixed_unit<Unit::month>},
      {{"day", "time", "day(ts timestamp) -> int64", "Day of the month in UTC."},
       "t",
       'i',
       by_unit<extract, 0>,
       8,
       fixed_unit<Unit::day>},
      {{"hour", "time", "hour(ts timestamp) -> int64", "Hour in UTC, 0 to 23."},
       "t",
       'i',
       by_unit<extract, 0>,
       4,
       fixed_unit<Unit::hour>},
      {{"minute", "time", "minute(ts timestamp) -> int64", "Minute, 0 to 59."},
       "t",
       'i',
       by_unit<extract, 0>,
       4,
       fixed_unit<Unit::minute>},
      {{"second", "time", "second(ts timestamp) -> int64", "Second, 0 to 59."},
       "t",
       'i',
       by_unit<extract, 0>,
       4,
       fixed_unit<Unit::second>},
      {{"date_format", "time", "date_format(ts timestamp, format string) -> string",
        "UTC by a constant format of yyyy MM dd HH mm ss SSS; other letters in quotes."},
       "ts",
       's',
       date_format,
       200,
       date_pattern},
  };
  return table;
}

}  // namespace twinspan::engine
