#pragma once
// The operator of a window step, whatever its kind: what the plan makes in every shard. Thread: shard.

#include <memory>

#include "engine/operators/operator.h"
#include "engine/operators/window_spec.h"

namespace twinspan::engine {

// `spec` must be valid; `schema` is window_output_schema's and outlives the operator.
std::unique_ptr<Operator> make_window(const WindowSpec& spec, const Schema& schema, unsigned shard = 0,
                                      unsigned shards = 1);

}  // namespace twinspan::engine
