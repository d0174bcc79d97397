#pragma once
// The unit of work: up to about 1 024 rows as typed columns, with what every row carries beside its fields (event time,
// op, the watermarks before it, where it came from). Columns are views; arenas own the bytes and the batch keeps them
// alive, so projecting or moving a batch copies no value. A batch is immutable once it has been emitted, except that
// its single owner may drop or add columns. Layout after Arrow and performance.md D.3. Thread: one at a time; a batch
// may be moved to another thread whole.

#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/types.h"

namespace twinspan {

// Bump allocator; freed whole. Never moves what it handed out. Sizes in bytes.
class Arena {
 public:
  explicit Arena(std::size_t first_block = 64 * 1024) : next_block_(first_block) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  void* allocate(std::size_t bytes, std::size_t align = 8) {
    std::size_t at = (used_ + align - 1) & ~(align - 1);
    if (blocks_.empty() || at + bytes > size_) [[unlikely]] {
      grow(bytes + align);
      at = (used_ + align - 1) & ~(align - 1);
    }
    used_ = at + bytes;
    return current_ + at;
  }
  template <class T>
  T* make(std::size_t n) {
    return static_cast<T*>(allocate(n * sizeof(T), alignof(T)));
  }
  std::string_view copy(std::string_view s) {
    if (s.empty()) return {current_empty(), 0};
    char* p = static_cast<char*>(allocate(s.size(), 1));
    std::memcpy(p, s.data(), s.size());
    return {p, s.size()};
  }
  std::size_t bytes() const { return total_; }
  void clear();  // forgets what it handed out; its newest block serves what comes next

 private:
  static const char* current_empty() { return ""; }
  void grow(std::size_t at_least);

  std::vector<std::unique_ptr<char[]>> blocks_;
  char* current_ = nullptr;
  std::size_t used_ = 0, size_ = 0, total_ = 0;
  std::size_t next_block_;
};

// A view of one column. NULL rows hold an unspecified (but readable) value.
struct Column {
  DataType type;
  const void* data = nullptr;           // rows x value_width(type.kind)
  const std::uint8_t* valid = nullptr;  // one byte a row, 1 = has a value; nullptr = no row is NULL

  template <class T>
  const T* as() const {
    return static_cast<const T*>(data);
  }
  bool is_null(std::size_t row) const { return valid != nullptr && valid[row] == 0; }
};

// What a row does to the result downstream (Flink's RowKind). update_before and remove take a former row back.
enum class RowOp : std::uint8_t { insert = 0, update_before = 1, update_after = 2, remove = 3 };
inline constexpr std::uint8_t kOpMask = 0x03;
inline constexpr std::uint8_t kProvisionalFlag = 0x80;  // fired while F > R: goes out with the header `final: false`
// An update_before that only steps need (they always get old and new value); sinks leave it out unless the window that
// made it is `retracting`.
inline constexpr std::uint8_t kForStepsFlag = 0x40;
inline RowOp op_of(std::uint8_t flags) { return static_cast<RowOp>(flags & kOpMask); }
inline bool is_retraction(std::uint8_t flags) { return (flags & 1) != 0; }

// Where the rows of a decoded batch came from; shared by everything derived from it row by row (dead letters need it).
struct Origins {
  std::vector<LaneIndex> lane;
  std::vector<std::int64_t> offset;
  std::vector<std::string_view> payload;  // the record's own bytes, in an arena of the batch
};

struct Batch;

// Rows of one key that were counted together before they were sent to their window (engine/operators/combine_rows.h).
// They stand in a batch as one row, at the place of the first.
struct CombinedRows {
  const char* block = nullptr;           // what they count: a block of the window's Accumulators; nullptr: nothing
  const Batch* rows = nullptr;           // as they came, for whoever has to take them one by one: these of it
  const std::uint32_t* which = nullptr;  // ascending
  // 0: no rows; the end of the session that the row before began, or a count that is taken back.
  std::uint32_t n = 0;
  EventTime until = kMinTime;  // while F is less, nothing about any of them is decided
  bool only_time = false;      // no row at all: the watermark before it was seen by rows that were combined
};

struct Batch {
  const Schema* schema = nullptr;  // owned by the plan
  std::uint32_t rows = 0;
  std::vector<Column> columns;

  const EventTime* time = nullptr;      // event time of each row; never nullptr when rows > 0
  const std::uint8_t* flags = nullptr;  // RowOp and flags; nullptr = all inserts, final
  const std::uint64_t* hash = nullptr;  // XXH3 of the key of the next keyed step; nullptr = not computed
  // The watermark of this edge as it stood *just before* each row, so that results do not depend on batch boundaries.
  // nullptr = unchanged since the last watermark message or batch. When both are set and F = R they are one array.
  const EventTime* firing = nullptr;
  const EventTime* retention = nullptr;

  std::shared_ptr<const Origins> origins;     // nullptr once rows are no longer one source record each
  const std::uint32_t* origin_row = nullptr;  // row -> row of `origins`; nullptr = the same row

  // nullptr: every row is one row; else each that is not, the others nullptr. Only on the way into a window.
  const CombinedRows* const* combined = nullptr;
  std::shared_ptr<const void> combined_owner;  // of what they point to
  const std::uint32_t* row_before = nullptr;   // with `combined`: the row's number before rows were combined

  std::vector<std::shared_ptr<Arena>> arenas;

  std::uint8_t flag(std::size_t row) const { return flags == nullptr ? 0 : flags[row]; }
  bool only_time(std::size_t row) const {
    return combined != nullptr && combined[row] != nullptr && combined[row]->only_time;
  }
  Arena& add_arena() {
    arenas.push_back(std::make_shared<Arena>());
    return *arenas.back();
  }
  void keep_alive(const Batch& other) { arenas.insert(arenas.end(), other.arenas.begin(), other.arenas.end()); }
  std::size_t bytes() const;  // arena bytes kept alive; an upper bound used for back-pressure
};

// The rows named by `selection` (ascending), values copied into `arena` (string bytes stay where they are and are kept
// alive).
Batch gather(const Batch& batch, const std::uint32_t* selection, std::uint32_t n, std::shared_ptr<Arena> arena);
Column gather(const Column& column, const std::uint32_t* selection, std::uint32_t n, Arena& arena);

}  // namespace twinspan
