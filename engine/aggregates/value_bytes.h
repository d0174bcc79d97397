#pragma once
// One value as bytes whose order (memcmp, shorter first) is that of the values, and back; what has no order (arrays,
// maps, rows, json) as the bytes it is. Equal values have equal bytes: one zero, one NaN, which is the greatest.
// Thread: any one.

#include <bit>
#include <cstdint>
#include <string_view>

#include "engine/aggregates/kernel.h"
#include "engine/base/nested.h"

namespace twinspan::engine {

// Strings are their own bytes; others are written to the buffer.
class ValueBytes {
 public:
  std::string_view of(const Column& c, std::size_t row) {
    if (c.type.is_string_like()) return c.as<std::string_view>()[row];
    switch (c.type.kind) {
      case TypeKind::null:
      case TypeKind::boolean: buffer_[0] = c.as<char>()[row]; return {buffer_, 1};
      case TypeKind::decimal: {
        const auto v = static_cast<UDecimal>(c.as<Decimal>()[row]);
        put(0, static_cast<std::uint64_t>(v >> 64) ^ kSign);
        put(8, static_cast<std::uint64_t>(v));
        return {buffer_, 16};
      }
      case TypeKind::float64: {
        const auto v = std::bit_cast<std::uint64_t>(canonical(c.as<double>()[row]));
        put(0, (v & kSign) != 0 ? ~v : v ^ kSign);
        return {buffer_, 8};
      }
      default: put(0, static_cast<std::uint64_t>(c.as<std::int64_t>()[row]) ^ kSign); return {buffer_, 8};
    }
  }

  static bool well_formed(DataType type, std::string_view bytes) {
    if (!type.is_string_like()) return bytes.size() == value_width(type.kind);
    return type.is_text() || well_formed_value(type, bytes);
  }
  // The value (value_width bytes); texts are views of the bytes.
  static void load(DataType type, std::string_view bytes, void* to) {
    const auto put = [&](const auto& v) { std::memcpy(to, &v, sizeof v); };
    if (type.is_string_like()) return put(bytes);
    switch (type.kind) {
      case TypeKind::null:
      case TypeKind::boolean: return put(bytes[0]);
      case TypeKind::decimal: return put(decimal(bytes));
      case TypeKind::float64: return put(float64(bytes));
      default: put(int64(bytes));
    }
  }
  static bool put(std::string_view bytes, const AggregateCell& cell) {  // of the cell's type
    if (cell.type.is_string_like()) return cell.text(bytes);
    load(cell.type, bytes, cell.to);
    return true;
  }
  static std::int64_t int64(std::string_view bytes) { return static_cast<std::int64_t>(get(bytes, 0) ^ kSign); }
  static double float64(std::string_view bytes) {
    const std::uint64_t v = get(bytes, 0);
    return std::bit_cast<double>((v & kSign) != 0 ? v ^ kSign : ~v);
  }
  static Decimal decimal(std::string_view bytes) {
    return static_cast<Decimal>((static_cast<UDecimal>(get(bytes, 0) ^ kSign) << 64) | get(bytes, 8));
  }

 private:
  static constexpr std::uint64_t kSign = std::uint64_t{1} << 63;
  void put(std::size_t at, std::uint64_t v) {
    v = __builtin_bswap64(v);
    std::memcpy(buffer_ + at, &v, 8);
  }
  static std::uint64_t get(std::string_view bytes, std::size_t at) {
    std::uint64_t v = 0;
    std::memcpy(&v, bytes.data() + at, 8);
    return __builtin_bswap64(v);
  }
  char buffer_[16];
};

}  // namespace twinspan::engine
