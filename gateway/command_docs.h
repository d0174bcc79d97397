#pragma once
// `twinspan docs [--format md|json] [-c SERVICE.yaml]`: prints the reference. With a service file, native functions of
// its directory are in it. Exit codes: 0, 2 usage, 78 invalid service file. Thread: main.

#include <string>
#include <vector>

namespace twinspan::gateway {

int command_docs(const std::vector<std::string>& args);

}  // namespace twinspan::gateway
