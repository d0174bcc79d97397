#pragma once
// One idempotent producer of one cluster and topic. It lives as long as the route points to its cluster and is never
// used again after a purge (an idempotent client has a gap in its sequence numbers then; kafka_ha.md, 5.1): a return to
// the cluster makes a new one. Nothing ever times out in it: the outbox of the writers decides, not a timer.
//
// Owned by the sink. produce(): any thread; the rest: the sink's thread. Ends on a reaper thread (rdkafka_handle.h).

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "connectors/kafka/cluster_settings.h"
#include "engine/base/result.h"

namespace twinspan::connectors {

struct ProducerTuning {
  int linger_ms = 5;
  std::string compression = "lz4";
  std::size_t queue_bytes =
      256u << 20;  // above what the writers may hold together, so that the client's queue is never full
};

// Bytes are copied by produce().
struct ProducerRecord {
  std::string_view key, value;
  bool has_key = false, has_value = true;
  std::int64_t timestamp = -1;
  std::string_view identity;  // value of the header twinspan-id
  const std::pair<std::string_view, std::string_view>* headers = nullptr;
  std::size_t header_count = 0;
};

class ClusterProducer {
 public:
  enum class Sent : std::uint8_t {
    queued,         // a report will come
    full,           // try again after reports came
    topic_missing,  // the cluster has no such topic (now)
    failed,         // of the client itself: make a new one
    rejected,       // this record will never be taken; `why` says why
  };

  struct Report {
    std::uintptr_t tag = 0;
    // too_large: the batch this record was in is above the topic's limit; it need not be the record's fault
    enum class Outcome : std::uint8_t {
      acknowledged,
      again,
      topic_missing,
      too_large,
      rejected
    } outcome = Outcome::acknowledged;
    std::string why;  // empty when acknowledged
  };

  static Result<std::unique_ptr<ClusterProducer>> open(const ClusterSettings& cluster, const std::string& topic,
                                                       const ProducerTuning& tuning);
  ~ClusterProducer();

  Sent produce(const ProducerRecord& record, std::uintptr_t tag, std::string& why);

  // Waits for at most `timeout_ms` for the first report, then takes what is there, up to a few thousand. `errors` gets
  // what the client says of its connections: hints, no verdicts.
  void poll(int timeout_ms, std::vector<Report>& reports, std::vector<std::string>& errors);

  // Gives up everything queued and in flight. Reports that came in the meantime are in `reports`; what has none is
  // unknown.
  void purge(std::vector<Report>& reports, int timeout_ms);

  // The client cannot go on (idempotence lost): its text, or empty.
  std::string fatal() const;

 private:
  struct Impl;
  explicit ClusterProducer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace twinspan::connectors
