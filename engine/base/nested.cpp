#include "engine/base/nested.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/base/json_text.h"

namespace twinspan {

namespace {

void put_u32(std::string& out, std::size_t v) {
  const auto n = static_cast<std::uint32_t>(v);
  out.append(reinterpret_cast<const char*>(&n), 4);
}

bool read_u32(std::string_view& s, std::uint32_t& v) {
  if (s.size() < 4) return false;
  std::memcpy(&v, s.data(), 4);
  s.remove_prefix(4);
  return true;
}

// A value of fixed width: only booleans have bytes that are no value.
bool valid_slot(DataType type, const char* p) { return type.kind != TypeKind::boolean || (*p & ~1) == 0; }

bool well_formed_array(DataType element, std::string_view s) {
  std::uint32_t n = 0;
  if (!read_u32(s, n)) return false;
  const std::size_t nulls = (static_cast<std::size_t>(n) + 7) / 8;
  if (s.size() < nulls) return false;
  const char* bits = s.data();
  s.remove_prefix(nulls);
  if (!element.is_string_like()) {
    const std::size_t width = value_width(element.kind);
    if (s.size() != width * n) return false;
    for (std::uint32_t i = 0; i < n; ++i)
      if (!valid_slot(element, s.data() + i * width)) return false;
    return true;
  }
  if (s.size() < std::size_t{4} * n) return false;
  const char* ends = s.data();
  s.remove_prefix(std::size_t{4} * n);
  std::uint32_t from = 0;
  for (std::uint32_t i = 0; i < n; ++i) {
    std::uint32_t end = 0;
    std::memcpy(&end, ends + std::size_t{4} * i, 4);
    if (end < from || end > s.size()) return false;
    const bool is_null = (bits[i / 8] >> (i % 8) & 1) != 0;
    if (is_null ? end != from : !well_formed_value(element, s.substr(from, end - from))) return false;
    from = end;
  }
  return from == s.size();
}

bool well_formed_row(const TypeInfo& info, std::string_view s) {
  if (s.size() < info.fixed) return false;
  const char* p = s.data();
  s.remove_prefix(info.fixed);
  std::uint32_t from = 0;
  for (std::size_t i = 0; i < info.fields.size(); ++i) {
    const DataType type = info.fields[i].type;
    if (!type.is_string_like()) {
      if (!valid_slot(type, p + info.slots[i])) return false;
      continue;
    }
    std::uint32_t end = 0;
    std::memcpy(&end, p + info.slots[i], 4);
    if (end < from || end > s.size()) return false;
    const bool is_null = (p[i / 8] >> (i % 8) & 1) != 0;
    if (is_null ? end != from : !well_formed_value(type, s.substr(from, end - from))) return false;
    from = end;
  }
  return from == s.size();
}

}  // namespace

void canonical_value(DataType type, void* value) {
  if (type.kind != TypeKind::float64) return;
  double d = 0;
  std::memcpy(&d, value, 8);
  if (std::isnan(d)) d = std::numeric_limits<double>::quiet_NaN();
  if (d == 0) d = 0.0;
  std::memcpy(value, &d, 8);
}

bool well_formed_value(DataType type, std::string_view s) {
  switch (type.kind) {
    case TypeKind::array: return well_formed_array(types::element(type), s);
    case TypeKind::row: return well_formed_row(*type.info, s);
    case TypeKind::map: {
      std::uint32_t keys = 0;
      if (!read_u32(s, keys) || keys > s.size()) return false;
      const std::string_view k = s.substr(0, keys), v = s.substr(keys);
      if (!well_formed_array(types::string, k) || !well_formed_array(types::map_value(type), v)) return false;
      return ArrayView(k, types::string).size() == ArrayView(v, types::map_value(type)).size();
    }
    case TypeKind::json: return json_valid(s);
    default: return true;
  }
}

void RowView::load(std::size_t field, void* to) const {
  const DataType type = info_.fields[field].type;
  const char* slot = p_ + info_.slots[field];
  if (!type.is_string_like()) {
    std::memcpy(to, slot, value_width(type.kind));
    return;
  }
  std::uint32_t from = 0, end = 0;
  for (std::size_t f = field; f-- > 0;) {  // where the field with bytes before this one ends
    if (!info_.fields[f].type.is_string_like()) continue;
    std::memcpy(&from, p_ + info_.slots[f], 4);
    break;
  }
  std::memcpy(&end, slot, 4);
  const std::string_view v(p_ + info_.fixed + from, end - from);
  std::memcpy(to, &v, sizeof v);
}

int MapView::find(std::string_view key) const {
  std::uint32_t low = 0, high = keys_.size();
  while (low < high) {
    const std::uint32_t middle = low + (high - low) / 2;
    if (keys_.text(middle) < key)
      low = middle + 1;
    else
      high = middle;
  }
  return low < keys_.size() && keys_.text(low) == key ? static_cast<int>(low) : -1;
}

void ArrayBuilder::clear() {
  size_ = 0;
  nulls_.clear();
  slots_.clear();
  bytes_.clear();
}

void ArrayBuilder::add(const void* value) {
  if (size_ % 8 == 0) nulls_.push_back('\0');
  ++size_;
  if (element_.is_string_like()) {
    std::string_view v;
    std::memcpy(&v, value, sizeof v);
    bytes_.append(v);
    put_u32(slots_, bytes_.size());
    return;
  }
  const std::size_t at = slots_.size();
  slots_.append(static_cast<const char*>(value), width_);
  canonical_value(element_, slots_.data() + at);
}

void ArrayBuilder::add_null() {
  if (size_ % 8 == 0) nulls_.push_back('\0');
  nulls_.back() = static_cast<char>(nulls_.back() | 1 << (size_ % 8));
  ++size_;
  if (element_.is_string_like())
    put_u32(slots_, bytes_.size());
  else
    slots_.append(width_, '\0');
}

std::string_view ArrayBuilder::finish() {
  out_.clear();
  put_u32(out_, size_);
  out_ += nulls_;
  out_ += slots_;
  out_ += bytes_;
  return out_;
}

void RowBuilder::clear() { std::fill(set_.begin(), set_.end(), false); }

void RowBuilder::set(std::size_t field, const void* value) {
  const DataType type = info_->fields[field].type;
  std::string& to = values_[field];
  if (type.is_string_like()) {
    std::string_view v;
    std::memcpy(&v, value, sizeof v);
    to.assign(v);
  } else {
    to.assign(static_cast<const char*>(value), value_width(type.kind));
    canonical_value(type, to.data());
  }
  set_[field] = true;
}

std::string_view RowBuilder::finish() {
  out_.assign(info_->fixed, '\0');
  std::uint32_t end = 0;
  for (std::size_t f = 0; f < values_.size(); ++f) {
    if (!set_[f]) out_[f / 8] = static_cast<char>(out_[f / 8] | 1 << (f % 8));
    if (info_->fields[f].type.is_string_like()) {
      if (set_[f]) end += static_cast<std::uint32_t>(values_[f].size());
      std::memcpy(out_.data() + info_->slots[f], &end, 4);
    } else if (set_[f]) {
      std::memcpy(out_.data() + info_->slots[f], values_[f].data(), values_[f].size());
    }
  }
  for (std::size_t f = 0; f < values_.size(); ++f)
    if (set_[f] && info_->fields[f].type.is_string_like()) out_ += values_[f];
  return out_;
}

void MapBuilder::clear() {
  entries_.clear();
  bytes_.clear();
}

void MapBuilder::add(std::string_view key, const void* value) {
  Entry e{bytes_.size(), key.size(), SIZE_MAX, 0};
  bytes_.append(key);
  if (value != nullptr) {
    e.value = bytes_.size();
    if (value_.is_string_like()) {
      std::string_view s;
      std::memcpy(&s, value, sizeof s);
      bytes_.append(s);
    } else {
      bytes_.append(static_cast<const char*>(value), value_width(value_.kind));
    }
    e.value_size = bytes_.size() - e.value;
  }
  entries_.push_back(e);
}

std::string_view MapBuilder::finish() {
  const std::string_view bytes = bytes_;
  const auto key_of = [&](std::uint32_t i) { return bytes.substr(entries_[i].key, entries_[i].key_size); };
  order_.resize(entries_.size());
  for (std::uint32_t i = 0; i < order_.size(); ++i) order_[i] = i;
  std::sort(order_.begin(), order_.end(), [&](std::uint32_t a, std::uint32_t b) {
    const int c = key_of(a).compare(key_of(b));
    return c != 0 ? c < 0 : a < b;
  });
  key_array_.clear();
  value_array_.clear();
  for (std::size_t k = 0; k < order_.size(); ++k) {
    const std::string_view key = key_of(order_[k]);
    if (k + 1 < order_.size() && key_of(order_[k + 1]) == key) continue;  // a later one follows
    const Entry& e = entries_[order_[k]];
    key_array_.add(&key);
    if (e.value == SIZE_MAX) {
      value_array_.add_null();
    } else if (value_.is_string_like()) {
      const auto s = bytes.substr(e.value, e.value_size);
      value_array_.add(&s);
    } else {
      value_array_.add(bytes.data() + e.value);
    }
  }
  const std::string_view keys = key_array_.finish();
  out_.clear();
  put_u32(out_, keys.size());
  out_ += keys;
  out_ += value_array_.finish();
  return out_;
}

}  // namespace twinspan
