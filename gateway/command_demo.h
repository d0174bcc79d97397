#pragma once
// `twinspan demo`: two embedded mock clusters, a generator, the main job, and keys that break and mend. Thread: main.

#include <string>
#include <vector>

namespace twinspan::gateway {

int command_demo(const std::vector<std::string>& args);

}  // namespace twinspan::gateway
