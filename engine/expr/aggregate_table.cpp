#include "engine/expr/aggregate_table.h"

#include <algorithm>

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
     .arguments = "x",
     .distinct = D::same,
     .error = "exact",
     .merge = "exact",
     .memory = "one value; on an input with updates every different value",
     .not_retractable = ""},
    {.function = F::max,
     .name = "max",
     .signature = "max(x any) -> the type of x",
     .doc = "The greatest value that is not NULL; NULL if there are none. NaN is larger than every number.",
     .arguments = "x",
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
};

bool takes(char letter, DataType t) {
  switch (letter) {
    case 'n': return t.is_numeric();
    case 'u': return t.is_numeric() || t.kind == TypeKind::duration;
    default: return t.kind != TypeKind::null;
  }
}

}  // namespace

std::span<const AggregateInfo> aggregate_table() { return kTable; }

const AggregateInfo* find_aggregate(std::string_view name) {
  const auto at = std::find_if(std::begin(kTable), std::end(kTable), [&](const auto& i) { return i.name == name; });
  return at == std::end(kTable) ? nullptr : at;
}

const AggregateInfo& info_of(AggregateFunction function) {
  const AggregateInfo& info = kTable[static_cast<std::size_t>(function)];
  TS_CHECK(info.function == function);
  return info;
}

Result<DataType> aggregate_result_type(AggregateFunction function, DataType x, DataType by) {
  const AggregateInfo& info = info_of(function);
  if (function == F::count) return types::int64;
  if (!takes(info.arguments[0], x))
    return config_error(x.kind == TypeKind::null ? fmt::format("{}(NULL) has no type", info.name)
                                                 : fmt::format("{}() does not take {}", info.name, to_string(x)));
  if (info.has('o') && !takes('o', by))
    return config_error(fmt::format("{}() does not order by {}", info.name, to_string(by)));
  switch (function) {
    case F::count: return types::int64;
    case F::sum: return x.kind == TypeKind::decimal ? types::decimal(38, x.scale) : x;
    case F::avg:
      return x.kind == TypeKind::decimal ? types::decimal(38, std::max<std::uint8_t>(x.scale, 6)) : types::float64;
    case F::min:
    case F::max: return x;
  }
  return x;
}

}  // namespace twinspan::engine
