#include "gateway/expression_reader.h"

#include <algorithm>
#include <functional>
#include <set>

#include <fmt/format.h>

#include "engine/expr/aggregates.h"
#include "engine/expr/functions.h"
#include "engine/expr/scope.h"

namespace twinspan::gateway {

using engine::Ast;
using engine::AstKind;
using engine::AstPtr;
using engine::ExprError;

namespace {

constexpr std::size_t kMaxUses = 200'000;  // of one pipeline file

bool is_builtin(const std::string& name) {
  if (engine::is_aggregate_function(name) || engine::canonical_function(name) != name) return true;
  for (const std::string_view word : {"cast", "try_cast", "case", "row", "array", "map", "interval", "not"})
    if (name == word) return true;
  const auto table = engine::function_table();
  return std::any_of(table.begin(), table.end(), [&](const engine::FunctionInfo& f) { return f.name == name; });
}

std::string position(const config::Text& text, std::size_t offset) {
  if (!text.origin) return "";
  const auto p = text.origin.source->position(config::source_offset(text.origin, offset));
  return fmt::format("{}:{}", p.line, p.column);
}

std::string list_of(const config::FunctionSpec& f) {
  std::string out;
  for (const config::Id& a : f.args) out += (out.empty() ? "" : ", ") + a.value;
  return out;
}

void visit(const Ast& ast, const std::function<void(const Ast&)>& f) {
  f(ast);
  for (const AstPtr& c : ast.children) visit(*c, f);
  if (ast.filter) visit(*ast.filter, f);
}

}  // namespace

ExpressionReader::ExpressionReader(const config::IdMap<config::FunctionSpec>& functions,
                                   config::Diagnostics& diagnostics) {
  for (const auto& entry : functions) {
    Function f{entry.name.value, &entry.value, nullptr};
    if (is_builtin(f.name)) {
      diagnostics.error(entry.name.origin, "T0440", fmt::format("there is a function '{}' already", f.name),
                        "give this one another name");
      continue;
    }
    check_function(f, diagnostics);
    functions_[f.name] = std::move(f);
  }
  refuse_circles(diagnostics);
}

void ExpressionReader::check_function(Function& f, config::Diagnostics& diagnostics) {
  std::set<std::string> args;
  bool good = true;
  for (const config::Id& a : f.spec->args) {
    if (args.insert(a.value).second) continue;
    diagnostics.error(a.origin, "T0441", fmt::format("two arguments of '{}' are called '{}'", f.name, a.value));
    good = false;
  }
  auto parsed = engine::parse_expression(f.spec->body.value);
  if (!parsed.ok()) {
    report(parsed.errors(), f.spec->body, diagnostics);
    return;
  }
  visit(**parsed, [&](const Ast& a) {
    if (a.kind != AstKind::column) return;
    const std::string& name = a.qualifier.empty() ? a.text : a.qualifier;
    if (args.count(name) > 0) return;
    diagnostics.error_at(f.spec->body, a.offset, a.length, "T0442",
                         fmt::format("'{}' is no argument of '{}'", name, f.name),
                         f.spec->args.empty() ? "a function sees its arguments only: args: [" + name + "]"
                                              : "its arguments: " + list_of(*f.spec));
    good = false;
  });
  if (good) f.body = std::move(parsed).value();
}

void ExpressionReader::refuse_circles(config::Diagnostics& diagnostics) {
  enum class Mark { open, done };
  std::map<std::string, Mark> marks;
  std::vector<std::string> path;
  const std::function<void(Function&)> walk = [&](Function& f) {
    marks[f.name] = Mark::open;
    if (path.size() >= engine::kMaxExprDepth) {
      if (f.body != nullptr)
        diagnostics.error(f.spec->body.origin, "T0443",
                          fmt::format("functions call each other more than {} levels deep", engine::kMaxExprDepth));
      f.body = nullptr;
    }
    path.push_back(f.name);
    if (const AstPtr body = f.body) {
      visit(*body, [&](const Ast& a) {
        if (a.kind != AstKind::call) return;
        const auto called = functions_.find(a.text);
        if (called == functions_.end()) return;
        const auto mark = marks.find(a.text);
        if (mark == marks.end()) return walk(called->second);
        if (mark->second == Mark::done) return;
        std::string circle;
        for (auto it = std::find(path.begin(), path.end(), a.text); it != path.end(); ++it) circle += *it + " -> ";
        diagnostics.error_at(f.spec->body, a.offset, a.length, "T0443",
                             fmt::format("'{}' calls itself: {}{}", a.text, circle, a.text),
                             "a function is put in where it is called, so none can be within itself");
        f.body = nullptr;
      });
    }
    path.pop_back();
    marks[f.name] = Mark::done;
  };
  for (auto& [name, f] : functions_)
    if (marks.find(name) == marks.end()) walk(f);
}

AstPtr ExpressionReader::parse(const config::Text& text, config::Diagnostics& diagnostics) {
  auto parsed = engine::parse_expression(text.value);
  if (!parsed.ok()) {
    report(parsed.errors(), text, diagnostics);
    return nullptr;
  }
  if (functions_.empty()) return std::move(parsed).value();
  budget_ = engine::kMaxExprNodes;
  refused_ = false;
  AstPtr expanded = expand(*parsed, text, diagnostics);
  return refused_ ? nullptr : expanded;
}

AstPtr ExpressionReader::expand(const AstPtr& tree, const config::Text& text, config::Diagnostics& diagnostics) {
  if (refused_) return tree;
  AstPtr ast = engine::map_children(tree, [&](const AstPtr& c) { return expand(c, text, diagnostics); });
  if (refused_ || ast->kind != AstKind::call || functions_.count(ast->text) == 0) return ast;
  return call(ast, text, diagnostics);
}

AstPtr ExpressionReader::call(const AstPtr& ast, const config::Text& text, config::Diagnostics& diagnostics) {
  const Function& f = functions_.at(ast->text);
  const auto fail = [&](std::string message, std::string hint) {
    report({engine::error_at(*ast, std::move(message), std::move(hint))}, text, diagnostics);
    refused_ = true;
    return ast;
  };
  const std::string signature = fmt::format("{}({})", f.name, list_of(*f.spec));
  if (ast->star || ast->distinct || ast->filter)
    return fail(fmt::format("`{}` is no aggregate: it takes no {}", f.name,
                            ast->star       ? "*"
                            : ast->distinct ? "DISTINCT"
                                            : "FILTER"),
                signature);
  if (ast->children.size() != f.spec->args.size())
    return fail(fmt::format("`{}` takes {} arguments, here are {}", f.name, f.spec->args.size(), ast->children.size()),
                signature);
  if (!f.body) {  // its own errors have been reported
    refused_ = true;
    return ast;
  }
  Arguments args;
  for (std::size_t i = 0; i < ast->children.size(); ++i) args[f.spec->args[i].value] = ast->children[i];
  const std::uint32_t parent = ast->origin.source;
  const bool inside = parent != 0;
  uses_.push_back({&f.spec->body, fmt::format("function `{}`", f.name), inside ? uses_[parent - 1].written : &text,
                   inside ? ast->origin.offset : ast->offset, inside ? ast->origin.length : ast->length, parent});
  const auto source = static_cast<std::uint32_t>(uses_.size());
  const bool deep = nesting_ >= engine::kMaxExprDepth;
  AstPtr body = deep || uses_.size() > kMaxUses ? nullptr : copy(f.body, args, source, *ast);
  if (body != nullptr && !refused_) {
    ++nesting_;
    body = expand(body, text, diagnostics);
    --nesting_;
  }
  if (body == nullptr || body->size > engine::kMaxExprNodes || body->depth > engine::kMaxExprDepth) {
    if (!refused_)
      fail(deep || (body != nullptr && body->depth > engine::kMaxExprDepth)
               ? fmt::format("with `{}` put in, the expression is nested more than {} levels deep", f.name,
                             engine::kMaxExprDepth)
               : fmt::format("with `{}` put in, the expression has more than {} parts", f.name, engine::kMaxExprNodes),
           "use each argument once, and compute in a step before what is needed often");
    return ast;
  }
  return body;
}

// `body` with its arguments put in; each node knows where it was written and where it is used. nullptr: too large.
AstPtr ExpressionReader::copy(const AstPtr& body, const Arguments& args, std::uint32_t source, const Ast& use) {
  if (budget_ == 0) return nullptr;
  --budget_;
  const auto stamped = [&](Ast& a) {
    if (a.origin.source == 0) a.origin = {source, body->offset, body->length};
    a.offset = use.offset;
    a.length = use.length;
  };
  if (body->kind == AstKind::column && body->origin.source == 0) {
    if (const auto it = args.find(body->qualifier.empty() ? body->text : body->qualifier); it != args.end()) {
      if (body->qualifier.empty()) return it->second;
      auto field = std::make_shared<Ast>();  // `r.name` where r is an argument
      field->kind = AstKind::field;
      field->text = body->text;
      field->children.push_back(it->second);
      engine::measure(*field);
      stamped(*field);
      return field;
    }
  }
  bool whole = true;
  const AstPtr mapped = engine::map_children(body, [&](const AstPtr& c) -> AstPtr {
    AstPtr child = whole ? copy(c, args, source, use) : nullptr;
    whole = whole && child != nullptr;
    return whole ? child : c;
  });
  if (!whole) return nullptr;
  auto out = std::make_shared<Ast>(*mapped);
  stamped(*out);
  return out;
}

AstPtr ExpressionReader::used(const AstPtr& tree, const config::Text& written, const std::string& what,
                              const Ast& use) {
  budget_ = engine::kMaxExprNodes;
  uses_.push_back({&written, what, nullptr, use.offset, use.length, 0});
  if (uses_.size() > kMaxUses || tree->size > engine::kMaxExprNodes) return nullptr;
  return copy(tree, {}, static_cast<std::uint32_t>(uses_.size()), use);
}

std::string ExpressionReader::place(const Use& use, const config::Text& at, const ExprError& error) const {
  std::string out =
      fmt::format("in {}, used at {}", use.what,
                  use.used_in != nullptr ? position(*use.used_in, use.offset) : position(at, error.offset));
  if (use.parent != 0) out += " " + place(uses_[use.parent - 1], at, error);
  return out;
}

void ExpressionReader::report(const engine::ExprErrors& errors, const config::Text& at,
                              config::Diagnostics& diagnostics) const {
  for (const ExprError& e : errors) {
    if (e.origin.source == 0 || e.origin.source > uses_.size()) {
      diagnostics.error_at(at, e.offset, e.length, "T0401", e.message, e.hint);
      continue;
    }
    const Use& use = uses_[e.origin.source - 1];
    diagnostics.error_at(*use.written, e.origin.offset, e.origin.length, "T0401",
                         fmt::format("{} ({})", e.message, place(use, at, e)), e.hint);
  }
}

}  // namespace twinspan::gateway
