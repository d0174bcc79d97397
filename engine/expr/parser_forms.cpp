// Names, collections, CASE, CAST, INTERVAL and calls, with the forms that SQL gives some functions.

#include <cstdint>
#include <optional>

#include "engine/expr/parser.h"

namespace twinspan::engine {

std::string lower_case(std::string_view s) {
  std::string out(s);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return out;
}

namespace {

struct Unit {
  std::string_view name;
  std::int64_t ms;
};
constexpr Unit kUnits[] = {{"MILLISECOND", 1}, {"SECOND", 1000},  {"MINUTE", 60000},
                           {"HOUR", 3600000},  {"DAY", 86400000}, {"WEEK", 604800000}};

}  // namespace

AstPtr ExprParser::name() {
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

AstPtr ExprParser::collection(bool map) {
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

// ROW(price, upper(name) AS name)
AstPtr ExprParser::row() {
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

AstPtr ExprParser::case_when() {
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

AstPtr ExprParser::interval() {
  const std::size_t from = next().offset;
  const bool negative = accept("-");
  const Token& amount = next();
  const Token& unit = peek();
  std::int64_t ms = 0;
  if (unit.kind == TokenKind::word) {
    std::string name = lower_case(unit.text);
    if (!name.empty() && name.back() == 's') name.pop_back();
    for (const Unit& u : kUnits)
      if (lower_case(u.name) == name) ms = u.ms;
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
DataType ExprParser::type_name() {
  const Token& first = peek();
  if (first.kind != TokenKind::word) unexpected("a type");
  std::size_t end = first.offset;
  for (int open = 0; peek().kind != TokenKind::end; next()) {
    if (peek().is("(")) ++open;
    if (peek().is(")") && open-- == 0) break;
    end = peek().offset + peek().length;
  }
  std::string_view text = text_.substr(first.offset, end - first.offset);
  if (lower_case(text) == "decimal") text = "decimal(38,10)";
  TypeError error;
  const auto type = parse_type(text, &error);
  if (!type)
    throw Stop{{error.message, first.offset + error.offset, error.length,
                "types are bool, int64, float64, decimal(p,s), string, bytes, timestamp, duration, json, array<..>, "
                "map<string, ..> and row<name type, ..>"}};
  return *type;
}

AstPtr ExprParser::cast() {
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
AstPtr ExprParser::module_call() {
  const Token& module = next();
  next();  // the dot
  auto ast = std::make_shared<Ast>(*call());
  ast->text = lower_case(module.text) + "." + ast->text;
  ast->length += ast->offset - module.offset;
  ast->offset = module.offset;
  return ast;
}

AstPtr ExprParser::call() {
  const Token& word = next();
  const std::string function = lower_case(word.text);
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

AstPtr ExprParser::unit() {
  const Token& word = peek();
  if (word.kind != TokenKind::word && word.kind != TokenKind::string) unexpected("a unit such as HOUR");
  next();
  auto text = node(AstKind::string_literal, word.offset);
  text->text = lower_case(word.text);
  return close(std::move(text));
}

bool ExprParser::trim_mode(std::string& name) const {
  static constexpr std::pair<std::string_view, const char*> kModes[] = {
      {"BOTH", "trim"}, {"LEADING", "ltrim"}, {"TRAILING", "rtrim"}};
  for (const auto& [mode, function] : kModes)
    if (peek().word(mode) && (operand_follows(1) || peek(1).word("FROM"))) return name = function, true;
  return false;
}

}  // namespace twinspan::engine
