#include "engine/base/json_text.h"

#include <array>
#include <charconv>
#include <cmath>

#include "engine/base/nested.h"

namespace twinspan {

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
// Length of the valid UTF-8 sequence at p, 0 if there is none (RFC 3629: no surrogates, no overlong forms).
std::size_t utf8_length(const unsigned char* p, std::size_t left) {
  auto tail = [&](std::size_t i) { return i < left && (p[i] & 0xC0) == 0x80; };
  if (p[0] < 0x80) return 1;
  if (p[0] >= 0xC2 && p[0] <= 0xDF) return tail(1) ? 2 : 0;
  if (p[0] >= 0xE0 && p[0] <= 0xEF) {
    if (!tail(1) || !tail(2)) return 0;
    if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F)) return 0;
    return 3;
  }
  if (p[0] >= 0xF0 && p[0] <= 0xF4) {
    if (!tail(1) || !tail(2) || !tail(3)) return 0;
    if ((p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F)) return 0;
    return 4;
  }
  return 0;
}

template <class T>
T load(const void* p) {
  T v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

void append_int(std::int64_t v, std::string& out) {
  char text[24];
  out.append(text, std::to_chars(text, text + sizeof text, v).ptr);
}

void append_double(double v, std::string& out) {
  if (!std::isfinite(v)) {
    out += "null";
    return;
  }
  char text[32];
  out.append(text, std::to_chars(text, text + sizeof text, v).ptr);
}

void append_decimal(Decimal v, unsigned scale, std::string& out) {
  if (v < INT64_MIN || v > INT64_MAX || scale > 18) {
    out += decimal_to_string(v, scale);
    return;
  }
  // Within 64 bits, where a division costs a few cycles and one of 128 bits a hundred.
  constexpr std::size_t kDigits = 20;
  const auto n = static_cast<std::int64_t>(v);
  char text[kDigits + 2];
  char* const end = text + sizeof text;
  char* p = end;
  std::uint64_t rest = n < 0 ? -static_cast<std::uint64_t>(n) : static_cast<std::uint64_t>(n);
  for (unsigned digits = 0; rest != 0 || digits <= scale; ++digits) {
    if (digits == scale && scale != 0) *--p = '.';
    *--p = static_cast<char>('0' + rest % 10);
    rest /= 10;
  }
  if (n < 0) *--p = '-';
  out.append(p, static_cast<std::size_t>(end - p));
}

// How many bytes from p on stand in a string as they are: a multiple of 8, perhaps less than there are (Mycroft's test
// of zero bytes, for each of what must be escaped or looked at).
std::size_t plain_bytes(const unsigned char* p, std::size_t n) {
  constexpr std::uint64_t kOnes = ~std::uint64_t{0} / 255, kHigh = kOnes * 0x80;
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const auto w = load<std::uint64_t>(p + i);
    const std::uint64_t quote = w ^ (kOnes * '"'), slash = w ^ (kOnes * '\\');
    const std::uint64_t special = w | (w - kOnes * 0x20) | (quote - kOnes) | (slash - kOnes);
    if ((special & kHigh) != 0) break;
  }
  return i;
}

void append_timestamp(std::int64_t ms, JsonTimestamps as, std::string& out) {
  if (as == JsonTimestamps::millis) return append_int(ms, out);
  out += '"';
  out += timestamp_to_string(ms);
  out += '"';
}

void append_element(const ArrayView& array, std::uint32_t i, DataType type, JsonTimestamps as, std::string& out) {
  if (array.is_null(i)) {
    out += "null";
    return;
  }
  alignas(Decimal) char value[sizeof(Decimal)];
  array.load(i, value);
  append_json(type, value, as, out);
}

void append_nested(DataType type, std::string_view bytes, JsonTimestamps as, std::string& out) {
  if (type.kind == TypeKind::array) {
    const ArrayView array(bytes, types::element(type));
    out += '[';
    for (std::uint32_t i = 0; i < array.size(); ++i) {
      if (i > 0) out += ',';
      append_element(array, i, types::element(type), as, out);
    }
    out += ']';
  } else if (type.kind == TypeKind::map) {
    const MapView map(bytes, types::map_value(type));
    out += '{';
    for (std::uint32_t i = 0; i < map.keys().size(); ++i) {
      if (i > 0) out += ',';
      append_json_string(map.keys().text(i), out);
      out += ':';
      append_element(map.values(), i, types::map_value(type), as, out);
    }
    out += '}';
  } else {
    const RowView row(bytes, *type.info);
    out += '{';
    for (std::size_t f = 0; f < type.info->fields.size(); ++f) {
      if (f > 0) out += ',';
      append_json_string(type.info->fields[f].name, out);
      out += ':';
      if (row.is_null(f)) {
        out += "null";
        continue;
      }
      alignas(Decimal) char value[sizeof(Decimal)];
      row.load(f, value);
      append_json(type.info->fields[f].type, value, as, out);
    }
    out += '}';
  }
}

bool digit(char c) { return static_cast<unsigned char>(c - '0') < 10; }

const char* literal_end(const char* p, const char* end, std::string_view literal) {
  return std::string_view(p, static_cast<std::size_t>(end - p)).starts_with(literal) ? p + literal.size() : nullptr;
}

}  // namespace

void append_json_string(std::string_view s, std::string& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  const auto* p = reinterpret_cast<const unsigned char*>(s.data());
  std::size_t from = 0, i = 0;
  auto flush = [&] { out.append(s.data() + from, i - from); };
  for (std::size_t stop = 0; i < s.size();) {
    if (i >= stop) {  // again only where the bytes that were not plain are behind
      i += plain_bytes(p + i, s.size() - i);
      stop = i + 8;
      if (i == s.size()) break;
    }
    const unsigned char c = p[i];
    if (c >= 0x20 && c != '"' && c != '\\' && c < 0x80) {
      ++i;
      continue;
    }
    if (c >= 0x80) {
      const std::size_t n = utf8_length(p + i, s.size() - i);
      if (n > 0) {
        i += n;
        continue;
      }
      flush();
      out += "\xEF\xBF\xBD";
    } else {
      flush();
      switch (c) {
        case '"': out += "\\\""; break;
        case '\\': out += "\\\\"; break;
        case '\n': out += "\\n"; break;
        case '\r': out += "\\r"; break;
        case '\t': out += "\\t"; break;
        default:
          out += "\\u00";
          out += kHex[c >> 4];
          out += kHex[c & 15];
      }
    }
    from = ++i;
  }
  flush();
  out += '"';
}

std::string json_string(std::string_view s) {
  std::string out;
  append_json_string(s, out);
  return out;
}

void append_json(DataType type, const void* value, JsonTimestamps timestamps, std::string& out) {
  switch (type.kind) {
    case TypeKind::null: out += "null"; break;
    case TypeKind::boolean: out += *static_cast<const char*>(value) != 0 ? "true" : "false"; break;
    case TypeKind::int64:
    case TypeKind::duration: append_int(load<std::int64_t>(value), out); break;
    case TypeKind::float64: append_double(load<double>(value), out); break;
    case TypeKind::decimal: append_decimal(load<Decimal>(value), type.scale, out); break;
    case TypeKind::timestamp: append_timestamp(load<std::int64_t>(value), timestamps, out); break;
    case TypeKind::string: append_json_string(load<std::string_view>(value), out); break;
    case TypeKind::bytes:
      out += '"';
      append_base64(load<std::string_view>(value), out);
      out += '"';
      break;
    case TypeKind::json:
      for (char c : load<std::string_view>(value))  // line ends are blanks here, and a record is one line
        if (c != '\n' && c != '\r') out += c;
      break;
    case TypeKind::array:
    case TypeKind::map:
    case TypeKind::row: append_nested(type, load<std::string_view>(value), timestamps, out); break;
  }
}

std::optional<std::string_view> json_unescape(std::string_view inside, Arena& arena) {
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

const char* json_blanks(const char* p, const char* end) {
  while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) ++p;
  return p;
}

const char* json_number_end(const char* p, const char* end) {
  const auto digits = [&] {
    const char* from = p;
    while (p < end && digit(*p)) ++p;
    return p > from;
  };
  if (p < end && *p == '-') ++p;
  if (p < end && *p == '0')
    ++p;
  else if (!digits())
    return nullptr;
  if (p < end && *p == '.') {
    ++p;
    if (!digits()) return nullptr;
  }
  if (p < end && (*p == 'e' || *p == 'E')) {
    ++p;
    if (p < end && (*p == '+' || *p == '-')) ++p;
    if (!digits()) return nullptr;
  }
  return p;
}

const char* json_string_end(const char* p, const char* end) {
  if (p >= end || *p != '"') return nullptr;
  for (++p; p < end; ++p) {
    if (*p == '"') return p + 1;
    if (static_cast<unsigned char>(*p) < 0x20) return nullptr;
    if (*p != '\\') continue;
    if (++p >= end) return nullptr;
    if (*p == 'u') {
      if (end - p < 5) return nullptr;
      const int c = hex4(p + 1);
      if (c < 0 || (c >= 0xDC00 && c <= 0xDFFF)) return nullptr;
      p += 4;
      if (c < 0xD800 || c > 0xDFFF) continue;
      if (end - p < 7 || p[1] != '\\' || p[2] != 'u') return nullptr;
      const int low = hex4(p + 3);
      if (low < 0xDC00 || low > 0xDFFF) return nullptr;
      p += 6;
    } else if (std::string_view("\"\\/bfnrt").find(*p) == std::string_view::npos) {
      return nullptr;
    }
  }
  return nullptr;
}

const char* json_value_end(const char* p, const char* end, int depth) {
  if (p >= end) return nullptr;
  switch (*p) {
    case '"': return json_string_end(p, end);
    case 'n': return literal_end(p, end, "null");
    case 't': return literal_end(p, end, "true");
    case 'f': return literal_end(p, end, "false");
    case '{':
    case '[': break;
    default: return json_number_end(p, end);
  }
  if (depth >= kMaxJsonDepth) return nullptr;
  const bool object = *p == '{';
  const char close = object ? '}' : ']';
  p = json_blanks(p + 1, end);
  if (p < end && *p == close) return p + 1;
  for (;;) {
    if (object) {
      p = json_string_end(p, end);
      if (p == nullptr) return nullptr;
      p = json_blanks(p, end);
      if (p >= end || *p != ':') return nullptr;
      p = json_blanks(p + 1, end);
    }
    p = json_value_end(p, end, depth + 1);
    if (p == nullptr) return nullptr;
    p = json_blanks(p, end);
    if (p >= end) return nullptr;
    if (*p == close) return p + 1;
    if (*p != ',') return nullptr;
    p = json_blanks(p + 1, end);
  }
}

std::string_view json_trimmed(std::string_view s) {
  const char* from = json_blanks(s.data(), s.data() + s.size());
  s.remove_prefix(static_cast<std::size_t>(from - s.data()));
  while (!s.empty() && (s.back() == ' ' || s.back() == '\n' || s.back() == '\r' || s.back() == '\t'))
    s.remove_suffix(1);
  return s;
}

bool json_valid(std::string_view text) {
  text = json_trimmed(text);
  return !text.empty() && json_value_end(text.data(), text.data() + text.size()) == text.data() + text.size();
}

bool json_key_is(std::string_view written, std::string_view name) {
  if (written.find('\\') == std::string_view::npos) return written == name;
  Arena arena(written.size() + 1);
  const auto plain = json_unescape(written, arena);
  return plain && *plain == name;
}

}  // namespace twinspan
