// Operators that do their work in portions: what a step does stays bounded, nothing overtakes what is left to do, and
// neither order nor snapshots show where a portion ended.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "tests/support/engine/pipeline_driver.h"

namespace twinspan::engine {
namespace {

using testing::GraphBuilder;
using testing::PipelineDriver;
using testing::TestRow;

constexpr std::int64_t kTailId = 2'000'000'000;

struct Notes {
  std::vector<std::string> faults;
  std::size_t calls = 0, largest_call = 0;  // rows of one call of the operator
};

// Each row becomes `fan` rows, at most `portion` a call, 16 a batch; the end brings `tail` rows of its own.
class Multiplier final : public Operator {
 public:
  Multiplier(std::int64_t fan, std::size_t portion, std::int64_t tail, unsigned shard, std::shared_ptr<Notes> notes)
      : fan_(fan), portion_(portion), tail_(tail), shard_(shard), notes_(std::move(notes)) {}

  void process(unsigned, Batch&& batch, Output& out) override {
    expect_idle("process");
    rows_ = testing::rows_of(batch);
    before_.clear();
    for (std::uint32_t i = 0; i < batch.rows; ++i) before_.push_back({batch.firing[i], batch.retention[i]});
    begin();
    resume(out);
  }
  void watermark(unsigned, Watermark watermark, Output& out) override {
    expect_idle("watermark");
    out.watermark(watermark);
  }
  void finish(Output& out) override {
    expect_idle("finish");
    for (std::int64_t i = 0; i < tail_; ++i) {
      const std::int64_t id = kTailId + shard_ * 1'000'000 + i;
      rows_.push_back({id, id, 0, 0});
      before_.push_back(before_.empty() ? Watermark{} : before_.back());
    }
    begin();
    resume(out);
  }
  bool pending() const override { return at_ < rows_.size(); }
  void resume(Output& out) override {
    std::size_t done = 0;
    bool room = true;
    while (pending() && done < portion_ && room) {
      std::vector<TestRow> batch;
      const Watermark before = before_[at_];
      while (pending() && batch.size() < 16 && done < portion_ && before_[at_] == before) {
        TestRow r = rows_[at_];
        if (r.id < kTailId) {
          r.id = r.id * fan_ + copy_;
          r.key = r.id % 97;
        }
        batch.push_back(r);
        ++done;
        if (++copy_ < fan_) continue;
        ++at_;
        copy_ = first_copy();
      }
      out.emit(testing::make_batch(batch, before));
      room = out.has_room();
    }
    if (!pending()) rows_.clear(), at_ = 0;
    ++notes_->calls;
    notes_->largest_call = std::max(notes_->largest_call, done);
  }
  void snapshot(DeltaWriter&) override { expect_idle("snapshot"); }
  void restore_watermark(unsigned, Watermark) override {}
  OperatorStats stats() const override { return {}; }
  const Schema& schema() const override { return testing::test_schema(); }

 private:
  void begin() {
    at_ = 0;
    copy_ = first_copy();
  }
  // Rows of an end stay one each.
  std::int64_t first_copy() const { return pending() && rows_[at_].id >= kTailId ? fan_ - 1 : 0; }
  void expect_idle(const char* call) {
    if (pending()) notes_->faults.push_back(fmt::format("{} while work is left", call));
  }
  const std::int64_t fan_;
  const std::size_t portion_;
  const std::int64_t tail_;
  const unsigned shard_;
  std::shared_ptr<Notes> notes_;
  std::vector<TestRow> rows_;
  std::vector<Watermark> before_;
  std::size_t at_ = 0;
  std::int64_t copy_ = 0;
};

void make_multiplier(Graph& graph, unsigned node, std::int64_t fan, std::size_t portion,
                     const std::shared_ptr<Notes>& notes, std::int64_t tail = 0) {
  graph.nodes[node].make = [=](unsigned shard, unsigned) {
    return std::make_unique<Multiplier>(fan, portion, tail, shard, notes);
  };
}

TEST(Resumable, AStepDoesOnePortionOfEachNode) {
  GraphBuilder g;
  const unsigned s = g.source("a"), many = g.node("many"), more = g.node("more"), t = g.terminal("out");
  g.source_to(s, many, 0, false);
  g.node_to(many, more, 0, false);
  g.node_to_terminal(more, t);
  Graph graph = g.build();
  const auto notes = std::make_shared<Notes>();
  make_multiplier(graph, many, 1000, 64, notes);
  make_multiplier(graph, more, 100, 64, notes);
  PipelineDriver driver(graph, 1, 1);
  driver.feed(0, 0).push({{1, 1, 0, 0}, {2, 2, 0, 0}}, Watermark{9, 9});
  std::size_t before = 0, steps = 0;
  while (driver.step(0)) {
    const std::size_t now = driver.terminal(0, 0).rows.size();
    ASSERT_LE(now - before, 3 * 64u);  // resumed once, and each of its inbox's messages begins a portion at most
    before = now;
    ASSERT_LT(++steps, 100'000u);
  }
  ASSERT_EQ(driver.terminal(0, 0).rows.size(), 200'000u);
  for (std::size_t i = 0; i < 200'000; ++i)  // in order: nothing was overtaken
    ASSERT_EQ(driver.terminal(0, 0).rows[i].id, static_cast<std::int64_t>(100'000 + i));
  EXPECT_LE(notes->largest_call, 64u);
  EXPECT_EQ(driver.shard(0).input_watermark(more, 0), (Watermark{9, 9}));
  for (const auto& f : notes->faults) ADD_FAILURE() << f;
}

TEST(Resumable, ATerminalWithoutRoomStopsThePortion) {
  GraphBuilder g;
  const unsigned s = g.source("a"), many = g.node("many"), pass = g.node("pass"), t = g.terminal("out");
  g.source_to(s, many, 0, false);
  g.node_to(many, pass, 0, false);
  g.node_to_terminal(pass, t);
  Graph graph = g.build();
  const auto notes = std::make_shared<Notes>();
  make_multiplier(graph, many, 5000, 1000, notes);
  PipelineDriver driver(graph, 1, 1);
  driver.feed(0, 0).push({{1, 1, 0, 0}});
  driver.step(0);
  driver.terminal(0, 0).room = false;
  const std::size_t at = driver.terminal(0, 0).rows.size();
  for (int i = 0; i < 50; ++i) driver.step(0);
  EXPECT_LE(driver.terminal(0, 0).rows.size(), at + 16);
  driver.terminal(0, 0).room = true;
  ASSERT_TRUE(driver.settle());
  EXPECT_EQ(driver.terminal(0, 0).rows.size(), 5000u);
}

TEST(Resumable, TheEndWaitsForWhatFinishLeft) {
  GraphBuilder g;
  const unsigned s = g.source("a"), many = g.node("many"), more = g.node("more"), last = g.node("last"),
                 t = g.terminal("out");
  g.source_to(s, many, 0, true);
  g.node_to(many, more, 0, false);
  g.node_to(more, last, 0, true);
  g.node_to_terminal(last, t);
  for (const unsigned shards : {1u, 2u, 3u}) {
    Graph graph = g.build();
    const auto notes = std::make_shared<Notes>();
    make_multiplier(graph, many, 50, 7, notes, 300);
    make_multiplier(graph, more, 20, 7, notes);
    PipelineDriver driver(graph, shards, 1);
    for (unsigned i = 0; i < shards; ++i) {
      driver.feed(i, 0).push({{i, i, 0, 0}});
      driver.feed(i, 0).end();
    }
    ASSERT_TRUE(driver.settle(1'000'000));
    for (unsigned i = 0; i < shards; ++i) {
      EXPECT_TRUE(driver.shard(i).ended());
      EXPECT_EQ(driver.recorder(i, last).finished, 1);
    }
    EXPECT_EQ(driver.output(t).size(), shards * (50u * 20u + 300u));
    for (const auto& f : driver.faults()) ADD_FAILURE() << f;
    for (const auto& f : notes->faults) ADD_FAILURE() << f;
  }
}

// Barriers come at any moment, also while portions are left everywhere: a snapshot holds all of what was read before
// it, however much that became, and nothing else.
TEST(Resumable, NoBarrierPassesWorkThatIsLeft) {
  struct Shape {
    const char* name;
    bool first, second, third;  // whether the edge is an exchange
  };
  for (const Shape& shape :
       {Shape{"all local", false, false, false}, Shape{"exchanges between", true, true, true},
        Shape{"local in between", true, false, true}, Shape{"local at the end", true, true, false}})
    for (const unsigned shards : {1u, 2u, 3u})
      for (std::uint32_t seed = 1; seed <= 10; ++seed) {
        SCOPED_TRACE(fmt::format("{}, {} shards, seed {}", shape.name, shards, seed));
        GraphBuilder g;
        const unsigned a = g.source("a"), b = g.source("b");
        const unsigned many = g.node("many"), more = g.node("more", 2), last = g.node("last"), t = g.terminal("out");
        g.source_to(a, many, 0, shape.first);
        g.node_to(many, more, 0, shape.second);
        g.source_to(b, more, 1, shape.second);
        g.node_to(more, last, 0, shape.third);
        g.node_to_terminal(last, t);
        Graph graph = g.build();
        const auto notes = std::make_shared<Notes>();
        make_multiplier(graph, many, 9, 5, notes);
        make_multiplier(graph, more, 11, 5, notes);
        std::mt19937 random(seed);
        PipelineDriver driver(graph, shards, 1 + seed % 3);
        std::map<std::pair<unsigned, unsigned>, std::vector<std::int64_t>> of_feed;
        std::int64_t id = 0;
        for (unsigned s = 0; s < shards; ++s)
          for (const unsigned f : {a, b})
            for (int i = 0; i < 25; ++i) {
              std::vector<TestRow> rows;
              for (unsigned n = 1 + random() % 4; n > 0; --n, ++id) {
                // Ids of b begin where those that `many` makes of a's end.
                const std::int64_t own = f == a ? id : id + 100'000;
                of_feed[{s, f}].push_back(own);
                rows.push_back({id % 50, own, 0, i});
              }
              driver.feed(s, f).push(std::move(rows), Watermark{i / 2, i / 3});
            }
        std::set<std::int64_t> in_snapshots;
        const auto check = [&](const std::vector<ShardBarrier>& barriers) {
          std::set<std::int64_t> given;
          for (const ShardBarrier& barrier : barriers)
            for (const unsigned f : {a, b}) {
              const auto& ids = of_feed[{barrier.shard, f}];
              for (std::int64_t i = 0; i < std::stol(barrier.feeds[f]); ++i) {
                const std::int64_t first =
                    f == a ? ids[static_cast<std::size_t>(i)] * 9 * 11 : ids[static_cast<std::size_t>(i)] * 11;
                for (std::int64_t k = 0; k < (f == a ? 99 : 11); ++k) given.insert(first + k);
              }
            }
          for (const std::int64_t i : testing::recorded(barriers, "last")) ASSERT_TRUE(in_snapshots.insert(i).second);
          ASSERT_EQ(in_snapshots, given);
        };
        for (std::uint64_t epoch = 1; epoch <= 4; ++epoch) {
          for (int i = 0; i < 40; ++i) driver.random_step(random);
          driver.ask_for_barrier(Epoch(epoch));
          int steps = 0;
          while (!driver.barrier_done()) {
            driver.random_step(random);
            ASSERT_LT(++steps, 100'000) << "the barrier does not pass";
          }
          check(driver.take_barriers());
          if (HasFatalFailure()) return;
        }
        ASSERT_TRUE(driver.settle(1'000'000));
        check(driver.barrier(Epoch(5)));
        for (const auto& f : driver.faults()) ADD_FAILURE() << f;
        for (const auto& f : notes->faults) ADD_FAILURE() << f;
        if (HasFailure()) return;
      }
}

}  // namespace
}  // namespace twinspan::engine
