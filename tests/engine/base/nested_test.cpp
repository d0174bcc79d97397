// Packed values against trees: random values of random types, through JSON and back.
#include "engine/base/nested.h"

#include <gtest/gtest.h>

#include <random>

#include "engine/base/json_reader.h"
#include "engine/base/json_text.h"

namespace twinspan {
namespace {

TEST(TypeNames, NestedTypesAreInterned) {
  const auto a = parse_type("ARRAY< row<`a b` Int64, c decimal( 5 , 2 ), d: map<string,json>> >");
  ASSERT_TRUE(a.has_value());
  EXPECT_EQ(to_string(*a), "array<row<`a b` int64, c decimal(5,2), d map<string, json>>>");
  EXPECT_EQ(parse_type(to_string(*a)), a);
  EXPECT_EQ(parse_type(to_string(*a))->info, a->info);
  EXPECT_NE(parse_type("array<int64>"), parse_type("array<string>"));
  EXPECT_NE(parse_type("row<a int64>"), parse_type("row<b int64>"));
  EXPECT_TRUE(a->is_string_like());
  EXPECT_FALSE(a->is_key());
}

TEST(TypeNames, ErrorsHaveTheirPlace) {
  struct {
    const char *text, *message;
    std::size_t offset;
  } static constexpr kCases[] = {
      {"array<strin>", "unknown type `strin`", 6},
      {"array<string", "the type ends here, `>` was expected", 12},
      {"map<int64, string>", "the keys of a map are strings", 4},
      {"row<a int64, a string>", "two fields are called `a`", 13},
      {"row<>", "the name of a field was expected, as in row<a int64, b string>", 4},
      {"decimal(39,1)", "a decimal has 1 to 38 digits, and no more of them behind the point", 0},
      {"decimal(3,4)", "a decimal has 1 to 38 digits, and no more of them behind the point", 0},
      {"int64 x", "unexpected `x` behind the type", 6},
      {"", "a type was expected", 0},
  };
  for (const auto& c : kCases) {
    TypeError error;
    EXPECT_FALSE(parse_type(c.text, &error)) << c.text;
    EXPECT_EQ(error.message, c.message) << c.text;
    EXPECT_EQ(error.offset, c.offset) << c.text;
  }
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += "array<";
  TypeError error;
  EXPECT_FALSE(parse_type(deep + "int64" + std::string(1000, '>'), &error));
  EXPECT_EQ(error.message, "the type is nested more than 16 levels deep");
}

DataType random_type(std::mt19937_64& random, int depth) {
  const DataType flat[] = {types::boolean,        types::int64,    types::float64,
                           types::decimal(12, 3), types::string,   types::bytes,
                           types::timestamp,      types::duration, types::json};
  const std::size_t kind = random() % (depth > 0 ? 6 : 3);
  if (kind == 3) return types::array(random_type(random, depth - 1));
  if (kind == 4) return types::map(random_type(random, depth - 1));
  if (kind == 5) {
    std::vector<Field> fields;
    for (std::size_t i = 0, n = 1 + random() % 11; i < n; ++i)
      fields.push_back({"f" + std::to_string(i), random_type(random, depth - 1)});
    return types::row(std::move(fields));
  }
  return flat[random() % std::size(flat)];
}

// JSON as append_json writes it: members in order, NULL fields written out.
std::string random_json(DataType type, std::mt19937_64& random) {
  switch (type.kind) {
    case TypeKind::boolean: return random() % 2 != 0 ? "true" : "false";
    case TypeKind::float64: return random() % 5 == 0 ? "0" : std::to_string(static_cast<int>(random() % 100)) + ".5";
    case TypeKind::decimal: return decimal_to_string(static_cast<Decimal>(random() % 1'000'000), type.scale);
    case TypeKind::string: {
      static constexpr const char* kTexts[] = {"\"\"", "\"a\"", "\"\\\"q\\\\\"", "\"\xc3\xa4\"",
                                               "\"a longer text, of more than one word\""};
      return kTexts[random() % std::size(kTexts)];
    }
    case TypeKind::bytes: return random() % 2 != 0 ? "\"AQI=\"" : "\"\"";
    case TypeKind::timestamp:
      return "\"" + timestamp_to_string(static_cast<std::int64_t>(random() % 1'000'000'000'000)) + "\"";
    case TypeKind::json: return random() % 2 != 0 ? "{\"x\":[1,null]}" : "17";
    case TypeKind::array: {
      std::string out = "[";
      for (std::size_t i = 0, n = random() % 12; i < n; ++i)
        out += (i > 0 ? "," : "") + (random() % 4 == 0 ? "null" : random_json(types::element(type), random));
      return out + "]";
    }
    case TypeKind::map: {
      std::string out = "{";
      bool first = true;
      for (char k = 'a'; k < 'i'; ++k) {
        if (random() % 2 == 0) continue;
        out += (first ? "\"" : ",\"") + std::string(1, k) +
               "\":" + (random() % 4 == 0 ? "null" : random_json(types::map_value(type), random));
        first = false;
      }
      return out + "}";
    }
    case TypeKind::row: {
      std::string out = "{";
      for (const Field& f : type.info->fields)
        out += (out.size() > 1 ? ",\"" : "\"") + f.name +
               "\":" + (random() % 4 == 0 ? "null" : random_json(f.type, random));
      return out + "}";
    }
    default: return std::to_string(static_cast<std::int64_t>(random()));
  }
}

TEST(Nested, JsonComesBackAsItWas) {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    std::mt19937_64 random(seed);
    const DataType type = random_type(random, 4);
    JsonReader reader(type);
    for (int k = 0; k < 5; ++k) {
      const std::string json = random_json(type, random);
      ASSERT_TRUE(json_valid(json)) << "seed " << seed << ": " << json;
      Arena arena;
      alignas(Decimal) char value[sizeof(Decimal)];
      ASSERT_EQ(reader.read(json, arena, value), JsonReader::Outcome::value)
          << "seed " << seed << ": " << json << reader.path() << reader.reason();
      std::string out;
      append_json(type, value, JsonTimestamps::iso8601, out);
      ASSERT_EQ(out, json) << "seed " << seed << ", " << to_string(type);
      if (!type.is_string_like()) continue;
      std::string_view bytes;
      std::memcpy(&bytes, value, sizeof bytes);
      ASSERT_TRUE(well_formed_value(type, bytes)) << "seed " << seed << ", " << to_string(type);
    }
  }
}

// What passes well_formed_value can be read without leaving its bytes (run under ASan); damage rarely passes.
TEST(Nested, DamagedBytesAreRefusedOrHarmless) {
  std::size_t refused = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    std::mt19937_64 random(seed);
    const DataType type = types::array(random_type(random, 3));
    JsonReader reader(type);
    Arena arena;
    std::string_view bytes;
    ASSERT_EQ(reader.read(random_json(type, random), arena, &bytes), JsonReader::Outcome::value);
    for (int k = 0; k < 50; ++k) {
      std::string damaged(bytes);
      if (random() % 3 == 0) damaged.resize(random() % (damaged.size() + 1));
      for (std::size_t n = random() % 4; n > 0 && !damaged.empty(); --n)
        damaged[random() % damaged.size()] = static_cast<char>(random());
      const std::unique_ptr<char[]> exact(new char[damaged.size()]);  // no byte behind it
      std::memcpy(exact.get(), damaged.data(), damaged.size());
      const std::string_view v(exact.get(), damaged.size());
      if (!well_formed_value(type, v)) {
        ++refused;
        continue;
      }
      std::string out;
      append_json(type, &v, JsonTimestamps::iso8601, out);
      EXPECT_FALSE(out.empty());
    }
  }
  EXPECT_GT(refused, 3000u);
}

TEST(Nested, MapsAreSortedAndTheLastOfEqualKeysWins) {
  MapBuilder builder(types::int64);
  for (const auto& [key, value] : {std::pair<const char*, std::int64_t>{"b", 1}, {"a", 2}, {"b", 3}, {"", 4}})
    builder.add(key, &value);
  builder.add("a", nullptr);
  const std::string bytes(builder.finish());
  const MapView map(bytes, types::int64);
  ASSERT_EQ(map.keys().size(), 3u);
  EXPECT_EQ(map.keys().text(0), "");
  EXPECT_EQ(map.values().at<std::int64_t>(static_cast<std::uint32_t>(map.find("b"))), 3);
  EXPECT_TRUE(map.values().is_null(static_cast<std::uint32_t>(map.find("a"))));
  EXPECT_EQ(map.find("c"), -1);
}

TEST(JsonText, KnowsWhatIsJson) {
  for (const char* good : {"0", "-0.5e+3", "\"\"", "[]", "{}", " [ 1 , { \"a\" : null } ] ", "true", "\"\\u00e4\\/\""})
    EXPECT_TRUE(json_valid(good)) << good;
  for (const char* bad : {"",          " ",           "01",      "1.",         ".5",    "+1",  "-",     "1e",
                          "[1,]",      "{,}",         "{\"a\"}", "{\"a\":1,}", "[1 2]", "nul", "truex", "\"\\q\"",
                          "\"\\u12\"", "\"\\udc00\"", "\"a",     "'a'",        "[1]]",  "1 2", "{a:1}", "\"a\nb\""})
    EXPECT_FALSE(json_valid(bad)) << bad;
  EXPECT_TRUE(json_valid(std::string(kMaxJsonDepth, '[') + std::string(kMaxJsonDepth, ']')));
  EXPECT_FALSE(json_valid(std::string(1'000'000, '[')));
}

}  // namespace
}  // namespace twinspan
