// The way into an operator: one message at a time, each to its end. A call may leave work behind (Operator::pending);
// then the node is busy, what comes for it waits in its inbox, and step() resumes it while there is room below.

#include <time.h>

#include <algorithm>

#include "engine/runtime/shard_impl.h"

namespace twinspan::engine {

namespace {
constexpr unsigned kMessagesPerStep = 16;  // of one inbox: keeps a step short
// Of a snapshot: a few tenths of a millisecond, so that rows and snapshot share the shard about evenly meanwhile.
constexpr std::size_t kEntriesPerStep = 1024;

// Of a snapshot's part: figures only, so they need no clock that tests own.
struct Watch {
  static std::int64_t nanos(clockid_t clock) {
    timespec t{};
    clock_gettime(clock, &t);
    return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
  }
  std::int64_t began = nanos(CLOCK_MONOTONIC), began_cpu = nanos(CLOCK_THREAD_CPUTIME_ID);
  std::int64_t micros() const { return (nanos(CLOCK_MONOTONIC) - began) / 1000; }
  std::int64_t cpu_micros() const { return (nanos(CLOCK_THREAD_CPUTIME_ID) - began_cpu) / 1000; }
};
}  // namespace

void Shard::tell(unsigned node, Message&& message) {
  Node& n = *nodes_[node];
  if (n.busy())
    n.inbox.push_back(std::move(message));
  else
    handle(node, std::move(message));
}

void Shard::handle(unsigned node, Message&& message) {
  switch (message.kind) {
    case Message::Kind::rows: on_rows(node, message.input, std::move(message.batch)); break;
    case Message::Kind::time: on_time(node, message.input, message.watermark, message.idle); break;
    case Message::Kind::idle: on_idle(node, message.input, message.idle); break;
    case Message::Kind::barrier: on_barrier(node, message.input); break;
    case Message::Kind::end: on_end(node, message.input); break;
  }
}

void Shard::input_rows(unsigned node, unsigned input, Batch&& batch) {
  if (!nodes_[node]->busy()) return on_rows(node, input, std::move(batch));
  Message m;
  m.kind = Message::Kind::rows;
  m.input = input;
  m.batch = std::move(batch);
  tell(node, std::move(m));
}

// An input that becomes active does so before its watermark moves, one that becomes idle after: it counts with it once.
void Shard::input_time(unsigned node, unsigned input, Watermark watermark, Idleness idle) {
  Message m;
  m.kind = Message::Kind::time;
  m.input = input;
  m.watermark = watermark;
  m.idle = idle;
  tell(node, std::move(m));
  Message after;
  after.kind = Message::Kind::idle;
  after.input = input;
  after.idle = idle;
  tell(node, std::move(after));
}

void Shard::input_barrier(unsigned node, unsigned input) {
  Message m;
  m.kind = Message::Kind::barrier;
  m.input = input;
  tell(node, std::move(m));
}

void Shard::input_end(unsigned node, unsigned input) {
  Message m;
  m.kind = Message::Kind::end;
  m.input = input;
  tell(node, std::move(m));
}

void Shard::on_rows(unsigned node, unsigned input, Batch&& batch) {
  Node& n = *nodes_[node];
  // Rows carry the watermark before each of them; the last one is what the input has been told.
  if (batch.firing != nullptr && batch.rows > 0) {
    Watermark& w = n.inputs[input].watermark;
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
  if (n.shedding) [[unlikely]]
    return shed(n, batch);
  n.op->process(input, std::move(batch), n.output);
  after_call(node);
}

void Shard::shed(Node& node, const Batch& batch) {
  const auto one = [&](const Batch& of, std::uint32_t row) {
    std::optional<LaneIndex> lane;
    std::int64_t offset = 0;
    if (of.origins != nullptr) {
      const std::uint32_t at = of.origin_row != nullptr ? of.origin_row[row] : row;
      lane = of.origins->lane[at];
      offset = of.origins->offset[at];
    }
    ShedRows& s = node.shed[lane];
    s.from = s.rows == 0 ? offset : std::min(s.from, offset);
    s.to = std::max(s.to, offset + 1);
    ++s.rows;
    ++node.shed_rows;
  };
  for (std::uint32_t i = 0; i < batch.rows; ++i) {
    const CombinedRows* together = batch.combined != nullptr ? batch.combined[i] : nullptr;
    if (together == nullptr) {
      one(batch, i);
      continue;
    }
    for (std::uint32_t j = 0; j < together->n; ++j) one(*together->rows, together->which[j]);
  }
}

void Shard::set_shedding(unsigned node, bool on) { nodes_[node]->shedding = on; }
std::uint64_t Shard::shed_rows(unsigned node) const { return nodes_[node]->shed_rows; }

void Shard::on_time(unsigned node, unsigned input, Watermark watermark, Idleness idle) {
  Node& n = *nodes_[node];
  Input& in = n.inputs[input];
  on_idle(node, input, {in.idle.firing && idle.firing, in.idle.retention && idle.retention});
  const Watermark next{std::max(in.watermark.firing, watermark.firing),
                       std::max(in.watermark.retention, watermark.retention)};
  in.watermark = next;
  if (in.told == next) return;
  in.told = next;
  n.op->watermark(input, next, n.output);
  after_call(node);
}

// What a node emits is idle when all its inputs are: its receivers in other shards must not wait for it.
void Shard::on_idle(unsigned node, unsigned input, Idleness idle) {
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

void Shard::on_barrier(unsigned node, unsigned input) {
  Node& n = *nodes_[node];
  n.inputs[input].barrier = true;
  if (!std::all_of(n.inputs.begin(), n.inputs.end(), [](const Input& i) { return i.barrier; })) return;
  const Watch watch;
  const bool more = n.op->begin_snapshot(n.delta);
  barrier_->save_us += watch.cpu_micros();
  barrier_->stall_us = std::max(barrier_->stall_us, stalled_us_ += watch.micros());
  if (more)
    saving_.push_back(node);
  else
    hand_over(node);
  for (auto& [lane, rows] : n.shed) {
    rows.step = graph_.nodes[node].id;
    rows.known = lane.has_value();
    if (lane) rows.lane = *lane;
    barrier_->shed.push_back(std::move(rows));
  }
  n.shed.clear();
  for (std::size_t i = 0; i < n.inputs.size(); ++i) barrier_->input_watermarks[node].push_back(n.inputs[i].watermark);
  for (Input& i : n.inputs) i.barrier = false;
  ++passed_nodes_;
  for (std::size_t i = 0; i < n.exchange.size(); ++i) deliver_barrier(graph_.nodes[node].out[i], n.exchange[i]);
  if (passed_nodes_ == nodes_.size() && !aligned_) barrier_everywhere();
}

// One portion of one snapshot.
bool Shard::save_portion() {
  if (saving_.empty()) return false;
  const unsigned node = saving_.front();
  const Watch watch;
  const bool more = nodes_[node]->op->snapshot_portion(kEntriesPerStep, nodes_[node]->delta);
  barrier_->save_us += watch.cpu_micros();
  barrier_->stall_us = std::max(barrier_->stall_us, stalled_us_ += watch.micros());
  if (more) return true;
  saving_.pop_front();
  hand_over(node);
  return true;
}

void Shard::hand_over(unsigned node) {
  DeltaWriter& delta = nodes_[node]->delta;
  if (auto part = delta.take_part())
    barrier_->parts.push_back({graph_.nodes[node].id, index_, shards_, std::move(part)});
  if (delta.bytes() > 0) barrier_->deltas.push_back({graph_.nodes[node].id, index_, shards_, delta.take_delta()});
}

void Shard::on_end(unsigned node, unsigned input) {
  Node& n = *nodes_[node];
  n.inputs[input].ended = true;
  if (!std::all_of(n.inputs.begin(), n.inputs.end(), [](const Input& i) { return i.ended; })) {
    on_idle(node, input, {true, true});
    return;
  }
  n.finishing = true;
  n.op->finish(n.output);
  after_call(node);
}

void Shard::after_call(unsigned node) {
  Node& n = *nodes_[node];
  n.pending = n.op->pending();
  if (n.pending || !n.finishing) return;
  n.finishing = false;
  ++ended_nodes_;
  for (std::size_t i = 0; i < n.exchange.size(); ++i) deliver_end(graph_.nodes[node].out[i], n.exchange[i]);
}

// The nodes furthest down first: they make room for those above.
bool Shard::resume_nodes() {
  bool progress = false;
  for (unsigned node = static_cast<unsigned>(nodes_.size()); node-- > 0;) {
    Node& n = *nodes_[node];
    if (!n.busy() || !room_below(node)) continue;
    progress = true;
    if (n.pending) {
      n.op->resume(n.output);
      after_call(node);
    }
    for (unsigned i = 0; i < kMessagesPerStep && !n.pending && !n.inbox.empty() && room_below(node); ++i) {
      Message m = std::move(n.inbox.front());
      n.inbox.pop_front();
      handle(node, std::move(m));
    }
  }
  return progress;
}

bool Shard::idle_below(const Reach& reach) const {
  return std::all_of(reach.nodes.begin(), reach.nodes.end(), [this](unsigned node) { return !nodes_[node]->busy(); });
}

bool Shard::room_below(unsigned node) const {
  const Reach& reach = nodes_[node]->below;
  return idle_below(reach) &&
         std::all_of(reach.exchanges.begin(), reach.exchanges.end(),
                     [this](unsigned e) { return waiting_of_[e] == 0; }) &&
         std::all_of(reach.terminals.begin(), reach.terminals.end(),
                     [this](unsigned t) { return terminals_[t]->has_room(); });
}

// What a node's rows meet in this shard without crossing an exchange. Edges point forwards, so from the last node up
// everything below is known.
void Shard::find_reach() {
  const auto add = [this](Reach& reach, const Target& target, int exchange) {
    if (target.kind == Target::Kind::terminal) {
      reach.terminals.push_back(target.index);
    } else if (exchange >= 0) {
      reach.exchanges.push_back(static_cast<unsigned>(exchange));
    } else {
      const Reach& below = nodes_[target.index]->below;
      reach.nodes.push_back(target.index);
      reach.nodes.insert(reach.nodes.end(), below.nodes.begin(), below.nodes.end());
      reach.exchanges.insert(reach.exchanges.end(), below.exchanges.begin(), below.exchanges.end());
      reach.terminals.insert(reach.terminals.end(), below.terminals.begin(), below.terminals.end());
    }
  };
  const auto once = [](std::vector<unsigned>& v) {
    std::sort(v.begin(), v.end());
    v.erase(std::unique(v.begin(), v.end()), v.end());
  };
  const auto of = [&](Reach& reach, const std::vector<Target>& out, const std::vector<int>& exchange) {
    for (std::size_t i = 0; i < out.size(); ++i) add(reach, out[i], exchange[i]);
    once(reach.nodes);
    once(reach.exchanges);
    once(reach.terminals);
  };
  for (unsigned i = static_cast<unsigned>(nodes_.size()); i-- > 0;) {
    const OperatorNode& node = graph_.nodes[i];
    if (node.late_terminal >= 0) nodes_[i]->below.terminals.push_back(static_cast<unsigned>(node.late_terminal));
    of(nodes_[i]->below, node.out, nodes_[i]->exchange);
  }
  for (unsigned s = 0; s < sources_.size(); ++s) of(sources_[s].below, graph_.sources[s].out, source_exchange_[s]);
}

}  // namespace twinspan::engine
