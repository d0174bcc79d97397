#include "gateway/command_test.h"

#include <charconv>
#include <cstdio>
#include <fstream>

#include <fmt/format.h>

#include "gateway/load.h"

namespace twinspan::gateway {

namespace {

constexpr int kInvalidConfiguration = 78;
constexpr const char* kUsage =
    "usage: twinspan test [options] PIPELINE.yaml...\n"
    "  -c, --config SERVICE.yaml   names of clusters are checked against it\n"
    "  --param NAME=VALUE          a param of the pipeline\n"
    "  --filter TEXT               only tests whose name contains it\n"
    "  --shards N                  threads that own keys (1 unless the test says so)\n"
    "  --batch N                   records a poll at most (1024); the results must not depend on it\n"
    "  --thorough                  each test also with batches of 1 and 7, on 2 and 3 shards, and stopped and "
    "restored\n"
    "                              after every step\n"
    "  --junit FILE                the results for a CI server\n"
    "  -q, --quiet                 only failures and the sum\n";

struct Arguments {
  std::string service, filter, junit;
  std::vector<std::string> pipelines;
  std::map<std::string, std::string> params;
  TestVariant variant;
  bool thorough = false, quiet = false, bad = false, help = false;
};

std::optional<unsigned> number(const std::string& text, unsigned most) {
  unsigned n = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (code != std::errc() || end != text.data() + text.size() || n < 1 || n > most) return std::nullopt;
  return n;
}

Arguments parse_arguments(const std::vector<std::string>& args) {
  Arguments out;
  const auto bad = [&](const std::string& why) {
    std::fprintf(stderr, "twinspan test: %s\n", why.c_str());
    out.bad = true;
  };
  for (std::size_t i = 1; i < args.size(); ++i) {
    const std::string& a = args[i];
    const bool more = i + 1 < args.size();
    if (a == "--help" || a == "-h") {
      out.help = true;
    } else if ((a == "-c" || a == "--config") && more) {
      out.service = args[++i];
    } else if (a == "--filter" && more) {
      out.filter = args[++i];
    } else if (a == "--junit" && more) {
      out.junit = args[++i];
    } else if (a == "--param" && more && args[i + 1].find('=') != std::string::npos) {
      const std::string& p = args[++i];
      out.params[p.substr(0, p.find('='))] = p.substr(p.find('=') + 1);
    } else if ((a == "--shards" || a == "--batch") && more) {
      const auto n = number(args[++i], a == "--shards" ? 16 : 1'000'000);
      if (!n)
        bad(fmt::format("{} wants a number from 1, not '{}'", a, args[i]));
      else if (a == "--shards")
        out.variant.shards = *n;
      else
        out.variant.batch = *n;
    } else if (a == "--thorough") {
      out.thorough = true;
    } else if (a == "-q" || a == "--quiet") {
      out.quiet = true;
    } else if (a.starts_with("-")) {
      bad(fmt::format("unknown or incomplete option '{}'", a));
    } else {
      out.pipelines.push_back(a);
    }
  }
  if (out.pipelines.empty() && !out.bad && !out.help) bad("which pipeline file?");
  return out;
}

std::string xml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&quot;"; break;
      // What XML 1.0 has no way to write.
      default: out += static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? '?' : c;
    }
  }
  return out;
}

std::string place(const std::string& file, const config::Position& at) {
  return at.line > 0 ? fmt::format("{}:{}:{}", file, at.line, at.column) : file;
}

}  // namespace

std::vector<TestVariant> thorough_variants(const config::TestSpec& test) {
  std::vector<TestVariant> out;
  for (const unsigned shards : {1u, 2u, 3u})
    for (const std::size_t batch : {std::size_t{1024}, std::size_t{1}, std::size_t{7}})
      out.push_back({shards, batch, {}, 0});
  for (const std::size_t point : restart_points(test))
    for (const unsigned shards : {1u, 2u, 3u}) out.push_back({shards, 1024, point, shards % 3 + 1});
  for (const std::size_t point : restart_points(test)) {
    out.push_back({1, 7, point, 0});
    out.push_back({2, 1, point, 2});
  }
  return out;
}

TestResult run_thoroughly(const config::PipelineSpec& spec, const config::TestSpec& test) {
  TestResult out;
  double seconds = 0;
  for (const TestVariant& variant : thorough_variants(test)) {
    out = run_test(spec, test, variant);
    seconds += out.seconds;
    if (!out.passed()) break;
  }
  out.seconds = seconds;
  return out;
}

std::string test_text(const TestedFile& file, bool quiet) {
  std::string out;
  for (const TestResult& r : file.results) {
    if (r.passed()) {
      if (!quiet) out += fmt::format("ok    {}\n", r.name);
      continue;
    }
    out += fmt::format("FAIL  {}\n", r.name);
    const std::string how = to_string(r.variant);
    if (how != to_string(TestVariant{})) out += fmt::format("  with {}\n", how);
    for (const TestFailure& f : r.failures)
      out += fmt::format("  {}: {}\n{}", place(file.file, f.at), f.summary, f.detail);
  }
  return out;
}

std::string junit_text(const std::vector<TestedFile>& files) {
  std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"twinspan test\">\n";
  for (const TestedFile& f : files) {
    std::size_t failed = 0;
    double seconds = 0;
    for (const TestResult& r : f.results) failed += r.passed() ? 0 : 1, seconds += r.seconds;
    out += fmt::format("  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" time=\"{:.3f}\">\n", xml(f.file),
                       f.results.size(), failed, seconds);
    for (const TestResult& r : f.results) {
      out += fmt::format("    <testcase classname=\"{}\" name=\"{}\" file=\"{}\" line=\"{}\" time=\"{:.3f}\"",
                         xml(f.file), xml(r.name), xml(f.file), r.at.line, r.seconds);
      if (r.passed()) {
        out += "/>\n";
        continue;
      }
      out += ">\n";
      for (const TestFailure& failure : r.failures)
        out += fmt::format("      <failure message=\"{}\">{}</failure>\n", xml(failure.summary),
                           xml(place(f.file, failure.at) + "\n" + failure.detail));
      out += "    </testcase>\n";
    }
    out += "  </testsuite>\n";
  }
  return out + "</testsuites>\n";
}

int command_test(const std::vector<std::string>& args) {
  const Arguments arguments = parse_arguments(args);
  if (arguments.help || arguments.bad) {
    std::fputs(kUsage, arguments.bad ? stderr : stdout);
    return arguments.bad ? 2 : 0;
  }
  config::Diagnostics diagnostics;
  std::optional<config::ServiceSpec> service;
  if (!arguments.service.empty()) service = load_service(arguments.service, diagnostics);
  std::vector<std::pair<std::string, LoadedPipeline>> pipelines;
  for (const std::string& path : arguments.pipelines) {
    auto text = read_text_file(path);
    if (!text) {
      diagnostics.add(unreadable_file(path, text.error()));
      continue;
    }
    if (auto p =
            load_pipeline(std::move(text.value()), path, service ? &*service : nullptr, arguments.params, diagnostics))
      pipelines.emplace_back(path, std::move(*p));
  }
  std::fputs(diagnostics.render().c_str(), stderr);
  if (diagnostics.has_errors()) return kInvalidConfiguration;

  std::vector<TestedFile> files;
  std::size_t tests = 0, failed = 0;
  for (const auto& [path, pipeline] : pipelines) {
    TestedFile& file = files.emplace_back();
    file.file = path;
    for (const config::TestSpec& test : pipeline.spec->tests) {
      if (test.name.value.find(arguments.filter) == std::string::npos) continue;
      file.results.push_back(arguments.thorough ? run_thoroughly(*pipeline.spec, test)
                                                : run_test(*pipeline.spec, test, arguments.variant));
      ++tests;
      failed += file.results.back().passed() ? 0 : 1;
    }
    if (!arguments.quiet && pipelines.size() > 1) std::printf("%s\n", path.c_str());
    std::fputs(test_text(file, arguments.quiet).c_str(), stdout);
  }
  if (!arguments.junit.empty()) {
    std::ofstream out(arguments.junit, std::ios::binary);
    out << junit_text(files);
    out.flush();
    if (!out) {
      std::fprintf(stderr, "twinspan test: cannot write '%s'\n", arguments.junit.c_str());
      return 1;
    }
  }
  if (tests == 0) {
    std::fprintf(stderr, "twinspan test: no test%s\n",
                 arguments.filter.empty() ? ": the files have no tests: block" : " has such a name");
    return 2;
  }
  std::printf("%zu passed, %zu failed\n", tests - failed, failed);
  return failed == 0 ? 0 : 1;
}

}  // namespace twinspan::gateway
