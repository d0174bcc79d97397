// Every aggregate function in one window of a pipeline, from JSON to JSON.
#include "tests/gateway/pipeline/pipeline_rig.h"

namespace twinspan::gateway {
namespace {

constexpr const char* kEveryFunction = R"y(version: 1
name: p
sources:
  ev:
    topic: t
    clusters: { pair: [east, west] }
    start: earliest
    fields: { k: string, page: string, ms: int64, price: "decimal(10,2)", load: float64, ts: timestamp_ms }
    event_time: { field: ts, out_of_order: 1s }
steps:
  w:
    from: ev
    window: { tumbling: 10s }
    key: [k]
    aggregate:
      n: count(*)
      total: sum(price)
      mean: sum(price) / count(*)
      load: sum(load)
      first_page: first(page)
      last_page: last(page) FILTER (WHERE ms < 900)
      slowest: max_by(page, ms)
      cheapest: min_by(ms, price)
      pages: approx_count_distinct(page)
      median: percentile(ms, 0.5)
      spread: round(percentile(ms, 0.99) / percentile(ms, 0.01), 1)
      top: top_k(page, 2)
      trail: string_agg(page, '>', 3)
      all_pages: array_agg(DISTINCT page)
sinks:
  out: { from: w, topic: o, clusters: east }
)y";

TEST(PipelineAggregates, EveryFunctionGivesItsResult) {
  Rig rig(kEveryFunction, 5);
  const std::int64_t base = rig.clock.wall_ms() / 60'000 * 60'000 - 3'600'000;
  for (const char* cluster : {"east", "west"}) rig.world.create(cluster, "t", 2);
  const char* const pages[] = {"home", "cart", "home", "pay", "help", "home", "cart"};
  for (int i = 0; i < 70; ++i) {  // i: order by time; ms from 10 to 1000
    const std::int64_t ms = 10 + 990 * i / 69;
    rig.world.push({i % 2 == 0 ? "east" : "west", "t", i % 3 == 0 ? 1 : 0},
                   {base + 100 * i, "",
                    fmt::format(R"({{"k":"a","page":"{}","ms":{},"price":"{}.25","load":0.1,"ts":{}}})", pages[i % 7],
                                ms, i % 10 + 1, base + 100 * i)});
  }
  ASSERT_TRUE(rig.start(2, true)) << rig.error;
  ASSERT_TRUE(eventually([&] { return rig.pipeline->finished(); }));
  EXPECT_EQ(rig.pipeline->state(), admin::PipelineState::stopped) << rig.pipeline->reason();
  const auto delivered = rig.world.delivered("out");
  ASSERT_EQ(delivered.size(), 1u);
  const auto v = boost::json::parse(delivered[0].value);
  auto text = [&](const char* name) {
    return v.at(name).is_string() ? std::string(v.at(name).as_string()) : boost::json::serialize(v.at(name));
  };
  EXPECT_EQ(text("n"), "70");
  EXPECT_EQ(v.at("total").to_number<double>(), 402.5);
  EXPECT_EQ(v.at("mean").to_number<double>(), 5.75);
  EXPECT_EQ(v.at("load").to_number<double>(), 7.0);  // seventy times the double 0.1, rounded once
  EXPECT_EQ(text("first_page"), "home");
  EXPECT_EQ(text("last_page"), pages[62 % 7]);  // 10 + 990 * 62 / 69 is below 900
  EXPECT_EQ(text("slowest"), "cart");
  EXPECT_EQ(text("cheapest"), "10");
  EXPECT_EQ(text("pages"), "4");
  EXPECT_NEAR(v.at("median").to_number<double>(), 10 + 990 * 34 / 69, 500.0 / 129);
  EXPECT_NEAR(v.at("spread").to_number<double>(), 97.5, 3);
  EXPECT_EQ(text("top"), R"([{"value":"home","count":30,"error":0},{"value":"cart","count":20,"error":0}])");
  EXPECT_EQ(text("trail"), "home>cart>home");
  EXPECT_EQ(text("all_pages"), R"(["home","cart","pay","help"])");
  rig.kill();
}

}  // namespace
}  // namespace twinspan::gateway
