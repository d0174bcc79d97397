#include "config/parse.h"
#include "tests/config/example_pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace twinspan::config {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;

std::string place(const Diagnostic& d) {
  return d.code + "@" + std::to_string(d.line) + ":" + std::to_string(d.column);
}

std::vector<std::string> places(const Diagnostics& diagnostics) {
  std::vector<std::string> all;
  for (const Diagnostic& d : diagnostics.all()) all.push_back(place(d));
  return all;
}

TEST(PipelineExample, IsReadCompletely) {
  Diagnostics diagnostics;
  const auto pipeline = parse_pipeline(twinspan::testing::available_example(), "ad-uv.yaml", {}, diagnostics);
  ASSERT_TRUE(pipeline) << diagnostics.render();
  EXPECT_TRUE(diagnostics.all().empty()) << diagnostics.render();
  EXPECT_EQ(pipeline->name.value, "ad-uv");

  ASSERT_EQ(pipeline->sources.size(), 2u);
  const SourceSpec& impressions = *pipeline->sources.find("impressions");
  EXPECT_EQ(impressions.topic->on("east"), "ad_impression");
  ASSERT_EQ(impressions.clusters->names.size(), 2u);
  EXPECT_EQ(impressions.clusters->names[1].value, "west");
  EXPECT_EQ(impressions.start.at, StartAt::latest);
  EXPECT_EQ(impressions.format.on_error->value, OnError::dead_letter);
  EXPECT_THAT(impressions.fields.names(), ElementsAre("device_id", "ad_id", "region", "price", "ts"));
  EXPECT_EQ(impressions.fields.find("price")->value, "decimal(18,4)");
  EXPECT_EQ(impressions.event_time.field->value, "ts");
  EXPECT_EQ(impressions.event_time.out_of_order, milliseconds(10'000));
  EXPECT_EQ(impressions.on_cluster_down.hold_watermark, milliseconds(30'000));
  EXPECT_EQ(impressions.throttle.max_rate->per_second, 200'000);
  EXPECT_FALSE(impressions.throttle.max_bytes);
  EXPECT_EQ(impressions.readmit_after, milliseconds(5'000));
  EXPECT_EQ(impressions.outage_state.bytes, 1ull << 30);

  EXPECT_THAT(pipeline->steps.names(), ElementsAre("valid_impressions", "joined", "uv"));
  const StepSpec& valid = *pipeline->steps.find("valid_impressions");
  EXPECT_EQ(valid.kind(), StepKind::transform);
  EXPECT_EQ(valid.from->ids[0].value, "impressions");
  EXPECT_EQ(valid.where->value, "device_id IS NOT NULL AND price >= 0");
  EXPECT_EQ(valid.select.find("region")->value, "upper(trim(region))");

  const StepSpec& joined = *pipeline->steps.find("joined");
  EXPECT_EQ(joined.kind(), StepKind::interval_join);
  const IntervalJoinSpec& join = *joined.interval_join;
  ASSERT_EQ(join.on.size(), 2u);
  EXPECT_EQ(join.on[1].left.value, "device_id");
  EXPECT_EQ(join.on[1].right.value, "device_id");
  EXPECT_EQ(join.between.lower, milliseconds(0));
  EXPECT_EQ(join.between.upper, milliseconds(600'000));
  EXPECT_EQ(join.type.value, JoinType::left);
  EXPECT_EQ(join.matches.value, Matches::first);
  EXPECT_EQ(join.max_state->bytes, 40ull << 30);
  EXPECT_EQ(joined.select.find("clicked")->value, "right.ad_id IS NOT NULL");

  const StepSpec& uv = *pipeline->steps.find("uv");
  EXPECT_EQ(uv.kind(), StepKind::window);
  EXPECT_EQ(uv.window->kind(), WindowKind::cumulate);
  EXPECT_EQ(uv.window->size(), milliseconds(86'400'000));
  EXPECT_EQ(uv.window->every->value, milliseconds(60'000));
  EXPECT_EQ(uv.window->timezone.value, "Asia/Shanghai");
  EXPECT_EQ(uv.key[0].value, "region");
  EXPECT_EQ(uv.late->allow, milliseconds(600'000));
  EXPECT_EQ(uv.late->then->value, "late_rows");
  EXPECT_EQ(uv.skew->split_keys.value.kind, SplitKeys::Kind::automatic);
  EXPECT_EQ(uv.aggregate.find("click_uv")->value, "count(DISTINCT device_id) FILTER (WHERE clicked)");

  const SinkSpec& out = *pipeline->sinks.find("uv_out");
  EXPECT_EQ(out.from->value, "uv");
  EXPECT_EQ(out.clusters->fail_back_after, milliseconds(300'000));
  EXPECT_EQ(out.key->value, "region || '|' || CAST(window_start AS string)");
  EXPECT_EQ(out.delivery, Delivery::at_least_once);
  EXPECT_EQ(out.compression, Compression::lz4);
  EXPECT_FALSE(pipeline->sinks.find("late_rows")->from);
  EXPECT_EQ(pipeline->sinks.find("late_rows")->clusters->names[0].value, "west");

  EXPECT_EQ(pipeline->dead_letter->topic->on("west"), "ad_uv_dlq");
  EXPECT_EQ(pipeline->dead_letter->max_error_ratio, 0.01);
  EXPECT_EQ(pipeline->checkpoint.every, milliseconds(1'000));
  EXPECT_FALSE(pipeline->shards.count);
  ASSERT_EQ(pipeline->tests.size(), 1u);
  EXPECT_EQ(pipeline->tests[0].steps.size(), 5u);
  EXPECT_EQ(effective_on_error(std::nullopt, *pipeline), OnError::dead_letter);
}

TEST(PipelineExample, KeysOfLaterVersionsAreNamedAndNothingElseIsWrong) {
  Diagnostics diagnostics;
  EXPECT_FALSE(parse_pipeline(twinspan::testing::kPipelineExample, "ad-uv.yaml", {}, diagnostics));
  EXPECT_THAT(places(diagnostics),
              ElementsAre("T0190@14:35", "T0190@21:17", "T0190@57:15", "T0190@58:5", "T0190@63:1", "T0190@64:1"));
  EXPECT_EQ(diagnostics.render(diagnostics.all()[2]),
            "ad-uv.yaml:57:15: error[T0190]: 'exactly_once' is not available in this version\n"
            " 57 |     delivery: exactly_once\n"
            "    |               ^^^^^^^^^^^^\n");
}

TEST(PipelineExample, ParamsAreOverridden) {
  Diagnostics diagnostics;
  const auto pipeline =
      parse_pipeline(twinspan::testing::available_example(), "f.yaml", {.params = {{"day", "2h"}}}, diagnostics);
  ASSERT_TRUE(pipeline) << diagnostics.render();
  EXPECT_EQ(pipeline->steps.find("uv")->window->size(), milliseconds(7'200'000));
}

TEST(PipelineExample, ErrorBehindASubstitutionStillHasItsColumn) {
  Diagnostics diagnostics;
  const std::string text =
      twinspan::testing::replaced(twinspan::testing::available_example(), "where: device_id IS NOT NULL AND price >= 0",
                                  "where: price < ${env:LIMIT} AND nam = 1");
  const ParseContext context{.env = [](std::string_view) { return std::optional<std::string>("1234567890"); }};
  const auto pipeline = parse_pipeline(text, "f.yaml", context, diagnostics);
  ASSERT_TRUE(pipeline) << diagnostics.render();
  const Expression& where = *pipeline->steps.find("valid_impressions")->where;
  EXPECT_EQ(where.value, "price < 1234567890 AND nam = 1");
  diagnostics.error_at(where, where.value.find("nam"), 3, "T0401", "no column 'nam'");
  diagnostics.error_at(where, where.value.find("456"), 3, "T0402", "inside the substituted value");
  EXPECT_THAT(places(diagnostics), ElementsAre("T0401@25:37", "T0402@25:20"));
}

TEST(Pipeline, FilesStandInPlaceOfTopics) {
  Diagnostics diagnostics;
  const auto pipeline = parse_pipeline(R"(version: 1
name: files
sources:
  in: { file: in.jsonl, format: { type: json }, fields: { a: int64 }, start: "2026-01-01T00:00:00Z", client: { fetch.wait.max.ms: 10 } }
sinks:
  out: { from: in, file: out.jsonl, format: { type: json }, headers: { h: NULL } }
shards: 2
)",
                                       "f.yaml", {}, diagnostics);
  ASSERT_TRUE(pipeline) << diagnostics.render();
  const SourceSpec& in = *pipeline->sources.find("in");
  EXPECT_EQ(in.file->value, "in.jsonl");
  EXPECT_FALSE(in.topic);
  EXPECT_EQ(in.start.at, StartAt::timestamp);
  EXPECT_EQ(in.start.timestamp_ms, 1767225600000);
  EXPECT_EQ(in.client.find("fetch.wait.max.ms")->value, "10");
  EXPECT_EQ(pipeline->sinks.find("out")->headers.find("h")->value, "NULL");
  EXPECT_EQ(pipeline->shards.count, 2);
  EXPECT_EQ(effective_on_error(in.format.on_error, *pipeline), OnError::fail);
}

TEST(Pipeline, JoinKeysMayDifferAndBoundsMayBeNegative) {
  Diagnostics diagnostics;
  const auto pipeline = parse_pipeline(R"(version: 1
name: j
sources:
  a: { file: a.jsonl, format: { type: json }, fields: { x: int64 } }
  b: { file: b.jsonl, format: { type: json }, fields: { y: int64 } }
steps:
  ab: { interval_join: { left: a, right: b, pairs: [[left.x, right.y]], between: [-10s, 10s], time: right, where: left.x > 1 } }
  both: { from: [ab, ab], where: x > 1 }
sinks:
  out: { from: both, topic: { east: o, west: w.o }, clusters: { pair: [east, west] }, format: { type: json } }
)",
                                       "f.yaml", {}, diagnostics);
  ASSERT_TRUE(pipeline) << diagnostics.render();
  const IntervalJoinSpec& join = *pipeline->steps.find("ab")->interval_join;
  EXPECT_EQ(join.on[0].left.value, "left.x");
  EXPECT_EQ(join.on[0].right.value, "right.y");
  EXPECT_EQ(join.between.lower, milliseconds(-10'000));
  EXPECT_EQ(join.time.value, JoinTime::right);
  EXPECT_EQ(pipeline->steps.find("both")->from->ids.size(), 2u);
  EXPECT_EQ(pipeline->sinks.find("out")->topic->on("west"), "w.o");
}

}  // namespace
}  // namespace twinspan::config
