#pragma once
// One shard's outbox: every record with its identity, in order, until it is acknowledged or handed out as rejected.
// What is sent and what is not is decided here, so that order holds: a record goes to the client only if all before it
// did; after a failure nothing is sent until all reports are in, then everything unacknowledged again, in order.
//
// Two threads: the shard (SinkWriter's calls) and the sink's (attach, detach, reports, pump). One mutex, held by the
// sink's thread for short whiles only.

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "connectors/kafka/cluster_producer.h"
#include "connectors/sink.h"
#include "engine/base/clock.h"

namespace twinspan::connectors {

// A record no cluster will ever take (too large, invalid): it goes to the dead letters. Called in step(), on the
// shard's thread; views hold during the call.
using RejectedRecord = std::function<void(unsigned shard, const OutputRecord& record, std::string_view reason)>;

class KafkaSinkWriter final : public SinkWriter {
 public:
  // identity: "<unit>/<sink>/<incarnation>.<shard>/"; the sequence is appended.
  KafkaSinkWriter(unsigned shard, std::string identity, std::size_t max_bytes, const Clock& clock,
                  RejectedRecord rejected);

  bool has_room() const override { return bytes_.load(std::memory_order_relaxed) < max_bytes_; }
  void write(const OutputRecord& record) override;
  void step() override;
  std::uint64_t written() const override { return written_.load(std::memory_order_acquire); }
  std::uint64_t acknowledged() const override { return acknowledged_.load(std::memory_order_acquire); }

  // --- the sink's thread ---

  // Sends everything unacknowledged through `producer` from now on (borrowed until detach()).
  void attach(ClusterProducer* producer);
  // From here on nothing is sent; what has no report counts as not sent.
  void detach();
  void drain(bool on);  // while draining, new records wait and what is sent gets acknowledged
  void report(const std::vector<ClusterProducer::Report>& reports);  // those whose tag is ours
  void pump();

  static unsigned shard_of(std::uintptr_t tag) { return static_cast<unsigned>(tag >> kSequenceBits); }

  struct Snapshot {
    std::size_t waiting = 0, sent = 0;
    std::int64_t oldest_ms = -1;       // monotonic, when the oldest unacknowledged record was written; -1 = none
    std::int64_t oldest_sent_ms = -1;  // ... was sent on this route
    std::uint64_t resent = 0;
    bool topic_missing = false, client_failed = false;
    std::string note;
  };
  Snapshot snapshot() const;
  std::size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  enum class State : std::uint8_t { waiting, sent, done, rejected };
  struct Entry {
    std::unique_ptr<char[]> bytes;  // key, value, then name and value of each header
    std::uint32_t key = 0, value = 0, size = 0;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> headers;  // lengths
    std::int64_t timestamp = -1, written_ms = 0, sent_ms = 0;
    std::size_t window = 0;  // of the writer when it was sent
    State state = State::waiting;
    bool has_key = false, has_value = true, was_sent = false;
    std::string why;  // rejected
  };
  static constexpr unsigned kSequenceBits = 48;
  static constexpr std::size_t kEntryOverhead = sizeof(Entry) + 32;

  void send_waiting();  // lock held
  void free_done();
  ClusterProducer::Sent send(Entry& entry, std::uint64_t sequence);
  OutputRecord view(const Entry& entry, std::vector<std::pair<std::string_view, std::string_view>>& headers) const;

  const unsigned shard_;
  const std::string identity_;
  const std::size_t max_bytes_;
  const Clock& clock_;
  const RejectedRecord rejected_;

  mutable std::mutex mutex_;
  std::deque<Entry> entries_;  // [0] has sequence first_
  std::uint64_t first_ = 1;
  std::size_t next_ = 0;  // entries_ before it are not waiting
  std::size_t sent_ = 0, sent_bytes_ = 0, rejected_waiting_ = 0;
  // A topic that takes smaller batches than the client makes refuses whole batches. Then at most so many bytes are in
  // flight, halved until they pass; a record refused when it was alone is rejected. 0 = no limit.
  std::size_t window_ = 0;
  ClusterProducer* producer_ = nullptr;
  bool draining_ = false, broken_ = false, topic_missing_ = false, client_failed_ = false;
  std::int64_t not_before_ms_ = 0;  // back-off after a failure
  std::uint64_t resent_ = 0;
  std::string note_;
  std::string scratch_;  // identity header
  std::vector<std::pair<std::string_view, std::string_view>> header_scratch_;

  std::atomic<std::uint64_t> written_{0}, acknowledged_{0};
  std::atomic<std::size_t> bytes_{0};
  std::atomic<bool> has_rejected_{false};
};

}  // namespace twinspan::connectors
