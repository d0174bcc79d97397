#pragma once
// A whole pipeline in the calling thread, in virtual time: the real planner, Pipeline, shards, feeds, watermarks,
// codecs and checkpoints; only clusters, files and the clock are not. Every call that moves something returns when
// nothing is left to do at that moment (as Timely's worker is stepped), so what comes out depends on the calls alone.
// Rows reach the pipeline lane by lane: with several shards the order of rows is still the order of the calls. Owned by
// whoever drives it; `spec` must outlive it. Thread: one.

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/clock.h"
#include "gateway/driver/memory_file_system.h"
#include "gateway/driver/virtual_clusters.h"
#include "gateway/pipeline.h"

namespace twinspan::gateway {

struct DriverOptions {
  unsigned shards = 1;
  std::size_t batch = 1024;                   // records a poll at most
  std::int64_t clock_ms = 1'767'225'600'000;  // what the wall clock says first
};

// Time moves when it is told to. What passes unseen, the wall clock does not show.
class VirtualClock final : public Clock {
 public:
  explicit VirtualClock(std::int64_t wall_ms) : now_(wall_ms) {}
  std::int64_t wall_ms() const override { return now_ - unseen_; }
  std::int64_t monotonic_ms() const override { return now_; }
  void advance(std::int64_t ms) { now_ += ms; }
  void advance_unseen(std::int64_t ms) { now_ += ms, unseen_ += ms; }

 private:
  std::atomic<std::int64_t> now_, unseen_ = 0;
};

class PipelineDriver {
 public:
  PipelineDriver(const config::PipelineSpec& spec, DriverOptions options);
  ~PipelineDriver();

  // Before start(): partitions beside the one that every source has on each of its clusters.
  void add_partition(const std::string& source, const std::string& cluster, std::int32_t partition);
  Status start();

  // Records of one lane. If its cluster is away, or the pipeline paused, they wait.
  void send(const std::string& source, const std::string& cluster, std::int32_t partition,
            std::vector<VirtualRecord> records);
  // Event time of the lanes reaches it, and so does the wall clock if it is behind; nobody becomes idle meanwhile.
  using LaneFilter = std::function<bool(const std::string& source, const connectors::LaneKey& lane)>;
  void watermark(EventTime to, const LaneFilter& lanes);
  void advance(std::int64_t ms);
  // idle_after of its source passes; every lane that is not idle yet goes on except this one.
  void idle(const std::string& source, const std::string& cluster, std::int32_t partition);
  void cluster_down(const std::string& cluster);
  void cluster_up(const std::string& cluster);
  Status pause() { return moved(pipeline_->pause("test")); }
  Status resume() { return moved(pipeline_->resume()); }
  void end();
  Status checkpoint();
  // Stops with a last checkpoint (`crash`: without), starts again from the newest one.
  Status restart(std::optional<unsigned> shards, bool crash);
  // The same, after which lanes that were idle and holds that had passed are so again: as if nothing had happened.
  Status restart_unnoticed(unsigned shards);

  // Nothing if it runs; else why it has stopped.
  std::optional<std::string> failure() const;
  const std::vector<VirtualOutput>& output(const std::string& sink) { return world_.output(sink); }
  Watermark watermark_of(const std::string& source_or_step) const;
  std::uint64_t late_rows(const std::string& step) const;  // since the beginning, restarts included
  std::int64_t now_ms() const { return clock_.wall_ms(); }
  unsigned shards() const { return options_.shards; }
  const Plan& plan() const { return *plan_; }

 private:
  struct LaneOf {
    unsigned source = 0;
    connectors::LaneKey key;
    friend auto operator<=>(const LaneOf&, const LaneOf&) = default;
  };

  Status open();
  void close(bool crash);
  void settle();
  void note_watermarks();
  Status moved(Status status) {
    settle();
    return status;
  }
  void each_feed(const std::function<void(unsigned source, ShardFeed&)>& visit) const;
  std::map<LaneOf, bool> idle_lanes() const;  // every lane the shards know -> idle
  // Time passes for all lanes; those that were not idle before and are `kept` do not become so.
  void pass_time(std::int64_t ms, const std::function<bool(const LaneOf&)>& kept, bool unseen = false);
  const config::SourceSpec& source_spec(const std::string& id) const { return *spec_.sources.find(id); }

  const config::PipelineSpec& spec_;
  DriverOptions options_;
  VirtualClock clock_;
  MemoryFileSystem files_;
  VirtualClusters world_;
  std::unique_ptr<Pipeline> pipeline_;
  const Plan* plan_ = nullptr;  // the pipeline's
  // By source and step, the furthest that those behind them have been told. No shard alone knows it, and a restored
  // step says it again only when it moves.
  std::map<std::string, Watermark> told_;
  std::map<std::string, std::uint64_t> late_before_;  // by step, of the runs before this one
  std::map<std::string, std::int64_t> down_since_;    // by cluster
};

}  // namespace twinspan::gateway
