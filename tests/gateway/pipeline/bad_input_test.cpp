#include <set>

#include "tests/gateway/pipeline/pipeline_rig.h"

namespace twinspan::gateway {
namespace {

using connectors::ClusterState;
using connectors::LaneKey;

std::string dead_letters(const std::string& more = "") {
  return "dead_letter: { topic: dlq, clusters: west" + more + " }\n";
}

TEST(PipelineBadInput, DeadLettersKeepBytesOriginAndReason) {
  Counting rig(counting_yaml(dead_letters(", max_error_ratio: 1")));
  rig.fill(200);
  const std::int64_t at = rig.world.push(rig.lanes[1], {rig.clock.wall_ms(), "the key", "{\"k\": oops"});
  const std::int64_t wrong = rig.world.push(rig.lanes[2], {rig.clock.wall_ms(), "", R"({"k":"a","n":"many","ts":1})"});
  const std::string zero = Counting::text("a", 0, rig.base + 1);
  const std::int64_t fails = rig.world.push(rig.lanes[3], {rig.clock.wall_ms(), "", zero});
  const std::string future = Counting::text("a", 1, rig.clock.wall_ms() + 7'200'000);
  const std::int64_t ahead = rig.world.push(rig.lanes[0], {rig.clock.wall_ms(), "", future});
  rig.fill(200);
  rig.close();
  ASSERT_TRUE(rig.start(2)) << rig.error;
  EXPECT_TRUE(rig.complete());
  ASSERT_TRUE(eventually([&] { return rig.world.delivered_count("dead_letter") == 4; }));
  std::map<std::string, testing::Delivered> by_origin;
  for (const auto& d : rig.world.delivered("dead_letter")) by_origin[d.headers.at("twinspan-origin")] = d;
  const auto& malformed = by_origin[fmt::format("east/t/1/{}", at)];
  EXPECT_EQ(malformed.value, "{\"k\": oops");
  EXPECT_EQ(malformed.key, "the key");
  EXPECT_FALSE(malformed.headers.at("twinspan-reason").empty());
  EXPECT_EQ(by_origin[fmt::format("west/t/0/{}", wrong)].value, R"({"k":"a","n":"many","ts":1})");
  EXPECT_EQ(by_origin[fmt::format("west/t/1/{}", fails)].value, zero);
  EXPECT_EQ(by_origin[fmt::format("east/t/0/{}", ahead)].value, future);
  EXPECT_NE(by_origin[fmt::format("east/t/0/{}", ahead)].headers.at("twinspan-reason").find("max_future"),
            std::string::npos);
  EXPECT_EQ(rig.pipeline->status().dead_letters, 4u);
  rig.stop();
}

// The lane of an origin is the lane of its own source, also when two sources are read.
TEST(PipelineBadInput, OriginsOfTwoSourcesAreNotMixedUp) {
  Rig rig(R"y(version: 1
name: p
sources:
  a: { topic: ta, clusters: east, start: earliest, fields: { n: int64 } }
  b: { topic: tb, clusters: west, start: earliest, fields: { n: int64 } }
steps:
  fa: { from: a, where: 1 / n <> 7, select: { n: n } }
  fb: { from: b, where: 1 / n <> 7, select: { n: n } }
sinks:
  oa: { from: fa, topic: o, clusters: east }
  ob: { from: fb, topic: o, clusters: east }
dead_letter: { topic: dlq, clusters: west, max_error_ratio: 1 }
)y");
  rig.world.create("east", "ta", 1);
  rig.world.create("west", "tb", 1);
  rig.world.push({"east", "ta", 0}, {rig.clock.wall_ms(), "", R"({"n":1})"});
  ASSERT_TRUE(rig.start()) << rig.error;
  ASSERT_TRUE(rig.drained());
  rig.world.push({"east", "ta", 0}, {rig.clock.wall_ms(), "", R"({"n":0})"});
  rig.world.push({"west", "tb", 0}, {rig.clock.wall_ms(), "", R"({"n":0})"});
  ASSERT_TRUE(eventually([&] { return rig.world.delivered_count("dead_letter") == 2; }));
  std::set<std::string> origins;
  for (const auto& d : rig.world.delivered("dead_letter"))
    origins.insert(d.headers.at("twinspan-stage") + " " + d.headers.at("twinspan-origin"));
  EXPECT_EQ(origins, (std::set<std::string>{"fa east/ta/0/1", "fb west/tb/0/0"}));
  rig.stop();
}

TEST(PipelineBadInput, TenMegabytesGoByReference) {
  Counting rig(counting_yaml(dead_letters(", max_error_ratio: 1")));
  rig.fill(20);
  const std::int64_t at = rig.world.push(rig.lanes[0], {rig.clock.wall_ms(), "", std::string(10 << 20, 'x')});
  rig.fill(20);
  rig.close();
  ASSERT_TRUE(rig.start()) << rig.error;
  EXPECT_TRUE(rig.complete());
  ASSERT_TRUE(eventually([&] { return rig.world.delivered_count("dead_letter") == 1; }));
  const auto d = rig.world.delivered("dead_letter")[0];
  EXPECT_EQ(d.headers.at("twinspan-origin"), fmt::format("east/t/0/{}", at));
  EXPECT_NE(d.headers.at("twinspan-payload").find("10485760 bytes"), std::string::npos)
      << d.headers.at("twinspan-payload");
  EXPECT_FALSE(d.has_value);
  rig.stop();
}

TEST(PipelineBadInput, TooManyErrorsStopThePipeline) {
  Counting rig(counting_yaml(dead_letters(", max_error_ratio: 0.1")));
  rig.fill(300);
  ASSERT_TRUE(rig.start()) << rig.error;
  ASSERT_TRUE(rig.drained());
  for (int i = 0; i < 400; ++i) rig.world.push(rig.lanes[0], {rig.clock.wall_ms(), "", "nonsense"});
  ASSERT_TRUE(eventually([&] { return rig.pipeline->state() == admin::PipelineState::failed; }));
  EXPECT_NE(rig.pipeline->reason().find("max_error_ratio"), std::string::npos);
}

TEST(PipelineBadInput, TooManyErrorsStopABoundedRunAsWell) {
  Counting rig(counting_yaml(dead_letters(", max_error_ratio: 0.1")));
  rig.fill(100);
  for (int i = 0; i < 400; ++i) rig.world.push(rig.lanes[0], {rig.clock.wall_ms(), "", "nonsense"});
  ASSERT_TRUE(rig.start(1, true)) << rig.error;
  ASSERT_TRUE(eventually([&] { return rig.pipeline->finished(); }));
  EXPECT_EQ(rig.pipeline->state(), admin::PipelineState::failed);
}

TEST(PipelineBadInput, SkipGoesOnWithoutTheRecord) {
  Counting rig(counting_yaml("", "    format: { type: json, on_error: skip }\n"));
  rig.fill(1000);
  rig.world.push(rig.lanes[0], {rig.clock.wall_ms(), "", "nonsense"});
  rig.fill(1000);
  rig.close();
  ASSERT_TRUE(rig.start()) << rig.error;
  EXPECT_TRUE(rig.complete());
  EXPECT_EQ(rig.pipeline->state(), admin::PipelineState::running);
  rig.stop();
}

// on_error: fail stops, and no checkpoint lies past the record: after the cause is mended it is read.
TEST(PipelineBadInput, FailStopsAndReadsTheRecordAgain) {
  for (const bool in_step : {false, true}) {
    for (unsigned shards : {1u, 2u, 3u}) {
      Counting rig(counting_yaml(""));
      rig.every_ms = 1;
      rig.fill(2000);
      const std::int64_t at = rig.world.push(
          rig.lanes[0], {rig.clock.wall_ms(), "", in_step ? Counting::text("a", 0, rig.base) : "nonsense"});
      rig.fill(2000);
      for (int round = 0; round < 3; ++round) {
        ASSERT_TRUE(rig.start(shards)) << rig.error;
        ASSERT_TRUE(eventually([&] { return rig.pipeline->state() == admin::PipelineState::failed; }))
            << shards << " round " << round;
        EXPECT_NE(rig.pipeline->reason().find(fmt::format("east/t/0/{}", at)), std::string::npos)
            << rig.pipeline->reason();
        (void)rig.pipeline->stop(1000);
        rig.kill();
        EXPECT_GE(rig.world.read(rig.lanes[0], at), static_cast<std::uint64_t>(round + 1));
      }
    }
  }
}

// The same when the failing step sits behind an exchange: another shard than the one that read the record fails.
TEST(PipelineBadInput, FailBehindAnExchangeReadsTheRecordAgain) {
  Rig rig(R"y(version: 1
name: p
sources:
  ev:
    topic: t
    clusters: east
    start: earliest
    fields: { k: string, n: int64, ts: timestamp_ms }
    event_time: { field: ts, out_of_order: 1s }
steps:
  w: { from: ev, window: { tumbling: 10s }, key: [k], aggregate: { s: sum(n) } }
  f: { from: w, where: 100 / s <> 7, select: { k: k, s: s } }
sinks:
  out: { from: f, topic: o, clusters: east }
)y");
  rig.every_ms = 1;
  rig.world.create("east", "t", 1);
  const std::int64_t base = rig.clock.wall_ms() - 3'600'000;
  for (int i = 0; i < 3000; ++i)
    rig.world.push({"east", "t", 0}, {base, "",
                                      Counting::text(fmt::format("k{}", i % 5),
                                                     i >= 1000 && i < 2000 && i % 5 == 3 ? 0 : 1, base + i * 20)});
  for (int round = 0; round < 10; ++round) {
    ASSERT_TRUE(rig.start(2)) << rig.error;
    ASSERT_TRUE(eventually([&] { return rig.pipeline->state() == admin::PipelineState::failed; }, 10))
        << "round " << round;
    (void)rig.pipeline->stop(1000);
    rig.kill();
  }
}

TEST(PipelineBadInput, OutputThatNoClusterTakesGoesToTheDeadLetters) {
  Counting rig(counting_yaml(dead_letters(", max_error_ratio: 1")));
  rig.world.refuse("out", [](const std::string& value) { return value.find("\"k7\"") != std::string::npos; });
  rig.fill(500);
  rig.close();
  rig.expected.erase("k7");
  ASSERT_TRUE(rig.start(2)) << rig.error;
  EXPECT_TRUE(rig.complete());
  ASSERT_TRUE(eventually([&] { return rig.world.delivered_count("dead_letter") > 0; }));
  EXPECT_EQ(rig.world.delivered("dead_letter")[0].headers.at("twinspan-stage"), "out");
  rig.stop();
}

// Refused after its barrier: the epoch may not be prepared before the dead letter is acknowledged too.
TEST(PipelineBadInput, RefusedOutputIsInTheDeadLettersBeforeItsEpochIsPrepared) {
  Counting rig(counting_yaml(dead_letters(", max_error_ratio: 1")));
  rig.world.cork("out", true);
  rig.world.cork("dead_letter", true);
  rig.world.refuse("out", [](const std::string&) { return true; });
  rig.fill(2000);
  ASSERT_TRUE(rig.start()) << rig.error;
  ASSERT_TRUE(rig.drained());
  ASSERT_TRUE(eventually([&] { return rig.world.waiting("out") > 0; }));
  // Until the barrier under way stands behind output that waits.
  const auto settle = std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
  while (std::chrono::steady_clock::now() < settle) std::this_thread::yield();
  const std::uint64_t epoch = rig.epoch();
  rig.world.cork("out", false);
  ASSERT_TRUE(eventually([&] { return rig.world.waiting("out") == 0 && rig.world.waiting("dead_letter") > 0; }));
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
  while (std::chrono::steady_clock::now() < until) ASSERT_EQ(rig.epoch(), epoch);
  rig.world.cork("dead_letter", false);
  EXPECT_TRUE(eventually([&] { return rig.epoch() > epoch; }));
  rig.stop();
}

TEST(PipelineBadInput, GapsFollowOnGap) {
  {
    Counting rig;
    rig.fill(200);
    ASSERT_TRUE(rig.start());
    ASSERT_TRUE(rig.drained());
    rig.stop();
    rig.fill(100);
    rig.world.retain_from(rig.lanes[0], rig.world.end(rig.lanes[0]) - 3);
    ASSERT_TRUE(rig.start());
    ASSERT_TRUE(eventually([&] { return rig.pipeline->state() == admin::PipelineState::failed; }));
    EXPECT_NE(rig.pipeline->reason().find("east/t/0"), std::string::npos) << rig.pipeline->reason();
  }
  Counting rig(counting_yaml(dead_letters(), "    on_gap: skip\n"));
  rig.fill(200);
  ASSERT_TRUE(rig.start());
  ASSERT_TRUE(rig.drained());
  const std::int64_t from = rig.world.end(rig.lanes[0]);
  rig.stop();
  for (int i = 0; i < 10; ++i)
    rig.world.push(rig.lanes[0], {rig.clock.wall_ms(), "", Counting::text("gone", 1, rig.base)});
  rig.world.retain_from(rig.lanes[0], from + 10);
  rig.fill(100);
  rig.close();
  ASSERT_TRUE(rig.start());
  EXPECT_TRUE(rig.complete());
  rig.stop();
  ASSERT_EQ(rig.lines("ledger.jsonl").size(), 1u);
  const auto line = rig.lines("ledger.jsonl")[0];
  EXPECT_EQ(line.at("from").to_number<std::int64_t>(), from);
  EXPECT_EQ(line.at("to").to_number<std::int64_t>(), from + 10);
}

}  // namespace
}  // namespace twinspan::gateway
