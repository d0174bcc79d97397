#include "engine/operators/join_time_tree.h"

#include <algorithm>
#include <cstring>

namespace twinspan::engine {

TimeTree::Leaf* TimeTree::new_leaf() {
  auto* leaf = new Leaf;
  leaf->leaf = true;
  leaf->n = 0;
  bytes_ += sizeof(Leaf);
  return leaf;
}

TimeTree::Inner* TimeTree::new_inner() {
  auto* inner = new Inner;
  inner->leaf = false;
  inner->n = 0;
  bytes_ += sizeof(Inner);
  return inner;
}

void TimeTree::free_node(Node* node) {
  if (node->leaf) {
    bytes_ -= sizeof(Leaf);
    delete static_cast<Leaf*>(node);
  } else {
    bytes_ -= sizeof(Inner);
    delete static_cast<Inner*>(node);
  }
}

void TimeTree::free_tree(Node* node) {
  if (!node->leaf) {
    auto* inner = static_cast<Inner*>(node);
    for (unsigned i = 0; i < inner->n; ++i) free_tree(inner->child[i]);
  }
  free_node(node);
}

void TimeTree::clear() {
  if (root_ != nullptr) free_tree(root_);
  root_ = nullptr;
  size_ = 0;
}

// The last child whose lower bound is <= (time, sequence); the first one takes everything smaller.
unsigned TimeTree::child_of(const Inner* node, EventTime time, std::uint64_t sequence) {
  unsigned low = 0, high = node->n;
  while (high - low > 1) {
    const unsigned middle = (low + high) / 2;
    if (less(time, sequence, node->time[middle], node->sequence[middle]))
      high = middle;
    else
      low = middle;
  }
  return low;
}

unsigned TimeTree::lower_bound(const Leaf* leaf, EventTime time, std::uint64_t sequence) {
  unsigned low = 0, high = leaf->n;
  while (low < high) {
    const unsigned middle = (low + high) / 2;
    const Entry& e = leaf->entries[middle];
    if (less(e.time, e.sequence, time, sequence))
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

std::uint64_t TimeTree::earliest_of(const Node* node) {
  std::uint64_t earliest = ~std::uint64_t{0};
  if (node->leaf) {
    const auto* leaf = static_cast<const Leaf*>(node);
    for (unsigned i = 0; i < leaf->n; ++i) earliest = std::min(earliest, leaf->entries[i].sequence);
  } else {
    const auto* inner = static_cast<const Inner*>(node);
    for (unsigned i = 0; i < inner->n; ++i) earliest = std::min(earliest, inner->earliest[i]);
  }
  return earliest;
}

void TimeTree::set(Inner* inner, unsigned i, Node* child) {
  inner->child[i] = child;
  inner->earliest[i] = earliest_of(child);
}

void TimeTree::insert(const Entry& entry) {
  if (root_ == nullptr) root_ = new_leaf();
  const Split split = insert(root_, entry);
  ++size_;
  if (split.right == nullptr) return;
  Inner* inner = new_inner();
  inner->n = 2;
  inner->time[0] = kMinTime;
  inner->sequence[0] = 0;
  set(inner, 0, root_);
  inner->time[1] = split.time;
  inner->sequence[1] = split.sequence;
  set(inner, 1, split.right);
  root_ = inner;
}

TimeTree::Split TimeTree::insert_leaf(Leaf* leaf, const Entry& entry) {
  unsigned at = lower_bound(leaf, entry.time, entry.sequence);
  Split split;
  if (leaf->n == kLeaf) {
    Leaf* right = new_leaf();
    const unsigned keep = at == kLeaf ? kLeaf : kLeaf / 2;  // in-order arrival: leave the full leaf full
    right->n = static_cast<std::uint16_t>(kLeaf - keep);
    std::copy_n(leaf->entries + keep, right->n, right->entries);
    leaf->n = static_cast<std::uint16_t>(keep);
    if (at >= keep) {
      at -= keep;
      leaf = right;
    }
    split.right = right;
  }
  std::copy_backward(leaf->entries + at, leaf->entries + leaf->n, leaf->entries + leaf->n + 1);
  leaf->entries[at] = entry;
  ++leaf->n;
  if (split.right != nullptr) {
    const Entry& first = static_cast<Leaf*>(split.right)->entries[0];
    split.time = first.time;
    split.sequence = first.sequence;
  }
  return split;
}

TimeTree::Split TimeTree::insert(Node* node, const Entry& entry) {
  if (node->leaf) return insert_leaf(static_cast<Leaf*>(node), entry);
  auto* inner = static_cast<Inner*>(node);
  const unsigned at = child_of(inner, entry.time, entry.sequence);
  if (less(entry.time, entry.sequence, inner->time[at], inner->sequence[at])) {  // at is 0: keep it a lower bound
    inner->time[at] = entry.time;
    inner->sequence[at] = entry.sequence;
  }
  const Split below = insert(inner->child[at], entry);
  if (below.right == nullptr) {
    inner->earliest[at] = std::min(inner->earliest[at], entry.sequence);
    return {};
  }
  set(inner, at, inner->child[at]);
  unsigned to = at + 1;
  Split split;
  if (inner->n == kInner) {
    Inner* right = new_inner();
    const unsigned keep = to == kInner ? kInner : kInner / 2;
    right->n = static_cast<std::uint16_t>(kInner - keep);
    std::copy_n(inner->time + keep, right->n, right->time);
    std::copy_n(inner->sequence + keep, right->n, right->sequence);
    std::copy_n(inner->earliest + keep, right->n, right->earliest);
    std::copy_n(inner->child + keep, right->n, right->child);
    inner->n = static_cast<std::uint16_t>(keep);
    if (to > keep || keep == kInner) {
      to -= keep;
      inner = right;
    }
    split.right = right;
  }
  const unsigned n = inner->n;
  std::copy_backward(inner->time + to, inner->time + n, inner->time + n + 1);
  std::copy_backward(inner->sequence + to, inner->sequence + n, inner->sequence + n + 1);
  std::copy_backward(inner->earliest + to, inner->earliest + n, inner->earliest + n + 1);
  std::copy_backward(inner->child + to, inner->child + n, inner->child + n + 1);
  inner->time[to] = below.time;
  inner->sequence[to] = below.sequence;
  set(inner, to, below.right);
  ++inner->n;
  if (split.right != nullptr) {
    split.time = static_cast<Inner*>(split.right)->time[0];
    split.sequence = static_cast<Inner*>(split.right)->sequence[0];
  }
  return split;
}

void TimeTree::shrink_root() {
  while (root_ != nullptr && !root_->leaf && root_->n == 1) {
    Node* only = static_cast<Inner*>(root_)->child[0];
    free_node(root_);
    root_ = only;
  }
}

// True when the node is empty now.
bool TimeTree::erase(Node* node, EventTime time, std::uint64_t sequence, bool& found) {
  if (node->leaf) {
    auto* leaf = static_cast<Leaf*>(node);
    const unsigned at = lower_bound(leaf, time, sequence);
    found = at < leaf->n && leaf->entries[at].time == time && leaf->entries[at].sequence == sequence;
    if (!found) return false;
    std::copy(leaf->entries + at + 1, leaf->entries + leaf->n, leaf->entries + at);
    return --leaf->n == 0;
  }
  auto* inner = static_cast<Inner*>(node);
  const unsigned at = child_of(inner, time, sequence);
  if (erase(inner->child[at], time, sequence, found)) {
    free_node(inner->child[at]);
    std::copy(inner->time + at + 1, inner->time + inner->n, inner->time + at);
    std::copy(inner->sequence + at + 1, inner->sequence + inner->n, inner->sequence + at);
    std::copy(inner->earliest + at + 1, inner->earliest + inner->n, inner->earliest + at);
    std::copy(inner->child + at + 1, inner->child + inner->n, inner->child + at);
    return --inner->n == 0;
  }
  if (found && inner->earliest[at] == sequence) inner->earliest[at] = earliest_of(inner->child[at]);
  return false;
}

bool TimeTree::erase(EventTime time, std::uint64_t sequence) {
  if (root_ == nullptr) return false;
  bool found = false;
  if (erase(root_, time, sequence, found)) {
    free_node(root_);
    root_ = nullptr;
  }
  if (found) --size_;
  shrink_root();
  return found;
}

bool TimeTree::move(EventTime time, std::uint64_t sequence, RowAddress to) {
  Node* node = root_;
  if (node == nullptr) return false;
  while (!node->leaf) {
    auto* inner = static_cast<Inner*>(node);
    node = inner->child[child_of(inner, time, sequence)];
  }
  auto* leaf = static_cast<Leaf*>(node);
  const unsigned at = lower_bound(leaf, time, sequence);
  if (at == leaf->n || leaf->entries[at].time != time || leaf->entries[at].sequence != sequence) return false;
  leaf->entries[at].address = to;
  return true;
}

// True when the node is empty now.
bool TimeTree::drop(Node* node, EventTime time, std::uint64_t sequence, std::size_t& fuel) {
  if (node->leaf) {
    auto* leaf = static_cast<Leaf*>(node);
    unsigned dead = 0;
    while (dead < leaf->n && !less(time, sequence, leaf->entries[dead].time, leaf->entries[dead].sequence)) ++dead;
    if (dead == 0) return false;
    --fuel;
    size_ -= dead;
    std::copy(leaf->entries + dead, leaf->entries + leaf->n, leaf->entries);
    leaf->n = static_cast<std::uint16_t>(leaf->n - dead);
    return leaf->n == 0;
  }
  auto* inner = static_cast<Inner*>(node);
  unsigned gone = 0;
  bool more = true;
  while (gone < inner->n && fuel > 0 && more) {
    if (drop(inner->child[gone], time, sequence, fuel)) {
      free_node(inner->child[gone]);
      ++gone;
    } else {
      more = false;
    }
  }
  const unsigned left = inner->n - gone;
  if (gone > 0) {
    std::copy_n(inner->time + gone, left, inner->time);
    std::copy_n(inner->sequence + gone, left, inner->sequence);
    std::copy_n(inner->earliest + gone, left, inner->earliest);
    std::copy_n(inner->child + gone, left, inner->child);
    inner->n = static_cast<std::uint16_t>(left);
  }
  if (left > 0) inner->earliest[0] = earliest_of(inner->child[0]);
  return left == 0;
}

bool TimeTree::drop_through(EventTime time, std::uint64_t sequence, std::size_t fuel) {
  if (root_ == nullptr) return true;
  if (drop(root_, time, sequence, fuel)) {
    free_node(root_);
    root_ = nullptr;
    return true;
  }
  shrink_root();
  return less(time, sequence, first().time, first().sequence);
}

const TimeTree::Entry& TimeTree::first() const {
  const Node* node = root_;
  while (!node->leaf) node = static_cast<const Inner*>(node)->child[0];
  return static_cast<const Leaf*>(node)->entries[0];
}

// `node_high`: no entry of the node has a larger time.
void TimeTree::find_best(const Node* node, EventTime low, EventTime high, EventTime node_high, Best& best) {
  if (node->leaf) {
    const auto* leaf = static_cast<const Leaf*>(node);
    for (unsigned i = lower_bound(leaf, low, 0); i < leaf->n && leaf->entries[i].time <= high; ++i) {
      if (leaf->entries[i].sequence < best.sequence) best = {leaf->entries[i].sequence, nullptr, &leaf->entries[i]};
    }
    return;
  }
  const auto* inner = static_cast<const Inner*>(node);
  for (unsigned i = child_of(inner, low, 0); i < inner->n; ++i) {
    if (i > 0 && inner->time[i] > high) break;
    if (inner->earliest[i] >= best.sequence) continue;
    const EventTime child_high = i + 1 < inner->n ? inner->time[i + 1] : node_high;
    if (inner->time[i] >= low && child_high <= high)
      best = {inner->earliest[i], inner->child[i], nullptr};
    else
      find_best(inner->child[i], low, high, child_high, best);
  }
}

const TimeTree::Entry* TimeTree::earliest_arrival(EventTime low, EventTime high) const {
  if (root_ == nullptr || low > high) return nullptr;
  Best best;
  find_best(root_, low, high, kMaxTime, best);
  if (best.entry != nullptr || best.node == nullptr) return best.entry;
  const Node* node = best.node;
  while (!node->leaf) {
    const auto* inner = static_cast<const Inner*>(node);
    unsigned i = 0;
    while (inner->earliest[i] != best.sequence) ++i;
    node = inner->child[i];
  }
  const auto* leaf = static_cast<const Leaf*>(node);
  unsigned i = 0;
  while (leaf->entries[i].sequence != best.sequence) ++i;
  return &leaf->entries[i];
}

}  // namespace twinspan::engine
