#pragma once
// What happens to a record that cannot be used: it goes to the dead letters with its own bytes, its origin and the
// reason; without dead letters it is skipped and counted, or stops the pipeline, as `on_error` says. One per shard; its
// sink counts like any other at a barrier, so a dead letter is acknowledged before the epoch that read its record.
// Thread: shard, except counters and failure(): any.

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "config/pipeline_spec.h"
#include "connectors/sink.h"
#include "connectors/source.h"
#include "engine/runtime/shard.h"

namespace twinspan::gateway {

// Shared by the shards of a pipeline: how many rows there were and how many failed.
struct ErrorCounts {
  std::atomic<std::uint64_t> records{0}, failed{0};
};

// The lanes of a pipeline by number. One table for all shards: rows keep the number of their lane when they move to
// another shard. Thread: any.
class LaneNames {
 public:
  LaneIndex know(const connectors::LaneKey& key) {
    std::lock_guard lock(mutex_);
    lanes_.push_back(key);
    return LaneIndex(static_cast<std::uint32_t>(lanes_.size() - 1));
  }
  std::optional<connectors::LaneKey> find(LaneIndex index) const {
    std::lock_guard lock(mutex_);
    return index.value < lanes_.size() ? std::optional(lanes_[index.value]) : std::nullopt;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<connectors::LaneKey> lanes_;
};

class DeadLetterDesk final : public engine::Terminal, public engine::FailureListener {
 public:
  // `writer` nullptr: the pipeline has no dead letters. `lane_name` names the lane of an origin, for headers.
  // `as_json`: the sink has no headers (a file), so a letter is one JSON object with all of it.
  DeadLetterDesk(std::string pipeline, connectors::SinkWriter* writer, bool as_json, ErrorCounts& counts)
      : pipeline_(std::move(pipeline)), writer_(writer), as_json_(as_json), counts_(counts) {}

  void set_node_policies(const std::vector<std::string>& nodes, const std::vector<config::OnError>& on_error);

  // A record that did not decode.
  void record_failed(config::OnError on_error, const std::string& stage, const connectors::LaneKey& lane,
                     const connectors::RawRecord& record, std::string_view reason);
  // A row that failed in a step. Its original bytes are there while it still is one source record.
  void failed(const std::string& step, const Batch& batch, std::uint32_t row, std::string_view reason) override;
  // A row at a known place (a source that judges rows after decoding).
  void row_failed(config::OnError on_error, const std::string& stage, const Batch& batch, std::uint32_t row,
                  std::string_view reason);

  // An output record that no cluster takes.
  void output_refused(const std::string& sink, const connectors::OutputRecord& record, std::string_view reason);

  // The number under which the pipeline knows a lane. A source's own numbers would meet those of the next source.
  LaneIndex know_lane(const connectors::LaneKey& key) { return lanes_->know(key); }
  // Before the first lane: the desks of all shards share one table.
  void share_lanes(std::shared_ptr<LaneNames> lanes) { lanes_ = std::move(lanes); }
  const LaneNames& lanes() const { return *lanes_; }

  // Terminal: nothing is written by edges, but room and acknowledgement count.
  void write(const Batch&) override {}
  bool has_room() const override { return writer_ == nullptr || writer_->has_room(); }
  void step(std::int64_t) override {
    if (writer_ != nullptr) writer_->step();
  }
  std::uint64_t written() const override { return writer_ == nullptr ? 0 : writer_->written(); }

  // Dead letters up to this sequence stand for output that was refused after it had been written. Thread: any
  std::uint64_t refused_up_to() const { return refused_up_to_.load(std::memory_order_acquire); }
  // Set once a record failed under `on_error: fail`; the pipeline stops.
  bool stopped() const { return stopped_.load(std::memory_order_acquire); }
  std::string failure() const;

 private:
  void act(config::OnError on_error, const std::string& stage, std::string_view origin, std::string_view key,
           bool has_key, std::string_view value, bool has_value, std::string_view reason);

  const std::string pipeline_;
  connectors::SinkWriter* const writer_;
  const bool as_json_;
  ErrorCounts& counts_;
  std::vector<std::string> nodes_;
  std::vector<config::OnError> node_on_error_;
  std::shared_ptr<LaneNames> lanes_ = std::make_shared<LaneNames>();
  std::atomic<bool> stopped_{false};
  std::atomic<std::uint64_t> refused_up_to_{0};
  mutable std::mutex failure_mutex_;
  std::string failure_;
};

}  // namespace twinspan::gateway
