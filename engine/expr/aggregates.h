#pragma once
// Takes the aggregate calls out of an expression of `aggregate:`: `sum(price) / count(*)` becomes two calls, kept by
// the window operator, and the outer expression `$agg0` / `$agg1`, computed when a window fires. What a call may look
// like is in aggregate_table.h. Thread: control.

#include <string>
#include <vector>

#include "engine/expr/aggregate_table.h"
#include "engine/expr/ast.h"

namespace twinspan::engine {

struct AggregateCall {
  std::string function;  // a name of the table
  bool distinct = false;
  AstPtr arg;                          // nullptr: count(*)
  AstPtr filter;                       // nullptr: every row
  std::size_t offset = 0, length = 0;  // of the first place that asks for it
  std::string text;                    // canonical; calls with equal text share one slot
  AstPtr by;                           // what orders, of functions that take it
  AggregateParameters parameters;      // its constants
  std::vector<AstPtr> more;            // of a native function: its second argument and so on

  const AggregateInfo& info() const { return *find_aggregate(function); }
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

// The result type of a call on arguments of these types (count(*): null). Of a native function: its own, whatever they
// are (the planner converts them).
ExprResult<DataType> aggregate_type(const AggregateCall& call, DataType x, DataType by = types::null);

}  // namespace twinspan::engine
