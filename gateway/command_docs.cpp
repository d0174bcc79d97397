#include "gateway/command_docs.h"

#include <cstdio>

#include "gateway/load.h"
#include "gateway/reference.h"

namespace twinspan::gateway {

int command_docs(const std::vector<std::string>& args) {
  std::string format = "md", service;
  for (std::size_t i = 1; i < args.size(); ++i) {
    if (args[i] == "--format" && i + 1 < args.size() && (args[i + 1] == "md" || args[i + 1] == "json")) {
      format = args[++i];
    } else if ((args[i] == "-c" || args[i] == "--config") && i + 1 < args.size()) {
      service = args[++i];
    } else {
      std::fputs("usage: twinspan docs [--format md|json] [-c SERVICE.yaml]\n", stderr);
      return 2;
    }
  }
  if (!service.empty()) {
    config::Diagnostics diagnostics;
    const bool loaded = load_service(service, diagnostics).has_value();
    std::fputs(diagnostics.render().c_str(), stderr);
    if (!loaded || diagnostics.has_errors()) return 78;  // EX_CONFIG
  }
  const std::string text = format == "md" ? reference_markdown() : reference_json();
  std::fwrite(text.data(), 1, text.size(), stdout);
  return 0;
}

}  // namespace twinspan::gateway
