// deduplicate and dict_id: what the planner makes of them, and what it refuses.
#include <gtest/gtest.h>

#include "gateway/load.h"

namespace twinspan::gateway {
namespace {

constexpr const char* kSource = R"y(version: 1
name: p
sources:
  ev:
    topic: t
    clusters: { pair: [east, west] }
    fields: { id: int64, dev: string, other: string, region: string, unused: string, tags: "array<string>",
              items: "array<row<sku string, n int64>>", ts: timestamp_ms }
    event_time: { field: ts }
steps:
)y";

std::string errors_of(const std::string& rest) {
  config::Diagnostics diagnostics;
  (void)load_pipeline(kSource + rest, "p.yaml", nullptr, {}, diagnostics);
  return diagnostics.render();
}

LoadedPipeline loaded(const std::string& steps) {
  config::Diagnostics diagnostics;
  auto p = load_pipeline(kSource + steps + "sinks:\n  out: { from: s, topic: o, clusters: east }\n", "p.yaml", nullptr,
                         {}, diagnostics);
  EXPECT_TRUE(p.has_value()) << diagnostics.render();
  return p ? std::move(*p) : LoadedPipeline{};
}

std::string columns_of(const Schema& schema) {
  std::string out;
  for (const Field& f : schema.fields) out += f.name + ":" + to_string(f.type) + " ";
  return out;
}

std::string nodes_of(const Plan& plan) {
  std::string out;
  for (const auto& n : plan.graph.nodes) out += n.id + " ";
  return out;
}

#define EXPECT_HAS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST(PlanDeduplicate, ByColumnsIsOneNodeAndKeepsAllColumns) {
  const auto p = loaded("  s: { from: ev, deduplicate: { by: [dev, id], within: 10m } }\n");
  ASSERT_NE(p.plan, nullptr);
  EXPECT_EQ(nodes_of(*p.plan), "s ");
  EXPECT_EQ(p.plan->sinks[0].schema.fields.size(), 8u);
  ASSERT_NE(p.plan->graph.sources[0].out[0].partition_by, nullptr);
  EXPECT_EQ(p.plan->graph.sources[0].out[0].partition_by->columns(), 2u);
}

TEST(PlanDeduplicate, LetNamesWhereAndSelectBelongToTheStep) {
  const auto p = loaded(R"y(  s:
    from: ev
    let: { k: lower(dev) }
    where: id > 0
    deduplicate: { by: [k, id], within: 10s }
    select: { k: k, n: id + 1 }
)y");
  ASSERT_NE(p.plan, nullptr);
  EXPECT_EQ(nodes_of(*p.plan), "s.input s s.select ");
  EXPECT_EQ(columns_of(p.plan->sinks[0].schema), "k:string n:int64 ");
  EXPECT_EQ(p.plan->sources[0].schema.index_of("unused"), -1);
}

TEST(PlanDeduplicate, WhatWasComputedForTheKeyIsNoColumnOfTheResult) {
  const auto p = loaded("  s: { from: ev, let: { k: lower(dev) }, deduplicate: { by: [k], within: 10s } }\n");
  ASSERT_NE(p.plan, nullptr);
  EXPECT_EQ(columns_of(p.plan->sinks[0].schema),
            "id:int64 dev:string other:string region:string unused:string tags:array<string> "
            "items:array<row<sku string, n int64>> ts:timestamp ");
}

TEST(PlanDeduplicate, LateRowsMayGoToASink) {
  config::Diagnostics diagnostics;
  const auto p = load_pipeline(std::string(kSource) + R"y(
  s: { from: ev, deduplicate: { by: [dev], within: 10s }, late: { allow: 5s, then: late }, select: { d: dev } }
sinks:
  out: { from: s, topic: o, clusters: east }
  late: { topic: l, clusters: east }
)y",
                               "p.yaml", nullptr, {}, diagnostics);
  ASSERT_TRUE(p) << diagnostics.render();
  EXPECT_EQ(p->plan->graph.nodes[0].late_terminal, 1);
  EXPECT_GE(p->plan->sinks[1].schema.index_of("unused"), 0);
}

TEST(PlanDeduplicate, MistakesAreErrorsWithAWayOut) {
  const std::string sinks = "sinks:\n  out: { from: s, topic: o, clusters: east }\n";
  EXPECT_HAS(errors_of("  s: { from: ev, deduplicate: { by: [lower(dev)], within: 10s } }\n" + sinks), "T0451");
  EXPECT_HAS(errors_of("  s: { from: ev, deduplicate: { by: [deb], within: 10s } }\n" + sinks), "did you mean `dev`");
  EXPECT_HAS(errors_of("  s: { from: ev, deduplicate: { by: [], within: 10s } }\n" + sinks), "T0205");
  EXPECT_HAS(errors_of("  s: { from: ev, deduplicate: { by: [dev] } }\n" + sinks), "needs key 'within'");
  EXPECT_HAS(errors_of("  s: { from: ev, deduplicate: { by: [dev], within: 0s } }\n" + sinks), "T0206");
  EXPECT_HAS(errors_of("  s: { from: ev, deduplicate: { by: [dev], within: 1s }, window: { tumbling: 1s }, key: [dev], "
                       "aggregate: { n: count(*) } }\n" +
                       sinks),
             "T0311");
  const std::string updating = errors_of(
      "  w: { from: ev, window: { tumbling: 10s }, key: [dev], aggregate: { n: count(*) } }\n"
      "  s: { from: w, deduplicate: { by: [dev], within: 10s } }\n" +
      sinks);
  EXPECT_HAS(updating, "T0452");
  EXPECT_HAS(updating, "deduplicate before the window");
}

TEST(PlanUnnest, ElementsTakeThePlaceOfTheArray) {
  const auto p = loaded("  s: { from: ev, where: id > 0, unnest: items, select: { id: id, sku: items.sku } }\n");
  ASSERT_NE(p.plan, nullptr);
  EXPECT_EQ(nodes_of(*p.plan), "s.input s s.select ");
  EXPECT_EQ(columns_of(p.plan->sinks[0].schema), "id:int64 sku:string ");
  EXPECT_EQ(p.plan->sources[0].schema.index_of("tags"), -1);
}

TEST(PlanUnnest, NamesForElementsAndTheirNumbers) {
  const auto p = loaded("  s: { from: ev, unnest: { array: tags, as: tag, ordinality: n, keep_empty: true } }\n");
  ASSERT_NE(p.plan, nullptr);
  EXPECT_EQ(nodes_of(*p.plan), "s ");
  EXPECT_EQ(columns_of(p.plan->sinks[0].schema),
            "id:int64 dev:string other:string region:string unused:string tags:array<string> "
            "items:array<row<sku string, n int64>> ts:timestamp tag:string n:int64 ");
}

TEST(PlanUnnest, ArraysMayBeComputed) {
  const auto p =
      loaded("  s: { from: ev, unnest: { array: \"ARRAY[dev, other]\", as: device }, select: { d: device } }\n");
  ASSERT_NE(p.plan, nullptr);
  EXPECT_EQ(nodes_of(*p.plan), "s.input s s.select ");
  EXPECT_EQ(columns_of(p.plan->sinks[0].schema), "d:string ");
}

TEST(PlanUnnest, MistakesAreErrorsWithAWayOut) {
  const std::string sinks = "sinks:\n  out: { from: s, topic: o, clusters: east }\n";
  EXPECT_HAS(errors_of("  s: { from: ev, unnest: dev }\n" + sinks), "unnest takes an array, and this is string");
  EXPECT_HAS(errors_of("  s: { from: ev, unnest: \"ARRAY[dev]\" }\n" + sinks), "needs a name for its elements");
  EXPECT_HAS(errors_of("  s: { from: ev, unnest: { array: tags, as: dev } }\n" + sinks),
             "there is a column 'dev' already");
  EXPECT_HAS(errors_of("  s: { from: ev, unnest: { array: tags, ordinality: id } }\n" + sinks), "T0455");
  EXPECT_HAS(errors_of("  s: { from: ev, unnest: { as: tag } }\n" + sinks), "needs key 'array'");
  EXPECT_HAS(errors_of("  s: { from: ev, unnest: [tags] }\n" + sinks), "T0203");
  EXPECT_HAS(errors_of("  s: { from: ev, unnest: tagz }\n" + sinks), "did you mean `tags`");
  EXPECT_HAS(errors_of("  s: { from: ev, unnest: tags, deduplicate: { by: [id], within: 1s } }\n" + sinks), "T0311");
}

TEST(PlanDictId, TheCallIsANodeBeforeItsStepAndRowsThatWhereDropsTakeNoId) {
  const auto p = loaded("  s: { from: ev, where: id > 0, select: { d: \"dict_id('devices', dev)\", r: region } }\n");
  ASSERT_NE(p.plan, nullptr);
  EXPECT_EQ(nodes_of(*p.plan), "s.where dict_id:devices s ");
  EXPECT_EQ(columns_of(p.plan->sinks[0].schema), "d:int64 r:string ");
}

TEST(PlanDictId, EqualCallsAreOneNodeAlsoThroughLet) {
  const auto p = loaded(R"y(  s:
    from: ev
    let: { device: lower(dev), d: "dict_id('devices', device)" }
    select: { a: d, b: "dict_id('devices', lower(dev)) % 7", c: "dict_id( 'devices',LOWER(dev) )" }
)y");
  ASSERT_NE(p.plan, nullptr);
  EXPECT_EQ(nodes_of(*p.plan), "s.dict_arg2 dict_id:devices s ");  // dev, ts and the lower-case name
  EXPECT_EQ(columns_of(p.plan->sinks[0].schema), "a:int64 b:int64 c:int64 ");
}

TEST(PlanDictId, OneDictionaryInSeveralPlacesAndDictionariesOfIds) {
  const auto p = loaded(R"y(  a:
    from: ev
    select: { x: "dict_id('devices', dev)", y: "dict_id('devices', other)" }
  s: { from: a, let: { pair: "dict_id('pairs', x)" }, select: { p: pair, q: "dict_id('nested', dict_id('pairs', x))" } }
)y");
  ASSERT_NE(p.plan, nullptr);
  EXPECT_EQ(nodes_of(*p.plan), "dict_id:devices dict_id:devices:1 a dict_id:pairs dict_id:nested s ");
}

TEST(PlanDictId, StandsInFilterKeyAndAggregates) {
  const auto p = loaded(R"y(  f: { from: ev, where: "dict_id('devices', dev) % 2 = 0" }
  s:
    from: f
    let: { bucket: "dict_id('devices', dev) % 16" }
    window: { tumbling: 10s }
    key: [bucket]
    aggregate: { n: count(*), most: "max(dict_id('devices', dev))" }
)y");
  ASSERT_NE(p.plan, nullptr);
  EXPECT_EQ(nodes_of(*p.plan), "dict_id:devices f dict_id:devices:1 s.input s s.output ");
  EXPECT_EQ(p.plan->graph.nodes[1].out.size(), 1u);
}

TEST(PlanDictId, AFilterByAnIdAddsNoColumn) {
  const auto p = loaded("  s: { from: ev, where: \"dict_id('devices', dev) % 2 = 0\" }\n");
  ASSERT_NE(p.plan, nullptr);
  EXPECT_EQ(columns_of(p.plan->sinks[0].schema), columns_of(p.plan->sources[0].schema));
}

TEST(PlanDictId, MistakesAreErrorsAtTheirPlace) {
  const std::string sinks = "sinks:\n  out: { from: s, topic: o, clusters: east }\n";
  const auto select = [&](const std::string& e) {
    return errors_of("  s: { from: ev, select: { d: \"" + e + "\" } }\n" + sinks);
  };
  EXPECT_HAS(select("dict_id('devices')"), "T0450");
  EXPECT_HAS(select("1 + dict_id(dev, dev)"), "p.yaml:11:36: error[T0450]");
  EXPECT_HAS(select("dict_id('No Name', dev)"), "'No Name' is no name");
  EXPECT_HAS(select("dict_id('devices', dev) + dict_id('devices', id)"),
             "dictionary 'devices' holds string, and this is int64");
  EXPECT_HAS(select("dict_id('devices', uper(dev))"), "unknown function `uper`");
  EXPECT_HAS(errors_of("  s: { interval_join: { left: ev, right: ev, on: [dev], between: [0s, 1s] }, "
                       "select: { d: \"dict_id('devices', left.dev)\" } }\n" +
                       sinks),
             "`dict_id` has state");
}

}  // namespace
}  // namespace twinspan::gateway
