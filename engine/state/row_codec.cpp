#include "engine/state/row_codec.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include <xxhash.h>

#include "engine/base/nested.h"

namespace twinspan::engine {

namespace {

std::size_t stored_width(DataType type) {
  if (type.is_string_like()) return 0;
  return value_width(type.kind);
}

std::size_t null_bytes(std::size_t n) { return (n + 7) / 8; }

// What a call of memcpy costs is more than that of a short copy.
inline void copy_short(const char* from, std::size_t n, char* to) {
  if (n >= 8 && n <= 32) {
    std::uint64_t a, b, c, d;
    std::memcpy(&a, from, 8);
    std::memcpy(&d, from + n - 8, 8);
    if (n > 16) {
      std::memcpy(&b, from + 8, 8);
      std::memcpy(&c, from + n - 16, 8);
      std::memcpy(to + 8, &b, 8);
      std::memcpy(to + n - 16, &c, 8);
    }
    std::memcpy(to, &a, 8);
    std::memcpy(to + n - 8, &d, 8);
    return;
  }
  if (n != 0) std::memcpy(to, from, n);
}

// Reads one string of each row and moves the cursors past it.
void copy_strings(const char** cursors, std::size_t n, Arena& arena, std::string_view* to) {
  std::size_t total = 0;
  for (std::size_t r = 0; r < n; ++r) {
    std::uint32_t size = 0;
    std::memcpy(&size, cursors[r], 4);
    to[r] = {cursors[r] + 4, size};
    total += size;
  }
  char* bytes = total == 0 ? nullptr : static_cast<char*>(arena.allocate(total, 1));
  for (std::size_t r = 0; r < n; ++r) {
    const std::size_t size = to[r].size();
    cursors[r] += 4 + size;
    if (size == 0) {
      to[r] = std::string_view("", 0);
      continue;
    }
    copy_short(to[r].data(), size, bytes);
    to[r] = {bytes, size};
    bytes += size;
  }
}

double canonical(double d) {
  if (std::isnan(d)) return std::numeric_limits<double>::quiet_NaN();
  return d == 0 ? 0.0 : d;
}

}  // namespace

RowCodec::RowCodec(std::vector<int> columns, std::vector<DataType> types)
    : columns_(std::move(columns)), types_(std::move(types)) {
  TS_CHECK(columns_.size() == types_.size());
  fixed_size_ = null_bytes(columns_.size());
  for (DataType t : types_) {
    fixed_size_ += stored_width(t);
    strings_ |= t.is_string_like();
  }
  one_string_ = types_.size() == 1 && strings_;
}

std::size_t RowCodec::encoded_size(const Batch& batch, std::size_t row) const {
  std::size_t size = fixed_size_;
  if (!strings_) return size;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (!types_[i].is_string_like()) continue;
    const Column& c = batch.columns[columns_[i]];
    size += 4 + (c.is_null(row) ? 0 : c.as<std::string_view>()[row].size());
  }
  return size;
}

void RowCodec::encoded_sizes(const Batch& batch, const std::uint32_t* rows, std::uint32_t n, std::size_t* sizes) const {
  std::fill_n(sizes, n, fixed_size_);
  if (!strings_) return;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (!types_[i].is_string_like()) continue;
    const Column& c = batch.columns[columns_[i]];
    const auto* text = c.as<std::string_view>();
    for (std::uint32_t r = 0; r < n; ++r) {
      if (const std::size_t ahead = std::size_t{rows[r]} + n; ahead < batch.rows)
        __builtin_prefetch(text[ahead].data());
      sizes[r] += 4 + (c.is_null(rows[r]) ? 0 : text[rows[r]].size());
    }
  }
}

char* RowCodec::encode(const Batch& batch, std::size_t row, char* to) const {
  const std::size_t n = columns_.size();
  if (one_string_) {
    const Column& c = batch.columns[columns_[0]];
    if (c.is_null(row)) {
      to[0] = 1;
      std::memset(to + 1, 0, 4);
      return to + 5;
    }
    const std::string_view s = c.as<std::string_view>()[row];
    const auto size = static_cast<std::uint32_t>(s.size());
    to[0] = 0;
    std::memcpy(to + 1, &size, 4);
    copy_short(s.data(), size, to + 5);
    return to + 5 + size;
  }
  char* bits = to;
  std::memset(bits, 0, null_bytes(n));
  to += null_bytes(n);
  for (std::size_t i = 0; i < n; ++i) {
    const Column& c = batch.columns[columns_[i]];
    const bool is_null = c.is_null(row);
    if (is_null) bits[i / 8] = static_cast<char>(bits[i / 8] | (1 << (i % 8)));
    // A width known to the compiler makes each copy one move.
    switch (types_[i].kind) {
      case TypeKind::string:
      case TypeKind::bytes:
      case TypeKind::array:
      case TypeKind::map:
      case TypeKind::row:
      case TypeKind::json: break;
      case TypeKind::null:
      case TypeKind::boolean: *to++ = is_null ? '\0' : static_cast<const char*>(c.data)[row]; break;
      case TypeKind::decimal:
        if (is_null)
          std::memset(to, 0, sizeof(Decimal));
        else
          std::memcpy(to, static_cast<const char*>(c.data) + row * sizeof(Decimal), sizeof(Decimal));
        to += sizeof(Decimal);
        break;
      case TypeKind::float64: {
        const double d = is_null ? 0.0 : canonical(c.as<double>()[row]);
        std::memcpy(to, &d, 8);
        to += 8;
        break;
      }
      default:
        if (is_null)
          std::memset(to, 0, 8);
        else
          std::memcpy(to, static_cast<const char*>(c.data) + row * 8, 8);
        to += 8;
    }
  }
  if (!strings_) return to;
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
  const char* bits = bytes.data();
  bytes.remove_prefix(fixed_size_);
  for (std::size_t i = 0; i < types_.size(); ++i) {
    const DataType t = types_[i];
    if (!t.is_string_like()) continue;
    std::uint32_t size = 0;
    if (bytes.size() < 4) return false;
    std::memcpy(&size, bytes.data(), 4);
    bytes.remove_prefix(4);
    if (size > bytes.size()) return false;
    const bool is_null = (bits[i / 8] >> (i % 8) & 1) != 0;
    if (is_null ? size != 0 : !well_formed_value(t, bytes.substr(0, size))) return false;
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
  const char* row = encoded.data();
  append(&row, 1);
}

void RowColumns::append(const char* const* encoded, std::size_t n) {
  TS_CHECK(rows_ + n <= capacity_);
  const std::size_t bits = null_bytes(targets_.size());
  std::size_t at = bits, i = 0;
  for (Target& t : targets_) {
    std::uint8_t nulls = 0;
    for (std::size_t r = 0; r < n; ++r) {
      const auto null = static_cast<std::uint8_t>((encoded[r][i / 8] >> (i % 8)) & 1);
      t.valid[rows_ + r] = null ^ 1;
      nulls |= null;
    }
    ++i;
    t.nulls |= nulls != 0;
    if (t.type.is_string_like()) continue;
    const std::size_t width = value_width(t.type.kind);
    char* to = t.data + rows_ * width;
    if (width == 8) {  // known to the compiler: one move
      for (std::size_t r = 0; r < n; ++r) std::memcpy(to + r * 8, encoded[r] + at, 8);
    } else {
      for (std::size_t r = 0; r < n; ++r) std::memcpy(to + r * width, encoded[r] + at, width);
    }
    at += width;
  }
  // Strings follow the fixed part, each behind the one before it.
  const auto is_text = [](const Target& t) { return t.type.is_string_like(); };
  if (std::any_of(targets_.begin(), targets_.end(), is_text)) {
    cursors_.resize(n);
    for (std::size_t r = 0; r < n; ++r) cursors_[r] = encoded[r] + at;
    for (Target& t : targets_)
      if (is_text(t)) copy_strings(cursors_.data(), n, arena_, reinterpret_cast<std::string_view*>(t.data) + rows_);
  }
  rows_ += n;
}

std::vector<Column> RowColumns::finish() const {
  std::vector<Column> out;
  for (const Target& t : targets_) out.push_back({t.type, t.data, t.nulls ? t.valid : nullptr});
  return out;
}

namespace {

template <class T>
T* copy_values(const char* const* rows, std::size_t n, std::size_t at, Arena& arena) {
  T* to = arena.make<T>(n);
  for (std::size_t r = 0; r < n; ++r) std::memcpy(to + r, rows[r] + at, sizeof(T));
  return to;
}

}  // namespace

std::vector<Column> decode_rows(const std::vector<DataType>& types, const char* const* rows, std::size_t n,
                                Arena& arena) {
  const std::size_t bits = null_bytes(types.size());
  std::size_t fixed = bits, strings = 0;
  for (DataType t : types) {
    fixed += stored_width(t);
    strings += t.is_string_like();
  }
  // Missing rows read from one row of NULLs; then nothing below has to ask.
  std::string nulls(fixed + 4 * strings, '\0');
  for (std::size_t i = 0; i < types.size(); ++i) nulls[i / 8] = static_cast<char>(nulls[i / 8] | (1 << (i % 8)));
  auto* from = arena.make<const char*>(n);
  for (std::size_t r = 0; r < n; ++r) from[r] = rows[r] != nullptr ? rows[r] : nulls.data();

  std::string any(bits, '\0');  // which columns have a NULL at all
  for (std::size_t b = 0; b < bits; ++b) {
    unsigned char seen = 0;
    for (std::size_t r = 0; r < n; ++r) seen |= static_cast<unsigned char>(from[r][b]);
    any[b] = static_cast<char>(seen);
  }

  std::vector<Column> out;
  out.reserve(types.size());
  std::size_t at = bits;
  for (std::size_t i = 0; i < types.size(); ++i) {
    Column c{types[i], nullptr, nullptr};
    if ((any[i / 8] >> (i % 8)) & 1) {
      auto* valid = arena.make<std::uint8_t>(n);
      for (std::size_t r = 0; r < n; ++r) valid[r] = ((from[r][i / 8] >> (i % 8)) & 1) ^ 1;
      c.valid = valid;
    }
    switch (stored_width(types[i])) {
      case 0: break;  // strings follow the fixed part
      case 1: c.data = copy_values<std::uint8_t>(from, n, at, arena); break;
      case 8: c.data = copy_values<std::int64_t>(from, n, at, arena); break;
      default: c.data = copy_values<Decimal>(from, n, at, arena);
    }
    at += stored_width(types[i]);
    out.push_back(c);
  }
  if (strings == 0) return out;
  for (std::size_t r = 0; r < n; ++r) from[r] += fixed;
  for (Column& c : out) {
    if (!c.type.is_string_like()) continue;
    auto* to = arena.make<std::string_view>(n);
    copy_strings(from, n, arena, to);
    c.data = to;
  }
  return out;
}

}  // namespace twinspan::engine
