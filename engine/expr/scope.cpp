#include "engine/expr/scope.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

namespace twinspan::engine {

namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

// Edits (insert, remove, change, swap of neighbours) from a to b, letter case aside.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = lower(a[i - 1]) == lower(b[j - 1]);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1)});
      if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]))
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates) {
  if (name.size() > 200) return "";
  std::size_t best = std::max<std::size_t>(1, name.size() / 3) + 1;
  std::string found;
  for (const std::string& c : candidates) {
    if (c.size() > 200) continue;
    const std::size_t d = distance(name, c);
    if (d < best) best = d, found = c;
  }
  return found;
}

Scope::Scope(const Schema& schema, std::string qualifier, int first_index) {
  for (const Field& f : schema.fields) columns.push_back({qualifier, f.name, f.type, first_index++});
}

ExprResult<const ScopeColumn*> Scope::find(const Ast& ast) const {
  const ScopeColumn* found = nullptr;
  std::string others;
  for (const ScopeColumn& c : columns) {
    if (c.name != ast.text || (!ast.qualifier.empty() && c.qualifier != ast.qualifier)) continue;
    if (found == nullptr) {
      found = &c;
      others = c.qualifier + "." + c.name;
    } else if (found->qualifier.empty() && ast.qualifier.empty() && !c.qualifier.empty()) {
      continue;  // a plain name wins over qualified ones
    } else if (c.qualifier.empty() && ast.qualifier.empty()) {
      found = &c;
      others.clear();
    } else {
      others += " or " + c.qualifier + "." + c.name;
    }
  }
  if (found != nullptr && others.find(" or ") != std::string::npos &&
      !(found->qualifier.empty() && ast.qualifier.empty()))
    return error_at(ast, fmt::format("`{}` is ambiguous", ast.text), "write " + others);
  if (found != nullptr) return found;
  if (!ast.qualifier.empty()) {
    bool qualifies = false, holds = false;
    for (const ScopeColumn& c : columns) {
      qualifies = qualifies || c.qualifier == ast.qualifier;
      holds = holds || (c.name == ast.qualifier && c.type.kind >= TypeKind::array);
    }
    if (!qualifies && holds) {
      Ast whole;
      whole.kind = AstKind::column;
      whole.text = ast.qualifier;
      whole.offset = ast.offset;
      whole.length = ast.qualifier.size();
      whole.origin = ast.origin;
      return find(whole);
    }
  }
  const std::string shown = ast.qualifier.empty() ? ast.text : ast.qualifier + "." + ast.text;
  std::vector<std::string> names;
  for (const ScopeColumn& c : columns) {
    if (!c.qualifier.empty()) names.push_back(c.qualifier + "." + c.name);
    if (ast.qualifier.empty()) names.push_back(c.name);
  }
  const std::string near = nearest_name(shown, names);
  std::string hint;
  if (!near.empty()) {
    hint = fmt::format("did you mean `{}`?", near);
  } else if (columns.empty()) {
    hint = "no columns can be named here";
  } else {
    hint = "columns here: ";
    for (std::size_t i = 0; i < columns.size() && i < 12; ++i)
      hint += (i > 0 ? ", " : "") +
              (columns[i].qualifier.empty() ? columns[i].name : columns[i].qualifier + "." + columns[i].name);
    if (columns.size() > 12) hint += ", ...";
  }
  return error_at(ast, fmt::format("unknown column `{}`", shown), hint);
}

std::vector<int> used_columns(const Ast& ast, const Scope& scope) {
  std::set<int> used;
  std::vector<const Ast*> open{&ast};
  while (!open.empty()) {
    const Ast& a = *open.back();
    open.pop_back();
    if (a.kind == AstKind::column)
      if (const auto found = scope.find(a)) used.insert((*found)->index);
    for (const AstPtr& c : a.children) open.push_back(c.get());
    if (a.filter) open.push_back(a.filter.get());
  }
  return {used.begin(), used.end()};
}

}  // namespace twinspan::engine
