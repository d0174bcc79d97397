#include "tests/bench/calibration.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include <time.h>
#include <xxhash.h>

namespace twinspan::bench {

namespace {
double cpu_ns() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

// One run of the kernel.
double once() {
  static std::vector<std::uint64_t> memory(32u << 20, 1);  // 256 MiB: beyond every cache
  static std::vector<char> copy(64u << 20);
  const double begin = cpu_ns();
  std::uint64_t sum = 0, at = 0;
  for (int i = 0; i < 1'000'000; ++i) {  // dependent random reads
    at = (at * 6364136223846793005ull + 1442695040888963407ull + memory[at >> 39]);
    sum += at;
  }
  for (int i = 0; i < 8; ++i) {
    std::memcpy(copy.data(), memory.data() + (static_cast<std::size_t>(i) << 20), copy.size());
    sum += XXH3_64bits(copy.data(), copy.size());
  }
  volatile std::uint64_t keep = sum;
  (void)keep;
  return cpu_ns() - begin;
}
}  // namespace

// The median: one interrupted repetition must not throw away a good run.
double calibrate() {
  std::array<double, 7> took;
  for (double& t : took) t = once();
  std::nth_element(took.begin(), took.begin() + took.size() / 2, took.end());
  return took[took.size() / 2];
}

Steady steady_runs(int wanted, const std::function<bool()>& attempt, const std::function<void()>& keep) {
  Steady s;
  double before = calibrate();
  while (s.counted < wanted && s.discarded < 2 * wanted) {
    const bool go_on = attempt();
    const double after = calibrate();
    const double moved = std::abs(after - before) / before;
    if (!go_on) break;
    if (moved > kLargestDrift) {
      ++s.discarded;
    } else {
      s.drift = std::max(s.drift, moved);
      s.kernel_ns += ((before + after) / 2 - s.kernel_ns) / ++s.counted;
      keep();
    }
    before = after;
  }
  return s;
}

}  // namespace twinspan::bench
