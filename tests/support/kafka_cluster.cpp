#include "tests/support/kafka_cluster.h"

#include "tests/support/child_process.h"

#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <optional>
#include <random>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace twinspan::testing {
namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

const std::string kScript = std::string(TWINSPAN_SOURCE_DIR) + "/tools/kafka-broker.sh";

[[noreturn]] void fail(const std::string& message) { throw std::runtime_error(message); }

// --- Temporary directories
// ------------------------------------------------------------------------------------------

// Nobody holds the lock of a directory whose process is gone.
void remove_abandoned(const fs::path& base, std::string_view prefix) {
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(base, ignored)) {
    if (!entry.path().filename().string().starts_with(prefix)) continue;
    const int lock = ::open((entry.path() / ".lock").c_str(), O_RDWR | O_CLOEXEC);
    if (lock < 0) continue;
    if (::flock(lock, LOCK_EX | LOCK_NB) == 0) fs::remove_all(entry.path(), ignored);
    ::close(lock);
  }
}

}  // namespace

TempDir::TempDir(std::string_view prefix) {
  const fs::path base = fs::temp_directory_path();
  remove_abandoned(base, prefix);
  std::string pattern = (base / prefix).string() + "XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) fail("cannot make '" + pattern + "': " + std::strerror(errno));
  path_ = pattern;
  // The lock is taken before the file gets its name, so a sweep never sees it unlocked.
  const std::string staged = path_ + "/.lock.new";
  lock_ = ::open(staged.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_ < 0 || ::flock(lock_, LOCK_EX) != 0) fail("cannot lock '" + path_ + "': " + std::strerror(errno));
  fs::rename(staged, path_ + "/.lock");
}

TempDir::~TempDir() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
  ::close(lock_);
}

namespace {

// --- Ports
// ----------------------------------------------------------------------------------------------------------

bool is_free(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool free = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return free;
}

// Two neighbouring ports that nothing uses and from which no outgoing connection starts.
int free_port_pair() {
  int low = 32768;
  std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> low;
  if (low < 12000) low = 32768;
  static std::mt19937 random(std::random_device{}());
  static std::mutex mutex;
  std::lock_guard lock(mutex);
  std::uniform_int_distribution<int> pick(5000, (low - 2) / 2);
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const int port = pick(random) * 2;
    if (is_free(port) && is_free(port + 1)) return port;
  }
  fail("no two free ports below " + std::to_string(low));
}

// --- Admin client
// ---------------------------------------------------------------------------------------------------

struct Admin {
  explicit Admin(const std::string& bootstrap) {
    char error[256];
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    const std::pair<const char*, std::string> settings[] = {
        {"bootstrap.servers", bootstrap},    {"log_level", "0"},         {"reconnect.backoff.ms", "20"},
        {"reconnect.backoff.max.ms", "100"}, {"retry.backoff.ms", "20"}, {"topic.metadata.propagation.max.ms", "0"}};
    for (const auto& [key, value] : settings) {
      if (rd_kafka_conf_set(conf, key, value.c_str(), error, sizeof error) != RD_KAFKA_CONF_OK) fail(error);
    }
    handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof error);
    if (handle == nullptr) fail(error);
    queue = rd_kafka_queue_new(handle);
  }
  ~Admin() {
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(handle);
  }
  Admin(const Admin&) = delete;
  Admin& operator=(const Admin&) = delete;

  // The result of the one request sent; throws on its error as a whole.
  std::unique_ptr<rd_kafka_event_t, void (*)(rd_kafka_event_t*)> result(const std::string& what) {
    std::unique_ptr<rd_kafka_event_t, void (*)(rd_kafka_event_t*)> event(rd_kafka_queue_poll(queue, 60'000),
                                                                         rd_kafka_event_destroy);
    if (!event) fail(what + ": no answer");
    if (rd_kafka_event_error(event.get())) fail(what + ": " + rd_kafka_event_error_string(event.get()));
    return event;
  }

  rd_kafka_t* handle = nullptr;
  rd_kafka_queue_t* queue = nullptr;
};

void check_topics(const rd_kafka_topic_result_t** results, size_t count, const std::string& what) {
  for (size_t i = 0; i < count; ++i) {
    if (rd_kafka_topic_result_error(results[i])) fail(what + ": " + rd_kafka_topic_result_error_string(results[i]));
  }
}

// The answer to a change of topics comes before every broker's metadata has it.
void wait_for_leaders(Admin& admin, const std::string& topic, int partitions, const std::string& what) {
  rd_kafka_topic_t* handle = rd_kafka_topic_new(admin.handle, topic.c_str(), nullptr);
  const auto end = std::chrono::steady_clock::now() + 30s;
  bool ready = false;
  while (!ready && std::chrono::steady_clock::now() < end) {
    const rd_kafka_metadata_t* metadata = nullptr;
    if (rd_kafka_metadata(admin.handle, 0, handle, &metadata, 5000) != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
    int led = 0;
    for (int t = 0; t < metadata->topic_cnt; ++t) {
      for (int p = 0; p < metadata->topics[t].partition_cnt; ++p) led += metadata->topics[t].partitions[p].leader >= 0;
    }
    ready = led == partitions;
    rd_kafka_metadata_destroy(metadata);
  }
  rd_kafka_topic_destroy(handle);
  if (!ready) fail(what + ": no leaders after 30 s");
}

}  // namespace

// --- KafkaCluster
// ---------------------------------------------------------------------------------------------------

KafkaCluster::KafkaCluster(std::string name, Start start_now)
    : name_(std::move(name)), dir_("twinspan-kafka-"), port_(free_port_pair()) {
  const std::string out = dir_.path() + "/log";
  const pid_t format =
      spawn({kScript, "format", dir_.path(), std::to_string(port_), std::to_string(port_ + 1)}, {out, {}});
  const std::optional<int> status = wait_exit(format, 120s);
  if (!status || *status != 0) fail("cannot format storage of " + name_ + ":\n" + log());
  start();
  if (start_now == Start::wait) wait_ready();
}

KafkaCluster::~KafkaCluster() {
  if (running()) kill9();
}

void KafkaCluster::start() {
  if (running()) return;
  pid_ = spawn({kScript, "run", dir_.path()}, {dir_.path() + "/log", {}});
}

void KafkaCluster::restart() {
  if (running()) kill9();
  start();
  wait_ready();
}

bool KafkaCluster::reap(std::chrono::milliseconds limit) {
  if (!wait_exit(pid_, limit)) return false;
  pid_ = -1;
  return true;
}

void KafkaCluster::stop() {
  if (!running()) return;
  ::kill(pid_, SIGCONT);
  ::kill(pid_, SIGTERM);
  if (!reap(20s)) kill9();
}

void KafkaCluster::kill9() {
  if (!running()) return;
  ::kill(pid_, SIGKILL);
  if (!reap(20s)) fail(name_ + " outlived SIGKILL");
}

void KafkaCluster::sigstop() {
  if (!running()) fail(name_ + " is down");
  ::kill(pid_, SIGSTOP);
  // The signal is asynchronous: after this call nothing of the broker runs.
  siginfo_t info{};
  if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WSTOPPED) != 0) fail(name_ + ": " + std::strerror(errno));
}

void KafkaCluster::sigcont() {
  if (running()) ::kill(pid_, SIGCONT);
}

void KafkaCluster::wait_ready(std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  Admin admin(bootstrap());
  for (;;) {
    // A broker shows itself in the metadata once the controller has let it in.
    const rd_kafka_metadata_t* metadata = nullptr;
    const rd_kafka_resp_err_t error = rd_kafka_metadata(admin.handle, 0, nullptr, &metadata, 500);
    const bool ready = error == RD_KAFKA_RESP_ERR_NO_ERROR && metadata->broker_cnt > 0;
    if (metadata != nullptr) rd_kafka_metadata_destroy(metadata);
    if (ready) return;
    if (!running() || reap(0ms)) fail(name_ + " ended while starting:\n" + log());
    if (std::chrono::steady_clock::now() > end) {
      fail(name_ + " did not become ready: " + rd_kafka_err2str(error) + "\n" + log());
    }
  }
}

void KafkaCluster::create_topic(const std::string& topic, int partitions,
                                const std::map<std::string, std::string>& config) {
  const std::string what = "create topic '" + topic + "' on " + name_;
  Admin admin(bootstrap());
  char error[256];
  rd_kafka_NewTopic_t* wanted = rd_kafka_NewTopic_new(topic.c_str(), partitions, 1, error, sizeof error);
  if (wanted == nullptr) fail(what + ": " + error);
  for (const auto& [key, value] : config) rd_kafka_NewTopic_set_config(wanted, key.c_str(), value.c_str());
  rd_kafka_CreateTopics(admin.handle, &wanted, 1, nullptr, admin.queue);
  rd_kafka_NewTopic_destroy(wanted);
  {
    auto event = admin.result(what);
    size_t count = 0;
    const rd_kafka_topic_result_t** results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &count);
    check_topics(results, count, what);
  }
  wait_for_leaders(admin, topic, partitions, what);
}

void KafkaCluster::grow_topic(const std::string& topic, int partitions) {
  const std::string what = "grow topic '" + topic + "' on " + name_;
  Admin admin(bootstrap());
  char error[256];
  rd_kafka_NewPartitions_t* wanted =
      rd_kafka_NewPartitions_new(topic.c_str(), static_cast<size_t>(partitions), error, sizeof error);
  if (wanted == nullptr) fail(what + ": " + error);
  rd_kafka_CreatePartitions(admin.handle, &wanted, 1, nullptr, admin.queue);
  rd_kafka_NewPartitions_destroy(wanted);
  {
    auto event = admin.result(what);
    size_t count = 0;
    const rd_kafka_topic_result_t** results =
        rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(event.get()), &count);
    check_topics(results, count, what);
  }
  wait_for_leaders(admin, topic, partitions, what);
}

void KafkaCluster::delete_topic(const std::string& topic) {
  const std::string what = "delete topic '" + topic + "' on " + name_;
  Admin admin(bootstrap());
  rd_kafka_DeleteTopic_t* unwanted = rd_kafka_DeleteTopic_new(topic.c_str());
  rd_kafka_DeleteTopics(admin.handle, &unwanted, 1, nullptr, admin.queue);
  rd_kafka_DeleteTopic_destroy(unwanted);
  auto event = admin.result(what);
  size_t count = 0;
  const rd_kafka_topic_result_t** results =
      rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event.get()), &count);
  check_topics(results, count, what);
}

void KafkaCluster::delete_records(const std::string& topic, int partition, int64_t before) {
  const std::string what = "delete records of '" + topic + "' on " + name_;
  Admin admin(bootstrap());
  rd_kafka_topic_partition_list_t* offsets = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(offsets, topic.c_str(), partition)->offset = before;
  rd_kafka_DeleteRecords_t* request = rd_kafka_DeleteRecords_new(offsets);
  rd_kafka_topic_partition_list_destroy(offsets);
  rd_kafka_DeleteRecords(admin.handle, &request, 1, nullptr, admin.queue);
  rd_kafka_DeleteRecords_destroy(request);
  auto event = admin.result(what);
  const rd_kafka_topic_partition_list_t* done =
      rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event.get()));
  for (int i = 0; i < done->cnt; ++i) {
    if (done->elems[i].err) fail(what + ": " + rd_kafka_err2str(done->elems[i].err));
  }
}

std::string KafkaCluster::log() const {
  std::ifstream file(dir_.path() + "/log");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// --- Pairs
// ----------------------------------------------------------------------------------------------------------

KafkaPair::KafkaPair() : a("A", KafkaCluster::Start::later), b("B", KafkaCluster::Start::later) {
  a.wait_ready();
  b.wait_ready();
}

void KafkaPair::restore() {
  for (KafkaCluster* cluster : {&a, &b}) {
    cluster->sigcont();
    cluster->start();
  }
  a.wait_ready();
  b.wait_ready();
}

namespace {

std::unique_ptr<KafkaPair> shared_pair;

class SharedKafkaPair : public ::testing::Environment {
 public:
  void TearDown() override { shared_pair.reset(); }
};

[[maybe_unused]] ::testing::Environment* const registered = ::testing::AddGlobalTestEnvironment(new SharedKafkaPair);

}  // namespace

KafkaPair& shared_kafka_pair() {
  if (!shared_pair) {
    shared_pair = std::make_unique<KafkaPair>();
  } else {
    shared_pair->restore();
  }
  return *shared_pair;
}

std::string fresh_topic(std::string_view base) {
  static std::atomic<int> next{0};
  return std::string(base) + "-" + std::to_string(next++);
}

}  // namespace twinspan::testing
