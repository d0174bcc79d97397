#include "gateway/demo/generator.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>

#include <fmt/format.h>

namespace twinspan::gateway {

namespace {
constexpr int kTickMs = 10;
constexpr EventTime kSliceMs =
    5'000;  // of event time at a time, so that stopping and breaking are noticed while catching up
constexpr const char* kTopics[] = {"ad_impression", "ad_click"};  // by Traffic::Kind
}  // namespace

struct Generator::Producer {
  rd_kafka_t* client = nullptr;

  static Result<std::unique_ptr<Producer>> open(const std::string& bootstrap) {
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, nullptr);
    const std::pair<const char*, const char*> settings[] = {
        {"bootstrap.servers", bootstrap.c_str()},
        {"linger.ms", "20"},
        {"message.timeout.ms", "0"},  // records for a broken cluster wait for its return
        {"partitioner", "murmur2_random"},
        {"reconnect.backoff.ms", "50"},
        {"reconnect.backoff.max.ms", "500"},
        {"compression.codec", "lz4"},
    };
    char why[512];
    for (const auto& [name, value] : settings) {
      if (rd_kafka_conf_set(conf, name, value, why, sizeof why) == RD_KAFKA_CONF_OK) continue;
      rd_kafka_conf_destroy(conf);
      return permanent_error(fmt::format("generator: {}", why));
    }
    auto out = std::make_unique<Producer>();
    out->client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (out->client != nullptr) return out;
    rd_kafka_conf_destroy(conf);
    return permanent_error(fmt::format("generator: {}", why));
  }

  ~Producer() {
    if (client == nullptr) return;
    rd_kafka_purge(client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_poll(client, 0);
    rd_kafka_destroy(client);
  }
};

Result<std::unique_ptr<Generator>> Generator::start(const GeneratorSettings& settings, const Clock& clock) {
  std::unique_ptr<Generator> out(new Generator(settings, clock));
  for (std::size_t i = 0; i < 2; ++i) {
    TS_TRY(producer, Producer::open(settings.bootstraps[i]));
    out->producers_[i] = std::move(producer);
  }
  out->thread_ = std::jthread([g = out.get()](std::stop_token stop) { g->run(stop); });
  return out;
}

Generator::Generator(const GeneratorSettings& settings, const Clock& clock)
    : settings_(settings), clock_(clock), traffic_(settings.traffic, settings.start - settings.history_ms) {}

Generator::~Generator() { stop(); }

void Generator::stop() {
  thread_ = {};
  for (auto& p : producers_) p.reset();
}

void Generator::set_broken(unsigned cluster, bool broken) { broken_[cluster] = broken; }

Generator::Figures Generator::figures() const {
  return {event_time_.load(), impressions_.load(), clicks_.load(), {sent_[0].load(), sent_[1].load()}};
}

void Generator::run(std::stop_token stop) {
  double target = static_cast<double>(settings_.start);
  std::int64_t last = clock_.monotonic_ms();
  while (!stop.stop_requested()) {
    const std::int64_t now = clock_.monotonic_ms();
    // Nobody sees ads while nobody can be told of them.
    if (!broken_[0] || !broken_[1]) target += static_cast<double>(now - last) * settings_.speed;
    last = now;
    while (traffic_.now() < static_cast<EventTime>(target) && !stop.stop_requested() && !(broken_[0] && broken_[1])) {
      traffic_.advance(std::min(static_cast<EventTime>(target), traffic_.now() + kSliceMs),
                       [&](Traffic::Kind kind, std::string_view key, std::string_view value, EventTime) {
                         send(kind, key, value, stop);
                       });
      event_time_ = traffic_.now();
    }
    rd_kafka_poll(producers_[1]->client, 0);
    rd_kafka_poll(producers_[0]->client, kTickMs);
  }
}

void Generator::send(Traffic::Kind kind, std::string_view key, std::string_view value, std::stop_token stop) {
  std::size_t to = turn_++ % 2;
  while (!stop.stop_requested()) {
    if (broken_[to] && !broken_[1 - to]) to = 1 - to;
    const auto error = rd_kafka_producev(producers_[to]->client, RD_KAFKA_V_TOPIC(kTopics[static_cast<int>(kind)]),
                                         RD_KAFKA_V_KEY(key.data(), key.size()),
                                         RD_KAFKA_V_VALUE(const_cast<char*>(value.data()), value.size()),
                                         RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
      ++(kind == Traffic::Kind::impression ? impressions_ : clicks_);
      ++sent_[to];
      return;
    }
    // The queue is full: wait for acknowledgements.
    rd_kafka_poll(producers_[to]->client, kTickMs);
  }
}

}  // namespace twinspan::gateway
