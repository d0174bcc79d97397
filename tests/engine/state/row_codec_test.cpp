#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "engine/state/row_codec.h"

namespace twinspan::engine {
namespace {

const std::vector<DataType> kTypes = {types::int64,          types::string, types::boolean,
                                      types::float64,        types::bytes,  types::timestamp,
                                      types::decimal(20, 2), types::string, types::duration};

template <class T>
const T* values(Arena& arena, std::size_t n, auto&& value) {
  T* to = arena.make<T>(n);
  for (std::size_t i = 0; i < n; ++i) to[i] = value(i);
  return to;
}

Batch random_batch(std::uint64_t seed, std::size_t n) {
  std::mt19937_64 random(seed);
  Batch b;
  b.rows = static_cast<std::uint32_t>(n);
  Arena& arena = b.add_arena();
  for (DataType t : kTypes) {
    Column c{t, nullptr, nullptr};
    switch (value_width(t.kind)) {
      case 1: c.data = values<std::uint8_t>(arena, n, [&](std::size_t) { return random() % 2; }); break;
      case 8:
        if (t == types::float64)
          c.data = values<double>(arena, n, [&](std::size_t) { return static_cast<double>(random() % 5) / 4; });
        else
          c.data = values<std::int64_t>(arena, n, [&](std::size_t) { return static_cast<std::int64_t>(random()); });
        break;
      default:
        if (t.is_string_like())
          c.data = values<std::string_view>(arena, n,
                                            [&](std::size_t) { return arena.copy(std::string(random() % 20, 'x')); });
        else
          c.data = values<Decimal>(arena, n, [&](std::size_t) { return static_cast<Decimal>(random()) << 40; });
    }
    if (random() % 2 == 0) c.valid = values<std::uint8_t>(arena, n, [&](std::size_t) { return random() % 4 != 0; });
    b.columns.push_back(c);
  }
  return b;
}

RowCodec codec_of_all() {
  std::vector<int> columns;
  for (std::size_t i = 0; i < kTypes.size(); ++i) columns.push_back(static_cast<int>(i));
  return {columns, kTypes};
}

TEST(RowCodec, ColumnsComeBackAsTheyWereByRowAndByColumn) {
  const RowCodec codec = codec_of_all();
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    const std::size_t n = 1 + seed % 40;
    const Batch b = random_batch(seed, n);
    std::vector<std::string> rows(n);
    std::vector<const char*> pointers;
    Arena arena;
    RowColumns by_row(kTypes, n, arena);
    for (std::size_t r = 0; r < n; ++r) {
      codec.append(b, r, rows[r]);
      ASSERT_EQ(rows[r].size(), codec.encoded_size(b, r));
      ASSERT_TRUE(codec.well_formed(rows[r]));
      by_row.append(rows[r]);
      pointers.push_back(rows[r].data());
    }
    for (auto columns : {by_row.finish(), decode_rows(kTypes, pointers.data(), n, arena)}) {
      Batch back;
      back.rows = b.rows;
      back.columns = columns;
      for (std::size_t r = 0; r < n; ++r) {
        std::string again;
        codec.append(back, r, again);
        ASSERT_EQ(again, rows[r]) << "seed " << seed << " row " << r;
        for (std::size_t c = 0; c < kTypes.size(); ++c) ASSERT_EQ(back.columns[c].is_null(r), b.columns[c].is_null(r));
      }
    }
  }
}

TEST(RowCodec, AMissingRowDecodesToNulls) {
  const RowCodec codec = codec_of_all();
  const Batch b = random_batch(3, 1);
  std::string row;
  codec.append(b, 0, row);
  const char* rows[] = {nullptr, row.data(), nullptr};
  Arena arena;
  const std::vector<Column> columns = decode_rows(kTypes, rows, 3, arena);
  for (std::size_t c = 0; c < kTypes.size(); ++c) {
    EXPECT_TRUE(columns[c].is_null(0));
    EXPECT_EQ(columns[c].is_null(1), b.columns[c].is_null(0));
    EXPECT_TRUE(columns[c].is_null(2));
    if (kTypes[c].is_string_like()) {
      EXPECT_TRUE(columns[c].as<std::string_view>()[2].empty());
    }
  }
}

TEST(RowCodec, EqualValuesAreEqualBytes) {
  const RowCodec codec({0}, {types::float64});
  const double v[] = {0.0, -0.0, std::nan("1"), -std::numeric_limits<double>::quiet_NaN()};
  Batch b;
  b.rows = 4;
  b.columns = {{types::float64, v, nullptr}};
  std::string rows[4];
  for (std::size_t i = 0; i < 4; ++i) codec.append(b, i, rows[i]);
  EXPECT_EQ(rows[0], rows[1]);
  EXPECT_EQ(rows[2], rows[3]);
  EXPECT_NE(rows[0], rows[2]);
  std::uint64_t hash[4];
  codec.hash(b, hash);
  EXPECT_EQ(hash[0], hash[1]);
  EXPECT_EQ(hash[2], hash[3]);
}

TEST(RowCodec, CutOrLongerBytesAreNotWellFormed) {
  const RowCodec codec = codec_of_all();
  const Batch b = random_batch(9, 1);
  std::string row;
  codec.append(b, 0, row);
  for (std::size_t n = 0; n < row.size(); ++n) EXPECT_FALSE(codec.well_formed(std::string_view(row).substr(0, n))) << n;
  EXPECT_FALSE(codec.well_formed(row + "x"));
}

}  // namespace
}  // namespace twinspan::engine
