#pragma once
// Window steps and streams drawn by a seed. TWINSPAN_SEEDS=<factor> in the environment runs that many times more seeds.

#include <algorithm>
#include <cstdlib>
#include <random>

#include "tests/engine/operators/window/window_fixture.h"

namespace twinspan::testing {

inline unsigned seeds(unsigned normally) {
  const char* factor = std::getenv("TWINSPAN_SEEDS");
  return factor == nullptr ? normally : normally * static_cast<unsigned>(std::max(1, std::atoi(factor)));
}

class Dice {
 public:
  explicit Dice(unsigned seed) : random_(seed) {}
  std::int64_t to(std::int64_t n) {
    return static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(n));
  }  // [0, n)
  bool one_in(std::int64_t n) { return to(n) == 0; }
  template <class T>
  T of(std::initializer_list<T> list) {
    return list.begin()[to(static_cast<std::int64_t>(list.size()))];
  }

 private:
  std::mt19937_64 random_;
};

inline WindowSpec random_spec(Dice& dice, WindowKind kind) {
  WindowSpec s;
  s.kind = kind;
  switch (kind) {
    case WindowKind::cumulate:
      s.every = dice.of<std::int64_t>({10, 25, 100});
      s.size = s.every * (1 + dice.to(8));
      break;
    case WindowKind::sliding:
      s.every = dice.of<std::int64_t>({10, 25, 60});
      s.size = dice.one_in(3) ? s.every + 5 * dice.to(20) : s.every * (1 + dice.to(12));
      s.early = dice.one_in(4) ? dice.of<std::int64_t>({7, 30}) : 0;
      break;
    case WindowKind::global: s.early = dice.of<std::int64_t>({10, 25, 300}); break;
    case WindowKind::session:
    case WindowKind::tumbling:
      s.size = dice.of<std::int64_t>({7, 50, 200});
      s.early = dice.one_in(2) ? dice.of<std::int64_t>({3, 7, 40}) : 0;
  }
  s.offset = s.size > 0 && dice.one_in(3) ? dice.to(s.size) : 0;
  for (const int c : dice.of<std::vector<int>>({{}, {kShard}, {kName}, {kName, kShard}})) {
    s.key_columns.push_back(c);
    s.key_types.push_back(input_schema().fields[c].type);
  }
  const std::vector<AggregateSpec> all = {aggregate(AggregateFunction::count),
                                          aggregate(AggregateFunction::count, kV, false, kOk),
                                          aggregate(AggregateFunction::sum, kV),
                                          aggregate(AggregateFunction::min, kV),
                                          aggregate(AggregateFunction::max, kDevice),
                                          aggregate(AggregateFunction::min, kDevice, false, kOk),
                                          aggregate(AggregateFunction::avg, kV),
                                          aggregate(AggregateFunction::sum, kPrice),
                                          aggregate(AggregateFunction::avg, kPrice),
                                          aggregate(AggregateFunction::max, kPrice),
                                          aggregate(AggregateFunction::sum, kRatio),
                                          aggregate(AggregateFunction::min, kRatio),
                                          aggregate(AggregateFunction::count, kDevice, true),
                                          aggregate(AggregateFunction::count, kDevice, true, kOk),
                                          aggregate(AggregateFunction::count, kV, true),
                                          aggregate(AggregateFunction::first, kDevice),
                                          aggregate(AggregateFunction::last, kV),
                                          aggregate(AggregateFunction::last, kDevice, false, kOk),
                                          aggregate(AggregateFunction::min_by, kDevice, AggregateParameters{}, kV),
                                          aggregate(AggregateFunction::max_by, kPrice, AggregateParameters{}, kV),
                                          aggregate(AggregateFunction::approx_count_distinct, kDevice),
                                          aggregate(AggregateFunction::percentile, kV, {.fraction = 0.5}),
                                          aggregate(AggregateFunction::percentile, kV, {.fraction = 0.9}),
                                          aggregate(AggregateFunction::percentile, kPrice, {.fraction = 0.25}),
                                          aggregate(AggregateFunction::top_k, kDevice, {.number = 2}),
                                          aggregate(AggregateFunction::string_agg, kDevice, {.number = 3, .text = ";"}),
                                          aggregate(AggregateFunction::array_agg, kDevice, {.number = 1000}),
                                          aggregate(AggregateFunction::array_agg, kDevice, {.number = 4}, -1, true)};
  s.updating = kind != WindowKind::session && dice.one_in(3);
  for (const AggregateSpec& a : all)
    if (dice.one_in(3) && (!s.updating || info_of(a.function).retractable())) s.aggregates.push_back(a);
  s.allow_lateness = dice.one_in(2) ? dice.of<std::int64_t>({1, 15, 120}) : 0;
  s.mode = dice.of({EmitMode::accumulating, EmitMode::discarding, EmitMode::retracting});
  if (s.updating && s.mode == EmitMode::discarding) s.mode = EmitMode::retracting;
  s.feeds_steps = s.mode != EmitMode::discarding && dice.one_in(3);
  return s;
}

// Portions of a firing: of one key, of some, of all.
inline void random_portions(Dice& dice, WindowSpec& spec, Recorder& out) {
  spec.portion = dice.of<std::int64_t>({1, 5, 40, 8192});
  out.full_every = dice.of<unsigned>({0, 2, 3});
}

// Out-of-order rows; phases in which R stays behind F; idle times; rows far behind; rows that take former ones back.
inline std::vector<Event> random_stream(Dice& dice, std::size_t n, bool updating) {
  std::vector<Event> out;
  std::vector<Row> counted;  // and not taken back
  EventTime clock = 1'000 + dice.to(1000);
  const std::int64_t shards = dice.one_in(3) ? 200 : 3;  // more keys than a mask of a DISTINCT count has bits
  const std::int64_t devices = shards == 200 ? 4 : 40;
  Watermark now;
  std::size_t outage = 0;
  for (std::size_t i = 0; i < n; ++i) {
    clock += dice.one_in(3) ? dice.to(8) : 0;
    if (dice.one_in(150)) clock += dice.one_in(4) ? 100'000'000 : dice.to(800);
    if (outage > 0)
      --outage;
    else if (dice.one_in(80))
      outage = static_cast<std::size_t>(dice.to(120));
    if (dice.one_in(2)) {
      now.firing = std::max(now.firing, clock - 12);
      if (outage == 0)
        now.retention = now.firing;
      else if (dice.one_in(10) && now.retention != kMinTime)
        now.retention += (now.firing - now.retention) / 2;
    }
    Event e;
    e.at = now;
    e.is_row = !dice.one_in(20);
    e.row.time = clock - dice.to(14) - (dice.one_in(12) ? dice.to(400) : 0) + (dice.one_in(20) ? dice.to(300) : 0);
    if (!dice.one_in(6))
      e.row.name =
          dice.one_in(5) ? "a rather long name for a key " + std::to_string(dice.to(3)) : std::to_string(dice.to(4));
    e.row.shard = dice.to(shards);
    if (!dice.one_in(5)) e.row.v = dice.to(30) - 10;
    if (!dice.one_in(5)) e.row.price = dice.to(100'000) - 30'000;
    if (!dice.one_in(5)) e.row.device = "device-" + std::to_string(dice.to(devices));
    if (!dice.one_in(5)) e.row.ok = dice.one_in(2);
    if (!dice.one_in(5)) e.row.ratio = static_cast<double>(dice.to(1000)) / 8;
    if (updating && e.is_row && !counted.empty() && dice.one_in(3)) {
      const auto which = static_cast<std::size_t>(
          dice.to(static_cast<std::int64_t>(std::min<std::size_t>(counted.size(), 12))));  // mostly young ones
      std::swap(counted[counted.size() - 1 - which], counted.back());
      e.row = counted.back();
      e.row.op = dice.of({RowOp::update_before, RowOp::remove});
      counted.pop_back();
    } else if (updating && e.is_row) {
      e.row.op = dice.of({RowOp::insert, RowOp::update_after});
      counted.push_back(e.row);
    }
    out.push_back(e);
  }
  return out;
}

}  // namespace twinspan::testing
