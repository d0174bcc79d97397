// twinspan_nexmark_bench [query...] [--events N] [--runs N] [--json FILE]
// The queries of this folder as whole runs on files: CPU of the process an event that the query reads (less the same
// query on 50 events: start-up), wall rate, peak memory, and whether the answer is right. Files are read and written as
// JSON lines, so this is the program with a disk in place of a broker.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <boost/json.hpp>

#include "tests/bench/calibration.h"
#include "tests/bench/nexmark/nexmark_answers.h"
#include "tests/bench/nexmark/nexmark_run.h"
#include "tests/support/kafka_cluster.h"

using namespace twinspan;
using namespace twinspan::nexmark;
namespace json = boost::json;

int main(int argc, char** argv) {
  std::vector<std::string> names;
  std::int64_t count = 5'000'000;
  int runs = 3;
  std::string json_file;
  for (int i = 1; i < argc; ++i) {
    const std::string a = argv[i];
    if (a == "--events" && i + 1 < argc) {
      count = std::atoll(argv[++i]);
    } else if (a == "--runs" && i + 1 < argc) {
      runs = std::max(1, std::atoi(argv[++i]));
    } else if (a == "--json" && i + 1 < argc) {
      json_file = argv[++i];
    } else if (std::any_of(queries().begin(), queries().end(), [&](const Query& q) { return q.name == a; })) {
      names.push_back(a);
    } else {
      std::fprintf(stderr, "no query '%s'; there are:", a.c_str());
      for (const Query& q : queries()) std::fprintf(stderr, " %s", q.name.c_str());
      std::fprintf(stderr, "\n");
      return 64;
    }
  }
  testing::TempDir large("twinspan-nexmark-"), small("twinspan-nexmark-");
  const Events events = generate(count, 10'000), few = generate(50, 10'000);
  write_files(events, large.path());
  write_files(few, small.path());
  json::array results;
  bool good = true;
  std::printf("%-14s %10s %10s %10s %10s %10s %10s %8s %s\n", "query", "ns/event", "min", "max", "M/s wall", "RSS MiB",
              "rows out", "drift", "answer");
  for (const Query& q : queries()) {
    if (!names.empty() && std::find(names.begin(), names.end(), q.name) == names.end()) continue;
    const bench::Rows expected = q.answer(events);
    const QueryRun start_up = run_query(q.name, small.path());
    const auto read = static_cast<double>(events_read(q, events));
    std::vector<double> ns, rate;
    double rss = 0;
    std::int64_t rows = 0;
    std::string wrong;
    QueryRun run;
    const bench::Steady steady = bench::steady_runs(
        runs,
        [&] {
          run = run_query(q.name, large.path());
          wrong = run.exit_code == 0 ? bench::difference(run.answer, expected) : "failed: " + run.log;
          return wrong.empty();
        },
        [&] {
          ns.push_back((run.cpu_s - start_up.cpu_s) * 1e9 / read);
          rate.push_back(read / run.wall_s / 1e6);
          rss = std::max(rss, run.rss_mib);
          rows = 0;
          for (const auto& [row, n] : run.answer) rows += n;
        });
    std::string verdict = wrong.empty() ? "correct" : "WRONG: " + wrong;
    if (wrong.empty() && steady.counted < runs)
      verdict += ", but only " + std::to_string(steady.counted) + " runs on a steady machine";
    good &= verdict == "correct";
    if (ns.empty()) ns.push_back(0), rate.push_back(0);
    std::sort(ns.begin(), ns.end());
    std::sort(rate.begin(), rate.end());
    std::printf("%-14s %10.0f %10.0f %10.0f %10.2f %10.0f %10lld %7.1f%% %s\n", q.name.c_str(), ns[ns.size() / 2],
                ns.front(), ns.back(), rate[rate.size() / 2], rss, static_cast<long long>(rows), steady.drift * 100,
                verdict.c_str());
    std::fflush(stdout);
    results.push_back({{"query", q.name},
                       {"events", read},
                       {"rows_out", rows},
                       {"cpu_ns_per_event", ns[ns.size() / 2]},
                       {"min", ns.front()},
                       {"max", ns.back()},
                       {"wall_million_per_s", rate[rate.size() / 2]},
                       {"peak_rss_mib", rss},
                       {"start_up_cpu_s", start_up.cpu_s},
                       {"calibration_drift", steady.drift},
                       {"runs_counted", steady.counted},
                       {"correct", wrong.empty()}});
  }
  if (!json_file.empty()) std::ofstream(json_file) << json::serialize(results) << "\n";
  return good ? 0 : 1;
}
