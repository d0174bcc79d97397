#pragma once
// One barrier after another (architecture.md "Epochs", at_least_once): start the barrier in every shard, collect what
// they hand over, wait until every sink has acknowledged what was written before it, write PREPARED, append the ledger.
// The next barrier waits for PREPARED of this one (protocol.md 17). A failed write keeps its deltas: the next epoch
// carries them. What steps leave to be written (SnapshotPart) is written first, into segment files of each step and
// shard below <directory>/segments, which the epoch then links. Sorting, writing and syncing are done by a writer
// thread, so that the control thread goes on ticking; without start() they are done within tick(), for tests.
//
//   idle ──due──▶ collecting ──all shards──▶ acknowledging ──all sinks──▶ writing ──▶ idle
//
// Owned by the pipeline. Thread: control (start, tick), shards (barrier_from).

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/clock.h"
#include "engine/checkpoint/checkpoint_store.h"
#include "engine/checkpoint/segment_files.h"
#include "engine/runtime/shard.h"
#include "gateway/journal.h"

namespace twinspan::gateway {

struct CheckpointFigures {
  std::uint64_t epoch = 0;
  std::int64_t at_ms = -1, took_ms = -1, write_ms = -1;  // write: of took, what sorting, writing and syncing needed
  std::uint64_t bytes = 0, bytes_total = 0, failures = 0;
  std::vector<double> stall_p99_ms;  // by shard, over its last barriers
  std::string last_error;
};

// The 99th percentile (nearest rank) of the last values.
class RecentPercentile {
 public:
  void add(double value);
  double p99() const;  // 0 if there are none

 private:
  static constexpr std::size_t kLast = 256;
  std::vector<double> values_;
  std::size_t next_ = 0;
};

class CheckpointCycle {
 public:
  struct Hooks {
    // Starts the barrier in every shard and returns what only the pipeline knows, as the members of the meta object.
    std::function<std::string(Epoch)> begin;
    std::function<std::vector<SkippedRange>()> take_ranges;  // what the shards skipped before this barrier
    // Whether every sink acknowledged what the shards had written.
    std::function<bool(const std::vector<engine::ShardBarrier>&)> acknowledged;
    std::function<void(Epoch)> prepared;
  };

  CheckpointCycle(engine::CheckpointStore& store, Ledger& ledger, engine::FileSystem& files, std::string directory,
                  unsigned shards, std::int64_t every_ms, const Clock& clock, Hooks hooks);
  ~CheckpointCycle() { stop(); }

  void start();  // the writer thread
  void stop();   // waits for a write under way
  void resume_after(Epoch epoch) { last_ = epoch.value; }
  // Before the first epoch: the segments of a restored checkpoint, taken over where the same shard goes on with them.
  Status open_segments(const std::vector<engine::StepSegments>& restored);
  // Where the segments of a step in a shard lie. Thread: control before start(), then as write().
  Result<engine::SegmentFiles*> segments_of(const std::string& step, unsigned shard);
  void barrier_from(engine::ShardBarrier&& barrier);  // Thread: shard
  void tick();
  // Asks for a barrier as soon as the one under way is done; served() says when an epoch begun after it is prepared.
  std::uint64_t request_now() { return ++requested_; }                     // Thread: any
  bool served(std::uint64_t request) const { return served_ >= request; }  // Thread: any
  Epoch last_prepared() const { return Epoch(last_); }                     // Thread: any
  CheckpointFigures figures() const;                                       // Thread: any
  // Deltas of failed epochs have grown so large that sources should wait.
  bool overdue() const { return carried_bytes_ > kCarryLimit; }

 private:
  enum class State { idle, collecting, acknowledging, writing };
  static constexpr std::uint64_t kCarryLimit = 256ull << 20;
  static constexpr std::uint64_t kDiskReserve = 64ull << 20;

  void begin_write();
  Status write();
  Status write_parts();
  void finish_write();
  void run(std::stop_token stop);

  engine::CheckpointStore& store_;
  Ledger& ledger_;
  engine::FileSystem& files_;
  const std::string directory_;
  const unsigned shards_;
  const std::int64_t every_ms_;
  const Clock& clock_;
  const Hooks hooks_;

  std::atomic<State> state_{State::idle};
  std::atomic<std::uint64_t> requested_{0}, served_{0};
  std::uint64_t begun_for_ = 0;  // the newest request that the barrier under way answers
  std::atomic<std::uint64_t> last_{0};
  std::int64_t next_at_ = -1, began_at_ = 0;
  std::string meta_;
  std::mutex barriers_mutex_;
  std::vector<engine::ShardBarrier> barriers_;
  std::map<std::pair<std::string, unsigned>, engine::Delta> carried_;  // (step, shard) -> deltas of epochs that failed
  std::uint64_t carried_bytes_ = 0;
  std::deque<engine::StepPart> parts_;  // not written yet, in the order of their barriers
  std::map<std::pair<std::string, unsigned>, engine::SegmentFiles> segments_;  // (step, shard). Thread: as write()
  std::vector<SkippedRange> ranges_;
  engine::PreparedEpoch prepared_;  // what the writer writes
  std::vector<RecentPercentile> stalls_;

  std::mutex writer_mutex_;
  std::condition_variable_any writer_wake_;
  bool write_asked_ = false;
  std::optional<Status> written_;
  std::int64_t write_ms_ = -1;
  std::jthread writer_;

  mutable std::mutex figures_mutex_;
  CheckpointFigures figures_;
};

}  // namespace twinspan::gateway
