// Barriers over every shape of graph, in random order of steps, with rings that are always full: what a
// snapshot holds is exactly what the feeds had given at that barrier.
#include <gtest/gtest.h>

#include <array>
#include <deque>

#include <fmt/format.h>

#include "engine/checkpoint/state_image.h"
#include "tests/support/engine/pipeline_driver.h"

namespace twinspan::engine {
namespace {

using testing::GraphBuilder;
using testing::PipelineDriver;
using testing::TestRow;

struct Shape {
  const char* name;
  Graph graph;
  unsigned last;  // the node every row reaches
};

std::vector<Shape> shapes() {
  std::vector<Shape> out;
  {
    GraphBuilder g;
    const unsigned s = g.source("a"), n = g.node("last"), t = g.terminal("out");
    g.source_to(s, n, 0, true);
    g.node_to_terminal(n, t);
    out.push_back({"one exchange", g.build(), n});
  }
  {
    GraphBuilder g;
    const unsigned a = g.source("a"), b = g.source("b"), n = g.node("last", 2), t = g.terminal("out");
    g.source_to(a, n, 0, true);
    g.source_to(b, n, 1, true);
    g.node_to_terminal(n, t);
    out.push_back({"two inputs by two exchanges", g.build(), n});
  }
  {
    GraphBuilder g;
    const unsigned a = g.source("a"), b = g.source("b"), f = g.node("filter"), n = g.node("last", 2),
                   t = g.terminal("out");
    g.source_to(a, f, 0, false);
    g.node_to(f, n, 0, false);
    g.source_to(b, n, 1, true);
    g.node_to_terminal(n, t);
    out.push_back({"direct and exchanged", g.build(), n});
  }
  {
    GraphBuilder g;
    const unsigned a = g.source("a"), f = g.node("first"), m = g.node("second"), n = g.node("last"),
                   t = g.terminal("out");
    g.source_to(a, f, 0, true);
    g.node_to(f, m, 0, true);
    g.node_to(m, n, 0, true);
    g.node_to_terminal(n, t);
    out.push_back({"a chain of three exchanges", g.build(), n});
  }
  {
    // A join of two streams, then a union with a third that comes over an exchange, then another key.
    GraphBuilder g;
    const unsigned a = g.source("a"), b = g.source("b"), c = g.source("c");
    const unsigned join = g.node("join", 2), both = g.node("union", 2), n = g.node("last"), t = g.terminal("out");
    g.source_to(a, join, 0, true);
    g.source_to(b, join, 1, true);
    g.node_to(join, both, 0, false);
    g.source_to(c, both, 1, true);
    g.node_to(both, n, 0, true);
    g.node_to_terminal(n, t);
    out.push_back({"join, union, another key", g.build(), n});
  }
  return out;
}

// Pushes `batches` small batches with rising watermarks to every feed; ids are unique.
void fill(PipelineDriver& driver, std::size_t sources, std::mt19937& random, int batches, std::int64_t& id) {
  for (unsigned s = 0; s < driver.shards(); ++s) {
    for (unsigned f = 0; f < sources; ++f) {
      EventTime time = driver.feed(s, f).watermark(0).firing;
      if (time == kMinTime) time = 0;
      for (int b = 0; b < batches; ++b) {
        std::vector<TestRow> rows;
        for (unsigned i = 1 + random() % 6; i > 0; --i) {
          rows.push_back({static_cast<std::int64_t>(random() % 50), id++, 0, time + 1});
        }
        time += random() % 3;
        driver.feed(s, f).push(std::move(rows), Watermark{time, time});
      }
    }
  }
}

class Barriers : public ::testing::TestWithParam<std::tuple<unsigned, std::size_t>> {};

TEST_P(Barriers, ASnapshotHoldsWhatWasReadBeforeItAndNothingElse) {
  const auto [shards, capacity] = GetParam();
  for (const Shape& shape : shapes()) {
    for (std::uint32_t seed = 1; seed <= 12; ++seed) {
      SCOPED_TRACE(fmt::format("{}, {} shards, {} packets, seed {}", shape.name, shards, capacity, seed));
      std::mt19937 random(seed);
      PipelineDriver driver(shape.graph, shards, capacity);
      const std::size_t sources = shape.graph.sources.size();
      std::int64_t id = 0;
      // ids are given out feed by feed: the first n of a feed are known.
      std::map<std::pair<unsigned, unsigned>, std::vector<std::int64_t>> of_feed;
      for (unsigned s = 0; s < shards; ++s)
        for (unsigned f = 0; f < sources; ++f)
          for (int b = 0; b < 60; ++b) {
            std::vector<TestRow> rows;
            for (unsigned i = 1 + random() % 6; i > 0; --i) {
              of_feed[{s, f}].push_back(id);
              rows.push_back({static_cast<std::int64_t>(random() % 50), id++, 0, b});
            }
            driver.feed(s, f).push(std::move(rows), Watermark{b / 2, b / 3});
          }
      std::map<std::string, std::set<std::int64_t>> in_snapshots;
      const auto check = [&](const std::vector<ShardBarrier>& barriers) {
        std::set<std::int64_t> given;
        for (const ShardBarrier& b : barriers)
          for (unsigned f = 0; f < sources; ++f) {
            const auto& ids = of_feed[{b.shard, f}];
            given.insert(ids.begin(), ids.begin() + std::stol(b.feeds[f]));
          }
        auto& last = in_snapshots["last"];
        for (const std::int64_t i : testing::recorded(barriers, "last")) EXPECT_TRUE(last.insert(i).second);
        ASSERT_EQ(last, given);
      };
      for (std::uint64_t epoch = 1; epoch <= 5; ++epoch) {
        for (int i = 0; i < 30; ++i) driver.random_step(random);
        driver.ask_for_barrier(Epoch(epoch));
        int steps = 0;
        while (!driver.barrier_done()) {
          driver.random_step(random);
          ASSERT_LT(++steps, 100'000) << "the barrier does not pass";
        }
        check(driver.take_barriers());
      }
      ASSERT_TRUE(driver.settle());
      check(driver.barrier(Epoch(6)));
      EXPECT_EQ(driver.output(0).size(), static_cast<std::size_t>(id));
      for (const std::string& f : driver.faults()) ADD_FAILURE() << f;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(ShardsAndRings, Barriers,
                         ::testing::Combine(::testing::Values(1u, 2u, 3u),
                                            ::testing::Values(std::size_t{1}, std::size_t{2}, std::size_t{64})));

// Both shards send to each other until their rings are full: each must go on draining the other.
TEST(FullRings, NeverWaitInACircle) {
  for (const Shape& shape : shapes()) {
    SCOPED_TRACE(shape.name);
    for (const unsigned shards : {2u, 3u}) {
      PipelineDriver driver(shape.graph, shards, 1);
      std::mt19937 random(1);
      std::int64_t id = 0;
      fill(driver, shape.graph.sources.size(), random, 200, id);
      ASSERT_TRUE(driver.settle());
      for (unsigned s = 0; s < shards; ++s)
        for (unsigned f = 0; f < shape.graph.sources.size(); ++f) EXPECT_TRUE(driver.feed(s, f).drained());
      EXPECT_EQ(driver.output(0).size(), static_cast<std::size_t>(id));
    }
  }
}

// Time passes while a barrier is on its way; an operator that time makes emit must not put rows of the next
// epoch into the snapshot of one that still waits on its other input.
TEST(Barrier, TimeDoesNotOvertakeIt) {
  GraphBuilder g;
  const unsigned a = g.source("a"), b = g.source("b"), tick = g.node("ticker"), last = g.node("last", 2);
  g.source_to(a, tick, 0, false);
  g.node_to(tick, last, 0, false);
  g.source_to(b, last, 1, true);
  for (std::uint32_t seed = 1; seed <= 30; ++seed) {
    PipelineDriver driver(g.build(), 2, 2);
    std::mt19937 random(seed);
    std::array<std::int64_t, 2> ticks_in_snapshots{};
    EventTime time = 0;
    for (std::uint64_t epoch = 1; epoch <= 5; ++epoch) {
      driver.ask_for_barrier(Epoch(epoch));
      while (!driver.barrier_done()) {
        driver.random_step(random);
        ++time;
        for (unsigned s = 0; s < 2; ++s) driver.feed(s, a).set_watermark({time, time});
      }
      for (const ShardBarrier& barrier : driver.take_barriers()) {
        std::int64_t counted = 0;
        for (const StepDelta& d : barrier.deltas) {
          const std::string bytes = d.bytes.joined();
          DeltaReader reader(bytes);
          StateEntry e;
          while (reader.next(e).value()) {
            if (d.step == "ticker") counted = std::stol(std::string(e.value));
            if (d.step == "last") ++ticks_in_snapshots[barrier.shard];
          }
        }
        EXPECT_EQ(ticks_in_snapshots[barrier.shard], counted) << "seed " << seed << " epoch " << epoch;
      }
    }
  }
}

// Rows of the next epoch are worked on while a snapshot is still written, and are in nothing that the barrier says.
TEST(Barrier, RowsGoOnUntilTheLastPortion) {
  for (const unsigned shards : {1u, 2u}) {
    GraphBuilder g;
    const unsigned a = g.source("a"), first = g.node("first"), last = g.node("last"), out = g.terminal("out");
    g.source_to(a, first, 0, true);
    g.node_to(first, last, 0, true);
    g.node_to_terminal(last, out);
    PipelineDriver driver(g.build(), shards, 8);
    std::int64_t id = 0;
    const auto push = [&](int batches, int size) {
      for (int b = 0; b < batches; ++b) {
        std::vector<TestRow> rows;
        for (int i = 0; i < size; ++i) rows.push_back({id, id, 0, b}), ++id;
        for (unsigned s = 0; s < shards; ++s) driver.feed(s, a).push(s == 0 ? rows : std::vector<TestRow>{});
      }
    };
    push(10, 60);
    ASSERT_TRUE(driver.settle());
    const std::int64_t before = id;
    push(400, 1);
    for (unsigned s = 0; s < shards; ++s) driver.shard(s).begin_barrier(Epoch(1));
    std::size_t told_meanwhile = 0;
    std::vector<ShardBarrier> barriers(shards);
    std::size_t passed = 0;
    for (int round = 0; passed < shards; ++round) {
      ASSERT_LT(round, 10'000);
      for (unsigned s = 0; s < shards; ++s) {
        driver.step(s);
        if (!driver.shard(s).barrier_passed()) continue;
        barriers[s] = driver.shard(s).take_barrier();
        ++passed;
      }
      if (passed == 0) told_meanwhile = driver.output(0).size();
    }
    EXPECT_GT(told_meanwhile, static_cast<std::size_t>(before) + 20);
    for (const char* node : {"first", "last"}) {
      const std::set<std::int64_t> ids = testing::recorded(barriers, node);
      EXPECT_EQ(ids.size(), static_cast<std::size_t>(before)) << node;
      EXPECT_EQ(*ids.rbegin(), before - 1) << node;
    }
    std::uint64_t written = 0;
    for (const ShardBarrier& b : barriers) written += b.written[0];
    EXPECT_EQ(written, static_cast<std::uint64_t>(before));
    ASSERT_TRUE(driver.settle());
    EXPECT_EQ(driver.output(0).size(), static_cast<std::size_t>(id));
    for (const std::string& f : driver.faults()) ADD_FAILURE() << f;
  }
}

TEST(Restore, WithAnotherNumberOfShardsGivesEachItsKeys) {
  const Shape shape = shapes()[4];
  PipelineDriver before(shape.graph, 2, 2);
  std::mt19937 random(5);
  std::int64_t id = 0;
  fill(before, 3, random, 40, id);
  const std::int64_t old = id;
  ASSERT_TRUE(before.settle());
  StateImage image;
  const auto barriers = before.barrier(Epoch(1));
  std::deque<std::string> bytes;  // what the image points into
  for (const ShardBarrier& b : barriers)
    for (const StepDelta& d : b.deltas)
      ASSERT_TRUE(image.apply(d.step, d.shard, d.shards, bytes.emplace_back(d.bytes.joined())));
  for (const unsigned shards : {1u, 2u, 3u}) {
    PipelineDriver after(shape.graph, shards, 2);
    std::size_t entries = 0;
    for (unsigned s = 0; s < shards; ++s) {
      ASSERT_TRUE(after.shard(s).restore(image));
      after.shard(s).restore_watermark(shape.last, 0, {7, 6});
      EXPECT_EQ(after.shard(s).input_watermark(shape.last, 0), (Watermark{7, 6}));
      entries += after.recorder(s, shape.last).ids.size();
    }
    EXPECT_EQ(entries, static_cast<std::size_t>(old));
    // Rows of a restored key arrive where its state is.
    fill(after, 3, random, 40, id);
    ASSERT_TRUE(after.settle());
    std::map<std::int64_t, unsigned> owner;
    for (unsigned s = 0; s < shards; ++s)
      for (const auto& [i, key] : after.recorder(s, shape.last).ids) EXPECT_EQ(owner.emplace(key, s).first->second, s);
    for (const std::string& f : after.faults()) ADD_FAILURE() << f;
  }
}

// One thread a shard, as in production: what the sanitizers look at.
TEST(Threads, ShardsRunSideBySide) {
  for (const Shape& shape : shapes()) {
    SCOPED_TRACE(shape.name);
    PipelineDriver driver(shape.graph, 2, 2);
    std::mt19937 random(9);
    std::int64_t id = 0;
    fill(driver, shape.graph.sources.size(), random, 300, id);
    for (unsigned s = 0; s < 2; ++s)
      for (unsigned f = 0; f < shape.graph.sources.size(); ++f) driver.feed(s, f).end();
    std::set<std::int64_t> seen;
    int barriers = 0;
    driver.run_threads(10, [&](std::vector<ShardBarrier> parts) {
      ++barriers;
      for (const std::int64_t i : testing::recorded(parts, "last")) EXPECT_TRUE(seen.insert(i).second);
    });
    EXPECT_EQ(barriers, 10);
    EXPECT_EQ(driver.output(0).size(), static_cast<std::size_t>(id));
    for (const std::string& f : driver.faults()) ADD_FAILURE() << f;
    for (unsigned s = 0; s < 2; ++s) EXPECT_EQ(driver.recorder(s, shape.last).finished, 1);
  }
}

}  // namespace
}  // namespace twinspan::engine
