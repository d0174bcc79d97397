#include "connectors/kafka/rdkafka_handle.h"

#include <spdlog/spdlog.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string_view>
#include <thread>

namespace twinspan::connectors {
namespace {

// How many clients are on their way out. Leaked on purpose: reaper threads may outlive static destruction.
struct Reaped {
  std::mutex mutex;
  std::condition_variable changed;
  int running = 0;
};

Reaped& reaped() {
  static auto* instance = new Reaped;
  return *instance;
}

struct Setting {
  const char* name;
  const char* value;
};

// kafka_ha.md section 2, "tuned". Telemetry is off because its code had defects in the versions we run on.
constexpr std::array kCommon = {
    Setting{"socket.timeout.ms", "3000"},
    Setting{"socket.connection.setup.timeout.ms", "1500"},
    Setting{"api.version.request.timeout.ms", "2000"},
    Setting{"reconnect.backoff.ms", "100"},
    Setting{"reconnect.backoff.max.ms", "1000"},
    Setting{"topic.metadata.refresh.interval.ms", "5000"},
    Setting{"socket.nagle.disable", "true"},
    Setting{"allow.auto.create.topics", "false"},
    Setting{"enable.metrics.push", "false"},
    Setting{"log.connection.close", "false"},
};

void log_line(const rd_kafka_t* rk, int level, const char* facility, const char* text) {
  // A connection that fails is the watchdog's news, once; every client of an outage would repeat it.
  const std::string_view about = facility;
  if (about == "FAIL" || about == "REQTMOUT" || about == "GETPID" ||
      std::string_view(text).find("brokers are down") != std::string_view::npos)
    level = 7;
  const auto to = level <= 3 ? spdlog::level::warn : level <= 4 ? spdlog::level::info : spdlog::level::debug;
  spdlog::log(to, "kafka client {}: {}: {}", rk != nullptr ? rd_kafka_name(rk) : "-", facility, text);
}

}  // namespace

void RdHandle::reap() {
  if (rk_ == nullptr) return;
  auto& all = reaped();
  {
    std::lock_guard lock(all.mutex);
    ++all.running;
  }
  std::thread([rk = std::exchange(rk_, nullptr), &all] {
    rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    std::lock_guard lock(all.mutex);
    --all.running;
    all.changed.notify_all();
  }).detach();
}

bool wait_for_reaped(int timeout_ms) {
  auto& all = reaped();
  std::unique_lock lock(all.mutex);
  return all.changed.wait_for(lock, std::chrono::milliseconds(timeout_ms), [&] { return all.running == 0; });
}

Status set_conf(RdConf& conf, const char* name, const std::string& value) {
  std::array<char, 256> why{};
  if (rd_kafka_conf_set(conf.get(), name, value.c_str(), why.data(), why.size()) == RD_KAFKA_CONF_OK) return ok();
  // The text librdkafka gives may quote the value, which may be a password.
  return config_error(std::string("the Kafka client refuses the setting '") + name +
                      "' (unknown, or its value is out of range)");
}

Result<RdConf> make_client_conf(const ClusterSettings& cluster, const char* role) {
  RdConf conf(rd_kafka_conf_new());
  rd_kafka_conf_set_log_cb(conf.get(), log_line);
  for (const auto& [name, value] : kCommon) TS_TRYV(set_conf(conf, name, value));
  TS_TRYV(set_conf(conf, "bootstrap.servers", cluster.bootstrap));
  TS_TRYV(set_conf(conf, "client.id", "twinspan." + cluster.name + "." + role));
  for (const auto& [name, value] : cluster.client) TS_TRYV(set_conf(conf, name.c_str(), value));
  return conf;
}

Result<RdHandle> make_client(rd_kafka_type_t type, RdConf conf, const ClusterSettings& cluster) {
  std::array<char, 512> why{};
  rd_kafka_t* rk = rd_kafka_new(type, conf.get(), why.data(), why.size());
  if (rk == nullptr) return config_error("no Kafka client for cluster '" + cluster.name + "': " + why.data());
  conf.release();  // rd_kafka_new took it
  return RdHandle(rk);
}

}  // namespace twinspan::connectors
