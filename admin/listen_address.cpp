#include "admin/listen_address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>

namespace twinspan::admin {
namespace {

struct HostPort {
  std::string host;
  std::string_view port;  // without ':'; empty if there is none
  bool has_port = false;
};

std::optional<HostPort> split(std::string_view text) {
  HostPort out;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    out.host = text.substr(1, close - 1);
    text.remove_prefix(close + 1);
  } else {
    const std::size_t colon = std::min(text.find(':'), text.size());
    out.host = text.substr(0, colon);
    text.remove_prefix(colon);
  }
  if (text.empty()) return out;
  if (text[0] != ':') return std::nullopt;
  out.port = text.substr(1);
  out.has_port = true;
  return out;
}

std::optional<std::uint16_t> port_of(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return port;
}

}  // namespace

Result<ListenAddress> parse_listen_address(std::string_view text) {
  const auto parts = split(text);
  const auto port = parts && parts->has_port ? port_of(parts->port) : std::nullopt;
  if (!port)
    return config_error(fmt::format("\"{}\" is not an address: host:port is needed, as in {}", text, kDefaultListen));
  return ListenAddress{parts->host.empty() ? "0.0.0.0" : parts->host, *port};
}

bool is_loopback_name(std::string_view host) {
  std::string name(host);
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  if (name == "localhost") return true;
  in_addr v4{};
  if (inet_pton(AF_INET, name.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6{};
  return inet_pton(AF_INET6, name.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

std::string host_of(std::string_view host_header) {
  const auto parts = split(host_header);
  if (!parts || (parts->has_port && !port_of(parts->port))) return "";
  return parts->host;
}

std::string to_string(const ListenAddress& address) {
  if (address.host.find(':') != std::string::npos) return fmt::format("[{}]:{}", address.host, address.port);
  return fmt::format("{}:{}", address.host, address.port);
}

}  // namespace twinspan::admin
