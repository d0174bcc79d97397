// Filters and projections in a row become one node, unless somebody else reads what is between them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/load.h"

namespace twinspan::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

LoadedPipeline loaded(const std::string& rest) {
  config::Diagnostics diagnostics;
  auto p = load_pipeline(R"y(version: 1
name: p
sources:
  ev:
    topic: t
    clusters: { pair: [east, west] }
    fields: { id: int64, dev: string, price: int64, ts: timestamp_ms }
    event_time: { field: ts }
dead_letter: { topic: d, clusters: east }
steps:
)y" + rest,
                         "p.yaml", nullptr, {}, diagnostics);
  EXPECT_TRUE(p.has_value() && p->plan != nullptr) << diagnostics.render();
  return p ? std::move(*p) : LoadedPipeline{};
}

std::size_t times(const std::string& text, const std::string& what) {
  std::size_t n = 0;
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += what.size()) ++n;
  return n;
}

TEST(FusedPlan, StepsInARowAreOneNodeAndShareCalls) {
  const auto p = loaded(
      R"y(  a: { from: ev, where: "upper(dev) = 'X'", select: { d: upper(dev), id: id, price: price }, on_error: skip }
  b: { from: a, where: length(d) > 0 }
  c: { from: b, select: { n: length(d) + price }, on_error: fail }
sinks:
  out: { from: c, topic: o, clusters: east }
)y");
  ASSERT_NE(p.plan, nullptr);
  ASSERT_EQ(p.plan->graph.nodes.size(), 1u);
  const auto& node = p.plan->graph.nodes[0];
  EXPECT_THAT(node.steps, ElementsAre("a", "b", "c"));
  EXPECT_EQ(times(node.program, "= upper("), 1u) << node.program;
  EXPECT_EQ(times(node.program, "= length("), 1u) << node.program;
  EXPECT_THAT(node.program, HasSubstr("step 1: where"));
  ASSERT_EQ(p.plan->steps.size(), 3u);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(p.plan->steps[static_cast<std::size_t>(i)].node, 0u);
    EXPECT_EQ(p.plan->steps[static_cast<std::size_t>(i)].stage, i);
  }
  EXPECT_EQ(p.plan->node_on_error[0], config::OnError::skip);
  ASSERT_EQ(p.plan->stage_on_error.size(), 2u);
  EXPECT_EQ(p.plan->stage_on_error[0], std::pair(std::string("b"), config::OnError::dead_letter));
  EXPECT_EQ(p.plan->stage_on_error[1], std::pair(std::string("c"), config::OnError::fail));
  EXPECT_EQ(p.plan->sinks[0].schema.fields.size(), 1u);
}

TEST(FusedPlan, WhatSeveralReadStaysApart) {
  const auto p = loaded(R"y(  a: { from: ev, where: price > 0 }
  b: { from: a, select: { x: price + 1 } }
  c: { from: a, select: { y: price + 2 } }
sinks:
  out: { from: b, topic: o, clusters: east }
  out2: { from: c, topic: o2, clusters: east }
)y");
  ASSERT_NE(p.plan, nullptr);
  ASSERT_EQ(p.plan->graph.nodes.size(), 3u);
  EXPECT_THAT(p.plan->graph.nodes[0].steps, ElementsAre("a"));
  EXPECT_EQ(p.plan->graph.nodes[0].out.size(), 2u);
  const auto with_sink = loaded(R"y(  a: { from: ev, where: price > 0 }
  b: { from: a, select: { x: price + 1 } }
sinks:
  out: { from: b, topic: o, clusters: east }
  raw: { from: a, topic: o2, clusters: east }
)y");
  ASSERT_NE(with_sink.plan, nullptr);
  EXPECT_EQ(with_sink.plan->graph.nodes.size(), 2u);
}

TEST(FusedPlan, TheProjectionBeforeAWindowJoinsTheStepBefore) {
  const auto p = loaded(R"y(  a: { from: ev, where: "upper(dev) <> ''", select: { dev: dev, price: price } }
  w:
    from: a
    let: { k: upper(dev) }
    window: { tumbling: 10s }
    key: [k]
    aggregate: { n: sum(price) }
    select: { k: k, twice: n * 2 }
sinks:
  out: { from: w, topic: o, clusters: east }
)y");
  ASSERT_NE(p.plan, nullptr);
  std::vector<std::string> transforms;
  for (const auto& node : p.plan->graph.nodes)
    for (const auto& step : node.steps) transforms.push_back(node.id + ":" + step);
  EXPECT_THAT(transforms, ElementsAre("a:a", "a:w.input", "w.output:w.output", "w.output:w.select"));
  EXPECT_EQ(times(p.plan->graph.nodes[0].program, "= upper("), 1u) << p.plan->graph.nodes[0].program;
}

}  // namespace
}  // namespace twinspan::gateway
