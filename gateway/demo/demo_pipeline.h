#pragma once
// The files of the demo as text: the same YAML that `run` reads, so that what a newcomer copies is what ran.
// Plain text. Thread: any.

#include <string>

namespace twinspan::gateway {

inline constexpr const char* kDemoTopics[] = {"ad_impression", "ad_click", "ad_uv_minute", "ad_uv_late", "ad_uv_dlq"};
inline constexpr const char* kDemoResultTopic = "ad_uv_minute";
inline constexpr int kDemoPartitions = 64;  // mock brokers keep 5 MiB a partition

// The main job of issue and README: join, exact unique devices a region a minute, failover sink.
const std::string& demo_pipeline_yaml();

struct DemoServiceFile {
  std::string east, west;  // bootstrap addresses
  std::string data_directory, listen, log_file;
};
std::string demo_service_yaml(const DemoServiceFile& file);

}  // namespace twinspan::gateway
