#pragma once
// One shard's share of a dictionary that the user named: value -> dense counter, per partition (the key group of the
// value's hash). Entries stay for ever, so the counter is one above the largest, and an id that was told is never told
// of another value: not after a restart, not with another number of shards (semantics.md "UV", protocol.md 18).
// Values are known as in Dictionary.
//
// Several places of a plan may use one dictionary. Each is a node with a checkpoint of its own and sees a barrier at
// its own moment, so each records every value that it uses, whoever gave it the id: what a place told before a barrier
// is in its part of the checkpoint. `DictionaryPlaces` is the dictionary in the plan: it brings the places of one shard
// together. Thread: shard (NamedDictionary); any (DictionaryPlaces).

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "engine/operators/dictionary.h"
#include "engine/operators/save_list.h"
#include "engine/state/state_entry.h"

namespace twinspan::engine {

class NamedDictionary {
 public:
  using Identity = Dictionary::Identity;
  static constexpr std::uint32_t kFull = 0xFFFF'FFFF;  // in place of a counter: the partition has no number left

  struct Recorded {
    Identity value;
    std::uint16_t partition = 0;
    std::uint32_t counter = 0;
  };

  explicit NamedDictionary(unsigned places) : recorded_(places > 1 ? places : 0) {}

  // counters[i] of values[i] in partitions[i]; `news` gets what this place records for the first time.
  void find_or_add(unsigned place, const Identity* values, const std::uint16_t* partitions, std::uint32_t n,
                   std::uint32_t* counters, SaveList<Recorded>& news);
  // An entry that the place had recorded. false: the value is known under another number.
  bool restore(unsigned place, const Recorded& entry);

  std::size_t size() const { return table_.size(); }
  std::size_t bytes() const { return table_.bytes() + recorded_bytes_; }

 private:
  struct Slot {
    std::uint64_t a;
    std::uint32_t b;
    std::uint32_t counter_plus_1;
    bool empty() const { return counter_plus_1 == 0; }
    std::uint64_t hash() const { return mix(a); }
  };
  static std::uint64_t mix(std::uint64_t a) {
    const std::uint64_t h = a * 0x9E3779B97F4A7C15ull;
    return h ^ (h >> 32);
  }
  bool record(unsigned place, std::uint16_t partition, std::uint32_t counter);  // true: for the first time

  ProbeTable<Slot> table_;
  std::array<std::uint32_t, kKeyGroups> next_{};
  std::vector<std::array<std::vector<std::uint64_t>, kKeyGroups>> recorded_;  // [place][partition] bits by counter
  std::size_t recorded_bytes_ = 0;
};

class DictionaryPlaces {
 public:
  unsigned add() { return places_++; }  // while planning
  unsigned count() const { return places_; }
  // When the place's operator is made. All operators of a shard are made before those of its successor.
  std::shared_ptr<NamedDictionary> join(unsigned shard, unsigned place);

 private:
  struct Share {
    std::weak_ptr<NamedDictionary> dictionary;
    std::set<unsigned> joined;
  };
  unsigned places_ = 0;
  std::mutex mutex_;
  std::map<unsigned, Share> shares_;
};

}  // namespace twinspan::engine
