#include "gateway/driver/test_rows.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "config/parse.h"

namespace twinspan::gateway {
namespace {

// One test whose first step sends `row`.
struct Sent {
  explicit Sent(const std::string& row, const std::string& time = "event_time: { field: ts }") {
    const std::string text = fmt::format(R"y(version: 1
name: p
sources:
  ev:
    topic: t
    clusters: east
    fields: {{ s: string, n: int64, f: float64, d: "decimal(18,4)", b: bool, iso: timestamp, ts: timestamp_ms, w: duration }}
    {}
sinks: {{ out: {{ from: ev, topic: o, clusters: east }} }}
tests: [{{ name: it, steps: [{{ send: {{ ev: [{}] }} }}] }}]
)y",
                                         time, row);
    config::Diagnostics diagnostics;
    spec = config::parse_pipeline(text, "p.yaml", {}, diagnostics);
    EXPECT_TRUE(spec) << diagnostics.render();
  }
  const config::Node& row() const { return spec->tests[0].steps[0].send.entries[0].value[0]; }
  const config::SourceSpec& source() const { return *spec->sources.find("ev"); }
  VirtualRecord record() const { return record_of(row(), source(), 77); }

  std::optional<config::PipelineSpec> spec;
};

TEST(TestRows, TheDeclaredFieldSaysWhatAScalarIs) {
  EXPECT_EQ(Sent("{ s: 7, n: 7, f: 1e3, d: 1.0000, b: true }").record().value,
            R"({"s":"7","n":7,"f":1e3,"d":1.0000,"b":true})");
}

TEST(TestRows, TimesMayBeWrittenAsTimes) {
  EXPECT_EQ(Sent(R"({ ts: "2026-01-01T00:00:01.5Z", iso: "2026-01-01T08:00:00+08:00", w: 90s })").record().value,
            R"({"ts":1767225601500,"iso":"2026-01-01T08:00:00+08:00","w":90000})");
  EXPECT_EQ(Sent("{ ts: 12 }").record().value, R"({"ts":12})");
}

TEST(TestRows, WhatDoesNotFitGoesOutAsText) {
  EXPECT_EQ(Sent(R"({ n: seven, d: "1.5", b: yes, ts: soon, n2: 010 })").record().value,
            R"({"n":"seven","d":"1.5","b":"yes","ts":"soon","n2":"010"})");
}

TEST(TestRows, NullIsNullAndAbsentIsAbsent) {
  EXPECT_EQ(Sent("{ s: null, n: ~ }").record().value, R"({"s":null,"n":null})");
  EXPECT_EQ(Sent("{}").record().value, "{}");
}

TEST(TestRows, NestedValuesKeepTheirShape) {
  EXPECT_EQ(Sent(R"({ tags: [a, 1, "1", { x: null }] })").record().value, R"({"tags":["a",1,"1",{"x":null}]})");
}

TEST(TestRows, ATextIsTheBytesAsTheyAre) {
  const VirtualRecord r = Sent("\"{ not json\"").record();
  EXPECT_EQ(r.value, "{ not json");
  EXPECT_FALSE(r.has_key);
  EXPECT_EQ(r.timestamp, 77);
}

TEST(TestRows, NothingIsATombstone) { EXPECT_FALSE(Sent("~").record().has_value); }

TEST(TestRows, KeyTimeAndPayloadOfTheRecord) {
  const VirtualRecord r = Sent(R"({ _key: k1, _timestamp: "2026-01-01T00:00:00Z", _payload: "[1" })").record();
  EXPECT_TRUE(r.has_key);
  EXPECT_EQ(r.key, "k1");
  EXPECT_EQ(r.timestamp, 1'767'225'600'000);
  EXPECT_EQ(r.value, "[1");
}

TEST(TestRows, EventTimeIsThatOfTheFieldOrOfTheRecord) {
  const Sent field(R"({ ts: "2026-01-01T00:00:01Z", _timestamp: "2026-01-01T00:00:09Z" })");
  EXPECT_EQ(event_time_of(field.row(), field.source()), 1'767'225'601'000);
  const Sent record(R"({ ts: "2026-01-01T00:00:01Z", _timestamp: "2026-01-01T00:00:09Z" })", "");
  EXPECT_EQ(event_time_of(record.row(), record.source()), 1'767'225'609'000);
  const Sent none("{ s: a }");
  EXPECT_EQ(event_time_of(none.row(), none.source()), std::nullopt);
}

TEST(TestRows, FlowTextReadsLikeTheFile) {
  EXPECT_EQ(flow_text(Sent(R"({ s: "a b", n: 1, l: [x, ~] })").row()), R"({ s: "a b", n: 1, l: [x, null] })");
}

}  // namespace
}  // namespace twinspan::gateway
