#pragma once
// The `tests:` block of a pipeline: what `twinspan test` does with it in virtual time. Rows stay nodes of the document,
// because only the fields of a source and what came out of a sink say what a scalar means. Filled by parse_pipeline(),
// which also checks that the names exist. Plain values. Thread: any.

#include "config/document.h"
#include "config/fields.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace twinspan::config {

struct Timestamp {
  std::int64_t ms = 0;  // since 1970
};

// `impressions@east/2`, as written: a partition of a source's topic on a cluster. Without a cluster it is the source's
// first one, without a partition 0.
struct LaneName {
  Text text;
  std::string source, cluster;
  std::int32_t partition = 0;
  bool has_cluster = false, has_partition = false;
};

// `watermark: T` (every source), or `watermark: { clicks: T, views@east: T }`.
struct WatermarkStep {
  std::optional<Located<Timestamp>> all;
  NameMap<Located<Timestamp>> lanes;
};

struct RestartSpec {
  std::optional<std::int64_t> shards;
  bool crash = false;  // without a last checkpoint
  static const ObjectTable& table();
};

// What came out of one sink since it was looked at last. A list alone is `rows`.
struct ExpectRows {
  Origin origin;
  std::optional<std::vector<Node>> rows;  // exactly these
  std::vector<Node> contains;             // these, and perhaps others
  std::optional<Located<std::int64_t>> count;
  bool ordered = false;
  static const ObjectTable& table();
};

// `expect_dead_letters: 2`, or a list of letters, each with the parts that matter.
struct LetterSpec {
  Origin origin;
  std::optional<Text> stage, origin_text, reason, payload;
  static const ObjectTable& table();
};
struct ExpectLetters {
  Origin origin;
  std::optional<std::int64_t> count;
  std::vector<LetterSpec> letters;
};

// `expect_watermark: { clicks: T }`, or `{ firing: T, retention: T }` where the two differ; `none`: nothing has moved
// it.
struct ExpectWatermark {
  Origin origin;
  std::optional<Timestamp> firing, retention;
  bool none = false;
  static const ObjectTable& table();
};

// One thing that is done or looked at; `action` is the key it was written under.
struct TestStep {
  Text action;
  std::size_t end = 0;  // byte offset past it

  NameMap<std::vector<Node>> send;  // lane -> rows
  std::vector<LaneName> send_lanes;
  WatermarkStep watermark;
  std::vector<LaneName> watermark_lanes;
  Duration advance{0};
  Text cluster;  // of cluster_down, cluster_up
  Text idle;
  LaneName idle_lane;
  RestartSpec restart;
  NameMap<ExpectRows> expect;
  NameMap<Located<std::int64_t>> expect_late;
  ExpectLetters expect_dead_letters;
  NameMap<ExpectWatermark> expect_watermark;
  Text expect_failure;

  bool is(std::string_view name) const { return action.value == name; }
};

struct TestSpec {
  Text name;
  std::optional<Timestamp> clock;  // what the wall clock says at the start
  std::optional<std::int64_t> shards;
  std::vector<TestStep> steps;
  static const ObjectTable& table();
};

// The parts of a lane's name; nullopt: not of the form source@cluster/partition.
std::optional<LaneName> parse_lane_name(const Text& text);

}  // namespace twinspan::config
