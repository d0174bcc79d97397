#include "engine/base/spsc_ring.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>

namespace twinspan {
namespace {

TEST(SpscRing, TakesAsManyAsItsCapacityAndGivesThemBackInOrder) {
  for (const std::size_t asked : {1u, 2u, 3u, 8u}) {
    SpscRing<std::unique_ptr<int>> ring(asked);
    EXPECT_EQ(ring.capacity(), asked == 3 ? 4 : asked);
    for (int round = 0; round < 5; ++round) {
      for (std::size_t i = 0; i < ring.capacity(); ++i) {
        auto v = std::make_unique<int>(static_cast<int>(i));
        ASSERT_TRUE(ring.try_push(v));
        EXPECT_EQ(v, nullptr);
      }
      auto refused = std::make_unique<int>(99);
      EXPECT_FALSE(ring.try_push(refused));
      ASSERT_NE(refused, nullptr);  // untouched
      EXPECT_EQ(ring.size(), ring.capacity());
      for (std::size_t i = 0; i < ring.capacity(); ++i) EXPECT_EQ(**ring.try_pop(), static_cast<int>(i));
      EXPECT_FALSE(ring.try_pop());
      EXPECT_EQ(ring.size(), 0u);
    }
  }
}

TEST(SpscRing, DestroysWhatWasNotTaken) {
  auto counted = std::make_shared<int>(1);
  {
    SpscRing<std::shared_ptr<int>> ring(4);
    for (int i = 0; i < 3; ++i) {
      auto copy = counted;
      ring.try_push(copy);
    }
    ring.try_pop();
    EXPECT_EQ(counted.use_count(), 3);
  }
  EXPECT_EQ(counted.use_count(), 1);
}

TEST(SpscRing, TwoThreadsPassEverythingInOrder) {
  constexpr int kItems = 200'000;
  for (const std::size_t capacity : {1u, 4u, 256u}) {
    SpscRing<std::unique_ptr<int>> ring(capacity);
    std::jthread producer([&] {
      for (int i = 0; i < kItems; ++i) {
        auto v = std::make_unique<int>(i);
        while (!ring.try_push(v)) std::this_thread::yield();
      }
    });
    int wrong = 0;
    for (int expected = 0; expected < kItems;) {
      auto v = ring.try_pop();
      if (!v) {
        std::this_thread::yield();
        continue;
      }
      wrong += **v != expected++ ? 1 : 0;
    }
    EXPECT_EQ(wrong, 0);
  }
}

TEST(SpscRing, AnObserverNeverSeesMoreThanTheCapacity) {
  SpscRing<int> ring(4);
  std::atomic<bool> stop{false};
  std::atomic<std::size_t> largest{0};
  std::jthread producer([&] {
    for (int i = 0; !stop;) {
      int v = i;
      if (ring.try_push(v)) ++i;
    }
  });
  std::jthread consumer([&] {
    while (!stop) ring.try_pop();
  });
  for (int i = 0; i < 300'000; ++i) largest = std::max(largest.load(), ring.size());
  stop = true;
  EXPECT_LE(largest, ring.capacity());
}

}  // namespace
}  // namespace twinspan
