#include "config/document.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <sstream>
#include <unordered_map>

namespace twinspan::config {

const std::string& Node::text() const {
  static const std::string kEmpty;
  return origin.scalar && kind != NodeKind::list && kind != NodeKind::map ? origin.scalar->value : kEmpty;
}

bool Node::is_quoted() const { return kind == NodeKind::scalar && origin.scalar->style != ScalarStyle::plain; }

bool Node::has_reference() const { return kind == NodeKind::scalar && !origin.scalar->substitutions.empty(); }

const Node* Node::find(std::string_view name) const {
  for (const MapEntry& entry : entries) {
    if (entry.name.value == name) return &entry.value;
  }
  return nullptr;
}

namespace {

struct Refused {  // reported already; ends the reading
};

int parenthesis_balance(std::string_view text) {
  return static_cast<int>(std::count(text.begin(), text.end(), '(')) -
         static_cast<int>(std::count(text.begin(), text.end(), ')'));
}

// Receives yaml-cpp's events and builds the tree bottom-up.
class TreeBuilder final : public YAML::EventHandler {
 public:
  TreeBuilder(std::shared_ptr<const SourceText> source, Diagnostics& diagnostics)
      : source_(std::move(source)), diagnostics_(diagnostics) {}

  Node take_root() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) {
      fail(at(mark), 1, "T0111", "a second document begins here",
           "one file is one document: remove the '---' or split the file");
    }
  }
  void OnDocumentEnd() override {}

  void OnAnchor(const YAML::Mark& mark, const std::string& name) override {
    error(at(mark), name.size() + 1, "T0106", fmt::format("anchor {} is not allowed", in_quotes("&" + name)),
          "write the value out where it is used, or use params");
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    error(at(mark), 1, "T0106", "aliases are not allowed", "write the value out, or use params");
    add(null_node(at(mark)));
  }

  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { add(null_node(at(mark))); }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    const std::size_t begin = skip_properties(at(mark), tag, anchor);
    Scalar scalar;
    scalar.style = style_at(begin);
    scalar.raw = value;
    scalar.value = value;
    add(scalar_node(begin, std::move(scalar)));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value style) override {
    push(NodeKind::list, skip_properties(at(mark), tag, anchor), style == YAML::EmitterStyle::Flow);
  }
  void OnSequenceEnd() override {
    Frame frame = pop();
    if (frame.flow) join_items(frame.node.items);
    add(std::move(frame.node));
  }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override {
    push(NodeKind::map, skip_properties(at(mark), tag, anchor), style == YAML::EmitterStyle::Flow);
  }
  void OnMapEnd() override {
    Frame frame = pop();
    if (frame.flow) join_entries(frame.node.entries);
    check_keys(frame.node);
    add(std::move(frame.node));
  }

 private:
  struct Frame {
    Node node;
    bool flow = false;
    std::optional<Node> key;
  };

  const std::string& text() const { return source_->text(); }
  // Marks count bytes of the text without byte order mark, from 0.
  std::size_t at(const YAML::Mark& mark) const { return std::min<std::size_t>(std::max(mark.pos, 0), text().size()); }

  void error(std::size_t offset, std::size_t length, std::string code, std::string message, std::string hint) {
    diagnostics_.error_in_file(source_, offset, length, std::move(code), std::move(message), std::move(hint));
  }
  [[noreturn]] void fail(std::size_t offset, std::size_t length, std::string code, std::string message,
                         std::string hint) {
    error(offset, length, std::move(code), std::move(message), std::move(hint));
    throw Refused{};
  }

  // A tag (`!!str`) is refused; it and an anchor stand between the mark and the value.
  std::size_t skip_properties(std::size_t begin, const std::string& tag, YAML::anchor_t anchor) {
    const bool tagged =
        !tag.empty() && tag != "?" && begin < text().size() && (text()[begin] == '!' || (anchor != 0 && tag != "!"));
    if (tagged) error(begin, 1, "T0107", "tags are not allowed", "the type of a value follows from its key");
    while ((tagged || anchor != 0) && begin < text().size() && (text()[begin] == '!' || text()[begin] == '&')) {
      while (begin < text().size() && text()[begin] != ' ' && text()[begin] != '\n') ++begin;
      while (begin < text().size() && (text()[begin] == ' ' || text()[begin] == '\n')) ++begin;
    }
    return begin;
  }

  ScalarStyle style_at(std::size_t begin) const {
    switch (begin < text().size() ? text()[begin] : '\0') {
      case '\'': return ScalarStyle::single_quoted;
      case '"': return ScalarStyle::double_quoted;
      case '|': return ScalarStyle::literal;
      case '>': return ScalarStyle::folded;
      default: return ScalarStyle::plain;
    }
  }

  Node scalar_node(std::size_t begin, Scalar scalar) const {
    Node node;
    node.kind = NodeKind::scalar;
    node.origin = {source_, static_cast<std::uint32_t>(begin), std::make_shared<const Scalar>(std::move(scalar))};
    node.end = source_end(node.origin);
    return node;
  }

  Node null_node(std::size_t begin) const {
    Scalar scalar;
    for (const std::string_view word : {"~", "null", "Null", "NULL"}) {
      if (text().compare(begin, word.size(), word) == 0) scalar.raw = scalar.value = word;
    }
    Node node = scalar_node(begin, std::move(scalar));
    node.kind = NodeKind::null;
    return node;
  }

  void count(std::size_t offset) {
    if (++nodes_ > kMaxNodes) {
      fail(offset, 1, "T0110", fmt::format("the document has more than {} nodes", kMaxNodes),
           "split it into several pipelines");
    }
  }

  void push(NodeKind kind, std::size_t begin, bool flow) {
    count(begin);
    if (static_cast<int>(frames_.size()) >= kMaxDepth) {
      fail(begin, 1, "T0109", fmt::format("nested deeper than {} levels", kMaxDepth), {});
    }
    Frame frame;
    frame.node.kind = kind;
    frame.node.origin = {source_, static_cast<std::uint32_t>(begin), nullptr};
    frame.node.end = begin + 1;
    frame.flow = flow;
    frames_.push_back(std::move(frame));
  }

  Frame pop() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    return frame;
  }

  void add(Node node) {
    if (node.kind == NodeKind::scalar || node.kind == NodeKind::null) count(node.origin.begin);
    if (frames_.empty()) {
      root_ = std::move(node);
      return;
    }
    Frame& frame = frames_.back();
    if (frame.node.kind == NodeKind::list) {
      frame.node.end = std::max(frame.node.end, node.end);
      frame.node.items.push_back(std::move(node));
      return;
    }
    if (!frame.key) {
      if (node.kind != NodeKind::scalar && node.kind != NodeKind::null) {
        error(node.origin.begin, 1, "T0112", "a key must be a name, not a list or map", {});
      }
      frame.key = std::move(node);
      return;
    }
    Node& key = *frame.key;
    if (node.kind == NodeKind::null && node.origin.scalar->raw.empty()) {
      node.origin = key.origin;  // nothing is written: the key is the place to show
      node.origin.scalar = std::make_shared<const Scalar>();
      node.end = key.end;
    }
    node.key = key.origin;
    frame.node.end = std::max({frame.node.end, key.end, node.end});
    MapEntry entry;
    entry.name = key.located();
    entry.value = std::move(node);
    frame.node.entries.push_back(std::move(entry));
    frame.key.reset();
  }

  // Inside { } and [ ] YAML ends a plain value at a comma. `decimal(18,4)` and `coalesce(a, b)` are what people write,
  // so a comma inside open parentheses stays in the value; the broken pieces could not mean anything else.
  std::optional<Node> joined(std::size_t begin, std::size_t end) const {
    Scalar scalar;
    for (const char c : std::string_view(text()).substr(begin, end - begin)) {
      const bool space = c == ' ' || c == '\n' || c == '\r';
      if (space && (scalar.raw.empty() || scalar.raw.back() == ' ')) continue;
      scalar.raw += space ? ' ' : c;
    }
    scalar.value = scalar.raw;
    return scalar_node(begin, std::move(scalar));
  }

  static bool is_plain(const Node& node) { return node.kind == NodeKind::scalar && !node.is_quoted(); }

  void join_entries(std::vector<MapEntry>& entries) const {
    for (std::size_t i = 0; i < entries.size(); ++i) {
      Node& value = entries[i].value;
      int balance = is_plain(value) ? parenthesis_balance(value.text()) : 0;
      if (balance <= 0) continue;
      std::size_t j = i + 1;
      for (; j < entries.size() && balance > 0; ++j) {
        const MapEntry& piece = entries[j];
        if (piece.value.kind != NodeKind::null || !piece.value.text().empty() ||
            piece.name.origin.scalar->style != ScalarStyle::plain)
          break;
        balance += parenthesis_balance(piece.name.value);
      }
      if (balance != 0) continue;
      const Origin key = value.key;
      value = *joined(value.origin.begin, source_end(entries[j - 1].name.origin));
      value.key = key;
      entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                    entries.begin() + static_cast<std::ptrdiff_t>(j));
    }
  }

  void join_items(std::vector<Node>& items) const {
    for (std::size_t i = 0; i < items.size(); ++i) {
      int balance = is_plain(items[i]) ? parenthesis_balance(items[i].text()) : 0;
      if (balance <= 0) continue;
      std::size_t j = i + 1;
      for (; j < items.size() && balance > 0 && is_plain(items[j]); ++j)
        balance += parenthesis_balance(items[j].text());
      if (balance != 0) continue;
      items[i] = *joined(items[i].origin.begin, source_end(items[j - 1].origin));
      items.erase(items.begin() + static_cast<std::ptrdiff_t>(i) + 1, items.begin() + static_cast<std::ptrdiff_t>(j));
    }
  }

  void check_keys(const Node& map) {
    std::unordered_map<std::string_view, const Origin*> seen;
    for (const MapEntry& entry : map.entries) {
      const Origin& origin = entry.name.origin;
      if (!origin.scalar) continue;  // reported as T0112
      if (entry.name.value == "<<" && origin.scalar->style == ScalarStyle::plain) {
        diagnostics_.error(origin, "T0105", "merge keys ('<<') are not allowed", "write the keys out, or use params");
        continue;
      }
      const auto [first, is_new] = seen.emplace(entry.name.value, &origin);
      if (!is_new) {
        diagnostics_.error(
            origin, "T0104", fmt::format("key {} is given twice", in_quotes(entry.name.value)),
            fmt::format("the first is on line {}; keep one", source_->position(first->second->begin).line));
      }
    }
  }

  std::shared_ptr<const SourceText> source_;
  Diagnostics& diagnostics_;
  std::vector<Frame> frames_;
  Node root_;
  std::size_t nodes_ = 0;
  int documents_ = 0;
};

// Byte offset of the first byte that is not UTF-8 or is a control character; npos if none.
std::size_t find_bad_byte(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    if ((c < 0x20 && c != '\n' && c != '\r' && c != '\t') || c == 0x7F) return i;
    const std::size_t length = c < 0x80                ? 1
                               : c >= 0xC2 && c < 0xE0 ? 2
                               : (c & 0xF0) == 0xE0    ? 3
                               : c >= 0xF0 && c < 0xF5 ? 4
                                                       : 0;
    if (length == 0 || i + length > text.size()) return i;
    for (std::size_t j = 1; j < length; ++j) {
      if ((static_cast<unsigned char>(text[i + j]) & 0xC0) != 0x80) return i;
    }
    const auto second = length > 1 ? static_cast<unsigned char>(text[i + 1]) : 0;
    const bool overlong = (c == 0xE0 && second < 0xA0) || (c == 0xF0 && second < 0x90);
    const bool surrogate_or_beyond = (c == 0xED && second > 0x9F) || (c == 0xF4 && second > 0x8F);
    if (overlong || surrogate_or_beyond) return i;
    i += length;
  }
  return std::string_view::npos;
}

bool refuse_characters(const std::shared_ptr<const SourceText>& source, Diagnostics& diagnostics) {
  if (const std::size_t bad = find_bad_byte(source->text()); bad != std::string_view::npos) {
    diagnostics.error_in_file(
        source, bad, 1, "T0102",
        fmt::format("byte 0x{:02x} is not allowed here", static_cast<unsigned char>(source->text()[bad])),
        "the file must be UTF-8 text without control characters");
    return true;
  }
  bool tabs = false;
  for (int line = 1; line <= source->line_count(); ++line) {
    const std::string_view text = source->line(line);
    const std::size_t tab = std::min(text.find_first_not_of(' '), text.size());
    if (tab < text.size() && text[tab] == '\t') {
      diagnostics.error_in_file(source, source->line_begin(line) + tab, 1, "T0103", "a tab in the indentation",
                                "indent with spaces");
      tabs = true;
    }
  }
  return tabs;
}

std::string syntax_hint(std::string_view message, std::string_view line) {
  const std::size_t value = line.find(": ");
  const std::size_t first = value == std::string_view::npos ? value : line.find_first_not_of(' ', value + 2);
  if (first != std::string_view::npos && (line[first] == '\'' || line[first] == '"')) {
    return "a value that begins with a quote must end with it: put the whole value into double quotes";
  }
  if (message.find("flow") != std::string_view::npos) {
    return "a '{' or '[' is not closed, or a value inside it has quotes or a comma and needs quoting as a whole";
  }
  if (message.find("anchor") != std::string_view::npos || message.find("alias") != std::string_view::npos) {
    return "a value that begins with * or & needs quotes";
  }
  if (message.find("map") != std::string_view::npos)
    return "check the indentation, and quote a value that contains ': '";
  return "quote a value that begins with a special character or contains ': ' or ' #'";
}

}  // namespace

std::optional<Document> read_document(std::string text, std::string file, Diagnostics& diagnostics) {
  if (text.size() > kMaxDocumentBytes) {
    Diagnostic d;
    d.code = "T0108";
    d.message = fmt::format("the document has {} bytes, more than {}", text.size(), kMaxDocumentBytes);
    d.file = std::move(file);
    diagnostics.add(std::move(d));
    return std::nullopt;
  }
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  const auto source = std::make_shared<const SourceText>(std::move(file), std::move(text));
  if (refuse_characters(source, diagnostics)) return std::nullopt;

  TreeBuilder builder(source, diagnostics);
  try {
    std::istringstream in(source->text());
    YAML::Parser parser(in);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const Refused&) {
    return std::nullopt;
  } catch (const YAML::Exception& e) {
    const std::size_t offset = e.mark.is_null() ? 0 : static_cast<std::size_t>(std::max(e.mark.pos, 0));
    diagnostics.error_in_file(source, offset, 1, "T0101", "YAML: " + e.msg,
                              syntax_hint(e.msg, source->line(source->position(offset).line)));
    return std::nullopt;
  }

  Document document{source, builder.take_root()};
  if (document.root.kind != NodeKind::map) {
    diagnostics.error_in_file(
        source, document.root.origin.begin, 1, "T0113",
        document.root.kind == NodeKind::null ? "the document is empty" : "the document must be a map of keys",
        "start with 'version: 1' for a pipeline, 'clusters:' for a service file");
    return std::nullopt;
  }
  return document;
}

}  // namespace twinspan::config
