#include "gateway/driver/row_match.h"

#include <gtest/gtest.h>

#include "config/document.h"

namespace twinspan::gateway {
namespace {

std::vector<config::Node> rows(const std::string& yaml) {
  config::Diagnostics diagnostics;
  auto document = config::read_document(yaml, "rows.yaml", diagnostics);
  EXPECT_TRUE(document && !diagnostics.has_errors()) << diagnostics.render();
  return document->root.entries.at(0).value.items;
}

ResultValue json(const std::string& value) {
  VirtualOutput o;
  o.value = value;
  o.timestamp = 1'767'225'600'000;
  return result_of(o);
}

bool match(const std::string& expected, const std::string& actual) {
  return matches(rows("r: [" + expected + "]").at(0), json(actual));
}

TEST(RowMatch, OnlyListedFieldsCount) {
  EXPECT_TRUE(match("{ a: 1 }", R"({"a":1,"b":2})"));
  EXPECT_FALSE(match("{ a: 1, c: 3 }", R"({"a":1,"b":2})"));
}

TEST(RowMatch, NumbersByTheirExactDigits) {
  EXPECT_TRUE(match("{ a: 1.50 }", R"({"a":1.5000})"));
  EXPECT_TRUE(match("{ a: 100000000000000000001 }", R"({"a":100000000000000000001})"));
  EXPECT_FALSE(match("{ a: 100000000000000000001 }", R"({"a":100000000000000000002})"));
  EXPECT_TRUE(match("{ a: 1000 }", R"({"a":1e3})"));
  EXPECT_FALSE(match("{ a: 0.1 }", R"({"a":0.10000001})"));
  EXPECT_TRUE(match("{ a: -0 }", R"({"a":0})"));
  EXPECT_TRUE(match("{ a: 90s }", R"({"a":90000})"));
}

TEST(RowMatch, AQuotedNumberIsAText) {
  EXPECT_FALSE(match(R"({ a: "1" })", R"({"a":1})"));
  EXPECT_TRUE(match(R"({ a: "1" })", R"({"a":"1"})"));
}

TEST(RowMatch, NullAndMissingDiffer) {
  EXPECT_TRUE(match("{ a: null }", R"({"a":null})"));
  EXPECT_FALSE(match("{ a: null }", R"({"a":"null"})"));
  EXPECT_FALSE(match("{ a: null }", R"({"b":1})"));
}

TEST(RowMatch, TimesAsTimes) {
  EXPECT_TRUE(match(R"({ a: "2026-01-01T08:00:00+08:00" })", R"({"a":"2026-01-01T00:00:00Z"})"));
  EXPECT_FALSE(match(R"({ a: "2026-01-01T08:00:00Z" })", R"({"a":"2026-01-01T00:00:00Z"})"));
}

TEST(RowMatch, ListsAndMapsThroughAndThrough) {
  EXPECT_TRUE(match("{ a: [1, { x: y }] }", R"({"a":[1,{"x":"y","z":1}]})"));
  EXPECT_FALSE(match("{ a: [1] }", R"({"a":[1,2]})"));
}

TEST(RowMatch, TheOtherPartsOfARecord) {
  VirtualOutput o;
  o.value = R"({"a":1})";
  o.key = "k";
  o.has_key = true;
  o.timestamp = 1'767'225'600'000;
  o.headers = {{"twinspan-op", "-U"}, {"twinspan-final", "false"}, {"h", "v"}};
  const ResultValue row = result_of(o);
  EXPECT_TRUE(matches(rows("r: [{ _key: k, _op: -U, _final: false, _headers: { h: v }, "
                           "_timestamp: \"2026-01-01T00:00:00Z\" }]")[0],
                      row));
  EXPECT_TRUE(match("{ _op: +I, _final: true, _key: null }", R"({"a":1})"));
  EXPECT_EQ(to_string(row), "{ a: 1, _key: k, _op: -U, _final: false, _headers: { h: v } }");
}

TEST(RowMatch, RowsInAnyOrderEachOnce) {
  const std::vector<ResultValue> actual = {json(R"({"a":2})"), json(R"({"a":1})"), json(R"({"a":1})")};
  EXPECT_TRUE(compare_rows(rows("r: [{ a: 1 }, { a: 1 }, { a: 2 }]"), actual, true, false).empty());
  EXPECT_EQ(compare_rows(rows("r: [{ a: 1 }, { a: 2 }]"), actual, true, false).size(), 1u);
  EXPECT_TRUE(compare_rows(rows("r: [{ a: 1 }, { a: 2 }]"), actual, false, false).empty());
  EXPECT_EQ(compare_rows(rows("r: [{ a: 2 }, { a: 2 }]"), actual, false, false).size(), 1u);
}

// The first expected row fits both, the second only one: each gets its own all the same.
TEST(RowMatch, AVagueRowLeavesTheOneThatOthersNeed) {
  const std::vector<ResultValue> actual = {json(R"({"a":1,"b":1})"), json(R"({"a":1,"b":2})")};
  EXPECT_TRUE(compare_rows(rows("r: [{ a: 1 }, { a: 1, b: 1 }]"), actual, true, false).empty());
}

TEST(RowMatch, OrderCountsWhenAsked) {
  const std::vector<ResultValue> actual = {json(R"({"a":1})"), json(R"({"a":2})"), json(R"({"a":3})")};
  EXPECT_TRUE(compare_rows(rows("r: [{ a: 1 }, { a: 2 }, { a: 3 }]"), actual, true, true).empty());
  EXPECT_FALSE(compare_rows(rows("r: [{ a: 2 }, { a: 1 }, { a: 3 }]"), actual, true, true).empty());
  EXPECT_TRUE(compare_rows(rows("r: [{ a: 1 }, { a: 3 }]"), actual, false, true).empty());
  EXPECT_FALSE(compare_rows(rows("r: [{ a: 3 }, { a: 1 }]"), actual, false, true).empty());
}

TEST(RowMatch, TheNearestRowIsShownBesideWhatWasExpected) {
  const std::vector<ResultValue> actual = {json(R"({"k":"x","n":1})"), json(R"({"k":"y","n":2})")};
  const auto expected = rows("r: [{ k: y, n: 3 }, { k: z, n: 9 }]");
  const auto complaints = compare_rows(expected, actual, true, false);
  ASSERT_EQ(complaints.size(), 2u);
  EXPECT_EQ(complaints[0].expected, &expected[0]);
  EXPECT_EQ(complaints[0].actual, &actual[1]);
  ASSERT_EQ(complaints[0].fields.size(), 2u);
  EXPECT_TRUE(complaints[0].fields[0].equal);
  EXPECT_FALSE(complaints[0].fields[1].equal);
  EXPECT_EQ(complaints[0].fields[1].expected, "3");
  EXPECT_EQ(complaints[0].fields[1].actual, "2");
}

}  // namespace
}  // namespace twinspan::gateway
