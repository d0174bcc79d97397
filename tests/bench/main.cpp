// twinspan_bench [job...] [--events N] [--runs N] [--two-clusters] [--shards N] [--checkpoint 10s] [--json FILE]
// [--profile PREFIX]
// --profile: `perf record` of the last run of each job into PREFIX-<job>.data (figures of that run include perf's
// cost). Starts real brokers, loads the topics once, runs the binary on them, prints CPU nanoseconds per event over all
// threads of the process (less the same job on 40 events: start-up), wall rate and peak memory, and checks what came
// out.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <thread>

#include <sys/resource.h>
#include <sys/wait.h>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "tests/bench/bench_events.h"
#include "tests/bench/bench_job.h"
#include "tests/bench/calibration.h"
#include "tests/bench/start_up.h"
#include "tests/support/child_process.h"
#include "tests/support/kafka_cluster.h"

namespace {

using namespace twinspan;
using namespace twinspan::bench;
namespace json = boost::json;
using Clock = std::chrono::steady_clock;

struct Options {
  std::vector<std::string> jobs;
  std::int64_t events = 10'000'000;
  int runs = 3, shards = 1;
  bool two_clusters = false;
  std::string json_file, profile, checkpoint = "10s";
};

constexpr double kLargestDrift = 0.10;  // of the calibration kernel around a run (quality.md)

struct Measured {
  double cpu_s = 0, wall_s = 0, rss_mib = 0;
  bool correct = false;
  std::string difference;
};

std::string topic_of(int stream, std::int64_t count) { return fmt::format("bench-{}-{}", stream, count); }

std::string pipeline_text(const Job& job, const Options& o, std::int64_t count, const std::string& out) {
  static const char* kNames[] = {"events", "left_side", "right_side"};
  std::string text = fmt::format(
      "version: 1\nname: bench\nshards: {}\ncheckpoint: {{ every: {} }}\nstate: {{ backend: memory }}\nsources:\n",
      o.shards, o.checkpoint);
  for (int s : job.streams)
    text += fmt::format(
        "  {}:\n    topic: {}\n    clusters: {}\n    start: earliest\n    format: {{ type: json, on_error: fail }}\n"
        "    fields: {{ event_id: int64, device_id: string, user_id: int64, ts: timestamp_ms, type: string, page: "
        "string, os: string, "
        "app_ver: string, dur_ms: int64, net: string }}\n"
        "    event_time: {{ field: ts, out_of_order: 1s }}\n",
        kNames[s], topic_of(s, count), o.two_clusters ? "{ pair: [east, west] }" : "east");
  std::string body = job.pipeline;
  body.replace(body.find("{SINK}"), 6, out);
  return text + body;
}

// Runs until the output is complete, then asks it to stop; CPU and memory as the kernel counted them.
Measured run_once(const Job& job, const Options& o, std::int64_t count, const std::vector<std::string>& bootstraps,
                  const std::map<std::string, int>& expected, const std::string& profile = {}) {
  testing::TempDir dir("twinspan-bench-");
  const std::string out = dir.path() + "/out.jsonl";
  std::ofstream(dir.path() + "/service.yaml")
      << "clusters:\n  east: { bootstrap: [\"" << bootstraps[0] << "\"] }\n"
      << (o.two_clusters ? "  west: { bootstrap: [\"" + bootstraps[1] + "\"] }\n" : std::string())
      << "data_directory: " << dir.path() << "/data\nadmin: { listen: \"127.0.0.1:0\" }\n";
  std::ofstream(dir.path() + "/pipeline.yaml") << pipeline_text(job, o, count, out);
  std::int64_t wanted = 0;
  for (const auto& [row, n] : expected) wanted += n;

  const auto begin = Clock::now();
  const pid_t pid =
      testing::spawn({TWINSPAN_BINARY, "run", "-c", dir.path() + "/service.yaml", dir.path() + "/pipeline.yaml"},
                     {dir.path() + "/log", {}});
  pid_t perf = -1;
  if (!profile.empty())
    perf = testing::spawn(
        {"perf", "record", "-q", "-e", "cpu-clock", "-F", "1999", "-g", "-o", profile, "-p", std::to_string(pid)},
        {dir.path() + "/perf", {}});
  std::int64_t lines = 0, last_size = -1;
  auto last_change = begin, done = begin;
  std::ifstream in;
  std::map<std::string, int> rows;
  std::string line;
  for (;;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const auto now = Clock::now();
    if (!in.is_open()) in.open(out);
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
      last_size = lines;
      last_change = now;
      done = now;
    }
    if (wanted > 0 ? lines >= wanted : now - begin > std::chrono::seconds(3)) break;
    if (now - last_change > std::chrono::seconds(30) || now - begin > std::chrono::minutes(10)) break;
    if (waitpid(pid, nullptr, WNOHANG | WNOWAIT) == pid) break;
  }
  if (perf > 0) {
    ::kill(perf, SIGINT);
    waitpid(perf, nullptr, 0);
  }
  ::kill(pid, SIGINT);
  rusage usage{};
  int status = 0;
  wait4(pid, &status, 0, &usage);
  Measured m;
  m.cpu_s = static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
            static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  m.wall_s = std::chrono::duration<double>(done - begin).count();
  m.rss_mib = static_cast<double>(usage.ru_maxrss) / 1024;
  m.correct = rows == expected;
  if (!m.correct) {
    m.difference = fmt::format("{} rows, {} wanted", lines, wanted);
    int shown = 0;
    for (const auto& [row, n] : expected)
      if ((rows.count(row) == 0 || rows[row] != n) && shown++ < 3) m.difference += "\n  missing: " + row;
    for (const auto& [row, n] : rows)
      if (expected.count(row) == 0 && shown++ < 6) m.difference += "\n  wrong: " + row;
    std::ifstream log(dir.path() + "/log");
    std::string text((std::istreambuf_iterator<char>(log)), {});
    m.difference += "\n" + text.substr(text.size() > 2000 ? text.size() - 2000 : 0);
  }
  return m;
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string a = argv[i];
    if (a == "--events" && i + 1 < argc)
      o.events = std::atoll(argv[++i]);
    else if (a == "--runs" && i + 1 < argc)
      o.runs = std::atoi(argv[++i]);
    else if (a == "--shards" && i + 1 < argc)
      o.shards = std::atoi(argv[++i]);
    else if (a == "--two-clusters")
      o.two_clusters = true;
    else if (a == "--checkpoint" && i + 1 < argc)
      o.checkpoint = argv[++i];
    else if (a == "--json" && i + 1 < argc)
      o.json_file = argv[++i];
    else if (a == "--profile" && i + 1 < argc)
      o.profile = argv[++i];
    else
      o.jobs.push_back(a);
  }
  if (o.jobs.empty())
    for (const Job& j : jobs()) o.jobs.push_back(j.name);

  std::vector<std::unique_ptr<testing::KafkaCluster>> clusters;
  for (int i = 0; i < (o.two_clusters ? 2 : 1); ++i)
    clusters.push_back(std::make_unique<testing::KafkaCluster>("bench"));
  std::vector<std::string> bootstraps;
  for (auto& c : clusters) bootstraps.push_back(c->bootstrap());
  std::map<std::pair<int, std::int64_t>, bool> loaded;
  const auto ensure = [&](int stream, std::int64_t count) {
    if (loaded[{stream, count}]) return;
    loaded[{stream, count}] = true;
    for (std::size_t c = 0; c < clusters.size(); ++c) {
      clusters[c]->create_topic(topic_of(stream, count), kPartitions,
                                {{"message.timestamp.after.max.ms", "9223372036854775807"}, {"retention.ms", "-1"}});
      const auto bytes = load(bootstraps[c], topic_of(stream, count), stream, count, static_cast<unsigned>(c),
                              static_cast<unsigned>(clusters.size()));
      std::printf("loaded %s on cluster %zu: %.0f MB of JSON\n", topic_of(stream, count).c_str(), c,
                  static_cast<double>(bytes) / 1e6);
    }
  };
  json::array results;
  bool all_good = true;
  std::printf("%-16s %10s %10s %10s %10s %10s %9s %9s %s\n", "job", "ns/event", "min", "max", "M/s wall", "RSS MiB",
              "calib", "discarded", "output");
  for (const std::string& name : o.jobs) {
    if (name == "start") {
      constexpr int kStarts = 20;
      ensure(0, 40);
      auto took = first_output_ms(*clusters[0], topic_of(0, 40), kStarts);
      const double first = took[0];  // the broker's first producer: it fetches its block of producer ids
      std::sort(took.begin(), took.end());
      std::printf("%-16s first output after %.0f ms (median of %d starts; %.0f - %.0f; the very first %.0f)\n", "start",
                  took[kStarts / 2], kStarts, took.front(), took.back(), first);
      results.push_back({{"job", "start"},
                         {"first_output_ms", took[kStarts / 2]},
                         {"min", took.front()},
                         {"max", took.back()},
                         {"first_start", first}});
      continue;
    }
    const auto job = std::find_if(jobs().begin(), jobs().end(), [&](const Job& j) { return j.name == name; });
    if (job == jobs().end()) {
      std::fprintf(stderr, "no job '%s'\n", name.c_str());
      return 2;
    }
    // A join's streams share the events between them.
    const std::int64_t count = o.events / static_cast<std::int64_t>(job->streams.size());
    for (int s : job->streams) ensure(s, count), ensure(s, 40);
    const auto expected = expected_rows(name, count);
    const Measured start_up = run_once(*job, o, 40, bootstraps, expected_rows(name, 40));
    std::vector<double> ns, wall;
    double rss = 0, drift = 0;
    std::string verdict = "correct";
    // A run around which the machine changed its speed does not count and is repeated, within bounds.
    int discarded = 0;
    for (int r = 0; r < o.runs && discarded < 2 * o.runs;) {
      const double before = calibrate();
      const Measured m = run_once(*job, o, count, bootstraps, expected,
                                  !o.profile.empty() && r + 1 == o.runs ? o.profile + "-" + name + ".data" : "");
      const double after = calibrate();
      if (!m.correct) {
        verdict = "WRONG: " + m.difference;
        all_good = false;
        break;
      }
      const double moved = std::abs(after - before) / before;
      if (moved > kLargestDrift) {
        ++discarded;
        continue;
      }
      ++r;
      drift = std::max(drift, moved);
      ns.push_back((m.cpu_s - start_up.cpu_s) * 1e9 / static_cast<double>(o.events));
      wall.push_back(static_cast<double>(o.events) / m.wall_s / 1e6);
      rss = std::max(rss, m.rss_mib);
    }
    if (verdict == "correct" && static_cast<int>(ns.size()) < o.runs) {
      verdict = fmt::format("correct, but only {} runs on a steady machine", ns.size());
      all_good = false;
    }
    if (ns.empty()) ns.push_back(0), wall.push_back(0);
    std::sort(ns.begin(), ns.end());
    std::sort(wall.begin(), wall.end());
    std::printf("%-16s %10.0f %10.0f %10.0f %10.2f %10.0f %8.1f%% %9d %s\n", name.c_str(), ns[ns.size() / 2],
                ns.front(), ns.back(), wall[wall.size() / 2], rss, drift * 100, discarded, verdict.c_str());
    std::fflush(stdout);
    results.push_back({{"job", name},
                       {"events", o.events},
                       {"shards", o.shards},
                       {"checkpoint_every", o.checkpoint},
                       {"clusters", clusters.size()},
                       {"cpu_ns_per_event", ns[ns.size() / 2]},
                       {"min", ns.front()},
                       {"max", ns.back()},
                       {"wall_million_per_s", wall[wall.size() / 2]},
                       {"peak_rss_mib", rss},
                       {"start_up_cpu_s", start_up.cpu_s},
                       {"calibration_drift", drift},
                       {"runs_counted", ns.size()},
                       {"runs_discarded", discarded},
                       {"correct", verdict.starts_with("correct")},
                       {"must_ns", job->must_ns}});
  }
  if (!o.json_file.empty()) std::ofstream(o.json_file) << json::serialize(results) << "\n";
  return all_good ? 0 : 1;
}
