#pragma once
// `twinspan run`: loads, starts, waits for a signal or for the end of bounded input, stops. Exit codes: 0, 1 failed,
// 2 usage, 78 invalid configuration. Thread: main.

#include <string>
#include <vector>

#include "gateway/service.h"

namespace twinspan::gateway {

int command_run(const std::vector<std::string>& args);

// The process's logger: ISO time, level, pipeline (the logger's name) and text, on stderr or in a file.
std::shared_ptr<spdlog::logger> make_logger(const config::LogSpec& spec);

}  // namespace twinspan::gateway
