// A Pratt parser (V. Pratt, "Top Down Operator Precedence", 1973): each infix operator has a binding power, and words
// are keywords only where a name could not stand. The first error ends the parse, since what follows would be
// guesswork.

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "engine/expr/lexer.h"

namespace twinspan::engine {

namespace {

enum Power : int {
  kNone = 0,
  kOr = 1,
  kAnd = 2,
  kNot = 3,
  kCompare = 4,
  kConcat = 5,
  kSum = 6,
  kProduct = 7,
  kUnary = 8
};

std::string lower(std::string_view s) {
  std::string out(s);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return out;
}

struct Unit {
  std::string_view name;
  std::int64_t ms;
};
constexpr Unit kUnits[] = {{"MILLISECOND", 1}, {"SECOND", 1000},  {"MINUTE", 60000},
                           {"HOUR", 3600000},  {"DAY", 86400000}, {"WEEK", 604800000}};

// Thrown inside this file only: the deep recursion of a parser is unwound in one place.
struct Stop {
  ExprError error;
};

class Parser {
 public:
  Parser(std::string_view text, std::vector<Token> tokens) : text_(text), tokens_(std::move(tokens)) {}

  AstPtr run() {
    if (peek().kind == TokenKind::end) stop(peek(), "the expression is empty");
    AstPtr ast = expression(kNone);
    if (peek().kind != TokenKind::end) unexpected("an operator or the end of the expression");
    return ast;
  }

 private:
  const Token& peek(std::size_t k = 0) const { return tokens_[std::min(at_ + k, tokens_.size() - 1)]; }
  const Token& next() { return tokens_[at_ < tokens_.size() - 1 ? at_++ : at_]; }
  bool accept(std::string_view symbol) { return peek().is(symbol) ? (next(), true) : false; }
  bool accept_word(std::string_view word) { return peek().word(word) ? (next(), true) : false; }

  [[noreturn]] void stop(const Token& t, std::string message, std::string hint = "") {
    throw Stop{{std::move(message), t.offset, t.length, std::move(hint)}};
  }
  [[noreturn]] void unexpected(std::string_view wanted, std::string hint = "") {
    const Token& t = peek();
    if (t.kind == TokenKind::end)
      stop(t, fmt::format("the expression ends here, {} was expected", wanted), std::move(hint));
    const char* what = t.kind == TokenKind::string ? "string " : "";
    stop(t, fmt::format("unexpected {}`{}`, {} was expected", what, t.text, wanted), std::move(hint));
  }
  void expect(std::string_view symbol) {
    if (!accept(symbol)) unexpected(fmt::format("`{}`", symbol));
  }
  void expect_word(std::string_view word) {
    if (!accept_word(word)) unexpected(word);
  }

  std::shared_ptr<Ast> node(AstKind kind, std::size_t offset, std::vector<AstPtr> children = {}) {
    auto ast = std::make_shared<Ast>();
    ast->kind = kind;
    ast->offset = offset;
    ast->children = std::move(children);
    measure(*ast);
    check_depth(ast->depth);
    return ast;
  }
  void check_depth(std::size_t depth) {
    if (depth > kMaxExprDepth)
      stop(peek(), fmt::format("the expression is nested more than {} levels deep", kMaxExprDepth),
           "split it with `let:`");
  }
  AstPtr close(std::shared_ptr<Ast> ast) {
    const Token& last = tokens_[at_ == 0 ? 0 : at_ - 1];
    ast->length = last.offset + last.length - ast->offset;
    return ast;
  }

  // Can this token begin an operand? Decides whether CASE, NOT and the like before it are keywords or names.
  bool operand_follows(std::size_t k) const {
    const Token& t = peek(k);
    if (t.kind == TokenKind::end) return false;
    if (t.kind == TokenKind::symbol) return t.text == "(" || t.text == "-" || t.text == "+";
    return !infix_word(k);
  }
  bool infix_word(std::size_t k) const {
    const Token& t = peek(k);
    if (t.word("NOT")) return peek(k + 1).word("IN") || peek(k + 1).word("LIKE") || peek(k + 1).word("BETWEEN");
    static constexpr std::string_view kInfix[] = {"AND", "OR",   "IS",   "IN",   "LIKE", "BETWEEN",
                                                  "END", "WHEN", "THEN", "ELSE", "AS",   "FROM"};
    for (std::string_view w : kInfix)
      if (t.word(w)) return true;
    return false;
  }

  AstPtr expression(int power) {
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

  // Parts of a value: .field, [index], ['key'].
  AstPtr postfix(AstPtr x) {
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

  // The operator after `left`, or nullptr when it binds weaker than `power`.
  AstPtr infix(const AstPtr& left, const Token& t, int power) {
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
  AstPtr chain(const AstPtr& left, AstKind kind, int power) {
    std::vector<AstPtr> items{left};
    while (kind == AstKind::concat ? accept("||") : accept_word(kind == AstKind::logical_and ? "AND" : "OR"))
      items.push_back(expression(power));
    return close(node(kind, left->offset, std::move(items)));
  }

  AstPtr is(const AstPtr& left) {
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

  AstPtr number(const Token& t, bool negative) {
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

  AstPtr prefix() {
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

  AstPtr prefix_symbol(const Token& t) {
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

  AstPtr prefix_word(const Token& t) {
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
    if (t.word("INTERVAL") &&
        (after.kind == TokenKind::string || after.kind == TokenKind::integer || after.kind == TokenKind::decimal ||
         (after.is("-") && peek(2).kind == TokenKind::string)))
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

  AstPtr name() {
    const Token& first = next();
    auto ast = node(AstKind::column, first.offset);
    ast->text = first.text;
    if (accept(".")) {
      const Token& second = peek();
      if (second.kind != TokenKind::word && second.kind != TokenKind::quoted_name) unexpected("a name after the dot");
      next();
      ast->qualifier = first.text;
      ast->text = second.text;
    }
    return close(std::move(ast));
  }

  AstPtr collection(bool map) {
    const std::size_t from = next().offset;
    std::vector<AstPtr> items;
    expect("[");
    if (!peek().is("]")) {
      do items.push_back(expression(kNone));
      while (accept(","));
    }
    if (!accept("]")) unexpected("`,` or `]`");
    if (map && items.size() % 2 != 0) stop(tokens_[at_ - 1], "a key has no value", "MAP['a', 1, 'b', 2]");
    return close(node(map ? AstKind::map_literal : AstKind::array_literal, from, std::move(items)));
  }

  AstPtr row() {  // ROW(price, upper(name) AS name)
    const std::size_t from = next().offset;
    std::vector<AstPtr> items;
    std::vector<std::string> names;
    expect("(");
    do {
      items.push_back(expression(kNone));
      const Ast& x = *items.back();
      const bool named = x.kind == AstKind::column || x.kind == AstKind::field;
      names.push_back(named ? x.text : fmt::format("f{}", items.size() - 1));
      const Token& as = peek();
      if (accept_word("AS")) {
        if (peek().kind != TokenKind::word && peek().kind != TokenKind::quoted_name) unexpected("a name after AS");
        names.back() = next().text;
      }
      if (std::find(names.begin(), names.end() - 1, names.back()) != names.end() - 1)
        stop(as, fmt::format("two fields are called `{}`", names.back()), "name one of them: ROW(a, b AS other)");
      if (items.size() > kMaxTypeFields) stop(as, fmt::format("more than {} fields", kMaxTypeFields));
    } while (accept(","));
    if (!accept(")")) unexpected("`,` or `)`");
    auto ast = node(AstKind::row_literal, from, std::move(items));
    ast->names = std::move(names);
    return close(std::move(ast));
  }

  AstPtr case_when() {
    const std::size_t from = next().offset;
    std::vector<AstPtr> parts;
    const bool has_operand = !peek().word("WHEN");
    if (has_operand) parts.push_back(expression(kNone));
    if (!peek().word("WHEN")) unexpected("WHEN");
    while (accept_word("WHEN")) {
      parts.push_back(expression(kNone));
      expect_word("THEN");
      parts.push_back(expression(kNone));
    }
    const bool has_else = accept_word("ELSE");
    if (has_else) parts.push_back(expression(kNone));
    if (!accept_word("END")) unexpected("WHEN, ELSE or END", "CASE WHEN condition THEN value [ELSE value] END");
    auto ast = node(AstKind::case_when, from, std::move(parts));
    ast->has_operand = has_operand;
    ast->has_else = has_else;
    return close(std::move(ast));
  }

  AstPtr interval() {
    const std::size_t from = next().offset;
    const bool negative = accept("-");
    const Token& amount = next();
    const Token& unit = peek();
    std::int64_t ms = 0;
    if (unit.kind == TokenKind::word) {
      std::string name = lower(unit.text);
      if (!name.empty() && name.back() == 's') name.pop_back();
      for (const Unit& u : kUnits)
        if (lower(u.name) == name) ms = u.ms;
      if (ms == 0 && (name == "month" || name == "year"))
        stop(unit, fmt::format("an interval in {}S has no fixed length", unit.text),
             "use days, for example INTERVAL '30' DAY");
    }
    if (ms == 0) unexpected("MILLISECOND, SECOND, MINUTE, HOUR, DAY or WEEK", "INTERVAL '10' SECOND");
    next();
    const auto milli = parse_decimal(amount.text, 18, 3);  // thousandths of the unit: '1.5' HOUR is 90 minutes
    __int128 total = milli ? static_cast<__int128>(*milli) * ms / 1000 : 0;
    if (negative) total = -total;
    if (!milli || total > INT64_MAX || total < INT64_MIN)
      stop(amount, fmt::format("`{}` is not the length of an interval", amount.text), "INTERVAL '10' SECOND");
    auto ast = node(AstKind::interval_literal, from);
    ast->number = static_cast<std::int64_t>(total);
    return close(std::move(ast));
  }

  // A type up to the `)` that closes what it stands in.
  DataType type_name() {
    const Token& first = peek();
    if (first.kind != TokenKind::word) unexpected("a type");
    std::size_t end = first.offset;
    for (int open = 0; peek().kind != TokenKind::end; next()) {
      if (peek().is("(")) ++open;
      if (peek().is(")") && open-- == 0) break;
      end = peek().offset + peek().length;
    }
    std::string_view text = text_.substr(first.offset, end - first.offset);
    if (lower(text) == "decimal") text = "decimal(38,10)";
    TypeError error;
    const auto type = parse_type(text, &error);
    if (!type)
      throw Stop{{error.message, first.offset + error.offset, error.length,
                  "types are bool, int64, float64, decimal(p,s), string, bytes, timestamp, duration, json, array<..>, "
                  "map<string, ..> and row<name type, ..>"}};
    return *type;
  }

  AstPtr cast() {
    const Token& word = next();
    expect("(");
    AstPtr x = expression(kNone);
    expect_word("AS");
    const DataType type = type_name();
    expect(")");
    auto ast = node(AstKind::cast, word.offset, {std::move(x)});
    ast->type = type;
    ast->safe = word.word("TRY_CAST");
    return close(std::move(ast));
  }

  // geo.distance(...): a function of a native module, known under both names.
  AstPtr module_call() {
    const Token& module = next();
    next();  // the dot
    auto ast = std::make_shared<Ast>(*call());
    ast->text = lower(module.text) + "." + ast->text;
    ast->length += ast->offset - module.offset;
    ast->offset = module.offset;
    return ast;
  }

  AstPtr call() {
    const Token& word = next();
    const std::string function = lower(word.text);
    expect("(");
    std::vector<AstPtr> args;
    bool star = false, distinct = false;
    std::string name = function;
    if (function == "extract" || function == "timestampadd" || function == "timestampdiff") {
      args.push_back(unit());  // extract(unit FROM x) is extract('unit', x)
      if (!accept(",") && function == "extract") expect_word("FROM");
      args.push_back(expression(kNone));
      while (accept(",")) args.push_back(expression(kNone));
    } else if (function == "trim" && trim_mode(name)) {  // trim(LEADING 'x' FROM s) is ltrim(s, 'x')
      next();
      AstPtr what = peek().word("FROM") ? nullptr : expression(kNone);
      expect_word("FROM");
      args.push_back(expression(kNone));
      if (what) args.push_back(std::move(what));
    } else if (function == "json_object") {  // also KEY k VALUE v
      while (!peek().is(")")) {
        if (peek().word("KEY") && operand_follows(1)) next();
        args.push_back(expression(kNone));
        if (!accept_word("VALUE") && !accept(",")) unexpected("VALUE or `,`");
        args.push_back(expression(kNone));
        if (!accept(",")) break;
      }
    } else if (accept("*")) {
      star = true;
    } else if (!peek().is(")")) {
      if (peek().word("DISTINCT") && operand_follows(1)) {
        next();
        distinct = true;
      }
      if (function == "position") {  // position(x IN y) is position(x, y)
        args.push_back(expression(kCompare));
        if (accept_word("IN")) args.push_back(expression(kNone));
      } else {
        args.push_back(expression(kNone));
      }
      if ((function == "floor" || function == "ceil") && accept_word("TO")) {  // floor(ts TO day)
        name = function == "floor" ? "date_trunc" : "date_ceil";
        args.insert(args.begin(), unit());
      }
      if (function == "overlay" && accept_word("PLACING")) args.push_back(expression(kNone));
      if ((function == "substring" || function == "substr" || function == "overlay") && accept_word("FROM")) {
        args.push_back(expression(kNone));
        if (accept_word("FOR")) args.push_back(expression(kNone));
      }
      while (accept(",")) args.push_back(expression(kNone));
    }
    std::optional<DataType> returning;
    if (function == "json_value" && accept_word("RETURNING")) returning = type_name();
    if (!accept(")")) unexpected("`,` or `)`");
    auto ast = node(AstKind::call, word.offset, std::move(args));
    ast->text = name;
    ast->star = star;
    ast->distinct = distinct;
    if (peek().word("FILTER") && peek(1).is("(")) {
      next();
      next();
      expect_word("WHERE");
      ast->filter = expression(kNone);
      expect(")");
      measure(*ast);
      check_depth(ast->depth);
    }
    AstPtr done = close(std::move(ast));
    if (!returning) return done;
    auto cast = node(AstKind::cast, word.offset, {std::move(done)});
    cast->type = *returning;
    cast->safe = true;
    return close(std::move(cast));
  }

  AstPtr unit() {
    const Token& word = peek();
    if (word.kind != TokenKind::word && word.kind != TokenKind::string) unexpected("a unit such as HOUR");
    next();
    auto text = node(AstKind::string_literal, word.offset);
    text->text = lower(word.text);
    return close(std::move(text));
  }

  bool trim_mode(std::string& name) const {
    static constexpr std::pair<std::string_view, const char*> kModes[] = {
        {"BOTH", "trim"}, {"LEADING", "ltrim"}, {"TRAILING", "rtrim"}};
    for (const auto& [mode, function] : kModes)
      if (peek().word(mode) && (operand_follows(1) || peek(1).word("FROM"))) return name = function, true;
    return false;
  }

  std::string_view text_;
  std::vector<Token> tokens_;
  std::size_t at_ = 0, level_ = 0;
};

}  // namespace

ExprResult<AstPtr> parse_expression(std::string_view text) {
  auto tokens = tokenize(text);
  if (!tokens) return tokens.errors();
  try {
    return Parser(text, std::move(tokens).value()).run();
  } catch (const Stop& stop) {
    return stop.error;
  }
}

}  // namespace twinspan::engine
