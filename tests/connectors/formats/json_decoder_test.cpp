#include "connectors/formats/json_decoder.h"

#include <algorithm>
#include <map>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/json_text.h"

namespace twinspan::connectors {
namespace {

using ::testing::HasSubstr;

struct Decoded {
  Schema schema;
  Batch batch;
  std::vector<DecodeFailure> failures;
};

std::unique_ptr<JsonDecoder> make(JsonDecoderOptions options) {
  auto r = JsonDecoder::make(std::move(options));
  EXPECT_TRUE(r.has_value()) << (r.has_value() ? "" : r.error().message);
  return std::move(r).value();
}

std::vector<RawRecord> raw(const std::vector<std::string>& values) {
  std::vector<RawRecord> out;
  for (std::size_t i = 0; i < values.size(); ++i)
    out.push_back({LaneIndex(0), static_cast<std::int64_t>(100 + i), 1'700'000'000'000, {}, values[i], false, true});
  return out;
}

// The batch is looked at after the records' bytes are gone: it must own its own.
Decoded decode(JsonDecoder& d, std::vector<std::string> values) {
  Decoded out;
  out.schema = d.schema();
  const auto records = raw(values);
  out.batch = d.decode(records.data(), records.size(), nullptr, out.failures);
  for (auto& v : values) v.assign(v.size(), '#');
  return out;
}

JsonDecoderOptions all_types() {
  using W = JsonField::Wire;
  return {{{"i", types::int64},
           {"f", types::float64},
           {"s", types::string},
           {"b", types::boolean},
           {"d", types::decimal(18, 2)},
           {"x", types::bytes},
           {"t", types::timestamp, W::millis},
           {"sec", types::timestamp, W::seconds},
           {"iso", types::timestamp, W::iso8601},
           {"dur", types::duration}},
          {},
          -1};
}

std::string cell(const Column& c, std::size_t row) {
  if (c.is_null(row)) return "NULL";
  switch (c.type.kind) {
    case TypeKind::boolean: return c.as<std::uint8_t>()[row] != 0 ? "true" : "false";
    case TypeKind::float64: return std::to_string(c.as<double>()[row]);
    case TypeKind::decimal: return decimal_to_string(c.as<Decimal>()[row], c.type.scale);
    case TypeKind::string:
    case TypeKind::bytes: return std::string(c.as<std::string_view>()[row]);
    default: return std::to_string(c.as<std::int64_t>()[row]);
  }
}

TEST(JsonDecoder, ReadsEveryTypeAndMissingAsNull) {
  auto d = make(all_types());
  auto r = decode(
      *d,
      {R"({"i":-9223372036854775808,"f":1.5e3,"s":"grün","b":true,"d":12.34,"x":"aGk=","t":1767225600000,"sec":1767225600.25,"iso":"2026-01-01T00:00:00Z","dur":60000})",
       R"({})", R"( { "i" : 9223372036854775807 , "s" : null , "d" : "0.005" } )"});
  ASSERT_TRUE(r.failures.empty()) << r.failures[0].reason;
  ASSERT_EQ(r.batch.rows, 3u);
  std::vector<std::string> first;
  for (const Column& c : r.batch.columns) first.push_back(cell(c, 0));
  EXPECT_EQ(first, (std::vector<std::string>{"-9223372036854775808", "1500.000000", "grün", "true", "12.34", "hi",
                                             "1767225600000", "1767225600250", "1767225600000", "60000"}));
  for (const Column& c : r.batch.columns) EXPECT_TRUE(c.is_null(1));
  EXPECT_EQ(cell(r.batch.columns[0], 2), "9223372036854775807");
  EXPECT_EQ(cell(r.batch.columns[2], 2), "NULL");
  EXPECT_EQ(cell(r.batch.columns[4], 2), "0.01");  // rounded half up
  EXPECT_EQ(r.batch.origins->offset, (std::vector<std::int64_t>{100, 101, 102}));
  EXPECT_EQ(r.batch.origins->payload[1], "{}");
  EXPECT_EQ(r.batch.time[1], 1'700'000'000'000);
}

TEST(JsonDecoder, ColumnWithoutNullsHasNoValidity) {
  auto d = make({{{"i", types::int64}}, {}, -1});
  auto r = decode(*d, {R"({"i":1})", R"({"i":2})"});
  EXPECT_EQ(r.batch.columns[0].valid, nullptr);
}

struct Good {
  const char *json, *field, *value;
};
class JsonDecoderGood : public ::testing::TestWithParam<Good> {};
TEST_P(JsonDecoderGood, Value) {
  auto d = make(all_types());
  auto r = decode(*d, {GetParam().json});
  ASSERT_TRUE(r.failures.empty()) << r.failures[0].reason;
  EXPECT_EQ(cell(r.batch.columns[static_cast<std::size_t>(r.schema.index_of(GetParam().field))], 0), GetParam().value);
}
INSTANTIATE_TEST_SUITE_P(
    Table, JsonDecoderGood,
    ::testing::Values(Good{R"({"i":0})", "i", "0"}, Good{R"({"i":-0})", "i", "0"},
                      Good{R"({"i":1,"i":2})", "i", "2"},        // the last of duplicates
                      Good{R"({"i":1,"i":null})", "i", "NULL"},  // also when it is null
                      Good{R"({"i":null,"i":3})", "i", "3"}, Good{R"({"\u0069":7})", "i", "7"},  // an escaped key
                      Good{R"({"u":{"i":[1,{"i":"}"}]},"i":4})", "i", "4"},  // nested values are skipped
                      Good{R"({"u":[],"v":{},"w":[[],{}],"z":-0.5E+2,"i":5})", "i", "5"},
                      Good{R"({"a_key_longer_than_sixteen_bytes":1,"i":6})", "i", "6"}, Good{R"({"s":""})", "s", ""},
                      Good{R"({"s":"a\"b\\c\/\b\f\n\r\t"})", "s", "a\"b\\c/\b\f\n\r\t"},
                      Good{R"({"s":"\u00e9\u20ac\ud83d\ude00"})", "s", "é€😀"}, Good{R"({"s":"[{,:}]"})", "s", "[{,:}]"},
                      Good{R"({"s" : "x" })", "s", "x"}, Good{R"({"d":-0.1})", "d", "-0.10"},
                      Good{R"({"d":"9999999999999999.99"})", "d", "9999999999999999.99"},
                      Good{R"({"d":1.5e3})", "d", "1500.00"}, Good{R"({"f":-1})", "f", "-1.000000"},
                      Good{R"({"b":false})", "b", "false"},
                      Good{R"({"iso":"2026-01-01T01:00:00+01:00"})", "iso", "1767225600000"},
                      Good{R"({"sec":-1})", "sec", "-1000"}, Good{R"({"x":"YWJj"})", "x", "abc"},
                      Good{"\t{\"i\":\n8}\r\n", "i", "8"}));

struct Bad {
  const char *json, *reason;
};
class JsonDecoderBad : public ::testing::TestWithParam<Bad> {};
TEST_P(JsonDecoderBad, FailsWithReason) {
  auto d = make(all_types());
  // Between two good records: a broken one hurts only itself.
  auto r = decode(*d, {R"({"i":1,"s":"before"})", GetParam().json, R"({"i":2,"s":"after"})"});
  ASSERT_EQ(r.failures.size(), 1u) << GetParam().json;
  EXPECT_EQ(r.failures[0].index, 1u);
  EXPECT_THAT(r.failures[0].reason, HasSubstr(GetParam().reason));
  ASSERT_EQ(r.batch.rows, 2u);
  EXPECT_EQ(cell(r.batch.columns[2], 0), "before");
  EXPECT_EQ(cell(r.batch.columns[2], 1), "after");
  EXPECT_EQ(r.batch.origins->offset, (std::vector<std::int64_t>{100, 102}));
  for (std::size_t c = 3; c < r.batch.columns.size(); ++c) EXPECT_TRUE(r.batch.columns[c].is_null(1)) << c;
}
INSTANTIATE_TEST_SUITE_P(
    Table, JsonDecoderBad,
    ::testing::Values(
        Bad{"", "empty value"}, Bad{"   ", "empty value"}, Bad{"null", "not a JSON object"},
        Bad{"[1]", "not a JSON object"}, Bad{"17", "not a JSON object: it starts with 17"},
        Bad{"\"s\"", "not a JSON object"}, Bad{R"({"i":"1"})", "field \"i\": expected a 64-bit integer, found \"1\""},
        Bad{R"({"i":1.5})", "field \"i\": expected a 64-bit integer, found 1.5"},
        Bad{R"({"i":1.0})", "expected a 64-bit"}, Bad{R"({"i":1e3})", "expected a 64-bit"},
        Bad{R"({"i":9223372036854775808})", "expected a 64-bit"},
        Bad{R"({"i":-9223372036854775809})", "expected a 64-bit"},
        Bad{R"({"i":18446744073709551617})", "expected a 64-bit"}, Bad{R"({"i":01})", "expected a 64-bit"},
        Bad{R"({"i":true})", "found true"}, Bad{R"({"i":{}})", "found an object"},
        Bad{R"({"i":[1]})", "found an array"}, Bad{R"({"i":-})", "expected a 64-bit"}, Bad{R"({"i":1x})", "found 1x"},
        Bad{R"({"i":})", "not valid JSON"}, Bad{R"({"i":1,})", "not valid JSON"}, Bad{R"({"i" 1})", "not valid JSON"},
        Bad{R"({i:1})", "not valid JSON"}, Bad{R"({"i":1 "s":"x"})", "not valid JSON"},
        Bad{R"({,"i":1})", "not valid JSON"}, Bad{R"({"s":1})", "field \"s\": expected a string, found 1"},
        Bad{R"({"s":"\x"})", "valid escapes"}, Bad{R"({"s":"\ud83d"})", "valid escapes"},
        Bad{R"({"s":"\ude00"})", "valid escapes"}, Bad{R"({"s":"\u12"})", "valid escapes"},
        Bad{"{\"s\":\"a\nb\"}", "control character"}, Bad{"{\"s\":\"\xff\"}", "invalid UTF-8"},
        Bad{"{\"s\":\"\xc3\"}", "invalid UTF-8"}, Bad{"{\"u\":\"\xed\xa0\x80\"}", "invalid UTF-8"},
        Bad{R"({"s":"x)", "not closed"}, Bad{R"({"s":"x"y})", "not valid JSON"},
        Bad{R"({"s":"x""y"})", "not valid JSON"}, Bad{R"({"b":1})", "true or false"},
        Bad{R"({"b":truex})", "true or false"}, Bad{R"({"b":nul})", "not valid JSON"},
        Bad{R"({"d":"abc"})", "field \"d\": expected decimal(18,2)"},
        Bad{R"({"d":12345678901234567})", "expected decimal"}, Bad{R"({"d":true})", "expected decimal"},
        Bad{R"({"d":.5})", "expected decimal"}, Bad{R"({"f":"1"})", "expected a float64"},
        Bad{R"({"f":1e999})", "expected a float64"}, Bad{R"({"f":1.})", "expected a float64"},
        Bad{R"({"f":NaN})", "expected a float64"}, Bad{R"({"x":"a*"})", "expected base64"},
        Bad{R"({"x":"a"})", "expected base64"}, Bad{R"({"t":"2026-01-01"})", "whole milliseconds"},
        Bad{R"({"t":99999999999999999})", "years 1 to 9999"}, Bad{R"({"sec":"1"})", "timestamp in seconds"},
        Bad{R"({"iso":1})", "ISO 8601"}, Bad{R"({"iso":"2026-02-30T00:00:00Z"})", "ISO 8601"},
        Bad{R"({"i":1}{"i":2})", "trailing characters"}, Bad{R"({"i":1} x)", "trailing characters"},
        Bad{R"({"i":1}})", "trailing characters"}, Bad{R"({"i":1)", "not valid JSON"}, Bad{R"({"i")", "not valid JSON"},
        Bad{R"({"i":)", "not valid JSON"}, Bad{R"({)", "not valid JSON"}, Bad{R"({"u":[1,2)", "not valid JSON"},
        Bad{R"({"u":[1,)", "not valid JSON"}, Bad{R"({"u":{"v":1)", "not valid JSON"},
        Bad{R"({"u":[1 2]})", "not valid JSON"}, Bad{R"({"u":[1,]})", "not valid JSON"},
        Bad{R"({"u":{"v"}})", "not valid JSON"}, Bad{R"({"u":tru})", "not valid JSON"},
        Bad{R"({"u":012})", "not valid JSON"}, Bad{R"({"u":1.e5})", "not valid JSON"},
        Bad{R"({"u":12"abc"})", "not valid JSON"}, Bad{R"({"u":[1}})", "not valid JSON"},
        Bad{R"({"i":1}\)", "trailing characters"}, Bad{R"({"\u00g0":1})", "bad escape"},
        Bad{"{\"i\":1}\xEF\xBB\xBF", "trailing characters"}));

TEST(JsonDecoder, DeepNestingIsRefusedNotFollowed) {
  auto d = make({{{"i", types::int64}}, {}, -1});
  const std::string deep = "{\"u\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}";
  const std::string fine = "{\"u\":" + std::string(200, '[') + std::string(200, ']') + ",\"i\":1}";
  auto r = decode(*d, {deep, fine});
  ASSERT_EQ(r.failures.size(), 1u);
  EXPECT_THAT(r.failures[0].reason, HasSubstr("nested deeper than 256"));
  EXPECT_EQ(r.batch.rows, 1u);
}

TEST(JsonDecoder, TombstoneIsAFailure) {
  auto d = make({{{"i", types::int64}}, {}, -1});
  std::vector<RawRecord> records(1);
  records[0].timestamp = 5;
  std::vector<DecodeFailure> failures;
  EXPECT_EQ(d->decode(records.data(), 1, nullptr, failures).rows, 0u);
  ASSERT_EQ(failures.size(), 1u);
  EXPECT_THAT(failures[0].reason, HasSubstr("tombstone"));
}

TEST(JsonDecoder, EventTimeComesFromTheFieldAndMustNotBeNull) {
  auto d = make({{{"v", types::string}, {"ts", types::timestamp}}, {}, 1});
  auto r = decode(*d, {R"({"v":"a","ts":1000})", R"({"v":"b"})", R"({"v":"c","ts":null})", R"({"v":"d","ts":2000})"});
  ASSERT_EQ(r.batch.rows, 2u);
  EXPECT_EQ(r.batch.time[0], 1000);
  EXPECT_EQ(r.batch.time[1], 2000);
  ASSERT_EQ(r.failures.size(), 2u);
  EXPECT_THAT(r.failures[0].reason, HasSubstr("event time field \"ts\" is missing or NULL"));
}

TEST(JsonDecoder, MetaColumnsTellWhereARecordCameFrom) {
  auto d = make({{{"i", types::int64}},
                 {MetaColumn::key, MetaColumn::timestamp, MetaColumn::cluster, MetaColumn::topic, MetaColumn::partition,
                  MetaColumn::offset},
                 -1});
  d->add_lane(LaneIndex(0), {"east", "ad", 3});
  d->add_lane(LaneIndex(1), {"west", "ad.w", 4});
  std::vector<RawRecord> records{{LaneIndex(0), 7, 10, "k", R"({"i":1})", true, true},
                                 {LaneIndex(1), 8, 20, "", R"({"i":bad})", true, true},
                                 {LaneIndex(1), 9, 30, {}, R"({"i":2})", false, true},
                                 {LaneIndex(1), 10, 40, "\xff", R"({"i":2})", true, true}};
  std::vector<DecodeFailure> failures;
  const Batch b = d->decode(records.data(), records.size(), nullptr, failures);
  ASSERT_EQ(b.rows, 2u);
  ASSERT_EQ(failures.size(), 2u);
  EXPECT_THAT(failures[1].reason, HasSubstr("_key is not valid UTF-8"));
  std::vector<std::string> rows[2];
  for (std::size_t row : {0u, 1u})
    for (std::size_t c = 1; c < b.columns.size(); ++c) rows[row].push_back(cell(b.columns[c], row));
  EXPECT_EQ(rows[0], (std::vector<std::string>{"k", "10", "east", "ad", "3", "7"}));
  EXPECT_EQ(rows[1], (std::vector<std::string>{"NULL", "30", "west", "ad.w", "4", "9"}));
}

TEST(JsonDecoder, ConfigurationMistakesAreNamed) {
  auto twice = JsonDecoder::make({{{"a", types::int64}, {"a", types::string}}, {}, -1});
  ASSERT_FALSE(twice.has_value());
  EXPECT_THAT(twice.error().message, HasSubstr("named twice"));
  auto time = JsonDecoder::make({{{"a", types::string}}, {}, 0});
  ASSERT_FALSE(time.has_value());
  EXPECT_EQ(time.error().kind, ErrorKind::config);
}

TEST(JsonDecoder, AnyKeyOrderGivesTheSameRows) {
  std::mt19937 random(7);
  auto d = make({{{"a", types::int64}, {"b", types::string}, {"c", types::int64}}, {}, -1});
  std::vector<std::string> values;
  std::vector<std::string> expected;
  for (int i = 0; i < 3000; ++i) {
    std::vector<std::string> members{"\"a\":" + std::to_string(i), "\"b\":\"s" + std::to_string(i) + "\"",
                                     "\"u\":{\"a\":1}"};
    std::string want = std::to_string(i) + ",s" + std::to_string(i) + ",";
    if (random() % 3 != 0)
      members.push_back("\"c\":" + std::to_string(i * 2)), want += std::to_string(i * 2);
    else
      want += "NULL";
    // Keys that differ in every record drive the learned list through its limit.
    if (random() % 2 == 0) members.push_back("\"k" + std::to_string(i) + "\":true");
    if (random() % 4 == 0) std::shuffle(members.begin(), members.end(), random);
    std::string json = "{";
    for (const auto& m : members) json += (json.size() > 1 ? "," : "") + m;
    values.push_back(json + "}");
    expected.push_back(want);
  }
  auto r = decode(*d, values);
  ASSERT_TRUE(r.failures.empty()) << r.failures[0].reason;
  ASSERT_EQ(r.batch.rows, values.size());
  for (std::size_t i = 0; i < values.size(); ++i)
    ASSERT_EQ(cell(r.batch.columns[0], i) + "," + cell(r.batch.columns[1], i) + "," + cell(r.batch.columns[2], i),
              expected[i]);
}

TEST(JsonDecoder, LargeRecordsPassBlockLimits) {
  auto d = make({{{"s", types::string}}, {}, -1});
  const std::string big(10'000'000, 'x');
  auto r = decode(*d, {R"({"s":"small"})", "{\"s\":\"" + big + "\"}", R"({"s":"after"})"});
  ASSERT_TRUE(r.failures.empty());
  EXPECT_EQ(r.batch.columns[0].as<std::string_view>()[1].size(), big.size());
  EXPECT_EQ(r.batch.columns[0].as<std::string_view>()[2], "after");
}

// Seeded: random bytes, and valid records damaged in one to four places, alone and among good ones.
TEST(JsonDecoder, DamagedInputNeverCrashesAndNeverHurtsItsNeighbours) {
  std::mt19937 random(42);
  auto d = make(all_types());
  const std::string good =
      R"({"i":12,"f":1.25,"s":"a\u00e9b","b":true,"d":1.50,"x":"aGk=","u":[1,{"k":"v"}],"t":1767225600000,"iso":"2026-01-01T00:00:00Z"})";
  static constexpr char kAlphabet[] = "{}[]:,\"\\ \n0123456789.eE+-truefalsnull\xc3\xa9\xff";
  std::size_t rows = 0, failed = 0;
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::string> values;
    for (int i = 0; i < 10; ++i) {
      std::string v;
      if (random() % 3 == 0) {
        const std::size_t n = random() % 60;
        for (std::size_t k = 0; k < n; ++k) v += kAlphabet[random() % (sizeof kAlphabet - 1)];
      } else {
        v = good;
        for (unsigned k = random() % 4 + 1; k > 0 && !v.empty(); --k) {
          const std::size_t at = random() % v.size();
          switch (random() % 3) {
            case 0: v[at] = kAlphabet[random() % (sizeof kAlphabet - 1)]; break;
            case 1: v.erase(at, random() % 8 + 1); break;
            default: v.resize(at);
          }
        }
      }
      values.push_back(v);
    }
    std::vector<std::string> mixed;
    for (const auto& v : values) mixed.push_back(v), mixed.push_back(good);
    auto r = decode(*d, mixed);
    rows += r.batch.rows;
    failed += r.failures.size();
    ASSERT_EQ(r.batch.rows + r.failures.size(), mixed.size());
    for (const auto& f : r.failures) {
      ASSERT_EQ(f.index % 2, 0u) << "a good record failed beside: " << mixed[f.index - 1] << " / " << f.reason;
      ASSERT_FALSE(f.reason.empty());
    }
    // Alone, each record has the same fate.
    for (std::size_t i = 0; i < values.size(); ++i) {
      auto one = decode(*d, {values[i]});
      const bool failed_together =
          std::any_of(r.failures.begin(), r.failures.end(), [&](const DecodeFailure& f) { return f.index == 2 * i; });
      ASSERT_EQ(one.batch.rows == 0, failed_together) << values[i];
    }
  }
  EXPECT_GT(failed, 10'000u);
  EXPECT_GT(rows, 20'000u);
}

JsonDecoderOptions nested_types() {
  return {{{"id", types::int64},
           {"tags", *parse_type("array<string>")},
           {"m", *parse_type("map<string, int64>")},
           {"r", *parse_type("row<a int64, b row<c array<timestamp>>>")},
           {"j", types::json}},
          {},
          -1};
}

std::string as_json(const Column& c, std::size_t row) {
  std::string out;
  if (c.is_null(row)) return "NULL";
  append_json(c.type, static_cast<const char*>(c.data) + row * value_width(c.type.kind), JsonTimestamps::iso8601, out);
  return out;
}

TEST(JsonDecoderNested, ValuesAreRead) {
  auto d = make(nested_types());
  const auto r = decode(
      *d,
      {R"({"id":1,"tags":["a","b\u00e4",null],"m":{"y":2,"x":1},"r":{"b":{"c":["2026-01-01T00:00:00Z",5]},"a":7,"z":[{}]},"j":{"k" : [1, "x"]}})",
       R"({"tags":null,"id":2,"m":null,"r":null,"j":null})", R"({"id":3})",
       "{\"j\" : \"text\" ,\n\"tags\" : [ ] , \"m\" : { } , \"r\" : { } , \"id\" : 4 }",
       R"({"id":5,"j":12,"tags":["x"],"tags":["y","z"]})"});
  ASSERT_TRUE(r.failures.empty()) << r.failures[0].reason;
  ASSERT_EQ(r.batch.rows, 5u);
  const char* want[5][4] = {
      {"[\"a\",\"b\u00e4\",null]", R"({"x":1,"y":2})",
       R"({"a":7,"b":{"c":["2026-01-01T00:00:00Z","1970-01-01T00:00:00.005Z"]}})", R"({"k" : [1, "x"]})"},
      {"NULL", "NULL", "NULL", "NULL"},
      {"NULL", "NULL", "NULL", "NULL"},
      {"[]", "{}", R"({"a":null,"b":null})", "\"text\""},
      {R"(["y","z"])", "NULL", "NULL", "12"},
  };
  for (std::size_t row = 0; row < 5; ++row)
    for (std::size_t c = 0; c < 4; ++c)
      EXPECT_EQ(as_json(r.batch.columns[c + 1], row), want[row][c]) << row << "/" << c;
}

TEST(JsonDecoderNested, FailuresSayWhere) {
  auto d = make(nested_types());
  const std::pair<const char*, const char*> cases[] = {
      {R"({"tags":["a",5]})", "field \"tags[1]\": expected a string, found 5"},
      {R"({"tags":"a"})", "field \"tags\": expected an array, found \"a\""},
      {R"({"tags":{"a":1}})", "field \"tags\": expected an array, found an object"},
      {R"({"m":{"x":1.0}})", "field \"m['x']\": expected a 64-bit integer, found 1.0"},
      {R"({"m":[1]})", "field \"m\": expected an object, found an array"},
      {R"({"r":{"b":{"c":[1,"soon"]}}})", "field \"r.b.c[1]\": expected an ISO 8601 timestamp, found \"soon\""},
      {R"({"r":{"a":"7"}})", "field \"r.a\": expected a 64-bit integer, found \"7\""},
      {R"({"j":{"k":"\q"}})", "field \"j\": a string has a bad escape"},
      {R"({"tags":["a",]})", "not valid JSON: unexpected ]"},
      {R"({"j":{"k":01}})", "not valid JSON: unexpected 01"},
      {R"({"j":{"k":1})", "not valid JSON: it ends early"},
  };
  for (const auto& [text, reason] : cases) {
    const auto r = decode(*d, {R"({"id":1,"tags":["before"]})", text, R"({"id":2,"tags":["after"]})"});
    ASSERT_EQ(r.failures.size(), 1u) << text;
    EXPECT_EQ(r.failures[0].index, 1u);
    EXPECT_THAT(r.failures[0].reason, HasSubstr(reason)) << text;
    ASSERT_EQ(r.batch.rows, 2u);
    EXPECT_EQ(as_json(r.batch.columns[1], 0), R"(["before"])");
    EXPECT_EQ(as_json(r.batch.columns[1], 1), R"(["after"])");
  }
}

}  // namespace
}  // namespace twinspan::connectors
