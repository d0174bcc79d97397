#pragma once
// Snapshots in portions while an operator goes on, as a shard takes them. A test calls step() between pieces of the
// input: a snapshot begins, gets some portions (of 1, 7 or very many entries, by the seed), or none, and ends. Thread:
// one.

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "engine/operators/operator.h"

namespace twinspan::testing {

// Mark: what the test wants to know of the moment of a barrier.
template <class Mark>
class PortionedSnapshots {
 public:
  struct Epoch {
    Mark mark;
    std::string delta;
  };

  explicit PortionedSnapshots(std::uint64_t seed) : random_(seed) {
    constexpr std::size_t kPortions[] = {1, 7, std::size_t{1} << 20};
    portion_ = kPortions[random_() % 3];
  }

  void step(engine::Operator& op, const Mark& now) {
    if (under_way_) ++between;
    if (!under_way_ && random_() % 3 == 0) {
      mark_ = now;
      under_way_ = true;
      if (!op.begin_snapshot(delta_)) end();
    }
    for (auto n = random_() % 3; under_way_ && n > 0; --n) portion(op);
  }
  // Between two portions of a call: one that is under way goes on, none begins.
  void go_on(engine::Operator& op) {
    if (under_way_ && random_() % 2 == 0) portion(op);
  }
  void finish(engine::Operator& op) {
    while (under_way_) portion(op);
  }

  std::vector<Epoch> epochs;
  std::size_t between = 0;  // pieces of input that came while a snapshot was under way

 private:
  void portion(engine::Operator& op) {
    if (!op.snapshot_portion(portion_, delta_)) end();
  }
  void end() {
    under_way_ = false;
    epochs.push_back({mark_, delta_.take()});
  }

  std::mt19937_64 random_;
  std::size_t portion_ = 1;
  bool under_way_ = false;
  Mark mark_{};
  engine::DeltaWriter delta_;
};

}  // namespace twinspan::testing
