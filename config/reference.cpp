#include "config/reference.h"

#include "config/suggest.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <iterator>

namespace twinspan::config {

namespace {

constexpr std::size_t kMaxSecretBytes = 64 << 10;

bool is_name(std::string_view name) {
  return !name.empty() && name.front() != '.' && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '_' || c == '-' || c == '.';
  });
}

class Resolver {
 public:
  Resolver(const ReferenceContext& context, Diagnostics& diagnostics) : context_(context), diagnostics_(diagnostics) {}

  void visit(Node& node) {
    if (node.kind == NodeKind::scalar) resolve(node);
    for (Node& item : node.items) visit(item);
    for (MapEntry& entry : node.entries) {
      if (entry.name.value.find("${") != std::string::npos) {
        diagnostics_.error(entry.name.origin, "T0125", "a reference is not allowed in a key",
                           "references belong in values");
      }
      visit(entry.value);
    }
  }

 private:
  void resolve(Node& node) {
    const std::string& raw = node.origin.scalar->raw;
    if (raw.find("${") == std::string::npos) return;
    Scalar scalar = *node.origin.scalar;
    scalar.value.clear();
    for (std::size_t at = 0; at < raw.size();) {
      const std::size_t dollar = raw.find('$', at);
      scalar.value.append(raw, at, dollar == std::string::npos ? std::string::npos : dollar - at);
      if (dollar == std::string::npos) break;
      if (raw.compare(dollar, 3, "$${") == 0) {
        substitute(scalar, dollar, dollar + 3, "${");
        at = dollar + 3;
        continue;
      }
      if (raw.compare(dollar, 2, "${") != 0) {
        scalar.value += '$';
        at = dollar + 1;
        continue;
      }
      const std::size_t end = raw.find('}', dollar);
      if (end == std::string::npos) {
        diagnostics_.error_at(node.origin, dollar, raw.size() - dollar, "T0120",
                              "a reference is not closed: '}' is missing", "write $${ for a literal ${");
        node.unresolved = true;
        return;
      }
      const std::string_view reference = std::string_view(raw).substr(dollar, end + 1 - dollar);
      const bool whole = dollar == 0 && end + 1 == raw.size();
      const std::optional<std::string> value = look_up(node, reference, dollar, whole);
      substitute(scalar, dollar, end + 1, value ? *value : std::string(reference));
      at = end + 1;
    }
    node.origin.scalar = std::make_shared<const Scalar>(std::move(scalar));
  }

  static void substitute(Scalar& scalar, std::size_t raw_begin, std::size_t raw_end, std::string_view value) {
    const auto begin = static_cast<std::uint32_t>(scalar.value.size());
    scalar.value += value;
    scalar.substitutions.push_back({static_cast<std::uint32_t>(raw_begin), static_cast<std::uint32_t>(raw_end), begin,
                                    static_cast<std::uint32_t>(scalar.value.size())});
  }

  // The origin still holds the unresolved text here, so offsets in `raw` are offsets in its value.
  std::optional<std::string> look_up(Node& node, std::string_view reference, std::size_t offset, bool whole) {
    const auto error = [&](const char* code, std::string message, std::string hint) {
      diagnostics_.error_at(node.origin, offset, reference.size(), code, std::move(message), std::move(hint));
      node.unresolved = true;
      return std::nullopt;
    };
    const std::string_view inner = reference.substr(2, reference.size() - 3);
    const std::size_t colon = inner.find(':');
    const std::string_view kind = inner.substr(0, colon);
    std::string_view name = colon == std::string_view::npos ? std::string_view() : inner.substr(colon + 1);
    static constexpr const char* kForms =
        "write ${env:NAME}, ${env:NAME:-default}, ${secret:name} or ${param:name}; $${ for a literal ${";
    if (kind == "env") {
      std::optional<std::string> fallback;
      if (const std::size_t dash = name.find(":-"); dash != std::string_view::npos) {
        fallback = std::string(name.substr(dash + 2));
        name = name.substr(0, dash);
      }
      if (!is_name(name)) return error("T0120", fmt::format("{} is not a reference", in_quotes(reference)), kForms);
      if (!context_.env) return error("T0125", "environment variables cannot be used in this document", "use params");
      if (std::optional<std::string> value = context_.env(name)) return value;
      if (fallback) return fallback;
      return error("T0121", fmt::format("environment variable {} is not set", in_quotes(name)),
                   fmt::format("set it, or give a default: ${{env:{}:-value}}", name));
    }
    if (!is_name(name)) return error("T0120", fmt::format("{} is not a reference", in_quotes(reference)), kForms);
    if (kind == "param") {
      if (context_.params == nullptr) return error("T0125", "params cannot be used here", {});
      if (const auto found = context_.params->find(std::string(name)); found != context_.params->end())
        return found->second;
      std::vector<std::string> names;
      for (const auto& [known, value] : *context_.params) names.push_back(known);
      return error("T0123", fmt::format("param {} is not declared", in_quotes(name)),
                   names.empty() ? "declare it under params:" : suggestion(name, names));
    }
    if (kind == "secret") {
      if (!context_.secrets_allowed) return error("T0125", "a secret cannot be used here", context_.secrets_refused);
      if (!whole) return error("T0125", "a secret must be the whole value", "put the complete text into the secret");
      if (context_.secrets == nullptr) {
        return error("T0122", fmt::format("secret {} cannot be read: no directory is named", in_quotes(name)),
                     "add secrets: { directory: ... }");
      }
      auto value = context_.secrets->read(name);
      if (!value) return error("T0122", value.error().message, "each secret is a file in secrets.directory");
      node.secret = Secret(std::string(reference), std::move(value).value());
      return std::nullopt;  // the text stays the reference
    }
    return error("T0120", fmt::format("{} is not a reference", in_quotes(reference)), kForms);
  }

  const ReferenceContext& context_;
  Diagnostics& diagnostics_;
};

}  // namespace

EnvLookup process_environment() {
  return [](std::string_view name) -> std::optional<std::string> {
    const char* value = std::getenv(std::string(name).c_str());
    return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
  };
}

Result<std::string> SecretDirectory::read(std::string_view name) const {
  std::ifstream in(path_ + "/" + std::string(name), std::ios::binary);
  std::string value;
  if (in) value.assign(std::istreambuf_iterator<char>(in), {});
  if (!in.is_open() || in.bad())
    return not_found_error(fmt::format("secret {} cannot be read from {}", in_quotes(name), in_quotes(path_)));
  if (value.size() > kMaxSecretBytes)
    return config_error(fmt::format("secret {} is larger than 64KiB", in_quotes(name)));
  if (value.ends_with('\n')) value.pop_back();
  if (value.ends_with('\r')) value.pop_back();
  if (value.empty()) return config_error(fmt::format("secret {} is empty", in_quotes(name)));
  return value;
}

void resolve_references(Node& node, const ReferenceContext& context, Diagnostics& diagnostics) {
  Resolver(context, diagnostics).visit(node);
}

}  // namespace twinspan::config
