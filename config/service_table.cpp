// The tables of the service file.

#include "config/codec.h"
#include "config/service_spec.h"

namespace twinspan::config {

template <>
struct Choices<SecurityProtocol> {
  static constexpr std::array words{Choice<SecurityProtocol>{"plaintext", SecurityProtocol::plaintext},
                                    Choice<SecurityProtocol>{"ssl", SecurityProtocol::ssl},
                                    Choice<SecurityProtocol>{"sasl_plaintext", SecurityProtocol::sasl_plaintext},
                                    Choice<SecurityProtocol>{"sasl_ssl", SecurityProtocol::sasl_ssl}};
};
template <>
struct Choices<SaslMechanism> {
  static constexpr std::array words{Choice<SaslMechanism>{"PLAIN", SaslMechanism::plain},
                                    Choice<SaslMechanism>{"SCRAM-SHA-256", SaslMechanism::scram_sha_256},
                                    Choice<SaslMechanism>{"SCRAM-SHA-512", SaslMechanism::scram_sha_512},
                                    Choice<SaslMechanism>{"OAUTHBEARER", std::nullopt},
                                    Choice<SaslMechanism>{"GSSAPI", std::nullopt}};
};
template <>
struct Choices<LogLevel> {
  static constexpr std::array words{Choice<LogLevel>{"trace", LogLevel::trace},
                                    Choice<LogLevel>{"debug", LogLevel::debug},
                                    Choice<LogLevel>{"info", LogLevel::info}, Choice<LogLevel>{"warn", LogLevel::warn},
                                    Choice<LogLevel>{"error", LogLevel::error}};
};

// `discovery: static`; every other way is a map, and comes later.
template <>
struct Codec<Discovery> {
  static Shape shape() {
    Shape shape = simple_shape(ShapeKind::choice);
    shape.choices = {"static"};
    return shape;
  }
  static bool read(Reader& reader, const Node& node, Discovery& into) {
    if (node.kind == NodeKind::map && !node.entries.empty()) {
      return reader.unavailable(node.entries.front().name.origin, "discovery: " + node.entries.front().name.value);
    }
    const std::string* text = reader.scalar(node, shape());
    if (text == nullptr) return false;
    if (*text != "static") return refuse_choice(reader, node, shape());
    into = Discovery::fixed;
    return true;
  }
  static std::optional<std::string> text(Discovery) { return "static"; }
};

const char* librdkafka_name(SecurityProtocol protocol) {
  switch (protocol) {
    case SecurityProtocol::plaintext: return "plaintext";
    case SecurityProtocol::ssl: return "ssl";
    case SecurityProtocol::sasl_plaintext: return "sasl_plaintext";
    case SecurityProtocol::sasl_ssl: return "sasl_ssl";
  }
  return "";
}

const char* librdkafka_name(SaslMechanism mechanism) {
  switch (mechanism) {
    case SaslMechanism::plain: return "PLAIN";
    case SaslMechanism::scram_sha_256: return "SCRAM-SHA-256";
    case SaslMechanism::scram_sha_512: return "SCRAM-SHA-512";
  }
  return "";
}

const ObjectTable& SecuritySpec::table() {
  static const ObjectTable kTable =
      TableBuilder<SecuritySpec>("security", "How to connect to the brokers of a cluster.")
          .field("protocol", &SecuritySpec::protocol, "Encryption and authentication on the wire.")
          .field("mechanism", &SecuritySpec::mechanism, "SASL mechanism; needed with a sasl_* protocol.")
          .field("user", &SecuritySpec::user, "SASL user name.")
          .field("password", &SecuritySpec::password, "SASL password: ${secret:name}.")
          .field("ca", &SecuritySpec::ca,
                 "PEM file with the authorities that sign the brokers' certificates; the system's if absent.")
          .field("certificate", &SecuritySpec::certificate, "PEM file with the client's certificate, for mutual TLS.")
          .field("key", &SecuritySpec::key, "PEM file with the client's private key.")
          .field("key_password", &SecuritySpec::key_password, "Password of the private key: ${secret:name}.");
  return kTable;
}

const ObjectTable& WatchdogSpec::table() {
  static const ObjectTable kTable =
      TableBuilder<WatchdogSpec>("watchdog", "How fast a cluster is found to be lost.")
          .field("every", &WatchdogSpec::every, "Time between two probes.", {.min = 10, .max = 60'000})
          .field("deadline", &WatchdogSpec::deadline, "A probe without an answer for so long is bad.",
                 {.min = 10, .max = 120'000})
          .field("suspect_after", &WatchdogSpec::suspect_after, "Bad rounds until the cluster is SUSPECT.",
                 {.min = 1, .max = 100})
          .field("down_after", &WatchdogSpec::down_after, "Further bad rounds until it is DOWN.",
                 {.min = 1, .max = 100})
          .field("retry_refused", &WatchdogSpec::retry_refused, "A refused connection is tried again after so long.",
                 {.min = 10, .max = 60'000});
  return kTable;
}

const ObjectTable& ClusterSpec::table() {
  static const ObjectTable kTable =
      TableBuilder<ClusterSpec>("a cluster",
                                "One Kafka cluster. Pipelines refer to it by name and never carry its credentials.")
          .field("bootstrap", &ClusterSpec::bootstrap, "Brokers to start from, as host:port.",
                 {.required = true, .not_empty = true})
          .field("discovery", &ClusterSpec::discovery, "Where the broker list comes from.")
          .field("security", &ClusterSpec::security, "How to connect.")
          .field("watchdog", &ClusterSpec::watchdog, "How fast it is found to be lost.");
  return kTable;
}

const ObjectTable& SecretsSpec::table() {
  static const ObjectTable kTable = TableBuilder<SecretsSpec>("secrets", "Where ${secret:name} is read from.")
                                        .field("directory", &SecretsSpec::directory,
                                               "A directory with one file per secret; a trailing line end is cut off.",
                                               {.required = true, .not_empty = true});
  return kTable;
}

const ObjectTable& AdminSpec::table() {
  static const ObjectTable kTable =
      TableBuilder<AdminSpec>("admin", "The HTTP API.")
          .field("listen", &AdminSpec::listen, "Loopback address and port, as host:port; port 0 takes a free one.")
          .unavailable("auth")
          .unavailable("audit");
  return kTable;
}

const ObjectTable& LogSpec::table() {
  static const ObjectTable kTable =
      TableBuilder<LogSpec>("log", "The program's own log.")
          .field("level", &LogSpec::level, "The least level that is written.", {.live = true})
          .field("file", &LogSpec::file, "A file to append to; standard error if absent.");
  return kTable;
}

const ObjectTable& NativeSpec::table() {
  static const ObjectTable kTable =
      TableBuilder<NativeSpec>("native", "Plug-ins with functions of their own (engine/native/twinspan_native.h).")
          .field("directory", &NativeSpec::directory,
                 "Every *.so in it is loaded at the start and runs as part of the program; only its owner may write "
                 "there.",
                 {.required = true, .not_empty = true});
  return kTable;
}

const ObjectTable& ServiceSpec::table() {
  static const ObjectTable kTable =
      TableBuilder<ServiceSpec>("the service file", "The operator's file: clusters, secrets, data directory, listener.")
          .field("clusters", &ServiceSpec::clusters, "Kafka clusters by name.", {.required = true, .not_empty = true})
          .field("secrets", &ServiceSpec::secrets, "Where secrets are read from.")
          .field("data_directory", &ServiceSpec::data_directory, "Checkpoints and state; one process at a time.",
                 {.not_empty = true})
          .field("admin", &ServiceSpec::admin, "The HTTP API.")
          .field("log", &ServiceSpec::log, "The program's own log.")
          .field("native", &ServiceSpec::native, "Plug-ins with functions of their own.")
          .unavailable("registries")
          .unavailable("metrics")
          .unavailable("memory");
  return kTable;
}

}  // namespace twinspan::config
