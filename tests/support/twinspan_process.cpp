#include "tests/support/twinspan_process.h"

#include "tests/support/child_process.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json.hpp>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <random>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace twinspan::testing {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;
namespace json = boost::json;

constexpr auto kPollEvery = 20ms;

void write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::trunc);
  file << text;
  if (!file.flush()) throw std::runtime_error("cannot write '" + path + "'");
}

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

class Socket {
 public:
  Socket() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
  ~Socket() { ::close(fd_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

int exit_code(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

std::string pipeline_name(const std::string& yaml) {
  const std::size_t at = yaml.find("\nname: ");
  if (at == std::string::npos) return "";
  const std::size_t from = at + 7;
  return yaml.substr(from, yaml.find('\n', from) - from);
}

}  // namespace

json::value HttpReply::json() const {
  boost::system::error_code error;
  json::value value = json::parse(body, error);
  if (error) throw std::runtime_error("HTTP " + std::to_string(status) + " with a body that is no JSON: " + body);
  return value;
}

int free_port() {
  static std::mt19937 random(std::random_device{}());
  std::uniform_int_distribution<int> pick(10'000, 30'000);
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const int port = pick(random);
    const Socket socket;
    const int on = 1;
    ::setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const sockaddr_in address = loopback(port);
    if (::bind(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return port;
  }
  throw std::runtime_error("no free port");
}

TwinspanProcess::TwinspanProcess(const std::string& pipeline_yaml, Options options)
    : dir_("twinspan-run-"), options_(std::move(options)), name_(pipeline_name(pipeline_yaml)) {
  if (options_.data_directory.empty()) options_.data_directory = dir_.path() + "/data";
  if (options_.admin_port == 0) options_.admin_port = free_port();
  std::string service = "clusters:\n";
  for (const auto& [name, bootstrap] : options_.clusters)
    service += "  " + name + ": { bootstrap: [\"" + bootstrap + "\"] }\n";
  service += "data_directory: " + options_.data_directory + "\n";
  service += "admin: { listen: \"127.0.0.1:" + std::to_string(options_.admin_port) + "\" }\n";
  write_file(dir_.path() + "/service.yaml", service);
  write_file(dir_.path() + "/pipeline.yaml", pipeline_yaml);
}

TwinspanProcess::~TwinspanProcess() {
  if (pid_ > 0) kill9();
}

void TwinspanProcess::start() {
  if (pid_ > 0) throw std::runtime_error("twinspan runs already");
  std::vector<std::string> command = {TWINSPAN_BINARY, "run", "-c", dir_.path() + "/service.yaml"};
  command.insert(command.end(), options_.arguments.begin(), options_.arguments.end());
  command.push_back(dir_.path() + "/pipeline.yaml");
  pid_ = spawn(command, {dir_.path() + "/log", {}});
}

void TwinspanProcess::start_and_wait(std::chrono::milliseconds limit) {
  start();
  const auto end = Clock::now() + limit;
  while (true) {
    std::string why;
    try {
      const HttpReply ready = get("/readyz");
      if (ready.status == 200) return;
      why = ready.body;
    } catch (const std::runtime_error& error) {
      why = error.what();
    }
    if (!running()) fail("it ended while starting");
    if (Clock::now() > end) fail("it did not become ready: " + why);
    std::this_thread::sleep_for(kPollEvery);
  }
}

bool TwinspanProcess::running() {
  if (pid_ < 0) return false;
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
}

void TwinspanProcess::kill9() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  wait_end();
}

void TwinspanProcess::sigstop() { ::kill(pid_, SIGSTOP); }

void TwinspanProcess::sigcont() { ::kill(pid_, SIGCONT); }

void TwinspanProcess::interrupt() { ::kill(pid_, SIGINT); }

int TwinspanProcess::stop(std::chrono::milliseconds limit) {
  interrupt();
  return wait_end(limit);
}

int TwinspanProcess::wait_end(std::chrono::milliseconds limit) {
  if (pid_ < 0) throw std::runtime_error("twinspan does not run");
  const std::optional<int> status = wait_exit(pid_, limit);
  if (!status) fail("it did not end");
  pid_ = -1;
  return exit_code(*status);
}

std::string TwinspanProcess::log() const { return read_file(dir_.path() + "/log"); }

void TwinspanProcess::fail(const std::string& what) const {
  std::string text = log();
  if (text.size() > 6000) text = "..." + text.substr(text.size() - 6000);
  throw std::runtime_error("twinspan: " + what + "\n--- its log ---\n" + text);
}

HttpReply TwinspanProcess::call(const std::string& method, const std::string& path, const std::string& body) const {
  const std::string what = method + " " + path + ": ";
  const Socket socket;
  const timeval limit{20, 0};
  ::setsockopt(socket.fd(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  const sockaddr_in address = loopback(options_.admin_port);
  if (::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw std::runtime_error(what + std::strerror(errno));
  }
  std::string request = method + " " + path + " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(options_.admin_port) +
                        "\r\nConnection: close\r\n";
  if (!body.empty()) request += "Content-Type: application/json\r\n";
  if (method != "GET") request += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  request += "\r\n" + body;
  for (std::size_t sent = 0; sent < request.size();) {
    const ssize_t n = ::send(socket.fd(), request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) throw std::runtime_error(what + std::strerror(errno));
    sent += static_cast<std::size_t>(n);
  }
  std::string text;
  char buffer[16'384];
  ssize_t n = 0;
  while ((n = ::recv(socket.fd(), buffer, sizeof buffer, 0)) > 0) text.append(buffer, static_cast<std::size_t>(n));
  if (n < 0) throw std::runtime_error(what + std::strerror(errno));
  const std::size_t head = text.find("\r\n\r\n");
  if (!text.starts_with("HTTP/1.1 ") || head == std::string::npos) throw std::runtime_error(what + "no HTTP answer");
  return {std::stoi(text.substr(9, 3)), text.substr(head + 4)};
}

json::value TwinspanProcess::pipeline(const std::string& below) const {
  const HttpReply reply = get("/v1/pipelines/" + name_ + below);
  if (reply.status != 200) fail("GET pipeline: HTTP " + std::to_string(reply.status) + " " + reply.body);
  return reply.json();
}

void TwinspanProcess::wait_until(const std::string& what, const std::function<bool(const json::value&)>& done,
                                 std::chrono::milliseconds limit) {
  const auto end = Clock::now() + limit;
  while (true) {
    if (!running()) fail("it ended while waiting for: " + what);
    const json::value status = pipeline();
    if (done(status)) return;
    if (Clock::now() > end) fail("not in time: " + what + "\nstatus: " + json::serialize(status));
    std::this_thread::sleep_for(kPollEvery);
  }
}

void TwinspanProcess::wait_read(const Ends& ends, std::chrono::milliseconds limit) {
  wait_until(
      "everything read",
      [&](const json::value& status) {
        std::size_t read = 0, wanted = 0;
        for (const auto& [topic, offsets] : ends) wanted += offsets.size();
        for (const json::value& source : status.at("sources").as_array()) {
          for (const json::value& lane : source.at("lanes").as_array()) {
            const auto at =
                ends.find({std::string(lane.at("cluster").as_string()), std::string(lane.at("topic").as_string())});
            if (at == ends.end()) continue;
            const auto p = static_cast<std::size_t>(lane.at("partition").as_int64());
            if (p < at->second.size() && lane.at("position").as_int64() >= at->second[p]) ++read;
          }
        }
        return read == wanted;
      },
      limit);
}

void TwinspanProcess::wait_checkpoint(std::chrono::milliseconds limit) {
  // The one under way may have begun before this call.
  const auto epoch = [](const json::value& status) {
    return status.at("last_checkpoint").at("epoch").to_number<std::int64_t>();
  };
  const std::int64_t now = epoch(pipeline());
  wait_until(
      "a checkpoint", [&](const json::value& status) { return epoch(status) >= now + 2; }, limit);
}

}  // namespace twinspan::testing
