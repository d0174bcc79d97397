// Parts of values, and values made of parts.

#include <fmt/format.h>

#include "engine/expr/builder.h"
#include "engine/expr/nested_kernels.h"

namespace twinspan::engine {

std::optional<NodeId> ExprBuilder::visit_field(const Ast& ast, NodeId x, const std::string& name) {
  const DataType type = nodes.type(x);
  if (type.kind == TypeKind::null) return x;
  if (type.kind == TypeKind::json) return nodes.kernel("json member", json_member_kernel(), {x, nodes.string(name)});
  if (type.kind == TypeKind::map) return nodes.kernel("map value", map_value_kernel(type), {x, nodes.string(name)});
  if (type.kind != TypeKind::row)
    return fail(
        ast, fmt::format("{} has no field `{}`", to_string(type), name),
        type.kind == TypeKind::array ? "an element is read as a[0], from 0" : "only rows, maps and json have fields");
  const auto& fields = type.info->fields;
  std::vector<std::string> names;
  for (std::size_t f = 0; f < fields.size(); ++f) {
    if (fields[f].name == name) return nodes.kernel("field", row_field_kernel(type, f), {x});
    names.push_back(fields[f].name);
  }
  const std::string near = nearest_name(name, names);
  return fail(ast, fmt::format("{} has no field `{}`", to_string(type), name),
              near.empty() ? "" : fmt::format("did you mean `{}`?", near));
}

std::optional<NodeId> ExprBuilder::visit_element(const Ast& ast, const Ids& ids) {
  const NodeId x = ids[0], index = ids[1];
  const DataType type = nodes.type(x), by = nodes.type(index);
  const bool text = by.kind == TypeKind::string, number = by.kind == TypeKind::int64, null = by.kind == TypeKind::null;
  switch (type.kind) {
    case TypeKind::null: return x;
    case TypeKind::array:
      if (null) return nodes.null(types::element(type));
      if (number) return nodes.kernel("element", array_element_kernel(type), {x, index});
      return fail(*ast.children[1], fmt::format("the index of an array is an int64, this is {}", to_string(by)),
                  "a[0] is the first element");
    case TypeKind::map:
      if (null) return nodes.null(types::map_value(type));
      if (text) return nodes.kernel("map value", map_value_kernel(type), {x, index});
      return fail(*ast.children[1], fmt::format("the key of a map is a string, this is {}", to_string(by)), "m['key']");
    case TypeKind::json:
      if (null) return nodes.null(types::json);
      if (number) return nodes.kernel("json element", json_element_kernel(), {x, index});
      if (text) return nodes.kernel("json member", json_member_kernel(), {x, index});
      return fail(*ast.children[1], fmt::format("json is read by an int64 or a string, this is {}", to_string(by)));
    case TypeKind::row:
      if (nodes.is_text(index)) return visit_field(ast, x, std::string(nodes.text(index)));
      return fail(*ast.children[1], "the field of a row is named by a constant", "r.name or r['name']");
    default: return fail(ast, fmt::format("{} has no parts", to_string(type)), "only arrays, maps, rows and json have");
  }
}

std::optional<NodeId> ExprBuilder::visit_array(const Ast& ast, const Ids& ids) {
  const auto same = to_common(ast, ids, "put into one array");
  if (!same) return std::nullopt;
  const DataType element = same->empty() ? types::null : nodes.type(same->front());
  if (element.kind == TypeKind::null)
    return fail(ast, "the array has no type", "CAST one element: ARRAY[CAST(NULL AS int64)]");
  if (element.info != nullptr && element.info->depth >= kMaxTypeDepth)
    return fail(ast, fmt::format("the type is nested more than {} levels deep", kMaxTypeDepth));
  return nodes.kernel("array", array_kernel(element), *same);
}

std::optional<NodeId> ExprBuilder::visit_map(const Ast& ast, const Ids& ids) {
  Ids values;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (i % 2 != 0)
      values.push_back(ids[i]);
    else if (nodes.type(ids[i]).kind != TypeKind::string)
      return fail(*ast.children[i],
                  fmt::format("the key of a map is a string, this is {}", to_string(nodes.type(ids[i]))),
                  "use CAST(... AS string)");
  }
  const auto same = to_common(ast, values, "put into one map");
  if (!same) return std::nullopt;
  const DataType value = same->empty() ? types::null : nodes.type(same->front());
  if (value.kind == TypeKind::null)
    return fail(ast, "the map has no type", "CAST one value: MAP['a', CAST(NULL AS int64)]");
  if (value.info != nullptr && value.info->depth >= kMaxTypeDepth)
    return fail(ast, fmt::format("the type is nested more than {} levels deep", kMaxTypeDepth));
  Ids args;
  for (std::size_t i = 0; i < same->size(); ++i) {
    args.push_back(ids[i * 2]);
    args.push_back((*same)[i]);
  }
  return nodes.kernel("map", map_kernel(value), args);
}

std::optional<NodeId> ExprBuilder::visit_row(const Ast& ast, const Ids& ids) {
  std::vector<Field> fields;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const DataType type = nodes.type(ids[i]);
    if (type.kind == TypeKind::null)
      return fail(*ast.children[i], "NULL without a type", "write CAST(NULL AS string), or another type");
    if (type.info != nullptr && type.info->depth >= kMaxTypeDepth)
      return fail(ast, fmt::format("the type is nested more than {} levels deep", kMaxTypeDepth));
    fields.push_back({ast.names[i], type});
  }
  return nodes.kernel("row", row_kernel(types::row(std::move(fields))), ids);
}

std::optional<NodeId> ExprBuilder::visit_contains(const Ast& ast, NodeId x, NodeId array) {
  const DataType type = nodes.type(array), element = types::element(type);
  if (element.kind == TypeKind::json) return fail(ast, "json values cannot be compared");
  const auto wanted = convert(x, element);
  if (!wanted)
    return fail(ast, fmt::format("cannot look for {} in {}", to_string(nodes.type(x)), to_string(type)),
                fmt::format("use CAST(... AS {})", to_string(element)));
  const bool in = ast.kind == AstKind::in_list;
  return nodes.kernel(in ? "in array" : "array_contains", array_contains_kernel(type, in), {array, *wanted});
}

}  // namespace twinspan::engine
