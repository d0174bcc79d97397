#include "engine/operators/window_timers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace twinspan::engine {
namespace {

// Against a sorted map: waits of all lengths, steps of time of all lengths, times before 1970.
TEST(EventTimersTest, EverythingIsDueAtItsMomentAndOnce) {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    std::mt19937_64 random(seed);
    const auto to = [&](std::int64_t n) { return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(n)); };
    const std::int64_t usual = std::int64_t{1} << to(22);
    EventTimers timers(usual);
    std::multimap<EventTime, std::uint32_t> waiting;
    EventTime now = seed % 2 == 0 ? 1'700'000'000'000 : -5'000;
    std::uint32_t next = 0;
    for (int round = 0; round < 400; ++round) {
      for (std::int64_t n = to(6); n > 0; --n) {
        const EventTime due = now + 1 + (to(9) == 0 ? to(50 * usual) : usual / 2 + to(usual));
        timers.add(due, next);
        waiting.emplace(due, next++);
      }
      if (!waiting.empty()) {
        ASSERT_LE(timers.earliest(), waiting.begin()->first) << "seed " << seed;
      }
      now += to(5) == 0 ? to(3 * usual) : to(usual / 8 + 2);
      std::vector<EventTimers::Entry> due;
      const auto at_most = static_cast<std::size_t>(1 + to(200));
      std::size_t before = 0;
      do {
        before = due.size();
        timers.take(now, due, at_most);
        ASSERT_LE(due.size() - before, at_most) << "seed " << seed;
      } while (due.size() > before);
      EventTime last = kMinTime;
      for (const auto& [at, what] : due) {
        ASSERT_GE(at, last) << "seed " << seed;
        last = at;
        ASSERT_FALSE(waiting.empty());
        ASSERT_EQ(at, waiting.begin()->first) << "seed " << seed;
        const auto [from, until] = waiting.equal_range(at);
        const auto it = std::find_if(from, until, [&, w = what](const auto& x) { return x.second == w; });
        ASSERT_NE(it, until) << "seed " << seed;
        waiting.erase(it);
      }
      ASSERT_TRUE(waiting.empty() || waiting.begin()->first > now) << "seed " << seed;
    }
    std::vector<EventTimers::Entry> rest;
    timers.take(kMaxTime, rest);
    EXPECT_EQ(rest.size(), waiting.size());
    EXPECT_EQ(timers.earliest(), kMaxTime);
  }
}

}  // namespace
}  // namespace twinspan::engine
