#pragma once
// Rows of one key (or rows that wait for something) ordered by (time, sequence): a B+ tree that also knows the smallest
// sequence below every child, so that "the first by arrival within a time range" costs O(log n) like everything else.
// In-order inserts fill leaves completely; leaves are freed when empty, never merged (entries leave from the front
// anyway). Owner: JoinSide (hot keys), JoinWaiting. Thread: shard.

#include <cstddef>
#include <cstdint>

#include "engine/base/ids.h"
#include "engine/operators/join_log.h"

namespace twinspan::engine {

class TimeTree {
 public:
  struct Entry {
    EventTime time = 0;
    std::uint64_t sequence = 0;
    RowAddress address = 0;
  };

  static constexpr std::uint64_t kLastSequence = ~std::uint64_t{0};

  TimeTree() = default;
  ~TimeTree() { clear(); }
  TimeTree(const TimeTree&) = delete;
  TimeTree& operator=(const TimeTree&) = delete;

  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  std::size_t bytes() const { return bytes_; }

  void insert(const Entry& entry);                     // (time, sequence) must be new
  bool erase(EventTime time, std::uint64_t sequence);  // false: was not there
  bool move(EventTime time, std::uint64_t sequence, RowAddress to);
  // Drops entries up to (time, sequence), both included, at most `fuel` leaves of them; true when none is left.
  bool drop_through(EventTime time, std::uint64_t sequence, std::size_t fuel);
  bool drop_through(EventTime horizon, std::size_t fuel) { return drop_through(horizon, kLastSequence, fuel); }
  void clear();

  const Entry& first() const;  // not when empty
  // The entry with the smallest sequence among low <= time <= high; nullptr: none.
  const Entry* earliest_arrival(EventTime low, EventTime high) const;
  // Calls f(entry) for low <= time <= high in order. f must not change the tree.
  template <class F>
  void scan(EventTime low, EventTime high, F&& f) const {
    scan_while(low, 0, high, [&](const Entry& e) {
      f(e);
      return true;
    });
  }
  // The same from (low, sequence) on, until f returns false.
  template <class F>
  void scan_while(EventTime low, std::uint64_t sequence, EventTime high, F&& f) const {
    if (root_ != nullptr && low <= high) scan_node(root_, low, sequence, high, f);
  }

 private:
  static constexpr unsigned kLeaf = 64, kInner = 32;
  struct Node {
    bool leaf;
    std::uint16_t n = 0;
  };
  struct Leaf : Node {
    Entry entries[kLeaf];
  };
  struct Inner : Node {
    // Lower bounds of the children (exact when written, may be too low after an erase), and what they hold.
    EventTime time[kInner];
    std::uint64_t sequence[kInner];
    std::uint64_t earliest[kInner];
    Node* child[kInner];
  };
  struct Split {
    Node* right = nullptr;
    EventTime time = 0;
    std::uint64_t sequence = 0;
  };
  struct Best {
    std::uint64_t sequence = ~std::uint64_t{0};
    const Node* node = nullptr;    // a whole subtree that holds it
    const Entry* entry = nullptr;  // or the entry itself
  };

  static bool less(EventTime at, std::uint64_t as, EventTime bt, std::uint64_t bs) {
    return at < bt || (at == bt && as < bs);
  }
  static unsigned child_of(const Inner* node, EventTime time, std::uint64_t sequence);
  static unsigned lower_bound(const Leaf* leaf, EventTime time, std::uint64_t sequence);
  static std::uint64_t earliest_of(const Node* node);
  static void set(Inner* inner, unsigned i, Node* child);
  Leaf* new_leaf();
  Inner* new_inner();
  void free_node(Node* node);
  void free_tree(Node* node);
  Split insert(Node* node, const Entry& entry);
  Split insert_leaf(Leaf* leaf, const Entry& entry);
  bool erase(Node* node, EventTime time, std::uint64_t sequence, bool& found);
  bool drop(Node* node, EventTime time, std::uint64_t sequence, std::size_t& fuel);
  void shrink_root();
  static void find_best(const Node* node, EventTime low, EventTime high, EventTime node_high, Best& best);

  template <class F>
  static bool scan_node(const Node* node, EventTime low, std::uint64_t sequence, EventTime high, F& f) {
    if (node->leaf) {
      const auto* leaf = static_cast<const Leaf*>(node);
      for (unsigned i = lower_bound(leaf, low, sequence); i < leaf->n && leaf->entries[i].time <= high; ++i) {
        if (!f(leaf->entries[i])) return false;
      }
      return true;
    }
    const auto* inner = static_cast<const Inner*>(node);
    for (unsigned i = child_of(inner, low, sequence); i < inner->n; ++i) {
      if (i > 0 && inner->time[i] > high) break;
      if (!scan_node(inner->child[i], low, sequence, high, f)) return false;
    }
    return true;
  }

  Node* root_ = nullptr;
  std::size_t size_ = 0, bytes_ = 0;
};

}  // namespace twinspan::engine
