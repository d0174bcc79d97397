#include <gtest/gtest.h>

#include <random>
#include <unordered_map>

#include "engine/operators/join_index.h"

namespace twinspan::engine {
namespace {

// Addresses only count up here; rows live for `window` inserts.
struct Load {
  std::uint64_t window;
  std::uint64_t keys;  // drawn from so many hashes
  std::uint64_t inserts;
};

void check(const Load& load, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  JoinIndex index;
  std::unordered_map<std::uint64_t, RowAddress> newest;
  std::vector<std::uint64_t> recent;
  const auto hash_of = [&](std::uint64_t key) {
    return seed % 2 == 0 ? key * 0x9e3779b97f4a7c15u : key << 3;
  };  // and clusters
  const auto address_of = [](std::uint64_t i) { return (i + 1) * 64; };
  for (std::uint64_t i = 0; i < load.inserts; ++i) {
    const std::uint64_t hash = hash_of(random() % load.keys);
    const RowAddress tail = i < load.window ? 0 : address_of(i - load.window);
    JoinIndex::Slot* slot = index.obtain(hash, tail + 1, load.window);
    const auto known = newest.find(hash);
    if (known != newest.end() && known->second > tail)
      ASSERT_EQ(slot->newest(), known->second) << "insert " << i;
    else
      ASSERT_TRUE(slot->is_dead(tail + 1)) << "insert " << i;
    slot->set_chain(address_of(i), 1);
    newest[hash] = address_of(i);
    recent.push_back(hash);
    const std::uint64_t other =
        recent[recent.size() - 1 - random() % std::min<std::uint64_t>(load.window, recent.size())];
    const JoinIndex::Slot* found = index.find(other);
    ASSERT_NE(found, nullptr) << "insert " << i;
    ASSERT_EQ(found->newest(), newest[other]) << "insert " << i;
  }
}

TEST(JoinIndex, FindsTheNewestRowOfEveryHashWhileItGrowsAndForgets) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    for (const Load& load :
         {Load{50'000, 30'000, 200'000}, Load{1000, 1'000'000'000, 200'000}, Load{20'000, 1'000'000'000, 200'000},
          Load{200'000, 1'000'000'000, 200'000}, Load{100, 50, 20'000}}) {
      check(load, seed);
      if (testing::Test::HasFatalFailure()) FAIL() << "seed " << seed << ", window " << load.window;
    }
  }
}

TEST(JoinIndex, EndlessNewKeysDoNotMakeItGrow) {
  JoinIndex index;
  std::size_t largest = 0;
  for (std::uint64_t i = 1; i <= 1'000'000; ++i) {
    index.obtain(i * 0x9e3779b97f4a7c15u, i < 1000 ? 1 : (i - 1000) * 64, 1000)->set_chain(i * 64, 1);
    largest = std::max(largest, index.bytes());
  }
  EXPECT_LE(largest, 256u << 10);
}

TEST(JoinIndex, HotKeysStayWhenTheirRowsWouldBeDead) {
  JoinIndex index;
  index.obtain(0, 1, 1)->set_hot(7);
  for (std::uint64_t i = 1; i <= 100'000; ++i) index.obtain(i * 0x9e3779b97f4a7c15u, i * 64, 10)->set_chain(i * 64, 1);
  const JoinIndex::Slot* hot = index.find(0);
  ASSERT_NE(hot, nullptr);
  EXPECT_TRUE(hot->is_hot());
  EXPECT_EQ(hot->hot_id(), 7u);
}

}  // namespace
}  // namespace twinspan::engine
