#pragma once
// Makes bases in a thread of its own, so that no barrier ever waits for one. The thread has the lowest priority for CPU
// and disk that still makes progress: what it competes with is the path of records. A merge that fails is tried again
// after a while; checkpoints go on meanwhile, only the chain of deltas grows. Owned by the pipeline. Thread: control
// (start, stop), any (consider, figures).

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "engine/base/clock.h"
#include "engine/checkpoint/checkpoint_store.h"

namespace twinspan::engine {

class BaseMerger {
 public:
  struct Figures {
    std::uint64_t merges = 0, failures = 0;
    std::int64_t last_took_ms = -1;
    std::uint64_t cpu_us = 0;  // of the thread, since its start
    std::string last_error;    // "" once one succeeded
  };
  // `room`: whether the disk has that many bytes beside what others must be able to write.
  BaseMerger(CheckpointStore& store, const Clock& clock, std::function<bool(std::uint64_t bytes)> room)
      : store_(store), clock_(clock), room_(std::move(room)) {}
  ~BaseMerger() { stop(); }

  void start();
  // A merge under way ends within a few thousand entries and leaves nothing behind.
  void stop();
  void consider();  // an epoch was prepared: merge if one is due
  Figures figures() const;

 private:
  static constexpr std::int64_t kRetryMs = 10'000;
  void run(std::stop_token stop);
  void merge_once(std::stop_token stop);

  CheckpointStore& store_;
  const Clock& clock_;
  const std::function<bool(std::uint64_t)> room_;
  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  bool asked_ = false;
  std::int64_t not_before_ = 0;
  Figures figures_;
  std::jthread thread_;
};

}  // namespace twinspan::engine
