#pragma once
// A source whose rows lie in memory as batches: what is measured behind it is the engine alone, no client and no JSON.
// Owned by one run. Thread: shard.

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/runtime/shard.h"
#include "gateway/plan.h"
#include "tests/bench/bench_events.h"

namespace twinspan::bench {

class MemoryFeed final : public engine::Feed {
 public:
  // The numbers [0, count) of one stream that fall to `shard` (number % shards), as the columns that the plan decodes.
  // Watermarks are those of one lane.
  MemoryFeed(const gateway::SourcePlan& source, Events events, int stream, std::int64_t count, unsigned shard,
             unsigned shards);

  // Nothing comes before that feed is empty. Same shard.
  void wait_for(const MemoryFeed& other) { after_ = &other; }
  // The end waits until this is true: the last barrier may still be under way.
  void hold_end(bool hold) { hold_end_ = hold; }
  bool drained() const { return at_ == batches_.size(); }
  std::int64_t rows_given() const { return rows_given_; }
  std::int64_t first_cpu_ns() const { return first_cpu_ns_; }  // of this thread, when the first rows were asked for
  double string_bytes_per_row() const { return string_bytes_; }

  bool poll(std::int64_t now_ms, Batch& out) override;
  Watermark watermark(std::int64_t) override { return watermark_; }
  bool idle() const override { return false; }
  bool ended() const override { return drained() && !hold_end_; }
  std::string barrier_state() override { return std::to_string(rows_given_); }

 private:
  std::vector<Batch> batches_;
  std::vector<EventTime> after_batch_;  // the watermark behind each batch
  std::size_t at_ = 0;
  Watermark watermark_;
  const MemoryFeed* after_ = nullptr;
  bool hold_end_ = false;
  std::int64_t rows_given_ = 0, first_cpu_ns_ = -1;
  double string_bytes_ = 0;
};

std::int64_t thread_cpu_ns();

}  // namespace twinspan::bench
