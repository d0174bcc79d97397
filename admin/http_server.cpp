#include "admin/http_server.h"

#include <fmt/format.h>
#include <pthread.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "admin/listen_address.h"

namespace twinspan::admin {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using tcp = asio::ip::tcp;
using Time = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kStopGrace{3'000};
constexpr milliseconds kLinger{2'000};  // how long a refused client may go on sending before the reset
constexpr std::size_t kLingerBytes = 8u << 20;

// How a failed read is answered; nullopt = just close.
std::optional<Problem> problem_of(const beast::error_code& error, const HttpServer::Options& options) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return Problem(431, "header_too_large",
                   fmt::format("the header is larger than {} bytes", options.max_header_bytes));
  }
  if (error == http::error::body_limit) {
    return Problem(413, "body_too_large", fmt::format("the body is larger than {} bytes", options.max_body_bytes));
  }
  if (error == http::error::bad_version) return Problem(505, "http_version", "this server speaks HTTP/1.1");
  if (error == http::error::end_of_stream || error == http::error::partial_message) return std::nullopt;
  if (error.category() == beast::error_code(http::error::bad_method).category()) {
    return Problem(400, "bad_request", fmt::format("not an HTTP/1.1 request: {}", error.message()));
  }
  return std::nullopt;
}

class Session;

// What sessions share. Everything here is touched by the I/O thread only.
struct Shared {
  HttpServer::Options options;
  EndpointTable table;
  asio::io_context io{1};
  std::optional<asio::thread_pool> workers;
  std::set<std::shared_ptr<Session>> sessions;
  std::atomic<std::size_t> connections{0};
  std::uint64_t requests = 0;
  std::uint32_t run_id = 0;  // makes request ids differ between runs
  bool stopping = false;
  std::function<void()> on_empty;
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Shared& shared, tcp::socket socket) : shared_(shared), socket_(std::move(socket)), deadline_(shared.io) {}

  void start() { read_header(true); }

  // Waiting for its client, so it may be closed to make room or to stop. Since when.
  bool waiting() const { return waiting_; }
  Time::time_point since() const { return since_; }

  void close() {
    if (closed_) return;
    closed_ = true;
    beast::error_code ignored;
    deadline_.cancel();
    socket_.close(ignored);
    shared_.sessions.erase(shared_from_this());
    shared_.connections = shared_.sessions.size();
    if (shared_.sessions.empty() && shared_.on_empty) shared_.on_empty();
  }

  // The answer to one connection too many.
  void refuse() {
    waiting_ = false;
    respond(Problem(503, "too_many_connections", "all connections are busy; try again"), true);
  }

 private:
  // Ends what is running when `after` has passed: a read that takes too long is answered with 408.
  void set_deadline(milliseconds after) {
    timed_out_ = false;
    deadline_.expires_after(after);
    deadline_.async_wait([self = shared_from_this()](const beast::error_code& error) {
      if (error || self->closed_ || self->deadline_.expiry() > Time::now()) return;
      self->timed_out_ = true;
      beast::error_code ignored;
      self->socket_.cancel(ignored);
    });
  }

  // The first request of a connection has the header's deadline from the start; a later one from its first
  // byte.
  void read_header(bool first) {
    waiting_ = true;
    since_ = Time::now();
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(shared_.options.max_header_bytes));
    parser_->body_limit(shared_.options.max_body_bytes);
    if (first || buffer_.size() > 0) return read_header_now();
    set_deadline(milliseconds(shared_.options.idle_deadline_ms));
    socket_.async_wait(tcp::socket::wait_read, [self = shared_from_this()](const beast::error_code& error) {
      if (error || self->closed_) return self->close();
      self->read_header_now();
    });
  }

  void read_header_now() {
    started_ = Time::now();
    set_deadline(milliseconds(shared_.options.header_deadline_ms));
    http::async_read_header(
        socket_, buffer_, *parser_,
        [self = shared_from_this()](const beast::error_code& error, std::size_t) { self->on_header(error); });
  }

  void on_header(const beast::error_code& error) {
    if (closed_) return;
    if (timed_out_) return on_timeout("the header");
    if (error) return on_read_error(error);
    if (auto problem = check_header()) return respond(*problem, true);
    const bool waits = beast::iequals(parser_->get()[http::field::expect], "100-continue");
    if (!waits || parser_->is_done()) return read_body();
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    asio::async_write(socket_, asio::buffer(kContinue.data(), kContinue.size()),
                      [self = shared_from_this()](const beast::error_code& e, std::size_t) {
                        if (e || self->closed_) return self->close();
                        self->read_body();
                      });
  }

  // Framing that another parser might read differently (request smuggling), and names that only a rebound DNS
  // entry has.
  std::optional<Problem> check_header() const {
    const auto& request = parser_->get();
    if (request.count(http::field::transfer_encoding) > 0) {
      return Problem(400, "transfer_encoding", "Transfer-Encoding is not accepted: send Content-Length");
    }
    if (request.version() != 11) return Problem(505, "http_version", "this server speaks HTTP/1.1");
    if (request.count(http::field::content_length) > 1)
      return Problem(400, "bad_request", "Content-Length is there twice");
    if (request.count(http::field::host) != 1) return Problem(400, "bad_request", "exactly one Host header is needed");
    const std::string_view host = field(http::field::host);
    if (!is_loopback_name(host_of(host))) {
      return Problem(421, "host_refused",
                     fmt::format("\"{}\" is not a name of this server: use 127.0.0.1 or localhost", host));
    }
    return std::nullopt;
  }

  void read_body() {
    if (parser_->is_done()) return handle();
    const auto spent = std::chrono::duration_cast<milliseconds>(Time::now() - started_);
    set_deadline(std::max(milliseconds(shared_.options.request_deadline_ms) - spent, milliseconds(1)));
    http::async_read(socket_, buffer_, *parser_,
                     [self = shared_from_this()](const beast::error_code& error, std::size_t) {
                       if (self->closed_) return;
                       if (self->timed_out_) return self->on_timeout("the body");
                       if (error) return self->on_read_error(error);
                       self->handle();
                     });
  }

  void handle() {
    waiting_ = false;
    deadline_.cancel();
    const auto& from = parser_->get();
    Request request;
    request.method = std::string_view(from.method_string().data(), from.method_string().size());
    request.target = std::string_view(from.target().data(), from.target().size());
    request.content_type = field(http::field::content_type);
    request.accept = field(http::field::accept);
    request.origin = field(http::field::origin);
    request.fetch_site = field("Sec-Fetch-Site");
    request.host = field(http::field::host);
    request.body = from.body();

    auto matched = shared_.table.match(request);
    if (auto* problem = std::get_if<Problem>(&matched)) return respond(*problem, problem->close);
    auto match = std::make_shared<EndpointTable::Match>(std::move(std::get<EndpointTable::Match>(matched)));
    if (!match->endpoint->slow) return finish(*match, run(*match));
    asio::post(*shared_.workers, [self = shared_from_this(), match] {
      auto handled = std::make_shared<Handled>(run(*match));
      asio::post(self->shared_.io, [self, match, handled] { self->finish(*match, *handled); });
    });
  }

  void finish(const EndpointTable::Match& match, const Handled& handled) {
    if (closed_) return;
    const int status = handled ? handled.value().status : handled.error().status;
    if (match.endpoint->mutates) {
      beast::error_code ignored;
      spdlog::info("admin: {} {} -> {} from {} ({})", match.endpoint->method, std::string(parser_->get().target()),
                   status, socket_.remote_endpoint(ignored).address().to_string(), next_id());
    }
    if (handled) return respond(handled.value());
    respond(handled.error(), handled.error().close);
  }

  void respond(const Problem& problem, bool close) {
    Reply reply{problem.status, "application/problem+json", to_json(problem, next_id())};
    respond(reply, close, &problem);
  }

  void respond(const Reply& reply, bool close = false, const Problem* problem = nullptr) {
    const bool request_complete = parser_ && parser_->is_done();
    keep_alive_ = !close && !shared_.stopping && request_complete && parser_->get().keep_alive();
    response_ = {};
    response_.version(11);
    response_.result(static_cast<unsigned>(reply.status));
    response_.set(http::field::content_type, reply.content_type);
    response_.set(http::field::cache_control, "no-store");
    response_.set("X-Content-Type-Options", "nosniff");
    response_.set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
    response_.set("X-Request-Id", next_id());
    if (reply.status == 503) response_.set(http::field::retry_after, "1");
    if (problem != nullptr && !problem->allow.empty()) response_.set(http::field::allow, problem->allow);
    response_.keep_alive(keep_alive_);
    response_.body() = reply.body;
    response_.prepare_payload();
    if (request_complete && parser_->get().method() == http::verb::head) response_.body().clear();  // RFC 9110, 9.3.2
    ++shared_.requests;
    waiting_ = false;
    set_deadline(milliseconds(shared_.options.request_deadline_ms));
    http::async_write(socket_, response_, [self = shared_from_this()](const beast::error_code& error, std::size_t) {
      if (error || self->closed_) return self->close();
      if (self->keep_alive_ && !self->shared_.stopping) return self->read_header(false);
      self->linger();
    });
  }

  // Closing with unread input resets the connection, and the client might lose our answer: read on for a
  // moment.
  void linger() {
    beast::error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
    if (shared_.stopping) return close();
    waiting_ = true;
    since_ = Time::now();
    set_deadline(kLinger);
    buffer_.clear();
    drain(0);
  }

  void drain(std::size_t so_far) {
    socket_.async_read_some(buffer_.prepare(16 * 1024),
                            [self = shared_from_this(), so_far](const beast::error_code& error, std::size_t n) {
                              if (error || self->closed_ || so_far + n > kLingerBytes) return self->close();
                              self->drain(so_far + n);
                            });
  }

  void on_timeout(std::string_view what) {
    if (!parser_->got_some() && buffer_.size() == 0) return close();  // said nothing at all
    respond(Problem(408, "timeout", fmt::format("{} did not arrive in time", what)), true);
  }

  void on_read_error(const beast::error_code& error) {
    const auto problem = problem_of(error, shared_.options);
    if (!problem) return close();
    respond(*problem, true);
  }

  std::string_view field(http::field name) const {
    const auto value = parser_->get()[name];
    return {value.data(), value.size()};
  }
  std::string_view field(const char* name) const {
    const auto value = parser_->get()[name];
    return {value.data(), value.size()};
  }

  // Of the request being answered.
  std::string next_id() const { return fmt::format("{:08x}-{}", shared_.run_id, shared_.requests + 1); }

  Shared& shared_;
  tcp::socket socket_;
  asio::steady_timer deadline_;
  beast::flat_buffer buffer_{64 * 1024};
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
  Time::time_point since_ = Time::now(), started_ = since_;
  bool waiting_ = true, timed_out_ = false, closed_ = false, keep_alive_ = false;
};

}  // namespace

class HttpServer::Impl {
 public:
  Impl(const Options& options, EndpointTable table) : acceptor_(shared_.io), retry_(shared_.io) {
    shared_.options = options;
    shared_.table = std::move(table);
    shared_.run_id = static_cast<std::uint32_t>(Time::now().time_since_epoch().count() >> 10);
  }

  Status listen() {
    const std::string& text = shared_.options.listen;
    TS_TRY(wanted, parse_listen_address(text));
    if (!is_loopback_name(wanted.host)) {
      return config_error(
          fmt::format("admin.listen {}: not a loopback address. Without authentication the API listens on "
                      "127.0.0.1, localhost or [::1] only",
                      text));
    }
    beast::error_code error;
    const auto ip = asio::ip::make_address(wanted.host == "localhost" ? "127.0.0.1" : wanted.host, error);
    if (error) return config_error(fmt::format("admin.listen {}: {}", text, error.message()));
    const tcp::endpoint endpoint(ip, wanted.port);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(1024, error);
    if (error == asio::error::address_in_use) {
      Error in_use =
          config_error(fmt::format("admin.listen {}: the address is in use, perhaps by another twinspan; stop that, "
                                   "or choose another port (admin.listen)",
                                   text));
      in_use.code = "address_in_use";
      return in_use;
    }
    if (error) return config_error(fmt::format("admin.listen {}: {}", text, error.message()));
    const tcp::endpoint bound = acceptor_.local_endpoint(error);
    address_ = to_string(ListenAddress{bound.address().to_string(), bound.port()});
    return ok();
  }

  void run() {
    shared_.workers.emplace(shared_.options.workers);
    accept();
    thread_ = std::thread([this] {
      pthread_setname_np(pthread_self(), "ts-admin");
      shared_.io.run();
    });
  }

  void stop() {
    if (!thread_.joinable()) return;
    std::mutex mutex;
    std::condition_variable emptied;
    bool empty = false;
    asio::post(shared_.io, [&] {
      beast::error_code ignored;
      shared_.stopping = true;
      acceptor_.close(ignored);
      retry_.cancel();
      shared_.on_empty = [&] {
        const std::lock_guard lock(mutex);
        empty = true;
        emptied.notify_one();
      };
      const auto sessions = shared_.sessions;
      for (const auto& session : sessions) {
        if (session->waiting()) session->close();
      }
      if (shared_.sessions.empty()) shared_.on_empty();
    });
    {
      std::unique_lock lock(mutex);
      emptied.wait_for(lock, kStopGrace, [&] { return empty; });
    }
    shared_.io.stop();
    thread_.join();
    shared_.on_empty = nullptr;
    shared_.workers->join();
    const auto unanswered = shared_.sessions;
    for (const auto& session : unanswered) session->close();
  }

  const std::string& address() const { return address_; }
  std::size_t connections() const { return shared_.connections; }

 private:
  void accept() {
    acceptor_.async_accept([this](const beast::error_code& error, tcp::socket socket) {
      if (shared_.stopping || error == asio::error::operation_aborted) return;
      if (error) {
        // Out of descriptors or the like: what is connected goes on, new ones wait.
        spdlog::warn("admin: accept: {}", error.message());
        retry_.expires_after(milliseconds(100));
        retry_.async_wait([this](const beast::error_code& cancelled) {
          if (!cancelled) accept();
        });
        return;
      }
      take(std::move(socket));
      accept();
    });
  }

  void take(tcp::socket socket) {
    beast::error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    const bool full = shared_.sessions.size() >= shared_.options.max_connections && !make_room();
    const auto session = std::make_shared<Session>(shared_, std::move(socket));
    shared_.sessions.insert(session);
    shared_.connections = shared_.sessions.size();
    if (full)
      session->refuse();
    else
      session->start();
  }

  bool make_room() {
    std::shared_ptr<Session> oldest;
    for (const auto& session : shared_.sessions) {
      if (session->waiting() && (!oldest || session->since() < oldest->since())) oldest = session;
    }
    if (oldest) oldest->close();
    return oldest != nullptr;
  }

  Shared shared_;
  tcp::acceptor acceptor_;
  asio::steady_timer retry_;
  // A session whose handler runs on a worker has nothing pending here: without this the I/O thread would end
  // before it.
  asio::executor_work_guard<asio::io_context::executor_type> work_{shared_.io.get_executor()};
  std::string address_;
  std::thread thread_;
};

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() { stop(); }

Result<std::unique_ptr<HttpServer>> HttpServer::start(const Options& options, EndpointTable table) {
  auto impl = std::make_unique<Impl>(options, std::move(table));
  try {
    TS_TRYV(impl->listen());
    impl->run();
  } catch (const std::exception& e) {
    return config_error(fmt::format("admin.listen {}: {}", options.listen, e.what()));
  }
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

std::string HttpServer::address() const { return impl_->address(); }
std::size_t HttpServer::connections() const { return impl_->connections(); }
void HttpServer::stop() { impl_->stop(); }

}  // namespace twinspan::admin
