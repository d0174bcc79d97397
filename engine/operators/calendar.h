#pragma once
// Where windows begin and end. Sizes of whole days are days of a time zone (tz database through Howard
// Hinnant's date library), so a day is 23 or 25 hours long when the clocks change; other sizes have one fixed
// offset for ever. Owned by a window operator. Thread: shard.

#include <cstdint>
#include <string>

#include "engine/base/ids.h"
#include "engine/base/result.h"

namespace date {
class time_zone;
}

namespace twinspan::engine {

struct WindowRange {
  EventTime start = 0;
  EventTime end = 0;  // exclusive
};

class Calendar {
 public:
  // An error names an unknown zone. `size`, `offset` in ms, |offset| < size.
  static Result<Calendar> make(const std::string& zone, std::int64_t size, std::int64_t offset);

  // Times a calendar can place: years -200 to 9000 or so. Rows outside are failed by the operator.
  static constexpr EventTime kEarliest = -68'000'000'000'000;
  static constexpr EventTime kLatest = 220'000'000'000'000;

  // The window that holds t.
  WindowRange window_of(EventTime t);

  // Windows by number, in order without gaps: the one that holds t (a t outside the calendar counts as its edge), and
  // where one starts.
  std::int64_t index_of(EventTime t);
  EventTime start_of(std::int64_t index) const;

 private:
  Calendar(const date::time_zone* zone, std::int64_t size, std::int64_t offset, std::int64_t fixed)
      : zone_(zone), size_(size), offset_(offset), fixed_(fixed) {}
  std::int64_t day_of(EventTime t) const;

  const date::time_zone* zone_;  // nullptr: fixed windows
  std::int64_t size_, offset_;
  std::int64_t fixed_;  // start of one of the windows, when zone_ is nullptr
  WindowRange last_{};  // the days found last
  std::int64_t last_index_ = 0;
};

}  // namespace twinspan::engine
