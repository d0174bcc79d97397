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

void SessionWindow::begin_step() {
  changed_after_firing_ = false;
  phase_ = Phase::complete;
}

bool SessionWindow::step(Watermark to, Output& out) {
  if (phase_ == Phase::complete) {
    if (!fire_complete(to, out)) return false;
    if (next_early_ != kMaxTime && to.firing >= next_early_ - 1 &&
        to.firing != kMaxTime) {  // at the end all is complete
      const EventTime moment = floor_div(to.firing + 1 - spec_.offset, spec_.early) * spec_.early + spec_.offset;
      early_provisional_ = to.retention < moment - 1;
      list_early();
    }
    phase_ = Phase::early;
  }
  if (phase_ == Phase::early) {
    if (!fire_listed(early_provisional_, out)) return false;
    list_changed(to);
    phase_ = Phase::changed;
  }
  if (phase_ == Phase::changed) {
    if (!fire_listed(false, out)) return false;
    phase_ = Phase::close;
  }
  if (!close(to, out)) return false;
  phase_ = Phase::none;
  wake_firing_ = shift(firing_timers_.earliest(), -1);
  if (next_early_ != kMaxTime) wake_firing_ = std::min(wake_firing_, next_early_ - 1);
  wake_retention_ = shift(closing_timers_.earliest(), spec_.allow_lateness - 1);
  for (const std::uint32_t i : again_) wake_retention_ = std::min(wake_retention_, sessions_.head(i).end - 1);
  return true;
}

bool SessionWindow::fire_complete(Watermark to, Output& out) {
  const EventTime until = shift(to.firing, 1);
  for (;;) {
    ready_.clear();
    firing_timers_.take(until, ready_, kGroup);
    if (ready_.empty()) return true;
    for (const auto& r : ready_) sessions_.prefetch_head(r.what);
    for (const auto& r : ready_) sessions_.prefetch_slot(r.what);
    for (const auto& [end, i] : ready_) {
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
        ended_.push_back(i);
      else
        closing_timers_.add(end, i);
    }
    settle();
    if (work_.spent(ready_.size(), out)) return false;
  }
}

void SessionWindow::list_early() {
  for (const std::uint32_t i : changed_) {
    const std::uint32_t flags = sessions_.head(i).flags;
    if ((flags & (SessionStore::kFree | SessionStore::kFired)) == 0 && (flags & SessionStore::kFireDue) != 0)
      listed_.push_back(i);
  }
  changed_.clear();
  next_early_ = kMaxTime;
}

// Those that had fired and changed since.
void SessionWindow::list_changed(Watermark to) {
  std::size_t later = 0;
  for (const std::uint32_t i : again_) {
    const Head& h = sessions_.head(i);
    constexpr std::uint32_t kBoth = SessionStore::kFireDue | SessionStore::kFired;
    if ((h.flags & SessionStore::kFree) != 0 || (h.flags & kBoth) != kBoth) continue;
    if (to.retention >= h.end - 1)
      listed_.push_back(i);
    else
      again_[later++] = i;
  }
  again_.resize(later);
}

bool SessionWindow::fire_listed(bool provisional, Output& out) {
  while (listed_at_ < listed_.size()) {
    const std::size_t from = listed_at_;
    listed_at_ = std::min(listed_.size(), from + kGroup);
    for (std::size_t l = from; l < listed_at_; ++l) sessions_.prefetch_whole(listed_[l]);
    for (std::size_t l = from; l < listed_at_; ++l)  // one may be named twice
      if ((sessions_.head(listed_[l]).flags & SessionStore::kFireDue) != 0) fire(listed_[l], provisional, false, out);
    settle();
    if (work_.spent(listed_at_ - from, out)) return false;
  }
  listed_.clear();
  listed_at_ = 0;
  return true;
}

bool SessionWindow::close(Watermark to, Output& out) {
  if (to.retention == kMinTime) return true;
  for (;;) {
    ready_.clear();
    closing_timers_.take(shift(to.retention, 1 - spec_.allow_lateness), ready_, kGroup);
    if (ready_.empty()) return true;
    for (const auto& r : ready_) sessions_.prefetch_head(r.what);
    for (const auto& r : ready_) sessions_.prefetch_slot(r.what);
    for (const auto& [end, i] : ready_) {
      const Head& h = sessions_.head(i);
      if ((h.flags & SessionStore::kFree) == 0 && (h.flags & SessionStore::kFired) != 0 && h.end == end) drop(i);
    }
    if (work_.spent(ready_.size(), out)) return false;
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
  if (!closing) told_.push_back(i);
  if (spec_.mode == EmitMode::discarding) {
    add(block, RowOp::insert);
    return;
  }
  const bool again = (h.flags & SessionStore::kEmitted) != 0;
  if (again && tells_before_) add(extra_[i].last.data(), RowOp::update_before);
  add(block, again ? RowOp::update_after : RowOp::insert);
  if (!closing) h.flags |= SessionStore::kEmitted;
}

// Result rows have been made of what fire() told: it may change now.
void SessionWindow::settle() {
  results_.settle();
  for (const std::uint32_t i : told_) {
    char* block = sessions_.block(i);
    if (spec_.mode == EmitMode::discarding) {
      accumulators_.reset(block, memory_);
      continue;
    }
    Extra& extra = extra_[i];
    if (extra.last.empty()) extra.last.assign(accumulators_.bytes(), 0);
    accumulators_.reset(extra.last.data(), memory_);
    accumulators_.merge(block, extra.last.data(), memory_);
  }
  told_.clear();
  for (const std::uint32_t i : ended_) drop(i);
  ended_.clear();
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
  results_.settle();
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
  list_early();
  work_.begin_clock(output_watermark(now_));
  resume(out);
}

}  // namespace twinspan::engine
