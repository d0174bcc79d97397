#pragma once
// Errors and warnings about a document, all collected before anybody gives up, and how they are printed.
// Owned by whoever starts a parse; config and, for expressions, gateway add to it. Thread: one at a time.

#include "config/source_text.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace twinspan::config {

enum class Severity { error, warning };

struct Diagnostic {
  Severity severity = Severity::error;
  std::string code;  // "T0312"; the list is in config/README.md
  std::string message;
  std::string file;
  int line = 0;    // 1-based; 0 = the file as a whole
  int column = 0;  // 1-based, in characters
  int length = 1;  // characters under the caret, on this line
  std::string hint;
  std::size_t offset = 0;                    // byte offset in the file
  std::shared_ptr<const SourceText> source;  // for the excerpt
};

class Diagnostics {
 public:
  // At a whole scalar (or the first character of a map or list).
  void error(const Origin& at, std::string code, std::string message, std::string hint = {});
  void warning(const Origin& at, std::string code, std::string message, std::string hint = {});

  // At byte `offset` of a scalar's value, `length` bytes long: how errors inside an expression get their line and
  // column.
  void error_at(const Origin& at, std::size_t offset, std::size_t length, std::string code, std::string message,
                std::string hint = {});
  template <class T>
  void error_at(const Located<T>& at, std::size_t offset, std::size_t length, std::string code, std::string message,
                std::string hint = {}) {
    error_at(at.origin, offset, length, std::move(code), std::move(message), std::move(hint));
  }

  // At byte `offset` of the file itself (syntax errors).
  void error_in_file(const std::shared_ptr<const SourceText>& source, std::size_t offset, std::size_t length,
                     std::string code, std::string message, std::string hint = {});

  // What is written at this origin never appears in an excerpt.
  void hide(const Origin& secret);

  // The same complaint at the same place is kept once. After kMaxKept they are only counted: a hostile document must
  // not cost more to refuse than to read.
  void add(Diagnostic diagnostic);

  const std::vector<Diagnostic>& all() const { return all_; }
  bool has_errors() const { return error_count() > 0; }
  std::size_t error_count() const { return error_count_; }
  bool has_error_between(std::size_t begin, std::size_t end) const;  // byte offsets

  // In the order of the file: `file:line:col: error[T0201]: text`, the source line with carets, the hint.
  std::string render() const;
  std::string render(const Diagnostic& diagnostic) const;
  // {"errors": n, "warnings": n, "diagnostics": [{severity, code, message, file, line, column, length, hint}]}
  std::string to_json() const;

 private:
  struct Hidden {
    std::shared_ptr<const SourceText> source;
    std::size_t begin, end;
  };

  void add_span(Severity severity, const std::shared_ptr<const SourceText>& source, std::size_t begin, std::size_t end,
                std::string code, std::string message, std::string hint);
  std::string excerpt(const Diagnostic& diagnostic) const;
  std::vector<const Diagnostic*> sorted() const;

  static constexpr std::size_t kMaxKept = 500;

  std::vector<Diagnostic> all_;
  std::size_t error_count_ = 0;
  std::size_t dropped_ = 0;
  std::vector<Hidden> hidden_;
};

// Text of a document as it may appear in a message: in single quotes, shortened, control characters replaced.
std::string in_quotes(std::string_view text);

}  // namespace twinspan::config
