#pragma once
// What a window step keeps: windows by end, in each the keys, the panes (a tumbling window is its only pane;
// a cumulate window has one for every step that has rows and is not closed) and the sets of its DISTINCT
// counts.
//
// A key's entry in PaneKeys has flags, the key, and a block of accumulators: of a tumbling window the running
// values, of a cumulate window those of all closed steps together. A pane of a cumulate window has entries of
// its own for the keys that have rows in it: flags, kid, the running values of this step alone. The value of
// a cumulate result is closed steps + open steps up to the pane's. What was told last is kept beside, of those
// records that may be followed by another. Owned by one operator. Thread: shard.

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "engine/aggregates/accumulators.h"
#include "engine/operators/calendar.h"
#include "engine/operators/distinct_set.h"
#include "engine/operators/pane_keys.h"
#include "engine/operators/save_list.h"

namespace twinspan::engine {

struct Window;

struct Pane {
  Window* window = nullptr;
  EventTime end = 0;
  std::uint32_t step = 0;
  bool fired = false;                    // firing F has passed end - 1
  EventTime next_early = kMaxTime;       // the next early firing stands for this moment
  std::vector<std::uint32_t> fire_list;  // kids with kFireDue
  SaveList<std::uint32_t> save_list;     // kids changed in this pane since the last barrier

  // Only of records that may be followed by another: mostly there are none, so entries have no room for them.
  std::unique_ptr<PaneChunks> lasts;
  std::vector<std::uint32_t> last_of_kid;  // + 1; 0 = none

  // cumulate only
  std::unique_ptr<PaneChunks> entries;
  std::vector<std::uint32_t> entry_of_kid;  // + 1; 0 = none
};

// The shape of entries, the same for all windows of a step.
struct PaneLayout {
  bool cumulate = false;
  bool keeps_last = false;  // updates tell the old values
  std::size_t block_bytes = 0;
  std::size_t fixed_key = 0;
};

struct Window {
  WindowRange range;
  const PaneLayout& layout;
  PaneKeys keys;
  BlockMemory strings;                                   // long keys, and what blocks own
  std::map<std::uint32_t, std::unique_ptr<Pane>> panes;  // by step
  std::vector<DistinctSet> sets;
  SaveList<std::uint32_t> save_list;  // cumulate: kids whose own entry changed since the last barrier

  Window(WindowRange r, const PaneLayout& l, std::size_t distinct_counts)
      : range(r), layout(l), keys(l.fixed_key, l.block_bytes), strings(4096) {
    for (std::size_t i = 0; i < distinct_counts; ++i) sets.emplace_back(l.cumulate);
  }

  // The entry of a key in a pane; nullptr: it has none there.
  char* entry(const Pane& pane, std::uint32_t kid) const {
    if (!layout.cumulate) return keys.entry(kid);
    if (kid >= pane.entry_of_kid.size() || pane.entry_of_kid[kid] == 0) return nullptr;
    return pane.entries->at(pane.entry_of_kid[kid] - 1);
  }
  char* entry_or_add(Pane& pane, std::uint32_t kid) const {
    if (!layout.cumulate) return keys.entry(kid);
    if (kid >= pane.entry_of_kid.size()) pane.entry_of_kid.resize(kid + 1);
    std::uint32_t& at = pane.entry_of_kid[kid];
    if (at == 0) {
      at = pane.entries->add() + 1;
      std::memcpy(pane.entries->at(at - 1) + 4, &kid, 4);
    }
    return pane.entries->at(at - 1);
  }
  char* block(char* entry) const { return layout.cumulate ? entry + 8 : keys.payload(entry); }
  // The values of the last record of a key; nullptr: there is none that a later one may have to take back.
  char* last_block(const Pane& pane, std::uint32_t kid) const {
    if (kid >= pane.last_of_kid.size() || pane.last_of_kid[kid] == 0) return nullptr;
    return pane.lasts->at(pane.last_of_kid[kid] - 1);
  }
  char* last_block_or_add(Pane& pane, std::uint32_t kid) const {
    if (!pane.lasts) pane.lasts = std::make_unique<PaneChunks>(layout.block_bytes);
    if (kid >= pane.last_of_kid.size()) pane.last_of_kid.resize(keys.size());
    std::uint32_t& at = pane.last_of_kid[kid];
    if (at == 0) at = pane.lasts->add() + 1;
    return pane.lasts->at(at - 1);
  }
  char* closed_block(std::uint32_t kid) const { return keys.payload(keys.entry(kid)); }  // cumulate

  Pane& add_pane(std::uint32_t step, EventTime end) {
    auto pane = std::make_unique<Pane>();
    pane->window = this;
    pane->end = end;
    pane->step = step;
    if (layout.cumulate) pane->entries = std::make_unique<PaneChunks>(8 + layout.block_bytes);
    Pane& p = *pane;
    panes.emplace(step, std::move(pane));
    return p;
  }

  std::size_t bytes() const {
    std::size_t n = sizeof *this + keys.bytes() + strings.bytes() + save_list.bytes();
    for (const auto& [step, pane] : panes) {
      n += sizeof *pane + (pane->fire_list.capacity() + pane->entry_of_kid.capacity()) * 4 + pane->save_list.bytes();
      if (pane->entries) n += pane->entries->bytes();
      if (pane->lasts) n += pane->lasts->bytes() + pane->last_of_kid.capacity() * 4;
    }
    for (const DistinctSet& s : sets) n += s.bytes();
    return n;
  }
};

inline void mark_fire(char* entry, Pane& pane, std::uint32_t kid) {
  std::uint32_t& flags = entry_flags(entry);
  if ((flags & kFireDue) == 0) pane.fire_list.push_back(kid);
  flags |= kFireDue;
}

}  // namespace twinspan::engine
