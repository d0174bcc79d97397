// Every error of a document's content, each at its exact place. The documents are whole and small, so that a line here
// is a line in the file; `GivesItsCodeAtItsPlace` also proves that one mistake gives one error.

#include "config/parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace twinspan::config {
namespace {

// Line 1-2 head, line 3 the source, line 4 the steps, line 5 the sink; each case replaces or appends lines.
struct Parts {
  std::string head = "version: 1\nname: p\n";
  std::string source = "sources: { in: { file: i, format: { type: json }, fields: { a: int64, ts: timestamp_ms } } }\n";
  std::string steps = "steps: { s: { from: in } }\n";
  std::string sink = "sinks: { out: { from: s, file: o, format: { type: json } } }\n";
  std::string more = "";

  std::string text() const { return head + source + steps + sink + more; }
};

struct BadPipeline {
  const char* name;
  Parts parts;
  const char* code;
  int line, column;
  Severity severity = Severity::error;
};

ServiceSpec two_clusters() {
  Diagnostics diagnostics;
  return *parse_service("clusters: { east: { bootstrap: ['e:1'] }, west: { bootstrap: ['w:1'] } }", "s.yaml", {},
                        diagnostics);
}

class WrongPipeline : public ::testing::TestWithParam<BadPipeline> {};

TEST_P(WrongPipeline, GivesItsCodeAtItsPlace) {
  const BadPipeline& bad = GetParam();
  const ServiceSpec service = two_clusters();
  Diagnostics diagnostics;
  const auto pipeline = parse_pipeline(bad.parts.text(), "p.yaml", {.service = &service}, diagnostics);
  EXPECT_EQ(pipeline.has_value(), bad.severity == Severity::warning);
  ASSERT_EQ(diagnostics.all().size(), 1u) << diagnostics.render();
  const Diagnostic& d = diagnostics.all().front();
  EXPECT_EQ(d.severity, bad.severity);
  EXPECT_EQ(d.code, bad.code) << diagnostics.render();
  EXPECT_EQ(d.line, bad.line) << diagnostics.render();
  EXPECT_EQ(d.column, bad.column) << diagnostics.render();
}

const char* const kKafkaSource =
    "sources: { in: { topic: t, clusters: west, format: { type: json }, fields: { a: int64 }, ";

INSTANTIATE_TEST_SUITE_P(
    All, WrongPipeline,
    ::testing::Values(
        BadPipeline{"ReferenceNotClosed", {.more = "state: { backend: '${env:X' }\n"}, "T0120", 6, 20},
        BadPipeline{"ReferenceOfNoKind", {.head = "version: 1\nname: \"p${environment:X}\"\n"}, "T0120", 2, 9},
        BadPipeline{"EnvironmentNotAllowed", {.head = "version: 1\nname: ${env:X}\n"}, "T0125", 2, 7},
        BadPipeline{
            "SecretInAPipeline", {.steps = "steps: { s: { from: in, where: \"${secret:kafka}\" } }\n"}, "T0125", 4, 33},
        BadPipeline{
            "ReferenceInAKey", {.steps = "steps: { s: { from: in, let: { \"${param:x}\": '1' } } }\n"}, "T0125", 4, 32},
        BadPipeline{"ParamNotDeclared",
                    {.head = "version: 1\nname: p\nparams: { day: { type: duration, default: 1d } }\n",
                     .steps = "steps: { s: { from: in, where: \"${param:dya}\" } }\n"},
                    "T0123",
                    5,
                    33},
        BadPipeline{"ParamWithoutValue", {.more = "params: { day: { type: duration } }\n"}, "T0124", 6, 11},
        BadPipeline{
            "ParamOfAnotherType", {.more = "params: { day: { type: duration, default: 1x } }\n"}, "T0128", 6, 43},
        BadPipeline{"NotInThisVersion", {.more = "priority: 5\n"}, "T0190", 6, 1},
        BadPipeline{"WordNotInThisVersion",
                    {.source = "sources: { in: { topic: t, clusters: { pair: [east, west], mode: mirror }, format: { "
                               "type: json }, fields: { a: int64 } } }\n"},
                    "T0190",
                    3,
                    66},
        BadPipeline{"StartAtGroupNotInThisVersion",
                    {.source = std::string(kKafkaSource) + "start: group:x } }\n"},
                    "T0190",
                    3,
                    97},
        BadPipeline{"EverySlideLongerThanTheWindow",
                    {.steps = "steps: { s: { from: in, window: { sliding: 5s, every: 6s }, aggregate: { n: count(*) } "
                              "} }\n"},
                    "T0305",
                    4,
                    55},
        BadPipeline{"GlobalWindowThatNeverSpeaks",
                    {.steps = "steps: { s: { from: in, window: { global: true }, aggregate: { n: count(*) } } }\n"},
                    "T0202",
                    4,
                    43},
        BadPipeline{"SlidingByTheWallClock",
                    {.steps = "steps: { s: { from: in, window: { sliding: 5s, every: 1s }, emit: { every: 1s, clock: "
                              "wall }, aggregate: { n: count(*) } } }\n"},
                    "T0212",
                    4,
                    87},
        BadPipeline{"NothingIsLateInProcessingTime",
                    {.steps = "steps: { s: { from: in, window: { tumbling: 5s, time: processing }, late: { allow: 1s "
                              "}, aggregate: { n: count(*) } } }\n"},
                    "T0212",
                    4,
                    55},
        BadPipeline{"SkewInProcessingTime",
                    {.steps = "steps: { s: { from: in, window: { tumbling: 5s, time: processing }, skew: { split_keys: "
                              "auto }, aggregate: { n: count(*) } } }\n"},
                    "T0212",
                    4,
                    55},
        BadPipeline{"SkewWithoutAWindow",
                    {.steps = "steps: { s: { from: in, skew: { split_keys: auto } } }\n"},
                    "T0311",
                    4,
                    10},
        BadPipeline{"SkewOfAWindowFunction",
                    {.steps = "steps: { s: { from: in, window: { tumbling: 5s }, skew: { split_keys: 3 }, apply: "
                              "\"f(a)\" } }\n"},
                    "T0212",
                    4,
                    83},
        BadPipeline{"NoKeyToSplit",
                    {.steps = "steps: { s: { from: in, window: { tumbling: 5s }, skew: { split_keys: 0 }, aggregate: { "
                              "n: count(*) } } }\n"},
                    "T0206",
                    4,
                    71},
        BadPipeline{"SplitKeysOfNoWord",
                    {.steps = "steps: { s: { from: in, window: { tumbling: 5s }, skew: { split_keys: all }, aggregate: "
                              "{ n: count(*) } } }\n"},
                    "T0203",
                    4,
                    71},
        BadPipeline{
            "RocksdbHasNoEffectYet", {.more = "state: { backend: rocksdb }\n"}, "T0191", 6, 19, Severity::warning},
        BadPipeline{"UnknownKey", {.more = "checkpont: { every: 1s }\n"}, "T0201", 6, 1},
        BadPipeline{"UnknownKeyWasTheMissingOne",
                    {.sink = "sinks: { out: { form: s, file: o, format: { type: json } } }\n"},
                    "T0201",
                    5,
                    17},
        BadPipeline{"MissingKey", {.head = "version: 1\n"}, "T0202", 1, 1},
        BadPipeline{"MissingFrom",
                    {.sink = "sinks: { out: { from: s, file: o, format: { type: json } }, x: { file: y, format: { "
                             "type: json } } }\n"},
                    "T0202",
                    5,
                    61},
        BadPipeline{"MissingClusters",
                    {.source = "sources: { in: { topic: t, format: { type: json }, fields: { a: int64 } } }\n"},
                    "T0202",
                    3,
                    12},
        BadPipeline{"MissingTopic", {.sink = "sinks: { out: { from: s, format: { type: json } } }\n"}, "T0202", 5, 10},
        BadPipeline{"MissingInput", {.steps = "steps: { s: { where: a > 1 } }\n"}, "T0202", 4, 10},
        BadPipeline{"MissingJoinKey",
                    {.steps = "steps: { s: { interval_join: { left: in, right: in, between: [0s, 1s] } } }\n"},
                    "T0202",
                    4,
                    10},
        BadPipeline{
            "MissingAggregate", {.steps = "steps: { s: { from: in, window: { tumbling: 1s } } }\n"}, "T0202", 4, 10},
        BadPipeline{"ListForAMap", {.more = "checkpoint: [1s]\n"}, "T0203", 6, 13},
        BadPipeline{"MapForAText", {.steps = "steps: { s: { from: in, where: { a: 1 } } }\n"}, "T0203", 4, 32},
        BadPipeline{"TextForANumber", {.head = "version: one\nname: p\n"}, "T0203", 1, 10},
        BadPipeline{"QuotedNumber", {.head = "version: '1'\nname: p\n"}, "T0203", 1, 10},
        BadPipeline{"OctalNumber", {.more = "shards: 010\n"}, "T0203", 6, 9},
        BadPipeline{"UnknownWord", {.steps = "steps: { s: { from: in, on_error: skp } }\n"}, "T0204", 4, 35},
        BadPipeline{"NothingGiven", {.steps = "steps:\n  s:\n    from: in\n    where:\n"}, "T0205", 7, 5},
        BadPipeline{"EmptyFields",
                    {.source = "sources: { in: { file: i, format: { type: json }, fields: {} } }\n"},
                    "T0205",
                    3,
                    59},
        BadPipeline{"EmptyUnion", {.steps = "steps: { s: { from: [] } }\n"}, "T0205", 4, 21},
        BadPipeline{"TooSmall", {.more = "checkpoint: { every: 10ms }\n"}, "T0206", 6, 22},
        BadPipeline{"TooLarge", {.more = "shards: 1000\n"}, "T0206", 6, 9},
        BadPipeline{"AnotherVersionOfTheLanguage", {.head = "version: 2\nname: p\n"}, "T0206", 1, 10},
        BadPipeline{"BareNumber", {.more = "checkpoint: { every: 10 }\n"}, "T0207", 6, 22},
        BadPipeline{
            "BareSize", {.steps = "steps: { s: { from: in, max_state: { bytes: 1000000000 } } }\n"}, "T0207", 4, 45},
        BadPipeline{"BadUnit", {.more = "checkpoint: { every: 10sec }\n"}, "T0208", 6, 22},
        BadPipeline{"BadId",
                    {.steps = "steps: { s: { from: in }, Big: { from: s } }\n",
                     .sink = "sinks: { out: { from: Big, file: o, format: { type: json } } }\n"},
                    "T0209",
                    4,
                    27},
        BadPipeline{"BadName", {.head = "version: 1\nname: 'My job'\n"}, "T0209", 2, 7},
        BadPipeline{
            "BadTopic",
            {.source =
                 "sources: { in: { topic: a b, clusters: west, format: { type: json }, fields: { a: int64 } } }\n"},
            "T0209",
            3,
            25},
        BadPipeline{"BadStart", {.source = std::string(kKafkaSource) + "start: yesterday } }\n"}, "T0210", 3, 97},
        BadPipeline{"PairOfOne",
                    {.source = "sources: { in: { topic: t, clusters: { pair: [east] }, format: { type: json }, fields: "
                               "{ a: int64 } } }\n"},
                    "T0211",
                    3,
                    46},
        BadPipeline{"PairOfTheSame",
                    {.source = "sources: { in: { topic: t, clusters: { pair: [east, east] }, format: { type: json }, "
                               "fields: { a: int64 } } }\n"},
                    "T0211",
                    3,
                    53},
        BadPipeline{"IntervalOfOne",
                    {.steps = "steps: { s: { interval_join: { left: in, right: in, on: [a], between: [0s] } } }\n"},
                    "T0211",
                    4,
                    71},
        BadPipeline{"FileAndTopic",
                    {.source = "sources: { in: { topic: t, clusters: west, file: i, format: { type: json }, fields: { "
                               "a: int64 } } }\n"},
                    "T0212",
                    3,
                    50},
        BadPipeline{
            "TumblingWithEvery",
            {.steps = "steps: { s: { from: in, window: { tumbling: 10s, every: 1s }, aggregate: { n: count(*) } } }\n"},
            "T0212",
            4,
            57},
        BadPipeline{"SemiJoinWithMatches",
                    {.steps = "steps: { s: { interval_join: { left: in, right: in, on: [a], between: [0s, 1s], type: "
                              "semi, matches: first } } }\n"},
                    "T0312",
                    4,
                    102},
        BadPipeline{"AntiJoinWithTheTimeOfTheRight",
                    {.steps = "steps: { s: { interval_join: { left: in, right: in, on: [a], between: [0s, 1s], type: "
                              "anti, time: right } } }\n"},
                    "T0312",
                    4,
                    99},
        BadPipeline{"InnerJoinWithUnmatchedRows",
                    {.steps = "steps: { s: { interval_join: { left: in, right: in, on: [a], between: [0s, 9s], "
                              "emit_unmatched_after: 1s } } }\n"},
                    "T0312",
                    4,
                    103},
        BadPipeline{"UnmatchedRowsAfterTheirEnd",
                    {.steps = "steps: { s: { interval_join: { left: in, right: in, on: [a], between: [0s, 9s], type: "
                              "left, emit_unmatched_after: 9s } } }\n"},
                    "T0312",
                    4,
                    115},
        BadPipeline{"EarliestMatchBeforeTheWatermark",
                    {.steps = "steps: { s: { interval_join: { left: in, right: in, on: [a], between: [0s, 9s], type: "
                              "left, matches: earliest }, unmatched: provisional } }\n"},
                    "T0312",
                    4,
                    125},
        BadPipeline{"UnmatchedRowsOfAFilter",
                    {.steps = "steps: { s: { from: in, unmatched: provisional } }\n"},
                    "T0312",
                    4,
                    36},
        BadPipeline{"UnknownInput", {.steps = "steps: { s: { from: inn } }\n"}, "T0301", 4, 21},
        BadPipeline{"InputIsASink", {.steps = "steps: { s: { from: [in, out] } }\n"}, "T0301", 4, 26},
        BadPipeline{"Circle", {.steps = "steps: { s: { from: [in, t] }, t: { from: s } }\n"}, "T0302", 4, 43},
        BadPipeline{"CircleOfOne", {.steps = "steps: { s: { from: [in, s] } }\n"}, "T0302", 4, 26},
        BadPipeline{"StepNamedLikeASource",
                    {.source = "sources: { in: { file: i, format: { type: json }, fields: { a: int64 } }, s: { file: "
                               "i, format: { type: json }, fields: { a: int64 } } }\n"},
                    "T0303",
                    4,
                    10},
        BadPipeline{"SinkNamedLikeAStep",
                    {.sink = "sinks: { s: { from: s, file: o, format: { type: json } } }\n"},
                    "T0303",
                    5,
                    10},
        BadPipeline{"WindowOfTwoKinds",
                    {.steps = "steps: { s: { from: in, window: { tumbling: 10s, cumulate: 1d, every: 1s }, aggregate: "
                              "{ n: count(*) } } }\n"},
                    "T0304",
                    4,
                    60},
        BadPipeline{"WindowOfNoKind",
                    {.steps = "steps: { s: { from: in, window: { timezone: UTC }, aggregate: { n: count(*) } } }\n"},
                    "T0304",
                    4,
                    10},
        BadPipeline{"CumulateWithoutEvery",
                    {.steps = "steps: { s: { from: in, window: { cumulate: 1d }, aggregate: { n: count(*) } } }\n"},
                    "T0305",
                    4,
                    45},
        BadPipeline{
            "EveryDoesNotDivide",
            {.steps = "steps: { s: { from: in, window: { cumulate: 1m, every: 7s }, aggregate: { n: count(*) } } }\n"},
            "T0305",
            4,
            56},
        BadPipeline{
            "UnknownCluster",
            {.source = "sources: { in: { topic: t, clusters: wset, format: { type: json }, fields: { a: int64 } } }\n"},
            "T0306",
            3,
            38},
        BadPipeline{"NoTopicOnACluster",
                    {.source = "sources: { in: { topic: { east: t }, clusters: { pair: [east, west] }, format: { type: "
                               "json }, fields: { a: int64 } } }\n"},
                    "T0306",
                    3,
                    63},
        BadPipeline{"LateRowsGoNowhere",
                    {.steps = "steps: { s: { from: in, window: { tumbling: 1s }, aggregate: { n: count(*) }, late: { "
                              "then: uot } } }\n"},
                    "T0307",
                    4,
                    93},
        BadPipeline{"UnusedStep",
                    {.steps = "steps: { s: { from: in }, t: { from: in } }\n"},
                    "T0308",
                    4,
                    27,
                    Severity::warning},
        BadPipeline{"ClientSettingNotAllowed",
                    {.source = std::string(kKafkaSource) + "client: { sasl.password: x } } }\n"},
                    "T0309",
                    3,
                    100},
        BadPipeline{"IntervalUpsideDown",
                    {.steps = "steps: { s: { interval_join: { left: in, right: in, on: [a], between: [1s, 0s] } } }\n"},
                    "T0310",
                    4,
                    71},
        BadPipeline{
            "StepOfTwoKinds",
            {.steps =
                 "steps: { s: { from: in, interval_join: { left: in, right: in, on: [a], between: [0s, 1s] } } }\n"},
            "T0311",
            4,
            10},
        BadPipeline{"AggregateWithoutWindow",
                    {.steps = "steps: { s: { from: in, aggregate: { n: count(*) } } }\n"},
                    "T0311",
                    4,
                    10},
        BadPipeline{"EventTimeOfNoField",
                    {.source = "sources: { in: { file: i, format: { type: json }, fields: { ts: int64 }, event_time: { "
                               "field: t } } }\n"},
                    "T0314",
                    3,
                    95},
        BadPipeline{
            "NoDeadLetters",
            {.source =
                 "sources: { in: { file: i, format: { type: json, on_error: dead_letter }, fields: { a: int64 } } }\n"},
            "T0315",
            3,
            59}),
    [](const auto& info) { return info.param.name; });

struct BadService {
  const char* name;
  std::string text;
  const char* code;
  int line, column;
  Severity severity = Severity::error;
};

class WrongService : public ::testing::TestWithParam<BadService> {};

TEST_P(WrongService, GivesItsCodeAtItsPlace) {
  Diagnostics diagnostics;
  const EnvLookup nothing_set = [](std::string_view) { return std::nullopt; };
  const auto service = parse_service(GetParam().text, "s.yaml", nothing_set, diagnostics);
  EXPECT_EQ(service.has_value(), GetParam().severity == Severity::warning);
  ASSERT_EQ(diagnostics.all().size(), 1u) << diagnostics.render();
  const Diagnostic& d = diagnostics.all().front();
  EXPECT_EQ(d.code, GetParam().code) << diagnostics.render();
  EXPECT_EQ(d.line, GetParam().line) << diagnostics.render();
  EXPECT_EQ(d.column, GetParam().column) << diagnostics.render();
}

const std::string kEast = "clusters: { east: { bootstrap: [\"e:1\"] } }\n";

INSTANTIATE_TEST_SUITE_P(
    All, WrongService,
    ::testing::Values(
        BadService{"NoClusters", "log: { level: info }\n", "T0202", 1, 1},
        BadService{"NoBootstrap", "clusters: { east: { bootstrap: [] } }\n", "T0205", 1, 32},
        BadService{"EnvironmentNotSet", kEast + "data_directory: \"${env:NOWHERE}/x\"\n", "T0121", 2, 18},
        BadService{"SecretWithoutDirectory",
                   "clusters: { east: { bootstrap: [\"e:1\"], security: { key_password: \"${secret:x}\" } } }\n",
                   "T0122", 1, 68},
        BadService{"SecretNotFound",
                   "clusters: { east: { bootstrap: [\"e:1\"], security: { key_password: \"${secret:x}\" } } "
                   "}\nsecrets: { directory: /nonexistent }\n",
                   "T0122", 1, 68},
        BadService{"SecretOutsideTheDirectory",
                   "clusters: { east: { bootstrap: [\"e:1\"], security: { key_password: \"${secret:../x}\" } } "
                   "}\nsecrets: { directory: /etc }\n",
                   "T0120", 1, 68},
        BadService{"SecretElsewhere", kEast + "data_directory: ${secret:x}\nsecrets: { directory: /nonexistent }\n",
                   "T0122", 2, 17},
        BadService{"SecretInTheFile",
                   "clusters: { east: { bootstrap: [\"e:1\"], security: { key_password: hunter2 } } }\n", "T0127", 1,
                   67, Severity::warning},
        BadService{"DiscoveryNotInThisVersion",
                   "clusters: { east: { bootstrap: [\"e:1\"], discovery: { http: x, every: 60s } } }\n", "T0190", 1,
                   54},
        BadService{"RegistriesNotInThisVersion", kEast + "registries: { main: { url: x } }\n", "T0190", 2, 1},
        BadService{"AdminAuthNotInThisVersion", kEast + "admin: { auth: { tokens: true } }\n", "T0190", 2, 10},
        BadService{"SaslWithoutUser",
                   "clusters: { east: { bootstrap: [\"e:1\"], security: { protocol: sasl_ssl, mechanism: PLAIN } } }\n",
                   "T0202", 1, 63},
        BadService{"MechanismWithoutSasl",
                   "clusters: { east: { bootstrap: [\"e:1\"], security: { protocol: ssl, mechanism: PLAIN } } }\n",
                   "T0212", 1, 79},
        BadService{"BrokerWithoutPort", "clusters: { east: { bootstrap: [kafka] } }\n", "T0316", 1, 33},
        BadService{"ListensOnEveryAddress", kEast + "admin: { listen: \"0.0.0.0:8480\" }\n", "T0317", 2, 18}),
    [](const auto& info) { return info.param.name; });

TEST(Errors, AHostileNumberOfThemIsCounted) {
  std::string text = "version: 1\nname: p\n";
  for (int i = 0; i < 20'000; ++i) text += "k" + std::to_string(i) + ": 1\n";
  Diagnostics diagnostics;
  EXPECT_FALSE(parse_pipeline(text, "p.yaml", {}, diagnostics));
  EXPECT_EQ(diagnostics.error_count(), 20'002u);  // sources and sinks are missing too
  EXPECT_EQ(diagnostics.all().size(), 500u);
  EXPECT_THAT(diagnostics.render(), ::testing::HasSubstr("and 19502 more"));
}

TEST(Errors, AllOfThemComeAtOnceInTheOrderOfTheFile) {
  Diagnostics diagnostics;
  EXPECT_FALSE(parse_pipeline(R"(version: 1
name: p
sources:
  in:
    topc: t
    clusters: west
    format: { type: jsn }
    fields: { a: int64 }
    event_time: { field: ts, out_of_order: 10 }
steps:
  s: { from: inn, where: [a] }
sinks:
  out: { from: s, file: o, format: { type: json }, delivery: exactly_once }
)",
                              "p.yaml", {}, diagnostics));
  EXPECT_EQ(diagnostics.render(), R"(p.yaml:5:5: error[T0201]: unknown key 'topc' in a source
 5 |     topc: t
   |     ^^^^
   = hint: did you mean 'topic'?
p.yaml:7:21: error[T0204]: 'jsn' is not json
 7 |     format: { type: jsn }
   |                     ^^^
   = hint: did you mean 'json'?
p.yaml:9:26: error[T0314]: event time field 'ts' is not among the fields
 9 |     event_time: { field: ts, out_of_order: 10 }
   |                          ^^
   = hint: known here: a
p.yaml:9:44: error[T0207]: '10' has no unit, and a duration needs one
 9 |     event_time: { field: ts, out_of_order: 10 }
   |                                            ^^
   = hint: write 10s or 10ms
p.yaml:11:14: error[T0301]: step 's' reads 'inn', which is no source or step
 11 |   s: { from: inn, where: [a] }
    |              ^^^
   = hint: did you mean 'in'?
p.yaml:11:26: error[T0203]: an expression is wanted, not a list
 11 |   s: { from: inn, where: [a] }
    |                          ^
   = hint: quote a value that begins with '[' or '{'
p.yaml:13:62: error[T0190]: 'exactly_once' is not available in this version
 13 |   out: { from: s, file: o, format: { type: json }, delivery: exactly_once }
    |                                                              ^^^^^^^^^^^^
)");
}

}  // namespace
}  // namespace twinspan::config
