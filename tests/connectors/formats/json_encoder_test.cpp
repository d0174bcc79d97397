#include "connectors/formats/json_encoder.h"

#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "connectors/formats/json_decoder.h"

namespace twinspan::connectors {
namespace {

template <class T>
std::string encode_one(DataType type, T value, JsonEncoderOptions options = {}) {
  Schema schema{{{"v", type}}};
  Batch b;
  b.schema = &schema;
  b.rows = 1;
  b.columns = {Column{type, &value, nullptr}};
  std::string out;
  JsonEncoder(schema, options).encode(b, 0, out);
  return out;
}

TEST(JsonEncoder, WritesEveryType) {
  EXPECT_EQ(encode_one<std::int64_t>(types::int64, INT64_MIN), R"({"v":-9223372036854775808})");
  EXPECT_EQ(encode_one<std::uint8_t>(types::boolean, 1), R"({"v":true})");
  EXPECT_EQ(encode_one<double>(types::float64, 0.1), R"({"v":0.1})");
  EXPECT_EQ(encode_one<double>(types::float64, 1e300), R"({"v":1e+300})");
  EXPECT_EQ(encode_one<double>(types::float64, std::nan("")), R"({"v":null})");
  EXPECT_EQ(encode_one<double>(types::float64, -std::numeric_limits<double>::infinity()), R"({"v":null})");
  EXPECT_EQ(encode_one<Decimal>(types::decimal(18, 4), -1), R"({"v":-0.0001})");
  EXPECT_EQ(encode_one<Decimal>(types::decimal(38, 0), 7), R"({"v":7})");
  EXPECT_EQ(encode_one<std::int64_t>(types::timestamp, 1767225600000), R"({"v":"2026-01-01T00:00:00Z"})");
  EXPECT_EQ(encode_one<std::int64_t>(types::timestamp, 1767225600000, {JsonEncoderOptions::Timestamps::millis}),
            R"({"v":1767225600000})");
  EXPECT_EQ(encode_one<std::string_view>(types::bytes, "hi"), R"({"v":"aGk="})");
  EXPECT_EQ(encode_one<std::string_view>(types::bytes, ""), R"({"v":""})");
}

TEST(JsonEncoder, EscapesStringsAndRepairsUtf8) {
  EXPECT_EQ(encode_one<std::string_view>(types::string, "a\"b\\c\n\r\t\x01 é"),
            "{\"v\":\"a\\\"b\\\\c\\n\\r\\t\\u0001 é\"}");
  EXPECT_EQ(encode_one<std::string_view>(types::string,
                                         "a\xff"
                                         "b"),
            "{\"v\":\"a\xEF\xBF\xBD"
            "b\"}");
  EXPECT_EQ(encode_one<std::string_view>(types::string, "\xed\xa0\x80"),
            "{\"v\":\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"}");
}

// Texts are looked at eight bytes at a time: what must be escaped, at every place of texts of every length.
TEST(JsonEncoder, StringsOfAllLengthsWithAnyByteAnywhere) {
  const auto expected = [](const std::string& s) {
    std::string out;
    for (const char c : s) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\')
        out += fmt::format("\\{}", c);
      else if (c == '\n')
        out += "\\n";
      else if (byte < 0x20 && c != '\r' && c != '\t')
        out += fmt::format("\\u{:04x}", byte);
      else if (byte < 0x20)
        out += c == '\r' ? "\\r" : "\\t";
      else if (byte < 0x80)
        out += c;
      else
        out += "\xEF\xBF\xBD";  // one byte alone is no UTF-8
    }
    return "{\"v\":\"" + out + "\"}";
  };
  for (std::size_t length = 1; length <= 27; ++length)
    for (std::size_t at = 0; at < length; ++at)
      for (int byte = 0; byte < 256; ++byte) {
        std::string s(length, 'x');
        s[at] = static_cast<char>(byte);
        s[length - 1 - at] = at % 3 == 0 ? '"' : s[length - 1 - at];
        ASSERT_EQ(encode_one<std::string_view>(types::string, s), expected(s)) << length << " " << at << " " << byte;
      }
  EXPECT_EQ(encode_one<std::string_view>(types::string, "1234567\xC3\xA9 and 12345678\xE2\x82\xAC"),
            "{\"v\":\"1234567\xC3\xA9 and 12345678\xE2\x82\xAC\"}");
}

TEST(JsonEncoder, DecimalsOfAllScales) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 20'000; ++i) {
    auto v = static_cast<Decimal>(static_cast<std::int64_t>(random()) >> (random() % 64));
    if (i % 10 == 0) v *= static_cast<std::int64_t>(random() >> 4);
    if (i < 4) v = std::array<std::int64_t, 4>{INT64_MIN, INT64_MAX, 0, -1}[static_cast<std::size_t>(i)];
    const auto scale = static_cast<std::uint8_t>(random() % 25);
    ASSERT_EQ(encode_one<Decimal>(types::decimal(38, scale), v), "{\"v\":" + decimal_to_string(v, scale) + "}");
  }
}

TEST(JsonEncoder, NullsOpAndFinal) {
  Schema schema{{{"a\"b", types::int64}}};
  const std::int64_t v[] = {1, 2};
  const std::uint8_t valid[] = {1, 0};
  const std::uint8_t flags[] = {static_cast<std::uint8_t>(RowOp::update_after),
                                static_cast<std::uint8_t>(static_cast<std::uint8_t>(RowOp::remove) | kProvisionalFlag)};
  Batch b;
  b.schema = &schema;
  b.rows = 2;
  b.columns = {Column{types::int64, v, valid}};
  b.flags = flags;
  JsonEncoder e(schema, {JsonEncoderOptions::Timestamps::iso8601, true, true});
  std::string out;
  e.encode(b, 0, out);
  out += '\n';
  e.encode(b, 1, out);
  EXPECT_EQ(out, "{\"a\\\"b\":1,\"_op\":\"+U\",\"_final\":true}\n{\"a\\\"b\":null,\"_op\":\"-D\",\"_final\":false}");
}

TEST(JsonEncoder, EmptySchemaIsAnEmptyObject) {
  Batch b;
  b.rows = 1;
  std::string out;
  JsonEncoder(Schema{}).encode(b, 0, out);
  EXPECT_EQ(out, "{}");
}

TEST(JsonEncoder, WhatItWritesTheDecoderReadsBack) {
  JsonDecoderOptions o{{{"s", types::string},
                        {"f", types::float64},
                        {"d", types::decimal(38, 9)},
                        {"x", types::bytes},
                        {"t", types::timestamp, JsonField::Wire::iso8601}},
                       {},
                       -1};
  auto made = JsonDecoder::make(o);
  auto& decoder = *made.value();
  const Schema schema = decoder.schema();
  const JsonEncoder encoder(schema);
  std::mt19937_64 random(3);
  for (int i = 0; i < 5000; ++i) {
    std::string text;
    for (unsigned k = random() % 20; k > 0; --k) text += static_cast<char>(random() % 128);
    std::string bytes = text;
    for (char& c : bytes) c = static_cast<char>(random());
    const std::string_view s = text, x = bytes;
    double f = 0;
    const std::uint64_t bits = random();
    std::memcpy(&f, &bits, 8);
    if (!std::isfinite(f) || std::fpclassify(f) == FP_SUBNORMAL) f = 0.5;
    const Decimal d = static_cast<Decimal>(static_cast<std::int64_t>(random())) * 1000003;
    const std::int64_t t = static_cast<std::int64_t>(random() % 4'000'000'000'000ull);
    Batch b;
    b.rows = 1;
    b.columns = {{types::string, &s, nullptr},
                 {types::float64, &f, nullptr},
                 {types::decimal(38, 9), &d, nullptr},
                 {types::bytes, &x, nullptr},
                 {types::timestamp, &t, nullptr}};
    std::string json;
    encoder.encode(b, 0, json);
    const RawRecord r{LaneIndex(0), 0, 1, {}, json, false, true};
    std::vector<DecodeFailure> failures;
    const Batch back = decoder.decode(&r, 1, nullptr, failures);
    ASSERT_TRUE(failures.empty()) << failures[0].reason << " in " << json;
    ASSERT_EQ(back.columns[0].as<std::string_view>()[0], s);
    ASSERT_EQ(back.columns[1].as<double>()[0], f) << json;
    ASSERT_TRUE(back.columns[2].as<Decimal>()[0] == d) << json;
    ASSERT_EQ(back.columns[3].as<std::string_view>()[0], x);
    ASSERT_EQ(back.columns[4].as<std::int64_t>()[0], t);
  }
}

}  // namespace
}  // namespace twinspan::connectors
