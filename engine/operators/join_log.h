#pragma once
// The rows one side of a join keeps: packed, appended in arrival order into segments of up to 4 MiB. An address counts
// upwards for ever; rows below tail() are gone, which is how chains of rows end without anybody unlinking them.
// Segments leave only at the front, whole. What makes the front leave (expiry, or moving its last survivors) is
// JoinSide's business. After the log-structured state of FASTER (Chandramouli 2018) and the cleaning of Rosenblum's
// log-structured file system. Owner: JoinSide. Thread: shard.

#include <array>
#include <cstdint>
#include <deque>
#include <string_view>
#include <vector>

#include "engine/base/ids.h"
#include "engine/operators/join_memory.h"

namespace twinspan::engine {

using RowAddress = std::uint64_t;  // segment number << 22 | offset; 0 = none

// A row as it lies in the log; the encoded key and the encoded kept columns follow.
struct JoinRow {
  enum Flag : std::uint8_t {
    kMatched = 1,   // needs no unmatched output any more
    kSaved = 2,     // part of an earlier snapshot
    kMoved = 4,     // copied to a newer address; this one no longer counts
    kRemoved = 8,   // has had its one match
    kNullKey = 16,  // in no chain
    kChanged = 32,  // kMatched or kOut was set after kSaved
    kOut = 64,      // went out unmatched before the last word was spoken: a match takes that back
    kWaits = 128,   // in JoinSide::waiting()
  };
  static constexpr std::size_t kMaxKey = (1u << 24) - 1;
  static constexpr std::size_t kMaxSize = 1u << 30;

  EventTime time;
  std::uint64_t sequence;  // arrival order within the join, kept through restarts; low 7 bits: the key group
  RowAddress previous;     // next older row with this hash
  std::uint32_t size;      // of the whole row in bytes
  std::uint32_t key_size : 24;
  std::uint32_t flags : 8;

  const char* key_data() const { return reinterpret_cast<const char*>(this + 1); }
  char* key_data() { return reinterpret_cast<char*>(this + 1); }
  char* kept_data() { return key_data() + key_size; }
  const char* kept_data() const { return key_data() + key_size; }
  std::string_view key() const { return {key_data(), key_size}; }
  std::string_view kept() const { return {kept_data(), size - sizeof(JoinRow) - key_size}; }
  bool has(unsigned flag) const { return (flags & flag) != 0; }
};
static_assert(sizeof(JoinRow) == 32);

class RowLog {
 public:
  static constexpr unsigned kSegmentBits = 22;
  static constexpr std::size_t kSegmentBytes = std::size_t{1} << kSegmentBits;
  static constexpr std::size_t kSmallest = 64u << 10;
  static constexpr std::size_t kQuantiles = 16;

  struct Segment {
    PageBlock memory;
    std::uint64_t number = 0;
    std::uint32_t used = 0, rows = 0;
    std::uint32_t removed = 0;  // rows that were removed, or moved away
    EventTime max_time = kMinTime;
    std::array<EventTime, kQuantiles> quantiles{};  // of the row times, from a sample; set when sealed
  };
  struct Place {
    RowAddress address;
    JoinRow* row;
  };

  // `largest`: bytes of a segment once there is much state; at most kSegmentBytes.
  explicit RowLog(std::size_t largest = kSegmentBytes)
      : largest_(largest), smallest_(largest < kSmallest ? largest : kSmallest) {}

  JoinRow* at(RowAddress address) const {
    return reinterpret_cast<JoinRow*>(bases_[(address >> kSegmentBits) - first_] + (address & (kSegmentBytes - 1)));
  }
  RowAddress tail() const { return first_ << kSegmentBits; }
  RowAddress end() const {
    if (segments_.empty()) return tail();
    const Segment& s = segments_.back();  // one huge row may be longer than the addresses of its segment
    return (s.number << kSegmentBits) + (s.used < kSegmentBytes ? s.used : kSegmentBytes);
  }
  bool empty() const { return segments_.empty(); }
  std::uint64_t rows() const { return rows_; }
  std::size_t bytes() const;
  std::size_t used_bytes() const { return used_; }
  std::size_t smallest() const { return smallest_; }

  // Room for a row of `size` bytes (header included) at `time`; header.time and size are set, previous and flags are 0.
  Place append(std::size_t size, EventTime time);

  const Segment& front() const { return segments_.front(); }
  bool front_is_open() const { return segments_.size() == 1; }
  void drop_front();
  void removed(RowAddress address) { ++segments_[(address >> kSegmentBits) - first_].removed; }
  // Estimated bytes of rows with time <= horizon, or removed, in sealed segments.
  std::size_t dead_bytes(EventTime horizon) const;

  static std::size_t stride(std::size_t size) { return (size + 7) & ~std::size_t{7}; }

  // All rows at or above `from`, in address order. `f(address, row)`.
  template <class F>
  void for_each(RowAddress from, F&& f) const {
    for (const Segment& s : segments_) {
      if (from >> kSegmentBits > s.number) continue;
      const RowAddress base = s.number << kSegmentBits;
      std::size_t at = 0;
      if (from > base) at = static_cast<std::size_t>(from - base);
      while (at < s.used) {
        auto* row = reinterpret_cast<JoinRow*>(s.memory.data() + at);
        const std::size_t step = stride(row->size);
        f(base + at, row);
        at += step;
      }
    }
  }

 private:
  void open(std::size_t size);
  void seal();

  const std::size_t largest_, smallest_;
  std::deque<Segment> segments_;   // ascending, without gaps: segments_[i].number == first_ + i
  std::vector<char*> bases_;       // of segments_: one load instead of two on every access
  std::vector<PageBlock> spare_;   // full-size blocks to use again: page faults cost more than the copy
  std::vector<EventTime> sample_;  // times of every eighth row of the open segment
  std::uint64_t first_ = 1;
  std::uint64_t rows_ = 0;
  std::size_t used_ = 0;
};

}  // namespace twinspan::engine
