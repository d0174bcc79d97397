#include "gateway/load.h"

#include <gtest/gtest.h>

namespace twinspan::gateway {
namespace {

constexpr const char* kSource = R"y(version: 1
name: p
sources:
  ev:
    topic: t
    clusters: { pair: [east, west] }
    fields: { id: int64, dev: string, region: string, price: "decimal(18,4)", unused: string, ts: timestamp_ms }
    event_time: { field: ts }
)y";

std::string errors_of(const std::string& rest) {
  config::Diagnostics diagnostics;
  (void)load_pipeline(kSource + rest, "p.yaml", nullptr, {}, diagnostics);
  return diagnostics.render();
}

LoadedPipeline loaded(const std::string& rest) {
  config::Diagnostics diagnostics;
  auto p = load_pipeline(kSource + rest, "p.yaml", nullptr, {}, diagnostics);
  EXPECT_TRUE(p.has_value()) << diagnostics.render();
  return p ? std::move(*p) : LoadedPipeline{};
}

TEST(Plan, DecodesOnlyTheFieldsThatAreRead) {
  const auto p = loaded(R"y(steps:
  s: { from: ev, where: price > 0, select: { d: dev } }
sinks:
  out: { from: s, topic: o, clusters: east }
)y");
  ASSERT_NE(p.plan, nullptr);
  std::vector<std::string> names;
  for (const auto& f : p.plan->sources[0].schema.fields) names.push_back(f.name);
  EXPECT_EQ(names, (std::vector<std::string>{"dev", "price", "ts"}));
  EXPECT_EQ(p.plan->sources[0].decoder.event_time_field, 2);
}

TEST(Plan, FilterWithoutSelectKeepsWhatLaterStepsRead) {
  const auto p = loaded(R"y(steps:
  f: { from: ev, where: price > 0 }
  w: { from: f, window: { tumbling: 10s }, key: [region], aggregate: { n: count(*) } }
sinks:
  out: { from: w, topic: o, clusters: east }
)y");
  ASSERT_NE(p.plan, nullptr);
  EXPECT_GE(p.plan->sources[0].schema.index_of("region"), 0);
  EXPECT_EQ(p.plan->sources[0].schema.index_of("dev"), -1);
}

TEST(Plan, EveryExpressionErrorAtOnceWithItsColumn) {
  const std::string text = errors_of(R"y(steps:
  s:
    from: ev
    where: prise > 0
    select: { d: uper(dev), e: price + dev }
sinks:
  out: { from: s, topic: o, clusters: east, key: nothing }
)y");
  EXPECT_NE(text.find("p.yaml:12:12: error[T0401]"), std::string::npos) << text;
  EXPECT_NE(text.find("did you mean `price`?"), std::string::npos) << text;
  EXPECT_NE(text.find("p.yaml:13:18: error[T0401]"), std::string::npos) << text;
  EXPECT_NE(text.find("p.yaml:13:32: error[T0401]"), std::string::npos) << text;
}

TEST(Plan, ExpressionErrorsComeTogetherWithThoseOfTheFile) {
  const std::string text = errors_of(R"y(steps:
  s: { from: ev, wher: price > 0, select: { d: uper(dev) } }
sinks:
  out: { from: s, topic: o, clusters: east }
)y");
  EXPECT_NE(text.find("did you mean 'where'"), std::string::npos) << text;
  EXPECT_NE(text.find("unknown function `uper`"), std::string::npos) << text;
}

TEST(Plan, JoinOfAWindowIsRefused) {
  const std::string text = errors_of(R"y(steps:
  w: { from: ev, window: { tumbling: 10s }, key: [dev], aggregate: { n: count(*) } }
  j: { interval_join: { left: w, right: ev, on: [dev], between: [0s, 1s] }, select: { d: left.dev } }
sinks:
  out: { from: j, topic: o, clusters: east }
)y");
  EXPECT_NE(text.find("T0420"), std::string::npos) << text;
}

TEST(Plan, AWindowOnAWindowTakesBackWhatChangesOrSaysWhyItCannot) {
  EXPECT_EQ(errors_of(R"y(steps:
  w: { from: ev, window: { tumbling: 10s }, key: [dev], aggregate: { n: count(*) } }
  s: { from: w, where: n > 1 }
  v: { from: s, window: { tumbling: 60s }, key: [n], aggregate: { m: count(*), t: sum(n), a: avg(n), x: max(n), d: count(DISTINCT n) } }
sinks:
  out: { from: v, topic: o, clusters: east }
)y"),
            "");
  const std::string text = errors_of(R"y(steps:
  w: { from: ev, window: { tumbling: 10s }, key: [dev], aggregate: { n: count(*) } }
  v: { from: w, window: { tumbling: 60s }, key: [dev], aggregate: { m: last(n), d: approx_count_distinct(n) } }
sinks:
  out: { from: v, topic: o, clusters: east }
)y");
  EXPECT_NE(text.find("p.yaml:11:72: error[T0437]: last cannot take a value back, and 'w' changes its results later"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("approx_count_distinct cannot take"), std::string::npos) << text;
  EXPECT_NE(text.find("count(DISTINCT x) does"), std::string::npos) << text;
}

TEST(Plan, WindowsOfEveryKind) {
  const auto p = loaded(R"y(steps:
  a: { from: ev, window: { sliding: 60s, every: 1s }, key: [dev], aggregate: { n: count(DISTINCT region) } }
  b: { from: ev, window: { session: 5s, time: processing }, key: [dev], aggregate: { n: count(*) } }
  c: { from: ev, window: { global: true, timezone: Europe/Berlin }, emit: { every: 1d }, aggregate: { n: count(*) } }
  d: { from: ev, window: { tumbling: 1h }, emit: { every: 1s, clock: wall }, aggregate: { n: max(price) } }
  e: { from: a, window: { sliding: 7d, every: 1d, timezone: Europe/Berlin }, key: [n], aggregate: { m: sum(n) } }
sinks:
  o1: { from: e, topic: o, clusters: east }
  o2: { from: b, topic: o, clusters: east }
  o3: { from: c, topic: o, clusters: east }
  o4: { from: d, topic: o, clusters: east }
)y");
  ASSERT_NE(p.plan, nullptr);
  std::string kinds;
  for (const auto& step : p.plan->steps) kinds += step.kind + ", ";
  EXPECT_EQ(kinds, "sliding window, session window, global window, tumbling window, sliding window, ");
  for (const auto& node : p.plan->graph.nodes) EXPECT_NE(node.make(0, 1), nullptr);
}

TEST(Plan, SkewCountsRowsBeforeTheExchange) {
  const auto p = loaded(R"y(steps:
  w: { from: ev, window: { tumbling: 10s }, key: [dev], skew: { split_keys: auto }, aggregate: { n: count(*), s: sum(price) } }
  v: { from: w, window: { tumbling: 60s }, key: [n], skew: { split_keys: 5 }, aggregate: { d: count(DISTINCT dev) } }
  u: { from: ev, window: { session: 10s }, key: [dev], skew: { split_keys: off }, aggregate: { n: count(*) } }
sinks:
  o1: { from: v, topic: o, clusters: east }
  o2: { from: u, topic: o, clusters: east }
)y");
  ASSERT_NE(p.plan, nullptr);
  const auto node = [&](const std::string& id) -> const engine::OperatorNode* {
    for (const auto& n : p.plan->graph.nodes)
      if (n.id == id) return &n;
    return nullptr;
  };
  for (const std::string id : {"w", "v"}) {
    const engine::OperatorNode* combine = node(id + ".combine");
    ASSERT_NE(combine, nullptr);
    ASSERT_EQ(combine->out.size(), 1u);
    EXPECT_NE(combine->out[0].partition_by, nullptr);
    EXPECT_EQ(p.plan->graph.nodes[combine->out[0].index].id, id);
  }
  EXPECT_EQ(node("u.combine"), nullptr);
  for (const StepInfo& step : p.plan->steps) EXPECT_EQ(step.skew_node >= 0, step.id != "u") << step.id;
  for (const auto& n : p.plan->graph.nodes) EXPECT_NE(n.make(0, 2), nullptr);
}

TEST(Plan, SkewExchangesDistinctValuesByTheirHashFirst) {
  const auto p = loaded(R"y(steps:
  w:
    from: ev
    window: { cumulate: 1h, every: 1m }
    key: [region]
    late: { then: late_rows }
    skew: { split_keys: auto }
    aggregate: { n: count(*), d: count(DISTINCT dev), e: count(DISTINCT dev) FILTER (WHERE price > 1), i: count(DISTINCT id) }
sinks:
  out: { from: w, topic: o, clusters: east }
  late_rows: { topic: l, clusters: east }
)y");
  ASSERT_NE(p.plan, nullptr);
  std::string ids;
  for (const auto& n : p.plan->graph.nodes) {
    ids += n.id + " ";
    EXPECT_NE(n.make(0, 2), nullptr);
    EXPECT_EQ(n.late_terminal >= 0, n.id.starts_with("w.values") || n.id == "w") << n.id;
  }
  EXPECT_EQ(ids, "w.input w.values w.values2 w.combine w w.output ");
  const StepInfo& step = p.plan->steps.at(0);
  ASSERT_EQ(step.value_nodes.size(), 2u);
  EXPECT_EQ(step.value_nodes[0].second, "dev");
  EXPECT_EQ(step.value_nodes[1].second, "id");
}

TEST(Plan, SkewSaysWhatItCannotSplit) {
  const std::string distinct = errors_of(R"y(steps:
  a: { from: ev, window: { session: 10s }, key: [dev], skew: { split_keys: auto }, aggregate: { n: count(DISTINCT id) } }
  b: { from: ev, window: { sliding: 10s, every: 1s }, key: [dev], skew: { split_keys: 3 }, aggregate: { n: count(DISTINCT id) } }
sinks:
  o1: { from: a, topic: o, clusters: east }
  o2: { from: b, topic: o, clusters: east }
)y");
  EXPECT_NE(distinct.find("error[T0439]: skew cannot split count(DISTINCT) of a session window: a value can be in two"),
            std::string::npos)
      << distinct;
  EXPECT_NE(distinct.find("error[T0439]: skew cannot split count(DISTINCT) of a sliding window: a value counts in"),
            std::string::npos)
      << distinct;
  const std::string text = errors_of(R"y(steps:
  w: { from: ev, window: { tumbling: 10s }, key: [dev], skew: { split_keys: auto }, aggregate: { n: count(*), k: "top_k(region, 3)" } }
sinks:
  out: { from: w, topic: o, clusters: east }
)y");
  EXPECT_NE(text.find("error[T0439]: skew cannot split top_k: which values share a counter"), std::string::npos)
      << text;
}

TEST(Plan, ASessionNeedsRowsThatStay) {
  const std::string text = errors_of(R"y(steps:
  w: { from: ev, window: { tumbling: 10s }, key: [dev], aggregate: { n: count(*) } }
  v: { from: w, window: { session: 60s }, aggregate: { m: count(*) } }
sinks:
  out: { from: v, topic: o, clusters: east }
)y");
  EXPECT_NE(text.find("p.yaml:11:36: error[T0435]: a session window needs rows that stay"), std::string::npos) << text;
}

TEST(Plan, ADiscardingWindowFeedsSinksOnly) {
  const std::string text = errors_of(R"y(steps:
  w: { from: ev, window: { tumbling: 10s }, key: [dev], aggregate: { n: count(*) }, emit: { mode: discarding } }
  v: { from: w, window: { tumbling: 60s }, aggregate: { m: count(*) } }
sinks:
  out: { from: v, topic: o, clusters: east }
)y");
  EXPECT_NE(text.find("T0438"), std::string::npos) << text;
}

constexpr const char* kOut = "sinks:\n  out: { from: j, topic: o, clusters: east }\n";

TEST(Plan, AJoinHasAConditionOverBothSidesAndKeepsWhatItReads) {
  const auto p = loaded(std::string(R"y(steps:
  a: { from: ev, select: { k: id, region: region, price: price, v: dev } }
  b: { from: ev, select: { k: id, limit: price, v: dev } }
  j:
    interval_join:
      { left: a, right: b, on: [k], between: [0s, 1s], type: semi, where: "left.price > right.limit AND region <> ''" }
    select: { d: left.v }
)y") + kOut);
  ASSERT_NE(p.plan, nullptr);
  const auto text = errors_of(std::string(R"y(steps:
  j:
    interval_join: { left: ev, right: ev, on: [id], between: [0s, 1s], type: anti, where: left.price > right.dev }
    select: { d: left.dev }
)y") + kOut);
  EXPECT_NE(text.find("p.yaml:11:91: error[T04"), std::string::npos) << text;
}

TEST(Plan, ASemiJoinHasNoColumnsOfTheRight) {
  const std::string text = errors_of(std::string(R"y(steps:
  j:
    interval_join: { left: ev, right: ev, on: [id], between: [0s, 1s], type: semi }
    select: { d: right.dev }
)y") + kOut);
  EXPECT_NE(text.find("p.yaml:12:18: error[T0401]"), std::string::npos) << text;
}

TEST(Plan, AJoinThatTakesRowsBackIsNotAppendOnly) {
  for (const char* early : {"type: left, emit_unmatched_after: 1s } }", "type: anti }, unmatched: provisional }"}) {
    const std::string text = errors_of(std::string(R"y(steps:
  k: { select: { id: left.id }, interval_join: { left: ev, right: ev, on: [id], between: [0s, 9s], )y") +
                                       early + R"y(
  j: { interval_join: { left: k, right: ev, on: [id], between: [0s, 1s] }, select: { d: left.id } }
)y" + kOut);
    EXPECT_NE(text.find("T0420"), std::string::npos) << text;
  }
}

TEST(Plan, LateRowsOfAJoinHaveTheColumnsOfBothSides) {
  const char* late = "sinks:\n  out: { from: j, topic: o, clusters: east }\n  late: { topic: l, clusters: east }\n";
  const auto p = loaded(std::string(R"y(steps:
  a: { from: ev, select: { id: id, x: dev } }
  b: { from: ev, select: { id: id, y: region } }
  j:
    interval_join: { left: a, right: b, on: [id], between: [0s, 1s] }
    select: { id: left.id }
    late: { allow: 5s, then: late }
)y") + late);
  ASSERT_NE(p.plan, nullptr);
  std::vector<std::string> names;
  for (const auto& f : p.plan->sinks[1].schema.fields) names.push_back(f.name);
  EXPECT_EQ(names, (std::vector<std::string>{"_side", "id", "x", "y"}));
  const std::string text = errors_of(std::string(R"y(steps:
  a: { from: ev, select: { id: id, x: dev } }
  b: { from: ev, select: { id: id, x: price } }
  j:
    interval_join: { left: a, right: b, on: [id], between: [0s, 1s] }
    select: { id: left.id }
    late: { then: late }
)y") + late);
  EXPECT_NE(text.find("T0427"), std::string::npos) << text;
}

TEST(Plan, JoinKeysOfDifferentTypesAreRefusedWithAWayOut) {
  const std::string text = errors_of(R"y(steps:
  a: { from: ev, select: { k: id, v: dev } }
  b: { from: ev, select: { k: price, v: dev } }
  j: { interval_join: { left: a, right: b, on: [k], between: [0s, 1s] }, select: { d: left.v } }
sinks:
  out: { from: j, topic: o, clusters: east }
)y");
  EXPECT_NE(text.find("T0423"), std::string::npos) << text;
  EXPECT_NE(text.find("CAST"), std::string::npos) << text;
}

TEST(Plan, LetNamesAreUsedByKeysWhereAndAggregates) {
  const auto p = loaded(R"y(steps:
  w:
    from: ev
    let: { r: upper(trim(region)), big: price > 100 }
    where: r <> ''
    window: { tumbling: 10s }
    key: [r]
    aggregate: { n: count(*) FILTER (WHERE big), mean: "sum(price) / count(*)" }
sinks:
  out: { from: w, topic: o, clusters: east }
)y");
  ASSERT_NE(p.plan, nullptr);
  std::string columns;
  for (const auto& f : p.plan->sinks[0].schema.fields) columns += f.name + " ";
  EXPECT_EQ(columns, "r window_start window_end n mean ");
}

TEST(Plan, LateRowsGoToTheirSinkWithAllColumns) {
  const auto p = loaded(R"y(steps:
  w: { from: ev, window: { tumbling: 10s }, key: [dev], aggregate: { n: count(*) }, late: { allow: 5s, then: late } }
sinks:
  out: { from: w, topic: o, clusters: east }
  late: { topic: l, clusters: east }
)y");
  ASSERT_NE(p.plan, nullptr);
  EXPECT_GE(p.plan->sinks[1].schema.index_of("unused"), 0);
}

}  // namespace
}  // namespace twinspan::gateway
