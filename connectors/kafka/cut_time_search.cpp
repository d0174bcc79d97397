#include "connectors/kafka/cut_time_search.h"

#include <algorithm>
#include <chrono>

namespace twinspan::connectors {
namespace {

Result<RdHandle> open_searcher(const ClusterSettings& cluster) {
  TS_TRY(conf, make_client_conf(cluster, "search"));
  TS_TRYV(set_conf(conf, "group.id", "twinspan.search"));
  TS_TRYV(set_conf(conf, "enable.auto.commit", "false"));
  TS_TRYV(set_conf(conf, "auto.offset.reset", "error"));
  TS_TRYV(set_conf(conf, "fetch.wait.max.ms", "10"));
  TS_TRYV(set_conf(conf, "enable.partition.eof", "true"));
  // One record is wanted of each: no more than a fetch ahead.
  TS_TRYV(set_conf(conf, "queued.min.messages", "1"));
  TS_TRYV(set_conf(conf, "fetch.queue.backoff.ms", "10"));
  TS_TRY(handle, make_client(RD_KAFKA_CONSUMER, std::move(conf), cluster));
  rd_kafka_poll_set_consumer(handle.get());
  return handle;
}

}  // namespace

void search_by_time(const ClusterSettings& cluster, std::vector<TimeSearch>& searches, int timeout_ms) {
  auto opened = open_searcher(cluster);
  if (!opened) return;
  const RdHandle handle = std::move(opened).value();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);

  struct Bounds {
    TimeSearch* search;
    std::int64_t low, high;  // the answer lies in [low, high]; high = end: none
    bool probed = false;
  };
  std::vector<Bounds> open;
  for (auto& search : searches) open.push_back({&search, search.low, search.end});

  while (true) {
    std::erase_if(open, [](const Bounds& b) {
      if (b.low < b.high) return false;
      b.search->found = true;
      b.search->offset = b.high < b.search->end ? b.high : -1;
      return true;
    });
    if (open.empty()) break;

    RdPartitions round = make_partitions(static_cast<int>(open.size()));
    for (auto& b : open) {
      b.probed = false;
      rd_kafka_topic_partition_list_add(round.get(), b.search->at.topic.c_str(), b.search->at.partition)->offset =
          b.low + (b.high - b.low) / 2;
    }
    rd_kafka_assign(handle.get(), round.get());
    for (std::size_t missing = open.size(); missing > 0;) {
      if (std::chrono::steady_clock::now() >= deadline) return;
      const RdMessage message(rd_kafka_consumer_poll(handle.get(), 20));
      if (!message || message->rkt == nullptr) continue;
      const char* topic = rd_kafka_topic_name(message->rkt);
      const auto b = std::find_if(open.begin(), open.end(), [&](const Bounds& o) {
        return o.search->at.partition == message->partition && o.search->at.topic == topic;
      });
      if (b == open.end() || b->probed) continue;
      const std::int64_t middle = b->low + (b->high - b->low) / 2;
      if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (message->offset < middle) continue;
        if (rd_kafka_message_timestamp(message.get(), nullptr) >= b->search->time_ms)
          b->high = middle;
        else
          b->low = std::min(message->offset + 1, b->high);
      } else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        b->high = middle;  // nothing from here on
      } else if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) {
        b->low = middle + 1;  // gone meanwhile: older than what is kept
      } else {
        continue;
      }
      b->probed = true;
      --missing;
    }
  }
  rd_kafka_assign(handle.get(), nullptr);
}

}  // namespace twinspan::connectors
