#pragma once
// A job as a process of its own, measured from outside: started, watched until its output file is complete, asked to
// stop; CPU as the kernel counted it over all threads. The same for every system, so that figures compare.
// Thread: main.

#include <chrono>
#include <string>
#include <vector>

#include "tests/bench/bench_job.h"

namespace twinspan::bench {

struct ProcessPlan {
  std::vector<std::string> command;
  std::string log, out;           // files; `out` gets the rows as JSON lines
  std::chrono::seconds quiet{3};  // how long it may run when no row is expected
  std::string profile;            // `perf record` into this file; its cost is in the figures then
};

struct Measured {
  double cpu_s = 0, wall_s = 0, rss_mib = 0;  // wall: to the last row
  double first_row_s = 0;                     // to the first row; 0: none came
  bool correct = false;
  std::string difference;
};

Measured measure_process(const ProcessPlan& plan, const Rows& expected);

}  // namespace twinspan::bench
