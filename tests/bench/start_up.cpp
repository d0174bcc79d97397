#include "tests/bench/start_up.h"

#include <chrono>
#include <csignal>
#include <fstream>
#include <memory>
#include <stdexcept>

#include <librdkafka/rdkafka.h>
#include <sys/wait.h>

#include <fmt/format.h>

#include "tests/support/child_process.h"

namespace twinspan::bench {

namespace {

// A consumer that already waits at the end of partition 0 when the program starts.
class Waiting {
 public:
  Waiting(const std::string& bootstrap, const std::string& topic) {
    char error[512];
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    for (const auto& [key, value] : {std::pair<const char*, const char*>{"bootstrap.servers", bootstrap.c_str()},
                                     {"group.id", "bench"},
                                     {"enable.auto.commit", "false"},
                                     {"fetch.wait.max.ms", "10"},
                                     {"enable.partition.eof", "true"}})
      if (rd_kafka_conf_set(conf, key, value, error, sizeof error) != RD_KAFKA_CONF_OK) throw std::runtime_error(error);
    consumer_.reset(rd_kafka_new(RD_KAFKA_CONSUMER, conf, error, sizeof error));
    if (!consumer_) throw std::runtime_error(error);
    rd_kafka_poll_set_consumer(consumer_.get());
    rd_kafka_topic_partition_list_t* lanes = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(lanes, topic.c_str(), 0)->offset = 0;
    rd_kafka_assign(consumer_.get(), lanes);
    rd_kafka_topic_partition_list_destroy(lanes);
    while (next(RD_KAFKA_RESP_ERR__PARTITION_EOF, 30'000) == nullptr) throw std::runtime_error("no empty output topic");
  }
  void record() {
    if (next(RD_KAFKA_RESP_ERR_NO_ERROR, 30'000) == nullptr)
      throw std::runtime_error("no output within 30 s of a start");
  }

 private:
  struct Close {
    void operator()(rd_kafka_t* k) const { rd_kafka_destroy(k); }
    void operator()(rd_kafka_message_t* m) const { rd_kafka_message_destroy(m); }
  };
  using Message = std::unique_ptr<rd_kafka_message_t, Close>;

  Message next(rd_kafka_resp_err_t wanted, int limit_ms) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(limit_ms);
    while (std::chrono::steady_clock::now() < end) {
      Message m(rd_kafka_consumer_poll(consumer_.get(), 100));
      if (m && m->err == wanted) return m;
    }
    return nullptr;
  }

  std::unique_ptr<rd_kafka_t, Close> consumer_;
};

}  // namespace

std::vector<double> first_output_ms(testing::KafkaCluster& cluster, const std::string& input_topic, int starts) {
  std::vector<double> took;
  for (int i = 0; i < starts; ++i) {
    const std::string output = fmt::format("{}-out-{}", input_topic, i);
    cluster.create_topic(output, 1, {{"retention.ms", "-1"}});
    testing::TempDir dir("twinspan-bench-");
    std::ofstream(dir.path() + "/service.yaml") << fmt::format(
        "clusters:\n  east: {{ bootstrap: [\"{}\"] }}\ndata_directory: {}/data\nadmin: {{ listen: \"127.0.0.1:0\" }}\n",
        cluster.bootstrap(), dir.path());
    std::ofstream(dir.path() + "/pipeline.yaml") << fmt::format(
        "version: 1\nname: start\nsources:\n  events: {{ topic: {}, clusters: east, start: earliest, fields: {{ "
        "event_id: int64, ts: timestamp_ms }}, event_time: {{ field: ts }} }}\nsinks:\n  out: {{ from: events, topic: "
        "{}, clusters: east, format: {{ type: json }} }}\n",
        input_topic, output);
    Waiting waiting(cluster.bootstrap(), output);
    const auto begin = std::chrono::steady_clock::now();
    const pid_t pid =
        testing::spawn({TWINSPAN_BINARY, "run", "-c", dir.path() + "/service.yaml", dir.path() + "/pipeline.yaml"},
                       {dir.path() + "/log", {}});
    waiting.record();
    took.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
    ::kill(pid, SIGINT);
    waitpid(pid, nullptr, 0);
  }
  return took;
}

}  // namespace twinspan::bench
