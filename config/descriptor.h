#pragma once
// One table per component says which keys it has: name, type, whether required, default, one line of documentation,
// whether it can change while running, and which member of which C++ struct it fills. The parser (`Reader`) and the
// JSON Schema (schema.h) both come from it, so they cannot disagree; a default is the struct's own member initializer.
// How a C++ type is read and described is `Codec<T>` (codec.h). Tables are built once and never change. Thread: any.

#include "config/document.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace twinspan::config {

class ObjectTable;
class Reader;

enum class ShapeKind {
  any,
  null,
  string,
  integer,
  number,
  boolean,
  duration,
  bytes,
  rate,
  byte_rate,
  timestamp,
  choice,
  expression,
  identifier,
  secret,
  list,
  map,
  object,
  one_of
};

// What may be written for a value; enough to describe it to people and to JSON Schema.
struct Shape {
  ShapeKind kind = ShapeKind::any;
  std::vector<std::string> choices;      // choice
  std::shared_ptr<const Shape> element;  // list, map
  bool keys_are_ids = false;             // map
  std::optional<std::size_t> count;      // list: exactly so many
  const ObjectTable* object = nullptr;   // object
  std::vector<Shape> alternatives;       // one_of
  std::string words() const;             // "a duration such as 30s"
};

struct FieldOptions {
  bool required = false;
  bool live = false;          // can change while the pipeline runs
  bool not_empty = false;     // lists, maps and texts
  std::optional<double> min;  // numbers; durations in ms, sizes in bytes, rates per second
  std::optional<double> max;
};

struct Field {
  std::string name;
  std::string doc;
  FieldOptions options;
  Shape shape;
  std::optional<std::string> default_text;
  bool available = true;  // false: part of the language, not of this version (T0190)
  std::function<void(Reader&, const Node&, void*)> bind;
};

class ObjectTable {
 public:
  ObjectTable(std::string name, std::string doc) : name_(std::move(name)), doc_(std::move(doc)) {}

  const std::string& name() const { return name_; }
  const std::string& doc() const { return doc_; }
  const std::vector<Field>& fields() const { return fields_; }
  const Field* find(std::string_view name) const;
  std::vector<std::string> available_names() const;

 protected:
  std::string name_;
  std::string doc_;
  std::vector<Field> fields_;
};

// A limit of FieldOptions in the units of the value: "30s", "64MiB".
std::string limit_text(const Shape& shape, double limit);

// Reads one document into structs; every error is collected, reading always goes on.
class Reader {
 public:
  explicit Reader(Diagnostics& diagnostics) : diagnostics_(diagnostics) {}

  Diagnostics& diagnostics() { return diagnostics_; }

  bool object(const Node& node, const ObjectTable& table, void* into);

  // The text of a scalar that is no secret; null after reporting what was wanted instead.
  const std::string* scalar(const Node& node, const Shape& wanted);
  bool wrong_type(const Node& node, const Shape& wanted);
  bool refuse(const Node& node, const char* code, std::string message, std::string hint = {});
  bool unavailable(const Origin& at, std::string_view what);

 private:
  Diagnostics& diagnostics_;
};

// `[a-z][a-z0-9_]{0,63}`: sources, steps, sinks, clusters and params; an id is the identity of its state.
bool is_identifier(std::string_view text);

}  // namespace twinspan::config
