// Arrays of random sizes, NULL and empty ones, NULL elements, in batches of any size, against two nested loops.

#include "engine/operators/unnest.h"

#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <string>

#include "engine/base/nested.h"

namespace twinspan::engine {
namespace {

using Element = std::optional<std::string>;

struct Row {
  std::int64_t id = 0;
  std::optional<std::vector<Element>> array;
  EventTime time = 0;
  Watermark before;
  std::uint8_t flags = 0;
};

struct OutRow {
  std::int64_t id = 0;
  Element element;
  std::optional<std::int64_t> number;
  EventTime time = 0;
  Watermark before;
  std::uint8_t flags = 0;
  std::uint32_t origin = 0;
  friend bool operator==(const OutRow&, const OutRow&) = default;
};

std::string show(const OutRow& r) {
  return std::to_string(r.id) + " " + r.element.value_or("NULL") + " #" +
         (r.number ? std::to_string(*r.number) : "NULL") + " at " + std::to_string(r.time) + " of " +
         std::to_string(r.origin);
}

Batch batch_of(const std::vector<Row>& rows, std::size_t begin, std::size_t end) {
  static const Schema schema{{{"id", types::int64}, {"items", types::array(types::string)}}};
  const std::size_t n = end - begin;
  Batch b;
  b.schema = &schema;
  b.rows = static_cast<std::uint32_t>(n);
  Arena& arena = b.add_arena();
  auto* id = arena.make<std::int64_t>(n);
  auto* array = arena.make<std::string_view>(n);
  auto* valid = arena.make<std::uint8_t>(n);
  auto* time = arena.make<EventTime>(n);
  auto* firing = arena.make<EventTime>(n);
  auto* retention = arena.make<EventTime>(n);
  auto* flags = arena.make<std::uint8_t>(n);
  auto origins = std::make_shared<Origins>();
  ArrayBuilder builder(types::string);
  for (std::size_t i = 0; i < n; ++i) {
    const Row& r = rows[begin + i];
    id[i] = r.id;
    valid[i] = r.array.has_value();
    builder.clear();
    for (const Element& e : r.array.value_or(std::vector<Element>{})) {
      if (!e) {
        builder.add_null();
        continue;
      }
      const std::string_view v = *e;
      builder.add(&v);
    }
    array[i] = arena.copy(builder.finish());
    time[i] = r.time;
    firing[i] = r.before.firing;
    retention[i] = r.before.retention;
    flags[i] = r.flags;
    origins->lane.push_back({});
    origins->offset.push_back(r.id);
    origins->payload.push_back("");
  }
  b.columns = {{types::int64, id, nullptr}, {types::array(types::string), array, valid}};
  b.time = time;
  b.firing = firing;
  b.retention = retention;
  b.flags = flags;
  b.origins = origins;
  return b;
}

class Collector final : public Output {
 public:
  Collector(int element, int number) : element_(static_cast<std::size_t>(element)), number_(number) {}
  void emit(Batch&& b) override {
    EXPECT_GT(b.rows, 0u);
    EXPECT_LE(b.rows, 1024u);
    EXPECT_EQ(b.columns.size(), b.schema->fields.size());
    for (std::uint32_t i = 0; i < b.rows; ++i) {
      OutRow r{b.columns[0].as<std::int64_t>()[i], {}, {}, b.time[i], {b.firing[i], b.retention[i]}, b.flag(i), 0};
      const Column& e = b.columns[element_];
      if (!e.is_null(i)) r.element = std::string(e.as<std::string_view>()[i]);
      if (number_ >= 0 && !b.columns[static_cast<std::size_t>(number_)].is_null(i))
        r.number = b.columns[static_cast<std::size_t>(number_)].as<std::int64_t>()[i];
      r.origin = static_cast<std::uint32_t>(b.origins->offset[b.origin_row != nullptr ? b.origin_row[i] : i]);
      rows.push_back(r);
    }
  }
  void watermark(Watermark) override {}
  void late(Batch&&) override { ADD_FAILURE(); }
  void failed(const Batch&, std::uint32_t, std::string_view) override { ADD_FAILURE(); }
  bool has_room() const override { return (asked_++ % 2) == 0; }  // portions must not show
  std::vector<OutRow> rows;

 private:
  mutable unsigned asked_ = 0;
  std::size_t element_;
  int number_;
};

std::vector<Row> random_rows(std::mt19937_64& random) {
  std::vector<Row> out(1 + random() % 300);
  std::int64_t id = 0;
  for (Row& r : out) {
    r.id = id++;
    r.time = static_cast<EventTime>(random() % 100'000);
    r.before = {r.id, r.id / 2};
    r.flags = static_cast<std::uint8_t>(random() % 4);
    if (random() % 8 == 0) continue;
    const std::size_t most = random() % 40 == 0 ? 3'000 : 6;
    r.array.emplace(random() % (most + 1));
    for (Element& e : *r.array)
      if (random() % 6 != 0) e = std::string(random() % 30, static_cast<char>('a' + random() % 26));
  }
  return out;
}

TEST(Unnest, ElementsOfEveryRowInOrderAtEveryBatchSize) {
  std::size_t total = 0, portions = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    std::mt19937_64 random(seed);
    const std::vector<Row> rows = random_rows(random);
    UnnestSpec spec;
    spec.column = 1;
    spec.element = types::string;
    spec.into = random() % 2 == 0 ? 1 : -1;
    spec.ordinal = random() % 2 == 0;
    spec.keep_empty = random() % 2 == 0;
    spec.schema.fields = {{"id", types::int64},
                          {"items", spec.into == 1 ? types::string : types::array(types::string)}};
    if (spec.into < 0) spec.schema.fields.push_back({"item", types::string});
    if (spec.ordinal) spec.schema.fields.push_back({"n", types::int64});

    std::vector<OutRow> expected;
    for (const Row& r : rows) {
      OutRow o{r.id, {}, {}, r.time, r.before, r.flags, static_cast<std::uint32_t>(r.id)};
      if (!r.array || r.array->empty()) {
        if (spec.keep_empty) expected.push_back(o);
        continue;
      }
      for (std::size_t i = 0; i < r.array->size(); ++i) {
        o.element = (*r.array)[i];
        o.number.reset();
        if (spec.ordinal) o.number = static_cast<std::int64_t>(i) + 1;
        expected.push_back(o);
      }
    }
    total += expected.size();
    for (const std::size_t size : {1u, 7u, 1024u}) {
      Unnest op(spec);
      const int element = spec.into >= 0 ? spec.into : 2;
      Collector out(element, spec.ordinal ? static_cast<int>(spec.schema.fields.size()) - 1 : -1);
      for (std::size_t i = 0; i < rows.size(); i += size) {
        op.process(0, batch_of(rows, i, std::min(rows.size(), i + size)), out);
        for (; op.pending(); op.resume(out)) ++portions;
      }
      ASSERT_EQ(out.rows.size(), expected.size()) << "seed " << seed << ", batch size " << size;
      for (std::size_t i = 0; i < expected.size(); ++i)
        ASSERT_TRUE(out.rows[i] == expected[i]) << "seed " << seed << ", batch size " << size << ": row " << i << " is "
                                                << show(out.rows[i]) << ", not " << show(expected[i]);
      ASSERT_EQ(op.stats().rows_out, expected.size());
    }
  }
  EXPECT_GT(total, 50'000u);
  EXPECT_GT(portions, 100u);
}

TEST(Unnest, ElementsOfOtherTypes) {
  UnnestSpec spec;
  spec.column = 0;
  spec.element = types::decimal(18, 4);
  spec.into = 0;
  spec.schema.fields = {{"prices", spec.element}};
  ArrayBuilder builder(spec.element);
  const Decimal a = 12'500, b = -1;
  builder.add(&a);
  builder.add_null();
  builder.add(&b);
  const std::string_view packed = builder.finish();
  const EventTime time = 5, watermark = 1;
  Batch batch;
  batch.rows = 1;
  batch.columns = {{types::array(spec.element), &packed, nullptr}};
  batch.time = &time;
  batch.firing = batch.retention = &watermark;
  struct Decimals final : Output {
    void emit(Batch&& b) override {
      for (std::uint32_t i = 0; i < b.rows; ++i)
        text += b.columns[0].is_null(i) ? "NULL " : decimal_to_string(b.columns[0].as<Decimal>()[i], 4) + " ";
    }
    void watermark(Watermark) override {}
    void late(Batch&&) override {}
    void failed(const Batch&, std::uint32_t, std::string_view) override {}
    std::string text;
  } out;
  Unnest(spec).process(0, std::move(batch), out);
  EXPECT_EQ(out.text, "1.2500 NULL -0.0001 ");
}

}  // namespace
}  // namespace twinspan::engine
