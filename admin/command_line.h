#pragma once
// Arguments of one operator command: positional ones and options, checked against what the command takes.
// Options are
// "--name value", "--name=value" or, for flags, "--name". Thread: any.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace twinspan::admin {

struct CommandLine {
  std::vector<std::string> positional;
  std::map<std::string, std::string, std::less<>> options;  // without "--"; flags map to ""

  bool has(std::string_view name) const { return options.find(name) != options.end(); }
  std::optional<std::string> get(std::string_view name) const {
    const auto found = options.find(name);
    if (found == options.end()) return std::nullopt;
    return found->second;
  }
};

// `args` without the command's name. Errors: config, for people.
Result<CommandLine> parse_command_line(const std::vector<std::string>& args, const std::vector<std::string_view>& flags,
                                       const std::vector<std::string_view>& values, std::size_t max_positional);

}  // namespace twinspan::admin
