// Functions that SQLite does not have, or has otherwise: written tables, by group.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "engine/expr/functions.h"
#include "engine/operators/calendar.h"
#include "tests/engine/expr/table.h"

namespace twinspan::testing {
namespace {

using ::testing::HasSubstr;
using Pairs = std::vector<std::pair<const char*, const char*>>;

void expect_values(const Pairs& cases) {
  for (const auto& [text, want] : cases) EXPECT_EQ(value_of(text), want) << text;
}

std::string first_error(const std::string& text) {
  Table t;
  t.strings("s", {"x"}).ints("i", {1}).times("ts", {0});
  const auto errors = errors_of(t, text);
  return errors.empty() ? "" : errors[0].message;
}

TEST(Functions, Strings) {
  expect_values({
      {"initcap('hELLO wORLD-x 2nd')", "Hello World-X 2nd"},
      {"octet_length('\xc3\xa4')", "2"},
      {"overlay('abcdef' PLACING 'XY' FROM 2)", "aXYdef"},
      {"overlay('abcdef' PLACING 'XY' FROM 2 FOR 4)", "aXYf"},
      {"overlay('abc', 'XYZ', 5)", "abc"},
      {"overlay('abc', 'XYZ', 3, 9)", "abXYZ"},
      {"translate('abcba', 'ab', 'xy')", "xycyx"},
      {"translate('abcba', 'abc', 'x')", "xx"},
      {"translate('\xc3\xa4z', '\xc3\xa4', 'a')", "az"},
      {"split_index('a,b,,c', ',', 0)", "a"},
      {"split_index('a,b,,c', ',', 2)", ""},
      {"split_index('a,b,,c', ',', 4)", "NULL"},
      {"split_index('a', ',', -1)", "NULL"},
      {"substring_index('www.a.com', '.', 2)", "www.a"},
      {"substring_index('www.a.com', '.', -2)", "a.com"},
      {"substring_index('www.a.com', '.', 9)", "www.a.com"},
      {"substring_index('www.a.com', '.', 0)", ""},
      {"instr('abcabc', 'ca')", "3"},
      {"locate('a', 'abcabc', 2)", "4"},
      {"locate('z', 'abc')", "0"},
      {"elt(2, 'a', 'b')", "b"},
      {"elt(3, 'a', 'b')", "NULL"},
      {"elt(1, 'a', CAST(NULL AS string))", "a"},
      {"levenshtein('kitten', 'sitting')", "3"},
      {"levenshtein('', 'abc')", "3"},
      {"space(3) || 'x'", "   x"},
      {"is_alpha('abC')", "true"},
      {"is_alpha('')", "false"},
      {"is_digit('012')", "true"},
      {"is_digit('1.2')", "false"},
      {"trim(BOTH 'x' FROM 'xxaxx')", "a"},
      {"trim(LEADING 'x' FROM 'xxaxx')", "axx"},
      {"trim(TRAILING FROM 'a  ')", "a"},
      {"ucase('a') || lcase('B') || nvl(NULL, 'c')", "Abc"},
      {"startswith('abc', 'ab') AND endswith('abc', 'bc')", "true"},
  });
}

TEST(Functions, Conditional) {
  expect_values({
      {"nvl2(1, 'a', 'b')", "a"},
      {"nvl2(NULL, 'a', 'b')", "b"},
      {"decode(2, 1, 'one', 2, 'two', 'other')", "two"},
      {"decode(3, 1, 'one', 2, 'two', 'other')", "other"},
      {"decode(3, 1, 'one')", "NULL"},
      {"decode(CAST(NULL AS int64), 1, 'one', NULL, 'none')", "none"},
      {"decode(1, 1, 2.5, 7)", "2.5"},
      {"iif(1 > 2, 'a', 'b')", "b"},
      {"greatest('a', 'c', 'b')", "c"},
      {"least(2.5, 1)", "1.0"},
      {"nullif(1, 1)", "NULL"},
  });
}

TEST(Functions, Math) {
  expect_values({
      {"round(sin(pi() / 6), 9)", "0.5"},
      {"round(atan2(1, 1) * 4, 9)", "3.141592654"},
      {"degrees(pi())", "180"},
      {"acos(2)", "!the function has no value at 2"},
      {"cot(0)", "!the function has no value at 0"},
      {"log2(8)", "3"},
      {"log2(0)", "!the function has no value at 0"},
      {"log(10, 1000)", "3"},
      {"log(1, 5)", "!logarithm of a number that is not positive, or to a base that is none"},
      {"cbrt(27)", "3"},
      {"truncate(1.259, 2)", "1.25"},
      {"truncate(-1.259)", "-1"},
      {"truncate(129.5, -1)", "120"},
      {"truncate(0.29e0, 2)", "0.29"},
      {"truncate(-199, -2)", "-100"},
      {"bit_and(12, 10)", "8"},
      {"bit_or(12, 10)", "14"},
      {"bit_xor(12, 10)", "6"},
      {"bit_not(0)", "-1"},
      {"bit_count(-1)", "64"},
      {"shift_left(1, 63)", "-9223372036854775808"},
      {"shift_left(1, 64)", "0"},
      {"shift_right(-8, 1)", "-4"},
      {"shift_right(-8, 100)", "-1"},
      {"e() > 2.718 AND e() < 2.719", "true"},
      {"ceiling(1.2)", "2"},
      {"pow(2, 10)", "1024"},
  });
}

TEST(Functions, Hashes) {
  expect_values({
      {"md5('abc')", "900150983cd24fb0d6963f7d28e17f72"},
      {"sha1('abc')", "a9993e364706816aba3e25717850c26c9cd0d89d"},
      {"sha224('abc')", "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"},
      {"sha256('abc')", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"sha2('abc', 256) = sha256('abc') AND sha2('abc', 0) = sha2('abc', 256)", "true"},
      {"substr(sha512(''), 1, 16)", "cf83e1357eefb8bd"},
      {"length(sha384('x'))", "96"},
      {"crc32('123456789')", "3421780262"},
      // What Kafka's Java client computes.
      {"murmur2('21')", "-973932308"},
      {"murmur2('foobar')", "-790332482"},
      {"murmur2('a-little-bit-long-string')", "-985981536"},
      {"murmur2('a-little-bit-longer-string')", "-1486304829"},
      {"murmur2('lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8')", "-58897971"},
      {"murmur2('abc')", "479470107"},
      {"murmur2(CAST('abc' AS bytes))", "479470107"},
      {"md5(CAST(NULL AS string))", "NULL"},
  });
  EXPECT_EQ(first_error("sha2(s, 160)"), "SHA-2 has 224, 256, 384 or 512 bits");
  EXPECT_EQ(first_error("sha2(s, i)"), "the number of bits must be a constant");
}

TEST(Functions, Encodings) {
  expect_values({
      {"to_base64('hi')", "aGk="},
      {"CAST(from_base64('aGk=') AS string)", "hi"},
      {"from_base64('*')", "!not base64"},
      {"hex('abc')", "616263"},
      {"hex(255)", "FF"},
      {"hex(-1)", "FFFFFFFFFFFFFFFF"},
      {"CAST(unhex('4d79') AS string)", "My"},
      {"unhex('4')", "!not hexadecimal"},
      {"bin(12)", "1100"},
      {"url_encode('a b/\xc3\xa4')", "a+b%2F%C3%A4"},
      {"url_decode('a+b%2F%C3%A4')", "a b/\xc3\xa4"},
      {"url_decode('%4')", "!not an encoded URL"},
      {"url_decode('%41')", "A"},
      {"parse_url('http://u:p@h.example:80/p/a?x=1&y=2#r', 'HOST')", "h.example"},
      {"parse_url('http://u:p@h.example:80/p/a?x=1&y=2#r', 'PATH')", "/p/a"},
      {"parse_url('http://u:p@h.example:80/p/a?x=1&y=2#r', 'QUERY')", "x=1&y=2"},
      {"parse_url('http://u:p@h.example:80/p/a?x=1&y=2#r', 'QUERY', 'y')", "2"},
      {"parse_url('http://u:p@h.example:80/p/a?x=1&y=2#r', 'QUERY', 'z')", "NULL"},
      {"parse_url('http://u:p@h.example:80/p/a?x=1&y=2#r', 'FILE')", "/p/a?x=1&y=2"},
      {"parse_url('http://u:p@h.example:80/p/a?x=1&y=2#r', 'REF')", "r"},
      {"parse_url('http://u:p@h.example:80/p/a?x=1&y=2#r', 'PROTOCOL')", "http"},
      {"parse_url('http://u:p@h.example:80/p/a?x=1&y=2#r', 'AUTHORITY')", "u:p@h.example:80"},
      {"parse_url('http://u:p@h.example:80/p/a?x=1&y=2#r', 'USERINFO')", "u:p"},
      {"parse_url('http://[::1]:80/', 'HOST')", "[::1]"},
      {"parse_url('no url', 'HOST')", "NULL"},
      {"parse_url('mailto:x', 'HOST')", "NULL"},
  });
}

TEST(Functions, Regexp) {
  expect_values({
      {"regexp_count('banana', 'an')", "2"},
      {"regexp_count('abc', '')", "4"},
      {"regexp_instr('a\xc3\xa4z', 'z')", "3"},
      {"regexp_instr('abc', 'x')", "0"},
      {"regexp_extract_all('a1b22c', '[0-9]+')", R"(["1","22"])"},
      {"regexp_extract_all('a1b22c', '([a-z])([0-9]+)?', 2)", R"(["1","22",null])"},
      {"regexp_extract_all('xyz', '[0-9]')", "[]"},
      {"'abc' IS NOT NULL AND rlike('abc', 'b')", "true"},
      {"regexp_replace('abc', '', '-')", "-a-b-c-"},
      {"regexp_replace('a1b22', '([0-9]+)', '<$1$1>')", "a<11>b<2222>"},
      {"regexp_replace('baaac', 'a*', 'x')", "xbxcx"},
      {"regexp_replace('abc', 'x', 'y')", "abc"},
  });
}

// Patterns that would take other engines exponential time or all memory.
TEST(Functions, PathologicalPatternsAreBounded) {
  const std::string as(5000, 'a');
  Table t;
  t.strings("s", {as + "!"});
  EXPECT_EQ(evaluate(t, "regexp_like(s, '^(a+)+$')")[0], "false");
  EXPECT_EQ(evaluate(t, "regexp_like(s, '(a*)*b')")[0], "false");
  EXPECT_EQ(evaluate(t, "regexp_like(s, '(x+x+)+y')")[0], "false");
  EXPECT_THAT(first_error("regexp_like(s, '((a{1,100}){1,100}){1,100}')"), HasSubstr("bad regular expression"));
  EXPECT_THAT(first_error("regexp_like(s, '" + std::string(5000, 'a') + "')"), HasSubstr("more than 4096 bytes"));
  Table once;
  once.strings("s", {"a"});
  const auto errors = errors_of(once, "length(s) > 0 AND regexp_like(s, '(')");
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].offset, 33u);  // at the pattern
  EXPECT_EQ(errors[0].length, 3u);
}

// Expressions that double their text at every level.
TEST(Functions, ValuesAreBounded) {
  Table t;
  t.strings("s", {std::string(100'000, 'x')});
  const auto nested = [](const std::string& function, int levels, const std::string& inner) {
    std::string out = inner;
    for (int i = 0; i < levels; ++i) out = function + "(" + out + ")";
    return out;
  };
  EXPECT_EQ(evaluate(t, nested("hex", 40, "s"))[0], "!the value would be longer than 16 MiB");
  EXPECT_EQ(evaluate(t, nested("url_encode", 40, "s || '/'"))[0].substr(0, 10), "xxxxxxxxxx");  // only the blanks grow
  EXPECT_EQ(evaluate(t, nested("json_quote", 40, "s || '\"'"))[0], "!the value would be longer than 16 MiB");
  std::string doubled = "s";
  for (int i = 0; i < 12; ++i) doubled = "concat(" + doubled + ", " + doubled + ")";
  EXPECT_EQ(evaluate(t, doubled)[0], "!the value would be longer than 16 MiB");
  EXPECT_EQ(evaluate(t, "cardinality(ARRAY[" + std::string("s") + "])")[0], "1");
  std::string array = "ARRAY[s, s, s, s]";
  for (int i = 0; i < 6; ++i) array = "ARRAY[" + array + ", " + array + "]";
  EXPECT_EQ(evaluate(t, "cardinality(" + array + ")")[0], "!the value would be longer than 16 MiB");
  EXPECT_EQ(evaluate(t, "length(array_join(split(s, ''), s))")[0], "100000");
  EXPECT_EQ(evaluate(t, "array_join(split(repeat('a,', 1000), ','), s)")[0], "!the value would be longer than 16 MiB");
  EXPECT_EQ(evaluate(t, "regexp_replace(s, '.', '" + std::string(60'000, '_') + "')")[0],
            "!the text would be longer than 1 MiB");
}

TEST(Functions, DecimalsHaveTheTypesOfFlink) {
  const auto type = [](const std::string& text) {
    Table t;
    t.decimals("a", 30, 10, {"1.5"})
        .decimals("b", 30, 20, {"2.5"})
        .decimals("c", 38, 2, {"1"})
        .decimals("d", 38, 3, {"1"});
    t.decimals("f", 32, 8, {"1"}).decimals("g", 38, 8, {"1"}).decimals("h", 25, 20, {"1"}).decimals("k", 10, 2, {"1"});
    const auto ast = engine::parse_expression(text);
    const auto found = engine::type_of(**ast, t.scope());
    return found ? to_string(*found) : found.errors()[0].message;
  };
  EXPECT_EQ(type("a * a"), "decimal(38,6)");
  EXPECT_EQ(type("b * b"), "decimal(38,17)");
  EXPECT_EQ(type("c * d"), "decimal(38,5)");
  EXPECT_EQ(type("f / g"), "decimal(38,6)");
  EXPECT_EQ(type("b / b"), "decimal(38,8)");
  EXPECT_EQ(type("a % a"), "decimal(30,10)");
  EXPECT_EQ(type("b % h"), "decimal(25,20)");
  EXPECT_EQ(type("k + k"), "decimal(11,2)");
  EXPECT_EQ(type("k * k"), "decimal(21,4)");
  EXPECT_EQ(type("c + d"), "decimal(38,3)");
  EXPECT_EQ(type("g * g"), "decimal(38,6)");
  EXPECT_EQ(type("CAST(k AS decimal(38,10)) + CAST(k AS decimal(38,12))"), "decimal(38,9)");
  EXPECT_EQ(type("k + 1"), "decimal(11,2)");
  expect_values({
      // More digits than 128 bits on the way, rounded once.
      {"CAST('12345678901234567890.1234567891' AS decimal(30,10)) * CAST('2' AS decimal(30,10))",
       "24691357802469135780.246914"},
      {"CAST('1.23456789012345678905' AS decimal(30,20)) * CAST('1.0' AS decimal(30,20))", "1.23456789012345679"},
      {"CAST('-1.23456789012345678905' AS decimal(30,20)) * CAST('1.0' AS decimal(30,20))", "-1.23456789012345679"},
      {"CAST('99999999999999999999' AS decimal(30,10)) * CAST('99999999999999999999' AS decimal(30,10))",
       "!decimal overflow: the result has more than 38 digits"},
      {"CAST('1.0000000005' AS decimal(38,10)) + CAST('0' AS decimal(38,12))", "1.000000001"},
      {"CAST('-1.0000000005' AS decimal(38,10)) + CAST('0' AS decimal(38,12))", "-1.000000001"},
      {"CAST('0.0000000004' AS decimal(38,10)) - CAST('0.000000001' AS decimal(38,12))", "-0.000000001"},
      {"CAST('9999999999999999999999999999' AS decimal(38,10)) + CAST('0.5' AS decimal(38,12))",
       "9999999999999999999999999999.500000000"},
      {"CAST('99999999999999999999999999999999999.999' AS decimal(38,3)) + CAST('0.01' AS decimal(38,2))",
       "!decimal overflow: the result has more than 38 digits"},
      {"TRY_CAST('x' AS decimal(5,2))", "NULL"},
  });
}

TEST(Functions, Intervals) {
  expect_values({
      {"TIMESTAMP '2026-03-01 00:00:00' + INTERVAL '1' DAY * 2", "2026-03-03T00:00:00Z"},
      {"INTERVAL '1' HOUR * 1.5e0 = INTERVAL '90' MINUTE", "true"},
      {"1.5e0 * INTERVAL '1' HOUR = INTERVAL '90' MINUTE", "true"},
      {"INTERVAL '1' HOUR / 4e0 = INTERVAL '15' MINUTE", "true"},
      {"INTERVAL '1' HOUR / 0e0", "!division by zero"},
      {"INTERVAL '1' DAY * 1e300", "!duration out of range"},
      {"INTERVAL '3' HOUR / INTERVAL '2' HOUR", "1"},
      {"CAST(INTERVAL '3' SECOND AS int64)", "3000"},
  });
}

TEST(Functions, Times) {
  expect_values({
      {"floor(TIMESTAMP '2026-05-17 12:34:56' TO month)", "2026-05-01T00:00:00Z"},
      {"ceil(TIMESTAMP '2026-05-17 12:34:56' TO day)", "2026-05-18T00:00:00Z"},
      {"ceil(TIMESTAMP '2026-05-17 00:00:00' TO day)", "2026-05-17T00:00:00Z"},
      {"date_ceil('quarter', TIMESTAMP '2026-11-17')", "2027-01-01T00:00:00Z"},
      {"timestampadd(month, 1, TIMESTAMP '2026-01-31 10:00:00')", "2026-02-28T10:00:00Z"},
      {"timestampadd(year, -1, TIMESTAMP '2024-02-29')", "2023-02-28T00:00:00Z"},
      {"timestampadd(WEEK, 2, TIMESTAMP '2026-01-01')", "2026-01-15T00:00:00Z"},
      {"timestampadd(year, 100000000, TIMESTAMP '2026-01-01')", "!timestamp out of the calendar's range"},
      {"timestampdiff(month, TIMESTAMP '2026-01-31', TIMESTAMP '2026-02-28')", "1"},
      {"timestampdiff(month, TIMESTAMP '2026-01-31', TIMESTAMP '2026-02-27')", "0"},
      {"timestampdiff(month, TIMESTAMP '2026-03-01', TIMESTAMP '2026-01-02')", "-1"},
      {"timestampdiff(day, TIMESTAMP '2026-03-01 12:00:00', TIMESTAMP '2026-03-03 11:59:59')", "1"},
      {"timestampdiff(year, TIMESTAMP '2024-02-29', TIMESTAMP '2026-02-28')", "2"},
      {"last_day(TIMESTAMP '2024-02-10 05:00:00')", "2024-02-29T00:00:00Z"},
      {"quarter(TIMESTAMP '2026-05-17')", "2"},
      {"dayofweek(TIMESTAMP '2026-03-01')", "1"},
      {"extract(isodow FROM TIMESTAMP '2026-03-01')", "7"},
      {"dayofyear(TIMESTAMP '2026-03-01')", "60"},
      {"week(TIMESTAMP '2021-01-03')", "53"},
      {"unix_timestamp(TIMESTAMP '1969-12-31 23:59:59.500')", "-1"},
      {"unix_timestamp('2026-01-01', 'yyyy-MM-dd')", "1767225600"},
      {"from_unixtime(0)", "1970-01-01 00:00:00"},
      {"from_unixtime(0, 'yyyy/M/d H:mm', 'Asia/Shanghai')", "1970/1/1 8:00"},
      {"timestamp_seconds(1)", "1970-01-01T00:00:01Z"},
      {"make_timestamp(2026, 2, 28, 23, 59, 59)", "2026-02-28T23:59:59Z"},
      {"make_timestamp(2026, 2, 29, 0, 0, 0)", "!there is no such date and time"},
      {"make_timestamp(2026, 1, 1, 0, 0, 0, 'Asia/Shanghai')", "2025-12-31T16:00:00Z"},
      {"date_format(TIMESTAMP '2026-03-01 14:03:04.056', 'EEEE, d MMMM yyyy h:mm a')", "Sunday, 1 March 2026 2:03 PM"},
      {"date_format(TIMESTAMP '2026-03-01 14:03:04.056', 'E d MMM yy D SSSSSS')", "Sun 1 Mar 26 60 056000"},
      {"date_format(TIMESTAMP '2026-07-01 12:00:00', 'yyyy-MM-dd HH:mm XXX', 'Europe/Berlin')",
       "2026-07-01 14:00 +02:00"},
      {"date_format(TIMESTAMP '2026-07-01 12:00:00', 'HHXX', 'America/St_Johns')", "09-0230"},
      {"to_timestamp('01/Mar/2026:14:03:04 +0100', 'dd/MMM/yyyy:HH:mm:ss xx')", "2026-03-01T13:03:04Z"},
      {"to_timestamp('20260301140304567', 'yyyyMMddHHmmssSSS')", "2026-03-01T14:03:04.567Z"},
      {"to_timestamp('2026-07-01 12:00', 'yyyy-MM-dd HH:mm', 'Europe/Berlin')", "2026-07-01T10:00:00Z"},
      {"to_timestamp('3/4/26 2:05 PM', 'M/d/yy h:mm a')", "2026-03-04T14:05:00Z"},
      {"to_timestamp('12:00 AM', 'hh:mm a')", "1970-01-01T00:00:00Z"},
      {"to_timestamp('2026-02-30', 'yyyy-MM-dd')", "!`2026-02-30` is not a timestamp"},
      {"to_timestamp('2026-060', 'yyyy-DDD')", "2026-03-01T00:00:00Z"},
      {"to_timestamp('2026-366', 'yyyy-DDD')", "!`2026-366` is not a timestamp"},
      {"convert_tz('2026-07-01 12:00:00', 'America/New_York', 'Asia/Tokyo')", "2026-07-02 01:00:00"},
  });
  EXPECT_THAT(first_error("date_trunc('day', ts, 'Mars/Base')"), HasSubstr("unknown time zone `Mars/Base`"));
  EXPECT_EQ(first_error("date_trunc('day', ts, s)"), "the time zone must be a constant");
  EXPECT_THAT(first_error("date_format(ts, 'QQ')"), HasSubstr("unknown field `QQ`"));
  EXPECT_THAT(first_error("timestampadd(fortnight, 1, ts)"), HasSubstr("unknown unit `fortnight`"));
}

// Berlin: 2026-03-29 02:00 -> 03:00 and 2026-10-25 03:00 -> 02:00. Lord Howe moves by half an hour. Shanghai never.
TEST(Functions, DaylightSaving) {
  expect_values({
      {"date_trunc('day', TIMESTAMP '2026-03-29 20:00:00', 'Europe/Berlin')", "2026-03-28T23:00:00Z"},
      {"date_trunc('day', TIMESTAMP '2026-03-29 22:00:00', 'Europe/Berlin')", "2026-03-29T22:00:00Z"},
      {"date_ceil('day', TIMESTAMP '2026-10-25 00:00:00', 'Europe/Berlin')", "2026-10-25T23:00:00Z"},
      {"date_trunc('hour', TIMESTAMP '2026-10-25 00:30:00', 'Europe/Berlin')", "2026-10-25T00:00:00Z"},
      {"date_trunc('hour', TIMESTAMP '2026-10-25 01:30:00', 'Europe/Berlin')", "2026-10-25T01:00:00Z"},
      {"date_trunc('month', TIMESTAMP '2026-04-10 00:00:00', 'Europe/Berlin')", "2026-03-31T22:00:00Z"},
      {"hour(TIMESTAMP '2026-03-29 00:59:59', 'Europe/Berlin')", "1"},
      {"hour(TIMESTAMP '2026-03-29 01:00:00', 'Europe/Berlin')", "3"},
      {"TIMESTAMP '2026-03-29 01:00:00' AT TIME ZONE 'Europe/Berlin'", "2026-03-29T03:00:00Z"},
      {"extract(hour FROM TIMESTAMP '2026-01-01 12:00:00' AT TIME ZONE '+05:30')", "17"},
      {"to_utc_timestamp(TIMESTAMP '2026-03-29 02:30:00', 'Europe/Berlin')", "2026-03-29T01:00:00Z"},
      {"to_utc_timestamp(TIMESTAMP '2026-10-25 02:30:00', 'Europe/Berlin')", "2026-10-25T00:30:00Z"},
      {"to_utc_timestamp(TIMESTAMP '2026-07-01 12:00:00', 'Australia/Lord_Howe')", "2026-07-01T01:30:00Z"},
      {"from_utc_timestamp(TIMESTAMP '2026-01-01 00:00:00', 'Australia/Lord_Howe')", "2026-01-01T11:00:00Z"},
      {"date_trunc('day', TIMESTAMP '2026-01-01 20:00:00', 'Asia/Shanghai')", "2026-01-01T16:00:00Z"},
      {"date_trunc('day', TIMESTAMP '2026-01-01 20:00:00', '+08:00')", "2026-01-01T16:00:00Z"},
  });
}

// Days of a zone are those of windows.
TEST(Functions, DaysAreThoseOfWindows) {
  std::mt19937_64 random(20260301);
  for (const char* zone :
       {"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"}) {
    auto calendar = engine::Calendar::make(zone, 86'400'000, 0);
    ASSERT_TRUE(calendar.has_value());
    Table t;
    std::vector<Opt<std::int64_t>> times;
    // Around changes of the clock, and anywhere.
    for (int i = 0; i < 400; ++i)
      times.push_back(i % 2 == 0 ? static_cast<std::int64_t>(random() % 2'000'000'000'000)
                                 : 1'774'746'000'000 + static_cast<std::int64_t>(random() % 100'000'000) - 50'000'000);
    t.times("ts", times);
    const auto days = evaluate(t, std::string("date_trunc('day', ts, '") + zone + "')");
    const auto next = evaluate(t, std::string("date_ceil('day', ts + INTERVAL '1' MILLISECOND, '") + zone + "')");
    for (std::size_t i = 0; i < times.size(); ++i) {
      const engine::WindowRange w = calendar.value().window_of(*times[i]);
      ASSERT_EQ(days[i], timestamp_to_string(w.start)) << zone << " " << *times[i];
      ASSERT_EQ(next[i], timestamp_to_string(w.end)) << zone << " " << *times[i];
    }
  }
}

TEST(Functions, EveryEntryIsDocumented) {
  std::string last;
  for (const auto& f : engine::function_table()) {
    EXPECT_FALSE(f.doc.empty()) << f.name;
    EXPECT_TRUE(f.signature.starts_with(std::string(f.name) + "(")) << f.signature;
    EXPECT_NE(f.signature.find(") -> "), std::string_view::npos) << f.signature;
    EXPECT_EQ(f.doc.find('\n'), std::string_view::npos);
    EXPECT_TRUE(f.doc.ends_with(".") || f.doc.ends_with("?") || f.doc.ends_with(")") || f.doc.ends_with("'")) << f.doc;
  }
  for (const auto& a : engine::function_aliases()) {
    bool known = false, taken = false;
    for (const auto& f : engine::function_table()) {
      known = known || f.name == a.function;
      taken = taken || f.name == a.name;
    }
    EXPECT_TRUE(known) << a.name;
    EXPECT_FALSE(taken) << a.name;
  }
}

}  // namespace
}  // namespace twinspan::testing
