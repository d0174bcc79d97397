#include "engine/aggregates/bag.h"

#include <xxhash.h>

namespace twinspan::engine {

Bag::Node* Bag::make(std::string_view entry, std::int64_t count, std::uint32_t priority, BlockMemory& memory) {
  const auto size = static_cast<std::uint32_t>(entry.size());
  Node* n = new (memory.take(sizeof(Node) + size)) Node{nullptr, nullptr, count, priority, size};
  if (size != 0) std::memcpy(reinterpret_cast<char*>(n + 1), entry.data(), size);
  return n;
}

void Bag::split(Node* at, std::string_view entry, Node*& left, Node*& right) {
  Node **l = &left, **r = &right;
  while (at != nullptr) {
    if (at->entry() < entry) {
      *l = at;
      l = &at->right;
      at = at->right;
    } else {
      *r = at;
      r = &at->left;
      at = at->left;
    }
  }
  *l = *r = nullptr;
}

Bag::Node* Bag::join(Node* left, Node* right) {
  Node* root = nullptr;
  Node** to = &root;
  while (left != nullptr && right != nullptr) {
    if (left->priority >= right->priority) {
      *to = left;
      to = &left->right;
      left = left->right;
    } else {
      *to = right;
      to = &right->left;
      right = right->left;
    }
  }
  *to = left != nullptr ? left : right;
  return root;
}

void Bag::add(std::string_view entry, std::int64_t by, BlockMemory& memory) {
  if (by == 0) return;
  const auto priority = static_cast<std::uint32_t>(XXH3_64bits(entry.data(), entry.size()));
  Node** at = &root_;
  // Where the entry is, or stands between nodes of higher and lower priority; one of the same priority may be it.
  while (*at != nullptr && (*at)->priority >= priority) {
    Node* n = *at;
    const int order = entry.compare(n->entry());
    if (order == 0) {
      present_ -= n->count > 0 ? 1 : 0;
      n->count += by;
      present_ += n->count > 0 ? 1 : 0;
      if (n->count == 0) {
        *at = join(n->left, n->right);
        memory.give(n, sizeof(Node) + n->size);
        --entries_;
      }
      return;
    }
    at = order < 0 ? &n->left : &n->right;
  }
  Node* n = make(entry, by, priority, memory);
  split(*at, entry, n->left, n->right);
  *at = n;
  ++entries_;
  present_ += by > 0 ? 1 : 0;
}

void Bag::merge(const Bag& from, BlockMemory& memory) {
  from.for_each([&](std::string_view entry, std::int64_t count) { add(entry, count, memory); });
}

const Bag::Node* Bag::find_end(const Node* at, bool first) {
  if (at == nullptr) return nullptr;
  if (const Node* n = find_end(first ? at->left : at->right, first)) return n;
  return at->count > 0 ? at : find_end(first ? at->right : at->left, first);
}

void Bag::release(Node* at, BlockMemory& memory) {
  if (at == nullptr) return;
  release(at->left, memory);
  release(at->right, memory);
  memory.give(at, sizeof(Node) + at->size);
}

void Bag::release(BlockMemory& memory) {
  release(root_, memory);
  root_ = nullptr;
  present_ = entries_ = 0;
}

}  // namespace twinspan::engine
