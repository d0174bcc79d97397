#include "config/parse.h"

#include "config/checks.h"
#include "config/codec.h"
#include "config/suggest.h"

#include <fmt/format.h>

#include <algorithm>

namespace twinspan::config {

namespace {

// The value of a param must be what its type says, so that the error stands where the value was given.
std::optional<UnitError> check_param(ParamType type, const std::string& value) {
  const auto as_error = [](const auto& result) { return result ? std::nullopt : std::optional(result.error()); };
  const auto wants = [&](const char* what) {
    return UnitError{false, fmt::format("{} is not {}", in_quotes(value), what), {}};
  };
  switch (type) {
    case ParamType::string: return std::nullopt;
    case ParamType::duration: return as_error(parse_duration(value));
    case ParamType::bytes: return as_error(parse_bytes(value));
    case ParamType::rate: return as_error(parse_rate(value));
    case ParamType::bool_:
      return value == "true" || value == "false" ? std::nullopt : std::optional(wants("true or false"));
    case ParamType::int64: {
      const std::size_t sign = value.starts_with('-') ? 1 : 0;
      const bool digits = value.size() > sign && value.size() - sign <= 18 &&
                          value.find_first_not_of("0123456789", sign) == std::string::npos;
      return digits ? std::nullopt : std::optional(wants("a whole number"));
    }
  }
  return std::nullopt;
}

// Params first: the rest of the document may refer to them, their own defaults only to the environment.
std::map<std::string, std::string> resolve_params(Node& root, const ParseContext& context, Diagnostics& diagnostics) {
  IdMap<ParamSpec> params;
  for (MapEntry& entry : root.entries) {
    if (entry.name.value != "params") continue;
    ReferenceContext references;
    references.env = context.env;
    references.secrets_refused = "params are no place for secrets";
    resolve_references(entry.value, references, diagnostics);
    Reader reader(diagnostics);
    Codec<IdMap<ParamSpec>>::read(reader, entry.value, params);
    break;
  }
  std::map<std::string, std::string> values;
  for (const auto& param : params) {
    const auto given = context.params.find(param.name.value);
    const bool overridden = given != context.params.end();
    const auto& fallback = param.value.default_value;
    if (!overridden && !fallback) {
      if (!diagnostics.has_error_between(param.name.origin.begin, param.end)) {
        diagnostics.error(param.name.origin, "T0124", fmt::format("param {} has no value", in_quotes(param.name.value)),
                          fmt::format("give one with --param {}=..., or a default", param.name.value));
      }
      values[param.name.value] = "";
      continue;
    }
    const std::string& value = overridden ? given->second : fallback->value;
    if (const auto error = check_param(param.value.type.value, value)) {
      diagnostics.error(overridden || !fallback ? param.name.origin : fallback->origin, "T0128",
                        fmt::format("param {}: {}", in_quotes(param.name.value), error->message), error->hint);
    }
    values[param.name.value] = value;
  }
  for (const auto& [name, value] : context.params) {
    if (params.find(name) != nullptr) continue;
    diagnostics.error(root.origin, "T0123", fmt::format("param {} was given but is not declared", in_quotes(name)),
                      suggestion(name, params.names()));
  }
  return values;
}

void check_name(const Text& name, Diagnostics& diagnostics) {
  std::string plain = name.value;
  std::replace(plain.begin(), plain.end(), '-', '_');
  if (!name.origin || is_identifier(plain)) return;
  diagnostics.error(name.origin, "T0209", fmt::format("{} is not a valid name", in_quotes(name.value)),
                    "names begin with a-z and have up to 64 of a-z, 0-9, '_' and '-'");
}

}  // namespace

std::optional<PipelineSpec> read_pipeline(std::string text, std::string filename, const ParseContext& context,
                                          Diagnostics& diagnostics) {
  std::optional<Document> document = read_document(std::move(text), std::move(filename), diagnostics);
  if (!document) return std::nullopt;

  const std::map<std::string, std::string> params = resolve_params(document->root, context, diagnostics);
  ReferenceContext references;
  references.env = context.env;
  references.secrets_refused = "pipelines name clusters; their credentials are in the service file";
  references.params = &params;
  for (MapEntry& entry : document->root.entries) {
    if (entry.name.value != "params") resolve_references(entry.value, references, diagnostics);
  }

  PipelineSpec pipeline;
  Reader reader(diagnostics);
  reader.object(document->root, PipelineSpec::table(), &pipeline);
  for (auto& step : pipeline.steps) {
    if (!step.value.interval_join) continue;
    IntervalJoinSpec& join = *step.value.interval_join;
    if (!join.on.empty() && !join.pairs.empty()) {
      diagnostics.error(join.pairs.front().left.origin, "T0212", "a join has 'on' or 'pairs', not both",
                        "pairs may also be written inside on");
    }
    join.on.insert(join.on.end(), join.pairs.begin(), join.pairs.end());
    join.pairs.clear();
  }
  if (pipeline.dead_letter) {
    const Node* node = document->root.find("dead_letter");
    pipeline.dead_letter->origin = node->key;
    pipeline.dead_letter->end = node->end;
  }
  check_name(pipeline.name, diagnostics);
  if (pipeline.state.backend.origin && pipeline.state.backend.value == StateBackend::rocksdb) {
    diagnostics.warning(pipeline.state.backend.origin, "T0191", "in this version only rows of interval joins leave memory",
                        "give the join a max_state; results are the same");
  }
  check_connections(pipeline, context.service, diagnostics);
  check_steps(pipeline, diagnostics);
  check_graph(pipeline, diagnostics);
  check_tests(pipeline, diagnostics);
  return pipeline;
}

std::optional<PipelineSpec> parse_pipeline(std::string text, std::string filename, const ParseContext& context,
                                           Diagnostics& diagnostics) {
  const std::size_t before = diagnostics.error_count();
  auto pipeline = read_pipeline(std::move(text), std::move(filename), context, diagnostics);
  if (diagnostics.error_count() != before) return std::nullopt;
  return pipeline;
}

std::optional<ServiceSpec> parse_service(std::string text, std::string filename, const EnvLookup& env,
                                         Diagnostics& diagnostics) {
  const std::size_t before = diagnostics.error_count();
  std::optional<Document> document = read_document(std::move(text), std::move(filename), diagnostics);
  if (!document) return std::nullopt;

  // Where secrets are comes first, and cannot be a secret itself.
  ReferenceContext references;
  references.env = env;
  references.secrets_refused = "the place of the secrets cannot be a secret";
  std::optional<SecretDirectory> secrets;
  for (MapEntry& entry : document->root.entries) {
    if (entry.name.value != "secrets") continue;
    resolve_references(entry.value, references, diagnostics);
    if (const Node* directory = entry.value.find("directory");
        directory != nullptr && directory->kind == NodeKind::scalar) {
      secrets.emplace(directory->text());
    }
    break;
  }
  references.secrets_allowed = true;
  references.secrets = secrets ? &*secrets : nullptr;
  for (MapEntry& entry : document->root.entries) {
    if (entry.name.value != "secrets") resolve_references(entry.value, references, diagnostics);
  }

  ServiceSpec service;
  Reader reader(diagnostics);
  reader.object(document->root, ServiceSpec::table(), &service);
  check_service(service, diagnostics);
  if (diagnostics.error_count() != before) return std::nullopt;
  return service;
}

}  // namespace twinspan::config
