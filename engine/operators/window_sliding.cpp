#include "engine/operators/window_sliding.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include <xxhash.h>

namespace twinspan::engine {

namespace {

// Window numbers before and behind all others.
constexpr std::int64_t kFirst = std::numeric_limits<std::int64_t>::min() / 4;
constexpr std::int64_t kLast = std::numeric_limits<std::int64_t>::max() / 4;

Calendar panes_of(const WindowSpec& spec) {
  auto calendar = Calendar::make(spec.time_zone, std::gcd(spec.size, spec.every), spec.offset);
  TS_CHECK(calendar.has_value());  // validate() has seen it
  return calendar.value();
}

}  // namespace

SlidingWindow::SlidingWindow(WindowSpec spec, const Schema& schema)
    : spec_(std::move(spec)),
      schema_(schema),
      unit_(panes_of(spec_)),
      panes_(spec_.size / std::gcd(spec_.size, spec_.every)),
      slide_(spec_.every / std::gcd(spec_.size, spec_.every)),
      codec_(spec_.key_columns, spec_.key_types),
      keys_(codec_),
      accumulators_(accumulated(spec_), spec_.updating),
      rows_counted_(spec_.aggregates.size()),
      results_(spec_.key_types, accumulators_, schema_) {
  tells_before_ = spec_.mode == EmitMode::retracting || spec_.feeds_steps;
  for (std::size_t a = 0; a < spec_.aggregates.size(); ++a)
    if (accumulators_.is_distinct(a)) distinct_.push_back(a);
  layout_ = {accumulators_.bytes(), fixed_key_size(spec_.key_types), distinct_.size(),
             static_cast<std::uint32_t>(panes_)};
  total_.assign(accumulators_.bytes(), 0);
  totals_.assign(kTogether * accumulators_.bytes(), 0);
}

std::int64_t SlidingWindow::first_ending_after(EventTime t) const {
  if (t == kMinTime) return kFirst;
  if (t == kMaxTime) return kLast;
  return ceil_div(unit_.index_of(t) + 1 - panes_, slide_);
}
std::int64_t SlidingWindow::first_with(std::int64_t pane) const { return ceil_div(pane - panes_ + 1, slide_); }
std::int64_t SlidingWindow::last_with(std::int64_t pane) const { return floor_div(pane, slide_); }

bool SlidingWindow::told(std::int64_t window, Watermark w) const {
  if (w.firing == kMinTime) return false;
  if (w.firing >= end_of(window) - 1) return true;
  return spec_.early > 0 && spec_.early < end_of(window) - start_of(window) &&
         w.firing >= start_of(window) + spec_.early - 1;
}

void SlidingWindow::process(unsigned, Batch&& batch, Output& out) {
  if (restoring_) restore_watermark(0, now_);
  stats_.rows_in += batch.rows;
  work_.begin_rows(std::move(batch), output_watermark(now_));
  resume(out);
}

void SlidingWindow::watermark(unsigned, Watermark to, Output& out) {
  if (restoring_) restore_watermark(0, now_);
  work_.begin_watermark(to, output_watermark(now_));
  resume(out);
}

void SlidingWindow::resume(Output& out) {
  work_.begin_portion(spec_.portion);
  const bool done = run(out);
  results_.flush(out, stats_);
  totals_used_ = 0;
  if (done) work_.end(output_watermark(now_), out, stats_);
}

// false: the portion is used up.
bool SlidingWindow::run(Output& out) {
  const Batch& batch = work_.batch;
  for (; work_.row < batch.rows; ++work_.row) {
    const std::uint32_t row = work_.row;
    if (!move_to(work_.at(row, now_), out)) return false;
    if (batch.only_time(row)) continue;
    const EventTime t = batch.time[row];
    const bool retraction = is_retraction(batch.flag(row));
    if (t < Calendar::kEarliest || t > Calendar::kLatest || (retraction && !spec_.updating)) [[unlikely]] {
      ++stats_.rows_failed;
      out.failed(batch, row, retraction ? "this window takes no retractions" : "event time out of range");
      continue;
    }
    if (t < hit_.from || t >= hit_.to) {
      if (!find_hit(t)) {
        work_.late.push_back(row);
        continue;
      }
    }
    if (now_.firing >= hit_.to - 1 || spec_.early > 0) [[unlikely]] {
      if (last_with(unit_.index_of(t)) < first_open(now_)) {
        work_.late.push_back(row);
        continue;
      }
      count_placed(batch);
      count_behind(batch, row);
      continue;
    }
    retractions_ |= retraction;
    rows_.push_back(row);
    placed_.push_back(hit_.chunk);
    steps_.push_back(hit_.step);
  }
  count_placed(batch);
  return !work_.marked || move_to(work_.to, out);
}

bool SlidingWindow::move_to(Watermark to, Output& out) {
  const bool stepping = step_.phase != decltype(step_)::Phase::none;
  if (!stepping && to == now_) return true;
  to.firing = std::max(to.firing, to.retention);
  if ((stepping || due(to)) && !step(to, out)) return false;
  now_ = to;
  return true;
}

// false: every window that holds t is closed.
bool SlidingWindow::find_hit(EventTime t) {
  const std::int64_t pane = unit_.index_of(t);
  if (last_with(pane) < first_open(now_)) return false;
  const std::int64_t number = floor_div(pane, panes_);
  hit_ = {unit_.start_of(pane), unit_.start_of(pane + 1), &chunk_at(number),
          static_cast<std::uint32_t>(pane - number * panes_)};
  set_wakes(now_);
  return true;
}

WindowChunk& SlidingWindow::chunk_at(std::int64_t number) {
  auto& chunk = chunks_[number];
  if (!chunk) chunk = std::make_unique<WindowChunk>(number, layout_, accumulators_);
  return *chunk;
}

std::uint32_t SlidingWindow::kid_of(WindowChunk& chunk, std::uint64_t hash, std::string_view key,
                                    std::uint32_t probable) {
  const std::uint32_t known = chunk.keys.size();
  const std::uint32_t kid = chunk.keys.find_or_add(hash, key, chunk.strings, probable);
  if (kid != known) [[likely]]
    return kid;
  if (WindowChunk* before = this->chunk(chunk.number - 1)) {
    if (const std::uint32_t twin = before->keys.find_kid(hash, key); twin != 0) {
      chunk.head(kid).before_plus_1 = twin;
      before->head(twin - 1).after_plus_1 = kid + 1;
    }
  }
  if (WindowChunk* after = this->chunk(chunk.number + 1)) {
    if (const std::uint32_t twin = after->keys.find_kid(hash, key); twin != 0) {
      chunk.head(kid).after_plus_1 = twin;
      after->head(twin - 1).before_plus_1 = kid + 1;
    }
  }
  return kid;
}

void SlidingWindow::count_placed(const Batch& batch) {
  const auto n = static_cast<std::uint32_t>(rows_.size());
  for (std::uint32_t from = 0; from < n; from += PaneKeys::kGroup)
    count_group(batch, from, std::min(n - from, PaneKeys::kGroup));
  rows_.clear();
  placed_.clear();
  steps_.clear();
  retractions_ = false;
}

void SlidingWindow::count_group(const Batch& batch, std::uint32_t from, std::uint32_t n) {
  keys_.encode(batch, &rows_[from], n);
  for (std::uint32_t i = 0; i < n; ++i) placed_[from + i]->keys.prefetch(keys_.hash(i));
  std::uint32_t probable[PaneKeys::kGroup];
  for (std::uint32_t i = 0; i < n; ++i) probable[i] = placed_[from + i]->keys.prefetch_entry(keys_.hash(i));
  std::uint32_t kids[PaneKeys::kGroup];
  for (std::uint32_t i = 0; i < n; ++i) {
    kids[i] = kid_of(*placed_[from + i], keys_.hash(i), keys_.key(i), probable[i]);
    placed_[from + i]->prefetch_newest(kids[i]);
  }
  char* blocks[PaneKeys::kGroup];
  std::uint32_t entries[PaneKeys::kGroup];
  for (std::uint32_t i = 0; i < n; ++i) {
    WindowChunk& chunk = *placed_[from + i];
    const std::uint32_t e = chunk.entry_at(kids[i], steps_[from + i]);
    change(chunk, e);
    blocks[i] = chunk.block(e);
    entries[i] = e;
  }
  if (!distinct_.empty()) count_distinct(batch, &rows_[from], &placed_[from], entries, n);
  if (!retractions_ && !accumulators_.owns_memory()) {
    accumulators_.update(batch, &rows_[from], blocks, n, scratch_);
    return;
  }
  for (std::uint32_t i = 0; i < n;) {  // what blocks own lies with their chunk
    const std::uint32_t first = i;
    WindowChunk* chunk = placed_[from + i];
    const bool taken_back = is_retraction(batch.flag(rows_[from + i]));
    while (i < n && placed_[from + i] == chunk && is_retraction(batch.flag(rows_[from + i])) == taken_back) ++i;
    if (taken_back)
      accumulators_.retract(batch, &rows_[from + first], &blocks[first], i - first, chunk->strings);
    else
      accumulators_.update(batch, &rows_[from + first], &blocks[first], i - first, chunk->strings);
  }
}

void SlidingWindow::update(const Batch& batch, std::uint32_t row, char* block, BlockMemory& memory) const {
  if (is_retraction(batch.flag(row)))
    accumulators_.retract(batch, &row, &block, 1, memory);
  else
    accumulators_.update(batch, &row, &block, 1, memory);
}

bool SlidingWindow::counts(const Batch& batch, std::size_t aggregate, std::uint32_t row) const {
  const int f = spec_.aggregates[aggregate].filter;
  return f < 0 || (!batch.columns[f].is_null(row) && batch.columns[f].as<std::uint8_t>()[row] != 0);
}

// At most a group.
void SlidingWindow::count_distinct(const Batch& batch, const std::uint32_t* rows, WindowChunk* const* chunks,
                                   const std::uint32_t* entries, std::uint32_t n) {
  for (std::size_t d = 0; d < distinct_.size(); ++d) {
    const Column& argument = batch.columns[spec_.aggregates[distinct_[d]].argument];
    std::uint32_t chosen[PaneKeys::kGroup], chosen_rows[PaneKeys::kGroup], some = 0;
    for (std::uint32_t i = 0; i < n; ++i) {
      if (argument.is_null(rows[i]) || !counts(batch, distinct_[d], rows[i])) continue;
      chosen_rows[some] = rows[i];
      chosen[some++] = i;
    }
    Dictionary::Identity values[PaneKeys::kGroup];
    Dictionary::identify(argument, chosen_rows, some, values);
    for (std::uint32_t i = 0; i < some; ++i) {
      const WindowChunk& c = *chunks[chosen[i]];
      c.distinct[d].prefetch(c.entry(entries[chosen[i]]).kid, values[i]);
    }
    for (std::uint32_t i = 0; i < some; ++i) {
      WindowChunk& c = *chunks[chosen[i]];
      const std::uint32_t e = entries[chosen[i]];
      if (c.add_value(d, e, values[i], chunk(c.number - 1), chunk(c.number + 1)))
        c.added.push_back({e, static_cast<std::uint32_t>(d), values[i]});
    }
  }
}

// A row whose pane is in windows that have been told.
void SlidingWindow::count_behind(const Batch& batch, std::uint32_t row) {
  std::string key;
  codec_.append(batch, row, key);
  const std::uint64_t hash = XXH3_64bits(key.data(), key.size());
  const std::int64_t pane = hit_.chunk->number * panes_ + hit_.step;
  const std::int64_t last = last_with(pane);
  for (std::int64_t k = std::max(first_open(now_), first_with(pane)); k <= last; ++k) {
    if (!told(k, now_)) continue;
    note_pending(k, key, hash);
    if (spec_.mode != EmitMode::discarding) continue;
    PendingWindow& w = pending_[k];
    PendingKeys::value_type& of_key = *w.keys.find(key);
    change(k, w, of_key);
    update(batch, row, of_key.second.delta.data(), w.strings);
  }
  WindowChunk& chunk = *hit_.chunk;
  const std::uint32_t kid = kid_of(chunk, hash, key);
  const std::uint32_t e = chunk.entry_at(kid, hit_.step);
  change(chunk, e);
  update(batch, row, chunk.block(e), chunk.strings);
  if (!distinct_.empty()) {
    WindowChunk* chunks[] = {&chunk};
    count_distinct(batch, &row, chunks, &e, 1);
  }
  chunk.repair(kid);
}

void SlidingWindow::note_pending(std::int64_t window, std::string_view key, std::uint64_t hash) {
  PendingWindow& w = pending_[window];
  const EventTime end = end_of(window);
  if (now_.firing >= end - 1) {
    if (now_.retention >= end - 1)
      changed_after_firing_ = true;
    else
      wake_retention_ = std::min(wake_retention_, end - 1);
  }
  const auto found = w.keys.find(key);
  if (found != w.keys.end()) return;
  PendingKeys::value_type& of_key = *w.keys.emplace(std::string(key), Pending{}).first;
  change(window, w, of_key);
  Pending& p = of_key.second;
  p.told = value_of(window, key, hash);
  p.old.assign(accumulators_.bytes(), 0);
  accumulators_.merge(total_.data(), p.old.data(), w.strings);
  if (spec_.mode == EmitMode::discarding) p.delta.assign(accumulators_.bytes(), 0);
}

OperatorStats SlidingWindow::stats() const {
  OperatorStats s = stats_;
  for (const auto& [number, chunk] : chunks_) {
    s.state_rows += chunk->entries();
    s.state_bytes += chunk->bytes();
  }
  for (const auto& chunk : saving_.chunks) s.state_bytes += chunk->bytes();
  for (const auto& [k, w] : pending_) {
    s.state_rows += w.keys.size();
    s.state_bytes +=
        w.strings.bytes() + w.keys.size() * (sizeof(Pending) + 64 + 2 * accumulators_.bytes()) + w.save_list.bytes();
  }
  return s;
}

}  // namespace twinspan::engine
