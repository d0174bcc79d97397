#include "engine/checkpoint/state_image.h"

#include <gtest/gtest.h>

namespace twinspan::engine {
namespace {

// Found by a restart: a device counted for two regions has one entry per key group, and one of them was lost.
TEST(StateImage, OneKeyInTwoGroupsIsTwoEntries) {
  DeltaWriter delta;
  delta.put(3, 10, 100, "device", "in group 10");
  delta.put(3, 90, 100, "device", "in group 90");
  delta.put(3, 90, 100, "device", "in group 90, newer");
  const std::string bytes = delta.take();
  StateImage image;
  ASSERT_TRUE(image.apply("uv", 0, 1, bytes));
  EXPECT_EQ(image.live_entries(), 2u);
  std::vector<std::pair<int, std::string>> seen;
  ASSERT_TRUE(image.for_each("uv", [&](const StateEntry& e) -> Status {
    seen.emplace_back(e.key_group, std::string(e.value));
    return ok();
  }));
  EXPECT_EQ(seen, (std::vector<std::pair<int, std::string>>{{10, "in group 10"}, {90, "in group 90, newer"}}));

  DeltaWriter erase;
  erase.erase(3, 10, 100, "device");
  const std::string more = erase.take();
  ASSERT_TRUE(image.apply("uv", 0, 1, more));
  EXPECT_EQ(image.live_entries(), 1u);
}

}  // namespace
}  // namespace twinspan::engine
