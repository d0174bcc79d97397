#pragma once
// The one table of the HTTP API: path, method, role, whether it changes something, parameters, handler.
// Routing, checks of method, media type and body, and GET /v1/openapi.json all come from it, so that none of
// them can disagree. Knows nothing of sockets: text in, text out. Built once at start, then immutable.
// Thread: any, several at once.

#include <boost/json/value.hpp>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "admin/problem.h"

namespace twinspan::admin {

// Who may call. Without tokens (loopback) everybody is an administrator.
enum class Role : std::uint8_t { none, viewer, operator_, author, admin };
const char* to_string(Role role);

struct Parameter {
  enum class In : std::uint8_t { path, query, body };
  std::string name;
  In in = In::path;
  bool required = true;
  std::string schema;  // JSON Schema; its `type` and `minimum` are checked before the handler runs
  std::string doc;
};

// A request that passed all checks.
struct Call {
  std::map<std::string, std::string, std::less<>> path, query;  // decoded; only parameters of the table
  boost::json::object body;
};

struct Reply {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
};
using Handled = outcome::basic_result<Reply, Problem, outcome::policy::terminate>;

struct Endpoint {
  std::string method,
      path;  // "/v1/pipelines/{p}:pause": a parameter is a whole segment, or all of one before ':verb'
  std::string id, summary;
  Role role = Role::viewer;
  bool mutates = false;  // checked for Origin; logged
  bool slow = false;     // may wait for shards or brokers: never runs on the I/O thread
  std::vector<Parameter> parameters;
  std::string produces = "application/json";
  std::function<Handled(const Call&)> handler;
};

// The parts of an HTTP request the table looks at.
struct Request {
  std::string method, target;
  std::string content_type, accept;
  std::string origin, fetch_site, host;
  std::string body;
};

class EndpointTable {
 public:
  void add(Endpoint endpoint);  // a path and method that are there already are a bug

  struct Match {
    const Endpoint* endpoint = nullptr;
    Call call;
  };
  // Everything that can be said without running the handler: 400, 403, 404, 405, 406, 415, 422.
  std::variant<Match, Problem> match(const Request& request) const;

  const std::vector<Endpoint>& endpoints() const { return endpoints_; }
  std::string openapi(std::string_view version) const;

 private:
  std::vector<Endpoint> endpoints_;
};

// Runs a handler; what it throws becomes a 500 whose cause is in the log only.
Handled run(const EndpointTable::Match& match);

// True if `accept` (a header's value, "" = absent) takes `media` ("application/json"). q=0 excludes.
bool accepts(std::string_view accept, std::string_view media);

}  // namespace twinspan::admin
