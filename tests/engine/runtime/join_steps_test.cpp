// A join in its shard: whatever one row, one watermark or the end brings, a step stays short, and a barrier that comes
// meanwhile waits until it is done.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/checkpoint/segment_files.h"
#include "engine/operators/interval_join.h"
#include "tests/support/engine/fault_file_system.h"
#include "tests/support/engine/pipeline_driver.h"

namespace twinspan::engine {
namespace {

using testing::GraphBuilder;
using testing::PipelineDriver;
using testing::TestRow;

constexpr std::int64_t kRows = 200'000;
constexpr std::uint64_t kFuel = 8192;

// left, right -> join -> out, keyed by `key`.
struct Joined {
  explicit Joined(IntervalJoinSpec::Type type) {
    IntervalJoinSpec spec;
    spec.left = spec.right = {{0}, {types::int64}, {0, 1, 2}, {types::int64, types::int64, types::int64}};
    spec.lower = -1000;
    spec.upper = 1000;
    spec.type = type;
    for (int side = 0; side < 2; ++side)
      for (const Field& f : testing::test_schema().fields) spec.schema.fields.push_back(f);
    g.source_to(left, join, 0, true);
    g.source_to(right, join, 1, true);
    g.node_to_terminal(join, out);
    graph = g.build();
    graph.nodes[join].make = [spec](unsigned, unsigned) { return std::make_unique<IntervalJoin>(spec); };
  }
  GraphBuilder g;
  unsigned left = g.source("left"), right = g.source("right"), join = g.node("join", 2), out = g.terminal("out");
  Graph graph;
};

std::vector<TestRow> rows_of_one_key(std::int64_t first, std::int64_t n, EventTime time) {
  std::vector<TestRow> rows;
  for (std::int64_t i = 0; i < n; ++i) rows.push_back({7, first + i, 0, time});
  return rows;
}

class Steps {
 public:
  explicit Steps(PipelineDriver& driver) : driver_(driver) {}
  // Steps all shards until nothing moves, or `done` says so; the most rows that one step of one shard brought out.
  std::size_t run(const std::function<bool()>& done = [] { return false; }) {
    std::size_t most = 0;
    for (int quiet = 0; quiet < 4 && !done();) {
      bool progress = false;
      for (unsigned s = 0; s < driver_.shards(); ++s) {
        const std::size_t before = driver_.terminal(s, 0).rows.size();
        progress |= driver_.step(s);
        most = std::max(most, driver_.terminal(s, 0).rows.size() - before);
      }
      quiet = progress ? 0 : quiet + 1;
      ++steps;
    }
    return most;
  }
  std::size_t results() const {
    std::size_t n = 0;
    for (unsigned s = 0; s < driver_.shards(); ++s) n += driver_.terminal(s, 0).rows.size();
    return n;
  }
  std::size_t steps = 0;

 private:
  PipelineDriver& driver_;
};

void push_left_rows(PipelineDriver& driver) {
  for (std::int64_t i = 0; i < kRows; i += 1000) driver.feed(0, 0).push(rows_of_one_key(i, 1000, 10'000));
}

TEST(JoinSteps, OneRowThatMatchesAllOthersTakesManySteps) {
  for (const unsigned shards : {1u, 2u}) {
    Joined j(IntervalJoinSpec::Type::left);
    PipelineDriver driver(j.graph, shards, 8);
    push_left_rows(driver);
    Steps steps(driver);
    steps.run();
    driver.feed(0, 1).push(rows_of_one_key(1'000'000, 1, 10'500));
    steps.steps = 0;
    const std::size_t most = steps.run();
    EXPECT_EQ(steps.results(), static_cast<std::size_t>(kRows));
    EXPECT_LE(most, kFuel + 2048);
    EXPECT_GE(steps.steps, kRows / kFuel);
  }
}

TEST(JoinSteps, TheEndOfManyRowsTakesManySteps) {
  for (const unsigned shards : {1u, 2u}) {
    Joined j(IntervalJoinSpec::Type::left);
    PipelineDriver driver(j.graph, shards, 8);
    push_left_rows(driver);
    Steps steps(driver);
    steps.run();
    for (unsigned s = 0; s < shards; ++s)
      for (const unsigned source : {0u, 1u}) driver.feed(s, source).end();
    EXPECT_LE(steps.run(), kFuel + 2048);
    EXPECT_EQ(steps.results(), static_cast<std::size_t>(kRows));
    for (unsigned s = 0; s < shards; ++s) EXPECT_TRUE(driver.shard(s).ended());
  }
}

TEST(JoinSteps, ABarrierWaitsForTheMatchesOfARowAndHoldsItAsMatched) {
  Joined j(IntervalJoinSpec::Type::left);
  PipelineDriver driver(j.graph, 1, 8);
  push_left_rows(driver);
  Steps steps(driver);
  steps.run();
  std::vector<ShardBarrier> first = driver.barrier(Epoch(1));
  ASSERT_EQ(first.size(), 1u);
  driver.feed(0, 1).push(rows_of_one_key(1'000'000, 1, 10'500));
  driver.step(0);
  ASSERT_LT(steps.results(), static_cast<std::size_t>(kRows));
  driver.shard(0).begin_barrier(Epoch(2));
  EXPECT_FALSE(driver.shard(0).barrier_passed());
  steps.run([&] { return driver.shard(0).barrier_passed(); });
  ASSERT_TRUE(driver.shard(0).barrier_passed());
  EXPECT_EQ(steps.results(), static_cast<std::size_t>(kRows));
  const ShardBarrier barrier = driver.shard(0).take_barrier();
  testing::FaultFileSystem disk;
  SegmentFiles files(disk, "/segments");
  ASSERT_TRUE(files.open());
  DeltaWriter delta;
  for (const ShardBarrier* one : {static_cast<const ShardBarrier*>(&first[0]), &barrier}) {
    ASSERT_EQ(one->parts.size(), 1u);
    (void)delta.take_delta();
    ASSERT_TRUE(one->parts[0].part->write(files, delta));
  }
  const std::string bytes = delta.take();
  DeltaReader reader(bytes);
  StateEntry e;
  std::int64_t matched = 0, right_rows = 0;
  while (reader.next(e).value()) {
    right_rows += e.space == JoinSpaces::kRows + 1;
    if (e.space != JoinSpaces::kFlags) continue;
    const auto flags = JoinFlags::decode(e.value);
    for (const JoinFlags::Row& r : flags.value().rows) matched += r.flags == JoinRow::kMatched;
  }
  EXPECT_EQ(matched, kRows);  // all left rows are matched now
  EXPECT_EQ(right_rows, 1);   // and there is the right row itself
}

}  // namespace
}  // namespace twinspan::engine
