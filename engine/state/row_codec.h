#pragma once
// Rows as bytes: the keys of state, and the rows that joins keep. Packed as null bits, fixed-width values, then each
// string as u32 length and bytes; arrays, maps, rows and json are strings here (base/nested.h). Two rows are equal
// exactly if their bytes are: -0.0 is stored as 0.0 and every NaN as one NaN, NULL equals NULL (GROUP BY; joins test
// for NULL keys before). Thread: any one.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/batch.h"
#include "engine/base/result.h"

namespace twinspan::engine {

class RowCodec {
 public:
  // `columns`: which columns of the input batches, in which order. `types`: their types.
  RowCodec(std::vector<int> columns, std::vector<DataType> types);

  std::size_t columns() const { return columns_.size(); }
  const std::vector<DataType>& types() const { return types_; }

  std::size_t encoded_size(const Batch& batch, std::size_t row) const;
  // Of rows that are encoded next: begins to load the strings of those and of as many behind them.
  void encoded_sizes(const Batch& batch, const std::uint32_t* rows, std::uint32_t n, std::size_t* sizes) const;
  // `to` has encoded_size() bytes. Returns the end.
  char* encode(const Batch& batch, std::size_t row, char* to) const;
  void append(const Batch& batch, std::size_t row, std::string& to) const;
  bool any_null(const Batch& batch, std::size_t row) const;

  // XXH3-64 of the encoded row for every row of the batch. NULLs hash like any other value.
  void hash(const Batch& batch, std::uint64_t* out) const;

  // Whether `bytes` can be an encoded row: all lengths fit. For bytes that come from disk.
  bool well_formed(std::string_view bytes) const;

 private:
  std::vector<int> columns_;
  std::vector<DataType> types_;
  std::size_t fixed_size_ = 0;  // null bits and fixed-width values
  bool strings_ = false;        // there are string-like columns
  bool one_string_ = false;     // and nothing else, as in most keys
};

// Builds columns from encoded rows (join and window results). Values are copied into the arena.
class RowColumns {
 public:
  RowColumns(const std::vector<DataType>& types, std::size_t capacity, Arena& arena);
  void append(std::string_view encoded);                   // must be well-formed
  void append(const char* const* encoded, std::size_t n);  // several times faster than one by one
  std::size_t rows() const { return rows_; }
  std::vector<Column> finish() const;

 private:
  struct Target {
    DataType type;
    char* data;
    std::uint8_t* valid;
    bool nulls;
  };
  std::vector<Target> targets_;
  std::vector<const char*> cursors_;
  std::size_t rows_ = 0, capacity_;
  Arena& arena_;
};

// The same for rows that all lie in memory already, column by column, which is several times faster: rows[i] points to
// a well-formed encoded row; nullptr is a row of NULLs.
std::vector<Column> decode_rows(const std::vector<DataType>& types, const char* const* rows, std::size_t n,
                                Arena& arena);

}  // namespace twinspan::engine
