#pragma once
// The rows one side of a join keeps: packed, appended in arrival order into segments of up to 4 MiB. An address counts
// upwards for ever; rows below tail() are gone, which is how chains of rows end without anybody unlinking them.
// Segments leave only at the front, whole. A row handed over to a checkpoint changes in its mutable word alone, so the
// checkpoint writer may read everything else while the shard goes on (SegmentReading). What makes the front leave
// (expiry, or moving its last survivors) is JoinSide's business. After the log-structured state of FASTER (Chandramouli
// 2018) and the cleaning of Rosenblum's log-structured file system. Owner: JoinSide. Thread: shard.

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/ids.h"
#include "engine/operators/join_pager.h"
#include "engine/operators/join_row.h"

namespace twinspan::engine {

class RowLog {
 public:
  static constexpr unsigned kSegmentBits = 22;
  static constexpr std::size_t kSegmentBytes = std::size_t{1} << kSegmentBits;
  static constexpr std::size_t kSmallest = 64u << 10;
  static constexpr std::size_t kQuantiles = 16;

  struct Segment {
    std::shared_ptr<SegmentMemory> memory;
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
    char* base = bases_[(address >> kSegmentBits) - first_];
    if (is_away(base)) [[unlikely]]
      return pager_->row(address >> kSegmentBits, address & (kSegmentBytes - 1));
    return reinterpret_cast<JoinRow*>(base + (address & (kSegmentBytes - 1)));
  }
  // Whether the row's segment is spilled: then want() the row, and fetch() before at() of several.
  bool is_spilled(RowAddress address) const { return is_away(bases_[(address >> kSegmentBits) - first_]); }
  void want(RowAddress address) const { pager_->want(address >> kSegmentBits, address & (kSegmentBytes - 1)); }
  void fetch_wanted() const {
    if (pager_ != nullptr && pager_->wants()) [[unlikely]]
      pager_->fetch();
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
  // Puts back a segment of a checkpoint behind the last one (any number if there is none): the bytes of rows whose
  // sizes have been checked. If it is not `sealed`, rows are appended to it.
  bool can_adopt(std::uint64_t number) const {
    return !open_ && number > 0 && (segments_.empty() || number == end_number());
  }
  void adopt(std::uint64_t number, std::string_view rows, bool sealed);

  // From now on segments may be spilled that `store` has.
  void spill_to(SegmentStore& store, unsigned side) { pager_ = std::make_unique<JoinPager>(store, side); }
  // The oldest sealed segment in memory goes to its file, if it is there yet.
  bool spill_one();
  // Pages that came back go again: no pointer to a row is good afterwards.
  void release_pages() { pager_->release(); }
  std::size_t page_bytes() const { return pager_ == nullptr ? 0 : pager_->page_bytes(); }
  std::uint64_t spilled_bytes() const { return pager_ == nullptr ? 0 : pager_->spilled_bytes(); }

  const Segment& front() const { return segments_.front(); }
  bool front_is_open() const { return segments_.size() == 1 && open_; }
  std::uint64_t first_number() const { return first_; }
  std::uint64_t end_number() const { return first_ + segments_.size(); }
  const Segment& segment(std::uint64_t number) const { return segments_[number - first_]; }
  bool is_sealed(std::uint64_t number) const { return number + 1 < end_number() || !open_; }
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
        auto* row = reinterpret_cast<JoinRow*>(s.memory->pages.data() + at);
        const std::size_t step = stride(row->size);
        f(base + at, row);
        at += step;
      }
    }
  }

 private:
  static bool is_away(const char* base) { return (reinterpret_cast<std::uintptr_t>(base) & 1) != 0; }
  std::shared_ptr<SegmentMemory> take_memory(std::size_t capacity);
  void add(std::shared_ptr<SegmentMemory> memory);
  void open(std::size_t size);
  void count(Segment& s, std::size_t step, EventTime time);
  void seal();

  const std::size_t largest_, smallest_;
  std::deque<Segment> segments_;  // ascending, without gaps: segments_[i].number == first_ + i
  std::vector<char*> bases_;      // of segments_: one load instead of two on every access
  bool open_ = false;             // the last one takes more rows
  // Full-size blocks to use again: page faults cost more than the copy.
  std::vector<std::shared_ptr<SegmentMemory>> spare_;
  std::vector<EventTime> sample_;  // times of every eighth row of the open segment
  std::unique_ptr<JoinPager> pager_;
  std::uint64_t spill_next_ = 0;  // older ones are spilled or gone
  std::uint64_t first_ = 1;
  std::uint64_t rows_ = 0;
  std::size_t used_ = 0;
};

}  // namespace twinspan::engine
