#include "gateway/demo/traffic.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <boost/json.hpp>

namespace twinspan::gateway {
namespace {

constexpr EventTime kStart = 1'767'225'600'000;

struct Record {
  Traffic::Kind kind;
  std::string key, value;
  EventTime ts;
  friend bool operator==(const Record&, const Record&) = default;
};

std::vector<Record> make(std::uint64_t seed, EventTime length, EventTime slice) {
  TrafficSettings settings;
  settings.seed = seed;
  Traffic traffic(settings, kStart);
  std::vector<Record> out;
  for (EventTime t = kStart; t < kStart + length; t += slice)
    traffic.advance(std::min(t + slice, kStart + length),
                    [&](Traffic::Kind k, std::string_view key, std::string_view value, EventTime ts) {
                      out.push_back({k, std::string(key), std::string(value), ts});
                    });
  return out;
}

TEST(Traffic, OneSeedGivesOneStreamHoweverItIsAsked) {
  const auto whole = make(7, 60'000, 60'000);
  EXPECT_EQ(make(7, 60'000, 60'000), whole);
  EXPECT_EQ(make(7, 60'000, 350), whole);
  EXPECT_NE(make(8, 60'000, 60'000), whole);
}

TEST(Traffic, HasTheRateThatIsAskedFor) {
  const auto records = make(1, 600'000, 5'000);
  const auto impressions = static_cast<double>(
      std::count_if(records.begin(), records.end(), [](const auto& r) { return r.kind == Traffic::Kind::impression; }));
  EXPECT_NEAR(impressions, 600 * 70, 1'500);
}

TEST(Traffic, ClicksFollowTheirImpressionsSomeTooLate) {
  std::map<std::pair<std::string, std::int64_t>, std::vector<EventTime>> shown;
  std::size_t in_time = 0, too_late = 0, malformed = 0;
  std::set<std::string> devices;
  std::size_t impressions = 0;
  for (const Record& r : make(3, 3'600'000, 10'000)) {
    boost::system::error_code error;
    const auto value = boost::json::parse(r.value, error);
    if (error) {
      ++malformed;
      continue;
    }
    const std::int64_t ad = value.at("ad_id").as_int64();
    if (r.kind == Traffic::Kind::impression) {
      shown[{r.key, ad}].push_back(r.ts);
      devices.insert(r.key);
      ++impressions;
      continue;
    }
    const auto& times = shown[{r.key, ad}];
    ASSERT_FALSE(times.empty()) << "a click on nothing: " << r.value;
    const bool matches =
        std::any_of(times.begin(), times.end(), [&](EventTime t) { return t <= r.ts && r.ts <= t + 600'000; });
    ++(matches ? in_time : too_late);
  }
  EXPECT_GT(in_time, too_late * 5);
  EXPECT_GT(too_late, 0u);
  EXPECT_GT(malformed, 0u);
  EXPECT_LT(devices.size() * 3, impressions) << "devices come again";
}

}  // namespace
}  // namespace twinspan::gateway
