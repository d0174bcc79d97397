#pragma once
// "127.0.0.1:8480", "localhost:8480", "[::1]:8480", ":8480": where to listen, or where the server is. Thread:
// any.

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace twinspan::admin {

struct ListenAddress {
  std::string host = "127.0.0.1";  // without brackets
  std::uint16_t port = 8480;
};

inline constexpr const char* kDefaultListen = "127.0.0.1:8480";

Result<ListenAddress> parse_listen_address(std::string_view text);
bool is_loopback_name(std::string_view host);  // localhost, 127.0.0.0/8, ::1; not what merely resolves there
// The Host header's name without port and brackets; "" if it is malformed.
std::string host_of(std::string_view host_header);
std::string to_string(const ListenAddress& address);

}  // namespace twinspan::admin
