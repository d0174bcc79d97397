#include "config/checks.h"

#include "config/suggest.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace twinspan::config {

std::vector<const Id*> StepSpec::inputs() const {
  std::vector<const Id*> ids;
  if (from) {
    for (const Id& id : from->ids) ids.push_back(&id);
  }
  if (interval_join) {
    ids.push_back(&interval_join->left);
    ids.push_back(&interval_join->right);
  }
  return ids;
}

OnError effective_on_error(const std::optional<Located<OnError>>& written, const PipelineSpec& pipeline) {
  if (written) return written->value;
  return pipeline.dead_letter ? OnError::dead_letter : OnError::fail;
}

namespace {

class GraphChecker {
 public:
  GraphChecker(const PipelineSpec& pipeline, Diagnostics& diagnostics)
      : pipeline_(pipeline), diagnostics_(diagnostics) {}

  void run() {
    check_ids();
    for (const auto& step : pipeline_.steps) {
      for (const Id* input : step.value.inputs()) use(*input, fmt::format("step {}", in_quotes(step.name.value)));
      if (step.value.late && step.value.late->then) late_sink(*step.value.late->then);
    }
    for (const auto& sink : pipeline_.sinks) check_sink(sink);
    for (const auto& step : pipeline_.steps) visit(step.name.value);
    // With errors around, what looks unused may only be misspelt elsewhere.
    if (!diagnostics_.has_errors()) warn_unused();
  }

 private:
  void check_ids() {
    std::map<std::string, std::pair<const char*, int>> seen;
    const auto add = [&](const Id& id, const char* kind) {
      const int line = id.origin ? id.origin.source->position(id.origin.begin).line : 0;
      const auto [first, is_new] = seen.try_emplace(id.value, kind, line);
      if (is_new) return;
      diagnostics_.error(id.origin, "T0303",
                         fmt::format("{} is already the id of a {}", in_quotes(id.value), first->second.first),
                         fmt::format("it is on line {}; ids are unique in a pipeline", first->second.second));
    };
    for (const auto& entry : pipeline_.sources) add(entry.name, "source");
    for (const auto& entry : pipeline_.steps) add(entry.name, "step");
    for (const auto& entry : pipeline_.sinks) add(entry.name, "sink");
  }

  void use(const Id& input, std::string_view by) {
    if (input.value.empty()) return;  // reported as missing
    used_.insert(input.value);
    if (pipeline_.sources.find(input.value) != nullptr || pipeline_.steps.find(input.value) != nullptr) return;
    std::vector<std::string> names = pipeline_.sources.names();
    for (std::string& name : pipeline_.steps.names()) names.push_back(std::move(name));
    if (pipeline_.sinks.find(input.value) != nullptr) {
      diagnostics_.error(input.origin, "T0301", fmt::format("{} of {} is a sink", in_quotes(input.value), by),
                         "rows come from sources and steps");
      return;
    }
    diagnostics_.error(input.origin, "T0301",
                       fmt::format("{} reads {}, which is no source or step", by, in_quotes(input.value)),
                       suggestion(input.value, names));
  }

  void late_sink(const Id& sink) {
    late_sinks_.insert(sink.value);
    if (pipeline_.sinks.find(sink.value) != nullptr) return;
    diagnostics_.error(sink.origin, "T0307", fmt::format("late rows go to {}, which is no sink", in_quotes(sink.value)),
                       suggestion(sink.value, pipeline_.sinks.names()));
  }

  void check_sink(const NamedMap<SinkSpec>::Entry& sink) {
    const bool late = late_sinks_.contains(sink.name.value);
    if (sink.value.from) {
      use(*sink.value.from, fmt::format("sink {}", in_quotes(sink.name.value)));
      if (late) {
        diagnostics_.error(sink.value.from->origin, "T0212",
                           fmt::format("sink {} takes late rows and has 'from'", in_quotes(sink.name.value)),
                           "late rows have other columns: give them a sink of their own");
      }
    } else if (!late && !diagnostics_.has_error_between(sink.name.origin.begin, sink.end)) {
      diagnostics_.error(sink.name.origin, "T0202", fmt::format("sink {} needs key 'from'", in_quotes(sink.name.value)),
                         "or name it as late: { then: ... } of a window");
    }
  }

  // Depth first; a step met again while it is still open closes a cycle. Each cycle is reported once.
  void visit(const std::string& name) {
    const StepSpec* step = pipeline_.steps.find(name);
    if (step == nullptr || done_.contains(name)) return;
    path_.push_back(name);
    for (const Id* input : step->inputs()) {
      const auto open = std::find(path_.begin(), path_.end(), input->value);
      if (open == path_.end()) {
        visit(input->value);
        continue;
      }
      std::string circle;
      for (auto at = open; at != path_.end(); ++at) circle += *at + " <- ";
      diagnostics_.error(input->origin, "T0302", fmt::format("the steps form a circle: {}{}", circle, input->value),
                         "a step cannot read its own result");
    }
    path_.pop_back();
    done_.insert(name);
  }

  void warn_unused() {
    const auto warn = [&](const Id& id, const char* kind) {
      if (!used_.contains(id.value)) {
        diagnostics_.warning(id.origin, "T0308", fmt::format("nothing reads {} {}", kind, in_quotes(id.value)),
                             "remove it, or name it in a from:");
      }
    };
    for (const auto& entry : pipeline_.sources) warn(entry.name, "source");
    for (const auto& entry : pipeline_.steps) warn(entry.name, "step");
  }

  const PipelineSpec& pipeline_;
  Diagnostics& diagnostics_;
  std::set<std::string> used_;
  std::set<std::string> late_sinks_;
  std::set<std::string> done_;
  std::vector<std::string> path_;
};

}  // namespace

void check_graph(const PipelineSpec& pipeline, Diagnostics& diagnostics) { GraphChecker(pipeline, diagnostics).run(); }

}  // namespace twinspan::config
