#include "tests/bench/measured_process.h"

#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "tests/bench/process_memory.h"
#include "tests/support/child_process.h"

namespace twinspan::bench {

namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double>(end - begin).count();
}

}  // namespace

Measured measure_process(const ProcessPlan& plan, const Rows& expected) {
  std::int64_t wanted = 0;
  for (const auto& [row, n] : expected) wanted += n;

  const auto begin = Clock::now();
  const pid_t pid = testing::spawn(plan.command, {plan.log, {}});
  pid_t perf = -1;
  if (!plan.profile.empty())
    perf = testing::spawn(
        {"perf", "record", "-q", "-e", "cpu-clock", "-F", "1999", "-g", "-o", plan.profile, "-p", std::to_string(pid)},
        {plan.log + ".perf", {}});
  std::int64_t lines = 0, last_size = 0;
  auto last_change = begin, done = begin;
  std::ifstream in;
  Rows rows;
  Measured m;
  std::string line;
  for (;;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const auto now = Clock::now();
    if (!in.is_open()) in.open(plan.out);
    in.clear();
    std::streampos at = in.is_open() ? in.tellg() : std::streampos(0);
    while (in.is_open() && std::getline(in, line)) {
      if (in.eof()) {  // the writer is in the middle of a line
        in.clear();
        in.seekg(at);
        break;
      }
      ++rows[line];
      ++lines;
      at = in.tellg();
    }
    if (lines != last_size) {
      if (last_size == 0) m.first_row_s = since(begin, now);
      last_size = lines;
      last_change = now;
      done = now;
    }
    if (wanted > 0 ? lines >= wanted : now - begin > plan.quiet) break;
    if (now - last_change > std::chrono::seconds(60) || now - begin > std::chrono::minutes(15)) break;
    if (waitpid(pid, nullptr, WNOHANG | WNOWAIT) == pid) break;
  }
  m.rss_mib = peak_rss_mib(pid);
  if (perf > 0) {
    ::kill(perf, SIGINT);
    waitpid(perf, nullptr, 0);
  }
  ::kill(pid, SIGINT);
  rusage usage{};
  int status = 0;
  wait4(pid, &status, 0, &usage);
  m.cpu_s = static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
            static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  m.wall_s = since(begin, done);
  m.difference = difference(rows, expected);
  m.correct = m.difference.empty();
  if (!m.correct) {
    std::ifstream log(plan.log);
    const std::string text((std::istreambuf_iterator<char>(log)), {});
    m.difference += "\n" + text.substr(text.size() > 2000 ? text.size() - 2000 : 0);
  }
  return m;
}

}  // namespace twinspan::bench
