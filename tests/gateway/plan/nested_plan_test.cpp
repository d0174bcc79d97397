// Arrays, maps, rows and json through the plan: which fields are read, what keys may be, where errors point.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/load.h"

namespace twinspan::gateway {
namespace {

using ::testing::HasSubstr;

std::string pipeline(const std::string& steps, const std::string& extra = "") {
  return R"y(version: 1
name: p
sources:
  ev:
    topic: t
    clusters: { pair: [east, west] }
    fields: { id: int64, r: "row<a int64, b array<string>>", m: "map<string, int64>", j: json, tags: array<string>)y" +
         extra + R"y(, ts: timestamp_s }
    event_time: { field: ts }
)y" + steps;
}

std::string errors_of(const std::string& steps, const std::string& extra = "") {
  config::Diagnostics diagnostics;
  (void)load_pipeline(pipeline(steps, extra), "p.yaml", nullptr, {}, diagnostics);
  return diagnostics.render();
}

TEST(NestedPlan, ReadsTheFieldsThatPathsBeginWith) {
  config::Diagnostics diagnostics;
  auto p = load_pipeline(pipeline(R"y(steps:
  s:
    from: ev
    let: { inner: r }
    where: "'x' IN tags"
    select: { a: r.a, first: "inner.b[0]", all: inner, k: "m['k'] + 1", deep: "CAST(j.a.b AS int64)" }
sinks:
  out: { from: s, topic: o, clusters: east }
)y"),
                         "p.yaml", nullptr, {}, diagnostics);
  ASSERT_TRUE(p.has_value()) << diagnostics.render();
  std::string read, written;
  for (const auto& f : p->plan->sources[0].schema.fields) read += f.name + " ";
  for (const auto& f : p->plan->sinks[0].schema.fields) written += f.name + " " + to_string(f.type) + "; ";
  EXPECT_EQ(read, "r m j tags ts ");
  EXPECT_EQ(written, "a int64; first string; all row<a int64, b array<string>>; k int64; deep int64; ");
  EXPECT_EQ(p->plan->sources[0].decoder.fields[4].wire, connectors::JsonField::Wire::seconds);
}

TEST(NestedPlan, KeysAndAggregatesNeedValuesWithAnOrder) {
  const std::string text = errors_of(R"y(steps:
  w: { from: ev, window: { tumbling: 10s }, key: [tags], aggregate: { n: count(*) } }
  v: { from: ev, window: { tumbling: 10s }, key: [id], aggregate: { n: count(DISTINCT m), l: max(j) } }
  q: { interval_join: { left: ev, right: ev, on: [j], between: [0s, 1s] }, select: { a: left.id } }
sinks:
  out: { from: w, topic: o, clusters: east }
  out2: { from: v, topic: o2, clusters: east }
  out3: { from: q, topic: o3, clusters: east }
)y");
  EXPECT_THAT(text, HasSubstr("error[T0436]: a key cannot be array<string>"));
  EXPECT_THAT(text, HasSubstr("error[T0436]: a key cannot be json"));
  EXPECT_THAT(text, HasSubstr("count(DISTINCT ..) does not take map<string, int64>"));
  EXPECT_THAT(text, HasSubstr("max() does not take json"));
}

TEST(NestedPlan, TypeErrorsPointIntoTheType) {
  const std::string text = errors_of(R"y(sinks:
  out: { from: ev, topic: o, clusters: east }
)y",
                                     ", x: \"map<string, array<strin>>\"");
  EXPECT_THAT(text, HasSubstr("error[T0410]: unknown type `strin`"));
  EXPECT_THAT(text, HasSubstr("^^^^^"));
}

}  // namespace
}  // namespace twinspan::gateway
