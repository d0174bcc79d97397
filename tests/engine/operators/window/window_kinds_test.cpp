// Sliding, session and global windows by small examples; the rest is window_oracle_test.cpp.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/operators/window/window_fixture.h"

namespace twinspan::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using F = AggregateFunction;

Event row_at(EventTime t, EventTime firing, EventTime retention) {
  Event e;
  e.row.time = t;
  e.at = {firing, retention};
  return e;
}
Event row_at(EventTime t, EventTime watermark) { return row_at(t, watermark, watermark); }
Event no_row(EventTime watermark) {
  Event e = row_at(0, watermark);
  e.is_row = false;
  return e;
}

struct WindowKindsTest : ::testing::Test {
  WindowKindsTest() { spec.aggregates = {aggregate(F::count)}; }
  void run(const std::vector<Event>& events, bool finish = true) {
    ASSERT_TRUE(validate(spec).has_value()) << validate(spec).error().message;
    schema = schema_of(spec);
    op = make_window(spec, schema);
    feed(*op, events, 0, events.size(), 1024, out);
    if (finish) op->finish(out);
  }
  std::vector<std::string> results() const {  // without times and watermarks
    std::vector<std::string> r;
    for (const std::string& line : out.rows) r.push_back(line.substr(0, line.find(" @")));
    return r;
  }
  WindowSpec spec;
  Schema schema;
  std::unique_ptr<Operator> op;
  Recorder out;
};

struct SlidingTest : WindowKindsTest {
  SlidingTest() {
    spec.kind = WindowKind::sliding;
    spec.size = 30;
    spec.every = 10;
  }
};

TEST_F(SlidingTest, ARowIsInEveryWindowThatHoldsIt) {
  run({row_at(15, kMinTime), row_at(35, kMinTime)});
  EXPECT_THAT(results(), ElementsAre("+I -10 20 1", "+I 0 30 1", "+I 10 40 2", "+I 20 50 1", "+I 30 60 1"));
}

TEST_F(SlidingTest, ALateRowCountsInTheWindowsThatAreStillOpen) {
  run({row_at(15, kMinTime), row_at(16, 29), row_at(17, 39), no_row(39)}, false);
  EXPECT_THAT(results(), ElementsAre("+I -10 20 1", "+I 0 30 1", "+I 10 40 2"));
  EXPECT_THAT(out.late_rows, ElementsAre(17));
}

TEST_F(SlidingTest, AllowedLatenessUpdatesEveryWindowOfTheRow) {
  spec.allow_lateness = 100;
  spec.mode = EmitMode::retracting;
  run({row_at(15, kMinTime), row_at(16, 45), no_row(46)}, false);
  EXPECT_THAT(results(), ElementsAre("+I -10 20 1", "+I 0 30 1", "+I 10 40 1", "-U -10 20 1", "+U -10 20 2",
                                     "-U 0 30 1", "+U 0 30 2", "-U 10 40 1", "+U 10 40 2"));
}

TEST_F(SlidingTest, DuringAnOutageResultsAreProvisionalAndOnlyChangesFireAgain) {
  spec.key_columns = {kShard};
  spec.key_types = {types::int64};
  Event other = row_at(15, kMinTime);
  other.row.shard = 1;
  Event late = row_at(12, 25, 5);
  run({row_at(15, kMinTime), other, late, row_at(90, 25, 19)}, false);
  EXPECT_THAT(results(), UnorderedElementsAre("+I? 0 -10 20 1", "+I? 1 -10 20 1", "+U 0 -10 20 2"));
}

TEST_F(SlidingTest, TheSizeNeedNotBeAMultipleOfEvery) {
  spec.size = 25;
  run({row_at(24, kMinTime)});
  EXPECT_THAT(results(), ElementsAre("+I 0 25 1", "+I 10 35 1", "+I 20 45 1"));
}

TEST_F(SlidingTest, DistinctValuesAreCountedOnceAWindow) {
  spec.aggregates = {aggregate(F::count, kDevice, true), aggregate(F::max, kDevice)};
  std::vector<Event> events = {row_at(5, kMinTime), row_at(15, kMinTime), row_at(25, kMinTime)};
  events[0].row.device = events[2].row.device = "a";
  events[1].row.device = "b";
  run(events);
  EXPECT_THAT(results(),
              ElementsAre("+I -20 10 1 'a'", "+I -10 20 2 'b'", "+I 0 30 2 'b'", "+I 10 40 2 'b'", "+I 20 50 1 'a'"));
}

TEST_F(SlidingTest, AJumpOfAThousandYearsIsOneStepAndForgetsWhatIsOver) {
  run({row_at(5, kMinTime), row_at(50'000'000'000'000, 40'000'000'000'000)}, false);
  EXPECT_THAT(results(), ElementsAre("+I -20 10 1", "+I -10 20 1", "+I 0 30 1"));
  EXPECT_EQ(op->stats().state_rows, 1u);
}

TEST_F(SlidingTest, RefusesStateOfAnotherStep) {
  schema = schema_of(spec);
  const std::string bytes(20, 'x');
  EXPECT_FALSE(make_window(spec, schema)->restore({StateEntry::Kind::put, 0, 0, 10, bytes, bytes}).has_value());
  EXPECT_FALSE(make_window(spec, schema)->restore({StateEntry::Kind::put, 1, 0, 10, "", "x"}).has_value());
  EXPECT_FALSE(make_window(spec, schema)->restore({StateEntry::Kind::put, 9, 0, 10, "", ""}).has_value());
}

struct SessionTest : WindowKindsTest {
  SessionTest() {
    spec.kind = WindowKind::session;
    spec.size = 10;
  }
};

TEST_F(SessionTest, RowsLessThanTheGapApartAreOneSession) {
  run({row_at(0, kMinTime), row_at(9, kMinTime), row_at(19, kMinTime), row_at(28, kMinTime)});
  EXPECT_THAT(results(), ElementsAre("+I 0 19 2", "+I 19 38 2"));
}

TEST_F(SessionTest, ItFiresTheGapAfterItsLastRow) {
  run({row_at(0, kMinTime), row_at(5, 8), row_at(40, 13)}, false);
  EXPECT_THAT(results(), IsEmpty());
  op->watermark(0, {14, 14}, out);
  EXPECT_THAT(results(), ElementsAre("+I 0 15 2"));
}

TEST_F(SessionTest, ARowBetweenTwoSessionsJoinsThem) {
  spec.aggregates = {aggregate(F::count), aggregate(F::count, kV, true), aggregate(F::min, kDevice)};
  std::vector<Event> events = {row_at(0, kMinTime), row_at(16, kMinTime), row_at(8, kMinTime)};
  events[0].row.v = events[2].row.v = 1;
  events[1].row.v = 2;
  events[0].row.device = "zebra";
  events[1].row.device = "ant";
  run(events);
  EXPECT_THAT(results(), ElementsAre("+I 0 26 3 2 'ant'"));
}

TEST_F(SessionTest, ALateRowThatJoinsTwoToldSessionsRemovesBoth) {
  spec.allow_lateness = 100;
  run({row_at(0, kMinTime), row_at(15, kMinTime), no_row(30), row_at(7, 30), no_row(31)}, false);
  EXPECT_THAT(results(), UnorderedElementsAre("+I 0 10 1", "+I 15 25 1", "-D 0 10 1", "-D 15 25 1", "+I 0 25 3"));
  EXPECT_THAT(out.rows.back(), HasSubstr("+I 0 25 3"));
}

TEST_F(SessionTest, ALateRowThatExtendsAToldSessionRemovesItUntilTheNewEnd) {
  spec.allow_lateness = 100;
  run({row_at(0, kMinTime), no_row(12), row_at(8, 12), no_row(16)}, false);
  EXPECT_THAT(results(), ElementsAre("+I 0 10 1", "-D 0 10 1"));
  op->watermark(0, {17, 17}, out);
  EXPECT_THAT(results(), ElementsAre("+I 0 10 1", "-D 0 10 1", "+I 0 18 2"));
}

TEST_F(SessionTest, ARowThatMeetsOnlyWhatIsClosedIsLate) {
  spec.allow_lateness = 5;
  run({row_at(0, kMinTime), row_at(9, 13), row_at(40, 13), row_at(2, 22), row_at(3, 23)}, false);
  EXPECT_THAT(out.late_rows, ElementsAre(3));  // 0 to 19 is closed at 18 + 5, and what 3 would be alone at 12 + 5
  EXPECT_THAT(out.rows.front(), HasSubstr("+I 0 10 1"));
}

TEST_F(SessionTest, ManySessionsOfManyKeysAreForgottenWhenTheyEnd) {
  spec.key_columns = {kShard, kName};
  spec.key_types = {types::int64, types::string};
  std::vector<Event> events;
  for (int i = 0; i < 60'000; ++i) {
    Event e = row_at(i, i < 50 ? kMinTime : i - 50);
    e.row.shard = i;
    if (i % 3 == 0) e.row.name = std::string(40, 'k') + std::to_string(i);
    events.push_back(e);
  }
  run(events, false);
  EXPECT_LT(op->stats().state_rows, 70u);
  EXPECT_LT(op->stats().state_bytes, 40'000u);
  op->finish(out);
  EXPECT_EQ(out.rows.size(), 60'000u);
}

struct GlobalTest : WindowKindsTest {
  GlobalTest() {
    spec.kind = WindowKind::global;
    spec.early = 10;
    spec.key_columns = {kShard};
    spec.key_types = {types::int64};
  }
};

TEST_F(GlobalTest, TellsAtEveryMomentWhatChanged) {
  Event other = row_at(3, kMinTime);
  other.row.shard = 1;
  run({row_at(5, kMinTime), other, row_at(12, 9), row_at(1, 19), row_at(2, 28)});
  EXPECT_THAT(out.rows, ElementsAre(HasSubstr("+I 0 NULL NULL 1 @9 "), HasSubstr("+I 1 NULL NULL 1 @9 "),
                                    HasSubstr("+U 0 NULL NULL 2 @19 "), HasSubstr("+U 0 NULL NULL 4 @29 ")));
  EXPECT_THAT(out.late_rows, IsEmpty());
}

}  // namespace
}  // namespace twinspan::testing
