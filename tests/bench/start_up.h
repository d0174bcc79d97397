#pragma once
// From the start of the process to the first record a consumer of the output topic gets, with brokers and topics
// already there: what somebody who restarts a pipeline waits for. Milliseconds, one a start, in the order they were
// made. Thread: main.

#include <string>
#include <vector>

#include "tests/support/kafka_cluster.h"

namespace twinspan::bench {

// Throws std::runtime_error when a start brings no record within 30 s.
std::vector<double> first_output_ms(testing::KafkaCluster& cluster, const std::string& input_topic, int starts);

}  // namespace twinspan::bench
