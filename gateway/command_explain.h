#pragma once
// `twinspan explain`: prints what pipelines will do (explain.h). Exit codes: 0, 2 usage, 78 invalid configuration.
// Thread: main.

#include <string>
#include <vector>

namespace twinspan::gateway {

int command_explain(const std::vector<std::string>& args);

}  // namespace twinspan::gateway
