// The sketches hold the error bounds they state, on seeded distributions and in hostile orders, in one pass and merged.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <set>

#include "engine/aggregates/hyperloglog.h"
#include "engine/aggregates/kernel.h"
#include "engine/aggregates/quantile_sketch.h"
#include "engine/aggregates/space_saving.h"
#include "tests/engine/aggregates/aggregate_rig.h"

namespace twinspan::testing {
namespace {

using F = AggregateFunction;

// Ranks 1.. with probability ~ 1 / rank^s.
class Zipf {
 public:
  Zipf(std::size_t n, double s) : below_(n) {
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) below_[i] = sum += 1 / std::pow(static_cast<double>(i + 1), s);
    for (double& b : below_) b /= sum;
  }
  std::int64_t operator()(Dice& dice) const {
    return std::lower_bound(below_.begin(), below_.end(), dice.unit()) - below_.begin() + 1;
  }

 private:
  std::vector<double> below_;
};

template <class T>
std::vector<std::vector<T>> partition(const std::vector<T>& values, Dice& dice) {
  std::vector<std::vector<T>> parts(static_cast<std::size_t>(2 + dice.to(6)));
  for (const T& v : values)
    parts[static_cast<std::size_t>(dice.to(static_cast<std::int64_t>(parts.size())))].push_back(v);
  return parts;
}

// ---------------------------------------------------------------- approx_count_distinct

double estimate(const std::vector<std::int64_t>& values, std::int64_t keep_below = INT64_MAX) {
  static const AggregateSpec spec = spec_of(F::approx_count_distinct, types::int64);
  static const Accumulators accumulators({spec});
  BlockMemory memory;
  std::vector<Row> rows;
  for (const std::int64_t v : values)
    if (v < keep_below) rows.push_back({0, v, {}, {}});
  return std::stod(Block(accumulators, memory).add(batch_of(rows, types::int64)).result(spec));
}

TEST(HyperLogLog, IsExactForFewAndWithinItsErrorForMany) {
  for (const std::int64_t n : {0, 1, 7, 100, 768, 769, 2'000, 12'000, 40'000, 70'000, 300'000}) {
    double squares = 0;
    constexpr int kRuns = 12;
    for (int run = 0; run < kRuns; ++run) {
      std::vector<std::int64_t> values(static_cast<std::size_t>(n));
      Dice dice(static_cast<std::uint64_t>(run + 1) * 1000);
      // Numbers in a row, multiples of a power of two, and random ones: all the same to it.
      for (std::int64_t i = 0; i < n; ++i)
        values[static_cast<std::size_t>(i)] = run % 3 == 0   ? i + run * 10'000'000
                                              : run % 3 == 1 ? i << (8 + run)
                                                             : static_cast<std::int64_t>(dice.random()());
      const double got = estimate(values);
      if (n <= HyperLogLog::kExact) {
        ASSERT_EQ(got, static_cast<double>(n));
      } else {
        const double error = got / static_cast<double>(n) - 1;
        EXPECT_LT(std::abs(error), 4 * HyperLogLog::kStandardError) << n << " values, run " << run;
        squares += error * error;
      }
    }
    EXPECT_LT(std::sqrt(squares / kRuns), 1.6 * HyperLogLog::kStandardError) << n;
  }
}

TEST(HyperLogLog, HowOftenInWhichOrderAndInWhichPartsDoesNotMatter) {
  static const AggregateSpec spec = spec_of(F::approx_count_distinct, types::string);
  const Accumulators accumulators({spec});
  const Zipf zipf(5'000, 1.1);
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Dice dice(seed);
    BlockMemory memory;
    const auto different = static_cast<std::size_t>(std::vector<int>{5, 700, 800, 5'000}[seed % 4]);
    std::vector<Row> rows, once;
    std::set<std::int64_t> seen;
    for (int i = 0; i < 20'000; ++i) {
      const std::int64_t v = zipf(dice) % static_cast<std::int64_t>(different);
      rows.push_back({0, fmt::format("value {}", v), {}, {}});
      if (seen.insert(v).second) once.push_back(rows.back());
    }
    std::shuffle(once.begin(), once.end(), dice.random());
    const std::string want = Block(accumulators, memory).add(batch_of(once, types::string)).result(spec);
    EXPECT_EQ(Block(accumulators, memory).add(batch_of(rows, types::string)).result(spec), want) << "seed " << seed;
    Block all(accumulators, memory);
    for (const auto& part : partition(rows, dice))
      all.merge(Block(accumulators, memory).add(batch_of(part, types::string)));
    EXPECT_EQ(all.result(spec), want) << "seed " << seed;
  }
}

// ---------------------------------------------------------------- percentile

struct Distribution {
  const char* name;
  std::function<double(Dice&)> next;
};

const std::vector<Distribution>& distributions() {
  static const std::vector<Distribution> all = {
      {"uniform", [](Dice& d) { return d.unit() * 1000; }},
      {"constant", [](Dice&) { return 42.5; }},
      {"heavy tail", [](Dice& d) { return std::pow(1 - d.unit(), -1.5); }},
      {"both signs", [](Dice& d) { return (d.unit() - 0.4) * 1e6; }},
      {"integers with zero", [](Dice& d) { return static_cast<double>(d.to(9) - 4); }},
      {"40 powers of ten", [](Dice& d) { return std::pow(10, d.unit() * 18 - 4); }},
      {"powers of two", [](Dice& d) { return std::ldexp(1, static_cast<int>(d.to(50))); }},
  };
  return all;
}

constexpr double kFractions[] = {0, 0.001, 0.25, 0.5, 0.9, 0.99, 1};

double exact(std::vector<double> values, double p) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(p * static_cast<double>(values.size() - 1))];
}

void expect_quantiles(const QuantileSketch& sketch, const std::vector<double>& values, const std::string& what) {
  ASSERT_EQ(sketch.total(), static_cast<std::int64_t>(values.size()));
  for (const double p : kFractions) {
    const double want = exact(values, p);
    ASSERT_LE(std::abs(sketch.quantile(p) - want), std::abs(want) * QuantileSketch::kRelativeError * (1 + 1e-9))
        << what << ", p " << p << ": " << sketch.quantile(p) << " for " << want;
  }
}

TEST(QuantileSketch, IsWithinItsRelativeErrorInAnyOrderAndParts) {
  for (const Distribution& d : distributions()) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
      Dice dice(seed);
      std::vector<double> values(static_cast<std::size_t>(1 + dice.to(3000)));
      for (double& v : values) v = d.next(dice);
      if (seed % 3 == 1) std::sort(values.begin(), values.end());
      if (seed % 3 == 2) std::sort(values.begin(), values.end(), std::greater<>());
      BlockMemory memory;
      QuantileSketch one{};
      for (const double v : values) one.add(v, 1, memory);
      ASSERT_NO_FATAL_FAILURE(expect_quantiles(one, values, fmt::format("{}, seed {}", d.name, seed)));
      QuantileSketch merged{};
      for (const auto& part : partition(values, dice)) {
        QuantileSketch s{};
        for (const double v : part) s.add(v, 1, memory);
        merged.merge(s, memory);
      }
      std::string a, b;
      one.save(a);
      merged.save(b);
      ASSERT_EQ(a, b) << d.name << ", seed " << seed;
    }
  }
}

TEST(QuantileSketch, ValuesTakenBackAreGone) {
  Dice dice(3);
  BlockMemory memory;
  QuantileSketch a{}, b{};
  std::vector<double> stay;
  for (int i = 0; i < 2000; ++i) {
    const double v = (dice.unit() - 0.3) * 1e5;
    if (i % 3 == 0) {
      stay.push_back(v);
      a.add(v, 1, memory);
    } else {  // taken back in another part
      (i % 2 == 0 ? a : b).add(v, 1, memory);
      (i % 5 == 0 ? a : b).add(v, -1, memory);
    }
  }
  a.merge(b, memory);
  expect_quantiles(a, stay, "taken back");
}

TEST(QuantileSketch, KeepsTheGreatestMagnitudesAndIsBounded) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Dice dice(seed);
    std::vector<double> values;
    for (int i = 0; i < 4000; ++i)
      values.push_back(std::ldexp(dice.unit() + 1, static_cast<int>(dice.to(2000)) - 1000) * (dice.one_in(2) ? 1 : -1));
    if (seed % 3 == 1) std::sort(values.begin(), values.end());
    if (seed % 3 == 2)
      std::sort(values.begin(), values.end(), [](double a, double b) { return std::abs(a) > std::abs(b); });
    BlockMemory memory;
    QuantileSketch one{}, merged{};
    for (const double v : values) one.add(v, 1, memory);
    EXPECT_LT(memory.bytes(), 256u * 1024);
    for (const auto& part : partition(values, dice)) {
      QuantileSketch s{};
      for (const double v : part) s.add(v, 1, memory);
      merged.merge(s, memory);
    }
    std::string a, b;
    one.save(a);
    merged.save(b);
    ASSERT_EQ(a, b) << "seed " << seed;
    // Both ends are among the 32 greatest powers of two of their sign.
    for (const double p : {0.0, 0.001, 0.999, 1.0})
      ASSERT_LE(std::abs(one.quantile(p) - exact(values, p)), std::abs(exact(values, p)) / 128) << "seed " << seed;
    ASSERT_EQ(one.quantile(0.5), 0);
  }
}

TEST(QuantileSketch, KnowsWhatIsNoNumber) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  BlockMemory memory;
  QuantileSketch s{};
  for (const double v : std::initializer_list<double>{std::nan(""), 1.0, kInf, -kInf, -0.0, 5e-324})
    s.add(v, 1, memory);
  EXPECT_EQ(s.quantile(0), -kInf);
  EXPECT_EQ(s.quantile(0.2), 0);
  EXPECT_EQ(s.quantile(0.4), 0);
  EXPECT_EQ(s.quantile(0.8), kInf);
  EXPECT_TRUE(std::isnan(s.quantile(1)));
}

// ---------------------------------------------------------------- top_k

using Counts = std::map<std::string, std::int64_t>;

void expect_counts(const SpaceSaving& s, const Counts& truth, std::int64_t rows, std::uint32_t counters,
                   const std::string& what) {
  Counts got;
  s.for_each([&](const SpaceSaving::Counted& c) {
    const std::string v(c.value);
    ASSERT_TRUE(got.emplace(v, c.count).second) << what;
    const auto t = truth.find(v);
    ASSERT_NE(t, truth.end()) << what;
    ASSERT_GE(c.count, t->second) << what;
    ASSERT_LE(c.count - c.error, t->second) << what;
    ASSERT_LE(static_cast<double>(c.count - t->second), static_cast<double>(rows) / counters) << what;
  });
  ASSERT_LE(got.size(), counters);
  for (const auto& [v, n] : truth) {
    if (n * counters > rows || truth.size() <= counters) {
      ASSERT_TRUE(got.contains(v)) << what << ": " << v << " with " << n << " of " << rows;
    }
    if (truth.size() <= counters) {
      ASSERT_EQ(got[v], n) << what;
    }
  }
}

TEST(SpaceSaving, HoldsItsBoundInOnePassAndMerged) {
  const Zipf zipf(2'000, 1.2);
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Dice dice(seed);
    const auto counters = static_cast<std::uint32_t>(std::vector<int>{1, 2, 9, 64, 200}[seed % 5]);
    const std::int64_t rows = 1 + dice.to(6000);
    std::vector<std::string> values;
    Counts truth;
    for (std::int64_t i = 0; i < rows; ++i) {
      std::int64_t v = 0;
      switch (seed % 6) {
        case 0: v = zipf(dice); break;
        case 1: v = dice.to(500); break;
        case 2: v = 7; break;
        case 3: v = i; break;                                // all different
        case 4: v = i < rows * 2 / 3 ? i : -(i % 3); break;  // the frequent ones come last
        default: v = dice.to(counters); break;               // room for all
      }
      values.push_back(fmt::format("{}-{}", std::string(static_cast<std::size_t>(v % 23 + 23), 'x'), v));
      ++truth[values.back()];
    }
    const std::string what = fmt::format("seed {}, {} counters", seed, counters);
    BlockMemory memory;
    SpaceSaving one{};
    for (const std::string& v : values) one.add(v, counters, memory);
    ASSERT_NO_FATAL_FAILURE(expect_counts(one, truth, rows, counters, what));

    std::vector<SpaceSaving> parts;
    for (const auto& part : partition(values, dice)) {
      SpaceSaving s{};
      for (const std::string& v : part) s.add(v, counters, memory);
      parts.push_back(s);
    }
    while (parts.size() > 1) {
      std::shuffle(parts.begin(), parts.end(), dice.random());
      SpaceSaving from = parts.back();
      parts.pop_back();
      parts[0].merge(from, counters, memory);
      from.release(memory);
    }
    ASSERT_NO_FATAL_FAILURE(expect_counts(parts[0], truth, rows, counters, what + ", merged"));
    // And it goes on.
    for (const std::string& v : values) ++truth[v];
    for (const std::string& v : values) parts[0].add(v, counters, memory);
    ASSERT_NO_FATAL_FAILURE(expect_counts(parts[0], truth, 2 * rows, counters, what + ", merged and more"));
  }
}

TEST(SpaceSaving, GoesOnAfterLoadingAsIfNothingHadHappened) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    Dice dice(seed);
    BlockMemory memory;
    SpaceSaving a{};
    const Zipf zipf(300, 0.8);
    for (int i = 0; i < 2000; ++i) {
      a.add(std::to_string(zipf(dice)), 20, memory);
      if (!dice.one_in(100)) continue;
      std::string bytes;
      a.save(bytes);
      SpaceSaving b{};
      std::string_view rest = bytes;
      ASSERT_TRUE(b.load(rest, 20, memory));
      for (int j = 0; j < 50; ++j) {
        const std::string v = std::to_string(zipf(dice));
        a.add(v, 20, memory);
        b.add(v, 20, memory);
      }
      const auto x = a.top(20), y = b.top(20);
      ASSERT_EQ(x.size(), y.size());
      for (std::size_t k = 0; k < x.size(); ++k) {
        ASSERT_EQ(x[k].value, y[k].value) << "seed " << seed;
        ASSERT_EQ(x[k].count, y[k].count);
        ASSERT_EQ(x[k].error, y[k].error);
      }
      a.release(memory);
      a = b;
    }
  }
}

TEST(TopK, IsAListOfValuesByCount) {
  AggregateSpec spec = spec_of(F::top_k, types::string, {.number = 2});
  const Accumulators accumulators({spec});
  BlockMemory memory;
  std::vector<Row> rows;
  for (const char* v : {"b", "a\"", "c", "a\"", "c"}) rows.push_back({0, std::string(v), {}, {}});
  Block b(accumulators, memory);
  EXPECT_EQ(b.result(spec), "[]");
  EXPECT_EQ(b.add(batch_of(rows, types::string)).result(spec),
            R"([{"value":"a\"","count":2,"error":0},{"value":"c","count":2,"error":0}])");

  spec = spec_of(F::top_k, types::decimal(10, 2), {.number = 5});
  const Accumulators decimals({spec});
  Block d(decimals, memory);
  d.add(
      batch_of({{0, Decimal{-150}, {}, {}}, {0, Decimal{7}, {}, {}}, {0, Decimal{7}, {}, {}}}, types::decimal(10, 2)));
  EXPECT_EQ(d.result(spec), R"([{"value":0.07,"count":2,"error":0},{"value":-1.50,"count":1,"error":0}])");
}

}  // namespace
}  // namespace twinspan::testing
