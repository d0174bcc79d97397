// Aggregate calls in expressions: what is taken apart, and where an error points.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/expr/aggregates.h"

namespace twinspan::testing {
namespace {

using engine::AggregateCall;
using engine::AggregateFunction;
using engine::AggregateInfo;
using ::testing::HasSubstr;

std::vector<AggregateCall> calls_of(const std::string& text) {
  std::vector<AggregateCall> calls;
  const auto parsed = engine::parse_expression(text);
  EXPECT_TRUE(parsed.ok()) << text;
  EXPECT_TRUE(engine::split_aggregates(*parsed, calls).ok()) << text;
  return calls;
}

engine::ExprError error_of(const std::string& text) {
  std::vector<AggregateCall> calls;
  const auto split = engine::split_aggregates(*engine::parse_expression(text), calls);
  EXPECT_FALSE(split.ok()) << text;
  EXPECT_TRUE(calls.empty()) << text;
  return split.ok() ? engine::ExprError{} : split.errors()[0];
}

// The part of the text that the caret points at.
std::string marked(const std::string& text) {
  const engine::ExprError e = error_of(text);
  return text.substr(e.offset, e.length);
}

TEST(AggregateTable, IsInOrderAndComplete) {
  std::size_t i = 0;
  for (const AggregateInfo& info : engine::aggregate_table()) {
    EXPECT_EQ(static_cast<std::size_t>(info.function), i++);
    EXPECT_EQ(engine::find_aggregate(info.name), &info);
    EXPECT_TRUE(info.signature.starts_with(std::string(info.name) + "(")) << info.signature;
    EXPECT_THAT(std::string(info.signature), HasSubstr("->"));
    for (const std::string_view text : {info.doc, info.error, info.merge, info.memory})
      EXPECT_FALSE(text.empty()) << info.name;
    EXPECT_EQ(info.has('k'), info.number_max > 0) << info.name;
  }
  EXPECT_EQ(i, 14u);
  EXPECT_EQ(engine::find_aggregate("upper"), nullptr);
}

TEST(AggregateCalls, TakeColumnsAndConstants) {
  auto calls = calls_of("percentile(price * 2, 0.95) / percentile(price * 2, 1)");
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(engine::to_string(*calls[0].arg), "price * 2");
  EXPECT_EQ(calls[0].parameters.fraction, 0.95);
  EXPECT_EQ(calls[1].parameters.fraction, 1);
  calls = calls_of("min_by(url, latency + 1) FILTER (WHERE ok)");
  EXPECT_EQ(engine::to_string(*calls[0].arg), "url");
  EXPECT_EQ(engine::to_string(*calls[0].by), "latency + 1");
  EXPECT_EQ(engine::to_string(*calls[0].filter), "ok");
  calls = calls_of("string_agg(DISTINCT name, ', ') || string_agg(name, '', 20)");
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_TRUE(calls[0].distinct);
  EXPECT_EQ(calls[0].parameters.text, ", ");
  EXPECT_EQ(calls[0].parameters.number, 1000);
  EXPECT_EQ(calls[1].parameters.number, 20);
  EXPECT_EQ(calls_of("top_k(page, 10)")[0].parameters.number, 10);
  EXPECT_EQ(calls_of("array_agg(page)")[0].parameters.number, 1000);
  EXPECT_EQ(calls_of("first(x) + last(x) + first(x)").size(), 2u);
  EXPECT_EQ(calls_of("approx_count_distinct(DISTINCT x) + approx_count_distinct(x)").size(), 1u);
}

TEST(AggregateCalls, PointAtWhatIsWrong) {
  EXPECT_EQ(marked("1 + percentile(x, 95)"), "95");
  EXPECT_THAT(error_of("percentile(x, 95)").hint, HasSubstr("0.95"));
  EXPECT_EQ(marked("percentile(x, y)"), "y");
  EXPECT_EQ(marked("percentile(x, -0.5)"), "-0.5");
  EXPECT_EQ(marked("2 * percentile(x)"), "percentile(x)");
  EXPECT_THAT(error_of("percentile(x)").hint, HasSubstr("percentile(x"));
  EXPECT_EQ(marked("top_k(x, 0)"), "0");
  EXPECT_EQ(marked("top_k(x, 101)"), "101");
  EXPECT_EQ(marked("top_k(x, 1.5)"), "1.5");
  EXPECT_EQ(marked("string_agg(x, sep)"), "sep");
  EXPECT_EQ(marked("string_agg(x, ',', 10001)"), "10001");
  EXPECT_EQ(marked("min_by(x)"), "min_by(x)");
  EXPECT_EQ(marked("sum(a, b + 1)"), "b + 1");
  EXPECT_EQ(marked("avg(DISTINCT a)"), "avg(DISTINCT a)");
  EXPECT_EQ(marked("first(*)"), "first(*)");
  EXPECT_EQ(marked("max_by(sum(x), y)"), "sum(x)");
}

TEST(AggregateCalls, HaveTypes) {
  auto type = [](const std::string& text, DataType x, DataType by = types::null) {
    const auto t = engine::aggregate_type(calls_of(text)[0], x, by);
    return t.ok() ? to_string(*t) : t.errors()[0].message;
  };
  EXPECT_EQ(type("first(x)", types::timestamp), "timestamp");
  EXPECT_EQ(type("max_by(x, y)", types::string, types::decimal(9, 2)), "string");
  EXPECT_EQ(type("approx_count_distinct(x)", types::bytes), "int64");
  EXPECT_EQ(type("percentile(x, 0.5)", types::decimal(9, 2)), "float64");
  EXPECT_EQ(type("percentile(x, 0.5)", types::duration), "duration");
  EXPECT_EQ(type("percentile(x, 0.5)", types::string), "percentile() does not take string");
  EXPECT_EQ(type("string_agg(x, ',')", types::int64), "string_agg() does not take int64");
  EXPECT_EQ(type("array_agg(x)", types::int64), "array<int64>");
  EXPECT_EQ(type("top_k(x, 3)", types::string), "array<row<value string, count int64, error int64>>");
  EXPECT_EQ(type("count(DISTINCT x)", types::json), "count(DISTINCT ..) does not take json");
  EXPECT_EQ(type("count(x)", types::json), "int64");
  EXPECT_EQ(type("last(x)", types::json), "json");
  EXPECT_EQ(type("top_k(x, 3)", types::null), "top_k(NULL) has no type");
  EXPECT_EQ(type("min_by(x, NULL)", types::int64, types::null), "min_by() does not order by null");
}

}  // namespace
}  // namespace twinspan::testing
