#pragma once
// One shard: a share of the keys, all operators for them, and the loop that feeds them. step(now) does a bounded piece
// of work and returns, so a test steps shards by hand with a manual clock and no thread (Timely's worker, Seastar's
// reactor are the models). Nothing in here is locked or shared but the exchange rings.
//
// A step first resumes nodes that have work left (Operator::pending), those furthest down first. Until such a node is
// done, what comes for it waits in its inbox, in order, barriers too; nothing above it is given new input, so an inbox
// holds no more than what one call of an operator emitted.
//
// Then it serves the exchanges from the highest number down, each as long as no packet of a higher one waits for room
// (what comes from an exchange goes only to higher ones, so the highest can always be drained and nothing waits in a
// circle). Then it polls each feed for one batch unless something waits: a packet that found no room, a terminal
// without room, a barrier that has not passed, a pause. Barriers: begin_barrier() takes every feed's state at once and
// sends the barrier down all edges; an operator takes its snapshot when the barrier came on all its inputs. An exchange
// that has delivered the barrier is not read further until it came to all operators, so no row of the next epoch
// overtakes. From then on rows go on; operators with much state give their snapshot in portions, one a step, and the
// barrier has passed with the last of them. Thread: shard, except where said.

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/checkpoint/checkpoint_store.h"
#include "engine/runtime/exchange.h"
#include "engine/runtime/graph.h"

namespace twinspan::engine {

// One source in one shard: decoded batches with their watermarks. Implemented over a reader by gateway/, by hand in
// tests.
class Feed {
 public:
  virtual ~Feed() = default;
  virtual bool poll(std::int64_t now_ms, Batch& out) = 0;  // false: nothing now. batch.firing and .retention are set
  virtual Watermark watermark(std::int64_t now_ms) = 0;    // after the last batch; idleness and holds move it with time
  virtual bool idle() const = 0;                           // no lane, or all idle: others need not wait for this feed
  virtual bool idle_firing() const { return idle(); }      // the same for F alone (WatermarkTracker::idle_firing)
  virtual bool ended() const = 0;                          // bounded, and everything was returned
  virtual std::string barrier_state() = 0;                 // positions and lane clocks, opaque here
};

// One sink in one shard.
class Terminal {
 public:
  virtual ~Terminal() = default;
  virtual void write(const Batch& batch) = 0;
  virtual bool has_room() const = 0;
  virtual void step(std::int64_t now_ms) = 0;
  virtual std::uint64_t written() const = 0;  // sequence of the last record; what a barrier waits for
};

class FailureListener {
 public:
  virtual ~FailureListener() = default;
  virtual void failed(const std::string& step, const Batch& batch, std::uint32_t row, std::string_view reason) = 0;
};

// Rows that a step did not take because its state had spent its budget (max_state.when_full: shed).
struct ShedRows {
  std::string step;
  bool known = false;  // whether they were still one source record each; else lane and offsets say nothing
  LaneIndex lane;
  std::int64_t from = 0, to = 0;  // they lie in [from, to)
  std::uint64_t rows = 0;
};

// What one shard hands over at a barrier.
struct ShardBarrier {
  unsigned shard = 0;
  Epoch epoch;
  std::vector<StepDelta> deltas;
  std::vector<StepPart> parts;                           // to be written by the checkpoint writer
  std::vector<std::string> feeds;                        // barrier_state of each source
  std::vector<std::uint64_t> written;                    // of each terminal
  std::vector<std::vector<Watermark>> input_watermarks;  // [node][input]
  std::vector<ShedRows> shed;                            // of this epoch
  std::int64_t stall_us = 0;  // the longest that its snapshots kept the shard from its rows in one go
  std::int64_t save_us = 0;   // CPU of all of them
};

class Shard {
 public:
  Shard(const Graph& graph, unsigned index, ExchangeRings& rings, std::vector<Feed*> feeds,
        std::vector<Terminal*> terminals, FailureListener& failures);
  ~Shard();

  static unsigned count_exchanges(const Graph& graph);

  // Before the first step: the step's live entries of this shard's key groups and its sealed segments, then the
  // watermarks.
  Status restore(const StateImage& state);
  Status restore(const RestoredState& state, FileSystem& files);
  void restore_watermark(unsigned node, unsigned input, Watermark watermark);
  // After the restore: where a step finds its segments, for those that leave rows to them.
  Status use_segments(const std::function<Result<SegmentStore*>(const std::string& step)>& of);

  // `wall_ms`: since 1970, for operators that want a clock; kMinTime: not told.
  bool step(
      std::int64_t now_ms,
      std::int64_t wall_ms = kMinTime);  // true: did something; false: may sleep until a feed or a ring has something
  void begin_barrier(Epoch epoch);
  bool barrier_passed() const { return barrier_ && aligned_ && saving_.empty(); }
  ShardBarrier take_barrier();  // once, when barrier_passed()
  void set_paused(bool paused) { paused_ = paused; }
  // While on, the node takes no rows: they count as shed and are told with the barrier. Time goes on.
  void set_shedding(unsigned node, bool on);
  std::uint64_t shed_rows(unsigned node) const;
  bool ended() const {
    return ended_nodes_ == nodes_.size() && ended_sources_ == feeds_.size() && waiting_packets_ == 0;
  }

  unsigned node_count() const { return static_cast<unsigned>(nodes_.size()); }
  unsigned shards() const { return shards_; }
  OperatorStats stats(unsigned node) const;
  Watermark source_watermark(unsigned source) const { return sources_[source].watermark; }
  Watermark input_watermark(unsigned node, unsigned input) const;
  std::uint64_t late_dropped(unsigned node) const;
  Watermark output_watermark(unsigned node) const;  // what the node told those behind it
  Idleness output_idle(unsigned node) const;

 private:
  // What lies below a source or node in this shard, up to the next exchange.
  struct Reach {
    std::vector<unsigned> nodes, exchanges, terminals;
  };
  struct Input;
  struct Message;
  struct Node;
  class NodeOutput;
  struct ExchangeIn;
  struct SourceState {
    Watermark watermark;
    Idleness told_idle;
    bool told = false, ended = false;
    Reach below;
  };

  Status restore(const StateImage& state, const std::vector<StepSegments>& segments, FileSystem* files);
  void find_reach();
  void deliver(const Target& target, int exchange, Batch&& batch);
  void deliver_watermark(const Target& target, int exchange, Watermark watermark, Idleness idle);
  void deliver_barrier(const Target& target, int exchange);
  void deliver_end(const Target& target, int exchange);
  void send(unsigned exchange, unsigned to, Packet&& packet);
  bool flush_waiting();
  bool serve_exchanges();
  bool poll_feeds(std::int64_t now_ms);
  void receive(ExchangeIn& in, unsigned from, Packet&& packet);
  void update_exchange_watermark(ExchangeIn& in);
  void input_rows(unsigned node, unsigned input, Batch&& batch);
  void input_time(unsigned node, unsigned input, Watermark watermark, Idleness idle);
  void input_barrier(unsigned node, unsigned input);
  void input_end(unsigned node, unsigned input);
  void tell(unsigned node, Message&& message);
  void handle(unsigned node, Message&& message);
  void on_rows(unsigned node, unsigned input, Batch&& batch);
  void shed(Node& node, const Batch& batch);
  void on_time(unsigned node, unsigned input, Watermark watermark, Idleness idle);
  void on_idle(unsigned node, unsigned input, Idleness idle);
  void on_barrier(unsigned node, unsigned input);
  void on_end(unsigned node, unsigned input);
  void barrier_everywhere();  // it came to all nodes
  bool save_portion();
  void hand_over(unsigned node);
  void after_call(unsigned node);
  bool resume_nodes();
  bool room_above(int exchange) const;
  bool room_below(unsigned node) const;
  bool idle_below(const Reach& reach) const;
  void tell_clock(std::int64_t wall_ms);

  const Graph& graph_;
  const unsigned index_, shards_;
  ExchangeRings& rings_;
  std::vector<Feed*> feeds_;
  std::vector<Terminal*> terminals_;
  FailureListener& failures_;

  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<unsigned> clocked_;  // nodes that want the wall clock
  bool clock_told_ = false;        // the first time comes before the first row, whatever waits
  std::vector<SourceState> sources_;
  std::vector<std::vector<int>> source_exchange_;  // [source][edge] -> exchange number or -1
  std::vector<std::unique_ptr<ExchangeIn>> exchanges_;
  std::vector<std::deque<Packet>> waiting_;  // [exchange * shards + to]
  std::vector<std::size_t> waiting_of_;      // [exchange]
  std::size_t waiting_packets_ = 0;

  std::unique_ptr<ShardBarrier> barrier_;
  bool aligned_ = false;         // the barrier came to all nodes: rows of the next epoch are taken
  std::deque<unsigned> saving_;  // nodes whose snapshot is not complete
  std::int64_t stalled_us_ = 0;  // by snapshots since rows were last taken
  std::size_t passed_nodes_ = 0, ended_nodes_ = 0, ended_sources_ = 0;
  bool paused_ = false;
};

}  // namespace twinspan::engine
