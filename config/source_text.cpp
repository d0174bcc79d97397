#include "config/source_text.h"

#include <algorithm>

namespace twinspan::config {

namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// Bytes of source and bytes of value that one escape of a double-quoted scalar takes.
struct Escape {
  std::size_t source = 2;
  std::size_t value = 1;
};

Escape measure_escape(std::string_view text, std::size_t at) {
  if (at + 1 >= text.size()) return {1, 1};
  std::size_t digits = 0;
  switch (text[at + 1]) {
    case 'x': digits = 2; break;
    case 'u': digits = 4; break;
    case 'U': digits = 8; break;
    case 'N':
    case '_': return {2, 2};  // U+0085, U+00A0
    case 'L':
    case 'P': return {2, 3};  // U+2028, U+2029
    default: return {2, 1};
  }
  std::uint32_t point = 0;
  for (std::size_t i = 0; i < digits && at + 2 + i < text.size(); ++i) {
    const char c = text[at + 2 + i];
    const std::uint32_t digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
    point = point * 16 + digit;
  }
  return {2 + digits, point < 0x80 ? 1u : point < 0x800 ? 2u : point < 0x10000 ? 3u : 4u};
}

}  // namespace

SourceText::SourceText(std::string file, std::string text) : file_(std::move(file)), text_(std::move(text)) {
  line_begins_.push_back(0);
  for (std::size_t i = 0; i < text_.size(); ++i) {
    if (text_[i] == '\n') line_begins_.push_back(i + 1);
  }
}

std::size_t count_characters(std::string_view utf8) {
  return static_cast<std::size_t>(
      std::count_if(utf8.begin(), utf8.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

Position SourceText::position(std::size_t offset) const {
  offset = std::min(offset, text_.size());
  const auto next = std::upper_bound(line_begins_.begin(), line_begins_.end(), offset);
  const int line = static_cast<int>(next - line_begins_.begin());
  const std::size_t begin = line_begins_[line - 1];
  return {line, static_cast<int>(count_characters(std::string_view(text_).substr(begin, offset - begin))) + 1};
}

std::size_t SourceText::line_begin(int number) const {
  return number >= 1 && number <= line_count() ? line_begins_[number - 1] : text_.size();
}

std::string_view SourceText::line(int number) const {
  if (number < 1 || number > line_count()) return {};
  const std::size_t begin = line_begins_[number - 1];
  std::size_t end = number < line_count() ? line_begins_[number] - 1 : text_.size();
  if (end > begin && text_[end - 1] == '\r') --end;
  return std::string_view(text_).substr(begin, end - begin);
}

// Value and source hold the same characters in the same order, apart from white space (folding, indentation) and
// quoting. So walking both in step, with white space skipped in the source wherever the value has something else, is
// exact.
std::size_t align_scalar(std::string_view text, std::size_t begin, ScalarStyle style, std::string_view raw,
                         std::size_t offset) {
  std::size_t at = begin;
  if (style == ScalarStyle::single_quoted || style == ScalarStyle::double_quoted) ++at;
  if (style == ScalarStyle::literal || style == ScalarStyle::folded) {
    while (at < text.size() && text[at] != '\n') ++at;  // the header: | > and its indicators
  }
  std::size_t last_end = at;
  for (std::size_t i = 0; i < raw.size();) {
    if (style == ScalarStyle::double_quoted && at < text.size() && text[at] == '\\') {
      if (at + 1 < text.size() &&
          (text[at + 1] == '\n' || text[at + 1] == '\r')) {  // an escaped line end is no character
        at += 2;
        while (at < text.size() && is_space(text[at])) ++at;
        continue;
      }
      const Escape escape = measure_escape(text, at);
      if (offset < i + escape.value) return at;
      at += escape.source;
      i += escape.value;
      last_end = at;
      continue;
    }
    if (is_space(raw[i])) {
      if (i == offset) return at;
      if (at < text.size() && is_space(text[at])) ++at;
      ++i;
      continue;
    }
    while (at < text.size() && is_space(text[at])) ++at;
    if (style == ScalarStyle::double_quoted && at < text.size() && text[at] == '\\') continue;
    if (i == offset) return at;
    at += style == ScalarStyle::single_quoted && raw[i] == '\'' ? 2 : 1;
    ++i;
    last_end = at;
  }
  return std::min(last_end, text.size());
}

std::size_t source_offset(const Origin& origin, std::size_t offset) {
  if (!origin.source || !origin.scalar) return origin.begin;
  const Scalar& scalar = *origin.scalar;
  std::size_t raw_offset = offset;
  for (const Substitution& s : scalar.substitutions) {
    if (offset < s.begin) break;
    // The end of an empty substitution is its begin: what follows is text again.
    raw_offset = offset < s.end ? s.raw_begin : s.raw_end + (offset - s.end);
  }
  return align_scalar(origin.source->text(), origin.begin, scalar.style, scalar.raw, raw_offset);
}

std::size_t source_end(const Origin& origin) {
  if (!origin.source || !origin.scalar) return origin.begin;
  const Scalar& scalar = *origin.scalar;
  return align_scalar(origin.source->text(), origin.begin, scalar.style, scalar.raw, scalar.raw.size());
}

}  // namespace twinspan::config
