#pragma once
// The way in: text to a checked spec. Nothing is returned if there was any error; what was wrong, all of it, is in the
// Diagnostics, together with warnings. Pure: touches only the environment lookup and the secrets directory. Thread:
// any.

#include "config/diagnostic.h"
#include "config/pipeline_spec.h"
#include "config/reference.h"
#include "config/service_spec.h"

#include <map>
#include <optional>
#include <string>

namespace twinspan::config {

struct ParseContext {
  const ServiceSpec* service = nullptr;       // null: the names of clusters are not checked
  EnvLookup env;                              // empty: ${env:} is an error (pipelines from the API)
  std::map<std::string, std::string> params;  // override the defaults in the file
};

// What can be read of a pipeline that may have errors (nullopt: not YAML at all), so that its expressions can be
// checked in the same go. Only for finding more errors; to run it, parse_pipeline().
std::optional<PipelineSpec> read_pipeline(std::string text, std::string filename, const ParseContext& context,
                                          Diagnostics& diagnostics);

std::optional<PipelineSpec> parse_pipeline(std::string text, std::string filename, const ParseContext& context,
                                           Diagnostics& diagnostics);

std::optional<ServiceSpec> parse_service(std::string text, std::string filename, const EnvLookup& env,
                                         Diagnostics& diagnostics);

}  // namespace twinspan::config
