#include "connectors/kafka/cluster_producer.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "connectors/kafka/rdkafka_handle.h"

namespace twinspan::connectors {

namespace {

using Report = ClusterProducer::Report;

bool is_too_large(rd_kafka_resp_err_t err) {
  return err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || err == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE;
}

// What waiting does not mend: the record itself is refused.
bool is_rejection(rd_kafka_resp_err_t err) {
  switch (err) {
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR__INVALID_ARG: return true;
    default: return false;
  }
}

bool is_missing_topic(rd_kafka_resp_err_t err) {
  return err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC || err == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION ||
         err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
}

}  // namespace

struct ClusterProducer::Impl {
  RdHandle handle;
  RdTopic topic;
  RdQueue queue;

  ~Impl() {  // everything got from the handle goes before it; the handle then ends on the reaper
    queue.reset();
    topic.reset();
  }

  void take(rd_kafka_event_t* event, std::vector<Report>& reports, std::vector<std::string>* errors) {
    switch (rd_kafka_event_type(event)) {
      case RD_KAFKA_EVENT_DR: {
        std::array<const rd_kafka_message_t*, 1024> messages;
        for (std::size_t n = 0; (n = rd_kafka_event_message_array(event, messages.data(), messages.size())) > 0;) {
          for (std::size_t i = 0; i < n; ++i) {
            const rd_kafka_message_t& m = *messages[i];
            Report r{reinterpret_cast<std::uintptr_t>(m._private)};
            if (m.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
              r.outcome = is_too_large(m.err)       ? Report::Outcome::too_large
                          : is_rejection(m.err)     ? Report::Outcome::rejected
                          : is_missing_topic(m.err) ? Report::Outcome::topic_missing
                                                    : Report::Outcome::again;
              if (m.err != RD_KAFKA_RESP_ERR__PURGE_QUEUE && m.err != RD_KAFKA_RESP_ERR__PURGE_INFLIGHT)
                r.why = error_text(m.err);
            }
            reports.push_back(std::move(r));
          }
        }
        break;
      }
      case RD_KAFKA_EVENT_ERROR: {
        const rd_kafka_resp_err_t err = rd_kafka_event_error(event);
        if (errors != nullptr && err != RD_KAFKA_RESP_ERR__PURGE_QUEUE && err != RD_KAFKA_RESP_ERR__PURGE_INFLIGHT)
          errors->push_back(std::string(rd_kafka_err2name(err)) + ": " + rd_kafka_event_error_string(event));
        break;
      }
      default: break;
    }
  }
};

ClusterProducer::ClusterProducer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ClusterProducer::~ClusterProducer() = default;

Result<std::unique_ptr<ClusterProducer>> ClusterProducer::open(const ClusterSettings& cluster, const std::string& topic,
                                                               const ProducerTuning& tuning) {
  // Ours first, so that the user's own client settings win where they may.
  ClusterSettings merged = cluster;
  const std::size_t kbytes = std::min<std::size_t>(2'000'000'000, tuning.queue_bytes / 1024 + 1024);
  const std::pair<const char*, std::string> ours[] = {
      {"linger.ms", std::to_string(tuning.linger_ms)},
      {"compression.codec", tuning.compression},
      {"partitioner", "murmur2_random"},
      {"message.max.bytes", "1000000000"},  // the topic's own limit decides, and its broker says so
      {"message.timeout.ms", "0"},          // never
      {"queue.buffering.max.messages", "2000000"},
      {"queue.buffering.max.kbytes", std::to_string(kbytes)},
      {"request.timeout.ms", "10000"},
      {"topic.metadata.propagation.max.ms", "1000"},  // a missing topic is known before its silence looks like a fault
  };
  for (const auto& [name, value] : ours) merged.client.emplace(name, value);
  merged.client["enable.idempotence"] = "true";
  merged.client["acks"] = "all";
  TS_TRY(conf, make_client_conf(merged, "sink"));
  rd_kafka_conf_set_events(conf.get(), RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
  auto impl = std::make_unique<Impl>();
  TS_TRY(handle, make_client(RD_KAFKA_PRODUCER, std::move(conf), cluster));
  impl->handle = std::move(handle);
  impl->queue.reset(rd_kafka_queue_get_main(impl->handle.get()));
  impl->topic.reset(rd_kafka_topic_new(impl->handle.get(), topic.c_str(), nullptr));
  if (!impl->topic)
    return config_error("cluster '" + cluster.name + "': '" + topic +
                        "' cannot be written: " + error_text(rd_kafka_last_error()));
  return std::unique_ptr<ClusterProducer>(new ClusterProducer(std::move(impl)));
}

ClusterProducer::Sent ClusterProducer::produce(const ProducerRecord& r, std::uintptr_t tag, std::string& why) {
  rd_kafka_headers_t* headers = rd_kafka_headers_new(r.header_count + 1);
  rd_kafka_header_add(headers, "twinspan-id", 11, r.identity.data(), static_cast<ssize_t>(r.identity.size()));
  for (std::size_t i = 0; i < r.header_count; ++i)
    rd_kafka_header_add(headers, r.headers[i].first.data(), static_cast<ssize_t>(r.headers[i].first.size()),
                        r.headers[i].second.data(), static_cast<ssize_t>(r.headers[i].second.size()));
  // A null pointer is Kafka's null; an empty value needs a pointer.
  const char* value = r.has_value ? (r.value.empty() ? "" : r.value.data()) : nullptr;
  const char* key = r.has_key ? (r.key.empty() ? "" : r.key.data()) : nullptr;
  std::array<rd_kafka_vu_t, 7> v{};
  v[0].vtype = RD_KAFKA_VTYPE_RKT;
  v[0].u.rkt = impl_->topic.get();
  v[1].vtype = RD_KAFKA_VTYPE_VALUE;
  v[1].u.mem = {const_cast<char*>(value), r.has_value ? r.value.size() : 0};
  v[2].vtype = RD_KAFKA_VTYPE_KEY;
  v[2].u.mem = {const_cast<char*>(key), r.has_key ? r.key.size() : 0};
  v[3].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
  v[3].u.i = RD_KAFKA_MSG_F_COPY;
  v[4].vtype = RD_KAFKA_VTYPE_OPAQUE;
  v[4].u.ptr = reinterpret_cast<void*>(tag);
  v[5].vtype = RD_KAFKA_VTYPE_HEADERS;
  v[5].u.headers = headers;
  v[6].vtype = RD_KAFKA_VTYPE_TIMESTAMP;
  v[6].u.i64 = r.timestamp;
  const std::size_t count = r.timestamp >= 0 ? 7 : 6;
  const RdError error(rd_kafka_produceva(impl_->handle.get(), v.data(), count));
  if (!error) return Sent::queued;
  rd_kafka_headers_destroy(headers);  // still ours on failure
  const rd_kafka_resp_err_t err = rd_kafka_error_code(error.get());
  if (err == RD_KAFKA_RESP_ERR__QUEUE_FULL) return Sent::full;
  why = error_text(err);
  if (is_missing_topic(err)) return Sent::topic_missing;
  return is_rejection(err) ? Sent::rejected : Sent::failed;
}

void ClusterProducer::poll(int timeout_ms, std::vector<Report>& reports, std::vector<std::string>& errors) {
  for (int i = 0; i < 64 && reports.size() < 4096; ++i) {
    const RdEvent event(rd_kafka_queue_poll(impl_->queue.get(), i == 0 ? timeout_ms : 0));
    if (!event) return;
    impl_->take(event.get(), reports, &errors);
  }
}

void ClusterProducer::purge(std::vector<Report>& reports, int timeout_ms) {
  using namespace std::chrono;
  rd_kafka_purge(impl_->handle.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  const auto deadline = steady_clock::now() + milliseconds(timeout_ms);
  while (rd_kafka_outq_len(impl_->handle.get()) > 0 && steady_clock::now() < deadline) {
    const RdEvent event(rd_kafka_queue_poll(impl_->queue.get(), 10));
    if (event) impl_->take(event.get(), reports, nullptr);
  }
}

std::string ClusterProducer::fatal() const {
  std::array<char, 512> text{};
  const rd_kafka_resp_err_t err = rd_kafka_fatal_error(impl_->handle.get(), text.data(), text.size());
  return err == RD_KAFKA_RESP_ERR_NO_ERROR ? std::string() : error_text(err) + ": " + text.data();
}

}  // namespace twinspan::connectors
