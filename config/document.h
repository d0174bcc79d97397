#pragma once
// The strict reader: text to our own tree, in which every key and value knows its place. yaml-cpp 0.7 does the syntax;
// what it lets through and we do not is refused here: duplicate keys, `<<`, anchors and aliases, tags, tabs, several
// documents, keys that are not plain names, and documents that are too large, too deep or have too many nodes. Scalars
// stay text: what `010` means is decided by the type of the field it is read into. Owned by the parse that made it; the
// tree does not change once references are resolved. Thread: any.

#include "config/diagnostic.h"
#include "config/secret.h"
#include "config/source_text.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace twinspan::config {

constexpr std::size_t kMaxDocumentBytes = 1 << 20;
constexpr int kMaxDepth = 64;
constexpr std::size_t kMaxNodes = 50'000;

enum class NodeKind { null, scalar, list, map };

struct MapEntry;

struct Node {
  NodeKind kind = NodeKind::null;
  Origin origin;                 // a null stands at its key
  Origin key;                    // where its key stands; empty for list items and the root
  std::size_t end = 0;           // byte offset past the last value inside
  std::optional<Secret> secret;  // the scalar is exactly `${secret:name}`
  bool unresolved = false;       // a reference in it could not be resolved, and that is reported
  std::vector<Node> items;
  std::vector<MapEntry> entries;

  // The value of a scalar; what is written for null (`NULL`, `~` or nothing); empty for maps and lists.
  const std::string& text() const;
  bool is_quoted() const;
  bool has_reference() const;  // a part of it was substituted
  const Node* find(std::string_view name) const;
  Located<std::string> located() const { return {text(), origin}; }
};

struct MapEntry {
  Located<std::string> name;
  Node value;
};

struct Document {
  std::shared_ptr<const SourceText> source;
  Node root;
};

// Nothing if the document cannot be read at all. Duplicate keys and the like are reported and reading goes on, so that
// the errors of the content come out together with them.
std::optional<Document> read_document(std::string text, std::string file, Diagnostics& diagnostics);

}  // namespace twinspan::config
