#pragma once
// Values with how often each is there, ordered: what min, max and DISTINCT need where rows can be taken back. Counts
// may be below zero (a row is taken back in one part and counts in another); parts are merged by adding counts, and an
// entry whose count is zero is gone. A treap (Seidel, Aragon 1996) whose priorities are hashes of the entries, so the
// same content always has the same shape; O(log n) expected. Owned by a block. Thread: shard.

#include <cstdint>
#include <string_view>

#include "engine/aggregates/block_memory.h"

namespace twinspan::engine {

class Bag {
 public:
  void add(std::string_view entry, std::int64_t by, BlockMemory& memory);
  void merge(const Bag& from, BlockMemory& memory);
  void release(BlockMemory& memory);  // empty after that

  std::int64_t present() const { return present_; }  // entries with a count above zero
  std::int64_t entries() const { return entries_; }
  // The least and the greatest entry with a count above zero; present() must not be 0.
  std::string_view first() const { return find_end(root_, true)->entry(); }
  std::string_view last() const { return find_end(root_, false)->entry(); }

  template <class Visit>  // (entry, count), in order
  void for_each(Visit visit) const {
    each(root_, visit);
  }

 private:
  struct Node {
    Node *left, *right;
    std::int64_t count;
    std::uint32_t priority, size;
    std::string_view entry() const { return {reinterpret_cast<const char*>(this + 1), size}; }
  };
  static Node* make(std::string_view entry, std::int64_t count, std::uint32_t priority, BlockMemory& memory);
  static void split(Node* at, std::string_view entry, Node*& left, Node*& right);  // `entry` is not in `at`
  static Node* join(Node* left, Node* right);
  static const Node* find_end(const Node* at, bool first);
  static void release(Node* at, BlockMemory& memory);
  template <class Visit>
  static void each(const Node* at, Visit& visit) {
    if (at == nullptr) return;
    each(at->left, visit);
    visit(at->entry(), at->count);
    each(at->right, visit);
  }

  Node* root_;  // all zero: empty
  std::int64_t present_, entries_;
};

}  // namespace twinspan::engine
