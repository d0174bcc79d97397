// Arrays, maps, rows and json in expressions: parts, literals, casts, functions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/expr/table.h"

namespace twinspan::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Table rows() {
  Table t;
  t.values("tags", "array<string>",
           {R"(["a","b",null])", "[]", std::nullopt, R"(["long enough to be no short string"])"});
  t.values("n", "array<int64>", {"[3,1,2,3]", "[null,5]", "[]", std::nullopt});
  t.values("m", "map<string, int64>", {R"({"b":2,"a":1})", "{}", R"({"a":null})", std::nullopt});
  t.values("r", "row<id int64, who row<name string, scores array<decimal(10,2)>>, m map<string, array<int64>>>",
           {R"({"id":7,"who":{"name":"Ann","scores":[1.5,"2.25"]},"m":{"k":[4,5]}})", R"({"who":{"name":null}})", "{}",
            std::nullopt});
  t.values("j", "json",
           {R"({"a":{"b":[1,"x",{"k":true}]},"s":"q\"uote","n":12.5,"z":null})", "[10,20]", R"("text")", std::nullopt});
  t.ints("i", {0, 1, 2, -1});
  t.strings("s", {"a", "b", "c", "a"});
  return t;
}

struct Case {
  const char* text;
  std::vector<std::string> want;
};

void expect_rows(const std::vector<Case>& cases) {
  const Table t = rows();
  for (const Case& c : cases) EXPECT_EQ(evaluate(t, c.text), c.want) << c.text;
}

TEST(Nested, Parts) {
  expect_rows({
      {"tags[0]", {"a", "NULL", "NULL", "long enough to be no short string"}},
      {"tags[i]", {"a", "NULL", "NULL", "NULL"}},
      {"tags[2]", {"NULL", "NULL", "NULL", "NULL"}},
      {"tags[100000000000]", {"NULL", "NULL", "NULL", "NULL"}},
      {"n[1] + 1", {"2", "6", "NULL", "NULL"}},
      {"m['a']", {"1", "NULL", "NULL", "NULL"}},
      {"m[s]", {"1", "NULL", "NULL", "NULL"}},
      {"m.b", {"2", "NULL", "NULL", "NULL"}},
      {"r.id", {"7", "NULL", "NULL", "NULL"}},
      {"r.who.name", {"Ann", "NULL", "NULL", "NULL"}},
      {"r.who.scores[1]", {"2.25", "NULL", "NULL", "NULL"}},
      {"r.m['k'][1]", {"5", "NULL", "NULL", "NULL"}},
      {"(r).m.k[0]", {"4", "NULL", "NULL", "NULL"}},
      {"r['id']", {"7", "NULL", "NULL", "NULL"}},
      {"j.a.b[0]", {"1", "NULL", "NULL", "NULL"}},
      {"j.a.b[2]['k']", {"true", "NULL", "NULL", "NULL"}},
      {"j[1]", {"NULL", "20", "NULL", "NULL"}},
      {"j.z", {"NULL", "NULL", "NULL", "NULL"}},
      {"CAST(j.n AS float64) * 2", {"25", "NULL", "NULL", "NULL"}},
      {"CAST(j.n AS decimal(9,2))", {"12.50", "NULL", "NULL", "NULL"}},
      {"CAST(j.s AS string)", {"q\"uote", "NULL", "NULL", "NULL"}},
      {"TRY_CAST(j.s AS int64)", {"NULL", "NULL", "NULL", "NULL"}},
      {"r IS NULL", {"false", "false", "false", "true"}},
      {"CASE WHEN i > 0 THEN n ELSE ARRAY[9] END", {"[9]", "[null,5]", "[]", "[9]"}},
      {"coalesce(tags, ARRAY['none'])",
       {R"(["a","b",null])", "[]", R"(["none"])", R"(["long enough to be no short string"])"}},
  });
}

TEST(Nested, EqualValuesAreEqual) {
  expect_rows({
      {"n = ARRAY[3, 1, 2, 3]", {"true", "false", "false", "NULL"}},
      {"n <> ARRAY[3, 1, 2, 3]", {"false", "true", "true", "NULL"}},
      {"m = MAP['a', 1, 'b', 2]", {"true", "false", "false", "NULL"}},
      {"n IS DISTINCT FROM n", {"false", "false", "false", "false"}},
      {"ARRAY[0e0] = ARRAY[-0e0]", {"true", "true", "true", "true"}},
      {"ROW(1 AS a, 'x' AS b) = ROW(1 AS a, 'x' AS b)", {"true", "true", "true", "true"}},
  });
}

TEST(Nested, Literals) {
  expect_rows({
      {"ARRAY[i, 1, NULL]", {"[0,1,null]", "[1,1,null]", "[2,1,null]", "[-1,1,null]"}},
      {"ARRAY[1, 2.5]", {"[1.0,2.5]", "[1.0,2.5]", "[1.0,2.5]", "[1.0,2.5]"}},
      {"MAP['k', i, s, 5]", {R"({"a":5,"k":0})", R"({"b":5,"k":1})", R"({"c":5,"k":2})", R"({"a":5,"k":-1})"}},
      {"MAP['a', 1, 'a', 2]['a']", {"2", "2", "2", "2"}},
      {"ROW(i, s AS `the name`, r.id)",
       {R"({"i":0,"the name":"a","id":7})", R"({"i":1,"the name":"b","id":null})",
        R"({"i":2,"the name":"c","id":null})", R"({"i":-1,"the name":"a","id":null})"}},
      {"ROW(i, s).s", {"a", "b", "c", "a"}},
      {"ARRAY[ARRAY[1, 2], ARRAY[i]][1][0]", {"0", "1", "2", "-1"}},
      {"ARRAY['x', 'y'][1] || 'z'", {"yz", "yz", "yz", "yz"}},
  });
}

TEST(Nested, Functions) {
  expect_rows({
      {"cardinality(tags)", {"3", "0", "NULL", "1"}},
      {"cardinality(m)", {"2", "0", "1", "NULL"}},
      {"s IN tags", {"true", "false", "NULL", "false"}},
      {"'c' IN tags", {"NULL", "false", "NULL", "false"}},
      {"'c' NOT IN (tags)", {"NULL", "true", "NULL", "true"}},
      {"array_contains(tags, 'c')", {"false", "false", "NULL", "false"}},
      {"array_contains(n, 3)", {"true", "false", "false", "NULL"}},
      {"split('a,b,,c', ',')",
       {R"(["a","b","","c"])", R"(["a","b","","c"])", R"(["a","b","","c"])", R"(["a","b","","c"])"}},
      {"split(s, '')[0]", {"a", "b", "c", "a"}},
      {"array_join(tags, '-')", {"a-b", "", "NULL", "long enough to be no short string"}},
      {"array_join(tags, '-', '?')", {"a-b-?", "", "NULL", "long enough to be no short string"}},
      {"array_sort(n)", {"[1,2,3,3]", "[5,null]", "[]", "NULL"}},
      {"array_distinct(n)", {"[3,1,2]", "[null,5]", "[]", "NULL"}},
      {"array_distinct(ARRAY[NULL, 1, NULL, 1])", {"[null,1]", "[null,1]", "[null,1]", "[null,1]"}},
      {"array_reverse(n)", {"[3,2,1,3]", "[5,null]", "[]", "NULL"}},
      {"array_concat(n, ARRAY[8], n)", {"[3,1,2,3,8,3,1,2,3]", "[null,5,8,null,5]", "[8]", "NULL"}},
      {"array_slice(n, 1, 2)", {"[1,2]", "[5]", "[]", "NULL"}},
      {"array_slice(n, -2)", {"[2,3]", "[null,5]", "[]", "NULL"}},
      {"array_min(n)", {"1", "5", "NULL", "NULL"}},
      {"array_max(n)", {"3", "5", "NULL", "NULL"}},
      {"array_max(tags)", {"b", "NULL", "NULL", "long enough to be no short string"}},
      {"array_append(n, i)", {"[3,1,2,3,0]", "[null,5,1]", "[2]", "NULL"}},
      {"array_prepend(n, CAST(NULL AS int64))", {"[null,3,1,2,3]", "[null,null,5]", "[null]", "NULL"}},
      {"map_keys(m)", {R"(["a","b"])", "[]", R"(["a"])", "NULL"}},
      {"map_values(m)", {"[1,2]", "[]", "[null]", "NULL"}},
      {"map_from_arrays(ARRAY['x','y'], ARRAY[i, 1])",
       {R"({"x":0,"y":1})", R"({"x":1,"y":1})", R"({"x":2,"y":1})", R"({"x":-1,"y":1})"}},
      {"str_to_map('a=1,b=2,c')['b']", {"2", "2", "2", "2"}},
      {"str_to_map('a:1;b:2', ';', ':').a", {"1", "1", "1", "1"}},
      {"str_to_map('')", {"{}", "{}", "{}", "{}"}},
  });
  EXPECT_EQ(value_of("map_from_arrays(ARRAY['x'], ARRAY[1, 2])"), "!keys and values differ in number");
  EXPECT_EQ(value_of("MAP[CAST(NULL AS string), 1]"), "!the key of a map is NULL");
}

TEST(Nested, JsonFunctions) {
  expect_rows({
      {"json_value(j, '$.a.b[1]')", {"x", "NULL", "NULL", "NULL"}},
      {"json_value(j, '$.a.b')", {"NULL", "NULL", "NULL", "NULL"}},
      {"json_value(j, 'lax $[0]' RETURNING int64) + 1", {"NULL", "11", "NULL", "NULL"}},
      {"json_value(j, '$[-1]')", {"NULL", "20", "NULL", "NULL"}},
      {"json_query(j, '$.a.b')", {R"([1,"x",{"k":true}])", "NULL", "NULL", "NULL"}},
      {"json_query(j, '$')",
       {R"({"a":{"b":[1,"x",{"k":true}]},"s":"q\"uote","n":12.5,"z":null})", "[10,20]", "\"text\"", "NULL"}},
      {"json_exists(j, '$.z')", {"true", "false", "false", "NULL"}},
      {"json_exists(j, '$[\"a\"].\"b\"[2]')", {"true", "false", "false", "NULL"}},
      {"json_type(j)", {"object", "array", "string", "NULL"}},
      {"json_length(j)", {"4", "2", "NULL", "NULL"}},
      {"to_json(n)", {"[3,1,2,3]", "[null,5]", "[]", "NULL"}},
      {"CAST(m AS json).b", {"2", "NULL", "NULL", "NULL"}},
      {"CAST(m AS string)", {R"({"a":1,"b":2})", "{}", R"({"a":null})", "NULL"}},
      {"CAST(j.a.b AS array<json>)[1]", {"\"x\"", "NULL", "NULL", "NULL"}},
      {"TRY_CAST(j AS array<int64>)", {"NULL", "[10,20]", "NULL", "NULL"}},
      {"json_object('i', i, 'tags', tags, KEY s VALUE 1.5)",
       {R"({"i":0,"tags":["a","b",null],"a":1.5})", R"({"i":1,"tags":[],"b":1.5})", R"({"i":2,"tags":null,"c":1.5})",
        R"({"i":-1,"tags":["long enough to be no short string"],"a":1.5})"}},
      {"json_array(i, s, TRUE, NULL)",
       {R"([0,"a",true,null])", R"([1,"b",true,null])", R"([2,"c",true,null])", R"([-1,"a",true,null])"}},
  });
  const std::pair<const char*, const char*> constants[] = {
      {R"(json_value('{"a": "x\u00e4\n"}', '$.a'))", "x\xc3\xa4\n"},
      {R"(json_value('{"a": tru}', '$.a'))", "NULL"},
      {R"(json_exists('nonsense', '$.a'))", "false"},
      {R"('{"a":1}' IS JSON)", "true"},
      {R"('{"a":01}' IS JSON)", "false"},
      {R"('[1,2' IS NOT JSON)", "true"},
      {R"('"\x"' IS JSON)", "false"},
      {R"('"\ud83d\ude00"' IS JSON)", "true"},
      {R"('"\ud83d"' IS JSON)", "false"},
      {R"(CAST(' {"a" : 1 } ' AS json).a)", "1"},
      {R"(CAST('{"a":1,"a":2}' AS json).a)", "2"},
      {R"(CAST('oops' AS json))", "!cannot cast 'oops' to json"},
      {R"(TRY_CAST('oops' AS json))", "NULL"},
      {R"(CAST(CAST('[1,"a"]' AS json) AS array<int64>))",
       "!cannot cast json to array<int64>: [1]: expected a 64-bit integer, found \"a\""},
      {R"(json_quote('a"b'))", R"("a\"b")"},
      {R"(json_unquote('"a\"b"'))", "a\"b"},
      {R"(json_unquote('plain'))", "plain"},
      {R"(json_string(TIMESTAMP '2026-01-01 00:00:00'))", "\"2026-01-01T00:00:00Z\""},
      {R"(CAST(CAST('{"name":"n","t":"2026-01-01T00:00:00Z","b":"AQI="}' AS json) AS row<name string, t timestamp, b bytes>).t)",
       "2026-01-01T00:00:00Z"},
  };
  for (const auto& [text, want] : constants) EXPECT_EQ(value_of(text), want) << text;
}

TEST(Nested, ErrorsPointAtThePart) {
  const Table t = rows();
  const auto first = [&](const char* text) {
    const auto errors = errors_of(t, text);
    return errors.empty() ? ExprError{} : errors[0];
  };
  EXPECT_EQ(first("r.whoo.name").message,
            "row<id int64, who row<name string, scores array<decimal(10,2)>>, m map<string, array<int64>>> has no "
            "field `whoo`");
  EXPECT_EQ(first("r.whoo.name").hint, "did you mean `who`?");
  EXPECT_EQ(first("tags['a']").message, "the index of an array is an int64, this is string");
  EXPECT_EQ(first("tags['a']").offset, 5u);
  EXPECT_EQ(first("m[1]").message, "the key of a map is a string, this is int64");
  EXPECT_EQ(first("i[0]").message, "int64 has no parts");
  EXPECT_EQ(first("tags.x").message, "array<string> has no field `x`");
  EXPECT_EQ(first("j = j").message, "json values cannot be compared");
  EXPECT_EQ(first("m < m").message, "map<string, int64> has no order");
  EXPECT_EQ(first("n IN (n, n)").message, "IN does not compare array<int64>");
  EXPECT_EQ(first("s IN n").message, "cannot look for string in array<int64>");
  EXPECT_EQ(first("ARRAY[]").message, "the array has no type");
  EXPECT_EQ(first("ARRAY[1, 'a']").message, "cannot put into one array int64 and string");
  EXPECT_EQ(first("array_sort(ARRAY[m])").message, "map<string, int64> has no order");
  EXPECT_EQ(first("array_concat(n, tags)").message, "array<int64> and array<string> are different types");
  EXPECT_EQ(first("greatest(m, m)").message, "map<string, int64> has no order");
  EXPECT_EQ(first("CAST(n AS array<string>)").hint, "by way of json: CAST(CAST(... AS json) AS array<string>)");
  EXPECT_EQ(first("CAST(s AS array<strin>)").message, "unknown type `strin`");
  EXPECT_EQ(first("CAST(s AS array<strin>)").offset, 16u);
  EXPECT_THAT(first("json_value(j, '$.a[*]')").message, HasSubstr("wildcards are not supported"));
  EXPECT_EQ(first("json_value(j, s)").message, "the path must be a constant");
  EXPECT_EQ(first("MAP['a']").message, "a key has no value");
  EXPECT_EQ(first("ROW(i, i)").message, "two fields are called `i`");
}

// Text of a tree parses to the same text, so that it can serve as the identity of an expression.
TEST(Nested, TextRoundTrips) {
  for (const char* text : {"a.b.c", "(a).b", "a[0]", "a.b[0]['k']", "(a + b)[1]", "ARRAY[1, 2][0]",
                           "ROW(a AS x, b AS y).x", "MAP['k', 1].k", "CAST(a AS array<row<x int64>>)[0].x", "f(a).b",
                           "(CASE WHEN a THEN b END).c", "x IN (tags)", "`a b`.`c.d`", "(a)[i][j + 1]"}) {
    const auto ast = engine::parse_expression(text);
    ASSERT_TRUE(ast.ok()) << text << ": " << ast.errors()[0].message;
    const std::string once = engine::to_string(**ast);
    const auto again = engine::parse_expression(once);
    ASSERT_TRUE(again.ok()) << once;
    EXPECT_EQ(engine::to_string(**again), once);
  }
}

// Memory of results is theirs: it outlives program and input.
TEST(Nested, ResultsOutliveTheProgram) {
  std::string shown;
  std::vector<Column> columns;
  Arena arena;
  {
    Table t;
    t.ints("i", {1});
    const auto ast = engine::parse_expression("ARRAY['a constant of some length', CAST(i AS string)][i - 1]");
    engine::ProgramBuilder builder(t.scope());
    ASSERT_TRUE(builder.add(**ast).ok());
    engine::Program program = builder.build();
    EvalErrors errors;
    columns = program.evaluate(t.batch(), arena, errors);
  }
  EXPECT_EQ(show(columns[0], 0), "a constant of some length");
}

}  // namespace
}  // namespace twinspan::testing
