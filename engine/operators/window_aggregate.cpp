#include "engine/operators/window_aggregate.h"

#include <algorithm>
#include <utility>

#include "engine/operators/window_impl.h"

namespace twinspan::engine {

namespace {

Calendar calendar_of(const WindowSpec& spec) {
  auto calendar = Calendar::make(spec.time_zone, unit_of(spec), spec.offset);
  TS_CHECK(calendar.has_value());  // validate() has seen it
  return calendar.value();
}

}  // namespace

WindowAggregate::Impl::Impl(WindowSpec spec, const Schema& schema)
    : spec_(std::move(spec)),
      schema_(schema),
      calendar_(calendar_of(spec_)),
      codec_(spec_.key_columns, spec_.key_types),
      keys_(codec_),
      accumulators_(accumulated(spec_), spec_.updating),
      results_(spec_.key_types, accumulators_, schema_) {
  layout_.cumulate = spec_.kind == WindowKind::cumulate;
  tells_before_ = spec_.mode == EmitMode::retracting || spec_.feeds_steps;
  layout_.keeps_last = tells_before_ || (spec_.updating && spec_.mode != EmitMode::discarding);
  rows_counted_ = spec_.aggregates.size();
  layout_.block_bytes = accumulators_.bytes();
  layout_.fixed_key = fixed_key_size(spec_.key_types);
  total_.assign(accumulators_.bytes(), 0);
  no_rows_.assign(accumulators_.bytes(), 0);
  for (std::size_t a = 0; a < spec_.aggregates.size(); ++a) {
    const AggregateSpec& s = spec_.aggregates[a];
    if (!accumulators_.is_distinct(a)) continue;
    auto d =
        std::find_if(distinct_.begin(), distinct_.end(), [&](const Distinct& x) { return x.argument == s.argument; });
    if (d == distinct_.end()) {
      distinct_.emplace_back();
      d = distinct_.end() - 1;
      d->argument = s.argument;
    }
    d->aggregates.push_back(a);
    d->sets.push_back(set_aggregate_.size());
    set_aggregate_.push_back(a);
    set_distinct_.push_back(static_cast<std::size_t>(d - distinct_.begin()));
  }
}

void WindowAggregate::Impl::process(Batch&& batch, Output& out) {
  if (restored_) finish_restore();
  stats_.rows_in += batch.rows;
  work_.begin_rows(std::move(batch), output_watermark(now_));
  resume(out);
}

void WindowAggregate::Impl::advance(Watermark to, Output& out) {
  if (restored_) finish_restore();
  work_.begin_watermark(to, output_watermark(now_));
  resume(out);
}

void WindowAggregate::Impl::resume(Output& out) {
  work_.begin_portion(spec_.portion);
  const bool done = run(out);
  results_.flush(out, stats_);
  if (done) work_.end(output_watermark(now_), out, stats_);
}

// false: the portion is used up.
bool WindowAggregate::Impl::run(Output& out) {
  if (work_.wall) return fire_by_wall(out);
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
    retractions_ |= retraction;
    if (global()) newest_ = std::max(newest_, t);
    Pane* pane = place(t, now_);
    if (pane == nullptr) {
      work_.late.push_back(row);
      continue;
    }
    if (pane->fired) note_change_after_firing(*pane, now_);
    rows_.push_back(row);
    panes_.push_back(pane);
  }
  count_placed(batch);
  return !work_.marked || move_to(work_.to, out);
}

void WindowAggregate::Impl::count_placed(const Batch& batch) {
  const auto n = static_cast<std::uint32_t>(rows_.size());
  if (n == 0) return;
  kids_.resize(n);
  blocks_.resize(n);
  for (std::uint32_t from = 0; from < n; from += PaneKeys::kGroup)
    count_group(batch, from, std::min(n - from, PaneKeys::kGroup));
  for (Distinct& d : distinct_) count_distinct(batch, d);
  rows_.clear();
  panes_.clear();
  retractions_ = false;
}

void WindowAggregate::Impl::count_group(const Batch& batch, std::uint32_t from, std::uint32_t n) {
  keys_.encode(batch, &rows_[from], n);
  for (std::uint32_t i = 0; i < n; ++i) panes_[from + i]->window->keys.prefetch(keys_.hash(i));
  std::uint32_t probable[PaneKeys::kGroup];
  for (std::uint32_t i = 0; i < n; ++i) probable[i] = panes_[from + i]->window->keys.prefetch_entry(keys_.hash(i));
  for (std::uint32_t i = 0; i < n; ++i) {
    Pane& pane = *panes_[from + i];
    Window& window = *pane.window;
    const std::uint32_t known = window.keys.size();
    const std::uint32_t kid = window.keys.find_or_add(keys_.hash(i), keys_.key(i), window.strings, probable[i]);
    char* entry = window.entry_or_add(pane, kid);
    change(entry, pane, kid);
    mark_fire(entry, pane, kid);
    kids_[from + i] = kid;
    blocks_[from + i] = window.block(entry);
    if (!layout_.cumulate) continue;
    if (kid == known) change_closed(window, kid);
    if (!pane.fired || spec_.mode == EmitMode::discarding) continue;
    // Later steps that have fired, and told this key, hold the row too.
    for (auto p = window.panes.upper_bound(pane.step); p != window.panes.end() && p->second->fired; ++p) {
      char* later = window.entry(*p->second, kid);
      if (later == nullptr) continue;
      change(later, *p->second, kid);
      mark_fire(later, *p->second, kid);
    }
  }
  const bool by_window = accumulators_.owns_memory();
  if (!by_window && !retractions_) {
    accumulators_.update(batch, &rows_[from], &blocks_[from], n, total_strings_);
    return;
  }
  for (std::uint32_t i = 0; i < n;) {  // what blocks own lies with their window
    const std::uint32_t first = from + i;
    Window* window = panes_[first]->window;
    const bool taken_back = is_retraction(batch.flag(rows_[first]));
    while (i < n && (!by_window || panes_[from + i]->window == window) &&
           is_retraction(batch.flag(rows_[from + i])) == taken_back)
      ++i;
    BlockMemory& memory = by_window ? window->strings : total_strings_;
    if (taken_back)
      accumulators_.retract(batch, &rows_[first], &blocks_[first], from + i - first, memory);
    else
      accumulators_.update(batch, &rows_[first], &blocks_[first], from + i - first, memory);
  }
}

bool WindowAggregate::Impl::counts(const Batch& batch, std::size_t aggregate, std::uint32_t row) const {
  const int f = spec_.aggregates[aggregate].filter;
  return f < 0 || (!batch.columns[f].is_null(row) && batch.columns[f].as<std::uint8_t>()[row] != 0);
}

void WindowAggregate::Impl::count_distinct(const Batch& batch, Distinct& d) {
  const Column& argument = batch.columns[d.argument];
  chosen_.clear();
  chosen_rows_.clear();
  for (std::uint32_t i = 0; i < rows_.size(); ++i) {
    const std::uint32_t row = rows_[i];
    if (argument.is_null(row)) continue;
    if (!std::any_of(d.aggregates.begin(), d.aggregates.end(), [&](std::size_t a) { return counts(batch, a, row); }))
      continue;
    chosen_.push_back(i);
    chosen_rows_.push_back(row);
  }
  const auto n = static_cast<std::uint32_t>(chosen_.size());
  identities_.resize(n);
  ids_.resize(n);
  Dictionary::identify(argument, chosen_rows_.data(), n, identities_.data());
  d.dictionary.find_or_add(identities_.data(), n, ids_.data());
  for (std::size_t k = 0; k < d.aggregates.size(); ++k) {
    const std::size_t a = d.aggregates[k];
    const std::size_t set = d.sets[k];
    for (std::uint32_t from = 0; from < n; from += Dictionary::kGroup) {
      const std::uint32_t to = std::min(n, from + Dictionary::kGroup);
      for (std::uint32_t j = from; j < to; ++j)
        panes_[chosen_[j]]->window->sets[set].prefetch(kids_[chosen_[j]], ids_[j]);
      for (std::uint32_t j = from; j < to; ++j) {
        if (!counts(batch, a, chosen_rows_[j])) continue;
        const std::uint32_t i = chosen_[j];
        Pane& pane = *panes_[i];
        Window& window = *pane.window;
        d.dictionary.used_until(window.range.end);
        const std::int32_t was =
            window.sets[set].add(kids_[i], ids_[j], static_cast<std::uint16_t>(pane.step), identities_[j]);
        if (was == DistinctSet::kKnown) continue;
        accumulators_.add_count(blocks_[i], a, 1);
        if (was == DistinctSet::kAdded) continue;
        // Counted in a later step until now, which is open: else this row would have been placed behind it.
        Pane& later = *window.panes.at(static_cast<std::uint32_t>(was));
        char* entry = window.entry(later, kids_[i]);
        change(entry, later, kids_[i]);
        accumulators_.add_count(window.block(entry), a, -1);
        if (spec_.mode == EmitMode::discarding) mark_fire(entry, later, kids_[i]);
      }
    }
  }
}

OperatorStats WindowAggregate::Impl::stats() const {
  OperatorStats s = stats_;
  for (const auto& [end, window] : windows_) {
    s.state_rows += window->keys.size();
    s.state_bytes += window->bytes();
    for (const DistinctSet& set : window->sets) s.state_rows += set.size();
  }
  for (const auto& window : saving_.windows) s.state_bytes += window->bytes();
  for (const Distinct& d : distinct_) {
    s.state_rows += d.dictionary.size();
    s.state_bytes += d.dictionary.bytes() + d.written.bytes();
  }
  return s;
}

WindowAggregate::WindowAggregate(WindowSpec spec, const Schema& schema)
    : impl_(std::make_unique<Impl>(std::move(spec), schema)) {}
WindowAggregate::~WindowAggregate() = default;
void WindowAggregate::process(unsigned, Batch&& batch, Output& out) { impl_->process(std::move(batch), out); }
void WindowAggregate::watermark(unsigned, Watermark w, Output& out) { impl_->advance(w, out); }
bool WindowAggregate::wants_clock() const { return impl_->wants_clock(); }
bool WindowAggregate::pending() const { return impl_->pending(); }
void WindowAggregate::resume(Output& out) { impl_->resume(out); }
void WindowAggregate::clock(std::int64_t wall_ms, Output& out) { impl_->clock(wall_ms, out); }
void WindowAggregate::finish(Output& out) { impl_->advance({kMaxTime, kMaxTime}, out); }
bool WindowAggregate::begin_snapshot(DeltaWriter& out) { return impl_->begin_snapshot(out); }
bool WindowAggregate::snapshot_portion(std::size_t entries, DeltaWriter& out) {
  return impl_->snapshot_portion(entries, out);
}
Status WindowAggregate::restore(const StateEntry& entry) { return impl_->restore(entry); }
void WindowAggregate::restore_watermark(unsigned, Watermark w) { impl_->restore_watermark(w); }
OperatorStats WindowAggregate::stats() const { return impl_->stats(); }
const Schema& WindowAggregate::schema() const { return impl_->schema(); }

}  // namespace twinspan::engine
