// Checkpoints: one entry (space 0, tag: the time that passed, key: the encoded key) in the key's group, written once;
// `drop_below` ends what no row can meet.

#include "engine/operators/deduplicate.h"

#include <algorithm>

#include <fmt/format.h>
#include <xxhash.h>

#include "engine/operators/calendar.h"

namespace twinspan::engine {

namespace {

constexpr std::int64_t kShortestPane = 1000;  // ms: panes have a price of their own
constexpr std::uint8_t kPassed = 0;

std::int64_t floor_divide(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

std::size_t fixed_size(const std::vector<DataType>& types) {
  std::size_t n = (types.size() + 7) / 8;
  for (const DataType t : types) {
    if (t.is_string_like()) return 0;
    n += value_width(t.kind);
  }
  return n + sizeof(std::int64_t);
}

EventTime& time_of(char* payload) { return *reinterpret_cast<EventTime*>(payload); }

}  // namespace

Deduplicate::Deduplicate(DeduplicateSpec spec)
    : spec_(std::move(spec)), codec_(spec_.key_columns, spec_.key_types), fixed_key_(fixed_size(spec_.key_types)) {
  TS_CHECK(spec_.within > 0 && spec_.allow_lateness >= 0);
  if (spec_.within < kShortestPane) pane_slices_ = (kShortestPane + spec_.within - 1) / spec_.within;
}

std::int64_t Deduplicate::slice_of(EventTime time) const { return floor_divide(time, spec_.within); }
std::int64_t Deduplicate::pane_of(std::int64_t slice) const {
  return pane_slices_ == 1 ? slice : floor_divide(slice, pane_slices_);
}

Deduplicate::Pane* Deduplicate::find_pane(std::int64_t number) const {
  Found& found = found_[static_cast<std::uint64_t>(number) % kFound];
  if (found.number == number && found.pane != nullptr) return found.pane;
  if (panes_.empty() || number > panes_.rbegin()->first || number < panes_.begin()->first) return nullptr;
  const auto it = panes_.find(number);
  if (it == panes_.end()) return nullptr;
  found = {number, it->second.get()};
  return found.pane;
}

// ---- time ----------------------------------------------------------------------------------------------------------

Watermark Deduplicate::output_watermark() const {
  return {now_.firing, std::min(now_.firing, shift(now_.retention, -spec_.allow_lateness))};
}

// A row that is not late has a time of R - allow + 1 at least.
void Deduplicate::advance(Watermark to) {
  now_.firing = std::max({now_.firing, to.firing, to.retention});
  if (to.retention <= now_.retention) return;
  now_.retention = to.retention;
  const EventTime late = shift(now_.retention, -spec_.allow_lateness);
  dead_ = late == kMaxTime ? kMaxTime : shift(late, 1 - spec_.within);
  while (!panes_.empty()) {
    const std::int64_t next = (panes_.begin()->first + 1) * pane_slices_ * spec_.within;  // the pane's end
    if (next - 1 > dead_) break;
    found_[static_cast<std::uint64_t>(panes_.begin()->first) % kFound] = {};
    if (saving_) ended_.push_back(std::move(panes_.begin()->second));
    panes_.erase(panes_.begin());
  }
}

void Deduplicate::tell(Output& out) {
  const Watermark w = output_watermark();
  if (w == told_) return;
  told_ = w;
  out.watermark(w);
}

void Deduplicate::watermark(unsigned, Watermark watermark, Output& out) {
  advance(watermark);
  tell(out);
}

// ---- rows ----------------------------------------------------------------------------------------------------------

void Deduplicate::process(unsigned, Batch&& batch, Output& out) {
  stats_.rows_in += batch.rows;
  passed_.clear();
  late_.clear();
  for (std::uint32_t from = 0; from < batch.rows; from += PaneKeys::kGroup)
    decide(batch, from, std::min(batch.rows - from, PaneKeys::kGroup), out);
  if (!late_.empty()) {
    stats_.rows_late += late_.size();
    out.late(gather(batch, late_.data(), static_cast<std::uint32_t>(late_.size()), std::make_shared<Arena>(16 * 1024)));
  }
  Watermark last = now_;
  if (batch.firing != nullptr && batch.rows > 0) last = {batch.firing[batch.rows - 1], batch.retention[batch.rows - 1]};
  if (!passed_.empty()) {
    const auto n = static_cast<std::uint32_t>(passed_.size());
    if (n < batch.rows) batch = gather(batch, passed_.data(), n, std::make_shared<Arena>(16 * 1024));
    if (spec_.allow_lateness != 0 && batch.retention != nullptr) {
      auto* retention = batch.add_arena().make<EventTime>(batch.rows);
      for (std::uint32_t i = 0; i < batch.rows; ++i)
        retention[i] = std::min(batch.firing[i], shift(batch.retention[i], -spec_.allow_lateness));
      batch.retention = retention;
    }
    batch.hash = nullptr;
    batch.schema = &spec_.schema;
    stats_.rows_out += batch.rows;
    out.emit(std::move(batch));
  }
  advance(last);
  tell(out);
}

void Deduplicate::look_up(const Batch& batch, std::uint32_t from, std::uint32_t n) {
  std::size_t total = 0, size[PaneKeys::kGroup];
  for (std::uint32_t i = 0; i < n; ++i) total += size[i] = codec_.encoded_size(batch, from + i) + sizeof(std::int64_t);
  if (keys_.size() < total) keys_.resize(total);
  char* to = keys_.data();
  for (std::uint32_t i = 0; i < n; ++i) {
    Probe& p = probes_[i];
    codec_.encode(batch, from + i, to);
    p.key = {to, size[i] - sizeof(std::int64_t)};
    to += size[i];
    p.hash = batch.hash != nullptr ? batch.hash[from + i] : XXH3_64bits(p.key.data(), p.key.size());
    p.slice = slice_of(std::clamp(batch.time[from + i], Calendar::kEarliest, Calendar::kLatest));
  }
  // First the slots of the group, then the entries they lead to: the misses of the rows overlap.
  for (std::uint32_t i = 0; i < n; ++i)
    for (std::int64_t s = probes_[i].slice - 1; s <= probes_[i].slice + 1; ++s)
      if (const Pane* pane = find_pane(pane_of(s))) pane->keys.prefetch(hash_of(probes_[i].hash, s));
  for (std::uint32_t i = 0; i < n; ++i)
    for (std::int64_t s = probes_[i].slice - 1; s <= probes_[i].slice + 1; ++s)
      if (const Pane* pane = find_pane(pane_of(s))) pane->keys.prefetch_entry(hash_of(probes_[i].hash, s));
}

void Deduplicate::decide(const Batch& batch, std::uint32_t from, std::uint32_t n, Output& out) {
  look_up(batch, from, n);
  for (std::uint32_t i = 0; i < n; ++i) {
    const std::uint32_t row = from + i;
    const EventTime t = batch.time[row];
    if (t < Calendar::kEarliest || t > Calendar::kLatest || is_retraction(batch.flag(row))) [[unlikely]] {
      ++stats_.rows_failed;
      out.failed(batch, row,
                 is_retraction(batch.flag(row)) ? "deduplicate takes no retractions" : "event time out of range");
      continue;
    }
    // The watermark never goes back, whatever stands in the batch.
    const EventTime r = batch.retention != nullptr ? std::max(batch.retention[row], now_.retention) : now_.retention;
    if (t <= shift(r, -spec_.allow_lateness)) {
      late_.push_back(row);
      continue;
    }
    if (passed_near(probes_[i], t)) continue;
    insert(probes_[i], t, false);
    passed_.push_back(row);
  }
}

bool Deduplicate::passed_near(const Probe& p, EventTime time) const {
  for (std::int64_t s = p.slice - 1; s <= p.slice + 1; ++s) {
    const Pane* pane = find_pane(pane_of(s));
    if (pane == nullptr) continue;
    const char* entry = pane->keys.find(hash_of(p.hash, s), with_slice(p.key, s));
    if (entry == nullptr) continue;
    const EventTime before = time_of(pane->keys.payload(const_cast<char*>(entry)));
    if (std::abs(time - before) < spec_.within) return true;
  }
  return false;
}

void Deduplicate::insert(const Probe& p, EventTime time, bool saved) {
  const std::int64_t number = pane_of(p.slice);
  Pane* pane = find_pane(number);
  if (pane == nullptr) pane = panes_.emplace(number, std::make_unique<Pane>(fixed_key_)).first->second.get();
  const std::uint32_t kid = pane->keys.find_or_add(hash_of(p.hash, p.slice), with_slice(p.key, p.slice), pane->strings);
  time_of(pane->keys.payload(pane->keys.entry(kid))) = time;
  if (!saved) pane->unsaved.push_back(kid);
}

// ---- state ---------------------------------------------------------------------------------------------------------

bool Deduplicate::begin_snapshot(DeltaWriter& out) {
  TS_CHECK(!saving_);
  if (dead_ != dead_saved_ && dead_ != kMaxTime) out.drop_below(kPassed, 0, dead_ + 1);
  dead_saved_ = dead_;
  for (auto& [number, pane] : panes_)
    if (!pane->unsaved.empty()) saving_panes_.emplace_back(pane.get(), std::move(pane->unsaved));
  return saving_ = !saving_panes_.empty();
}

bool Deduplicate::snapshot_portion(std::size_t entries, DeltaWriter& out) {
  for (; !saving_panes_.empty(); saving_panes_.pop_front()) {
    auto& [pane, list] = saving_panes_.front();
    while (!list.empty()) {
      if (entries == 0) return true;
      const auto some = list.take(entries);
      entries -= some.size();
      for (const std::uint32_t kid : some) {
        char* entry = pane->keys.entry(kid);
        const EventTime time = time_of(pane->keys.payload(entry));
        std::string_view key = pane->keys.key(entry);
        key.remove_suffix(sizeof(std::int64_t));
        if (time > dead_saved_) out.put(kPassed, key_group_of(XXH3_64bits(key.data(), key.size())), time, key, {});
      }
    }
  }
  ended_.clear();
  return saving_ = false;
}

Status Deduplicate::restore(const StateEntry& e) {
  if (e.space != kPassed) return data_error(fmt::format("deduplicate state: unknown space {}", e.space));
  if (e.kind != StateEntry::Kind::put) return ok();  // what is dead meets no row, here or not
  if (!codec_.well_formed(e.key) || e.tag < Calendar::kEarliest || e.tag > Calendar::kLatest)
    return data_error("deduplicate state: an entry does not fit this step");
  keys_.resize(std::max(keys_.size(), e.key.size() + sizeof(std::int64_t)));
  std::copy(e.key.begin(), e.key.end(), keys_.begin());
  const Probe p{{keys_.data(), e.key.size()}, XXH3_64bits(e.key.data(), e.key.size()), slice_of(e.tag)};
  insert(p, e.tag, true);
  return ok();
}

void Deduplicate::restore_watermark(unsigned, Watermark watermark) {
  advance(watermark);
  dead_saved_ = dead_;
  told_ = output_watermark();
}

OperatorStats Deduplicate::stats() const {
  OperatorStats s = stats_;
  for (const auto& [number, pane] : panes_) {
    s.state_rows += pane->keys.size();
    s.state_bytes += pane->keys.bytes() + pane->strings.bytes() + pane->unsaved.bytes();
  }
  return s;
}

}  // namespace twinspan::engine
