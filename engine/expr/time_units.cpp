#include "engine/expr/time_units.h"

#include <algorithm>
#include <chrono>
#include <string>

namespace twinspan::engine {

namespace {

constexpr std::int64_t kSecond = 1000, kMinute = 60 * kSecond, kHour = 60 * kMinute, kDay = 24 * kHour;

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
std::int64_t months_of(std::chrono::year_month_day date) { return year_of(date) * 12 + month_of(date) - 1; }

std::int64_t fixed_length(TimeUnit unit) {
  switch (unit) {
    case TimeUnit::second: return kSecond;
    case TimeUnit::minute: return kMinute;
    case TimeUnit::hour: return kHour;
    case TimeUnit::day: return kDay;
    case TimeUnit::week: return 7 * kDay;
    default: return 1;
  }
}
std::int64_t months_in(TimeUnit unit) { return unit == TimeUnit::month ? 1 : unit == TimeUnit::quarter ? 3 : 12; }

}  // namespace

bool parse_time_unit(std::string_view s, TimeUnit& out) {
  static constexpr std::pair<std::string_view, TimeUnit> kUnits[] = {{"millisecond", TimeUnit::millisecond},
                                                                     {"second", TimeUnit::second},
                                                                     {"minute", TimeUnit::minute},
                                                                     {"hour", TimeUnit::hour},
                                                                     {"day", TimeUnit::day},
                                                                     {"week", TimeUnit::week},
                                                                     {"month", TimeUnit::month},
                                                                     {"quarter", TimeUnit::quarter},
                                                                     {"year", TimeUnit::year},
                                                                     {"dow", TimeUnit::dow},
                                                                     {"isodow", TimeUnit::isodow},
                                                                     {"doy", TimeUnit::doy},
                                                                     {"epoch", TimeUnit::epoch}};
  std::string name(s);
  for (char& c : name)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  for (const auto& [text, unit] : kUnits)
    if (name == text || (unit <= TimeUnit::year && name.size() == text.size() + 1 && name.back() == 's' &&
                         name.compare(0, text.size(), text) == 0))
      return out = unit, true;
  return false;
}

std::int64_t truncate_time(TimeUnit unit, std::int64_t ms) {
  using namespace std::chrono;
  switch (unit) {
    case TimeUnit::millisecond: return ms;
    case TimeUnit::second: return floor_to(ms, kSecond);
    case TimeUnit::minute: return floor_to(ms, kMinute);
    case TimeUnit::hour: return floor_to(ms, kHour);
    case TimeUnit::day: return floor_to(ms, kDay);
    case TimeUnit::week: return floor_to(ms - 4 * kDay, 7 * kDay) + 4 * kDay;  // 1970-01-05 was a Monday
    default: break;
  }
  const year_month_day date = date_of(ms);
  const auto first_month = unit == TimeUnit::month     ? static_cast<unsigned>(date.month())
                           : unit == TimeUnit::quarter ? (static_cast<unsigned>(date.month()) - 1) / 3 * 3 + 1
                                                       : 1u;
  return ms_of(year_month_day(date.year(), month(first_month), day(1)));
}

std::int64_t extract_time(TimeUnit unit, std::int64_t ms) {
  using namespace std::chrono;
  const std::int64_t in_day = ms - floor_to(ms, kDay);
  switch (unit) {
    case TimeUnit::millisecond: return in_day % kSecond;
    case TimeUnit::second: return in_day / kSecond % 60;
    case TimeUnit::minute: return in_day / kMinute % 60;
    case TimeUnit::hour: return in_day / kHour;
    case TimeUnit::epoch: return floor_to(ms, kSecond) / kSecond;
    case TimeUnit::dow: return weekday(sys_days(days(floor_to(ms, kDay) / kDay))).c_encoding() + 1;
    case TimeUnit::isodow: return weekday(sys_days(days(floor_to(ms, kDay) / kDay))).iso_encoding();
    default: break;
  }
  const year_month_day date = date_of(ms);
  switch (unit) {
    case TimeUnit::day: return static_cast<unsigned>(date.day());
    case TimeUnit::month: return month_of(date);
    case TimeUnit::quarter: return (month_of(date) - 1) / 3 + 1;
    case TimeUnit::year: return year_of(date);
    case TimeUnit::doy: return (floor_to(ms, kDay) - ms_of(year_month_day(date.year(), January, day(1)))) / kDay + 1;
    default: {  // ISO 8601: week 1 has the year's first Thursday
      const std::int64_t thursday = truncate_time(TimeUnit::week, ms) + 3 * kDay;
      return (thursday - ms_of(year_month_day(date_of(thursday).year(), January, day(1)))) / (7 * kDay) + 1;
    }
  }
}

bool add_time(TimeUnit unit, std::int64_t n, std::int64_t ms, std::int64_t& out) {
  using namespace std::chrono;
  if (unit <= TimeUnit::week) {
    if (__builtin_mul_overflow(n, fixed_length(unit), &out) || __builtin_add_overflow(out, ms, &out)) return false;
    return is_calendar_time(out);
  }
  std::int64_t months = 0;
  if (n > 1'000'000 || n < -1'000'000) return false;
  const year_month_day date = date_of(ms);
  months = months_of(date) + n * months_in(unit);
  const auto y = static_cast<int>(floor_to(months, 12) / 12);
  if (y < -9999 || y > 9999) return false;
  const auto m = static_cast<unsigned>(months - floor_to(months, 12) + 1);
  const year_month_day_last end{year{y}, month_day_last{month{m}}};
  const day d = std::min(date.day(), end.day());
  out = ms_of(year_month_day{year{y}, month{m}, d}) + (ms - floor_to(ms, kDay));
  return true;
}

std::int64_t time_difference(TimeUnit unit, std::int64_t from, std::int64_t to) {
  if (unit <= TimeUnit::week) return (to - from) / fixed_length(unit);
  std::int64_t months = months_of(date_of(to)) - months_of(date_of(from));
  std::int64_t reached = 0;
  add_time(TimeUnit::month, months, from, reached);
  if (months > 0 && reached > to) --months;
  if (months < 0 && reached < to) ++months;
  return months / months_in(unit);
}

bool make_time(std::int64_t y, std::int64_t m, std::int64_t d, std::int64_t in_day, std::int64_t& out) {
  using namespace std::chrono;
  if (y < -9999 || y > 9999 || m < 1 || m > 12 || d < 1 || d > 31) return false;
  const year_month_day date(year(static_cast<int>(y)), month(static_cast<unsigned>(m)), day(static_cast<unsigned>(d)));
  if (!date.ok()) return false;
  out = ms_of(date) + in_day;
  return true;
}

}  // namespace twinspan::engine
