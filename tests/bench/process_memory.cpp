#include "tests/bench/process_memory.h"

#include <cstdlib>
#include <fstream>
#include <string>

namespace twinspan::bench {

double peak_rss_mib(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("VmHWM:")) return std::atof(line.c_str() + 6) / 1024;
  return 0;
}

}  // namespace twinspan::bench
