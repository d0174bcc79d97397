// Rows with arrays, maps, rows and json as state keeps them.
#include <gtest/gtest.h>

#include "engine/base/json_reader.h"
#include "engine/base/json_text.h"
#include "engine/state/row_codec.h"

namespace twinspan::engine {
namespace {

TEST(RowCodecNested, ValuesComeBackByRowAndByColumn) {
  const std::vector<DataType> types = {*parse_type("array<string>"), types::int64,
                                       *parse_type("map<string, decimal(9,2)>"),
                                       *parse_type("row<a int64, b array<row<c string>>>"), types::json};
  const std::vector<std::vector<const char*>> rows = {
      {R"(["a","bc",null])", "1", R"({"x":1.50})", R"({"a":5,"b":[{"c":"d"},{"c":null}]})", R"({"any":[1,2]})"},
      {"null", "null", "null", "null", "null"},
      {"[]", "2", "{}", R"({"a":null,"b":[]})", "17"},
  };
  Batch batch;
  batch.rows = static_cast<std::uint32_t>(rows.size());
  Arena& arena = batch.add_arena();
  std::vector<int> columns;
  for (std::size_t c = 0; c < types.size(); ++c) {
    columns.push_back(static_cast<int>(c));
    const std::size_t width = value_width(types[c].kind);
    auto* data = static_cast<char*>(arena.allocate(width * rows.size(), 16));
    auto* valid = arena.make<std::uint8_t>(rows.size());
    JsonReader reader(types[c]);
    for (std::size_t r = 0; r < rows.size(); ++r) {
      std::memset(data + r * width, 0, width);
      valid[r] = reader.read(rows[r][c], arena, data + r * width) == JsonReader::Outcome::value;
    }
    batch.columns.push_back({types[c], data, valid});
  }
  const RowCodec codec(columns, types);
  std::vector<std::string> encoded;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    encoded.emplace_back();
    codec.append(batch, r, encoded.back());
    EXPECT_TRUE(codec.well_formed(encoded.back()));
    // Any shorter row is refused: the last column is a text to its end.
    for (std::size_t n = 0; n < encoded.back().size(); ++n)
      EXPECT_FALSE(codec.well_formed(std::string_view(encoded.back()).substr(0, n))) << r << " cut at " << n;
  }
  Arena out;
  RowColumns by_row(types, rows.size(), out);
  std::vector<const char*> pointers;
  for (const std::string& e : encoded) {
    by_row.append(e);
    pointers.push_back(e.data());
  }
  const std::vector<Column> a = by_row.finish(), b = decode_rows(types, pointers.data(), pointers.size(), out);
  encoded.clear();  // columns own their bytes
  for (const auto* decoded : {&a, &b}) {
    for (std::size_t c = 0; c < types.size(); ++c) {
      for (std::size_t r = 0; r < rows.size(); ++r) {
        const Column& column = (*decoded)[c];
        std::string text;
        if (column.is_null(r))
          text = "null";
        else
          append_json(column.type, static_cast<const char*>(column.data) + r * value_width(column.type.kind),
                      JsonTimestamps::iso8601, text);
        EXPECT_EQ(text, rows[r][c]);
      }
    }
  }
}

}  // namespace
}  // namespace twinspan::engine
