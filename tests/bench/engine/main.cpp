// twinspan_engine_bench [case...] [--events N] [--runs N] [--shards 1,2] [--checkpoint-rows N] [--json FILE] [--list]
// The engine alone: rows in memory -> the graph that the planner makes -> shards on threads. Every run is a process of
// its own, so that its memory is its own. CPU is that of the shards' threads; "x kernel" is CPU an event over the
// calibration kernel's CPU per one of its million random reads, which compares machines.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <stdexcept>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "tests/bench/calibration.h"
#include "tests/bench/engine/engine_case.h"
#include "tests/bench/engine/expression_case.h"

namespace {

using namespace twinspan::bench;
namespace json = boost::json;

struct Options {
  std::vector<std::string> names;
  std::int64_t events = 10'000'000, checkpoint_rows = 0;
  int runs = 3;
  std::vector<unsigned> shards = {1, 2};
  std::string json_file;
};

// One run in a child; what it says comes back as JSON.
json::object run_child(const EngineSettings& settings, const Rows& expected) {
  int ends[2];
  if (::pipe(ends) != 0) throw std::runtime_error("pipe");
  std::fflush(stdout);
  const pid_t pid = ::fork();
  if (pid < 0) throw std::runtime_error("fork");
  if (pid == 0) {
    ::close(ends[0]);
    json::object o;
    try {
      const EngineFigures f = run_engine(settings);
      const auto rows = static_cast<double>(f.rows);
      o = {{"ns", f.cpu_s * 1e9 / rows},   {"million_per_s", rows / f.wall_s / 1e6},
           {"rss_mib", f.rss_mib},         {"state_rows", f.state_rows},
           {"state_bytes", f.state_bytes}, {"late", f.late},
           {"failed", f.failed},           {"barriers", f.stall_ms.size()},
           {"delta_bytes", f.delta_bytes}, {"wrong", difference(f.output, expected)}};
      if (!f.stall_ms.empty()) {
        o["stall_p50_ms"] = quantile(f.stall_ms, 0.5);
        o["stall_p99_ms"] = quantile(f.stall_ms, 0.99);
        o["stall_max_ms"] = quantile(f.stall_ms, 1);
        o["held_p99_ms"] = quantile(f.held_ms, 0.99);
        o["barrier_cpu_share"] = (f.barrier_cpu_s + f.writer_cpu_s) / (f.cpu_s + f.writer_cpu_s);
      }
    } catch (const std::exception& e) {
      o = {{"error", e.what()}};
    }
    const std::string text = json::serialize(o);
    std::size_t done = 0;
    while (done < text.size()) {
      const ssize_t n = ::write(ends[1], text.data() + done, text.size() - done);
      if (n <= 0) ::_exit(3);
      done += static_cast<std::size_t>(n);
    }
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t n = 0; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(n));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (text.empty()) throw std::runtime_error(fmt::format("the run ended with status {}", status));
  json::object o = json::parse(text).as_object();
  if (const auto* e = o.if_contains("error")) throw std::runtime_error(std::string(e->as_string()));
  return o;
}

double number(const json::object& o, const char* key) {
  const auto* v = o.if_contains(key);
  return v == nullptr ? 0 : v->to_number<double>();
}

// The median run by CPU of those that count, with the smallest and largest, the drift of the calibration kernel and the
// verdict.
json::object measure(const EngineCase& c, const Options& o, unsigned shards, const Rows& expected, std::int64_t count) {
  EngineSettings s = c.settings;
  s.count = count;
  s.shards = shards;
  s.checkpoint_rows = o.checkpoint_rows;
  std::vector<json::object> runs;
  json::object last;
  const Steady steady = steady_runs(
      o.runs,
      [&] {
        last = run_child(s, expected);
        const bool right = last.at("wrong").as_string().empty();
        if (!right) runs.push_back(last);
        return right;
      },
      [&] { runs.push_back(last); });
  if (runs.empty()) runs.push_back(last);  // no steady machine: said with the figure
  std::sort(runs.begin(), runs.end(), [](const auto& a, const auto& b) { return number(a, "ns") < number(b, "ns"); });
  json::object m = runs[runs.size() / 2];
  m["case"] = c.name;
  m["shards"] = shards;
  m["events"] = count * static_cast<std::int64_t>(s.job.streams.size());
  m["min_ns"] = number(runs.front(), "ns");
  m["max_ns"] = number(runs.back(), "ns");
  m["x_kernel"] = steady.counted > 0 ? number(m, "ns") / (steady.kernel_ns / 1e6) : 0;
  m["calibration_drift"] = steady.drift;
  m["runs_counted"] = steady.counted;
  m["runs_wanted"] = o.runs;
  m["must_ns"] = c.must_ns;
  if (!c.kept.empty()) {
    m["row_bytes"] = row_bytes(c);
    m["rss_per_row_byte"] = number(m, "rss_mib") * 1048576 / (number(m, "state_rows") * row_bytes(c));
  }
  for (const auto& r : runs)
    if (!r.at("wrong").as_string().empty()) m["wrong"] = r.at("wrong");
  return m;
}

void print(const json::object& m) {
  const std::string wrong(m.at("wrong").as_string());
  std::string more;
  if (m.if_contains("rss_per_row_byte") != nullptr)
    more += fmt::format("  state {:.1f} M rows, {:.2f} x its row bytes", number(m, "state_rows") / 1e6,
                        number(m, "rss_per_row_byte"));
  if (number(m, "barriers") > 0)
    more += fmt::format(
        "  {} barriers: stall p50 {:.1f} p99 {:.1f} max {:.1f} ms, passed in p99 {:.1f} ms, {:.1f} % of CPU, {:.0f} MB",
        number(m, "barriers"), number(m, "stall_p50_ms"), number(m, "stall_p99_ms"), number(m, "stall_max_ms"),
        number(m, "held_p99_ms"), number(m, "barrier_cpu_share") * 100, number(m, "delta_bytes") / 1e6);
  if (number(m, "runs_counted") < number(m, "runs_wanted"))
    more += fmt::format("  ONLY {} RUNS ON A STEADY MACHINE", number(m, "runs_counted"));
  if (number(m, "late") + number(m, "failed") > 0)
    more += fmt::format("  LATE {} FAILED {}", number(m, "late"), number(m, "failed"));
  std::printf("%-18s %6.0f %8.1f %8.1f %8.1f %8.2f %9.2f %8.0f %7.1f%%  %s%s\n",
              std::string(m.at("case").as_string()).c_str(), number(m, "shards"), number(m, "ns"), number(m, "min_ns"),
              number(m, "max_ns"), number(m, "x_kernel"), number(m, "million_per_s"), number(m, "rss_mib"),
              number(m, "calibration_drift") * 100, wrong.empty() ? "correct" : ("WRONG: " + wrong).c_str(),
              more.c_str());
  std::fflush(stdout);
}

void plot(const EngineSeries& series, const std::vector<double>& ns) {
  std::printf("\n%s\n", series.what.c_str());
  const double most = *std::max_element(ns.begin(), ns.end());
  for (std::size_t i = 0; i < ns.size(); ++i)
    std::printf("%12.0f %-11s %8.1f ns  %s\n", series.at[i], series.unit.c_str(), ns[i],
                std::string(static_cast<std::size_t>(std::lround(50 * ns[i] / most)), '#').c_str());
}

int run(const Options& o) {
  const auto asked = [&](const std::string& name, bool always) {
    return o.names.empty() ? always : std::find(o.names.begin(), o.names.end(), name) != o.names.end();
  };
  json::array results;
  bool good = true;
  std::map<std::pair<std::string, unsigned>, double> rate;
  const auto one = [&](const EngineCase& c, unsigned shards, const Rows& expected, std::int64_t count) {
    const json::object m = measure(c, o, shards, expected, count);
    good &= m.at("wrong").as_string().empty() && number(m, "late") + number(m, "failed") == 0;
    rate[{c.name, shards}] = number(m, "million_per_s");
    results.push_back(m);
    return m;
  };
  const auto count_of = [&](const EngineCase& c) {
    return c.always_count > 0 ? c.always_count : o.events / static_cast<std::int64_t>(c.settings.job.streams.size());
  };
  std::printf("%-18s %6s %8s %8s %8s %8s %9s %8s %8s  %s\n", "case", "shards", "ns/event", "min", "max", "x kernel",
              "M/s wall", "RSS MiB", "drift", "output");
  for (const EngineCase& c : engine_cases()) {
    if (!asked(c.name, !c.by_name_only)) continue;
    const Rows expected = c.expected(count_of(c));
    for (const unsigned shards : o.shards) print(one(c, shards, expected, count_of(c)));
  }
  for (const EngineSeries& series : engine_series()) {
    if (!asked(series.name, true)) continue;
    std::vector<double> ns;
    for (const EngineCase& c : series.points) {
      const json::object m = one(c, 1, c.expected(count_of(c)), count_of(c));
      print(m);
      ns.push_back(number(m, "ns"));
    }
    plot(series, ns);
  }
  if (asked("expressions", true)) {
    std::printf("\n%-34s %8s %8s %6s\n", "expression", "ns/row", "by hand", "x");
    for (const ExpressionFigures& f : measure_expressions()) {
      std::printf("%-34s %8.2f %8.2f %6.2f%s\n", f.text.c_str(), f.ns, f.by_hand_ns, f.ns / f.by_hand_ns,
                  f.equal ? "" : "  WRONG");
      good &= f.equal;
      results.push_back(
          {{"case", "expressions"}, {"text", f.text}, {"ns", f.ns}, {"by_hand_ns", f.by_hand_ns}, {"equal", f.equal}});
    }
  }
  std::printf("\n");
  for (const EngineCase& c : engine_cases()) {
    const auto with_one = rate.find({c.name, 1}), with_two = rate.find({c.name, 2});
    if (with_one != rate.end() && with_two != rate.end())
      std::printf("%-18s 1 -> 2 shards: %.2f x (must: 1.70)\n", c.name.c_str(), with_two->second / with_one->second);
  }
  const auto even = rate.find({"tumbling_count", 2}), skewed = rate.find({"count_skewed", 2});
  if (even != rate.end() && skewed != rate.end())
    std::printf("skew: the hot key's run has %.2f x the rate of the even one on 2 shards (must: 0.80)\n",
                skewed->second / even->second);
  if (!o.json_file.empty()) std::ofstream(o.json_file) << json::serialize(results) << "\n";
  return good ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  std::vector<std::string> known;
  for (const EngineCase& c : engine_cases()) known.push_back(c.name);
  for (const EngineSeries& s : engine_series()) known.push_back(s.name);
  known.push_back("expressions");
  for (int i = 1; i < argc; ++i) {
    const std::string a = argv[i];
    if (a == "--list") {
      for (const EngineCase& c : engine_cases()) std::printf("%-18s %s\n", c.name.c_str(), c.what.c_str());
      for (const EngineSeries& s : engine_series()) std::printf("%-18s %s\n", s.name.c_str(), s.what.c_str());
      std::printf("%-18s %s\n", "expressions", "kernels beside loops written by hand (must: 2 x)");
      return 0;
    }
    if (a == "--events" && i + 1 < argc) {
      o.events = std::atoll(argv[++i]);
    } else if (a == "--runs" && i + 1 < argc) {
      o.runs = std::max(1, std::atoi(argv[++i]));
    } else if (a == "--checkpoint-rows" && i + 1 < argc) {
      o.checkpoint_rows = std::atoll(argv[++i]);
    } else if (a == "--json" && i + 1 < argc) {
      o.json_file = argv[++i];
    } else if (a == "--shards" && i + 1 < argc) {
      o.shards.clear();
      for (const char* p = argv[++i]; *p != '\0'; ++p)
        if (*p >= '1' && *p <= '9') o.shards.push_back(static_cast<unsigned>(*p - '0'));
    } else if (std::find(known.begin(), known.end(), a) != known.end()) {
      o.names.push_back(a);
    } else {
      std::fprintf(stderr, "no case '%s'; --list shows them\n", a.c_str());
      return 64;
    }
  }
  if (o.shards.empty()) o.shards = {1};
  try {
    return run(o);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "engine bench: %s\n", e.what());
    return 2;
  }
}
