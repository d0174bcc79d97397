#include "config/schema.h"

#include "config/descriptor.h"
#include "config/pipeline_spec.h"
#include "config/service_spec.h"
#include "engine/base/json_text.h"

#include <fmt/format.h>

#include <map>

namespace twinspan::config {

namespace {

// A reference may stand in place of any scalar.
constexpr const char* kReference = R"({"type":"string","pattern":"\\$\\{(env|param):"})";
constexpr const char* kIdPattern = "^[a-z][a-z0-9_]{0,63}$";

class SchemaWriter {
 public:
  std::string write(const ObjectTable& root, const std::string& title) {
    std::string body = object(root);
    std::string definitions;
    for (std::size_t i = 0; i < order_.size(); ++i) {  // grows while it runs
      definitions += fmt::format("{}\n    \"t{}\": {}", i == 0 ? "" : ",", i, object(*order_[i]));
    }
    return fmt::format(
        "{{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n  \"title\": {},\n{},\n  \"$defs\": "
        "{{{}\n  }}\n}}\n",
        json_string(title), body.substr(1, body.size() - 2), definitions);
  }

 private:
  std::string object(const ObjectTable& table) {
    std::string properties, required;
    for (const Field& field : table.fields()) {
      if (!field.available) continue;
      properties += fmt::format("{}{}:{}", properties.empty() ? "" : ",", json_string(field.name), property(field));
      if (field.options.required) required += fmt::format("{}{}", required.empty() ? "" : ",", json_string(field.name));
    }
    return fmt::format(
        "{{\"type\":\"object\",\"description\":{},\"additionalProperties\":false,\"required\":[{}],\"properties\":{{{}}"
        "}}}",
        json_string(table.doc()), required, properties);
  }

  std::string property(const Field& field) {
    std::string out = value(field.shape);
    out.pop_back();
    const bool empty = out.size() == 1;
    out += fmt::format("{}\"description\":{}", empty ? "" : ",", json_string(field.doc));
    if (field.default_text) out += ",\"default\":" + default_value(field);
    if (field.options.live) out += ",\"x-live\":true";
    if (field.options.not_empty && field.shape.kind == ShapeKind::list) out += ",\"minItems\":1";
    if (field.options.not_empty && (field.shape.kind == ShapeKind::map)) out += ",\"minProperties\":1";
    return out + "}";
  }

  static std::string default_value(const Field& field) {
    const ShapeKind kind = field.shape.kind;
    const bool bare = kind == ShapeKind::integer || kind == ShapeKind::number || kind == ShapeKind::boolean;
    return bare ? *field.default_text : json_string(*field.default_text);
  }

  static std::string pattern(const char* regex) {
    return fmt::format("{{\"type\":\"string\",\"pattern\":{}}}", json_string(fmt::format("^{}$|\\$\\{{", regex)));
  }
  static std::string or_reference(const std::string& schema) {
    return fmt::format("{{\"anyOf\":[{},{}]}}", schema, kReference);
  }

  std::string value(const Shape& shape) {
    switch (shape.kind) {
      case ShapeKind::any: return "{}";
      case ShapeKind::null: return R"({"type":"null"})";
      case ShapeKind::string: return R"({"type":["string","number","boolean"]})";  // plain scalars are texts here
      case ShapeKind::identifier: return R"({"type":"string","minLength":1})";
      case ShapeKind::secret: return R"({"type":"string","minLength":1,"format":"password"})";
      case ShapeKind::expression:
        return R"({"type":["string","number","boolean","null"],"x-language":"sql-expression"})";
      case ShapeKind::integer: return or_reference(R"({"type":"integer"})");
      case ShapeKind::number: return or_reference(R"({"type":"number"})");
      case ShapeKind::boolean: return or_reference(R"({"type":"boolean"})");
      case ShapeKind::duration: return pattern("-?([0-9]+(ms|s|m|h|d))+");
      case ShapeKind::bytes: return pattern("[0-9]+(\\.[0-9]+)?([kMGT]?B|[KMGT]iB)");
      case ShapeKind::rate: return pattern("[0-9]+(\\.[0-9]+)?[kMG]?/s");
      case ShapeKind::byte_rate: return pattern("[0-9]+(\\.[0-9]+)?([kMGT]?B|[KMGT]iB)/s");
      case ShapeKind::timestamp: return pattern("[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+(Z|[+-][0-9]{2}:[0-9]{2})");
      case ShapeKind::choice: {
        std::string words;
        for (const std::string& word : shape.choices) words += (words.empty() ? "" : ",") + json_string(word);
        return or_reference(fmt::format("{{\"enum\":[{}]}}", words));
      }
      case ShapeKind::list: {
        const std::string count = shape.count ? fmt::format(",\"minItems\":{0},\"maxItems\":{0}", *shape.count) : "";
        return fmt::format("{{\"type\":\"array\",\"items\":{}{}}}", value(*shape.element), count);
      }
      case ShapeKind::map: {
        const std::string names =
            shape.keys_are_ids ? fmt::format(",\"propertyNames\":{{\"pattern\":{}}}", json_string(kIdPattern)) : "";
        return fmt::format("{{\"type\":\"object\",\"additionalProperties\":{}{}}}", value(*shape.element), names);
      }
      case ShapeKind::object: return fmt::format("{{\"$ref\":\"#/$defs/t{}\"}}", definition(*shape.object));
      case ShapeKind::one_of: {
        std::string forms;
        for (const Shape& form : shape.alternatives) forms += (forms.empty() ? "" : ",") + value(form);
        return fmt::format("{{\"anyOf\":[{}]}}", forms);
      }
    }
    return "{}";
  }

  std::size_t definition(const ObjectTable& table) {
    const auto [found, is_new] = numbers_.try_emplace(&table, order_.size());
    if (is_new) order_.push_back(&table);
    return found->second;
  }

  std::map<const ObjectTable*, std::size_t> numbers_;
  std::vector<const ObjectTable*> order_;
};

}  // namespace

std::string json_schema(const ObjectTable& root, const std::string& title) { return SchemaWriter().write(root, title); }

std::string pipeline_json_schema() { return json_schema(PipelineSpec::table(), "Twinspan pipeline"); }

std::string service_json_schema() { return json_schema(ServiceSpec::table(), "Twinspan service file"); }

}  // namespace twinspan::config
