#pragma once
// The thread of one shard: drains the mailbox, steps the shard, hands over barriers, publishes a snapshot. Everything
// of the shard is touched by this thread alone; others post() commands, and read the snapshot. Owned by the pipeline.
// Thread: control, except post() and snapshot(): any.

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/clock.h"
#include "engine/runtime/shard.h"
#include "gateway/dead_letter_desk.h"
#include "gateway/shard_feed.h"
#include "gateway/sink_terminal.h"

namespace twinspan::gateway {

// What others may see of a shard; immutable.
struct ShardSnapshot {
  std::vector<engine::OperatorStats> nodes;             // by Graph::nodes
  std::vector<std::uint64_t> late_dropped;              // by Graph::nodes
  std::vector<std::uint64_t> shed;                      // by Graph::nodes
  std::vector<bool> outage;                             // by Graph::sources: a cluster is away or catching up
  std::vector<Watermark> sources;                       // by Graph::sources
  std::vector<std::vector<ShardFeed::LaneTime>> lanes;  // by Graph::sources
  bool ended = false;
  std::string failure;  // why the pipeline must stop; empty = fine
};

// The parts of a shard, made by the pipeline, in the order in which they are built.
struct ShardParts {
  std::unique_ptr<DeadLetterDesk> dead_letters;
  std::vector<std::unique_ptr<ShardFeed>> feeds;
  std::vector<std::unique_ptr<SinkTerminal>> sinks;
  std::vector<int> wake_fds;
  std::unique_ptr<engine::Shard> shard;
};

class ShardThread {
 public:
  using BarrierListener = std::function<void(engine::ShardBarrier&&)>;  // called on the shard's thread
  using Command = std::function<void(ShardParts&)>;

  ShardThread(unsigned index, ShardParts parts, const Clock& clock, BarrierListener on_barrier);
  ~ShardThread();

  void start();
  void stop();  // idempotent; pending commands are not run
  // Without a thread of its own: commands are taken, and the owner calls run_once() (driver/).
  void start_stepped();
  bool run_once();  // commands, one step, a barrier that passed. True: there was something to do
  // Runs on the shard's thread between two steps, in order. False once stopped: it will not run.
  bool post(Command command);
  std::shared_ptr<const ShardSnapshot> snapshot() const;
  const FeedFigures& figures(std::size_t source) const { return parts_.feeds[source]->figures(); }  // Thread: any
  const DeadLetterDesk& dead_letters() const { return *parts_.dead_letters; }  // what it says to any thread
  // Only before start(), after stop(), and when stepped.
  ShardParts& parts() { return parts_; }

 private:
  void run(std::stop_token stop);
  void publish();
  void wait(int timeout_ms);

  const unsigned index_;
  ShardParts parts_;
  const Clock& clock_;
  const BarrierListener on_barrier_;
  int mail_fd_ = -1;
  std::mutex mail_mutex_;
  std::vector<Command> mail_;
  std::vector<Command> taken_;  // from the mail, by run_once
  std::int64_t published_ = -1;
  bool told_failure_ = false;
  bool accepting_ = false;
  mutable std::mutex snapshot_mutex_;
  std::shared_ptr<const ShardSnapshot> snapshot_;
  std::jthread thread_;
};

}  // namespace twinspan::gateway
