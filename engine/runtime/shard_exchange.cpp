// Exchanges: packets out to other shards, those that wait for room, and packets in.

#include <algorithm>

#include "engine/runtime/shard_impl.h"

namespace twinspan::engine {

namespace {
constexpr unsigned kPacketsPerStep = 16;  // of one ring: keeps a step short
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

void Shard::update_exchange_watermark(ExchangeIn& in) {
  Watermark w{kMaxTime, kMaxTime};
  Idleness all{true, true};
  for (const auto& s : in.senders) {
    if (s.ended) continue;
    if (!s.idle.firing) w.firing = std::min(w.firing, s.watermark.firing), all.firing = false;
    if (!s.idle.retention) w.retention = std::min(w.retention, s.watermark.retention), all.retention = false;
  }
  const Watermark& now = nodes_[in.node]->inputs[in.input].watermark;
  // A finished sender says kMaxTime; others that are idle meanwhile may have rows under way until they end, too.
  if (all.firing || w.firing == kMaxTime) w.firing = now.firing;
  w.retention =
      all.retention || w.retention == kMaxTime ? now.retention : std::min(w.retention, std::max(w.firing, now.firing));
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
      if (node.shedding) [[unlikely]] {
        shed(node, batch);
        break;
      }
      node.op->process(in.input, std::move(batch), node.output);
      after_call(in.node);
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
        if (nodes_[in.node]->busy() || !idle_below(nodes_[in.node]->below)) break;
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
    const Node& node = *nodes_[in.node];
    if (arrived && !passed && !node.busy() && !node.inputs[in.input].barrier) {
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

}  // namespace twinspan::engine
