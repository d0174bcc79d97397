#include "gateway/load.h"

#include "engine/checkpoint/file_system.h"

namespace twinspan::gateway {

Result<std::string> read_text_file(const std::string& path) {
  engine::PosixFileSystem files;
  auto text = files.read(path);
  if (!text) return config_error(text.error().message);
  return text;
}

config::Diagnostic unreadable_file(const std::string& path, const Error& error) {
  config::Diagnostic d;
  d.code = "T0001";
  d.message = error.message;
  d.file = path;
  return d;
}

std::optional<config::ServiceSpec> load_service(const std::string& path, config::Diagnostics& diagnostics) {
  auto text = read_text_file(path);
  if (!text) {
    diagnostics.add(unreadable_file(path, text.error()));
    return std::nullopt;
  }
  return config::parse_service(std::move(text.value()), path, config::process_environment(), diagnostics);
}

std::optional<LoadedPipeline> load_pipeline(std::string text, const std::string& path, const config::ServiceSpec* service,
                                            const std::map<std::string, std::string>& params, config::Diagnostics& diagnostics) {
  auto spec = config::parse_pipeline(std::move(text), path, {service, config::process_environment(), params}, diagnostics);
  if (!spec) return std::nullopt;
  LoadedPipeline out;
  out.spec = std::make_unique<config::PipelineSpec>(std::move(*spec));
  out.plan = make_plan(*out.spec, diagnostics);
  if (out.plan == nullptr) return std::nullopt;
  return out;
}

}  // namespace twinspan::gateway
