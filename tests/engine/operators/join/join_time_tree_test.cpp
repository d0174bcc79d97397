#include <gtest/gtest.h>

#include <map>
#include <random>

#include "engine/operators/join_time_tree.h"

namespace twinspan::engine {
namespace {

using Model = std::map<std::pair<EventTime, std::uint64_t>, RowAddress>;

void expect_same(const TimeTree& tree, const Model& model, EventTime low, EventTime high, std::uint64_t seed) {
  auto at = model.lower_bound({low, 0});
  std::uint64_t earliest = ~std::uint64_t{0};
  bool same = true;
  tree.scan(low, high, [&](const TimeTree::Entry& e) {
    same = same && at != model.end() && at->first == std::pair(e.time, e.sequence) && at->second == e.address;
    if (at != model.end()) ++at;
    earliest = std::min(earliest, e.sequence);
  });
  ASSERT_TRUE(same) << "seed " << seed;
  ASSERT_TRUE(at == model.end() || at->first.first > high) << "seed " << seed;
  const TimeTree::Entry* first = tree.earliest_arrival(low, high);
  ASSERT_EQ(first == nullptr ? ~std::uint64_t{0} : first->sequence, earliest) << "seed " << seed;
}

TEST(TimeTree, BehavesLikeAnOrderedMap) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    std::mt19937_64 random(seed);
    TimeTree tree;
    Model model;
    const EventTime spread = std::vector<EventTime>{1, 50, 1'000'000}[seed % 3];
    const bool in_order = seed % 4 == 0;
    EventTime horizon = -1;
    for (std::uint64_t step = 1; step <= 12'000; ++step) {
      const auto time = static_cast<EventTime>(in_order ? step / 3 : random() % static_cast<std::uint64_t>(spread));
      const unsigned what = random() % 10;
      if (what < 6) {
        tree.insert({time, step, step * 8});
        model[{time, step}] = step * 8;
      } else if (what < 8 && !model.empty()) {
        auto victim = model.lower_bound({time, random() % step});
        if (victim == model.end()) victim = model.begin();
        ASSERT_TRUE(tree.erase(victim->first.first, victim->first.second));
        ASSERT_FALSE(tree.erase(victim->first.first, victim->first.second));
        model.erase(victim);
      } else if (what == 8 && !model.empty()) {
        auto moved = model.lower_bound({time, 0});
        if (moved == model.end()) moved = model.begin();
        ASSERT_TRUE(tree.move(moved->first.first, moved->first.second, step * 16));
        moved->second = step * 16;
      } else if (step % 500 == 0 && spread > 1) {
        horizon = model.empty() ? horizon : std::next(model.begin(), static_cast<long>(model.size() / 3))->first.first;
        while (!tree.drop_through(horizon, 3)) {
        }
        model.erase(model.begin(), model.upper_bound({horizon, ~std::uint64_t{0}}));
      }
      ASSERT_EQ(tree.size(), model.size()) << "seed " << seed;
      if (!model.empty() && step % 16 == 0) {
        ASSERT_EQ(tree.first().sequence, model.begin()->first.second) << "seed " << seed;
      }
      if (step % 250 == 0) {
        const auto low = static_cast<EventTime>(random() % static_cast<std::uint64_t>(spread));
        expect_same(tree, model, low, low + static_cast<EventTime>(random() % static_cast<std::uint64_t>(spread)),
                    seed);
        expect_same(tree, model, kMinTime, kMaxTime, seed);
        if (testing::Test::HasFatalFailure()) return;
      }
    }
    tree.clear();
    EXPECT_EQ(tree.bytes(), 0u);
  }
}

TEST(TimeTree, InOrderInsertsFillItsLeaves) {
  TimeTree tree;
  for (std::uint64_t i = 0; i < 100'000; ++i) tree.insert({static_cast<EventTime>(i), i, i});
  EXPECT_LT(tree.bytes(), 100'000 * sizeof(TimeTree::Entry) * 12 / 10);
}

}  // namespace
}  // namespace twinspan::engine
