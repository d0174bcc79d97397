// WindowAggregate against the slow reference, on seeded random streams.

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/engine/operators/window/oracle_compare.h"
#include "tests/engine/operators/window/random_window.h"

namespace twinspan::testing {
namespace {

// With nothing to complain of on the way.
void expect_whole(const Recorder& got, const Expected& want, bool in_order, unsigned seed, const std::string& how) {
  ASSERT_EQ(got.problems, std::vector<std::string>{}) << "seed " << seed << ", " << how;
  ASSERT_EQ(got.table.problems, std::vector<std::string>{}) << "seed " << seed << ", " << how;
  expect_same(got, want, in_order, fmt::format("seed {}, {}", seed, how));
}

std::string kind_name(WindowKind kind) {
  static const char* const names[] = {"Tumbling", "Cumulate", "Sliding", "Session", "Global"};
  return names[static_cast<int>(kind)];
}

class WindowOracleTest : public ::testing::TestWithParam<WindowKind> {};

TEST_P(WindowOracleTest, ResultsDoNotDependOnBatches) {
  std::size_t late = 0, provisional = 0, corrected = 0, removed = 0;
  for (unsigned seed = 1; seed <= seeds(150); ++seed) {
    Dice dice(seed);
    const WindowSpec spec = random_spec(dice, GetParam());
    ASSERT_TRUE(validate(spec).has_value()) << validate(spec).error().message;
    const std::vector<Event> events = random_stream(dice, 400, spec.updating);
    const Expected want = expected(spec, events);
    const Schema schema = schema_of(spec);
    std::vector<std::string> first;
    for (const std::size_t batch : {1, 7, 1024}) {
      Recorder out = recorder(spec);
      WindowSpec portioned = spec;
      random_portions(dice, portioned, out);
      const auto op = make_window(portioned, schema);
      feed(*op, events, 0, events.size(), batch, out);
      finish(*op, out);
      ASSERT_NO_FATAL_FAILURE(expect_whole(out, want, ordered(spec), seed, fmt::format("batches of {}", batch)));
      if (batch == 1) first = out.rows;
      EXPECT_EQ(out.rows, first) << "seed " << seed;  // the order too
      EXPECT_EQ(op->stats().rows_out, want.rows.size());
      EXPECT_EQ(op->stats().rows_late, want.late_rows.size());
    }
    late += want.late_rows.size();
    for (const std::string& r : want.rows) {
      provisional += r[2] == '?';
      corrected += r.starts_with("-U");
      removed += r.starts_with("-D");
    }
  }
  // The streams are worth something.
  EXPECT_TRUE(late > 300 || GetParam() == WindowKind::global) << late;
  EXPECT_GT(provisional, 300u);
  EXPECT_GT(corrected, 300u);
  EXPECT_GT(removed, 30u);
}

TEST_P(WindowOracleTest, GoesOnAfterRestoreAsIfNothingHadHappened) {
  for (unsigned seed = 1; seed <= seeds(150); ++seed) {
    Dice dice(seed + 10'000);
    WindowSpec spec = random_spec(dice, GetParam());
    const std::vector<Event> events = random_stream(dice, 400, spec.updating);
    const Schema schema = schema_of(spec);
    Recorder out = recorder(spec);
    random_portions(dice, spec, out);
    auto op = make_window(spec, schema);
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
      op = make_window(spec, schema);
      image.restore(*op);
      op->restore_watermark(0, events[at - 1].at);
    }
    finish(*op, out);
    ASSERT_NO_FATAL_FAILURE(expect_whole(out, expected(spec, events), ordered(spec), seed, "restored"));
    if (GetParam() == WindowKind::global) continue;  // never ends
    DeltaWriter last;
    op->snapshot(last);
    image.apply(last.take());
    for (const auto& [place, value] : image.entries)
      ASSERT_TRUE(ordered(spec) && place.space == 3) << "left behind, seed " << seed;
  }
}

// 1 -> 2 -> 1 -> 3 shards, rows by key: the same rows, whatever the order between keys.
TEST_P(WindowOracleTest, NumberOfShardsChangesAtRestore) {
  for (unsigned seed = 1; seed <= seeds(50); ++seed) {
    Dice dice(seed + 20'000);
    WindowSpec spec = random_spec(dice, GetParam());
    const std::vector<Event> events = random_stream(dice, 400, spec.updating);
    const Schema schema = schema_of(spec);
    const RowCodec codec(spec.key_columns, spec.key_types);
    Recorder out = recorder(spec);
    random_portions(dice, spec, out);
    StateImage image;
    const unsigned counts[] = {1, 2, 1, 3};
    std::vector<std::unique_ptr<Operator>> ops;
    for (unsigned phase = 0; phase < 4; ++phase) {
      const unsigned shards = counts[phase];
      const std::size_t from = events.size() * phase / 4, to = events.size() * (phase + 1) / 4;
      ops.clear();
      for (unsigned s = 0; s < shards; ++s) {
        ops.push_back(make_window(spec, schema, s, shards));
        image.restore(*ops[s], s, shards);
        if (from > 0) ops[s]->restore_watermark(0, events[from - 1].at);
      }
      for (std::size_t i = from; i < to; ++i) {
        for (auto& op : ops) {
          op->watermark(0, events[i].at, out);
          drain(*op, out);
        }
        if (!events[i].is_row) continue;
        Batch b = batch_of(&events[i], 1);
        std::uint64_t hash = 0;
        codec.hash(b, &hash);
        b.hash = &hash;
        Operator& op = *ops[shard_of_hash(hash, shards)];
        op.process(0, std::move(b), out);
        drain(op, out);
      }
      for (unsigned s = 0; s < shards; ++s) {
        DeltaWriter delta;
        ops[s]->snapshot(delta);
        image.apply(delta.take(), s, shards);
      }
    }
    for (auto& op : ops) finish(*op, out);
    out.problems.clear();  // several shards write to one recorder: watermarks go to and fro
    ASSERT_NO_FATAL_FAILURE(expect_whole(out, expected(spec, events), false, seed, "other shards"));
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, WindowOracleTest,
                         ::testing::Values(WindowKind::tumbling, WindowKind::cumulate, WindowKind::sliding,
                                           WindowKind::session, WindowKind::global),
                         [](const auto& info) { return kind_name(info.param); });

}  // namespace
}  // namespace twinspan::testing
