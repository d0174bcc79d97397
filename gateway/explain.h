#pragma once
// What a plan will do, for people and programs: sources, steps with their columns and types, where rows change shard,
// what state is kept and for how long, how far behind results are, what is computed once for several uses. The text is
// written from the JSON, so they say the same. Estimates count a text as 24 bytes. Thread: control.

#include <string>

#include "gateway/plan.h"

namespace twinspan::gateway {

std::string explain_json(const Plan& plan, unsigned shards);
std::string explain_text(const Plan& plan, unsigned shards);

}  // namespace twinspan::gateway
