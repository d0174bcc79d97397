// What an interval join promises, one promise a test.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include "tests/engine/operators/join/join_fixture.h"

namespace twinspan::engine::join_testing {
namespace {

using Ids = std::vector<std::pair<std::int64_t, std::int64_t>>;

class Join {
 public:
  explicit Join(IntervalJoinSpec s) : op(std::move(s)) {}
  void left(std::optional<std::int64_t> key, std::int64_t id, EventTime time) { row(0, key, id, time); }
  void right(std::optional<std::int64_t> key, std::int64_t id, EventTime time) { row(1, key, id, time); }
  void row(unsigned input, std::optional<std::int64_t> key, std::int64_t id, EventTime time) {
    Event e;
    e.input = input;
    e.row = JoinRowIn{key, id, time};
    op.process(input, make_batch({e}, 0, 1, false, false), out);
  }
  void mark(unsigned input, EventTime w) { op.watermark(input, {w, w}, out); }
  void mark(unsigned input, EventTime firing, EventTime retention) { op.watermark(input, {firing, retention}, out); }
  Ids ids() const {
    Ids v;
    for (const Pair& p : out.results.pairs) v.emplace_back(p.left, p.right);
    return v;
  }

  IntervalJoin op;
  Collector out;
};

IntervalJoinSpec left_join(std::int64_t lower, std::int64_t upper) {
  IntervalJoinSpec s = spec(lower, upper);
  s.type = IntervalJoinSpec::Type::left;
  return s;
}

TEST(IntervalJoin, MatchesAtBothBoundsInclusive) {
  for (const bool left_first : {true, false}) {
    Join j(spec(-5, 10));
    if (left_first) j.left(1, 1, 1000);
    j.right(1, 94, 994);
    j.right(1, 95, 995);
    j.right(1, 110, 1010);
    j.right(1, 111, 1011);
    if (!left_first) j.left(1, 1, 1000);
    EXPECT_EQ(j.ids(), (Ids{{1, 95}, {1, 110}})) << left_first;
    EXPECT_EQ(j.out.wrong, 0);
  }
}

TEST(IntervalJoin, BoundsMayBothBeNegativeOrBothPositive) {
  Join before(spec(-20, -10));
  before.left(1, 1, 1000);
  before.right(1, 10, 985);
  before.right(1, 11, 1000);
  EXPECT_EQ(before.ids(), (Ids{{1, 10}}));
  Join after(spec(10, 20));
  after.right(1, 10, 1015);
  after.right(1, 11, 1000);
  after.left(1, 1, 1000);
  EXPECT_EQ(after.ids(), (Ids{{1, 10}}));
}

TEST(IntervalJoin, ResultsOfARowComeByTimeThenArrival) {
  Join j(spec(-100, 100));
  j.right(1, 3, 1003);
  j.right(1, 11, 1001);
  j.right(1, 2, 1002);
  j.right(1, 12, 1001);
  j.left(1, 1, 1000);
  EXPECT_EQ(j.ids(), (Ids{{1, 11}, {1, 12}, {1, 2}, {1, 3}}));
}

TEST(IntervalJoin, ResultHasTheTimeOfTheSideAskedFor) {
  IntervalJoinSpec s = spec(-5, 5);
  Join of_left(s);
  s.time = IntervalJoinSpec::Time::right;
  Join of_right(s);
  for (Join* j : {&of_left, &of_right}) {
    j->left(1, 1, 1000);
    j->right(1, 2, 1003);
    j->left(1, 3, 1001);
  }
  EXPECT_THAT(of_left.out.results.pairs,
              ::testing::ElementsAre(::testing::Field(&Pair::time, 1000), ::testing::Field(&Pair::time, 1001)));
  EXPECT_THAT(of_right.out.results.pairs, ::testing::Each(::testing::Field(&Pair::time, 1003)));
}

TEST(IntervalJoin, NullKeysNeverMatchAndLeaveALeftJoinUnmatched) {
  Join inner(spec(-5, 5));
  Join outer(left_join(-5, 5));
  for (Join* j : {&inner, &outer}) {
    j->left({}, 1, 1000);
    j->right({}, 2, 1000);
    j->mark(0, 2000);
    j->mark(1, 2000);
  }
  EXPECT_EQ(inner.ids(), Ids{});
  EXPECT_EQ(inner.op.stats().rows_late, 0u);
  EXPECT_EQ(outer.ids(), (Ids{{1, -1}}));
  EXPECT_EQ(outer.out.wrong, 0);
}

TEST(IntervalJoin, UnmatchedLeftRowsComeInOrderOfTimeWhenRetentionOfTheRightPassesThem) {
  Join j(left_join(0, 10));
  j.left(1, 1, 1005);
  j.left(2, 2, 1000);
  j.left(3, 3, 1000);
  j.left(4, 4, 1006);
  j.right(2, 9, 1001);
  j.mark(0, 5000);
  j.mark(1, 5000, 1014);
  EXPECT_EQ(j.ids(), (Ids{{2, 9}, {3, -1}}));
  j.mark(1, 5000, 1015);
  EXPECT_EQ(j.ids(), (Ids{{2, 9}, {3, -1}, {1, -1}}));
  j.op.finish(j.out);
  EXPECT_EQ(j.ids(), (Ids{{2, 9}, {3, -1}, {1, -1}, {4, -1}}));
  EXPECT_EQ(j.out.results.watermark, (Watermark{kMaxTime, kMaxTime}));
}

TEST(IntervalJoin, OutputWatermarkFollowsBothInputs) {
  Join of_left(spec(-5, 10));
  of_left.mark(0, 1000, 900);
  EXPECT_EQ(of_left.out.results.watermark, (Watermark{kMinTime, kMinTime}));
  of_left.mark(1, 950, 800);
  EXPECT_EQ(of_left.out.results.watermark, (Watermark{940, 790}));
  of_left.mark(1, 2000, 2000);
  EXPECT_EQ(of_left.out.results.watermark, (Watermark{1000, 900}));

  IntervalJoinSpec s = spec(-5, 10);
  s.time = IntervalJoinSpec::Time::right;
  Join of_right(s);
  of_right.mark(0, 1000, 900);
  of_right.mark(1, 2000, 2000);
  EXPECT_EQ(of_right.out.results.watermark, (Watermark{995, 895}));
}

TEST(IntervalJoin, OutputWatermarkStaysBelowAnUnmatchedRowThatStillWaits) {
  Join j(left_join(0, 10));
  j.left(1, 1, 1000);
  j.mark(0, 5000);
  j.mark(1, 5000, 1005);  // fired, but the right side may still bring a match
  EXPECT_EQ(j.out.results.watermark.firing, 999);
  j.right(1, 2, 1006);
  EXPECT_EQ(j.ids(), (Ids{{1, 2}}));
  EXPECT_EQ(j.out.results.watermark, (Watermark{4990, 995}));
}

TEST(IntervalJoin, ALateRowThatCanStillMatchIsNotLate) {
  Join j(spec(0, 10));
  j.mark(0, 1000);
  j.left(1, 1, 995);  // behind its own watermark; the right side has not begun
  j.right(1, 2, 1000);
  EXPECT_EQ(j.ids(), (Ids{{1, 2}}));
  j.right(1, 3, 1006);
  j.mark(1, 1010);
  j.left(1, 4, 1000);  // can be matched no more, but meets a row that is kept
  EXPECT_EQ(j.ids(), (Ids{{1, 2}, {4, 3}}));
  EXPECT_EQ(j.op.stats().rows_late, 0u);
  j.left(1, 5, 900);
  EXPECT_EQ(j.out.results.late, std::vector<std::int64_t>{5});
  j.right(1, 6, 999);
  EXPECT_EQ(j.out.results.late, (std::vector<std::int64_t>{5, 6}));
}

TEST(IntervalJoin, AllowedLatenessKeepsBothSidesLonger) {
  IntervalJoinSpec s = left_join(0, 10);
  s.allow = 100;
  Join j(s);
  j.left(1, 1, 1000);
  j.mark(0, 1100);
  j.mark(1, 1109);
  EXPECT_EQ(j.ids(), Ids{});
  EXPECT_EQ(j.out.results.watermark, (Watermark{999, 999}));
  j.right(1, 2, 1010);  // 99 ms late
  EXPECT_EQ(j.ids(), (Ids{{1, 2}}));
  j.mark(1, 1111);
  j.mark(0, 1200);
  j.right(1, 3, 1010);
  EXPECT_EQ(j.out.results.late, std::vector<std::int64_t>{3});
}

TEST(IntervalJoin, FirstMatchTakesALeftRowOnce) {
  IntervalJoinSpec s = spec(-10, 10);
  s.matches = IntervalJoinSpec::Matches::first;
  Join j(s);
  j.left(1, 1, 1000);
  j.left(1, 2, 1001);
  j.right(1, 10, 1005);
  j.right(1, 11, 1004);
  EXPECT_EQ(j.ids(), (Ids{{1, 10}, {2, 10}}));
  j.left(1, 3, 1002);  // by arrival, not by time
  EXPECT_EQ(j.ids(), (Ids{{1, 10}, {2, 10}, {3, 10}}));
}

using Type = IntervalJoinSpec::Type;
using Matches = IntervalJoinSpec::Matches;
constexpr auto kRemove = static_cast<std::uint8_t>(RowOp::remove);

std::vector<std::tuple<std::int64_t, std::int64_t, std::uint8_t>> with_flags(const Join& j) {
  std::vector<std::tuple<std::int64_t, std::int64_t, std::uint8_t>> v;
  for (const Pair& p : j.out.results.pairs) v.emplace_back(p.left, p.right, p.flags);
  return v;
}
using Flagged = std::vector<std::tuple<std::int64_t, std::int64_t, std::uint8_t>>;

TEST(IntervalJoin, ARightJoinEndsRightRowsByTheWatermarkOfTheLeft) {
  Join j(typed(spec(-5, 10), Type::right));
  j.right(1, 10, 1000);
  j.right(2, 11, 1001);
  j.right({}, 12, 1002);
  j.left(2, 1, 1000);
  j.mark(1, 9000);
  EXPECT_EQ(j.ids(), (Ids{{1, 11}}));
  j.mark(0, 1004);
  EXPECT_EQ(j.ids(), (Ids{{1, 11}}));
  j.mark(0, 1005);  // 1000 <= 1005 - 5
  EXPECT_EQ(j.ids(), (Ids{{1, 11}, {-1, 10}}));
  j.mark(0, 1100);
  EXPECT_EQ(j.ids(), (Ids{{1, 11}, {-1, 10}, {-1, 12}}));
  EXPECT_EQ(j.op.stats().rows_late, 0u);
}

TEST(IntervalJoin, AFullJoinHoldsItsWatermarkForBothSides) {
  IntervalJoinSpec s = typed(spec(-10, 10), Type::full);
  s.slice_ms = 2;
  Join j(s);
  j.left(1, 1, 1000);
  j.right(2, 2, 996);
  j.mark(0, 1005, 1005);
  j.mark(1, 1012, 1012);
  EXPECT_EQ(j.ids(), (Ids{{1, -1}}));
  // The right row may be matched until 1006 on the left; its own time is before that of any pair.
  EXPECT_EQ(j.out.results.watermark, (Watermark{995, 995}));
  j.mark(0, 1006, 1006);
  EXPECT_EQ(j.ids(), (Ids{{1, -1}, {-1, 2}}));
  EXPECT_EQ(j.out.results.watermark, (Watermark{1002, 1002}));
}

TEST(IntervalJoin, ASemiJoinGivesALeftRowOnceAndAnAntiJoinThoseThatNeverMatch) {
  Join semi(typed(spec(0, 10), Type::semi));
  Join anti(typed(spec(0, 10), Type::anti));
  for (Join* j : {&semi, &anti}) {
    j->left(1, 1, 1000);
    j->right(1, 10, 1005);
    j->right(1, 11, 1006);
    j->left(1, 2, 1000);
    j->left(2, 3, 1000);
    j->left({}, 4, 1000);
    j->mark(0, 2000);
    j->mark(1, 2000);
    EXPECT_EQ(j->out.wrong, 0);
  }
  EXPECT_EQ(semi.ids(), (Ids{{1, -1}, {2, -1}}));
  EXPECT_EQ(anti.ids(), (Ids{{3, -1}, {4, -1}}));
}

TEST(IntervalJoin, TheEarliestMatchIsDecidedAtTheWatermarkOfTheRight) {
  IntervalJoinSpec s = typed(spec(-10, 10), Type::left);
  s.matches = Matches::earliest;
  Join j(s);
  j.left(1, 1, 1000);
  j.right(1, 10, 1005);
  j.right(1, 11, 1002);  // earlier, though it came later
  j.right(1, 12, 1002);  // as early, and came after that
  j.mark(1, 1001);
  EXPECT_EQ(j.ids(), Ids{});
  j.mark(1, 1002);
  EXPECT_EQ(j.ids(), (Ids{{1, 11}}));
  j.left(1, 2, 1000);  // what is closed it takes at once
  EXPECT_EQ(j.ids(), (Ids{{1, 11}, {2, 11}}));
  j.mark(0, 1100);  // right rows that are not closed stay, whatever the left side's watermark
  j.left(1, 3, 1013);
  j.mark(1, 1020);
  EXPECT_EQ(j.ids(), (Ids{{1, 11}, {2, 11}, {3, 10}}));
}

TEST(IntervalJoin, TheEarliestMatchDoesNotDependOnWhetherItsTimeOrTheRowsEndComesFirst) {
  IntervalJoinSpec s = typed(spec(0, 10), Type::left);
  s.matches = Matches::earliest;
  Join j(s);
  j.left(1, 1, 1000);
  j.right(1, 10, 1005);
  j.mark(1, 5000);  // far past both
  EXPECT_EQ(j.ids(), (Ids{{1, 10}}));
}

TEST(IntervalJoin, TheConditionIsPartOfTheMatch) {
  Join j(with_condition(left_join(0, 10), "right.id > left.id"));
  j.left(1, 5, 1000);
  j.left(1, 6, 1000);
  j.right(1, 4, 1001);
  j.right(1, 6, 1001);
  EXPECT_EQ(j.ids(), (Ids{{5, 6}}));
  j.mark(1, 1010);
  EXPECT_EQ(j.ids(), (Ids{{5, 6}, {6, -1}}));

  IntervalJoinSpec first = with_condition(spec(0, 10), "right.id > left.id");
  first.matches = Matches::first;
  Join f(first);
  f.right(1, 3, 1001);
  f.right(1, 9, 1002);
  f.left(1, 5, 1000);  // the first to arrive of those that meet it
  EXPECT_EQ(f.ids(), (Ids{{5, 9}}));
}

TEST(IntervalJoin, ARowWhoseConditionFailsIsSaidOnceAndIsNoMatch) {
  Join j(with_condition(left_join(0, 10), "1 % (right.id - left.id) >= 0"));
  j.left(1, 5, 1000);
  j.left(1, 6, 1000);
  j.right(1, 5, 1001);
  j.right(1, 6, 1001);
  EXPECT_EQ(j.ids(), (Ids{{6, 5}, {5, 6}}));
  EXPECT_EQ(j.out.results.failed, 2u);
  EXPECT_EQ(j.op.stats().rows_failed, 2u);
}

TEST(IntervalJoin, ProvisionalRowsComeAtTheFiringWatermarkAndAreTakenBack) {
  IntervalJoinSpec s = left_join(0, 10);
  s.provisional = true;
  Join j(s);
  j.left(1, 1, 1000);
  j.left(2, 2, 1000);
  j.mark(0, 2000, 2000);
  j.mark(1, 1010, 1003);  // an outage: nobody knows what the other cluster has
  EXPECT_EQ(with_flags(j), (Flagged{{1, -1, kProvisionalFlag}, {2, -1, kProvisionalFlag}}));
  EXPECT_EQ(j.out.results.watermark, (Watermark{1000, 993}));
  j.right(1, 9, 1005);
  j.right(1, 8, 1006);
  EXPECT_EQ(with_flags(j),
            (Flagged{{1, -1, kProvisionalFlag}, {2, -1, kProvisionalFlag}, {1, -1, kRemove}, {1, 9, 0}, {1, 8, 0}}));
  j.mark(1, 1010, 1010);  // the other was right: nothing to say
  j.op.finish(j.out);
  EXPECT_EQ(j.ids().size(), 5u);
}

TEST(IntervalJoin, WithoutAnOutageNothingIsProvisional) {
  IntervalJoinSpec s = left_join(0, 10);
  s.provisional = true;
  Join j(s);
  j.left(1, 1, 1000);
  j.mark(0, 2000);
  j.mark(1, 1010);
  EXPECT_EQ(with_flags(j), (Flagged{{1, -1, 0}}));
}

TEST(IntervalJoin, UnmatchedRowsMayComeSoonerThanTheirEnd) {
  IntervalJoinSpec s = typed(spec(-100, 600), Type::full);
  s.emit_unmatched_after = 60;
  Join j(s);
  j.left(1, 1, 1000);
  j.right(2, 2, 1000);
  j.mark(1, 1060);
  EXPECT_EQ(with_flags(j), (Flagged{{1, -1, kProvisionalFlag}}));
  j.mark(0, 1060);
  EXPECT_EQ(with_flags(j), (Flagged{{1, -1, kProvisionalFlag}, {-1, 2, kProvisionalFlag}}));
  j.left(2, 3, 1090);
  EXPECT_EQ(with_flags(j),
            (Flagged{{1, -1, kProvisionalFlag}, {-1, 2, kProvisionalFlag}, {-1, 2, kRemove}, {3, 2, 0}}));
  // What may be taken back has its time ahead of R.
  EXPECT_LT(j.out.results.watermark.retention, 1000);
  Join anti([] {
    IntervalJoinSpec a = typed(spec(0, 600), Type::anti);
    a.emit_unmatched_after = 60;
    return a;
  }());
  anti.left(1, 1, 1000);
  anti.mark(1, 1100);
  anti.right(1, 2, 1200);
  EXPECT_EQ(with_flags(anti), (Flagged{{1, -1, kProvisionalFlag}, {1, -1, kRemove}}));
}

TEST(IntervalJoin, LateRowsOfBothSidesHaveOneSchemaIfTheyGoToOneSink) {
  IntervalJoinSpec s = spec(0, 10);
  s.late_schema.fields = {{"_side", types::string}, {"id", types::int64}, {"left_only", types::string}};
  s.late_columns = {{2, 2}, {3, -1}};
  IntervalJoin join(s);
  struct Late : Collector {
    void late(Batch&& b) override {
      ASSERT_EQ(b.columns.size(), 3u);
      for (std::uint32_t i = 0; i < b.rows; ++i)
        text += std::string(b.columns[0].as<std::string_view>()[i]) + " " +
                std::to_string(b.columns[1].as<std::int64_t>()[i]) + " " +
                (b.columns[2].is_null(i) ? "-" : std::string(b.columns[2].as<std::string_view>()[i])) + "\n";
      EXPECT_EQ(b.schema->fields[0].name, "_side");
    }
    std::string text;
  } out;
  for (const unsigned input : {0u, 1u}) join.watermark(input, {5000, 5000}, out);
  for (const unsigned input : {0u, 1u}) {
    Event e;
    e.input = input;
    e.row = JoinRowIn{1, 10 + input, 1000};
    join.process(input, make_batch({e}, 0, 1, false, false), out);
  }
  EXPECT_EQ(out.text, "left 10 note 10\nright 11 -\n");
  EXPECT_EQ(join.stats().rows_late, 2u);
}

TEST(IntervalJoin, KeysWithOneHashAreToldApart) {
  IntervalJoinSpec s = spec(-10, 10);
  IntervalJoin join(s);
  Collector out;
  std::vector<Event> events;
  for (std::int64_t i = 0; i < 2000; ++i) {
    Event e;
    e.input = i < 1000 ? 0 : 1;
    e.row = JoinRowIn{i % 1000, i, 1000};
    events.push_back(e);
  }
  std::vector<std::uint64_t> same(2000, 42);
  for (const unsigned input : {0u, 1u}) {
    Batch b = make_batch(events, input * 1000, input * 1000 + 1000, false);
    b.hash = same.data();
    join.process(input, std::move(b), out);
    drain(join, out);
  }
  ASSERT_EQ(out.results.pairs.size(), 1000u);
  for (const Pair& p : out.results.pairs) EXPECT_EQ(p.left + 1000, p.right);
}

TEST(IntervalJoin, TimesAtTheEndsOfTheRangeDoNoHarm) {
  for (const EventTime t : {kMinTime, kMinTime + 1, kMaxTime - 1, kMaxTime}) {
    Join j(left_join(-1000, 1000));
    j.left(1, 1, t);
    j.right(1, 2, t);
    j.mark(0, kMaxTime - 1);
    j.mark(1, kMaxTime - 1);
    j.op.finish(j.out);
    EXPECT_EQ(j.op.stats().rows_in, 2u);
    EXPECT_EQ(j.out.wrong, 0);
  }
}

TEST(IntervalJoin, ASnapshotHoldsOnlyWhatChanged) {
  Join j(left_join(0, 10));
  Checkpoints checkpoints;
  const auto entries = [&] {
    checkpoints.take(j.op);
    return checkpoints.entries;
  };
  j.left(1, 1, 1000);
  j.right(2, 2, 1000);
  EXPECT_EQ(entries(), 2u);  // the new rows of each side
  EXPECT_EQ(entries(), 0u);
  j.right(1, 3, 1001);  // a new row, and the left one is matched now
  EXPECT_EQ(entries(), 2u);
  EXPECT_EQ(entries(), 0u);
  j.mark(1, 1011);  // the end of the left row, and of its segment
  j.mark(0, 1011);
  EXPECT_EQ(entries(), 5u);  // what is erased: rows and flags left, rows right twice; and up to where
  EXPECT_EQ(entries(), 0u);
}

TEST(IntervalJoin, ARestartKnowsWhatWentOutProvisionally) {
  IntervalJoinSpec s = left_join(0, 10);
  s.provisional = true;
  Join before(s);
  before.left(1, 1, 1000);
  before.left(2, 2, 1000);
  Checkpoints checkpoints;
  checkpoints.take(before.op);
  before.mark(1, 1010, 1003);
  checkpoints.take(before.op);
  Join after(s);
  ASSERT_TRUE(checkpoints.restore(after.op));
  after.op.restore_watermark(1, {1010, 1003});
  after.right(1, 9, 1005);
  after.mark(1, 1010, 1010);
  EXPECT_EQ(with_flags(after), (Flagged{{1, -1, kRemove}, {1, 9, 0}}));
}

}  // namespace
}  // namespace twinspan::engine::join_testing
