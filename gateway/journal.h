#pragma once
// Two append-only files of a unit, JSON lines, synced line by line. The operation log holds what operators asked for
// that moves positions (lag discards), written before it is done; after a crash, operations newer than the restored
// checkpoint are done again, in order (protocol.md 26). The ledger holds every gap the service knowingly caused,
// appended when the epoch that contains it is prepared, keyed (epoch, index), so a repeated append is recognised
// (protocol.md 6). Owned by the pipeline. Thread: control.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "connectors/source.h"
#include "engine/base/ids.h"
#include "engine/checkpoint/file_system.h"
#include "gateway/shard_feed.h"

namespace twinspan::gateway {

// Lines, each whole and durable once append() returned ok. What a crash or a full disk left of another one is cut off
// before the next is written: behind a torn line a good one could not be read again.
class JournalFile {
 public:
  JournalFile(engine::FileSystem& files, std::string path) : files_(files), path_(std::move(path)) {}
  // `visit` throws on a line it cannot use. The last one is then dropped (it was never acknowledged), another is an
  // error.
  Status open(const std::function<void(std::string_view line)>& visit);
  Status append(const std::string& lines);

 private:
  Status cut_off_rest();

  engine::FileSystem& files_;
  const std::string path_;
  std::size_t good_ = 0;  // bytes of whole lines
  bool torn_ = false;     // there may be more than that
};

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
  OperationLog(engine::FileSystem& files, std::string path) : file_(files, std::move(path)) {}
  // Reads what is there. A torn last line (a crash while writing) was never acknowledged and is dropped.
  Status open();
  Status append(const DiscardOperation& operation);
  const std::vector<DiscardOperation>& operations() const { return operations_; }
  std::vector<DiscardOperation>& operations() { return operations_; }
  std::uint64_t next_id() const { return operations_.empty() ? 1 : operations_.back().id + 1; }

 private:
  JournalFile file_;
  std::vector<DiscardOperation> operations_;
};

class Ledger {
 public:
  Ledger(engine::FileSystem& files, std::string path) : file_(files, std::move(path)) {}
  Status open();
  // Adds what of the epoch is not in the ledger already.
  Status append(Epoch epoch, const std::vector<SkippedRange>& ranges, std::int64_t wall_ms);
  struct Entry {
    Epoch epoch;
    std::int64_t at_ms = 0;
    SkippedRange range;
  };
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  void count(Epoch epoch);  // one line of it

  JournalFile file_;
  std::vector<Entry> entries_;
  std::uint64_t last_epoch_ = 0, last_lines_ = 0;
};

}  // namespace twinspan::gateway
