#pragma once
// Calendar arithmetic on milliseconds since 1970 of some local clock (proleptic Gregorian calendar). Thread: any.

#include <cstdint>
#include <string_view>

namespace twinspan::engine {

enum class TimeUnit : std::int64_t {
  millisecond,
  second,
  minute,
  hour,
  day,
  week,
  month,
  quarter,
  year,
  // only extracted:
  dow,
  isodow,
  doy,
  epoch
};

// Years -9999 to 9999: where a calendar date has a meaning, and far from the edges of the arithmetic.
inline constexpr std::int64_t kFirstTime = -377705116800000, kLastTime = 253402300799999;
inline bool is_calendar_time(std::int64_t ms) { return ms >= kFirstTime && ms <= kLastTime; }

bool parse_time_unit(std::string_view name, TimeUnit& out);  // any letter case, also in plural
std::int64_t truncate_time(TimeUnit unit, std::int64_t ms);  // start of the unit; weeks begin on Monday
std::int64_t extract_time(TimeUnit unit, std::int64_t ms);
// Months and years keep the day of the month, or take the last there is. False: outside of the calendar.
bool add_time(TimeUnit unit, std::int64_t n, std::int64_t ms, std::int64_t& out);
std::int64_t time_difference(TimeUnit unit, std::int64_t from, std::int64_t to);  // whole units, towards zero
// Milliseconds of a date and time; false: there is no such date.
bool make_time(std::int64_t year, std::int64_t month, std::int64_t day, std::int64_t in_day, std::int64_t& out);

}  // namespace twinspan::engine
