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

std::uint64_t hash_of(std::string_view key) { return XXH3_64bits(key.data(), key.size()); }

}  // namespace

void SlidingWindow::snapshot(DeltaWriter& out) {
  if (restoring_) restore_watermark(0, now_);
  for (const Place& p : erase_) out.erase(kPending, key_group_of(hash_of(p.key)), p.tag, p.key);
  erase_.clear();
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
  std::string bytes, value;
  for (auto& [number, chunk] : chunks_) {
    for (const std::uint32_t e : chunk->save_list) {
      WindowChunk::Entry& entry = chunk->entry(e);
      entry.flags &= ~kSaveDue;
      const std::int64_t pane = number * panes_ + entry.step;
      const std::string_view key = chunk->keys.key(chunk->keys.entry(entry.kid));
      bytes.assign(reinterpret_cast<const char*>(&pane), sizeof pane);
      bytes += key;
      value.clear();
      accumulators_.save(chunk->block(e), value);
      out.put(kPanes, key_group_of(hash_of(key)), end_of(last_with(pane)), bytes, value);
    }
    chunk->save_list.clear();
    save_values(*chunk, out);
  }
  ++next_serial_;
  for (auto& [k, window] : pending_) {
    for (auto& [key, p] : window.keys) {
      if (!p.save_due) continue;
      p.save_due = false;
      p.saved = true;
      value.assign(1, p.told ? '\1' : '\0');
      accumulators_.save(p.old.data(), value);
      if (!p.delta.empty()) accumulators_.save(p.delta.data(), value);
      out.put(kPending, key_group_of(hash_of(key)), end_of(k), key, value);
    }
  }
}

void SlidingWindow::save_values(WindowChunk& chunk, DeltaWriter& out) {
  auto& added = chunk.added;
  std::stable_sort(added.begin(), added.end(),
                   [](const auto& x, const auto& y) { return x.entry != y.entry ? x.entry < y.entry : x.d < y.d; });
  std::string bytes, value;
  for (std::size_t i = 0; i < added.size();) {
    const WindowChunk::Added& first = added[i];
    value.clear();
    for (; i < added.size() && added[i].entry == first.entry && added[i].d == first.d; ++i) {
      value.append(reinterpret_cast<const char*>(&added[i].value.a), sizeof added[i].value.a);
      value.append(reinterpret_cast<const char*>(&added[i].value.b), sizeof added[i].value.b);
    }
    const WindowChunk::Entry& entry = chunk.entry(first.entry);
    const std::int64_t pane = chunk.number * panes_ + entry.step;
    const std::string_view key = chunk.keys.key(chunk.keys.entry(entry.kid));
    bytes.assign(reinterpret_cast<const char*>(&pane), sizeof pane);
    bytes.append(reinterpret_cast<const char*>(&next_serial_), sizeof next_serial_);
    bytes += static_cast<char>(first.d);
    bytes += key;
    out.put(kValues, key_group_of(hash_of(key)), end_of(last_with(pane)), bytes, value);
  }
  added = {};
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
  p.save_due = false;
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
