#include "tests/support/kafka_io.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <memory>
#include <stdexcept>

namespace twinspan::testing {
namespace {

constexpr int kLimitMs = 60'000;  // without any progress

[[noreturn]] void fail(const std::string& message) { throw std::runtime_error(message); }

using Settings = std::vector<std::pair<std::string, std::string>>;

using Client = std::unique_ptr<rd_kafka_t, void (*)(rd_kafka_t*)>;
using Queue = std::unique_ptr<rd_kafka_queue_t, void (*)(rd_kafka_queue_t*)>;
using Topic = std::unique_ptr<rd_kafka_topic_t, void (*)(rd_kafka_topic_t*)>;
using Event = std::unique_ptr<rd_kafka_event_t, void (*)(rd_kafka_event_t*)>;

Client make_client(rd_kafka_type_t type, const std::string& bootstrap, const Settings& settings, int events = 0) {
  char error[512];
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  Settings all = {{"bootstrap.servers", bootstrap},
                  {"log_level", "0"},
                  {"reconnect.backoff.ms", "20"},
                  {"reconnect.backoff.max.ms", "100"}};
  all.insert(all.end(), settings.begin(), settings.end());
  for (const auto& [key, value] : all) {
    if (rd_kafka_conf_set(conf, key.c_str(), value.c_str(), error, sizeof error) != RD_KAFKA_CONF_OK) {
      rd_kafka_conf_destroy(conf);
      fail(error);
    }
  }
  if (events != 0) rd_kafka_conf_set_events(conf, events);
  rd_kafka_t* handle = rd_kafka_new(type, conf, error, sizeof error);
  if (handle == nullptr) fail(error);
  return Client(handle, rd_kafka_destroy);
}

void check(rd_kafka_error_t* error, const std::string& what) {
  if (error == nullptr) return;
  const std::string message = what + ": " + rd_kafka_error_string(error);
  rd_kafka_error_destroy(error);
  fail(message);
}

void* address_of(const Bytes& bytes) { return bytes ? const_cast<char*>(bytes->data()) : nullptr; }
size_t size_of(const Bytes& bytes) { return bytes ? bytes->size() : 0; }

// Takes delivery reports; the message's opaque is its index + 1.
class Deliveries {
 public:
  Deliveries(rd_kafka_t* handle, size_t count, std::string what)
      : queue_(rd_kafka_queue_get_main(handle), rd_kafka_queue_destroy), positions_(count), what_(std::move(what)) {}

  size_t done() const { return done_; }
  std::vector<Position> take() { return std::move(positions_); }

  // Waits for one event at most `timeout_ms`; false when there was none.
  bool serve(int timeout_ms) {
    Event event(rd_kafka_queue_poll(queue_.get(), timeout_ms), rd_kafka_event_destroy);
    if (!event) return false;
    if (rd_kafka_event_type(event.get()) == RD_KAFKA_EVENT_ERROR &&
        rd_kafka_event_error(event.get()) == RD_KAFKA_RESP_ERR__FATAL) {
      fail(what_ + ": " + rd_kafka_event_error_string(event.get()));
    }
    if (rd_kafka_event_type(event.get()) != RD_KAFKA_EVENT_DR) return true;
    while (const rd_kafka_message_t* message = rd_kafka_event_message_next(event.get())) {
      if (message->err) fail(what_ + ": " + rd_kafka_err2str(message->err));
      positions_[reinterpret_cast<size_t>(message->_private) - 1] = {message->partition, message->offset};
      ++done_;
    }
    return true;
  }

 private:
  Queue queue_;
  std::vector<Position> positions_;
  std::string what_;
  size_t done_ = 0;
};

// The message borrows key and value: the records outlive the delivery.
void send(rd_kafka_t* handle, rd_kafka_topic_t* topic, const Record& record, size_t index, Deliveries& deliveries,
          const std::string& what) {
  rd_kafka_vu_t arguments[7];
  size_t count = 0;
  const auto next = [&](rd_kafka_vtype_t type) -> rd_kafka_vu_t& {
    arguments[count].vtype = type;
    return arguments[count++];
  };
  next(RD_KAFKA_VTYPE_RKT).u.rkt = topic;
  next(RD_KAFKA_VTYPE_PARTITION).u.i32 = record.partition;
  auto& key = next(RD_KAFKA_VTYPE_KEY);
  key.u.mem.ptr = address_of(record.key);
  key.u.mem.size = size_of(record.key);
  auto& value = next(RD_KAFKA_VTYPE_VALUE);
  value.u.mem.ptr = address_of(record.value);
  value.u.mem.size = size_of(record.value);
  next(RD_KAFKA_VTYPE_OPAQUE).u.ptr = reinterpret_cast<void*>(index + 1);
  if (record.timestamp_ms >= 0) next(RD_KAFKA_VTYPE_TIMESTAMP).u.i64 = record.timestamp_ms;
  std::unique_ptr<rd_kafka_headers_t, void (*)(rd_kafka_headers_t*)> headers(nullptr, rd_kafka_headers_destroy);
  if (!record.headers.empty()) {
    headers.reset(rd_kafka_headers_new(record.headers.size()));
    for (const auto& [name, content] : record.headers) {
      rd_kafka_header_add(headers.get(), name.c_str(), static_cast<ssize_t>(name.size()), address_of(content),
                          static_cast<ssize_t>(size_of(content)));
    }
    next(RD_KAFKA_VTYPE_HEADERS).u.headers = headers.get();
  }
  for (;;) {
    rd_kafka_error_t* error = rd_kafka_produceva(handle, arguments, count);
    if (error == nullptr) break;
    if (rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR__QUEUE_FULL) check(error, what);
    rd_kafka_error_destroy(error);
    if (!deliveries.serve(kLimitMs)) fail(what + ": the queue stays full");
  }
  headers.release();  // the message owns them now
}

int partition_count(rd_kafka_t* handle, const std::string& topic) {
  const Topic handle_of_topic(rd_kafka_topic_new(handle, topic.c_str(), nullptr), rd_kafka_topic_destroy);
  const rd_kafka_metadata_t* metadata = nullptr;
  const rd_kafka_resp_err_t error = rd_kafka_metadata(handle, 0, handle_of_topic.get(), &metadata, kLimitMs);
  if (error) fail("topic '" + topic + "': " + rd_kafka_err2str(error));
  const int count = metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
  const rd_kafka_resp_err_t topic_error =
      metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR_NO_ERROR;
  rd_kafka_metadata_destroy(metadata);
  if (topic_error || count == 0) fail("topic '" + topic + "': " + rd_kafka_err2str(topic_error));
  return count;
}

Client make_consumer(const std::string& bootstrap, Isolation isolation) {
  return make_client(
      RD_KAFKA_CONSUMER, bootstrap,
      {{"group.id", "twinspan-test-reader"},  // asked for by librdkafka; no group is joined
       {"isolation.level", isolation == Isolation::read_committed ? "read_committed" : "read_uncommitted"},
       {"enable.auto.commit", "false"},
       {"enable.partition.eof", "true"},
       {"auto.offset.reset", "earliest"},
       {"fetch.wait.max.ms", "20"},
       {"fetch.message.max.bytes", "8388608"},
       {"queued.min.messages", "500000"}});
}

std::vector<Offsets> query_offsets(rd_kafka_t* consumer, const std::string& topic) {
  std::vector<Offsets> offsets(static_cast<size_t>(partition_count(consumer, topic)));
  for (size_t p = 0; p < offsets.size(); ++p) {
    // A broker that has just come back does not lead its partitions yet.
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(kLimitMs);
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
    do {
      error = rd_kafka_query_watermark_offsets(consumer, topic.c_str(), static_cast<int32_t>(p), &offsets[p].start,
                                               &offsets[p].end, kLimitMs);
    } while ((error == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION || error == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE) &&
             std::chrono::steady_clock::now() < end);
    if (error) fail("offsets of '" + topic + "'/" + std::to_string(p) + ": " + rd_kafka_err2str(error));
  }
  return offsets;
}

Record to_record(const rd_kafka_message_t* message) {
  Record record;
  record.partition = message->partition;
  record.offset = message->offset;
  if (message->key != nullptr) record.key.emplace(static_cast<const char*>(message->key), message->key_len);
  if (message->payload != nullptr) record.value.emplace(static_cast<const char*>(message->payload), message->len);
  rd_kafka_timestamp_type_t type;
  record.timestamp_ms = rd_kafka_message_timestamp(message, &type);
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
    const char* name = nullptr;
    const void* content = nullptr;
    size_t size = 0;
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &content, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++i) {
      record.headers.emplace_back(
          name, content != nullptr ? Bytes(std::string(static_cast<const char*>(content), size)) : std::nullopt);
    }
  }
  return record;
}

}  // namespace

std::vector<Position> produce(const std::string& bootstrap, const std::string& topic,
                              const std::vector<Record>& records, const ProduceOptions& options) {
  const std::string what = "produce to '" + topic + "'";
  Settings settings = {{"enable.idempotence", "true"},
                       {"compression.type", options.compression},
                       {"linger.ms", "2"},
                       {"batch.size", "1000000"},
                       {"message.max.bytes", "33554432"},
                       {"queue.buffering.max.messages", "1000000"},
                       {"queue.buffering.max.kbytes", "524288"}};
  const bool transactional = !options.transactional_id.empty();
  if (transactional) settings.emplace_back("transactional.id", options.transactional_id);
  const Client client = make_client(RD_KAFKA_PRODUCER, bootstrap, settings, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
  if (transactional) {
    check(rd_kafka_init_transactions(client.get(), kLimitMs), what);
    check(rd_kafka_begin_transaction(client.get()), what);
  }
  rd_kafka_topic_conf_t* topic_conf = rd_kafka_topic_conf_new();
  char error[256];
  if (rd_kafka_topic_conf_set(topic_conf, "partitioner", "murmur2_random", error, sizeof error) != RD_KAFKA_CONF_OK) {
    fail(error);
  }
  const Topic handle(rd_kafka_topic_new(client.get(), topic.c_str(), topic_conf), rd_kafka_topic_destroy);
  Deliveries deliveries(client.get(), records.size(), what);
  for (size_t i = 0; i < records.size(); ++i) {
    send(client.get(), handle.get(), records[i], i, deliveries, what);
    if (i % 1024 == 0) deliveries.serve(0);
  }
  while (deliveries.done() < records.size()) {
    if (!deliveries.serve(kLimitMs)) fail(what + ": not acknowledged");
  }
  if (transactional) {
    check(options.abort ? rd_kafka_abort_transaction(client.get(), kLimitMs)
                        : rd_kafka_commit_transaction(client.get(), kLimitMs),
          what);
  }
  return deliveries.take();
}

std::vector<Offsets> offsets_of(const std::string& bootstrap, const std::string& topic, Isolation isolation) {
  const Client consumer = make_consumer(bootstrap, isolation);
  return query_offsets(consumer.get(), topic);
}

std::vector<Record> read_all(const std::string& bootstrap, const std::string& topic, Isolation isolation,
                             const std::vector<int64_t>& from) {
  const std::string what = "read '" + topic + "'";
  const Client consumer = make_consumer(bootstrap, isolation);
  const std::vector<Offsets> offsets = query_offsets(consumer.get(), topic);
  std::vector<std::vector<Record>> partitions(offsets.size());
  std::vector<bool> reading(offsets.size(), false);
  size_t open = 0;
  std::unique_ptr<rd_kafka_topic_partition_list_t, void (*)(rd_kafka_topic_partition_list_t*)> assignment(
      rd_kafka_topic_partition_list_new(static_cast<int>(offsets.size())), rd_kafka_topic_partition_list_destroy);
  for (size_t p = 0; p < offsets.size(); ++p) {
    const int64_t start = std::max(offsets[p].start, p < from.size() ? from[p] : int64_t{0});
    if (start >= offsets[p].end) continue;
    reading[p] = true;
    ++open;
    rd_kafka_topic_partition_list_add(assignment.get(), topic.c_str(), static_cast<int32_t>(p))->offset = start;
  }
  if (open > 0) check(rd_kafka_incremental_assign(consumer.get(), assignment.get()), what);
  const Queue queue(rd_kafka_queue_get_consumer(consumer.get()), rd_kafka_queue_destroy);
  std::vector<rd_kafka_message_t*> batch(10'000);
  while (open > 0) {
    // A batch comes as soon as one message is there and 20 ms have passed, or when it is full.
    auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(kLimitMs);
    ssize_t count = 0;
    while ((count = rd_kafka_consume_batch_queue(queue.get(), 20, batch.data(), batch.size())) == 0) {
      if (std::chrono::steady_clock::now() > end) fail(what + ": nothing comes");
    }
    if (count < 0) fail(what + ": " + rd_kafka_err2str(rd_kafka_last_error()));
    std::string failure;
    for (ssize_t i = 0; i < count; ++i) {
      const rd_kafka_message_t* message = batch[static_cast<size_t>(i)];
      const auto p = static_cast<size_t>(message->partition);
      if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        // The last offsets of a log may hold control records only, which no reader sees.
        if (reading[p] && message->offset >= offsets[p].end) {
          reading[p] = false;
          --open;
        }
      } else if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (reading[p] && message->offset < offsets[p].end) partitions[p].push_back(to_record(message));
        if (reading[p] && message->offset + 1 >= offsets[p].end) {
          reading[p] = false;
          --open;
        }
      } else if (message->err != RD_KAFKA_RESP_ERR__TRANSPORT && message->err != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        failure = rd_kafka_message_errstr(message);
      }
      rd_kafka_message_destroy(batch[static_cast<size_t>(i)]);
    }
    if (!failure.empty()) fail(what + ": " + failure);
  }
  std::vector<Record> all;
  for (std::vector<Record>& records : partitions) {
    all.insert(all.end(), std::make_move_iterator(records.begin()), std::make_move_iterator(records.end()));
  }
  return all;
}

}  // namespace twinspan::testing
