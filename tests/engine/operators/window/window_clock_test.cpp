// Windows and firings by the wall clock.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/operators/window/window_fixture.h"

namespace twinspan::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using F = AggregateFunction;

struct WindowClockTest : ::testing::Test {
  WindowClockTest() {
    spec.size = 10;
    spec.aggregates = {aggregate(F::count)};
  }
  void make() {
    ASSERT_TRUE(validate(spec).has_value()) << validate(spec).error().message;
    schema = schema_of(spec);
    op = make_window(spec, schema);
  }
  void row(EventTime t, EventTime firing, EventTime retention) {
    Event e;
    e.row.time = t;
    e.at = {firing, retention};
    op->process(0, batch_of(&e, 1), out);
  }
  void row(EventTime t) { row(t, kMinTime, kMinTime); }
  std::vector<std::string> results() const {
    std::vector<std::string> r;
    for (const std::string& line : out.rows) r.push_back(line.substr(0, line.find(" after")));
    return r;
  }
  WindowSpec spec;
  Schema schema;
  std::unique_ptr<Operator> op;
  Recorder out;
};

TEST_F(WindowClockTest, InProcessingTimeRowsHaveTheTimeAtWhichTheyCome) {
  spec.processing_time = true;
  make();
  EXPECT_TRUE(op->wants_clock());
  op->clock(1'005, out);
  row(77);
  op->watermark(0, {5'000, 5'000}, out);  // of the input: no matter
  op->clock(1'009, out);
  row(3, 9'000, 9'000);
  EXPECT_THAT(results(), IsEmpty());
  op->clock(1'010, out);
  EXPECT_THAT(results(), ElementsAre("+I 1000 1010 2 @1009"));
  EXPECT_EQ(out.last, (Watermark{1'009, 1'009}));
  row(3);
  op->finish(out);
  EXPECT_THAT(results(), ElementsAre("+I 1000 1010 2 @1009", "+I 1010 1020 1 @1019"));
  EXPECT_THAT(out.late_rows, IsEmpty());
}

TEST_F(WindowClockTest, ProcessingTimeNeverGoesBackAlsoNotThroughARestart) {
  spec.processing_time = true;
  make();
  op->clock(1'005, out);
  row(0);
  op->clock(1'011, out);
  op->clock(1'002, out);
  row(0);
  StateImage image;
  DeltaWriter delta;
  op->snapshot(delta);
  image.apply(delta.take());
  make();
  image.restore(*op);
  op->restore_watermark(0, {3, 3});
  op->clock(1'003, out);  // the machine's clock was set back: what was told must not be told again
  row(0);
  op->clock(1'025, out);
  EXPECT_THAT(results(), ElementsAre("+I 1000 1010 1 @1009", "+I 1010 1020 2 @1019"));
}

TEST_F(WindowClockTest, SessionsInProcessingTimeEndWhenNothingComes) {
  spec.kind = WindowKind::session;
  spec.processing_time = true;
  make();
  op->clock(100, out);
  row(0);
  op->clock(109, out);
  row(0);
  op->clock(118, out);
  EXPECT_THAT(results(), IsEmpty());
  op->clock(119, out);
  EXPECT_THAT(results(), ElementsAre("+I 100 119 2 @118"));
}

TEST_F(WindowClockTest, EarlyByTheWallClockTellsWhatChanged) {
  for (const WindowKind kind : {WindowKind::tumbling, WindowKind::session, WindowKind::global}) {
    spec.kind = kind;
    spec.size = kind == WindowKind::global ? 0 : 100;
    spec.early = 50;
    spec.early_clock = EarlyClock::wall;
    spec.key_columns = {kShard};
    spec.key_types = {types::int64};
    make();
    out = {};
    op->clock(1'000, out);
    row(10, 5, 5);
    op->clock(1'049, out);
    EXPECT_THAT(results(), IsEmpty());
    op->clock(1'051, out);
    row(10, 5, 5);
    op->clock(1'101, out);
    op->clock(1'151, out);  // nothing new
    op->watermark(0, {8, 6}, out);
    row(10, 8, 6);
    op->clock(1'201, out);
    op->finish(out);
    const std::string end = kind == WindowKind::tumbling  ? " 0 0 100"
                            : kind == WindowKind::session ? " 0 10 110"
                                                          : " 0 NULL NULL";
    const std::string time = kind == WindowKind::tumbling ? " @99" : kind == WindowKind::session ? " @109" : " @10";
    EXPECT_THAT(results(), ElementsAre("+I" + end + " 1" + time, "+U" + end + " 2" + time, "+U?" + end + " 3" + time))
        << static_cast<int>(kind);
    EXPECT_THAT(out.problems, IsEmpty());
  }
}

}  // namespace
}  // namespace twinspan::testing
