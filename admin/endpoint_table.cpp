#include "admin/endpoint_table.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/json.hpp>
#include <boost/url.hpp>

#include "admin/json_body.h"

namespace twinspan::admin {

const char* to_string(Role role) {
  switch (role) {
    case Role::none: return "none";
    case Role::viewer: return "viewer";
    case Role::operator_: return "operator";
    case Role::author: return "author";
    case Role::admin: return "admin";
  }
  return "admin";
}

namespace {

using Segments = std::vector<std::string>;

Segments split(std::string_view path) {
  Segments out;
  while (!path.empty()) {
    path.remove_prefix(1);  // '/'
    const std::size_t slash = std::min(path.find('/'), path.size());
    out.emplace_back(path.substr(0, slash));
    path.remove_prefix(slash);
  }
  return out;
}

// One segment of a pattern against one of a path. A parameter takes no ':', which begins a verb.
bool match_segment(std::string_view pattern, std::string_view text, Call& call) {
  if (!pattern.starts_with('{')) return pattern == text;
  const std::size_t close = pattern.find('}');
  const std::string_view name = pattern.substr(1, close - 1), verb = pattern.substr(close + 1);
  if (!text.ends_with(verb)) return false;
  const std::string_view value = text.substr(0, text.size() - verb.size());
  if (value.empty() || value.find(':') != std::string_view::npos) return false;
  call.path.emplace(name, value);
  return true;
}

bool match_path(std::string_view pattern, const Segments& path, Call& call) {
  const Segments wanted = split(pattern);
  if (wanted.size() != path.size()) return false;
  call.path.clear();
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (!match_segment(wanted[i], path[i], call)) return false;
  }
  return true;
}

std::string_view trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// "application/json; charset=utf-8" -> "application/json"
std::string media_type(std::string_view value) {
  std::string type(trim(value.substr(0, value.find(';'))));
  std::transform(type.begin(), type.end(), type.begin(), [](unsigned char c) { return std::tolower(c); });
  return type;
}

bool q_is_zero(std::string_view parameters) {
  const std::size_t q = parameters.find("q=");
  if (q == std::string_view::npos) return false;
  const std::string_view value = trim(parameters.substr(q + 2, parameters.find(';', q) - q - 2));
  return !value.empty() && value.find_first_not_of("0.") == std::string_view::npos;
}

// A browser page of another origin must not change anything (CSRF); command lines send neither header.
std::optional<Problem> check_origin(const Request& request) {
  if (!request.origin.empty() && request.origin != "http://" + request.host) {
    return Problem(403, "origin_refused",
                   fmt::format("calls from the origin \"{}\" may not change anything", request.origin));
  }
  if (!request.fetch_site.empty() && request.fetch_site != "same-origin" && request.fetch_site != "none") {
    return Problem(403, "origin_refused", "calls from other sites may not change anything");
  }
  return std::nullopt;
}

std::string names_of(const Endpoint& endpoint, Parameter::In in) {
  std::string names;
  for (const Parameter& p : endpoint.parameters) {
    if (p.in == in) names += (names.empty() ? "" : ", ") + p.name;
  }
  return names;
}

std::optional<Problem> read_query(const Endpoint& endpoint, boost::urls::url_view url, Call& call) {
  for (const auto& item : url.params()) {
    const bool known = std::any_of(endpoint.parameters.begin(), endpoint.parameters.end(), [&](const Parameter& p) {
      return p.in == Parameter::In::query && p.name == item.key;
    });
    if (!known) {
      const std::string names = names_of(endpoint, Parameter::In::query);
      return Problem(400, "unknown_parameter",
                     fmt::format("there is no query parameter \"{}\" here; {}", item.key,
                                 names.empty() ? "this call takes none" : "known: " + names));
    }
    call.query.emplace(item.key, item.value);
  }
  return std::nullopt;
}

std::optional<Problem> read_body(const Endpoint& endpoint, const Request& request, Call& call) {
  const bool takes_body = !names_of(endpoint, Parameter::In::body).empty();
  if (!takes_body) {
    if (request.body.empty() || !endpoint.mutates) return std::nullopt;
    // An empty object is what generic clients send.
    call.body = {};
  }
  const bool needed = std::any_of(endpoint.parameters.begin(), endpoint.parameters.end(),
                                  [](const Parameter& p) { return p.in == Parameter::In::body && p.required; });
  if (request.body.empty() && !needed) return std::nullopt;
  if (!request.body.empty() && media_type(request.content_type) != "application/json") {
    return Problem(
        415, "not_json",
        fmt::format("the body must be application/json, not \"{}\": send the header Content-Type: application/json",
                    request.content_type));
  }
  return parse_body(request.body, endpoint.parameters, call.body);
}

}  // namespace

bool accepts(std::string_view accept, std::string_view media) {
  if (trim(accept).empty()) return true;
  const std::string_view family = media.substr(0, media.find('/'));
  // The most specific range decides (RFC 9110, 12.5.1).
  int best = 0;
  bool accepted = false;
  while (!accept.empty()) {
    const std::size_t comma = std::min(accept.find(','), accept.size());
    const std::string_view item = accept.substr(0, comma);
    accept.remove_prefix(std::min(comma + 1, accept.size()));
    const std::string type = media_type(item);
    const int rank = type == media ? 3 : type == fmt::format("{}/*", family) ? 2 : type == "*/*" ? 1 : 0;
    if (rank == 0 || rank < best) continue;
    best = rank;
    const std::size_t semicolon = item.find(';');
    accepted = semicolon == std::string_view::npos || !q_is_zero(item.substr(semicolon + 1));
  }
  return accepted;
}

void EndpointTable::add(Endpoint endpoint) {
  for (const Endpoint& other : endpoints_) TS_CHECK(other.path != endpoint.path || other.method != endpoint.method);
  TS_CHECK(endpoint.handler != nullptr);
  endpoints_.push_back(std::move(endpoint));
}

std::variant<EndpointTable::Match, Problem> EndpointTable::match(const Request& request) const {
  const auto url = boost::urls::parse_origin_form(request.target);
  if (!url) return Problem(400, "bad_target", "the request target is not a valid path");
  Segments path;
  for (const auto& segment : url->segments()) path.push_back(segment);

  Match found;
  std::string allow;
  for (const Endpoint& endpoint : endpoints_) {
    Call call;
    if (!match_path(endpoint.path, path, call)) continue;
    allow += (allow.empty() ? "" : ", ") + endpoint.method;
    if (endpoint.method == request.method) {
      found.endpoint = &endpoint;
      found.call = std::move(call);
      break;
    }
  }
  if (found.endpoint == nullptr && allow.empty()) {
    return Problem(
        404, "no_such_path",
        fmt::format("there is nothing at {}; GET /v1/openapi.json lists what there is", std::string(url->path())));
  }
  if (found.endpoint == nullptr) {
    Problem problem(405, "method_not_allowed",
                    fmt::format("{} is not possible here; allowed: {}", request.method, allow));
    problem.allow = allow;
    return problem;
  }
  const Endpoint& endpoint = *found.endpoint;
  if (endpoint.mutates) {
    if (auto problem = check_origin(request)) return *problem;
  }
  const std::string produces = media_type(endpoint.produces);
  if (!accepts(request.accept, produces)) {
    return Problem(406, "not_acceptable",
                   fmt::format("this call answers {}, which the Accept header excludes", produces));
  }
  if (auto problem = read_query(endpoint, *url, found.call)) return *problem;
  if (auto problem = read_body(endpoint, request, found.call)) return *problem;
  return found;
}

Handled run(const EndpointTable::Match& match) {
  try {
    return match.endpoint->handler(match.call);
  } catch (const std::exception& e) {
    spdlog::error("admin: {} {}: {}", match.endpoint->method, match.endpoint->path, e.what());
    return Problem(500, "internal", "the call failed; the log says why");
  }
}

std::string EndpointTable::openapi(std::string_view version) const {
  namespace json = boost::json;
  json::object paths;
  const json::object problem_reply{
      {"description", "a problem"},
      {"content", json::object{{"application/problem+json",
                                json::object{{"schema", json::object{{"$ref", "#/components/schemas/Problem"}}}}}}}};
  for (const Endpoint& endpoint : endpoints_) {
    json::array parameters;
    json::object properties;
    json::array required;
    for (const Parameter& p : endpoint.parameters) {
      json::value schema = json::parse(p.schema);
      if (p.in == Parameter::In::body) {
        schema.as_object()["description"] = p.doc;
        properties[p.name] = std::move(schema);
        if (p.required) required.emplace_back(p.name);
      } else {
        parameters.push_back(json::object{{"name", p.name},
                                          {"in", p.in == Parameter::In::path ? "path" : "query"},
                                          {"required", p.required},
                                          {"description", p.doc},
                                          {"schema", std::move(schema)}});
      }
    }
    json::object operation{{"operationId", endpoint.id},
                           {"summary", endpoint.summary},
                           {"x-role", to_string(endpoint.role)},
                           {"x-mutates", endpoint.mutates},
                           {"parameters", std::move(parameters)}};
    if (!properties.empty()) {
      json::object schema{{"type", "object"}, {"additionalProperties", false}, {"properties", std::move(properties)}};
      const bool needed = !required.empty();
      if (needed) schema["required"] = std::move(required);
      operation["requestBody"] =
          json::object{{"required", needed},
                       {"content", json::object{{"application/json", json::object{{"schema", std::move(schema)}}}}}};
    }
    operation["responses"] = json::object{
        {"200", json::object{{"description", "done"}, {"content", json::object{{endpoint.produces, json::object{}}}}}},
        {"default", problem_reply}};
    std::string method = endpoint.method;
    std::transform(method.begin(), method.end(), method.begin(), [](unsigned char c) { return std::tolower(c); });
    json::value& item = paths[endpoint.path];
    if (!item.is_object()) item = json::object{};
    item.as_object()[method] = std::move(operation);
  }
  const json::value problem_schema = json::parse(R"({"type":"object","properties":{"type":{"type":"string"},
    "title":{"type":"string"},"status":{"type":"integer"},"detail":{"type":"string"},"code":{"type":"string"},
    "errors":{"type":"array","items":{"type":"object","properties":{"pointer":{"type":"string"},"line":{"type":"integer"},
    "column":{"type":"integer"},"offset":{"type":"integer"},"message":{"type":"string"},"hint":{"type":"string"}}}},
    "request_id":{"type":"string"}},"required":["type","title","status","detail","code","errors","request_id"]})");
  return json::serialize(
      json::object{{"openapi", "3.1.0"},
                   {"info", json::object{{"title", "Twinspan"}, {"version", version}}},
                   {"paths", std::move(paths)},
                   {"components", json::object{{"schemas", json::object{{"Problem", problem_schema}}}}}});
}

}  // namespace twinspan::admin
