#include "engine/expr/aggregates.h"

#include <algorithm>

#include <fmt/format.h>

namespace twinspan::engine {

namespace {

constexpr std::string_view kAggregates[] = {"avg", "count", "max", "min", "sum"};

class Splitter {
 public:
  Splitter(std::vector<AggregateCall>& calls, ExprErrors& errors) : calls_(calls), errors_(errors) {}

  AstPtr rewrite(const AstPtr& ast) {
    if (ast->kind == AstKind::call && is_aggregate_function(ast->text)) return take(*ast);
    std::vector<AstPtr> children;
    bool changed = false;
    for (const AstPtr& c : ast->children) {
      children.push_back(rewrite(c));
      changed = changed || children.back() != c;
    }
    if (ast->filter && has_aggregates(*ast->filter)) fail(*ast->filter, "an aggregate cannot stand here");
    if (!changed) return ast;
    auto copy = std::make_shared<Ast>(*ast);
    copy->children = std::move(children);
    return copy;
  }

 private:
  void fail(const Ast& at, std::string message, std::string hint = "") {
    errors_.push_back({std::move(message), at.offset, at.length, std::move(hint)});
  }

  AstPtr take(const Ast& ast) {
    if (ast.star && ast.text != "count")
      fail(ast, fmt::format("`{}(*)` has no meaning", ast.text), "only count takes *");
    if (!ast.star && ast.children.size() != 1)
      fail(ast, fmt::format("`{}` takes one argument", ast.text), ast.text == "count" ? "count(*) or count(x)" : "");
    for (const AstPtr& c : ast.children)
      if (has_aggregates(*c)) fail(*c, "an aggregate within an aggregate", "use a second window step");
    if (ast.filter && has_aggregates(*ast.filter))
      fail(*ast.filter, "an aggregate within FILTER", "use a second window step");
    // Duplicates change neither the least nor the greatest value.
    const bool distinct = ast.distinct && ast.text != "min" && ast.text != "max";
    std::string text = ast.text + (ast.star ? "(*)" : distinct ? "(DISTINCT " : "(");
    if (!ast.star && !ast.children.empty()) text += to_string(*ast.children[0]) + ")";
    if (ast.filter) text += " FILTER (WHERE " + to_string(*ast.filter) + ")";
    std::size_t slot = 0;
    while (slot < calls_.size() && calls_[slot].text != text) ++slot;
    if (slot == calls_.size())
      calls_.push_back({ast.text, distinct, ast.children.empty() ? nullptr : ast.children[0], ast.filter, ast.offset,
                        ast.length, std::move(text)});
    auto column = std::make_shared<Ast>();
    column->kind = AstKind::column;
    column->offset = ast.offset;
    column->length = ast.length;
    column->text = fmt::format("$agg{}", slot);
    return column;
  }

  std::vector<AggregateCall>& calls_;
  ExprErrors& errors_;
};

}  // namespace

bool is_aggregate_function(std::string_view name) {
  return std::find(std::begin(kAggregates), std::end(kAggregates), name) != std::end(kAggregates);
}

bool has_aggregates(const Ast& ast) {
  std::vector<const Ast*> open{&ast};
  while (!open.empty()) {
    const Ast& a = *open.back();
    open.pop_back();
    if (a.kind == AstKind::call && is_aggregate_function(a.text)) return true;
    for (const AstPtr& c : a.children) open.push_back(c.get());
    if (a.filter) open.push_back(a.filter.get());
  }
  return false;
}

ExprResult<AstPtr> split_aggregates(const AstPtr& ast, std::vector<AggregateCall>& calls) {
  ExprErrors errors;
  const std::size_t before = calls.size();
  AstPtr outer = Splitter(calls, errors).rewrite(ast);
  if (errors.empty()) return outer;
  calls.erase(calls.begin() + static_cast<std::ptrdiff_t>(before), calls.end());
  return errors;
}

ExprResult<SplitAggregates> split_aggregates(const AstPtr& ast) {
  SplitAggregates split;
  auto outer = split_aggregates(ast, split.calls);
  if (!outer) return outer.errors();
  split.outer = *outer;
  return split;
}

ExprResult<DataType> aggregate_type(const AggregateCall& call, DataType arg) {
  if (arg.kind >= TypeKind::array && (call.function != "count" || call.distinct))
    return ExprError{fmt::format("`{}` does not take {}", call.text, to_string(arg)), call.offset, call.length,
                     "name a part of it"};
  if (call.function == "count") return types::int64;
  if (call.function == "min" || call.function == "max") return arg;
  const auto d = [](unsigned scale) { return types::decimal(38, static_cast<std::uint8_t>(scale)); };
  if (call.function == "sum") {
    if (arg.kind == TypeKind::int64 || arg.kind == TypeKind::float64 || arg.kind == TypeKind::duration) return arg;
    if (arg.kind == TypeKind::decimal) return d(arg.scale);
  } else {
    if (arg.kind == TypeKind::int64 || arg.kind == TypeKind::float64) return types::float64;
    if (arg.kind == TypeKind::decimal) return d(std::max<unsigned>(arg.scale, 6));
  }
  return ExprError{fmt::format("`{}` does not take {}", call.function, to_string(arg)), call.offset, call.length,
                   "it takes numbers"};
}

}  // namespace twinspan::engine
