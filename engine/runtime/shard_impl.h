#pragma once
// What a shard is made of: nodes with what waits for them, and the receiving ends of exchanges. Included by shard*.cpp
// only. Thread: shard.

#include <deque>
#include <map>
#include <optional>

#include "engine/runtime/shard.h"

namespace twinspan::engine {

struct Shard::Input {
  Watermark watermark;
  std::optional<Watermark> told;  // by the last watermark message; rows may have carried it further
  Idleness idle;
  bool barrier = false, ended = false;
};

// Something an input is told. A node takes one at a time and to its end; what comes meanwhile waits in order.
struct Shard::Message {
  enum class Kind : std::uint8_t { rows, time, idle, barrier, end } kind = Kind::rows;
  unsigned input = 0;
  Watermark watermark;
  Idleness idle;
  Batch batch;
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
  void failed_in(const std::string& step, const Batch& batch, std::uint32_t row, std::string_view reason) override {
    shard_.failures_.failed(step, batch, row, reason);
  }
  bool has_room() const override { return shard_.room_below(node_); }

 private:
  Shard& shard_;
  const unsigned node_;
};

struct Shard::Node {
  Node(Shard& shard, unsigned index) : output(shard, index) {}
  // Has work left, or something waits for it: whoever emits to it should stop.
  bool busy() const { return pending || !inbox.empty(); }

  std::unique_ptr<Operator> op;
  NodeOutput output;
  std::vector<Input> inputs;
  std::vector<int> exchange;  // of each out edge, -1 = stays here
  Reach below;
  Watermark out;
  Idleness out_idle;
  bool pending = false;    // op->pending() after its last call
  bool finishing = false;  // finish() has been called; the end goes down once it is no longer pending
  std::deque<Message> inbox;
  std::uint64_t late_dropped = 0;
  DeltaWriter delta;  // of the snapshot under way
  bool shedding = false;
  std::uint64_t shed_rows = 0;
  std::map<std::optional<LaneIndex>, ShedRows> shed;  // since the last barrier
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

}  // namespace twinspan::engine
