#pragma once
// Finds offsets by time where the broker cannot (librdkafka's mock cluster answers -1 to every time look-up):
// bisection, one record read per probe, all partitions of a round at once. With timestamps out of order the answer is
// one of the places where they pass the time, as it is with a broker's sparse index. Uses a consumer of its own, opened
// for the search. Thread: any; blocks at most `timeout_ms`.

#include <vector>

#include "connectors/kafka/cluster_consumer.h"

namespace twinspan::connectors {

struct TimeSearch {
  TopicPartition at;
  std::int64_t time_ms = 0;
  std::int64_t low = 0, end = 0;  // searched: [low, end)
  bool found = false;             // the search came to an end
  std::int64_t offset = -1;       // first record at or after time_ms; -1: none before `end`
};

void search_by_time(const ClusterSettings& cluster, std::vector<TimeSearch>& searches, int timeout_ms);

}  // namespace twinspan::connectors
