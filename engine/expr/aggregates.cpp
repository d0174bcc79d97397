#include "engine/expr/aggregates.h"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

namespace twinspan::engine {

namespace {

class Splitter {
 public:
  Splitter(std::vector<AggregateCall>& calls, ExprErrors& errors) : calls_(calls), errors_(errors) {}

  AstPtr rewrite(const AstPtr& ast) {
    if (ast->kind == AstKind::call) {
      if (const AggregateInfo* info = find_aggregate(ast->text)) return take(*ast, *info);
    }
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
    errors_.push_back(error_at(at, std::move(message), std::move(hint)));
  }

  AstPtr take(const Ast& ast, const AggregateInfo& info) {
    AggregateCall call;
    call.function = ast.text;
    call.filter = ast.filter;
    call.offset = ast.offset;
    call.length = ast.length;
    if (ast.star && info.function != AggregateFunction::count)
      fail(ast, fmt::format("`{}(*)` has no meaning", ast.text), "only count takes *");
    else if (!ast.star)
      take_arguments(ast, info, call);
    for (const AstPtr& c : ast.children)
      if (has_aggregates(*c)) fail(*c, "an aggregate within an aggregate", "use a second window step");
    if (ast.filter && has_aggregates(*ast.filter))
      fail(*ast.filter, "an aggregate within FILTER", "use a second window step");
    if (ast.distinct && info.distinct == AggregateInfo::Distinct::no)
      fail(ast, fmt::format("`{}` takes no DISTINCT", ast.text), std::string(info.signature));
    call.distinct = ast.distinct && info.distinct == AggregateInfo::Distinct::yes;
    call.text = text_of(ast, call.distinct);
    std::size_t slot = 0;
    while (slot < calls_.size() && calls_[slot].text != call.text) ++slot;
    if (slot == calls_.size()) calls_.push_back(std::move(call));
    auto column = std::make_shared<Ast>();
    column->kind = AstKind::column;
    column->offset = ast.offset;
    column->length = ast.length;
    column->text = fmt::format("$agg{}", slot);
    return column;
  }

  static std::string text_of(const Ast& ast, bool distinct) {
    auto plain = std::make_shared<Ast>(ast);
    plain->distinct = distinct;
    return to_string(*plain);
  }

  void take_arguments(const Ast& ast, const AggregateInfo& info, AggregateCall& call) {
    if (info.function == AggregateFunction::native) return take_native(ast, info, call);
    std::size_t at = 0;
    call.parameters.number = info.number_default;
    for (std::size_t i = 0; i < info.arguments.size(); ++i) {
      const char letter = info.arguments[i];
      const bool optional = i + 1 < info.arguments.size() && info.arguments[i + 1] == '?';
      if (optional) ++i;
      // count without an argument is written count(*).
      if (at == ast.children.size() && optional && at > 0) continue;
      if (at == ast.children.size())
        return fail(ast, fmt::format("`{}` does not take {} argument{}", info.name, at, at == 1 ? "" : "s"),
                    std::string(info.signature));
      take_argument(*ast.children[at], ast.children[at], letter, info, call);
      ++at;
    }
    if (at < ast.children.size())
      fail(*ast.children[at], fmt::format("one argument too many for `{}`", info.name), std::string(info.signature));
  }

  void take_native(const Ast& ast, const AggregateInfo& info, AggregateCall& call) {
    const std::size_t n = ast.children.size();
    if (n != info.native_arguments.size())
      return fail(ast, fmt::format("`{}` does not take {} argument{}", info.name, n, n == 1 ? "" : "s"),
                  std::string(info.signature));
    call.arg = ast.children[0];
    call.more.assign(ast.children.begin() + 1, ast.children.end());
  }

  void take_argument(const Ast& ast, const AstPtr& pointer, char letter, const AggregateInfo& info,
                     AggregateCall& call) {
    switch (letter) {
      case 'o': call.by = pointer; return;
      case 'p': {
        const bool number = ast.kind == AstKind::int_literal || ast.kind == AstKind::decimal_literal ||
                            ast.kind == AstKind::float_literal;
        const double p = !number                            ? -1
                         : ast.kind == AstKind::int_literal ? static_cast<double>(ast.number)
                                                            : std::strtod(ast.text.c_str(), nullptr);
        if (!(p >= 0 && p <= 1))
          return fail(ast, fmt::format("`{}` takes a constant between 0 and 1 here", info.name),
                      number && p > 1 && p <= 100 ? fmt::format("the 95th percentile is 0.95, this is {}", p / 100)
                                                  : std::string(info.signature));
        call.parameters.fraction = p;
        return;
      }
      case 'k':
        if (ast.kind != AstKind::int_literal || ast.number < 1 || ast.number > info.number_max)
          return fail(ast, fmt::format("`{}` takes a constant between 1 and {} here", info.name, info.number_max),
                      std::string(info.signature));
        call.parameters.number = ast.number;
        return;
      case 's':
        if (ast.kind != AstKind::string_literal)
          return fail(ast, fmt::format("`{}` takes a constant text here", info.name), std::string(info.signature));
        call.parameters.text = ast.text;
        return;
      default: call.arg = pointer;
    }
  }

  std::vector<AggregateCall>& calls_;
  ExprErrors& errors_;
};

}  // namespace

bool is_aggregate_function(std::string_view name) { return find_aggregate(name) != nullptr; }

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

ExprResult<DataType> aggregate_type(const AggregateCall& call, DataType x, DataType by) {
  const AggregateInfo& info = call.info();
  if (info.function == AggregateFunction::native) return info.native_result;
  auto type = aggregate_result_type(info.function, x, by, call.distinct);
  if (type) return type.value();
  return ExprError{type.error().message, call.offset, call.length, std::string(info.signature)};
}

}  // namespace twinspan::engine
