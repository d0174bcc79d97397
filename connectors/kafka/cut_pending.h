#pragma once
// Cuts of lanes whose cluster was away at the click (protocol.md 25, 26): an ordered list per lane, kept in the
// checkpoint, resolved before the lane's first fetch. A cut leaves the list only after the shard moved the lane, so
// that a barrier always finds it in the list or in the position. Thread: any.

#include <cstdint>
#include <mutex>
#include <vector>

#include "connectors/source.h"

namespace twinspan::connectors {

class PendingCuts {
 public:
  void add(const LaneCut& cut) {
    std::lock_guard lock(mutex_);
    cuts_.push_back({cut, false});
  }
  // What is still to be resolved for this lane, oldest first.
  std::vector<LaneCut> open_of(const LaneKey& lane) const {
    std::lock_guard lock(mutex_);
    std::vector<LaneCut> found;
    for (const auto& [cut, posted] : cuts_) {
      if (!posted && cut.lane == lane) found.push_back(cut);
    }
    return found;
  }
  bool any_of(const LaneKey& lane) const {
    std::lock_guard lock(mutex_);
    for (const auto& entry : cuts_) {
      if (entry.cut.lane == lane) return true;
    }
    return false;
  }
  // The oldest open cut of the lane is on its way to the shard.
  void posted(const LaneKey& lane) {
    std::lock_guard lock(mutex_);
    for (auto& entry : cuts_) {
      if (!entry.posted && entry.cut.lane == lane) {
        entry.posted = true;
        return;
      }
    }
  }
  // The shard moved the lane by the oldest posted one.
  void applied(const LaneKey& lane) {
    std::lock_guard lock(mutex_);
    for (auto it = cuts_.begin(); it != cuts_.end(); ++it) {
      if (it->posted && it->cut.lane == lane) {
        cuts_.erase(it);
        return;
      }
    }
  }
  std::vector<LaneCut> all() const {
    std::lock_guard lock(mutex_);
    std::vector<LaneCut> found;
    for (const auto& entry : cuts_) found.push_back(entry.cut);
    return found;
  }

 private:
  struct Entry {
    LaneCut cut;
    bool posted;
  };
  mutable std::mutex mutex_;
  std::vector<Entry> cuts_;
};

}  // namespace twinspan::connectors
