#pragma once
// Two append-only files of a unit, JSON lines, synced line by line. The operation log holds what operators asked for that
// moves positions (lag discards), written before it is done; after a crash, operations newer than the restored checkpoint
// are done again, in order (protocol.md 26). The ledger holds every gap the service knowingly caused, appended when the
// epoch that contains it is prepared, keyed (epoch, index), so a repeated append is recognised (protocol.md 6).
// Owned by the pipeline. Thread: control.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "connectors/source.h"
#include "engine/base/ids.h"
#include "engine/checkpoint/file_system.h"
#include "gateway/shard_feed.h"

namespace twinspan::gateway {

struct DiscardOperation {
  std::uint64_t id = 0;
  std::string plan, reason;
  connectors::DiscardTarget target;
  std::int64_t at_ms = 0, took_ms = -1;
  std::vector<std::pair<std::string, connectors::LaneCut>> cuts;  // source, cut
  std::optional<std::uint64_t> durable_in;
  std::vector<SkippedRange> ranges;  // what the readers left; known once executed
};

class OperationLog {
 public:
  OperationLog(engine::FileSystem& files, std::string path) : files_(files), path_(std::move(path)) {}
  // Reads what is there. A torn last line (a crash while writing) was never acknowledged and is dropped.
  Status open();
  Status append(const DiscardOperation& operation);
  const std::vector<DiscardOperation>& operations() const { return operations_; }
  std::vector<DiscardOperation>& operations() { return operations_; }
  std::uint64_t next_id() const { return operations_.empty() ? 1 : operations_.back().id + 1; }

 private:
  engine::FileSystem& files_;
  const std::string path_;
  std::vector<DiscardOperation> operations_;
};

class Ledger {
 public:
  Ledger(engine::FileSystem& files, std::string path) : files_(files), path_(std::move(path)) {}
  Status open();
  // No-op for an epoch that is in the ledger already.
  Status append(Epoch epoch, const std::vector<SkippedRange>& ranges, std::int64_t wall_ms);
  struct Entry {
    Epoch epoch;
    std::int64_t at_ms = 0;
    SkippedRange range;
  };
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  engine::FileSystem& files_;
  const std::string path_;
  std::vector<Entry> entries_;
  std::uint64_t last_epoch_ = 0;
};

}  // namespace twinspan::gateway
