#include "engine/operators/transform.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "engine/expr/ast.h"

namespace twinspan::engine {
namespace {

const Schema kInput{{{"id", types::int64}, {"price", types::int64}, {"name", types::string}}};

struct Collected : Output {
  void emit(Batch&& b) override { batches.push_back(std::move(b)); }
  void watermark(Watermark w) override { watermarks.push_back(w); }
  void late(Batch&&) override { ADD_FAILURE() << "nothing is late here"; }
  void failed(const Batch& batch, std::uint32_t row, std::string_view reason) override {
    failures.emplace_back(batch.origins ? batch.origins->offset[batch.origin_row ? batch.origin_row[row] : row] : -1,
                          reason);
  }
  std::vector<Batch> batches;
  std::vector<Watermark> watermarks;
  std::vector<std::pair<std::int64_t, std::string>> failures;  // (offset of the record, reason)
};

struct Row {
  std::int64_t id;
  std::optional<std::int64_t> price;
  std::string_view name;
};

// Row i has offset 100 + i, time 1000 + i, and is preceded by the watermark 10 * i.
Batch batch_of(const std::vector<Row>& rows) {
  Batch b;
  b.schema = &kInput;
  b.rows = static_cast<std::uint32_t>(rows.size());
  Arena& arena = b.add_arena();
  auto* id = arena.make<std::int64_t>(rows.size());
  auto* price = arena.make<std::int64_t>(rows.size());
  auto* valid = arena.make<std::uint8_t>(rows.size());
  auto* name = arena.make<std::string_view>(rows.size());
  auto* time = arena.make<EventTime>(rows.size());
  auto* firing = arena.make<EventTime>(rows.size());
  auto* hash = arena.make<std::uint64_t>(rows.size());
  auto* flags = arena.make<std::uint8_t>(rows.size());
  auto origins = std::make_shared<Origins>();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    id[i] = rows[i].id;
    price[i] = rows[i].price.value_or(0);
    valid[i] = rows[i].price.has_value() ? 1 : 0;
    name[i] = arena.copy(rows[i].name);
    time[i] = 1000 + static_cast<std::int64_t>(i);
    firing[i] = 10 * static_cast<std::int64_t>(i);
    hash[i] = i;
    flags[i] = static_cast<std::uint8_t>(i % 4);
    origins->offset.push_back(100 + static_cast<std::int64_t>(i));
    origins->lane.push_back(LaneIndex(0));
  }
  b.columns = {{types::int64, id, nullptr}, {types::int64, price, valid}, {types::string, name, nullptr}};
  b.time = time;
  b.firing = b.retention = firing;
  b.hash = hash;
  b.flags = flags;
  b.origins = origins;
  return b;
}

void add_step(ChainBuilder& chain, const char* where, const std::vector<std::pair<std::string, std::string>>& select) {
  if (*where != '\0') {
    EXPECT_TRUE(chain.where(*parse_expression(where).value()).empty()) << where;
  }
  if (select.empty()) chain.keep_all();
  for (const auto& [name, text] : select) {
    const auto type = chain.select(name, *parse_expression(text).value());
    EXPECT_TRUE(type.ok()) << text << ": " << type.errors()[0].message;
  }
  chain.end_stage();
}

TransformSpec spec(const char* where, const std::vector<std::pair<std::string, std::string>>& select) {
  ChainBuilder chain(kInput);
  add_step(chain, where, select);
  return {chain.build(), chain.output(), {"s"}};
}

const std::vector<Row> kRows{{1, 5, "a"}, {2, 50, "bb"}, {3, std::nullopt, "ccc"}, {4, 500, "dddd"}, {5, 7, "e"}};

TEST(Transform, FiltersAndKeepsWhatRowsCarry) {
  Transform transform(spec("price > 10", {}));
  Collected out;
  transform.process(0, batch_of(kRows), out);
  ASSERT_EQ(out.batches.size(), 1u);
  const Batch& b = out.batches[0];
  ASSERT_EQ(b.rows, 2u);  // NULL > 10 is not TRUE
  const std::uint32_t from[] = {1, 3};
  for (std::uint32_t i = 0; i < 2; ++i) {
    EXPECT_EQ(b.columns[0].as<std::int64_t>()[i], kRows[from[i]].id);
    EXPECT_EQ(b.columns[2].as<std::string_view>()[i], kRows[from[i]].name);
    EXPECT_EQ(b.time[i], 1000 + from[i]);
    EXPECT_EQ(b.firing[i], 10 * from[i]);
    EXPECT_EQ(b.retention[i], 10 * from[i]);
    EXPECT_EQ(b.flag(i), 3);  // row 3 was a remove; row 1 lost its other half: see below
    EXPECT_EQ(b.origins->offset[b.origin_row[i]], 100 + from[i]);
  }
  EXPECT_EQ(b.hash, nullptr);  // of another step's key, if at all
  EXPECT_EQ(b.schema, &transform.schema());
  EXPECT_TRUE(out.failures.empty());
  EXPECT_EQ(transform.stats().rows_in, 5u);
  EXPECT_EQ(transform.stats().rows_out, 2u);
}

// +I -U +U -D +I, then pairs of which the filter takes both halves, the old one, the new one, none.
TEST(Transform, HalfAnUpdateIsARemoveOrAnInsert) {
  std::vector<Row> rows;
  std::vector<std::uint8_t> flags;
  const auto update_before = static_cast<std::uint8_t>(1 | kForStepsFlag);
  for (const auto& [before, after] : {std::pair{50, 60}, {50, 1}, {1, 60}, {1, 2}}) {
    rows.push_back({1, before, "a"});
    flags.push_back(update_before);
    rows.push_back({1, after, "a"});
    flags.push_back(2 | kProvisionalFlag);
  }
  Batch batch = batch_of(rows);
  batch.flags = flags.data();
  Transform transform(spec("price > 10", {}));
  Collected out;
  transform.process(0, std::move(batch), out);
  std::vector<std::pair<std::int64_t, unsigned>> got;
  const Batch& b = out.batches.at(0);
  for (std::uint32_t i = 0; i < b.rows; ++i) got.emplace_back(b.columns[1].as<std::int64_t>()[i], b.flag(i));
  EXPECT_EQ(got, (std::vector<std::pair<std::int64_t, unsigned>>{
                     {50, update_before}, {60, 2 | kProvisionalFlag}, {50, 3}, {60, 0 | kProvisionalFlag}}));
}

TEST(Transform, AFormerRowThatFailsIsNotToldAgain) {
  std::vector<Row> rows{{3, 1, "a"}, {4, 1, "a"}, {4, 1, "b"}, {3, 1, "b"}};
  const std::uint8_t flags[] = {1, 2, 1, 2};
  Batch batch = batch_of(rows);
  batch.flags = flags;
  Transform transform(spec("", {{"share", "100 / (id - 3)"}}));
  Collected out;
  transform.process(0, std::move(batch), out);
  ASSERT_EQ(out.failures.size(), 1u);
  EXPECT_EQ(out.failures[0].first, 103);
  ASSERT_EQ(out.batches.at(0).rows, 2u);
  EXPECT_EQ(op_of(out.batches[0].flag(0)), RowOp::insert);
  EXPECT_EQ(op_of(out.batches[0].flag(1)), RowOp::remove);
}

// Two steps that became one: each keeps its own figures and its own failures.
TEST(Transform, SeveralStepsAreOneAndStayThemselves) {
  ChainBuilder chain(kInput);
  add_step(chain, "length(name) > 1", {{"id", "id"}, {"n", "length(name)"}, {"share", "100 / (id - 3)"}});
  add_step(chain, "100 / (id - 4) < 1000", {{"n", "n * 10"}});
  Transform transform({chain.build(), chain.output(), {"first", "second"}});
  struct ByStep : Collected {
    void failed_in(const std::string& step, const Batch& batch, std::uint32_t row, std::string_view reason) override {
      steps.push_back(step);
      failed(batch, row, reason);
    }
    std::vector<std::string> steps;
  } out;
  transform.process(0, batch_of({{2, 1, "bb"}, {3, 1, "ccc"}, {4, 1, "dddd"}, {5, 1, "e"}, {6, 1, "ff"}}), out);
  ASSERT_EQ(out.batches.size(), 1u);
  ASSERT_EQ(out.batches[0].rows, 2u);
  EXPECT_EQ(out.batches[0].columns[0].as<std::int64_t>()[0], 20);
  EXPECT_EQ(out.batches[0].columns[0].as<std::int64_t>()[1], 20);
  EXPECT_EQ(out.batches[0].time[1], 1004);
  const auto stats = transform.stats();
  ASSERT_EQ(stats.steps.size(), 2u);
  EXPECT_EQ(stats.steps[0].rows_in, 5u);
  EXPECT_EQ(stats.steps[0].rows_out, 3u);
  EXPECT_EQ(stats.steps[1].rows_in, 3u);
  EXPECT_EQ(stats.steps[1].rows_out, 2u);
  // Row 1 was a former row (flags are row % 4), whose failure is not told again.
  EXPECT_EQ(out.steps, std::vector<std::string>{"second"});
  EXPECT_EQ(stats.steps[0].rows_failed, 0u);
  EXPECT_EQ(stats.steps[1].rows_failed, 1u);
}

TEST(Transform, NothingLeftEmitsNothing) {
  Transform transform(spec("price > 1000", {}));
  Collected out;
  transform.process(0, batch_of(kRows), out);
  EXPECT_TRUE(out.batches.empty());
}

TEST(Transform, Projects) {
  Transform transform(spec("", {{"name", "name"}, {"twice", "price * 2"}, {"id", "id"}}));
  Collected out;
  transform.process(0, batch_of(kRows), out);
  ASSERT_EQ(out.batches.size(), 1u);
  const Batch& b = out.batches[0];
  ASSERT_EQ(b.rows, 5u);
  ASSERT_EQ(b.columns.size(), 3u);
  for (std::uint32_t i = 0; i < 5; ++i) {
    EXPECT_EQ(b.columns[0].as<std::string_view>()[i], kRows[i].name);
    EXPECT_EQ(b.columns[1].is_null(i), !kRows[i].price.has_value());
    EXPECT_TRUE(b.columns[1].is_null(i) || b.columns[1].as<std::int64_t>()[i] == *kRows[i].price * 2);
    EXPECT_EQ(b.columns[2].as<std::int64_t>()[i], kRows[i].id);
  }
}

// The filter reads a column that the projection does not: it is not copied, and must not be needed.
TEST(Transform, FiltersByOneColumnAndProjectsAnother) {
  Transform transform(spec("price > 10", {{"label", "name || '!'"}}));
  Collected out;
  transform.process(0, batch_of(kRows), out);
  ASSERT_EQ(out.batches.size(), 1u);
  ASSERT_EQ(out.batches[0].rows, 2u);
  EXPECT_EQ(out.batches[0].columns[0].as<std::string_view>()[0], "bb!");
  EXPECT_EQ(out.batches[0].columns[0].as<std::string_view>()[1], "dddd!");
  EXPECT_EQ(out.batches[0].firing[1], 30);
}

TEST(Transform, ARowWhoseValueFailsIsLeftOutAndNamed) {
  Transform transform(spec("", {{"share", "100 / (id - 3)"}}));
  Collected out;
  transform.process(0, batch_of(kRows), out);
  ASSERT_EQ(out.failures.size(), 1u);
  EXPECT_EQ(out.failures[0].first, 102);
  EXPECT_FALSE(out.failures[0].second.empty());
  ASSERT_EQ(out.batches.size(), 1u);
  EXPECT_EQ(out.batches[0].rows, 4u);
  EXPECT_EQ(out.batches[0].origins->offset[out.batches[0].origin_row[2]], 103);
  EXPECT_EQ(out.batches[0].firing[2], 30);
  EXPECT_EQ(transform.stats().rows_failed, 1u);
  EXPECT_EQ(transform.stats().rows_out, 4u);
}

TEST(Transform, ARowWhoseConditionFailsIsLeftOutAndNamed) {
  Transform transform(spec("100 / (id - 3) > 0", {{"share", "100 / (id - 5)"}}));
  Collected out;
  transform.process(0, batch_of(kRows), out);
  ASSERT_EQ(out.failures.size(), 2u);
  EXPECT_EQ(out.failures[0].first, 102);
  EXPECT_EQ(out.failures[1].first,
            104);  // passed the filter, failed the projection; found through two selections
  ASSERT_EQ(out.batches.size(), 1u);
  EXPECT_EQ(out.batches[0].rows, 1u);
}

TEST(Transform, PassesTheWatermark) {
  Transform transform(spec("price > 10", {}));
  Collected out;
  transform.watermark(0, {20, 10}, out);
  EXPECT_EQ(out.watermarks, (std::vector<Watermark>{{20, 10}}));
}

// --- Union ---

TEST(Union, TheWatermarkIsTheSmallest) {
  Union u(2, kInput);
  Collected out;
  u.watermark(0, {100, 90}, out);
  EXPECT_EQ(out.watermarks.back(), (Watermark{}));
  u.watermark(1, {50, 40}, out);
  EXPECT_EQ(out.watermarks.back(), (Watermark{50, 40}));
  u.watermark(1, {200, 200}, out);
  EXPECT_EQ(out.watermarks.back(), (Watermark{100, 90}));
}

TEST(Union, RowsCarryTheSmallestToo) {
  Union u(2, kInput);
  Collected out;
  u.watermark(1, {25, 15}, out);
  u.process(0, batch_of(kRows), out);  // preceded by 0, 10, 20, 30, 40
  const Batch& b = out.batches.at(0);
  const EventTime f[] = {0, 10, 20, 25, 25}, r[] = {0, 10, 15, 15, 15};
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(b.firing[i], f[i]);
    EXPECT_EQ(b.retention[i], r[i]);
  }
  u.watermark(1, {500, 500}, out);
  EXPECT_EQ(out.watermarks.back(), (Watermark{40, 40}));  // what the last row of input 0 was preceded by
}

TEST(Union, AnIdleInputIsLeftOutAndNothingGoesBackWhenItReturns) {
  Union u(2, kInput);
  Collected out;
  u.watermark(0, {100, 100}, out);
  u.watermark(1, {50, 50}, out);
  u.input_idle(1, {true, false}, out);
  EXPECT_EQ(out.watermarks.back(), (Watermark{100, 50}));
  u.input_idle(1, {true, true}, out);
  EXPECT_EQ(out.watermarks.back(), (Watermark{100, 100}));
  u.process(1, batch_of(kRows), out);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(out.batches.at(0).firing[i], 100);
  u.watermark(0, {300, 300}, out);
  EXPECT_EQ(out.watermarks.back(), (Watermark{100, 100}));  // it counts again
  u.input_idle(0, {true, true}, out);
  u.input_idle(1, {true, true}, out);
  EXPECT_EQ(out.watermarks.back(), (Watermark{100, 100}));  // all idle: it stays
}

}  // namespace
}  // namespace twinspan::engine
