#pragma once
// The checkpoint writer beside a shard of the engine bench: writes each barrier's deltas and parts as an epoch, for
// real, into a directory of its own that goes away with it. What that costs is part of a checkpoint's CPU. Thread: the
// shard gives, a thread of its own writes.

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "engine/checkpoint/checkpoint_store.h"
#include "engine/runtime/shard.h"

namespace twinspan::bench {

class EpochWriter {
 public:
  struct Figures {
    std::int64_t cpu_ns = 0;
    std::uint64_t bytes = 0, epochs = 0, largest = 0, last = 0;
    std::string error;
  };

  explicit EpochWriter(unsigned shard);
  ~EpochWriter();
  void give(engine::ShardBarrier&& barrier);
  // Waits until all is written.
  Figures finish();

 private:
  void run();
  Status write(engine::ShardBarrier& barrier);

  engine::PosixFileSystem files_;
  const std::string directory_;
  engine::CheckpointStore store_;
  std::map<std::string, engine::SegmentFiles> segments_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<engine::ShardBarrier> given_;
  bool ended_ = false;
  Figures figures_;
  std::jthread thread_;
};

}  // namespace twinspan::bench
