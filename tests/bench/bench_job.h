#pragma once
// One benchmark job: its pipeline, its topics, and what must come out. The pipelines end in a step that lets few rows
// pass, so that what is measured is reading, decoding and the job, not the writing of a sink; those few rows are
// compared with an obvious program that shares no code with the engine. Thread: main.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace twinspan::bench {

struct Job {
  std::string name;
  std::string pipeline;      // YAML; {SOURCES} and {SINK} are filled in
  std::vector<int> streams;  // which streams it reads
  double must_ns = 0;        // quality.md
};
const std::vector<Job>& jobs();

// The rows (JSON text without blanks -> how often) that the job must write for `count` records of each of its streams.
std::map<std::string, int> expected_rows(const std::string& job, std::int64_t count);

}  // namespace twinspan::bench
