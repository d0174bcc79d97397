#pragma once
// The types of columns and expressions, and how a value of each lies in memory. Thread: any.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace twinspan {

enum class TypeKind : std::uint8_t {
  null,       // only the literal NULL before it meets a typed neighbour
  boolean,    // std::uint8_t 0 | 1
  int64,      // std::int64_t
  float64,    // double
  decimal,    // Decimal: unscaled value; precision <= 38
  string,     // std::string_view, UTF-8
  bytes,      // std::string_view
  timestamp,  // std::int64_t, milliseconds since 1970 UTC
  duration,   // std::int64_t, milliseconds
  array,      // std::string_view of the packed value (nested.h)
  map,        // the same; keys are strings
  row,        // the same
  json,       // std::string_view: one valid JSON text, never `null`
};

__extension__ typedef __int128 Decimal;  // unscaled: 12.34 with scale 2 is 1234
__extension__ typedef unsigned __int128 UDecimal;

struct TypeInfo;

struct DataType {
  TypeKind kind = TypeKind::null;
  std::uint8_t precision = 0;      // decimal only
  std::uint8_t scale = 0;          // decimal only
  const TypeInfo* info = nullptr;  // array, map, row: what is inside. Interned: equal types have one pointer
  friend bool operator==(const DataType&, const DataType&) = default;

  // In memory a std::string_view: texts, and what is packed into bytes.
  bool is_string_like() const { return kind == TypeKind::string || kind == TypeKind::bytes || kind >= TypeKind::array; }
  bool is_text() const { return kind == TypeKind::string || kind == TypeKind::bytes; }
  bool is_nested() const { return kind == TypeKind::array || kind == TypeKind::map || kind == TypeKind::row; }
  bool is_numeric() const { return kind == TypeKind::int64 || kind == TypeKind::float64 || kind == TypeKind::decimal; }
  // Can be grouped by, joined on, ordered and counted distinct.
  bool is_key() const { return kind != TypeKind::null && kind < TypeKind::array; }
};

namespace types {
inline constexpr DataType null{TypeKind::null};
inline constexpr DataType boolean{TypeKind::boolean};
inline constexpr DataType int64{TypeKind::int64};
inline constexpr DataType float64{TypeKind::float64};
inline constexpr DataType string{TypeKind::string};
inline constexpr DataType bytes{TypeKind::bytes};
inline constexpr DataType timestamp{TypeKind::timestamp};
inline constexpr DataType duration{TypeKind::duration};
inline constexpr DataType json{TypeKind::json};
constexpr DataType decimal(std::uint8_t precision, std::uint8_t scale) { return {TypeKind::decimal, precision, scale}; }
}  // namespace types

// Bytes of one value in a column; string-like columns hold std::string_view.
constexpr std::size_t value_width(TypeKind kind) {
  switch (kind) {
    case TypeKind::null:
    case TypeKind::boolean: return 1;
    case TypeKind::decimal: return sizeof(Decimal);
    case TypeKind::string:
    case TypeKind::bytes:
    case TypeKind::array:
    case TypeKind::map:
    case TypeKind::row:
    case TypeKind::json: return sizeof(std::string_view);
    default: return 8;
  }
}

struct Field {
  std::string name;
  DataType type;
  friend bool operator==(const Field&, const Field&) = default;
};

// What is inside a nested type. Immutable, made once for each type of the process and kept to its end; plans make few.
struct TypeInfo {
  std::vector<Field> fields;         // array: the element; map: key, value; row: its fields
  std::vector<std::uint32_t> slots;  // row: where each field's slot begins (nested.h)
  std::uint32_t fixed = 0;           // row: bytes of null bits and slots
  std::uint32_t depth = 1;           // array<array<int64>> has 2
};

inline constexpr std::uint32_t kMaxTypeDepth = 16;
inline constexpr std::size_t kMaxTypeFields = 1024;

namespace types {
DataType array(DataType element);
DataType map(DataType value);  // keys are strings
DataType row(std::vector<Field> fields);
inline DataType element(DataType array) { return array.info->fields[0].type; }
inline DataType map_value(DataType map) { return map.info->fields[1].type; }
}  // namespace types

std::string to_string(DataType type);  // "decimal(18,4)", "array<string>", "row<a int64, b string>"

// What is wrong with the text of a type, and where in it.
struct TypeError {
  std::string message;
  std::size_t offset = 0, length = 0;
};
// "int64", "decimal(18,4)", "map<string, array<int64>>"; timestamp_ms, timestamp_s and timestamp are all timestamps.
std::optional<DataType> parse_type(std::string_view text, TypeError* error = nullptr);

std::string decimal_to_string(Decimal unscaled, unsigned scale);
// nullopt: not a decimal number, or not representable with this precision and scale (digits beyond the scale are
// rounded half up).
std::optional<Decimal> parse_decimal(std::string_view text, unsigned precision, unsigned scale);
std::string timestamp_to_string(std::int64_t ms);  // 2026-01-01T00:00:01.250Z
std::optional<std::int64_t> parse_timestamp(
    std::string_view text);  // ISO 8601, 'T' or blank, zone Z or +hh:mm (none = UTC)

// Names and types of a batch's columns. Immutable once a plan holds it; owned by the plan.
struct Schema {
  std::vector<Field> fields;
  int index_of(std::string_view name) const {  // -1: no such column
    for (std::size_t i = 0; i < fields.size(); ++i)
      if (fields[i].name == name) return static_cast<int>(i);
    return -1;
  }
};

}  // namespace twinspan
