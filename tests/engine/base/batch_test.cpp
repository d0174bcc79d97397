#include "engine/base/batch.h"

#include <gtest/gtest.h>

#include <numeric>

namespace twinspan {
namespace {

TEST(Arena, AlignsAndNeverMoves) {
  Arena arena(64);
  std::vector<std::pair<char*, std::size_t>> given;
  std::size_t size = 1;
  for (int i = 0; i < 400; ++i) {
    const std::size_t align = std::size_t{1} << (i % 5);  // up to 16, what a Decimal needs
    size = size * 7 % 301 + 1;
    auto* p = static_cast<char*>(arena.allocate(size, align));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(p) % align, 0u);
    std::memset(p, i & 0x7f, size);
    given.emplace_back(p, size);
  }
  for (int i = 0; i < 400; ++i)
    for (std::size_t b = 0; b < given[i].second; ++b) ASSERT_EQ(given[i].first[b], i & 0x7f);
}

TEST(Arena, TakesWhatIsLargerThanABlock) {
  Arena arena(16);
  EXPECT_EQ(arena.bytes(), 0u);
  auto* big = static_cast<char*>(arena.allocate(10u << 20));
  std::memset(big, 1, 10u << 20);
  EXPECT_GE(arena.bytes(), 10u << 20);
  EXPECT_NE(arena.allocate(0), nullptr);
  Arena none(0);
  EXPECT_NE(none.make<Decimal>(3), nullptr);
}

TEST(Arena, CopiesStrings) {
  Arena arena(8);
  std::string text = "hello";
  const std::string_view copy = arena.copy(text);
  text = "other";
  EXPECT_EQ(copy, "hello");
  EXPECT_EQ(arena.copy(""), "");
  EXPECT_NE(arena.copy("").data(), nullptr);
}

struct Everything {
  Schema schema{{{"b", types::boolean},
                 {"i", types::int64},
                 {"f", types::float64},
                 {"d", types::decimal(10, 2)},
                 {"s", types::string}}};
  std::uint8_t booleans[4] = {1, 0, 1, 0};
  std::int64_t integers[4] = {10, 11, 12, 13};
  double floats[4] = {0.5, 1.5, 2.5, 3.5};
  Decimal decimals[4] = {100, 101, 102, 103};
  std::string_view strings[4] = {"a", "", "ccc", "dd"};
  std::uint8_t valid[4] = {1, 0, 1, 0};
  EventTime times[4] = {1000, 1001, 1002, 1003};
  EventTime firing[4] = {900, 901, 902, 903}, retention[4] = {800, 801, 802, 803};
  std::uint8_t flags[4] = {0, 1, 2, 3};
  std::uint64_t hash[4] = {7, 8, 9, 10};

  Batch batch() {
    Batch b;
    b.schema = &schema;
    b.rows = 4;
    b.columns = {{types::boolean, booleans, nullptr},
                 {types::int64, integers, valid},
                 {types::float64, floats, nullptr},
                 {types::decimal(10, 2), decimals, nullptr},
                 {types::string, strings, valid}};
    b.time = times;
    b.firing = firing;
    b.retention = retention;
    b.flags = flags;
    b.hash = hash;
    auto origins = std::make_shared<Origins>();
    for (std::uint32_t i = 0; i < 4; ++i) {
      origins->lane.push_back(LaneIndex(i));
      origins->offset.push_back(100 + i);
    }
    b.origins = origins;
    return b;
  }
};

TEST(Gather, PicksRowsOfEveryTypeAndOfWhatRowsCarry) {
  Everything all;
  const std::uint32_t selection[] = {1, 2, 3};
  const Batch g = gather(all.batch(), selection, 3, std::make_shared<Arena>());
  ASSERT_EQ(g.rows, 3u);
  for (std::uint32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(g.columns[0].as<std::uint8_t>()[i], all.booleans[i + 1]);
    EXPECT_EQ(g.columns[1].as<std::int64_t>()[i], all.integers[i + 1]);
    EXPECT_EQ(g.columns[1].is_null(i), all.valid[i + 1] == 0);
    EXPECT_EQ(g.columns[2].as<double>()[i], all.floats[i + 1]);
    EXPECT_TRUE(g.columns[3].as<Decimal>()[i] == all.decimals[i + 1]);
    EXPECT_EQ(g.columns[4].as<std::string_view>()[i], all.strings[i + 1]);
    EXPECT_EQ(g.columns[4].is_null(i), all.valid[i + 1] == 0);
    EXPECT_FALSE(g.columns[0].is_null(i));
    EXPECT_EQ(g.time[i], all.times[i + 1]);
    EXPECT_EQ(g.firing[i], all.firing[i + 1]);
    EXPECT_EQ(g.retention[i], all.retention[i + 1]);
    EXPECT_EQ(g.flag(i), all.flags[i + 1]);
    EXPECT_EQ(g.hash[i], all.hash[i + 1]);
    EXPECT_EQ(g.origins->offset[g.origin_row[i]], 100 + i + 1);
  }
  EXPECT_EQ(g.schema, &all.schema);
}

TEST(Gather, OriginRowsAreComposed) {
  Everything all;
  const std::uint32_t first[] = {1, 3}, second[] = {1};
  const Batch once = gather(all.batch(), first, 2, std::make_shared<Arena>());
  const Batch twice = gather(once, second, 1, std::make_shared<Arena>());
  EXPECT_EQ(twice.origins->lane[twice.origin_row[0]], LaneIndex(3));
}

TEST(Gather, KeepsWhatIsAbsentAbsentAndOneWatermarkOne) {
  Everything all;
  Batch b = all.batch();
  b.retention = b.firing;
  b.flags = nullptr;
  b.hash = nullptr;
  b.origins.reset();
  b.columns[0].data = nullptr;  // nobody reads it
  const std::uint32_t selection[] = {0, 2};
  const Batch g = gather(b, selection, 2, std::make_shared<Arena>());
  EXPECT_EQ(g.retention, g.firing);
  EXPECT_EQ(g.flags, nullptr);
  EXPECT_EQ(g.hash, nullptr);
  EXPECT_EQ(g.origin_row, nullptr);
  EXPECT_EQ(g.columns[0].data, nullptr);
  EXPECT_EQ(g.flag(0), 0);
  b.firing = b.retention = nullptr;
  EXPECT_EQ(gather(b, selection, 2, std::make_shared<Arena>()).firing, nullptr);
}

TEST(Gather, KeepsStringBytesAlive) {
  Batch g;
  {
    Everything all;
    Batch b = all.batch();
    Arena& arena = b.add_arena();
    for (auto& s : all.strings) s = arena.copy("kept " + std::string(s));
    const std::uint32_t selection[] = {2};
    g = gather(b, selection, 1, std::make_shared<Arena>());
    EXPECT_EQ(g.arenas.size(), 2u);
    EXPECT_GT(g.bytes(), 0u);
  }
  EXPECT_EQ(g.columns[4].as<std::string_view>()[0], "kept ccc");
}

TEST(Gather, NothingSelectedIsAnEmptyBatch) {
  Everything all;
  EXPECT_EQ(gather(all.batch(), nullptr, 0, std::make_shared<Arena>()).rows, 0u);
}

}  // namespace
}  // namespace twinspan
