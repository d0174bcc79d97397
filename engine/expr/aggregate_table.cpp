#include "engine/expr/aggregate_table.h"

#include <algorithm>
#include <deque>

#include <fmt/format.h>

namespace twinspan::engine {

namespace {

using F = AggregateFunction;
using D = AggregateInfo::Distinct;

constexpr AggregateInfo kTable[] = {
    {.function = F::count,
     .name = "count",
     .signature = "count(*) | count([DISTINCT] x any) -> int64",
     .doc = "Rows; with an argument, rows where it is not NULL; with DISTINCT, its different values.",
     .arguments = "x?",
     .distinct = D::yes,
     .error = "exact",
     .merge = "exact",
     .memory = "8 bytes; DISTINCT: what the different values need",
     .not_retractable = ""},
    {.function = F::sum,
     .name = "sum",
     .signature = "sum(x int64 | float64 | decimal | duration) -> the type of x, of decimal(p, s) decimal(38, s)",
     .doc = "The sum of the values that are not NULL; NULL if there are none. A sum that does not fit its type fails.",
     .arguments = "u",
     .distinct = D::no,
     .error = "exact; of float64 the exact sum, rounded once",
     .merge = "exact",
     .memory = "24 bytes, decimal 32, float64 40 (and 296 for a key with values beyond 2^52 or below 2^-48)",
     .not_retractable = ""},
    {.function = F::min,
     .name = "min",
     .signature = "min(x any) -> the type of x",
     .doc = "The least value that is not NULL; NULL if there are none. NaN is larger than every number.",
     .arguments = "c",
     .distinct = D::same,
     .error = "exact",
     .merge = "exact",
     .memory = "one value; on an input with updates every different value",
     .not_retractable = ""},
    {.function = F::max,
     .name = "max",
     .signature = "max(x any) -> the type of x",
     .doc = "The greatest value that is not NULL; NULL if there are none. NaN is larger than every number.",
     .arguments = "c",
     .distinct = D::same,
     .error = "exact",
     .merge = "exact",
     .memory = "one value; on an input with updates every different value",
     .not_retractable = ""},
    {.function = F::avg,
     .name = "avg",
     .signature = "avg(x int64 | float64 | decimal) -> float64, of decimal(p, s) decimal(38, max(s, 6))",
     .doc = "sum(x) / count(x); NULL if there are no values. Of decimals rounded half away from zero.",
     .arguments = "n",
     .distinct = D::no,
     .error = "the exact sum, divided and rounded once more",
     .merge = "exact",
     .memory = "that of sum(x), which it shares",
     .not_retractable = ""},
    {.function = F::first,
     .name = "first",
     .signature = "first(x any) -> the type of x",
     .doc = "The value that is not NULL of the row with the least event time; of several, of the one that came first.",
     .arguments = "x",
     .distinct = D::same,
     .error = "exact",
     .merge = "exact, in the order of arrival",
     .memory = "one value",
     .not_retractable = "one row is kept, and not the one that would take its place"},
    {.function = F::last,
     .name = "last",
     .signature = "last(x any) -> the type of x",
     .doc =
         "The value that is not NULL of the row with the greatest event time; of several, of the one that came last.",
     .arguments = "x",
     .distinct = D::same,
     .error = "exact",
     .merge = "exact, in the order of arrival",
     .memory = "one value",
     .not_retractable = "one row is kept, and not the one that would take its place"},
    {.function = F::min_by,
     .name = "min_by",
     .signature = "min_by(x any, y any) -> the type of x",
     .doc = "x of the row with the least y, neither NULL; of several, of the first by event time, then arrival.",
     .arguments = "xo",
     .distinct = D::same,
     .error = "exact",
     .merge = "exact, in the order of arrival",
     .memory = "one x and one y",
     .not_retractable = "one row is kept, and not the one that would take its place"},
    {.function = F::max_by,
     .name = "max_by",
     .signature = "max_by(x any, y any) -> the type of x",
     .doc = "x of the row with the greatest y, neither NULL; of several, of the first by event time, then arrival.",
     .arguments = "xo",
     .distinct = D::same,
     .error = "exact",
     .merge = "exact, in the order of arrival",
     .memory = "one x and one y",
     .not_retractable = "one row is kept, and not the one that would take its place"},
    {.function = F::approx_count_distinct,
     .name = "approx_count_distinct",
     .signature = "approx_count_distinct(x any) -> int64",
     .doc = "About how many different values there are, NULL not counted (HyperLogLog).",
     .arguments = "c",
     .distinct = D::same,
     .error = "exact up to 768 different values, above that a standard error of 0.81 %",
     .merge = "the same as in one pass",
     .memory = "up to 16 KiB",
     .not_retractable = "the sketch does not know how often a value came; count(DISTINCT x) does"},
    {.function = F::percentile,
     .name = "percentile",
     .signature =
         "percentile(x int64 | float64 | decimal | duration, p constant 0 to 1) -> float64, of duration duration",
     .doc = "The value that p of the values lie below, of rank floor(p * (n - 1)) (DDSketch). 0.5 is the median.",
     .arguments = "up",
     .distinct = D::no,
     .error = "0.78 % of the value; those more than 64 powers of two below the greatest magnitude count as zero",
     .merge = "the same as in one pass",
     .memory = "0.5 KiB for each power of two with values, up to 32 KiB",
     .not_retractable = ""},
    {.function = F::top_k,
     .name = "top_k",
     .signature = "top_k(x any, k constant 1 to 100) -> array<row<value, count int64, error int64>>",
     .doc = "The k most frequent values, most frequent first, values of equal counts in their order (Space-Saving).",
     .arguments = "ck",
     .distinct = D::no,
     .error = "a count is at most `error` too high, which is at most rows / max(128, 16 k); exact for fewer values",
     .merge = "within the same bound",
     .memory = "max(128, 16 k) values and counters",
     .not_retractable = "a value that had no counter cannot be counted down; count(*) by value in a window can",
     .not_splittable = "which values share a counter would depend on which rows came together",
     .number_max = 100},
    {.function = F::string_agg,
     .name = "string_agg",
     .signature = "string_agg([DISTINCT] x string, separator constant [, limit constant 1 to 10000]) -> string",
     .doc =
         "The values that are not NULL, joined, by event time, then arrival; NULL if there are none. What exceeds the "
         "limit (1000) or 64 KiB is left out.",
     .arguments = "tsk?",
     .distinct = D::yes,
     .error = "exact up to the limit",
     .merge = "exact, in the order of arrival",
     .memory = "the values, up to the limits",
     .not_retractable = "what the limit left out is not kept",
     .number_default = 1000,
     .number_max = 10'000},
    {.function = F::array_agg,
     .name = "array_agg",
     .signature = "array_agg([DISTINCT] x any [, limit constant 1 to 10000]) -> array<x>",
     .doc = "The values that are not NULL, by event time, then arrival; NULL if there are none. What "
            "exceeds the limit (1000) or 64 KiB is left out.",
     .arguments = "xk?",
     .distinct = D::yes,
     .error = "exact up to the limit",
     .merge = "exact, in the order of arrival",
     .memory = "the values, up to the limits",
     .not_retractable = "what the limit left out is not kept",
     .number_default = 1000,
     .number_max = 10'000},
};

bool takes(char letter, DataType t) {
  switch (letter) {
    case 'n': return t.is_numeric();
    case 'u': return t.is_numeric() || t.kind == TypeKind::duration;
    case 't': return t.kind == TypeKind::string;
    case 'c':
    case 'o': return t.is_key();
    default: return t.kind != TypeKind::null;
  }
}

// What was added.
struct Natives {
  std::deque<AggregateInfo> kept;
  std::vector<const AggregateInfo*> sorted;
};
Natives& natives() {
  static Natives instance;
  return instance;
}

}  // namespace

std::span<const AggregateInfo> aggregate_table() { return kTable; }

std::span<const AggregateInfo* const> native_aggregates() { return natives().sorted; }

void add_aggregates(std::vector<AggregateInfo> functions) {
  Natives& all = natives();
  for (AggregateInfo& f : functions) all.sorted.push_back(&all.kept.emplace_back(f));
  std::sort(all.sorted.begin(), all.sorted.end(), [](const auto* a, const auto* b) { return a->name < b->name; });
}

const AggregateInfo* find_aggregate(std::string_view name) {
  const auto at = std::find_if(std::begin(kTable), std::end(kTable), [&](const auto& i) { return i.name == name; });
  if (at != std::end(kTable)) return at;
  for (const AggregateInfo* added : natives().sorted)
    if (added->name == name) return added;
  return nullptr;
}

const AggregateInfo& info_of(AggregateFunction function) {
  TS_CHECK(function != F::native);
  const AggregateInfo& info = kTable[static_cast<std::size_t>(function)];
  TS_CHECK(info.function == function);
  return info;
}

Result<DataType> aggregate_result_type(AggregateFunction function, DataType x, DataType by, bool distinct) {
  const AggregateInfo& info = info_of(function);
  const bool same = info.distinct == AggregateInfo::Distinct::same;
  if (x.kind == TypeKind::null && function != F::count)
    return config_error(fmt::format("{}(NULL) has no type", info.name));
  if ((function != F::count && !takes(info.arguments[0], x)) || (distinct && !same && !takes('c', x)))
    return config_error(
        fmt::format("{}({}) does not take {}", info.name, distinct && !same ? "DISTINCT .." : "", to_string(x)));
  if (info.has('o') && !takes('o', by))
    return config_error(fmt::format("{}() does not order by {}", info.name, to_string(by)));
  switch (function) {
    case F::count:
    case F::approx_count_distinct: return types::int64;
    case F::sum: return x.kind == TypeKind::decimal ? types::decimal(38, x.scale) : x;
    case F::avg:
      return x.kind == TypeKind::decimal ? types::decimal(38, std::max<std::uint8_t>(x.scale, 6)) : types::float64;
    case F::percentile: return x.kind == TypeKind::duration ? x : types::float64;
    case F::top_k: return types::array(types::row({{"value", x}, {"count", types::int64}, {"error", types::int64}}));
    case F::string_agg: return types::string;
    case F::array_agg:
      if (x.info != nullptr && x.info->depth == kMaxTypeDepth)
        return config_error(fmt::format("{}() does not take a type of {} levels", info.name, kMaxTypeDepth));
      return types::array(x);
    case F::min:
    case F::max:
    case F::first:
    case F::last:
    case F::min_by:
    case F::max_by:
    case F::native: return x;
  }
  return x;
}

}  // namespace twinspan::engine
