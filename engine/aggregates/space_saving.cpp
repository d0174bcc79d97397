#include "engine/aggregates/space_saving.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include <xxhash.h>

#include "engine/aggregates/kernel.h"

namespace twinspan::engine {

bool SpaceSaving::before(const Entry& a, const Entry& b) {
  if (a.count != b.count) return a.count < b.count;
  if (a.hash != b.hash) return a.hash < b.hash;
  return text(a) < text(b);
}

std::uint32_t SpaceSaving::find(std::uint64_t hash, std::string_view value) const {
  if (capacity_ == 0) return kNone;
  const std::uint32_t mask = slots() - 1;
  for (auto i = static_cast<std::uint32_t>(hash) & mask; table_[i] != 0; i = (i + 1) & mask) {
    const Entry& e = entries_[table_[i] - 1];
    if (e.hash == hash && text(e) == value) return table_[i] - 1;
  }
  return kNone;
}

void SpaceSaving::index(std::uint32_t entry) {
  const std::uint32_t mask = slots() - 1;
  auto i = static_cast<std::uint32_t>(entries_[entry].hash) & mask;
  while (table_[i] != 0) i = (i + 1) & mask;
  table_[i] = entry + 1;
}

// Closes the gap (Knuth 6.4, algorithm R).
void SpaceSaving::unindex(std::uint32_t entry) {
  const std::uint32_t mask = slots() - 1;
  auto i = static_cast<std::uint32_t>(entries_[entry].hash) & mask;
  while (table_[i] != entry + 1) i = (i + 1) & mask;
  for (std::uint32_t j = i;;) {
    j = (j + 1) & mask;
    if (table_[j] == 0) break;
    const auto home = static_cast<std::uint32_t>(entries_[table_[j] - 1].hash) & mask;
    if (((j - home) & mask) < ((j - i) & mask)) continue;  // its home lies behind the gap
    table_[i] = table_[j];
    i = j;
  }
  table_[i] = 0;
}

void SpaceSaving::up(std::uint32_t at) {
  const std::uint32_t e = heap_[at];
  while (at > 0) {
    const std::uint32_t parent = (at - 1) / 2;
    if (!before(entries_[e], entries_[heap_[parent]])) break;
    heap_[at] = heap_[parent];
    entries_[heap_[at]].at = at;
    at = parent;
  }
  heap_[at] = e;
  entries_[e].at = at;
}

void SpaceSaving::down(std::uint32_t at) {
  const std::uint32_t e = heap_[at];
  for (std::uint32_t child = 2 * at + 1; child < size_; child = 2 * at + 1) {
    if (child + 1 < size_ && before(entries_[heap_[child + 1]], entries_[heap_[child]])) ++child;
    if (!before(entries_[heap_[child]], entries_[e])) break;
    heap_[at] = heap_[child];
    entries_[heap_[at]].at = at;
    at = child;
  }
  heap_[at] = e;
  entries_[e].at = at;
}

// To twice the room, at most what the counters need. Capacities are powers of two, so tables are.
void SpaceSaving::grow(std::uint32_t counters, BlockMemory& memory) {
  const SpaceSaving old = *this;
  capacity_ = std::min(std::bit_ceil(counters), std::max<std::uint32_t>(8, capacity_ * 2));
  entries_ = reinterpret_cast<Entry*>(memory.take(capacity_ * sizeof(Entry)));
  heap_ = reinterpret_cast<std::uint32_t*>(memory.take(capacity_ * sizeof(std::uint32_t)));
  table_ = reinterpret_cast<std::uint32_t*>(memory.take(slots() * sizeof(std::uint32_t)));
  std::memset(table_, 0, slots() * sizeof(std::uint32_t));
  if (old.capacity_ == 0) return;
  std::memcpy(entries_, old.entries_, size_ * sizeof(Entry));
  std::memcpy(heap_, old.heap_, size_ * sizeof(std::uint32_t));
  for (std::uint32_t i = 0; i < size_; ++i) index(i);
  memory.give(old.entries_, old.capacity_ * sizeof(Entry));
  memory.give(old.heap_, old.capacity_ * sizeof(std::uint32_t));
  memory.give(old.table_, old.slots() * sizeof(std::uint32_t));
}

void SpaceSaving::append(std::uint64_t hash, std::string_view value, std::int64_t count, std::int64_t error,
                         BlockMemory& memory) {
  char* p = memory.take(value.size());
  if (!value.empty()) std::memcpy(p, value.data(), value.size());
  const std::uint32_t e = size_++;
  entries_[e] = {hash, p, static_cast<std::uint32_t>(value.size()), e, count, error};
  heap_[e] = e;
  index(e);
  up(e);
}

void SpaceSaving::add(std::string_view value, std::uint32_t counters, BlockMemory& memory) {
  const std::uint64_t hash = XXH3_64bits(value.data(), value.size());
  if (const std::uint32_t e = find(hash, value); e != kNone) {
    ++entries_[e].count;
    down(entries_[e].at);
    return;
  }
  if (size_ < counters) {
    if (size_ == capacity_) grow(counters, memory);
    append(hash, value, unseen_ + 1, unseen_, memory);
    return;
  }
  const std::uint32_t e = heap_[0];
  Entry& least = entries_[e];
  unseen_ = least.count;
  unindex(e);
  if (BlockMemory::rounded(least.size) != BlockMemory::rounded(value.size())) {
    memory.give(least.p, least.size);
    least.p = memory.take(value.size());
  }
  if (!value.empty()) std::memcpy(least.p, value.data(), value.size());
  least.hash = hash;
  least.size = static_cast<std::uint32_t>(value.size());
  least.error = least.count++;
  index(e);
  down(0);
}

// Upper bounds are added; a value that one side has no counter for may have had `unseen_` there. Of more values than
// counters the m greatest stay, and what may be unseen is then the m-th of them. Seen as lower bounds (count - unseen):
// unseen grows by d, the m-th largest lower bound, and at least m of them lose d, so that it stays under N / m.
void SpaceSaving::merge(const SpaceSaving& from, std::uint32_t counters, BlockMemory& memory) {
  if (from.size_ == 0) return;  // no rows
  struct One {
    std::uint64_t hash;
    std::string_view value;
    std::int64_t count, error;
  };
  std::vector<One> all;
  for (std::uint32_t i = 0; i < size_; ++i) {
    const Entry& e = entries_[i];
    const std::uint32_t o = from.find(e.hash, text(e));
    all.push_back({e.hash, text(e), e.count + (o == kNone ? from.unseen_ : from.entries_[o].count),
                   e.error + (o == kNone ? from.unseen_ : from.entries_[o].error)});
  }
  for (std::uint32_t i = 0; i < from.size_; ++i) {
    const Entry& e = from.entries_[i];
    if (find(e.hash, text(e)) == kNone) all.push_back({e.hash, text(e), e.count + unseen_, e.error + unseen_});
  }
  std::int64_t unseen = unseen_ + from.unseen_;
  if (all.size() > counters) {
    std::nth_element(all.begin(), all.begin() + (counters - 1), all.end(), [](const One& a, const One& b) {
      if (a.count != b.count) return a.count > b.count;
      return a.hash != b.hash ? a.hash > b.hash : a.value > b.value;
    });
    all.resize(counters);
    unseen = all.back().count;
  }
  const SpaceSaving old = *this;  // what `all` points to
  entries_ = nullptr;
  heap_ = table_ = nullptr;
  size_ = capacity_ = 0;
  unseen_ = unseen;
  for (const One& o : all) {
    if (size_ == capacity_) grow(counters, memory);
    append(o.hash, o.value, o.count, o.error, memory);
  }
  SpaceSaving(old).release(memory);
}

void SpaceSaving::release(BlockMemory& memory) {
  for (std::uint32_t i = 0; i < size_; ++i) memory.give(entries_[i].p, entries_[i].size);
  if (capacity_ == 0) return;
  memory.give(entries_, capacity_ * sizeof(Entry));
  memory.give(heap_, capacity_ * sizeof(std::uint32_t));
  memory.give(table_, slots() * sizeof(std::uint32_t));
}

std::vector<SpaceSaving::Counted> SpaceSaving::top(std::size_t k) const {
  std::vector<Counted> all;
  for_each([&](const Counted& c) { all.push_back(c); });
  const std::size_t n = std::min(k, all.size());
  std::partial_sort(
      all.begin(), all.begin() + static_cast<std::ptrdiff_t>(n), all.end(),
      [](const Counted& a, const Counted& b) { return a.count != b.count ? a.count > b.count : a.value < b.value; });
  all.resize(n);
  return all;
}

void SpaceSaving::save(std::string& to) const {
  append_raw(to, unseen_);
  append_raw(to, size_);
  for_each([&](const Counted& c) {
    append_raw(to, c.count);
    append_raw(to, c.error);
    append_raw(to, static_cast<std::uint32_t>(c.value.size()));
    to.append(c.value);
  });
}

bool SpaceSaving::load(std::string_view& from, std::uint32_t counters, BlockMemory& memory) {
  std::uint32_t size = 0;
  if (!take_raw(from, unseen_) || !take_raw(from, size) || size > counters || unseen_ < 0) return false;
  for (std::uint32_t i = 0; i < size; ++i) {
    std::int64_t count = 0, error = 0;
    std::uint32_t bytes = 0;
    std::string_view value;
    if (!take_raw(from, count) || !take_raw(from, error) || !take_raw(from, bytes) || !take_bytes(from, bytes, value))
      return false;
    const std::uint64_t hash = XXH3_64bits(value.data(), value.size());
    if (count < 1 || error < 0 || error >= count || find(hash, value) != kNone) return false;
    if (size_ == capacity_) grow(counters, memory);
    append(hash, value, count, error, memory);
  }
  return true;
}

}  // namespace twinspan::engine
