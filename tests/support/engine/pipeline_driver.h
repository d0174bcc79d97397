#pragma once
// A whole pipeline of N shards in the calling thread: hand-written sources and sinks, a manual clock, shards
// stepped one by one in an order the test chooses (or a seed). Rows are (key, id, epoch): ids are unique,
// `epoch` is the one the row belongs to, so that any snapshot or output can be checked row by row. Thread:
// one (RunThreads: one thread a shard, like production).

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "engine/base/clock.h"
#include "engine/operators/transform.h"
#include "engine/runtime/shard.h"

namespace twinspan::testing {

struct TestRow {
  std::int64_t key = 0, id = 0, epoch = 0;
  EventTime time = 0;
};

const Schema& test_schema();
std::shared_ptr<const engine::RowCodec> by_key();
Batch make_batch(const std::vector<TestRow>& rows, Watermark before);
std::vector<TestRow> rows_of(const Batch& batch);

// Gives one scripted batch a poll. The watermark before a batch is the one the item before left.
class ScriptedFeed final : public engine::Feed {
 public:
  void push(std::vector<TestRow> rows, std::optional<Watermark> after = {}) {
    items_.push_back({std::move(rows), after});
  }
  void set_watermark(Watermark w) { watermark_ = w; }
  void set_idle(bool idle) { idle_ = idle_firing_ = idle; }
  void set_idle_firing(bool idle) { idle_firing_ = idle; }
  void end() { end_ = true; }
  bool drained() const { return items_.empty(); }
  std::uint64_t position() const { return position_; }

  bool poll(std::int64_t now_ms, Batch& out) override;
  Watermark watermark(std::int64_t) override { return watermark_; }
  bool idle() const override { return idle_; }
  bool idle_firing() const override { return idle_firing_; }
  bool ended() const override { return end_ && items_.empty(); }
  std::string barrier_state() override { return std::to_string(position_); }

 private:
  struct Item {
    std::vector<TestRow> rows;
    std::optional<Watermark> after;
  };
  std::deque<Item> items_;
  Watermark watermark_;
  bool idle_ = false, idle_firing_ = false, end_ = false;
  std::uint64_t position_ = 0;  // rows given
};

class CollectingTerminal final : public engine::Terminal {
 public:
  void write(const Batch& batch) override;
  bool has_room() const override { return room; }
  void step(std::int64_t) override {}
  std::uint64_t written() const override { return rows.size(); }

  std::vector<TestRow> rows;
  bool room = true;
};

// Keeps every row it sees as state, one entry an id, and passes it on like a union. Notes what a broken
// runtime would do: a watermark that goes back, a second finish, a row after the end.
class Recorder final : public engine::Operator {
 public:
  explicit Recorder(unsigned inputs) : pass_(inputs, test_schema()), last_(inputs), told_(inputs) {}

  void process(unsigned input, Batch&& batch, engine::Output& out) override;
  void watermark(unsigned input, Watermark watermark, engine::Output& out) override;
  void input_idle(unsigned input, engine::Idleness idle, engine::Output& out) override {
    pass_.input_idle(input, idle, out);
  }
  void finish(engine::Output&) override { ++finished; }
  void snapshot(engine::DeltaWriter& out) override { engine::snapshot_at_once(*this, out); }
  bool begin_snapshot(engine::DeltaWriter& out) override;
  bool snapshot_portion(std::size_t entries, engine::DeltaWriter& out) override;  // three entries, whatever is asked
  Status restore(const engine::StateEntry& entry) override;
  void restore_watermark(unsigned input, Watermark watermark) override;
  engine::OperatorStats stats() const override { return pass_.stats(); }
  const Schema& schema() const override { return pass_.schema(); }

  Watermark told(unsigned input) const { return told_[input]; }  // by the last watermark message

  std::map<std::int64_t, std::int64_t> ids;  // id -> key, all ever seen or restored
  std::vector<std::string> faults;
  int finished = 0;

 private:
  engine::Union pass_;
  std::vector<Watermark> last_;  // of each input, by rows and messages
  std::vector<Watermark> told_;
  std::vector<std::pair<std::int64_t, std::int64_t>> fresh_;  // since the last snapshot
  std::vector<std::pair<std::int64_t, std::int64_t>> saving_;
};

// Emits one row at every change of its watermark, and counts them: rows that time alone brings.
class Ticker final : public engine::Operator {
 public:
  explicit Ticker(unsigned shard) : shard_(shard) {}
  void process(unsigned, Batch&& batch, engine::Output& out) override { out.emit(std::move(batch)); }
  void watermark(unsigned, Watermark watermark, engine::Output& out) override;
  void snapshot(engine::DeltaWriter& out) override;
  void restore_watermark(unsigned, Watermark) override {}
  engine::OperatorStats stats() const override { return {}; }
  const Schema& schema() const override { return test_schema(); }

  static constexpr std::int64_t kFirstId = 1'000'000'000;
  std::int64_t ticks = 0;

 private:
  const unsigned shard_;
  Watermark last_;
};

struct NoFailures final : engine::FailureListener {
  void failed(const std::string&, const Batch&, std::uint32_t, std::string_view) override { ++count; }
  std::atomic<int> count{0};
};

// Graphs are built with these; a node made by recorder() can be found again in PipelineDriver::recorders.
class PipelineDriver {
 public:
  PipelineDriver(engine::Graph graph, unsigned shards, std::size_t packets_per_ring);
  ~PipelineDriver();

  ScriptedFeed& feed(unsigned shard, unsigned source) { return *feeds_[shard][source]; }
  CollectingTerminal& terminal(unsigned shard, unsigned index) { return *terminals_[shard][index]; }
  engine::Shard& shard(unsigned i) { return *shards_[i]; }
  Recorder& recorder(unsigned shard, unsigned node);
  Ticker& ticker(unsigned shard, unsigned node);
  unsigned shards() const { return static_cast<unsigned>(shards_.size()); }

  bool step(unsigned shard) { return shards_[shard]->step(clock.monotonic_ms(), clock.wall_ms()); }
  // All shards in turn until a whole round does nothing. false: it goes on for more than `rounds`.
  bool settle(int rounds = 100'000);
  // One shard of the seed's choice; a barrier that was asked for may begin there first, a passed one is
  // taken.
  void random_step(std::mt19937& random);

  void ask_for_barrier(Epoch epoch);
  bool barrier_done() const { return barriers_.size() == shards_.size(); }
  // All shards' parts, by shard.
  std::vector<engine::ShardBarrier> take_barriers();
  // The same with every shard starting at once, stepped until it passed.
  std::vector<engine::ShardBarrier> barrier(Epoch epoch);

  // One thread a shard until all ended; a barrier every `barrier_every` rounds of the coordinator, checked by
  // `check`.
  void run_threads(int barriers, const std::function<void(std::vector<engine::ShardBarrier>)>& check);

  std::set<std::int64_t> output(unsigned terminal) const;
  std::vector<std::string> faults() const;

  ManualClock clock;
  NoFailures failures;

 private:
  void begin(unsigned shard);
  void take(unsigned shard);

  engine::Graph graph_;
  std::unique_ptr<engine::ExchangeRings> rings_;
  std::vector<std::vector<std::unique_ptr<ScriptedFeed>>> feeds_;
  std::vector<std::vector<std::unique_ptr<CollectingTerminal>>> terminals_;
  std::vector<std::unique_ptr<engine::Shard>> shards_;
  std::map<std::pair<unsigned, unsigned>, Recorder*> recorders_;  // (shard, node)
  std::map<std::pair<unsigned, unsigned>, Ticker*> tickers_;
  Epoch epoch_;
  std::vector<bool> asked_;
  std::vector<engine::ShardBarrier> barriers_;
};

// --- graphs ---

// Nodes with the id "tick..." become Tickers, all others Recorders, unless the test sets their `make` itself.
class GraphBuilder {
 public:
  unsigned source(const std::string& id);
  unsigned node(const std::string& id, unsigned inputs = 1);
  unsigned terminal(const std::string& id);
  void source_to(unsigned source, unsigned node, unsigned input, bool exchange);
  void node_to(unsigned from, unsigned node, unsigned input, bool exchange);
  void node_to_terminal(unsigned from, unsigned terminal);
  engine::Graph build() const { return graph_; }

 private:
  engine::Graph graph_;
};

// The ids a barrier's deltas say `node` has newly recorded.
std::set<std::int64_t> recorded(const std::vector<engine::ShardBarrier>& barriers, const std::string& node);

}  // namespace twinspan::testing
