// A key with most of the rows, in whole pipelines: the results of every `skew` setting are those of a count by hand,
// and status and metrics say what was done.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "admin/pipeline_metrics.h"
#include "tests/gateway/pipeline/pipeline_rig.h"

namespace twinspan::gateway {
namespace {

using connectors::LaneKey;

std::string yaml(const std::string& split_keys) {
  return fmt::format(R"y(version: 1
name: p
sources:
  ev:
    topic: t
    clusters: east
    start: earliest
    fields: {{ k: string, d: int64, ts: timestamp_ms }}
    event_time: {{ field: ts, out_of_order: 1h }}
steps:
  w:
    from: ev
    window: {{ tumbling: 10s }}
    key: [k]
    skew: {{ split_keys: {} }}
    aggregate: {{ n: count(*), devices: count(DISTINCT d), sum: sum(d), "last": max(d) }}
sinks:
  out: {{ from: w, topic: o, clusters: east }}
)y",
                     split_keys);
}

TEST(Skew, EverySettingHasTheSameResultsAndSaysWhatItDid) {
  for (const std::string split : {"off", "auto", "2"}) {
    for (const unsigned shards : {1u, 2u, 3u}) {
      Rig rig(yaml(split));
      rig.world.create("east", "t", 3);
      const std::int64_t base = rig.clock.wall_ms() / 10'000 * 10'000 - 600'000;
      std::map<std::string, std::multiset<std::int64_t>> expected;  // by window and key
      for (std::int64_t i = 0; i < 12'000; ++i) {
        const std::string key = i % 5 < 3 ? "hot" : "k" + std::to_string(i % 977);
        const std::int64_t device = i * 31 % 2'003, ts = base + i * 2 + (i % 13) * 100;
        rig.world.push({"east", "t", static_cast<std::int32_t>(i % 3)},
                       {rig.clock.wall_ms(), "", fmt::format(R"({{"k":"{}","d":{},"ts":{}}})", key, device, ts)});
        expected[fmt::format("{} {}", (ts - base) / 10'000, key)].insert(device);
      }
      ASSERT_TRUE(rig.start(shards, true)) << rig.error;
      ASSERT_TRUE(eventually([&] { return rig.pipeline->finished(); }));
      ASSERT_EQ(rig.pipeline->state(), admin::PipelineState::stopped) << rig.pipeline->reason();
      std::map<std::string, std::string> got, want;
      for (const auto& d : rig.world.delivered("out")) {
        const auto v = boost::json::parse(d.value);
        const std::int64_t start = parse_timestamp(std::string(v.at("window_start").as_string())).value() - base;
        got[fmt::format("{} {}", start / 10'000, std::string(v.at("k").as_string()))] =
            fmt::format("{} {} {} {}", v.at("n").to_number<std::int64_t>(), v.at("devices").to_number<std::int64_t>(),
                        v.at("sum").to_number<std::int64_t>(), v.at("last").to_number<std::int64_t>());
      }
      for (const auto& [key, devices] : expected) {
        std::int64_t sum = 0;
        for (const std::int64_t d : devices) sum += d;
        want[key] = fmt::format("{} {} {} {}", devices.size(),
                                std::set<std::int64_t>(devices.begin(), devices.end()).size(), sum, *devices.rbegin());
      }
      EXPECT_EQ(got, want) << "split_keys: " << split << ", " << shards << " shards";

      const admin::PipelineStatus status = rig.pipeline->status();
      const admin::StepStatus& step = status.steps.at(0);
      EXPECT_EQ(step.rows_in, 12'000u);
      EXPECT_EQ(step.splits_keys, split != "off");
      const bool splits = split == "2" || (split == "auto" && shards > 1);
      EXPECT_EQ(step.rows_combined > 1'000, splits) << step.rows_combined;
      std::vector<admin::MetricSample> metrics;
      admin::append_metrics(status, 0, metrics);
      const bool told = std::any_of(metrics.begin(), metrics.end(), [&](const admin::MetricSample& m) {
        return m.name.ends_with("skew_combined_records_total") && m.value == static_cast<double>(step.rows_combined);
      });
      EXPECT_EQ(told, split != "off");
      rig.kill();
    }
  }
}

}  // namespace
}  // namespace twinspan::gateway
