#include "gateway/dead_letter_desk.h"

#include <array>

#include <fmt/format.h>

#include "connectors/formats/json_encoder.h"

namespace twinspan::gateway {

void DeadLetterDesk::set_node_policies(const std::vector<std::string>& nodes,
                                       const std::vector<config::OnError>& on_error) {
  nodes_ = nodes;
  node_on_error_ = on_error;
}

namespace {
constexpr std::size_t kLargestCopy = 900 * 1024;  // below the 1 MiB that brokers take by default
constexpr std::size_t kLongestReason = 1000;

// Bytes that are not UTF-8 become U+FFFD, so that every line of a file parses.
std::string json_letter(const std::array<std::string_view, 4>& values) {
  static const Schema schema{
      {{"stage", types::string}, {"origin", types::string}, {"reason", types::string}, {"payload", types::string}}};
  static const connectors::JsonEncoder encoder(schema);
  Batch batch;
  batch.rows = 1;
  batch.schema = &schema;
  for (const std::string_view& v : values) batch.columns.push_back({types::string, &v, nullptr});
  std::string out;
  encoder.encode(batch, 0, out);
  return out;
}

std::string origin_text(const connectors::LaneKey& lane, std::int64_t offset) {
  return fmt::format("{}/{}/{}/{}", lane.cluster, lane.topic, lane.partition, offset);
}
}  // namespace

void DeadLetterDesk::record_failed(config::OnError on_error, const std::string& stage, const connectors::LaneKey& lane,
                                   const connectors::RawRecord& record, std::string_view reason) {
  act(on_error, stage, origin_text(lane, record.offset), record.key, record.has_key, record.value, record.has_value,
      reason);
}

void DeadLetterDesk::row_failed(config::OnError on_error, const std::string& stage, const Batch& batch,
                                std::uint32_t row, std::string_view reason) {
  std::string origin = "derived";
  std::string_view payload;
  if (batch.origins != nullptr) {
    const std::uint32_t at = batch.origin_row != nullptr ? batch.origin_row[row] : row;
    const LaneIndex lane = batch.origins->lane[at];
    if (const auto key = lanes_->find(lane)) origin = origin_text(*key, batch.origins->offset[at]);
    payload = batch.origins->payload[at];
  }
  act(on_error, stage, origin, {}, false, payload, batch.origins != nullptr, reason);
}

void DeadLetterDesk::failed(const std::string& step, const Batch& batch, std::uint32_t row, std::string_view reason) {
  config::OnError policy = config::OnError::fail;
  for (std::size_t i = 0; i < nodes_.size(); ++i)
    if (nodes_[i] == step) policy = node_on_error_[i];
  row_failed(policy, step, batch, row, reason);
}

void DeadLetterDesk::output_refused(const std::string& sink, const connectors::OutputRecord& record,
                                    std::string_view reason) {
  act(writer_ != nullptr ? config::OnError::dead_letter : config::OnError::fail, sink, "derived", record.key,
      record.has_key, record.value, record.has_value, reason);
  if (writer_ != nullptr) refused_up_to_.store(writer_->written(), std::memory_order_release);
}

void DeadLetterDesk::act(config::OnError on_error, const std::string& stage, std::string_view origin,
                         std::string_view key, bool has_key, std::string_view value, bool has_value,
                         std::string_view reason) {
  counts_.failed.fetch_add(1, std::memory_order_relaxed);
  if (on_error == config::OnError::skip) return;
  if (on_error == config::OnError::dead_letter && writer_ != nullptr) {
    // A record that no broker would take again is named by its origin instead of copied.
    const bool by_reference = value.size() + key.size() > kLargestCopy;
    const std::string size = by_reference ? fmt::format("{} bytes, see twinspan-origin", value.size()) : "";
    const std::pair<std::string_view, std::string_view> headers[] = {
        {"twinspan-pipeline", pipeline_},
        {"twinspan-stage", stage},
        {"twinspan-origin", origin},
        {"twinspan-reason", reason.substr(0, kLongestReason)},
        {"twinspan-payload", size}};
    connectors::OutputRecord out;
    if (!by_reference) {
      out.key = key;
      out.has_key = has_key;
      out.value = value;
    }
    out.has_value = has_value && !by_reference;
    out.headers = headers;
    out.header_count = by_reference ? 5 : 4;
    std::string text;
    if (as_json_) {
      text = json_letter({stage, origin, reason, by_reference ? std::string_view(size) : value});
      out = {};
      out.value = text;
    }
    writer_->write(out);
    return;
  }
  if (stopped_.load(std::memory_order_relaxed)) return;
  {
    std::lock_guard lock(failure_mutex_);
    failure_ =
        fmt::format("'{}' could not use record {}: {}. Set on_error to dead_letter or skip to go on past such records",
                    stage, origin, reason);
  }
  stopped_.store(true, std::memory_order_release);
}

std::string DeadLetterDesk::failure() const {
  std::lock_guard lock(failure_mutex_);
  return failure_;
}

}  // namespace twinspan::gateway
