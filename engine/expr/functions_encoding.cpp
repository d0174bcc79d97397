// Text for bytes and the other way: base64, hexadecimal, URLs.

#include <algorithm>

#include <fmt/format.h>

#include "engine/base/json_text.h"
#include "engine/expr/overload.h"

namespace twinspan::engine {

namespace {

using View = std::string_view;

View arg(const KernelCall& c, std::size_t k, std::uint32_t i) { return c.args[k].at<View>(i); }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// f(text, out) -> bool; false refuses the row with this reason.
template <class F>
void text_rows(KernelCall& call, const char* reason, F&& f) {
  std::string text;
  auto* out = call.result<View>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = {};
    if (!call.computes(i)) continue;
    text.clear();
    if (arg(call, 0, i).size() > kMaxValue / 3)  // what these make of a byte
      call.fail(i, kValueTooLong);
    else if (f(arg(call, 0, i), text))
      out[i] = call.bytes->copy(text);
    else
      call.fail(i, reason);
  }
}

void to_base64(KernelCall& call) {
  text_rows(call, "", [](View s, std::string& out) {
    append_base64(s, out);
    return true;
  });
}
void from_base64(KernelCall& call) {
  auto* out = call.result<View>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = {};
    if (!call.computes(i)) continue;
    if (const auto bytes = decode_base64(arg(call, 0, i), *call.bytes))
      out[i] = *bytes;
    else
      call.fail(i, "not base64");
  }
}

void hex_text(KernelCall& call) {
  text_rows(call, "", [](View s, std::string& out) {
    static constexpr char kHex[] = "0123456789ABCDEF";
    for (char c : s) {
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[static_cast<unsigned char>(c) & 15];
    }
    return true;
  });
}
void hex_number(KernelCall& call) {
  call.each<View>([&](std::uint32_t i) {
    return call.bytes->copy(fmt::format("{:X}", static_cast<std::uint64_t>(call.args[0].at<std::int64_t>(i))));
  });
}
void bin(KernelCall& call) {
  call.each<View>([&](std::uint32_t i) {
    return call.bytes->copy(fmt::format("{:b}", static_cast<std::uint64_t>(call.args[0].at<std::int64_t>(i))));
  });
}
void unhex(KernelCall& call) {
  text_rows(call, "not hexadecimal", [](View s, std::string& out) {
    if (s.size() % 2 != 0) return false;
    for (std::size_t i = 0; i < s.size(); i += 2) {
      const int a = hex_digit(s[i]), b = hex_digit(s[i + 1]);
      if (a < 0 || b < 0) return false;
      out += static_cast<char>(a << 4 | b);
    }
    return true;
  });
}

void url_encode(KernelCall& call) {  // application/x-www-form-urlencoded
  text_rows(call, "", [](View s, std::string& out) {
    for (char c : s) {
      if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
          View(".-*_").find(c) != View::npos)
        out += c;
      else if (c == ' ')
        out += '+';
      else
        out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return true;
  });
}

bool url_decoded(View s, std::string& out) {
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (s[i] == '+') {
      out += ' ';
    } else if (s[i] == '%') {
      const int a = i + 2 < s.size() ? hex_digit(s[i + 1]) : -1, b = i + 2 < s.size() ? hex_digit(s[i + 2]) : -1;
      if (a < 0 || b < 0) return false;
      out += static_cast<char>(a << 4 | b);
      i += 2;
    } else {
      out += s[i];
    }
  }
  return is_utf8(out);
}
void url_decode(KernelCall& call) {
  text_rows(call, "not an encoded URL", [](View s, std::string& out) { return url_decoded(s, out); });
}

struct Url {
  View protocol, authority, user, host, path, query, reference;
  bool has_query = false, has_reference = false, has_authority = false;
};

std::optional<Url> split_url(View s) {
  Url u;
  const std::size_t colon = s.find(':');
  if (colon == View::npos || colon == 0) return std::nullopt;
  u.protocol = s.substr(0, colon);
  for (char c : u.protocol)
    if (!((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && !(c >= '0' && c <= '9') && c != '+' && c != '-' && c != '.')
      return std::nullopt;
  View rest = s.substr(colon + 1);
  if (const std::size_t at = rest.find('#'); at != View::npos) {
    u.reference = rest.substr(at + 1);
    u.has_reference = true;
    rest = rest.substr(0, at);
  }
  if (const std::size_t at = rest.find('?'); at != View::npos) {
    u.query = rest.substr(at + 1);
    u.has_query = true;
    rest = rest.substr(0, at);
  }
  if (rest.starts_with("//")) {
    rest.remove_prefix(2);
    u.has_authority = true;
    u.authority = rest.substr(0, rest.find('/'));
    rest.remove_prefix(u.authority.size());
    u.host = u.authority;
    if (const std::size_t at = u.host.rfind('@'); at != View::npos) {
      u.user = u.host.substr(0, at);
      u.host.remove_prefix(at + 1);
    }
    const std::size_t bracket = u.host.find(']');  // an IPv6 address has colons
    const std::size_t port = u.host.find(':', bracket == View::npos ? 0 : bracket);
    if (port != View::npos) u.host = u.host.substr(0, port);
  }
  u.path = rest;
  return u;
}

bool query_value(View query, View key, View& out) {
  while (!query.empty()) {
    const View pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    if (pair.substr(0, pair.find('=')) != key) continue;
    out = pair.size() > key.size() ? pair.substr(key.size() + 1) : View("", 0);
    return true;
  }
  return false;
}

void parse_url(KernelCall& call) {
  auto* out = call.result<View>();
  std::string upper;
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = {};
    if (!call.computes(i)) continue;
    const auto url = split_url(arg(call, 0, i));
    const View part = arg(call, 1, i);
    bool there = url.has_value();
    if (there) {
      upper.assign(part);
      for (char& c : upper) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
      if (upper == "PROTOCOL")
        out[i] = url->protocol;
      else if (upper == "HOST")
        out[i] = url->host, there = url->has_authority;
      else if (upper == "PATH")
        out[i] = url->path;
      else if (upper == "QUERY")
        there =
            call.count > 2 ? query_value(url->query, arg(call, 2, i), out[i]) : (out[i] = url->query, url->has_query);
      else if (upper == "REF")
        out[i] = url->reference, there = url->has_reference;
      else if (upper == "AUTHORITY")
        out[i] = url->authority, there = url->has_authority;
      else if (upper == "USERINFO")
        out[i] = url->user, there = !url->user.empty();
      else if (upper == "FILE")
        out[i] = url->has_query ? View(url->path.data(), url->path.size() + 1 + url->query.size()) : url->path;
      else
        there = false;
    }
    if (!there) {
      out[i] = {};
      call.set_null(i);
    }
  }
}

}  // namespace

std::span<const Overload> encoding_functions() {
  static const Overload table[] = {
      {{"to_base64", "encoding", "to_base64(x bytes) -> string", "The bytes (of a text: its UTF-8) in base64."},
       "y",
       's',
       to_base64,
       40},
      {{"from_base64", "encoding", "from_base64(text string) -> bytes",
        "The bytes of base64; an error when it is none."},
       "s",
       'y',
       from_base64,
       40},
      {{"hex", "encoding", "hex(x int64) -> string", "The number in hexadecimal, upper case."},
       "i",
       's',
       hex_number,
       60},
      {{"hex", "encoding", "hex(x bytes) -> string", "The bytes in hexadecimal, upper case."}, "y", 's', hex_text, 40},
      {{"unhex", "encoding", "unhex(text string) -> bytes", "The bytes of hexadecimal; an error when it is none."},
       "s",
       'y',
       unhex,
       40},
      {{"bin", "encoding", "bin(x int64) -> string", "The number in binary."}, "i", 's', bin, 60},
      {{"url_encode", "encoding", "url_encode(text string) -> string", "As in a query: blanks become +, others %xx."},
       "s",
       's',
       url_encode,
       60},
      {{"url_decode", "encoding", "url_decode(text string) -> string",
        "The text behind + and %xx; an error when broken."},
       "s",
       's',
       url_decode,
       60},
      {{"parse_url", "encoding", "parse_url(url string, part string [, key string]) -> string",
        "PROTOCOL, HOST, PATH, QUERY, REF, AUTHORITY, USERINFO or FILE of a URL, or one key of its QUERY; NULL when "
        "there "
        "is none."},
       "sss?",
       's',
       parse_url,
       60},
  };
  return table;
}

}  // namespace twinspan::engine
