#include "engine/runtime/shard.h"

#include <gtest/gtest.h>

#include "tests/support/engine/pipeline_driver.h"

namespace twinspan::engine {
namespace {

using testing::GraphBuilder;
using testing::PipelineDriver;
using testing::TestRow;

std::vector<TestRow> rows(std::int64_t first, int n, EventTime time = 0) {
  std::vector<TestRow> out;
  for (int i = 0; i < n; ++i) out.push_back({(first + i) * 7 % 101, first + i, 0, time});
  return out;
}

void expect_no_faults(const PipelineDriver& driver) {
  for (const std::string& f : driver.faults()) ADD_FAILURE() << f;
}

// source -> filter (direct) -> keyed (exchange) -> sink
struct Chain {
  GraphBuilder g;
  unsigned source = g.source("in"), filter = g.node("filter"), keyed = g.node("keyed"), sink = g.terminal("out");
  Chain() {
    g.source_to(source, filter, 0, false);
    g.node_to(filter, keyed, 0, true);
    g.node_to_terminal(keyed, sink);
  }
};

TEST(Shard, RowsGoToTheShardThatOwnsTheirKey) {
  Chain c;
  PipelineDriver driver(c.g.build(), 3, 8);
  for (unsigned s = 0; s < 3; ++s) driver.feed(s, 0).push(rows(s * 1000, 300));
  ASSERT_TRUE(driver.settle());
  EXPECT_EQ(driver.output(0).size(), 900u);
  std::map<std::int64_t, unsigned> owner;
  for (unsigned s = 0; s < 3; ++s) {
    EXPECT_GT(driver.recorder(s, c.keyed).ids.size(), 50u);
    for (const auto& [id, key] : driver.recorder(s, c.keyed).ids) EXPECT_EQ(owner.emplace(key, s).first->second, s);
  }
  expect_no_faults(driver);
}

TEST(Shard, OneShardHasNoExchange) {
  Chain c;
  PipelineDriver driver(c.g.build(), 1, 1);
  driver.feed(0, 0).push(rows(0, 10), Watermark{5, 5});
  ASSERT_TRUE(driver.settle());
  EXPECT_EQ(driver.output(0).size(), 10u);
  EXPECT_EQ(driver.shard(0).input_watermark(c.keyed, 0), (Watermark{5, 5}));
}

TEST(Shard, TheWatermarkIsTheSmallestOfAllSenders) {
  Chain c;
  PipelineDriver driver(c.g.build(), 2, 8);
  driver.feed(0, 0).set_watermark({100, 90});
  driver.feed(1, 0).set_watermark({50, 50});
  ASSERT_TRUE(driver.settle());
  for (unsigned s = 0; s < 2; ++s) EXPECT_EQ(driver.shard(s).input_watermark(c.keyed, 0), (Watermark{50, 50}));
  driver.feed(1, 0).set_watermark({200, 200});
  ASSERT_TRUE(driver.settle());
  for (unsigned s = 0; s < 2; ++s) EXPECT_EQ(driver.shard(s).input_watermark(c.keyed, 0), (Watermark{100, 90}));
  expect_no_faults(driver);
}

TEST(Shard, RowsOfAFastSenderDoNotBringItsWatermarkPastASlowOne) {
  Chain c;
  PipelineDriver driver(c.g.build(), 2, 8);
  driver.feed(1, 0).set_watermark({50, 40});
  ASSERT_TRUE(driver.settle());
  driver.feed(0, 0).push(rows(0, 100, 60), Watermark{100, 100});
  driver.feed(0, 0).push(rows(100, 100, 60), Watermark{100, 100});  // rows that carry 100 before each
  ASSERT_TRUE(driver.settle());
  EXPECT_EQ(driver.output(0).size(), 200u);
  for (unsigned s = 0; s < 2; ++s) EXPECT_EQ(driver.shard(s).input_watermark(c.keyed, 0), (Watermark{50, 40}));
  expect_no_faults(driver);
}

// A shard without lanes must not hold the others, also when an operator stands between its source and the
// exchange.
TEST(Shard, AnIdleShardDoesNotHoldTheWatermark) {
  for (const bool through_an_operator : {false, true}) {
    GraphBuilder g;
    const unsigned source = g.source("in");
    unsigned keyed = 0;
    if (through_an_operator) {
      const unsigned filter = g.node("filter");
      keyed = g.node("keyed");
      g.source_to(source, filter, 0, false);
      g.node_to(filter, keyed, 0, true);
    } else {
      keyed = g.node("keyed");
      g.source_to(source, keyed, 0, true);
    }
    PipelineDriver driver(g.build(), 2, 8);
    driver.feed(1, 0).set_idle(true);
    driver.feed(0, 0).push(rows(0, 10), Watermark{70, 60});
    ASSERT_TRUE(driver.settle());
    for (unsigned s = 0; s < 2; ++s)
      EXPECT_EQ(driver.shard(s).input_watermark(keyed, 0), (Watermark{70, 60})) << through_an_operator;
    // Active again: it counts, and what was reached stays.
    driver.feed(1, 0).set_idle(false);
    driver.feed(1, 0).push(rows(100, 10), Watermark{20, 20});
    ASSERT_TRUE(driver.settle());
    driver.feed(0, 0).set_watermark({500, 500});
    ASSERT_TRUE(driver.settle());
    for (unsigned s = 0; s < 2; ++s) EXPECT_EQ(driver.shard(s).input_watermark(keyed, 0), (Watermark{70, 60}));
    driver.feed(1, 0).set_watermark({300, 300});
    ASSERT_TRUE(driver.settle());
    for (unsigned s = 0; s < 2; ++s) EXPECT_EQ(driver.shard(s).input_watermark(keyed, 0), (Watermark{300, 300}));
    expect_no_faults(driver);
  }
}

TEST(Shard, IdlenessPassesASecondExchange) {
  GraphBuilder g;
  const unsigned source = g.source("in"), first = g.node("first"), second = g.node("second");
  g.source_to(source, first, 0, true);
  g.node_to(first, second, 0, true);
  PipelineDriver driver(g.build(), 3, 4);
  driver.feed(1, 0).set_idle(true);
  driver.feed(2, 0).set_idle(true);
  driver.feed(0, 0).set_watermark({70, 70});
  ASSERT_TRUE(driver.settle());
  for (unsigned s = 0; s < 3; ++s) EXPECT_EQ(driver.shard(s).input_watermark(second, 0), (Watermark{70, 70}));
}

// What a sender reached before it became idle counts, also when the ring was full and both came as one
// packet.
TEST(Shard, TheLastWordBeforeIdleCounts) {
  GraphBuilder g;
  const unsigned source = g.source("in"), keyed = g.node("keyed");
  g.source_to(source, keyed, 0, true);
  PipelineDriver driver(g.build(), 2, 1);
  driver.feed(1, 0).set_idle(true);
  ASSERT_TRUE(driver.settle());
  driver.feed(0, 0).push({{1, 1, 0, 0}, {2, 2, 0, 0}, {3, 3, 0, 0}, {4, 4, 0, 0}}, Watermark{10, 10});
  driver.step(0);  // fills the rings, the watermark waits
  driver.feed(0, 0).set_watermark({20, 20});
  driver.step(0);
  driver.feed(0, 0).set_idle(true);
  driver.step(0);
  ASSERT_TRUE(driver.settle());
  for (unsigned s = 0; s < 2; ++s) EXPECT_EQ(driver.shard(s).input_watermark(keyed, 0), (Watermark{20, 20}));
}

// All lanes of one shard belong to a lost cluster: after the hold F goes on without it, R does not.
TEST(Shard, AShardWhoseLanesAreLostHoldsRetentionOnly) {
  Chain c;
  PipelineDriver driver(c.g.build(), 2, 8);
  driver.feed(1, 0).set_watermark({30, 30});
  driver.feed(0, 0).set_watermark({100, 100});
  ASSERT_TRUE(driver.settle());
  EXPECT_EQ(driver.shard(0).input_watermark(c.keyed, 0), (Watermark{30, 30}));
  driver.feed(1, 0).set_idle_firing(true);
  ASSERT_TRUE(driver.settle());
  for (unsigned s = 0; s < 2; ++s) EXPECT_EQ(driver.shard(s).input_watermark(c.keyed, 0), (Watermark{100, 30}));
  // Its backlog comes: rows that count in R only.
  driver.feed(1, 0).push(rows(0, 50), Watermark{30, 30});
  driver.feed(0, 0).push(rows(100, 50), Watermark{150, 150});
  ASSERT_TRUE(driver.settle());
  for (unsigned s = 0; s < 2; ++s) EXPECT_EQ(driver.shard(s).input_watermark(c.keyed, 0), (Watermark{150, 30}));
  driver.feed(1, 0).set_idle_firing(false);
  driver.feed(1, 0).set_watermark({80, 80});
  ASSERT_TRUE(driver.settle());
  for (unsigned s = 0; s < 2; ++s) EXPECT_EQ(driver.shard(s).input_watermark(c.keyed, 0), (Watermark{150, 80}));
  expect_no_faults(driver);
}

TEST(Shard, AUnionLeavesOutAnInputThatIsIdleOrEnded) {
  GraphBuilder g;
  const unsigned a = g.source("a"), b = g.source("b"), both = g.node("both", 2), keyed = g.node("keyed");
  g.source_to(a, both, 0, false);
  g.source_to(b, both, 1, false);
  g.node_to(both, keyed, 0, true);
  PipelineDriver driver(g.build(), 2, 8);
  driver.feed(0, b).set_idle(true);  // all lanes of b are in shard 1, all of a in shard 0
  driver.feed(1, a).set_idle(true);
  driver.feed(0, a).set_watermark({100, 100});
  driver.feed(1, b).set_watermark({40, 40});
  ASSERT_TRUE(driver.settle());
  for (unsigned s = 0; s < 2; ++s) EXPECT_EQ(driver.shard(s).input_watermark(keyed, 0), (Watermark{40, 40}));
  driver.feed(1, b).end();
  ASSERT_TRUE(driver.settle());
  for (unsigned s = 0; s < 2; ++s) EXPECT_EQ(driver.shard(s).input_watermark(keyed, 0), (Watermark{100, 100}));
}

// Rows carry the watermark as far as the last row; an operator that dropped them has still to be told.
TEST(Shard, AWatermarkThatRowsBroughtIsToldToo) {
  Chain c;
  PipelineDriver driver(c.g.build(), 2, 8);
  for (unsigned s = 0; s < 2; ++s) driver.feed(s, 0).set_watermark({10, 10});
  ASSERT_TRUE(driver.settle());
  for (unsigned s = 0; s < 2; ++s) {
    driver.feed(s, 0).set_watermark({50, 50});
    driver.feed(s, 0).push(rows(s * 100, 40));  // each row is preceded by 50, which no message has said yet
  }
  ASSERT_TRUE(driver.settle());
  for (unsigned s = 0; s < 2; ++s) EXPECT_EQ(driver.recorder(s, c.keyed).told(0), (Watermark{50, 50}));
}

TEST(Shard, AFullTerminalHoldsTheFeedsAndNothingIsLost) {
  Chain c;
  for (unsigned shards : {1u, 2u}) {
    PipelineDriver driver(c.g.build(), shards, 2);
    driver.terminal(0, 0).room = false;
    for (int i = 0; i < 50; ++i) driver.feed(0, 0).push(rows(i * 10, 10));
    ASSERT_TRUE(driver.settle());
    EXPECT_FALSE(driver.feed(0, 0).drained());
    driver.terminal(0, 0).room = true;
    ASSERT_TRUE(driver.settle());
    EXPECT_EQ(driver.output(0).size(), 500u);
  }
}

TEST(Shard, PauseStopsReadingButNeitherBarriersNorTime) {
  Chain c;
  for (unsigned shards : {1u, 2u}) {
    PipelineDriver driver(c.g.build(), shards, 4);
    for (unsigned s = 0; s < shards; ++s) {
      driver.shard(s).set_paused(true);
      driver.feed(s, 0).push(rows(s * 100, 10));
      driver.feed(s, 0).set_watermark({5, 5});
    }
    ASSERT_TRUE(driver.settle());
    EXPECT_TRUE(driver.output(0).empty());
    EXPECT_EQ(driver.shard(0).input_watermark(c.keyed, 0), (Watermark{5, 5}));
    EXPECT_EQ(driver.barrier(Epoch(1)).size(), shards);
    for (unsigned s = 0; s < shards; ++s) driver.shard(s).set_paused(false);
    ASSERT_TRUE(driver.settle());
    EXPECT_EQ(driver.output(0).size(), 10u * shards);
  }
}

TEST(Shard, EndedInputsFinishEveryOperatorOnce) {
  GraphBuilder g;
  const unsigned a = g.source("a"), b = g.source("b"), both = g.node("both", 2), keyed = g.node("keyed"),
                 out = g.terminal("out");
  g.source_to(a, both, 0, true);
  g.source_to(b, both, 1, false);
  g.node_to(both, keyed, 0, true);
  g.node_to_terminal(keyed, out);
  for (unsigned shards : {1u, 2u, 3u}) {
    PipelineDriver driver(g.build(), shards, 1);
    for (unsigned s = 0; s < shards; ++s) {
      driver.feed(s, a).push(rows(s * 1000, 100));
      driver.feed(s, b).push(rows(s * 1000 + 500, 100));
      driver.feed(s, a).end();
    }
    ASSERT_TRUE(driver.settle());
    for (unsigned s = 0; s < shards; ++s) {
      EXPECT_FALSE(driver.shard(s).ended());
      EXPECT_EQ(driver.recorder(s, both).finished, 0);
      driver.feed(s, b).end();
    }
    ASSERT_TRUE(driver.settle());
    for (unsigned s = 0; s < shards; ++s) {
      EXPECT_TRUE(driver.shard(s).ended());
      EXPECT_EQ(driver.recorder(s, both).finished, 1);
      EXPECT_EQ(driver.recorder(s, keyed).finished, 1);
    }
    EXPECT_EQ(driver.output(out).size(), 200u * shards);
    EXPECT_EQ(driver.barrier(Epoch(1)).size(), shards);  // the last checkpoint of a bounded run
    expect_no_faults(driver);
  }
}

TEST(Shard, AnEdgeToATerminalIsNeverAnExchange) {
  GraphBuilder g;
  const unsigned source = g.source("in"), node = g.node("node"), out = g.terminal("out");
  g.source_to(source, node, 0, true);
  Graph graph = [&] {
    g.node_to_terminal(node, out);
    Graph built = g.build();
    built.nodes[node].out[0].partition_by = testing::by_key();
    return built;
  }();
  PipelineDriver driver(graph, 2, 4);
  driver.feed(0, 0).push(rows(0, 20));
  ASSERT_TRUE(driver.settle());
  EXPECT_EQ(driver.barrier(Epoch(1)).size(), 2u);
  EXPECT_EQ(driver.output(0).size(), 20u);
}

}  // namespace
}  // namespace twinspan::engine
