#pragma once
// A password or key. Prints as the reference it was written as, everywhere; the value leaves only by `reveal()`, whose
// few callers hand it to a client library. Thread: any.

#include <fmt/format.h>

#include <ostream>
#include <string>
#include <utility>

namespace twinspan::config {

class Secret {
 public:
  Secret() = default;
  Secret(std::string reference, std::string value) : reference_(std::move(reference)), value_(std::move(value)) {}

  const std::string& reveal() const { return value_; }
  const std::string& to_string() const { return reference_; }  // "${secret:kafka_east}", or "(hidden)" for a literal
  bool empty() const { return value_.empty(); }

  friend std::ostream& operator<<(std::ostream& out, const Secret& secret) { return out << secret.reference_; }

 private:
  std::string reference_;
  std::string value_;
};

}  // namespace twinspan::config

template <>
struct fmt::formatter<twinspan::config::Secret> : fmt::formatter<std::string> {
  template <class Context>
  auto format(const twinspan::config::Secret& secret, Context& context) const {
    return fmt::formatter<std::string>::format(secret.to_string(), context);
  }
};
