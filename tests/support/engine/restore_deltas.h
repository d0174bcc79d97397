#pragma once
// Gives an operator what snapshots of any shards hold of its own key groups, in their order. Thread: one.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/operators/operator.h"
#include "engine/state/state_entry.h"

namespace twinspan::testing {

inline void restore_deltas(engine::Operator& op, const std::vector<std::string>& deltas, unsigned shard,
                           unsigned shards) {
  for (const std::string& delta : deltas) {
    engine::DeltaReader reader(delta);
    engine::StateEntry e;
    for (;;) {
      const auto more = reader.next(e);
      ASSERT_TRUE(more);
      if (!more.value()) break;
      if (e.kind != engine::StateEntry::Kind::drop_below && engine::shard_of_group(e.key_group, shards) != shard)
        continue;
      const Status s = op.restore(e);
      ASSERT_TRUE(s) << s.error().message;
    }
  }
}

}  // namespace twinspan::testing
