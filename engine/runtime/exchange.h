#pragma once
// The rings between shards. One exchange is one partitioned edge of the graph; it has a ring from every shard to every
// shard. What does not fit waits at the sender, in order, so barriers and watermarks never wait for room at the
// operator that sends them; a sender with something waiting takes no new input (Shard). Exchanges are numbered in the
// order of the graph and served from the highest down, so the last one can always be emptied and nothing waits in a
// circle (architecture.md "Exchanges"). Thread: a ring's two ends belong to its two shards.

#include <memory>
#include <vector>

#include "engine/base/batch.h"
#include "engine/base/spsc_ring.h"
#include "engine/operators/operator.h"

namespace twinspan::engine {

struct Packet {
  enum class Kind : std::uint8_t { rows, watermark, barrier, end } kind = Kind::rows;
  Idleness idle;
  Watermark watermark;
  Epoch epoch;
  Batch batch;
};

class ExchangeRings {
 public:
  ExchangeRings(unsigned exchanges, unsigned shards, std::size_t packets_per_ring) : shards_(shards) {
    for (unsigned i = 0; i < exchanges * shards * shards; ++i)
      rings_.push_back(std::make_unique<SpscRing<Packet>>(packets_per_ring));
  }
  SpscRing<Packet>& ring(unsigned exchange, unsigned from, unsigned to) {
    return *rings_[(exchange * shards_ + from) * shards_ + to];
  }
  unsigned shards() const { return shards_; }

 private:
  const unsigned shards_;
  std::vector<std::unique_ptr<SpscRing<Packet>>> rings_;
};

}  // namespace twinspan::engine
