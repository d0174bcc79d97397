#pragma once
// One benchmark job: its pipeline, its topics, and what must come out. The pipelines end in a step that lets few rows
// pass, so that what is measured is reading, decoding and the job, not the writing of a sink; those few rows are
// compared with an obvious program that shares no code with the engine. Thread: main.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/bench/bench_events.h"

namespace twinspan::bench {

struct Job {
  std::string name;
  std::string pipeline;      // YAML from `steps:` on; {SINK} is filled in
  std::vector<int> streams;  // which streams it reads
  double must_ns = 0;        // quality.md
};
const std::vector<Job>& jobs();

// What a job reads and writes, apart from what it computes.
struct PipelineEnds {
  int shards = 1;
  std::string checkpoint = "10s", out_of_order = "1s";
  std::string clusters = "east";
  std::function<std::string(int stream)> topic;
  std::string sink;  // a file
};
std::string pipeline_text(const Job& job, const PipelineEnds& ends);

// The rows (JSON text without blanks -> how often) that the job must write for `count` records of each of its streams.
using Rows = std::map<std::string, int>;
Rows expected_rows(const std::string& job, std::int64_t count, Events events = event_at);
// The first rows of one that the other lacks; empty when they are equal.
std::string difference(const Rows& got, const Rows& expected);
std::string iso_time(std::int64_t ms);  // as the program writes timestamps

}  // namespace twinspan::bench
