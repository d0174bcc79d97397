#include "config/descriptor.h"

#include "config/suggest.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

namespace twinspan::config {

namespace {

std::string found(const Node& node) {
  switch (node.kind) {
    case NodeKind::null: return "nothing";
    case NodeKind::list: return "a list";
    case NodeKind::map: return "a map";
    case NodeKind::scalar: return in_quotes(node.text());
  }
  return {};
}

}  // namespace

std::string Shape::words() const {
  switch (kind) {
    case ShapeKind::any: return "a value";
    case ShapeKind::null: return "nothing";
    case ShapeKind::string: return "a text";
    case ShapeKind::integer: return "a whole number";
    case ShapeKind::number: return "a number";
    case ShapeKind::boolean: return "true or false";
    case ShapeKind::duration: return "a duration such as 30s";
    case ShapeKind::bytes: return "a size such as 64MiB";
    case ShapeKind::rate: return "a rate such as 200k/s";
    case ShapeKind::byte_rate: return "a rate such as 10MiB/s";
    case ShapeKind::timestamp: return "a timestamp such as 2026-01-01T00:00:00Z";
    case ShapeKind::expression: return "an expression";
    case ShapeKind::identifier: return "a name";
    case ShapeKind::secret: return "a secret such as ${secret:name}";
    case ShapeKind::map: return "a map";
    case ShapeKind::object: return "a map of keys";
    case ShapeKind::list: return count ? fmt::format("a list of {}", *count) : "a list";
    case ShapeKind::choice: {
      std::string list;
      for (const std::string& choice : choices) list += (list.empty() ? "" : ", ") + choice;
      return choices.size() == 1 ? list : "one of " + list;
    }
    case ShapeKind::one_of: {
      std::string list;
      for (const Shape& alternative : alternatives) list += (list.empty() ? "" : " or ") + alternative.words();
      return list;
    }
  }
  return {};
}

const Field* ObjectTable::find(std::string_view name) const {
  const auto field = std::find_if(fields_.begin(), fields_.end(), [&](const Field& f) { return f.name == name; });
  return field == fields_.end() ? nullptr : &*field;
}

std::vector<std::string> ObjectTable::available_names() const {
  std::vector<std::string> names;
  for (const Field& field : fields_) {
    if (field.available) names.push_back(field.name);
  }
  return names;
}

bool Reader::object(const Node& node, const ObjectTable& table, void* into) {
  if (node.kind != NodeKind::map) {
    Shape shape;
    shape.kind = ShapeKind::object;
    return wrong_type(node, shape);
  }
  const std::size_t errors = diagnostics_.error_count();
  std::unordered_set<std::string> seen;
  for (const MapEntry& entry : node.entries) {
    const std::string& name = entry.name.value;
    if (seen.contains(name)) continue;                        // given twice: T0104 is out already
    if (name == "<<" || !entry.name.origin.scalar) continue;  // T0105, T0112
    seen.insert(name);
    const Field* field = table.find(name);
    if (field == nullptr) {
      const std::string near = nearest_name(name, table.available_names());
      diagnostics_.error(entry.name.origin, "T0201", fmt::format("unknown key {} in {}", in_quotes(name), table.name()),
                         suggestion(name, table.available_names()));
      if (!near.empty()) {
        seen.insert(near);  // it was meant: no second error that it is missing
        if (table.find(near)->shape.kind == ShapeKind::secret) diagnostics_.hide(entry.value.origin);
      }
      continue;
    }
    if (!field->available) {
      unavailable(entry.name.origin, name);
      continue;
    }
    field->bind(*this, entry.value, into);
  }
  for (const Field& field : table.fields()) {
    if (field.options.required && !seen.contains(field.name)) {
      diagnostics_.error(node.key ? node.key : node.origin, "T0202",
                         fmt::format("{} needs key '{}'", table.name(), field.name),
                         fmt::format("{}: {}", field.name, field.doc));
    }
  }
  return diagnostics_.error_count() == errors;
}

const std::string* Reader::scalar(const Node& node, const Shape& wanted) {
  if (node.kind != NodeKind::scalar) {
    wrong_type(node, wanted);
    return nullptr;
  }
  if (node.unresolved) return nullptr;  // reported with its reference
  if (node.secret) {
    refuse(node, "T0125", "a secret cannot be used here", "secrets go only into keys made for them, such as password");
    return nullptr;
  }
  return &node.text();
}

bool Reader::wrong_type(const Node& node, const Shape& wanted) {
  if (node.kind == NodeKind::null) {
    return refuse(node, "T0205", fmt::format("a value is missing: {} is wanted", wanted.words()));
  }
  return refuse(node, "T0203", fmt::format("{} is wanted, not {}", wanted.words(), found(node)),
                wanted.kind == ShapeKind::expression ? "quote a value that begins with '[' or '{'" : "");
}

bool Reader::refuse(const Node& node, const char* code, std::string message, std::string hint) {
  diagnostics_.error(node.origin, code, std::move(message), std::move(hint));
  return false;
}

bool Reader::unavailable(const Origin& at, std::string_view what) {
  diagnostics_.error(at, "T0190", fmt::format("{} is not available in this version", in_quotes(what)));
  return false;
}

bool is_identifier(std::string_view text) {
  const auto lower = [](char c) { return c >= 'a' && c <= 'z'; };
  return !text.empty() && text.size() <= 64 && lower(text.front()) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return lower(c) || (c >= '0' && c <= '9') || c == '_'; });
}

}  // namespace twinspan::config
