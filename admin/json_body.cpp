#include "admin/json_body.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

namespace twinspan::admin {
namespace {

namespace json = boost::json;

std::string type_name(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null: return "null";
    case json::kind::bool_: return "boolean";
    case json::kind::int64:
    case json::kind::uint64: return "integer";
    case json::kind::double_: return "number";
    case json::kind::string: return "string";
    case json::kind::array: return "array";
    case json::kind::object: return "object";
  }
  return "null";
}

// `type` of JSON Schema: a name or a list of names; absent = anything.
bool type_fits(const json::object& schema, const std::string& type, std::string& wanted) {
  const json::value* types = schema.if_contains("type");
  if (types == nullptr) return true;
  const auto fits = [&](const json::value& name) {
    wanted += (wanted.empty() ? "" : " or ") + std::string(name.as_string());
    return name.as_string() == type;
  };
  if (types->is_string()) return fits(*types);
  bool any = false;
  for (const json::value& name : types->as_array()) any = fits(name) || any;
  return any;
}

std::string escape_pointer(std::string_view key) {
  std::string out = "/";
  for (const char c : key) {
    if (c == '~')
      out += "~0";
    else if (c == '/')
      out += "~1";
    else
      out += c;
  }
  return out;
}

void check_value(const Parameter& p, const json::value& value, std::vector<Problem::At>& errors) {
  const json::value parsed = json::parse(p.schema);
  const json::object& schema = parsed.as_object();
  std::string wanted;
  if (!type_fits(schema, type_name(value), wanted)) {
    errors.push_back({escape_pointer(p.name), fmt::format("must be {}, not {}", wanted, type_name(value)), p.doc});
    return;
  }
  if (const json::value* minimum = schema.if_contains("minimum"); minimum != nullptr && value.is_int64()) {
    if (value.as_int64() < minimum->as_int64()) {
      errors.push_back({escape_pointer(p.name), fmt::format("must be at least {}", minimum->as_int64()), p.doc});
    }
  }
}

Problem syntax_error(std::string_view text, std::size_t offset, const std::string& what) {
  Problem problem(400, "malformed_json", fmt::format("the body is not valid JSON: {}", what));
  offset = std::min(offset, text.size());
  const std::string_view before = text.substr(0, offset);
  const std::size_t newline = before.rfind('\n');
  Problem::At at;
  at.message = what;
  at.offset = static_cast<std::int64_t>(offset);
  at.line = 1 + std::count(before.begin(), before.end(), '\n');
  at.column = static_cast<std::int64_t>(newline == std::string_view::npos ? offset : offset - newline - 1) + 1;
  problem.errors.push_back(std::move(at));
  return problem;
}

}  // namespace

Problem invalid(std::string pointer, std::string message, std::string hint) {
  Problem problem(422, "invalid_body", fmt::format("{}: {}", pointer.empty() ? "the body" : pointer, message));
  problem.errors.push_back({std::move(pointer), std::move(message), std::move(hint)});
  return problem;
}

std::optional<Problem> parse_body(std::string_view text, const std::vector<Parameter>& parameters, json::object& out) {
  json::stream_parser parser({}, {.max_depth = 16});
  json::error_code error;
  const std::size_t read = parser.write_some(text.data(), text.size(), error);
  if (error) return syntax_error(text, read, error.message());
  const std::size_t rest = text.find_first_not_of(" \t\r\n", read);
  if (rest != std::string_view::npos) return syntax_error(text, rest, "there is text after the value");
  if (!parser.done()) parser.finish(error);
  if (error) return syntax_error(text, text.size(), text.empty() ? "it is empty" : "it ends too early");

  json::value value = parser.release();
  if (!value.is_object()) return invalid("", fmt::format("must be an object, not {}", type_name(value)));
  std::vector<Problem::At> errors;
  for (const auto& [key, member] : value.as_object()) {
    const auto p = std::find_if(parameters.begin(), parameters.end(), [&](const Parameter& known) {
      return known.in == Parameter::In::body && known.name == key;
    });
    if (p != parameters.end()) {
      check_value(*p, member, errors);
      continue;
    }
    std::string known;
    for (const Parameter& other : parameters) {
      if (other.in == Parameter::In::body) known += (known.empty() ? "known: " : ", ") + other.name;
    }
    errors.push_back({escape_pointer(key), "unknown key", known.empty() ? "this call takes no body" : known});
  }
  for (const Parameter& p : parameters) {
    if (p.in == Parameter::In::body && p.required && !value.as_object().contains(p.name)) {
      errors.push_back({escape_pointer(p.name), "missing", p.doc});
    }
  }
  if (!errors.empty()) {
    Problem problem(
        422, "invalid_body",
        fmt::format("the body has {}", errors.size() == 1 ? "an error" : fmt::format("{} errors", errors.size())));
    problem.errors = std::move(errors);
    return problem;
  }
  out = std::move(value.as_object());
  return std::nullopt;
}

}  // namespace twinspan::admin
