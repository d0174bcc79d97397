#pragma once
// A real Kafka cluster (one KRaft node of Apache Kafka) for a test, on loopback, in a temporary directory.
//
// The recipe is tools/kafka-broker.sh. The broker dies with this process, whatever ends it, and its directory
// goes with the object; what a killed process left behind is removed by the next one. Ports lie below the
// range of outgoing connections, so a broker that is down never loses its port to a client that tries to
// reach it. Everything here throws std::runtime_error, which GoogleTest reports as a failure. Thread: any,
// one at a time a cluster.

#include <sys/types.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace twinspan::testing {

// A directory of its own under $TMPDIR, removed with the object.
class TempDir {
 public:
  explicit TempDir(std::string_view prefix = "twinspan-test-");
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  int lock_ = -1;  // held while we live, so that others can tell our directory from an abandoned one
};

class KafkaCluster {
 public:
  enum class Start { wait, later };  // later: launched, and wait_ready() is the caller's

  // `name` appears in messages only.
  explicit KafkaCluster(std::string name = "kafka", Start start = Start::wait);
  ~KafkaCluster();
  KafkaCluster(const KafkaCluster&) = delete;
  KafkaCluster& operator=(const KafkaCluster&) = delete;

  const std::string& name() const { return name_; }
  std::string bootstrap() const { return "127.0.0.1:" + std::to_string(port_); }
  int port() const { return port_; }
  pid_t pid() const { return pid_; }  // -1 when down
  bool running() const { return pid_ > 0; }

  void stop();     // SIGTERM, waits for its end
  void kill9();    // SIGKILL, as a machine that dies; the data stays as the page cache has it
  void start();    // same port, same data; returns at once
  void restart();  // kill9 if running, then start and wait_ready
  void sigstop();  // as a machine that hangs: connections stay open and nothing answers
  void sigcont();
  void wait_ready(std::chrono::milliseconds limit = std::chrono::seconds(60));

  // Returns when every partition has a leader. `config` are topic settings, such as
  // {"message.timestamp.type", "LogAppendTime"}.
  void create_topic(const std::string& topic, int partitions, const std::map<std::string, std::string>& config = {});
  void grow_topic(const std::string& topic, int partitions);  // to so many; returns when all have leaders
  void delete_topic(const std::string& topic);
  // Moves the log start of a partition to `before`: what retention does, at a time of the test's choosing.
  void delete_records(const std::string& topic, int partition, int64_t before);

  std::string log() const;  // the broker's own, warnings and worse

 private:
  bool reap(std::chrono::milliseconds limit);  // true when the process has ended

  std::string name_;
  TempDir dir_;
  int port_ = 0;
  pid_t pid_ = -1;
};

// Two independent clusters, started side by side.
struct KafkaPair {
  KafkaPair();
  KafkaCluster a;
  KafkaCluster b;
  void restore();  // both running and ready again, for the next test
};

// One pair for a test program: started by the first use, running and ready again at each, ended after the
// last test.
KafkaPair& shared_kafka_pair();

// A topic name no other test of this program uses: "<base>-<n>".
std::string fresh_topic(std::string_view base);

}  // namespace twinspan::testing
