#pragma once
// A file of JSON lines as a source: one lane (cluster "file", topic = the path, partition 0), read by shard 0. Bounded
// by nature: its end is the size the file has at start(). Offsets are the byte offsets of the line starts, so going on
// after a restart is one seek. Empty lines are skipped, a '\r' before the line end is dropped, a last line needs no
// line end. Lines carry no timestamp (-1): event time must come from a field. Owned by the pipeline.

#include <memory>
#include <string>
#include <vector>

#include "connectors/source.h"

namespace twinspan::connectors {

struct FileSourceOptions {
  std::string path;
  unsigned shards = 1;
  std::size_t max_line_bytes = 64u << 20;  // a longer line stops the lane
};

class FileSource final : public Source {
 public:
  explicit FileSource(FileSourceOptions options);
  ~FileSource() override;

  // Config error: no such file, not readable, not a regular file. Permanent: shorter than the restored position.
  Status start(const std::vector<LanePosition>& restored) override;
  SourceReader& reader(unsigned shard) override;
  int wake_fd(unsigned shard) const override;
  std::vector<LaneStatus> lanes() const override;
  std::vector<ClusterStatus> clusters() const override;
  // Only `latest`: lines have no timestamp. Conflict error otherwise.
  Result<std::vector<LaneCut>> plan_discard(DiscardTarget target, int timeout_ms) override;
  void add_pending_cut(const LaneCut& cut) override;
  std::vector<LaneCut> pending_cuts() const override;
  void stop() override;

 private:
  class Reader;
  FileSourceOptions options_;
  std::vector<std::unique_ptr<Reader>> readers_;  // [0] has the lane
};

}  // namespace twinspan::connectors
