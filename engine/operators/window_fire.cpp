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
  for (auto& [end, window] : windows_)
    for (auto& [step, pane] : window->panes)
      if (!pane->fired && !pane->fire_list.empty()) {
        const EventTime time = global() ? std::max(newest_, shift(now_.retention, 1)) : pane->end - 1;
        fire(*pane, time, now_.retention < now_.firing, false, out);
      }
  results_.flush(out, stats_);
}

void WindowAggregate::Impl::wake_for(const Pane& pane) {
  if (!pane.fired) {
    wake_firing_ = std::min({wake_firing_, pane.end - 1, pane.next_early == kMaxTime ? kMaxTime : pane.next_early - 1});
  } else if (!pane.fire_list.empty()) {
    wake_retention_ = std::min(wake_retention_, pane.end - 1);
  }
  wake_retention_ = std::min(wake_retention_, shift(pane.end - 1, spec_.allow_lateness));
}

void WindowAggregate::Impl::step(Watermark to, Output& out) {
  wake_firing_ = wake_retention_ = kMaxTime;
  changed_after_firing_ = false;
  hit_ = {};
  for (auto w = windows_.begin(); w != windows_.end();) {
    Window& window = *w->second;
    const bool window_closing = closed(window.range.end, to);
    for (auto p = window.panes.begin(); p != window.panes.end();) {
      Pane& pane = *p->second;
      const bool closing = closed(pane.end, to);
      const bool complete = to.retention >= pane.end - 1;
      if (!pane.fired && to.firing >= pane.end - 1) {
        pane.fired = true;
        // What is left of a global window when its input ends stands for the moment that would have been next.
        const EventTime last = pane.next_early == kMaxTime || pane.next_early <= kMinTime + 1
                                   ? std::max(newest_, shift(now_.retention, 1))
                                   : pane.next_early - 1;
        fire(pane, global() ? last : pane.end - 1, !complete, closing, out);
      } else if (pane.fired) {
        if (complete && !pane.fire_list.empty()) fire(pane, false, closing, out);
      } else if (pane.next_early != kMaxTime && to.firing >= pane.next_early - 1) {
        const EventTime moment = moment_of(pane, to.firing);
        pane.next_early = early_after(pane, to.firing);
        fire(pane, global() ? moment - 1 : pane.end - 1, to.retention < moment - 1, false, out);
      }
      if (!closing) {
        wake_for(pane);
        ++p;
        continue;
      }
      if (layout_.cumulate) {
        steps_closed_ = std::max(steps_closed_, pane.end);
        if (std::next(p) != window.panes.end() || !window_closing) close_step(pane);  // later panes hold it
      }
      if (saving_.on) saving_.panes.push_back(std::move(p->second));
      p = window.panes.erase(p);
    }
    if (window_closing) {
      windows_closed_ = std::max(windows_closed_, window.range.end);
      if (saving_.on) saving_.windows.push_back(std::move(w->second));
      w = windows_.erase(w);
      continue;
    }
    wake_retention_ = std::min(wake_retention_, shift(window.range.end - 1, spec_.allow_lateness));
    ++w;
  }
  now_ = to;
  if (!distinct_.empty()) turn_dictionaries(to.retention);
}

void WindowAggregate::Impl::fire(Pane& pane, EventTime time, bool provisional, bool closing, Output& out) {
  Window& window = *pane.window;
  const Watermark before = output_watermark(now_);
  const auto final_flag = provisional ? kProvisionalFlag : std::uint8_t{0};
  auto with = [&](RowOp op) {
    const auto steps_only =
        op == RowOp::update_before && spec_.mode != EmitMode::retracting ? kForStepsFlag : std::uint8_t{0};
    return static_cast<std::uint8_t>(static_cast<std::uint8_t>(op) | final_flag | steps_only);
  };
  // An entry that goes with its window stays as it is: a snapshot under way may still have to read it.
  const bool goes = closing && !layout_.cumulate;
  if (!std::is_sorted(pane.fire_list.begin(), pane.fire_list.end()))
    std::sort(pane.fire_list.begin(), pane.fire_list.end());
  for (const std::uint32_t kid : pane.fire_list) {
    char* entry = window.entry(pane, kid);
    const bool again = (entry_flags(entry) & kEmitted) != 0;
    const std::string_view key = window.keys.key(window.keys.entry(kid));
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
    auto add = [&](const char* block, RowOp op) {
      results_.add(key, {window.range.start, pane.end}, time, block, with(op), before, out, stats_);
    };
    if (!goes) {
      if (closing)
        keep_old(entry, pane, kid);
      else
        change(entry, pane, kid);
      entry_flags(entry) &= ~kFireDue;
    }
    if (spec_.mode == EmitMode::discarding) {
      add(value, RowOp::insert);
      if (goes) continue;
      accumulators_.reset(value, window.strings);
      entry_flags(entry) |= kEmitted;
      continue;
    }
    if (spec_.updating && accumulators_.count(value, rows_counted_) <= 0) {  // all its rows were taken back
      if (again) add(window.last_block(entry), RowOp::remove);
      if (!goes) entry_flags(entry) &= ~kEmitted;
      continue;
    }
    if (again && tells_before_) add(window.last_block(entry), RowOp::update_before);
    add(value, again ? RowOp::update_after : RowOp::insert);
    if (goes) continue;
    entry_flags(entry) |= kEmitted;
    if (!layout_.keeps_last) continue;
    char* last = window.last_block(entry);
    accumulators_.reset(last, window.strings);
    accumulators_.merge(value, last, window.strings);
  }
  pane.fire_list.clear();
}

void WindowAggregate::Impl::close_step(Pane& pane) {
  Window& window = *pane.window;
  for (DistinctSet& set : window.sets) set.close_steps(pane.step + 1);
  for (std::uint32_t i = 0; i < pane.entries->size(); ++i) {
    char* entry = pane.entries->at(i);
    std::uint32_t kid = 0;
    std::memcpy(&kid, entry + 4, 4);
    keep_old(entry, pane, kid);
    change_closed(window, kid);
    accumulators_.merge(window.block(entry), window.closed_block(kid), window.strings);
    accumulators_.reset(window.block(entry), window.strings);
    if (layout_.keeps_last) accumulators_.reset(window.last_block(entry), window.strings);
  }
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
