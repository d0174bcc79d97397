// A firing of many keys is done in portions: each call returns soon, and nothing is lost or told twice.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/engine/operators/window/window_fixture.h"

namespace twinspan::testing {
namespace {

constexpr std::size_t kKeys = 5'000;

class Below : public Output {
 public:
  void emit(Batch&& b) override { rows += b.rows; }
  void watermark(Watermark) override { ++watermarks; }
  void late(Batch&&) override {}
  void failed(const Batch&, std::uint32_t, std::string_view) override {}
  bool has_room() const override { return room; }
  std::size_t rows = 0, watermarks = 0;
  bool room = true;
};

class WindowPortionsTest : public ::testing::TestWithParam<WindowKind> {
 protected:
  std::unique_ptr<Operator> filled(std::int64_t portion) {
    WindowSpec spec;
    spec.kind = GetParam();
    spec.size = 100;
    if (spec.kind == WindowKind::cumulate || spec.kind == WindowKind::sliding) spec.every = 50;
    spec.key_columns = {kShard};
    spec.key_types = {types::int64};
    spec.aggregates = {aggregate(AggregateFunction::count)};
    spec.portion = portion;
    schema_ = schema_of(spec);
    auto op = make_window(spec, schema_);
    std::vector<Event> events(kKeys);
    for (std::size_t i = 0; i < kKeys; ++i) {
      events[i].row.time = 10;
      events[i].row.shard = static_cast<std::int64_t>(i);
    }
    Below nowhere;
    feed(*op, events, 0, events.size(), 1024, nowhere);
    EXPECT_EQ(nowhere.rows, 0u);
    return op;
  }
  Schema schema_;
};

TEST_P(WindowPortionsTest, AWatermarkThatFiresManyKeysReturnsAfterEachPortion) {
  Below whole;
  const auto at_once = filled(1'000'000);
  at_once->watermark(0, {10'000, 10'000}, whole);
  ASSERT_FALSE(at_once->pending());
  EXPECT_EQ(whole.rows, GetParam() == WindowKind::sliding ? 2 * kKeys : kKeys);
  EXPECT_EQ(whole.watermarks, 1u);

  Below out;
  const auto op = filled(200);
  op->watermark(0, {10'000, 10'000}, out);
  std::size_t portions = 1, before = 0;
  for (; op->pending(); ++portions) {
    EXPECT_LE(out.rows - before, 400u);  // a portion and the group it ends in
    EXPECT_EQ(out.watermarks, 0u);
    before = out.rows;
    op->resume(out);
  }
  EXPECT_EQ(out.rows, whole.rows);
  EXPECT_EQ(out.watermarks, 1u);
  EXPECT_GE(portions, kKeys / 400);
  EXPECT_EQ(op->stats().rows_out, whole.rows);
  EXPECT_EQ(op->stats().state_rows, at_once->stats().state_rows);
}

TEST_P(WindowPortionsTest, NothingMoreIsToldThanThereIsRoomFor) {
  Below out;
  const auto op = filled(1'000'000);
  out.room = false;
  op->finish(out);
  EXPECT_TRUE(op->pending());
  EXPECT_LE(out.rows, 200u);
  out.room = true;
  while (op->pending()) op->resume(out);
  EXPECT_EQ(out.rows, GetParam() == WindowKind::sliding ? 2 * kKeys : kKeys);
}

std::string kind_name(const ::testing::TestParamInfo<WindowKind>& info) {
  static const char* const names[] = {"Tumbling", "Cumulate", "Sliding", "Session", "Global"};
  return names[static_cast<int>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(Kinds, WindowPortionsTest,
                         ::testing::Values(WindowKind::tumbling, WindowKind::cumulate, WindowKind::sliding,
                                           WindowKind::session),
                         kind_name);

}  // namespace
}  // namespace twinspan::testing
