#pragma once
// What only the plan can say of a `tests:` block: expected fields that the sink does not have (T0513). Thread: control.

#include "config/diagnostic.h"
#include "gateway/plan.h"

namespace twinspan::gateway {

void check_expected_columns(const Plan& plan, config::Diagnostics& diagnostics);

}  // namespace twinspan::gateway
