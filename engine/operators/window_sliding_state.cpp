// Checkpoints of a sliding window, in the key group of the key:
//   kPanes    tag: end of the last window the pane is in   key: pane i64, encoded key   value: block
//   kValues   the same tag   key: pane i64, serial u32, DISTINCT count u8, encoded key   value: identities of 12 bytes
//   that had their first or last pane there; only added to, under a new serial each time
//   kPending  tag: window end   key: the encoded key   value: told u8, block of the values told [, what came since]
// What is closed ends by drop_below. Whether a window has been told is not stored: it has exactly if F has passed the
// moment. Sums over panes are made again.

#include <algorithm>

#include <xxhash.h>

#include "engine/operators/window_sliding.h"

namespace twinspan::engine {

namespace {

constexpr std::size_t kPaneHead = 8, kValueHead = 13, kIdentity = 12;
constexpr std::size_t kAhead = 8;  // entries whose keys are loaded while one is written

std::uint64_t hash_of(std::string_view key) { return XXH3_64bits(key.data(), key.size()); }

}  // namespace

// At the barrier only the lists of what changed are turned over: window_save.cpp does the same and says why.
bool SlidingWindow::begin_snapshot(DeltaWriter& out) {
  TS_CHECK(!saving_.on);
  if (restoring_) restore_watermark(0, now_);
  if (now_.retention != kMinTime) {
    // All windows that end by then are closed.
    const EventTime below = now_.retention == kMaxTime ? kMaxTime : end_of(first_open(now_));
    if (below > dropped_) {
      out.drop_below(kPanes, 0, below);
      if (!distinct_.empty()) out.drop_below(kValues, 0, below);
      out.drop_below(kPending, 0, below);
      dropped_ = below;
    }
  }
  save_flags_.turn();
  saving_.erase = std::move(erase_);
  for (auto& [number, chunk] : chunks_) {
    if (!chunk->save_list.empty()) saving_.entries.emplace_back(chunk.get(), std::move(chunk->save_list));
    if (!chunk->added.empty()) saving_.values.emplace_back(chunk.get(), std::move(chunk->added));
  }
  for (auto& [k, window] : pending_)
    if (!window.save_list.empty()) saving_.pending.emplace_back(k, std::move(window.save_list));
  saving_.on =
      !saving_.erase.empty() || !saving_.entries.empty() || !saving_.values.empty() || !saving_.pending.empty();
  return saving_.on;
}

bool SlidingWindow::snapshot_portion(std::size_t entries, DeltaWriter& out) {
  while (!saving_.erase.empty()) {
    if (entries == 0) return true;
    const auto some = saving_.erase.take(entries);
    for (const Place& p : some) out.erase(kPending, key_group_of(hash_of(p.key)), p.tag, p.key);
    entries -= some.size();
  }
  while (!saving_.entries.empty()) {
    if (entries == 0) return true;
    auto& [chunk, list] = saving_.entries.front();
    const auto some = list.take(entries);
    entries -= some.size();
    for (std::size_t i = 0; i < some.size(); ++i) {
      if (i + 2 * kAhead < some.size()) chunk->prefetch_entry(some[i + 2 * kAhead]);
      if (i + kAhead < some.size()) chunk->prefetch_key(some[i + kAhead]);
      if ((chunk->entry(some[i]).flags & save_flags_.saving) != 0) save_entry(*chunk, some[i], out);
    }
    if (list.empty()) saving_.entries.pop_front();
  }
  while (!saving_.values.empty()) {
    if (entries == 0) return true;
    auto& [chunk, list] = saving_.values.front();
    const auto some = list.take(entries);
    entries -= some.size();
    save_values(*chunk, some, out);
    if (list.empty()) saving_.values.pop_front();
  }
  while (!saving_.pending.empty()) {
    if (entries == 0) return true;
    auto& [window, list] = saving_.pending.front();
    const auto some = list.take(entries);
    entries -= some.size();
    for (PendingKeys::value_type* key : some)
      if ((key->second.flags & save_flags_.saving) != 0) save_pending(window, *key, out);
    if (list.empty()) saving_.pending.pop_front();
  }
  out.append(std::move(saving_.changed));
  saving_.chunks.clear();
  saving_.windows.clear();
  saving_.on = false;
  return false;
}

void SlidingWindow::first_change(WindowChunk& chunk, std::uint32_t e) {
  if ((chunk.entry(e).flags & save_flags_.saving) != 0) save_entry(chunk, e, saving_.changed);
  chunk.entry(e).flags |= save_flags_.due;
  chunk.save_list.push_back(e);
}

void SlidingWindow::change(std::int64_t window, PendingWindow& w, PendingKeys::value_type& key) {
  std::uint32_t& flags = key.second.flags;
  if ((flags & save_flags_.due) != 0) return;
  if ((flags & save_flags_.saving) != 0) save_pending(window, key, saving_.changed);
  flags |= save_flags_.due;
  w.save_list.push_back(&key);
}

void SlidingWindow::save_entry(WindowChunk& chunk, std::uint32_t e, DeltaWriter& out) {
  WindowChunk::Entry& entry = chunk.entry(e);
  entry.flags &= ~save_flags_.saving;
  const std::int64_t pane = chunk.number * panes_ + entry.step;
  const std::string_view key = chunk.keys.key(chunk.keys.entry(entry.kid));
  bytes_.assign(reinterpret_cast<const char*>(&pane), sizeof pane);
  bytes_ += key;
  value_.clear();
  accumulators_.save(chunk.block(e), value_);
  out.put(kPanes, key_group_of(hash_of(key)), end_of(last_with(pane)), bytes_, value_);
}

void SlidingWindow::save_values(const WindowChunk& chunk, std::span<WindowChunk::Added> values, DeltaWriter& out) {
  std::stable_sort(values.begin(), values.end(),
                   [](const auto& x, const auto& y) { return x.entry != y.entry ? x.entry < y.entry : x.d < y.d; });
  for (std::size_t i = 0; i < values.size();) {
    const WindowChunk::Added& first = values[i];
    value_.clear();
    for (; i < values.size() && values[i].entry == first.entry && values[i].d == first.d; ++i) {
      value_.append(reinterpret_cast<const char*>(&values[i].value.a), sizeof values[i].value.a);
      value_.append(reinterpret_cast<const char*>(&values[i].value.b), sizeof values[i].value.b);
    }
    const WindowChunk::Entry& entry = chunk.entry(first.entry);
    const std::int64_t pane = chunk.number * panes_ + entry.step;
    const std::string_view key = chunk.keys.key(chunk.keys.entry(entry.kid));
    bytes_.assign(reinterpret_cast<const char*>(&pane), sizeof pane);
    bytes_.append(reinterpret_cast<const char*>(&next_serial_), sizeof next_serial_);
    bytes_ += static_cast<char>(first.d);
    bytes_ += key;
    out.put(kValues, key_group_of(hash_of(key)), end_of(last_with(pane)), bytes_, value_);
  }
  ++next_serial_;
}

void SlidingWindow::save_pending(std::int64_t window, PendingKeys::value_type& key, DeltaWriter& out) {
  Pending& p = key.second;
  p.flags &= ~save_flags_.saving;
  p.saved = true;
  value_.assign(1, p.told ? '\1' : '\0');
  accumulators_.save(p.old.data(), value_);
  if (!p.delta.empty()) accumulators_.save(p.delta.data(), value_);
  out.put(kPending, key_group_of(hash_of(key.first)), end_of(window), key.first, value_);
}

Status SlidingWindow::restore(const StateEntry& e) {
  restoring_ = true;
  const auto damaged = [] { return data_error("sliding window state: an entry does not fit this step"); };
  if (e.kind != StateEntry::Kind::put || e.space > kValues) return damaged();
  std::string_view value = e.value;
  if (e.space != kPending) {
    const std::size_t head = e.space == kPanes ? kPaneHead : kValueHead;
    if (e.key.size() < head || !codec_.well_formed(e.key.substr(head))) return damaged();
    std::int64_t pane = 0;
    std::memcpy(&pane, e.key.data(), sizeof pane);
    if (pane < unit_.index_of(kMinTime + 1) || pane > unit_.index_of(kMaxTime - 1)) return damaged();
    const std::string_view key = e.key.substr(head);
    const std::int64_t number = floor_div(pane, panes_);
    WindowChunk& chunk = chunk_at(number);
    const std::uint32_t kid = kid_of(chunk, hash_of(key), key);
    const std::uint32_t entry = chunk.entry_at(kid, static_cast<std::uint32_t>(pane - number * panes_));
    if (e.space == kPanes)
      return accumulators_.load(value, chunk.block(entry), chunk.strings) && value.empty() ? ok() : damaged();
    std::uint32_t serial = 0;
    std::memcpy(&serial, e.key.data() + sizeof pane, sizeof serial);
    next_serial_ = std::max(next_serial_, serial + 1);
    const auto d = static_cast<unsigned char>(e.key[head - 1]);
    if (d >= distinct_.size() || value.size() % kIdentity != 0) return damaged();
    for (; !value.empty(); value.remove_prefix(kIdentity)) {
      Dictionary::Identity v;
      std::memcpy(&v.a, value.data(), sizeof v.a);
      std::memcpy(&v.b, value.data() + sizeof v.a, sizeof v.b);
      chunk.add_value(d, entry, v, this->chunk(number - 1), this->chunk(number + 1));
    }
    return ok();
  }
  if (value.empty() || !codec_.well_formed(e.key) || e.tag < Calendar::kEarliest || e.tag > 2 * Calendar::kLatest)
    return damaged();
  PendingWindow& window = pending_[floor_div(unit_.index_of(e.tag) - panes_, slide_)];
  Pending& p = window.keys[std::string(e.key)];
  p.told = value[0] != '\0';
  p.saved = true;
  value.remove_prefix(1);
  p.old.assign(accumulators_.bytes(), 0);
  bool good = accumulators_.load(value, p.old.data(), window.strings);
  if (good && spec_.mode == EmitMode::discarding) {
    p.delta.assign(accumulators_.bytes(), 0);
    good = accumulators_.load(value, p.delta.data(), window.strings);
  }
  return good && value.empty() ? ok() : damaged();
}

void SlidingWindow::restore_watermark(unsigned, Watermark watermark) {
  restoring_ = false;
  now_ = watermark;
  now_.firing = std::max(now_.firing, now_.retention);
  hit_ = {};
  set_wakes(now_);
}

}  // namespace twinspan::engine
