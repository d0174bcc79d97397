// Checkpoints of a window step: writing them in portions, while rows of the next epoch come (entries:
// window_state.cpp).
//
// At the barrier only the lists of what changed are turned over. A portion takes from them; an entry that a row or a
// firing is about to change before its turn is written at once, aside, and goes behind the rest. Windows and panes that
// close meanwhile are kept until the snapshot is done: of those that just go nothing changes any more. What DISTINCT
// counts save is a list of additions, which nobody changes.

#include <algorithm>

#include <xxhash.h>

#include "engine/operators/window_impl.h"

namespace twinspan::engine {

namespace {

constexpr std::size_t kAhead = 8;  // entries that are loaded while one is written

template <class T>
void append(std::string& to, T v) {
  to.append(reinterpret_cast<const char*>(&v), sizeof v);
}

std::uint16_t group_of(std::string_view key) { return key_group_of(XXH3_64bits(key.data(), key.size())); }

}  // namespace

bool WindowAggregate::Impl::begin_snapshot(DeltaWriter& out) {
  TS_CHECK(!saving_.on);
  if (restored_) finish_restore();
  if (windows_closed_ != kMinTime) {
    out.drop_below(kKeys, 0, shift(windows_closed_, 1));
    if (!distinct_.empty()) out.drop_below(kPairs, 0, shift(windows_closed_, 1));
  }
  if (steps_closed_ != kMinTime) out.drop_below(kSteps, 0, shift(steps_closed_, 1));
  if (generation_turned_) out.drop_below(kIds, 0, distinct_[0].dictionary.generation() - 1);
  windows_closed_ = steps_closed_ = kMinTime;
  generation_turned_ = false;

  save_flags_.turn();
  saving_.erase = std::move(erase_);
  for (auto& [end, window] : windows_) {
    if (!window->save_list.empty()) saving_.parts.push_back({window.get(), nullptr, std::move(window->save_list)});
    for (auto& [step, pane] : window->panes)
      if (!pane->save_list.empty()) saving_.parts.push_back({window.get(), pane.get(), std::move(pane->save_list)});
    for (std::size_t s = 0; s < window->sets.size(); ++s)
      if (window->sets[s].begin_save()) saving_.sets.emplace_back(window.get(), s);
  }
  saving_.on = !saving_.erase.empty() || !saving_.parts.empty() || !saving_.sets.empty();
  return saving_.on;
}

bool WindowAggregate::Impl::snapshot_portion(std::size_t entries, DeltaWriter& out) {
  while (!saving_.erase.empty()) {
    if (entries == 0) return true;
    const auto some = saving_.erase.take(entries);
    for (const Place& p : some) out.erase(p.space, p.group, p.tag, p.key);
    entries -= some.size();
  }
  while (!saving_.parts.empty()) {
    if (entries == 0) return true;
    Saving::Part& part = saving_.parts.front();
    Window& window = *part.window;
    const auto kids = part.kids.take(entries);
    entries -= kids.size();
    const auto entry = [&](std::uint32_t kid) {
      return part.pane == nullptr ? window.keys.entry(kid) : window.entry(*part.pane, kid);
    };
    for (std::size_t i = 0; i < kids.size(); ++i) {
      if (i + kAhead < kids.size()) {
        const char* next = entry(kids[i + kAhead]);
        __builtin_prefetch(next, 1);
        __builtin_prefetch(next + 64);
        if (layout_.cumulate) __builtin_prefetch(window.keys.entry(kids[i + kAhead]));
      }
      char* const at = entry(kids[i]);
      if ((entry_flags(at) & save_flags_.saving) == 0) continue;
      if (part.pane == nullptr)
        save_closed(window, kids[i], out);
      else
        save_entry(at, *part.pane, kids[i], out);
    }
    if (part.kids.empty()) saving_.parts.pop_front();
  }
  while (!saving_.sets.empty()) {
    const auto [window, set] = saving_.sets.front();
    if (save_pairs(*window, set, entries, out)) return true;
    saving_.sets.pop_front();
  }
  out.append(std::move(saving_.changed));
  saving_.windows.clear();
  saving_.panes.clear();
  saving_.on = false;
  return false;
}

void WindowAggregate::Impl::first_change(char* entry, Pane& pane, std::uint32_t kid) {
  keep_old(entry, pane, kid);
  entry_flags(entry) |= save_flags_.due;
  pane.save_list.push_back(kid);
}

void WindowAggregate::Impl::change_closed(Window& window, std::uint32_t kid) {
  char* const entry = window.keys.entry(kid);
  if ((entry_flags(entry) & save_flags_.due) != 0) return;
  if ((entry_flags(entry) & save_flags_.saving) != 0) save_closed(window, kid, saving_.changed);
  entry_flags(entry) |= save_flags_.due;
  window.save_list.push_back(kid);
}

void WindowAggregate::Impl::save_entry(char* entry, const Pane& pane, std::uint32_t kid, DeltaWriter& out) {
  const Window& window = *pane.window;
  entry_flags(entry) &= ~save_flags_.saving;
  value_.clear();
  if (!layout_.cumulate) append(value_, kid);
  append(value_, entry_flags(entry) & (kEmitted | kFireDue));
  accumulators_.save(window.block(entry), value_);
  if (layout_.keeps_last) {
    const char* last = window.last_block(pane, kid);
    accumulators_.save(last != nullptr ? last : no_rows_.data(), value_);
  }
  const std::string_view key = window.keys.key(layout_.cumulate ? window.keys.entry(kid) : entry);
  if (layout_.cumulate)
    out.put(kSteps, group_of(key), pane.end, key, value_);
  else
    out.put(kKeys, group_of(key), window.range.end, key, value_);
}

void WindowAggregate::Impl::save_closed(Window& window, std::uint32_t kid, DeltaWriter& out) {
  char* const entry = window.keys.entry(kid);
  entry_flags(entry) &= ~save_flags_.saving;
  value_.clear();
  append(value_, kid);
  append(value_, std::uint32_t{0});
  accumulators_.save(window.keys.payload(entry), value_);
  const std::string_view key = window.keys.key(entry);
  out.put(kKeys, group_of(key), window.range.end, key, value_);
}

// true: the set has more.
bool WindowAggregate::Impl::save_pairs(Window& window, std::size_t set, std::size_t& entries, DeltaWriter& out) {
  Distinct& d = distinct_[set_distinct_[set]];
  const auto key_of = [&](std::uint32_t kid) { return window.keys.key(window.keys.entry(kid)); };
  std::uint32_t last_kid = ~std::uint32_t{0};
  std::uint16_t last_group = 0;
  const auto group = [&](std::uint32_t kid) {  // of few keys the same again and again
    if (kid != last_kid) last_group = group_of(key_of(last_kid = kid));
    return last_group;
  };
  return window.sets[set].save(
      entries,
      [&](const DistinctSet::Added& a) {
        if (!d.written.add(group(a.kid), a.id)) return;
        bytes_.clear();
        append(bytes_, static_cast<std::uint8_t>(set_distinct_[set]));
        append(bytes_, a.identity.a);
        append(bytes_, a.identity.b);
        out.put(kIds, group(a.kid), d.dictionary.generation(), bytes_,
                {reinterpret_cast<const char*>(&a.id), sizeof a.id});
      },
      [&](const DistinctSet::Block& b) {
        bytes_.clear();
        append(bytes_, static_cast<std::uint8_t>(set));
        append(bytes_, b.step);
        append(bytes_, b.high);
        bytes_ += key_of(b.kid);
        out.put(kPairs, group(b.kid), window.range.end, bytes_, b.bytes);
      });
}

}  // namespace twinspan::engine
