#include "config/checks.h"

#include <fmt/format.h>

namespace twinspan::config {

namespace {

using StepEntry = NamedMap<StepSpec>::Entry;

void check_window(const StepEntry& entry, Diagnostics& diagnostics) {
  const WindowSpec& window = *entry.value.window;
  // An error inside (a kind that this version lacks) explains what is missing.
  const bool complete = !diagnostics.has_error_between(entry.name.origin.begin, entry.end);
  if (window.tumbling && window.cumulate) {
    diagnostics.error(window.cumulate->origin, "T0304", "a window has one kind, and this one is tumbling and cumulate",
                      "keep one of them");
    return;
  }
  if (!window.tumbling && !window.cumulate) {
    if (complete)
      diagnostics.error(entry.name.origin, "T0304",
                        fmt::format("the window of {} has no kind", in_quotes(entry.name.value)),
                        "add tumbling: 10s, or cumulate: 1d with every: 60s");
    return;
  }
  if (window.tumbling && window.every) {
    diagnostics.error(window.every->origin, "T0212", "'every' belongs to a cumulate window",
                      "early results of a tumbling window are emit: { every: ... }");
  }
  if (window.cumulate && !window.every && complete) {
    diagnostics.error(window.cumulate->origin, "T0305", "a cumulate window needs 'every'", "such as every: 60s");
  }
  if (window.cumulate && window.every && window.every->value.count() > 0 &&
      window.size().count() % window.every->value.count() != 0) {
    diagnostics.error(
        window.every->origin, "T0305",
        fmt::format("{} does not divide {}", duration_text(window.every->value), duration_text(window.size())),
        "choose a step that divides the size");
  }
  if (window.size().count() > 0 && window.offset.value >= window.size()) {
    diagnostics.error(window.offset.origin, "T0206", fmt::format("{} is too large", duration_text(window.offset.value)),
                      fmt::format("the offset is less than the size, {}", duration_text(window.size())));
  }
}

void check_join(const IntervalJoinSpec& join, const StepEntry& entry, Diagnostics& diagnostics) {
  const bool complete = !diagnostics.has_error_between(entry.name.origin.begin, entry.end);
  if (join.on.empty() && complete) {
    diagnostics.error(entry.name.origin, "T0202",
                      fmt::format("the join {} needs key 'on' or 'pairs'", in_quotes(entry.name.value)),
                      "on: [column, ...] or pairs: [[left.a, right.b], ...]");
  }
  if (join.max_state && entry.value.max_state) {
    diagnostics.error(entry.name.origin, "T0212",
                      fmt::format("step {} has two state budgets", in_quotes(entry.name.value)), "keep one max_state");
  }
}

}  // namespace

void check_steps(const PipelineSpec& pipeline, Diagnostics& diagnostics) {
  for (const StepEntry& entry : pipeline.steps) {
    const StepSpec& step = entry.value;
    const Origin& at = entry.name.origin;
    const std::string name = in_quotes(entry.name.value);
    const bool complete = !diagnostics.has_error_between(at.begin, entry.end);
    if (step.from && step.interval_join) {
      diagnostics.error(at, "T0311", fmt::format("step {} has 'from' and 'interval_join'", name),
                        "a join names its inputs as left and right; filter or aggregate in a step of its own");
    }
    if (step.window && step.interval_join) {
      diagnostics.error(at, "T0311", fmt::format("step {} is a join and a window", name),
                        "make the window a step of its own, from this one");
    }
    if (step.deduplicate && (step.window || step.interval_join)) {
      diagnostics.error(at, "T0311",
                        fmt::format("step {} has 'deduplicate' and is a {}", name, step.window ? "window" : "join"),
                        "deduplicate in a step of its own, before or after this one");
    }
    if (!step.from && !step.interval_join && complete) {
      diagnostics.error(at, "T0202", fmt::format("step {} needs key 'from' or 'interval_join'", name));
    }
    if (step.interval_join) check_join(*step.interval_join, entry, diagnostics);
    if (step.window) {
      check_window(entry, diagnostics);
      if (step.aggregate.empty() && complete) {
        diagnostics.error(at, "T0202", fmt::format("step {} has a window and needs key 'aggregate'", name),
                          "such as aggregate: { n: count(*) }");
      }
      continue;
    }
    const char* stray = !step.aggregate.empty()          ? "aggregate"
                        : !step.key.empty()              ? "key"
                        : step.emit                      ? "emit"
                        : step.late && !step.deduplicate ? "late"
                                                         : nullptr;
    if (stray != nullptr && complete) {
      diagnostics.error(at, "T0311", fmt::format("step {} has '{}' but no window", name, stray),
                        "add window: { tumbling: 10s }");
    }
  }
}

}  // namespace twinspan::config
