// Chains of filters and projections: equal calls once, and the same results and failures as one step after the other.
#include "engine/expr/chain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include <fmt/format.h>

#include "tests/engine/expr/table.h"

namespace twinspan::testing {
namespace {

using engine::Chain;
using engine::ChainBuilder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Step {
  std::string where;
  std::vector<std::pair<std::string, std::string>> select;  // empty: all columns
};

Schema schema_of(const Table& t) {
  Schema s;
  for (const auto& c : t.scope().columns) s.fields.push_back({c.name, c.type});
  return s;
}

void add(ChainBuilder& chain, const Step& step) {
  if (!step.where.empty()) {
    const auto errors = chain.where(**engine::parse_expression(step.where));
    ASSERT_TRUE(errors.empty()) << step.where << ": " << errors[0].message;
  }
  if (step.select.empty()) chain.keep_all();
  for (const auto& [name, text] : step.select) {
    const auto type = chain.select(name, **engine::parse_expression(text));
    ASSERT_TRUE(type.ok()) << text << ": " << type.errors()[0].message;
  }
  chain.end_stage();
}

std::vector<std::string> column_of(const Chain::Result& r, std::size_t column) {
  std::vector<std::string> out;
  for (std::uint32_t i = 0; i < r.rows; ++i) out.push_back(show(r.columns[column], i));
  return out;
}

TEST(Chain, EqualCallsAreEvaluatedOnceAcrossSteps) {
  Table t;
  t.strings("s", {"a", "bb", "a", std::nullopt, "a"}).ints("i", {1, 2, 3, 4, 5});
  ChainBuilder builder(schema_of(t));
  add(builder, {"upper(s) = 'A'", {{"u", "upper(s)"}, {"n", "length(upper(s))"}, {"i", "i"}}});
  add(builder, {"length(u) > 0 AND i > 1", {{"m", "length(u) + i"}, {"u", "u"}}});
  add(builder, {"", {{"m", "m"}, {"again", "m * 2 + length(u)"}}});
  Chain chain = builder.build();
  Arena arena;
  const auto r = chain.evaluate(t.batch(), arena);
  EXPECT_THAT(column_of(r, 0), ElementsAre("4", "6"));
  EXPECT_THAT(column_of(r, 1), ElementsAre("9", "13"));
  ASSERT_NE(r.selection, nullptr);
  EXPECT_THAT((std::vector<std::uint32_t>(r.selection, r.selection + r.rows)), ElementsAre(2u, 4u));
  // upper, = | length, >, >, AND | +, *, + : upper and length once, though five places ask for them.
  EXPECT_EQ(chain.evaluations(), 9u);
  EXPECT_EQ(r.stages[0].in, 5u);
  EXPECT_EQ(r.stages[0].out, 3u);
  EXPECT_EQ(r.stages[1].out, 2u);
  EXPECT_EQ(r.stages[2].out, 2u);
  const std::string text = chain.explain();
  EXPECT_THAT(text, HasSubstr("on the rows of step 1"));
  EXPECT_EQ(text.find("upper"), text.rfind("upper"));
  // One step after the other computes them again.
  std::uint64_t apart = 0;
  ChainBuilder first(schema_of(t));
  add(first, {"upper(s) = 'A'", {{"u", "upper(s)"}, {"n", "length(upper(s))"}, {"i", "i"}}});
  Chain one = first.build();
  Arena more;
  auto between = one.evaluate(t.batch(), more);
  apart += one.evaluations();
  Batch middle;
  middle.rows = between.rows;
  middle.columns = between.columns;
  ChainBuilder second(first.output());
  add(second, {"length(u) > 0 AND i > 1", {{"m", "length(u) + i"}, {"u", "u"}}});
  Chain two = second.build();
  (void)two.evaluate(middle, more);
  apart += two.evaluations();
  EXPECT_EQ(apart, 8u);  // without the third step; its two and the second length are what the chain saves
}

TEST(Chain, FailuresBelongToTheStepTheyHappenIn) {
  Table t;
  t.ints("a", {0, 1, 2, 3, 4, 5}).ints("b", {1, 1, 0, 1, 2, 1}).strings("s", {"1", "x", "1", "2", "3", "4"});
  ChainBuilder builder(schema_of(t));
  // The failing column of the first step is not used by the second; its failure counts all the same.
  add(builder, {"10 / a > 0", {{"a", "a"}, {"unused", "7 / b"}, {"s", "s"}}});
  add(builder, {"", {{"a", "a"}, {"n", "CAST(s AS int64)"}}});
  add(builder, {"10 / (a - 3) < 100", {{"x", "10 / (a - 4) + n"}}});
  Chain chain = builder.build();
  Arena arena;
  const auto r = chain.evaluate(t.batch(), arena);
  std::vector<std::string> failures;
  for (const auto& f : r.failures) failures.push_back(fmt::format("{}/{}: {}", f.stage, f.row, f.message));
  EXPECT_THAT(failures, ElementsAre("0/0: division by zero", "0/2: division by zero", "1/1: cannot cast 'x' to int64",
                                    "2/3: division by zero", "2/4: division by zero"));
  EXPECT_THAT(column_of(r, 0), ElementsAre("14"));
  EXPECT_EQ(r.selection[0], 5u);
}

TEST(Chain, NothingLeftEndsIt) {
  Table t;
  t.ints("a", {1, 2});
  ChainBuilder builder(schema_of(t));
  add(builder, {"a > 10", {}});
  add(builder, {"1 / 0 > 0", {{"b", "a * 2"}}});
  Chain chain = builder.build();
  Arena arena;
  const auto r = chain.evaluate(t.batch(), arena);
  EXPECT_EQ(r.rows, 0u);
  EXPECT_TRUE(r.failures.empty());
  EXPECT_EQ(chain.evaluations(), 1u);
}

TEST(Chain, UntouchedColumnsStayWhereTheyAre) {
  Table t;
  t.ints("a", {1, 2}).strings("s", {"x", "y"});
  ChainBuilder builder(schema_of(t));
  add(builder, {"a > 0", {}});
  add(builder, {"", {{"s", "s"}, {"a", "a"}, {"one", "1"}}});
  Chain chain = builder.build();
  EXPECT_EQ(builder.used_columns(), (std::vector<int>{0, 1}));
  Arena arena;
  const auto r = chain.evaluate(t.batch(), arena);
  EXPECT_EQ(r.selection, nullptr);
  EXPECT_EQ(r.columns[0].data, t.batch().columns[1].data);
  EXPECT_EQ(r.columns[1].data, t.batch().columns[0].data);
  EXPECT_THAT(column_of(r, 2), ElementsAre("1", "1"));
}

// Random chains over random rows against one row after the other through one step after the other.
class RandomSteps {
 public:
  explicit RandomSteps(std::uint64_t seed) : random_(seed) {}
  std::size_t below(std::size_t n) { return random_() % n; }

  std::string integer(const Schema& s, int depth = 2) {
    const std::string x = column(s, TypeKind::int64), y = depth > 0 ? integer(s, depth - 1) : x;
    switch (below(9)) {
      case 0: return fmt::format("({} / {})", x, y);
      case 1: return fmt::format("length({})", text(s, depth - 1));
      case 2: return fmt::format("CASE WHEN {} > 0 THEN 10 / {} ELSE {} END", x, x, y);
      case 3: return fmt::format("CAST({} AS int64)", text(s, 0));
      case 4: return fmt::format("coalesce({}, {})", x, y);
      case 5:
        return fmt::format("coalesce(TRY_CAST(regexp_extract({}, '[0-9]') AS int64), {})", column(s, TypeKind::string),
                           y);
      default: return fmt::format("({} + {})", x, y);
    }
  }
  std::string text(const Schema& s, int depth = 1) {
    const std::string x = column(s, TypeKind::string);
    if (depth <= 0) return x;
    switch (below(6)) {
      case 0: return fmt::format("upper({})", text(s, depth - 1));
      case 1: return fmt::format("{} || {}", x, text(s, depth - 1));
      case 2: return fmt::format("CASE WHEN length({}) > 1 THEN upper({}) ELSE '!' END", x, x);
      case 3: return fmt::format("CAST({} AS string)", column(s, TypeKind::int64));
      case 4: return fmt::format("CAST(CAST({} AS bytes) AS string)", x);
      default: return x;
    }
  }
  std::string condition(const Schema& s) {
    switch (below(6)) {
      case 0: return fmt::format("{} > {}", integer(s), integer(s));
      case 1: return fmt::format("{} LIKE '%A%' OR {} IS NOT NULL", text(s), integer(s));
      case 2: return fmt::format("10 / {} > 0", integer(s, 0));
      case 3: return fmt::format("upper({}) <> 'B' AND {} < 5", column(s, TypeKind::string), integer(s));
      case 4: return "TRUE";
      default: return fmt::format("{} IS NOT NULL", integer(s));
    }
  }
  Step step(const Schema& s) {
    Step out;
    if (below(3) != 0) out.where = condition(s);
    if (below(4) == 0) return out;
    for (std::size_t i = 0, n = 1 + below(3); i < n; ++i) {
      out.select.emplace_back(fmt::format("n{}", i), integer(s));
      out.select.emplace_back(fmt::format("t{}", i), text(s));
      // The memory of a column under another type.
      if (below(3) == 0) out.select.emplace_back(fmt::format("y{}", i), fmt::format("CAST({} AS bytes)", text(s, 0)));
    }
    return out;
  }

 private:
  std::string column(const Schema& s, TypeKind kind) {
    std::vector<std::string> names;
    for (const Field& f : s.fields)
      if (f.type.kind == kind) names.push_back(f.name);
    return names[below(names.size())];
  }
  std::mt19937_64 random_;
};

TEST(Chain, RandomChainsAreTheirStepsOneAfterTheOther) {
  std::size_t rows_out = 0, failed = 0;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    RandomSteps g(seed);
    Table t;
    std::vector<Opt<std::int64_t>> a, b;
    std::vector<Opt<std::string>> s, u;
    static constexpr const char* kTexts[] = {"", "a", "7", "ab", "12", "B"};
    const std::size_t n = 1 + g.below(40);
    for (std::size_t i = 0; i < n; ++i) {
      a.push_back(g.below(5) == 0 ? Opt<std::int64_t>() : static_cast<std::int64_t>(g.below(7)) - 2);
      b.push_back(static_cast<std::int64_t>(g.below(4)));
      s.push_back(g.below(6) == 0 ? Opt<std::string>() : kTexts[g.below(6)]);
      u.push_back(kTexts[g.below(6)]);
    }
    t.ints("a", a).ints("b", b).strings("s", s).strings("u", u);
    ChainBuilder whole(schema_of(t));
    std::vector<Chain> apart;
    std::vector<std::string> shown;
    for (std::size_t k = 0, stages = 1 + g.below(4); k < stages; ++k) {
      const Schema in = whole.output();
      const Step step = g.step(in);
      shown.push_back(step.where);
      for (const auto& [name, text] : step.select) shown.back() += "; " + name + ": " + text;
      ChainBuilder one(in);
      add(one, step);
      apart.push_back(one.build());
      add(whole, step);
    }
    const std::string where = fmt::format("seed {}: {}", seed, fmt::join(shown, " | "));
    // The oracle.
    std::vector<std::string> want_rows, want_failures;
    for (std::uint32_t row = 0; row < n; ++row) {
      Arena arena;
      Batch batch = gather(t.batch(), &row, 1, std::make_shared<Arena>());
      bool alive = true;
      for (std::size_t k = 0; k < apart.size() && alive; ++k) {
        auto r = apart[k].evaluate(batch, arena);
        for (const auto& f : r.failures) want_failures.push_back(fmt::format("{}/{}: {}", k, row, f.message));
        alive = r.rows > 0;
        batch.columns = r.columns;
      }
      if (!alive) continue;
      want_rows.push_back(fmt::format("{}:", row));
      for (const Column& c : batch.columns) want_rows.back() += " " + show(c, 0);
    }
    for (const std::uint32_t size : {1u, 7u, 1024u}) {
      Chain chain = whole.build();
      std::vector<std::string> rows, failures;
      // Columns are looked at when the chain has gone on to other batches: they own their memory.
      struct Kept {
        std::vector<Column> columns;
        std::vector<std::uint32_t> rows;
      };
      std::vector<Kept> results;
      std::vector<Batch> batches;
      Arena arena;
      for (std::uint32_t from = 0; from < n; from += size) {
        std::vector<std::uint32_t> part;
        for (std::uint32_t i = from; i < n && i < from + size; ++i) part.push_back(i);
        batches.push_back(
            gather(t.batch(), part.data(), static_cast<std::uint32_t>(part.size()), std::make_shared<Arena>()));
        const auto r = chain.evaluate(batches.back(), arena);
        for (const auto& f : r.failures) failures.push_back(fmt::format("{}/{}: {}", f.stage, from + f.row, f.message));
        results.push_back({r.columns, {}});
        for (std::uint32_t i = 0; i < r.rows; ++i)
          results.back().rows.push_back(from + (r.selection != nullptr ? r.selection[i] : i));
      }
      for (const Kept& kept : results) {
        for (std::uint32_t i = 0; i < kept.rows.size(); ++i) {
          rows.push_back(fmt::format("{}:", kept.rows[i]));
          for (const Column& c : kept.columns) rows.back() += " " + show(c, i);
        }
      }
      ASSERT_EQ(rows, want_rows) << where << ", batches of " << size;
      std::sort(failures.begin(), failures.end());
      std::sort(want_failures.begin(), want_failures.end());
      ASSERT_EQ(failures, want_failures) << where << ", batches of " << size;
      rows_out += rows.size();
      failed += failures.size();
    }
  }
  EXPECT_GT(rows_out, 1000u);
  EXPECT_GT(failed, 1000u);
}

}  // namespace
}  // namespace twinspan::testing
