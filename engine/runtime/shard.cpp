#include <algorithm>

#include "engine/checkpoint/segment_files.h"
#include "engine/runtime/shard_impl.h"

namespace twinspan::engine {

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
    if (node->op->wants_clock()) clocked_.push_back(i);
    nodes_.push_back(std::move(node));
  }
  waiting_.resize(exchanges_.size() * shards_);
  waiting_of_.resize(exchanges_.size());
  find_reach();
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

Status Shard::restore(const StateImage& state) { return restore(state, {}, nullptr); }
Status Shard::restore(const RestoredState& state, FileSystem& files) {
  return restore(state.state, state.segments, &files);
}

Status Shard::restore(const StateImage& state, const std::vector<StepSegments>& segments, FileSystem* files) {
  const auto concerns_me = [this](const StepSegments& s) {
    for (std::uint16_t g = 0; g < kKeyGroups; ++g)
      if (shard_of_group(g, s.shards) == s.shard && shard_of_group(g, shards_) == index_) return true;
    return false;
  };
  for (unsigned i = 0; i < nodes_.size(); ++i) {
    Operator& op = *nodes_[i]->op;
    TS_TRYV(state.for_each(graph_.nodes[i].id, [&](const StateEntry& e) -> Status {
      if (shard_of_group(e.key_group, shards_) != index_ && !op.restores_all_groups()) return ok();
      return op.restore(e);
    }));
    std::vector<SealedSegment> sealed;
    for (const StepSegments& s : segments) {
      if (s.step != graph_.nodes[i].id || !concerns_me(s)) continue;
      for (const SegmentFile& f : s.files) {
        TS_TRY(number, number_of_segment(f.name));
        sealed.push_back({s.shard, s.shards, number, [files, f] { return read_segment(*files, f); }});
      }
    }
    TS_TRYV(op.restore_segments(sealed));
  }
  return ok();
}

Status Shard::use_segments(const std::function<Result<SegmentStore*>(const std::string& step)>& of) {
  for (unsigned i = 0; i < nodes_.size(); ++i) {
    if (!nodes_[i]->op->wants_segments()) continue;
    TS_TRY(store, of(graph_.nodes[i].id));
    nodes_[i]->op->use_segments(*store);
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
    input_rows(target.index, target.input, std::move(batch));
    return;
  }
  if (!target.hash_given || batch.hash == nullptr) {
    auto arena = std::make_shared<Arena>(batch.rows * 8);
    auto* computed = arena->make<std::uint64_t>(batch.rows);
    target.partition_by->hash(batch, computed);
    batch.hash = computed;
    batch.arenas.push_back(std::move(arena));
  }
  const std::uint64_t* hash = batch.hash;
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

// --- feeds ---

bool Shard::poll_feeds(std::int64_t now_ms) {
  bool progress = false;
  for (unsigned s = 0; s < feeds_.size(); ++s) {
    SourceState& state = sources_[s];
    if (state.ended) continue;
    // Until the barrier came everywhere nothing of the next epoch enters, not even time: an operator in front of one
    // that still waits for the barrier on its other input might answer with rows.
    if (barrier_ && !aligned_) continue;
    if (!idle_below(state.below)) continue;
    if (!paused_ && room_above(-1)) {
      Batch batch;
      const bool polled = feeds_[s]->poll(now_ms, batch);
      progress |= polled;  // also if none of its rows was good: there may be more behind them
      if (polled && batch.rows > 0) {
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

// What the clock makes an operator emit must neither overtake a barrier nor be more than there is room for.
void Shard::tell_clock(std::int64_t wall_ms) {
  if (wall_ms == kMinTime || (barrier_ && !aligned_ && clock_told_)) return;
  for (const unsigned i : clocked_) {
    Node& n = *nodes_[i];
    if (std::all_of(n.inputs.begin(), n.inputs.end(), [](const Input& x) { return x.ended; })) continue;
    if (clock_told_ && (n.busy() || !room_below(i))) continue;
    n.op->clock(wall_ms, n.output);
    after_call(i);
  }
  clock_told_ = true;
}

bool Shard::step(std::int64_t now_ms, std::int64_t wall_ms) {
  if (!clocked_.empty()) tell_clock(wall_ms);
  for (Terminal* t : terminals_) t->step(now_ms);
  bool progress = flush_waiting();
  progress |= resume_nodes();
  progress |= serve_exchanges();
  progress |= poll_feeds(now_ms);
  stalled_us_ = 0;
  progress |= save_portion();
  return progress;
}

void Shard::begin_barrier(Epoch epoch) {
  TS_CHECK(!barrier_);
  barrier_ = std::make_unique<ShardBarrier>();
  barrier_->shard = index_;
  barrier_->epoch = epoch;
  barrier_->input_watermarks.resize(nodes_.size());
  passed_nodes_ = 0;
  aligned_ = false;
  for (Feed* f : feeds_) barrier_->feeds.push_back(f->barrier_state());
  for (unsigned s = 0; s < sources_.size(); ++s)
    for (std::size_t i = 0; i < graph_.sources[s].out.size(); ++i)
      deliver_barrier(graph_.sources[s].out[i], source_exchange_[s][i]);
  if (nodes_.empty()) barrier_everywhere();
}

// What is written from now on belongs to the next epoch.
void Shard::barrier_everywhere() {
  aligned_ = true;
  for (const Terminal* t : terminals_) barrier_->written.push_back(t->written());
  for (auto& in : exchanges_)
    for (auto& s : in->senders) s.barrier = false;
}

ShardBarrier Shard::take_barrier() {
  TS_CHECK(barrier_passed());
  ShardBarrier out = std::move(*barrier_);
  barrier_.reset();
  return out;
}

OperatorStats Shard::stats(unsigned node) const { return nodes_[node]->op->stats(); }
Watermark Shard::input_watermark(unsigned node, unsigned input) const { return nodes_[node]->inputs[input].watermark; }
std::uint64_t Shard::late_dropped(unsigned node) const { return nodes_[node]->late_dropped; }
Watermark Shard::output_watermark(unsigned node) const { return nodes_[node]->out; }
Idleness Shard::output_idle(unsigned node) const { return nodes_[node]->out_idle; }

}  // namespace twinspan::engine
