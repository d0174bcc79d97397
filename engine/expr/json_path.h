#pragma once
// A subset of SQL/JSON paths, compiled once: $, .name, ."any name", ['any name'], [n] (from 0; negative: from the end),
// an optional leading `lax`. It names at most one value. Thread: any (read only).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace twinspan::engine {

struct JsonPath {
  struct Step {
    bool member = true;
    std::string name;
    std::int64_t index = 0;
  };
  std::vector<Step> steps;

  static std::optional<JsonPath> parse(std::string_view text, std::string& error);
  // The text of what the path names, without blanks around it; nullopt: nothing. `json` is one valid value. Of a key
  // that an object has twice, the last counts.
  std::optional<std::string_view> find(std::string_view json) const;
};

std::optional<std::string_view> json_member(std::string_view json, std::string_view name);
std::optional<std::string_view> json_element(std::string_view json, std::int64_t index);

}  // namespace twinspan::engine
