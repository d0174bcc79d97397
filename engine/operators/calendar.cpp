#include "engine/operators/calendar.h"

#include <algorithm>
#include <chrono>
#include <exception>

#include <date/date.h>
#include <date/tz.h>
#include <fmt/format.h>

namespace twinspan::engine {

namespace {

using Ms = std::chrono::milliseconds;
constexpr std::int64_t kDay = 86'400'000;

std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b != 0 && (a ^ b) < 0 ? 1 : 0); }

// The first instant whose local time is `local` or later. Monotone in `local`, so windows neither overlap nor
// leave gaps.
EventTime first_instant(const date::time_zone& zone, Ms local) {
  const date::local_info info = zone.get_info(date::local_time<Ms>{local});
  // nonexistent: the clocks jump over it, at first.end; ambiguous: the first of the two.
  if (info.result == date::local_info::nonexistent)
    return std::chrono::duration_cast<Ms>(info.first.end.time_since_epoch()).count();
  return (local - info.first.offset).count();
}

}  // namespace

Result<Calendar> Calendar::make(const std::string& name, std::int64_t size, std::int64_t offset) {
  if (name == "UTC" || name.empty()) return Calendar(nullptr, size, offset, offset);
  try {
    const date::time_zone* zone = date::locate_zone(name);
    if (size % kDay == 0) return Calendar(zone, size, offset, 0);
    using namespace date::literals;
    const date::sys_info info = zone->get_info(date::sys_days{2025_y / 1 / 1});
    const std::int64_t standard = std::chrono::duration_cast<Ms>(info.offset - info.save).count();
    return Calendar(nullptr, size, offset, offset - standard);
  } catch (const std::exception&) {
    return config_error(fmt::format("unknown time zone '{}': names look like 'Asia/Shanghai'", name));
  }
}

WindowRange Calendar::window_of(EventTime t) {
  if (zone_ == nullptr) {
    const EventTime start = floor_div(t - fixed_, size_) * size_ + fixed_;
    return {start, start + size_};
  }
  index_of(t);
  return last_;
}

std::int64_t Calendar::index_of(EventTime t) {
  t = std::clamp(t, kEarliest, kLatest);
  if (zone_ == nullptr) return floor_div(t - fixed_, size_);
  if (t < last_.start || t >= last_.end) {
    last_index_ = day_of(t);
    last_ = {start_of(last_index_), start_of(last_index_ + 1)};
  }
  return last_index_;
}

EventTime Calendar::start_of(std::int64_t index) const {
  if (zone_ == nullptr) return index * size_ + fixed_;
  return first_instant(*zone_, Ms{index * size_ + offset_});
}

std::int64_t Calendar::day_of(EventTime t) const {
  const date::sys_time<Ms> instant{Ms{t}};
  const std::int64_t local = t + std::chrono::duration_cast<Ms>(zone_->get_info(instant).offset).count();
  std::int64_t n = floor_div(local - offset_, size_);
  // In the hour that the clock shows twice, local time runs behind: at most one window off.
  while (start_of(n) > t) --n;
  while (start_of(n + 1) <= t) ++n;
  return n;
}

}  // namespace twinspan::engine
