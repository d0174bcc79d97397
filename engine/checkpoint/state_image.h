#pragma once
// Deltas folded into the live state: the latest value of every (step, space, tag, key group, key). This is what a
// restore hands to the operators. Views point into the delta bytes given, which must outlive the image. Memory is the
// index, about 64 bytes an entry. Thread: any one (restore).

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/checkpoint/sorted_delta.h"
#include "engine/state/state_entry.h"

namespace twinspan::engine {

class StateImage {
 public:
  // `shard` of `shards` wrote the delta: its drop_below entries end only what lies in its key groups.
  Status apply(const std::string& step, unsigned shard, unsigned shards, std::string_view delta);
  // The same from a state file: first the drops, then the entries.
  Status apply(const std::string& step, unsigned shard, unsigned shards, const std::vector<SpaceDrop>& drops,
               std::string_view frames);

  // Live entries of one step (all of Kind::put), in no order that means anything.
  Status for_each(const std::string& step, const std::function<Status(const StateEntry&)>& visit) const;
  std::vector<std::string> steps() const;
  std::uint64_t live_entries() const { return live_; }

 private:
  // One key may stand in several groups: a distinct value that is counted for keys of different groups.
  struct Key {
    std::uint16_t group = 0;
    std::string_view key;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& k) const {
      return std::hash<std::string_view>()(k.key) ^ (k.group * 0x9e3779b97f4a7c15u);
    }
  };
  struct Entry {
    StateEntry entry;
    bool live = true;
  };
  struct Space {
    std::vector<Entry> entries;                                                    // order of first writing
    std::map<std::int64_t, std::unordered_map<Key, std::size_t, KeyHash>> by_tag;  // tag -> key -> place in entries
  };
  struct Step {
    std::map<std::uint8_t, Space> spaces;
  };
  void drop(Space& space, std::int64_t below, unsigned shard, unsigned shards);

  std::map<std::string, Step> steps_;
  std::uint64_t live_ = 0;
};

}  // namespace twinspan::engine
