// The `tests:` block: what is read, and every mistake at its place.
#include "config/parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

namespace twinspan::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// 18 lines; the steps of the one test begin on line 19.
constexpr const char* kPipeline = R"y(version: 1
name: p
sources:
  ev:
    topic: t
    clusters: { pair: [east, west] }
    fields: { k: string, n: int64, ts: timestamp_ms }
    event_time: { field: ts }
  lines: { file: in.jsonl, fields: { k: string, n: int64, ts: timestamp_ms } }
steps:
  all: { from: [ev, lines] }
  w: { from: all, window: { tumbling: 10s }, key: [k], aggregate: { c: count(*) } }
sinks:
  out: { from: w, topic: o, clusters: east }
dead_letter: { topic: d, clusters: east }
tests:
  - name: it
    steps:
)y";

struct Parsed {
  std::optional<PipelineSpec> spec;
  std::vector<std::string> problems;  // "T0502@19:17"
  std::string text;
};

Parsed parse(const std::string& steps, std::string pipeline = kPipeline) {
  Parsed out;
  Diagnostics diagnostics;
  out.spec = parse_pipeline(pipeline + steps, "p.yaml", {}, diagnostics);
  for (const Diagnostic& d : diagnostics.all())
    out.problems.push_back(fmt::format("{}@{}:{}", d.code, d.line, d.column));
  out.text = diagnostics.render();
  return out;
}

TEST(TestsBlock, EveryActionIsRead) {
  const Parsed p = parse(R"y(      - send: { ev@west/3: [{ k: a, n: 1 }, "raw", ~], lines: [{ k: b }] }
      - watermark: "2026-01-01T00:00:10Z"
      - watermark: { ev@east: "2026-01-01T00:00:20Z", lines: "2026-01-01T00:00:30Z" }
      - advance: 1m
      - cluster_down: east
      - cluster_up: east
      - idle: ev@west
      - checkpoint
      - checkpoint:
      - restart
      - restart: { shards: 3, crash: true }
      - pause
      - resume
      - expect: { out: [{ k: a, c: 1 }] }
      - expect: { out: { contains: [{ k: a }], count: 3, ordered: true } }
      - expect_late: { w: 2 }
      - expect_dead_letters: 1
      - expect_dead_letters: [{ stage: ev, reason: "field" }]
      - expect_watermark: { ev: "2026-01-01T00:00:09.999Z", w: none }
      - expect_watermark: { ev: { firing: "2026-01-01T00:00:10Z" } }
      - expect_failure: overflow
      - end
)y");
  ASSERT_THAT(p.problems, IsEmpty()) << p.text;
  ASSERT_EQ(p.spec->tests.size(), 1u);
  const auto& steps = p.spec->tests[0].steps;
  ASSERT_EQ(steps.size(), 22u);
  ASSERT_EQ(steps[0].send_lanes.size(), 2u);
  EXPECT_EQ(steps[0].send_lanes[0].source, "ev");
  EXPECT_EQ(steps[0].send_lanes[0].cluster, "west");
  EXPECT_EQ(steps[0].send_lanes[0].partition, 3);
  EXPECT_EQ(steps[0].send.entries[0].value.size(), 3u);
  EXPECT_EQ(steps[0].send_lanes[1].cluster, "file");
  EXPECT_EQ(steps[1].watermark.all->value.ms, 1'767'225'610'000);
  EXPECT_EQ(steps[2].watermark_lanes.size(), 2u);
  EXPECT_EQ(steps[3].advance, std::chrono::minutes(1));
  EXPECT_EQ(steps[4].cluster.value, "east");
  EXPECT_EQ(steps[5].cluster.value, "east");
  EXPECT_EQ(steps[6].idle_lane.cluster, "west");
  EXPECT_TRUE(steps[7].is("checkpoint"));
  EXPECT_TRUE(steps[8].is("checkpoint"));
  EXPECT_FALSE(steps[9].restart.crash);
  EXPECT_EQ(steps[10].restart.shards, 3);
  EXPECT_TRUE(steps[10].restart.crash);
  EXPECT_EQ(steps[13].expect.entries[0].value.rows->size(), 1u);
  EXPECT_EQ(steps[14].expect.entries[0].value.contains.size(), 1u);
  EXPECT_EQ(steps[14].expect.entries[0].value.count->value, 3);
  EXPECT_TRUE(steps[14].expect.entries[0].value.ordered);
  EXPECT_EQ(steps[15].expect_late.entries[0].value.value, 2);
  EXPECT_EQ(steps[16].expect_dead_letters.count, 1);
  EXPECT_EQ(steps[17].expect_dead_letters.letters[0].reason->value, "field");
  EXPECT_TRUE(steps[18].expect_watermark.find("w")->none);
  EXPECT_EQ(steps[18].expect_watermark.find("ev")->retention->ms, 1'767'225'609'999);
  EXPECT_FALSE(steps[19].expect_watermark.find("ev")->retention);
  EXPECT_EQ(steps[20].expect_failure.value, "overflow");
}

TEST(TestsBlock, ASourceWithoutAClusterIsItsFirst) {
  const Parsed p = parse("      - send: { ev: [{ k: a }] }\n");
  ASSERT_TRUE(p.spec) << p.text;
  EXPECT_EQ(p.spec->tests[0].steps[0].send_lanes[0].cluster, "east");
  EXPECT_EQ(p.spec->tests[0].steps[0].send_lanes[0].partition, 0);
}

struct Mistake {
  const char* name;
  const char* steps;
  std::vector<std::string> problems;
  const char* says;
};

class Mistakes : public ::testing::TestWithParam<Mistake> {};

TEST_P(Mistakes, StandAtTheirPlace) {
  const Parsed p = parse(GetParam().steps);
  EXPECT_EQ(p.problems, GetParam().problems) << p.text;
  EXPECT_THAT(p.text, HasSubstr(GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(
    TestsBlock, Mistakes,
    ::testing::Values(
        Mistake{"Misspelt", "      - sent: { ev: [] }\n", {"T0201@19:9"}, "did you mean 'send'?"},
        Mistake{"MisspeltWord", "      - checkpont\n", {"T0201@19:9"}, "did you mean 'checkpoint'?"},
        Mistake{"WordWithoutValue", "      - send\n", {"T0205@19:9"}, "'send' needs a value"},
        Mistake{"TwoThings", "      - advance: 1s\n        checkpoint:\n", {"T0501@20:9"}, "does one thing, not 2"},
        Mistake{"NoSource", "      - send: { evt@east: [{ k: a }] }\n", {"T0502@19:17"}, "did you mean 'ev'?"},
        Mistake{"NoLane", "      - send: { ev@east/x: [{ k: a }] }\n", {"T0502@19:17"}, "source@cluster/partition"},
        Mistake{"OtherCluster", "      - send: { ev@north: [{ k: a }] }\n", {"T0503@19:20"}, "not on cluster 'north'"},
        Mistake{"FilePartition", "      - send: { lines/1: [{ k: a }] }\n", {"T0503@19:17"}, "one partition, 0"},
        Mistake{"NoSuchClusterDown", "      - cluster_down: north\n", {"T0503@19:23"}, "no source is on cluster"},
        Mistake{"DownTwice",
                "      - cluster_down: east\n      - cluster_down: east\n",
                {"T0509@20:23"},
                "is down already"},
        Mistake{"UpWithoutDown", "      - cluster_up: west\n", {"T0509@19:21"}, "is up already"},
        Mistake{"NoSink", "      - expect: { ou: [] }\n", {"T0504@19:19"}, "did you mean 'out'?"},
        Mistake{"NoStep", "      - expect_late: { ww: 1 }\n", {"T0504@19:24"}, "did you mean 'w'?"},
        Mistake{"NeverLate", "      - expect_late: { all: 1 }\n", {"T0504@19:24"}, "nothing is late for step 'all'"},
        Mistake{"NoWatermark", "      - expect_watermark: { out: none }\n", {"T0504@19:29"}, "no source or step"},
        Mistake{"AfterTheEnd", "      - end\n      - advance: 1s\n", {"T0507@20:9"}, "the input has ended"},
        Mistake{
            "RowIsAList", "      - send: { ev: [[1, 2]] }\n", {"T0510@19:22"}, "a row is a map of fields, or a text"},
        Mistake{"ExpectedRowIsAText", "      - expect: { out: [a] }\n", {"T0510@19:25"}, "an expected row is a map"},
        Mistake{"UnknownPart", "      - send: { ev: [{ _offset: 1 }] }\n", {"T0510@19:24"}, "'_offset' cannot be sent"},
        Mistake{"UnknownField", "      - send: { ev: [{ nn: 1 }] }\n", {"T0511@19:24"}, "did you mean 'n'?"},
        Mistake{"RowsAndContains",
                "      - expect: { out: { rows: [], contains: [{ k: a }] } }\n",
                {"T0212@19:24"},
                "not both"},
        Mistake{
            "NothingExpected", "      - expect: { out: { ordered: true } }\n", {"T0205@19:24"}, "nothing is expected"},
        Mistake{"CountIsNotRows",
                "      - expect: { out: { rows: [{ k: a }], count: 2 } }\n",
                {"T0512@19:51"},
                "1 rows are listed, and count is 2"},
        Mistake{"NoTime", "      - watermark: later\n", {"T0210@19:20"}, "2026-01-01T00:00:00Z"},
        Mistake{"NoUnit", "      - advance: 10\n", {"T0207@19:18"}, "10"},
        Mistake{"BareWithValue", "      - checkpoint: now\n", {"T0203@19:21"}, "takes no value"},
        Mistake{
            "UnknownLetterPart", "      - expect_dead_letters: [{ why: x }]\n", {"T0201@19:33"}, "unknown key 'why'"}),
    [](const auto& info) { return info.param.name; });

TEST(TestsBlock, NamesAreGivenOnce) {
  const Parsed p = parse("      - end\n  - name: it\n    steps: [end]\n");
  EXPECT_THAT(p.problems, ElementsAre("T0506@20:11"));
}

TEST(TestsBlock, LettersNeedASinkForThem) {
  std::string without = kPipeline;
  without.replace(without.find("dead_letter: { topic: d, clusters: east }\n"), 42, "\n");
  const Parsed p = parse("      - expect_dead_letters: 1\n", without);
  EXPECT_THAT(p.problems, ElementsAre("T0508@19:9"));
}

}  // namespace
}  // namespace twinspan::config
