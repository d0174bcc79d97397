#include "engine/expr/parser.h"

#include <charconv>
#include <optional>
#include <system_error>

namespace twinspan::engine {

AstPtr ExprParser::run() {
  if (peek().kind == TokenKind::end) stop(peek(), "the expression is empty");
  AstPtr ast = expression(kNone);
  if (peek().kind != TokenKind::end) unexpected("an operator or the end of the expression");
  return ast;
}

AstPtr ExprParser::expression(int power) {
  struct Level {
    std::size_t& n;
    explicit Level(std::size_t& v) : n(v) { ++n; }
    ~Level() { --n; }
  } level(level_);
  check_depth(level_);
  AstPtr left = postfix(prefix());
  for (;;) {
    const Token& t = peek();
    AstPtr wider = infix(left, t, power);
    if (!wider) return left;
    left = std::move(wider);
  }
}

AstPtr ExprParser::postfix(AstPtr x) {
  for (;;) {
    const std::size_t from = x->offset;
    if (accept("[")) {
      AstPtr index = expression(kNone);
      if (!accept("]")) unexpected("`]`");
      x = close(node(AstKind::element, from, {std::move(x), std::move(index)}));
    } else if (peek().is(".")) {
      next();
      const Token& part = peek();
      if (part.kind != TokenKind::word && part.kind != TokenKind::quoted_name) unexpected("a name after the dot");
      next();
      auto ast = node(AstKind::field, from, {std::move(x)});
      ast->text = part.text;
      x = close(std::move(ast));
    } else {
      return x;
    }
  }
}

AstPtr ExprParser::infix(const AstPtr& left, const Token& t, int power) {
  const std::size_t from = left->offset;
  if (t.kind == TokenKind::symbol) {
    const std::string& op = t.text;
    int p = kNone;
    AstKind kind = AstKind::arithmetic;
    if (op == "+" || op == "-")
      p = kSum;
    else if (op == "*" || op == "/" || op == "%")
      p = kProduct;
    else if (op == "||")
      return power < kConcat ? chain(left, AstKind::concat, kConcat) : nullptr;
    else if (op == "=" || op == "<>" || op == "<" || op == "<=" || op == ">" || op == ">=")
      p = kCompare, kind = AstKind::comparison;
    if (p <= power) return nullptr;
    next();
    AstPtr right = expression(p);
    auto ast = node(kind, from, {left, std::move(right)});
    ast->text = op;
    return close(std::move(ast));
  }
  if (t.kind != TokenKind::word) return nullptr;
  if (t.word("AND")) return power < kAnd ? chain(left, AstKind::logical_and, kAnd) : nullptr;
  if (t.word("OR")) return power < kOr ? chain(left, AstKind::logical_or, kOr) : nullptr;
  if (t.word("AT") && peek(1).word("TIME") && peek(2).word("ZONE") && power < kUnary) {
    at_ += 3;
    AstPtr zone = postfix(prefix());
    auto ast = node(AstKind::call, from, {left, std::move(zone)});
    ast->text = "from_utc_timestamp";
    return close(std::move(ast));
  }
  if (power >= kCompare) return nullptr;
  if (accept_word("IS")) return is(left);
  const bool negated = t.word("NOT");
  const Token& word = peek(negated ? 1 : 0);
  if (!word.word("IN") && !word.word("LIKE") && !word.word("BETWEEN")) return nullptr;
  if (negated) next();
  std::shared_ptr<Ast> ast;
  if (accept_word("IN")) {
    std::vector<AstPtr> items{left};
    if (accept("(")) {
      do items.push_back(expression(kNone));
      while (accept(","));
      expect(")");
    } else {
      items.push_back(expression(kCompare));  // x IN tags
    }
    ast = node(AstKind::in_list, from, std::move(items));
  } else if (accept_word("LIKE")) {
    std::vector<AstPtr> parts{left, expression(kCompare)};
    if (accept_word("ESCAPE")) parts.push_back(expression(kCompare));
    ast = node(AstKind::like, from, std::move(parts));
  } else {
    expect_word("BETWEEN");
    AstPtr low = expression(kCompare);
    expect_word("AND");
    AstPtr high = expression(kCompare);
    ast = node(AstKind::between, from, {left, std::move(low), std::move(high)});
  }
  ast->negated = negated;
  return close(std::move(ast));
}

// AND, OR and || make one flat node however long the chain, so that a long filter is not a deep tree.
AstPtr ExprParser::chain(const AstPtr& left, AstKind kind, int power) {
  std::vector<AstPtr> items{left};
  while (kind == AstKind::concat ? accept("||") : accept_word(kind == AstKind::logical_and ? "AND" : "OR"))
    items.push_back(expression(power));
  return close(node(kind, left->offset, std::move(items)));
}

AstPtr ExprParser::is(const AstPtr& left) {
  const bool negated = accept_word("NOT");
  std::vector<AstPtr> parts{left};
  AstKind kind = AstKind::is_null;
  if (accept_word("NULL") || accept_word("UNKNOWN"))
    kind = AstKind::is_null;
  else if (accept_word("TRUE"))
    kind = AstKind::is_true;
  else if (accept_word("FALSE"))
    kind = AstKind::is_false;
  else if (accept_word("JSON")) {
    auto call = node(AstKind::call, left->offset, std::move(parts));
    call->text = "is_json";
    AstPtr test = close(std::move(call));
    return negated ? close(node(AstKind::logical_not, left->offset, {std::move(test)})) : test;
  } else if (accept_word("DISTINCT")) {
    expect_word("FROM");
    kind = AstKind::is_distinct;
    parts.push_back(expression(kCompare));
  } else {
    unexpected("NULL, TRUE, FALSE, JSON or DISTINCT FROM");
  }
  auto ast = node(kind, left->offset, std::move(parts));
  ast->negated = negated;
  return close(std::move(ast));
}

AstPtr ExprParser::number(const Token& t, bool negative) {
  const std::string text = (negative ? "-" : "") + t.text;
  const std::size_t from = negative ? tokens_[at_ - 2].offset : t.offset;
  if (t.kind == TokenKind::real) {
    auto ast = node(AstKind::float_literal, from);
    ast->text = text;
    return close(std::move(ast));
  }
  if (t.kind == TokenKind::integer) {
    std::int64_t value = 0;
    const auto r = std::from_chars(text.data(), text.data() + text.size(), value);
    if (r.ec == std::errc()) {
      auto ast = node(AstKind::int_literal, from);
      ast->number = value;
      return close(std::move(ast));
    }
  }
  std::size_t digits = 0;
  for (std::size_t i = std::min(t.text.find_first_not_of('0'), t.text.size()); i < t.text.size(); ++i)
    digits += t.text[i] != '.';
  if (digits > 38) stop(t, "the number has more than 38 digits", "write it with an exponent (1e40) for a float64");
  auto ast = node(AstKind::decimal_literal, from);
  ast->text = text;
  if (ast->text.back() == '.') ast->text.pop_back();
  if (const std::size_t dot = ast->text.find('.'); dot == (negative ? 1u : 0u)) ast->text.insert(dot, 1, '0');
  return close(std::move(ast));
}

AstPtr ExprParser::prefix() {
  const Token& t = peek();
  switch (t.kind) {
    case TokenKind::integer:
    case TokenKind::decimal:
    case TokenKind::real: next(); return number(t, false);
    case TokenKind::string: {
      next();
      auto ast = node(AstKind::string_literal, t.offset);
      ast->text = t.text;
      return close(std::move(ast));
    }
    case TokenKind::quoted_name: return name();
    case TokenKind::symbol: return prefix_symbol(t);
    case TokenKind::word: return prefix_word(t);
    case TokenKind::end: break;
  }
  unexpected("a value");
}

AstPtr ExprParser::prefix_symbol(const Token& t) {
  if (accept("(")) {
    AstPtr inner = expression(kNone);
    expect(")");
    // The span of an error shows the parentheses too; the tree has no node for them.
    auto wide = std::make_shared<Ast>(*inner);
    wide->offset = t.offset;
    return close(std::move(wide));
  }
  if (accept("-")) {
    const Token& n = peek();
    if (n.kind == TokenKind::integer || n.kind == TokenKind::decimal || n.kind == TokenKind::real) {
      next();
      return number(n, true);
    }
    AstPtr x = expression(kUnary - 1);
    return close(node(AstKind::negate, t.offset, {std::move(x)}));
  }
  if (accept("+")) return expression(kUnary - 1);
  if (t.is("*")) unexpected("a value", "count(*) is the only place for *");
  unexpected("a value");
}

AstPtr ExprParser::prefix_word(const Token& t) {
  const Token& after = peek(1);
  if (t.word("NULL")) {
    next();
    return close(node(AstKind::null_literal, t.offset));
  }
  if (t.word("TRUE") || t.word("FALSE")) {
    next();
    auto ast = node(AstKind::bool_literal, t.offset);
    ast->number = t.word("TRUE");
    return close(std::move(ast));
  }
  if (t.word("CASE") && (after.word("WHEN") || peek(2).word("WHEN") || (operand_follows(1) && !after.is("+"))))
    return case_when();
  if (t.word("NOT") && operand_follows(1)) {
    next();
    AstPtr x = expression(kNot - 1);
    return close(node(AstKind::logical_not, t.offset, {std::move(x)}));
  }
  if (t.word("INTERVAL") && (after.kind == TokenKind::string || after.kind == TokenKind::integer ||
                             after.kind == TokenKind::decimal || (after.is("-") && peek(2).kind == TokenKind::string)))
    return interval();
  if (t.word("TIMESTAMP") && after.kind == TokenKind::string) {
    next();
    const Token& text = next();
    const auto ms = parse_timestamp(text.text);
    if (!ms)
      stop(text, fmt::format("`{}` is not a timestamp", text.text), "write it as TIMESTAMP '2026-01-31 13:00:00'");
    auto ast = node(AstKind::timestamp_literal, t.offset);
    ast->number = *ms;
    return close(std::move(ast));
  }
  if (after.is("[") && (t.word("ARRAY") || t.word("MAP"))) return collection(t.word("MAP"));
  if (after.is(".") && peek(2).kind == TokenKind::word && peek(3).is("(")) return module_call();
  if (after.is("(")) {
    if (t.word("ROW")) return row();
    if (t.word("CAST") || t.word("TRY_CAST")) return cast();
    return call();
  }
  return name();
}

ExprResult<AstPtr> parse_expression(std::string_view text) {
  auto tokens = tokenize(text);
  if (!tokens) return tokens.errors();
  try {
    return ExprParser(text, std::move(tokens).value()).run();
  } catch (const ExprParser::Stop& stop) {
    return stop.error;
  }
}

}  // namespace twinspan::engine
