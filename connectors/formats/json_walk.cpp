#include "connectors/formats/json_walk.h"

#include <algorithm>
#include <charconv>
#include <system_error>

#include "engine/base/json_text.h"

namespace twinspan::connectors {

using namespace json;

namespace {

constexpr int kMaxDepth = kMaxJsonDepth;
constexpr std::size_t kMaxLearned = 128;

}  // namespace

// The slow way to a key: not where the record before had it.
int JsonWalk::find_key(Place here, std::size_t& cursor, bool& bad) {
  const char* key = base + *here + 1;
  for (std::size_t i = 0; i < learned.size(); ++i) {
    std::size_t k = cursor + i;
    if (k >= learned.size()) k -= learned.size();
    if (learned[k].pattern.matches(key)) {
      cursor = k + 1;
      return learned[k].field;
    }
  }
  std::string_view text = inside(here);
  if (text.find('\\') != std::string_view::npos) {  // an escaped key is compared, not learned
    const auto plain = json_unescape(text, *arena);
    if (!plain) return bad = true, -1;
    for (std::size_t f = 0; f < columns.size(); ++f)
      if (columns[f].detail->field.name == *plain) return static_cast<int>(f);
    return -1;
  }
  int field = -1;
  for (std::size_t f = 0; f < columns.size(); ++f)
    if (columns[f].detail->field.name == text) field = static_cast<int>(f);
  if (text.size() > 256) return field;
  if (learned.size() >= kMaxLearned) learned.clear(), cursor = 0;  // keys that vary from record to record: begin anew
  cursor = std::min(cursor, learned.size());
  learned.insert(learned.begin() + static_cast<std::ptrdiff_t>(cursor), LearnedKey{KeyPattern(text), field});
  ++cursor;
  return field;
}

// Moves past one value, checking its grammar.
inline JsonWalk::Place JsonWalk::skip(Place here, int depth) {
  const char* v = base + *here;
  if (*v == '"') return here + 1;
  if (static_cast<unsigned char>(*v - '-') <= '9' - '-') return number_end(v) != nullptr ? here + 1 : broken(here);
  return skip_nested(here, depth);
}

JsonWalk::Place JsonWalk::skip_nested(Place here, int depth) {
  const char* v = base + *here;
  switch (*v) {
    case 'n': return is_null(v) ? here + 1 : broken(here);
    case 't': return is_true(v) ? here + 1 : broken(here);
    case 'f': return is_false(v) ? here + 1 : broken(here);
    case '{':
    case '[': break;
    default: return broken(here);
  }
  if (depth >= kMaxDepth) return fail(here, fmt::format("nested deeper than {} levels", kMaxDepth));
  const bool is_object = *v == '{';
  const char close = is_object ? '}' : ']';
  ++here;
  if (base[*here] == close) return here + 1;
  for (;; ++here) {
    if (is_object) {
      if (base[*here] != '"') return broken(here);
      ++here;
      if (base[*here] != ':') return broken(here);
      ++here;
    }
    here = skip(here, depth + 1);
    if (here == nullptr) return nullptr;
    if (base[*here] == close) return here + 1;
    if (base[*here] != ',') return broken(here);
  }
}

[[gnu::always_inline]] inline JsonWalk::Place JsonWalk::convert_text(Place here, FieldColumn& c) {
  if (base[*here] != '"') return wrong(here, c, c.kind == TypeKind::timestamp ? "an ISO 8601 string" : "a string");
  std::string_view text = inside(here);
  if (has_backslash(text.data(), text.size())) [[unlikely]] {
    const auto plain = json_unescape(text, *arena);
    if (!plain) return wrong(here, c, "a string with valid escapes");
    text = *plain;
  }
  if (c.kind == TypeKind::string) {
    c.as<std::string_view>()[row] = text;
  } else if (c.kind == TypeKind::bytes) {
    const auto bytes = decode_base64(text, *arena);
    if (!bytes) return wrong(here, c, "base64");
    c.as<std::string_view>()[row] = *bytes;
  } else {
    const auto ms = parse_timestamp(text);
    if (!ms || !is_sane_time(*ms)) return wrong(here, c, "an ISO 8601 timestamp");
    c.as<std::int64_t>()[row] = *ms;
  }
  return here + 1;
}

// Arrays, maps, rows and json: the walk finds where the value ends, then its text is read by itself. Not inline, so
// that flat records pay nothing for it.
[[gnu::noinline, gnu::cold]] JsonWalk::Place JsonWalk::convert_nested(Place here, FieldColumn& c) {
  const Place next = skip(here, 1);
  if (next == nullptr) return nullptr;
  const std::string_view text = json_trimmed({base + *here, *next - *here});
  // The walk has not looked at escapes.
  if (!json_valid(text))
    return fail(here, fmt::format("field \"{}\": a string has a bad escape", c.detail->field.name));
  auto& to = c.as<std::string_view>()[row];
  if (c.kind == TypeKind::json) {
    to = text;
  } else if (c.detail->reader->read(text, *arena, &to) == JsonReader::Outcome::bad) {
    return fail(here, fmt::format("field \"{}{}\": {}", c.detail->field.name, c.detail->reader->path(),
                                  c.detail->reader->reason()));
  }
  if (c.valid[row] == 0) c.valid[row] = 1, ++set;
  return next;
}

inline JsonWalk::Place JsonWalk::convert(Place here, FieldColumn& c) {
  const char* v = base + *here;
  if (*v == 'n') {
    if (!is_null(v)) return broken(here);
    if (c.valid[row] != 0) c.valid[row] = 0, --set;  // a later duplicate takes the value back
    return here + 1;
  }
  switch (c.kind) {
    case TypeKind::int64:
    case TypeKind::duration:
      if (!read_int64(v, c.as<std::int64_t>()[row])) return wrong(here, c, "a 64-bit integer");
      break;
    case TypeKind::string:
    case TypeKind::bytes:
      if (convert_text(here, c) == nullptr) return nullptr;
      break;
    case TypeKind::timestamp: {
      if (c.wire == JsonField::Wire::iso8601) {
        if (convert_text(here, c) == nullptr) return nullptr;
        break;
      }
      std::int64_t ms = 0;
      if (c.wire == JsonField::Wire::millis) {
        if (!read_int64(v, ms)) return wrong(here, c, "a timestamp in whole milliseconds");
      } else {
        const char* end = number_end(v);
        const auto exact = end == nullptr ? std::nullopt : parse_decimal({v, static_cast<std::size_t>(end - v)}, 18, 3);
        if (!exact) return wrong(here, c, "a timestamp in seconds");
        ms = static_cast<std::int64_t>(*exact);
      }
      if (!is_sane_time(ms)) return wrong(here, c, "a timestamp in the years 1 to 9999");
      c.as<std::int64_t>()[row] = ms;
      break;
    }
    case TypeKind::float64: {
      const char* end = number_end(v);
      double d = 0;
      if (end == nullptr || std::from_chars(v, end, d).ec != std::errc()) return wrong(here, c, "a float64");
      c.as<double>()[row] = d;
      break;
    }
    case TypeKind::decimal: {
      std::string_view text;
      if (*v == '"') {
        text = inside(here);
      } else if (const char* end = number_end(v); end != nullptr) {
        text = {v, static_cast<std::size_t>(end - v)};
      }
      const auto value = read_decimal(text, c.detail->field.type);
      if (!value) return wrong(here, c, to_string(c.detail->field.type).c_str());
      c.as<Decimal>()[row] = *value;
      break;
    }
    case TypeKind::boolean:
      if (is_true(v))
        c.as<std::uint8_t>()[row] = 1;
      else if (is_false(v))
        c.as<std::uint8_t>()[row] = 0;
      else
        return wrong(here, c, "true or false");
      break;
    case TypeKind::array:
    case TypeKind::map:
    case TypeKind::row:
    case TypeKind::json: return convert_nested(here, c);
    case TypeKind::null: break;  // refused by make()
  }
  if (c.valid[row] == 0) c.valid[row] = 1, ++set;
  return here + 1;
}

bool JsonWalk::object(std::uint32_t end) {
  Place here = at;
  if (*here >= end) return fail("empty value");
  if (base[*here] != '{') return fail("not a JSON object: it starts with " + excerpt(here));
  ++here;
  std::size_t cursor = 0;
  if (base[*here] == '}') {
    ++here;
  } else {
    for (;;) {
      const char* key = base + *here;
      if (*key != '"' || base[here[1]] != ':') return broken(here) != nullptr;
      int field = -1;
      if (cursor < learned.size() && learned[cursor].pattern.matches(key + 1)) [[likely]] {
        field = learned[cursor++].field;
      } else {
        bool bad = false;
        field = find_key(here, cursor, bad);
        if (bad) return fail("not valid JSON: a key has a bad escape");
      }
      here += 2;
      here = field < 0 ? skip(here, 1) : convert(here, columns[static_cast<std::size_t>(field)]);
      if (here == nullptr) return false;
      const char c = base[*here++];
      if (c == ',') continue;
      if (c == '}') break;
      return broken(here - 1) != nullptr;
    }
  }
  at = here;
  if (*here < end) return fail("trailing characters after the object: " + excerpt(here));
  return *here == end || fail("not valid JSON: it ends early");
}

}  // namespace twinspan::connectors
