#pragma once
// What the engine is measured on: jobs of the whole-program benchmark, and others that show one property. Each says
// what must come out, by an obvious program. Thread: main.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/bench/engine/engine_run.h"

namespace twinspan::bench {

struct EngineCase {
  std::string name, what;
  EngineSettings settings;  // count, shards and barriers are the command line's
  double must_ns = 0;       // CPU an event (issue and quality.md); 0: none is stated
  std::function<Rows(std::int64_t count)> expected;
  // Columns that a join keeps of each stream, its key included: what 1.5 x "the row bytes" is measured against.
  std::vector<std::vector<std::string>> kept;
  bool by_name_only = false;      // takes long or much memory
  std::int64_t always_count = 0;  // of each stream, whatever the command line says
};

const std::vector<EngineCase>& engine_cases();

// One property over a range: the table and the plot of "O(log n)" and "flat in the width".
struct EngineSeries {
  std::string name, what, unit;
  std::vector<EngineCase> points;
  std::vector<double> at;  // the value of each point
};
const std::vector<EngineSeries>& engine_series();

// Average bytes of a row of `stream`: 8 a number and a time, a string its length; and 8 for the event time.
double row_bytes(const EngineCase& c);

}  // namespace twinspan::bench
