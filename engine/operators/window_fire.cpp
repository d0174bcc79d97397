// Where rows go, and when results come out.

#include <algorithm>

#include "engine/operators/window_impl.h"

namespace twinspan::engine {

namespace {

// Dictionaries turn at most this often, whatever the windows: turning means finding every live value again.
constexpr std::int64_t kShortestGeneration = 600'000;

std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b != 0 && (a ^ b) < 0 ? 1 : 0); }

}  // namespace

Window& WindowAggregate::Impl::window_at(WindowRange range) {
  auto& window = windows_[range.end];
  if (!window) {
    window = std::make_unique<Window>(range, layout_, set_aggregate_.size());
    wake_retention_ = std::min(wake_retention_, shift(range.end - 1, spec_.allow_lateness));
  }
  return *window;
}

Pane& WindowAggregate::Impl::pane_at(Window& window, std::uint32_t step, EventTime end, Watermark at) {
  if (auto p = window.panes.find(step); p != window.panes.end()) return *p->second;
  Pane& pane = window.add_pane(step, end);
  pane.fired = at.firing >= end - 1;
  pane.next_early = early_after(pane, at.firing);
  wake_for(pane);
  return pane;
}

Pane* WindowAggregate::Impl::find_pane(EventTime t, Watermark at) {
  const WindowRange range = global() ? WindowRange{kMinTime, kMaxTime} : calendar_.window_of(t);
  if (closed(range.end, at)) return nullptr;
  EventTime from = range.start, to = range.end;
  std::int64_t step = 0;
  if (layout_.cumulate) {
    step = (t - range.start) / spec_.every;
    const std::int64_t last = (range.end - range.start - 1) / spec_.every;
    from = range.start + step * spec_.every;
    to = std::min(from + spec_.every, range.end);
    if (closed(to, at)) {
      // The first open step: the smallest end with end - 1 + allow > R.
      const std::int64_t past = shift(at.retention, 1 - spec_.allow_lateness) - range.start;
      step = std::min(floor_div(past, spec_.every), last);
      const EventTime end = std::min(range.start + (step + 1) * spec_.every, range.end);
      return &pane_at(window_at(range), static_cast<std::uint32_t>(step), end, at);
    }
  }
  Pane& pane = pane_at(window_at(range), static_cast<std::uint32_t>(step), to, at);
  hit_ = {from, to, to == kMaxTime ? kMaxTime : shift(to - 1, spec_.allow_lateness), &pane};
  return &pane;
}

void WindowAggregate::Impl::note_change_after_firing(const Pane& pane, Watermark at) {
  if (at.retention >= pane.end - 1)
    changed_after_firing_ = true;
  else
    wake_retention_ = std::min(wake_retention_, pane.end - 1);
}

EventTime WindowAggregate::Impl::early_after(const Pane& pane, EventTime firing) const {
  if (layout_.cumulate || spec_.early == 0 || spec_.early_clock == EarlyClock::wall) return kMaxTime;
  if (global()) {  // before any watermark: the first one that comes
    if (firing == kMaxTime) return kMaxTime;
    return firing == kMinTime ? kMinTime + 1 : calendar_.start_of(calendar_.index_of(firing + 1) + 1);
  }
  const EventTime start = pane.window->range.start;
  EventTime next = start + spec_.early;
  if (firing != kMinTime && firing + 1 > start && firing < pane.end)
    next = start + ((firing + 1 - start) / spec_.early + 1) * spec_.early;
  return next < pane.end && firing < pane.end - 1 ? next : kMaxTime;
}

// The last moment of early firings that F has reached.
EventTime WindowAggregate::Impl::moment_of(const Pane& pane, EventTime firing) const {
  if (global()) return calendar_.start_of(calendar_.index_of(firing + 1));
  const EventTime start = pane.window->range.start;
  return start + (firing + 1 - start) / spec_.early * spec_.early;
}

void WindowAggregate::Impl::clock(std::int64_t wall_ms, Output& out) {
  if (restored_) finish_restore();
  if (wall_ == kMinTime) wall_ = wall_ms;
  if (wall_ms < wall_ + spec_.early) return;
  wall_ = wall_ms;
  work_.begin_clock(output_watermark(now_));
  resume(out);
}

bool WindowAggregate::Impl::fire_by_wall(Output& out) {
  if (!fire(out)) return false;
  for (auto& [end, window] : windows_)
    for (auto& [step, pane] : window->panes) {
      if (pane->fired || pane->fire_list.empty()) continue;
      const EventTime time = global() ? std::max(newest_, shift(now_.retention, 1)) : pane->end - 1;
      firing_ = {pane.get(), time, now_.retention < now_.firing, false, 0};
      if (!fire(out)) return false;
    }
  return true;
}

void WindowAggregate::Impl::wake_for(const Pane& pane) {
  if (!pane.fired) {
    wake_firing_ = std::min({wake_firing_, pane.end - 1, pane.next_early == kMaxTime ? kMaxTime : pane.next_early - 1});
  } else if (!pane.fire_list.empty()) {
    wake_retention_ = std::min(wake_retention_, pane.end - 1);
  }
  wake_retention_ = std::min(wake_retention_, shift(pane.end - 1, spec_.allow_lateness));
}

bool WindowAggregate::Impl::step(Watermark to, Output& out) {
  if (!step_.on) {
    count_placed(work_.batch);
    wake_firing_ = wake_retention_ = kMaxTime;
    changed_after_firing_ = false;
    hit_ = {};
    step_ = {};
    step_.on = true;
    step_.window = windows_.begin();
  }
  while (step_.window != windows_.end()) {
    Window& window = *step_.window->second;
    const bool window_closing = closed(window.range.end, to);
    if (!step_.in_window) {
      step_.in_window = true;
      step_.pane = window.panes.begin();
    }
    while (step_.pane != window.panes.end()) {
      Pane& pane = *step_.pane->second;
      const bool closing = closed(pane.end, to);
      if (!step_.in_pane) {
        step_.in_pane = true;
        step_.closed = 0;
        begin_firing(pane, to, closing);
      }
      if (!fire(out)) return false;
      if (!closing) {
        wake_for(pane);
        ++step_.pane;
        step_.in_pane = false;
        continue;
      }
      if (layout_.cumulate) {
        steps_closed_ = std::max(steps_closed_, pane.end);
        const bool held_by_later = std::next(step_.pane) != window.panes.end() || !window_closing;
        if (held_by_later && !close_step(pane, out)) return false;
      }
      if (saving_.on) saving_.panes.push_back(std::move(step_.pane->second));
      step_.pane = window.panes.erase(step_.pane);
      step_.in_pane = false;
    }
    step_.in_window = false;
    if (window_closing) {
      windows_closed_ = std::max(windows_closed_, window.range.end);
      if (saving_.on) saving_.windows.push_back(std::move(step_.window->second));
      step_.window = windows_.erase(step_.window);
      continue;
    }
    wake_retention_ = std::min(wake_retention_, shift(window.range.end - 1, spec_.allow_lateness));
    ++step_.window;
  }
  step_.on = false;
  now_ = to;
  if (!distinct_.empty()) turn_dictionaries(to.retention);
  return true;
}

// What this step of the watermark makes the pane tell, if anything.
void WindowAggregate::Impl::begin_firing(Pane& pane, Watermark to, bool closing) {
  const bool complete = to.retention >= pane.end - 1;
  if (!pane.fired && to.firing >= pane.end - 1) {
    pane.fired = true;
    // What is left of a global window when its input ends stands for the moment that would have been next.
    const EventTime last = pane.next_early == kMaxTime || pane.next_early <= kMinTime + 1
                               ? std::max(newest_, shift(now_.retention, 1))
                               : pane.next_early - 1;
    firing_ = {&pane, global() ? last : pane.end - 1, !complete, closing, 0};
  } else if (pane.fired) {
    if (complete && !pane.fire_list.empty()) firing_ = {&pane, pane.end - 1, false, closing, 0};
  } else if (pane.next_early != kMaxTime && to.firing >= pane.next_early - 1) {
    const EventTime moment = moment_of(pane, to.firing);
    pane.next_early = early_after(pane, to.firing);
    firing_ = {&pane, global() ? moment - 1 : pane.end - 1, to.retention < moment - 1, false, 0};
  }
}

bool WindowAggregate::Impl::fire(Output& out) {
  if (firing_.pane == nullptr) return true;
  auto& list = firing_.pane->fire_list;
  if (firing_.at == 0 && !std::is_sorted(list.begin(), list.end())) std::sort(list.begin(), list.end());
  // A cumulate result is put together in one place for all keys.
  const std::size_t together = layout_.cumulate ? 1 : kTogether;
  while (firing_.at < list.size()) {
    const std::size_t from = firing_.at;
    firing_.at = std::min(list.size(), from + together);
    for (std::size_t i = from; i < firing_.at; ++i) tell(list[i], out);
    results_.settle();
    if (!goes())
      for (std::size_t i = from; i < firing_.at; ++i) settle(list[i]);
    if (work_.spent(firing_.at - from, out)) return false;
  }
  list.clear();
  firing_.pane = nullptr;
  return true;
}

// The records of a key that changed. What they say is not touched before they have settled.
void WindowAggregate::Impl::tell(std::uint32_t kid, Output& out) {
  Pane& pane = *firing_.pane;
  Window& window = *pane.window;
  char* entry = window.entry(pane, kid);
  const bool again = (entry_flags(entry) & kEmitted) != 0;
  char* value = window.block(entry);
  if (spec_.mode != EmitMode::discarding && layout_.cumulate) {
    value = total_.data();
    accumulators_.reset(value, total_strings_);
    accumulators_.merge(window.closed_block(kid), value, total_strings_);
    for (const auto& [step, open] : window.panes) {
      if (step > pane.step) break;
      if (const char* e = window.entry(*open, kid))
        accumulators_.merge(window.block(const_cast<char*>(e)), value, total_strings_);
    }
  }
  const auto add = [&](const char* block, RowOp op) {
    std::uint8_t flags = static_cast<std::uint8_t>(op) | (firing_.provisional ? kProvisionalFlag : std::uint8_t{0});
    if (op == RowOp::update_before && spec_.mode != EmitMode::retracting) flags |= kForStepsFlag;
    results_.add(window.keys.key(window.keys.entry(kid)), {window.range.start, pane.end}, firing_.time, block, flags,
                 output_watermark(now_), out, stats_);
  };
  if (!goes()) {
    if (firing_.closing)
      keep_old(entry, pane, kid);
    else
      change(entry, pane, kid);
    entry_flags(entry) &= ~kFireDue;
  }
  if (spec_.mode == EmitMode::discarding) {
    add(value, RowOp::insert);
  } else if (none_left(value)) {
    if (again) add(window.last_block(pane, kid), RowOp::remove);
  } else {
    if (again && tells_before_) add(window.last_block(pane, kid), RowOp::update_before);
    add(value, again ? RowOp::update_after : RowOp::insert);
  }
}

// After it was told: what the next record of this key will be compared with.
void WindowAggregate::Impl::settle(std::uint32_t kid) {
  Window& window = *firing_.pane->window;
  char* entry = window.entry(*firing_.pane, kid);
  char* value = layout_.cumulate && spec_.mode != EmitMode::discarding ? total_.data() : window.block(entry);
  if (spec_.mode == EmitMode::discarding) {
    accumulators_.reset(value, window.strings);
    entry_flags(entry) |= kEmitted;
    return;
  }
  if (none_left(value)) {
    entry_flags(entry) &= ~kEmitted;
    return;
  }
  entry_flags(entry) |= kEmitted;
  if (!layout_.keeps_last || firing_.closing) return;
  char* last = window.last_block_or_add(*firing_.pane, kid);
  accumulators_.reset(last, window.strings);
  accumulators_.merge(value, last, window.strings);
}

bool WindowAggregate::Impl::close_step(Pane& pane, Output& out) {
  Window& window = *pane.window;
  if (step_.closed == 0)
    for (DistinctSet& set : window.sets) set.close_steps(pane.step + 1);
  while (step_.closed < pane.entries->size()) {
    const std::uint32_t from = step_.closed;
    step_.closed = std::min<std::uint32_t>(pane.entries->size(), from + kTogether);
    for (std::uint32_t i = from; i < step_.closed; ++i) {
      char* entry = pane.entries->at(i);
      std::uint32_t kid = 0;
      std::memcpy(&kid, entry + 4, 4);
      keep_old(entry, pane, kid);
      change_closed(window, kid);
      accumulators_.merge(window.block(entry), window.closed_block(kid), window.strings);
      accumulators_.reset(window.block(entry), window.strings);
      if (char* last = window.last_block(pane, kid)) accumulators_.reset(last, window.strings);
    }
    if (work_.spent(step_.closed - from, out)) return false;
  }
  return true;
}

void WindowAggregate::Impl::turn_dictionaries(EventTime retention) {
  // Not while a snapshot writes ids of this generation: a later step will do.
  if (retention == kMinTime || retention == kMaxTime || saving_.on) return;
  const std::int64_t span = std::max(kShortestGeneration, spec_.size + spec_.allow_lateness);
  if (next_turn_ == kMinTime) next_turn_ = shift(retention, span);
  if (retention < next_turn_) return;
  const EventTime closed_end = shift(retention, 1 - spec_.allow_lateness);
  for (const Distinct& d : distinct_)
    if (!d.dictionary.can_turn(closed_end)) return;
  for (Distinct& d : distinct_) {
    d.dictionary.turn();
    d.written = {};
  }
  generation_turned_ = true;
  next_turn_ = shift(retention, span);
}

}  // namespace twinspan::engine
