// count, sum, avg, min, max, count(DISTINCT) against references in arbitrary precision, with rows taken back, parts
// merged in any order, blocks saved and loaded.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include <boost/multiprecision/cpp_bin_float.hpp>
#include <boost/multiprecision/cpp_int.hpp>

#include "tests/engine/aggregates/aggregate_rig.h"

namespace twinspan::testing {
namespace {

using boost::multiprecision::cpp_int;
using F = AggregateFunction;

cpp_int big(Decimal v) {
  const UDecimal m = v < 0 ? -static_cast<UDecimal>(v) : static_cast<UDecimal>(v);
  const cpp_int b = (cpp_int(static_cast<std::uint64_t>(m >> 64)) << 64) + static_cast<std::uint64_t>(m);
  return v < 0 ? -b : b;
}

// Enough bits for every sum of doubles.
using Exact =
    boost::multiprecision::number<boost::multiprecision::cpp_bin_float<2300, boost::multiprecision::digit_base_2>>;

bool counts(const AggregateSpec& s, const Row& r) {
  return (s.filter < 0 || (r.ok && *r.ok)) && (s.argument < 0 || r.x.index() != 0);
}

bool less(const Cell& a, const Cell& b) {
  if (const double* x = std::get_if<double>(&a)) {
    const double y = std::get<double>(b);
    return std::isnan(y) ? !std::isnan(*x) : *x < y;
  }
  return a < b;
}

std::string cell_text(DataType type, const Cell& c) {
  Arena arena;
  const Column column = column_of(type, {c}, arena);
  return text_of(type, static_cast<const char*>(column.data), c.index() != 0);
}

std::string reference(const AggregateSpec& s, const std::vector<Row>& rows) {
  std::vector<Cell> in;
  for (const Row& r : rows)
    if (counts(s, r)) in.push_back(r.x);
  if (s.function == F::count) {
    if (!s.distinct) return fmt::format("{}", in.size());
    return fmt::format("{}", std::set<Cell>(in.begin(), in.end()).size());
  }
  if (in.empty()) return "NULL";
  const auto n = static_cast<std::int64_t>(in.size());
  if (s.function == F::min) return cell_text(s.argument_type, *std::min_element(in.begin(), in.end(), less));
  if (s.function == F::max) return cell_text(s.argument_type, *std::max_element(in.begin(), in.end(), less));
  const bool avg = s.function == F::avg;
  if (s.argument_type.kind == TypeKind::float64) {
    Exact sum = 0;
    for (const Cell& c : in) sum += Exact(std::get<double>(c));
    const auto v = sum.convert_to<double>();
    if (std::isinf(v)) return "out of range";
    return fmt::format("{}", avg ? v / static_cast<double>(n) : v + 0.0);
  }
  cpp_int sum = 0;
  for (const Cell& c : in) sum += c.index() == 3 ? big(std::get<Decimal>(c)) : cpp_int(std::get<std::int64_t>(c));
  if (s.argument_type.kind == TypeKind::decimal) {
    unsigned scale = s.argument_type.scale;
    if (avg) {
      for (; scale < 6; ++scale) sum *= 10;
      const cpp_int up = (abs(sum) * 2 + n) / (2 * n);
      sum = sum < 0 ? -up : up;
    }
    if (abs(sum) >= pow(cpp_int(10), 38)) return "out of range";
    std::string digits = cpp_int(abs(sum)).str();
    if (digits.size() <= scale) digits.insert(0, scale + 1 - digits.size(), '0');
    digits.insert(digits.size() - scale, ".");
    return (sum < 0 ? "-" : "") + digits;
  }
  if (avg) return fmt::format("{}", sum.convert_to<double>() / static_cast<double>(n));
  if (sum > std::numeric_limits<std::int64_t>::max() || sum < std::numeric_limits<std::int64_t>::min())
    return "out of range";
  return sum.str();
}

const DataType kTypes[] = {types::boolean, types::int64, types::float64,   types::decimal(38, 2),
                           types::string,  types::bytes, types::timestamp, types::duration};

// Every aggregate that takes this type, with a filter and without.
std::vector<AggregateSpec> specs_for(DataType type, bool distinct) {
  std::vector<AggregateSpec> out;
  for (const F f : {F::count, F::sum, F::min, F::max, F::avg}) {
    for (const int filter : {-1, kOk}) {
      AggregateSpec s = spec_of(f, type);
      s.filter = filter;
      if (aggregate_result_type(s)) out.push_back(s);
      s.distinct = true;
      if (distinct && f == F::count) out.push_back(s);
    }
  }
  out.push_back({});  // count(*)
  return out;
}

void expect_all(const Block& block, const std::vector<AggregateSpec>& specs, const std::vector<Row>& rows,
                std::uint64_t seed, const char* how) {
  for (std::size_t a = 0; a < specs.size(); ++a)
    ASSERT_EQ(block.result(specs[a], a), reference(specs[a], rows))
        << info_of(specs[a].function).name << " of " << to_string(specs[a].argument_type) << ", " << how << ", seed "
        << seed;
}

TEST(Sums, AreExactHoweverRowsAreGrouped) {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    Dice dice(seed);
    for (const DataType type : kTypes) {
      const std::vector<AggregateSpec> specs = specs_for(type, false);
      const Accumulators accumulators(specs);
      BlockMemory memory;
      const std::vector<Row> rows = random_rows(dice, static_cast<std::size_t>(dice.to(60)), type);
      for (const std::size_t group : {1, 7, 1024})
        ASSERT_NO_FATAL_FAILURE(
            expect_all(Block(accumulators, memory).add(batch_of(rows, type), group), specs, rows, seed, "one pass"));
    }
  }
}

TEST(Sums, PartsMergedInAnyOrderAndReloadedAreTheSame) {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    Dice dice(seed);
    for (const DataType type : kTypes) {
      const bool updating = dice.one_in(2);
      const std::vector<AggregateSpec> specs = specs_for(type, updating);
      const Accumulators accumulators(specs, updating);
      BlockMemory memory;
      const std::vector<Row> rows = random_rows(dice, 60, type);
      std::vector<std::vector<Row>> parts(static_cast<std::size_t>(1 + dice.to(5)));
      for (const Row& r : rows)
        parts[static_cast<std::size_t>(dice.to(static_cast<std::int64_t>(parts.size())))].push_back(r);
      std::vector<Block> blocks;
      for (const auto& p : parts) blocks.push_back(Block(accumulators, memory).add(batch_of(p, type)));
      while (blocks.size() > 1) {
        std::swap(blocks[static_cast<std::size_t>(dice.to(static_cast<std::int64_t>(blocks.size())))], blocks.back());
        const Block last = blocks.back();
        blocks.pop_back();
        const auto into = static_cast<std::size_t>(dice.to(static_cast<std::int64_t>(blocks.size())));
        blocks[into].merge(last);
        Block copy(accumulators, memory);
        ASSERT_TRUE(copy.load(blocks[into].saved()));
        blocks[into] = copy;
      }
      ASSERT_NO_FATAL_FAILURE(expect_all(blocks[0], specs, rows, seed, "merged"));
    }
  }
}

TEST(Sums, RowsTakenBackLeaveNoTrace) {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    Dice dice(seed);
    for (const DataType type : kTypes) {
      const std::vector<AggregateSpec> specs = specs_for(type, true);
      const Accumulators accumulators(specs, true);
      for (std::size_t a = 0; a < specs.size(); ++a) ASSERT_TRUE(accumulators.retractable(a));
      BlockMemory memory;
      const std::vector<Row> stay = random_rows(dice, 30, type), go = random_rows(dice, 30, type);
      // Two parts: a row may be taken back in another one, and before it comes.
      Block parts[2] = {Block(accumulators, memory), Block(accumulators, memory)};
      std::vector<std::pair<Row, bool>> steps;
      for (const Row& r : stay) steps.push_back({r, false});
      for (const Row& r : go) steps.push_back({r, false}), steps.push_back({r, true});
      std::shuffle(steps.begin(), steps.end(), dice.random());
      for (const auto& [row, remove] : steps) {
        Block& part = parts[dice.to(2)];
        const Batch one = batch_of({row}, type);
        remove ? part.remove(one) : part.add(one);
      }
      parts[0].merge(parts[1]);
      ASSERT_NO_FATAL_FAILURE(expect_all(parts[0], specs, stay, seed, "taken back"));
    }
  }
}

TEST(Sums, RangeIsThatOfTheResultAloneAndComesBack) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  const std::vector<AggregateSpec> ints = {spec_of(F::sum, types::int64)};
  const Accumulators accumulators(ints, true);
  BlockMemory memory;
  Block b(accumulators, memory);
  b.add(batch_of({{0, kMost, {}, {}}, {0, std::int64_t{1}, {}, {}}}, types::int64));
  EXPECT_EQ(b.result(ints[0]), "out of range");
  b.add(batch_of({{0, std::int64_t{-1}, {}, {}}}, types::int64));
  EXPECT_EQ(b.result(ints[0]), fmt::format("{}", kMost));

  const DataType type = types::decimal(38, 0);
  const std::vector<AggregateSpec> decimals = {spec_of(F::sum, type), spec_of(F::avg, type)};
  const Accumulators wide(decimals, true);
  Decimal most = 1;
  for (int i = 0; i < 38; ++i) most *= 10;
  --most;
  Block d(wide, memory);
  for (int i = 0; i < 1000; ++i) d.add(batch_of({{0, most, {}, {}}}, type));
  EXPECT_EQ(d.result(decimals[0]), "out of range");
  for (int i = 0; i < 999; ++i) d.remove(batch_of({{0, most, {}, {}}}, type));
  EXPECT_EQ(d.result(decimals[0], 0), std::string(38, '9'));
  EXPECT_EQ(d.result(decimals[1], 1), "out of range");  // six more digits
  for (int i = 0; i < 5; ++i) d.add(batch_of({{0, Decimal{-most}, {}, {}}}, type));
  EXPECT_EQ(d.result(decimals[0]), "out of range");
}

TEST(Sums, OfFloatsRoundOnceAndKnowTheInfinities) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const AggregateSpec sum = spec_of(F::sum, types::float64);
  const Accumulators accumulators({sum}, true);
  BlockMemory memory;
  auto of = [&](const std::vector<double>& values) {
    Block b(accumulators, memory);
    for (const double v : values) b.add(batch_of({{0, v, {}, {}}}, types::float64));
    return b.result(sum);
  };
  EXPECT_EQ(of({1e308, 1e308, -1e308}), "1e+308");
  EXPECT_EQ(of({1e308, 1e308}), "out of range");
  EXPECT_EQ(of({1, 1e100, 1, -1e100}), "2");
  EXPECT_EQ(of({0.1, 0.2, 0.3, -0.6}), fmt::format("{}", 0x1p-55));  // what the four doubles really add up to
  EXPECT_EQ(of({5e-324, 5e-324}), "1e-323");
  EXPECT_EQ(of({0.0, -0.0}), "0");
  EXPECT_EQ(of({kInf, 1}), "inf");
  EXPECT_EQ(of({kInf, -kInf}), "nan");
  Block b(accumulators, memory);
  b.add(batch_of({{0, 2.5, {}, {}}, {0, kInf, {}, {}}, {0, std::nan(""), {}, {}}}, types::float64));
  EXPECT_EQ(b.result(sum), "nan");
  b.remove(batch_of({{0, kInf, {}, {}}, {0, std::nan(""), {}, {}}}, types::float64));
  EXPECT_EQ(b.result(sum), "2.5");
}

TEST(Accumulators, SumAndAvgOfAColumnShareTheirState) {
  const Accumulators both({spec_of(F::sum, types::int64), spec_of(F::avg, types::int64)});
  EXPECT_EQ(both.bytes(), Accumulators({spec_of(F::sum, types::int64)}).bytes());
  AggregateSpec filtered = spec_of(F::avg, types::int64);
  filtered.filter = kOk;
  EXPECT_GT(Accumulators({spec_of(F::sum, types::int64), filtered}).bytes(), both.bytes());
}

TEST(Accumulators, NamesWhatItCannotTakeBack) {
  EXPECT_FALSE(Accumulators({spec_of(F::min, types::int64)}).retractable(0));
  EXPECT_TRUE(Accumulators({spec_of(F::min, types::int64)}, true).retractable(0));
  AggregateSpec distinct = spec_of(F::count, types::string);
  distinct.distinct = true;
  EXPECT_TRUE(Accumulators({distinct}).is_distinct(0));
  EXPECT_FALSE(Accumulators({distinct}).retractable(0));
  EXPECT_FALSE(Accumulators({distinct}, true).is_distinct(0));
  EXPECT_TRUE(Accumulators({distinct}, true).retractable(0));
}

TEST(BlockMemory, GivesBackWhatItTook) {
  for (std::size_t bytes = 1; bytes < 100'000; ++bytes) {
    const std::size_t size = BlockMemory::rounded(bytes);
    ASSERT_GE(size, bytes);
    ASSERT_LE(size, std::max<std::size_t>(bytes + 8, bytes + bytes / 4));
    ASSERT_EQ(BlockMemory::rounded(size), size);
  }
  BlockMemory memory;
  char* p = memory.take(100);
  memory.give(p, 100);
  EXPECT_EQ(memory.take(112), p);
  EXPECT_NE(memory.take(112), p);
}

}  // namespace
}  // namespace twinspan::testing
