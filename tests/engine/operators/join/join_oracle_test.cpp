// Seeded random streams and configurations against the oracle: the same ordered output for every batch size and
// wherever a portion ends, with and without restarts; the same results with another number of shards.
// TWINSPAN_ORACLE_SEEDS sets how many seeds each test runs, TWINSPAN_ORACLE_FIRST_SEED where they begin.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include <fmt/format.h>

#include "tests/engine/operators/join/oracle_join.h"

namespace twinspan::engine::join_testing {
namespace {

using Type = IntervalJoinSpec::Type;
using Matches = IntervalJoinSpec::Matches;
using Time = IntervalJoinSpec::Time;

struct Case {
  IntervalJoinSpec spec;
  Condition condition;
  std::string what;
  std::vector<Event> events;
};

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}
std::uint64_t first_seed() { return from_environment("TWINSPAN_ORACLE_FIRST_SEED", 1); }
std::uint64_t seeds() { return from_environment("TWINSPAN_ORACLE_SEEDS", 500); }

bool note_is_null(std::int64_t id) { return id % 7 == 0; }

class Picker {
 public:
  explicit Picker(std::uint64_t seed) : random_(seed) {}
  std::int64_t operator()(std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random_);
  }
  template <class T>
  T of(std::initializer_list<T> values) {
    return values.begin()[(*this)(0, static_cast<std::int64_t>(values.size()) - 1)];
  }

 private:
  std::mt19937_64 random_;
};

void pick_condition(Case& c, Picker& pick) {
  c.condition = [](const JoinRowIn&, const JoinRowIn&) { return 1; };
  switch (pick(0, 6)) {
    case 0:
      c.spec = with_condition(c.spec, "(left.id + right.id) % 3 <> 0");
      c.condition = [](const JoinRowIn& l, const JoinRowIn& r) { return (l.id + r.id) % 3 != 0 ? 1 : 0; };
      break;
    case 1:  // NULL is no match
      c.spec = with_condition(c.spec, "left.note < right.note");
      c.condition = [](const JoinRowIn& l, const JoinRowIn& r) {
        return !note_is_null(l.id) && !note_is_null(r.id) && note_of(l.id) < note_of(r.id) ? 1 : 0;
      };
      break;
    case 2:  // nor is a failure
      c.spec = with_condition(c.spec, "1000 % ((left.id - right.id) % 5) >= 0");
      c.condition = [](const JoinRowIn& l, const JoinRowIn& r) { return (l.id - r.id) % 5 == 0 ? -1 : 1; };
      break;
    default: break;
  }
}

IntervalJoinSpec pick_spec(Picker& pick, std::int64_t scale, bool pinned) {
  const std::int64_t lower = pick(-20, 10) * scale;
  IntervalJoinSpec s = spec(lower, lower + pick(0, 30) * scale);
  s = typed(s, pick.of({Type::inner, Type::left, Type::left, Type::right, Type::full, Type::semi, Type::anti}));
  if (s.type != Type::semi && s.type != Type::anti) {
    s.matches = pick.of({Matches::all, Matches::all, Matches::first, Matches::earliest});
    s.time = pick.of({Time::left, Time::right});
  }
  if (s.type != Type::inner && s.type != Type::semi && s.matches != Matches::earliest) {
    s.provisional = pick(0, 1) == 0;
    if (pick(0, 1) == 0) s.emit_unmatched_after = pick(0, 15) * scale;
  }
  if (pinned || pick(0, 2) != 0) s.segment_bytes = static_cast<std::size_t>(pick(200, 4000));  // segments come and go
  s.allow = pick(0, 3) == 0 ? pick(0, 15) * scale : 0;
  if (pick(0, 1) == 0) s.slice_ms = pick(2, 8 * scale + 2);
  if (pick(0, 2) != 0) s.fuel = pick.of({1, 3, 20, 100});
  return s;
}

// `pinned`: long streams, small segments and many rows far ahead, so that survivors are moved all the time.
Case random_case(std::uint64_t seed, bool pinned = false) {
  Picker pick(seed);
  Case c;
  const std::int64_t scale = pick.of<std::int64_t>({1, 10, 1000});
  c.spec = pick_spec(pick, scale, pinned);
  pick_condition(c, pick);

  const std::int64_t keys = pinned ? pick.of<std::int64_t>({3, 50}) : pick.of<std::int64_t>({1, 3, 50});
  const auto count = static_cast<std::size_t>(pinned ? pick(800, 1500) : keys == 1 ? pick(100, 300) : pick(100, 500));
  const std::int64_t disorder = pick(0, 30) * scale;
  const bool same_time = pick(0, 9) == 0;
  EventTime now[2] = {1'000'000, 1'000'000 + pick(-50, 50) * scale};
  EventTime largest[2] = {kMinTime, kMinTime};
  Watermark w[2];
  bool outage = false;
  const bool outages = pick(0, 1) == 0;
  unsigned input = 0;
  std::int64_t id = 1;
  while (c.events.size() < count) {
    if (pick(0, 3) == 0) input = static_cast<unsigned>(pick(0, 1));
    if (outages && pick(0, 40) == 0) outage = !outage;             // R stays, F goes on
    if (pick(0, 80) == 0) now[input] += pick(20, 200) * scale;     // a gap
    if (pick(0, 300) == 0) now[input] += 5'000'000;                // a huge one
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
  const IntervalJoinSpec& s = c.spec;
  c.what = fmt::format(
      "seed {}: type {}, matches {}, time {}, [{}, {}], allow {}, where {}, provisional {}, after {}, "
      "slice {}, fuel {}",
      seed, static_cast<int>(s.type), static_cast<int>(s.matches), static_cast<int>(s.time), s.lower, s.upper, s.allow,
      s.where.has_value(), s.provisional, s.emit_unmatched_after.value_or(-1), s.slice_ms, s.fuel);
  return c;
}

Results expected_of(const Case& c) {
  const IntervalJoin slices(c.spec);
  OracleJoin oracle(c.spec, c.condition, slices.slice_ms(0), slices.slice_ms(1));
  for (const Event& e : c.events) oracle.event(e);
  oracle.finish();
  return oracle.results;
}

// Empty: the same.
std::string difference(const Results& expected, const Results& actual) {
  for (std::size_t i = 0; i < std::min(expected.pairs.size(), actual.pairs.size()); ++i)
    if (!(expected.pairs[i] == actual.pairs[i]))
      return fmt::format("result {} is {}, not {}", i, show(actual.pairs[i]), show(expected.pairs[i]));
  if (expected.pairs.size() != actual.pairs.size())
    return fmt::format("{} results, not {}", actual.pairs.size(), expected.pairs.size());
  if (expected.late != actual.late) return "other rows are late";
  if (expected.failed != actual.failed) return fmt::format("{} rows failed, not {}", actual.failed, expected.failed);
  if (!(expected.watermark == actual.watermark)) return "another watermark at the end";
  return {};
}

std::string run_in_batches(const Case& c, std::size_t size) {
  const Results expected = expected_of(c);
  IntervalJoin join(c.spec);
  Collector out;
  out.room_every = c.spec.fuel % 2 == 0 ? 0 : 2;
  feed(join, c.events, 0, c.events.size(), size, out);
  join.finish(out);
  drain(join, out);
  if (out.wrong != 0) return "columns are wrong";
  if (std::string d = difference(expected, out.results); !d.empty()) return fmt::format("batches of {}: {}", size, d);
  const OperatorStats stats = join.stats();
  if (stats.rows_out != expected.pairs.size() || stats.rows_late != expected.late.size()) return "stats are wrong";
  return {};
}

std::uint64_t most_spilled = 0;

std::string run_with_restarts(const Case& c, std::uint64_t seed, std::size_t stretch) {
  const Results expected = expected_of(c);
  std::mt19937_64 random(seed * 977);
  const std::size_t size = std::vector<std::size_t>{1, 7, 256, 1024}[random() % 4];
  auto join = std::make_unique<IntervalJoin>(c.spec);
  Collector out;
  Checkpoints checkpoints;
  checkpoints.attach({join.get()});
  Watermark told[2];
  std::size_t at = 0;
  while (at < c.events.size()) {
    const std::size_t next = std::min(c.events.size(), at + 1 + random() % (c.events.size() / stretch + 1));
    feed(*join, c.events, at, next, size, out);
    for (; at < next; ++at) told[c.events[at].input] = c.events[at].before;
    checkpoints.take(*join);
    most_spilled = std::max(most_spilled, join->stats().spilled_bytes);
    if (random() % 8 == 0) checkpoints.merge();
    if (random() % 2 == 0) continue;  // only a barrier
    join = std::make_unique<IntervalJoin>(c.spec);
    const Status restored = checkpoints.restore(*join);
    if (!restored) return restored.error().message;
    for (unsigned i = 0; i < 2; ++i) join->restore_watermark(i, told[i]);
  }
  join->finish(out);
  drain(*join, out);
  if (out.wrong != 0) return "columns are wrong";
  const std::string d = difference(expected, out.results);
  return d.empty() ? d : fmt::format("restarts, batches of {}: {}", size, d);
}

// 1 to 4 shards, another number after each third: the same results, as sets (order is promised within a shard).
std::string run_on_shards(const Case& c, std::uint64_t seed) {
  const Results expected = expected_of(c);
  std::mt19937_64 random(seed * 31);
  Collector out;
  Checkpoints checkpoints;
  Watermark told[2];
  std::size_t at = 0;
  for (int third = 0; third < 3; ++third) {
    const auto shards = static_cast<unsigned>(1 + random() % 4);
    const std::size_t end = third == 2 ? c.events.size() : at + c.events.size() / 3;
    std::vector<std::unique_ptr<IntervalJoin>> joins;
    std::vector<IntervalJoin*> all;
    for (unsigned s = 0; s < shards; ++s)
      all.push_back(joins.emplace_back(std::make_unique<IntervalJoin>(c.spec, s, shards)).get());
    const Status restored = checkpoints.restore(all);
    if (!restored) return restored.error().message;
    for (IntervalJoin* join : all)
      for (unsigned i = 0; i < 2; ++i) join->restore_watermark(i, told[i]);
    while (at < end) {
      const std::size_t next = std::min(end, at + 1 + random() % (c.events.size() / 6 + 1));
      for (unsigned s = 0; s < shards; ++s) {
        std::vector<Event> mine;
        for (std::size_t i = at; i < next; ++i) {
          Event e = c.events[i];
          if (e.row) {
            const Batch b = make_batch(c.events, i, i + 1, true);
            if (shard_of_hash(b.hash[0], shards) != s) e.row.reset();  // its watermark reaches every shard
          }
          mine.push_back(e);
        }
        feed(*all[s], mine, 0, mine.size(), 7, out);
      }
      for (; at < next; ++at) told[c.events[at].input] = c.events[at].before;
      checkpoints.take(all);
      if (random() % 4 == 0) checkpoints.merge();
    }
    if (third < 2) continue;
    for (IntervalJoin* join : all) {
      join->finish(out);
      drain(*join, out);
    }
  }
  const auto rows = [](const std::vector<Pair>& pairs) {
    std::vector<std::tuple<std::int64_t, std::int64_t, EventTime, int>> v;
    for (const Pair& p : pairs) v.emplace_back(p.left, p.right, p.time, p.flags);
    std::sort(v.begin(), v.end());
    return v;
  };
  if (out.wrong != 0) return "columns are wrong";
  if (rows(expected.pairs) != rows(out.results.pairs)) return "other results on several shards";
  std::vector<std::int64_t> late[2] = {expected.late, out.results.late};
  for (auto& l : late) std::sort(l.begin(), l.end());
  if (late[0] != late[1]) return "other rows are late on several shards";
  return {};
}

// Fails with the seed, and the fewest events found that still fail.
template <class Run>
void expect_none(Case c, Run&& run) {
  std::string what = run(c);
  if (what.empty()) return;
  for (std::size_t piece = c.events.size() / 2; piece > 0; piece /= 2) {
    for (std::size_t begin = 0; begin + piece <= c.events.size();) {
      Case smaller = c;
      const auto from = smaller.events.begin() + static_cast<std::ptrdiff_t>(begin);
      smaller.events.erase(from, from + static_cast<std::ptrdiff_t>(piece));
      if (const std::string still = run(smaller); !still.empty()) {
        c = std::move(smaller);
        what = still;
      } else {
        begin += piece;
      }
    }
  }
  std::string events;
  for (const Event& e : c.events) {
    events += fmt::format("\n  {} F {} R {}", e.input == 0 ? "left " : "right", e.before.firing, e.before.retention);
    if (e.row) events += fmt::format(" key {} id {} at {}", e.row->key.value_or(-1), e.row->id, e.row->time);
  }
  FAIL() << c.what << "\n" << what << "\nwith these events:" << events;
}

TEST(JoinOracle, SameOrderedOutputAtEveryBatchSize) {
  std::size_t pairs = 0, late = 0, failed = 0, retractions = 0, provisional = 0;
  for (std::uint64_t seed = first_seed(); seed < first_seed() + seeds() && !HasFatalFailure(); ++seed) {
    const Case c = random_case(seed);
    const Results r = expected_of(c);
    pairs += r.pairs.size();
    late += r.late.size();
    failed += r.failed;
    for (const Pair& p : r.pairs) {
      retractions += is_retraction(p.flags);
      provisional += (p.flags & kProvisionalFlag) != 0;
    }
    for (const std::size_t size : {1u, 7u, 256u, 1024u})
      expect_none(c, [&](const Case& one) { return run_in_batches(one, size); });
  }
  // The streams do exercise what they are for.
  EXPECT_GT(pairs, 100 * seeds());
  EXPECT_GT(late, seeds());
  EXPECT_GT(failed, seeds());
  EXPECT_GT(retractions, seeds() / 10);
  EXPECT_GT(provisional, seeds());
}

TEST(JoinOracle, SameOrderedOutputAfterRestartsAtRandomBarriers) {
  for (std::uint64_t seed = first_seed(); seed < first_seed() + seeds() && !HasFatalFailure(); ++seed)
    expect_none(random_case(seed), [&](const Case& c) { return run_with_restarts(c, seed, 4); });
}

TEST(JoinOracle, SameOrderedOutputWhileSurvivorsMoveInTheLog) {
  for (std::uint64_t seed = first_seed(); seed < first_seed() + seeds() / 5 && !HasFatalFailure(); ++seed)
    expect_none(random_case(seed, true), [&](const Case& c) { return run_with_restarts(c, seed, 8); });
}

// The same with all sealed rows in files alone, as soon as a checkpoint has them there.
TEST(JoinOracle, SameOrderedOutputWhenRowsAreSpilled) {
  most_spilled = 0;
  for (std::uint64_t seed = first_seed(); seed < first_seed() + seeds() / 2 && !HasFatalFailure(); ++seed) {
    Case c = random_case(seed, seed % 3 == 0);
    c.spec.segment_bytes = std::min<std::size_t>(c.spec.segment_bytes, 200 + seed * 37 % 4000);
    c.spec.spill_bytes = 1;
    expect_none(c, [&](const Case& one) { return run_with_restarts(one, seed, 8); });
    if (seed % 3 == 0) expect_none(c, [&](const Case& one) { return run_on_shards(one, seed); });
  }
  EXPECT_GT(most_spilled, 10'000u);
}

TEST(JoinOracle, SameResultsWhenTheNumberOfShardsChanges) {
  for (std::uint64_t seed = first_seed(); seed < first_seed() + seeds() / 2 && !HasFatalFailure(); ++seed)
    expect_none(random_case(seed), [&](const Case& c) { return run_on_shards(c, seed); });
}

}  // namespace
}  // namespace twinspan::engine::join_testing
