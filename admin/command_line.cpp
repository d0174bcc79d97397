#include "admin/command_line.h"

#include <fmt/format.h>

#include <algorithm>

namespace twinspan::admin {

Result<CommandLine> parse_command_line(const std::vector<std::string>& args, const std::vector<std::string_view>& flags,
                                       const std::vector<std::string_view>& values, std::size_t max_positional) {
  CommandLine line;
  bool options_end = false;
  for (std::size_t i = 0; i < args.size(); ++i) {
    const std::string& arg = args[i];
    if (options_end || !arg.starts_with("--")) {
      if (line.positional.size() == max_positional)
        return config_error(fmt::format("\"{}\" is one argument too many", arg));
      line.positional.push_back(arg);
      continue;
    }
    if (arg == "--") {
      options_end = true;
      continue;
    }
    const std::size_t equals = arg.find('=');
    const std::string name = arg.substr(2, equals == std::string::npos ? equals : equals - 2);
    if (line.has(name)) return config_error(fmt::format("--{} is there twice", name));
    if (std::find(flags.begin(), flags.end(), name) != flags.end()) {
      if (equals != std::string::npos) return config_error(fmt::format("--{} takes no value", name));
      line.options.emplace(name, "");
    } else if (std::find(values.begin(), values.end(), name) != values.end()) {
      if (equals == std::string::npos && i + 1 == args.size())
        return config_error(fmt::format("--{} needs a value", name));
      line.options.emplace(name, equals == std::string::npos ? args[++i] : arg.substr(equals + 1));
    } else {
      return config_error(fmt::format("there is no option --{} here", name));
    }
  }
  return line;
}

}  // namespace twinspan::admin
