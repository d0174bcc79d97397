#pragma once
// References inside scalar values: `${env:NAME}`, `${env:NAME:-default}`, `${secret:name}`, `${param:name}`; `$${` is a
// literal `${`. They are resolved on the parsed tree, never on text, and the result is never parsed again, so no value
// can change the shape of a document. One that cannot be resolved is an error: nothing runs with a literal `${...}`. A
// secret is a whole value by itself, kept apart from the text (`Node::secret`), so only a field made for secrets sees
// it. Thread: any.

#include "config/document.h"
#include "engine/base/result.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace twinspan::config {

using EnvLookup = std::function<std::optional<std::string>(std::string_view name)>;

EnvLookup process_environment();

// One file per secret, as systemd's LoadCredential and Kubernetes lay them out; one trailing line end is cut off.
class SecretDirectory {
 public:
  explicit SecretDirectory(std::string path) : path_(std::move(path)) {}
  Result<std::string> read(std::string_view name) const;

 private:
  std::string path_;
};

struct ReferenceContext {
  EnvLookup env;                                               // empty: `${env:}` is not allowed in this document
  const SecretDirectory* secrets = nullptr;                    // null: the service file names no directory
  bool secrets_allowed = false;                                // pipeline files never see secrets
  std::string secrets_refused;                                 // why not, as the hint
  const std::map<std::string, std::string>* params = nullptr;  // null: `${param:}` is not allowed here
};

// Replaces every reference below `node`, in place, before anything reads the tree.
void resolve_references(Node& node, const ReferenceContext& context, Diagnostics& diagnostics);

}  // namespace twinspan::config
