#include "gateway/load.h"

#include "engine/checkpoint/file_system.h"
#include "engine/native/native_module.h"
#include "gateway/driver/test_columns.h"

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
  auto service = config::parse_service(std::move(text.value()), path, config::process_environment(), diagnostics);
  if (service && service->native)
    for (const Error& e : engine::load_native_modules(service->native->directory.value))
      diagnostics.error(service->native->directory.origin, "T0460", e.message);
  return service;
}

std::optional<LoadedPipeline> load_pipeline(std::string text, const std::string& path,
                                            const config::ServiceSpec* service,
                                            const std::map<std::string, std::string>& params,
                                            config::Diagnostics& diagnostics) {
  const std::size_t before = diagnostics.error_count();
  auto spec =
      config::read_pipeline(std::move(text), path, {service, config::process_environment(), params}, diagnostics);
  if (!spec) return std::nullopt;
  LoadedPipeline out;
  out.spec = std::make_unique<config::PipelineSpec>(std::move(*spec));
  if (diagnostics.error_count() != before) {
    // The user gets the errors inside expressions in the same go; what else planning says of a broken file is an echo.
    config::Diagnostics more;
    (void)make_plan(*out.spec, more);
    for (const config::Diagnostic& d : more.all())
      if (d.code == "T0401" && d.source != nullptr) diagnostics.add(d);
    return std::nullopt;
  }
  out.plan = make_plan(*out.spec, diagnostics);
  if (out.plan == nullptr) return std::nullopt;
  check_expected_columns(*out.plan, diagnostics);
  if (diagnostics.error_count() != before) return std::nullopt;
  return out;
}

}  // namespace twinspan::gateway
