#pragma once
// The syntax tree of SQL scalar expressions, what the parser makes and what binding, aggregate splitting and explain
// read. Immutable and shared, so that rewriting a tree copies only the path to the change. Offsets and lengths are
// bytes of the parsed text, so an error can be shown with a caret inside the user's YAML. Thread: any.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "engine/base/types.h"

namespace twinspan::engine {

// Where a part of an expression was written, when that is not in its text: in a `let` or in the body of a function that
// the text uses. `source` is a number of whoever put the trees together; 0 = in the text itself.
struct ExprOrigin {
  std::uint32_t source = 0;
  std::size_t offset = 0, length = 0;
};

// One thing wrong with an expression. `offset` and `length` are bytes of the expression's text; `hint` may be empty.
struct ExprError {
  std::string message;
  std::size_t offset = 0, length = 0;
  std::string hint;
  ExprOrigin origin = {};
};
using ExprErrors = std::vector<ExprError>;

// A value, or everything that is wrong (at least one error). Reading the wrong side is a bug and throws
// bad_variant_access.
template <class T>
class ExprResult {
 public:
  ExprResult(T value) : v_(std::in_place_index<0>, std::move(value)) {}
  ExprResult(ExprErrors errors) : v_(std::in_place_index<1>, std::move(errors)) {}
  ExprResult(ExprError error) : v_(std::in_place_index<1>, ExprErrors{std::move(error)}) {}
  bool ok() const { return v_.index() == 0; }
  explicit operator bool() const { return ok(); }
  const T& value() const& { return std::get<0>(v_); }
  T&& value() && { return std::get<0>(std::move(v_)); }
  const T& operator*() const { return value(); }
  const T* operator->() const { return &value(); }
  const ExprErrors& errors() const { return std::get<1>(v_); }

 private:
  std::variant<T, ExprErrors> v_;
};

enum class AstKind : std::uint8_t {
  null_literal,
  bool_literal,       // number
  int_literal,        // number
  float_literal,      // text: as written
  decimal_literal,    // text: as written, with its sign
  string_literal,     // text: the value, unescaped
  timestamp_literal,  // number: ms
  interval_literal,   // number: ms
  column,             // text: name; qualifier
  negate,             // [x]
  arithmetic,         // [a, b]; text: + - * / %
  concat,             // [a, b, ...]; a || b || ...
  comparison,         // [a, b]; text: = <> < <= > >=
  logical_and,        // [a, b, ...]
  logical_or,         // [a, b, ...]
  logical_not,        // [x]
  in_list,            // [x, e1, ...]; negated
  between,            // [x, low, high]; negated
  like,               // [x, pattern, escape?]; negated
  is_null,            // [x]; negated
  is_true,            // [x]; negated
  is_false,           // [x]; negated
  is_distinct,        // [a, b]; negated = IS NOT DISTINCT FROM
  case_when,          // [operand?] when1 then1 ... [else?]; has_operand, has_else
  cast,               // [x]; type; safe = TRY_CAST
  call,               // [args...]; text: lower-case name; distinct, star, filter
  field,              // [x]; text: name of a field of a row, or a key of a map or json
  element,            // [x, index or key]
  array_literal,      // [elements...]
  map_literal,        // [key1, value1, ...]
  row_literal,        // [values...]; names
};

struct Ast;
using AstPtr = std::shared_ptr<const Ast>;

struct Ast {
  AstKind kind = AstKind::null_literal;
  std::size_t offset = 0, length = 0;  // bytes of the parsed text; of a part from elsewhere: where it is used
  ExprOrigin origin;                   // where such a part was written
  std::string text, qualifier;
  std::int64_t number = 0;
  DataType type;  // cast
  std::vector<AstPtr> children;
  std::vector<std::string> names;  // row_literal
  AstPtr filter;                   // call: FILTER (WHERE ...)
  bool negated = false, has_operand = false, has_else = false, safe = false, distinct = false, star = false;
  std::uint16_t depth = 1;  // of the tree below and including this node; the parser keeps it at or under kMaxExprDepth
  std::uint32_t size = 1;   // nodes of it; what is used twice counts twice
};

inline constexpr std::size_t kMaxExprBytes = 64 * 1024;
inline constexpr std::size_t kMaxExprDepth = 200;      // chains of AND, OR and || count once
inline constexpr std::size_t kMaxExprNodes = 100'000;  // once `let` and functions are put in

// Keywords are contextual: `end`, `order`, `timestamp`, `left` ... are names wherever a name can stand. Only TRUE,
// FALSE and NULL always need back-ticks.
ExprResult<AstPtr> parse_expression(std::string_view text);

// Canonical text: parses to an equal tree, and is equal for trees that mean the same up to blanks, letter case of
// keywords and functions, and superfluous parentheses. The identity for sharing, and what explain shows.
std::string to_string(const Ast& ast);

// Depth and size of a node from those of its children; to be called after they were changed.
void measure(Ast& ast);
// The error at this node.
ExprError error_at(const Ast& ast, std::string message, std::string hint = "");

// The tree with `f` applied to every child (and FILTER); the same tree when nothing changes.
template <class F>
AstPtr map_children(const AstPtr& ast, F&& f) {
  std::shared_ptr<Ast> copy;
  const auto own = [&]() -> Ast& {
    if (!copy) copy = std::make_shared<Ast>(*ast);
    return *copy;
  };
  for (std::size_t i = 0; i < ast->children.size(); ++i)
    if (AstPtr child = f(ast->children[i]); child != ast->children[i]) own().children[i] = std::move(child);
  if (ast->filter != nullptr)
    if (AstPtr filter = f(ast->filter); filter != ast->filter) own().filter = std::move(filter);
  if (!copy) return ast;
  measure(*copy);
  return copy;
}

// The same tree (spans aside).
inline bool same_expression(const Ast& a, const Ast& b) { return to_string(a) == to_string(b); }

}  // namespace twinspan::engine
