#pragma once
// Where things stand in a file: the text with its line index, and the origin of every scalar, so that an error found
// long after reading (in an expression, in a graph check) still points at the right column. Immutable and shared by the
// values read from it. Thread: any.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace twinspan::config {

struct Position {
  int line = 0;    // 1-based; 0 = no position
  int column = 0;  // 1-based, counted in characters (code points), as editors do
};

class SourceText {
 public:
  SourceText(std::string file, std::string text);

  const std::string& file() const { return file_; }
  const std::string& text() const { return text_; }
  Position position(std::size_t offset) const;
  std::string_view line(int number) const;   // without its line end
  std::size_t line_begin(int number) const;  // byte offset
  int line_count() const { return static_cast<int>(line_begins_.size()); }

 private:
  std::string file_;
  std::string text_;
  std::vector<std::size_t> line_begins_;
};

std::size_t count_characters(std::string_view utf8);

enum class ScalarStyle { plain, single_quoted, double_quoted, literal, folded };

// `${param:day}` at [raw_begin, raw_end) of the written text became [begin, end) of the value.
struct Substitution {
  std::uint32_t raw_begin = 0, raw_end = 0;
  std::uint32_t begin = 0, end = 0;
};

struct Scalar {
  ScalarStyle style = ScalarStyle::plain;
  std::string raw;    // as YAML reads it
  std::string value;  // references resolved
  std::vector<Substitution> substitutions;
};

// The place of a value: file, byte offset of its first byte, and for scalars what is needed to map an offset inside the
// value back to the file. An empty origin (no source) belongs to a default.
struct Origin {
  std::shared_ptr<const SourceText> source;
  std::uint32_t begin = 0;
  std::shared_ptr<const Scalar> scalar;  // null for maps and lists

  explicit operator bool() const { return source != nullptr; }
};

// Byte offset in the file of byte `offset` of the scalar's value. Exact for every character that is not white space, in
// all five styles (escapes, folded lines and block indentation included); inside a substituted reference it is the `$`.
std::size_t source_offset(const Origin& origin, std::size_t offset);
// One past the last character of the scalar, without its closing quote.
std::size_t source_end(const Origin& origin);

// The same mapping on a scalar that has no origin yet: [begin of the scalar, text as read].
std::size_t align_scalar(std::string_view text, std::size_t begin, ScalarStyle style, std::string_view raw,
                         std::size_t offset);

// A value and the place it was written.
template <class T>
struct Located {
  T value{};
  Origin origin;

  Located() = default;
  Located(T v, Origin o) : value(std::move(v)), origin(std::move(o)) {}
  const T& operator*() const { return value; }
  const T* operator->() const { return &value; }
};

}  // namespace twinspan::config
