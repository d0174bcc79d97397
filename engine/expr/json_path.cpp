#include "engine/expr/json_path.h"

#include <charconv>

#include <fmt/format.h>

#include "engine/base/json_text.h"

namespace twinspan::engine {

namespace {

constexpr std::size_t kMaxSteps = 64;

bool name_part(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
         c == '-' || static_cast<unsigned char>(c) >= 0x80;
}

// The text in quotes at s[i], which moves behind it; a backslash takes the next character as it is.
bool quoted(std::string_view s, std::size_t& i, std::string& out) {
  const char mark = s[i++];
  while (i < s.size() && s[i] != mark) {
    if (s[i] == '\\' && i + 1 < s.size()) ++i;
    out.push_back(s[i++]);
  }
  if (i >= s.size()) return false;
  ++i;
  return true;
}

}  // namespace

std::optional<JsonPath> JsonPath::parse(std::string_view s, std::string& error) {
  JsonPath path;
  std::size_t i = 0;
  const auto blanks = [&] {
    while (i < s.size() && s[i] == ' ') ++i;
  };
  const auto fail = [&](std::string text) -> std::optional<JsonPath> {
    error = fmt::format("bad JSON path at character {}: {}", i + 1, text);
    return std::nullopt;
  };
  blanks();
  if (s.substr(i).starts_with("lax ")) i += 4;
  if (s.substr(i).starts_with("strict ")) return fail("`strict` is not supported: what is not there is NULL");
  blanks();
  if (i >= s.size() || s[i] != '$') return fail("it begins with $, as in $.a.b[0]['k']");
  ++i;
  for (blanks(); i < s.size(); blanks()) {
    Step step;
    if (s[i] == '.') {
      ++i;
      if (i < s.size() && s[i] == '"') {
        if (!quoted(s, i, step.name)) return fail("a quote is not closed");
      } else {
        while (i < s.size() && name_part(s[i])) step.name.push_back(s[i++]);
        if (step.name.empty()) return fail("a name was expected (wildcards are not supported)");
      }
    } else if (s[i] == '[') {
      ++i;
      blanks();
      if (i < s.size() && (s[i] == '\'' || s[i] == '"')) {
        if (!quoted(s, i, step.name)) return fail("a quote is not closed");
      } else {
        step.member = false;
        const auto r = std::from_chars(s.data() + i, s.data() + s.size(), step.index);
        if (r.ec != std::errc()) return fail("a number or a quoted name was expected (wildcards are not supported)");
        i = static_cast<std::size_t>(r.ptr - s.data());
      }
      blanks();
      if (i >= s.size() || s[i] != ']') return fail("`]` was expected");
      ++i;
    } else {
      return fail("`.` or `[` was expected (filters and functions are not supported)");
    }
    path.steps.push_back(std::move(step));
    if (path.steps.size() > kMaxSteps) return fail(fmt::format("more than {} steps", kMaxSteps));
  }
  return path;
}

std::optional<std::string_view> json_member(std::string_view json, std::string_view name) {
  std::optional<std::string_view> found;
  if (json.empty() || json.front() != '{') return found;
  json_each_member(json, [&](std::string_view key, std::string_view value) {
    if (json_key_is(key, name)) found = value;
    return true;
  });
  return found;
}

std::optional<std::string_view> json_element(std::string_view json, std::int64_t index) {
  std::optional<std::string_view> found;
  if (json.empty() || json.front() != '[') return found;
  if (index < 0) {
    std::int64_t size = 0;
    json_each_element(json, [&](std::size_t, std::string_view) { return ++size, true; });
    index += size;
    if (index < 0) return found;
  }
  json_each_element(json, [&](std::size_t i, std::string_view value) {
    if (static_cast<std::int64_t>(i) < index) return true;
    found = value;
    return false;
  });
  return found;
}

std::optional<std::string_view> JsonPath::find(std::string_view json) const {
  std::optional<std::string_view> at = json_trimmed(json);
  for (const Step& s : steps) {
    at = s.member ? json_member(*at, s.name) : json_element(*at, s.index);
    if (!at) break;
  }
  return at;
}

}  // namespace twinspan::engine
