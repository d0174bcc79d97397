#include "gateway/expression_binding.h"

namespace twinspan::gateway {

using engine::Ast;
using engine::AstKind;
using engine::AstPtr;

LetScope::LetScope(const config::NameMap<config::Expression>& let, ExpressionReader& reader,
                   config::Diagnostics& diagnostics)
    : reader_(reader), diagnostics_(diagnostics) {
  for (const auto& entry : let) {
    AstPtr ast = reader.parse(entry.value, diagnostics);
    if (ast != nullptr) ast = expand(ast);
    if (ast != nullptr) names_[entry.name.value] = {std::move(ast), &entry.value};
  }
}

AstPtr LetScope::part(const std::string& name, const Name& let, const Ast& use) const {
  AstPtr tree = reader_.used(let.tree, *let.written, "let `" + name + "`", use);
  if (tree == nullptr)
    diagnostics_.error(let.written->origin, "T0401", "the expressions that use '" + name + "' have become too large",
                       "compute it with select in a step of its own");
  return tree;
}

AstPtr LetScope::expand(const AstPtr& ast) const {
  if ((names_.empty() && calls_.empty()) || ast == nullptr) return ast;
  if (ast->kind == AstKind::column) {
    const auto it = names_.find(ast->qualifier.empty() ? ast->text : ast->qualifier);
    if (it == names_.end()) return ast;
    AstPtr whole = part(it->first, it->second, *ast);
    if (whole == nullptr || ast->qualifier.empty()) return whole;
    auto field = std::make_shared<Ast>();  // `r.b` where r is a let: a field of it
    field->kind = AstKind::field;
    field->offset = ast->offset;
    field->length = ast->length;
    field->origin = ast->origin;
    field->text = ast->text;
    field->children.push_back(std::move(whole));
    engine::measure(*field);
    return field;
  }
  bool good = true;
  AstPtr out = engine::map_children(ast, [&](const AstPtr& c) {
    AstPtr child = good ? expand(c) : nullptr;
    good = good && child != nullptr;
    return good ? child : c;
  });
  if (good && out->size > engine::kMaxExprNodes && out != ast) {
    diagnostics_.error(names_.begin()->second.written->origin, "T0401",
                       "with `let` put in, an expression of this step has become too large",
                       "compute what is used often with select in a step of its own");
    good = false;
  }
  return good ? column_of(out) : nullptr;
}

AstPtr LetScope::value_of(const std::string& name) const {
  const auto it = names_.find(name);
  return it == names_.end() ? nullptr : it->second.tree;
}

void LetScope::replace_call(std::string canonical, const std::string& column) {
  calls_[std::move(canonical)] = column;
  for (auto& [name, let] : names_) let.tree = replace_calls(let.tree);
}

AstPtr LetScope::column_of(const AstPtr& ast) const {
  if (calls_.empty() || ast->kind != AstKind::call) return ast;
  const auto it = calls_.find(to_string(*ast));
  if (it == calls_.end()) return ast;
  auto column = std::make_shared<Ast>(*column_ast(it->second));
  column->offset = ast->offset;
  column->length = ast->length;
  column->origin = ast->origin;
  return column;
}

AstPtr LetScope::replace_calls(const AstPtr& ast) const {
  return column_of(engine::map_children(ast, [&](const AstPtr& c) { return replace_calls(c); }));
}

AstPtr column_ast(const std::string& name) {
  auto ast = std::make_shared<Ast>();
  ast->kind = AstKind::column;
  ast->text = name;
  return ast;
}

engine::AstPtr as_type(const engine::AstPtr& ast, DataType have, DataType want) {
  if (have == want) return ast;
  const bool widens = have.kind == TypeKind::null || (have.is_numeric() && want.kind == TypeKind::float64);
  if (!widens) return nullptr;
  auto cast = std::make_shared<engine::Ast>();
  cast->kind = engine::AstKind::cast;
  cast->offset = ast->offset;
  cast->length = ast->length;
  cast->type = want;
  cast->children = {ast};
  return cast;
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
