// When sessions come out, and when they end.

#include <algorithm>

#include "engine/operators/window_session.h"

namespace twinspan::engine {

namespace {

std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b != 0 && (a ^ b) < 0 ? 1 : 0); }

}  // namespace

void SessionWindow::wait_for_firing(std::uint32_t i) {
  Head& h = sessions_.head(i);
  if (now_.firing >= h.end - 1) {
    h.flags |= SessionStore::kFired;
    closing_timers_.add(h.end, i);
    wake_retention_ = std::min(wake_retention_, shift(h.end - 1, spec_.allow_lateness));
    return;
  }
  if ((h.flags & SessionStore::kWaits) != 0) return;  // the timer looks at the end when it wakes
  h.flags |= SessionStore::kWaits;
  firing_timers_.add(h.end, i);
  wake_firing_ = std::min(wake_firing_, h.end - 1);
}

// The first multiple of `early` that F has not reached. Before any watermark: the first one that comes.
EventTime SessionWindow::early_after(EventTime firing) const {
  if (firing == kMinTime) return kMinTime + 1;
  if (firing == kMaxTime) return kMaxTime;
  return (floor_div(firing + 1 - spec_.offset, spec_.early) + 1) * spec_.early + spec_.offset;
}

void SessionWindow::step(Watermark to, Output& out) {
  changed_after_firing_ = false;
  fire_complete(to, out);
  if (next_early_ != kMaxTime && to.firing >= next_early_ - 1 && to.firing != kMaxTime) {  // at the end all is complete
    const EventTime moment = floor_div(to.firing + 1 - spec_.offset, spec_.early) * spec_.early + spec_.offset;
    fire_early(to.retention < moment - 1, out);
  }
  fire_changed(to, out);
  close(to);
  wake_firing_ = shift(firing_timers_.earliest(), -1);
  if (next_early_ != kMaxTime) wake_firing_ = std::min(wake_firing_, next_early_ - 1);
  wake_retention_ = shift(closing_timers_.earliest(), spec_.allow_lateness - 1);
  for (const std::uint32_t i : again_) wake_retention_ = std::min(wake_retention_, sessions_.head(i).end - 1);
}

void SessionWindow::fire_complete(Watermark to, Output& out) {
  const EventTime until = shift(to.firing, 1);
  while (firing_timers_.earliest() <= until && firing_timers_.earliest() != kMaxTime) {
    ready_.clear();
    firing_timers_.take(until, ready_);
    for (std::size_t from = 0; from < ready_.size(); from += kGroup) {
      const std::size_t group = std::min(ready_.size(), from + kGroup);
      for (std::size_t r = from; r < group; ++r) sessions_.prefetch_head(ready_[r].what);
      for (std::size_t r = from; r < group; ++r) sessions_.prefetch_slot(ready_[r].what);
      for (std::size_t r = from; r < group; ++r) {
        const std::uint32_t i = ready_[r].what;
        const EventTime end = ready_[r].due;
        Head& h = sessions_.head(i);
        // A session that had this record before may have left the timer: it does no harm.
        if ((h.flags & (SessionStore::kFree | SessionStore::kFired)) != 0) continue;
        if (h.end != end) {  // it went on
          firing_timers_.add(h.end, i);
          continue;
        }
        h.flags = (h.flags | SessionStore::kFired) & ~SessionStore::kWaits;
        const bool closing = to.retention >= shift(end - 1, spec_.allow_lateness);
        if ((h.flags & SessionStore::kFireDue) != 0) fire(i, to.retention < end - 1, closing, out);
        if (closing)
          drop(i);
        else
          closing_timers_.add(end, i);
      }
    }
  }
}

void SessionWindow::fire_early(bool provisional, Output& out) {
  std::vector<std::uint32_t> ready;
  for (const std::uint32_t i : changed_) {
    const std::uint32_t flags = sessions_.head(i).flags;
    if ((flags & (SessionStore::kFree | SessionStore::kFired)) == 0 && (flags & SessionStore::kFireDue) != 0)
      ready.push_back(i);
  }
  changed_.clear();
  next_early_ = kMaxTime;
  for (const std::uint32_t i : ready)  // one may be named twice
    if ((sessions_.head(i).flags & SessionStore::kFireDue) != 0) fire(i, provisional, false, out);
}

// Those that had fired and changed since.
void SessionWindow::fire_changed(Watermark to, Output& out) {
  if (again_.empty()) return;
  std::vector<std::uint32_t> ready, later;
  for (const std::uint32_t i : again_) {
    const Head& h = sessions_.head(i);
    constexpr std::uint32_t kBoth = SessionStore::kFireDue | SessionStore::kFired;
    if ((h.flags & SessionStore::kFree) != 0 || (h.flags & kBoth) != kBoth) continue;
    (to.retention >= h.end - 1 ? ready : later).push_back(i);
  }
  again_ = std::move(later);
  for (const std::uint32_t i : ready)
    if ((sessions_.head(i).flags & SessionStore::kFireDue) != 0) fire(i, false, false, out);
}

void SessionWindow::close(Watermark to) {
  if (to.retention == kMinTime) return;
  ready_.clear();
  closing_timers_.take(shift(to.retention, 1 - spec_.allow_lateness), ready_);
  for (const auto& [end, i] : ready_) {
    const Head& h = sessions_.head(i);
    if ((h.flags & SessionStore::kFree) == 0 && (h.flags & SessionStore::kFired) != 0 && h.end == end) drop(i);
  }
}

void SessionWindow::fire(std::uint32_t i, bool provisional, bool closing, Output& out) {
  Head& h = sessions_.head(i);
  char* block = sessions_.block(i);
  const Watermark before = output_watermark(now_);
  auto add = [&](const char* values, RowOp op) {
    std::uint8_t flags = static_cast<std::uint8_t>(op) | (provisional ? kProvisionalFlag : std::uint8_t{0});
    if (op == RowOp::update_before && spec_.mode != EmitMode::retracting) flags |= kForStepsFlag;
    results_.add(sessions_.key(i), {h.start, h.end}, h.end - 1, values, flags, before, out, stats_);
  };
  if (closing)
    keep_old(i);
  else
    change(i);
  h.flags &= ~SessionStore::kFireDue;
  if (spec_.mode == EmitMode::discarding) {
    add(block, RowOp::insert);
    accumulators_.reset(block, memory_);
    return;
  }
  const bool again = (h.flags & SessionStore::kEmitted) != 0;
  if (again && tells_before_) add(extra_[i].last.data(), RowOp::update_before);
  add(block, again ? RowOp::update_after : RowOp::insert);
  if (closing) return;
  h.flags |= SessionStore::kEmitted;
  Extra& extra = extra_[i];
  if (extra.last.empty()) extra.last.assign(accumulators_.bytes(), 0);
  accumulators_.reset(extra.last.data(), memory_);
  accumulators_.merge(block, extra.last.data(), memory_);
}

// Its bounds are about to change, or it ends in another one: what was told of it is no longer so.
void SessionWindow::take_back(std::uint32_t i, Output& out) {
  Head& h = sessions_.head(i);
  if ((h.flags & SessionStore::kEmitted) == 0) return;
  h.flags &= ~SessionStore::kEmitted;
  Extra& extra = extra_[i];
  const auto flags = static_cast<std::uint8_t>(static_cast<std::uint8_t>(RowOp::remove) |
                                               (now_.retention < h.end - 1 ? kProvisionalFlag : std::uint8_t{0}));
  results_.add(sessions_.key(i), {h.start, h.end}, h.end - 1, extra.last.data(), flags, output_watermark(now_), out,
               stats_);
  accumulators_.reset(extra.last.data(), memory_);
  extra.last.clear();
}

void SessionWindow::drop(std::uint32_t i) {
  keep_old(i);
  forget_saved(i);
  accumulators_.reset(sessions_.block(i), memory_);
  if (const auto extra = extra_.find(i); extra != extra_.end()) {
    if (!extra->second.last.empty()) accumulators_.reset(extra->second.last.data(), memory_);
    extra_.erase(extra);
  }
  sessions_.remove(i);
}

void SessionWindow::clock(std::int64_t wall_ms, Output& out) {
  if (restoring_) finish_restore();
  if (wall_ == kMinTime) wall_ = wall_ms;
  if (wall_ms < wall_ + spec_.early) return;
  wall_ = wall_ms;
  fire_early(now_.retention < now_.firing, out);
  results_.flush(out, stats_);
}

}  // namespace twinspan::engine
