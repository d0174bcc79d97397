// Checkpoints of a window step: what is in them, and restoring it (writing: window_save.cpp). Spaces, keys and values:
//   kKeys   tag window end   key: the encoded key                                      value: kid u32, flags u32, block
//                                                                                      [, last block]
//   kSteps  tag step end     key: the encoded key                                      value: flags u32, block
//                                                                                      [, last block]
//   kPairs  tag window end   key: set u8, step u16, block u16, encoded key             value: roaring bitmap of the low
//                                                                                      16 bits of ids
//   kIds    tag generation   key: column u8, identity 12 bytes                         value: id u32
// All lie in the key group of the window's key, ids in that of every key that counts them: so whatever shard gets a key
// gets what its counts need. (kIds of two groups that have the same value are two entries.) Ids that two former shards
// both handed out are numbered anew at restore, and written anew by the next snapshot. What is closed ends by
// drop_below. Whether a pane has fired is not stored: it has exactly if F has passed its end - 1.

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <xxhash.h>

#include "engine/operators/window_impl.h"

namespace twinspan::engine {

namespace {

constexpr std::uint32_t kKept = kEmitted | kFireDue;  // flags

template <class T>
void append(std::string& to, T v) {
  to.append(reinterpret_cast<const char*>(&v), sizeof v);
}
template <class T>
T take(std::string_view& from) {
  T v;
  std::memcpy(&v, from.data(), sizeof v);
  from.remove_prefix(sizeof v);
  return v;
}

std::uint64_t hash_of(std::string_view key) { return XXH3_64bits(key.data(), key.size()); }

constexpr std::size_t kPairHead = 5, kIdKey = 13;

}  // namespace

Status WindowAggregate::Impl::restore(const StateEntry& e) {
  if (!restored_) restored_ = std::make_unique<Restored>();
  if (e.space > kIds) return data_error(fmt::format("window state: unknown space {}", e.space));
  auto& space = restored_->spaces[e.space];
  if (e.kind == StateEntry::Kind::drop_below) {
    std::erase_if(space, [&](const auto& x) { return x.first.first < e.tag; });
    return ok();
  }
  // Ids lie in several groups: the group is part of their key here.
  std::string place(e.key);
  if (e.space == kIds) append(place, e.key_group);
  if (e.kind == StateEntry::Kind::erase) {
    space.erase({e.tag, place});
    return ok();
  }
  std::string_view value = e.value;
  bool good = false;
  std::vector<char> block(accumulators_.bytes(), 0);
  BlockMemory strings(1024);
  auto blocks = [&] {
    bool all = accumulators_.load(value, block.data(), strings);
    if (all && layout_.keeps_last && !(layout_.cumulate && e.space == kKeys)) {
      all = accumulators_.load(value, block.data(), strings);
    }
    return all && value.empty();
  };
  switch (e.space) {
    case kKeys:
    case kSteps: {
      const std::size_t head = e.space == kKeys ? 8 : 4;
      good = codec_.well_formed(e.key) && value.size() >= head && (e.space == kKeys || layout_.cumulate);
      if (good) {
        value.remove_prefix(head);
        good = blocks();
      }
      break;
    }
    case kPairs:
      good = e.key.size() >= kPairHead && static_cast<std::uint8_t>(e.key[0]) < set_aggregate_.size() &&
             codec_.well_formed(e.key.substr(kPairHead));
      break;
    default:
      good = e.key.size() == kIdKey && value.size() == 4 && static_cast<std::uint8_t>(e.key[0]) < distinct_.size();
  }
  if (!good) return data_error(fmt::format("window state: an entry of space {} does not fit this step", e.space));
  space[{e.tag, place}] = {e.key_group, e.tag, std::string(e.key), std::string(e.value)};
  return ok();
}

void WindowAggregate::Impl::restore_watermark(Watermark watermark) {
  now_ = watermark;
  now_.firing = std::max(now_.firing, now_.retention);
  if (restored_) finish_restore();
}

void WindowAggregate::Impl::finish_restore() {
  hit_ = {};
  restored_->ids.resize(distinct_.size());
  restore_ids();
  restore_keys();
  restore_steps();
  restore_pairs();
  if (restored_->ids_changed) {
    for (const std::uint8_t space : {kPairs, kIds})
      for (const auto& [place, e] : restored_->spaces[space]) erase_.push_back({space, e.group, e.tag, e.key});
  }
  restored_.reset();
  wake_firing_ = wake_retention_ = kMaxTime;
  changed_after_firing_ = false;
  for (auto& [end, window] : windows_) {
    wake_retention_ = std::min(wake_retention_, shift(end - 1, spec_.allow_lateness));
    for (auto& [step, pane] : window->panes) {
      wake_for(*pane);
      if (pane->fired && !pane->fire_list.empty()) note_change_after_firing(*pane, now_);
    }
  }
}

void WindowAggregate::Impl::restore_ids() {
  std::vector<std::set<std::uint32_t>> taken(distinct_.size());
  std::int64_t generation = 0;
  for (const auto& [place, e] : restored_->spaces[kIds]) {
    generation = std::max(generation, e.tag);
    std::string_view key = e.key, value = e.value;
    const auto column = take<std::uint8_t>(key);
    Dictionary::Identity identity;
    identity.a = take<std::uint64_t>(key);
    identity.b = take<std::uint32_t>(key);
    const auto id = take<std::uint32_t>(value);
    const std::uint32_t now = distinct_[column].dictionary.restore(identity, id, !taken[column].contains(id));
    taken[column].insert(now);
    restored_->ids_changed |= now != id;
    restored_->ids[column][{e.group, id}] = {identity, now};
  }
  const auto& keys = restored_->spaces[kKeys];
  const EventTime last_end = keys.empty() ? kMinTime : keys.rbegin()->first.first;
  for (Distinct& d : distinct_) d.dictionary.restore_generation(generation, last_end);
}

void WindowAggregate::Impl::restore_keys() {
  struct Row {
    std::uint32_t kid;
    const Entry* entry;
  };
  std::map<EventTime, std::vector<Row>> by_window;
  for (const auto& [place, e] : restored_->spaces[kKeys]) {
    std::string_view value = e.value;
    by_window[e.tag].push_back({take<std::uint32_t>(value), &e});
  }
  for (auto& [end, rows] : by_window) {
    Window& window = window_at(end == kMaxTime ? WindowRange{kMinTime, kMaxTime} : calendar_.window_of(end - 1));
    Pane* pane = layout_.cumulate ? nullptr : &pane_at(window, 0, end, now_);
    // In order of arrival; keys that come from several shards in a fixed order.
    std::stable_sort(rows.begin(), rows.end(), [](const Row& x, const Row& y) { return x.kid < y.kid; });
    for (const Row& row : rows) {
      const std::uint32_t kid = window.keys.find_or_add(hash_of(row.entry->key), row.entry->key, window.strings);
      std::string_view value = row.entry->value;
      take<std::uint32_t>(value);
      const auto flags = take<std::uint32_t>(value);
      char* entry = window.keys.entry(kid);
      TS_CHECK(accumulators_.load(value, window.keys.payload(entry), window.strings));  // restore() has tried
      if (layout_.cumulate) continue;
      if (layout_.keeps_last) restore_last(*pane, kid, flags, value);
      entry_flags(entry) |= flags & kKept & ~kFireDue;
      if ((flags & kFireDue) != 0) mark_fire(entry, *pane, kid);
    }
  }
}

void WindowAggregate::Impl::restore_steps() {
  for (const auto& [place, e] : restored_->spaces[kSteps]) {
    Window& window = window_at(calendar_.window_of(e.tag - 1));
    const auto step = static_cast<std::uint32_t>((e.tag - 1 - window.range.start) / spec_.every);
    Pane& pane = pane_at(window, step, e.tag, now_);
    const std::uint32_t kid = window.keys.find_or_add(hash_of(e.key), e.key, window.strings);
    char* entry = window.entry_or_add(pane, kid);
    std::string_view value = e.value;
    const auto flags = take<std::uint32_t>(value);
    TS_CHECK(accumulators_.load(value, window.block(entry), window.strings));
    if (layout_.keeps_last) restore_last(pane, kid, flags, value);
    entry_flags(entry) |= flags & kKept & ~kFireDue;
    if ((flags & kFireDue) != 0) mark_fire(entry, pane, kid);
  }
}

void WindowAggregate::Impl::restore_last(Pane& pane, std::uint32_t kid, std::uint32_t flags, std::string_view value) {
  if ((flags & kEmitted) == 0) return;
  Window& window = *pane.window;
  TS_CHECK(accumulators_.load(value, window.last_block_or_add(pane, kid), window.strings));
}

void WindowAggregate::Impl::restore_pairs() {
  for (const auto& [place, e] : restored_->spaces[kPairs]) {
    Window& window = window_at(e.tag == kMaxTime ? WindowRange{kMinTime, kMaxTime} : calendar_.window_of(e.tag - 1));
    std::string_view rest = e.key;
    const std::size_t set = take<std::uint8_t>(rest);
    const auto step = take<std::uint16_t>(rest);
    const auto high = take<std::uint16_t>(rest);
    const std::uint32_t kid = window.keys.find_or_add(hash_of(rest), rest, window.strings);
    const auto& ids = restored_->ids[set_distinct_[set]];
    const bool whole = window.sets[set].restore_block(kid, step, high, e.value, [&](DistinctSet::Added& a) {
      const auto known = ids.find({e.group, a.id});
      if (known == ids.end()) return false;
      a.identity = known->second.first;
      a.id = known->second.second;
      return true;
    });
    TS_CHECK(whole);  // files are verified before: a hole here is a bug of the writer
  }
  if (restored_->ids_changed) return;  // `added` holds everything: the next snapshot writes it all
  for (auto& [end, window] : windows_)
    for (DistinctSet& set : window->sets) {
      std::size_t all = ~std::size_t{0};
      if (set.begin_save())
        set.save(
            all, [](const DistinctSet::Added&) {}, [](const DistinctSet::Block&) {});
    }
}

}  // namespace twinspan::engine
