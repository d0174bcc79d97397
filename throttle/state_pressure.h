#pragma once
// What to do when a step's state reaches its budget (semantics.md, "Throttle": alignment, also triggered by the state
// budget). State grows beyond what windows and bounds need when one lane is ahead of another: its rows wait for the
// slowest. So exactly the lanes ahead are held until the slowest has come near; a step whose lanes are together holds
// what it must hold, and pausing anything would only make it late as well. Decisions only: the time and bytes come in.
// Thread: control.

#include <cstdint>
#include <vector>

#include "engine/base/ids.h"

namespace twinspan::throttle {

// Whether a step presses: from the budget on, until a tenth of it is free again.
class StatePressure {
 public:
  explicit StatePressure(std::uint64_t budget) : budget_(budget) {}
  bool update(std::uint64_t bytes) {
    pressed_ = bytes >= budget_ || (pressed_ && bytes >= budget_ - budget_ / 10);
    return pressed_;
  }
  bool pressed() const { return pressed_; }
  std::uint64_t budget() const { return budget_; }

 private:
  const std::uint64_t budget_;
  bool pressed_ = false;
};

struct PressureLane {
  EventTime at = kMinTime;  // its watermark; kMinTime: no record yet
  bool counts = true;       // not idle, its cluster up and caught up: others wait for it
  bool paused = false;
};

inline constexpr std::int64_t kAheadMs = 1000;  // more than this ahead of the slowest: held; half of it: free again

// For each lane whether it is to be paused. The slowest one never is, nor one that does not count: it holds up nobody,
// and a backlog must be able to catch up.
std::vector<bool> lanes_to_pause(const std::vector<PressureLane>& lanes, bool pressed);

// What an outage may hold (outage_state.bytes): the state beyond what there was when the cluster was lost. Spent, it
// stays spent until the outage is over, so that R does not go to and fro.
class OutageBudget {
 public:
  explicit OutageBudget(std::uint64_t bytes) : budget_(bytes) {}
  // True once the budget is spent. `outage`: a cluster is away or catching up, and F and R may differ.
  bool update(bool outage, std::uint64_t state_bytes);
  std::uint64_t held() const { return held_; }
  bool spent() const { return spent_; }

 private:
  const std::uint64_t budget_;
  bool spent_ = false;
  // As last seen before the loss: much may come before anybody looks. A restart in an outage begins with the first look.
  std::uint64_t before_ = ~std::uint64_t{0};
  std::uint64_t held_ = 0;
};

}  // namespace twinspan::throttle
