// Days of a zone whose clocks change, in windows of all kinds that can be whole days, against the reference, which
// knows Berlin's year 2026 by two dates.

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/operators/calendar.h"
#include "tests/engine/operators/window/oracle_window.h"
#include "tests/engine/operators/window/random_window.h"

namespace twinspan::testing {
namespace {

constexpr std::int64_t kHour = 3'600'000, kDay = 24 * kHour;
constexpr std::int64_t kSpring = 20'541, kAutumn = 20'751;  // 2026-03-29 and 2026-10-25, days since 1970

// When a day begins in Berlin: the clocks change at 01:00 UTC, after midnight.
EventTime midnight(std::int64_t day) { return day * kDay - (day > kSpring && day <= kAutumn ? 2 : 1) * kHour; }
EventTime start_of_day(std::int64_t day, std::int64_t offset) {
  const EventTime naive = midnight(day) + offset;  // on the day of the change the wall clock jumps in between
  if (day == kSpring && offset > 2 * kHour) return naive - kHour;
  if (day == kAutumn && offset > 2 * kHour) return naive + kHour;
  return naive;
}

TEST(WindowCalendarTest, DaysFollowTheClocksInAllKinds) {
  for (unsigned seed = 1; seed <= seeds(120); ++seed) {
    Dice dice(seed + 70'000);
    WindowSpec spec;
    spec.kind = dice.of({WindowKind::tumbling, WindowKind::cumulate, WindowKind::sliding});
    spec.time_zone = "Europe/Berlin";
    const std::int64_t days = spec.kind == WindowKind::sliding ? 1 + dice.to(4) : 1;
    spec.size = days * kDay;
    if (spec.kind == WindowKind::cumulate) spec.every = dice.of<std::int64_t>({kHour, 6 * kHour});
    if (spec.kind == WindowKind::sliding) spec.every = kDay;
    spec.offset = dice.of<std::int64_t>({0, 4 * kHour});
    spec.early = spec.kind == WindowKind::tumbling && dice.one_in(2) ? 5 * kHour : 0;
    spec.allow_lateness = dice.one_in(2) ? 7 * kHour : 0;
    spec.mode = dice.of({EmitMode::accumulating, EmitMode::retracting});
    spec.key_columns = {kShard};
    spec.key_types = {types::int64};
    spec.aggregates = {aggregate(AggregateFunction::count), aggregate(AggregateFunction::sum, kV)};
    ASSERT_TRUE(validate(spec).has_value());

    OracleWindow oracle(spec);
    oracle.windows = [&](EventTime t) {
      std::int64_t day = t / kDay - 2;
      while (start_of_day(day + 1, spec.offset) <= t) ++day;
      std::vector<std::pair<EventTime, EventTime>> out;
      for (std::int64_t first = day - days + 1; first <= day; ++first)
        out.emplace_back(start_of_day(first, spec.offset), start_of_day(first + days, spec.offset));
      return out;
    };
    std::vector<Event> events;
    EventTime clock = midnight(dice.one_in(2) ? kSpring : kAutumn) - 3 * kDay;
    Watermark now;
    for (int i = 0; i < 300; ++i) {
      clock += dice.to(80) * 60'000;
      if (dice.one_in(2)) now = {clock - 2 * kHour, dice.one_in(2) ? clock - 2 * kHour : now.retention};
      Event e;
      e.at = now;
      // Often at the very moments at which something changes.
      e.row.time = dice.one_in(4) ? midnight((clock + kHour) / kDay) + dice.to(3) * kHour - dice.to(2)
                                  : clock - dice.to(3 * kHour) - (dice.one_in(9) ? kDay : 0);
      e.row.shard = dice.to(3);
      e.row.v = dice.to(9);
      events.push_back(e);
    }
    oracle.run(events);
    const Schema schema = schema_of(spec);
    for (const std::size_t batch : {1, 1024}) {
      const auto op = make_window(spec, schema);
      Recorder out;
      feed(*op, events, 0, events.size(), batch, out);
      op->finish(out);
      std::sort(out.rows.begin(), out.rows.end());
      std::sort(oracle.rows.begin(), oracle.rows.end());
      ASSERT_EQ(out.rows, oracle.rows) << "seed " << seed;
      ASSERT_EQ(out.late_rows, oracle.late_rows) << "seed " << seed;
    }
  }
}

TEST(WindowCalendarTest, DaysAreNumberedInOrderWithoutGaps) {
  for (const char* zone : {"Europe/Berlin", "America/Santiago", "Pacific/Apia", "UTC"}) {
    Calendar calendar = Calendar::make(zone, kDay, 0).value();
    for (EventTime t = 1'293'840'000'000; t < 1'335'840'000'000; t += 5 * kHour + 1) {  // Apia skipped a day in 2011
      const std::int64_t i = calendar.index_of(t);
      const WindowRange r = calendar.window_of(t);
      ASSERT_LE(r.start, t);
      ASSERT_GT(r.end, t);
      ASSERT_EQ(calendar.start_of(i), r.start) << zone;
      ASSERT_EQ(calendar.start_of(i + 1), r.end) << zone;
    }
  }
}

}  // namespace
}  // namespace twinspan::testing
