#pragma once
// An aggregate function of a plug-in as a row of the table of aggregates: its state lies in the block memory of the
// window step as that of the built-in ones does, is merged, saved and loaded as bytes, and grows up to what the
// function declares. Thread: control to make one, shard to run it.

#include <deque>
#include <string>
#include <string_view>

#include "engine/expr/aggregate_table.h"
#include "engine/native/twinspan_native.h"

namespace twinspan::engine {

// `f` has been checked; it and `name` live for ever. `keep` holds the texts and types that the row points to.
struct NativeAggregateTexts {
  std::string signature, memory;
  std::vector<DataType> arguments;
};
AggregateInfo native_aggregate(const ts_aggregate& f, std::string_view name, NativeAggregateTexts& keep);

}  // namespace twinspan::engine
