#pragma once
// Appends every record's value as a line to a file (a tombstone as "null"); keys and headers are not written: what a
// reader of the file needs (op, final) are fields (JsonEncoderOptions). A record is acknowledged when write(2) took it;
// flush() also syncs the file. When the disk is full or failing, records wait and the write is tried again at every
// step. Owned by the pipeline.

#include <memory>
#include <string>
#include <vector>

#include "connectors/sink.h"
#include "engine/base/clock.h"

namespace twinspan::connectors {

struct FileSinkOptions {
  std::string name;  // of the sink
  std::string path;
  unsigned shards = 1;
  std::size_t max_unacknowledged_bytes = 64u << 20;
};

class FileSink final : public Sink {
 public:
  FileSink(FileSinkOptions options, const Clock& clock);
  ~FileSink() override;

  Status start() override;  // config error: a directory, no permission, no such folder
  SinkWriter& writer(unsigned shard) override;
  SinkStatus status() const override;
  std::uint64_t route_generation() const override { return 0; }
  Status flush(int timeout_ms) override;
  void stop() override;

 private:
  class Writer;
  struct File;
  FileSinkOptions options_;
  std::unique_ptr<File> file_;
  std::vector<std::unique_ptr<Writer>> writers_;
};

}  // namespace twinspan::connectors
