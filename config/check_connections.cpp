#include "config/checks.h"

#include "config/suggest.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace twinspan::config {

namespace {

// What may be tuned without touching identity, credentials, positions or delivery.
constexpr std::array<std::string_view, 22> kClientSettings = {"fetch.min.bytes",
                                                              "fetch.wait.max.ms",
                                                              "fetch.message.max.bytes",
                                                              "max.partition.fetch.bytes",
                                                              "fetch.max.bytes",
                                                              "fetch.error.backoff.ms",
                                                              "fetch.queue.backoff.ms",
                                                              "queued.min.messages",
                                                              "queued.max.messages.kbytes",
                                                              "receive.message.max.bytes",
                                                              "check.crcs",
                                                              "client.rack",
                                                              "socket.timeout.ms",
                                                              "socket.connection.setup.timeout.ms",
                                                              "socket.keepalive.enable",
                                                              "socket.nagle.disable",
                                                              "socket.receive.buffer.bytes",
                                                              "reconnect.backoff.ms",
                                                              "reconnect.backoff.max.ms",
                                                              "broker.address.family",
                                                              "connections.max.idle.ms",
                                                              "topic.metadata.refresh.interval.ms"};

class ConnectionChecker {
 public:
  ConnectionChecker(const PipelineSpec& pipeline, const ServiceSpec* service, Diagnostics& diagnostics)
      : pipeline_(pipeline), service_(service), diagnostics_(diagnostics) {}

  void run() {
    for (const auto& entry : pipeline_.sources) source(entry);
    for (const auto& entry : pipeline_.sinks) {
      const SinkSpec& sink = entry.value;
      destination("sink", entry.name.origin, entry.name.value, entry.end, sink.topic,
                  sink.clusters ? &sink.clusters->names : nullptr, sink.file);
    }
    if (const auto& letters = pipeline_.dead_letter) {
      destination("dead_letter", letters->origin, "", letters->end, letters->topic,
                  letters->clusters ? &letters->clusters->names : nullptr, letters->file);
    }
    on_errors();
  }

 private:
  void destination(std::string_view what, const Origin& at, std::string_view name, std::size_t end,
                   const std::optional<TopicSpec>& topic, const std::vector<Id>* clusters,
                   const std::optional<Text>& file) {
    const std::string subject = name.empty() ? std::string(what) : fmt::format("{} {}", what, in_quotes(name));
    // What is missing may be what an error in here kept from being read.
    const bool complete = !diagnostics_.has_error_between(at.begin, end);
    if (file && (topic || clusters != nullptr)) {
      diagnostics_.error(file->origin, "T0212",
                         fmt::format("{} has a file and also {}", subject, topic ? "a topic" : "clusters"),
                         "a file stands in place of topic and clusters");
    }
    if (!file && !topic && complete) {
      diagnostics_.error(at, "T0202", fmt::format("{} needs 'topic' and 'clusters', or 'file'", subject));
    } else if (topic && clusters == nullptr && complete) {
      diagnostics_.error(at, "T0202", fmt::format("{} needs key 'clusters'", subject),
                         "clusters: name, or clusters: { pair: [a, b] }");
    } else if (!file && !topic && clusters == nullptr) {
      return;
    }
    if (clusters == nullptr) return;
    for (const Id& cluster : *clusters) check_cluster(cluster);
    if (topic && !topic->per_cluster.empty()) per_cluster(*topic, *clusters);
  }

  void check_cluster(const Id& cluster) {
    if (service_ == nullptr || service_->clusters.find(cluster.value) != nullptr) return;
    diagnostics_.error(cluster.origin, "T0306",
                       fmt::format("cluster {} is not in the service file", in_quotes(cluster.value)),
                       suggestion(cluster.value, service_->clusters.names()));
  }

  void per_cluster(const TopicSpec& topic, const std::vector<Id>& clusters) {
    std::vector<std::string> names;
    for (const Id& cluster : clusters) {
      names.push_back(cluster.value);
      if (topic.per_cluster.find(cluster.value) == nullptr) {
        diagnostics_.error(cluster.origin, "T0306",
                           fmt::format("no topic is named for cluster {}", in_quotes(cluster.value)),
                           "topic: { cluster: name, ... } names all of them");
      }
    }
    for (const auto& entry : topic.per_cluster) {
      if (std::find(names.begin(), names.end(), entry.name.value) == names.end()) {
        diagnostics_.error(entry.name.origin, "T0306",
                           fmt::format("{} is not among the clusters here", in_quotes(entry.name.value)),
                           suggestion(entry.name.value, names));
      }
    }
  }

  void source(const NamedMap<SourceSpec>::Entry& entry) {
    const SourceSpec& source = entry.value;
    destination("source", entry.name.origin, entry.name.value, entry.end, source.topic,
                source.clusters ? &source.clusters->names : nullptr, source.file);
    if (const auto& field = source.event_time.field;
        field && !source.fields.empty() && source.fields.find(field->value) == nullptr) {
      diagnostics_.error(field->origin, "T0314",
                         fmt::format("event time field {} is not among the fields", in_quotes(field->value)),
                         suggestion(field->value, source.fields.names()));
    }
    for (const auto& setting : source.client) {
      if (std::find(kClientSettings.begin(), kClientSettings.end(), setting.name.value) != kClientSettings.end())
        continue;
      const std::string near = nearest_name(setting.name.value, {kClientSettings.begin(), kClientSettings.end()});
      diagnostics_.error(
          setting.name.origin, "T0309", fmt::format("client setting {} is not allowed", in_quotes(setting.name.value)),
          near.empty() ? "only settings that tune fetching and connections are; credentials belong to the service file"
                       : fmt::format("did you mean '{}'?", near));
    }
  }

  void on_errors() {
    if (pipeline_.dead_letter) return;
    const auto check = [&](const std::optional<Located<OnError>>& on_error) {
      if (!on_error || on_error->value != OnError::dead_letter) return;
      diagnostics_.error(on_error->origin, "T0315", "the pipeline has no dead letters",
                         "add dead_letter: { topic: ..., clusters: ... } to the pipeline, or choose skip or fail");
    };
    for (const auto& entry : pipeline_.sources) check(entry.value.format.on_error);
    for (const auto& entry : pipeline_.steps) check(entry.value.on_error);
  }

  const PipelineSpec& pipeline_;
  const ServiceSpec* service_;
  Diagnostics& diagnostics_;
};

}  // namespace

void check_connections(const PipelineSpec& pipeline, const ServiceSpec* service, Diagnostics& diagnostics) {
  ConnectionChecker(pipeline, service, diagnostics).run();
}

namespace {

// "host:port"; the host may be an address in brackets.
bool is_host_port(std::string_view text, std::string_view& host) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.find(' ') != std::string_view::npos || host.find('/') != std::string_view::npos) return false;
  if (host.find(':') != std::string_view::npos && (host.front() != '[' || host.back() != ']')) return false;
  if (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != std::string_view::npos) return false;
  return std::stoi(std::string(port)) <= 65535;
}

void check_security(const NamedMap<ClusterSpec>::Entry& entry, Diagnostics& diagnostics) {
  const SecuritySpec& security = entry.value.security;
  const bool sasl = security.protocol.value == SecurityProtocol::sasl_plaintext ||
                    security.protocol.value == SecurityProtocol::sasl_ssl;
  const Origin& at = security.protocol.origin ? security.protocol.origin : entry.name.origin;
  if (sasl && !diagnostics.has_error_between(entry.name.origin.begin, entry.end)) {
    const char* missing = !security.mechanism           ? "mechanism"
                          : security.user.value.empty() ? "user"
                          : security.password.empty()   ? "password"
                                                        : nullptr;
    if (missing != nullptr) diagnostics.error(at, "T0202", fmt::format("security with SASL needs key '{}'", missing));
  }
  if (!sasl && security.mechanism) {
    diagnostics.error(security.mechanism->origin, "T0212", "a SASL mechanism needs a SASL protocol",
                      "write protocol: sasl_ssl");
  }
}

}  // namespace

void check_service(const ServiceSpec& service, Diagnostics& diagnostics) {
  std::string_view host;
  for (const auto& entry : service.clusters) {
    for (const Text& broker : entry.value.bootstrap) {
      if (!broker.value.empty() && !is_host_port(broker.value, host)) {
        diagnostics.error(broker.origin, "T0316", fmt::format("{} is not host:port", in_quotes(broker.value)),
                          "such as k1.example:9092");
      }
    }
    check_security(entry, diagnostics);
  }
  const Text& listen = service.admin.listen;
  if (!is_host_port(listen.value, host)) {
    diagnostics.error(listen.origin, "T0316", fmt::format("{} is not host:port", in_quotes(listen.value)),
                      "such as 127.0.0.1:8480");
  } else if (!host.starts_with("127.") && host != "localhost" && host != "[::1]") {
    diagnostics.error(listen.origin, "T0317", fmt::format("{} is not a loopback address", in_quotes(host)),
                      "without authentication the API listens on 127.0.0.1 only");
  }
}

}  // namespace twinspan::config
