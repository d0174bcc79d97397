#include "gateway/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "gateway/load.h"

namespace twinspan::gateway {
namespace {

constexpr const char* kPipeline = R"y(version: 1
name: clicks
sources:
  shown:
    topic: i
    clusters: { pair: [east, west] }
    fields: { ad: int64, region: string, price: "decimal(18,4)", ts: timestamp }
    event_time: { field: ts, out_of_order: 10s }
  clicked: { topic: c, clusters: east, fields: { ad: int64, ts: timestamp }, event_time: { field: ts, out_of_order: 5s } }
steps:
  tidy: { from: shown, where: price >= 0, select: { ad: ad, region: upper(trim(region)), code: upper(trim(region)) || '-1' } }
  joined:
    interval_join: { left: tidy, right: clicked, on: [ad], between: [-1m, 10m], type: left }
    select: { ad: left.ad, region: left.region, clicked: right.ad IS NOT NULL }
  rate: { from: joined, window: { cumulate: 1d, every: 1h }, key: [region], aggregate: { n: count(*), ads: count(DISTINCT ad) } }
sinks:
  out: { from: rate, topic: o, clusters: east, key: region }
)y";

LoadedPipeline loaded(const std::string& text = kPipeline) {
  config::Diagnostics diagnostics;
  auto p = load_pipeline(text, "p.yaml", nullptr, {}, diagnostics);
  EXPECT_TRUE(p) << diagnostics.render();
  return std::move(*p);
}

const boost::json::object& find(const boost::json::value& list, std::string_view id) {
  for (const auto& v : list.as_array())
    if (v.at("id").as_string() == id) return v.as_object();
  throw std::runtime_error("no such id");
}

TEST(Explain, TextSaysWhatHappensToARow) {
  const LoadedPipeline p = loaded();
  EXPECT_EQ(explain_text(*p.plan, 2), R"t(pipeline clicks, 2 shards

source shown: on east and west
  reads         ad int64, region string, price decimal(18,4), ts timestamp
  event time    ts, 10s behind the newest row; a lane is idle after 30s
  lost cluster  holds event time for 30s

source clicked: on east
  reads         ad int64, ts timestamp
  event time    ts, 5s behind the newest row; a lane is idle after 30s
  lost cluster  holds event time for 30s

step tidy: project of shown
  where         price >= 0
  once          upper(trim(region)) for 2 uses
  columns       ad int64, region string, code string
  results       never change; event time 10s behind the newest row

step joined: interval_join of tidy, clicked
  exchange      left by ad, over 2 shards
  exchange      right by ad, over 2 shards
  join          left, right.time - left.time in [-1m, 10m]
  state         left rows for 10m10s of event time, about 88 bytes each: 51 MiB at 1000 rows/s
  state         right rows for 1m10s of event time, about 48 bytes each: 3281 KiB at 1000 rows/s
  max_state     none: as much as there is memory
  skew          none: the rows of one key are in one shard
  columns       ad int64, region string, clicked bool
  results       never change; event time 10m10s behind the newest row

step rate: cumulate window of joined
  exchange      by region, over 2 shards
  window        1d every 1h, event time, UTC
  key           region
  aggregate     n = count(*)
  aggregate     ads = count(DISTINCT ad)
  state         one entry a key and open window, for 1d10m10s of event time, about 48 bytes each, and about 16 for each distinct value of a key
  max_state     none: as much as there is memory
  skew          none: the rows of one key are in one shard
  one pass with joined.select
  columns       region string, window_start timestamp, window_end timestamp, n int64, ads int64
  results       may change later; event time 10m10s behind the newest row

sink out: from rate, on east
  writes        region string, window_start timestamp, window_end timestamp, n int64, ads int64
  key           region
)t");
}

constexpr const char* kSketches = R"y(version: 1
name: sketches
sources:
  views: { topic: v, clusters: east, fields: { page: string, user: string, ms: int64, ts: timestamp }, event_time: { field: ts, out_of_order: 0s } }
  clicks: { topic: c, clusters: east, fields: { page: string, ts: timestamp }, event_time: { field: ts, out_of_order: 0s } }
steps:
  fresh: { from: views, deduplicate: { by: [user], within: 1m } }
  pages:
    from: fresh
    window: { tumbling: 1h }
    key: [page]
    max_state: { bytes: 64MiB, when_full: shed }
    aggregate: { slow: "percentile(ms, 0.95)", users: approx_count_distinct(user), n: count(*), total: sum(ms), busiest: "top_k(user, 3)" }
  both:
    interval_join: { left: views, right: clicks, on: [page], between: [0s, 10s], max_state: { bytes: 1GiB } }
    late: { allow: 1m }
    select: { page: left.page }
sinks:
  out: { from: pages, topic: o, clusters: east }
  pairs: { from: both, topic: p, clusters: east }
)y";

std::string step_of(const std::string& text, const std::string& id) {
  const std::size_t at = text.find("step " + id + ":"), end = text.find("\n\n", at);
  return at == std::string::npos ? "" : text.substr(at, end - at);
}

TEST(Explain, SketchesHaveTheirBoundsAndSizes) {
  const LoadedPipeline p = loaded(kSketches);
  const std::string text = explain_text(*p.plan, 1);
  EXPECT_THAT(step_of(text, "pages"), ::testing::HasSubstr(R"t(
  error         of percentile(ms, 0.95): 0.78 % of the value; those more than 64 powers of two below the greatest magnitude count as zero
  error         of approx_count_distinct(user): exact up to 768 different values, above that a standard error of 0.81 %
  error         of top_k(user, 3): a count is at most `error` too high, which is at most rows / max(128, 16 k); exact for fewer values
  state         one entry a key and open window, for 1h of event time, about 72 bytes each
                for percentile(ms, 0.95): 0.5 KiB for each power of two with values, up to 32 KiB
                for approx_count_distinct(user): up to 16 KiB
                for top_k(user, 3): max(128, 16 k) values and counters
  max_state     64 MiB, when full: shed
)t")) << text;
  const boost::json::value all = boost::json::parse(explain_json(*p.plan, 1));
  const auto& pages = find(all.at("steps"), "pages");
  EXPECT_EQ(pages.at("errors").as_array().size(), 3u);
  EXPECT_EQ(pages.at("state").at("beside").as_array().size(), 3u);
  EXPECT_EQ(pages.at("max_state").at("bytes").to_number<std::int64_t>(), 64 << 20);
  EXPECT_EQ(pages.at("max_state").at("when_full").as_string(), "shed");
}

TEST(Explain, EveryStepWithStateHasItsBudget) {
  const LoadedPipeline p = loaded(kSketches);
  const std::string text = explain_text(*p.plan, 1);
  EXPECT_THAT(step_of(text, "fresh"), ::testing::HasSubstr("  max_state     none"));
  EXPECT_THAT(step_of(text, "both"), ::testing::HasSubstr("  max_state     1024 MiB, when full: slow_sources"));
  // Ten seconds of the join, and the minute that late rows are allowed.
  EXPECT_THAT(step_of(text, "both"), ::testing::HasSubstr("left rows for 1m10s of event time"));
}

TEST(Explain, SaysWhatIsDoneAboutHotKeys) {
  const auto with = [](const std::string& split_keys) {
    std::string text = kPipeline;
    const std::string distinct = ", ads: count(DISTINCT ad) }";
    text.replace(text.find(distinct), distinct.size(), " }, skew: { split_keys: " + split_keys + " }");
    return loaded(text);
  };
  const LoadedPipeline automatic = with("auto"), three = with("3"), off = with("off");
  const auto skew = [](const LoadedPipeline& p, unsigned shards) {
    const std::string text = explain_text(*p.plan, shards);
    const std::size_t step = text.find("step rate"), at = text.find("  skew          ", step) + 16;
    return text.substr(at, text.find('\n', at) - at);
  };
  EXPECT_EQ(
      skew(automatic, 2),
      "auto: rows of keys found hot while running are counted before the exchange, a batch at a time, then merged "
      "by key");
  EXPECT_EQ(skew(automatic, 1), "auto: nothing to split with one shard");
  EXPECT_EQ(skew(three, 2),
            "rows of the 3 most frequent keys are counted before the exchange, a batch at a time, then merged by key");
  EXPECT_EQ(skew(off, 2), "none: the rows of one key are in one shard");
}

TEST(Explain, SaysWhereDistinctValuesAreCounted) {
  std::string text = kPipeline;
  const std::string key = "key: [region], ";
  text.replace(text.find(key), key.size(), key + "skew: { split_keys: auto }, ");
  const LoadedPipeline p = loaded(text);
  const std::string all = explain_text(*p.plan, 2);
  EXPECT_THAT(all, ::testing::HasSubstr("  exchange      by ad for rate.values, over 2 shards\n"
                                        "  exchange      by region, over 2 shards\n"));
  EXPECT_THAT(all, ::testing::HasSubstr("then merged by key; DISTINCT values are counted where they are: by ad\n"));
}

TEST(Explain, JsonHasTheSameUnderStableNames) {
  const LoadedPipeline p = loaded();
  const boost::json::value all = boost::json::parse(explain_json(*p.plan, 3));
  EXPECT_EQ(all.at("pipeline").as_string(), "clicks");
  EXPECT_EQ(all.at("shards").to_number<int>(), 3);
  const auto& joined = find(all.at("steps"), "joined");
  EXPECT_EQ(joined.at("kind").as_string(), "interval_join");
  EXPECT_EQ(joined.at("inputs"), (boost::json::array{"tidy", "clicked"}));
  EXPECT_EQ(joined.at("behind_ms").to_number<int>(), 610'000);
  EXPECT_EQ(joined.at("state").at("left").at("keeps_ms").to_number<int>(), 610'000);
  EXPECT_EQ(joined.at("exchanges").as_array().size(), 2u);
  EXPECT_EQ(joined.at("exchanges").at(1).at("side").as_string(), "right");
  EXPECT_EQ(joined.at("exchanges").at(1).at("by"), (boost::json::array{"ad"}));
  EXPECT_FALSE(joined.at("updates").as_bool());
  const auto& tidy = find(all.at("steps"), "tidy");
  EXPECT_EQ(tidy.at("computed_once").as_array().size(), 1u);
  EXPECT_EQ(tidy.at("computed_once").at(0).at("uses").to_number<int>(), 2);
  EXPECT_TRUE(tidy.at("exchanges").as_array().empty());
  const auto& rate = find(all.at("steps"), "rate");
  EXPECT_EQ(rate.at("window").at("every_ms").to_number<int>(), 3'600'000);
  EXPECT_TRUE(rate.at("updates").as_bool());
  EXPECT_EQ(find(all.at("sinks"), "out").at("columns").as_array().size(), 5u);
}

TEST(Explain, ColumnsNobodyReadsAreNotRead) {
  std::string text = kPipeline;
  text.replace(text.find("region: string,"), 15, "region: string, unused: string,");
  const LoadedPipeline p = loaded(text);
  EXPECT_THAT(explain_text(*p.plan, 1), ::testing::Not(::testing::HasSubstr("unused")));
}

}  // namespace
}  // namespace twinspan::gateway
