#pragma once
// The command line's side of the API: one small blocking HTTP client. A connection per call, each call
// bounded by one deadline that covers connecting, sending and reading. Thread: any, one call at a time.

#include <string>
#include <string_view>

#include "admin/listen_address.h"
#include "engine/base/result.h"

namespace twinspan::admin {

struct HttpReply {
  int status = 0;
  std::string content_type, body;
  bool good() const { return status >= 200 && status < 300; }
};

class Client {
 public:
  static constexpr const char* kUnreachable = "unreachable";  // Error::code: nobody listens there, or it hung up
  static constexpr const char* kTimedOut = "timed_out";

  Client(ListenAddress server, int timeout_ms) : server_(std::move(server)), timeout_ms_(timeout_ms) {}

  // `path` is sent as it is. Errors are transient, with a code of the above.
  Result<HttpReply> get(std::string_view path) const { return call("GET", path, ""); }
  Result<HttpReply> post(std::string_view path, std::string body) const { return call("POST", path, std::move(body)); }
  Result<HttpReply> put(std::string_view path, std::string body) const { return call("PUT", path, std::move(body)); }

  const ListenAddress& server() const { return server_; }

 private:
  Result<HttpReply> call(std::string_view method, std::string_view path, std::string body) const;

  ListenAddress server_;
  int timeout_ms_;
};

}  // namespace twinspan::admin
