// A join larger than its max_state, through a whole pipeline: rows lie in the segment files of checkpoints, results are
// what they are with all rows in memory.

#include <map>
#include <string>

#include <gtest/gtest.h>

#include "tests/gateway/pipeline/pipeline_rig.h"

namespace twinspan::gateway {
namespace {

constexpr std::int64_t kRows = 20'000;

std::string yaml(const std::string& more) {
  return fmt::format(R"y(version: 1
name: p
sources:
  l: {{ topic: l, clusters: east, start: earliest, fields: {{ k: int64, text: string, ts: timestamp_ms }}, event_time: {{ field: ts, out_of_order: 1h }} }}
  r: {{ topic: r, clusters: east, start: earliest, fields: {{ k: int64, ts: timestamp_ms }}, event_time: {{ field: ts, out_of_order: 1h }} }}
steps:
  j:
    interval_join: {{ left: l, right: r, on: [k], between: [-2h, 2h] }}
    select: {{ k: left.k, text: left.text }}
    {}
sinks:
  out: {{ from: j, topic: o, clusters: east }}
)y",
                     more);
}

TEST(Spill, AJoinLargerThanItsBudgetHasTheSameResults) {
  for (const unsigned shards : {1u, 2u}) {
    Rig rig(yaml("max_state: { bytes: 1MiB, when_full: spill }"));
    rig.world.create("east", "l", 1);
    rig.world.create("east", "r", 1);
    const std::int64_t base = rig.clock.wall_ms() / 1000 * 1000 - 3'600'000;
    const auto left = [&](std::int64_t k) {
      rig.world.push({"east", "l", 0},
                     {base, "", fmt::format(R"({{"k":{},"text":"text of row {}","ts":{}}})", k, k, base + k)});
    };
    const auto right = [&](std::int64_t k) {
      rig.world.push({"east", "r", 0}, {base, "", fmt::format(R"({{"k":{},"ts":{}}})", k, base + k)});
    };
    for (std::int64_t k = 0; k < kRows; ++k) left(k);
    ASSERT_TRUE(rig.start(shards)) << rig.error;
    ASSERT_TRUE(rig.drained());
    ASSERT_TRUE(rig.checkpointed());
    const auto step = [&] { return rig.pipeline->status().steps[0]; };
    std::int64_t next = kRows;
    ASSERT_TRUE(eventually([&] {
      for (int i = 0; i < 10; ++i) left(next++);  // rows make it look at what it has
      return rig.drained() && step().spilled_bytes > 1u << 20;
    })) << step().state_bytes
        << " of state, spilled " << step().spilled_bytes;
    EXPECT_LT(step().state_bytes, 4u << 20);
    for (std::int64_t k = 0; k < kRows; ++k) right(k * 7 % kRows);
    ASSERT_TRUE(eventually([&] { return rig.world.delivered("out").size() >= static_cast<std::size_t>(kRows); }));
    std::map<std::string, int> got;
    for (const auto& d : rig.world.delivered("out"))
      ++got[std::string(boost::json::parse(d.value).at("text").as_string())];
    EXPECT_EQ(got.size(), static_cast<std::size_t>(kRows));
    for (const auto& [text, n] : got) ASSERT_EQ(n, 1) << text;
    rig.stop();
  }
}

TEST(Spill, IsRefusedWhereItHasNoEffect) {
  for (const std::string& bad :
       {yaml("max_state: { bytes: 1MiB, when_full: spill }") + "state: { backend: memory }\n"}) {
    config::Diagnostics diagnostics;
    EXPECT_FALSE(load_pipeline(bad, "p.yaml", nullptr, {}, diagnostics));
    EXPECT_NE(diagnostics.render().find("T0448"), std::string::npos) << diagnostics.render();
  }
}

}  // namespace
}  // namespace twinspan::gateway
