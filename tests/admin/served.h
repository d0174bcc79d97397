#pragma once
// The API of a FakeControlPlane on a free port, and raw connections to it.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <chrono>
#include <string>
#include <utility>

#include "admin/client.h"
#include "admin/endpoints.h"
#include "admin/http_server.h"
#include "tests/admin/fake_control_plane.h"

namespace twinspan::testing {

// Every read waits for the other side, at most kPatience.
class RawConnection {
 public:
  static constexpr int kPatienceMs = 8'000;

  explicit RawConnection(const std::string& address) {
    const auto parsed = admin::parse_listen_address(address).value();
    fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(parsed.port);
    inet_pton(AF_INET, parsed.host.c_str(), &to.sin_addr);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  }
  RawConnection(RawConnection&& other) noexcept : fd_(std::exchange(other.fd_, -1)), connected_(other.connected_) {}
  RawConnection& operator=(RawConnection&&) = delete;
  ~RawConnection() {
    if (fd_ >= 0) ::close(fd_);
  }
  bool connected() const { return connected_; }

  void send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t n = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (n <= 0) return;  // the server has closed: what it said is still there to read
      text.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  // Until the server closes; `reset` tells a hard close.
  std::string read_to_end() {
    std::string all;
    while (more(all)) {
    }
    return all;
  }
  // One response with its body.
  std::string read_response() {
    while (true) {
      const std::size_t end = pending_.find("\r\n\r\n");
      if (end != std::string::npos) {
        const std::size_t at = pending_.find("Content-Length: ");
        const std::size_t length = at < end ? std::stoul(pending_.substr(at + 16)) : 0;
        if (pending_.size() >= end + 4 + length) {
          std::string one = pending_.substr(0, end + 4 + length);
          pending_.erase(0, end + 4 + length);
          return one;
        }
      }
      if (!more(pending_)) return std::exchange(pending_, "");
    }
  }
  bool closed_by_server() {
    std::string rest;
    return !more(rest) && rest.empty() && !timed_out_;
  }

 private:
  bool more(std::string& into) {
    pollfd p{fd_, POLLIN, 0};
    if (::poll(&p, 1, kPatienceMs) <= 0) {
      timed_out_ = true;
      return false;
    }
    char bytes[16'384];
    const ssize_t n = ::recv(fd_, bytes, sizeof bytes, 0);
    if (n <= 0) return false;
    into.append(bytes, static_cast<std::size_t>(n));
    return true;
  }
  int fd_ = -1;
  bool connected_ = false, timed_out_ = false;
  std::string pending_;
};

class Served : public ::testing::Test {
 protected:
  void start(admin::HttpServer::Options options = {}) {
    options.listen = "127.0.0.1:0";
    auto started = admin::HttpServer::start(options, admin::make_endpoints(control, clock));
    ASSERT_TRUE(started) << started.error().message;
    server = std::move(started.value());
  }
  void SetUp() override { start(); }

  admin::Client client(int timeout_ms = 8'000) const {
    return {admin::parse_listen_address(server->address()).value(), timeout_ms};
  }
  admin::HttpReply get(const std::string& path) const { return answered(client().get(path)); }
  admin::HttpReply post(const std::string& path, const std::string& body) const {
    return answered(client().post(path, body));
  }
  admin::HttpReply put(const std::string& path, const std::string& body) const {
    return answered(client().put(path, body));
  }
  static admin::HttpReply answered(Result<admin::HttpReply> reply) {
    EXPECT_TRUE(reply) << (reply ? "" : reply.error().message);
    return reply ? reply.value() : admin::HttpReply{};
  }
  static boost::json::value json(const admin::HttpReply& reply) {
    boost::json::error_code error;
    auto value = boost::json::parse(reply.body, error);
    EXPECT_FALSE(error) << reply.body;
    return value;
  }
  // A problem of the given status and code.
  static boost::json::value problem(const admin::HttpReply& reply, int status, const std::string& code) {
    EXPECT_EQ(reply.status, status) << reply.body;
    EXPECT_EQ(reply.content_type, "application/problem+json");
    const auto value = json(reply);
    if (!value.is_object()) return boost::json::object();
    for (const char* key : {"type", "title", "detail", "errors", "request_id"})
      EXPECT_TRUE(value.as_object().contains(key)) << key;
    EXPECT_EQ(value.at("status"), status);
    EXPECT_EQ(value.at("code"), code.c_str()) << reply.body;
    return value;
  }
  std::string raw(const std::string& request) const {
    RawConnection connection(server->address());
    connection.send(request);
    return connection.read_response();
  }
  std::string request(const std::string& line, const std::string& headers = "", const std::string& body = "") const {
    return line + " HTTP/1.1\r\nHost: " + server->address() + "\r\n" + headers + "\r\n" + body;
  }

  FakeControlPlane control;
  ManualClock clock{FakeControlPlane::kNow};
  std::unique_ptr<admin::HttpServer> server;
};

}  // namespace twinspan::testing
