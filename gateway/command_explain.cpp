#include "gateway/command_explain.h"

#include <algorithm>
#include <cstdio>
#include <thread>

#include "gateway/explain.h"
#include "gateway/load.h"

namespace twinspan::gateway {

namespace {
constexpr int kInvalidConfiguration = 78;
constexpr const char* kUsage =
    "usage: twinspan explain [-c SERVICE.yaml] [--param NAME=VALUE] [--format text|json] PIPELINE.yaml\n";
}  // namespace

int command_explain(const std::vector<std::string>& args) {
  std::string service_path, format = "text", path;
  std::map<std::string, std::string> params;
  bool bad = false;
  for (std::size_t i = 1; i < args.size(); ++i) {
    const bool more = i + 1 < args.size();
    if (args[i] == "--help" || args[i] == "-h") return std::fputs(kUsage, stdout), 0;
    if ((args[i] == "-c" || args[i] == "--config") && more)
      service_path = args[++i];
    else if (args[i] == "--format" && more)
      format = args[++i];
    else if (args[i] == "--param" && more && args[i + 1].find('=') != std::string::npos) {
      const std::string& p = args[++i];
      params[p.substr(0, p.find('='))] = p.substr(p.find('=') + 1);
    } else if (args[i].starts_with("-") || !path.empty())
      bad = true;
    else
      path = args[i];
  }
  if (bad || path.empty() || (format != "text" && format != "json")) return std::fputs(kUsage, stderr), 2;

  config::Diagnostics diagnostics;
  std::optional<config::ServiceSpec> service;
  if (!service_path.empty()) service = load_service(service_path, diagnostics);
  std::optional<LoadedPipeline> loaded;
  if (auto text = read_text_file(path))
    loaded = load_pipeline(std::move(text.value()), path, service ? &*service : nullptr, params, diagnostics);
  else
    diagnostics.add(unreadable_file(path, text.error()));
  if (!loaded || diagnostics.has_errors()) {
    if (format == "json")
      std::puts(diagnostics.to_json().c_str());
    else
      std::fputs(diagnostics.render().c_str(), stderr);
    return kInvalidConfiguration;
  }
  const auto shards = static_cast<unsigned>(loaded->spec->shards.count.value_or(default_shards()));
  std::fputs((format == "json" ? explain_json : explain_text)(*loaded->plan, shards).c_str(), stdout);
  return 0;
}

}  // namespace twinspan::gateway
