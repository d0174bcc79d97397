#pragma once
// The parser of expressions: a Pratt parser (V. Pratt, "Top Down Operator Precedence", 1973). Each infix operator has a
// binding power, and words are keywords only where a name could not stand. The first error ends the parse, since what
// follows would be guesswork. Operators and operands: parser.cpp. What has a form of its own (CASE, CAST, calls ...):
// parser_forms.cpp. Lives for one text. Thread: any.

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "engine/expr/ast.h"
#include "engine/expr/lexer.h"

namespace twinspan::engine {

class ExprParser {
 public:
  ExprParser(std::string_view text, std::vector<Token> tokens) : text_(text), tokens_(std::move(tokens)) {}

  AstPtr run();  // throws Stop

  // Ends the parse: the deep recursion is unwound in one place, parse_expression().
  struct Stop {
    ExprError error;
  };

 private:
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

  AstPtr expression(int power);
  // Parts of a value: .field, [index], ['key'].
  AstPtr postfix(AstPtr x);
  // The operator after `left`, or nullptr when it binds weaker than `power`.
  AstPtr infix(const AstPtr& left, const Token& t, int power);
  AstPtr chain(const AstPtr& left, AstKind kind, int power);
  AstPtr is(const AstPtr& left);
  AstPtr number(const Token& t, bool negative);
  AstPtr prefix();
  AstPtr prefix_symbol(const Token& t);
  AstPtr prefix_word(const Token& t);

  AstPtr name();
  AstPtr collection(bool map);
  AstPtr row();
  AstPtr case_when();
  AstPtr interval();
  DataType type_name();
  AstPtr cast();
  AstPtr module_call();
  AstPtr call();
  AstPtr unit();
  bool trim_mode(std::string& name) const;

  std::string_view text_;
  std::vector<Token> tokens_;
  std::size_t at_ = 0, level_ = 0;
};

std::string lower_case(std::string_view ascii);

}  // namespace twinspan::engine
