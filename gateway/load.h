#pragma once
// From files to a service and plans: what `run`, `validate` and `demo` begin with. Everything wrong is in the
// Diagnostics; the caller prints them. Thread: control.

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "config/diagnostic.h"
#include "config/parse.h"
#include "gateway/plan.h"

namespace twinspan::gateway {

struct LoadedPipeline {
  std::unique_ptr<config::PipelineSpec> spec;
  std::unique_ptr<Plan> plan;
};

// config error: the file cannot be read.
Result<std::string> read_text_file(const std::string& path);

config::Diagnostic unreadable_file(const std::string& path, const Error& error);

std::optional<config::ServiceSpec> load_service(const std::string& path, config::Diagnostics& diagnostics);
// `service` nullptr: names of clusters are not checked.
std::optional<LoadedPipeline> load_pipeline(std::string text, const std::string& path,
                                            const config::ServiceSpec* service,
                                            const std::map<std::string, std::string>& params,
                                            config::Diagnostics& diagnostics);

}  // namespace twinspan::gateway
