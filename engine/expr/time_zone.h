#pragma once
// Local times of a zone of the tz database (Howard Hinnant's date library), or of a fixed offset. Daylight saving as in
// windows: a local time that the clock jumps over is the moment of the jump, one that it shows twice is the first.
// Immutable; the cursor is one thread's. Thread: any.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace date {
class time_zone;
}

namespace twinspan::engine {

class TimeZone {
 public:
  // "UTC", "Asia/Shanghai", "+08:00"; nullptr: unknown.
  static std::shared_ptr<const TimeZone> find(std::string_view name);

  struct Span {  // of one offset from UTC, in ms
    std::int64_t begin, end;
    std::int64_t offset;
  };
  Span span_at(std::int64_t utc) const;
  std::int64_t to_utc(std::int64_t local) const;

 private:
  const date::time_zone* zone_ = nullptr;  // nullptr: fixed
  std::int64_t fixed_ = 0;
};

// Offsets of times that mostly lie near each other: looks a zone up only when the offset changes.
class ZoneCursor {
 public:
  explicit ZoneCursor(const TimeZone* zone) : zone_(zone) {}  // nullptr: UTC
  std::int64_t offset(std::int64_t utc) {
    if (zone_ == nullptr) return 0;
    if (utc < span_.begin || utc >= span_.end) span_ = zone_->span_at(utc);
    return span_.offset;
  }
  std::int64_t to_utc(std::int64_t local) const { return zone_ == nullptr ? local : zone_->to_utc(local); }

 private:
  const TimeZone* zone_;
  TimeZone::Span span_{0, 0, 0};
};

}  // namespace twinspan::engine
