#pragma once
// Child processes that cannot outlive us.

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace twinspan::testing {

struct SpawnOptions {
  std::string output;            // file that takes stdout and stderr (appended); empty: inherited
  std::vector<std::string> env;  // "NAME=value", added to ours
};

// Starts `command` (command[0] is looked up in PATH); throws when that fails. The kernel sends the child
// SIGKILL when this process ends in any way. Thread: any (the fork happens on a thread that never ends,
// because the kernel's promise is tied to the thread that forks).
pid_t spawn(const std::vector<std::string>& command, const SpawnOptions& options = {});

// Waits for the end of a child; its wait status, or nothing when the limit passed first.
std::optional<int> wait_exit(pid_t pid, std::chrono::milliseconds limit);

}  // namespace twinspan::testing
