// What depends on event time and arrival: first, last, min_by, max_by, string_agg, array_agg. Parts are merged in the
// order of arrival, but grouped in any way.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "engine/aggregates/kernel.h"
#include "engine/aggregates/value_bytes.h"
#include "engine/aggregates/value_list.h"
#include "tests/engine/aggregates/aggregate_rig.h"

namespace twinspan::testing {
namespace {

using F = AggregateFunction;

std::string cell_text(DataType type, const Cell& c) {
  Arena arena;
  const Column column = column_of(type, {c}, arena);
  return text_of(type, static_cast<const char*>(column.data), c.index() != 0);
}

bool less(const Cell& a, const Cell& b) { return a < b; }  // no NaN in the rows

std::string picked(const AggregateSpec& s, const std::vector<Row>& rows) {
  const Row* best = nullptr;
  for (const Row& r : rows) {
    if (r.x.index() == 0 || (s.by >= 0 && r.by.index() == 0) || (s.filter >= 0 && !(r.ok && *r.ok))) continue;
    bool better = best == nullptr;
    if (!better) {
      switch (s.function) {
        case F::first: better = r.time < best->time; break;
        case F::last: better = r.time >= best->time; break;
        default:
          better = s.function == F::min_by ? less(r.by, best->by) : less(best->by, r.by);
          if (!less(r.by, best->by) && !less(best->by, r.by)) better = r.time < best->time;
      }
    }
    if (better) best = &r;
  }
  return best == nullptr ? "NULL" : cell_text(s.argument_type, best->x);
}

// Neighbours are merged until one is left, each merged part saved and loaded.
Block merge_neighbours(std::vector<Block> parts, const Accumulators& accumulators, BlockMemory& memory, Dice& dice) {
  while (parts.size() > 1) {
    const auto i = static_cast<std::size_t>(dice.to(static_cast<std::int64_t>(parts.size() - 1)));
    parts[i].merge(parts[i + 1]);
    parts[i + 1].reset();
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(i + 1));
    Block copy(accumulators, memory);
    TS_CHECK(copy.load(parts[i].saved()));
    parts[i].reset();
    parts[i] = copy;
  }
  return parts[0];
}

std::vector<std::vector<Row>> cut(const std::vector<Row>& rows, Dice& dice) {
  std::vector<std::vector<Row>> parts(1);
  for (const Row& r : rows) {
    if (dice.one_in(6)) parts.emplace_back();
    parts.back().push_back(r);
  }
  return parts;
}

const DataType kTypes[] = {types::boolean, types::int64, types::float64,   types::decimal(38, 2),
                           types::string,  types::bytes, types::timestamp, types::duration};

TEST(Picks, AreTheRowOfTheFirstOrLastOrLeastOrGreatest) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Dice dice(seed);
    for (const DataType type : kTypes) {
      for (const DataType by : kTypes) {
        std::vector<AggregateSpec> specs;
        for (const F f : {F::first, F::last, F::min_by, F::max_by}) {
          AggregateSpec s = spec_of(f, type);
          if (f == F::min_by || f == F::max_by) {
            s.by = kBy;
            s.by_type = by;
          }
          s.filter = dice.one_in(2) ? kOk : -1;
          specs.push_back(s);
        }
        const Accumulators accumulators(specs);
        BlockMemory memory;
        const std::vector<Row> rows = random_rows(dice, static_cast<std::size_t>(dice.to(40)), type, by);
        std::vector<Block> parts;
        for (const auto& part : cut(rows, dice))
          parts.push_back(Block(accumulators, memory).add(batch_of(part, type, by), 7));
        const Block one = Block(accumulators, memory).add(batch_of(rows, type, by));
        const Block merged = merge_neighbours(parts, accumulators, memory, dice);
        for (std::size_t a = 0; a < specs.size(); ++a) {
          const std::string want = picked(specs[a], rows);
          ASSERT_EQ(one.result(specs[a], a), want) << info_of(specs[a].function).name << ", seed " << seed;
          ASSERT_EQ(merged.result(specs[a], a), want) << info_of(specs[a].function).name << ", seed " << seed;
        }
      }
    }
  }
}

// The prefix of all values in order of (time, arrival) that keeps both limits.
std::vector<std::string> prefix(std::vector<std::pair<EventTime, std::string>> all, const ListLimits& limits) {
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> out;
  std::set<std::string> seen;
  std::uint64_t bytes = 0;
  for (const auto& [time, v] : all) {
    if (limits.distinct && !seen.insert(v).second) continue;
    bytes += v.size();
    if (out.size() == limits.count || bytes > limits.bytes) break;
    out.push_back(v);
  }
  return out;
}

std::vector<std::string> content(const ValueList& list) {
  std::vector<std::string> out;
  list.for_each([&](std::string_view v) { out.emplace_back(v); });
  return out;
}

TEST(ValueList, IsThePrefixUnderBothLimitsHoweverItCame) {
  std::size_t limited = 0;
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    Dice dice(seed);
    const ListLimits limits{static_cast<std::uint32_t>(1 + dice.to(12)), static_cast<std::uint64_t>(dice.to(60)),
                            dice.one_in(2)};
    BlockMemory memory;
    std::vector<std::pair<EventTime, std::string>> all;
    std::vector<ValueList> parts(1);
    const std::int64_t n = dice.to(40);
    for (std::int64_t i = 0; i < n; ++i) {
      all.emplace_back(dice.to(12), std::string(static_cast<std::size_t>(dice.to(9)), "abc"[dice.to(3)]));
      if (dice.one_in(5)) parts.emplace_back();
      parts.back().add(all.back().first, all.back().second, limits, memory);
    }
    ValueList one{};
    for (const auto& [time, v] : all) one.add(time, v, limits, memory);
    const std::vector<std::string> want = prefix(all, limits);
    ASSERT_EQ(content(one), want) << "seed " << seed;
    while (parts.size() > 1) {
      const auto i = static_cast<std::size_t>(dice.to(static_cast<std::int64_t>(parts.size() - 1)));
      parts[i].merge(parts[i + 1], limits, memory);
      parts[i + 1].release(memory);
      parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(i + 1));
      std::string bytes;
      parts[i].save(bytes);
      parts[i].release(memory);
      parts[i] = {};
      std::string_view rest = bytes;
      ASSERT_TRUE(parts[i].load(rest, limits, memory) && rest.empty());
    }
    ASSERT_EQ(content(parts[0]), want) << "merged, seed " << seed;
    limited += want.size() < all.size();
  }
  EXPECT_GT(limited, 1000u);
}

TEST(Lists, AreTextAndJson) {
  AggregateSpec text = spec_of(F::string_agg, types::string, {.number = 3, .text = "; "});
  AggregateSpec array = spec_of(F::array_agg, types::string, {.number = 1000});
  AggregateSpec distinct = array;
  distinct.distinct = true;
  const Accumulators accumulators({text, array, distinct});
  BlockMemory memory;
  Block b(accumulators, memory);
  EXPECT_EQ(b.result(text, 0), "NULL");
  EXPECT_EQ(b.result(array, 1), "NULL");
  b.add(batch_of({{5, std::string("late"), {}, {}},
                  {2, std::string("a"), {}, {}},
                  {2, Cell(), {}, {}},
                  {1, std::string("\"\n"), {}, {}},
                  {2, std::string("b"), {}, {}},
                  {3, std::string("a"), {}, {}}},
                 types::string));
  EXPECT_EQ(b.result(text, 0), "\"\n; a; b");
  EXPECT_EQ(b.result(array, 1), R"(["\"\n","a","b","a","late"])");
  EXPECT_EQ(b.result(distinct, 2), R"(["\"\n","a","b","late"])");
}

// Values without an order can be chosen and listed.
TEST(Lists, HoldWhatIsPacked) {
  const DataType list = types::array(types::int64);
  auto packed = [&](std::initializer_list<std::int64_t> values) {
    ArrayBuilder b(types::int64);
    for (const std::int64_t v : values) b.add(&v);
    return std::string(b.finish());
  };
  const std::vector<AggregateSpec> specs = {spec_of(F::last, list), spec_of(F::array_agg, list, {.number = 2})};
  EXPECT_EQ(to_string(aggregate_result_type(specs[1]).value()), "array<array<int64>>");
  const Accumulators accumulators(specs);
  BlockMemory memory;
  Block b(accumulators, memory), c(accumulators, memory);
  b.add(batch_of({{3, packed({7}), {}, {}}, {1, packed({1, 2}), {}, {}}, {2, packed({}), {}, {}}}, list));
  ASSERT_TRUE(c.load(b.saved()));
  EXPECT_EQ(c.result(specs[0], 0), "[7]");
  EXPECT_EQ(c.result(specs[1], 1), "[[1,2],[]]");
  std::string bad = b.saved();
  bad[bad.find(packed({7}))] = 9;  // the number of elements
  EXPECT_FALSE(c.load(bad));
  for (const F f : {F::min, F::approx_count_distinct, F::top_k}) EXPECT_FALSE(aggregate_result_type(spec_of(f, list)));
  AggregateSpec distinct = specs[1];
  distinct.distinct = true;
  EXPECT_FALSE(aggregate_result_type(distinct));
}

// The order of the bytes is that of the values.
TEST(ValueBytes, KeepOrderAndComeBack) {
  Dice dice(5);
  for (const DataType type : kTypes) {
    for (int i = 0; i < 2000; ++i) {
      Cell a, b;
      while (a.index() == 0) a = random_cell(dice, type);
      while (b.index() == 0) b = random_cell(dice, type);
      Arena arena;
      ValueBytes x, y;
      const Column column = column_of(type, {a, b}, arena);
      const std::string_view p = x.of(column, 0), q = y.of(column, 1);
      ASSERT_EQ(p < q, a < b) << to_string(type) << " " << cell_text(type, a) << " " << cell_text(type, b);
      ASSERT_TRUE(ValueBytes::well_formed(type, p));
      alignas(16) char value[16];
      std::uint8_t valid = 1;
      ASSERT_TRUE(ValueBytes::put(p, AggregateCell{type, value, valid, arena}));
      ASSERT_EQ(text_of(type, value, true), cell_text(type, a));
    }
  }
}

}  // namespace
}  // namespace twinspan::testing
