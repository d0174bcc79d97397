#pragma once
// One run of a planned pipeline on rows in memory: the graph that the planner makes of the YAML, one thread a shard,
// real exchanges between them, barriers as the checkpoint cycle sends them (their deltas are counted and dropped: disk
// is not measured here). Thread: main (run starts and joins the others).

#include <cstdint>
#include <string>
#include <vector>

#include "tests/bench/bench_job.h"

namespace twinspan::bench {

struct EngineSettings {
  Job job;
  Events events = event_at;
  std::int64_t count = 0;  // of each stream
  unsigned shards = 1;
  std::int64_t checkpoint_rows = 0;  // a barrier every so many rows of all shards; 0 = none
  bool second_after_first = false;   // the second stream begins when the first is over; only it is timed
  std::string out_of_order = "1s";
};

struct EngineFigures {
  double cpu_s = 0, wall_s = 0;  // of all shards: thread CPU; from the first step to the last
  std::int64_t rows = 0;         // that `cpu_s` was spent on
  Rows output;
  double rss_mib = 0;  // the most that was resident beside the input
  // At the moment when the steps kept most: what they say of it.
  std::uint64_t state_rows = 0, state_bytes = 0;
  // Of each barrier in each shard: the longest that its snapshots kept the shard from its rows in one go; from its begin
  // until all of it has passed.
  std::vector<double> stall_ms, held_ms;
  double barrier_cpu_s = 0, writer_cpu_s = 0;  // spent in snapshots; by the checkpoint writers (epoch_writer.h)
  std::uint64_t delta_bytes = 0;               // written by all epochs
  std::uint64_t late = 0, failed = 0;
};

// Throws std::runtime_error when the pipeline does not plan, with what the planner says.
EngineFigures run_engine(const EngineSettings& settings);

// The p-quantile (0..1) of what is not empty.
double quantile(std::vector<double> values, double p);

}  // namespace twinspan::bench
