// Found by a scenario on real brokers: a count a little too large in the last windows of a stream.
#include "engine/operators/distinct_set.h"

#include <gtest/gtest.h>

namespace twinspan::engine {
namespace {

// While a table grows, a slot that was moved stands in the old memory as well: a pair that left a step must be gone
// from both.
TEST(DistinctSet, PairThatMovedToAnEarlierStepIsGoneFromItsLaterOneWhileThatGrows) {
  for (std::uint32_t ids = 1; ids <= 200; ++ids) {
    DistinctSet set(true);
    for (std::uint32_t id = 0; id < ids; ++id) ASSERT_EQ(set.add(0, id, 30, {}), DistinctSet::kAdded);
    for (std::uint32_t id = 0; id < ids; ++id) ASSERT_EQ(set.add(0, id, 28, {}), 30);
    set.close_steps(29);
    for (std::uint32_t id = 0; id < ids; ++id)
      ASSERT_EQ(set.add(0, id, 29, {}), DistinctSet::kKnown) << "id " << id << " of " << ids;
  }
}

}  // namespace
}  // namespace twinspan::engine
