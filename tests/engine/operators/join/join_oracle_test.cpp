// Seeded random streams against the oracle: same ordered output for every batch size, with and without restarts.

#include <gtest/gtest.h>

#include <random>

#include "tests/engine/operators/join/oracle_join.h"

namespace twinspan::engine::join_testing {
namespace {

struct Case {
  IntervalJoinSpec spec;
  std::vector<Event> events;
};

// `pinned`: long streams, small segments and many rows far ahead, so that survivors are moved all the time.
Case random_case(std::uint64_t seed, bool pinned = false) {
  std::mt19937_64 random(seed);
  const auto pick = [&](std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random);
  };
  Case c;
  const std::int64_t scale = std::vector<std::int64_t>{1, 10, 1000}[static_cast<std::size_t>(pick(0, 2))];
  const std::int64_t lower = pick(-20, 10) * scale;
  c.spec = spec(lower, lower + pick(0, 30) * scale);
  c.spec.type = pick(0, 1) == 0 ? IntervalJoinSpec::Type::inner : IntervalJoinSpec::Type::left;
  c.spec.matches = pick(0, 2) != 0 ? IntervalJoinSpec::Matches::all : IntervalJoinSpec::Matches::first;
  c.spec.time = pick(0, 1) == 0 ? IntervalJoinSpec::Time::left : IntervalJoinSpec::Time::right;
  if (pinned || pick(0, 2) != 0)
    c.spec.segment_bytes = static_cast<std::size_t>(pick(200, 4000));  // so that segments come and go
  c.spec.allow = pick(0, 3) == 0 ? pick(0, 15) * scale : 0;

  const std::int64_t keys = std::vector<std::int64_t>{1, 3, 50}[static_cast<std::size_t>(pick(pinned ? 1 : 0, 2))];
  const std::size_t count = static_cast<std::size_t>(pinned      ? pick(1500, 2500)
                                                     : keys == 1 ? pick(100, 500)
                                                                 : pick(100, 900));
  const std::int64_t disorder = pick(0, 30) * scale;
  const bool same_time = pick(0, 9) == 0;
  EventTime now[2] = {1'000'000, 1'000'000 + pick(-50, 50) * scale};
  EventTime largest[2] = {kMinTime, kMinTime};
  Watermark w[2];
  bool outage = false;
  unsigned input = 0;
  std::int64_t id = 1;
  while (c.events.size() < count) {
    if (pick(0, 3) == 0) input = static_cast<unsigned>(pick(0, 1));
    if (pick(0, 60) == 0) outage = !outage;                        // R stays, F goes on
    if (pick(0, 80) == 0) now[input] += pick(20, 200) * scale;     // a gap
    if (pick(0, 100) == 0) now[input] = std::max(now[0], now[1]);  // catches up
    if (!same_time) now[input] += pick(0, 3) * scale / 2 + pick(0, 1);
    Event e;
    e.input = input;
    e.before = w[input];
    if (pick(0, 30) == 0) {
      c.events.push_back(e);
      continue;
    }
    JoinRowIn row;
    row.id = id++;
    if (pick(0, 15) != 0) row.key = pick(0, keys - 1);
    row.time = same_time ? now[input] : now[input] - pick(0, disorder + 1);
    if (pick(0, 25) == 0) row.time -= pick(0, 100) * scale;               // late
    if (pick(0, pinned ? 6 : 50) == 0) row.time += pick(0, 500) * scale;  // far ahead, in the watermark or not
    e.row = row;
    c.events.push_back(e);
    if (row.time < now[input] + scale) largest[input] = std::max(largest[input], row.time);
    if (largest[input] == kMinTime) continue;
    w[input].firing = std::max(w[input].firing, largest[input] - disorder);
    if (!outage) w[input].retention = w[input].firing;
  }
  return c;
}

void compare(const Results& expected, const Results& actual, const std::string& what) {
  for (std::size_t i = 0; i < std::min(expected.pairs.size(), actual.pairs.size()); ++i) {
    ASSERT_TRUE(expected.pairs[i] == actual.pairs[i])
        << what << ": result " << i << " is " << show(actual.pairs[i]) << ", not " << show(expected.pairs[i]);
  }
  ASSERT_EQ(expected.pairs.size(), actual.pairs.size()) << what;
  ASSERT_EQ(expected.late, actual.late) << what;
  ASSERT_EQ(expected.watermark, actual.watermark) << what;
}

constexpr std::uint64_t kSeeds = 400;

TEST(JoinOracle, SameOrderedOutputAtEveryBatchSize) {
  std::size_t pairs = 0, late = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Case c = random_case(seed);
    OracleJoin oracle(c.spec);
    for (const Event& e : c.events) oracle.event(e);
    oracle.finish();
    pairs += oracle.results.pairs.size();
    late += oracle.results.late.size();
    for (const std::size_t size : {1u, 7u, 1024u}) {
      IntervalJoin join(c.spec);
      Collector out;
      feed(join, c.events, 0, c.events.size(), size, out);
      join.finish(out);
      const std::string what = "seed " + std::to_string(seed) + ", batch size " + std::to_string(size);
      ASSERT_EQ(out.wrong, 0) << what;
      compare(oracle.results, out.results, what);
      if (HasFatalFailure()) return;
      ASSERT_EQ(join.stats().rows_out, oracle.results.pairs.size()) << what;
      ASSERT_EQ(join.stats().rows_late, oracle.results.late.size()) << what;
    }
  }
  // The streams do exercise what they are for.
  EXPECT_GT(pairs, 100'000u);
  EXPECT_GT(late, 500u);
}

void expect_same_with_restarts(std::uint64_t seed, bool pinned, std::size_t stretch) {
  const Case c = random_case(seed, pinned);
  OracleJoin oracle(c.spec);
  for (const Event& e : c.events) oracle.event(e);
  oracle.finish();

  std::mt19937_64 random(seed * 977);
  const std::size_t size = std::vector<std::size_t>{1, 7, 1024}[random() % 3];
  auto join = std::make_unique<IntervalJoin>(c.spec);
  Collector out;
  Checkpoints checkpoints;
  Watermark told[2];
  std::size_t at = 0;
  const std::string what = "seed " + std::to_string(seed) + ", batch size " + std::to_string(size);
  while (at < c.events.size()) {
    const std::size_t next = std::min(c.events.size(), at + 1 + random() % (c.events.size() / stretch));
    feed(*join, c.events, at, next, size, out);
    for (; at < next; ++at) told[c.events[at].input] = c.events[at].before;
    checkpoints.take(*join);
    if (random() % 2 == 0) continue;  // only a barrier
    join = std::make_unique<IntervalJoin>(c.spec);
    const Status restored = checkpoints.restore(*join, [](std::uint16_t) { return true; });
    ASSERT_TRUE(restored) << what << ": " << restored.error().message;
    for (unsigned i = 0; i < 2; ++i) join->restore_watermark(i, told[i]);
  }
  join->finish(out);
  ASSERT_EQ(out.wrong, 0) << what;
  compare(oracle.results, out.results, what);
}

TEST(JoinOracle, SameOrderedOutputAfterRestartsAtRandomBarriers) {
  for (std::uint64_t seed = 1; seed <= kSeeds && !HasFatalFailure(); ++seed) expect_same_with_restarts(seed, false, 4);
}

TEST(JoinOracle, SameOrderedOutputWhileSurvivorsMoveInTheLog) {
  for (std::uint64_t seed = 1; seed <= 120 && !HasFatalFailure(); ++seed) expect_same_with_restarts(seed, true, 8);
}

// One shard, then three, then two: the same results, as sets (order is promised within a shard).
TEST(JoinOracle, SameResultsWhenTheNumberOfShardsChanges) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    const Case c = random_case(seed);
    OracleJoin oracle(c.spec);
    for (const Event& e : c.events) oracle.event(e);
    oracle.finish();

    Collector out;
    std::vector<Checkpoints> before;
    Watermark told[2];
    std::size_t at = 0;
    for (const unsigned shards : {1u, 3u, 2u}) {
      const std::size_t next = shards == 2 ? c.events.size() : at + c.events.size() / 3;
      std::vector<Checkpoints> after;
      for (unsigned s = 0; s < shards; ++s) {
        IntervalJoin join(c.spec);
        for (const Checkpoints& old : before) {
          const Status restored = old.restore(join, [&](std::uint16_t g) { return shard_of_group(g, shards) == s; });
          ASSERT_TRUE(restored) << restored.error().message;
        }
        for (unsigned i = 0; i < 2; ++i) join.restore_watermark(i, told[i]);
        std::vector<Event> mine;
        for (std::size_t i = at; i < next; ++i) {
          Event e = c.events[i];
          if (e.row) {
            const Batch b = make_batch(c.events, i, i + 1, true);
            if (shard_of_hash(b.hash[0], shards) != s) e.row.reset();  // its watermark reaches every shard
          }
          mine.push_back(e);
        }
        feed(join, mine, 0, mine.size(), 7, out);
        if (shards == 2) join.finish(out);
        Checkpoints delta;
        delta.take(join);
        after.push_back(std::move(delta));
      }
      for (; at < next; ++at) told[c.events[at].input] = c.events[at].before;
      // Deltas go on top of the older ones, whoever owns the group now.
      for (Checkpoints& a : after) before.push_back(std::move(a));
    }
    const auto ids = [](std::vector<Pair> pairs) {
      std::vector<std::pair<std::int64_t, std::int64_t>> v;
      for (const Pair& p : pairs) v.emplace_back(p.left, p.right);
      std::sort(v.begin(), v.end());
      return v;
    };
    ASSERT_EQ(ids(oracle.results.pairs), ids(out.results.pairs)) << "seed " << seed;
  }
}

}  // namespace
}  // namespace twinspan::engine::join_testing
