#pragma once
// Rows for accumulators, and one block of them with its memory, for the tests of aggregate functions. Thread: any.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "engine/aggregates/accumulators.h"
#include "engine/base/json_text.h"
#include "engine/base/nested.h"

namespace twinspan::testing {

using namespace twinspan::engine;

using Cell = std::variant<std::monostate, std::int64_t, double, Decimal, std::string, bool>;  // monostate: NULL

struct Row {
  EventTime time = 0;
  Cell x, by;
  std::optional<bool> ok;
};

// The columns of the rows: x, by, ok.
inline constexpr int kX = 0, kBy = 1, kOk = 2;

inline AggregateSpec spec_of(AggregateFunction function, DataType x, AggregateParameters parameters = {}) {
  AggregateSpec s;
  s.function = function;
  s.argument = kX;
  s.argument_type = x;
  s.parameters = std::move(parameters);
  return s;
}

inline Column column_of(DataType type, const std::vector<Cell>& cells, Arena& arena) {
  const std::size_t width = value_width(type.kind);
  char* data = static_cast<char*>(arena.allocate(cells.size() * width + 1, 16));
  auto* valid = arena.make<std::uint8_t>(cells.size() + 1);
  for (std::size_t i = 0; i < cells.size(); ++i) {
    std::memset(data + i * width, 0, width);
    valid[i] = cells[i].index() == 0 ? 0 : 1;
    std::visit(
        [&]<class T>(const T& v) {
          if constexpr (std::is_same_v<T, std::string>) {
            const std::string_view s = arena.copy(v);
            std::memcpy(data + i * width, &s, sizeof s);
          } else if constexpr (std::is_same_v<T, bool>) {
            data[i] = v ? 1 : 0;
          } else if constexpr (!std::is_same_v<T, std::monostate>) {
            std::memcpy(data + i * width, &v, sizeof v);
          }
        },
        cells[i]);
  }
  return {type, data, valid};
}

inline Batch batch_of(const std::vector<Row>& rows, DataType x, DataType by = types::int64) {
  Batch b;
  b.rows = static_cast<std::uint32_t>(rows.size());
  Arena& arena = b.add_arena();
  std::vector<Cell> xs, bys, oks;
  auto* time = arena.make<EventTime>(rows.size() + 1);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    time[i] = rows[i].time;
    xs.push_back(rows[i].x);
    bys.push_back(rows[i].by);
    oks.emplace_back();
    if (rows[i].ok) oks.back() = *rows[i].ok;
  }
  b.time = time;
  b.columns = {column_of(x, xs, arena), column_of(by, bys, arena), column_of(types::boolean, oks, arena)};
  return b;
}

inline std::string text_of(DataType type, const char* value, bool valid) {
  if (!valid) return "NULL";
  if (type.kind >= TypeKind::array) {
    std::string json;
    append_json(type, value, JsonTimestamps::iso8601, json);
    return json;
  }
  const Column c{type, value, nullptr};
  switch (type.kind) {
    case TypeKind::string:
    case TypeKind::bytes: return std::string(c.as<std::string_view>()[0]);
    case TypeKind::decimal: return decimal_to_string(c.as<Decimal>()[0], type.scale);
    case TypeKind::float64: return fmt::format("{}", c.as<double>()[0]);
    case TypeKind::boolean: return c.as<std::uint8_t>()[0] != 0 ? "true" : "false";
    default: return fmt::format("{}", c.as<std::int64_t>()[0]);
  }
}

// One key's values. Copies share what lies in the memory: one of them is to be used.
class Block {
 public:
  Block(const Accumulators& accumulators, BlockMemory& memory)
      : accumulators_(&accumulators), memory_(&memory), words_(accumulators.bytes() / 8 + 1) {}

  char* data() { return reinterpret_cast<char*>(words_.data()); }
  const char* data() const { return reinterpret_cast<const char*>(words_.data()); }

  Block& add(const Batch& b, std::size_t group = 1024) { return each(b, group, false); }
  Block& remove(const Batch& b, std::size_t group = 1024) { return each(b, group, true); }
  Block& merge(const Block& from) {
    accumulators_->merge(from.data(), data(), *memory_);
    return *this;
  }
  void reset() { accumulators_->reset(data(), *memory_); }
  std::string saved() const {
    std::string bytes;
    accumulators_->save(data(), bytes);
    return bytes;
  }
  bool load(std::string_view bytes) { return accumulators_->load(bytes, data(), *memory_) && bytes.empty(); }
  // The result as text; "out of range" if it has none.
  std::string result(const AggregateSpec& spec, std::size_t aggregate = 0) const {
    Arena arena;
    const DataType type = aggregate_result_type(spec).value();
    alignas(16) char value[16] = {};
    std::uint8_t valid = 0;
    if (!accumulators_->finish(aggregate, data(), value, &valid, 0, arena)) return "out of range";
    return text_of(type, value, valid != 0);
  }

 private:
  Block& each(const Batch& b, std::size_t group, bool remove) {
    std::vector<std::uint32_t> rows(b.rows);
    std::vector<char*> blocks(b.rows, data());
    for (std::uint32_t i = 0; i < b.rows; ++i) rows[i] = i;
    for (std::size_t i = 0; i < b.rows; i += group) {
      const auto n = static_cast<std::uint32_t>(std::min(group, b.rows - i));
      if (remove)
        accumulators_->retract(b, &rows[i], &blocks[i], n, *memory_);
      else
        accumulators_->update(b, &rows[i], &blocks[i], n, *memory_);
    }
    return *this;
  }

  const Accumulators* accumulators_;
  BlockMemory* memory_;
  std::vector<std::uint64_t> words_;
};

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}
  std::int64_t to(std::int64_t n) { return static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(n)); }
  bool one_in(std::int64_t n) { return to(n) == 0; }
  double unit() { return static_cast<double>(random_() >> 11) * 0x1p-53; }
  std::mt19937_64& random() { return random_; }

 private:
  std::mt19937_64 random_;
};

// A value of this type; few different ones, and now and then an extreme one.
inline Cell random_cell(Dice& dice, DataType type) {
  if (dice.one_in(8)) return {};
  switch (type.kind) {
    case TypeKind::boolean: return dice.one_in(2);
    case TypeKind::float64: {
      if (dice.one_in(10)) return std::ldexp(dice.unit() - 0.5, static_cast<int>(dice.to(2000)) - 1000);
      return (dice.unit() - 0.5) * 1000;
    }
    case TypeKind::decimal: {
      Decimal v = dice.to(1'000'000) - 500'000;
      if (dice.one_in(20))
        for (int i = 0; i < 30; ++i) v *= 10;
      return v;
    }
    case TypeKind::string:
    case TypeKind::bytes: {
      std::string s(static_cast<std::size_t>(dice.to(dice.one_in(10) ? 200 : 6)), '\0');
      for (char& c : s) c = static_cast<char>("abcxyz\"\\\n\xC3"[dice.to(type.kind == TypeKind::bytes ? 10 : 8)]);
      return s;
    }
    default: {
      if (dice.one_in(20)) return static_cast<std::int64_t>(dice.random()());
      return dice.to(60) - 30;
    }
  }
}

inline std::vector<Row> random_rows(Dice& dice, std::size_t n, DataType x, DataType by = types::int64) {
  std::vector<Row> rows(n);
  for (std::size_t i = 0; i < n; ++i) {
    rows[i].time = dice.to(40);
    rows[i].x = random_cell(dice, x);
    rows[i].by = random_cell(dice, by);
    if (!dice.one_in(5)) rows[i].ok = !dice.one_in(3);
  }
  return rows;
}

}  // namespace twinspan::testing
