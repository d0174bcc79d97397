#pragma once
// Runs the tests of a pipeline file on a PipelineDriver: `twinspan test`, and the scenarios of tests/scenarios. The
// wall clock begins at `clock:`, else at the first event time that the test names. Thread: one.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/pipeline_spec.h"

namespace twinspan::gateway {

// How a test is run beside what it says. Results must not depend on any of it.
struct TestVariant {
  std::optional<unsigned> shards;  // else the test's own, else 1
  std::size_t batch = 1024;        // records a poll at most
  // Stopped and restored after so many steps, with `restart_shards` (0: as before).
  std::optional<std::size_t> restart_after;
  unsigned restart_shards = 0;
};
std::string to_string(const TestVariant& variant);  // "batch 7, 2 shards, restored after step 3"

struct TestFailure {
  config::Position at;
  std::string summary;  // one line
  std::string detail;   // the difference, several lines, indented; may be empty
};

struct TestResult {
  std::string name;
  config::Position at;
  TestVariant variant;
  std::vector<TestFailure> failures;
  double seconds = 0;
  bool passed() const { return failures.empty(); }
};

// A failing expectation does not end the test; a pipeline that stops by itself does, unless that is expected.
TestResult run_test(const config::PipelineSpec& spec, const config::TestSpec& test, const TestVariant& variant);

// Steps after which the pipeline may be stopped and restored: 0 is before the first. None once the input has ended, or
// while it is paused.
std::vector<std::size_t> restart_points(const config::TestSpec& test);

}  // namespace twinspan::gateway
