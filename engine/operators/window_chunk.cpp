#include "engine/operators/window_chunk.h"

namespace twinspan::engine {

std::uint32_t WindowChunk::find_or_insert(std::uint32_t kid, std::uint32_t step) {
  KeyHead& h = head(kid);
  std::uint32_t newer = 0, older = h.newest_plus_1;
  while (older != 0 && entry(older - 1).step > step) {
    newer = older;
    older = entry(older - 1).older_plus_1;
  }
  if (older != 0 && entry(older - 1).step == step) return older - 1;
  const std::uint32_t e = entries_.add();
  Entry& x = entry(e);
  x.kid = kid;
  x.step = step;
  x.older_plus_1 = older;
  x.newer_plus_1 = newer;
  if (older != 0) entry(older - 1).newer_plus_1 = e + 1;
  if (newer != 0)
    entry(newer - 1).older_plus_1 = e + 1;
  else
    h.newest_plus_1 = e + 1;
  panes[step].push_back(e);
  if (flipped_) suffixes_.add();
  return e;
}

void WindowChunk::overlap(WindowChunk& a, std::uint32_t last, WindowChunk& b, std::uint32_t first, std::size_t d,
                          int by) {
  if (b.entry(first).step >= a.entry(last).step) return;
  a.counts(last, d).last_in_both += by;
  b.counts(first, d).first_in_both += by;
}

bool WindowChunk::add_value(std::size_t d, std::uint32_t e, const Dictionary::Identity& v, WindowChunk* before,
                            WindowChunk* after) {
  const std::uint32_t kid = entry(e).kid, step = entry(e).step;
  ChunkDistinct::Slot* known = distinct[d].find(kid, v);
  if (known != nullptr && step >= entry(known->first).step && step <= entry(known->last).step) return false;
  const auto beside = [&](WindowChunk* c, std::uint32_t twin_plus_1) {
    return c == nullptr || twin_plus_1 == 0 ? nullptr : c->distinct[d].find(twin_plus_1 - 1, v);
  };
  if (known == nullptr || step < entry(known->first).step) {
    const ChunkDistinct::Slot* ends = beside(before, head(kid).before_plus_1);
    if (known != nullptr) {
      if (ends != nullptr) overlap(*before, ends->last, *this, known->first, d, -1);
      --counts(known->first, d).first;
      known->first = e;
    }
    ++counts(e, d).first;
    if (ends != nullptr) overlap(*before, ends->last, *this, e, d, 1);
  }
  if (known == nullptr || step > entry(known->last).step) {
    const ChunkDistinct::Slot* begins = beside(after, head(kid).after_plus_1);
    if (known != nullptr) {
      if (begins != nullptr) overlap(*this, known->last, *after, begins->first, d, -1);
      --counts(known->last, d).last;
      known->last = e;
    }
    ++counts(e, d).last;
    if (begins != nullptr) overlap(*this, e, *after, begins->first, d, 1);
  }
  if (known == nullptr) distinct[d].insert(kid, v, e);
  return true;
}

void WindowChunk::add_to_prefix(std::uint32_t kid, std::uint32_t e) {
  accumulators_.merge(block(e), prefix(kid), strings);
  if (head(kid).in_prefix != 0) return;
  head(kid).in_prefix = 1;
  in_prefix.push_back(kid);
}

bool WindowChunk::advance_prefix(std::uint32_t steps, std::size_t most) {
  for (; prefix_steps_ < steps; ++prefix_steps_) {
    const auto& pane = panes[prefix_steps_];
    for (; prefix_at_ < pane.size(); ++prefix_at_) {
      if (most-- == 0) return false;
      add_to_prefix(entry(pane[prefix_at_]).kid, pane[prefix_at_]);
    }
    prefix_at_ = 0;
  }
  return true;
}

bool WindowChunk::flip(std::uint32_t step, std::size_t most) {
  if (!flipped_) {
    if (flip_at_ == 0) {
      cursor_ = step;
      while (suffixes_.size() < entries_.size()) suffixes_.add();
    }
    for (; flip_at_ < keys.size(); ++flip_at_) {
      if (most-- == 0) return false;
      make_suffixes(flip_at_);
    }
    flipped_ = true;
    return true;
  }
  for (; cursor_ < step; ++cursor_)
    for (const std::uint32_t e : panes[cursor_])
      if (KeyHead& h = head(entry(e).kid); h.front_plus_1 == e + 1) h.front_plus_1 = entry(e).newer_plus_1;
  return true;
}

void WindowChunk::make_suffixes(std::uint32_t kid) {
  KeyHead& h = head(kid);
  h.front_plus_1 = 0;
  for (std::uint32_t at = h.newest_plus_1; at != 0 && entry(at - 1).step >= cursor_; at = entry(at - 1).older_plus_1) {
    char* sum = suffix(at - 1);
    accumulators_.reset(sum, strings);
    accumulators_.merge(block(at - 1), sum, strings);
    if (h.front_plus_1 != 0) accumulators_.merge(suffix(h.front_plus_1 - 1), sum, strings);
    h.front_plus_1 = at;
  }
  if (h.front_plus_1 == 0 || h.in_live != 0) return;
  h.in_live = 1;
  live.push_back(kid);
}

void WindowChunk::repair(std::uint32_t kid) {
  if (prefix_steps_ > 0) {
    accumulators_.reset(prefix(kid), strings);
    for (std::uint32_t at = head(kid).newest_plus_1; at != 0; at = entry(at - 1).older_plus_1)
      if (entry(at - 1).step < prefix_steps_) add_to_prefix(kid, at - 1);
  }
  if (flipped_) make_suffixes(kid);
}

std::size_t WindowChunk::bytes() const {
  std::size_t n = sizeof *this + keys.bytes() + strings.bytes() + entries_.bytes() + suffixes_.bytes() +
                  (in_prefix.capacity() + live.capacity()) * 4 + save_list.bytes() + added.bytes();
  for (const auto& pane : panes) n += sizeof pane + pane.capacity() * 4;
  for (const ChunkDistinct& d : distinct) n += d.bytes();
  return n;
}

}  // namespace twinspan::engine
