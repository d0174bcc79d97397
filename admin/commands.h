#pragma once
// The operator's commands: status, lag, discard-lag, discards, pause, resume, throttle. Each is calls of the
// HTTP API of a running process (client.h) and a table for people, or the API's own JSON with --json.
// main.cpp only dispatches. Thread: the process's only one.

#include <iosfwd>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/clock.h"

namespace twinspan::admin {

enum ExitCode : int {
  kExitOk = 0,
  kExitFailed = 1,
  kExitUsage = 2,
  kExitDenied = 4,
  kExitConflict = 5,
  kExitTimedOut = 6
};

struct CommandIo {
  std::ostream& out;  // data
  std::ostream& err;  // talk
  std::istream& in;   // answers to questions
  bool interactive;   // in and err are a terminal: questions may be asked
  const Clock& clock;
};

struct CommandInfo {
  std::string_view name, usage, summary;
};
std::span<const CommandInfo> operator_commands();
bool is_operator_command(std::string_view name);

// args[0] is the command. Options of all: --server HOST:PORT, --json, --timeout DURATION, --help.
int run_operator_command(const std::vector<std::string>& args, const CommandIo& io);

}  // namespace twinspan::admin
