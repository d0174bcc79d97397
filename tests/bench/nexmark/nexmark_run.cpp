#include "tests/bench/nexmark/nexmark_run.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/bench/process_memory.h"
#include "tests/support/child_process.h"

namespace twinspan::nexmark {

namespace fs = std::filesystem;

QueryRun run_query(const std::string& name, const std::string& directory) {
  const fs::path here = directory;
  fs::remove(here / "answer.jsonl");
  fs::remove(here / "log");
  fs::copy_file(fs::path(TWINSPAN_SOURCE_DIR) / "tests/bench/nexmark" / (name + ".yaml"), here / (name + ".yaml"),
                fs::copy_options::overwrite_existing);
  std::ofstream(here / "service.yaml")
      << "clusters: { east: { bootstrap: [\"127.0.0.1:1\"] } }\nadmin: { listen: \"127.0.0.1:0\" }\n";
  const auto begin = std::chrono::steady_clock::now();
  const pid_t pid = testing::spawn({"env", "-C", here, TWINSPAN_BINARY, "run", "-c", "service.yaml", name + ".yaml"},
                                   {.output = here / "log", .env = {}});
  QueryRun run;
  rusage usage{};
  int status = 0;
  pid_t ended = 0;
  while ((ended = ::wait4(pid, &status, WNOHANG, &usage)) == 0) {
    if (std::chrono::steady_clock::now() - begin > std::chrono::minutes(10)) {
      ::kill(pid, SIGKILL);
      ended = ::wait4(pid, &status, 0, &usage);
      break;
    }
    run.rss_mib = std::max(run.rss_mib, bench::peak_rss_mib(pid));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  run.wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (ended == pid && WIFEXITED(status)) run.exit_code = WEXITSTATUS(status);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  run.cpu_s = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  std::ifstream in(here / "answer.jsonl");
  for (std::string line; std::getline(in, line);) ++run.answer[line];
  std::ifstream log(here / "log");
  run.log.assign((std::istreambuf_iterator<char>(log)), {});
  return run;
}

}  // namespace twinspan::nexmark
