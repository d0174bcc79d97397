// When results of sliding windows come out, and what they are.

#include <algorithm>

#include <xxhash.h>

#include "engine/operators/window_sliding.h"

namespace twinspan::engine {

void SlidingWindow::set_wakes(Watermark at) {
  wake_firing_ = wake_retention_ = kMaxTime;
  changed_after_firing_ = false;
  if (!chunks_.empty()) {
    const std::int64_t next =
        std::max(first_unfired(at), first_with(chunks_.begin()->first * panes_));  // holds nothing, perhaps
    if (at.firing < kMaxTime - 1) {
      wake_firing_ = end_of(next) - 1;
      if (spec_.early > 0) wake_firing_ = std::min(wake_firing_, shift(at.firing, at.firing == kMinTime ? 0 : 1));
    }
    const std::int64_t last = last_with((chunks_.begin()->first + 1) * panes_ - 1);
    wake_retention_ = shift(end_of(last) - 1, spec_.allow_lateness);
  }
  for (const auto& [k, w] : pending_) {
    const EventTime complete = end_of(k) - 1;
    if (at.firing < complete) continue;  // told early: told again when it fires
    if (at.retention >= complete)
      changed_after_firing_ = true;
    else
      wake_retention_ = std::min(wake_retention_, complete);
  }
}

void SlidingWindow::step(Watermark to, Output& out) {
  hit_ = {};
  fire_complete(to, out);
  if (spec_.early > 0) fire_early(to, out);
  for (auto w = pending_.begin(); w != pending_.end();) {
    const std::int64_t k = (w++)->first;
    if (now_.firing >= end_of(k) - 1 && to.retention >= end_of(k) - 1) fire_pending(k, false, out);
  }
  const std::int64_t open = first_open(to);
  while (!pending_.empty() && pending_.begin()->first < open) forget_pending(pending_.begin());
  while (!chunks_.empty() && last_with((chunks_.begin()->first + 1) * panes_ - 1) < open) {
    if (saving_.on) saving_.chunks.push_back(std::move(chunks_.begin()->second));
    chunks_.erase(chunks_.begin());
  }
  set_wakes(to);
}

void SlidingWindow::fire_complete(Watermark to, Output& out) {
  const std::int64_t until = first_unfired(to);
  for (std::int64_t k = first_unfired(now_); k < until; ++k) {
    // On to the first window that holds a chunk.
    const auto next = chunks_.lower_bound(k < -(std::int64_t{1} << 60) ? k / panes_ : floor_div(k * slide_, panes_));
    if (next == chunks_.end()) break;
    k = std::max(k, first_with(next->first * panes_));
    if (k >= until) break;
    const bool provisional = to.retention < end_of(k) - 1;
    if (told(k, now_))
      fire_pending(k, provisional, out);
    else
      tell_all(k, provisional, out);
  }
}

// Windows that have not fired, at the last moment of theirs that F has passed.
void SlidingWindow::fire_early(Watermark to, Output& out) {
  if (chunks_.empty() || to.firing == now_.firing || to.firing == kMaxTime) return;
  const std::int64_t newest = chunks_.rbegin()->first * panes_ + panes_ - 1;
  const std::int64_t last = std::min(last_with(newest), last_with(unit_.index_of(shift(to.firing, 1))));
  for (std::int64_t k = std::max(first_unfired(to), first_with(chunks_.begin()->first * panes_)); k <= last; ++k) {
    const EventTime start = start_of(k), end = end_of(k);
    const std::int64_t nth = floor_div(to.firing + 1 - start, spec_.early);
    const EventTime moment = start + nth * spec_.early;
    if (nth < 1 || moment >= end || (now_.firing != kMinTime && now_.firing >= moment - 1)) continue;
    const bool provisional = to.retention < moment - 1;
    if (told(k, now_))
      fire_pending(k, provisional, out);
    else
      tell_all(k, provisional, out);
  }
}

void SlidingWindow::tell_first(std::int64_t window, std::string_view key, char* block, bool provisional, Output& out) {
  if (spec_.updating && accumulators_.count(block, rows_counted_) <= 0) return;
  const EventTime start = start_of(window), end = end_of(window);
  results_.add(key, {start, end}, end - 1, block, provisional ? kProvisionalFlag : std::uint8_t{0},
               output_watermark(now_), out, stats_);
}

// The first firing of a window: all keys that have rows in it.
void SlidingWindow::tell_all(std::int64_t window, bool provisional, Output& out) {
  const std::int64_t first = window * slide_, number = floor_div(first, panes_);
  const auto step = static_cast<std::uint32_t>(first - number * panes_);
  WindowChunk* a = chunk(number);
  WindowChunk* b = step > 0 ? chunk(number + 1) : nullptr;
  if (spec_.early > 0 || !distinct_.empty()) {
    // Told early, panes may not be summed up yet; DISTINCT counts are not kept as sums.
    for (WindowChunk* c : {a, b}) {
      if (c == nullptr) continue;
      for (std::uint32_t kid = 0; kid < c->keys.size(); ++kid) {
        const std::string_view key = c->keys.key(c->keys.entry(kid));
        const std::uint64_t hash = XXH3_64bits(key.data(), key.size());
        // A key in both is told with the chunk before, if it has rows there that are in the window.
        const auto in_front = [&](std::uint32_t plus_1) {
          if (a == nullptr || plus_1 == 0) return false;
          const std::uint32_t newest = a->head(plus_1 - 1).newest_plus_1;
          return newest != 0 && a->entry(newest - 1).step >= step;
        };
        if (in_front(c == a ? kid + 1 : c->head(kid).before_plus_1) != (c == a)) continue;
        if (value_of(window, key, hash)) tell_first(window, key, total_.data(), provisional, out);
      }
    }
    return;
  }
  if (step == 0) {
    if (a == nullptr) return;
    a->advance_prefix(static_cast<std::uint32_t>(panes_));
    for (const std::uint32_t kid : a->in_prefix)
      tell_first(window, a->keys.key(a->keys.entry(kid)), a->prefix(kid), provisional, out);
    return;
  }
  if (b != nullptr) b->advance_prefix(step);
  if (a != nullptr) {
    a->flip(step);
    std::size_t kept = 0;
    for (const std::uint32_t kid : a->live) {
      WindowChunk::KeyHead& h = a->head(kid);
      if (h.front_plus_1 == 0) {
        h.in_live = 0;
        continue;
      }
      a->live[kept++] = kid;
      char* value = a->suffix(h.front_plus_1 - 1);
      if (b != nullptr && h.after_plus_1 != 0 && b->head(h.after_plus_1 - 1).in_prefix != 0) {
        accumulators_.reset(total_.data(), total_strings_);
        accumulators_.merge(value, total_.data(), total_strings_);
        accumulators_.merge(b->prefix(h.after_plus_1 - 1), total_.data(), total_strings_);
        value = total_.data();
      }
      tell_first(window, a->keys.key(a->keys.entry(kid)), value, provisional, out);
    }
    a->live.resize(kept);
  }
  if (b == nullptr) return;
  for (const std::uint32_t kid : b->in_prefix) {
    const std::uint32_t twin = b->head(kid).before_plus_1;
    if (a != nullptr && twin != 0 && a->head(twin - 1).front_plus_1 != 0) continue;
    tell_first(window, b->keys.key(b->keys.entry(kid)), b->prefix(kid), provisional, out);
  }
}

bool SlidingWindow::value_of(std::int64_t window, std::string_view key, std::uint64_t hash) {
  const std::int64_t first = window * slide_, number = floor_div(first, panes_);
  const auto step = static_cast<std::uint32_t>(first - number * panes_);
  accumulators_.reset(total_.data(), total_strings_);
  bool any = false;
  for (const bool behind : {false, true}) {
    WindowChunk* c = behind && step == 0 ? nullptr : chunk(number + (behind ? 1 : 0));
    if (c == nullptr) continue;
    const std::uint32_t kid_plus_1 = c->keys.find_kid(hash, key);
    if (kid_plus_1 == 0) continue;
    for (std::uint32_t at = c->head(kid_plus_1 - 1).newest_plus_1; at != 0; at = c->entry(at - 1).older_plus_1) {
      const bool inside = (c->entry(at - 1).step >= step) != behind;
      for (std::size_t d = 0; d < distinct_.size(); ++d) {
        const ChunkDistinct::Counts& n = c->counts(at - 1, d);
        const std::int64_t add = behind ? (inside ? n.first - n.first_in_both : 0) : inside ? n.last : n.last_in_both;
        accumulators_.add_count(total_.data(), distinct_[d], add);
      }
      if (!inside) continue;
      any = true;
      accumulators_.merge(c->block(at - 1), total_.data(), total_strings_);
    }
  }
  return any && (!spec_.updating || accumulators_.count(total_.data(), rows_counted_) > 0);
}

// The keys that changed since the window was told.
void SlidingWindow::fire_pending(std::int64_t window, bool provisional, Output& out) {
  const auto found = pending_.find(window);
  if (found == pending_.end()) return;
  const EventTime start = start_of(window), end = end_of(window);
  for (auto& [key, p] : found->second.keys) {
    auto add = [&](const char* block, RowOp op) {
      std::uint8_t flags = static_cast<std::uint8_t>(op) | (provisional ? kProvisionalFlag : std::uint8_t{0});
      if (op == RowOp::update_before && spec_.mode != EmitMode::retracting) flags |= kForStepsFlag;
      results_.add(key, {start, end}, end - 1, block, flags, output_watermark(now_), out, stats_);
    };
    const bool saving = (p.flags & save_flags_.saving) != 0;
    if (p.saved || saving) erase_.push_back({end, key});
    const bool some = value_of(window, key, XXH3_64bits(key.data(), key.size()));
    if (spec_.mode == EmitMode::discarding) {
      if (saving) save_pending(window, *found->second.keys.find(key), saving_.changed);
      for (const std::size_t a : distinct_)
        accumulators_.add_count(p.delta.data(), a,
                                accumulators_.count(total_.data(), a) - accumulators_.count(p.old.data(), a));
      add(p.delta.data(), RowOp::insert);
    } else if (!some) {
      if (p.told) add(p.old.data(), RowOp::remove);
    } else {
      if (p.told && tells_before_) add(p.old.data(), RowOp::update_before);
      add(total_.data(), p.told ? RowOp::update_after : RowOp::insert);
    }
  }
  forget_pending(found);
}

void SlidingWindow::forget_pending(std::map<std::int64_t, PendingWindow>::iterator window) {
  auto node = pending_.extract(window);
  if (saving_.on) saving_.windows.push_back(std::move(node));
}

}  // namespace twinspan::engine
