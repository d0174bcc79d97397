#include "tests/support/engine/pipeline_driver.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>

#include <fmt/format.h>

namespace twinspan::testing {

using namespace engine;

const Schema& test_schema() {
  static const Schema schema{{{"key", types::int64}, {"id", types::int64}, {"epoch", types::int64}}};
  return schema;
}

std::shared_ptr<const RowCodec> by_key() {
  return std::make_shared<RowCodec>(std::vector<int>{0}, std::vector<DataType>{types::int64});
}

Batch make_batch(const std::vector<TestRow>& rows, Watermark before) {
  Batch batch;
  batch.schema = &test_schema();
  batch.rows = static_cast<std::uint32_t>(rows.size());
  Arena& arena = batch.add_arena();
  std::int64_t* columns[3];
  for (auto& c : columns) c = arena.make<std::int64_t>(rows.size());
  auto* time = arena.make<EventTime>(rows.size());
  auto* firing = arena.make<EventTime>(rows.size());
  auto* retention = arena.make<EventTime>(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    columns[0][i] = rows[i].key;
    columns[1][i] = rows[i].id;
    columns[2][i] = rows[i].epoch;
    time[i] = rows[i].time;
    firing[i] = before.firing;
    retention[i] = before.retention;
  }
  for (auto* c : columns) batch.columns.push_back({types::int64, c, nullptr});
  batch.time = time;
  batch.firing = firing;
  batch.retention = retention;
  return batch;
}

std::vector<TestRow> rows_of(const Batch& batch) {
  std::vector<TestRow> out;
  for (std::uint32_t i = 0; i < batch.rows; ++i)
    out.push_back({batch.columns[0].as<std::int64_t>()[i], batch.columns[1].as<std::int64_t>()[i],
                   batch.columns[2].as<std::int64_t>()[i], batch.time[i]});
  return out;
}

bool ScriptedFeed::poll(std::int64_t, Batch& out) {
  if (items_.empty()) return false;
  Item item = std::move(items_.front());
  items_.pop_front();
  out = make_batch(item.rows, watermark_);
  position_ += item.rows.size();
  if (item.after) watermark_ = *item.after;
  return true;
}

void CollectingTerminal::write(const Batch& batch) {
  for (const TestRow& r : rows_of(batch)) rows.push_back(r);
}

// --- operators ---

void Recorder::process(unsigned input, Batch&& batch, Output& out) {
  if (finished > 0) faults.push_back("rows after the end");
  for (std::uint32_t i = 0; i < batch.rows; ++i) {
    const Watermark w{batch.firing[i], batch.retention[i]};
    if (w.firing < last_[input].firing || w.retention < last_[input].retention)
      faults.push_back("a watermark before a row goes back");
    if (w.retention > w.firing) faults.push_back("R before a row is above F");
    last_[input] = w;
  }
  for (const TestRow& r : rows_of(batch)) {
    if (!ids.emplace(r.id, r.key).second) faults.push_back(fmt::format("row {} came twice", r.id));
    fresh_.emplace_back(r.id, r.key);
  }
  pass_.process(input, std::move(batch), out);
}

void Recorder::watermark(unsigned input, Watermark w, Output& out) {
  if (w.firing < last_[input].firing || w.retention < last_[input].retention)
    faults.push_back(fmt::format("the watermark of input {} goes back: {}/{} to {}/{}", input, last_[input].firing,
                                 last_[input].retention, w.firing, w.retention));
  if (w.retention > w.firing) faults.push_back("R is above F");
  last_[input] = told_[input] = w;
  pass_.watermark(input, w, out);
}

void Recorder::restore_watermark(unsigned input, Watermark w) {
  last_[input] = w;
  pass_.restore_watermark(input, w);
}

bool Recorder::begin_snapshot(DeltaWriter& out) {
  if (!saving_.empty()) faults.push_back("a snapshot began in another one");
  if (out.bytes() > 0) faults.push_back("a snapshot began behind another one's entries");
  saving_ = std::exchange(fresh_, {});
  return !saving_.empty();
}

bool Recorder::snapshot_portion(std::size_t, DeltaWriter& out) {
  for (int i = 0; i < 3 && !saving_.empty(); ++i) {
    const auto [id, key] = saving_.back();
    saving_.pop_back();
    const Batch one = make_batch({{key, id, 0, 0}}, {});
    std::uint64_t hash = 0;
    by_key()->hash(one, &hash);
    out.put(0, key_group_of(hash), 0, std::to_string(id), std::to_string(key));
  }
  return !saving_.empty();
}

Status Recorder::restore(const StateEntry& entry) {
  if (!ids.emplace(std::stoll(std::string(entry.key)), std::stoll(std::string(entry.value))).second)
    faults.push_back("restored twice");
  return ok();
}

void Ticker::watermark(unsigned, Watermark watermark, Output& out) {
  const std::int64_t id = kFirstId + static_cast<std::int64_t>(shard_) * 1'000'000 + ticks++;
  out.emit(make_batch({{id, id, 0, 0}}, last_));
  last_ = watermark;
  out.watermark(watermark);
}

void Ticker::snapshot(DeltaWriter& out) { out.put(0, 0, 0, "ticks", std::to_string(ticks)); }

// --- the driver ---

PipelineDriver::PipelineDriver(Graph graph, unsigned shards, std::size_t packets_per_ring)
    : graph_(std::move(graph)), asked_(shards) {
  for (unsigned n = 0; n < graph_.nodes.size(); ++n) {
    OperatorNode& node = graph_.nodes[n];
    if (node.make) continue;
    node.make = [this, n, ticker = node.id.starts_with("tick"), inputs = node.inputs](
                    unsigned shard, unsigned) -> std::unique_ptr<Operator> {
      if (ticker) {
        auto op = std::make_unique<Ticker>(shard);
        tickers_[{shard, n}] = op.get();
        return op;
      }
      auto op = std::make_unique<Recorder>(inputs);
      recorders_[{shard, n}] = op.get();
      return op;
    };
  }
  rings_ = std::make_unique<ExchangeRings>(Shard::count_exchanges(graph_), shards, packets_per_ring);
  for (unsigned s = 0; s < shards; ++s) {
    std::vector<Feed*> feeds;
    std::vector<Terminal*> terminals;
    feeds_.emplace_back();
    terminals_.emplace_back();
    for (std::size_t i = 0; i < graph_.sources.size(); ++i)
      feeds.push_back(feeds_[s].emplace_back(std::make_unique<ScriptedFeed>()).get());
    for (std::size_t i = 0; i < graph_.terminals.size(); ++i)
      terminals.push_back(terminals_[s].emplace_back(std::make_unique<CollectingTerminal>()).get());
    shards_.push_back(std::make_unique<Shard>(graph_, s, *rings_, feeds, terminals, failures));
  }
}

PipelineDriver::~PipelineDriver() = default;

Recorder& PipelineDriver::recorder(unsigned shard, unsigned node) { return *recorders_.at({shard, node}); }
Ticker& PipelineDriver::ticker(unsigned shard, unsigned node) { return *tickers_.at({shard, node}); }

bool PipelineDriver::settle(int rounds) {
  // A watermark sent in one round is received in the next, once for every exchange on its way.
  const int quiet_enough = static_cast<int>(graph_.nodes.size()) + 2;
  for (int r = 0, quiet = 0; r < rounds; ++r) {
    bool progress = false;
    for (unsigned s = 0; s < shards(); ++s) progress |= step(s);
    quiet = progress ? 0 : quiet + 1;
    if (quiet == quiet_enough) return true;
  }
  return false;
}

void PipelineDriver::begin(unsigned s) {
  asked_[s] = false;
  shards_[s]->begin_barrier(epoch_);
}

void PipelineDriver::take(unsigned s) {
  if (shards_[s]->barrier_passed()) barriers_.push_back(shards_[s]->take_barrier());
}

void PipelineDriver::random_step(std::mt19937& random) {
  const unsigned s = random() % shards();
  if (asked_[s] && random() % 3 == 0) begin(s);
  step(s);
  take(s);
}

void PipelineDriver::ask_for_barrier(Epoch epoch) {
  TS_CHECK(barriers_.empty());
  epoch_ = epoch;
  asked_.assign(shards(), true);
}

std::vector<ShardBarrier> PipelineDriver::take_barriers() {
  std::sort(barriers_.begin(), barriers_.end(), [](const auto& a, const auto& b) { return a.shard < b.shard; });
  return std::exchange(barriers_, {});
}

std::vector<ShardBarrier> PipelineDriver::barrier(Epoch epoch) {
  ask_for_barrier(epoch);
  for (unsigned s = 0; s < shards(); ++s) {
    begin(s);
    take(s);
  }
  for (int round = 0; round < 100'000 && !barrier_done(); ++round) {
    for (unsigned s = 0; s < shards(); ++s) {
      step(s);
      take(s);
    }
  }
  TS_CHECK(barrier_done());
  return take_barriers();
}

void PipelineDriver::run_threads(int barriers, const std::function<void(std::vector<ShardBarrier>)>& check) {
  std::mutex mutex;  // guards the coordinator's side, as the mailbox does in production
  std::uint64_t next = 1;
  const auto run = [&](unsigned s) {
    for (;;) {
      {
        std::lock_guard lock(mutex);
        const bool all_asked_done = barriers_.size() == shards_.size();
        if (all_asked_done) check(take_barriers());
        const bool in_flight = epoch_.value >= next;
        if (in_flight && all_asked_done) ++next;
        if (epoch_.value < next && next <= static_cast<std::uint64_t>(barriers)) {
          epoch_ = Epoch(next);
          asked_.assign(shards_.size(), true);
        }
        if (asked_[s]) begin(s);
        if (next > static_cast<std::uint64_t>(barriers) && shards_[s]->ended()) return;
      }
      if (!step(s)) std::this_thread::yield();
      std::lock_guard lock(mutex);
      take(s);
    }
  };
  std::vector<std::jthread> threads;
  for (unsigned s = 0; s < shards(); ++s) threads.emplace_back(run, s);
}

std::set<std::int64_t> PipelineDriver::output(unsigned terminal) const {
  std::set<std::int64_t> ids;
  for (const auto& of_shard : terminals_)
    for (const TestRow& r : of_shard[terminal]->rows) ids.insert(r.id);
  return ids;
}

std::vector<std::string> PipelineDriver::faults() const {
  std::vector<std::string> out;
  for (const auto& [place, recorder] : recorders_)
    for (const std::string& f : recorder->faults)
      out.push_back(fmt::format("shard {} {}: {}", place.first, graph_.nodes[place.second].id, f));
  return out;
}

// --- graphs ---

unsigned GraphBuilder::source(const std::string& id) {
  graph_.sources.push_back({id, {}});
  return static_cast<unsigned>(graph_.sources.size() - 1);
}
unsigned GraphBuilder::node(const std::string& id, unsigned inputs) {
  OperatorNode n;
  n.id = id;
  n.inputs = inputs;
  graph_.nodes.push_back(std::move(n));
  return static_cast<unsigned>(graph_.nodes.size() - 1);
}
unsigned GraphBuilder::terminal(const std::string& id) {
  graph_.terminals.push_back(id);
  return static_cast<unsigned>(graph_.terminals.size() - 1);
}
void GraphBuilder::source_to(unsigned source, unsigned node, unsigned input, bool exchange) {
  graph_.sources[source].out.push_back({Target::Kind::node, node, input, exchange ? by_key() : nullptr, true});
}
void GraphBuilder::node_to(unsigned from, unsigned node, unsigned input, bool exchange) {
  graph_.nodes[from].out.push_back({Target::Kind::node, node, input, exchange ? by_key() : nullptr, true});
}
void GraphBuilder::node_to_terminal(unsigned from, unsigned terminal) {
  graph_.nodes[from].out.push_back({Target::Kind::terminal, terminal, 0, nullptr, true});
}

std::set<std::int64_t> recorded(const std::vector<ShardBarrier>& barriers, const std::string& node) {
  std::set<std::int64_t> ids;
  for (const ShardBarrier& b : barriers) {
    for (const StepDelta& d : b.deltas) {
      if (d.step != node) continue;
      const std::string bytes = d.bytes.joined();
      DeltaReader reader(bytes);
      StateEntry entry;
      for (;;) {
        auto more = reader.next(entry);
        TS_CHECK(more);
        if (!more.value()) break;
        TS_CHECK(ids.insert(std::stoll(std::string(entry.key))).second);
      }
    }
  }
  return ids;
}

}  // namespace twinspan::testing
