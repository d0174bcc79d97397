#pragma once
// JSON as text: writing values of any type, walking over text without building anything, escapes, base64. What the JSON
// format, the type `json` and the JSON functions share. Thread: any.

#include <optional>
#include <string>
#include <string_view>

#include "engine/base/batch.h"
#include "engine/base/types.h"

namespace twinspan {

inline constexpr int kMaxJsonDepth = 256;

// --- writing; all append ---

enum class JsonTimestamps : std::uint8_t { iso8601, millis };

// With quotes and the escapes JSON requires; bytes that are not UTF-8 become U+FFFD, so that the output always parses.
void append_json_string(std::string_view s, std::string& out);
std::string json_string(std::string_view s);
// `value` has value_width bytes. int64, decimal: exact digits. float64: the shortest text that reads back the same; NaN
// and infinities are null. Durations: milliseconds. bytes: base64. Arrays, objects (map, row), json as it is.
void append_json(DataType type, const void* value, JsonTimestamps timestamps, std::string& out);
void append_base64(std::string_view bytes, std::string& out);
std::optional<std::string_view> decode_base64(std::string_view text, Arena& arena);

// --- reading ---

// The text of the inside of a string with escapes, written into the arena; nullopt: an escape JSON does not know, or
// half a surrogate pair.
std::optional<std::string_view> json_unescape(std::string_view inside, Arena& arena);

const char* json_blanks(const char* p, const char* end);  // the first character that is none
// One past the number, string or value that begins at p, or nullptr: it is not valid JSON (escapes included).
const char* json_number_end(const char* p, const char* end);
const char* json_string_end(const char* p, const char* end);
const char* json_value_end(const char* p, const char* end, int depth = 0);
bool json_valid(std::string_view text);  // one value, blanks around it allowed

// Calls f(key as written between its quotes, value text) for each member of an object, or f(index, value text) for each
// element of an array; f returning false ends it. `text` is valid JSON without blanks around it.
template <class F>
void json_each_member(std::string_view object, F&& f) {
  const char *p = object.data() + 1, *end = object.data() + object.size();
  for (p = json_blanks(p, end); p < end && *p != '}'; p = json_blanks(p, end)) {
    const char* key = json_string_end(p, end);
    const char* value = json_blanks(json_blanks(key, end) + 1, end);
    const char* next = json_value_end(value, end);
    if (!f(std::string_view(p + 1, static_cast<std::size_t>(key - p - 2)),
           std::string_view(value, static_cast<std::size_t>(next - value))))
      return;
    p = json_blanks(next, end);
    if (p < end && *p == ',') ++p;
  }
}
template <class F>
void json_each_element(std::string_view array, F&& f) {
  const char *p = array.data() + 1, *end = array.data() + array.size();
  std::size_t i = 0;
  for (p = json_blanks(p, end); p < end && *p != ']'; p = json_blanks(p, end)) {
    const char* next = json_value_end(p, end);
    if (!f(i++, std::string_view(p, static_cast<std::size_t>(next - p)))) return;
    p = json_blanks(next, end);
    if (p < end && *p == ',') ++p;
  }
}
// Whether a key as written (between its quotes) is this name.
bool json_key_is(std::string_view written, std::string_view name);

// The text without blanks around it.
std::string_view json_trimmed(std::string_view text);

}  // namespace twinspan
