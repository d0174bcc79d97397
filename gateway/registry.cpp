#include "gateway/registry.h"

#include <spdlog/spdlog.h>

#include <fmt/format.h>

#include "connectors/file/file_sink.h"
#include "connectors/file/file_source.h"
#include "connectors/kafka/kafka_sink.h"
#include "connectors/kafka/kafka_source.h"

namespace twinspan::gateway {

namespace {

connectors::WatchdogSettings watchdog_settings(const config::ServiceSpec& service) {
  connectors::WatchdogSettings out;
  // One set for all clusters of the process: the most patient one asked for.
  bool first = true;
  for (const auto& c : service.clusters) {
    const config::WatchdogSpec& w = c.value.watchdog;
    const auto patient = [first](auto& current, auto wanted) {
      using T = std::remove_reference_t<decltype(current)>;
      current = first ? static_cast<T>(wanted) : std::max(current, static_cast<T>(wanted));
    };
    patient(out.probe_every_ms, w.every.count());
    patient(out.deadline_ms, w.deadline.count());
    patient(out.hard_every_ms, w.retry_refused.count());
    patient(out.rules.suspect_after, w.suspect_after);
    patient(out.rules.down_after, w.down_after);
    first = false;
  }
  return out;
}

const char* compression_name(config::Compression c) {
  switch (c) {
    case config::Compression::none: return "none";
    case config::Compression::gzip: return "gzip";
    case config::Compression::snappy: return "snappy";
    case config::Compression::lz4: return "lz4";
    case config::Compression::zstd: return "zstd";
  }
  return "lz4";
}

const char* partitioner_name(config::Partitioner p) {
  switch (p) {
    case config::Partitioner::murmur2_random: return "murmur2_random";
    case config::Partitioner::murmur2: return "murmur2";
    case config::Partitioner::consistent_random: return "consistent_random";
    case config::Partitioner::consistent: return "consistent";
    case config::Partitioner::fnv1a_random: return "fnv1a_random";
    case config::Partitioner::fnv1a: return "fnv1a";
    case config::Partitioner::random: return "random";
  }
  return "murmur2_random";
}

}  // namespace

ConnectorRegistry::ConnectorRegistry(const config::ServiceSpec& service, const Clock& clock, ConnectorOptions options)
    : service_(service), clock_(clock), options_(options), health_(watchdog_settings(service)) {}

ConnectorRegistry::~ConnectorRegistry() = default;

Result<connectors::ClusterSettings> ConnectorRegistry::cluster(const std::string& name) const {
  const config::ClusterSpec* spec = service_.clusters.find(name);
  if (spec == nullptr)
    return config_error(
        fmt::format("cluster '{}' is not in the service file; pass one with -c that names it under clusters", name));
  connectors::ClusterSettings out;
  out.name = name;
  for (const config::Text& address : spec->bootstrap)
    out.bootstrap += (out.bootstrap.empty() ? "" : ",") + address.value;
  const config::SecuritySpec& s = spec->security;
  out.client["security.protocol"] = config::librdkafka_name(s.protocol.value);
  if (s.mechanism) out.client["sasl.mechanism"] = config::librdkafka_name(s.mechanism->value);
  if (!s.user.value.empty()) out.client["sasl.username"] = s.user.value;
  if (!s.password.empty()) out.client["sasl.password"] = s.password.reveal();
  if (!s.ca.empty()) out.client["ssl.ca.location"] = s.ca;
  if (!s.certificate.empty()) out.client["ssl.certificate.location"] = s.certificate;
  if (!s.key.empty()) out.client["ssl.key.location"] = s.key;
  if (!s.key_password.empty()) out.client["ssl.key.password"] = s.key_password.reveal();
  return out;
}

connectors::ConsumerSet& ConnectorRegistry::consumers(const std::string& pipeline,
                                                      const std::map<std::string, std::string>& client) {
  auto& set = consumers_[pipeline];
  if (set == nullptr) {
    connectors::ConsumerOptions options;
    options.mock = options_.mock;
    if (options_.mock) {
      options.fetch_wait_max_ms = 20;
      options.read_committed = false;
    }
    options.client = client;
    set = std::make_unique<connectors::ConsumerSet>(pipeline, std::move(options), clock_);
  }
  return *set;
}

Result<std::unique_ptr<connectors::Source>> ConnectorRegistry::make_source(const SourceRequest& request) {
  const config::SourceSpec& spec = *request.plan->spec;
  if (spec.file)
    return std::unique_ptr<connectors::Source>(
        std::make_unique<connectors::FileSource>(connectors::FileSourceOptions{spec.file->value, request.shards}));
  connectors::KafkaSourceSettings settings;
  settings.name = request.plan->id;
  for (const config::Id& name : spec.clusters->names) {
    TS_TRY(member, cluster(name.value));
    settings.clusters.push_back({std::move(member), {spec.topic->on(name.value)}});
  }
  settings.start = static_cast<connectors::KafkaSourceSettings::Start>(spec.start.at);
  settings.start_ms = spec.start.timestamp_ms;
  settings.on_gap = static_cast<connectors::KafkaSourceSettings::OnGap>(spec.on_gap);
  settings.readmit_after_ms = spec.readmit_after.count();
  settings.bounded = request.bounded;
  settings.shards = request.shards;
  settings.log = spdlog::default_logger()->clone(request.pipeline);
  std::map<std::string, std::string> client;
  for (const auto& c : spec.client) client[c.name.value] = c.value.value;
  TS_TRY(source,
         connectors::KafkaSource::make(std::move(settings), consumers(request.pipeline, client), health_, clock_));
  return std::unique_ptr<connectors::Source>(std::move(source));
}

Result<std::unique_ptr<connectors::Sink>> ConnectorRegistry::make_sink(const SinkRequest& request) {
  const std::optional<config::Text>& file = request.sink != nullptr ? request.sink->file : request.dead_letter->file;
  if (file)
    return std::unique_ptr<connectors::Sink>(std::make_unique<connectors::FileSink>(
        connectors::FileSinkOptions{request.id, file->value, request.shards}, clock_));
  const config::TopicSpec& topic = request.sink != nullptr ? *request.sink->topic : *request.dead_letter->topic;
  const config::RouteSpec& route = request.sink != nullptr ? *request.sink->clusters : *request.dead_letter->clusters;
  connectors::KafkaSinkSettings settings;
  settings.name = request.id;
  settings.unit = request.unit;
  settings.incarnation = request.incarnation;
  settings.shards = request.shards;
  for (const config::Id& name : route.names) {
    TS_TRY(member, cluster(name.value));
    TS_TRY(health, health_.get(member));
    if (request.sink != nullptr) member.client["partitioner"] = partitioner_name(request.sink->partitioner);
    settings.clusters.push_back({std::move(member), topic.on(name.value), health});
  }
  settings.route.fail_back_after_ms = route.fail_back_after.count();
  if (request.sink != nullptr) settings.producer.compression = compression_name(request.sink->compression);
  settings.restored_cluster = request.route_cluster;
  settings.restored_generation = request.route_generation;
  settings.persist_route = request.persist_route;
  settings.rejected = request.rejected;
  settings.log = spdlog::default_logger()->clone(request.pipeline);
  TS_TRY(sink, connectors::KafkaSink::make(std::move(settings), clock_));
  return std::unique_ptr<connectors::Sink>(std::move(sink));
}

void ConnectorRegistry::pipeline_stopped(const std::string& pipeline) { consumers_.erase(pipeline); }

}  // namespace twinspan::gateway
