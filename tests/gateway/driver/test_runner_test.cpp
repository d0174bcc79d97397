// Whole pipelines in virtual time: what each step of a test does, and what a failing one says.
#include "gateway/driver/test_runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "gateway/command_test.h"
#include "gateway/load.h"

namespace twinspan::gateway {
namespace {

using ::testing::HasSubstr;

constexpr const char* kPipeline = R"y(version: 1
name: p
sources:
  ev:
    topic: t
    clusters: { pair: [east, west] }
    fields: { k: string, n: int64, ts: timestamp }
    event_time: { field: ts, out_of_order: 1s, idle_after: 20s }
    on_cluster_down: { hold_watermark: 30s }
steps:
  w: { from: ev, window: { tumbling: 10s }, key: [k], aggregate: { c: count(*), s: sum(n) } }
sinks:
  out: { from: w, topic: o, clusters: east, key: k }
dead_letter: { topic: d, clusters: east }
tests:
  - name: it
    steps:
)y";

std::unique_ptr<config::PipelineSpec> loaded(const std::string& text) {
  config::Diagnostics diagnostics;
  auto p = load_pipeline(text, "p.yaml", nullptr, {}, diagnostics);
  EXPECT_TRUE(p) << diagnostics.render();
  return p ? std::move(p->spec) : nullptr;
}

// What the one test says; empty: it passed.
std::string run(const std::string& steps, TestVariant variant = {}, const std::string& pipeline = kPipeline) {
  const auto spec = loaded(pipeline + steps);
  if (spec == nullptr) return "not valid";
  TestedFile file{"p.yaml", {run_test(*spec, spec->tests.at(0), variant)}};
  return test_text(file, true);
}

std::string thorough(const std::string& steps, const std::string& pipeline = kPipeline) {
  const auto spec = loaded(pipeline + steps);
  if (spec == nullptr) return "not valid";
  return test_text({"p.yaml", {run_thoroughly(*spec, spec->tests.at(0))}}, true);
}

constexpr const char* kTwoRows = R"y(      - send: { ev@east: [{ k: a, n: 1, ts: "2026-01-01T00:00:01Z" }] }
      - send: { ev@west: [{ k: a, n: 2, ts: "2026-01-01T00:00:02Z" }] }
)y";

TEST(TestRunner, ARunThatIsAsExpectedSaysNothing) {
  EXPECT_EQ(thorough(std::string(kTwoRows) + R"y(      - expect: { out: [] }
      - watermark: "2026-01-01T00:00:10Z"
      - expect: { out: [{ k: a, c: 2, s: 3, _key: a, window_end: "2026-01-01T00:00:10Z" }] }
)y"),
            "");
}

TEST(TestRunner, ADifferenceIsShownFieldByField) {
  EXPECT_EQ(run(std::string(kTwoRows) + R"y(      - watermark: "2026-01-01T00:00:10Z"
      - expect: { out: [{ k: a, c: 2, s: 4 }, { k: b }] }
)y"),
            R"t(FAIL  it
  p.yaml:21:25: sink 'out': 2 rows expected, 1 came
      line 21   expected   actual
      k         a          a
      c         2          2
    * s         4          3
      beside them: window_start: 2026-01-01T00:00:00Z, window_end: 2026-01-01T00:00:10Z
    missing          { k: b }   (line 21)
)t");
}

TEST(TestRunner, RowsNobodyExpectedAreShown) {
  EXPECT_THAT(run(std::string(kTwoRows) + "      - watermark: \"2026-01-01T00:00:10Z\"\n      - expect: { out: [] }\n"),
              HasSubstr("nobody expected  { k: a, window_start: 2026-01-01T00:00:00Z"));
}

TEST(TestRunner, CountIsExact) {
  EXPECT_EQ(run(std::string(kTwoRows) +
                "      - watermark: \"2026-01-01T00:00:10Z\"\n      - expect: { out: { count: 1 } }\n"),
            "");
  EXPECT_THAT(run(std::string(kTwoRows) +
                  "      - watermark: \"2026-01-01T00:00:10Z\"\n      - expect: { out: { count: 2 } }\n"),
              HasSubstr("p.yaml:21:33: sink 'out': 2 rows expected, 1 came"));
}

TEST(TestRunner, EachExpectationLooksAtWhatIsNew) {
  EXPECT_EQ(thorough(std::string(kTwoRows) + R"y(      - watermark: "2026-01-01T00:00:10Z"
      - expect: { out: [{ c: 2 }] }
      - expect: { out: [] }
      - send: { ev@west: [{ k: b, n: 5, ts: "2026-01-01T00:00:12Z" }] }
      - watermark: "2026-01-01T00:00:20Z"
      - expect: { out: [{ k: b, s: 5 }] }
)y"),
            "");
}

TEST(TestRunner, LateRowsAreCountedAlsoAcrossARestart) {
  const std::string steps = std::string(kTwoRows) + R"y(      - watermark: "2026-01-01T00:00:10Z"
      - send: { ev@east: [{ k: a, n: 9, ts: "2026-01-01T00:00:03Z" }] }
      - restart
      - send: { ev@east: [{ k: a, n: 9, ts: "2026-01-01T00:00:04Z" }] }
      - expect_late: { w: 2 }
      - expect_late: { w: 0 }
)y";
  EXPECT_EQ(thorough(steps), "");
  EXPECT_THAT(run(std::string(kTwoRows) + "      - expect_late: { w: 1 }\n"),
              HasSubstr("p.yaml:20:24: step 'w': 1 late rows expected, 0 came"));
}

TEST(TestRunner, DeadLettersByCountOrByTheirParts) {
  const std::string send = R"y(      - send: { ev@east: ["oops", { k: a, n: x, ts: "2026-01-01T00:00:01Z" }] }
)y";
  EXPECT_EQ(thorough(send + "      - expect_dead_letters: 2\n"), "");
  EXPECT_EQ(thorough(send + R"y(      - expect_dead_letters:
          - { stage: ev, payload: "oops", origin: east/t/0/0 }
          - { reason: 'field "n"', origin: east/t/0/1 }
)y"),
            "");
  const std::string wrong = run(send + "      - expect_dead_letters: [{ stage: w }, { payload: oops }]\n");
  EXPECT_THAT(wrong, HasSubstr("missing: the letter of line 19"));
  EXPECT_THAT(wrong, HasSubstr("origin east/t/0/1, payload {\"k\":\"a\",\"n\":\"x\""));
}

TEST(TestRunner, DeadLettersThatNobodyExpectsFailTheTest) {
  EXPECT_THAT(run("      - send: { ev: [\"oops\"] }\n"),
              HasSubstr("p.yaml:16:11: 1 dead letters that no step expects"));
}

TEST(TestRunner, WatermarksOfSourcesAndSteps) {
  EXPECT_EQ(thorough(R"y(      - expect_watermark: { ev: none, w: none }
      - send: { ev@east: [{ k: a, ts: "2026-01-01T00:00:05Z" }] }
      - expect_watermark: { ev: none }
      - send: { ev@west: [{ k: a, ts: "2026-01-01T00:00:07Z" }] }
      - expect_watermark: { ev: "2026-01-01T00:00:03.999Z" }
      - watermark: { ev@east: "2026-01-01T00:00:30Z" }
      - expect_watermark: { ev: "2026-01-01T00:00:05.999Z" }
      - watermark: "2026-01-01T00:00:40Z"
      - expect_watermark: { ev: "2026-01-01T00:00:40Z", w: { firing: "2026-01-01T00:00:40Z", retention: "2026-01-01T00:00:40Z" } }
)y"),
            "");
  EXPECT_THAT(run("      - expect_watermark: { ev: \"2026-01-01T00:00:40Z\" }\n"),
              HasSubstr("firing watermark of 'ev': 2026-01-01T00:00:40Z expected, it is none"));
}

TEST(TestRunner, AnIdleLaneIsLeftBehindAndTheOthersGoOn) {
  EXPECT_EQ(thorough(std::string(kTwoRows) + R"y(      - send: { ev@west: [{ k: a, n: 1, ts: "2026-01-01T00:00:15Z" }] }
      - expect: { out: [] }
      - idle: ev@east
      - expect: { out: [{ k: a, c: 2 }] }
      - expect_watermark: { ev: "2026-01-01T00:00:13.999Z" }
)y"),
            "");
}

TEST(TestRunner, WhenAllLanesAreIdleEventTimeStays) {
  EXPECT_EQ(thorough(std::string(kTwoRows) + R"y(      - advance: 10m
      - expect: { out: [] }
      - watermark: "2026-01-01T00:00:10Z"
      - expect: { out: [{ k: a, c: 2 }] }
)y"),
            "");
}

TEST(TestRunner, ALostClusterHoldsEventTimeThenGoesAndComesBack) {
  EXPECT_EQ(thorough(std::string(kTwoRows) + R"y(      - cluster_down: east
      - send: { ev@east: [{ k: a, n: 7, ts: "2026-01-01T00:00:03Z" }] }
      - watermark: "2026-01-01T00:00:20Z"
      - expect: { out: [] }
      - watermark: "2026-01-01T00:02:00Z"
      - expect: { out: [{ k: a, c: 2, s: 3, _final: false }] }
      - cluster_up: east
      - watermark: "2026-01-01T00:02:10Z"
      - expect: { out: [{ k: a, c: 3, s: 10, _final: true }] }
)y"),
            "");
}

TEST(TestRunner, ACrashGoesBackToTheLastCheckpoint) {
  EXPECT_EQ(thorough(R"y(      - send: { ev: [{ k: a, n: 1, ts: "2026-01-01T00:00:01Z" }] }
      - checkpoint
      - send: { ev: [{ k: a, n: 2, ts: "2026-01-01T00:00:02Z" }] }
      - watermark: "2026-01-01T00:00:10Z"
      - expect: { out: [{ k: a, c: 2, s: 3 }] }
      - restart: { crash: true, shards: 2 }
      - watermark: "2026-01-01T00:00:10Z"
      - expect: { out: [{ k: a, c: 2, s: 3 }] }
)y"),
            "");
}

TEST(TestRunner, APauseKeepsRowsBack) {
  EXPECT_EQ(thorough(R"y(      - pause
      - send: { ev: [{ k: a, n: 1, ts: "2026-01-01T00:00:01Z" }] }
      - resume
      - watermark: "2026-01-01T00:00:10Z"
      - expect: { out: [{ k: a, c: 1 }] }
)y"),
            "");
}

TEST(TestRunner, TheEndFiresEverything) {
  EXPECT_EQ(thorough(std::string(kTwoRows) + "      - end\n      - expect: { out: [{ k: a, c: 2 }] }\n"), "");
}

TEST(TestRunner, AStoppedPipelineFailsTheTestUnlessExpected) {
  std::string pipeline = kPipeline;
  pipeline.replace(pipeline.find("dead_letter: { topic: d, clusters: east }\n"), 42, "\n");
  const std::string send = "      - send: { ev: [\"oops\"] }\n";
  EXPECT_THAT(run(send + "      - advance: 1s\n      - expect_failure: oops\n", {}, pipeline),
              HasSubstr("p.yaml:18:9: the pipeline stopped: 'ev' could not use record"));
  EXPECT_EQ(
      thorough(send + "      - expect: { out: [] }\n      - expect_failure: \"could not use record\"\n", pipeline), "");
  EXPECT_THAT(run(send + "      - expect_failure: overflow\n", {}, pipeline), HasSubstr("stopped for another reason"));
  EXPECT_THAT(run("      - expect_failure: x\n", {}, pipeline), HasSubstr("expected to stop, and it runs"));
}

TEST(TestRunner, TheClockBeginsWithTheFirstEventTimeOrAsWritten) {
  // max_future is an hour: beyond it a row is not believed.
  const std::string ahead = R"y(      - send: { ev: [{ k: a, ts: "2031-01-01T00:00:00Z" }] }
      - send: { ev: [{ k: a, ts: "2031-01-01T01:00:01Z" }] }
      - expect_dead_letters: [{ reason: "more than max_future ahead" }]
)y";
  EXPECT_EQ(thorough(ahead), "");
  std::string pipeline = kPipeline;
  pipeline.replace(pipeline.find("    steps:\n"), 11, "    clock: \"2031-01-01T00:30:00Z\"\n    steps:\n");
  EXPECT_THAT(run(ahead, {}, pipeline), HasSubstr("1 dead letters expected, 0 came"));
}

TEST(TestRunner, FilesAreSourcesAndSinksToo) {
  EXPECT_EQ(thorough(R"y(version: 1
name: f
sources: { ev: { file: in.jsonl, fields: { k: string, ts: timestamp }, event_time: { field: ts } } }
steps: { w: { from: ev, window: { tumbling: 10s }, key: [k], aggregate: { c: count(*) } } }
sinks: { out: { from: w, file: out.jsonl } }
dead_letter: { file: dead.jsonl }
tests:
  - name: it
    steps:
      - send: { ev: [{ k: a, ts: "2026-01-01T00:00:01Z" }, "bad"] }
      - expect_dead_letters: [{ stage: ev, payload: bad }]
      - end
      - expect: { out: [{ k: a, c: 1 }] }
)y",
                     ""),
            "");
}

TEST(TestRunner, AFailureUnderAVariantSaysWhich) {
  const std::string text = run("      - send: { ev: [\"oops\"] }\n", {2, 7, 0, 3});
  EXPECT_THAT(text, HasSubstr("with batch 7, 2 shards, restored at the start with 3"));
}

TEST(TestRunner, ExpectedFieldsMustExist) {
  config::Diagnostics diagnostics;
  EXPECT_FALSE(load_pipeline(std::string(kPipeline) + "      - expect: { out: [{ kk: a }] }\n", "p.yaml", nullptr, {},
                             diagnostics));
  EXPECT_THAT(diagnostics.render(), HasSubstr("p.yaml:18:27: error[T0513]: sink 'out' has no field 'kk'"));
  EXPECT_THAT(diagnostics.render(), HasSubstr("did you mean 'k'?"));
}

TEST(JUnit, HasASuiteAFileAndEscapesText) {
  TestResult good, bad;
  good.name = "a < b";
  good.at = {4, 3};
  bad.name = "c & d";
  bad.failures.push_back({{9, 2}, "one \"thing\"", "    x <> y\n"});
  EXPECT_EQ(junit_text({{"p.yaml", {good, bad}}}), R"x(<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="twinspan test">
  <testsuite name="p.yaml" tests="2" failures="1" time="0.000">
    <testcase classname="p.yaml" name="a &lt; b" file="p.yaml" line="4" time="0.000"/>
    <testcase classname="p.yaml" name="c &amp; d" file="p.yaml" line="0" time="0.000">
      <failure message="one &quot;thing&quot;">p.yaml:9:2
    x &lt;&gt; y
</failure>
    </testcase>
  </testsuite>
</testsuites>
)x");
}

}  // namespace
}  // namespace twinspan::gateway
