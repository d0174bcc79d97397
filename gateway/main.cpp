// twinspan: one binary, one verb a task. The verbs that ask a running process are admin/'s; the rest is here.
#include <csignal>
#include <cstdio>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include <unistd.h>

#include <fmt/format.h>

#include "admin/commands.h"
#include "config/schema.h"
#include "gateway/command_demo.h"
#include "gateway/command_docs.h"
#include "gateway/command_eval.h"
#include "gateway/command_explain.h"
#include "gateway/command_run.h"
#include "gateway/command_test.h"
#include "gateway/load.h"
#include "gateway/service.h"

namespace {

using namespace twinspan;

constexpr int kInvalidConfiguration = 78;  // EX_CONFIG of sysexits.h

int usage(std::FILE* to) {
  std::string text =
      "usage: twinspan COMMAND [options]\n\n"
      "  run [-c SERVICE.yaml] [--bounded] [--param NAME=VALUE] PIPELINE.yaml...   start a node\n"
      "  validate [-c SERVICE.yaml] [--format human|json] PIPELINE.yaml...         check files, say everything that is "
      "wrong\n"
      "  test [--thorough] [--filter TEXT] [--junit FILE] PIPELINE.yaml...         run the tests: block in virtual "
      "time, "
      "without a broker\n"
      "  explain [-c SERVICE.yaml] [--format text|json] PIPELINE.yaml              steps, types, exchanges, state, "
      "delays\n"
      "  eval [--json ROWS.jsonl|-] [--fields NAME:TYPE,..] EXPRESSION             an expression over some rows\n"
      "  schema [pipeline|service]                                                 JSON Schema of the files\n"
      "  docs [--format md|json] [-c SERVICE.yaml]                                 reference of keys, steps and "
      "functions\n"
      "  demo [--for 30s] [--plain]                                                two embedded clusters and the main "
      "job\n"
      "  version\n\n"
      "Of a running node (all take --server HOST:PORT, --json, --timeout):\n";
  for (const auto& c : admin::operator_commands()) text += fmt::format("  {:<73} {}\n", c.usage, c.summary);
  std::fputs(text.c_str(), to);
  return to == stdout ? 0 : admin::kExitUsage;
}

int validate(const std::vector<std::string>& args) {
  std::string service_path, format = "human";
  std::vector<std::string> paths;
  std::map<std::string, std::string> params;
  for (std::size_t i = 1; i < args.size(); ++i) {
    if ((args[i] == "-c" || args[i] == "--config") && i + 1 < args.size())
      service_path = args[++i];
    else if (args[i] == "--format" && i + 1 < args.size())
      format = args[++i];
    else if (args[i] == "--param" && i + 1 < args.size() && args[i + 1].find('=') != std::string::npos) {
      const std::string& p = args[++i];
      params[p.substr(0, p.find('='))] = p.substr(p.find('=') + 1);
    } else if (args[i].starts_with("-"))
      return usage(stderr);
    else
      paths.push_back(args[i]);
  }
  if (paths.empty() || (format != "human" && format != "json")) return usage(stderr);
  config::Diagnostics diagnostics;
  std::optional<config::ServiceSpec> service;
  if (!service_path.empty()) service = gateway::load_service(service_path, diagnostics);
  for (const std::string& path : paths) {
    auto text = gateway::read_text_file(path);
    if (!text) {
      diagnostics.add(gateway::unreadable_file(path, text.error()));
      continue;
    }
    (void)gateway::load_pipeline(std::move(text.value()), path, service ? &*service : nullptr, params, diagnostics);
  }
  if (format == "json")
    std::puts(diagnostics.to_json().c_str());
  else
    std::fputs(diagnostics.render().c_str(), stderr);
  if (!diagnostics.has_errors() && format == "human") std::puts("valid");
  return diagnostics.has_errors() ? kInvalidConfiguration : 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  std::signal(SIGPIPE, SIG_IGN);
  if (args.empty()) return usage(stderr);
  const std::string& verb = args[0];
  if (verb == "--help" || verb == "-h" || verb == "help") return usage(stdout);
  if (verb == "version" || verb == "--version") return std::printf("twinspan %s\n", gateway::kVersion), 0;
  if (verb == "run") return gateway::command_run(args);
  if (verb == "demo") return gateway::command_demo(args);
  if (verb == "docs") return gateway::command_docs(args);
  if (verb == "validate") return validate(args);
  if (verb == "explain") return gateway::command_explain(args);
  if (verb == "eval") return gateway::command_eval(args);
  if (verb == "test") return gateway::command_test(args);
  if (verb == "schema") {
    const std::string which = args.size() > 1 ? args[1] : "pipeline";
    if (which != "pipeline" && which != "service") return usage(stderr);
    std::puts((which == "pipeline" ? config::pipeline_json_schema() : config::service_json_schema()).c_str());
    return 0;
  }
  if (admin::is_operator_command(verb)) {
    const SystemClock clock;
    const bool terminal = ::isatty(STDIN_FILENO) != 0 && ::isatty(STDERR_FILENO) != 0;
    return admin::run_operator_command(args, {std::cout, std::cerr, std::cin, terminal, clock});
  }
  std::fprintf(stderr, "twinspan: there is no command '%s'\n\n", verb.c_str());
  return usage(stderr);
}
