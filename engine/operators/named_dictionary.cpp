#include "engine/operators/named_dictionary.h"

#include <algorithm>

namespace twinspan::engine {

void NamedDictionary::find_or_add(unsigned place, const Identity* values, const std::uint16_t* partitions,
                                  std::uint32_t n, std::uint32_t* counters, SaveList<Recorded>& news) {
  for (std::uint32_t from = 0; from < n; from += Dictionary::kGroup) {
    const std::uint32_t to = std::min(n, from + Dictionary::kGroup);
    for (std::uint32_t i = from; i < to; ++i) table_.prefetch(mix(values[i].a));
    for (std::uint32_t i = from; i < to; ++i) {
      const Identity& v = values[i];
      const Slot* s = table_.find(mix(v.a), [&](const Slot& slot) { return slot.a == v.a && slot.b == v.b; });
      bool first = s == nullptr;
      if (first) {
        std::uint32_t& next = next_[partitions[i]];
        if (next == kFull) {
          counters[i] = kFull;
          continue;
        }
        counters[i] = next++;
        table_.insert({v.a, v.b, counters[i] + 1});
        if (!recorded_.empty()) record(place, partitions[i], counters[i]);
      } else {
        counters[i] = s->counter_plus_1 - 1;
        first = !recorded_.empty() && record(place, partitions[i], counters[i]);
      }
      if (first) news.push_back({v, partitions[i], counters[i]});
    }
  }
}

bool NamedDictionary::restore(unsigned place, const Recorded& e) {
  const Slot* s = table_.find(mix(e.value.a), [&](const Slot& x) { return x.a == e.value.a && x.b == e.value.b; });
  if (s != nullptr && s->counter_plus_1 != e.counter + 1) return false;
  if (s == nullptr) table_.insert({e.value.a, e.value.b, e.counter + 1});
  next_[e.partition] = std::max(next_[e.partition], e.counter + 1);
  if (!recorded_.empty()) record(place, e.partition, e.counter);
  return true;
}

bool NamedDictionary::record(unsigned place, std::uint16_t partition, std::uint32_t counter) {
  std::vector<std::uint64_t>& words = recorded_[place][partition];
  const std::size_t word = counter / 64;
  if (word >= words.size()) {
    recorded_bytes_ -= words.capacity() * 8;
    words.resize(word + 1 + word / 2);
    recorded_bytes_ += words.capacity() * 8;
  }
  const std::uint64_t bit = std::uint64_t{1} << (counter % 64);
  if ((words[word] & bit) != 0) return false;
  words[word] |= bit;
  return true;
}

std::shared_ptr<NamedDictionary> DictionaryPlaces::join(unsigned shard, unsigned place) {
  std::lock_guard lock(mutex_);
  Share& share = shares_[shard];
  std::shared_ptr<NamedDictionary> dictionary = share.dictionary.lock();
  if (dictionary == nullptr || share.joined.contains(place)) {
    dictionary = std::make_shared<NamedDictionary>(places_);
    share = {dictionary, {}};
  }
  share.joined.insert(place);
  return dictionary;
}

}  // namespace twinspan::engine
