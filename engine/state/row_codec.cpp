#include "engine/state/row_codec.h"

#include <cmath>
#include <limits>

#include <xxhash.h>

namespace twinspan::engine {

namespace {

std::size_t stored_width(DataType type) {
  if (type.is_string_like()) return 0;
  return value_width(type.kind);
}

std::size_t null_bytes(std::size_t n) { return (n + 7) / 8; }

double canonical(double d) {
  if (std::isnan(d)) return std::numeric_limits<double>::quiet_NaN();
  return d == 0 ? 0.0 : d;
}

}  // namespace

RowCodec::RowCodec(std::vector<int> columns, std::vector<DataType> types)
    : columns_(std::move(columns)), types_(std::move(types)) {
  TS_CHECK(columns_.size() == types_.size());
  fixed_size_ = null_bytes(columns_.size());
  for (DataType t : types_) fixed_size_ += stored_width(t);
}

std::size_t RowCodec::encoded_size(const Batch& batch, std::size_t row) const {
  std::size_t size = fixed_size_;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (!types_[i].is_string_like()) continue;
    const Column& c = batch.columns[columns_[i]];
    size += 4 + (c.is_null(row) ? 0 : c.as<std::string_view>()[row].size());
  }
  return size;
}

char* RowCodec::encode(const Batch& batch, std::size_t row, char* to) const {
  const std::size_t n = columns_.size();
  char* bits = to;
  std::memset(bits, 0, null_bytes(n));
  to += null_bytes(n);
  for (std::size_t i = 0; i < n; ++i) {
    const Column& c = batch.columns[columns_[i]];
    const bool is_null = c.is_null(row);
    if (is_null) bits[i / 8] = static_cast<char>(bits[i / 8] | (1 << (i % 8)));
    if (types_[i].is_string_like()) continue;
    const std::size_t width = stored_width(types_[i]);
    if (is_null) {
      std::memset(to, 0, width);
    } else if (types_[i].kind == TypeKind::float64) {
      const double d = canonical(c.as<double>()[row]);
      std::memcpy(to, &d, 8);
    } else {
      std::memcpy(to, static_cast<const char*>(c.data) + row * width, width);
    }
    to += width;
  }
  for (std::size_t i = 0; i < n; ++i) {
    if (!types_[i].is_string_like()) continue;
    const Column& c = batch.columns[columns_[i]];
    const std::string_view s = c.is_null(row) ? std::string_view{} : c.as<std::string_view>()[row];
    const auto size = static_cast<std::uint32_t>(s.size());
    std::memcpy(to, &size, 4);
    if (size != 0) std::memcpy(to + 4, s.data(), size);
    to += 4 + size;
  }
  return to;
}

void RowCodec::append(const Batch& batch, std::size_t row, std::string& to) const {
  const std::size_t at = to.size();
  to.resize(at + encoded_size(batch, row));
  encode(batch, row, to.data() + at);
}

bool RowCodec::any_null(const Batch& batch, std::size_t row) const {
  for (int c : columns_)
    if (batch.columns[c].is_null(row)) return true;
  return false;
}

void RowCodec::hash(const Batch& batch, std::uint64_t* out) const {
  char small[512];
  std::string large;
  for (std::size_t row = 0; row < batch.rows; ++row) {
    const std::size_t size = encoded_size(batch, row);
    char* buffer = small;
    if (size > sizeof small) {
      large.resize(size);
      buffer = large.data();
    }
    encode(batch, row, buffer);
    out[row] = XXH3_64bits(buffer, size);
  }
}

bool RowCodec::well_formed(std::string_view bytes) const {
  if (bytes.size() < fixed_size_) return false;
  bytes.remove_prefix(fixed_size_);
  for (DataType t : types_) {
    if (!t.is_string_like()) continue;
    std::uint32_t size = 0;
    if (bytes.size() < 4) return false;
    std::memcpy(&size, bytes.data(), 4);
    bytes.remove_prefix(4);
    if (size > bytes.size()) return false;
    bytes.remove_prefix(size);
  }
  return bytes.empty();
}

RowColumns::RowColumns(const std::vector<DataType>& types, std::size_t capacity, Arena& arena)
    : capacity_(capacity), arena_(arena) {
  for (DataType t : types) {
    targets_.push_back({t, static_cast<char*>(arena.allocate(capacity * value_width(t.kind), 16)),
                        arena.make<std::uint8_t>(capacity), false});
  }
}

void RowColumns::append(std::string_view encoded) {
  TS_CHECK(rows_ < capacity_);
  const std::size_t n = targets_.size();
  const char* bits = encoded.data();
  const char* p = bits + null_bytes(n);
  for (std::size_t i = 0; i < n; ++i) {
    Target& t = targets_[i];
    const bool is_null = (bits[i / 8] >> (i % 8)) & 1;
    t.valid[rows_] = is_null ? 0 : 1;
    t.nulls |= is_null;
    if (t.type.is_string_like()) continue;
    const std::size_t width = value_width(t.type.kind);
    std::memcpy(t.data + rows_ * width, p, width);
    p += width;
  }
  for (Target& t : targets_) {
    if (!t.type.is_string_like()) continue;
    std::uint32_t size = 0;
    std::memcpy(&size, p, 4);
    reinterpret_cast<std::string_view*>(t.data)[rows_] = arena_.copy({p + 4, size});
    p += 4 + size;
  }
  ++rows_;
}

void RowColumns::append_nulls() {
  TS_CHECK(rows_ < capacity_);
  for (Target& t : targets_) {
    t.valid[rows_] = 0;
    t.nulls = true;
    const std::size_t width = value_width(t.type.kind);
    std::memset(t.data + rows_ * width, 0, width);
    if (t.type.is_string_like()) reinterpret_cast<std::string_view*>(t.data)[rows_] = std::string_view("", 0);
  }
  ++rows_;
}

std::vector<Column> RowColumns::finish() const {
  std::vector<Column> out;
  for (const Target& t : targets_) out.push_back({t.type, t.data, t.nulls ? t.valid : nullptr});
  return out;
}

}  // namespace twinspan::engine
