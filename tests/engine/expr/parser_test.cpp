#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/expr/table.h"

namespace twinspan::testing {
namespace {

using engine::parse_expression;

std::string canonical(const std::string& text) {
  const auto ast = parse_expression(text);
  return ast ? engine::to_string(**ast) : "error: " + ast.errors()[0].message;
}

TEST(Parser, PrintsCanonically) {
  const std::pair<const char*, const char*> cases[] = {
      {"a+b*c", "a + b * c"},
      {"(a+b)*c", "(a + b) * c"},
      {"a-(b-c)", "a - (b - c)"},
      {"((a))", "a"},
      {"a and b or not c", "a AND b OR NOT c"},
      {"a and (b or c)", "a AND (b OR c)"},
      {"not a = b", "NOT a = b"},
      {"(not a) = b", "(NOT a) = b"},
      {"a != b", "a <> b"},
      {"a is not null", "a IS NOT NULL"},
      {"x in (1,2 , 3)", "x IN (1, 2, 3)"},
      {"x not in ('a')", "x NOT IN ('a')"},
      {"x between 1 and 2 and y", "x BETWEEN 1 AND 2 AND y"},
      {"s like 'a!%' escape '!'", "s LIKE 'a!%' ESCAPE '!'"},
      {"s not like 'it''s'", "s NOT LIKE 'it''s'"},
      {"a is distinct from b", "a IS DISTINCT FROM b"},
      {"a is not true", "a IS NOT TRUE"},
      {"case when a then 1 else 2 end", "CASE WHEN a THEN 1 ELSE 2 END"},
      {"case x when 1 then 'a' when 2 then 'b' end", "CASE x WHEN 1 THEN 'a' WHEN 2 THEN 'b' END"},
      {"cast(x as BIGINT)", "CAST(x AS int64)"},
      {"try_cast(x as decimal(18, 4))", "TRY_CAST(x AS decimal(18,4))"},
      {"a || b||c", "a || b || c"},
      {"- - 5", "-(-5)"},
      {"-x", "-x"},
      {"1.50", "1.50"},
      {".5", "0.5"},
      {"-9223372036854775808", "-9223372036854775808"},
      {"9223372036854775808", "9223372036854775808"},
      {"1e3", "1e3"},
      {"INTERVAL '10' seconds", "INTERVAL '10' SECOND"},
      {"INTERVAL '90' MINUTE", "INTERVAL '90' MINUTE"},
      {"interval '1.5' hour", "INTERVAL '90' MINUTE"},
      {"TIMESTAMP '2026-01-01 00:00:00'", "TIMESTAMP '2026-01-01T00:00:00Z'"},
      {"COUNT( * )", "count(*)"},
      {"count(distinct x) filter (where y > 1)", "count(DISTINCT x) FILTER (WHERE y > 1)"},
      {"left.x = right.x", "left.x = right.x"},
      {"`odd name` + `a``b`", "`odd name` + `a``b`"},
      {"extract(hour from ts)", "extract('hour', ts)"},
      {"position('a' in s)", "position('a', s)"},
      {"substring(s from 2 for 3)", "substring(s, 2, 3)"},
      {"a -- comment\n + b /* more */", "a + b"},
  };
  for (const auto& [text, want] : cases) {
    EXPECT_EQ(canonical(text), want);
    EXPECT_EQ(canonical(want), want) << "printed text must parse to the same tree";
  }
}

TEST(Parser, KeywordsAreNamesWhereANameCanStand) {
  for (const char* word :
       {"user",   "order",    "end",  "group", "desc", "timestamp", "interval", "left", "right", "case",
        "when",   "then",     "else", "like",  "in",   "is",        "between",  "and",  "or",    "not",
        "filter", "distinct", "as",   "from",  "cast", "escape",    "date",     "key"}) {
    Table t;
    t.ints(word, {1, 2, std::nullopt});
    EXPECT_THAT(evaluate(t, std::string(word) + " = 1"), ::testing::ElementsAre("true", "false", "NULL")) << word;
    EXPECT_THAT(evaluate(t, "2 * " + std::string(word)), ::testing::ElementsAre("2", "4", "NULL")) << word;
    EXPECT_THAT(evaluate(t, "`" + std::string(word) + "` IS NULL"), ::testing::ElementsAre("false", "false", "true"))
        << word;
  }
  Table t;
  t.ints("end", {7});
  EXPECT_EQ(evaluate(t, "CASE WHEN TRUE THEN end END")[0], "7");
  EXPECT_EQ(evaluate(t, "CASE end WHEN 7 THEN end ELSE end END")[0], "7");
}

TEST(Parser, ErrorsPointAtTheSpot) {
  struct Case {
    const char* text;
    std::size_t offset, length;
    const char* message;
  };
  const Case cases[] = {
      {"", 0, 0, "empty"},
      {"a +", 3, 0, "ends here"},
      {"a + * b", 4, 1, "unexpected `*`"},
      {"(a", 2, 0, "`)`"},
      {"a b", 2, 1, "unexpected `b`"},
      {"a = 'x", 4, 2, "not closed"},
      {"a == 1", 2, 2, "=="},
      {"a = \"x\"", 4, 3, "double quotes"},
      {"a && b", 2, 2, "&&"},
      {"CAST(a AS integer8)", 10, 8, "unknown type"},
      {"INTERVAL '1' MONTH", 13, 5, "fixed length"},
      {"INTERVAL 'x' DAY", 9, 3, "length of an interval"},
      {"TIMESTAMP 'soon'", 10, 6, "not a timestamp"},
      {"x IN ()", 6, 1, "unexpected `)`"},
      {"f(a,", 4, 0, "ends here"},
      {"10s", 0, 3, "neither a number nor a name"},
      {"a.b.1", 3, 2, "unexpected `.1`"},
      {"a.b.", 4, 0, "a name after the dot"},
      {"a[0", 3, 0, "`]` was expected"},
      {"a[]", 2, 1, "unexpected `]`"},
      {"ARRAY[1 2]", 8, 1, "unexpected `2`"},
      {"CAST(a AS map<int64, string>)", 14, 5, "keys of a map are strings"},
      {"CASE WHEN a THEN 1", 18, 0, "ends here"},
      {"a IS 5", 5, 1, "unexpected `5`"},
  };
  for (const auto& c : cases) {
    const auto ast = parse_expression(c.text);
    ASSERT_FALSE(ast.ok()) << c.text;
    const ExprError& e = ast.errors()[0];
    EXPECT_EQ(e.offset, c.offset) << c.text << ": " << e.message;
    EXPECT_EQ(e.length, c.length) << c.text << ": " << e.message;
    EXPECT_THAT(e.message, ::testing::HasSubstr(c.message)) << c.text;
  }
}

TEST(Parser, EveryNodeKnowsItsBytes) {
  const std::string text = "upper(name) = 'X'  AND (a + 1) > 2";
  const auto ast = parse_expression(text);
  ASSERT_TRUE(ast.ok());
  const auto part = [&](const engine::Ast& a) { return text.substr(a.offset, a.length); };
  EXPECT_EQ(part(**ast), text);
  EXPECT_EQ(part(*(*ast)->children[0]), "upper(name) = 'X'");
  EXPECT_EQ(part(*(*ast)->children[0]->children[0]), "upper(name)");
  EXPECT_EQ(part(*(*ast)->children[1]), "(a + 1) > 2");
  EXPECT_EQ(part(*(*ast)->children[1]->children[0]), "(a + 1)");
}

std::string repeated(const std::string& s, int n) {
  std::string out;
  for (int i = 0; i < n; ++i) out += s;
  return out;
}

TEST(Parser, DepthIsBounded) {
  for (const std::string& deep :
       {repeated("(", 30000) + "1" + repeated(")", 30000), repeated("- ", 20000) + "x", repeated("NOT ", 15000) + "x",
        repeated("abs(", 10000) + "x", "x" + repeated("+1", 30000), repeated("CASE WHEN ", 6000),
        "x" + repeated(" = 1", 10000), "x" + repeated(" IS NULL", 7000)}) {
    const auto ast = parse_expression(deep);
    ASSERT_FALSE(ast.ok());
    EXPECT_THAT(ast.errors()[0].message,
                ::testing::AnyOf(::testing::HasSubstr("levels deep"), ::testing::HasSubstr("has "),
                                 ::testing::HasSubstr("ends here")));
  }
  EXPECT_TRUE(parse_expression(repeated("(", 150) + "1" + repeated(")", 150)).ok());
  Table t;
  t.ints("x", {1});
  EXPECT_EQ(evaluate(t, "x" + repeated("+1", 150))[0], "151");
  EXPECT_EQ(
      evaluate(t, repeated("CASE WHEN x = 1 THEN upper(", 90) + "'a' || CAST(x AS string)" + repeated(") END", 90))[0],
      "A1");
}

TEST(Parser, LongChainsAreFlat) {
  Table t;
  t.ints("x", {4711, 5, std::nullopt});
  std::string ors = "x = 0";
  for (int i = 1; i < 3000; ++i) ors += " OR x = " + std::to_string(i);
  EXPECT_THAT(evaluate(t, ors), ::testing::ElementsAre("false", "true", "NULL"));
  std::string in = "x IN (0";
  for (int i = 1; i < 9000; ++i) in += "," + std::to_string(i);
  EXPECT_THAT(evaluate(t, in + ")"), ::testing::ElementsAre("true", "true", "NULL"));
}

TEST(Parser, SizeIsBounded) {
  const auto ast = parse_expression("'" + std::string(engine::kMaxExprBytes, 'x') + "'");
  ASSERT_FALSE(ast.ok());
  EXPECT_THAT(ast.errors()[0].message, ::testing::HasSubstr("at most 65536"));
}

TEST(Parser, AnyBytesAreAnErrorOrATree) {
  std::uint64_t state = 42;
  const auto random = [&] { return state = state * 6364136223846793005ull + 1442695040888963407ull, state >> 33; };
  const std::string pieces[] = {
      "a",        "(",         ")",    "'",  "''",     "`",        "CASE ", "WHEN ", "THEN ", "END ",  "NOT ",  "IN",
      " IS ",     "NULL",      ",",    ".",  "1",      "1.5",      "-",     "+",     "||",    " AND ", "CAST(", " AS ",
      "decimal(", "INTERVAL ", "\xff", "\n", " LIKE ", "BETWEEN ", "*",     "/*",    "--",    "%",     "<>",    "f("};
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    for (std::uint64_t n = random() % 12; n-- > 0;) text += pieces[random() % std::size(pieces)];
    const auto ast = parse_expression(text);
    if (!ast) {
      ASSERT_FALSE(ast.errors().empty());
      ASSERT_LE(ast.errors()[0].offset + ast.errors()[0].length, text.size()) << text;
      continue;
    }
    const std::string printed = engine::to_string(**ast);
    const auto again = parse_expression(printed);
    ASSERT_TRUE(again.ok()) << text << " -> " << printed << ": " << again.errors()[0].message;
    ASSERT_EQ(engine::to_string(**again), printed) << text;
  }
}

}  // namespace
}  // namespace twinspan::testing
