#include "gateway/command_run.h"

#include <csignal>
#include <cstdio>
#include <ctime>

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "gateway/registry.h"

namespace twinspan::gateway {

namespace {

constexpr int kInvalidConfiguration = 78;

struct Arguments {
  std::string service;
  std::vector<std::string> pipelines;
  std::map<std::string, std::string> params;
  bool bounded = false;
  bool bad = false;
};

Arguments parse_arguments(const std::vector<std::string>& args) {
  Arguments out;
  for (std::size_t i = 1; i < args.size(); ++i) {
    const bool more = i + 1 < args.size();
    if ((args[i] == "-c" || args[i] == "--config") && more) {
      out.service = args[++i];
    } else if (args[i] == "--bounded") {
      out.bounded = true;
    } else if (args[i] == "--param" && more && args[i + 1].find('=') != std::string::npos) {
      const std::string& p = args[++i];
      out.params[p.substr(0, p.find('='))] = p.substr(p.find('=') + 1);
    } else if (args[i].starts_with("-")) {
      std::fprintf(stderr, "twinspan run: unknown or incomplete option '%s'\n", args[i].c_str());
      out.bad = true;
    } else {
      out.pipelines.push_back(args[i]);
    }
  }
  if (out.pipelines.empty() && !out.bad) {
    std::fprintf(stderr, "twinspan run: which pipeline file?\n");
    out.bad = true;
  }
  return out;
}

}  // namespace

std::shared_ptr<spdlog::logger> make_logger(const config::LogSpec& spec) {
  spdlog::sink_ptr sink;
  if (spec.file.empty())
    sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  else
    sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(spec.file);
  auto log = std::make_shared<spdlog::logger>("-", sink);
  log->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %-5l pipeline=%n %v", spdlog::pattern_time_type::utc);
  constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::trace, spdlog::level::debug, spdlog::level::info,
                                                   spdlog::level::warn, spdlog::level::err};
  log->set_level(kLevels[static_cast<int>(spec.level)]);
  log->flush_on(spdlog::level::info);
  return log;
}

int command_run(const std::vector<std::string>& args) {
  const Arguments arguments = parse_arguments(args);
  if (arguments.bad) return 2;
  // Every thread inherits the mask, so that the signal comes to the wait below and to nobody else.
  sigset_t signals;
  sigemptyset(&signals);
  for (int s : {SIGINT, SIGTERM}) sigaddset(&signals, s);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  config::Diagnostics diagnostics;
  config::ServiceSpec service_spec;
  if (!arguments.service.empty()) {
    if (auto loaded = load_service(arguments.service, diagnostics)) service_spec = std::move(*loaded);
  }
  std::vector<LoadedPipeline> pipelines;
  for (const std::string& path : arguments.pipelines) {
    auto text = read_text_file(path);
    if (!text) {
      diagnostics.add(unreadable_file(path, text.error()));
      continue;
    }
    if (auto p = load_pipeline(std::move(text.value()), path, &service_spec, arguments.params, diagnostics))
      pipelines.push_back(std::move(*p));
  }
  std::fputs(diagnostics.render().c_str(), stderr);
  if (diagnostics.has_errors()) return kInvalidConfiguration;

  std::shared_ptr<spdlog::logger> log;
  try {
    log = make_logger(service_spec.log);
  } catch (const spdlog::spdlog_ex& e) {
    std::fprintf(stderr, "twinspan: %s\n", e.what());
    return 1;
  }
  spdlog::set_default_logger(log);  // what connectors and the Kafka client say
  const SystemClock clock;
  engine::PosixFileSystem files;
  ConnectorRegistry connectors(service_spec, clock, {});
  ServiceOptions options;
  options.bounded = arguments.bounded;
  Service service(service_spec, options, connectors, clock, files, log);
  for (LoadedPipeline& p : pipelines) service.add(std::move(p));
  if (auto started = service.start(); !started) {
    log->error("cannot start: {}", started.error().message);
    (void)service.stop();
    const bool invalid =
        started.error().kind == ErrorKind::config && std::string_view(started.error().code) != "address_in_use";
    return invalid ? kInvalidConfiguration : 1;
  }
  bool asked = false;
  while (!asked && !service.all_finished()) {
    const timespec wait{0, 100'000'000};
    asked = sigtimedwait(&signals, nullptr, &wait) > 0;
  }
  if (asked) log->info("stopping: last checkpoint and flush (again Ctrl-C ends at once)");
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  const std::string failure = service.failure();
  const auto stopped = service.stop();
  if (!failure.empty()) return 1;
  if (!stopped) {
    log->error("stopped, but {}", stopped.error().message);
    return 1;
  }
  log->info("stopped");
  return 0;
}

}  // namespace twinspan::gateway
