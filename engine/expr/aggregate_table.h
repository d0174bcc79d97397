#pragma once
// The table of aggregate functions: the one place that says what each takes, gives and promises. The splitter and the
// type checker (aggregates.h), the accumulators (engine/aggregates), the planner and the reference page read it. Those
// of native modules are added to it. Thread: any.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/types.h"

namespace twinspan::engine {

enum class AggregateFunction : std::uint8_t {
  count,
  sum,
  min,
  max,
  avg,
  first,
  last,
  min_by,
  max_by,
  approx_count_distinct,
  percentile,
  top_k,
  string_agg,
  array_agg,
  native,  // of a module: which one, its AggregateInfo says
};

inline constexpr std::uint64_t kListBytes = 64 * 1024;  // of the values of a string_agg or array_agg
// Counters of top_k(x, k): counts are off by at most one in so many rows.
constexpr std::uint32_t top_k_counters(std::int64_t k) { return k < 8 ? 128 : static_cast<std::uint32_t>(k) * 16; }

// The constants of a call; each function uses those its row names.
struct AggregateParameters {
  double fraction = 0;      // 'p': 0 to 1
  std::int64_t number = 0;  // 'k'
  std::string text;         // 's'
  friend bool operator==(const AggregateParameters&, const AggregateParameters&) = default;
};

struct AggregateKernel;

struct AggregateInfo {
  AggregateFunction function;
  std::string_view name;
  std::string_view signature;  // "sum(x number or duration) -> the type of x; decimal(38, s) of a decimal"
  std::string_view doc;        // one line
  // One letter an argument. Columns: x any, c any with an order, n number, u number or duration, t string, o the value
  // that orders. Constants: p fraction, k whole number, s text. '?' after one that may be left out.
  std::string_view arguments;
  enum class Distinct : std::uint8_t { no, same, yes } distinct;  // same: DISTINCT changes nothing, and is dropped
  std::string_view error;                                         // "exact", or how far off a result can be
  std::string_view merge;                           // what merging parts (panes, sessions, split keys) keeps
  std::string_view memory;                          // of one key
  std::string_view not_retractable;                 // why the input must be append-only; empty: rows can be taken back
  std::string_view not_splittable;                  // why rows of a hot key cannot be counted in parts; empty: they can
  std::int64_t number_default = 0, number_max = 0;  // of 'k'; no default: it must be given
  // Of a native function; its columns have exactly these types.
  std::span<const DataType> native_arguments = {};
  DataType native_result = {};
  const AggregateKernel* native_kernel = nullptr;
  const void* native_state = nullptr;  // of the kernel
  std::uint32_t native_saved = 0;      // version of the bytes it saves

  bool has(char letter) const { return arguments.find(letter) != std::string_view::npos; }
  bool retractable() const { return not_retractable.empty(); }
  bool splittable() const { return not_splittable.empty(); }
};

std::span<const AggregateInfo> aggregate_table();           // what is built in, in the order of AggregateFunction
std::span<const AggregateInfo* const> native_aggregates();  // sorted by name
// Functions that come from outside. They stay for the life of the process, and so must what they point to. Nothing is
// checked. Before any expression is compiled elsewhere.
void add_aggregates(std::vector<AggregateInfo> functions);
const AggregateInfo* find_aggregate(std::string_view lower_case_name);  // nullptr: no aggregate
const AggregateInfo& info_of(AggregateFunction function);               // not of `native`

// The type of a result for these argument types (`by`: of the 'o' argument). An error if the function does not take
// them.
Result<DataType> aggregate_result_type(AggregateFunction function, DataType x, DataType by = types::null,
                                       bool distinct = false);

}  // namespace twinspan::engine
