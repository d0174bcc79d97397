#include "config/units.h"

#include <gtest/gtest.h>

namespace twinspan::config {
namespace {

using std::chrono::milliseconds;

TEST(Duration, ReadsEachUnitAndCombinations) {
  EXPECT_EQ(parse_duration("500ms").value(), milliseconds(500));
  EXPECT_EQ(parse_duration("10s").value(), milliseconds(10'000));
  EXPECT_EQ(parse_duration("5m").value(), milliseconds(300'000));
  EXPECT_EQ(parse_duration("2h").value(), milliseconds(7'200'000));
  EXPECT_EQ(parse_duration("1d").value(), milliseconds(86'400'000));
  EXPECT_EQ(parse_duration("1h30m").value(), milliseconds(5'400'000));
  EXPECT_EQ(parse_duration("-10s").value(), milliseconds(-10'000));
  EXPECT_EQ(parse_duration("0s").value(), milliseconds(0));
}

TEST(Duration, RefusesBareNumbersAndNonsense) {
  for (const char* bare : {"10", "0", "1.5", "-3"}) EXPECT_TRUE(parse_duration(bare).error().bare_number) << bare;
  for (const char* bad : {"", "-", "s", "10x", "10 s", "1.5h", "30m1h", "1s1s", "10S", "99999999999999999999d",
                          "40000d", "10s ", "ms10"}) {
    ASSERT_FALSE(parse_duration(bad)) << bad;
    EXPECT_FALSE(parse_duration(bad).error().bare_number) << bad;
  }
}

TEST(Duration, TextParsesBack) {
  for (const std::int64_t ms : {0LL, 1LL, 999LL, 1000LL, 61'001LL, 86'400'000LL, -90'061'001LL}) {
    EXPECT_EQ(parse_duration(duration_text(milliseconds(ms))).value(), milliseconds(ms))
        << duration_text(milliseconds(ms));
  }
  EXPECT_EQ(duration_text(milliseconds(5'400'000)), "1h30m");
}

TEST(Bytes, ReadsBinaryAndDecimalUnits) {
  EXPECT_EQ(parse_bytes("64KiB").value(), 65536u);
  EXPECT_EQ(parse_bytes("1MiB").value(), 1048576u);
  EXPECT_EQ(parse_bytes("40GiB").value(), 40ull << 30);
  EXPECT_EQ(parse_bytes("2kB").value(), 2000u);
  EXPECT_EQ(parse_bytes("1.5GB").value(), 1'500'000'000u);
  EXPECT_EQ(parse_bytes("7B").value(), 7u);
  EXPECT_TRUE(parse_bytes("1024").error().bare_number);
  for (const char* bad : {"", "MiB", "1KB", "1.MiB", "1..2MiB", "-1MiB", "1 MiB", "99999999999TiB"})
    EXPECT_FALSE(parse_bytes(bad)) << bad;
  EXPECT_EQ(bytes_text(1ull << 30), "1GiB");
  EXPECT_EQ(bytes_text(1500), "1500B");
}

TEST(Rate, ReadsRecordsAndBytesPerSecond) {
  EXPECT_EQ(parse_rate("200k/s").value().per_second, 200'000);
  EXPECT_EQ(parse_rate("1.5M/s").value().per_second, 1'500'000);
  EXPECT_EQ(parse_rate("0/s").value().per_second, 0);
  EXPECT_EQ(parse_byte_rate("10MiB/s").value().per_second, 10 * 1048576);
  EXPECT_TRUE(parse_rate("200").error().bare_number);
  for (const char* bad : {"200k", "200k/m", "k/s", "10MiB/s", "-1/s"}) EXPECT_FALSE(parse_rate(bad)) << bad;
  for (const char* bad : {"10MiB", "10k/s", "10/s"}) EXPECT_FALSE(parse_byte_rate(bad)) << bad;
  EXPECT_EQ(rate_text(Rate{200'000}), "200k/s");
}

TEST(Timestamp, NeedsAZone) {
  EXPECT_EQ(parse_timestamp("1970-01-01T00:00:00Z").value(), 0);
  EXPECT_EQ(parse_timestamp("2026-01-01T00:00:00.250Z").value(), 1767225600250);
  EXPECT_EQ(parse_timestamp("2026-01-01T08:00:00+08:00").value(), 1767225600000);
  EXPECT_EQ(parse_timestamp("1969-12-31T23:59:59Z").value(), -1000);
  for (const char* bad : {"", "2026-01-01", "2026-01-01T00:00:00", "2026-02-30T00:00:00Z", "2026-01-01T25:00:00Z",
                          "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00Zx"}) {
    EXPECT_FALSE(parse_timestamp(bad)) << bad;
  }
}

}  // namespace
}  // namespace twinspan::config
