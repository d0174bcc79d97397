// Times, durations, counts, addresses and metrics as text.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "admin/endpoint_table.h"
#include "admin/listen_address.h"
#include "admin/metrics_text.h"
#include "admin/time_text.h"

namespace twinspan::admin {
namespace {

TEST(TimeText, ReadsDurationsWithUnits) {
  EXPECT_EQ(parse_duration("500ms"), 500);
  EXPECT_EQ(parse_duration("5m"), 300'000);
  EXPECT_EQ(parse_duration("1h30m"), 5'400'000);
  EXPECT_EQ(parse_duration("2d"), 172'800'000);
  EXPECT_EQ(parse_duration("0s"), 0);
  for (const char* bad : {"", "5", "m", "-5m", "5 m", "5m5h", "5m5m", "1.5h", "99999999999999d", "5M"})
    EXPECT_FALSE(parse_duration(bad)) << bad;
}

TEST(TimeText, ReadsTimestamps) {
  EXPECT_EQ(parse_timestamp("1970-01-01T00:00:00Z"), 0);
  EXPECT_EQ(parse_timestamp("2026-01-01T00:00:00Z"), 1'767'225'600'000);
  EXPECT_EQ(parse_timestamp("2026-01-01T08:00:00+08:00"), 1'767'225'600'000);
  EXPECT_EQ(parse_timestamp("2025-12-31T19:30:00.1239-04:30"), 1'767'225'600'123);
  EXPECT_EQ(parse_timestamp("2024-02-29T00:00:00Z"), 1'709'164'800'000);
  for (const char* bad :
       {"", "2026-01-01", "2026-01-01T00:00:00", "2026-02-30T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:00Zx", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00+8:00", "yesterday at the latest"}) {
    EXPECT_FALSE(parse_timestamp(bad)) << bad;
  }
  EXPECT_EQ(format_timestamp(1'767'225'600'123), "2026-01-01T00:00:00.123Z");
}

TEST(TimeText, ReadsCounts) {
  EXPECT_EQ(parse_count("200000"), 200'000u);
  EXPECT_EQ(parse_count("200k"), 200'000u);
  EXPECT_EQ(parse_count("1.5M"), 1'500'000u);
  EXPECT_EQ(parse_count("64MiB"), 67'108'864u);
  EXPECT_EQ(parse_count("0"), 0u);
  for (const char* bad : {"", "k", "-1", "5x", "1e9", "nan", "inf", "99999999999999999999", "5 k"})
    EXPECT_FALSE(parse_count(bad)) << bad;
}

TEST(TimeText, WritesForPeople) {
  EXPECT_EQ(format_duration(350), "350 ms");
  EXPECT_EQ(format_duration(4'199), "4.1 s");
  EXPECT_EQ(format_duration(725'000), "12 min 5 s");
  EXPECT_EQ(format_duration(12'000'000), "3 h 20 min");
  EXPECT_EQ(format_duration(187'200'000), "2 d 4 h");
  EXPECT_EQ(format_count(4'312'903), "4,312,903");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(-1), "-");
  EXPECT_EQ(format_bytes(22.1 * 1024 * 1024), "22.1 MiB");
  EXPECT_EQ(format_rate(105'200), "105.2 k/s");
}

TEST(ListenAddress, TellsLoopbackFromWhatOnlyLooksLikeIt) {
  for (const char* name : {"localhost", "127.0.0.1", "127.255.0.9", "::1"}) EXPECT_TRUE(is_loopback_name(name)) << name;
  for (const char* name :
       {"", "0.0.0.0", "::", "128.0.0.1", "127.0.0.1.example", "127.1", "localhost.", "0x7f.0.0.1"}) {
    EXPECT_FALSE(is_loopback_name(name)) << name;
  }
  EXPECT_EQ(to_string(parse_listen_address("[::1]:99").value()), "[::1]:99");
}

TEST(Accepts, TheMostSpecificRangeDecides) {
  EXPECT_TRUE(accepts("", "application/json"));
  EXPECT_TRUE(accepts("APPLICATION/JSON;q=0.2", "application/json"));
  EXPECT_FALSE(accepts("application/json;q=0, */*", "application/json"));
  EXPECT_FALSE(accepts("*/*;q=0.0", "application/json"));
  EXPECT_TRUE(accepts("*/*;q=0, application/*", "application/json"));
  EXPECT_FALSE(accepts("text/html", "application/json"));
}

TEST(MetricsText, GroupsFamiliesAndWritesOddNumbers) {
  const std::string text = metrics_text({{"source_lag_records", {{"a", "1"}}, 5},
                                         {"something_new", {}, 0.5},
                                         {"checkpoint_duration_seconds_bucket", {{"le", "+Inf"}}, 3},
                                         {"checkpoint_duration_seconds_count", {}, 3},
                                         {"source_lag_records", {{"a", "2"}}, std::nan("")},
                                         {"source_lag_records", {{"a", "3"}}, HUGE_VAL},
                                         {"source_lag_records", {{"a", "4"}}, 4'503'599'627'370'496.0}});
  EXPECT_EQ(text,
            "# HELP twinspan_source_lag_records Records between position and end, over the lanes of a "
            "cluster whose end is known.\n"
            "# TYPE twinspan_source_lag_records gauge\n"
            "twinspan_source_lag_records{a=\"1\"} 5\n"
            "twinspan_source_lag_records{a=\"2\"} NaN\n"
            "twinspan_source_lag_records{a=\"3\"} +Inf\n"
            "twinspan_source_lag_records{a=\"4\"} 4503599627370496\n"
            "# HELP twinspan_checkpoint_duration_seconds How long checkpoints took.\n"
            "# TYPE twinspan_checkpoint_duration_seconds histogram\n"
            "twinspan_checkpoint_duration_seconds_bucket{le=\"+Inf\"} 3\n"
            "twinspan_checkpoint_duration_seconds_count 3\n"
            "# TYPE twinspan_something_new untyped\n"
            "twinspan_something_new 0.5\n");
}

TEST(MetricsText, FamiliesAreNamedByTheRulesAndOnce) {
  std::set<std::string_view> names;
  for (const MetricFamily& f : metric_families()) {
    EXPECT_TRUE(names.insert(f.name).second) << f.name;
    EXPECT_EQ(f.name.ends_with("_total"), f.type == "counter") << f.name;
    EXPECT_TRUE(f.help.ends_with('.')) << f.name;
  }
}

}  // namespace
}  // namespace twinspan::admin
