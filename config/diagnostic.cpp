#include "config/diagnostic.h"

#include "engine/base/json_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <tuple>

namespace twinspan::config {

namespace {

constexpr std::size_t kExcerptWidth = 160;  // characters; a longer line is cut around the caret
constexpr std::size_t kQuotedWidth = 80;

// A line that does not parse may still hold a password: what follows `password:` and the like is covered by its name.
void cover_by_key(std::string& line) {
  static constexpr std::array<std::string_view, 4> kNames = {"password", "passphrase", "secret", "token"};
  std::string lower = line;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  for (const std::string_view name : kNames) {
    for (std::size_t at = lower.find(name); at != std::string::npos; at = lower.find(name, at + 1)) {
      if (at >= 2 && line.compare(at - 2, 2, "${") == 0) continue;
      std::size_t i = at + name.size();
      while (i < line.size() &&
             (std::isalnum(static_cast<unsigned char>(line[i])) || line[i] == '_' || line[i] == '"' || line[i] == '\''))
        ++i;
      while (i < line.size() && line[i] == ' ') ++i;
      if (i >= line.size() || line[i] != ':') continue;
      ++i;
      while (i < line.size() && (line[i] == ' ' || line[i] == '"' || line[i] == '\'')) ++i;
      if (line.compare(i, 2, "${") == 0 || (i < line.size() && line[i] == '{')) continue;
      const char quote = line[i - 1];
      const std::string_view stops = quote == '"' ? "\"" : quote == '\'' ? "'" : ",}";
      for (; i < line.size() && stops.find(line[i]) == std::string_view::npos; ++i) line[i] = '*';
    }
  }
}

const char* name(Severity severity) { return severity == Severity::error ? "error" : "warning"; }

}  // namespace

std::string in_quotes(std::string_view text) {
  std::string out = "'";
  std::size_t count = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if ((c & 0xC0) != 0x80 && ++count > kQuotedWidth) {
      out += "...";
      break;
    }
    out += c < 0x20 || c == 0x7F ? ' ' : text[i];
  }
  return out += '\'';
}

void Diagnostics::add(Diagnostic d) {
  const bool known = std::any_of(all_.begin(), all_.end(), [&](const Diagnostic& o) {
    return o.code == d.code && o.offset == d.offset && o.line == d.line && o.message == d.message && o.file == d.file;
  });
  if (known) return;
  if (d.severity == Severity::error) ++error_count_;
  if (all_.size() < kMaxKept) {
    all_.push_back(std::move(d));
  } else {
    ++dropped_;
  }
}

void Diagnostics::add_span(Severity severity, const std::shared_ptr<const SourceText>& source, std::size_t begin,
                           std::size_t end, std::string code, std::string message, std::string hint) {
  Diagnostic d;
  d.severity = severity;
  d.code = std::move(code);
  d.message = std::move(message);
  d.hint = std::move(hint);
  if (source) {
    begin = std::min(begin, source->text().size());
    const Position position = source->position(begin);
    const std::size_t line_end = source->line_begin(position.line) + source->line(position.line).size();
    end = std::min(end, std::max(line_end, begin));
    d.file = source->file();
    d.line = position.line;
    d.column = position.column;
    d.offset = begin;
    if (end > begin)
      d.length = static_cast<int>(count_characters(std::string_view(source->text()).substr(begin, end - begin)));
    d.source = source;
  }
  add(std::move(d));
}

void Diagnostics::error(const Origin& at, std::string code, std::string message, std::string hint) {
  // The whole scalar with its quotes; a block scalar is marked at its indicator.
  add_span(Severity::error, at.source, at.begin, at.scalar ? source_end(at) : at.begin + 1, std::move(code),
           std::move(message), std::move(hint));
}

void Diagnostics::warning(const Origin& at, std::string code, std::string message, std::string hint) {
  add_span(Severity::warning, at.source, at.begin, at.scalar ? source_end(at) : at.begin + 1, std::move(code),
           std::move(message), std::move(hint));
}

void Diagnostics::error_at(const Origin& at, std::size_t offset, std::size_t length, std::string code,
                           std::string message, std::string hint) {
  const std::size_t begin = source_offset(at, offset);
  const std::size_t last = length > 1 ? source_offset(at, offset + length - 1) : begin;
  add_span(Severity::error, at.source, begin, last + 1, std::move(code), std::move(message), std::move(hint));
}

void Diagnostics::error_in_file(const std::shared_ptr<const SourceText>& source, std::size_t offset, std::size_t length,
                                std::string code, std::string message, std::string hint) {
  add_span(Severity::error, source, offset, offset + length, std::move(code), std::move(message), std::move(hint));
}

void Diagnostics::hide(const Origin& secret) {
  if (secret) hidden_.push_back({secret.source, secret.begin, source_end(secret)});
}

bool Diagnostics::has_error_between(std::size_t begin, std::size_t end) const {
  return std::any_of(all_.begin(), all_.end(), [&](const Diagnostic& d) {
    return d.severity == Severity::error && d.line > 0 && d.offset >= begin && d.offset < end;
  });
}

std::string Diagnostics::excerpt(const Diagnostic& d) const {
  if (!d.source || d.line < 1) return {};
  std::string line(d.source->line(d.line));
  const std::size_t begin = d.source->line_begin(d.line);
  for (const Hidden& h : hidden_) {
    if (h.source != d.source) continue;
    for (std::size_t i = std::max(h.begin, begin); i < h.end && i - begin < line.size(); ++i) line[i - begin] = '*';
  }
  cover_by_key(line);

  // Cut to a window of characters around the caret; one character of text is one column of the caret line.
  std::vector<std::string> characters;
  for (const char c : line) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xC0) == 0x80 && !characters.empty()) {
      characters.back() += c;
    } else {
      characters.emplace_back(1, byte < 0x20 || byte == 0x7F ? ' ' : c);
    }
  }
  const std::size_t caret = static_cast<std::size_t>(d.column) - 1;
  const std::size_t first = caret > kExcerptWidth - 40 ? caret - (kExcerptWidth - 40) : 0;
  const std::size_t end = std::min(characters.size(), first + kExcerptWidth);
  std::string shown = first > 0 ? "..." : "";
  for (std::size_t i = first; i < end; ++i) shown += characters[i];
  if (end < characters.size()) shown += "...";
  const std::size_t pad = caret - first + (first > 0 ? 3 : 0);
  const std::size_t carets = std::max<std::size_t>(1, std::min<std::size_t>(d.length, end > caret ? end - caret : 1));
  const std::string number = std::to_string(d.line);
  return fmt::format(" {} | {}\n {} | {}{}\n", number, shown, std::string(number.size(), ' '), std::string(pad, ' '),
                     std::string(carets, '^'));
}

std::string Diagnostics::render(const Diagnostic& d) const {
  std::string out;
  if (!d.file.empty()) out += d.file + ':';
  if (d.line > 0) out += fmt::format("{}:{}:", d.line, d.column);
  if (!out.empty()) out += ' ';
  out += fmt::format("{}[{}]: {}\n", name(d.severity), d.code, d.message);
  out += excerpt(d);
  if (!d.hint.empty()) out += fmt::format("   = hint: {}\n", d.hint);
  return out;
}

std::vector<const Diagnostic*> Diagnostics::sorted() const {
  std::vector<const Diagnostic*> order;
  for (const Diagnostic& d : all_) order.push_back(&d);
  std::stable_sort(order.begin(), order.end(), [](const Diagnostic* a, const Diagnostic* b) {
    return std::tie(a->file, a->line, a->column) < std::tie(b->file, b->line, b->column);
  });
  return order;
}

std::string Diagnostics::render() const {
  std::string out;
  for (const Diagnostic* d : sorted()) out += render(*d);
  if (dropped_ > 0) out += fmt::format("and {} more\n", dropped_);
  return out;
}

std::string Diagnostics::to_json() const {
  std::string out = fmt::format("{{\"errors\":{},\"warnings\":{},\"diagnostics\":[", error_count_,
                                all_.size() + dropped_ - error_count_);
  const char* separator = "";
  for (const Diagnostic* d : sorted()) {
    out += fmt::format(
        "{}{{\"severity\":\"{}\",\"code\":{},\"message\":{},\"file\":{},\"line\":{},\"column\":{},\"length\":{},"
        "\"hint\":{}}}",
        separator, name(d->severity), json_string(d->code), json_string(d->message), json_string(d->file), d->line,
        d->column, d->length, json_string(d->hint));
    separator = ",";
  }
  return out + "]}";
}

}  // namespace twinspan::config
