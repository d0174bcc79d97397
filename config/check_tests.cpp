// The `tests:` block: every name in it is one of this pipeline, and nothing is written that could have no effect.
#include "config/checks.h"

#include "config/suggest.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

namespace twinspan::config {

namespace {

constexpr std::array<std::string_view, 3> kRecordParts = {"_key", "_timestamp", "_payload"};

std::vector<std::string> clusters_of(const SourceSpec& source) {
  if (!source.clusters) return {"file"};
  std::vector<std::string> out;
  for (const Id& name : source.clusters->names) out.push_back(name.value);
  return out;
}

class TestChecker {
 public:
  TestChecker(PipelineSpec& pipeline, Diagnostics& diagnostics) : pipeline_(pipeline), diagnostics_(diagnostics) {}

  void run() {
    std::set<std::string> names;
    for (TestSpec& test : pipeline_.tests) {
      if (test.name.origin && !names.insert(test.name.value).second)
        diagnostics_.error(test.name.origin, "T0506",
                           fmt::format("there are two tests {}", in_quotes(test.name.value)));
      down_.clear();
      ended_ = false;
      for (TestStep& step : test.steps)
        if (!step.action.value.empty()) check(step);
    }
  }

 private:
  void check(TestStep& step) {
    const bool looks = step.action.value.starts_with("expect");
    if (ended_ && !looks)
      diagnostics_.error(step.action.origin, "T0507", "the input has ended: nothing more can happen",
                         "only expectations follow end");
    ended_ |= step.is("end");
    for (const auto& lane : step.send) {
      if (auto name = lane_of(lane.name)) step.send_lanes.push_back(std::move(*name));
      for (const Node& row : lane.value) check_sent(lane.name, row);
    }
    for (const auto& lane : step.watermark.lanes)
      if (auto name = lane_of(lane.name)) step.watermark_lanes.push_back(std::move(*name));
    if (step.is("idle"))
      if (auto name = lane_of(step.idle)) step.idle_lane = std::move(*name);
    if (step.is("cluster_down") || step.is("cluster_up")) check_cluster(step);
    for (const auto& sink : step.expect) check_sink(sink.name, sink.value);
    for (const auto& late : step.expect_late) check_late(late.name);
    for (const auto& id : step.expect_watermark) {
      if (pipeline_.sources.find(id.name.value) != nullptr || pipeline_.steps.find(id.name.value) != nullptr) continue;
      std::vector<std::string> names = pipeline_.sources.names();
      for (std::string& s : pipeline_.steps.names()) names.push_back(std::move(s));
      diagnostics_.error(id.name.origin, "T0504", fmt::format("{} is no source or step", in_quotes(id.name.value)),
                         suggestion(id.name.value, names));
    }
    if (step.is("expect_dead_letters") && !pipeline_.dead_letter)
      diagnostics_.error(step.action.origin, "T0508", "the pipeline has no dead letters",
                         "add dead_letter:, or expect_failure: where on_error is fail");
  }

  std::optional<LaneName> lane_of(const Text& text) {
    auto name = parse_lane_name(text);
    if (!name) {
      diagnostics_.error(text.origin, "T0502", fmt::format("{} is no lane", in_quotes(text.value)),
                         "source, source@cluster or source@cluster/partition");
      return std::nullopt;
    }
    const SourceSpec* source = pipeline_.sources.find(name->source);
    if (source == nullptr) {
      diagnostics_.error_at(text, 0, name->source.size(), "T0502",
                            fmt::format("{} is no source", in_quotes(name->source)),
                            suggestion(name->source, pipeline_.sources.names()));
      return std::nullopt;
    }
    const std::vector<std::string> clusters = clusters_of(*source);
    if (!name->has_cluster && !clusters.empty()) name->cluster = clusters.front();
    if (std::find(clusters.begin(), clusters.end(), name->cluster) == clusters.end()) {
      diagnostics_.error_at(
          text, name->source.size() + 1, name->cluster.size(), "T0503",
          fmt::format("source {} is not on cluster {}", in_quotes(name->source), in_quotes(name->cluster)),
          suggestion(name->cluster, clusters));
      return std::nullopt;
    }
    if (source->file && name->partition != 0) {
      diagnostics_.error(text.origin, "T0503", "a file has one partition, 0");
      return std::nullopt;
    }
    return name;
  }

  void check_cluster(const TestStep& step) {
    std::set<std::string> all;
    for (const auto& source : pipeline_.sources)
      if (source.value.clusters)
        for (const Id& c : source.value.clusters->names) all.insert(c.value);
    const std::string& name = step.cluster.value;
    if (!step.cluster.origin) return;
    if (!all.contains(name)) {
      diagnostics_.error(step.cluster.origin, "T0503", fmt::format("no source is on cluster {}", in_quotes(name)),
                         suggestion(name, {all.begin(), all.end()}));
      return;
    }
    const bool goes_down = step.is("cluster_down");
    if (down_.contains(name) == goes_down)
      diagnostics_.error(step.cluster.origin, "T0509",
                         fmt::format("cluster {} is {} already", in_quotes(name), goes_down ? "down" : "up"));
    if (goes_down)
      down_.insert(name);
    else
      down_.erase(name);
  }

  void check_sent(const Text& lane, const Node& row) {
    if (row.kind == NodeKind::scalar || row.kind == NodeKind::null) return;
    if (row.kind == NodeKind::list) {
      diagnostics_.error(row.origin, "T0510", "a row is a map of fields, or a text");
      return;
    }
    const auto name = parse_lane_name(lane);
    const SourceSpec* source = name ? pipeline_.sources.find(name->source) : nullptr;
    if (source == nullptr) return;
    for (const MapEntry& e : row.entries) {
      const std::string& field = e.name.value;
      if (source->fields.find(field) != nullptr) continue;
      if (field.starts_with('_')) {
        if (std::find(kRecordParts.begin(), kRecordParts.end(), field) == kRecordParts.end())
          diagnostics_.error(e.name.origin, "T0510", fmt::format("{} cannot be sent", in_quotes(field)),
                             "fields of the source, _key, _timestamp and _payload");
      } else {
        diagnostics_.warning(e.name.origin, "T0511",
                             fmt::format("source {} has no field {}", in_quotes(name->source), in_quotes(field)),
                             suggestion(field, source->fields.names()));
      }
    }
  }

  void check_sink(const Text& name, const ExpectRows& expected) {
    if (pipeline_.sinks.find(name.value) == nullptr) {
      diagnostics_.error(name.origin, "T0504", fmt::format("{} is no sink", in_quotes(name.value)),
                         suggestion(name.value, pipeline_.sinks.names()));
    }
    const auto check_rows = [this](const std::vector<Node>& rows) {
      for (const Node& row : rows)
        if (row.kind != NodeKind::map) diagnostics_.error(row.origin, "T0510", "an expected row is a map of fields");
    };
    if (expected.rows) check_rows(*expected.rows);
    check_rows(expected.contains);
    if (expected.rows && expected.count && static_cast<std::int64_t>(expected.rows->size()) != expected.count->value)
      diagnostics_.error(
          expected.count->origin, "T0512",
          fmt::format("{} rows are listed, and count is {}", expected.rows->size(), expected.count->value),
          "`rows` are all rows; with `contains` there may be others");
  }

  void check_late(const Text& name) {
    const StepSpec* step = pipeline_.steps.find(name.value);
    if (step != nullptr && step->kind() != StepKind::transform) return;
    std::vector<std::string> names;
    for (const auto& s : pipeline_.steps)
      if (s.value.kind() != StepKind::transform) names.push_back(s.name.value);
    diagnostics_.error(name.origin, "T0504",
                       step == nullptr ? fmt::format("{} is no step", in_quotes(name.value))
                                       : fmt::format("nothing is late for step {}", in_quotes(name.value)),
                       suggestion(name.value, names));
  }

  PipelineSpec& pipeline_;
  Diagnostics& diagnostics_;
  std::set<std::string> down_;
  bool ended_ = false;
};

}  // namespace

void check_tests(PipelineSpec& pipeline, Diagnostics& diagnostics) { TestChecker(pipeline, diagnostics).run(); }

}  // namespace twinspan::config
