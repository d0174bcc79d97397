#pragma once
// `twinspan demo`: two embedded mock clusters, a generator, the main job, and keys (or a script) that break
// and mend. Exit codes: 0 everything worked, 1 it did not, 2 usage. Thread: main.

#include <string>
#include <vector>

namespace twinspan::gateway {

int command_demo(const std::vector<std::string>& args);

}  // namespace twinspan::gateway
