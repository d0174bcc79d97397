#include "engine/expr/time_zone.h"

#include <chrono>
#include <exception>

#include <date/date.h>
#include <date/tz.h>

namespace twinspan::engine {

namespace {

using Ms = std::chrono::milliseconds;

template <class Duration>
std::int64_t count(Duration d) {
  return std::chrono::duration_cast<Ms>(d).count();
}

// "+08:00", "-3", "+0530"; the sign is required.
bool fixed_offset(std::string_view s, std::int64_t& out) {
  if (s.size() < 2 || (s[0] != '+' && s[0] != '-')) return false;
  std::int64_t digits = 0;
  std::size_t n = 0;
  bool colon = false;
  for (char c : s.substr(1)) {
    if (c == ':' && !colon && n <= 2 && n > 0) {
      colon = true;
    } else if (c >= '0' && c <= '9' && n < 4) {
      digits = digits * 10 + (c - '0');
      ++n;
    } else {
      return false;
    }
  }
  if (colon && n < 3) return false;
  const std::int64_t hours = n <= 2 ? digits : digits / 100, minutes = n <= 2 ? 0 : digits % 100;
  if (hours > 18 || minutes > 59) return false;
  out = (hours * 60 + minutes) * 60'000 * (s[0] == '-' ? -1 : 1);
  return true;
}

}  // namespace

std::shared_ptr<const TimeZone> TimeZone::find(std::string_view name) {
  auto zone = std::make_shared<TimeZone>();
  if (name == "UTC" || name == "Z" || fixed_offset(name, zone->fixed_)) return zone;
  try {
    zone->zone_ = date::locate_zone(std::string(name));
    return zone;
  } catch (const std::exception&) {
    return nullptr;
  }
}

TimeZone::Span TimeZone::span_at(std::int64_t utc) const {
  if (zone_ == nullptr) return {INT64_MIN, INT64_MAX, fixed_};
  const date::sys_info info = zone_->get_info(date::sys_time<Ms>{Ms{utc}});
  // In seconds: the ends of time of the library do not fit milliseconds.
  const std::int64_t begin = info.begin.time_since_epoch().count(), end = info.end.time_since_epoch().count();
  constexpr std::int64_t kFar = 1'000'000'000'000;  // seconds; far outside the calendar's range
  return {(begin < -kFar ? -kFar : begin) * 1000, (end > kFar ? kFar : end) * 1000, count(info.offset)};
}

std::int64_t TimeZone::to_utc(std::int64_t local) const {
  if (zone_ == nullptr) return local - fixed_;
  const date::local_info info = zone_->get_info(date::local_time<Ms>{Ms{local}});
  if (info.result == date::local_info::nonexistent) return count(info.first.end.time_since_epoch());
  return local - count(info.first.offset);
}

}  // namespace twinspan::engine
