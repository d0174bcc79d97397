#include "engine/operators/window_session.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "engine/operators/calendar.h"

namespace twinspan::engine {

SessionWindow::SessionWindow(WindowSpec spec, const Schema& schema)
    : spec_(std::move(spec)),
      schema_(schema),
      codec_(spec_.key_columns, spec_.key_types),
      keys_(codec_),
      accumulators_(spec_.aggregates),
      fixed_key_(fixed_key_size(spec_.key_types)),
      results_(spec_.key_types, accumulators_, schema_),
      sessions_(fixed_key_, accumulators_.bytes()),
      firing_timers_(spec_.size),
      closing_timers_(spec_.allow_lateness) {
  tells_before_ = spec_.mode == EmitMode::retracting || spec_.feeds_steps;
  for (std::size_t a = 0; a < spec_.aggregates.size(); ++a) {
    if (accumulators_.is_distinct(a)) distinct_.push_back(a);
  }
}

void SessionWindow::process(unsigned, Batch&& batch, Output& out) {
  if (restoring_) finish_restore();
  stats_.rows_in += batch.rows;
  work_.begin_rows(std::move(batch), output_watermark(now_));
  group_ = group_end_ = 0;
  resume(out);
}

void SessionWindow::watermark(unsigned, Watermark to, Output& out) {
  if (restoring_) finish_restore();
  work_.begin_watermark(to, output_watermark(now_));
  resume(out);
}

void SessionWindow::resume(Output& out) {
  work_.begin_portion(spec_.portion);
  const bool done = run(out);
  results_.flush(out, stats_);
  if (done) work_.end(output_watermark(now_), out, stats_);
}

// false: the portion is used up.
bool SessionWindow::run(Output& out) {
  if (work_.wall) return fire_listed(now_.retention < now_.firing, out);
  const Batch& batch = work_.batch;
  for (; work_.row < batch.rows; ++work_.row) {
    const std::uint32_t row = work_.row;
    if (row == group_end_) {
      count_placed(batch);
      look_up(row);
    }
    if (!move_to(work_.at(row, now_), out)) return false;
    if (batch.only_time(row)) continue;
    if (!place(batch, row, keys_.key(row - group_), keys_.hash(row - group_), out)) work_.late.push_back(row);
  }
  count_placed(batch);
  return !work_.marked || move_to(work_.to, out);
}

// The next group of rows: what they will look at begins to load.
void SessionWindow::look_up(std::uint32_t row) {
  group_ = row;
  group_end_ = std::min(work_.batch.rows, row + KeyGroup::kRows);
  const std::uint32_t n = group_end_ - group_;
  std::uint32_t rows[KeyGroup::kRows];
  std::iota(rows, rows + n, row);
  keys_.encode(work_.batch, rows, n);
  for (std::uint32_t i = 0; i < n; ++i) sessions_.prefetch(keys_.hash(i));
  for (std::uint32_t i = 0; i < n; ++i) sessions_.prefetch_record(keys_.hash(i));
}

bool SessionWindow::move_to(Watermark to, Output& out) {
  if (phase_ == Phase::none) {
    if (to == now_) return true;
    to.firing = std::max(to.firing, to.retention);
    if (due(to)) {
      count_placed(work_.batch);
      begin_step();
    }
  }
  to.firing = std::max(to.firing, to.retention);
  if (phase_ != Phase::none && !step(to, out)) return false;
  now_ = to;
  return true;
}

// false: the row is late.
bool SessionWindow::place(const Batch& batch, std::uint32_t row, std::string_view key, std::uint64_t hash,
                          Output& out) {
  const EventTime t = batch.time[row];
  if (t < Calendar::kEarliest || t > Calendar::kLatest || is_retraction(batch.flag(row))) [[unlikely]] {
    ++stats_.rows_failed;
    out.failed(batch, row,
               is_retraction(batch.flag(row)) ? "this window takes no retractions" : "event time out of range");
    return true;
  }
  const std::uint32_t first = sessions_.find(hash, key);
  std::uint32_t i = first - 1;
  if (first != 0) {
    Head& h = sessions_.head(i);
    constexpr std::uint32_t kTold = SessionStore::kFired | SessionStore::kEmitted;
    if (h.next_plus_1 == 0 && t >= h.start && t < h.end && (h.flags & kTold) == 0) [[likely]] {
      change(i);
      h.end = std::max(h.end, t + spec_.size);
    } else {
      count_placed(batch);  // sessions may merge
      i = meet(t, first, out);
    }
  }
  if (i == ~std::uint32_t{0}) {
    if (closed(t + spec_.size)) return false;
    i = sessions_.add(hash, key, first);
    sessions_.head(i).start = t;
    sessions_.head(i).end = t + spec_.size;
    if (!distinct_.empty()) extra_[i].distinct.resize(distinct_.size());
    change(i);
    wait_for_firing(i);
  }
  mark_changed(i);
  rows_.push_back(row);
  blocks_.push_back(sessions_.block(i));
  if (!distinct_.empty()) count_distinct(batch, row, i);
  return true;
}

// The session of this key that takes a row at t, with its new bounds; ~0: none does.
std::uint32_t SessionWindow::meet(EventTime t, std::uint32_t first, Output& out) {
  const EventTime row_end = t + spec_.size;
  std::uint32_t found = ~std::uint32_t{0};
  EventTime start = t, end = row_end;
  for (std::uint32_t next = first; next != 0;) {
    const std::uint32_t i = next - 1;
    const Head& h = sessions_.head(i);
    next = h.next_plus_1;
    if (h.start >= row_end || t >= h.end) continue;
    start = std::min(start, h.start);
    end = std::max(end, h.end);
    if (found == ~std::uint32_t{0}) {
      found = i;
      change(i);
    } else {
      join(found, i, out);
    }
  }
  if (found != ~std::uint32_t{0}) set_bounds(found, start, end, out);
  return found;
}

// What `from` counted counts in `into`; `from` ends.
void SessionWindow::join(std::uint32_t into, std::uint32_t from, Output& out) {
  keep_old(from);
  take_back(from, out);
  char* block = sessions_.block(into);
  accumulators_.merge(sessions_.block(from), block, memory_);
  if (!distinct_.empty()) {
    auto& sets = extra_[into].distinct;
    const auto& other = extra_[from].distinct;
    for (std::size_t d = 0; d < distinct_.size(); ++d) {
      // The counter holds the values not yet told: all of them, or if discarding those since the last record.
      const std::int64_t told =
          static_cast<std::int64_t>(sets[d].size() + other[d].size()) - accumulators_.count(block, distinct_[d]);
      sets[d].merge(other[d]);
      const std::int64_t now = static_cast<std::int64_t>(sets[d].size()) - told;
      accumulators_.add_count(block, distinct_[d], now - accumulators_.count(block, distinct_[d]));
    }
  }
  drop(from);
}

void SessionWindow::set_bounds(std::uint32_t i, EventTime start, EventTime end, Output& out) {
  Head& h = sessions_.head(i);
  if (h.start == start && h.end == end) return;
  take_back(i, out);
  if (h.start != start) forget_saved(i);
  h.start = start;
  h.end = end;
  h.flags &= ~(SessionStore::kFired | SessionStore::kFireDue);
  wait_for_firing(i);
}

void SessionWindow::count_placed(const Batch& batch) {
  if (rows_.empty()) return;
  accumulators_.update(batch, rows_.data(), blocks_.data(), static_cast<std::uint32_t>(rows_.size()), memory_);
  rows_.clear();
  blocks_.clear();
}

bool SessionWindow::counts(const Batch& batch, std::size_t aggregate, std::uint32_t row) const {
  const int f = spec_.aggregates[aggregate].filter;
  return f < 0 || (!batch.columns[f].is_null(row) && batch.columns[f].as<std::uint8_t>()[row] != 0);
}

void SessionWindow::count_distinct(const Batch& batch, std::uint32_t row, std::uint32_t i) {
  auto& sets = extra_[i].distinct;
  for (std::size_t d = 0; d < distinct_.size(); ++d) {
    const std::size_t a = distinct_[d];
    const Column& argument = batch.columns[spec_.aggregates[a].argument];
    if (argument.is_null(row) || !counts(batch, a, row)) continue;
    Dictionary::Identity identity;
    Dictionary::identify(argument, &row, 1, &identity);
    if (sets[d].add(identity)) accumulators_.add_count(sessions_.block(i), a, 1);
  }
}

void SessionWindow::mark_changed(std::uint32_t i) {
  Head& h = sessions_.head(i);
  if ((h.flags & SessionStore::kFireDue) != 0) return;
  h.flags |= SessionStore::kFireDue;
  if ((h.flags & SessionStore::kFired) == 0) {
    if (spec_.early == 0) return;
    changed_.push_back(i);
    if (next_early_ == kMaxTime && spec_.early_clock == EarlyClock::event) {
      next_early_ = early_after(now_.firing);
      wake_firing_ = std::min(wake_firing_, next_early_ - 1);
    }
    return;
  }
  again_.push_back(i);
  if (now_.retention >= h.end - 1)
    changed_after_firing_ = true;
  else
    wake_retention_ = std::min(wake_retention_, h.end - 1);
}

OperatorStats SessionWindow::stats() const {
  OperatorStats s = stats_;
  s.state_rows += sessions_.size();
  s.state_bytes += memory_.bytes() + sessions_.bytes() + firing_timers_.bytes() + closing_timers_.bytes() +
                   save_list_.bytes() + saving_list_.bytes();
  for (const auto& [i, extra] : extra_) {
    s.state_bytes += sizeof extra + extra.last.capacity();
    for (const IdentitySet& set : extra.distinct) {
      s.state_rows += set.size();
      s.state_bytes += set.bytes();
    }
  }
  return s;
}

}  // namespace twinspan::engine
