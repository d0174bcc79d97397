#include "admin/client.h"

#include <fmt/format.h>

#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>

namespace twinspan::admin {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

constexpr std::uint64_t kMaxReply = 256u << 20;

// The chain connect ─▶ write ─▶ read on an io_context of its own, so that one deadline covers all of it.
struct Exchange {
  asio::io_context io;
  asio::ip::tcp::resolver resolver{io};
  beast::tcp_stream stream{io};
  beast::flat_buffer buffer;
  http::request<http::string_body> request;
  http::response_parser<http::string_body> response;
  beast::error_code error;

  void run(const ListenAddress& server, int timeout_ms) {
    response.body_limit(kMaxReply);
    const auto failed = [this](const beast::error_code& e) {
      error = e;
      return static_cast<bool>(e);
    };
    // The resolver has no deadline of its own; names of this machine need no network.
    const auto found = resolver.resolve(server.host, std::to_string(server.port), error);
    if (error) return;
    stream.expires_after(std::chrono::milliseconds(timeout_ms));
    stream.async_connect(found, [&](const beast::error_code& e, const auto&) {
      if (failed(e)) return;
      http::async_write(stream, request, [&](const beast::error_code& e2, std::size_t) {
        if (failed(e2)) return;
        http::async_read(stream, buffer, response, [&](const beast::error_code& e3, std::size_t) { failed(e3); });
      });
    });
    io.run();
    beast::error_code ignored;
    stream.socket().shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  }
};

}  // namespace

Result<HttpReply> Client::call(std::string_view method, std::string_view path, std::string body) const {
  const std::string where = to_string(server_);
  try {
    Exchange exchange;
    exchange.request.version(11);
    exchange.request.method_string({method.data(), method.size()});
    exchange.request.target({path.data(), path.size()});
    exchange.request.set(http::field::host, where);
    exchange.request.set(http::field::accept, "application/json, application/problem+json, text/plain");
    exchange.request.set(http::field::connection, "close");
    if (!body.empty()) exchange.request.set(http::field::content_type, "application/json");
    exchange.request.body() = std::move(body);
    exchange.request.prepare_payload();
    exchange.run(server_, timeout_ms_);
    if (exchange.error == beast::error::timeout) {
      Error error = transient_error(fmt::format("{} did not answer within {} s", where, timeout_ms_ / 1000.0));
      error.code = kTimedOut;
      return error;
    }
    if (exchange.error) {
      Error error = transient_error(fmt::format(
          "cannot reach {}: {}; does `twinspan run` run there? (--server HOST:PORT)", where, exchange.error.message()));
      error.code = kUnreachable;
      return error;
    }
    const auto& reply = exchange.response.get();
    const auto type = reply[http::field::content_type];
    return HttpReply{static_cast<int>(reply.result_int()), std::string(type.data(), type.size()), reply.body()};
  } catch (const std::exception& e) {
    Error error = transient_error(fmt::format("cannot reach {}: {}", where, e.what()));
    error.code = kUnreachable;
    return error;
  }
}

}  // namespace twinspan::admin
