#include "engine/expr/ast.h"

#include <algorithm>

#include <fmt/format.h>

namespace twinspan::engine {

namespace {

// Binding strength of what a node prints, as in the parser; 9 = never needs parentheses.
int strength(const Ast& a) {
  switch (a.kind) {
    case AstKind::logical_or: return 1;
    case AstKind::logical_and: return 2;
    case AstKind::logical_not: return 3;
    case AstKind::comparison:
    case AstKind::in_list:
    case AstKind::between:
    case AstKind::like:
    case AstKind::is_null:
    case AstKind::is_true:
    case AstKind::is_false:
    case AstKind::is_distinct: return 4;
    case AstKind::concat: return 5;
    case AstKind::arithmetic: return a.text == "+" || a.text == "-" ? 6 : 7;
    case AstKind::negate: return 8;
    default: return 9;
  }
}

std::string quoted(std::string_view s, char mark) {
  std::string out(1, mark);
  for (char c : s) {
    out.push_back(c);
    if (c == mark) out.push_back(c);
  }
  out.push_back(mark);
  return out;
}

// Back-ticks unless the name is a plain word that is no keyword anywhere: the printed text then parses the same in any
// place.
std::string name(std::string_view s) {
  static constexpr std::string_view kWords[] = {
      "and",  "or",   "not",   "is", "in",   "like", "between", "case",     "when",      "then",     "else",  "end",
      "null", "true", "false", "as", "from", "for",  "escape",  "interval", "timestamp", "distinct", "filter"};
  bool plain = !s.empty() && !(s[0] >= '0' && s[0] <= '9');
  std::string low;
  for (char c : s) {
    const bool upper = c >= 'A' && c <= 'Z';
    plain = plain && (upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '$');
    low.push_back(upper ? static_cast<char>(c + 32) : c);
  }
  for (std::string_view w : kWords) plain = plain && low != w;
  return plain ? std::string(s) : quoted(s, '`');
}

void print(const Ast& a, std::string& out);

void operand(const Ast& a, int at_least, std::string& out) {
  const bool wrap = strength(a) < at_least;
  if (wrap) out += '(';
  print(a, out);
  if (wrap) out += ')';
}

void list(const Ast& a, std::size_t from, std::string_view between, int at_least, std::string& out) {
  for (std::size_t i = from; i < a.children.size(); ++i) {
    if (i > from) out += between;
    operand(*a.children[i], at_least, out);
  }
}

void print_interval(std::int64_t ms, std::string& out) {
  static constexpr std::pair<std::int64_t, std::string_view> kUnits[] = {
      {86400000, "DAY"}, {3600000, "HOUR"}, {60000, "MINUTE"}, {1000, "SECOND"}, {1, "MILLISECOND"}};
  for (const auto& [length, unit] : kUnits)
    if (ms % length == 0 && (ms != 0 || length == 1000)) {
      out += fmt::format("INTERVAL '{}' {}", ms / length, unit);
      return;
    }
}

void print_case(const Ast& a, std::string& out) {
  std::size_t i = 0;
  const std::size_t end = a.children.size() - (a.has_else ? 1 : 0);
  out += "CASE";
  if (a.has_operand) out += ' ', operand(*a.children[i++], 0, out);
  for (; i + 1 < end; i += 2) {
    out += " WHEN ";
    print(*a.children[i], out);
    out += " THEN ";
    print(*a.children[i + 1], out);
  }
  if (a.has_else) out += " ELSE ", print(*a.children.back(), out);
  out += " END";
}

// What stands before `.` or `[`: a bare name would take the next part for its own second half.
void print_base(const Ast& a, bool dot, std::string& out) {
  const bool bare = a.kind == AstKind::column && a.qualifier.empty() && dot;
  const bool path = a.kind == AstKind::field || a.kind == AstKind::element || (a.kind == AstKind::column && !bare) ||
                    a.kind == AstKind::call || a.kind == AstKind::cast || a.kind == AstKind::array_literal ||
                    a.kind == AstKind::map_literal;
  const bool filtered = a.kind == AstKind::call && a.filter != nullptr;
  const bool wrap = !path || filtered;
  if (wrap) out += '(';
  print(a, out);
  if (wrap) out += ')';
}

void print(const Ast& a, std::string& out) {
  const char* negated = a.negated ? "NOT " : "";
  switch (a.kind) {
    case AstKind::null_literal: out += "NULL"; break;
    case AstKind::bool_literal: out += a.number != 0 ? "TRUE" : "FALSE"; break;
    case AstKind::int_literal: out += std::to_string(a.number); break;
    case AstKind::float_literal:
    case AstKind::decimal_literal: out += a.text; break;
    case AstKind::string_literal: out += quoted(a.text, '\''); break;
    case AstKind::timestamp_literal: out += "TIMESTAMP '" + timestamp_to_string(a.number) + "'"; break;
    case AstKind::interval_literal: print_interval(a.number, out); break;
    case AstKind::column:
      if (!a.qualifier.empty()) out += name(a.qualifier) + ".";
      out += name(a.text);
      break;
    case AstKind::negate: {
      const AstKind k = a.children[0]->kind;  // -(5) is no literal, and two minus signs would begin a comment
      const bool wrap = k == AstKind::negate || k == AstKind::int_literal || k == AstKind::decimal_literal ||
                        k == AstKind::float_literal;
      out += '-';
      operand(*a.children[0], wrap ? 10 : 8, out);
      break;
    }
    case AstKind::arithmetic: {
      const int p = strength(a);
      operand(*a.children[0], p, out);
      out += " " + a.text + " ";
      operand(*a.children[1], p + 1, out);
      break;
    }
    case AstKind::comparison:
      operand(*a.children[0], 4, out);
      out += " " + a.text + " ";
      operand(*a.children[1], 5, out);
      break;
    case AstKind::concat: list(a, 0, " || ", 6, out); break;
    case AstKind::logical_and: list(a, 0, " AND ", 3, out); break;
    case AstKind::logical_or: list(a, 0, " OR ", 2, out); break;
    case AstKind::logical_not:
      out += "NOT ";
      operand(*a.children[0], 3, out);
      break;
    case AstKind::in_list:
      operand(*a.children[0], 4, out);
      out += fmt::format(" {}IN (", negated);
      list(a, 1, ", ", 0, out);
      out += ')';
      break;
    case AstKind::between:
      operand(*a.children[0], 4, out);
      out += fmt::format(" {}BETWEEN ", negated);
      list(a, 1, " AND ", 5, out);
      break;
    case AstKind::like:
      operand(*a.children[0], 4, out);
      out += fmt::format(" {}LIKE ", negated);
      list(a, 1, " ESCAPE ", 5, out);
      break;
    case AstKind::is_null:
    case AstKind::is_true:
    case AstKind::is_false:
      operand(*a.children[0], 4, out);
      out += fmt::format(" IS {}{}", negated,
                         a.kind == AstKind::is_null   ? "NULL"
                         : a.kind == AstKind::is_true ? "TRUE"
                                                      : "FALSE");
      break;
    case AstKind::is_distinct:
      operand(*a.children[0], 4, out);
      out += fmt::format(" IS {}DISTINCT FROM ", negated);
      operand(*a.children[1], 5, out);
      break;
    case AstKind::case_when: print_case(a, out); break;
    case AstKind::cast:
      out += a.safe ? "TRY_CAST(" : "CAST(";
      print(*a.children[0], out);
      out += " AS " + to_string(a.type) + ")";
      break;
    case AstKind::field:
      print_base(*a.children[0], true, out);
      out += "." + name(a.text);
      break;
    case AstKind::element:
      print_base(*a.children[0], false, out);
      out += '[';
      print(*a.children[1], out);
      out += ']';
      break;
    case AstKind::array_literal:
    case AstKind::map_literal:
      out += a.kind == AstKind::array_literal ? "ARRAY[" : "MAP[";
      list(a, 0, ", ", 0, out);
      out += ']';
      break;
    case AstKind::row_literal:
      out += "ROW(";
      for (std::size_t i = 0; i < a.children.size(); ++i) {
        if (i > 0) out += ", ";
        print(*a.children[i], out);
        out += " AS " + name(a.names[i]);
      }
      out += ')';
      break;
    case AstKind::call:
      out += a.text + (a.star ? "(*" : a.distinct ? "(DISTINCT " : "(");
      list(a, 0, ", ", 0, out);
      out += ')';
      if (a.filter) {
        out += " FILTER (WHERE ";
        print(*a.filter, out);
        out += ')';
      }
      break;
  }
}

}  // namespace

void measure(Ast& ast) {
  std::size_t depth = 0, size = 1;
  const auto add = [&](const Ast& child) {
    depth = std::max<std::size_t>(depth, child.depth);
    size += child.size;
  };
  for (const AstPtr& c : ast.children) add(*c);
  if (ast.filter) add(*ast.filter);
  ast.depth = static_cast<std::uint16_t>(std::min<std::size_t>(depth + 1, UINT16_MAX));
  ast.size = static_cast<std::uint32_t>(std::min<std::size_t>(size, UINT32_MAX));
}

ExprError error_at(const Ast& ast, std::string message, std::string hint) {
  return {std::move(message), ast.offset, ast.length, std::move(hint), ast.origin};
}

std::string to_string(const Ast& ast) {
  std::string out;
  print(ast, out);
  return out;
}

}  // namespace twinspan::engine
