#include "gateway/driver/test_columns.h"

#include <algorithm>

#include <fmt/format.h>

#include "engine/expr/scope.h"

namespace twinspan::gateway {

namespace {
constexpr const char* kOutputParts[] = {"_key", "_timestamp", "_headers", "_op", "_final"};
}

void check_expected_columns(const Plan& plan, config::Diagnostics& diagnostics) {
  for (const config::TestSpec& test : plan.spec->tests) {
    for (const config::TestStep& step : test.steps) {
      for (const auto& e : step.expect) {
        const auto sink =
            std::find_if(plan.sinks.begin(), plan.sinks.end(), [&](const SinkPlan& s) { return s.id == e.name.value; });
        if (sink == plan.sinks.end()) continue;
        std::vector<std::string> names;
        for (const Field& f : sink->schema.fields) names.push_back(f.name);
        const auto check = [&](const std::vector<config::Node>& rows) {
          for (const config::Node& row : rows) {
            for (const config::MapEntry& field : row.entries) {
              const std::string& name = field.name.value;
              if (std::find(names.begin(), names.end(), name) != names.end() ||
                  std::find(std::begin(kOutputParts), std::end(kOutputParts), name) != std::end(kOutputParts))
                continue;
              const std::string near = engine::nearest_name(name, names);
              diagnostics.error(field.name.origin, "T0513",
                                fmt::format("sink '{}' has no field '{}'", e.name.value, name),
                                near.empty() ? "" : fmt::format("did you mean '{}'?", near));
            }
          }
        };
        if (e.value.rows) check(*e.value.rows);
        check(e.value.contains);
      }
    }
  }
}

}  // namespace twinspan::gateway
