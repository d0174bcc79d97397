// twinspan_bench [job...] [--events N] [--runs N] [--two-clusters] [--shards N] [--checkpoint 10s] [--json FILE]
// [--profile PREFIX] [--against flink [--flink-heap 4g] [--flink-state hashmap|rocksdb]]
// Starts real brokers, loads the topics once, runs the binary on them, prints CPU nanoseconds per event over all
// threads of the process (less the same job on 40 events: start-up), wall rate and peak memory, and checks what came
// out.
// --profile: `perf record` of the last run of each job into PREFIX-<job>.data (figures of that run include perf's
// cost).
// --against: the same jobs by a peer on the same topics, and how many times our figures it takes (peers/).
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "tests/bench/bench_events.h"
#include "tests/bench/bench_job.h"
#include "tests/bench/calibration.h"
#include "tests/bench/measured_process.h"
#include "tests/bench/start_up.h"
#include "tests/support/kafka_cluster.h"

namespace {

using namespace twinspan;
using namespace twinspan::bench;
namespace json = boost::json;

struct Options {
  std::vector<std::string> jobs;
  std::int64_t events = 10'000'000;
  int runs = 3, shards = 1;
  bool two_clusters = false, against_flink = false;
  std::string json_file, profile, checkpoint = "10s", flink_heap = "4g", flink_state = "hashmap";
};

// Who runs the job: we, or a peer on the same topics.
enum class System { twinspan, flink };

std::string topic_of(int stream, std::int64_t count) { return fmt::format("bench-{}-{}", stream, count); }

ProcessPlan twinspan_plan(const Job& job, const Options& o, std::int64_t count,
                          const std::vector<std::string>& bootstraps, const std::string& dir) {
  std::ofstream(dir + "/service.yaml") << "clusters:\n  east: { bootstrap: [\"" << bootstraps[0] << "\"] }\n"
                                       << (o.two_clusters ? "  west: { bootstrap: [\"" + bootstraps[1] + "\"] }\n"
                                                          : std::string())
                                       << "data_directory: " << dir << "/data\nadmin: { listen: \"127.0.0.1:0\" }\n";
  PipelineEnds ends;
  ends.shards = o.shards;
  ends.checkpoint = o.checkpoint;
  if (o.two_clusters) ends.clusters = "{ pair: [east, west] }";
  ends.topic = [count](int stream) { return topic_of(stream, count); };
  ends.sink = dir + "/out.jsonl";
  std::ofstream(dir + "/pipeline.yaml") << pipeline_text(job, ends);
  ProcessPlan plan;
  plan.command = {TWINSPAN_BINARY, "run", "-c", dir + "/service.yaml", dir + "/pipeline.yaml"};
  return plan;
}

// See peers/flink/README.md.
ProcessPlan flink_plan(const Job& job, const Options& o, std::int64_t count, const std::vector<std::string>& bootstraps,
                       const std::string& dir) {
  std::string topics;
  for (const int s : job.streams) topics += (topics.empty() ? "" : ",") + topic_of(s, count);
  ProcessPlan plan;
  plan.command = {"java", "-Xms" + o.flink_heap, "-Xmx" + o.flink_heap, "-XX:+UseG1GC",
                  "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"};
  for (const char* package : {"java.lang", "java.net", "java.io", "java.nio", "java.util", "java.util.concurrent",
                              "java.util.concurrent.atomic", "java.lang.reflect", "java.text", "java.time"})
    plan.command.push_back(fmt::format("--add-opens=java.base/{}=ALL-UNNAMED", package));
  const std::vector<std::string> job_arguments = {"-cp",
                                                  TWINSPAN_FLINK "/*",
                                                  "twinspan.peers.FlinkPeer",
                                                  "job=" + job.name,
                                                  "bootstrap=" + bootstraps[0],
                                                  "topics=" + topics,
                                                  "out=" + dir + "/out.jsonl",
                                                  "checkpoints=" + dir + "/checkpoints",
                                                  "every=10",
                                                  fmt::format("parallelism={}", o.shards),
                                                  "state=" + o.flink_state};
  plan.command.insert(plan.command.end(), job_arguments.begin(), job_arguments.end());
  plan.quiet = std::chrono::seconds(20);  // a JVM's start-up is not over after three
  return plan;
}

Measured run_once(System system, const Job& job, const Options& o, std::int64_t count,
                  const std::vector<std::string>& bootstraps, const Rows& expected, const std::string& profile = {}) {
  testing::TempDir dir("twinspan-bench-");
  ProcessPlan plan = system == System::twinspan ? twinspan_plan(job, o, count, bootstraps, dir.path())
                                                : flink_plan(job, o, count, bootstraps, dir.path());
  plan.log = dir.path() + "/log";
  plan.out = dir.path() + "/out.jsonl";
  plan.profile = profile;
  return measure_process(plan, expected);
}

// What the runs of one job by one system have said.
struct Figures {
  std::vector<double> ns, wall;
  double rss_mib = 0, drift = 0, start_up_cpu_s = 0, first_row_s = 0;
  int discarded = 0;
  std::string verdict = "correct";
  double median_ns() const { return ns.empty() ? 0 : ns[ns.size() / 2]; }
};

Figures measure(System system, const Job& job, const Options& o, std::int64_t count,
                const std::vector<std::string>& bootstraps, const Rows& expected) {
  Figures f;
  const Measured start_up = run_once(system, job, o, 40, bootstraps, expected_rows(job.name, 40));
  f.start_up_cpu_s = start_up.cpu_s;
  f.first_row_s = start_up.first_row_s;
  const auto events = static_cast<double>(count * static_cast<std::int64_t>(job.streams.size()));
  Measured m;
  const Steady steady = steady_runs(
      o.runs,
      [&] {
        const bool last = static_cast<int>(f.ns.size()) + 1 == o.runs;
        m = run_once(
            system, job, o, count, bootstraps, expected,
            !o.profile.empty() && last && system == System::twinspan ? o.profile + "-" + job.name + ".data" : "");
        if (!m.correct) f.verdict = "WRONG: " + m.difference;
        return m.correct;
      },
      [&] {
        f.ns.push_back((m.cpu_s - start_up.cpu_s) * 1e9 / events);
        f.wall.push_back(events / m.wall_s / 1e6);
        f.rss_mib = std::max(f.rss_mib, m.rss_mib);
      });
  f.drift = steady.drift;
  f.discarded = steady.discarded;
  if (f.verdict == "correct" && steady.counted < o.runs)
    f.verdict = fmt::format("correct, but only {} runs on a steady machine", steady.counted);
  std::sort(f.ns.begin(), f.ns.end());
  std::sort(f.wall.begin(), f.wall.end());
  return f;
}

void print(const std::string& name, const Figures& f) {
  const auto at = [](const std::vector<double>& v, double part) {
    return v.empty() ? 0 : v[static_cast<std::size_t>(part * static_cast<double>(v.size() - 1) + 0.5)];
  };
  std::printf("%-22s %10.0f %10.0f %10.0f %10.2f %10.0f %8.1f%% %9d %s\n", name.c_str(), f.median_ns(), at(f.ns, 0),
              at(f.ns, 1), at(f.wall, 0.5), f.rss_mib, f.drift * 100, f.discarded, f.verdict.c_str());
  std::fflush(stdout);
}

json::object to_json(const Job& job, const char* system, const Options& o, std::size_t clusters, const Figures& f) {
  return {{"job", job.name},
          {"system", system},
          {"events", o.events},
          {"shards", o.shards},
          {"checkpoint_every", o.checkpoint},
          {"clusters", clusters},
          {"cpu_ns_per_event", f.median_ns()},
          {"min", f.ns.empty() ? 0 : f.ns.front()},
          {"max", f.ns.empty() ? 0 : f.ns.back()},
          {"wall_million_per_s", f.wall.empty() ? 0 : f.wall[f.wall.size() / 2]},
          {"peak_rss_mib", f.rss_mib},
          {"start_up_cpu_s", f.start_up_cpu_s},
          {"first_row_s", f.first_row_s},
          {"calibration_drift", f.drift},
          {"runs_counted", f.ns.size()},
          {"runs_discarded", f.discarded},
          {"correct", f.verdict.starts_with("correct")},
          {"must_ns", job.must_ns}};
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
    else if (a == "--against" && i + 1 < argc && std::string(argv[i + 1]) == "flink")
      o.against_flink = true, ++i;
    else if (a == "--flink-heap" && i + 1 < argc)
      o.flink_heap = argv[++i];
    else if (a == "--flink-state" && i + 1 < argc)
      o.flink_state = argv[++i];
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
  std::printf("%-22s %10s %10s %10s %10s %10s %9s %9s %s\n", "job", "ns/event", "min", "max", "M/s wall", "RSS MiB",
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
    const Figures ours = measure(System::twinspan, *job, o, count, bootstraps, expected);
    print(name, ours);
    results.push_back(to_json(*job, "twinspan", o, clusters.size(), ours));
    all_good &= ours.verdict == "correct";
    if (!o.against_flink) continue;
    const Figures theirs = measure(System::flink, *job, o, count, bootstraps, expected);
    print(name + " Flink", theirs);
    std::printf("%-22s CPU an event %.1f x ours, memory %.1f x, CPU of 40 events %.1f s (ours %.2f)", "",
                ours.median_ns() > 0 ? theirs.median_ns() / ours.median_ns() : 0, theirs.rss_mib / ours.rss_mib,
                theirs.start_up_cpu_s, ours.start_up_cpu_s);
    if (theirs.first_row_s > 0)  // few jobs have a result on 40 events
      std::printf(", first row of them after %.1f s (ours %.1f)", theirs.first_row_s, ours.first_row_s);
    std::printf("\n");
    results.push_back(to_json(*job, "flink", o, clusters.size(), theirs));
    all_good &= theirs.verdict == "correct";
  }
  if (!o.json_file.empty()) std::ofstream(o.json_file) << json::serialize(results) << "\n";
  return all_good ? 0 : 1;
}
