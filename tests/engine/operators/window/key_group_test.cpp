#include "engine/operators/key_group.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace twinspan::engine {
namespace {

TEST(KeyGroupTest, SameKeyLooksAtEveryByte) {
  for (std::size_t n = 0; n <= 80; ++n) {
    const std::string a(n, 'x');
    EXPECT_TRUE(same_key(a, std::string(n, 'x'))) << n;
    EXPECT_FALSE(same_key(a, a + "x")) << n;
    for (std::size_t at = 0; at < n; ++at) {
      std::string b = a;
      b[at] = 'y';
      EXPECT_FALSE(same_key(a, b)) << n << " at " << at;
    }
  }
}

// Strings of every length, NULLs, and rows chosen here and there: the codec's own encoding and hash, and what columns
// are made of it again, one by one or together.
TEST(KeyGroupTest, EncodesAsTheCodecDoes) {
  std::mt19937 random(3);
  Arena arena;
  Batch batch;
  batch.rows = 200;
  auto* text = arena.make<std::string_view>(batch.rows);
  auto* valid = arena.make<std::uint8_t>(batch.rows);
  auto* number = arena.make<std::int64_t>(batch.rows);
  for (std::uint32_t r = 0; r < batch.rows; ++r) {
    text[r] = arena.copy(std::string(r % 90, static_cast<char>('a' + r % 26)));
    valid[r] = random() % 7 == 0 ? 0 : 1;
    number[r] = r % 5;
  }
  batch.columns = {{types::string, text, valid}, {types::int64, number, nullptr}};
  for (const std::vector<int>& columns : {std::vector<int>{0}, {1}, {0, 1}, {}}) {
    std::vector<DataType> kinds;
    for (const int c : columns) kinds.push_back(batch.columns[static_cast<std::size_t>(c)].type);
    const RowCodec codec(columns, kinds);
    std::vector<std::uint64_t> hash(batch.rows);
    codec.hash(batch, hash.data());
    std::vector<std::string> encoded(batch.rows);
    std::vector<const char*> rows_of_bytes(batch.rows);
    KeyGroup keys(codec);
    for (std::uint32_t from = 0; from < batch.rows;) {
      const std::uint32_t n = std::min<std::uint32_t>(1 + random() % KeyGroup::kRows, batch.rows - from);
      std::vector<std::uint32_t> rows(n);
      std::iota(rows.begin(), rows.end(), from);
      keys.encode(batch, rows.data(), n);
      for (std::uint32_t i = 0; i < n; ++i) {
        codec.append(batch, from + i, encoded[from + i]);
        EXPECT_EQ(keys.key(i), encoded[from + i]);
        EXPECT_EQ(keys.hash(i), hash[from + i]);
        EXPECT_EQ(encoded[from + i].size(), codec.encoded_size(batch, from + i));
        EXPECT_TRUE(codec.well_formed(encoded[from + i]));
        rows_of_bytes[from + i] = encoded[from + i].data();
      }
      from += n;
    }
    RowColumns made(kinds, batch.rows, arena);
    for (std::uint32_t from = 0; from < batch.rows;) {
      const std::uint32_t n = std::min<std::uint32_t>(1 + random() % 50, batch.rows - from);
      made.append(rows_of_bytes.data() + from, n);
      from += n;
    }
    const std::vector<Column> got = made.finish();
    ASSERT_EQ(got.size(), columns.size());
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const Column& want = batch.columns[static_cast<std::size_t>(columns[c])];
      for (std::uint32_t r = 0; r < batch.rows; ++r) {
        ASSERT_EQ(got[c].is_null(r), want.is_null(r));
        if (want.is_null(r)) continue;
        if (want.type.kind == TypeKind::string)
          EXPECT_EQ(got[c].as<std::string_view>()[r], text[r]);
        else
          EXPECT_EQ(got[c].as<std::int64_t>()[r], number[r]);
      }
    }
  }
}

}  // namespace
}  // namespace twinspan::engine
