#include "engine/runtime/shard.h"

#include <algorithm>
#include <chrono>
#include <optional>

namespace twinspan::engine {

namespace {
constexpr unsigned kPacketsPerStep = 16;  // of one ring: keeps a step short
}

struct Shard::Input {
  Watermark watermark;
  std::optional<Watermark> told;  // by the last watermark message; rows may have carried it further
  Idleness idle;
  bool barrier = false, ended = false;
};

class Shard::NodeOutput final : public Output {
 public:
  NodeOutput(Shard& shard, unsigned node) : shard_(shard), node_(node) {}
  void emit(Batch&& batch) override;
  void watermark(Watermark watermark) override;
  void late(Batch&& rows) override;
  void failed(const Batch& batch, std::uint32_t row, std::string_view reason) override {
    shard_.failures_.failed(shard_.graph_.nodes[node_].id, batch, row, reason);
  }

 private:
  Shard& shard_;
  const unsigned node_;
};

struct Shard::Node {
  Node(Shard& shard, unsigned index) : output(shard, index) {}
  std::unique_ptr<Operator> op;
  NodeOutput output;
  std::vector<Input> inputs;
  std::vector<int> exchange;  // of each out edge, -1 = stays here
  Watermark out;
  Idleness out_idle;
  std::uint64_t late_dropped = 0;
};

// The receiving end of one exchange: the minimum over its senders, and who has delivered the barrier.
struct Shard::ExchangeIn {
  unsigned number = 0, node = 0, input = 0;
  bool hash_is_operator_key = true;
  struct Sender {
    Watermark watermark;
    Idleness idle;
    bool barrier = false, ended = false;
  };
  std::vector<Sender> senders;
};

Shard::Shard(const Graph& graph, unsigned index, ExchangeRings& rings, std::vector<Feed*> feeds,
             std::vector<Terminal*> terminals, FailureListener& failures)
    : graph_(graph),
      index_(index),
      shards_(rings.shards()),
      rings_(rings),
      feeds_(std::move(feeds)),
      terminals_(std::move(terminals)),
      failures_(failures) {
  TS_CHECK(feeds_.size() == graph_.sources.size() && terminals_.size() == graph_.terminals.size());
  const auto number_edge = [this](const Target& t) {
    if (shards_ == 1 || t.partition_by == nullptr || t.kind == Target::Kind::terminal) return -1;
    auto in = std::make_unique<ExchangeIn>();
    in->number = static_cast<unsigned>(exchanges_.size());
    in->node = t.index;
    in->input = t.input;
    in->hash_is_operator_key = t.hash_is_operator_key;
    in->senders.resize(shards_);
    exchanges_.push_back(std::move(in));
    return static_cast<int>(exchanges_.back()->number);
  };
  sources_.resize(graph_.sources.size());
  for (const SourceNode& s : graph_.sources) {
    auto& edges = source_exchange_.emplace_back();
    for (const Target& t : s.out) edges.push_back(number_edge(t));
  }
  for (unsigned i = 0; i < graph_.nodes.size(); ++i) {
    auto node = std::make_unique<Node>(*this, i);
    node->op = graph_.nodes[i].make(index_, shards_);
    node->inputs.resize(graph_.nodes[i].inputs);
    for (const Target& t : graph_.nodes[i].out) node->exchange.push_back(number_edge(t));
    nodes_.push_back(std::move(node));
  }
  waiting_.resize(exchanges_.size() * shards_);
  waiting_of_.resize(exchanges_.size());
}

Shard::~Shard() = default;

unsigned Shard::count_exchanges(const Graph& graph) {
  unsigned n = 0;
  const auto count = [&n](const std::vector<Target>& out) {
    for (const Target& t : out) n += t.partition_by != nullptr ? 1 : 0;
  };
  for (const auto& s : graph.sources) count(s.out);
  for (const auto& s : graph.nodes) count(s.out);
  return n;
}

Status Shard::restore(const StateImage& state) {
  for (unsigned i = 0; i < nodes_.size(); ++i) {
    TS_TRYV(state.for_each(graph_.nodes[i].id, [&](const StateEntry& e) -> Status {
      if (shard_of_group(e.key_group, shards_) != index_) return ok();
      return nodes_[i]->op->restore(e);
    }));
  }
  return ok();
}

void Shard::restore_watermark(unsigned node, unsigned input, Watermark watermark) {
  nodes_[node]->inputs[input].watermark = watermark;
  nodes_[node]->op->restore_watermark(input, watermark);
}

// --- down the edges ---

void Shard::NodeOutput::emit(Batch&& batch) {
  if (batch.rows == 0) return;
  const auto& out = shard_.graph_.nodes[node_].out;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const int exchange = shard_.nodes_[node_]->exchange[i];
    if (i + 1 == out.size()) {
      shard_.deliver(out[i], exchange, std::move(batch));
    } else {
      Batch copy = batch;
      shard_.deliver(out[i], exchange, std::move(copy));
    }
  }
}

void Shard::NodeOutput::watermark(Watermark watermark) {
  Node& node = *shard_.nodes_[node_];
  if (watermark == node.out) return;
  node.out = watermark;
  const auto& out = shard_.graph_.nodes[node_].out;
  for (std::size_t i = 0; i < out.size(); ++i)
    shard_.deliver_watermark(out[i], node.exchange[i], watermark, node.out_idle);
}

void Shard::NodeOutput::late(Batch&& rows) {
  const int terminal = shard_.graph_.nodes[node_].late_terminal;
  if (terminal >= 0)
    shard_.terminals_[static_cast<unsigned>(terminal)]->write(rows);
  else
    shard_.nodes_[node_]->late_dropped += rows.rows;
}

void Shard::deliver(const Target& target, int exchange, Batch&& batch) {
  if (target.kind == Target::Kind::terminal) {
    terminals_[target.index]->write(batch);
    return;
  }
  if (exchange < 0) {
    Node& node = *nodes_[target.index];
    // Rows carry the watermark before each of them; the last one is what the input has been told.
    if (batch.firing != nullptr && batch.rows > 0) {
      Watermark& w = node.inputs[target.input].watermark;
      // After a restore a source may begin below what the input had reached: with lanes that were idle then, for one.
      if (batch.firing[0] < w.firing || batch.retention[0] < w.retention) {
        Arena& arena = batch.add_arena();
        auto* f = arena.make<EventTime>(batch.rows);
        auto* r = arena.make<EventTime>(batch.rows);
        for (std::uint32_t i = 0; i < batch.rows; ++i) {
          f[i] = std::max(w.firing, batch.firing[i]);
          r[i] = std::max(w.retention, batch.retention[i]);
        }
        batch.firing = f;
        batch.retention = r;
      }
      w.firing = std::max(w.firing, batch.firing[batch.rows - 1]);
      w.retention = std::max(w.retention, batch.retention[batch.rows - 1]);
    }
    node.op->process(target.input, std::move(batch), node.output);
    return;
  }
  auto arena = std::make_shared<Arena>(batch.rows * 8);
  auto* hash = arena->make<std::uint64_t>(batch.rows);
  target.partition_by->hash(batch, hash);
  batch.hash = hash;
  batch.arenas.push_back(arena);
  std::vector<std::vector<std::uint32_t>> rows(shards_);
  for (std::uint32_t i = 0; i < batch.rows; ++i) rows[shard_of_hash(hash[i], shards_)].push_back(i);
  for (unsigned to = 0; to < shards_; ++to) {
    if (rows[to].empty()) continue;
    Packet packet;
    const auto n = static_cast<std::uint32_t>(rows[to].size());
    if (n == batch.rows)
      packet.batch = std::move(batch);
    else
      packet.batch = gather(batch, rows[to].data(), n, std::make_shared<Arena>());
    if (!target.hash_is_operator_key) packet.batch.hash = nullptr;
    send(static_cast<unsigned>(exchange), to, std::move(packet));
  }
}

void Shard::deliver_watermark(const Target& target, int exchange, Watermark watermark, Idleness idle) {
  if (target.kind == Target::Kind::terminal) return;
  if (exchange < 0) {
    input_time(target.index, target.input, watermark, idle);
    return;
  }
  for (unsigned to = 0; to < shards_; ++to) {
    // Watermarks that wait behind one another say nothing new: the last one is enough.
    auto& queue = waiting_[static_cast<unsigned>(exchange) * shards_ + to];
    if (!queue.empty() && queue.back().kind == Packet::Kind::watermark) {
      queue.back().watermark = watermark;
      queue.back().idle = idle;
      continue;
    }
    Packet packet;
    packet.kind = Packet::Kind::watermark;
    packet.watermark = watermark;
    packet.idle = idle;
    send(static_cast<unsigned>(exchange), to, std::move(packet));
  }
}

void Shard::deliver_barrier(const Target& target, int exchange) {
  if (target.kind == Target::Kind::terminal) return;
  if (exchange < 0) {
    input_barrier(target.index, target.input);
    return;
  }
  for (unsigned to = 0; to < shards_; ++to) {
    Packet packet;
    packet.kind = Packet::Kind::barrier;
    packet.epoch = barrier_->epoch;
    send(static_cast<unsigned>(exchange), to, std::move(packet));
  }
}

void Shard::deliver_end(const Target& target, int exchange) {
  if (target.kind == Target::Kind::terminal) return;
  if (exchange < 0) {
    input_end(target.index, target.input);
    return;
  }
  for (unsigned to = 0; to < shards_; ++to) {
    Packet packet;
    packet.kind = Packet::Kind::end;
    send(static_cast<unsigned>(exchange), to, std::move(packet));
  }
}

void Shard::send(unsigned exchange, unsigned to, Packet&& packet) {
  auto& queue = waiting_[exchange * shards_ + to];
  if (queue.empty() && rings_.ring(exchange, index_, to).try_push(packet)) return;
  queue.push_back(std::move(packet));
  ++waiting_of_[exchange];
  ++waiting_packets_;
}

bool Shard::flush_waiting() {
  if (waiting_packets_ == 0) return false;
  bool progress = false;
  for (unsigned e = 0; e < exchanges_.size(); ++e) {
    for (unsigned to = 0; to < shards_; ++to) {
      auto& queue = waiting_[e * shards_ + to];
      while (!queue.empty() && rings_.ring(e, index_, to).try_push(queue.front())) {
        queue.pop_front();
        --waiting_of_[e];
        --waiting_packets_;
        progress = true;
      }
    }
  }
  return progress;
}

// --- into an operator ---

// An input that becomes active does so before its watermark moves, one that becomes idle after: it counts with it once.
void Shard::input_time(unsigned node, unsigned input, Watermark watermark, Idleness idle) {
  Node& n = *nodes_[node];
  Input& in = n.inputs[input];
  input_idle(node, input, {in.idle.firing && idle.firing, in.idle.retention && idle.retention});
  const Watermark next{std::max(in.watermark.firing, watermark.firing),
                       std::max(in.watermark.retention, watermark.retention)};
  in.watermark = next;
  if (in.told != next) {
    in.told = next;
    n.op->watermark(input, next, n.output);
  }
  input_idle(node, input, idle);
}

// What a node emits is idle when all its inputs are: its receivers in other shards must not wait for it.
void Shard::input_idle(unsigned node, unsigned input, Idleness idle) {
  Node& n = *nodes_[node];
  if (n.inputs[input].idle == idle) return;
  n.inputs[input].idle = idle;
  Idleness all{true, true};
  for (const Input& i : n.inputs) {
    all.firing &= i.idle.firing;
    all.retention &= i.idle.retention;
  }
  const Idleness before = n.out_idle;
  // What the operator says now is said as active, then idle: see input_time.
  n.out_idle = {before.firing && all.firing, before.retention && all.retention};
  n.op->input_idle(input, idle, n.output);
  n.out_idle = all;
  if (all == before) return;
  for (std::size_t i = 0; i < n.exchange.size(); ++i)
    deliver_watermark(graph_.nodes[node].out[i], n.exchange[i], n.out, all);
}

void Shard::input_barrier(unsigned node, unsigned input) {
  Node& n = *nodes_[node];
  n.inputs[input].barrier = true;
  if (!std::all_of(n.inputs.begin(), n.inputs.end(), [](const Input& i) { return i.barrier; })) return;
  DeltaWriter delta;
  // A figure only, so it needs no clock that tests own.
  const auto began = std::chrono::steady_clock::now();
  n.op->snapshot(delta);
  barrier_->stall_us +=
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - began).count();
  if (delta.bytes() > 0) barrier_->deltas.push_back({graph_.nodes[node].id, index_, shards_, delta.take_delta()});
  for (std::size_t i = 0; i < n.inputs.size(); ++i) barrier_->input_watermarks[node].push_back(n.inputs[i].watermark);
  for (Input& i : n.inputs) i.barrier = false;
  ++passed_nodes_;
  for (std::size_t i = 0; i < n.exchange.size(); ++i) deliver_barrier(graph_.nodes[node].out[i], n.exchange[i]);
}

void Shard::input_end(unsigned node, unsigned input) {
  Node& n = *nodes_[node];
  n.inputs[input].ended = true;
  if (!std::all_of(n.inputs.begin(), n.inputs.end(), [](const Input& i) { return i.ended; })) {
    input_idle(node, input, {true, true});
    return;
  }
  n.op->finish(n.output);
  ++ended_nodes_;
  for (std::size_t i = 0; i < n.exchange.size(); ++i) deliver_end(graph_.nodes[node].out[i], n.exchange[i]);
}

// --- exchanges ---

void Shard::update_exchange_watermark(ExchangeIn& in) {
  Watermark w{kMaxTime, kMaxTime};
  Idleness all{true, true};
  for (const auto& s : in.senders) {
    if (s.ended) continue;
    if (!s.idle.firing) w.firing = std::min(w.firing, s.watermark.firing), all.firing = false;
    if (!s.idle.retention) w.retention = std::min(w.retention, s.watermark.retention), all.retention = false;
  }
  const Watermark& now = nodes_[in.node]->inputs[in.input].watermark;
  if (all.firing) w.firing = now.firing;
  w.retention = all.retention ? now.retention : std::min(w.retention, std::max(w.firing, now.firing));
  input_time(in.node, in.input, w, all);
}

void Shard::receive(ExchangeIn& in, unsigned from, Packet&& packet) {
  auto& sender = in.senders[from];
  switch (packet.kind) {
    case Packet::Kind::rows: {
      if (sender.idle.retention) sender.idle = {};  // it was idle, and here are rows
      Batch& batch = packet.batch;
      // The sender's watermark before each row, held down by the slowest of the others.
      Watermark others{kMaxTime, kMaxTime};
      for (unsigned i = 0; i < shards_; ++i) {
        const auto& s = in.senders[i];
        if (i == from || s.ended) continue;
        if (!s.idle.firing) others.firing = std::min(others.firing, s.watermark.firing);
        if (!s.idle.retention) others.retention = std::min(others.retention, s.watermark.retention);
      }
      Node& node = *nodes_[in.node];
      Watermark& seen = node.inputs[in.input].watermark;
      if (batch.firing != nullptr) {
        Arena& arena = batch.add_arena();
        auto* f = arena.make<EventTime>(batch.rows);
        auto* r = arena.make<EventTime>(batch.rows);
        Watermark w = seen;
        for (std::uint32_t i = 0; i < batch.rows; ++i) {
          w.firing = std::max(w.firing, std::min(batch.firing[i], others.firing));
          w.retention = std::max(w.retention, std::min(batch.retention[i], others.retention));
          f[i] = w.firing;
          r[i] = w.retention;
        }
        sender.watermark.firing = std::max(sender.watermark.firing, batch.firing[batch.rows - 1]);
        sender.watermark.retention = std::max(sender.watermark.retention, batch.retention[batch.rows - 1]);
        seen = w;
        batch.firing = f;
        batch.retention = r;
      }
      node.op->process(in.input, std::move(batch), node.output);
      break;
    }
    case Packet::Kind::watermark:
      // What an idle sender reached before it became idle counts, also when both came as one packet.
      sender.idle = {sender.idle.firing && packet.idle.firing, sender.idle.retention && packet.idle.retention};
      sender.watermark.firing = std::max(sender.watermark.firing, packet.watermark.firing);
      sender.watermark.retention = std::max(sender.watermark.retention, packet.watermark.retention);
      update_exchange_watermark(in);
      if (sender.idle != packet.idle) {
        sender.idle = packet.idle;
        update_exchange_watermark(in);
      }
      break;
    case Packet::Kind::barrier: sender.barrier = true; break;
    case Packet::Kind::end:
      sender.ended = true;
      if (std::all_of(in.senders.begin(), in.senders.end(), [](const auto& s) { return s.ended; }))
        input_end(in.node, in.input);
      else
        update_exchange_watermark(in);
      break;
  }
}

bool Shard::serve_exchanges() {
  bool progress = false;
  for (auto it = exchanges_.rbegin(); it != exchanges_.rend(); ++it) {
    ExchangeIn& in = **it;
    for (unsigned from = 0; from < shards_; ++from) {
      auto& ring = rings_.ring(in.number, from, index_);
      for (unsigned n = 0; n < kPacketsPerStep && room_above(static_cast<int>(in.number)); ++n) {
        // A barrier that has come from here waits for the other senders, and for the shard's own begin_barrier.
        if (in.senders[from].barrier) break;
        auto packet = ring.try_pop();
        if (!packet) break;
        progress = true;
        receive(in, from, std::move(*packet));
      }
    }
    if (!barrier_) continue;
    const bool arrived = std::all_of(in.senders.begin(), in.senders.end(), [](const auto& s) { return s.barrier; });
    const bool passed = !barrier_->input_watermarks[in.node].empty();
    if (arrived && !passed && !nodes_[in.node]->inputs[in.input].barrier) {
      input_barrier(in.node, in.input);
      progress = true;
    }
  }
  return progress;
}

// Whether what comes from this exchange (-1: from a feed) may be taken: nothing of a higher one waits, and no terminal
// is full.
bool Shard::room_above(int exchange) const {
  for (std::size_t e = static_cast<std::size_t>(exchange + 1); e < waiting_of_.size(); ++e)
    if (waiting_of_[e] > 0) return false;
  return std::all_of(terminals_.begin(), terminals_.end(), [](const Terminal* t) { return t->has_room(); });
}

// --- feeds ---

bool Shard::poll_feeds(std::int64_t now_ms) {
  bool progress = false;
  for (unsigned s = 0; s < feeds_.size(); ++s) {
    SourceState& state = sources_[s];
    if (state.ended) continue;
    // Until the barrier has passed nothing of the next epoch enters, not even time: an operator in front of one that
    // still waits for the barrier on its other input might answer with rows.
    if (barrier_ && shards_ > 1) continue;
    if (!paused_ && room_above(-1)) {
      Batch batch;
      if (feeds_[s]->poll(now_ms, batch) && batch.rows > 0) {
        progress = true;
        const auto& out = graph_.sources[s].out;
        for (std::size_t i = 0; i < out.size(); ++i) {
          if (i + 1 == out.size()) {
            deliver(out[i], source_exchange_[s][i], std::move(batch));
          } else {
            Batch copy = batch;
            deliver(out[i], source_exchange_[s][i], std::move(copy));
          }
        }
      }
    }
    const Watermark w = feeds_[s]->watermark(now_ms);
    const Idleness idle{feeds_[s]->idle() || feeds_[s]->idle_firing(), feeds_[s]->idle()};
    if (!state.told || !(w == state.watermark) || idle != state.told_idle) {
      state.told = true;
      state.watermark = w;
      state.told_idle = idle;
      for (std::size_t i = 0; i < graph_.sources[s].out.size(); ++i)
        deliver_watermark(graph_.sources[s].out[i], source_exchange_[s][i], w, idle);
    }
    if (feeds_[s]->ended() && !barrier_) {
      state.ended = true;
      ++ended_sources_;
      progress = true;
      for (std::size_t i = 0; i < graph_.sources[s].out.size(); ++i)
        deliver_end(graph_.sources[s].out[i], source_exchange_[s][i]);
    }
  }
  return progress;
}

bool Shard::step(std::int64_t now_ms) {
  for (Terminal* t : terminals_) t->step(now_ms);
  bool progress = flush_waiting();
  progress |= serve_exchanges();
  progress |= poll_feeds(now_ms);
  return progress;
}

void Shard::begin_barrier(Epoch epoch) {
  TS_CHECK(!barrier_);
  barrier_ = std::make_unique<ShardBarrier>();
  barrier_->shard = index_;
  barrier_->epoch = epoch;
  barrier_->input_watermarks.resize(nodes_.size());
  passed_nodes_ = 0;
  for (Feed* f : feeds_) barrier_->feeds.push_back(f->barrier_state());
  for (unsigned s = 0; s < sources_.size(); ++s)
    for (std::size_t i = 0; i < graph_.sources[s].out.size(); ++i)
      deliver_barrier(graph_.sources[s].out[i], source_exchange_[s][i]);
}

ShardBarrier Shard::take_barrier() {
  TS_CHECK(barrier_passed());
  for (const Terminal* t : terminals_) barrier_->written.push_back(t->written());
  for (auto& in : exchanges_)
    for (auto& s : in->senders) s.barrier = false;
  ShardBarrier out = std::move(*barrier_);
  barrier_.reset();
  return out;
}

OperatorStats Shard::stats(unsigned node) const { return nodes_[node]->op->stats(); }
Watermark Shard::input_watermark(unsigned node, unsigned input) const { return nodes_[node]->inputs[input].watermark; }
std::uint64_t Shard::late_dropped(unsigned node) const { return nodes_[node]->late_dropped; }

}  // namespace twinspan::engine
