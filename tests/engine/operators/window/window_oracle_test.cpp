// WindowAggregate against the slow reference, on seeded random streams.

#include <gtest/gtest.h>

#include "tests/engine/operators/window/oracle_window.h"
#include "tests/engine/operators/window/random_window.h"

namespace twinspan::testing {
namespace {

void expect_same(const Recorder& got, const OracleWindow& want, unsigned seed, const char* how) {
  ASSERT_EQ(got.problems, std::vector<std::string>{}) << "seed " << seed << ", " << how;
  ASSERT_EQ(got.late_rows, want.late_rows) << "seed " << seed << ", " << how;
  const auto at = std::mismatch(got.rows.begin(), got.rows.end(), want.rows.begin(), want.rows.end());
  if (at.first == got.rows.end() && at.second == want.rows.end()) return;
  FAIL() << "seed " << seed << ", " << how << ", row " << at.first - got.rows.begin() << " of " << want.rows.size()
         << "\n got: " << (at.first == got.rows.end() ? "(end)" : *at.first)
         << "\nwant: " << (at.second == want.rows.end() ? "(end)" : *at.second);
}

TEST(WindowOracleTest, ResultsDoNotDependOnBatches) {
  std::size_t late = 0, provisional = 0, corrected = 0, removed = 0;
  for (unsigned seed = 1; seed <= seeds(400); ++seed) {
    Dice dice(seed);
    const WindowSpec spec = random_spec(dice);
    ASSERT_TRUE(validate(spec).has_value());
    const std::vector<Event> events = random_stream(dice, 400, spec.updating);
    OracleWindow oracle(spec);
    oracle.run(events);
    const Schema schema = schema_of(spec);
    for (const std::size_t batch : {1, 7, 1024}) {
      WindowAggregate op(spec, schema);
      Recorder out;
      feed(op, events, 0, events.size(), batch, out);
      op.finish(out);
      ASSERT_NO_FATAL_FAILURE(expect_same(out, oracle, seed, fmt::format("batches of {}", batch).c_str()));
      EXPECT_EQ(op.stats().rows_out, oracle.rows.size());
      EXPECT_EQ(op.stats().rows_late, oracle.late_rows.size());
    }
    late += oracle.late_rows.size();
    for (const std::string& r : oracle.rows) {
      provisional += r[2] == '?';
      corrected += r.starts_with("-U");
      removed += r.starts_with("-D");
    }
  }
  // The streams are worth something.
  EXPECT_GT(late, 1000u);
  EXPECT_GT(provisional, 1000u);
  EXPECT_GT(corrected, 1000u);
  EXPECT_GT(removed, 200u);
}

TEST(WindowOracleTest, GoesOnAfterRestoreAsIfNothingHadHappened) {
  for (unsigned seed = 1; seed <= seeds(400); ++seed) {
    Dice dice(seed + 10'000);
    const WindowSpec spec = random_spec(dice);
    const std::vector<Event> events = random_stream(dice, 400, spec.updating);
    OracleWindow oracle(spec);
    oracle.run(events);
    const Schema schema = schema_of(spec);
    auto op = std::make_unique<WindowAggregate>(spec, schema);
    Recorder out;
    StateImage image;
    std::size_t at = 0;
    while (at < events.size()) {
      const std::size_t to = std::min(events.size(), at + 1 + static_cast<std::size_t>(dice.to(90)));
      feed(*op, events, at, to, dice.of<std::size_t>({1, 7, 1024}), out);
      at = to;
      DeltaWriter delta;
      op->snapshot(delta);
      image.apply(delta.take());
      if (!dice.one_in(3)) continue;
      op = std::make_unique<WindowAggregate>(spec, schema);
      image.restore(*op);
      op->restore_watermark(0, events[at - 1].at);
    }
    op->finish(out);
    ASSERT_NO_FATAL_FAILURE(expect_same(out, oracle, seed, "restored"));
    DeltaWriter last;
    op->snapshot(last);
    image.apply(last.take());
    for (const auto& [place, value] : image.entries) ASSERT_EQ(place.space, 3) << "left behind, seed " << seed;
  }
}

// 1 -> 2 -> 1 -> 3 shards, rows by key: the same rows, whatever the order between keys.
TEST(WindowOracleTest, NumberOfShardsChangesAtRestore) {
  for (unsigned seed = 1; seed <= seeds(150); ++seed) {
    Dice dice(seed + 20'000);
    WindowSpec spec = random_spec(dice);
    const std::vector<Event> events = random_stream(dice, 400, spec.updating);
    OracleWindow oracle(spec);
    oracle.run(events);
    const Schema schema = schema_of(spec);
    const RowCodec codec(spec.key_columns, spec.key_types);
    Recorder out;
    StateImage image;
    const unsigned counts[] = {1, 2, 1, 3};
    std::vector<std::unique_ptr<WindowAggregate>> ops;
    for (unsigned phase = 0; phase < 4; ++phase) {
      const unsigned shards = counts[phase];
      const std::size_t from = events.size() * phase / 4, to = events.size() * (phase + 1) / 4;
      ops.clear();
      for (unsigned s = 0; s < shards; ++s) {
        ops.push_back(std::make_unique<WindowAggregate>(spec, schema));
        image.restore(*ops[s], s, shards);
        if (from > 0) ops[s]->restore_watermark(0, events[from - 1].at);
      }
      for (std::size_t i = from; i < to; ++i) {
        for (auto& op : ops) op->watermark(0, events[i].at, out);
        if (!events[i].is_row) continue;
        Batch b = batch_of(&events[i], 1);
        std::uint64_t hash = 0;
        codec.hash(b, &hash);
        b.hash = &hash;
        ops[shard_of_hash(hash, shards)]->process(0, std::move(b), out);
      }
      for (unsigned s = 0; s < shards; ++s) {
        DeltaWriter delta;
        ops[s]->snapshot(delta);
        image.apply(delta.take(), s, shards);
      }
    }
    for (auto& op : ops) op->finish(out);
    std::sort(out.rows.begin(), out.rows.end());
    std::sort(oracle.rows.begin(), oracle.rows.end());
    out.problems.clear();  // several shards write to one recorder: watermarks go to and fro
    ASSERT_NO_FATAL_FAILURE(expect_same(out, oracle, seed, "other shards"));
  }
}

}  // namespace
}  // namespace twinspan::testing
