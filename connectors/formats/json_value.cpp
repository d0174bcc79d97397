#include "connectors/formats/json_value.h"

#include <array>

namespace twinspan::connectors::json {

namespace {

int hex4(const char* p) {
  int v = 0;
  for (int i = 0; i < 4; ++i) {
    const char c = p[i];
    int d = 0;
    if (c >= '0' && c <= '9')
      d = c - '0';
    else if (c >= 'a' && c <= 'f')
      d = c - 'a' + 10;
    else if (c >= 'A' && c <= 'F')
      d = c - 'A' + 10;
    else
      return -1;
    v = v * 16 + d;
  }
  return v;
}

char* put_utf8(char* out, unsigned c) {
  if (c < 0x80) {
    *out++ = static_cast<char>(c);
  } else if (c < 0x800) {
    *out++ = static_cast<char>(0xC0 | (c >> 6));
    *out++ = static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    *out++ = static_cast<char>(0xE0 | (c >> 12));
    *out++ = static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    *out++ = static_cast<char>(0x80 | (c & 0x3F));
  } else {
    *out++ = static_cast<char>(0xF0 | (c >> 18));
    *out++ = static_cast<char>(0x80 | ((c >> 12) & 0x3F));
    *out++ = static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    *out++ = static_cast<char>(0x80 | (c & 0x3F));
  }
  return out;
}

constexpr char kBase64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<std::int8_t, 256> kFromBase64 = [] {
  std::array<std::int8_t, 256> t{};
  t.fill(-1);
  for (int i = 0; i < 64; ++i) t[static_cast<unsigned char>(kBase64[i])] = static_cast<std::int8_t>(i);
  return t;
}();

}  // namespace

std::optional<std::string_view> unescape(std::string_view inside, Arena& arena) {
  char* const begin = static_cast<char*>(arena.allocate(inside.size() + 1, 1));  // never longer than the escaped text
  char* out = begin;
  const char* p = inside.data();
  const char* const end = p + inside.size();
  while (p < end) {
    if (*p != '\\') {
      *out++ = *p++;
      continue;
    }
    if (++p == end) return std::nullopt;
    switch (*p++) {
      case '"': *out++ = '"'; break;
      case '\\': *out++ = '\\'; break;
      case '/': *out++ = '/'; break;
      case 'b': *out++ = '\b'; break;
      case 'f': *out++ = '\f'; break;
      case 'n': *out++ = '\n'; break;
      case 'r': *out++ = '\r'; break;
      case 't': *out++ = '\t'; break;
      case 'u': {
        if (end - p < 4) return std::nullopt;
        int c = hex4(p);
        p += 4;
        if (c < 0 || (c >= 0xDC00 && c <= 0xDFFF)) return std::nullopt;
        if (c >= 0xD800) {
          if (c <= 0xDBFF) {
            if (end - p < 6 || p[0] != '\\' || p[1] != 'u') return std::nullopt;
            const int low = hex4(p + 2);
            if (low < 0xDC00 || low > 0xDFFF) return std::nullopt;
            p += 6;
            c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
          }
        }
        out = put_utf8(out, static_cast<unsigned>(c));
        break;
      }
      default: return std::nullopt;
    }
  }
  return std::string_view(begin, static_cast<std::size_t>(out - begin));
}

std::optional<std::string_view> decode_base64(std::string_view text, Arena& arena) {
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  if (text.size() % 4 == 1) return std::nullopt;
  char* const begin = static_cast<char*>(arena.allocate(text.size() * 3 / 4 + 1, 1));
  char* out = begin;
  unsigned held = 0;
  int bits = 0;
  for (char c : text) {
    const int v = kFromBase64[static_cast<unsigned char>(c)];
    if (v < 0) return std::nullopt;
    held = (held << 6) | static_cast<unsigned>(v);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      *out++ = static_cast<char>((held >> bits) & 0xFF);
    }
  }
  return std::string_view(begin, static_cast<std::size_t>(out - begin));
}

void append_base64(std::string_view bytes, std::string& out) {
  std::size_t i = 0;
  auto at = [&](std::size_t k) { return static_cast<unsigned>(static_cast<unsigned char>(bytes[k])); };
  for (; i + 3 <= bytes.size(); i += 3) {
    const unsigned v = at(i) << 16 | at(i + 1) << 8 | at(i + 2);
    const char four[] = {kBase64[v >> 18], kBase64[(v >> 12) & 63], kBase64[(v >> 6) & 63], kBase64[v & 63]};
    out.append(four, 4);
  }
  if (i + 1 == bytes.size()) {
    const unsigned v = at(i) << 16;
    const char four[] = {kBase64[v >> 18], kBase64[(v >> 12) & 63], '=', '='};
    out.append(four, 4);
  } else if (i + 2 == bytes.size()) {
    const unsigned v = at(i) << 16 | at(i + 1) << 8;
    const char four[] = {kBase64[v >> 18], kBase64[(v >> 12) & 63], kBase64[(v >> 6) & 63], '='};
    out.append(four, 4);
  }
}

}  // namespace twinspan::connectors::json
