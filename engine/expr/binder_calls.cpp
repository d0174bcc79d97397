// Function calls: overloads of the table, and the functions that are other expressions in disguise (COALESCE is a
// CASE).

#include <algorithm>

#include <fmt/format.h>

#include "engine/expr/aggregates.h"
#include "engine/expr/builder.h"
#include "engine/expr/overload.h"

namespace twinspan::engine {

namespace {

// Letter of argument i of an overload, 0 when it takes no so many; `least` and `most` count arguments. "0": it takes
// none.
char letter(std::string_view args, std::size_t i, std::size_t& least, std::size_t& most) {
  std::size_t n = 0;
  char found = 0, last = 0;
  least = most = 0;
  if (args == "0") return 0;
  for (std::size_t k = 0; k < args.size(); ++k) {
    const char mark = k + 1 < args.size() && (args[k + 1] == '?' || args[k + 1] == '*') ? args[k + 1] : '\0';
    last = args[k];
    if (n == i) found = last;
    ++n;
    if (mark == 0) ++least;
    if (mark != 0) ++k;
  }
  most = !args.empty() && args.back() == '*' ? SIZE_MAX : n;
  return found != 0 ? found : most == SIZE_MAX ? last : '\0';
}

std::string list_of(const std::vector<std::string_view>& signatures) {
  std::string out = "expected ";
  for (std::size_t i = 0; i < signatures.size(); ++i) out += (i > 0 ? " or " : "") + std::string(signatures[i]);
  return out;
}

}  // namespace

std::optional<NodeId> ExprBuilder::visit_concat(const Ast& ast, const Ids& given) {
  Ids ids = given;
  bool good = true;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto s = convert(ids[i], types::string);
    good = good && s.has_value();
    if (s)
      ids[i] = *s;
    else
      fail(*ast.children[i], fmt::format("|| joins strings, this is {}", to_string(nodes.type(ids[i]))),
           "use CAST(... AS string)");
  }
  if (!good) return std::nullopt;
  for (const Overload* o : all_overloads())
    if (o->info.name == "concat")
      return nodes.kernel("concat", {o->run, types::string, {}, true, false, o->cost}, std::move(ids));
  return std::nullopt;
}

std::optional<NodeId> ExprBuilder::visit_call(const Ast& written) {
  const std::string_view name = canonical_function(written.text);
  std::optional<Ast> renamed;
  if (name != written.text) renamed.emplace(written).text = name;
  const Ast& ast = renamed ? *renamed : written;
  if (is_aggregate_function(ast.text))
    return fail(ast, fmt::format("the aggregate `{}` cannot stand here", ast.text),
                "aggregates belong under `aggregate:` of a window step");
  for (std::string_view f : {"now", "current_timestamp", "rand", "random", "uuid", "proctime", "localtimestamp"})
    if (ast.text == f)
      return fail(ast, fmt::format("`{}` is not deterministic, so a restart would give other results", ast.text),
                  "use the row's own timestamp field");
  bool known = false;
  std::vector<std::string> names;
  for (const Overload* o : all_overloads()) {
    known = known || o->info.name == ast.text;
    if (names.empty() || names.back() != o->info.name) names.emplace_back(o->info.name);
  }
  for (const FunctionAlias& a : function_aliases()) names.emplace_back(a.name);
  if (!known) {
    const std::string near = nearest_name(ast.text, names);
    fail(ast, fmt::format("unknown function `{}`", ast.text),
         near.empty() ? "" : fmt::format("did you mean `{}`?", near));
    bind_all(ast.children);  // for their errors
    return std::nullopt;
  }
  if (ast.star || ast.distinct || ast.filter)
    return fail(ast, fmt::format("`{}` is no aggregate: it takes no {}", ast.text,
                                 ast.star       ? "*"
                                 : ast.distinct ? "DISTINCT"
                                                : "FILTER"));
  const auto args = bind_all(ast.children);
  if (!args) return std::nullopt;
  for (std::string_view f :
       {"coalesce", "ifnull", "nullif", "nvl2", "if", "decode", "greatest", "least", "mod", "array_contains"})
    if (ast.text == f) return visit_special(ast, *args);
  return visit_function(ast, *args);
}

std::optional<NodeId> ExprBuilder::visit_special(const Ast& ast, const Ids& args) {
  const std::string& f = ast.text;
  std::vector<std::string_view> signatures;
  for (const FunctionInfo& info : function_table())
    if (info.name == f) signatures.push_back(info.signature);
  const bool variadic = f == "coalesce" || f == "greatest" || f == "least" || f == "decode";
  const std::size_t want = f == "if" || f == "nvl2" ? 3 : 2;
  if (variadic ? args.size() < (f == "decode" ? 3u : 1u) : args.size() != want)
    return fail(ast, fmt::format("`{}` does not take {} arguments", f, args.size()), list_of(signatures));
  if (f == "array_contains") {
    if (nodes.type(args[0]).kind == TypeKind::array) return visit_contains(ast, args[1], args[0]);
    return fail(*ast.children[0], fmt::format("an array is due here, this is {}", to_string(nodes.type(args[0]))));
  }
  if (f == "mod") return visit_arithmetic(ast, '%', args[0], args[1]);
  if (f == "nullif") {
    const auto equal = visit_comparison(ast, CompareOp::eq, args[0], args[1]);
    if (!equal) return std::nullopt;
    return nodes.case_when({*equal, nodes.null(nodes.type(args[0])), args[0]}, nodes.type(args[0]));
  }
  if (f == "if") {
    const auto condition = boolean_term(*ast.children[0], args[0]);
    const auto both = to_common(ast, {args[1], args[2]}, "give, as one IF,");
    if (!condition || !both) return std::nullopt;
    return nodes.case_when({*condition, (*both)[0], (*both)[1]}, nodes.type((*both)[0]));
  }
  if (f == "nvl2") {
    const auto both = to_common(ast, {args[1], args[2]}, "give, as one NVL2,");
    if (!both) return std::nullopt;
    const NodeId there = nodes.kernel("is not null", is_null_kernel(true), {args[0]});
    return nodes.case_when({there, (*both)[0], (*both)[1]}, nodes.type((*both)[0]));
  }
  if (f == "decode") return visit_decode(ast, args);
  const auto same = to_common(ast, args, "combine");
  if (!same) return std::nullopt;
  const DataType type = nodes.type(same->back());
  if (f == "greatest" || f == "least") {
    if (type.kind == TypeKind::null) return nodes.null(type);
    if (!type.is_key()) return fail(ast, fmt::format("{} has no order", to_string(type)));
    return nodes.kernel(f, greatest_kernel(type, f == "least"), *same);
  }
  Ids arms;  // coalesce, ifnull
  for (std::size_t i = 0; i + 1 < same->size(); ++i) {
    if (nodes.is_null((*same)[i])) continue;
    arms.push_back(nodes.kernel("is not null", is_null_kernel(true), {(*same)[i]}));
    arms.push_back((*same)[i]);
  }
  arms.push_back(same->back());
  return nodes.case_when(std::move(arms), type);
}

// decode(x, a, r1, b, r2, ..., otherwise): a CASE in which NULL equals NULL.
std::optional<NodeId> ExprBuilder::visit_decode(const Ast& ast, const Ids& args) {
  Ids conditions, results;
  for (std::size_t i = 1; i + 1 < args.size(); i += 2) {
    const auto pair = to_common(ast, {args[0], args[i]}, "compare");
    if (!pair) return std::nullopt;
    const DataType type = nodes.type((*pair)[0]);
    if (type.kind == TypeKind::json) return fail(ast, "json values cannot be compared");
    if (nodes.is_null((*pair)[1]))
      conditions.push_back(nodes.kernel("is null", is_null_kernel(false), {(*pair)[0]}));
    else
      conditions.push_back(nodes.kernel("is distinct", is_distinct_kernel(type, true), *pair));
    results.push_back(args[i + 1]);
  }
  results.push_back(args.size() % 2 == 0 ? args.back() : nodes.null(types::null));
  const auto same = to_common(ast, results, "give, as one DECODE,");
  if (!same) return std::nullopt;
  Ids arms;
  for (std::size_t i = 0; i < conditions.size(); ++i) {
    arms.push_back(conditions[i]);
    arms.push_back((*same)[i]);
  }
  arms.push_back(same->back());
  return nodes.case_when(std::move(arms), nodes.type(same->back()));
}

std::optional<NodeId> ExprBuilder::visit_function(const Ast& ast, const Ids& args) {
  const Overload* best = nullptr;
  int best_cost = INT32_MAX;
  bool count_fits = false;
  std::vector<std::string_view> signatures;
  for (const Overload* o : all_overloads()) {
    if (o->info.name != ast.text) continue;
    signatures.push_back(o->info.signature);
    std::size_t least = 0, most = 0;
    letter(o->args, 0, least, most);
    if (args.size() < least || args.size() > most) continue;
    count_fits = true;
    int cost = 0;
    for (std::size_t i = 0; i < args.size() && cost < INT32_MAX; ++i) {
      const char want = letter(o->args, i, least, most);
      const DataType have = nodes.type(args[i]), type = type_of_letter(want);
      const bool shape = want == 'A' || want == 'M' || want == 'R';
      if (shape ? have.kind == (want == 'A'   ? TypeKind::array
                                : want == 'M' ? TypeKind::map
                                              : TypeKind::row)
                : want == 'a' || have.kind == type.kind || have.kind == TypeKind::null ||
                      (want == 'J' && have.kind == TypeKind::json))
        continue;
      if (shape) {
        cost = INT32_MAX;
        break;
      }
      const bool widens = (want == 'y' && have.kind == TypeKind::string) ||
                          (have.kind == TypeKind::int64 && want == 'd') || (have.is_numeric() && want == 'f') ||
                          (want == 't' && nodes.is_text(args[i]));
      if (!widens)
        cost = INT32_MAX;
      else
        cost += want == 'd' ? 1 : 2;
    }
    if (cost < best_cost) best = o, best_cost = cost;
  }
  if (best == nullptr) {
    std::string have;
    for (NodeId a : args) have += (have.empty() ? "" : ", ") + to_string(nodes.type(a));
    return fail(ast,
                count_fits ? fmt::format("`{}` does not take ({})", ast.text, have)
                           : fmt::format("`{}` does not take {} arguments", ast.text, args.size()),
                list_of(signatures));
  }
  Ids converted;
  std::vector<ArgInfo> infos;
  std::size_t least = 0, most = 0;
  for (std::size_t i = 0; i < args.size(); ++i) {
    const char want = letter(best->args, i, least, most);
    NodeId id = args[i];
    if (want == 'd') {
      if (nodes.type(id).kind == TypeKind::null)
        id = nodes.null(type_of_letter('d'));
      else
        id = *convert(id, as_decimal(id));
    } else if (want != 'a' && want != 'A' && want != 'M' && want != 'R' &&
               !(want == 'J' && nodes.type(id).kind == TypeKind::json)) {
      const auto c = convert(id, type_of_letter(want));
      if (!c)
        return fail(*ast.children[i], fmt::format("'{}' is not a timestamp", nodes.is_text(id) ? nodes.text(id) : ""),
                    "write it as '2026-01-31 13:00:00'");
      id = *c;
    }
    converted.push_back(id);
  }
  for (NodeId id : converted)
    infos.push_back({nodes.type(id), nodes.is_constant(id) ? &nodes.node(id).constant : nullptr});
  KernelChoice k;
  k.run = best->run;
  k.type = type_of_letter(best->result);
  k.strict = best->strict;
  k.cost = best->cost;
  if (best->state != nullptr) k.params.state = {std::shared_ptr<const void>(), best->state};
  if (best->prepare != nullptr) {
    std::string error;
    std::size_t bad = 0;
    if (!best->prepare(infos, k, error, bad)) return fail(*ast.children[std::min(bad, ast.children.size() - 1)], error);
  }
  // Names of overloads differ by kernel: ceil of float64 and of decimal are never one node, since their arguments are
  // not.
  return nodes.kernel(ast.text, std::move(k), std::move(converted));
}

}  // namespace twinspan::engine
