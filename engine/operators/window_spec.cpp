#include "engine/operators/window_spec.h"

#include <numeric>

#include <fmt/format.h>

#include "engine/operators/calendar.h"

namespace twinspan::engine {

namespace {

constexpr std::int64_t kMaxPanes = 100'000;  // of a sliding window
constexpr std::int64_t kMaxSteps = 65'535;   // steps of a cumulate window: a step is 16 bits
constexpr std::int64_t kMaxSize =
    std::int64_t{400} * 86'400'000;  // longer than a year is taken for a mistake in the unit

}  // namespace

std::vector<AggregateSpec> accumulated(const WindowSpec& spec) {
  std::vector<AggregateSpec> all = spec.aggregates;
  if (spec.updating) all.push_back({});
  return all;
}

std::int64_t unit_of(const WindowSpec& s) {
  if (s.kind == WindowKind::global) return s.early;
  return s.kind == WindowKind::sliding ? std::gcd(s.size, s.every) : s.size;
}

std::size_t fixed_key_size(const std::vector<DataType>& types) {
  std::size_t n = (types.size() + 7) / 8;
  for (const DataType t : types) {
    if (t.is_string_like()) return 0;
    n += value_width(t.kind);
  }
  return n;
}

Status validate(const WindowSpec& s) {
  const bool global = s.kind == WindowKind::global;
  if (!global && (s.size <= 0 || s.size > kMaxSize))
    return config_error("the size of a window is between 1 ms and 400 days");
  if (global && s.early <= 0) return config_error("a global window never ends: it needs emit.every");
  if (s.kind == WindowKind::session && s.updating)
    return config_error("a session window needs rows that stay: one that is taken back could split a session");
  if (s.kind == WindowKind::sliding) {
    if (s.every <= 0) return config_error("a sliding window needs 'every'");
    if (s.size / std::gcd(s.size, s.every) > kMaxPanes)
      return config_error(
          fmt::format("more than {} panes in a sliding window: choose an 'every' that divides the size", kMaxPanes));
  }
  if (s.early_clock == EarlyClock::wall) {
    if (s.early == 0) return config_error("emit.clock needs emit.every");
    if (s.kind == WindowKind::sliding || s.kind == WindowKind::cumulate)
      return config_error("this window has results every 'every' already: emit.clock: wall is for the others");
  }
  if (s.processing_time && s.updating)
    return config_error("with time: processing a result that changes would be taken back in another window");
  if (s.processing_time && s.allow_lateness > 0)
    return config_error("with time: processing no row is late: late.allow has no meaning");
  if (s.every < 0 || (!global && s.every > s.size)) return config_error("'every' is longer than the window");
  if (s.early < 0) return config_error("emit.every is negative");
  if (s.kind == WindowKind::cumulate) {
    if (s.every == 0) return config_error("a cumulate window needs 'every'");
    if (s.size % s.every != 0) return config_error("'every' does not divide the size of the cumulate window");
    if (s.size / s.every > kMaxSteps)
      return config_error(fmt::format("more than {} steps in a cumulate window", kMaxSteps));
  }
  if (s.allow_lateness < 0 || s.allow_lateness > kMaxSize)
    return config_error("allowed lateness is between 0 and 400 days");
  if (s.feeds_steps && s.mode == EmitMode::discarding)
    return config_error("a discarding window tells changes: a step cannot read them as values");
  if (s.updating && s.mode == EmitMode::discarding)
    return config_error("a window over results that change cannot be discarding: retracting tells old and new values");
  if (!global && (s.offset <= -s.size || s.offset >= s.size))
    return config_error("the offset is not shorter than the window");
  if (s.skew.split != SplitKeys::off && s.processing_time)
    return config_error(
        "with time: processing rows get their time from the shard of their key: skew cannot split them");
  if (s.skew.split == SplitKeys::most_frequent && (s.skew.keys < 1 || s.skew.keys > kMaxSplitKeys))
    return config_error(fmt::format("skew.split_keys is between 1 and {}", kMaxSplitKeys));
  if (s.key_columns.size() != s.key_types.size()) return permanent_error("key columns without types");
  for (const AggregateSpec& a : s.aggregates) TS_TRYV(validate(a, s.updating));
  TS_TRYV(Calendar::make(s.time_zone, unit_of(s), s.offset));
  return ok();
}

Schema window_output_schema(const WindowSpec& s, const std::vector<std::string>& key_names,
                            const std::vector<std::string>& aggregate_names) {
  TS_CHECK(key_names.size() == s.key_types.size() && aggregate_names.size() == s.aggregates.size());
  Schema out;
  for (std::size_t i = 0; i < key_names.size(); ++i) out.fields.push_back({key_names[i], s.key_types[i]});
  out.fields.push_back({"window_start", types::timestamp});
  out.fields.push_back({"window_end", types::timestamp});
  for (std::size_t i = 0; i < aggregate_names.size(); ++i) {
    auto type = aggregate_result_type(s.aggregates[i]);
    TS_CHECK(type.has_value());
    out.fields.push_back({aggregate_names[i], type.value()});
  }
  return out;
}

}  // namespace twinspan::engine
