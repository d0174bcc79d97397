#pragma once
// The thin header around librdkafka: owning handles and error texts, nothing else. Only the .cpp files of this folder
// include it. Lists must be destroyed before the handle they were passed to: a leaked one makes rd_kafka_destroy hang.
// Thread: any (librdkafka's objects are its own business).

#include <librdkafka/rdkafka.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "connectors/kafka/cluster_settings.h"
#include "engine/base/result.h"

namespace twinspan::connectors {

template <auto Destroy>
struct RdDestroy {
  template <class T>
  void operator()(T* handle) const noexcept {
    Destroy(handle);
  }
};

using RdConf = std::unique_ptr<rd_kafka_conf_t, RdDestroy<rd_kafka_conf_destroy>>;
using RdQueue = std::unique_ptr<rd_kafka_queue_t, RdDestroy<rd_kafka_queue_destroy>>;
using RdTopic = std::unique_ptr<rd_kafka_topic_t, RdDestroy<rd_kafka_topic_destroy>>;
using RdEvent = std::unique_ptr<rd_kafka_event_t, RdDestroy<rd_kafka_event_destroy>>;
using RdError = std::unique_ptr<rd_kafka_error_t, RdDestroy<rd_kafka_error_destroy>>;
using RdMessage = std::unique_ptr<rd_kafka_message_t, RdDestroy<rd_kafka_message_destroy>>;
using RdPartitions = std::unique_ptr<rd_kafka_topic_partition_list_t, RdDestroy<rd_kafka_topic_partition_list_destroy>>;

struct RdMetadataDestroy {
  void operator()(const rd_kafka_metadata_t* m) const noexcept { rd_kafka_metadata_destroy(m); }
};
using RdMetadata = std::unique_ptr<const rd_kafka_metadata_t, RdMetadataDestroy>;

inline RdPartitions make_partitions(int size = 0) { return RdPartitions(rd_kafka_topic_partition_list_new(size)); }

// A client. The owner says how it ends: reap() hands it to a detached thread and returns at once, since destroying a
// client of a cluster that does not answer takes seconds (never rd_kafka_consumer_close: it may take minutes).
class RdHandle {
 public:
  RdHandle() = default;
  explicit RdHandle(rd_kafka_t* rk) : rk_(rk) {}
  RdHandle(RdHandle&& other) noexcept : rk_(std::exchange(other.rk_, nullptr)) {}
  RdHandle& operator=(RdHandle&& other) noexcept {
    if (this != &other) {
      reap();
      rk_ = std::exchange(other.rk_, nullptr);
    }
    return *this;
  }
  ~RdHandle() { reap(); }

  rd_kafka_t* get() const { return rk_; }
  explicit operator bool() const { return rk_ != nullptr; }
  rd_kafka_t* release() { return std::exchange(rk_, nullptr); }

  // Everything got from the handle (queues, topics, lists, messages) must be gone before. wait_for_reaped() of the same
  // process joins what is still ending.
  void reap();

 private:
  rd_kafka_t* rk_ = nullptr;
};

// Waits until every reaped client is gone, at most `timeout_ms`; false if some are not. For the end of the process and
// for leak checks in tests.
bool wait_for_reaped(int timeout_ms);

// A configuration with what every client of ours has in common ("tuned": an unreachable cluster is noticed in about
// three seconds instead of a minute, fail-back does not wait for a ten-second back-off), then the cluster's own
// settings. A setting librdkafka refuses is ErrorKind::config and names the setting, never its value.
Result<RdConf> make_client_conf(const ClusterSettings& cluster, const char* role);
Status set_conf(RdConf& conf, const char* name, const std::string& value);

// Consumes `conf` in any case.
Result<RdHandle> make_client(rd_kafka_type_t type, RdConf conf, const ClusterSettings& cluster);

inline std::string error_text(rd_kafka_resp_err_t err) {
  return std::string(rd_kafka_err2name(err)) + ": " + rd_kafka_err2str(err);
}

// The other side refused or cannot be found: a hard sign, unlike a time-out.
inline bool is_hard_transport_error(rd_kafka_resp_err_t err) {
  return err == RD_KAFKA_RESP_ERR__TRANSPORT || err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ||
         err == RD_KAFKA_RESP_ERR__RESOLVE;
}

}  // namespace twinspan::connectors
