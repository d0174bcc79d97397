#pragma once
// What a window step computes, as the plan states it: windows, key, aggregates, and when results come out.
// Plain values; the plan builder fills one, `validate` answers what a user got wrong, `window_output_schema`
// names the result. Thread: any one.

#include <cstdint>
#include <string>
#include <vector>

#include "engine/aggregates/aggregate_spec.h"
#include "engine/base/ids.h"
#include "engine/base/result.h"
#include "engine/base/types.h"

namespace twinspan::engine {

enum class WindowKind : std::uint8_t { tumbling, cumulate, sliding, session, global };
enum class EarlyClock : std::uint8_t { event, wall };
enum class EmitMode : std::uint8_t { accumulating, discarding, retracting };

// Rows of frequent keys are counted where they are read, and only what they count goes to the shard of the key.
enum class SplitKeys : std::uint8_t { off, automatic, most_frequent };
struct SkewSpec {
  SplitKeys split = SplitKeys::off;
  std::uint32_t keys = 0;  // most_frequent: how many, 1 to kMaxSplitKeys
};
inline constexpr std::uint32_t kMaxSplitKeys = 1024;

struct WindowSpec {
  WindowKind kind = WindowKind::tumbling;
  std::int64_t size = 0;   // ms; of a session: the gap; global: 0
  std::int64_t every = 0;  // ms: cumulate: the step, divides size; sliding: from one start to the next
  // ms: early firings at start + k * early; of session and global windows at offset + k * early, of a global one in
  // days of the zone if it is whole days. 0 = none; not of cumulate windows.
  std::int64_t early = 0;
  EarlyClock early_clock = EarlyClock::event;  // wall: every `early` ms of the clock; not of sliding windows
  bool processing_time = false;                // rows have the time at which they come here (window_clock.h)
  std::int64_t offset = 0;                     // ms: moves the start of every window
  // Sizes that are multiples of a day follow the calendar of the zone: a day has 23 or 25 hours when the
  // clocks change. Other sizes are aligned with the zone's standard (winter) offset of today's rules, so they
  // never change length.
  std::string time_zone = "UTC";

  std::vector<int> key_columns;  // may be empty: one result a window
  std::vector<DataType> key_types;
  std::vector<AggregateSpec> aggregates;

  std::int64_t allow_lateness = 0;         // ms
  EmitMode mode = EmitMode::accumulating;  // what a sink gets
  // A step reads the results: every change is told as the old value (kForStepsFlag unless retracting), then the new.
  bool feeds_steps = false;
  std::int64_t portion = 8192;  // keys that a portion of a firing looks at (operator.h)
  // Rows may take former ones back (they come from a window). Every aggregate must be retractable.
  bool updating = false;
  SkewSpec skew;  // not off: rows come through CombineRows
};

// The first thing wrong, for the user; everything the operator relies on.
Status validate(const WindowSpec& spec);

// The aggregates a window computes: those of the spec, and if it is updating one that counts rows, since a result
// without any is none.
std::vector<AggregateSpec> accumulated(const WindowSpec& spec);

// What the step's Calendar counts in: windows; panes of a sliding window; moments of a global one. ms
std::int64_t unit_of(const WindowSpec& spec);

// Bytes of an encoded key; 0: it varies.
std::size_t fixed_key_size(const std::vector<DataType>& types);

// Key columns, window_start, window_end (NULL for a global window), aggregates: in this order. The spec must be valid.
Schema window_output_schema(const WindowSpec& spec, const std::vector<std::string>& key_names,
                            const std::vector<std::string>& aggregate_names);

}  // namespace twinspan::engine
