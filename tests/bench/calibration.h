#pragma once
// A fixed piece of work that uses a core and its memory as the engine does; timed before and after each job, so that a
// run on a disturbed machine is noticed. Nanoseconds of CPU; smaller is faster. Thread: main.

#include <functional>

namespace twinspan::bench {

double calibrate();

// Of quality.md: how far the kernel may move around a run that counts.
inline constexpr double kLargestDrift = 0.10;

struct Steady {
  int counted = 0, discarded = 0;
  double drift = 0;      // the largest around a run that counts
  double kernel_ns = 0;  // the mean around those
};
// Calls `attempt` until `wanted` of its runs count, and `keep` after each that does: the machine did not change its
// speed around it. Gives up after twice as many that do not. `attempt` answers false to end it all (a wrong output).
Steady steady_runs(int wanted, const std::function<bool()>& attempt, const std::function<void()>& keep);

}  // namespace twinspan::bench
