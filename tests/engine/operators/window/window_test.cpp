#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "engine/operators/calendar.h"
#include "tests/engine/operators/window/window_fixture.h"

namespace twinspan::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using F = AggregateFunction;

constexpr std::int64_t kHour = 3'600'000, kDay = 24 * kHour;

Event row_at(EventTime t, EventTime firing, EventTime retention) {
  Event e;
  e.row.time = t;
  e.at = {firing, retention};
  return e;
}
Event row_at(EventTime t, EventTime watermark) { return row_at(t, watermark, watermark); }

struct WindowTest : ::testing::Test {
  WindowTest() {
    spec.size = 10;
    spec.aggregates = {aggregate(F::count)};
  }
  void run(const std::vector<Event>& events, bool finish = true) {
    schema = schema_of(spec);
    op = std::make_unique<WindowAggregate>(spec, schema);
    feed(*op, events, 0, events.size(), 1024, out);
    if (finish) op->finish(out);
  }
  // Without times and watermarks.
  std::vector<std::string> results() const {
    std::vector<std::string> r;
    for (const std::string& line : out.rows) r.push_back(line.substr(0, line.find(" @")));
    return r;
  }
  WindowSpec spec;
  Schema schema;
  std::unique_ptr<WindowAggregate> op;
  Recorder out;
};

TEST_F(WindowTest, FiresWhenTheLastMomentOfTheWindowHasPassed) {
  run({row_at(5, kMinTime), row_at(15, 8), row_at(16, 9)}, false);
  EXPECT_THAT(results(), ElementsAre("+I 0 10 1"));
  EXPECT_EQ(out.last, (Watermark{9, 9}));
}

TEST_F(WindowTest, ARowOfAClosedWindowIsLate) {
  run({row_at(5, kMinTime), row_at(9, 9), row_at(10, 9)});
  EXPECT_THAT(out.late_rows, ElementsAre(9));
  EXPECT_THAT(results(), ElementsAre("+I 0 10 1", "+I 10 20 1"));
}

TEST_F(WindowTest, AllowedLateRowsGiveAnUpdateAtTheNextWatermark) {
  spec.allow_lateness = 5;
  run({row_at(5, kMinTime), row_at(6, 9), row_at(7, 13), row_at(8, 14)});
  EXPECT_THAT(results(), ElementsAre("+I 0 10 1", "+U 0 10 2", "+U 0 10 3"));
  EXPECT_THAT(out.late_rows, ElementsAre(8));
}

TEST_F(WindowTest, AheadOfRetentionResultsAreProvisionalAndOnlyChangesFireAgain) {
  spec.key_columns = {kShard};
  spec.key_types = {types::int64};
  Event other = row_at(5, kMinTime);
  other.row.shard = 1;
  run({row_at(5, kMinTime), other, row_at(25, 12, 3), row_at(6, 12, 3), row_at(26, 13, 13)}, false);
  EXPECT_THAT(results(), ElementsAre("+I? 0 0 10 1", "+I? 1 0 10 1", "+U 0 0 10 2"));
}

TEST_F(WindowTest, CumulateCountsALateRowInThePanesStillOpen) {
  spec.kind = WindowKind::cumulate;
  spec.size = 40;
  spec.every = 10;
  run({row_at(5, kMinTime), row_at(6, 19), row_at(25, 19)});
  EXPECT_THAT(results(), ElementsAre("+I 0 10 1", "+I 0 30 3"));
  EXPECT_THAT(out.late_rows, IsEmpty());
}

TEST_F(WindowTest, AJumpOfAThousandYearsIsOneStep) {
  spec.size = 1;
  run({row_at(5, kMinTime), row_at(50'000'000'000'000, 40'000'000'000'000)});
  EXPECT_THAT(results(), SizeIs(2));
}

TEST_F(WindowTest, ASumThatDoesNotFitFailsAndTheOthersComeOut) {
  spec.aggregates = {aggregate(F::sum, kV)};
  spec.key_columns = {kShard};
  spec.key_types = {types::int64};
  std::vector<Event> events(3, row_at(5, kMinTime));
  events[0].row.v = events[1].row.v = std::numeric_limits<std::int64_t>::max();
  events[2].row.v = 3;
  events[2].row.shard = 1;
  run(events);
  EXPECT_THAT(results(), ElementsAre("+I 1 0 10 3"));
  EXPECT_THAT(out.failures, ElementsAre(HasSubstr("out of the range")));
}

TEST_F(WindowTest, TimesBeyondTheCalendarAndRetractionsFail) {
  std::vector<Event> events = {row_at(kMaxTime - 1, kMinTime), row_at(kMinTime + 1, kMinTime)};
  run(events);
  EXPECT_THAT(out.failures, SizeIs(2));
  Batch retraction = batch_of(&events[0], 1);
  const EventTime time = 5;
  const std::uint8_t flags = static_cast<std::uint8_t>(RowOp::remove);
  retraction.time = &time;
  retraction.flags = &flags;
  WindowAggregate(spec, schema).process(0, std::move(retraction), out);
  EXPECT_THAT(out.failures.back(), HasSubstr("retractions"));
  EXPECT_THAT(out.rows, IsEmpty());
}

TEST_F(WindowTest, ARowTakenBackIsNoRowAndTheLastOneRemovesTheResult) {
  spec.updating = true;
  spec.mode = EmitMode::retracting;
  spec.allow_lateness = 100;
  spec.aggregates = {aggregate(F::count), aggregate(F::sum, kV)};
  auto with = [](Event e, std::int64_t v, RowOp op) {
    e.row.v = v;
    e.row.op = op;
    return e;
  };
  run({with(row_at(5, kMinTime), 7, RowOp::insert), with(row_at(6, kMinTime), 3, RowOp::insert),
       with(row_at(5, 9), 7, RowOp::update_before), with(row_at(5, 9), 8, RowOp::update_after),
       with(row_at(5, 12), 8, RowOp::remove), with(row_at(6, 12), 3, RowOp::remove),
       with(row_at(6, 13), 4, RowOp::insert), with(row_at(6, 14), 4, RowOp::remove)});
  EXPECT_THAT(results(), ElementsAre("+I 0 10 2 10", "-U 0 10 2 10", "+U 0 10 2 11", "-D 0 10 2 11", "+I 0 10 1 4",
                                     "-D 0 10 1 4"));
}

TEST_F(WindowTest, StepsAreToldTheOldValueEvenIfSinksAreNot) {
  spec.allow_lateness = 10;
  spec.feeds_steps = true;
  run({row_at(5, kMinTime), row_at(6, 9), row_at(25, 10)}, false);
  EXPECT_THAT(results(), ElementsAre("+I 0 10 1", "-Us 0 10 1", "+U 0 10 2"));
}

TEST_F(WindowTest, HalfAnUpdateIsLeftWhenTheOtherValueDoesNotFit) {
  spec.mode = EmitMode::retracting;
  spec.allow_lateness = 10;
  spec.aggregates = {aggregate(F::sum, kV)};
  const std::int64_t most = std::numeric_limits<std::int64_t>::max();
  std::vector<Event> events = {row_at(5, kMinTime), row_at(5, 9), row_at(5, 10)};
  events[0].row.v = most;
  events[1].row.v = 2;
  events[2].row.v = -3;
  run(events);
  EXPECT_THAT(results(), ElementsAre(fmt::format("+I 0 10 {}", most), fmt::format("-D 0 10 {}", most),
                                     fmt::format("+I 0 10 {}", most - 1)));
  EXPECT_THAT(out.failures, SizeIs(1));
}

TEST_F(WindowTest, DistinctTellsValuesApartAndForgetsThemWithTheirWindows) {
  spec.aggregates = {aggregate(F::count, kDevice, true), aggregate(F::count, kV, true)};
  std::vector<Event> events;
  std::vector<std::string> want;
  for (EventTime w = 0; w < 40; ++w) {  // windows far apart, so that generations of the dictionary turn
    const EventTime start = w * 700'000;
    for (int i = 0; i < 500; ++i) {
      Event e = row_at(start + i % 10, w == 0 ? kMinTime : start - 1);
      e.row.device = "d" + std::to_string((i + 100 * w) % 450);
      e.row.v = i / 2 + w;
      events.push_back(e);
    }
    want.push_back(fmt::format("+I {} {} 450 250", start, start + 10));
  }
  run(events, false);
  EXPECT_LT(op->stats().state_rows, 4000u);
  op->finish(out);
  EXPECT_EQ(results(), want);
}

TEST_F(WindowTest, RefusesStateOfAnotherStep) {
  schema = schema_of(spec);
  WindowAggregate fresh(spec, schema);
  EXPECT_FALSE(fresh.restore({StateEntry::Kind::put, 0, 0, 10, "no key", "short"}).has_value());
  EXPECT_FALSE(fresh.restore({StateEntry::Kind::put, 9, 0, 10, "", ""}).has_value());
}

TEST(CalendarTest, DaysFollowTheZoneWhenTheClocksChange) {
  Calendar berlin = Calendar::make("Europe/Berlin", kDay, 0).value();
  const EventTime spring = 1'774'738'800'000;  // 2026-03-29 00:00 in Berlin
  EXPECT_EQ(berlin.window_of(spring).start, spring);
  EXPECT_EQ(berlin.window_of(spring + 23 * kHour - 1).end, spring + 23 * kHour);
  const EventTime autumn = 1'792'879'200'000;  // 2026-10-25 00:00 in Berlin
  EXPECT_EQ(berlin.window_of(autumn + 25 * kHour - 1).start, autumn);
  EXPECT_EQ(berlin.window_of(autumn + 25 * kHour).start, autumn + 25 * kHour);
}

TEST(CalendarTest, WindowsCoverTimeWithoutGapsWhereMidnightDoesNotExist) {
  Calendar santiago = Calendar::make("America/Santiago", kDay, 0).value();  // clocks change at midnight
  EventTime t = 1'767'225'600'000;
  EventTime end = santiago.window_of(t).end;
  for (int day = 0; day < 800; ++day) {
    const WindowRange r = santiago.window_of(end);
    ASSERT_EQ(r.start, end);
    ASSERT_GE(r.end - r.start, 23 * kHour);
    ASSERT_LE(r.end - r.start, 25 * kHour);
    ASSERT_EQ(santiago.window_of(r.end - 1).start, r.start);
    end = r.end;
  }
}

TEST(CalendarTest, OtherSizesAreAlignedWithTheStandardOffset) {
  Calendar kolkata = Calendar::make("Asia/Kolkata", kHour, 0).value();  // +5:30
  EXPECT_EQ(kolkata.window_of(0).start, -kHour / 2);
  EXPECT_FALSE(Calendar::make("Mars/Olympus", kDay, 0).has_value());
}

TEST(WindowSpecTest, SaysWhatIsWrong) {
  WindowSpec s;
  s.kind = WindowKind::cumulate;
  s.size = 100;
  s.every = 30;
  EXPECT_THAT(validate(s).error().message, HasSubstr("does not divide"));
  s.every = 25;
  s.aggregates = {aggregate(F::sum, kName)};
  EXPECT_THAT(validate(s).error().message, HasSubstr("sum() does not take string"));
  s.aggregates = {aggregate(F::sum, kV, true)};
  EXPECT_THAT(validate(s).error().message, HasSubstr("DISTINCT"));
  s.aggregates = {aggregate(F::last, kV)};
  s.updating = true;
  EXPECT_THAT(validate(s).error().message, HasSubstr("last() cannot take rows back: one row is kept"));
  s.aggregates = {aggregate(F::count)};
  s.mode = EmitMode::discarding;
  EXPECT_THAT(validate(s).error().message, HasSubstr("discarding"));
  s.updating = false;
  s.mode = EmitMode::accumulating;
  s.aggregates = {aggregate(F::avg, kPrice), aggregate(F::sum, kPrice), aggregate(F::min, kDevice)};
  ASSERT_TRUE(validate(s).has_value());
  const Schema schema = window_output_schema(s, {}, {"a", "b", "c"});
  EXPECT_EQ(schema.fields[2].type, types::decimal(38, 6));
  EXPECT_EQ(schema.fields[3].type, types::decimal(38, 2));
  EXPECT_EQ(schema.fields[4].type, types::string);
}

}  // namespace
}  // namespace twinspan::testing
