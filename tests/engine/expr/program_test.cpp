// Binding, sharing, outputs, predicates, aggregates.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/expr/aggregates.h"
#include "engine/expr/functions.h"
#include "tests/engine/expr/table.h"

namespace twinspan::testing {
namespace {

using engine::parse_expression;
using engine::Predicate;
using engine::ProgramBuilder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Table sample() {
  Table t;
  t.strings("device_id", {"d1", "d2", std::nullopt});
  t.decimals("price", 18, 4, {"1.5", "2", std::nullopt});
  t.ints("ad_id", {1, 2, 3});
  t.times("ts", {0, 1000, 2000});
  return t;
}

TEST(Binding, ErrorsHaveSpanAndHint) {
  struct Case {
    const char* text;
    const char* spot;
    const char* message;
    const char* hint;
  };
  const Case cases[] = {
      {"prise > 1", "prise", "unknown column `prise`", "`price`"},
      {"PRICE > 1", "PRICE", "unknown column", "`price`"},
      {"xyzzyq = 1", "xyzzyq", "unknown column", "columns here: device_id"},
      {"uper(device_id)", "uper(device_id)", "unknown function `uper`", "`upper`"},
      {"upper(ad_id)", "upper(ad_id)", "does not take (int64)", "upper(text string) -> string"},
      {"substring(device_id)", "substring(device_id)", "does not take 1 arguments", "substring("},
      {"ad_id = device_id", "ad_id = device_id", "cannot compare", "CAST"},
      {"ad_id + device_id", "ad_id + device_id", "cannot compute int64 + string", "CAST"},
      {"device_id + device_id", "device_id + device_id", "cannot compute", "||"},
      {"ts + 10", "ts + 10", "cannot compute", "INTERVAL"},
      {"ts > 'yesterday'", "ts > 'yesterday'", "not a timestamp", "2026"},
      {"ad_id AND TRUE", "ad_id", "a condition is due", "x > 0"},
      {"CASE WHEN TRUE THEN 1 ELSE 'x' END", "CASE WHEN TRUE THEN 1 ELSE 'x' END", "int64 and string", "CAST"},
      {"CAST(ts AS int64)", "CAST(ts AS int64)", "cannot cast", "unix_millis"},
      {"sum(price)", "sum(price)", "cannot stand here", "aggregate:"},
      {"now()", "now()", "not deterministic", "timestamp field"},
      {"regexp_like(device_id, '(')", "'('", "bad regular expression", ""},
      {"date_trunc('fortnight', ts)", "'fortnight'", "unknown unit", ""},
      {"device_id || ad_id", "ad_id", "|| joins strings", "CAST"},
      {"device_id LIKE 'a!' ESCAPE '!'", "'a!'", "escape", ""},
      {"- device_id", "- device_id", "cannot negate", ""},
      {"left.price > 1", "left.price", "unknown column `left.price`", ""},
  };
  for (const auto& c : cases) {
    const auto errors = errors_of(sample(), c.text);
    ASSERT_EQ(errors.size(), 1u) << c.text;
    EXPECT_EQ(std::string(c.text).substr(errors[0].offset, errors[0].length), c.spot) << c.text;
    EXPECT_THAT(errors[0].message, HasSubstr(c.message)) << c.text;
    EXPECT_THAT(errors[0].hint, HasSubstr(c.hint)) << c.text;
  }
}

TEST(Binding, TellsAllErrorsAtOnce) {
  EXPECT_EQ(errors_of(sample(), "prise > 1 AND uper(device_id) = 'x' AND ad_id = device_id").size(), 3u);
}

TEST(Binding, QualifiedNames) {
  Table t;
  t.strings("id", {"l"}, "left").strings("id", {"r"}, "right").strings("only", {"o"}, "right");
  EXPECT_EQ(evaluate(t, "left.id || right.id || only")[0], "lro");
  const auto errors = errors_of(t, "id = 'x'");
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_THAT(errors[0].message, HasSubstr("ambiguous"));
  EXPECT_THAT(errors[0].hint, HasSubstr("left.id or right.id"));
}

TEST(Binding, Types) {
  const auto type = [](const char* text) {
    const auto t = engine::type_of(**parse_expression(text), sample().scope());
    return t ? to_string(*t) : t.errors()[0].message;
  };
  EXPECT_EQ(type("price + 1"), "decimal(19,4)");
  EXPECT_EQ(type("price * price"), "decimal(37,8)");
  EXPECT_EQ(type("price / 3"), "decimal(20,6)");
  EXPECT_EQ(type("price + 1e0"), "float64");
  EXPECT_EQ(type("ts - ts"), "duration");
  EXPECT_EQ(type("coalesce(ad_id, price)"), "decimal(23,4)");
  EXPECT_EQ(type("NULL"), "null");
  EXPECT_EQ(type("CASE WHEN TRUE THEN NULL ELSE 1 END"), "int64");
}

TEST(Program, EqualPartsAreComputedOnceABatch) {
  const Table t = sample();
  ProgramBuilder builder(t.scope());
  for (const char* text :
       {"upper(device_id)", "upper(device_id) || 'x'", "UPPER( device_id ) = 'D1'", "length(upper(device_id))"})
    ASSERT_TRUE(builder.add(**parse_expression(text)).ok());
  EXPECT_THAT(builder.used_columns(), ElementsAre(0));
  auto program = builder.build();
  Arena arena;
  EvalErrors errors;
  program.evaluate(t.batch(), arena, errors);
  EXPECT_EQ(program.evaluations(), 4u);  // upper, concat, =, length
  program.evaluate(t.batch(), arena, errors);
  EXPECT_EQ(program.evaluations(), 8u);
  auto copy = program;
  EXPECT_EQ(copy.evaluations(), 0u);
}

TEST(Program, ConstantsAreComputedAtLoad) {
  const Table t = sample();
  ProgramBuilder builder(t.scope());
  for (const char* text : {"1 + 2 * 3", "upper('a') || 'b'", "INTERVAL '1' MINUTE * 3", "NULL + 1",
                           "ad_id > 0 AND FALSE", "CASE WHEN 1 = 1 THEN 5 ELSE ad_id END"})
    ASSERT_TRUE(builder.add(**parse_expression(text)).ok());
  auto program = builder.build();
  Arena arena;
  EvalErrors errors;
  const auto columns = program.evaluate(t.batch(), arena, errors);
  EXPECT_EQ(program.evaluations(), 0u);
  EXPECT_EQ(show(columns[0], 2), "7");
  EXPECT_EQ(show(columns[1], 1), "Ab");
  EXPECT_EQ(show(columns[3], 1), "NULL");
}

TEST(Program, PlainColumnsAreNotCopied) {
  const Table t = sample();
  ProgramBuilder builder(t.scope());
  ASSERT_TRUE(builder.add(**parse_expression("device_id")).ok());
  ASSERT_TRUE(builder.add(**parse_expression("price")).ok());
  auto program = builder.build();
  Arena arena;
  EvalErrors errors;
  const auto columns = program.evaluate(t.batch(), arena, errors);
  EXPECT_EQ(columns[0].data, t.batch().columns[0].data);
  EXPECT_EQ(columns[1].data, t.batch().columns[1].data);
  EXPECT_EQ(arena.bytes(), 0u);
}

TEST(Program, ResultsOutliveTheProgramAndItsNextBatch) {
  const Table t = sample();
  Arena arena;
  EvalErrors errors;
  std::vector<Column> first, constant;
  {
    ProgramBuilder builder(t.scope());
    ASSERT_TRUE(builder
                    .add(**parse_expression(
                        "CASE WHEN ad_id = 1 THEN 'constant text that is long' ELSE upper(device_id) || '-suffix' END"))
                    .ok());
    ASSERT_TRUE(builder.add(**parse_expression("CAST(upper(device_id) AS bytes)")).ok());
    ASSERT_TRUE(builder.add(**parse_expression("'another constant text'")).ok());
    ASSERT_TRUE(builder.add(**parse_expression("price + 1")).ok());
    auto program = builder.build();
    first = program.evaluate(t.batch(), arena, errors);
    Table other;
    other.strings("device_id", {"zz", "yy"})
        .decimals("price", 18, 4, {"9", "8"})
        .ints("ad_id", {5, 6})
        .times("ts", {0, 0});
    Arena second;
    program.evaluate(other.batch(), second, errors);
  }
  EXPECT_EQ(show(first[0], 0), "constant text that is long");
  EXPECT_EQ(show(first[0], 1), "D2-suffix");
  EXPECT_EQ(show(first[0], 2), "NULL");
  EXPECT_EQ(show(first[1], 1), "D2");
  EXPECT_EQ(show(first[1], 2), "NULL");
  EXPECT_EQ(show(first[2], 1), "another constant text");
  EXPECT_EQ(show(first[3], 1), "3.0000");
  EXPECT_TRUE(first[3].is_null(2));
}

TEST(Program, OneErrorARowInRowOrder) {
  Table t;
  t.strings("a", {"1", "x", "2", "y"}).strings("b", {"q", "1", "2", "z"});
  ProgramBuilder builder(t.scope());
  ASSERT_TRUE(builder.add(**parse_expression("CAST(a AS int64)")).ok());
  ASSERT_TRUE(builder.add(**parse_expression("CAST(b AS int64)")).ok());
  auto program = builder.build();
  Arena arena;
  EvalErrors errors;
  program.evaluate(t.batch(), arena, errors);
  ASSERT_EQ(errors.size(), 3u);
  EXPECT_EQ(errors[0].row, 0u);
  EXPECT_EQ(errors[0].slot, 1u);
  EXPECT_EQ(errors[1].row, 1u);
  EXPECT_EQ(errors[2].row, 3u);
  EXPECT_EQ(errors[2].slot, 0u);
  EXPECT_THAT(errors[2].message, HasSubstr("'y'"));
}

TEST(Program, ExpectedTypeConvertsOrRefuses) {
  const Table t = sample();
  ProgramBuilder builder(t.scope());
  EXPECT_EQ(builder.type(*builder.add(**parse_expression("ad_id"), types::float64)), types::float64);
  EXPECT_FALSE(builder.add(**parse_expression("device_id"), types::int64).ok());
}

TEST(Program, EmptyBatchAndNoSlots) {
  Table t;
  t.ints("x", {}).strings("s", {});
  EXPECT_TRUE(evaluate(t, "CASE WHEN x = 1 THEN upper(s) || 'a' ELSE s END").empty());
  engine::Program none;
  Arena arena;
  EvalErrors errors;
  EXPECT_TRUE(none.evaluate(t.batch(), arena, errors).empty());
}

TEST(Predicate, SelectsRowsThatAreTrue) {
  Table t;
  t.strings("type", {"click", "view", std::nullopt, "click", "clicks"}).ints("n", {1, 2, 3, 0, 5});
  const auto rows = [&](const char* text, std::size_t n_errors = 0) {
    auto p = Predicate::compile(**parse_expression(text), t.scope());
    EXPECT_TRUE(p.ok());
    auto predicate = *p;
    std::vector<std::uint32_t> out;
    EvalErrors errors;
    predicate.select(t.batch(), out, errors);
    EXPECT_EQ(errors.size(), n_errors) << text;
    return out;
  };
  EXPECT_THAT(rows("type = 'click'"), ElementsAre(0u, 3u));
  EXPECT_THAT(rows("type <> 'click'"), ElementsAre(1u, 4u));
  EXPECT_THAT(rows("type = 'click' AND n > 0"), ElementsAre(0u));
  EXPECT_THAT(rows("TRUE"), ElementsAre(0u, 1u, 2u, 3u, 4u));
  EXPECT_THAT(rows("NULL"), ElementsAre());
  EXPECT_THAT(rows("10 / n >= 5", 1), ElementsAre(0u, 1u));
  EXPECT_THAT(rows("type LIKE 'c%' AND regexp_like(type, 's$')"), ElementsAre(4u));
  EXPECT_FALSE(Predicate::compile(**parse_expression("n + 1"), t.scope()).ok());
}

TEST(UsedColumns, NamesWhatIsRead) {
  EXPECT_THAT(
      engine::used_columns(**parse_expression("count(price) FILTER (WHERE ts > TIMESTAMP '2026-01-01') + nosuch"),
                           sample().scope()),
      ElementsAre(1, 3));
}

TEST(Aggregates, SplitSharesEqualCalls) {
  std::vector<engine::AggregateCall> calls;
  const auto split = [&](const char* text) {
    return engine::to_string(**engine::split_aggregates(*parse_expression(text), calls));
  };
  EXPECT_EQ(split("sum(price) / count(*)"), "$agg0 / $agg1");
  EXPECT_EQ(split("COUNT( DISTINCT device_id ) FILTER (WHERE clicked)"), "$agg2");
  EXPECT_EQ(split("1 + sum( price )"), "1 + $agg0");
  EXPECT_EQ(split("max(DISTINCT price) - max(price)"), "$agg3 - $agg3");
  ASSERT_EQ(calls.size(), 4u);
  EXPECT_EQ(calls[0].function, "sum");
  EXPECT_EQ(engine::to_string(*calls[0].arg), "price");
  EXPECT_EQ(calls[1].arg, nullptr);
  EXPECT_TRUE(calls[2].distinct);
  EXPECT_EQ(engine::to_string(*calls[2].filter), "clicked");
  Table t;
  t.decimals("$agg0", 38, 4, {"9"}).ints("$agg1", {2});
  EXPECT_EQ(evaluate(t, "$agg0 / $agg1")[0].substr(0, 3), "4.5");
}

TEST(Aggregates, Errors) {
  for (const char* text : {"sum(max(x))", "sum(x) FILTER (WHERE count(*) > 1)", "sum(*)", "sum()", "count()",
                           "avg(a, b)", "upper(s) FILTER (WHERE max(x) > 1)"}) {
    std::vector<engine::AggregateCall> calls;
    EXPECT_FALSE(engine::split_aggregates(*parse_expression(text), calls).ok()) << text;
    EXPECT_TRUE(calls.empty());
  }
  engine::AggregateCall sum{"sum"};
  EXPECT_EQ(to_string(*engine::aggregate_type(sum, types::decimal(18, 4))), "decimal(38,4)");
  EXPECT_FALSE(engine::aggregate_type(sum, types::string).ok());
}

TEST(Functions, TableIsCompleteAndDocumented) {
  std::string before;
  for (const auto& f : engine::function_table()) {
    EXPECT_TRUE(f.signature.starts_with(std::string(f.name) + "(")) << f.signature;
    EXPECT_THAT(std::string(f.signature), HasSubstr("->"));
    EXPECT_FALSE(f.doc.empty());
    const std::string key = std::string(f.group) + "/" + std::string(f.name);
    EXPECT_LE(before, key);
    before = key;
  }
  EXPECT_GT(engine::function_table().size(), 55u);
}

}  // namespace
}  // namespace twinspan::testing
