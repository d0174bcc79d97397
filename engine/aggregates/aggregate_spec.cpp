#include "engine/aggregates/aggregate_spec.h"

#include <fmt/format.h>

namespace twinspan::engine {

const AggregateInfo& info_of(const AggregateSpec& a) { return a.native != nullptr ? *a.native : info_of(a.function); }

namespace {

Result<DataType> native_result_type(const AggregateSpec& a) {
  const AggregateInfo& info = *a.native;
  bool fits = info.native_arguments.size() == 1 + a.more_types.size() && a.argument >= 0 &&
              a.more_arguments.size() == a.more_types.size() && info.native_arguments[0] == a.argument_type;
  for (std::size_t i = 0; fits && i < a.more_types.size(); ++i) fits = info.native_arguments[1 + i] == a.more_types[i];
  if (!fits) return config_error(fmt::format("{}() takes {}", info.name, info.signature));
  return info.native_result;
}

}  // namespace

Result<DataType> aggregate_result_type(const AggregateSpec& a) {
  if (a.native != nullptr) return native_result_type(a);
  if (a.argument < 0 && a.function != AggregateFunction::count)
    return config_error(fmt::format("{}() needs an argument", info_of(a).name));
  return aggregate_result_type(a.function, a.argument_type, a.by_type, a.distinct);
}

Status validate(const AggregateSpec& a, bool updating_input) {
  const AggregateInfo& info = info_of(a);
  TS_TRYV(aggregate_result_type(a));
  if (a.distinct && info.distinct == AggregateInfo::Distinct::no)
    return config_error(fmt::format("{}(DISTINCT ..) is not supported, count(DISTINCT ..) is", info.name));
  if (a.distinct && a.argument < 0) return config_error("count(DISTINCT *) has no meaning: name a column");
  if (info.has('o') && a.by < 0) return config_error(fmt::format("{}() needs what it orders by", info.name));
  if (info.has('p') && !(a.parameters.fraction >= 0 && a.parameters.fraction <= 1))
    return config_error(fmt::format("the fraction of {}() is between 0 and 1", info.name));
  if (info.has('k') && (a.parameters.number < 1 || a.parameters.number > info.number_max))
    return config_error(fmt::format("{}() takes a number between 1 and {}", info.name, info.number_max));
  if (updating_input && !info.retractable())
    return config_error(fmt::format("{}() cannot take rows back: {}", info.name, info.not_retractable));
  return ok();
}

}  // namespace twinspan::engine
