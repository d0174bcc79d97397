#pragma once
// The walk over one JSON record: from structural position to structural position (JsonIndex), each value that the plan
// uses into its column, the others only checked. Keys are learned: where the record before had a field, the next one is
// looked for first. Internal to the JSON format; owned by a JsonDecoder. Thread: shard.

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "connectors/formats/json_decoder.h"
#include "connectors/formats/json_index.h"
#include "connectors/formats/json_value.h"
#include "engine/base/json_reader.h"

namespace twinspan::connectors {

// A key with its closing quote, compared as two masked words where it has at most 16 bytes.
struct KeyPattern {
  std::string text;  // key"
  std::array<std::uint64_t, 2> word{}, mask{};

  explicit KeyPattern(std::string_view key) : text(key) {
    text += '"';
    char bytes[16] = {}, ones[16] = {};
    const std::size_t n = std::min<std::size_t>(16, text.size());
    std::memcpy(bytes, text.data(), n);
    std::memset(ones, 0xFF, n);
    std::memcpy(word.data(), bytes, 16);
    std::memcpy(mask.data(), ones, 16);
  }
  bool matches(const char* at) const {  // `at`: behind the opening quote; 16 bytes are readable
    std::uint64_t a, b;
    std::memcpy(&a, at, 8);
    std::memcpy(&b, at + 8, 8);
    if ((((a & mask[0]) ^ word[0]) | ((b & mask[1]) ^ word[1])) != 0) return false;
    return text.size() <= 16 || std::memcmp(at + 16, text.data() + 16, text.size() - 16) == 0;
  }
};

struct LearnedKey {
  KeyPattern pattern;
  int field;  // -1: not used by the plan
};

// What a column is, for the slow ways.
struct FieldDetail {
  JsonField field;
  std::unique_ptr<JsonReader> reader;  // arrays, maps and rows
};

// What the walk touches of a column: half a cache line each.
struct alignas(32) FieldColumn {
  void* data = nullptr;
  std::uint8_t* valid = nullptr;
  FieldDetail* detail = nullptr;
  TypeKind kind = TypeKind::null;
  JsonField::Wire wire = JsonField::Wire::millis;
  bool nulls = false;

  template <class T>
  T* as() {
    return static_cast<T*>(data);
  }
};

struct JsonWalk {
  std::vector<std::unique_ptr<FieldDetail>> details;
  std::vector<FieldColumn> columns;
  std::vector<LearnedKey> learned;  // in the order of the records seen last
  json::StructuralIndex index;

  // Of the record at work.
  const char* base = nullptr;  // of the block
  const std::uint32_t* at =
      nullptr;  // next structural position, relative to base; the walk below keeps it in a register
  Arena* arena = nullptr;
  std::size_t row = 0, set = 0;  // `set`: columns with a value in this row
  std::string reason;

  // A position in the index; nullptr: failed, and `reason` and `at` say why and where.
  using Place = const std::uint32_t*;

  bool fail(std::string why) {
    reason = std::move(why);
    return false;
  }
  Place fail(Place here, std::string why) {
    at = here;
    reason = std::move(why);
    return nullptr;
  }
  Place broken(Place here) {
    at = here;
    return fail(here, "not valid JSON: " + describe(here));
  }
  std::string describe(Place here) const {
    const char c = base[*here];
    return c == ':' || c == '\0' ? std::string("it ends early, or a ':' is out of place")
                                 : fmt::format("unexpected {}", excerpt(here));
  }
  // The token there, shortened.
  std::string excerpt(Place here) const {
    std::string_view t(base + here[0], here[1] > here[0] ? here[1] - here[0] : 1);
    while (!t.empty() && json::is_end_of_scalar(static_cast<unsigned char>(t.back())) && t.size() > 1)
      t.remove_suffix(1);
    std::size_t n = std::min<std::size_t>(t.size(), 40);
    while (n > 0 && n < t.size() && (static_cast<unsigned char>(t[n]) & 0xC0) == 0x80) --n;
    return std::string(t.substr(0, n)) + (n < t.size() ? "..." : "");
  }
  Place wrong(Place here, const FieldColumn& c, const char* expected) {
    const char first = base[*here];
    if (first == ':' || first == ',' || first == '}' || first == ']' || first == '\0') return broken(here);
    const std::string found = first == '{' ? "an object" : first == '[' ? "an array" : excerpt(here);
    return fail(here, fmt::format("field \"{}\": expected {}, found {}", c.detail->field.name, expected, found));
  }

  // The string whose opening quote is there: between its closing quote and the next position is only white space.
  std::string_view inside(Place here) const {
    const char* first = base + here[0] + 1;
    const char* last = base + here[1] - 1;
    while (*last != '"') --last;
    return {first, static_cast<std::size_t>(last - first)};
  }

  int find_key(Place here, std::size_t& cursor, bool& bad);
  Place skip(Place here, int depth);
  Place skip_nested(Place here, int depth);
  Place convert(Place here, FieldColumn& c);
  Place convert_text(Place here, FieldColumn& c);
  Place convert_nested(Place here, FieldColumn& c);
  // One record: an object, and nothing behind it up to the separator at `end`.
  bool object(std::uint32_t end);
};

}  // namespace twinspan::connectors
