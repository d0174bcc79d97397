// What holds for the block of every function: damaged bytes are refused, memory does not grow with use.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/engine/aggregates/aggregate_rig.h"

namespace twinspan::testing {
namespace {

using F = AggregateFunction;

struct Case {
  AggregateSpec spec;
  bool updating;
};

// Every function on every type it takes.
std::vector<Case> all_cases() {
  std::vector<Case> out;
  for (const AggregateInfo& info : aggregate_table())
    for (const DataType type : {types::boolean, types::int64, types::float64, types::decimal(20, 3), types::string,
                                types::bytes, types::timestamp, types::duration})
      for (const bool distinct : {false, true})
        for (const bool updating : {false, true}) {
          AggregateSpec s = spec_of(info.function, type);
          s.distinct = distinct;
          if (info.has('o')) {
            s.by = kBy;
            s.by_type = types::int64;
          }
          s.parameters.number = info.number_default != 0 ? info.number_default : 3;
          s.parameters.fraction = 0.5;
          s.parameters.text = ", ";
          if (validate(s, updating)) out.push_back({s, updating});
        }
  return out;
}

std::string name_of(const Case& c) {
  return fmt::format("{}({}{}){}", info_of(c.spec.function).name, c.spec.distinct ? "DISTINCT " : "",
                     to_string(c.spec.argument_type), c.updating ? " with updates" : "");
}

TEST(Blocks, AreTheSameAfterSaveAndLoad) {
  for (const Case& c : all_cases()) {
    Dice dice(7);
    const Accumulators accumulators({c.spec}, c.updating);
    BlockMemory memory, other;
    Block a(accumulators, memory);
    EXPECT_TRUE(Block(accumulators, other).load(a.saved())) << name_of(c);
    for (int round = 0; round < 20; ++round) {
      const Batch more = batch_of(random_rows(dice, 40, c.spec.argument_type), c.spec.argument_type);
      a.add(more);
      Block b(accumulators, other);
      ASSERT_TRUE(b.load(a.saved())) << name_of(c);
      ASSERT_EQ(b.saved().size(), a.saved().size()) << name_of(c);
      ASSERT_EQ(b.result(c.spec), a.result(c.spec)) << name_of(c);
      // And they go on alike.
      const Batch next = batch_of(random_rows(dice, 40, c.spec.argument_type), c.spec.argument_type);
      ASSERT_EQ(b.add(next).result(c.spec), a.add(next).result(c.spec)) << name_of(c);
    }
  }
}

TEST(Blocks, RefuseBytesThatSaveDidNotWrite) {
  for (const Case& c : all_cases()) {
    const Accumulators accumulators({c.spec}, c.updating);
    for (const std::size_t n : {0u, 3u, 400u}) {
      Dice dice(11);
      BlockMemory memory;
      Block a(accumulators, memory);
      a.add(batch_of(random_rows(dice, n, c.spec.argument_type), c.spec.argument_type));
      const std::string good = a.saved();
      Block b(accumulators, memory);
      for (std::size_t size = 0; size < good.size(); size += 1 + size / 50)
        ASSERT_FALSE(b.load(good.substr(0, size))) << name_of(c) << ", " << size << " of " << good.size();
      ASSERT_FALSE(b.load(good + "x")) << name_of(c);
      // Another byte somewhere: refused, or taken for a block that works.
      for (int i = 0; i < 200; ++i) {
        std::string bad = good;
        bad[static_cast<std::size_t>(dice.to(static_cast<std::int64_t>(bad.size())))] ^=
            static_cast<char>(1 + dice.to(255));
        if (!b.load(bad)) continue;
        b.add(batch_of(random_rows(dice, 5, c.spec.argument_type), c.spec.argument_type));
        b.result(c.spec);
        Block d(accumulators, memory);
        d.merge(b);
        d.result(c.spec);
      }
    }
  }
}

TEST(Blocks, RefuseThoseOfOtherAggregates) {
  BlockMemory memory;
  const auto cases = all_cases();
  std::size_t refused = 0, tried = 0;
  for (const Case& from : cases) {
    const Accumulators a({from.spec}, from.updating);
    const std::string bytes = Block(a, memory).saved();
    for (const Case& to : cases) {
      if (&from == &to) continue;
      const Accumulators b({to.spec}, to.updating);
      ++tried;
      refused += Block(b, memory).load(bytes) ? 0 : 1;
    }
  }
  // A mark has 16 bits. What differs in its result alone keeps the same.
  EXPECT_GT(refused, tried * 95 / 100);
}

// Blocks that are reset, merged, moved and loaded over and over need no more memory than at first.
TEST(Blocks, MemoryDoesNotGrowWithUse) {
  for (const Case& c : all_cases()) {
    Dice dice(13);
    const Accumulators accumulators({c.spec}, c.updating);
    BlockMemory memory;
    std::vector<Batch> batches;
    for (int i = 0; i < 10; ++i)
      batches.push_back(batch_of(random_rows(dice, 60, c.spec.argument_type), c.spec.argument_type));
    Block a(accumulators, memory), b(accumulators, memory);
    std::size_t first = 0;
    for (int round = 0; round < 400; ++round) {
      a.add(batches[static_cast<std::size_t>(dice.to(10))]);
      b.add(batches[static_cast<std::size_t>(dice.to(10))]);
      a.merge(b);
      const std::string bytes = a.saved();
      if (c.updating) b.remove(batches[static_cast<std::size_t>(dice.to(10))]);
      ASSERT_TRUE(b.load(bytes));
      a.reset();
      b.reset();
      if (round == 100) first = memory.bytes();
    }
    EXPECT_LE(memory.bytes(), first * 3 / 2) << name_of(c);
  }
}

}  // namespace
}  // namespace twinspan::testing
