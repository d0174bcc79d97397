#pragma once
// One aggregate of a step, as the plan states it. Plain values. Thread: any one.

#include <vector>

#include "engine/base/result.h"
#include "engine/base/types.h"
#include "engine/expr/aggregate_table.h"

namespace twinspan::engine {

struct AggregateSpec {
  AggregateFunction function = AggregateFunction::count;
  int argument = -1;       // column of the input; -1 = count(*)
  DataType argument_type;  // of that column
  bool distinct = false;   // of functions it changes nothing for, it is ignored
  int filter = -1;         // boolean column of the input: rows where it is not true do not count; -1 = all rows
  int by = -1;             // the column that orders, of functions that take one
  DataType by_type;
  AggregateParameters parameters;
  // Of a native function: what it is, and the columns of its second and further arguments.
  const AggregateInfo* native = nullptr;
  std::vector<int> more_arguments;
  std::vector<DataType> more_types;
};

const AggregateInfo& info_of(const AggregateSpec& aggregate);

// An error if the function does not take these arguments.
Result<DataType> aggregate_result_type(const AggregateSpec& aggregate);

// What a user got wrong; everything Accumulators relies on. `updating_input`: rows will be taken back.
Status validate(const AggregateSpec& aggregate, bool updating_input);

}  // namespace twinspan::engine
