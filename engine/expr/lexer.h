#pragma once
// Splits the text of an expression into tokens. Words are not classified: the parser decides from the position whether
// one is a keyword. Owned by the parser. Thread: any.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/expr/ast.h"

namespace twinspan::engine {

enum class TokenKind : std::uint8_t { end, word, quoted_name, integer, decimal, real, string, symbol };

struct Token {
  TokenKind kind = TokenKind::end;
  std::size_t offset = 0, length = 0;
  std::string text;  // word: as written; quoted_name, string: unescaped; symbol: canonical (<> for !=)

  bool is(std::string_view symbol) const { return kind == TokenKind::symbol && text == symbol; }
  bool word(std::string_view upper) const;  // an unquoted word, any letter case
};

// The tokens, the last of kind `end`. Comments are -- to the end of the line and /* */.
ExprResult<std::vector<Token>> tokenize(std::string_view text);

}  // namespace twinspan::engine
