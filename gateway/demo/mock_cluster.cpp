#include "gateway/demo/mock_cluster.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <chrono>
#include <thread>

#include <fmt/format.h>

namespace twinspan::gateway {

namespace {

constexpr int kBroker = 1;  // one broker: the demo loses whole clusters

// The mock thread answers a command before it empties its wake-up pipe (librdkafka 2.8.0, rdkafka_mock.c,
// io_poll): the wake-up of a command that comes in between is lost with it, and that command waits a second.
// So none comes at once.
void let_it_settle() { std::this_thread::sleep_for(std::chrono::milliseconds(2)); }

}  // namespace

struct MockCluster::Handles {
  rd_kafka_t* host = nullptr;  // a mock cluster lives on the threads of a client
  rd_kafka_mock_cluster_t* cluster = nullptr;
  ~Handles() {
    if (cluster != nullptr) rd_kafka_mock_cluster_destroy(cluster);
    if (host != nullptr) rd_kafka_destroy(host);
  }
};

MockCluster::MockCluster(std::string name, std::unique_ptr<Handles> handles)
    : name_(std::move(name)),
      bootstrap_(rd_kafka_mock_cluster_bootstraps(handles->cluster)),
      handles_(std::move(handles)) {}

MockCluster::~MockCluster() = default;

Result<std::unique_ptr<MockCluster>> MockCluster::start(const std::string& name) {
  auto handles = std::make_unique<Handles>();
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set_log_cb(conf, nullptr);
  char why[512];
  handles->host = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
  if (handles->host == nullptr) {
    rd_kafka_conf_destroy(conf);
    return permanent_error(fmt::format("mock cluster '{}' cannot start: {}", name, why));
  }
  handles->cluster = rd_kafka_mock_cluster_new(handles->host, 1);
  if (handles->cluster == nullptr)
    return permanent_error(fmt::format("mock cluster '{}' cannot start: is there no free loopback port?", name));
  return std::unique_ptr<MockCluster>(new MockCluster(name, std::move(handles)));
}

Status MockCluster::create_topic(const std::string& topic, int partitions) {
  const auto error = rd_kafka_mock_topic_create(handles_->cluster, topic.c_str(), partitions, 1);
  let_it_settle();
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
    return permanent_error(fmt::format("topic '{}' on mock cluster '{}': {}", topic, name_, rd_kafka_err2str(error)));
  return ok();
}

void MockCluster::break_down() {
  rd_kafka_mock_broker_set_down(handles_->cluster, kBroker);
  let_it_settle();
  broken_ = true;
}

void MockCluster::mend() {
  rd_kafka_mock_broker_set_up(handles_->cluster, kBroker);
  let_it_settle();
  broken_ = false;
}

}  // namespace twinspan::gateway
