#include "engine/checkpoint/sorted_delta.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>

#include <xxhash.h>

namespace twinspan::engine {

namespace {

constexpr unsigned kGroupBits = std::bit_width(unsigned{kKeyGroups - 1});
// How many bits of the hash a prefix has: so many that, with the tag, few entries share one; each digit more is a pass
// over all entries. Tags are counted with at most 10 bits, since a few far ones may stretch their range.
unsigned hash_bits_for(std::size_t entries, unsigned tag_bits) {
  const auto wanted =
      static_cast<int>(std::bit_width(entries)) + 8 - static_cast<int>(std::min(tag_bits, 10u) + kGroupBits);
  return static_cast<unsigned>(std::clamp(wanted, 12, 30));
}

struct TagRange {
  std::int64_t min = std::numeric_limits<std::int64_t>::max(), max = std::numeric_limits<std::int64_t>::min();
};

}  // namespace

std::uint64_t order_hash(std::string_view key) { return XXH3_64bits(key.data(), key.size()); }

int compare_entries(const StateEntry& a, std::uint64_t hash_a, const StateEntry& b, std::uint64_t hash_b) {
  if (a.space != b.space) return a.space < b.space ? -1 : 1;
  if (a.tag != b.tag) return a.tag < b.tag ? -1 : 1;
  if (a.key_group != b.key_group) return a.key_group < b.key_group ? -1 : 1;
  if (hash_a != hash_b) return hash_a < hash_b ? -1 : 1;
  return a.key.compare(b.key);
}

StateEntry SortedDelta::entry_at(const char* p) {
  StateEntry e;
  std::uint32_t key_size = 0, value_size = 0;
  e.kind = static_cast<StateEntry::Kind>(p[0]);
  e.space = static_cast<std::uint8_t>(p[1]);
  std::memcpy(&e.key_group, p + 2, 2);
  std::memcpy(&key_size, p + 4, 4);
  std::memcpy(&value_size, p + 8, 4);
  std::memcpy(&e.tag, p + 12, 8);
  e.key = {p + kFrameHeader, key_size};
  e.value = {p + kFrameHeader + key_size, value_size};
  return e;
}

Result<SortedDelta> SortedDelta::make(const Delta& delta) {
  SortedDelta out;
  struct Drop {
    SpaceDrop drop;
    std::size_t before;  // how many entries came earlier
  };
  std::vector<Drop> drops;
  std::array<TagRange, 256> tags;
  unsigned last_space = 0;
  for (const std::string& piece : delta.pieces()) {
    DeltaReader reader(piece);
    StateEntry e;
    for (;;) {
      TS_TRY(more, reader.next(e));
      if (!more) break;
      if (e.kind == StateEntry::Kind::drop_below) {
        drops.push_back({{e.space, e.tag}, out.items_.size()});
        continue;
      }
      out.items_.push_back({order_hash(e.key), e.key.data() - kFrameHeader});
      TagRange& range = tags[e.space];
      range.min = std::min(range.min, e.tag);
      range.max = std::max(range.max, e.tag);
      last_space = std::max<unsigned>(last_space, e.space);
    }
  }
  // From the back: what stood before a drop and below it has ended within this delta.
  std::vector<std::int64_t> floor(256, std::numeric_limits<std::int64_t>::min());
  std::size_t to = out.items_.size();
  bool ended = false;
  for (auto d = drops.rbegin(); d != drops.rend(); ++d) {
    for (std::size_t i = d->before; i < to; ++i) {
      const StateEntry e = entry_at(out.items_[i].frame);
      if (e.tag >= floor[e.space]) continue;
      out.items_[i].frame = nullptr;
      ended = true;
    }
    to = d->before;
    std::int64_t& below = floor[d->drop.space];
    below = std::max(below, d->drop.below);
  }
  for (std::size_t i = 0; !drops.empty() && i < to; ++i) {
    const StateEntry e = entry_at(out.items_[i].frame);
    if (e.tag >= floor[e.space]) continue;
    out.items_[i].frame = nullptr;
    ended = true;
  }
  if (ended) std::erase_if(out.items_, [](const Item& i) { return i.frame == nullptr; });
  for (unsigned s = 0; s < 256; ++s) {
    if (std::any_of(drops.begin(), drops.end(), [s](const Drop& d) { return d.drop.space == s; }))
      out.drops_.push_back({static_cast<std::uint8_t>(s), floor[s]});
  }

  unsigned tag_bits = 0;
  for (const TagRange& r : tags) {
    if (r.min > r.max) continue;
    const std::uint64_t span = static_cast<std::uint64_t>(r.max) - static_cast<std::uint64_t>(r.min);
    tag_bits = std::max<unsigned>(tag_bits, static_cast<unsigned>(std::bit_width(span)));
  }
  const auto space_bits = static_cast<unsigned>(std::bit_width(last_space));
  // Whatever is cut off on the right, the prefix never contradicts the order.
  const unsigned kept_tag = std::min(tag_bits, 64 - space_bits);
  const unsigned group_bits = space_bits + tag_bits + kGroupBits <= 64 ? kGroupBits : 0;
  const unsigned hash_bits =
      group_bits == 0 ? 0
                      : std::min(hash_bits_for(out.items_.size(), tag_bits), 64 - space_bits - tag_bits - kGroupBits);
  for (Item& item : out.items_) {
    const StateEntry e = entry_at(item.frame);
    const std::uint64_t tag = static_cast<std::uint64_t>(e.tag) - static_cast<std::uint64_t>(tags[e.space].min);
    std::uint64_t prefix = e.space;
    if (kept_tag > 0) prefix = (kept_tag == 64 ? 0 : prefix << kept_tag) | tag >> (tag_bits - kept_tag);
    if (group_bits > 0) prefix = prefix << group_bits | e.key_group;
    if (hash_bits > 0) prefix = prefix << hash_bits | item.prefix >> (64 - hash_bits);
    item.prefix = prefix;
  }
  out.sort();
  out.order_equal_prefixes();
  return out;
}

// Least significant digit first, so that entries with equal prefixes stay in the order in which they were made; digits
// that are the same in all entries cost nothing.
void SortedDelta::sort() {
  const auto less = [](const Item& a, const Item& b) { return a.prefix < b.prefix; };
  if (items_.size() < 512) {
    std::stable_sort(items_.begin(), items_.end(), less);
    return;
  }
  if (std::is_sorted(items_.begin(), items_.end(), less)) return;
  constexpr unsigned kDigit = 11, kDigits = 6, kValues = 1u << kDigit;
  std::vector<std::size_t> counts(kDigits * kValues);
  for (const Item& item : items_)
    for (unsigned d = 0; d < kDigits; ++d) ++counts[d * kValues + (item.prefix >> (d * kDigit)) % kValues];
  std::vector<Item> other(items_.size());
  for (unsigned d = 0; d < kDigits; ++d) {
    std::size_t* count = counts.data() + d * kValues;
    if (count[(items_.front().prefix >> (d * kDigit)) % kValues] == items_.size()) continue;
    std::size_t at = 0;
    for (unsigned v = 0; v < kValues; ++v) at += std::exchange(count[v], at);
    for (const Item& item : items_) other[count[(item.prefix >> (d * kDigit)) % kValues]++] = item;
    items_.swap(other);
  }
}

void SortedDelta::order_equal_prefixes() {
  std::size_t kept = 0;
  std::vector<std::pair<std::uint64_t, Item>> run;
  for (std::size_t i = 0; i < items_.size();) {
    std::size_t end = i + 1;
    while (end < items_.size() && items_[end].prefix == items_[i].prefix) ++end;
    if (end - i == 1) {
      items_[kept++] = items_[i++];
      continue;
    }
    run.clear();
    for (; i < end; ++i) run.emplace_back(order_hash(entry_at(items_[i].frame).key), items_[i]);
    std::stable_sort(run.begin(), run.end(), [](const auto& a, const auto& b) {
      return compare_entries(entry_at(a.second.frame), a.first, entry_at(b.second.frame), b.first) < 0;
    });
    for (std::size_t r = 0; r < run.size(); ++r) {
      const bool newer_follows =
          r + 1 < run.size() && compare_entries(entry_at(run[r].second.frame), run[r].first,
                                                entry_at(run[r + 1].second.frame), run[r + 1].first) == 0;
      if (!newer_follows) items_[kept++] = run[r].second;
    }
  }
  items_.resize(kept);
}

}  // namespace twinspan::engine
