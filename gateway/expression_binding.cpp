#include "gateway/expression_binding.h"

namespace twinspan::gateway {

using engine::Ast;
using engine::AstKind;
using engine::AstPtr;

void report(const engine::ExprErrors& errors, const config::Text& at, config::Diagnostics& diagnostics) {
  for (const engine::ExprError& e : errors) diagnostics.error_at(at, e.offset, e.length, "T0401", e.message, e.hint);
}

AstPtr parse(const config::Text& text, config::Diagnostics& diagnostics) {
  auto parsed = engine::parse_expression(text.value);
  if (parsed.ok()) return std::move(parsed).value();
  report(parsed.errors(), text, diagnostics);
  return nullptr;
}

LetScope::LetScope(const config::NameMap<config::Expression>& let, config::Diagnostics& diagnostics) {
  for (const auto& entry : let) {
    AstPtr ast = parse(entry.value, diagnostics);
    if (ast != nullptr) names_[entry.name.value] = expand(ast);
  }
}

AstPtr LetScope::expand(const AstPtr& ast) const {
  if ((names_.empty() && calls_.empty()) || ast == nullptr) return ast;
  if (ast->kind == AstKind::column && !ast->qualifier.empty()) {  // `r.b` where r is a let: a field of it
    auto it = names_.find(ast->qualifier);
    if (it == names_.end()) return ast;
    auto whole = std::make_shared<Ast>(*it->second);
    whole->offset = ast->offset;
    whole->length = ast->length;
    auto field = std::make_shared<Ast>();
    field->kind = AstKind::field;
    field->offset = ast->offset;
    field->length = ast->length;
    field->text = ast->text;
    field->depth = static_cast<std::uint16_t>(whole->depth + 1);
    field->children.push_back(std::move(whole));
    return field;
  }
  if (ast->kind == AstKind::column) {
    auto it = names_.find(ast->text);
    if (it == names_.end()) return ast;
    // Errors inside a let point at the place that uses it: its own offsets belong to another scalar.
    auto copy = std::make_shared<Ast>(*it->second);
    copy->offset = ast->offset;
    copy->length = ast->length;
    return copy;
  }
  std::shared_ptr<Ast> copy;
  for (std::size_t i = 0; i < ast->children.size(); ++i) {
    AstPtr child = expand(ast->children[i]);
    if (child == ast->children[i]) continue;
    if (!copy) copy = std::make_shared<Ast>(*ast);
    copy->children[i] = std::move(child);
  }
  if (ast->filter != nullptr) {
    AstPtr filter = expand(ast->filter);
    if (filter != ast->filter) {
      if (!copy) copy = std::make_shared<Ast>(*ast);
      copy->filter = std::move(filter);
    }
  }
  AstPtr expanded = copy ? AstPtr(copy) : ast;
  return calls_.empty() ? expanded : column_of(expanded);
}

AstPtr LetScope::value_of(const std::string& name) const {
  const auto it = names_.find(name);
  return it == names_.end() ? nullptr : it->second;
}

void LetScope::replace_call(std::string canonical, const std::string& column) {
  calls_[std::move(canonical)] = column;
  for (auto& [name, ast] : names_) ast = replace_calls(ast);
}

AstPtr LetScope::column_of(const AstPtr& ast) const {
  if (ast->kind != AstKind::call) return ast;
  const auto it = calls_.find(to_string(*ast));
  if (it == calls_.end()) return ast;
  auto column = std::make_shared<Ast>(*column_ast(it->second));
  column->offset = ast->offset;
  column->length = ast->length;
  return column;
}

AstPtr LetScope::replace_calls(const AstPtr& ast) const {
  auto copy = std::make_shared<Ast>(*ast);
  bool changed = false;
  for (AstPtr& child : copy->children) {
    AstPtr now = replace_calls(child);
    changed |= now != child;
    child = std::move(now);
  }
  if (copy->filter != nullptr) {
    AstPtr now = replace_calls(copy->filter);
    changed |= now != copy->filter;
    copy->filter = std::move(now);
  }
  return column_of(changed ? AstPtr(copy) : ast);
}

AstPtr column_ast(const std::string& name) {
  auto ast = std::make_shared<Ast>();
  ast->kind = AstKind::column;
  ast->text = name;
  return ast;
}

bool accept_key(DataType type, const config::Text& at, config::Diagnostics& diagnostics) {
  if (type.is_key()) return true;
  diagnostics.error(at.origin, "T0436", "a key cannot be " + to_string(type),
                    type.kind == TypeKind::json ? "CAST a part of it: CAST(j.id AS string)" : "use a part of it");
  return false;
}

void collect_columns(const Ast& ast, std::set<std::pair<std::string, std::string>>& out) {
  if (ast.kind == AstKind::column) {
    out.emplace(ast.qualifier, ast.text);
    if (!ast.qualifier.empty()) out.emplace("", ast.qualifier);  // or the field of a column
  }
  for (const AstPtr& child : ast.children) collect_columns(*child, out);
  if (ast.filter != nullptr) collect_columns(*ast.filter, out);
}

}  // namespace twinspan::gateway
