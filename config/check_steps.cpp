#include "config/checks.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace twinspan::config {

namespace {

using StepEntry = NamedMap<StepSpec>::Entry;

void check_window(const StepEntry& entry, Diagnostics& diagnostics) {
  const WindowSpec& window = *entry.value.window;
  // An error inside (a kind that this version lacks) explains what is missing.
  const bool complete = !diagnostics.has_error_between(entry.name.origin.begin, entry.end);
  std::vector<std::pair<const char*, const Origin*>> kinds;
  if (window.tumbling) kinds.emplace_back("tumbling", &window.tumbling->origin);
  if (window.sliding) kinds.emplace_back("sliding", &window.sliding->origin);
  if (window.session) kinds.emplace_back("session", &window.session->origin);
  if (window.cumulate) kinds.emplace_back("cumulate", &window.cumulate->origin);
  if (window.global.value) kinds.emplace_back("global", &window.global.origin);
  if (kinds.size() > 1) {
    diagnostics.error(*kinds[1].second, "T0304",
                      fmt::format("a window has one kind, and this one is {} and {}", kinds[0].first, kinds[1].first),
                      "keep one of them");
    return;
  }
  if (kinds.empty()) {
    if (complete)
      diagnostics.error(entry.name.origin, "T0304",
                        fmt::format("the window of {} has no kind", in_quotes(entry.name.value)),
                        "add tumbling: 10s, sliding: 60s with every: 1s, session: 5m, or cumulate: 1d with every: 60s");
    return;
  }
  const WindowKind kind = window.kind();
  const bool steps = kind == WindowKind::cumulate || kind == WindowKind::sliding;
  if (!steps && window.every) {
    diagnostics.error(window.every->origin, "T0212", "'every' belongs to a cumulate or sliding window",
                      fmt::format("early results of a {} window are emit: {{ every: ... }}", kinds[0].first));
  }
  if (steps && !window.every && complete) {
    diagnostics.error(*kinds[0].second, "T0305", fmt::format("a {} window needs 'every'", kinds[0].first),
                      kind == WindowKind::cumulate ? "such as every: 60s" : "such as every: 1s");
  }
  if (kind == WindowKind::cumulate && window.every && window.every->value.count() > 0 &&
      window.size().count() % window.every->value.count() != 0) {
    diagnostics.error(
        window.every->origin, "T0305",
        fmt::format("{} does not divide {}", duration_text(window.every->value), duration_text(window.size())),
        "choose a step that divides the size");
  }
  if (kind == WindowKind::sliding && window.every && window.every->value > window.size()) {
    diagnostics.error(window.every->origin, "T0305",
                      fmt::format("{} is longer than the window, {}", duration_text(window.every->value),
                                  duration_text(window.size())),
                      "rows between the windows would be in none: filter them, or make the window longer");
  }
  if (kind == WindowKind::global && complete && !(entry.value.emit && entry.value.emit->every)) {
    diagnostics.error(window.global.origin, "T0202", "a global window never ends: it needs emit.every",
                      "such as emit: { every: 60s }");
  }
  if (entry.value.emit && entry.value.emit->clock.value == EmitClock::wall) {
    const Origin& at = entry.value.emit->clock.origin;
    if (!entry.value.emit->every)
      diagnostics.error(at, "T0202", "emit.clock needs emit.every", "such as emit: { every: 60s, clock: wall }");
    else if (steps)
      diagnostics.error(at, "T0212", fmt::format("a {} window has results every 'every' of event time", kinds[0].first),
                        "clock: wall is for tumbling, session and global windows");
  }
  if (window.time.value == WindowTime::processing && entry.value.skew) {
    diagnostics.error(window.time.origin, "T0212",
                      "with time: processing rows get their time from the shard of their key",
                      "remove skew:, or time: processing");
  }
  if (window.time.value == WindowTime::processing && entry.value.late) {
    diagnostics.error(window.time.origin, "T0212", "with time: processing no row is late", "remove late:");
  }
  if (kind == WindowKind::global) return;
  if (window.size().count() > 0 && window.offset.value >= window.size()) {
    diagnostics.error(window.offset.origin, "T0206", fmt::format("{} is too large", duration_text(window.offset.value)),
                      fmt::format("the offset is less than the size, {}", duration_text(window.size())));
  }
}

// A window function has its rows once, when the window is over, and of windows that do not overlap.
void check_apply(const StepSpec& step, Diagnostics& diagnostics) {
  const Origin& at = step.apply->origin;
  if (!step.aggregate.empty())
    diagnostics.error(at, "T0212", "a window has 'aggregate' or 'apply', and this one has both",
                      "make two steps of it");
  if (step.skew)
    diagnostics.error(at, "T0212", "'skew' belongs to aggregates",
                      "a window function needs all rows of a key in one place");
  if (step.emit)
    diagnostics.error(at, "T0212", "'emit' belongs to aggregates",
                      "a window function gives its rows once, when no further row can come");
  if (!step.window->tumbling)
    diagnostics.error(at, "T0212", "'apply' needs a tumbling window", "such as window: { tumbling: 1h }");
  if (step.window->time.value != WindowTime::event)
    diagnostics.error(at, "T0212", "'apply' needs a window of event time", "remove time: processing");
}

void check_join(const IntervalJoinSpec& join, const StepEntry& entry, Diagnostics& diagnostics) {
  const bool complete = !diagnostics.has_error_between(entry.name.origin.begin, entry.end);
  if (join.on.empty() && complete) {
    diagnostics.error(entry.name.origin, "T0202",
                      fmt::format("the join {} needs key 'on' or 'pairs'", in_quotes(entry.name.value)),
                      "on: [column, ...] or pairs: [[left.a, right.b], ...]");
  }
  const auto refuse = [&](const Origin& at, std::string message, std::string hint) {
    diagnostics.error(at, "T0312", std::move(message), std::move(hint));
  };
  if (join.left_only() && join.matches.value != Matches::all) {
    refuse(join.matches.origin, "a semi or anti join has no choice of matches",
           "a left row comes out once, or not at all");
  }
  if (join.left_only() && join.time.value == JoinTime::right) {
    refuse(join.time.origin, "rows of a semi or anti join are left rows, with their own time", "remove 'time'");
  }
  const Located<Unmatched>& unmatched = entry.value.unmatched;
  const bool provisional = unmatched.value == Unmatched::provisional;
  if (provisional || join.emit_unmatched_after) {
    const Origin& at = provisional ? unmatched.origin : join.emit_unmatched_after->origin;
    if (!join.left_unmatched() && !join.right_unmatched()) {
      refuse(at, "nothing comes out unmatched of an inner or semi join", "type: left, right, full or anti");
    } else if (join.matches.value == Matches::earliest) {
      refuse(at, "the earliest match is known only at the watermark, and so is that there is none",
             "matches: first or all");
    }
  }
  if (join.emit_unmatched_after) {
    Duration longest{0};
    if (join.left_unmatched()) longest = std::max(longest, join.between.upper);
    if (join.right_unmatched()) longest = std::max(longest, -join.between.lower);
    if ((join.left_unmatched() || join.right_unmatched()) && join.emit_unmatched_after->value >= longest)
      refuse(join.emit_unmatched_after->origin, fmt::format("no row waits longer than {}", duration_text(longest)),
             "choose less, or remove it");
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
    const char* work = step.deduplicate ? "deduplicate" : step.unnest ? "unnest" : nullptr;
    const char* other = step.window                       ? "window"
                        : step.interval_join              ? "interval_join"
                        : step.deduplicate && step.unnest ? "unnest"
                                                          : nullptr;
    if (work != nullptr && other != nullptr) {
      diagnostics.error(at, "T0311", fmt::format("step {} has '{}' and '{}'", name, work, other),
                        "make them steps of their own, one from the other");
    }
    if (!step.from && !step.interval_join && complete) {
      diagnostics.error(at, "T0202", fmt::format("step {} needs key 'from' or 'interval_join'", name));
    }
    if (step.interval_join) {
      check_join(*step.interval_join, entry, diagnostics);
    } else if (step.unmatched.value == Unmatched::provisional) {
      diagnostics.error(step.unmatched.origin, "T0312", fmt::format("step {} is no join", name), "remove 'unmatched'");
    }
    if (step.window) {
      check_window(entry, diagnostics);
      if (step.aggregate.empty() && !step.apply && complete) {
        diagnostics.error(at, "T0202", fmt::format("step {} has a window and needs key 'aggregate'", name),
                          "such as aggregate: { n: count(*) }");
      }
      if (step.apply) check_apply(step, diagnostics);
      continue;
    }
    const char* stray = !step.aggregate.empty()                                 ? "aggregate"
                        : step.apply                                            ? "apply"
                        : !step.key.empty()                                     ? "key"
                        : step.emit                                             ? "emit"
                        : step.skew                                             ? "skew"
                        : step.late && !step.deduplicate && !step.interval_join ? "late"
                                                                                : nullptr;
    if (stray != nullptr && complete) {
      diagnostics.error(at, "T0311", fmt::format("step {} has '{}' but no window", name, stray),
                        "add window: { tumbling: 10s }");
    }
  }
}

}  // namespace twinspan::config
