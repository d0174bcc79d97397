#pragma once
// The HTTP/1.1 listener of the admin API: sockets, framing and limits; what a request means is the endpoint
// table's. Owned by the app, started after the pipelines it shows and stopped before them. One I/O thread of
// its own, plus workers for the calls marked slow: a call never runs on a thread of the data path, and no
// call delays a probe.
//
// A connection: header (5 s) ─▶ checks ─▶ body (15 s in all) ─▶ handler ─▶ response ─▶ header of the next
// request ... Whatever makes the framing doubtful (any Transfer-Encoding, two lengths, limits passed) is
// answered and closed. When all connections are taken, the one that has been waiting for its client the
// longest makes room, so slow clients cannot lock out an honest one.
//
// Loopback only: any other address is refused until there is authentication.
// Thread: control (start, stop); the getters: any.

#include <cstddef>
#include <memory>
#include <string>

#include "admin/endpoint_table.h"
#include "engine/base/result.h"

namespace twinspan::admin {

class HttpServer {
 public:
  struct Options {
    std::string listen = "127.0.0.1:8480";  // port 0: any free one
    std::size_t max_header_bytes = 8 * 1024;
    std::size_t max_body_bytes = 1024 * 1024;
    int header_deadline_ms = 5'000;
    int request_deadline_ms = 15'000;
    int idle_deadline_ms = 60'000;  // between two requests of a connection
    std::size_t max_connections = 256;
    unsigned workers = 2;
  };

  // Listens when it returns. `table` is moved in; what its handlers borrow must outlive the server. Errors:
  // config (the address does not parse, is not loopback, is in use, cannot be bound), each naming the
  // address.
  static Result<std::unique_ptr<HttpServer>> start(const Options& options, EndpointTable table);
  ~HttpServer();  // stop()

  std::string address() const;  // as bound: "127.0.0.1:8480"
  std::size_t connections() const;

  // No new connections; requests already running are answered (for at most 3 s, handlers always finish).
  // Idempotent.
  void stop();

 private:
  class Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace twinspan::admin
