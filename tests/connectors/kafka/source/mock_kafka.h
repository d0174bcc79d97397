#pragma once
// librdkafka's mock brokers with a producer, for faults a real broker is slow at. They know no transactions and no time
// look-ups, keep 5 MiB a partition, and answer an empty fetch only after the client's fetch.wait.max.ms.

#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <cstdint>
#include <string>

namespace twinspan::connectors {

class MockKafka {
 public:
  explicit MockKafka(int brokers = 1) : brokers_(brokers) {
    char why[256];
    auto* host_conf = rd_kafka_conf_new();
    rd_kafka_conf_set(host_conf, "log_level", "0", why, sizeof why);
    host_ = rd_kafka_new(RD_KAFKA_PRODUCER, host_conf, why, sizeof why);
    cluster_ = rd_kafka_mock_cluster_new(host_, brokers);
    auto* conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap().c_str(), why, sizeof why);
    rd_kafka_conf_set(conf, "linger.ms", "1", why, sizeof why);
    rd_kafka_conf_set(conf, "reconnect.backoff.max.ms", "200", why, sizeof why);
    rd_kafka_conf_set(conf, "log_level", "0", why, sizeof why);
    producer_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
  }
  ~MockKafka() {
    rd_kafka_destroy(producer_);
    rd_kafka_mock_cluster_destroy(cluster_);
    rd_kafka_destroy(host_);
  }

  std::string bootstrap() const { return rd_kafka_mock_cluster_bootstraps(cluster_); }
  void create_topic(const std::string& name, int partitions) {
    rd_kafka_mock_topic_create(cluster_, name.c_str(), partitions, 1);
  }
  void down() {
    for (int id = 1; id <= brokers_; ++id) rd_kafka_mock_broker_set_down(cluster_, id);
  }
  void up() {
    for (int id = 1; id <= brokers_; ++id) rd_kafka_mock_broker_set_up(cluster_, id);
  }
  // `count` records "<first>", "<first+1>".. into one partition, acknowledged.
  void produce(const std::string& topic, int partition, int first, int count, std::int64_t timestamp = 0,
               std::size_t size = 0) {
    for (int i = 0; i < count; ++i) {
      std::string value = std::to_string(first + i);
      if (size > value.size()) value.resize(size, '.');
      while (rd_kafka_producev(
                 producer_, RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(partition),
                 RD_KAFKA_V_VALUE(value.data(), value.size()), RD_KAFKA_V_TIMESTAMP(timestamp == 0 ? 0 : timestamp + i),
                 RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END) == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        rd_kafka_poll(producer_, 10);
      }
      rd_kafka_poll(producer_, 0);
    }
    ASSERT_EQ(rd_kafka_flush(producer_, 10'000), RD_KAFKA_RESP_ERR_NO_ERROR);
  }

 private:
  int brokers_;
  rd_kafka_t* host_ = nullptr;
  rd_kafka_mock_cluster_t* cluster_ = nullptr;
  rd_kafka_t* producer_ = nullptr;
};

}  // namespace twinspan::connectors
