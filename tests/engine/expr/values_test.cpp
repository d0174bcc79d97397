// What expressions give: written tables by subject. SQLite checks the rest (sqlite_test.cpp).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/expr/table.h"

namespace twinspan::testing {
namespace {

using ::testing::ElementsAre;
using Pairs = std::vector<std::pair<const char*, const char*>>;

void expect_values(const Pairs& cases) {
  for (const auto& [text, want] : cases) EXPECT_EQ(value_of(text), want) << text;
}

TEST(Values, ThreeValuedLogic) {
  Table t;
  t.bools("a", {1, 1, 1, 0, 0, 0, std::nullopt, std::nullopt, std::nullopt});
  t.bools("b", {1, 0, std::nullopt, 1, 0, std::nullopt, 1, 0, std::nullopt});
  const std::string T = "true", F = "false", N = "NULL";
  EXPECT_THAT(evaluate(t, "a AND b"), ElementsAre(T, F, N, F, F, F, N, F, N));
  EXPECT_THAT(evaluate(t, "a OR b"), ElementsAre(T, T, T, T, F, N, T, N, N));
  EXPECT_THAT(evaluate(t, "NOT a"), ElementsAre(F, F, F, T, T, T, N, N, N));
  EXPECT_THAT(evaluate(t, "a = b"), ElementsAre(T, F, N, F, T, N, N, N, N));
  EXPECT_THAT(evaluate(t, "a IS DISTINCT FROM b"), ElementsAre(F, T, T, T, F, T, T, T, F));
  EXPECT_THAT(evaluate(t, "a IS NOT DISTINCT FROM b"), ElementsAre(T, F, F, F, T, F, F, F, T));
  EXPECT_THAT(evaluate(t, "a IS TRUE"), ElementsAre(T, T, T, F, F, F, F, F, F));
  EXPECT_THAT(evaluate(t, "a IS NOT TRUE"), ElementsAre(F, F, F, T, T, T, T, T, T));
  EXPECT_THAT(evaluate(t, "a IS FALSE"), ElementsAre(F, F, F, T, T, T, F, F, F));
  EXPECT_THAT(evaluate(t, "a IS NULL OR b IS NOT NULL"), ElementsAre(T, T, F, T, T, F, T, T, T));
  EXPECT_THAT(evaluate(t, "a AND NULL"), ElementsAre(N, N, N, F, F, F, N, N, N));
  EXPECT_THAT(evaluate(t, "a OR NULL OR TRUE"), ElementsAre(T, T, T, T, T, T, T, T, T));
  expect_values({{"NULL = NULL", "NULL"},
                 {"NULL IS NULL", "true"},
                 {"NULL IS DISTINCT FROM 1", "true"},
                 {"NULL AND FALSE", "false"},
                 {"1 IN (2, NULL)", "NULL"},
                 {"1 IN (1, NULL)", "true"},
                 {"1 NOT IN (2, NULL)", "NULL"},
                 {"NULL IN (1)", "NULL"},
                 {"3 BETWEEN 1 AND NULL", "NULL"},
                 {"0 BETWEEN 1 AND NULL", "false"},
                 {"NULL || 'a'", "NULL"},
                 {"NULL + 1", "NULL"}});
}

TEST(Values, ErrorsInBranchesNotTakenDoNotCount) {
  Table t;
  t.ints("x", {0, 1, 2, std::nullopt});
  t.strings("s", {"7", "abc", std::nullopt, "8"});
  EXPECT_THAT(evaluate(t, "10 / x"), ElementsAre("!division by zero", "10", "5", "NULL"));
  EXPECT_THAT(evaluate(t, "CASE WHEN x = 0 THEN -1 ELSE 10 / x END"), ElementsAre("-1", "10", "5", "NULL"));
  EXPECT_THAT(evaluate(t, "if(x <> 0, 10 / x, NULL)"), ElementsAre("NULL", "10", "5", "NULL"));
  EXPECT_THAT(evaluate(t, "x <> 0 AND 10 / x > 5"), ElementsAre("false", "true", "false", "NULL"));
  EXPECT_THAT(evaluate(t, "10 / x > 5 AND x <> 0"), ElementsAre("false", "true", "false", "NULL"));
  EXPECT_THAT(evaluate(t, "x = 0 OR 10 / x > 5"), ElementsAre("true", "true", "false", "NULL"));
  EXPECT_THAT(evaluate(t, "x = 1 OR 10 / x > 5"), ElementsAre("!division by zero", "true", "false", "NULL"));
  EXPECT_THAT(evaluate(t, "coalesce(x, 10 / 0)"), ElementsAre("0", "1", "2", "!division by zero"));
  EXPECT_THAT(evaluate(t, "coalesce(10 / x, 1)"), ElementsAre("!division by zero", "10", "5", "1"));
  EXPECT_THAT(evaluate(t, "(10 / x) IS NULL"), ElementsAre("!division by zero", "false", "false", "true"));
  // Expensive branches run on fewer rows; what they give is the same.
  EXPECT_THAT(evaluate(t, "CASE WHEN s LIKE '_' THEN CAST(s AS int64) ELSE length(s) END"),
              ElementsAre("7", "3", "NULL", "8"));
  EXPECT_THAT(evaluate(t, "s <> 'abc' AND CAST(s AS int64) > 7"), ElementsAre("false", "false", "NULL", "true"));
  EXPECT_THAT(evaluate(t, "CAST(s AS int64)"), ElementsAre("7", "!cannot cast 'abc' to int64", "NULL", "8"));
  EXPECT_THAT(evaluate(t, "TRY_CAST(s AS int64)"), ElementsAre("7", "NULL", "NULL", "8"));
  EXPECT_THAT(evaluate(t,
                       "CASE WHEN x = 1 THEN CASE WHEN s = 'abc' THEN upper(s) || '!' ELSE CAST(CAST(s AS int64) AS "
                       "string) END ELSE lower(s) || '?' END"),
              ElementsAre("7?", "ABC!", "NULL", "8?"));
  EXPECT_THAT(evaluate(t, "CAST(s AS int64) + 10 / x"),
              ElementsAre("!division by zero", "!cannot cast 'abc' to int64", "NULL", "NULL"));
}

TEST(Values, Int64) {
  expect_values({{"1 + 2 * 3", "7"},
                 {"7 / 2", "3"},
                 {"-7 / 2", "-3"},
                 {"-7 % 3", "-1"},
                 {"7 % -3", "1"},
                 {"mod(7, 4)", "3"},
                 {"9223372036854775807 + 1", "!int64 overflow"},
                 {"-9223372036854775808 - 1", "!int64 overflow"},
                 {"4611686018427387904 * 2", "!int64 overflow"},
                 {"-9223372036854775808 / -1", "!int64 overflow"},
                 {"-9223372036854775808 % -1", "0"},
                 {"1 / 0", "!division by zero"},
                 {"1 % 0", "!division by zero"},
                 {"1.0e0 / 0", "!division by zero"},
                 {"-(-9223372036854775808)", "!int64 overflow"},
                 {"abs(-9223372036854775808)", "!int64 overflow"},
                 {"abs(-5)", "5"},
                 {"sign(-3)", "-1"},
                 {"greatest(1, 5, 3)", "5"},
                 {"least(1, 5, NULL)", "NULL"},
                 {"greatest(1, 2.5)", "2.5"},
                 {"round(1250, -2)", "1300"},
                 {"round(-1250, -2)", "-1300"},
                 {"nullif(1, 1)", "NULL"},
                 {"nullif(1, 2)", "1"},
                 {"ifnull(NULL, 3)", "3"}});
}

TEST(Values, Decimal) {
  expect_values(
      {{"1.50 + 1", "2.50"},
       {"1.50 + 1.255", "2.755"},
       {"0.1 + 0.2 = 0.3", "true"},
       {"1.5 * 1.5", "2.25"},
       {"2 - 0.05", "1.95"},
       {"1.0 / 3.0", "0.333333"},
       {"2.0 / 3.0", "0.666667"},
       {"-2.0 / 3.0", "-0.666667"},
       {"1.00 / 8", "0.125000"},
       {"7.5 % 2", "1.5"},
       {"1.50 = 1.5", "true"},
       {"1.50 < 1.51", "true"},
       {"-1.5 > -1.50000001", "true"},
       {"CAST(1.255 AS decimal(10,2))", "1.26"},
       {"CAST(-1.255 AS decimal(10,2))", "-1.26"},
       {"CAST(1.254 AS decimal(10,2))", "1.25"},
       {"CAST(123.45 AS decimal(4,2))", "!cannot cast '123.45' to decimal(4,2)"},
       {"TRY_CAST(123.45 AS decimal(4,2))", "NULL"},
       {"CAST('12.345' AS decimal(10,2))", "12.35"},
       {"CAST(7 AS decimal(10,2))", "7.00"},
       {"CAST(1.5e0 AS decimal(10,2))", "1.50"},
       {"CAST(12.99 AS int64)", "12"},
       {"CAST(-12.99 AS int64)", "-12"},
       {"CAST(1.50 AS string)", "1.50"},
       {"CAST(1.50 AS float64)", "1.5"},
       {"1.5 + 1e0", "2.5"},
       {"1.0 / 0.0", "!division by zero"},
       {"round(2.345, 2)", "2.35"},
       {"round(-2.5)", "-3"},
       {"ceil(2.1)", "3"},
       {"floor(-2.1)", "-3"},
       {"ceil(-2.1)", "-2"},
       {"abs(-2.5)", "2.5"},
       {"round(1250.5, -2)", "1300"},
       {"-(1.5)", "-1.5"},
       {"99999999999999999999999999999999999999 + 1", "!decimal overflow: the result has more than 38 digits"},
       {"99999999999999999999999999999999999999 * 10", "!decimal overflow: the result has more than 38 digits"},
       {"99999999999999999999999999999999999999 > 0.5", "true"},
       {"-99999999999999999999999999999999999999 < 0.00000000000000000001", "true"},
       {"99999999999999999999999999999999999998 / 99999999999999999999999999999999999999", "1.000000"},
       {"12345678901234567890.5 - 0.5", "12345678901234567890.0"}});
  Table t;
  t.decimals("p", 18, 4, {"1.5", "-0.0001", std::nullopt, "99999999999999.9999"});
  t.ints("n", {2, 0, 3, -1});
  EXPECT_THAT(evaluate(t, "p * n"), ElementsAre("3.0000", "0.0000", "NULL", "-99999999999999.9999"));
  EXPECT_THAT(evaluate(t, "p > n"), ElementsAre("false", "false", "NULL", "true"));
  EXPECT_THAT(evaluate(t, "p >= 0"), ElementsAre("true", "false", "NULL", "true"));
  EXPECT_THAT(evaluate(t, "p IN (1.5, 2)"), ElementsAre("true", "false", "NULL", "false"));
}

TEST(Values, Casts) {
  expect_values({{"CAST(' 42 ' AS int64)", "42"},
                 {"CAST('+5' AS int64)", "5"},
                 {"CAST('4x' AS int64)", "!cannot cast '4x' to int64"},
                 {"CAST('' AS int64)", "!cannot cast '' to int64"},
                 {"CAST('1.5' AS int64)", "!cannot cast '1.5' to int64"},
                 {"CAST('9223372036854775808' AS int64)", "!cannot cast '9223372036854775808' to int64"},
                 {"CAST('2.5' AS float64)", "2.5"},
                 {"CAST('TRUE' AS bool)", "true"},
                 {"CAST('0' AS bool)", "false"},
                 {"CAST('yes' AS bool)", "!cannot cast 'yes' to bool"},
                 {"CAST(1 AS bool)", "true"},
                 {"CAST(TRUE AS int64)", "1"},
                 {"CAST(TRUE AS string)", "true"},
                 {"CAST(5 AS string) || ''", "5"},
                 {"CAST(2.5e0 AS string)", "2.5"},
                 {"CAST(1e300 AS int64)", "!cannot cast '1e+300' to int64"},
                 {"CAST(2.9e0 AS int64)", "2"},
                 {"CAST('2026-01-01T00:00:01Z' AS timestamp)", "2026-01-01T00:00:01Z"},
                 {"CAST('nope' AS timestamp)", "!cannot cast 'nope' to timestamp"},
                 {"CAST(TIMESTAMP '2026-01-01' AS string)", "2026-01-01T00:00:00Z"},
                 {"CAST(NULL AS int64)", "NULL"},
                 {"CAST(INTERVAL '2' SECOND AS int64)", "2000"},
                 {"CAST(CAST('ab' AS bytes) AS string)", "ab"}});
}

TEST(Values, Like) {
  expect_values({{"'abc' LIKE 'abc'", "true"},
                 {"'abc' LIKE 'ABC'", "false"},
                 {"'abc' LIKE 'a%'", "true"},
                 {"'abc' LIKE '%c'", "true"},
                 {"'abc' LIKE '%b%'", "true"},
                 {"'abc' LIKE '%d%'", "false"},
                 {"'abc' LIKE 'a_c'", "true"},
                 {"'abc' LIKE '_'", "false"},
                 {"'' LIKE '%'", "true"},
                 {"'' LIKE ''", "true"},
                 {"'a' LIKE ''", "false"},
                 {"'aXbXc' LIKE 'a%b%c'", "true"},
                 {"'aaab' LIKE '%aab'", "true"},
                 {"'mississippi' LIKE '%iss%ip%i'", "true"},
                 {"'10%' LIKE '10!%' ESCAPE '!'", "true"},
                 {"'100' LIKE '10!%' ESCAPE '!'", "false"},
                 {"'a_b' LIKE 'a!_b' ESCAPE '!'", "true"},
                 {"'\xC3\xA4' LIKE '_'", "true"},
                 {"'x\xE2\x82\xACy' LIKE 'x_y'", "true"},
                 {"'abc' NOT LIKE 'x%'", "true"},
                 {"NULL LIKE 'x'", "NULL"},
                 {"'ab' LIKE 'ab%'", "true"},
                 {"'a%b' LIKE '%!%%' ESCAPE '!'", "true"}});
  Table t;
  t.strings("s", {"alpha", "beta", std::nullopt, "a%"});
  t.strings("p", {"a%", "%x", "a", "a!%"});
  EXPECT_THAT(evaluate(t, "s LIKE p"), ElementsAre("true", "false", "NULL", "false"));
  EXPECT_THAT(evaluate(t, "s LIKE p ESCAPE '!'"), ElementsAre("true", "false", "NULL", "true"));
}

TEST(Values, Strings) {
  expect_values({{"upper('abC\xC3\xA4')", "ABC\xC3\xA4"},
                 {"lower('ABC')", "abc"},
                 {"trim('  a b ')", "a b"},
                 {"ltrim('xxa', 'x')", "a"},
                 {"rtrim('a\xE2\x82\xAC\xE2\x82\xAC', '\xE2\x82\xAC')", "a"},
                 {"length('a\xE2\x82\xAC')", "2"},
                 {"substring('hello', 2, 3)", "ell"},
                 {"substring('hello', 2)", "ello"},
                 {"substring('hello', -3, 2)", "ll"},
                 {"substring('hello', 0, 2)", "he"},
                 {"substring('hello', 9)", ""},
                 {"substring('h\xC3\xA4llo', 2, 2)", "\xC3\xA4l"},
                 {"substring('hello' FROM 2 FOR 2)", "el"},
                 {"replace('aXbX', 'X', '--')", "a--b--"},
                 {"replace('abc', '', 'x')", "abc"},
                 {"concat('a', 'b', 'c')", "abc"},
                 {"concat('a', NULL)", "NULL"},
                 {"concat_ws('-', 'a', NULL, 'b')", "a-b"},
                 {"concat_ws(NULL, 'a')", "NULL"},
                 {"'a' || 'b' || 'c'", "abc"},
                 {"left('hello', 2)", "he"},
                 {"right('hello', 2)", "lo"},
                 {"right('hello', 99)", "hello"},
                 {"lpad('7', 3, '0')", "007"},
                 {"rpad('ab', 5, 'xy')", "abxyx"},
                 {"lpad('hello', 2)", "he"},
                 {"reverse('ab\xE2\x82\xAC')",
                  "\xE2\x82\xAC"
                  "ba"},
                 {"position('l' IN 'hello')", "3"},
                 {"strpos('hello', 'z')", "0"},
                 {"starts_with('hello', 'he')", "true"},
                 {"ends_with('hello', 'lo')", "true"},
                 {"contains('hello', 'ell')", "true"},
                 {"split_part('a,b,c', ',', 2)", "b"},
                 {"split_part('a,b,c', ',', -1)", "c"},
                 {"split_part('a,b,c', ',', 9)", ""},
                 {"split_part('a', ',', 0)", "!split_part counts from 1"},
                 {"repeat('ab', 3)", "ababab"},
                 {"repeat('ab', 99999999)", "!the text would be longer than 1 MiB"},
                 {"ascii('A')", "65"},
                 {"ascii('\xE2\x82\xAC')", "8364"},
                 {"chr(8364)", "\xE2\x82\xAC"},
                 {"chr(-1)", "!not a code point: -1"},
                 {"regexp_like('abc123', '[0-9]+$')", "true"},
                 {"regexp_extract('k=v', '(\\w)=(\\w)', 2)", "v"},
                 {"regexp_extract('abc', 'x')", "NULL"},
                 {"regexp_replace('a1b22', '([0-9]+)', '<$1>')", "a<1>b<22>"},
                 {"'b' > 'a'", "true"},
                 {"'B' < 'a'", "true"},
                 {"'ab' < 'abc'", "true"},
                 {"xxhash64('') = xxhash64('a')", "false"},
                 {"xxhash64('')", "-1205034819632174695"}});
}

TEST(Values, EqualityWithConstantsOfEveryLength) {
  for (std::size_t n = 0; n <= 40; ++n) {
    const std::string same(n, 'x');
    Table t;
    std::vector<Opt<std::string>> rows{same, same + "y", std::nullopt};
    for (std::size_t i = 0; i < n; ++i) {
      std::string other = same;
      other[i] = 'z';
      rows.push_back(other);
    }
    t.strings("s", rows);
    const auto equal = evaluate(t, "s = '" + same + "'"), different = evaluate(t, "'" + same + "' <> s");
    for (std::size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(equal[i], i == 2 ? "NULL" : i == 0 ? "true" : "false") << n << " " << i;
      EXPECT_EQ(different[i], i == 2 ? "NULL" : i == 0 ? "false" : "true") << n << " " << i;
    }
  }
}

TEST(Values, Time) {
  expect_values(
      {{"TIMESTAMP '2026-03-01 12:34:56.789' + INTERVAL '1' DAY", "2026-03-02T12:34:56.789Z"},
       {"TIMESTAMP '2026-03-01' - INTERVAL '1' SECOND", "2026-02-28T23:59:59Z"},
       {"CAST(TIMESTAMP '2026-03-02' - TIMESTAMP '2026-03-01' AS int64)", "86400000"},
       {"TIMESTAMP '2026-01-01' > '2025-12-31T23:59:59Z'", "true"},
       {"TIMESTAMP '2026-03-02' - TIMESTAMP '2026-03-01' = INTERVAL '24' HOUR", "true"},
       {"INTERVAL '10' SECOND * 6 = INTERVAL '1' MINUTE", "true"},
       {"timestamp_ms(0)", "1970-01-01T00:00:00Z"},
       {"to_timestamp('2026-01-01T08:00:00+08:00')", "2026-01-01T00:00:00Z"},
       {"to_timestamp('x')", "!`x` is not a timestamp"},
       {"unix_millis(TIMESTAMP '1970-01-02')", "86400000"},
       {"date_trunc('hour', TIMESTAMP '2026-03-01 12:34:56')", "2026-03-01T12:00:00Z"},
       {"date_trunc('week', TIMESTAMP '2026-03-01 12:34:56')", "2026-02-23T00:00:00Z"},
       {"date_trunc('quarter', TIMESTAMP '2026-05-17')", "2026-04-01T00:00:00Z"},
       {"date_trunc('day', TIMESTAMP '1969-12-31 23:00:00')", "1969-12-31T00:00:00Z"},
       {"date_trunc('year', TIMESTAMP '2026-05-17')", "2026-01-01T00:00:00Z"},
       {"extract(year FROM TIMESTAMP '2024-02-29')", "2024"},
       {"extract(DOY FROM TIMESTAMP '2024-12-31')", "366"},
       {"extract(week FROM TIMESTAMP '2021-01-03')", "53"},
       {"extract(dow FROM TIMESTAMP '2026-03-01')", "1"},
       {"month(TIMESTAMP '2024-02-29')", "2"},
       {"day(TIMESTAMP '2024-02-29')", "29"},
       {"hour(TIMESTAMP '1969-12-31 23:59:58')", "23"},
       {"minute(TIMESTAMP '1969-12-31 23:59:58')", "59"},
       {"second(TIMESTAMP '1969-12-31 23:59:58')", "58"},
       {"date_format(TIMESTAMP '2026-03-01 02:03:04.005', 'yyyy-MM-dd''T''HH:mm:ss.SSS')", "2026-03-01T02:03:04.005"},
       {"year(timestamp_ms(9223372036854775807))", "!timestamp out of the calendar's range"},
       {"timestamp_ms(9223372036854775807) + INTERVAL '1' SECOND", "!timestamp out of range"}});
}

TEST(Values, Float64) {
  expect_values({{"sqrt(16)", "4"},
                 {"sqrt(-1)", "!square root of a negative number"},
                 {"ln(0)", "!logarithm of a number that is not positive"},
                 {"log10(1000)", "3"},
                 {"exp(0)", "1"},
                 {"power(2, 10)", "1024"},
                 {"round(2.5e0)", "3"},
                 {"round(-2.5e0)", "-3"},
                 {"round(1.2345e0, 2)", "1.23"},
                 {"ceil(1.2e0)", "2"},
                 {"floor(-1.2e0)", "-2"},
                 {"abs(-1.5e0)", "1.5"},
                 {"sign(-2e0)", "-1"},
                 {"5e0 % 3", "2"},
                 {"1 / 2e0", "0.5"},
                 {"1 < 1.5e0", "true"}});
}

}  // namespace
}  // namespace twinspan::testing
