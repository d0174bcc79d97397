// When results of sliding windows come out, and what they are.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

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

bool SlidingWindow::step(Watermark to, Output& out) {
  using Phase = decltype(step_)::Phase;
  constexpr std::int64_t kAny = std::numeric_limits<std::int64_t>::min();
  if (step_.phase == Phase::none) {
    count_placed(work_.batch);
    hit_ = {};
    step_ = {Phase::complete, first_unfired(now_)};
  }
  if (!tell(out)) return false;
  if (step_.phase == Phase::complete) {
    if (!fire_complete(to, out)) return false;
    step_ = {Phase::early, kAny};
  }
  if (step_.phase == Phase::early) {
    if (spec_.early > 0 && !fire_early(to, out)) return false;
    step_ = {Phase::changed, kAny};
  }
  if (!fire_changed(to, out)) return false;
  step_.phase = Phase::none;
  const std::int64_t open = first_open(to);
  while (!pending_.empty() && pending_.begin()->first < open) forget_pending(pending_.begin());
  while (!chunks_.empty() && last_with((chunks_.begin()->first + 1) * panes_ - 1) < open) {
    if (saving_.on) saving_.chunks.push_back(std::move(chunks_.begin()->second));
    chunks_.erase(chunks_.begin());
  }
  set_wakes(to);
  return true;
}

bool SlidingWindow::fire_complete(Watermark to, Output& out) {
  const std::int64_t until = first_unfired(to);
  for (std::int64_t k = step_.window; k < until; k = step_.window) {
    // On to the first window that holds a chunk.
    const auto next = chunks_.lower_bound(k < -(std::int64_t{1} << 60) ? k / panes_ : floor_div(k * slide_, panes_));
    if (next == chunks_.end()) break;
    k = std::max(k, first_with(next->first * panes_));
    if (k >= until) break;
    step_.window = k + 1;
    if (!begin_telling(k, to.retention < end_of(k) - 1, out)) return false;
  }
  return true;
}

// Windows that have not fired, at the last moment of theirs that F has passed.
bool SlidingWindow::fire_early(Watermark to, Output& out) {
  if (chunks_.empty() || to.firing == now_.firing || to.firing == kMaxTime) return true;
  const std::int64_t newest = chunks_.rbegin()->first * panes_ + panes_ - 1;
  const std::int64_t last = std::min(last_with(newest), last_with(unit_.index_of(shift(to.firing, 1))));
  std::int64_t k = std::max({step_.window, first_unfired(to), first_with(chunks_.begin()->first * panes_)});
  for (; k <= last; ++k) {
    const EventTime start = start_of(k), end = end_of(k);
    const std::int64_t nth = floor_div(to.firing + 1 - start, spec_.early);
    const EventTime moment = start + nth * spec_.early;
    if (nth < 1 || moment >= end || (now_.firing != kMinTime && now_.firing >= moment - 1)) continue;
    step_.window = k + 1;
    if (!begin_telling(k, to.retention < moment - 1, out)) return false;
  }
  return true;
}

// Windows that had fired, and changed since.
bool SlidingWindow::fire_changed(Watermark to, Output& out) {
  for (auto w = pending_.lower_bound(step_.window); w != pending_.end(); w = pending_.lower_bound(step_.window)) {
    const std::int64_t k = w->first;
    step_.window = k + 1;
    if (now_.firing < end_of(k) - 1 || to.retention < end_of(k) - 1) continue;
    if (!begin_telling(k, false, out)) return false;
  }
  return true;
}

bool SlidingWindow::begin_telling(std::int64_t window, bool provisional, Output& out) {
  telling_ = {};
  telling_.on = true;
  telling_.provisional = provisional;
  telling_.window = window;
  telling_.changed = told(window, now_);
  if (telling_.changed) {
    const auto found = pending_.find(window);
    if (found == pending_.end()) {
      telling_.on = false;
      return true;
    }
    telling_.changed_at = found->second.keys.begin();
  }
  return tell(out);
}

bool SlidingWindow::tell(Output& out) {
  if (!telling_.on) return true;
  if (!(telling_.changed ? tell_changed(out) : tell_all(out))) return false;
  results_.settle();  // sums go on
  totals_used_ = 0;
  telling_.on = false;
  return true;
}

// After each key that was looked at. true: stop here.
bool SlidingWindow::paused(Output& out) {
  if (++looked_at_ < kTogether) return false;
  looked_at_ = 0;
  return work_.spent(kTogether, out);
}

char* SlidingWindow::next_total() {
  if (totals_used_ == kTogether) {
    results_.settle();
    totals_used_ = 0;
  }
  char* total = totals_.data() + totals_used_++ * accumulators_.bytes();
  accumulators_.reset(total, total_strings_);
  return total;
}

void SlidingWindow::tell_first(std::string_view key, char* block, Output& out) {
  if (spec_.updating && accumulators_.count(block, rows_counted_) <= 0) return;
  const EventTime start = start_of(telling_.window), end = end_of(telling_.window);
  results_.add(key, {start, end}, end - 1, block, telling_.provisional ? kProvisionalFlag : std::uint8_t{0},
               output_watermark(now_), out, stats_);
}

// The first firing of a window: all keys that have rows in it.
bool SlidingWindow::tell_all(Output& out) {
  const std::int64_t first = telling_.window * slide_, number = floor_div(first, panes_);
  const auto step = static_cast<std::uint32_t>(first - number * panes_);
  WindowChunk* a = chunk(number);
  WindowChunk* b = step > 0 ? chunk(number + 1) : nullptr;
  // Told early, panes may not be summed up yet; DISTINCT counts are not kept as sums.
  if (spec_.early > 0 || !distinct_.empty()) return tell_by_panes(a, b, step, out);
  const auto sum_up = [&](auto make) {
    while (!make(kTogether))
      if (work_.spent(kTogether, out)) return false;
    return true;
  };
  if (step == 0) {
    if (a == nullptr) return true;
    const auto all = static_cast<std::uint32_t>(panes_);
    return sum_up([&](std::size_t most) { return a->advance_prefix(all, most); }) && tell_prefix(*a, nullptr, out);
  }
  if (b != nullptr && !sum_up([&](std::size_t most) { return b->advance_prefix(step, most); })) return false;
  if (a != nullptr && !sum_up([&](std::size_t most) { return a->flip(step, most); })) return false;
  return tell_sums(a, b, out);
}

bool SlidingWindow::tell_sums(WindowChunk* a, WindowChunk* b, Output& out) {
  if (a != nullptr && !telling_.second) {
    while (telling_.at < a->live.size()) {
      const std::uint32_t kid = a->live[telling_.at++];
      WindowChunk::KeyHead& h = a->head(kid);
      if (h.front_plus_1 == 0) {
        h.in_live = 0;
      } else {
        a->live[telling_.kept++] = kid;
        char* value = a->suffix(h.front_plus_1 - 1);
        if (b != nullptr && h.after_plus_1 != 0 && b->head(h.after_plus_1 - 1).in_prefix != 0) {
          char* total = next_total();
          accumulators_.merge(value, total, total_strings_);
          accumulators_.merge(b->prefix(h.after_plus_1 - 1), total, total_strings_);
          value = total;
        }
        tell_first(a->keys.key(a->keys.entry(kid)), value, out);
      }
      if (paused(out)) return false;
    }
    a->live.resize(telling_.kept);
  }
  if (!telling_.second) {
    telling_.second = true;
    telling_.at = 0;
  }
  return b == nullptr || tell_prefix(*b, a, out);
}

// The sums of a chunk's first panes, of keys that were not told with the chunk before.
bool SlidingWindow::tell_prefix(WindowChunk& of, const WindowChunk* told_with, Output& out) {
  while (telling_.at < of.in_prefix.size()) {
    const std::uint32_t kid = of.in_prefix[telling_.at++];
    const std::uint32_t twin = of.head(kid).before_plus_1;
    if (told_with == nullptr || twin == 0 || told_with->head(twin - 1).front_plus_1 == 0)
      tell_first(of.keys.key(of.keys.entry(kid)), of.prefix(kid), out);
    if (paused(out)) return false;
  }
  return true;
}

bool SlidingWindow::tell_by_panes(WindowChunk* a, WindowChunk* b, std::uint32_t step, Output& out) {
  // A key in both is told with the chunk before, if it has rows there that are in the window.
  const auto in_front = [&](std::uint32_t plus_1) {
    if (a == nullptr || plus_1 == 0) return false;
    const std::uint32_t newest = a->head(plus_1 - 1).newest_plus_1;
    return newest != 0 && a->entry(newest - 1).step >= step;
  };
  for (;; telling_.second = true, telling_.at = 0) {
    WindowChunk* c = telling_.second ? b : a;
    while (c != nullptr && telling_.at < c->keys.size()) {
      const auto kid = static_cast<std::uint32_t>(telling_.at++);
      if (in_front(c == a ? kid + 1 : c->head(kid).before_plus_1) == (c == a)) {
        const std::string_view key = c->keys.key(c->keys.entry(kid));
        if (value_of(telling_.window, key, XXH3_64bits(key.data(), key.size()))) {
          tell_first(key, total_.data(), out);
          results_.settle();
        }
      }
      if (paused(out)) return false;
    }
    if (telling_.second) return true;
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
bool SlidingWindow::tell_changed(Output& out) {
  const std::int64_t window = telling_.window;
  const auto found = pending_.find(window);
  const EventTime start = start_of(window), end = end_of(window);
  while (telling_.changed_at != found->second.keys.end()) {
    auto& [key, p] = *telling_.changed_at;
    const auto add = [&](const char* block, RowOp op) {
      std::uint8_t flags = static_cast<std::uint8_t>(op) | (telling_.provisional ? kProvisionalFlag : std::uint8_t{0});
      if (op == RowOp::update_before && spec_.mode != EmitMode::retracting) flags |= kForStepsFlag;
      results_.add(key, {start, end}, end - 1, block, flags, output_watermark(now_), out, stats_);
    };
    const bool saving = (p.flags & save_flags_.saving) != 0;
    if (p.saved || saving) erase_.push_back({end, key});
    const bool some = value_of(window, key, XXH3_64bits(key.data(), key.size()));
    if (spec_.mode == EmitMode::discarding) {
      if (saving) save_pending(window, *telling_.changed_at, saving_.changed);
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
    results_.settle();  // total_ is one
    ++telling_.changed_at;
    if (paused(out)) return false;
  }
  forget_pending(found);
  return true;
}

void SlidingWindow::forget_pending(std::map<std::int64_t, PendingWindow>::iterator window) {
  auto node = pending_.extract(window);
  if (saving_.on) saving_.windows.push_back(std::move(node));
}

}  // namespace twinspan::engine
