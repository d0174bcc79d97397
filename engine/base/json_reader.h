#pragma once
// One JSON value as a value of a type: what arrays, maps and rows are decoded with, and what CAST(json AS ...) is.
// Nothing is converted silently: "12" is no int64, 1.0 is none, a number is no string. A timestamp is ISO 8601 text or
// whole milliseconds, a decimal digits or a string of them, bytes base64. null and a missing field are NULL; keys that
// no field has are passed over. Keeps its memory from value to value. Thread: one at a time.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/batch.h"
#include "engine/base/nested.h"
#include "engine/base/types.h"

namespace twinspan {

class JsonReader {
 public:
  explicit JsonReader(DataType type);
  ~JsonReader();
  JsonReader(JsonReader&&) noexcept;
  JsonReader& operator=(JsonReader&&) noexcept;

  enum class Outcome : std::uint8_t { value, null, bad };
  // `text` is valid JSON without blanks around it (json_text.h). `out` takes value_width bytes; what string-like values
  // point to is in the arena, or in `text` where it is written there as it is.
  Outcome read(std::string_view text, Arena& arena, void* out);
  // Of the last that was bad: "[2].price: expected a 64-bit integer, found 1.5"; without the path at the top.
  std::string path() const { return path_; }
  const std::string& reason() const { return reason_; }

 private:
  struct Level;
  Outcome wrong(std::string_view text, std::string expected);
  Outcome read_array(std::string_view text, Arena& arena, void* out);
  Outcome read_map(std::string_view text, Arena& arena, void* out);
  Outcome read_row(std::string_view text, Arena& arena, void* out);

  DataType type_;
  std::unique_ptr<Level> level_;  // nested types: how their parts are read
  std::string path_, reason_;
};

}  // namespace twinspan
