#include "engine/operators/save_list.h"

#include <cstdint>
#include <string>
#include <utility>

#include <gtest/gtest.h>

namespace twinspan::engine {
namespace {

TEST(SaveList, GivesEverythingInOrderWhateverIsTakenAtOnce) {
  for (const std::size_t most : {std::size_t{1}, std::size_t{7}, std::size_t{16'384}, std::size_t{1} << 30}) {
    for (const std::uint32_t n : {0u, 1u, 16'383u, 16'384u, 16'385u, 100'000u}) {
      SaveList<std::uint32_t> list;
      for (int round = 0; round < 2; ++round) {  // used again when it is empty
        EXPECT_TRUE(list.empty());
        for (std::uint32_t i = 0; i < n; ++i) list.push_back(i);
        EXPECT_EQ(list.empty(), n == 0);
        SaveList<std::uint32_t> taken = std::move(list);
        EXPECT_TRUE(list.empty());
        list.push_back(7);  // what comes meanwhile is the other's
        std::uint32_t next = 0;
        for (auto some = taken.take(most); !some.empty(); some = taken.take(most)) {
          ASSERT_LE(some.size(), most);
          for (const std::uint32_t x : some) ASSERT_EQ(x, next++);
        }
        EXPECT_EQ(next, n);
        EXPECT_TRUE(taken.empty());
        ASSERT_EQ(list.take(9).size(), 1u);
        EXPECT_TRUE(list.take(9).empty());
        list = std::move(taken);
      }
    }
  }
}

TEST(SaveList, GivesMemoryBackPieceByPiece) {
  SaveList<std::string> list;
  for (int i = 0; i < 200'000; ++i) list.push_back(std::to_string(i));
  const std::size_t all = list.bytes();
  for (int i = 0; i < 100'000; i += static_cast<int>(list.take(1'000).size())) {
  }
  EXPECT_LT(list.bytes(), all * 6 / 10);
}

}  // namespace
}  // namespace twinspan::engine
