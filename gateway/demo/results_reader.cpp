#include "gateway/demo/results_reader.h"

#include <librdkafka/rdkafka.h>

#include <fmt/format.h>

namespace twinspan::gateway {

namespace {

constexpr int kPollMs = 100;

std::string_view header(const rd_kafka_message_t& message, const char* name) {
  rd_kafka_headers_t* headers = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return {};
  if (rd_kafka_header_get_last(headers, name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR) return {};
  return {static_cast<const char*>(value), size};
}

}  // namespace

struct ResultsReader::Reader {
  std::string cluster;
  rd_kafka_t* client = nullptr;
  std::jthread thread;
  ~Reader() {
    thread = {};
    if (client != nullptr) rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
  }
};

Result<std::unique_ptr<ResultsReader>> ResultsReader::start(const std::vector<Cluster>& clusters,
                                                            const std::string& topic, int partitions) {
  std::unique_ptr<ResultsReader> out(new ResultsReader);
  for (const Cluster& cluster : clusters) {
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, nullptr);
    const std::pair<const char*, const char*> settings[] = {
        {"bootstrap.servers", cluster.bootstrap.c_str()},
        {"group.id", "twinspan-demo-screen"},  // a consumer needs one; nothing is committed
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"auto.offset.reset", "earliest"},
        {"fetch.wait.max.ms", "50"},
        {"reconnect.backoff.ms", "50"},
        {"reconnect.backoff.max.ms", "500"},
    };
    char why[512];
    for (const auto& [name, value] : settings) {
      if (rd_kafka_conf_set(conf, name, value, why, sizeof why) == RD_KAFKA_CONF_OK) continue;
      rd_kafka_conf_destroy(conf);
      return permanent_error(fmt::format("results of '{}': {}", cluster.name, why));
    }
    auto reader = std::make_unique<Reader>();
    reader->cluster = cluster.name;
    reader->client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (reader->client == nullptr) {
      rd_kafka_conf_destroy(conf);
      return permanent_error(fmt::format("results of '{}': {}", cluster.name, why));
    }
    rd_kafka_poll_set_consumer(reader->client);
    rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(partitions);
    for (int p = 0; p < partitions; ++p)
      rd_kafka_topic_partition_list_add(list, topic.c_str(), p)->offset = RD_KAFKA_OFFSET_BEGINNING;
    const auto error = rd_kafka_assign(reader->client, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
      return permanent_error(fmt::format("results of '{}': {}", cluster.name, rd_kafka_err2str(error)));
    out->readers_.push_back(std::move(reader));
  }
  for (auto& reader : out->readers_)
    reader->thread = std::jthread([o = out.get(), r = reader.get()](std::stop_token stop) { o->read(*r, stop); });
  return out;
}

ResultsReader::~ResultsReader() { stop(); }

void ResultsReader::stop() {
  for (auto& reader : readers_) reader->thread.request_stop();
  readers_.clear();
}

void ResultsReader::read(Reader& reader, std::stop_token stop) {
  while (!stop.stop_requested()) {
    rd_kafka_message_t* message = rd_kafka_consumer_poll(reader.client, kPollMs);
    if (message == nullptr) continue;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      ResultRecord record;
      record.value = {static_cast<const char*>(message->payload), message->len};
      record.identity = header(*message, "twinspan-id");
      record.final = header(*message, "twinspan-final") != "false";
      std::lock_guard lock(mutex_);
      table_.add(reader.cluster, record);
    }
    rd_kafka_message_destroy(message);
  }
}

ResultSummary ResultsReader::snapshot() const {
  std::lock_guard lock(mutex_);
  return table_.summary();
}

}  // namespace twinspan::gateway
