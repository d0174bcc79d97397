#pragma once
// Takes the aggregate calls out of an expression of `aggregate:`: `sum(price) / count(*)` becomes two calls, kept by
// the window operator, and the outer expression `$agg0` / `$agg1`, computed when a window fires. Thread: control.

#include <string>
#include <vector>

#include "engine/expr/ast.h"

namespace twinspan::engine {

struct AggregateCall {
  std::string function;  // count | sum | min | max | avg
  bool distinct = false;
  AstPtr arg;                          // nullptr: count(*)
  AstPtr filter;                       // nullptr: every row
  std::size_t offset = 0, length = 0;  // of the first place that asks for it
  std::string text;                    // canonical; calls with equal text share one slot
};

struct SplitAggregates {
  AstPtr outer;  // each call replaced by the column `$agg<n>` (n counts from `first`)
  std::vector<AggregateCall> calls;
};

bool is_aggregate_function(std::string_view lower_case_name);
bool has_aggregates(const Ast& ast);

// Appends the calls to `calls`, sharing those already there (so several expressions of one window share slots), and
// gives back the outer expression. Errors: an aggregate within an aggregate or its FILTER, wrong arguments.
ExprResult<AstPtr> split_aggregates(const AstPtr& ast, std::vector<AggregateCall>& calls);
ExprResult<SplitAggregates> split_aggregates(const AstPtr& ast);

// The result type of a call on an argument of this type (int64 for count(*)): sum of int64 is int64, of decimal(p,s)
// decimal(38,s); avg is float64, of decimal(p,s) decimal(38, max(s,6)); min and max keep the type.
ExprResult<DataType> aggregate_type(const AggregateCall& call, DataType arg);

}  // namespace twinspan::engine
