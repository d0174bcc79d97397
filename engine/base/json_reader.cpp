#include "engine/base/json_reader.h"

#include <charconv>

#include <fmt/format.h>

#include "engine/base/json_text.h"

namespace twinspan {

namespace {

bool is_sane_time(std::int64_t ms) { return ms >= -62'135'596'800'000 && ms <= 253'402'300'799'999; }

template <class T>
void store(void* to, T v) {
  std::memcpy(to, &v, sizeof v);
}

std::string excerpt(std::string_view text) {
  if (text.starts_with('{')) return "an object";
  if (text.starts_with('[')) return "an array";
  std::size_t n = std::min<std::size_t>(text.size(), 40);
  while (n > 0 && n < text.size() && (static_cast<unsigned char>(text[n]) & 0xC0) == 0x80) --n;
  return std::string(text.substr(0, n)) + (n < text.size() ? "..." : "");
}

bool whole_number(std::string_view text, std::int64_t& out) {
  const auto r = std::from_chars(text.data(), text.data() + text.size(), out);
  return r.ec == std::errc() && r.ptr == text.data() + text.size();
}

}  // namespace

struct JsonReader::Level {
  std::vector<JsonReader> parts;  // array: the element; map: the value; row: its fields
  std::unique_ptr<ArrayBuilder> array;
  std::unique_ptr<MapBuilder> map;
  std::unique_ptr<RowBuilder> row;
  Arena scratch{1024};
};

JsonReader::JsonReader(DataType type) : type_(type) {
  if (!type.is_nested()) return;
  level_ = std::make_unique<Level>();
  switch (type.kind) {
    case TypeKind::array:
      level_->parts.emplace_back(types::element(type));
      level_->array = std::make_unique<ArrayBuilder>(types::element(type));
      break;
    case TypeKind::map:
      level_->parts.emplace_back(types::map_value(type));
      level_->map = std::make_unique<MapBuilder>(types::map_value(type));
      break;
    default:
      for (const Field& f : type.info->fields) level_->parts.emplace_back(f.type);
      level_->row = std::make_unique<RowBuilder>(*type.info);
  }
}
JsonReader::~JsonReader() = default;
JsonReader::JsonReader(JsonReader&&) noexcept = default;
JsonReader& JsonReader::operator=(JsonReader&&) noexcept = default;

JsonReader::Outcome JsonReader::wrong(std::string_view text, std::string expected) {
  path_.clear();
  reason_ = fmt::format("expected {}, found {}", expected, excerpt(text));
  return Outcome::bad;
}

JsonReader::Outcome JsonReader::read(std::string_view text, Arena& arena, void* out) {
  if (text == "null") return Outcome::null;
  const bool quoted = text.front() == '"';
  std::string_view inside = quoted ? text.substr(1, text.size() - 2) : std::string_view();
  const auto plain = [&]() -> std::string_view {  // the string's own text; its escapes are valid
    if (inside.find('\\') == std::string_view::npos) return inside;
    return *json_unescape(inside, arena);
  };
  switch (type_.kind) {
    case TypeKind::null: return wrong(text, "null");
    case TypeKind::boolean:
      if (text != "true" && text != "false") return wrong(text, "true or false");
      store(out, static_cast<std::uint8_t>(text == "true"));
      break;
    case TypeKind::int64:
    case TypeKind::duration: {
      std::int64_t v = 0;
      if (!whole_number(text, v)) return wrong(text, "a 64-bit integer");
      store(out, v);
      break;
    }
    case TypeKind::float64: {
      double v = 0;
      const auto r = std::from_chars(text.data(), text.data() + text.size(), v);
      if (r.ec != std::errc() || r.ptr != text.data() + text.size()) return wrong(text, "a float64");
      store(out, v);
      break;
    }
    case TypeKind::decimal: {
      const auto v = parse_decimal(quoted ? inside : text, type_.precision, type_.scale);
      if (!v) return wrong(text, to_string(type_));
      store(out, *v);
      break;
    }
    case TypeKind::timestamp: {
      std::int64_t ms = 0;
      if (quoted) {
        const auto v = parse_timestamp(plain());
        if (!v) return wrong(text, "an ISO 8601 timestamp");
        ms = *v;
      } else if (!whole_number(text, ms)) {
        return wrong(text, "an ISO 8601 string or whole milliseconds");
      }
      if (!is_sane_time(ms)) return wrong(text, "a timestamp in the years 1 to 9999");
      store(out, ms);
      break;
    }
    case TypeKind::string:
      if (!quoted) return wrong(text, "a string");
      store(out, plain());
      break;
    case TypeKind::bytes: {
      const auto v = quoted ? decode_base64(plain(), arena) : std::nullopt;
      if (!v) return wrong(text, "base64");
      store(out, *v);
      break;
    }
    case TypeKind::json: store(out, text); break;
    case TypeKind::array: return read_array(text, arena, out);
    case TypeKind::map: return read_map(text, arena, out);
    case TypeKind::row: return read_row(text, arena, out);
  }
  return Outcome::value;
}

JsonReader::Outcome JsonReader::read_array(std::string_view text, Arena& arena, void* out) {
  if (text.front() != '[') return wrong(text, "an array");
  JsonReader& part = level_->parts[0];
  level_->array->clear();
  Outcome all = Outcome::value;
  json_each_element(text, [&](std::size_t i, std::string_view element) {
    alignas(Decimal) char value[sizeof(Decimal)];
    const Outcome o = part.read(element, level_->scratch, value);
    if (o == Outcome::bad) {
      path_ = fmt::format("[{}]{}", i, part.path_);
      reason_ = part.reason_;
      all = o;
      return false;
    }
    if (o == Outcome::null)
      level_->array->add_null();
    else
      level_->array->add(value);
    return true;
  });
  level_->scratch.clear();
  if (all == Outcome::value) store(out, arena.copy(level_->array->finish()));
  return all;
}

JsonReader::Outcome JsonReader::read_map(std::string_view text, Arena& arena, void* out) {
  if (text.front() != '{') return wrong(text, "an object");
  JsonReader& part = level_->parts[0];
  level_->map->clear();
  Outcome all = Outcome::value;
  json_each_member(text, [&](std::string_view written, std::string_view member) {
    alignas(Decimal) char value[sizeof(Decimal)];
    const std::string_view key =
        written.find('\\') == std::string_view::npos ? written : *json_unescape(written, level_->scratch);
    const Outcome o = part.read(member, level_->scratch, value);
    if (o == Outcome::bad) {
      path_ = fmt::format("['{}']{}", excerpt(key), part.path_);
      reason_ = part.reason_;
      all = o;
      return false;
    }
    level_->map->add(key, o == Outcome::null ? nullptr : value);
    return true;
  });
  level_->scratch.clear();
  if (all == Outcome::value) store(out, arena.copy(level_->map->finish()));
  return all;
}

JsonReader::Outcome JsonReader::read_row(std::string_view text, Arena& arena, void* out) {
  if (text.front() != '{') return wrong(text, "an object");
  const auto& fields = type_.info->fields;
  level_->row->clear();
  Outcome all = Outcome::value;
  std::size_t next = 0;  // keys mostly come in the order of the fields
  json_each_member(text, [&](std::string_view written, std::string_view member) {
    std::size_t f = 0;
    while (f < fields.size() && !json_key_is(written, fields[(next + f) % fields.size()].name)) ++f;
    if (f == fields.size()) return true;
    f = (next + f) % fields.size();
    next = f + 1;
    alignas(Decimal) char value[sizeof(Decimal)];
    const Outcome o = level_->parts[f].read(member, level_->scratch, value);
    if (o == Outcome::bad) {
      path_ = "." + fields[f].name + level_->parts[f].path_;
      reason_ = level_->parts[f].reason_;
      all = o;
      return false;
    }
    if (o == Outcome::null)
      level_->row->set_null(f);
    else
      level_->row->set(f, value);
    return true;
  });
  level_->scratch.clear();
  if (all == Outcome::value) store(out, arena.copy(level_->row->finish()));
  return all;
}

}  // namespace twinspan
