#pragma once
// Values of array, map and row: packed into one run of bytes each, so that a column of them is a column of views, and
// gathering, exchanging and saving them is what it is for strings. Little-endian, unaligned, after the idea of Spark's
// and Flink's binary rows:
//
//   array  u32 n, null bits, then n values of fixed width, or n u32 ends and the bytes they cut up
//   row    null bits, then a slot a field: the value, or the u32 end of its bytes; then the bytes
//   map    u32 size of the keys, keys (array, ascending, each once), values (array)
//
// Equal values are equal bytes: NULLs are zeros, -0.0 is 0.0, every NaN is one NaN. Thread: any one.

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/types.h"

namespace twinspan {

// A packed array. The bytes must be well-formed.
class ArrayView {
 public:
  ArrayView(std::string_view bytes, DataType element) : element_(element) {
    std::memcpy(&size_, bytes.data(), 4);
    nulls_ = bytes.data() + 4;
    slots_ = nulls_ + (size_ + 7) / 8;
  }
  std::uint32_t size() const { return size_; }
  bool is_null(std::uint32_t i) const { return (nulls_[i / 8] >> (i % 8) & 1) != 0; }
  // Writes value i (value_width bytes; a view for string-like types).
  void load(std::uint32_t i, void* to) const {
    if (!element_.is_string_like()) {
      const std::size_t width = value_width(element_.kind);
      std::memcpy(to, slots_ + i * width, width);
      return;
    }
    const std::string_view v = text(i);
    std::memcpy(to, &v, sizeof v);
  }
  template <class T>
  T at(std::uint32_t i) const {
    T v;
    std::memcpy(&v, slots_ + i * sizeof(T), sizeof(T));
    return v;
  }
  std::string_view text(std::uint32_t i) const {  // of string-like elements
    const std::uint32_t from = i == 0 ? 0 : at<std::uint32_t>(i - 1);
    return {slots_ + size_ * 4 + from, at<std::uint32_t>(i) - from};
  }

 private:
  DataType element_;
  std::uint32_t size_ = 0;
  const char* nulls_;
  const char* slots_;
};

class RowView {
 public:
  RowView(std::string_view bytes, const TypeInfo& info) : p_(bytes.data()), info_(info) {}
  bool is_null(std::size_t field) const { return (p_[field / 8] >> (field % 8) & 1) != 0; }
  void load(std::size_t field, void* to) const;

 private:
  const char* p_;
  const TypeInfo& info_;
};

class MapView {
 public:
  MapView(std::string_view bytes, DataType value)
      : keys_(bytes.substr(4), types::string), values_(bytes.substr(4 + keys_size(bytes)), value) {}
  const ArrayView& keys() const { return keys_; }
  const ArrayView& values() const { return values_; }
  int find(std::string_view key) const;  // -1: not there
  static std::uint32_t keys_size(std::string_view bytes) {
    std::uint32_t n = 0;
    std::memcpy(&n, bytes.data(), 4);
    return n;
  }

 private:
  ArrayView keys_, values_;
};

// Builds packed arrays one after the other, using its memory again.
class ArrayBuilder {
 public:
  explicit ArrayBuilder(DataType element) : element_(element), width_(value_width(element.kind)) {}
  void clear();
  void add(const void* value);  // value_width bytes; string-like: points to a std::string_view. Bytes are copied
  void add_null();
  std::uint32_t size() const { return size_; }
  std::size_t bytes() const { return slots_.size() + bytes_.size(); }
  std::string_view finish();  // valid until the next clear()

 private:
  DataType element_;
  std::size_t width_;
  std::uint32_t size_ = 0;
  std::string nulls_, slots_, bytes_, out_;
};

class RowBuilder {
 public:
  explicit RowBuilder(const TypeInfo& info) : info_(&info), values_(info.fields.size()), set_(info.fields.size()) {}
  void clear();                                    // all fields NULL
  void set(std::size_t field, const void* value);  // copied; a second call replaces the first
  void set_null(std::size_t field) { set_[field] = false; }
  std::string_view finish();

 private:
  const TypeInfo* info_;
  std::vector<std::string> values_;
  std::vector<bool> set_;
  std::string out_;
};

class MapBuilder {
 public:
  explicit MapBuilder(DataType value) : value_(value), key_array_(types::string), value_array_(value) {}
  void clear();
  void add(std::string_view key, const void* value);  // nullptr: NULL. Of equal keys the last wins
  std::string_view finish();

 private:
  struct Entry {
    std::size_t key, key_size, value, value_size;  // places in `bytes_`; value SIZE_MAX: NULL
  };
  DataType value_;
  ArrayBuilder key_array_, value_array_;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> order_;
  std::string bytes_, out_;
};

// Whether the bytes can be a value of the type: for what comes from disk. String-like types only.
bool well_formed_value(DataType type, std::string_view bytes);

// The value as canonical bytes: floats without -0.0 and odd NaNs. `value` has value_width bytes.
void canonical_value(DataType type, void* value);

}  // namespace twinspan
