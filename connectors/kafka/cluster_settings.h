#pragma once
// How to reach one cluster: filled by gateway/ from the service file. The password is in here in the clear: never print
// it.

#include <map>
#include <string>
#include <vector>

namespace twinspan::connectors {

struct ClusterSettings {
  std::string name;
  std::string bootstrap;                      // host:port,host:port
  std::map<std::string, std::string> client;  // librdkafka settings: security, and the allow-listed ones of the user
};

}  // namespace twinspan::connectors
