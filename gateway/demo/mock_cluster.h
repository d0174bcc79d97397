#pragma once
// One embedded Kafka cluster of the demo: a librdkafka mock broker on a free loopback port, reachable by any
// client of this machine (kcat, another twinspan). Broken, it refuses connections and keeps its records;
// mended, it answers on the same port. It knows no transactions, answers no time look-ups and keeps 5 MiB a
// partition (kafka_ha.md, section 1). Owned by the demo; clients of it should be gone first. Thread: control.

#include <memory>
#include <string>

#include "engine/base/result.h"

namespace twinspan::gateway {

class MockCluster {
 public:
  static Result<std::unique_ptr<MockCluster>> start(const std::string& name);
  ~MockCluster();

  Status create_topic(const std::string& topic, int partitions);
  void break_down();
  void mend();
  bool broken() const { return broken_; }
  const std::string& name() const { return name_; }
  const std::string& bootstrap() const { return bootstrap_; }  // host:port

 private:
  struct Handles;
  MockCluster(std::string name, std::unique_ptr<Handles> handles);
  const std::string name_;
  std::string bootstrap_;
  bool broken_ = false;
  std::unique_ptr<Handles> handles_;
};

}  // namespace twinspan::gateway
