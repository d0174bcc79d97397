#pragma once
// What the threads of a Kafka source share about its lanes: the shard moves the position, the cluster's service thread
// finds out where a lane begins, ends and has holes, and the API looks on. News from the service thread reach the shard
// through the inbox of its reader, never by a lock around records.

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "connectors/lane.h"
#include "connectors/source.h"
#include "engine/base/ids.h"
#include "engine/base/result.h"

namespace twinspan::connectors {

enum class LanePhase : std::uint8_t {
  starting,  // where it begins is not known yet
  parked,    // its position is known, its client partition is not assigned: waits for its bound, its cuts or a recovery
  reading,
  done,     // bounded, at its bound
  stopped,  // on_gap: fail
};

struct SourceLane {
  LaneIndex index;
  LaneKey key;
  unsigned shard = 0;
  unsigned member = 0;  // which cluster of the source

  // Shard writes, others read.
  std::atomic<std::int64_t> position = -1;  // -1: starting
  std::atomic<std::int32_t> leader_epoch = -1;
  std::atomic<bool> at_end = false;
  std::atomic<bool> out_of_range = false;  // the client gave up on the position; the service thread clears it

  // Service thread writes, others read.
  std::atomic<std::int64_t> end = -1, low = -1, end_seen_at = -1;  // end_seen_at: monotonic ms
  std::atomic<std::int64_t> bound = -1;
  std::atomic<LanePhase> phase = LanePhase::starting;

  // Service thread only.
  bool from_first = false;      // appeared after the source did: begins at its first offset
  bool recovering = false;      // parked because it is out of range
  std::int64_t resume_at = -1;  // parked: where to go on, if not at the position (a gap or cut the shard is told of)
  bool resume_back = false;     // resume_at lies before the position: the log was truncated or begun anew
  std::int64_t forward_until = 0;

  // Shard only.
  bool halted = false;
  bool paused = false;  // by set_paused()

  void set_note(std::string note) {
    std::lock_guard lock(note_mutex_);
    note_ = std::move(note);
  }
  std::string note() const {
    std::lock_guard lock(note_mutex_);
    return note_;
  }

 private:
  mutable std::mutex note_mutex_;
  std::string note_;
};

// All lanes of a source. Lanes are never removed, so pointers to them stay good. Thread: any.
class LaneTable {
 public:
  SourceLane& add(LaneKey key, unsigned member, unsigned shard) {
    std::lock_guard lock(mutex_);
    SourceLane& lane = lanes_.emplace_back();
    lane.index = LaneIndex(static_cast<std::uint32_t>(lanes_.size() - 1));
    lane.key = std::move(key);
    lane.member = member;
    lane.shard = shard;
    return lane;
  }
  std::vector<SourceLane*> all() {
    std::lock_guard lock(mutex_);
    std::vector<SourceLane*> lanes;
    lanes.reserve(lanes_.size());
    for (auto& lane : lanes_) lanes.push_back(&lane);
    return lanes;
  }
  SourceLane* at(LaneIndex index) {
    std::lock_guard lock(mutex_);
    return index.value < lanes_.size() ? &lanes_[index.value] : nullptr;
  }

 private:
  std::mutex mutex_;
  std::deque<SourceLane> lanes_;
};

struct LaneNews {
  enum class Kind : std::uint8_t { added, gap, cut, stopped, at_end };
  Kind kind = Kind::added;
  SourceLane* lane = nullptr;
  std::int64_t to = 0;  // gap, cut: where the lane goes on; at_end: where the end is
  std::string detail;
};

// From service threads to one reader; wakes its shard. Thread: any posts, the shard takes.
class LaneInbox {
 public:
  LaneInbox() : wake_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) { TS_CHECK(wake_fd_ >= 0); }
  ~LaneInbox() { ::close(wake_fd_); }
  LaneInbox(const LaneInbox&) = delete;
  LaneInbox& operator=(const LaneInbox&) = delete;

  void post(LaneNews news) {
    {
      std::lock_guard lock(mutex_);
      news_.push_back(std::move(news));
      waiting_.store(true, std::memory_order_release);
    }
    wake();
  }
  bool waiting() const { return waiting_.load(std::memory_order_acquire); }
  void take(std::vector<LaneNews>& out) {
    out.clear();
    std::lock_guard lock(mutex_);
    out.swap(news_);
    waiting_.store(false, std::memory_order_release);
  }

  int wake_fd() const { return wake_fd_; }
  void wake() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_fd_, &one, sizeof one);
  }
  void drain_wake() const {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto read = ::read(wake_fd_, &count, sizeof count);
  }

 private:
  const int wake_fd_;
  std::mutex mutex_;
  std::vector<LaneNews> news_;
  std::atomic<bool> waiting_ = false;
};

}  // namespace twinspan::connectors
