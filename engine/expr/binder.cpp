// Syntax to typed nodes: names, operators and their implicit conversions. Calls are in binder_calls.cpp.

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "engine/expr/builder.h"

namespace twinspan::engine {

namespace {

int digits_of(std::int64_t v) {
  int n = 1;
  for (; v >= 10 || v <= -10; v /= 10) ++n;
  return n;
}

DataType decimal_type(int whole, int scale) {
  return types::decimal(static_cast<std::uint8_t>(std::clamp(whole + scale, 1, 38)), static_cast<std::uint8_t>(scale));
}

}  // namespace

std::optional<NodeId> ExprBuilder::bind(const Ast& ast, ExprErrors& errors) {
  errors_ = &errors;
  if (ast.depth > kMaxExprDepth) {
    errors.push_back(error_at(ast, fmt::format("the expression is nested more than {} levels deep", kMaxExprDepth),
                              "split it over several steps"));
    return std::nullopt;
  }
  if (ast.size > kMaxExprNodes) {
    errors.push_back(error_at(ast, fmt::format("the expression has more than {} parts", kMaxExprNodes),
                              "split it over several steps"));
    return std::nullopt;
  }
  auto id = visit(ast);
  errors_ = nullptr;
  return id;
}

void ExprBuilder::rebase(Scope scope, std::vector<NodeId> values) {
  scope_ = std::move(scope);
  values_ = std::move(values);
}

std::optional<NodeId> ExprBuilder::fail(const Ast& at, std::string message, std::string hint) {
  errors_->push_back(error_at(at, std::move(message), std::move(hint)));
  return std::nullopt;
}

std::optional<ExprBuilder::Ids> ExprBuilder::bind_all(const std::vector<AstPtr>& children) {
  Ids ids;
  bool good = true;
  for (const AstPtr& c : children) {  // all of them, so that all errors are told at once
    const auto id = visit(*c);
    good = good && id.has_value();
    if (id) ids.push_back(*id);
  }
  if (!good) return std::nullopt;
  return ids;
}

std::optional<NodeId> ExprBuilder::visit(const Ast& ast) {
  switch (ast.kind) {
    case AstKind::null_literal: return nodes.null(types::null);
    case AstKind::bool_literal: return nodes.boolean(ast.number != 0);
    case AstKind::int_literal: return nodes.int64(ast.number);
    case AstKind::float_literal:
    case AstKind::decimal_literal: return visit_number(ast);
    case AstKind::string_literal: return nodes.string(ast.text);
    case AstKind::timestamp_literal: return nodes.int64(ast.number, types::timestamp);
    case AstKind::interval_literal: return nodes.int64(ast.number, types::duration);
    case AstKind::column: {
      const auto found = scope_.find(ast);
      if (!found) {
        errors_->push_back(found.errors()[0]);
        return std::nullopt;
      }
      if (!values_) columns.insert((*found)->index);
      const NodeId column = values_ ? (*values_)[static_cast<std::size_t>((*found)->index)] : nodes.column(**found);
      return Scope::is_field_of(ast, **found) ? visit_field(ast, column, ast.text) : column;
    }
    case AstKind::call: return visit_call(ast);
    default: break;
  }
  const auto bound = bind_all(ast.children);
  if (!bound) return std::nullopt;
  const Ids& ids = *bound;
  switch (ast.kind) {
    case AstKind::negate: return visit_negate(ast, ids[0]);
    case AstKind::arithmetic: return visit_arithmetic(ast, ast.text[0], ids[0], ids[1]);
    case AstKind::concat: return visit_concat(ast, ids);
    case AstKind::comparison: {
      const CompareOp op = ast.text == "="    ? CompareOp::eq
                           : ast.text == "<>" ? CompareOp::ne
                           : ast.text == "<"  ? CompareOp::lt
                           : ast.text == "<=" ? CompareOp::le
                           : ast.text == ">"  ? CompareOp::gt
                                              : CompareOp::ge;
      return visit_comparison(ast, op, ids[0], ids[1]);
    }
    case AstKind::logical_and:
    case AstKind::logical_or: return visit_logical(ast, ids);
    case AstKind::logical_not: {
      const auto x = boolean_term(*ast.children[0], ids[0]);
      if (!x) return std::nullopt;
      return negate(*x);
    }
    case AstKind::in_list: return visit_in(ast, ids);
    case AstKind::between: {
      const auto low = visit_comparison(ast, CompareOp::ge, ids[0], ids[1]);
      const auto high = low ? visit_comparison(ast, CompareOp::le, ids[0], ids[2]) : low;
      if (!high) return std::nullopt;
      const NodeId both = range(*low, *high).value_or(nodes.logical(NodeKind::logical_and, {*low, *high}));
      return ast.negated ? negate(both) : both;
    }
    case AstKind::like: return visit_like(ast, ids);
    case AstKind::is_null: {
      if (nodes.type(ids[0]).kind == TypeKind::null) return nodes.boolean(!ast.negated);
      return nodes.kernel(ast.negated ? "is not null" : "is null", is_null_kernel(ast.negated), {ids[0]});
    }
    case AstKind::is_true:
    case AstKind::is_false: {
      const auto x = boolean_term(*ast.children[0], ids[0]);
      if (!x) return std::nullopt;
      return nodes.kernel("is bool", is_bool_kernel(ast.kind == AstKind::is_true, ast.negated), {*x});
    }
    case AstKind::is_distinct: {
      const auto pair = to_common(ast, ids, "compare");
      if (!pair) return std::nullopt;
      if (nodes.type((*pair)[0]).kind == TypeKind::json) return fail(ast, "json values cannot be compared");
      if (nodes.is_null((*pair)[1]))
        return nodes.kernel(ast.negated ? "is null" : "is not null", is_null_kernel(!ast.negated), {(*pair)[0]});
      return nodes.kernel("is distinct", is_distinct_kernel(nodes.type((*pair)[0]), ast.negated), *pair);
    }
    case AstKind::case_when: return visit_case(ast, ids);
    case AstKind::cast: return visit_cast(ast, ids[0]);
    case AstKind::field: return visit_field(ast, ids[0], ast.text);
    case AstKind::element: return visit_element(ast, ids);
    case AstKind::array_literal: return visit_array(ast, ids);
    case AstKind::map_literal: return visit_map(ast, ids);
    case AstKind::row_literal: return visit_row(ast, ids);
    default: return fail(ast, "this cannot be computed here");
  }
}

std::optional<NodeId> ExprBuilder::visit_number(const Ast& ast) {
  if (ast.kind == AstKind::float_literal) {
    double v = 0;
    const auto r = std::from_chars(ast.text.data(), ast.text.data() + ast.text.size(), v);
    if (r.ec != std::errc()) return fail(ast, fmt::format("`{}` is out of the range of float64", ast.text));
    return nodes.float64(v);
  }
  const std::size_t dot = ast.text.find('.');
  const int scale = dot == std::string::npos ? 0 : static_cast<int>(ast.text.size() - dot - 1);
  int digits = 0;
  bool leading = true;
  for (char c : ast.text) {
    if (c < '0' || c > '9') continue;
    leading = leading && c == '0';
    digits += leading ? 0 : 1;
  }
  if (scale > 38) return fail(ast, "the number has more than 38 digits after the point");
  const DataType type = decimal_type(std::max(digits - scale, 0), scale);
  const auto v = parse_decimal(ast.text, type.precision, type.scale);
  if (!v) return fail(ast, fmt::format("`{}` is not a decimal number of at most 38 digits", ast.text));
  return nodes.decimal(*v, type);
}

DataType ExprBuilder::as_decimal(NodeId id) const {
  const DataType t = nodes.type(id);
  if (t.kind == TypeKind::decimal) return t;
  if (nodes.is_constant(id) && !nodes.is_null(id))
    return decimal_type(digits_of(nodes.node(id).constant.at<std::int64_t>(0)), 0);
  return types::decimal(19, 0);
}

std::optional<NodeId> ExprBuilder::convert(NodeId id, DataType to) {
  const DataType from = nodes.type(id);
  if (from == to) return id;
  if (from.kind == TypeKind::null) return nodes.null(to);
  const bool widens =
      (from.kind == TypeKind::int64 && (to.kind == TypeKind::float64 || to.kind == TypeKind::decimal)) ||
      (from.kind == TypeKind::decimal && to.kind == TypeKind::float64) ||
      (from.kind == TypeKind::decimal && to.kind == TypeKind::decimal && to.scale >= from.scale) ||
      (from.kind == TypeKind::string && to.kind == TypeKind::bytes);
  const bool literal = to.kind == TypeKind::timestamp && nodes.is_text(id);
  if (!widens && !literal) return std::nullopt;
  const NodeId converted = nodes.kernel("cast", cast_kernel(from, to, false), {id});
  if (literal && !nodes.is_constant(converted)) return std::nullopt;  // text that is no timestamp
  return converted;
}

std::optional<DataType> ExprBuilder::common_type(const Ast& ast, const Ids& ids, std::string_view what) {
  DataType common = types::null;
  int whole = 0, scale = 0;
  for (NodeId id : ids) {
    const DataType t = nodes.type(id);
    if (t.kind == TypeKind::null) continue;
    if (t.kind == TypeKind::int64 || t.kind == TypeKind::decimal) {
      const DataType d = as_decimal(id);
      whole = std::max(whole, d.precision - d.scale);
      scale = std::max<int>(scale, d.scale);
    }
    if (common.kind == TypeKind::null || (common.kind == t.kind && !t.is_nested()) || common == t)
      common = t;
    else if (common.is_numeric() && t.is_numeric())
      common = common.kind == TypeKind::float64 || t.kind == TypeKind::float64 ? types::float64 : types::decimal(1, 0);
    else if (common.is_text() && t.is_text())
      common = types::bytes;
    else if (common.kind == TypeKind::timestamp && t.kind == TypeKind::string)
      common = types::timestamp;
    else if (t.kind == TypeKind::timestamp && common.kind == TypeKind::string)
      common = types::timestamp;
    else {
      std::string hint = fmt::format("use CAST(... AS {})", to_string(common));
      if (common.kind == TypeKind::boolean || t.kind == TypeKind::boolean)
        hint = "a bool is compared with TRUE or FALSE only";
      else if (t.kind == TypeKind::json)
        hint = fmt::format("use CAST(... AS {}) on the json", to_string(common));
      fail(ast, fmt::format("cannot {} {} and {}", what, to_string(common), to_string(t)), hint);
      return std::nullopt;
    }
  }
  if (common.kind == TypeKind::decimal) return decimal_type(whole, scale);
  return common;
}

std::optional<ExprBuilder::Ids> ExprBuilder::to_common(const Ast& ast, Ids ids, std::string_view what) {
  const auto type = common_type(ast, ids, what);
  if (!type) return std::nullopt;
  for (NodeId& id : ids) {
    const auto converted = convert(id, *type);
    if (!converted) {
      if (nodes.is_text(id))
        fail(ast, fmt::format("'{}' is not a timestamp", nodes.text(id)), "write it as '2026-01-31 13:00:00'");
      else
        fail(ast, fmt::format("cannot {} {} and {}", what, to_string(*type), to_string(nodes.type(id))),
             fmt::format("use CAST(... AS {})", to_string(*type)));
      return std::nullopt;
    }
    id = *converted;
  }
  return ids;
}

std::optional<NodeId> ExprBuilder::boolean_term(const Ast& ast, NodeId id) {
  const auto b = convert(id, types::boolean);
  if (!b)
    return fail(ast, fmt::format("a condition is due here, this is {}", to_string(nodes.type(id))),
                "compare it with something, for example `x > 0`");
  return b;
}

std::optional<NodeId> ExprBuilder::visit_arithmetic(const Ast& ast, char op, NodeId a, NodeId b) {
  const auto null_like = [&](NodeId& x, NodeId other) {
    if (nodes.type(x).kind != TypeKind::null) return;
    const TypeKind k = nodes.type(other).kind;
    x = nodes.null(k == TypeKind::timestamp ? types::duration : k == TypeKind::null ? types::int64 : nodes.type(other));
  };
  null_like(a, b);
  null_like(b, a);
  const auto type = [&](NodeId id) { return nodes.type(id); };
  if (type(a).is_numeric() && type(b).is_numeric() && type(a).kind != type(b).kind) {
    const bool real = type(a).kind == TypeKind::float64 || type(b).kind == TypeKind::float64;
    a = *convert(a, real ? types::float64 : as_decimal(a));
    b = *convert(b, real ? types::float64 : as_decimal(b));
  } else if (op == '-' && type(a).kind == TypeKind::timestamp && nodes.is_text(b)) {
    if (const auto t = convert(b, types::timestamp)) b = *t;
  } else if (op == '-' && type(b).kind == TypeKind::timestamp && nodes.is_text(a)) {
    if (const auto t = convert(a, types::timestamp)) a = *t;
  }
  KernelChoice k = arithmetic_kernel(op, type(a), type(b));
  if (k.run != nullptr) return nodes.kernel(std::string(1, op), std::move(k), {a, b});
  std::string hint;
  const bool time = type(a).kind == TypeKind::timestamp || type(b).kind == TypeKind::timestamp;
  if (time && (type(a).kind == TypeKind::int64 || type(b).kind == TypeKind::int64))
    hint = "say the unit: INTERVAL '10' SECOND";
  else if (op == '+' && type(a).kind == TypeKind::string && type(b).kind == TypeKind::string)
    hint = "texts are joined by ||";
  else if (type(a).kind == TypeKind::string || type(b).kind == TypeKind::string)
    hint = "use CAST(... AS int64) or CAST(... AS decimal(18,4))";
  if (type(a).kind == TypeKind::decimal && type(b).kind == TypeKind::decimal)
    return fail(ast,
                fmt::format("{} {} {} would have more than 38 digits after the point", to_string(type(a)), op,
                            to_string(type(b))),
                "reduce the scale first: CAST(... AS decimal(18,4))");
  return fail(ast, fmt::format("cannot compute {} {} {}", to_string(type(a)), op, to_string(type(b))), hint);
}

std::optional<NodeId> ExprBuilder::visit_negate(const Ast& ast, NodeId x) {
  if (nodes.type(x).kind == TypeKind::null) return nodes.null(types::int64);
  KernelChoice k = negate_kernel(nodes.type(x));
  if (k.run == nullptr)
    return fail(ast, fmt::format("cannot negate {}", to_string(nodes.type(x))),
                nodes.type(x).kind == TypeKind::boolean ? "write NOT" : "");
  return nodes.kernel("negate", std::move(k), {x});
}

std::optional<NodeId> ExprBuilder::comparison_pair(const Ast& ast, NodeId& a, NodeId& b) {
  const TypeKind x = nodes.type(a).kind, y = nodes.type(b).kind;
  const bool exact =
      (x == TypeKind::decimal || x == TypeKind::int64) && (y == TypeKind::decimal || y == TypeKind::int64) && x != y;
  if (exact || (x == TypeKind::decimal && y == TypeKind::decimal)) {  // the kernel compares across scales
    a = *convert(a, as_decimal(a));
    b = *convert(b, as_decimal(b));
    return a;
  }
  const auto both = to_common(ast, {a, b}, "compare");
  if (!both) return std::nullopt;
  a = (*both)[0];
  b = (*both)[1];
  return a;
}

std::optional<NodeId> ExprBuilder::visit_comparison(const Ast& ast, CompareOp op, NodeId a, NodeId b) {
  static constexpr std::string_view kNames[] = {"=", "<>", "<", "<=", ">", ">="};
  static constexpr CompareOp kMirror[] = {CompareOp::eq, CompareOp::ne, CompareOp::gt,
                                          CompareOp::ge, CompareOp::lt, CompareOp::le};
  if (!comparison_pair(ast, a, b)) return std::nullopt;
  const DataType type = nodes.type(a);
  if (type.kind == TypeKind::null) return nodes.null(types::boolean);
  if (type.kind == TypeKind::json)
    return fail(ast, "json values cannot be compared", "use CAST(... AS string), or another type");
  if (type.is_nested() && op != CompareOp::eq && op != CompareOp::ne)
    return fail(ast, fmt::format("{} has no order", to_string(type)), "only = and <> compare it");
  if (nodes.is_constant(a) && !nodes.is_constant(b)) {  // constants to the right, where the kernels expect them
    std::swap(a, b);
    op = kMirror[static_cast<int>(op)];
  }
  if ((op == CompareOp::eq || op == CompareOp::ne) && is_zero(b)) {
    const ExprNode& x = nodes.node(a);
    if (x.kind == NodeKind::kernel && x.name == "%" && x.type == types::int64 && nodes.is_constant(x.args[1]) &&
        !nodes.is_null(x.args[1]) && is_fixed_divisor(nodes.node(x.args[1]).constant.at<std::int64_t>(0)))
      return nodes.kernel(op == CompareOp::eq ? "divisible" : "not divisible", divisible_kernel(op == CompareOp::ne),
                          std::vector<NodeId>(x.args));
  }
  return nodes.kernel(kNames[static_cast<int>(op)],
                      compare_kernel(op, nodes.type(a), nodes.type(b), nodes.is_constant(a), nodes.is_constant(b)),
                      {a, b});
}

bool ExprBuilder::is_zero(NodeId id) const {
  return nodes.is_constant(id) && !nodes.is_null(id) && nodes.type(id) == types::int64 &&
         nodes.node(id).constant.at<std::int64_t>(0) == 0;
}

// x >= low and x <= high as one test, where both are constants.
std::optional<NodeId> ExprBuilder::range(NodeId at_least, NodeId at_most) {
  const ExprNode &low = nodes.node(at_least), &high = nodes.node(at_most);
  const auto bound = [&](const ExprNode& n, std::string_view op) -> const Value* {
    if (n.kind != NodeKind::kernel || n.name != op || nodes.is_constant(n.args[0])) return nullptr;
    const TypeKind k = nodes.type(n.args[1]).kind;
    const bool whole = k == TypeKind::int64 || k == TypeKind::timestamp || k == TypeKind::duration;
    return whole && nodes.is_constant(n.args[1]) && !nodes.is_null(n.args[1]) ? &nodes.node(n.args[1]).constant
                                                                              : nullptr;
  };
  const Value *from = bound(low, ">="), *to = bound(high, "<=");
  if (from == nullptr || to == nullptr || low.args[0] != high.args[0] ||
      from->at<std::int64_t>(0) > to->at<std::int64_t>(0))
    return std::nullopt;
  return nodes.kernel("between", range_kernel(), {low.args[0], low.args[1], high.args[1]});
}

// NOT x < y is x >= y, except where one of them may be NaN.
NodeId ExprBuilder::negate(NodeId condition) {
  static constexpr std::pair<std::string_view, CompareOp> kOpposite[] = {{"=", CompareOp::ne}, {"<>", CompareOp::eq},
                                                                         {"<", CompareOp::ge}, {"<=", CompareOp::gt},
                                                                         {">", CompareOp::le}, {">=", CompareOp::lt}};
  static constexpr std::string_view kNames[] = {"=", "<>", "<", "<=", ">", ">="};
  const ExprNode& x = nodes.node(condition);
  for (const auto& [name, op] : kOpposite) {
    if (x.kind != NodeKind::kernel || x.name != name || nodes.type(x.args[0]).kind == TypeKind::float64) continue;
    const std::vector<NodeId> args = x.args;  // nodes may move
    return nodes.kernel(kNames[static_cast<int>(op)],
                        compare_kernel(op, nodes.type(args[0]), nodes.type(args[1]), nodes.is_constant(args[0]),
                                       nodes.is_constant(args[1])),
                        args);
  }
  return nodes.kernel("not", not_kernel(), {condition});
}

std::optional<NodeId> ExprBuilder::visit_logical(const Ast& ast, const Ids& ids) {
  Ids terms;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto t = boolean_term(*ast.children[i], ids[i]);
    if (t) terms.push_back(*t);
  }
  if (terms.size() != ids.size()) return std::nullopt;
  return nodes.logical(ast.kind == AstKind::logical_and ? NodeKind::logical_and : NodeKind::logical_or,
                       std::move(terms));
}

std::optional<NodeId> ExprBuilder::visit_in(const Ast& ast, const Ids& given) {
  if (given.size() == 2 && nodes.type(given[1]).kind == TypeKind::array &&
      nodes.type(given[0]) != nodes.type(given[1])) {
    const auto found = visit_contains(ast, given[0], given[1]);
    return found && ast.negated ? std::optional(negate(*found)) : found;
  }
  const auto ids = to_common(ast, given, "compare");
  if (!ids) return std::nullopt;
  const NodeId x = (*ids)[0];
  const DataType type = nodes.type(x);
  if (!type.is_key() && type.kind != TypeKind::null)
    return fail(ast, fmt::format("IN does not compare {}", to_string(type)), "write x = a OR x = b");
  if (type.kind == TypeKind::null) return nodes.null(types::boolean);
  Ids terms, constants{x};
  std::vector<Value> values;
  bool has_null = false;
  for (std::size_t i = 1; i < ids->size(); ++i) {
    const NodeId e = (*ids)[i];
    if (nodes.is_null(e)) {
      has_null = true;
    } else if (nodes.is_constant(e)) {
      constants.push_back(e);
      values.push_back(nodes.node(e).constant);
    } else {
      terms.push_back(
          nodes.kernel("=", compare_kernel(CompareOp::eq, type, type, nodes.is_constant(x), false), {x, e}));
    }
  }
  if (values.size() == 1 && !has_null) {
    terms.push_back(
        nodes.kernel("=", compare_kernel(CompareOp::eq, type, type, nodes.is_constant(x), true), {x, constants[1]}));
  } else if (!values.empty() || has_null) {
    terms.push_back(
        nodes.kernel(has_null ? "in+null" : "in", in_set_kernel(type, make_set(type, values, has_null)), constants));
  }
  const NodeId any = nodes.logical(NodeKind::logical_or, std::move(terms));
  return ast.negated ? negate(any) : any;
}

std::optional<NodeId> ExprBuilder::visit_like(const Ast& ast, const Ids& given) {
  Ids ids = given;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto s = convert(ids[i], types::string);
    if (!s)
      return fail(*ast.children[i], fmt::format("LIKE needs a string, this is {}", to_string(nodes.type(ids[i]))),
                  "use CAST(... AS string)");
    ids[i] = *s;
  }
  char escape = 0;
  if (ids.size() > 2) {
    if (!nodes.is_text(ids[2]) || nodes.text(ids[2]).size() != 1 || nodes.text(ids[2])[0] == '%' ||
        nodes.text(ids[2])[0] == '_' || !is_ascii(nodes.text(ids[2])))
      return fail(*ast.children[2], "ESCAPE needs one ASCII character that is neither % nor _",
                  "for example ESCAPE '!'");
    escape = nodes.text(ids[2])[0];
  }
  KernelChoice k;
  if (nodes.is_text(ids[1])) {
    std::string error;
    k = like_kernel(nodes.text(ids[1]), escape, error);
    if (k.run == nullptr) return fail(*ast.children[1], error);
  } else {
    k = like_kernel_dynamic(escape);
  }
  k.params.a = escape;
  const NodeId like = nodes.kernel("like", std::move(k), {ids[0], ids[1]});
  return ast.negated ? negate(like) : like;
}

std::optional<NodeId> ExprBuilder::visit_case(const Ast& ast, const Ids& ids) {
  const std::size_t first = ast.has_operand ? 1 : 0;
  const std::size_t end = ids.size() - (ast.has_else ? 1 : 0);
  Ids conditions, results;
  bool good = true;
  for (std::size_t i = first; i + 1 < end; i += 2) {
    const auto c = ast.has_operand ? visit_comparison(*ast.children[i], CompareOp::eq, ids[0], ids[i])
                                   : boolean_term(*ast.children[i], ids[i]);
    good = good && c.has_value();
    if (c) conditions.push_back(*c);
    results.push_back(ids[i + 1]);
  }
  results.push_back(ast.has_else ? ids.back() : nodes.null(types::null));
  const auto same = to_common(ast, results, "give, as one CASE,");
  if (!good || !same) return std::nullopt;
  Ids args;
  for (std::size_t i = 0; i < conditions.size(); ++i) {
    args.push_back(conditions[i]);
    args.push_back((*same)[i]);
  }
  args.push_back(same->back());
  return nodes.case_when(std::move(args), nodes.type(same->back()));
}

std::optional<NodeId> ExprBuilder::visit_cast(const Ast& ast, NodeId x) {
  const DataType from = nodes.type(x);
  if (from == ast.type) return x;
  if (from.kind == TypeKind::null) return nodes.null(ast.type);
  // A scalar is read from the text of the json.
  if (from.kind == TypeKind::json && ast.type.kind < TypeKind::array && ast.type.kind != TypeKind::string) {
    Ast text = ast;
    text.type = types::string;
    const auto as_text = visit_cast(text, x);
    return as_text ? visit_cast(ast, *as_text) : as_text;
  }
  KernelChoice k = cast_kernel(from, ast.type, ast.safe);
  if (k.run == nullptr) {
    std::string hint;
    if (from.is_nested() && ast.type.is_nested())
      hint = fmt::format("by way of json: CAST(CAST(... AS json) AS {})", to_string(ast.type));
    if (from.kind == TypeKind::int64 && ast.type.kind == TypeKind::timestamp) hint = "use timestamp_ms(x)";
    if (from.kind == TypeKind::timestamp && ast.type.kind == TypeKind::int64) hint = "use unix_millis(x)";
    return fail(ast, fmt::format("cannot cast {} to {}", to_string(from), to_string(ast.type)), hint);
  }
  return nodes.kernel(ast.safe ? "try_cast" : "cast", std::move(k), {x});
}

}  // namespace twinspan::engine
