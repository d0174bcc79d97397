#pragma once
// `twinspan test`: runs the `tests:` blocks of pipeline files in virtual time, without a broker. Exit codes: 0 all
// passed, 1 some failed, 2 usage, 78 invalid configuration. Thread: main.

#include <string>
#include <vector>

#include "gateway/driver/test_runner.h"

namespace twinspan::gateway {

struct TestedFile {
  std::string file;
  std::vector<TestResult> results;
};

// The results as a JUnit file: a suite a pipeline, a case a test.
std::string junit_text(const std::vector<TestedFile>& files);
// As lines for people: failures with their place and difference, then the sum.
std::string test_text(const TestedFile& file, bool quiet);

// Batches of 1, 7 and 1024, on 1, 2 and 3 shards, and stopped and restored after every step (also with another number
// of shards): what `--thorough` runs, and tests/scenarios.
std::vector<TestVariant> thorough_variants(const config::TestSpec& test);
// All of them; the result is the first that fails.
TestResult run_thoroughly(const config::PipelineSpec& spec, const config::TestSpec& test);

int command_test(const std::vector<std::string>& args);

}  // namespace twinspan::gateway
