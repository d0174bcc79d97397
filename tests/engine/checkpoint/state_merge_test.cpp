// State files by themselves: order, blocks, what a merge leaves out, against a plain map.
#include "engine/checkpoint/state_merge.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <tuple>

#include <fmt/format.h>

#include "engine/base/batch.h"

#include "tests/support/engine/fault_file_system.h"

namespace twinspan::engine {
namespace {

using Place = std::tuple<unsigned, std::int64_t, unsigned, std::string>;  // space, tag, group, key
using Model = std::map<Place, std::string>;

class StateMerge : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(disk.make_directories("/d")); }

  MergeInput file(const std::string& path, const Delta& delta, std::uint64_t order, unsigned shard = 0,
                  unsigned shards = 1) {
    auto written = write_state_file(disk, path, delta);
    EXPECT_TRUE(written) << written.error().message;
    return {path, written.value().size, written.value().sum, order, shard, shards};
  }
  Model contents(const MergeResult& merged, const std::string& path) {
    Model out;
    if (merged.entries == 0) return out;
    const std::string bytes = disk.read(path).value();
    auto view = StateFileView::open(bytes, merged.sum);
    EXPECT_TRUE(view) << view.error().message;
    DeltaReader reader(view.value().frames());
    StateEntry e, before;
    std::uint64_t hash_before = 0;
    for (bool first = true;; first = false) {
      auto more = reader.next(e);
      EXPECT_TRUE(more);
      if (!more.value()) return out;
      if (!first) {
        EXPECT_LT(compare_entries(before, hash_before, e, order_hash(e.key)), 0);
      }
      before = e;
      hash_before = order_hash(e.key);
      out[{e.space, e.tag, e.key_group, std::string(e.key)}] = std::string(e.value);
    }
  }

  twinspan::testing::FaultFileSystem disk;
};

// Any sequence of puts, erases and drops, cut into files by shards and epochs, is what it is when applied one by one;
// tags near together, far apart and at the ends of time, small and large values.
TEST_F(StateMerge, EqualsApplyingEntryByEntry) {
  for (std::uint32_t seed = 1; seed <= 60; ++seed) {
    std::mt19937_64 random(seed);
    disk = {};
    ASSERT_TRUE(disk.make_directories("/d"));
    Model model;
    std::vector<MergeInput> inputs;
    const std::int64_t base = seed % 3 == 0 ? 1'700'000'000'000 : 0;
    const std::int64_t spread = seed % 5 == 0 ? std::int64_t{1} << 61 : 40;
    const auto tag = [&]() -> std::int64_t {
      if (seed % 7 == 0 && random() % 20 == 0) return random() % 2 ? kMaxTime : kMinTime;
      return base + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(spread));
    };
    std::uint64_t order = 0;
    for (int epoch = 0; epoch < 12; ++epoch) {
      const unsigned shards = 1 + (seed + static_cast<unsigned>(epoch) / 6) % 3;
      for (unsigned s = 0; s < shards; ++s) {
        DeltaWriter delta;
        const int n = epoch % 4 == 3 ? 3000 : 60;
        for (int i = 0; i < n; ++i) {
          std::uint16_t group = 0;
          do {
            group = static_cast<std::uint16_t>(random() % kKeyGroups);
          } while (shard_of_group(group, shards) != s);
          const auto space = static_cast<std::uint8_t>(random() % 3);
          const std::int64_t t = tag();
          const std::string key = fmt::format("k{}", random() % 50);
          const unsigned kind = random() % 100;
          if (kind < 80) {
            const std::string value(random() % (seed % 4 == 0 ? 3000 : 30), static_cast<char>('a' + random() % 26));
            delta.put(space, group, t, key, value);
            model[{space, t, group, key}] = value;
          } else if (kind < 99) {
            delta.erase(space, group, t, key);
            model.erase({space, t, group, key});
          } else {
            delta.drop_below(space, 0, t);
            std::erase_if(model, [&](const auto& m) {
              return std::get<0>(m.first) == space && std::get<1>(m.first) < t &&
                     shard_of_group(static_cast<std::uint16_t>(std::get<2>(m.first)), shards) == s;
            });
          }
        }
        inputs.push_back(
            file(fmt::format("/d/{}-{}", epoch, s), delta.take_delta(), static_cast<std::uint64_t>(epoch), s, shards));
      }
      if (epoch == 5) {  // a base in between
        const std::string path = fmt::format("/d/base-{}", ++order);
        auto merged = merge_state_files(disk, inputs, path, {});
        ASSERT_TRUE(merged) << merged.error().message;
        ASSERT_TRUE(contents(merged.value(), path) == model) << "seed " << seed;
        inputs = {{path, merged.value().size, merged.value().sum, 5, 0, 1}};
        if (merged.value().entries == 0) inputs.clear();
      }
    }
    std::shuffle(inputs.begin(), inputs.end(), random);
    auto merged = merge_state_files(disk, inputs, "/d/out", {});
    ASSERT_TRUE(merged) << merged.error().message;
    ASSERT_TRUE(contents(merged.value(), "/d/out") == model) << "seed " << seed;
    EXPECT_EQ(merged.value().entries, model.size());
  }
}

TEST_F(StateMerge, BlocksThatHaveEndedAreNotRead) {
  DeltaWriter old, late;
  for (int i = 0; i < 20'000; ++i) old.put(1, 5, i / 10, fmt::format("key{}", i), std::string(100, 'x'));
  late.drop_below(1, 0, 1'900);
  const MergeInput first = file("/d/a", old.take_delta(), 1);
  const MergeInput second = file("/d/b", late.take_delta(), 2);
  auto merged = merge_state_files(disk, {first, second}, "/d/out", {});
  ASSERT_TRUE(merged);
  EXPECT_EQ(merged.value().entries, 1000u);
  EXPECT_LT(merged.value().bytes_read, first.size / 5);
  // All of it: no file at all.
  DeltaWriter all;
  all.drop_below(1, 0, kMaxTime);
  auto none = merge_state_files(disk, {first, file("/d/c", all.take_delta(), 3)}, "/d/none", {});
  ASSERT_TRUE(none);
  EXPECT_EQ(none.value().entries, 0u);
  EXPECT_FALSE(disk.exists("/d/none"));
}

TEST_F(StateMerge, EveryFlippedBitOfWhatIsReadIsDamage) {
  DeltaWriter delta;
  for (int i = 0; i < 30; ++i) delta.put(1, 5, i, fmt::format("key{}", i), "v");
  delta.drop_below(2, 0, 5);
  const MergeInput input = file("/d/a", delta.take_delta(), 1);
  for (std::uint64_t bit = 0; bit < input.size * 8; ++bit) {
    disk.flip_bit("/d/a", bit);
    const auto merged = merge_state_files(disk, {input}, "/d/out", {});
    ASSERT_FALSE(merged) << "bit " << bit;
    EXPECT_EQ(merged.error().kind, ErrorKind::data) << merged.error().message;
    const std::string bytes = disk.read("/d/a").value();
    ASSERT_FALSE(StateFileView::open(bytes, input.sum)) << "bit " << bit;
    disk.flip_bit("/d/a", bit);
  }
  for (std::uint64_t size = 0; size < input.size; ++size) {
    disk.truncate("/d/a", input.size - 1 - size);
    ASSERT_FALSE(merge_state_files(disk, {input}, "/d/out", {}));
    const std::string bytes = disk.read("/d/a").value();
    ASSERT_FALSE(StateFileView::open(bytes, input.sum));
  }
}

TEST(SortedDelta, KeepsTheLastChangeOfAKeyAndDropsWhatItEndsItself) {
  DeltaWriter delta;
  delta.put(0, 1, 5, "a", "ended by the drop");
  delta.put(0, 1, 9, "b", "stays");
  delta.drop_below(0, 0, 8);
  delta.put(0, 1, 6, "c", "below, but after the drop");
  delta.put(0, 1, 9, "d", "old");
  delta.erase(0, 1, 9, "d");
  delta.put(0, 1, 9, "d", "new");
  const Delta bytes = delta.take_delta();
  auto sorted = SortedDelta::make(bytes);
  ASSERT_TRUE(sorted);
  std::map<std::string, std::string> seen;
  for (std::size_t i = 0; i < sorted.value().size(); ++i)
    seen[std::string(sorted.value()[i].key)] = std::string(sorted.value()[i].value);
  EXPECT_EQ(seen,
            (std::map<std::string, std::string>{{"b", "stays"}, {"c", "below, but after the drop"}, {"d", "new"}}));
  ASSERT_EQ(sorted.value().drops().size(), 1u);
  EXPECT_EQ(sorted.value().drops()[0].below, 8);
}

}  // namespace
}  // namespace twinspan::engine
