#include "throttle/state_pressure.h"

#include <algorithm>

namespace twinspan::throttle {

std::vector<bool> lanes_to_pause(const std::vector<PressureLane>& lanes, bool pressed) {
  std::vector<bool> out(lanes.size(), false);
  if (!pressed) return out;
  EventTime slowest = kMaxTime;
  for (const PressureLane& l : lanes)
    if (l.counts) slowest = std::min(slowest, l.at);
  if (slowest == kMaxTime) return out;
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    const PressureLane& l = lanes[i];
    const std::int64_t slack = l.paused ? kAheadMs / 2 : kAheadMs;
    out[i] = l.counts && l.at > shift(slowest, slack);
  }
  return out;
}

bool OutageBudget::update(bool outage, std::uint64_t state_bytes) {
  if (!outage) {
    spent_ = false;
    held_ = 0;
    before_ = state_bytes;
    return false;
  }
  before_ = std::min(before_, state_bytes);  // what was there at the loss expires as well
  held_ = state_bytes - before_;
  spent_ |= held_ >= budget_;
  return spent_;
}

}  // namespace twinspan::throttle
