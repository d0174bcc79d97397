// max_state and outage_state.bytes, through whole pipelines: who is slowed, what is shed, when waiting ends.
#include <set>

#include "tests/gateway/pipeline/pipeline_rig.h"

namespace twinspan::gateway {
namespace {

using connectors::ClusterState;
using connectors::LaneKey;

std::string yaml(const std::string& clusters, const std::string& source, const std::string& step) {
  return fmt::format(R"y(version: 1
name: p
sources:
  ev:
    topic: t
    clusters: {0}
    start: earliest
    fields: {{ k: string, ts: timestamp_ms }}
    event_time: {{ field: ts, out_of_order: 0s }}
{1}steps:
  w: {{ from: ev, window: {{ tumbling: 1s }}, key: [k], aggregate: {{ c: count(*) }}{2} }}
sinks:
  out: {{ from: w, topic: o, clusters: east }}
)y",
                     clusters, source, step);
}

class Budget : public Rig {
 public:
  explicit Budget(std::string text, bool west = false) : Rig(std::move(text)) {
    world.create("east", "t", 2);
    if (west) world.create("west", "t", 2);
    base = clock.wall_ms() / 1000 * 1000 - 3'600'000;
  }
  // Every record has a key of its own.
  void put(const LaneKey& lane, std::int64_t at) {
    world.push(lane, {clock.wall_ms(), "", fmt::format(R"({{"k":"key-{}","ts":{}}})", ++keys, base + at)});
  }
  admin::SourceStatus source() const { return pipeline->status().sources[0]; }
  admin::StepStatus step() const { return pipeline->status().steps[0]; }
  bool paused(const LaneKey& lane) const {
    for (const auto& l : source().lanes)
      if (l.cluster == lane.cluster && l.partition == lane.partition) return l.paused;
    return false;
  }
  // Of each key the results, from the sink.
  std::map<std::string, int> results() const {
    std::map<std::string, int> out;
    for (const auto& d : world.delivered("out")) ++out[std::string(boost::json::parse(d.value).at("k").as_string())];
    return out;
  }

  std::int64_t base = 0;
  int keys = 0;
};

const LaneKey kSlow{"east", "t", 0}, kFast{"east", "t", 1};

TEST(StateBudget, PausesTheLaneAheadUntilTheSlowestHasComeNear) {
  for (const unsigned shards : {1u, 2u}) {
    Budget rig(yaml("east", "", ", max_state: { bytes: 1MiB }"));
    rig.put(kSlow, 0);
    constexpr int kAhead = 20'000, kMore = 5'000;
    for (int i = 0; i < kAhead + kMore; ++i) rig.put(kFast, i * 10);
    rig.world.limit(kFast, kAhead);
    ASSERT_TRUE(rig.start(shards)) << rig.error;
    ASSERT_TRUE(eventually([&] { return rig.paused(kFast); })) << rig.step().state_bytes;
    EXPECT_FALSE(rig.paused(kSlow));
    EXPECT_EQ(rig.step().state_budget, 1u << 20);
    const std::int64_t stands = rig.world.position(kFast);
    rig.world.limit(kFast, -1);
    ASSERT_TRUE(rig.checkpointed());
    ASSERT_TRUE(rig.checkpointed());
    EXPECT_EQ(rig.world.position(kFast), stands);  // though there is more
    // The slow one comes along: the other goes on, everything is counted, nothing waits any more.
    for (int i = 1; i <= kAhead + kMore; ++i) rig.put(kSlow, i * 10);
    ASSERT_TRUE(rig.drained());
    const std::size_t closed = 2 * (kAhead + kMore) - 2 * 100;  // all but the last second's, which may be open
    ASSERT_TRUE(eventually([&] { return rig.world.delivered_count("out") >= closed; }));
    for (const auto& [key, n] : rig.results()) ASSERT_EQ(n, 1) << key;
    ASSERT_TRUE(eventually([&] { return !rig.paused(kFast); }));
    EXPECT_EQ(rig.step().rows_shed, 0u);
    EXPECT_EQ(rig.step().rows_late, 0u);
    rig.stop();
  }
}

TEST(StateBudget, ShedsWhatComesWhileItIsSpentWithTheExactCountInTheLedger) {
  Budget rig(yaml("east", "", ", max_state: { bytes: 1MiB, when_full: shed }"));
  rig.put(kSlow, 0);
  constexpr int kFirst = 20'000, kMore = 5'000;
  for (int i = 0; i < kFirst + kMore; ++i) rig.put(kFast, i * 10);
  rig.world.limit(kFast, kFirst);
  ASSERT_TRUE(rig.start(2)) << rig.error;
  // Until both shards leave rows out, so that rows of the rest are surely shed.
  ASSERT_TRUE(eventually([&] { return rig.step().state_bytes >= 1u << 20; }));
  rig.world.limit(kFast, -1);
  int extra = 0;
  ASSERT_TRUE(eventually([&] {
    if (rig.step().rows_shed > 100) return true;
    rig.put(kFast, (kFirst + kMore) * 10 + extra++ % 10);
    return false;
  }));
  // Time goes on all the same: windows close, the budget is free, later rows count.
  rig.put(kSlow, (kFirst + kMore) * 10 + 5'000);
  rig.put(kFast, (kFirst + kMore) * 10 + 5'000);
  ASSERT_TRUE(eventually([&] { return rig.step().state_bytes < (1u << 20) * 8 / 10; }));
  ASSERT_TRUE(rig.drained());
  ASSERT_TRUE(rig.checkpointed());
  // Status is some hundred milliseconds old; the ledger as old as the last epoch. Both come to the same.
  ASSERT_TRUE(eventually([&] {
    std::uint64_t listed = 0;
    for (const auto& l : rig.lines("ledger.jsonl"))
      listed += std::stoull(std::string(l.at("why").as_string()).substr(6));
    const admin::StepStatus step = rig.step();
    // What was not shed came out, but for windows that are still open.
    return listed == step.rows_shed &&
           rig.results().size() + step.state_rows + step.rows_shed == static_cast<std::size_t>(rig.keys);
  })) << rig.step().rows_shed
      << " shed, " << rig.results().size() << " results of " << rig.keys;
  for (const auto& l : rig.lines("ledger.jsonl")) {
    const std::string why(l.at("why").as_string());
    ASSERT_TRUE(why.starts_with("shed: ") && why.ends_with("step 'w' had spent its max_state")) << why;
    EXPECT_EQ(l.at("source").as_string(), "ev");
    EXPECT_GE(l.at("to").to_number<std::uint64_t>() - l.at("from").to_number<std::uint64_t>(),
              std::stoull(why.substr(6)));
    // Rows know their lane in every shard.
    EXPECT_LE(l.at("to").to_number<std::int64_t>(),
              rig.world.end({"east", "t", l.at("partition").to_number<std::int32_t>()}));
  }
  rig.stop();
}

class OutageBudget : public ::testing::Test {
 protected:
  // West has gone on alone for 30 000 keys while east is away.
  void lose_east(Budget& rig) {
    for (int i = 0; i < 10; ++i)
      for (const char* cluster : {"east", "west"})
        for (int p = 0; p < 2; ++p) rig.put({cluster, "t", p}, i * 10);
    ASSERT_TRUE(rig.start(2)) << rig.error;
    ASSERT_TRUE(rig.drained());
    ASSERT_TRUE(rig.checkpointed());
    rig.world.set_state("east", ClusterState::down);
    ASSERT_TRUE(eventually([&] {
      for (const auto& c : rig.source().clusters)
        if (c.name == "east" && c.state == "down") return true;
      return false;
    }));
    // Every shard knows of the loss: F moves without it.
    for (int p = 0; p < 2; ++p) rig.put({"west", "t", p}, 500);
    ASSERT_TRUE(eventually([&] { return rig.source().watermark.firing > rig.base + 400; }));
    for (int i = 0; i < 15'000; ++i)
      for (int p = 0; p < 2; ++p) rig.put({"west", "t", p}, 1000 + i * 10);
    ASSERT_TRUE(rig.drained());
    // F has left the lost cluster behind.
    ASSERT_TRUE(eventually([&] { return rig.source().watermark.firing > rig.base + 140'000; }));
  }
  // East is back with a backlog of the time of its absence.
  std::uint64_t late_after_return(Budget& rig) {
    for (int i = 0; i < 50; ++i) rig.put({"east", "t", 0}, 2000 + i);
    rig.put({"east", "t", 1}, 200'000);
    rig.put({"east", "t", 0}, 200'000);
    for (int p = 0; p < 2; ++p) rig.put({"west", "t", p}, 200'000);
    rig.world.set_state("east", ClusterState::up);
    EXPECT_TRUE(eventually([&] { return rig.drained() && rig.source().watermark.retention > rig.base + 190'000; }));
    return rig.step().rows_late;
  }
  static std::string pipeline(const std::string& bytes) {
    return yaml("{ pair: [east, west] }",
                "    on_cluster_down: { hold_watermark: 0s }\n    outage_state: { bytes: " + bytes + ", for: 1h }\n",
                "");
  }
};

TEST_F(OutageBudget, SpentItLetsRetentionGoOnAndTheBacklogIsLate) {
  Budget rig(pipeline("1MiB"), true);
  lose_east(rig);
  ASSERT_TRUE(eventually([&] { return rig.source().watermark.retention > rig.base + 140'000; }));
  EXPECT_EQ(rig.source().outage_budget, 1u << 20);
  EXPECT_EQ(late_after_return(rig), 50u);
  ASSERT_TRUE(eventually([&] { return rig.source().outage_bytes == 0; }));
  rig.stop();
}

TEST_F(OutageBudget, WithinItTheBacklogIsMerged) {
  Budget rig(pipeline("1GiB"), true);
  lose_east(rig);
  ASSERT_TRUE(eventually([&] { return rig.source().outage_bytes > 1u << 20; }));
  EXPECT_LT(rig.source().watermark.retention, rig.base + 1000);
  EXPECT_EQ(late_after_return(rig), 0u);
  rig.stop();
}

TEST(StateBudget, AStepWithoutStateHasNone) {
  config::Diagnostics diagnostics;
  const std::string text = yaml("east", "", "") + "";
  std::string bad = text;
  bad.replace(bad.find("steps:\n"), 7,
              "steps:\n  f: { from: ev, where: ts IS NOT NULL, max_state: { bytes: 1MiB } }\n");
  bad.replace(bad.find("from: ev, window"), 8, "from: f");
  EXPECT_FALSE(load_pipeline(bad, "p.yaml", nullptr, {}, diagnostics));
  EXPECT_NE(diagnostics.render().find("T0444"), std::string::npos) << diagnostics.render();
}

}  // namespace
}  // namespace twinspan::gateway
