#pragma once
// Values of one DISTINCT argument -> dense 32-bit ids, shared by every window and group of a step. A value is
// known by itself (8-byte types) or by 96 bits of its XXH3-128: two of 10^8 values are merged with a
// probability of 10^-13. Two generations are alive: a value found in the old one keeps its id and moves to
// the new one; the old one is dropped whole when all windows it was used in are closed (protocol.md 18). Ids
// are never handed out twice. Owned by a window operator. Thread: shard.

#include <cstdint>
#include <cstring>
#include <memory>

#include "engine/base/batch.h"
#include "engine/operators/pane_probe.h"

namespace twinspan::engine {

class Dictionary {
 public:
  struct Identity {
    std::uint64_t a = 0;
    std::uint32_t b = 0;
    friend auto operator<=>(const Identity&, const Identity&) = default;
  };
  static constexpr unsigned kGroup = 32;  // values prefetched together

  Dictionary() : now_(std::make_unique<Generation>()), before_(std::make_unique<Generation>()) {}

  // Of the values (not NULL) of these rows.
  static void identify(const Column& column, const std::uint32_t* rows, std::uint32_t n, Identity* out);

  void find_or_add(const Identity* values, std::uint32_t n, std::uint32_t* ids);

  // A window that ends then uses the ids of the present generation.
  void used_until(EventTime window_end) {
    if (window_end > now_->window_end) now_->window_end = window_end;
  }
  // Starts a new generation. Allowed when the old one is needed by no window: all that end by `closed_end`
  // are closed.
  bool can_turn(EventTime closed_end) const { return before_->window_end <= closed_end; }
  void turn();
  std::int64_t generation() const { return generation_; }

  std::size_t size() const { return now_->table.size() + before_->table.size(); }
  std::size_t bytes() const { return now_->table.bytes() + before_->table.bytes(); }

  // Restore. Ids stay what they were when they can.
  // `window_end`: of the last window restored.
  void restore_generation(std::int64_t generation, EventTime window_end) {
    generation_ = generation;
    now_->window_end = before_->window_end = window_end;
  }
  // The id now of a value that had this id: another one if the value or the id is taken (after a change of
  // shards).
  std::uint32_t restore(const Identity& value, std::uint32_t id, bool id_is_free);

 private:
  struct Slot {
    std::uint64_t a;
    std::uint32_t b;
    std::uint32_t id_plus_1;
    bool empty() const { return id_plus_1 == 0; }
    std::uint64_t hash() const { return mix(a); }
  };
  struct Generation {
    ProbeTable<Slot> table;
    EventTime window_end = kMinTime;  // the last end of a window that uses its ids
  };
  // Numbers that follow one another must not lie in runs: multiply alone is not enough (measured: half the
  // speed).
  static std::uint64_t mix(std::uint64_t a) {
    const std::uint64_t h = a * 0x9E3779B97F4A7C15ull;
    return h ^ (h >> 32);
  }

  std::unique_ptr<Generation> now_, before_;
  std::int64_t generation_ = 0;
  std::uint32_t next_ = 0;
};

}  // namespace twinspan::engine
