// A window on the results of a window: what it says in the end is what the final results of the first one give, however
// often they were corrected on the way, whatever the batches, through restarts.

#include <gtest/gtest.h>

#include "tests/engine/operators/window/random_window.h"

namespace twinspan::testing {
namespace {

using F = AggregateFunction;

struct Chain {
  explicit Chain(const WindowSpec& a, const WindowSpec& b)
      : spec_a(a),
        spec_b(b),
        schema_a(window_output_schema(a, {"name"}, {"n", "sum"})),
        schema_b(window_output_schema(b, {"n"}, {"names", "rows", "mean"})) {
    make();
  }
  void make() {
    first = make_window(spec_a, schema_a);
    second = make_window(spec_b, schema_b);
  }
  // The first window's output: into its table, and on.
  struct Edge : Output {
    explicit Edge(Chain& c) : chain(c) {}
    void emit(Batch&& b) override {
      chain.middle.take(b, 3);
      chain.second->process(0, std::move(b), chain.end);
    }
    void watermark(Watermark w) override { chain.second->watermark(0, chain.at = w, chain.end); }
    void late(Batch&&) override {}
    void failed(const Batch&, std::uint32_t, std::string_view reason) override {
      chain.middle.problems.emplace_back(reason);
    }
    Chain& chain;
  };
  struct End : Output {
    explicit End(Chain& c) : chain(c) {}
    void emit(Batch&& b) override { chain.result.take(b, 3); }
    void watermark(Watermark) override {}
    void late(Batch&& b) override {
      chain.result.problems.push_back(fmt::format("{} rows are late for the second window", b.rows));
    }
    void failed(const Batch&, std::uint32_t, std::string_view reason) override {
      chain.result.problems.emplace_back(reason);
    }
    Chain& chain;
  };
  void finish() {
    first->finish(edge);
    second->finish(end);
  }
  void restart() {
    std::pair<Operator*, StateImage*> both[] = {{first.get(), &image_a}, {second.get(), &image_b}};
    for (auto [op, image] : both) {
      DeltaWriter delta;
      op->snapshot(delta);
      image->apply(delta.take());
    }
    make();
    image_a.restore(*first);
    image_b.restore(*second);
  }

  const WindowSpec spec_a, spec_b;
  const Schema schema_a, schema_b;
  std::unique_ptr<Operator> first, second;
  Table middle, result;
  Watermark at;
  StateImage image_a, image_b;
  Edge edge{*this};
  End end{*this};
};

// Per number of rows that a name had in a window of the first kind: how many names, their rows, and their mean sum.
std::map<std::string, std::string> counts_of_counts(const Table& table, const WindowSpec& b) {
  struct Group {
    std::int64_t names = 0, rows = 0, with_sum = 0, sum = 0;
  };
  std::map<std::string, Group> groups;
  for (const auto& [key, values] : table.rows) {
    const std::size_t last = key.rfind(' ');
    const EventTime time = std::stoll(key.substr(last + 1)) - 1;
    const std::size_t split = values.find(' ', 1);
    const std::string n = values.substr(1, split - 1), sum = values.substr(split + 1);
    const std::int64_t unit = b.kind == WindowKind::sliding ? b.every : b.size;
    EventTime start = (time - b.offset) / unit * unit + b.offset;
    if (start > time) start -= unit;
    for (; start > time - b.size; start -= unit) {
      Group& g = groups[fmt::format(" {} {} {}", n, start, start + b.size)];
      ++g.names;
      g.rows += std::stoll(n);
      if (sum == "NULL") continue;
      ++g.with_sum;
      g.sum += std::stoll(sum);
    }
  }
  std::map<std::string, std::string> out;
  for (const auto& [key, g] : groups)
    out[key] = fmt::format(
        " {} {} {}", g.names, g.rows,
        g.with_sum == 0 ? "NULL" : fmt::format("{:.9g}", static_cast<double>(g.sum) / static_cast<double>(g.with_sum)));
  return out;
}

TEST(WindowChainTest, ACountOfCountsIsThatOfTheFinalCounts) {
  std::size_t retractions = 0;
  for (unsigned seed = 1; seed <= seeds(100); ++seed) {
    Dice dice(seed + 50'000);
    WindowSpec a;
    a.kind = dice.of({WindowKind::tumbling, WindowKind::sliding, WindowKind::session});
    a.size = dice.of<std::int64_t>({20, 50});
    if (a.kind == WindowKind::sliding) a.every = a.size / 2;
    a.early = dice.one_in(2) ? 7 : 0;
    a.allow_lateness = dice.one_in(2) ? dice.of<std::int64_t>({5, 100}) : 0;
    a.mode = dice.of({EmitMode::accumulating, EmitMode::retracting});
    a.feeds_steps = true;
    a.key_columns = {kName};
    a.key_types = {types::string};
    a.aggregates = {aggregate(F::count), aggregate(F::sum, kV)};
    WindowSpec b;
    b.kind = dice.of({WindowKind::tumbling, WindowKind::tumbling, WindowKind::sliding});
    b.size = dice.of<std::int64_t>({30, 50, 200});
    if (b.kind == WindowKind::sliding) b.every = dice.of<std::int64_t>({10, 25, 30});
    b.offset = dice.one_in(3) ? dice.to(b.size) : 0;
    b.early = dice.one_in(3) ? 11 : 0;
    b.allow_lateness = dice.one_in(3) ? 40 : 0;
    b.mode = dice.of({EmitMode::accumulating, EmitMode::retracting});
    b.feeds_steps = true;
    b.updating = true;
    b.key_columns = {3};
    b.key_types = {types::int64};
    b.aggregates = {{F::count, -1, types::null, false, -1},
                    {F::sum, 3, types::int64, false, -1},
                    {F::avg, 4, types::int64, false, -1}};
    ASSERT_TRUE(validate(a).has_value() && validate(b).has_value());
    const std::vector<Event> events = random_stream(dice, 400, false);
    std::map<std::string, std::string> want;
    for (const std::size_t batch : {1, 7, 1024, 0}) {  // 0: any size, restarts in between
      Chain chain(a, b);
      for (std::size_t from = 0; from < events.size();) {
        const std::size_t to =
            batch != 0 ? events.size() : std::min(events.size(), from + 1 + static_cast<std::size_t>(dice.to(90)));
        feed(*chain.first, events, from, to, batch != 0 ? batch : dice.of<std::size_t>({1, 7, 1024}), chain.edge);
        from = to;
        if (batch != 0) continue;
        chain.restart();
        chain.first->restore_watermark(0, events[to - 1].at);
        chain.second->restore_watermark(0, chain.at);
      }
      chain.finish();
      ASSERT_EQ(chain.middle.problems, std::vector<std::string>{}) << "seed " << seed;
      ASSERT_EQ(chain.result.problems, std::vector<std::string>{}) << "seed " << seed;
      ASSERT_EQ(chain.result.rows, counts_of_counts(chain.middle, b)) << "seed " << seed << ", batches of " << batch;
      retractions += chain.result.retractions;
      if (batch == 1) want = chain.result.rows;
      ASSERT_EQ(chain.result.rows, want) << "seed " << seed << ", batches of " << batch;
    }
  }
  EXPECT_GT(retractions, 1000u);
}

}  // namespace
}  // namespace twinspan::testing
