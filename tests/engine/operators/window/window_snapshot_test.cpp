// Snapshots in portions between rows and watermarks: every epoch holds the state at its barrier and nothing newer.

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/engine/operators/window/oracle_compare.h"
#include "tests/engine/operators/window/random_window.h"
#include "tests/support/engine/portioned_snapshots.h"

namespace twinspan::testing {
namespace {

struct Mark {
  std::size_t at = 0, rows = 0, late = 0;  // events told; rows and late rows said until then
};

class WindowSnapshotTest : public ::testing::TestWithParam<WindowKind> {};

TEST_P(WindowSnapshotTest, EveryEpochGoesOnFromItsBarrier) {
  std::size_t between = 0, epochs = 0;
  for (unsigned seed = 1; seed <= seeds(60); ++seed) {
    Dice dice(seed + 30'000);
    WindowSpec spec = random_spec(dice, GetParam());
    const std::vector<Event> events = random_stream(dice, 300, spec.updating);
    const Expected want = expected(spec, events);
    const Schema schema = schema_of(spec);
    const bool in_order = spec.kind != WindowKind::sliding && spec.kind != WindowKind::session;
    const auto batch = dice.of<std::size_t>({1, 7, 1024});
    Recorder out;
    random_portions(dice, spec, out);
    const auto op = make_window(spec, schema);
    PortionedSnapshots<Mark> snapshots(seed);
    const auto between_portions = [&] { snapshots.go_on(*op); };
    for (std::size_t at = 0; at < events.size();) {
      const std::size_t to = std::min(events.size(), at + 1 + static_cast<std::size_t>(dice.to(25)));
      feed(*op, events, at, to, batch, out, between_portions);
      at = to;
      snapshots.step(*op, {at, out.rows.size(), out.late_rows.size()});
    }
    finish(*op, out, between_portions);
    snapshots.finish(*op);
    ASSERT_NO_FATAL_FAILURE(expect_same(out, want, in_order, fmt::format("seed {}", seed)));
    between += snapshots.between;
    epochs += snapshots.epochs.size();

    StateImage image;
    for (const auto& [mark, delta] : snapshots.epochs) {
      image.apply(delta);
      // With another number of shards rows of the keys would have to be told apart: window_oracle_test.cpp.
      const auto again = make_window(spec, schema);
      image.restore(*again);
      again->restore_watermark(0, events[mark.at - 1].at);
      Recorder rest;
      rest.rows.assign(out.rows.begin(), out.rows.begin() + static_cast<std::ptrdiff_t>(mark.rows));
      rest.late_rows.assign(out.late_rows.begin(), out.late_rows.begin() + static_cast<std::ptrdiff_t>(mark.late));
      feed(*again, events, mark.at, events.size(), batch, rest);
      finish(*again, rest);
      ASSERT_NO_FATAL_FAILURE(
          expect_same(rest, want, in_order, fmt::format("seed {}, from the barrier behind event {}", seed, mark.at)));
    }
  }
  EXPECT_GT(between, 100u);
  EXPECT_GT(epochs, 100u);
}

// A restored operator that gives its snapshots in portions, again and again: what it did not save itself counts too.
TEST_P(WindowSnapshotTest, GoesOnAfterManyRestarts) {
  for (unsigned seed = 1; seed <= seeds(60); ++seed) {
    Dice dice(seed + 40'000);
    WindowSpec spec = random_spec(dice, GetParam());
    const std::vector<Event> events = random_stream(dice, 300, spec.updating);
    const Schema schema = schema_of(spec);
    const bool in_order = spec.kind != WindowKind::sliding && spec.kind != WindowKind::session;
    Recorder out;
    random_portions(dice, spec, out);
    auto op = make_window(spec, schema);
    StateImage image;
    std::vector<PortionedSnapshots<Mark>> lives;
    lives.emplace_back(seed);
    for (std::size_t at = 0; at < events.size();) {
      const std::size_t to = std::min(events.size(), at + 1 + static_cast<std::size_t>(dice.to(20)));
      feed(*op, events, at, to, dice.of<std::size_t>({1, 7, 1024}), out, [&] { lives.back().go_on(*op); });
      at = to;
      lives.back().step(*op, {at, out.rows.size(), out.late_rows.size()});
      if (lives.back().epochs.empty() || !dice.one_in(6)) continue;
      // Back to the last epoch that is complete: what came after its barrier is done again.
      for (const auto& epoch : lives.back().epochs) image.apply(epoch.delta);
      const Mark mark = lives.back().epochs.back().mark;
      op = make_window(spec, schema);
      image.restore(*op);
      op->restore_watermark(0, events[mark.at - 1].at);
      at = mark.at;
      out.rows.resize(mark.rows);
      out.late_rows.resize(mark.late);
      lives.emplace_back(seed * 1000 + lives.size());
    }
    finish(*op, out, [&] { lives.back().go_on(*op); });
    ASSERT_NO_FATAL_FAILURE(expect_same(out, expected(spec, events), in_order, fmt::format("seed {}", seed)));
  }
}

std::string kind_name(const ::testing::TestParamInfo<WindowKind>& info) {
  static const char* const names[] = {"Tumbling", "Cumulate", "Sliding", "Session", "Global"};
  return names[static_cast<int>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(Kinds, WindowSnapshotTest,
                         ::testing::Values(WindowKind::tumbling, WindowKind::cumulate, WindowKind::sliding,
                                           WindowKind::session, WindowKind::global),
                         kind_name);

}  // namespace
}  // namespace twinspan::testing
