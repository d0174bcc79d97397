#include "engine/expr/lexer.h"

#include <fmt/format.h>

namespace twinspan::engine {

namespace {

bool digit(char c) { return c >= '0' && c <= '9'; }
// Bytes above 0x7f are parts of UTF-8 letters: names may be in any script.
bool word_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool word_part(char c) { return word_start(c) || digit(c); }

}  // namespace

bool Token::word(std::string_view upper) const {
  if (kind != TokenKind::word || text.size() != upper.size()) return false;
  for (std::size_t i = 0; i < upper.size(); ++i) {
    const char c = text[i];
    if ((c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c) != upper[i]) return false;
  }
  return true;
}

ExprResult<std::vector<Token>> tokenize(std::string_view s) {
  if (s.size() > kMaxExprBytes)
    return ExprError{fmt::format("the expression has {} bytes; at most {} are allowed", s.size(), kMaxExprBytes), 0, 0,
                     "split it over several steps with `let:`"};
  std::vector<Token> out;
  std::size_t i = 0;
  const auto at = [&](std::size_t k) { return k < s.size() ? s[k] : '\0'; };
  const auto push = [&](TokenKind kind, std::size_t from, std::string text) {
    out.push_back({kind, from, i - from, std::move(text)});
  };
  while (i < s.size()) {
    const char c = s[i];
    const std::size_t from = i;
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      ++i;
    } else if (c == '-' && at(i + 1) == '-') {
      while (i < s.size() && s[i] != '\n') ++i;
    } else if (c == '/' && at(i + 1) == '*') {
      const std::size_t close = s.find("*/", i + 2);
      if (close == std::string_view::npos) return ExprError{"comment is not closed", from, 2, "close it with */"};
      i = close + 2;
    } else if (word_start(c)) {
      while (i < s.size() && word_part(s[i])) ++i;
      push(TokenKind::word, from, std::string(s.substr(from, i - from)));
    } else if (digit(c) || (c == '.' && digit(at(i + 1)))) {
      TokenKind kind = TokenKind::integer;
      while (digit(at(i))) ++i;
      if (at(i) == '.' && (digit(at(i + 1)) || c != '.')) {
        kind = TokenKind::decimal;
        ++i;
        while (digit(at(i))) ++i;
      }
      if (at(i) == 'e' || at(i) == 'E') {
        std::size_t k = i + 1;
        if (at(k) == '+' || at(k) == '-') ++k;
        if (digit(at(k))) {
          kind = TokenKind::real;
          i = k;
          while (digit(at(i))) ++i;
        }
      }
      if (i < s.size() && word_part(s[i])) {
        while (i < s.size() && word_part(s[i])) ++i;
        const std::string_view text = s.substr(from, i - from);
        return ExprError{fmt::format("`{}` is neither a number nor a name", text), from, i - from,
                         "a name that starts with a digit needs back-ticks; a duration is INTERVAL '10' SECOND"};
      }
      push(kind, from, std::string(s.substr(from, i - from)));
    } else if (c == '\'' || c == '`') {
      std::string text;
      bool closed = false;
      for (++i; i < s.size();) {
        if (s[i] != c) {
          text.push_back(s[i++]);
        } else if (at(i + 1) == c) {
          text.push_back(c);
          i += 2;
        } else {
          ++i;
          closed = true;
          break;
        }
      }
      if (!closed)
        return ExprError{c == '\'' ? "string is not closed" : "quoted name is not closed", from, s.size() - from,
                         c == '\'' ? "a quote inside a string is written twice: 'it''s'"
                                   : "a back-tick inside a name is written twice"};
      if (c == '`' && text.empty()) return ExprError{"empty name", from, 2, ""};
      push(c == '\'' ? TokenKind::string : TokenKind::quoted_name, from, std::move(text));
    } else if (c == '"') {
      const std::size_t close = s.find('"', i + 1);
      const std::size_t length = close == std::string_view::npos ? s.size() - i : close - i + 1;
      return ExprError{"double quotes have no meaning here", from, length,
                       "write strings as 'text' and names as `name`"};
    } else {
      static constexpr std::string_view kTwo[] = {"<>", "!=", "<=", ">=", "||", "==", "&&"};
      std::string text(1, c);
      for (std::string_view two : kTwo)
        if (s.substr(i, 2) == two) text = two;
      i += text.size();
      if (text == "==") return ExprError{"unknown operator `==`", from, 2, "equality is ="};
      if (text == "&&") return ExprError{"unknown operator `&&`", from, 2, "write AND"};
      if (text == "!=") text = "<>";
      if (text.size() == 1 && std::string_view("+-*/%=<>(),.[]").find(c) == std::string_view::npos) {
        std::string hint;
        if (c == '!') hint = "write NOT";
        if (c == ';') hint = "an expression has no end mark";
        return ExprError{fmt::format("unexpected character `{}`", c), from, 1, hint};
      }
      push(TokenKind::symbol, from, std::move(text));
    }
  }
  out.push_back({TokenKind::end, s.size(), 0, ""});
  return out;
}

}  // namespace twinspan::engine
