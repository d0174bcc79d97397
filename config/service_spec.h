#pragma once
// The operator's file: clusters with their credentials, secrets, data directory, listener, log. Filled by
// parse_service(). Defaults are the member initializers here and nowhere else. Plain values. Thread: any.

#include "config/fields.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace twinspan::config {

enum class SecurityProtocol { plaintext, ssl, sasl_plaintext, sasl_ssl };
enum class SaslMechanism { plain, scram_sha_256, scram_sha_512 };
enum class Discovery { fixed };  // the bootstrap list is the broker list
enum class LogLevel { trace, debug, info, warn, error };

const char* librdkafka_name(SecurityProtocol protocol);  // security.protocol
const char* librdkafka_name(SaslMechanism mechanism);    // sasl.mechanism

struct SecuritySpec {
  Located<SecurityProtocol> protocol{SecurityProtocol::plaintext, {}};
  std::optional<Located<SaslMechanism>> mechanism;
  Text user;
  Secret password;
  std::string ca;           // PEM files
  std::string certificate;  // of the client, for mutual TLS
  std::string key;
  Secret key_password;
  static const ObjectTable& table();
};

// How fast a cluster is called lost (semantics.md, "Sources").
struct WatchdogSpec {
  Duration every{500};
  Duration deadline{1500};
  std::int64_t suspect_after = 2;  // bad rounds
  std::int64_t down_after = 3;
  Duration retry_refused{100};
  static const ObjectTable& table();
};

struct ClusterSpec {
  std::vector<Text> bootstrap;  // host:port
  Discovery discovery = Discovery::fixed;
  SecuritySpec security;
  WatchdogSpec watchdog;
  static const ObjectTable& table();
};

struct SecretsSpec {
  std::string directory;
  static const ObjectTable& table();
};

struct AdminSpec {
  Text listen{"127.0.0.1:8480", {}};  // host:port; port 0 = any free one
  static const ObjectTable& table();
};

struct LogSpec {
  LogLevel level = LogLevel::info;
  std::string file;  // empty: standard error
  static const ObjectTable& table();
};

// Plug-ins with functions of their own.
struct NativeSpec {
  Text directory;
  static const ObjectTable& table();
};

struct ServiceSpec {
  IdMap<ClusterSpec> clusters;
  SecretsSpec secrets;
  std::string data_directory = "./twinspan-data";
  AdminSpec admin;
  LogSpec log;
  std::optional<NativeSpec> native;
  static const ObjectTable& table();
};

}  // namespace twinspan::config
