#pragma once
// Reads the result topic back from both clusters, as a consumer of a failover sink would, and folds it. One
// client and one thread a cluster; a cluster that is away is waited for. Owned by the demo; destroyed before
// the clusters. Thread: control; snapshot(): any.

#include <array>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/result.h"
#include "gateway/demo/result_table.h"

namespace twinspan::gateway {

class ResultsReader {
 public:
  struct Cluster {
    std::string name, bootstrap;
  };
  static Result<std::unique_ptr<ResultsReader>> start(const std::vector<Cluster>& clusters, const std::string& topic,
                                                      int partitions);
  ~ResultsReader();
  ResultSummary snapshot() const;
  void stop();  // idempotent

 private:
  struct Reader;
  ResultsReader() = default;
  void read(Reader& reader, std::stop_token stop);

  mutable std::mutex mutex_;
  ResultTable table_;
  std::vector<std::unique_ptr<Reader>> readers_;
};

}  // namespace twinspan::gateway
