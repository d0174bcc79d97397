#pragma once
// Rows, streams and recorded output for the window tests. One schema: name string, shard int64, v int64,
// price decimal(10,2), device string, ok boolean, ratio float64; every column but `shard` may be NULL.

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "engine/base/json_text.h"
#include "engine/operators/window_aggregate.h"
#include "engine/operators/window_operator.h"
#include "engine/state/row_codec.h"

namespace twinspan::testing {

using namespace twinspan::engine;

struct Row {
  EventTime time = 0;
  std::optional<std::string> name;
  std::int64_t shard = 0;
  std::optional<std::int64_t> v, price;
  std::optional<std::string> device;
  std::optional<bool> ok;
  std::optional<double> ratio;
  RowOp op = RowOp::insert;
};

// What an operator is told, in order: a row with the watermark before it, or a watermark alone.
struct Event {
  bool is_row = true;
  Row row;
  Watermark at;
};

enum InputColumn { kName, kShard, kV, kPrice, kDevice, kOk, kRatio };

inline const Schema& input_schema() {
  static const Schema schema{{{"name", types::string},
                              {"shard", types::int64},
                              {"v", types::int64},
                              {"price", types::decimal(10, 2)},
                              {"device", types::string},
                              {"ok", types::boolean},
                              {"ratio", types::float64}}};
  return schema;
}

inline AggregateSpec aggregate(AggregateFunction f, int argument = -1, bool distinct = false, int filter = -1) {
  AggregateSpec a;
  a.function = f;
  a.argument = argument;
  if (argument >= 0) a.argument_type = input_schema().fields[argument].type;
  a.distinct = distinct;
  a.filter = filter;
  return a;
}

inline AggregateSpec aggregate(AggregateFunction f, int argument, AggregateParameters parameters, int by = -1,
                               bool distinct = false) {
  AggregateSpec a = aggregate(f, argument, distinct);
  a.parameters = std::move(parameters);
  a.by = by;
  if (by >= 0) a.by_type = input_schema().fields[by].type;
  return a;
}

inline Batch batch_of(const Event* events, std::size_t n) {
  Batch b;
  b.schema = &input_schema();
  b.rows = static_cast<std::uint32_t>(n);
  Arena& arena = b.add_arena();
  auto* time = arena.make<EventTime>(n);
  auto* firing = arena.make<EventTime>(n);
  auto* retention = arena.make<EventTime>(n);
  auto* flags = arena.make<std::uint8_t>(n);
  for (std::size_t i = 0; i < n; ++i) {
    flags[i] = static_cast<std::uint8_t>(events[i].row.op);
    time[i] = events[i].row.time;
    firing[i] = events[i].at.firing;
    retention[i] = events[i].at.retention;
  }
  auto column = [&]<class T>(DataType type, T, auto value_of) {
    T* data = static_cast<T*>(arena.allocate(n * sizeof(T), 16));
    auto* valid = arena.make<std::uint8_t>(n);
    for (std::size_t i = 0; i < n; ++i) {
      const auto v = value_of(events[i].row);
      valid[i] = v.has_value() ? 1 : 0;
      data[i] = v.has_value() ? T(*v) : T{};
    }
    b.columns.push_back({type, data, valid});
  };
  auto text = [&](const std::optional<std::string>& s) {
    return s ? std::optional<std::string_view>(arena.copy(*s)) : std::nullopt;
  };
  column(types::string, std::string_view{}, [&](const Row& r) { return text(r.name); });
  column(types::int64, std::int64_t{}, [](const Row& r) { return std::optional(r.shard); });
  column(types::int64, std::int64_t{}, [](const Row& r) { return r.v; });
  column(types::decimal(10, 2), Decimal{}, [](const Row& r) { return r.price; });
  column(types::string, std::string_view{}, [&](const Row& r) { return text(r.device); });
  column(types::boolean, std::uint8_t{}, [](const Row& r) { return r.ok; });
  column(types::float64, double{}, [](const Row& r) { return r.ratio; });
  b.time = time;
  b.firing = firing;
  b.retention = retention;
  b.flags = flags;
  return b;
}

inline std::string text_of(const Column& c, std::size_t row) {
  if (c.is_null(row)) return "NULL";
  if (c.type.kind >= TypeKind::array) {
    std::string json;
    append_json(c.type, &c.as<std::string_view>()[row], JsonTimestamps::iso8601, json);
    return json;
  }
  switch (c.type.kind) {
    case TypeKind::string: return "'" + std::string(c.as<std::string_view>()[row]) + "'";
    case TypeKind::decimal: return decimal_to_string(c.as<Decimal>()[row], c.type.scale);
    case TypeKind::float64: return fmt::format("{:.9g}", c.as<double>()[row]);
    case TypeKind::boolean: return c.as<std::uint8_t>()[row] ? "true" : "false";
    default: return fmt::format("{}", c.as<std::int64_t>()[row]);
  }
}

inline std::string op_text(std::uint8_t flags) {
  static const char* const names[] = {"+I", "-U", "+U", "-D"};
  return std::string(names[flags & kOpMask]) + ((flags & kProvisionalFlag) != 0 ? "?" : "") +
         ((flags & kForStepsFlag) != 0 ? "s" : "");
}

// The rows that are left when every change is carried out. What a change takes back must be there.
class Table {
 public:
  void take(const Batch& b, std::size_t keys) {
    for (std::size_t r = 0; r < b.rows; ++r) {
      std::string key, values;
      for (std::size_t c = 0; c < b.columns.size(); ++c) (c < keys ? key : values) += " " + text_of(b.columns[c], r);
      const auto at = rows.find(key);
      switch (op_of(b.flag(r))) {
        case RowOp::insert:
          if (at != rows.end()) problems.push_back("inserted twice:" + key);
          rows[key] = values;
          break;
        case RowOp::update_after: rows[key] = values; break;
        case RowOp::update_before:
        case RowOp::remove:
          ++retractions;
          if (at == rows.end() || at->second != values)
            problems.push_back("takes back what was not said:" + key + values);
          else if (op_of(b.flag(r)) == RowOp::remove)
            rows.erase(at);
      }
    }
  }
  std::map<std::string, std::string> rows;
  std::vector<std::string> problems;
  std::size_t retractions = 0;
};

// Everything an operator said, one line a row.
class Recorder : public Output {
 public:
  void emit(Batch&& b) override {
    if (identity > 0) table.take(b, identity);
    for (std::size_t r = 0; r < b.rows; ++r) {
      std::string line = op_text(b.flag(r));
      for (const Column& c : b.columns) line += " " + text_of(c, r);
      line += fmt::format(" @{} after {}/{}", b.time[r], b.firing[r], b.retention[r]);
      rows.push_back(line);
      if (b.time[r] <= b.retention[r]) problems.push_back("late for the next step: " + line);
    }
  }
  void watermark(Watermark w) override {
    if (w.firing < last.firing || w.retention < last.retention) problems.push_back("watermark went back");
    last = w;
  }
  // Portions end here and there: nothing may show it.
  bool has_room() const override { return full_every == 0 || ++asked_ % full_every != 0; }
  void late(Batch&& b) override {
    for (std::size_t r = 0; r < b.rows; ++r) late_rows.push_back(b.time[r]);
  }
  void failed(const Batch& b, std::uint32_t row, std::string_view reason) override {
    failures.push_back(fmt::format("{} {}", text_of(b.columns[0], row), reason));
  }

  std::vector<std::string> rows, problems, failures;
  std::vector<EventTime> late_rows;
  Watermark last;
  Table table;
  unsigned full_every = 0;   // so many questions for room; 0: always room
  std::size_t identity = 0;  // the first columns, by which a result is known; 0: changes are not carried out

 private:
  mutable unsigned asked_ = 0;
};

// State as a checkpoint keeps it: deltas folded, the last put wins.
class StateImage {
 public:
  void apply(std::string_view delta, unsigned shard = 0, unsigned shards = 1) {
    DeltaReader reader(delta);
    StateEntry e;
    while (reader.next(e).value()) {
      const Place place{e.space, e.tag, e.key_group, std::string(e.key)};
      if (e.kind == StateEntry::Kind::put) entries[place] = std::string(e.value);
      if (e.kind == StateEntry::Kind::erase) entries.erase(place);
      if (e.kind == StateEntry::Kind::drop_below)
        std::erase_if(entries, [&](const auto& x) {
          return x.first.space == e.space && x.first.tag < e.tag && shard_of_group(x.first.group, shards) == shard;
        });
    }
  }
  void restore(Operator& op, unsigned shard = 0, unsigned shards = 1) const {
    for (const auto& [p, value] : entries) {
      if (shard_of_group(p.group, shards) != shard) continue;
      const Status s = op.restore({StateEntry::Kind::put, p.space, p.group, p.tag, p.key, value});
      TS_CHECK(s.has_value());
    }
  }
  struct Place {
    std::uint8_t space;
    std::int64_t tag;
    std::uint16_t group;
    std::string key;
    auto operator<=>(const Place&) const = default;
  };
  std::map<Place, std::string> entries;
};

inline Schema schema_of(const WindowSpec& spec) {
  std::vector<std::string> keys, aggregates;
  for (const int c : spec.key_columns) keys.push_back(input_schema().fields[c].name);
  for (std::size_t i = 0; i < spec.aggregates.size(); ++i) aggregates.push_back(fmt::format("a{}", i));
  return window_output_schema(spec, keys, aggregates);
}

// What is left of the last call; `between` its portions. How many there were.
inline std::size_t drain(Operator& op, Output& out, const std::function<void()>& between = {}) {
  std::size_t portions = 0;
  for (; op.pending(); ++portions) {
    if (between) between();
    op.resume(out);
  }
  return portions;
}

inline void finish(Operator& op, Output& out, const std::function<void()>& between = {}) {
  op.finish(out);
  drain(op, out, between);
}

// Feeds events [from, to) in batches of at most `batch` rows.
inline void feed(Operator& op, const std::vector<Event>& events, std::size_t from, std::size_t to, std::size_t batch,
                 Output& out, const std::function<void()>& between = {}) {
  for (std::size_t i = from; i < to;) {
    if (!events[i].is_row) {
      op.watermark(0, events[i].at, out);
      drain(op, out, between);
      ++i;
      continue;
    }
    std::size_t n = 0;
    while (i + n < to && n < batch && events[i + n].is_row) ++n;
    op.process(0, batch_of(&events[i], n), out);
    drain(op, out, between);
    i += n;
  }
}

}  // namespace twinspan::testing
