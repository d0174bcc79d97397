// Types as text, and the table of nested types.

#include <algorithm>
#include <charconv>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include <fmt/format.h>

#include "engine/base/types.h"

namespace twinspan {

namespace {

bool plain_name(std::string_view s) {
  const auto part = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
  };
  return !s.empty() && !(s[0] >= '0' && s[0] <= '9') && std::all_of(s.begin(), s.end(), part);
}

std::string shown_name(std::string_view s) {
  if (plain_name(s)) return std::string(s);
  std::string out = "`";
  for (char c : s) out += c == '`' ? std::string("``") : std::string(1, c);
  return out + "`";
}

DataType intern(TypeKind kind, TypeInfo info) {
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<const TypeInfo>> known;
  for (const Field& f : info.fields)
    if (f.type.info != nullptr) info.depth = std::max(info.depth, f.type.info->depth + 1);
  DataType type{kind};
  type.info = &info;
  std::string text = to_string(type);
  const std::lock_guard lock(mutex);
  auto& entry = known[std::move(text)];
  if (!entry) entry = std::make_unique<const TypeInfo>(std::move(info));
  type.info = entry.get();
  return type;
}

class TypeParser {
 public:
  TypeParser(std::string_view text, TypeError& error) : s_(text), error_(error) {}

  std::optional<DataType> run() {
    auto type = parse(1);
    if (!type) return std::nullopt;
    blanks();
    if (at_ < s_.size()) return fail(at_, s_.size() - at_, fmt::format("unexpected `{}` behind the type", rest()));
    return type;
  }

 private:
  std::nullopt_t fail(std::size_t offset, std::size_t length, std::string message) {
    if (error_.message.empty()) error_ = {std::move(message), offset, std::max<std::size_t>(length, 1)};
    return std::nullopt;
  }
  std::string rest() const { return std::string(s_.substr(at_, 20)); }
  void blanks() {
    while (at_ < s_.size() && (s_[at_] == ' ' || s_[at_] == '\t' || s_[at_] == '\n' || s_[at_] == '\r')) ++at_;
  }
  bool accept(char c) {
    blanks();
    if (at_ >= s_.size() || s_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool expect(char c) {
    if (accept(c)) return true;
    fail(at_, 1,
         at_ < s_.size() ? fmt::format("`{}` was expected before `{}`", c, rest())
                         : fmt::format("the type ends here, `{}` was expected", c));
    return false;
  }
  std::string_view word() {
    blanks();
    const std::size_t from = at_;
    while (at_ < s_.size() && (plain_name(s_.substr(at_, 1)) || (at_ > from && s_[at_] >= '0' && s_[at_] <= '9')))
      ++at_;
    return s_.substr(from, at_ - from);
  }
  std::optional<unsigned> number() {
    blanks();
    unsigned v = 0;
    const auto r = std::from_chars(s_.data() + at_, s_.data() + s_.size(), v);
    if (r.ec != std::errc()) return std::nullopt;
    at_ = static_cast<std::size_t>(r.ptr - s_.data());
    return v;
  }

  std::optional<DataType> parse(std::uint32_t depth) {
    blanks();
    const std::size_t from = at_;
    if (depth > kMaxTypeDepth)
      return fail(at_, 1, fmt::format("the type is nested more than {} levels deep", kMaxTypeDepth));
    std::string t;
    for (char c : word()) t.push_back(static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c));
    if (t == "bool" || t == "boolean") return types::boolean;
    if (t == "int64" || t == "bigint" || t == "int") return types::int64;
    if (t == "float64" || t == "double") return types::float64;
    if (t == "string" || t == "varchar") return types::string;
    if (t == "bytes") return types::bytes;
    if (t == "timestamp" || t == "timestamp_ms" || t == "timestamp_s") return types::timestamp;
    if (t == "duration") return types::duration;
    if (t == "json") return types::json;
    if (t == "decimal") return decimal(from);
    if (t == "array") return array(depth);
    if (t == "map") return map(depth);
    if (t == "row") return row(depth);
    return fail(from, at_ - from,
                t.empty() ? "a type was expected" : fmt::format("unknown type `{}`", s_.substr(from, at_ - from)));
  }

  std::optional<DataType> decimal(std::size_t from) {
    if (!expect('(')) return std::nullopt;
    const auto precision = number();
    std::optional<unsigned> scale = 0;
    if (precision && accept(',')) scale = number();
    if (!precision || !scale) return fail(at_, 1, "a number was expected, as in decimal(18,4)");
    if (!expect(')')) return std::nullopt;
    if (*precision < 1 || *precision > 38 || *scale > *precision)
      return fail(from, at_ - from, "a decimal has 1 to 38 digits, and no more of them behind the point");
    return types::decimal(static_cast<std::uint8_t>(*precision), static_cast<std::uint8_t>(*scale));
  }

  std::optional<DataType> array(std::uint32_t depth) {
    if (!expect('<')) return std::nullopt;
    const auto element = parse(depth + 1);
    if (!element || !expect('>')) return std::nullopt;
    return types::array(*element);
  }

  std::optional<DataType> map(std::uint32_t depth) {
    if (!expect('<')) return std::nullopt;
    blanks();
    const std::size_t from = at_;
    const auto key = parse(depth + 1);
    if (!key) return std::nullopt;
    if (key->kind != TypeKind::string) return fail(from, at_ - from, "the keys of a map are strings");
    if (!expect(',')) return std::nullopt;
    const auto value = parse(depth + 1);
    if (!value || !expect('>')) return std::nullopt;
    return types::map(*value);
  }

  std::optional<DataType> row(std::uint32_t depth) {
    if (!expect('<')) return std::nullopt;
    std::vector<Field> fields;
    std::set<std::string> names;
    do {
      blanks();
      const std::size_t from = at_;
      std::string name;
      if (accept('`')) {
        for (;; ++at_) {
          if (at_ >= s_.size()) return fail(from, at_ - from, "quoted name is not closed");
          if (s_[at_] == '`' && (at_ + 1 >= s_.size() || s_[at_ + 1] != '`')) break;
          if (s_[at_] == '`') ++at_;
          name.push_back(s_[at_]);
        }
        ++at_;
      } else {
        name = word();
      }
      if (name.empty()) return fail(from, 1, "the name of a field was expected, as in row<a int64, b string>");
      if (!names.insert(name).second) return fail(from, at_ - from, fmt::format("two fields are called `{}`", name));
      if (names.size() > kMaxTypeFields)
        return fail(from, at_ - from, fmt::format("more than {} fields", kMaxTypeFields));
      accept(':');
      const auto type = parse(depth + 1);
      if (!type) return std::nullopt;
      fields.push_back({std::move(name), *type});
    } while (accept(','));
    if (!expect('>')) return std::nullopt;
    return types::row(std::move(fields));
  }

  std::string_view s_;
  std::size_t at_ = 0;
  TypeError& error_;
};

}  // namespace

namespace types {

DataType array(DataType element) {
  TypeInfo info;
  info.fields = {{"element", element}};
  return intern(TypeKind::array, std::move(info));
}

DataType map(DataType value) {
  TypeInfo info;
  info.fields = {{"key", types::string}, {"value", value}};
  return intern(TypeKind::map, std::move(info));
}

DataType row(std::vector<Field> fields) {
  TypeInfo info;
  info.fields = std::move(fields);
  info.fixed = static_cast<std::uint32_t>((info.fields.size() + 7) / 8);
  for (const Field& f : info.fields) {
    info.slots.push_back(info.fixed);
    info.fixed += f.type.is_string_like() ? 4 : static_cast<std::uint32_t>(value_width(f.type.kind));
  }
  return intern(TypeKind::row, std::move(info));
}

}  // namespace types

std::string to_string(DataType type) {
  switch (type.kind) {
    case TypeKind::null: return "null";
    case TypeKind::boolean: return "bool";
    case TypeKind::int64: return "int64";
    case TypeKind::float64: return "float64";
    case TypeKind::decimal: return fmt::format("decimal({},{})", type.precision, type.scale);
    case TypeKind::string: return "string";
    case TypeKind::bytes: return "bytes";
    case TypeKind::timestamp: return "timestamp";
    case TypeKind::duration: return "duration";
    case TypeKind::json: return "json";
    case TypeKind::array: return "array<" + to_string(types::element(type)) + ">";
    case TypeKind::map: return "map<string, " + to_string(types::map_value(type)) + ">";
    case TypeKind::row: {
      std::string out = "row<";
      for (const Field& f : type.info->fields)
        out += (out.size() > 4 ? ", " : "") + shown_name(f.name) + " " + to_string(f.type);
      return out + ">";
    }
  }
  return "?";
}

std::optional<DataType> parse_type(std::string_view text, TypeError* error) {
  TypeError ignored;
  return TypeParser(text, error != nullptr ? *error : ignored).run();
}

}  // namespace twinspan
