#include "engine/base/types.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "engine/base/ids.h"

namespace twinspan {
namespace {

constexpr const char* kRefused = "refused";

std::string decimal(std::string_view text, unsigned precision, unsigned scale) {
  const auto d = parse_decimal(text, precision, scale);
  return d ? decimal_to_string(*d, scale) : kRefused;
}

TEST(Decimal, ParsesAndPrints) {
  struct {
    const char* text;
    unsigned precision, scale;
    const char* printed;
  } static constexpr kCases[] = {
      {"0", 1, 0, "0"},
      {"-0", 5, 2, "0.00"},
      {"12.34", 4, 2, "12.34"},
      {"+12.34", 18, 4, "12.3400"},
      {"-12.34", 18, 4, "-12.3400"},
      {".5", 3, 2, "0.50"},
      {"5.", 3, 2, "5.00"},
      {"-0.05", 3, 2, "-0.05"},
      {"0001.50", 3, 2, "1.50"},
      {"1.5e3", 6, 1, "1500.0"},
      {"1.5E+3", 6, 1, "1500.0"},
      {"15e-1", 3, 2, "1.50"},
      {"0e999", 3, 0, "0"},
      {"1e-400", 3, 2, "0.00"},
      // Digits beyond the scale: half up, away from zero.
      {"1.005", 5, 2, "1.01"},
      {"1.004999", 5, 2, "1.00"},
      {"-1.005", 5, 2, "-1.01"},
      {"0.5", 1, 0, "1"},
      {"0.49999999999999999999999999999999999999999999999999999999999999999999999999999999999999", 1, 0, "0"},
      {"0.05", 1, 0, "0"},
      {"9.994", 3, 2, "9.99"},
      // Out of range, also by rounding.
      {"9.995", 3, 2, kRefused},
      {"10.00", 3, 2, kRefused},
      {"99999999999999999999999999999999999999", 38, 0, "99999999999999999999999999999999999999"},
      {"-99999999999999999999999999999999999999", 38, 0, "-99999999999999999999999999999999999999"},
      {"99999999999999999999999999999999999999.5", 38, 0, kRefused},
      {"100000000000000000000000000000000000000", 38, 0, kRefused},
      {"0.99999999999999999999999999999999999999", 38, 38, "0.99999999999999999999999999999999999999"},
      {"1", 38, 38, kRefused},
      {"1e38", 38, 0, kRefused},
      {"1e37", 38, 0, "10000000000000000000000000000000000000"},
      // Not a number.
      {"", 5, 2, kRefused},
      {"-", 5, 2, kRefused},
      {".", 5, 2, kRefused},
      {"1e", 5, 2, kRefused},
      {"1e+", 5, 2, kRefused},
      {"1e+-2", 5, 2, kRefused},
      {"e5", 5, 2, kRefused},
      {"1.2.3", 5, 2, kRefused},
      {"1 ", 5, 2, kRefused},
      {" 1", 5, 2, kRefused},
      {"--1", 5, 2, kRefused},
      {"0x10", 5, 2, kRefused},
      {"NaN", 5, 2, kRefused},
      {"1e99999999999", 5, 2, kRefused},
  };
  for (const auto& c : kCases) EXPECT_EQ(decimal(c.text, c.precision, c.scale), c.printed) << "'" << c.text << "'";
}

TEST(Decimal, LongTextsAreExact) {
  EXPECT_EQ(decimal(std::string(500, '0') + "7." + std::string(500, '0'), 5, 2), "7.00");
  EXPECT_EQ(decimal("1" + std::string(200, '0') + "e-200", 5, 2), "1.00");
  EXPECT_EQ(decimal("0." + std::string(200, '0') + "1e201", 5, 2), "1.00");
}

TEST(Decimal, PrintsTheExtremes) {
  EXPECT_EQ(decimal_to_string(std::numeric_limits<Decimal>::min(), 0), "-170141183460469231731687303715884105728");
  EXPECT_EQ(decimal_to_string(std::numeric_limits<Decimal>::max(), 38), "1.70141183460469231731687303715884105727");
  EXPECT_EQ(decimal_to_string(0, 3), "0.000");
  EXPECT_EQ(decimal_to_string(-7, 3), "-0.007");
}

TEST(Decimal, PrintedIsParsedBack) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 2000; ++i) {
    const unsigned scale = random() % 39;
    Decimal d =
        static_cast<Decimal>(random()) * static_cast<std::int64_t>(random() % 1'000'000'000'000) >> (random() % 100);
    if (random() % 2 == 0) d = -d;
    EXPECT_EQ(parse_decimal(decimal_to_string(d, scale), 38, scale), d);
  }
}

TEST(Timestamp, ParsesAndPrints) {
  struct {
    const char* text;
    std::int64_t ms;
    const char* printed;
  } static constexpr kCases[] = {
      {"1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00Z"},
      {"1969-12-31T23:59:59.999Z", -1, "1969-12-31T23:59:59.999Z"},
      {"2026-01-01", 1767225600000, "2026-01-01T00:00:00Z"},
      {"2026-01-01T00:00", 1767225600000, "2026-01-01T00:00:00Z"},
      {"2026-01-01 00:00:01.25", 1767225601250, "2026-01-01T00:00:01.250Z"},
      {"2026-01-01t00:00:01,5z", 1767225601500, "2026-01-01T00:00:01.500Z"},
      {"2026-01-01T00:00:00.123456789Z", 1767225600123, "2026-01-01T00:00:00.123Z"},
      {"2026-01-01T08:00:00+08:00", 1767225600000, "2026-01-01T00:00:00Z"},
      {"2026-01-01T08:00:00+0800", 1767225600000, "2026-01-01T00:00:00Z"},
      {"2026-01-01T08:00:00+08", 1767225600000, "2026-01-01T00:00:00Z"},
      {"2025-12-31T18:30-05:30", 1767225600000, "2026-01-01T00:00:00Z"},
      {"2024-02-29T12:00:00Z", 1709208000000, "2024-02-29T12:00:00Z"},
      {"2000-02-29", 951782400000, "2000-02-29T00:00:00Z"},
      {"2016-12-31T23:59:60Z", 1483228800000, "2017-01-01T00:00:00Z"},  // a leap second
      {"0001-01-01", -62135596800000, "0001-01-01T00:00:00Z"},
      {"9999-12-31T23:59:59.999Z", 253402300799999, "9999-12-31T23:59:59.999Z"},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(parse_timestamp(c.text), c.ms) << c.text;
    EXPECT_EQ(timestamp_to_string(c.ms), c.printed) << c.text;
  }
}

TEST(Timestamp, RefusesWhatIsNotOne) {
  for (const char* text : {"",
                           "2026",
                           "2026-1-1",
                           "2026-13-01",
                           "2026-00-01",
                           "2026-02-29",
                           "1900-02-29",
                           "2026-04-31",
                           "2026-01-00",
                           "2026-01-01T",
                           "2026-01-01T24:00:00",
                           "2026-01-01T00:60",
                           "2026-01-01T00:00:61",
                           "2026-01-01T00:00:",
                           "2026-01-01T00:00:1",
                           "2026-01-01T00:00:00.",
                           "2026-01-01T00:00:00.Z",
                           "2026-01-01T00:00:00Zx",
                           "2026-01-01T00:00:00+",
                           "2026-01-01T00:00:00+1",
                           "2026-01-01T00:00:00+01:",
                           "2026-01-01T00:00:00+01:60",
                           "2026-01-01T00:00:00+19:00",
                           "2026-01-01X00:00:00",
                           "2026-01-01T00:00:00 +01:00",
                           "2026/01/01",
                           "+2026-01-01",
                           "now"})
    EXPECT_EQ(parse_timestamp(text), std::nullopt) << "'" << text << "'";
}

TEST(Timestamp, PrintedIsParsedBack) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 5000; ++i) {
    const auto ms =
        static_cast<std::int64_t>(random() % 315'537'897'600'000ull) - 62'135'596'800'000;  // years 1 to 9999
    EXPECT_EQ(parse_timestamp(timestamp_to_string(ms)), ms);
  }
  EXPECT_FALSE(timestamp_to_string(std::numeric_limits<std::int64_t>::min()).empty());
  EXPECT_FALSE(timestamp_to_string(std::numeric_limits<std::int64_t>::max()).empty());
}

TEST(DataType, NamesAreReadBack) {
  for (DataType t : {types::boolean, types::int64, types::float64, types::string, types::bytes, types::timestamp,
                     types::duration, types::decimal(1, 0), types::decimal(38, 38), types::decimal(18, 4)})
    EXPECT_EQ(parse_type(to_string(t)), t) << to_string(t);
  EXPECT_EQ(parse_type("Decimal( 18 , 4 )"), types::decimal(18, 4));
  EXPECT_EQ(parse_type("decimal(9)"), types::decimal(9, 0));
  EXPECT_EQ(parse_type("timestamp_ms"), types::timestamp);
  EXPECT_EQ(parse_type("BIGINT"), types::int64);
  for (const char* text :
       {"", "decimal", "decimal(", "decimal()", "decimal(0,0)", "decimal(39,0)", "decimal(5,6)", "decimal(5,",
        "decimal(5,)", "decimal(5;2)", "decimal(5,2", "decimal(-5,2)", "int32", "decimal(5,2)x"})
    EXPECT_EQ(parse_type(text), std::nullopt) << "'" << text << "'";
}

TEST(EventTime, ShiftStaysInRange) {
  EXPECT_EQ(shift(10, -3), 7);
  EXPECT_EQ(shift(kMinTime, 5), kMinTime);
  EXPECT_EQ(shift(kMaxTime, -5), kMaxTime);
  EXPECT_EQ(shift(kMaxTime - 1, 5), kMaxTime);
  EXPECT_EQ(shift(kMinTime + 1, -5), kMinTime);
}

}  // namespace
}  // namespace twinspan
