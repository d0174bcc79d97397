#pragma once
// `Codec<T>`: how a C++ type is read from a node (`read`), described (`shape`) and, for defaults, written (`text`).
// A new field type is one specialization here or beside its table. `TableBuilder` ties member pointers to names.
// Only the *_table.cpp files include this. Thread: any.

#include "config/descriptor.h"
#include "config/fields.h"

#include <fmt/format.h>

#include <array>
#include <concepts>
#include <type_traits>
#include <unordered_set>

namespace twinspan::config {

template <class T>
struct Codec;

// A struct with its own table: `static const ObjectTable& table();`.
template <class T>
concept Described = requires {
  { T::table() } -> std::same_as<const ObjectTable&>;
};

inline Shape simple_shape(ShapeKind kind) {
  Shape shape;
  shape.kind = kind;
  return shape;
}

// --- scalars ---

template <>
struct Codec<std::string> {
  static Shape shape() { return simple_shape(ShapeKind::string); }
  static bool read(Reader& reader, const Node& node, std::string& into);
  static std::optional<std::string> text(const std::string& v) { return v.empty() ? std::nullopt : std::optional(v); }
};

template <>
struct Codec<bool> {
  static Shape shape() { return simple_shape(ShapeKind::boolean); }
  static bool read(Reader& reader, const Node& node, bool& into);
  static std::optional<std::string> text(bool v) { return v ? "true" : "false"; }
};

template <>
struct Codec<std::int64_t> {
  static Shape shape() { return simple_shape(ShapeKind::integer); }
  static bool read(Reader& reader, const Node& node, std::int64_t& into);
  static std::optional<std::string> text(std::int64_t v) { return std::to_string(v); }
};

template <>
struct Codec<double> {
  static Shape shape() { return simple_shape(ShapeKind::number); }
  static bool read(Reader& reader, const Node& node, double& into);
  static std::optional<std::string> text(double v) { return fmt::format("{}", v); }
};

template <>
struct Codec<Duration> {
  static Shape shape() { return simple_shape(ShapeKind::duration); }
  static bool read(Reader& reader, const Node& node, Duration& into);
  static std::optional<std::string> text(Duration v) { return duration_text(v); }
};

template <>
struct Codec<std::uint64_t> {  // bytes: nothing else in the language is unsigned
  static Shape shape() { return simple_shape(ShapeKind::bytes); }
  static bool read(Reader& reader, const Node& node, std::uint64_t& into);
  static std::optional<std::string> text(std::uint64_t v) { return bytes_text(v); }
};

template <>
struct Codec<Rate> {
  static Shape shape() { return simple_shape(ShapeKind::rate); }
  static bool read(Reader& reader, const Node& node, Rate& into);
  static std::optional<std::string> text(Rate v) { return rate_text(v); }
};

template <>
struct Codec<ByteRate> {
  static Shape shape() { return simple_shape(ShapeKind::byte_rate); }
  static bool read(Reader& reader, const Node& node, ByteRate& into);
  static std::optional<std::string> text(ByteRate v) { return byte_rate_text(v); }
};

template <>
struct Codec<Expression> {
  static Shape shape() { return simple_shape(ShapeKind::expression); }
  static bool read(Reader& reader, const Node& node, Expression& into);
  static std::optional<std::string> text(const Expression&) { return std::nullopt; }
};

template <>
struct Codec<Id> {  // a reference to something named elsewhere: whether it exists is checked later
  static Shape shape() { return simple_shape(ShapeKind::identifier); }
  static bool read(Reader& reader, const Node& node, Id& into);
  static std::optional<std::string> text(const Id&) { return std::nullopt; }
};

template <>
struct Codec<Secret> {
  static Shape shape() { return simple_shape(ShapeKind::secret); }
  static bool read(Reader& reader, const Node& node, Secret& into);
  static std::optional<std::string> text(const Secret&) { return std::nullopt; }
};

template <class T>
struct Codec<Located<T>> {
  static Shape shape() { return Codec<T>::shape(); }
  static bool read(Reader& reader, const Node& node, Located<T>& into) {
    if (!Codec<T>::read(reader, node, into.value)) return false;  // no origin: checks pass over it
    into.origin = node.origin;
    return true;
  }
  static std::optional<std::string> text(const Located<T>& v) { return Codec<T>::text(v.value); }
};

// --- choices ---

// One word of an enum; without a value it is part of the language but not of this version.
template <class E>
struct Choice {
  const char* word;
  std::optional<E> value;
};

bool refuse_choice(Reader& reader, const Node& node, const Shape& shape);

template <class E>
struct Choices;  // static constexpr std::array words{Choice<E>{"latest", E::latest}, ...};

template <class E>
requires std::is_enum_v<E>
struct Codec<E> {
  static Shape shape() {
    Shape shape = simple_shape(ShapeKind::choice);
    for (const auto& choice : Choices<E>::words) {
      if (choice.value) shape.choices.emplace_back(choice.word);
    }
    return shape;
  }
  static bool read(Reader& reader, const Node& node, E& into) {
    const std::string* text = reader.scalar(node, shape());
    if (text == nullptr) return false;
    for (const auto& choice : Choices<E>::words) {
      if (*text != choice.word) continue;
      if (!choice.value) return reader.unavailable(node.origin, *text);
      into = *choice.value;
      return true;
    }
    return refuse_choice(reader, node, shape());
  }
  static std::optional<std::string> text(E v) {
    for (const auto& choice : Choices<E>::words) {
      if (choice.value == v) return choice.word;
    }
    return std::nullopt;
  }
};

// --- compounds ---

template <Described T>
struct Codec<T> {
  static Shape shape() {
    Shape shape = simple_shape(ShapeKind::object);
    shape.object = &T::table();
    return shape;
  }
  static bool read(Reader& reader, const Node& node, T& into) { return reader.object(node, T::table(), &into); }
  static std::optional<std::string> text(const T&) { return std::nullopt; }
};

template <class T>
struct Codec<std::optional<T>> {
  static Shape shape() { return Codec<T>::shape(); }
  static bool read(Reader& reader, const Node& node, std::optional<T>& into) {
    if (Codec<T>::read(reader, node, into.emplace())) return true;
    // A located value that could not be read is as if not given; a struct stays, so that it is not called missing.
    if constexpr (!Described<T> && requires { into->origin.source; }) into.reset();
    return false;
  }
  static std::optional<std::string> text(const std::optional<T>& v) { return v ? Codec<T>::text(*v) : std::nullopt; }
};

template <class T>
struct Codec<std::vector<T>> {
  static Shape shape() {
    Shape shape = simple_shape(ShapeKind::list);
    shape.element = std::make_shared<const Shape>(Codec<T>::shape());
    return shape;
  }
  static bool read(Reader& reader, const Node& node, std::vector<T>& into) {
    if (node.kind != NodeKind::list) return reader.wrong_type(node, shape());
    bool good = true;
    for (const Node& item : node.items) good = Codec<T>::read(reader, item, into.emplace_back()) && good;
    return good;
  }
  static std::optional<std::string> text(const std::vector<T>&) { return std::nullopt; }
};

bool check_identifier(Reader& reader, const Origin& at, std::string_view name);

template <class T, bool kIds>
struct MapCodec {
  static Shape shape() {
    Shape shape = simple_shape(ShapeKind::map);
    shape.element = std::make_shared<const Shape>(Codec<T>::shape());
    shape.keys_are_ids = kIds;
    return shape;
  }
  static bool read(Reader& reader, const Node& node, NamedMap<T>& into) {
    if (node.kind != NodeKind::map) return reader.wrong_type(node, shape());
    bool good = true;
    std::unordered_set<std::string_view> seen;
    for (const MapEntry& entry : node.entries) {
      if (!seen.insert(entry.name.value).second || entry.name.value == "<<" || !entry.name.origin.scalar) continue;
      if (kIds) good = check_identifier(reader, entry.name.origin, entry.name.value) && good;
      // An entry that has errors stays, so that references to it are no further errors.
      into.entries.push_back({Id(entry.name.value, entry.name.origin), T{}, entry.value.end});
      good = Codec<T>::read(reader, entry.value, into.entries.back().value) && good;
    }
    return good;
  }
  static std::optional<std::string> text(const NamedMap<T>&) { return std::nullopt; }
};

template <class T>
struct Codec<IdMap<T>> : MapCodec<T, true> {};
template <class T>
struct Codec<NameMap<T>> : MapCodec<T, false> {};

// --- tables ---

// The number that min and max are compared with; nothing for types without an order.
template <class T>
std::optional<double> magnitude([[maybe_unused]] const T& value) {
  if constexpr (std::is_same_v<T, Duration>)
    return static_cast<double>(value.count());
  else if constexpr (std::is_same_v<T, Rate> || std::is_same_v<T, ByteRate>)
    return value.per_second;
  else if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>)
    return static_cast<double>(value);
  else
    return std::nullopt;
}
template <class T>
std::optional<double> magnitude(const std::optional<T>& value) {
  return value ? magnitude(*value) : std::nullopt;
}
template <class T>
std::optional<double> magnitude(const Located<T>& value) {
  return magnitude(value.value);
}

void check_range(Reader& reader, const Node& node, const Shape& shape, const FieldOptions& options, double value);
void check_not_empty(Reader& reader, const Node& node);

template <class S>
class TableBuilder : public ObjectTable {
 public:
  using ObjectTable::ObjectTable;

  template <class M>
  TableBuilder&& field(std::string name, M S::*member, std::string doc, FieldOptions options = {}) && {
    Field field;
    field.name = std::move(name);
    field.doc = std::move(doc);
    field.options = options;
    field.shape = Codec<M>::shape();
    if (!options.required) field.default_text = Codec<M>::text(S{}.*member);
    field.bind = [member, options, shape = field.shape](Reader& reader, const Node& node, void* object) {
      M& into = static_cast<S*>(object)->*member;
      if (!Codec<M>::read(reader, node, into)) return;
      if (options.not_empty) check_not_empty(reader, node);
      if (const auto value = magnitude(into)) check_range(reader, node, shape, options, *value);
    };
    fields_.push_back(std::move(field));
    return std::move(*this);
  }

  // A key of the language that this version does not have: T0190 instead of "unknown".
  TableBuilder&& unavailable(std::string name) && {
    Field field;
    field.name = std::move(name);
    field.available = false;
    fields_.push_back(std::move(field));
    return std::move(*this);
  }
};

}  // namespace twinspan::config
