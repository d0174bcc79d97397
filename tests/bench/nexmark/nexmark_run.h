#pragma once
// One query on one set of files, by the program as a user starts it: `twinspan run`. Thread: one.

#include <string>

#include "tests/bench/bench_job.h"

namespace twinspan::nexmark {

struct QueryRun {
  int exit_code = -1;  // -1: killed, it took longer than ten minutes
  double cpu_s = 0, wall_s = 0, rss_mib = 0;
  bench::Rows answer;
  std::string log;
};

// `directory` has the event files (write_files); the answer and the log of an earlier run there are removed.
QueryRun run_query(const std::string& name, const std::string& directory);

}  // namespace twinspan::nexmark
