#pragma once
// Rows of one side of a join that wait for their end, to be had in order of (time, arrival): unmatched ones of an outer
// join, undecided ones of `matches: earliest`. Most never get that far, because they are matched first; so a row is
// only noted in the time slice it belongs to (8 bytes), a match only counts the slice down, and order is made when the
// horizon reaches the slice: the rows that are left then move to a tree, in portions. Rows more than 1 024 slices ahead
// go to a tree at once. A calendar queue (Brown 1988) with lazy deletion.
//
// Which rows lie in which part depends on the horizon alone, so `none_before` does not depend on how input was cut.
// Owner: JoinSide. Thread: shard.

#include <array>
#include <cstdint>
#include <vector>

#include "engine/operators/join_time_tree.h"

namespace twinspan::engine {

class JoinWaiting {
 public:
  // A note in a slice counts as long as its row has the flags `needs` and is where it was.
  JoinWaiting(const RowLog& log, unsigned needs, std::int64_t slice_ms);

  // Before the first row, after a restore: what had been due.
  void start_at(EventTime horizon);
  void insert(EventTime time, std::uint64_t sequence, RowAddress address);
  // The row waits no more; its flags say so already, or will before the next due().
  void erase(EventTime time, std::uint64_t sequence);
  void move(EventTime time, std::uint64_t sequence, RowAddress to);
  bool empty() const { return size() == 0; }
  std::size_t size() const { return front_.size() + in_slices_ + far_.size(); }

  // No row that waits has a smaller time: exact, or the beginning of the first row's slice. kMaxTime: none waits.
  EventTime none_before() const;

  // Whether rows with time <= horizon wait; the first of them are at the beginning of front(). False with no fuel left:
  // not known yet, call again. A horizon never goes back. Nothing may be inserted before it said false with fuel left.
  bool due(EventTime horizon, std::int64_t& fuel);
  const TimeTree& front() const { return front_; }
  void drop_front(EventTime time, std::uint64_t sequence);  // rows of front() up to this one

  std::size_t bytes() const;

 private:
  static constexpr unsigned kSlices = 1024;
  struct Slice {
    std::vector<RowAddress> rows;
    std::uint32_t waiting = 0;
  };

  std::int64_t slice_of(EventTime time) const;
  EventTime start_of(std::int64_t slice) const;
  Slice& at(std::int64_t slice) { return slices_[static_cast<std::size_t>(slice) % kSlices]; }
  std::int64_t first_slice() const;  // with rows; INT64_MAX: none
  void note(std::int64_t slice, RowAddress address);
  void forget(std::int64_t slice);
  void load(std::int64_t slice, std::int64_t& fuel);
  void bring_near(std::int64_t& fuel);

  const RowLog& log_;
  const unsigned needs_;
  const std::int64_t slice_ms_;
  std::int64_t next_;                               // slices before it have been loaded: their rows are in front_
  std::size_t loaded_ = 0;                          // notes of slice next_ that are in front_ already
  TimeTree front_, far_;                            // far_: from slice next_ + kSlices on
  std::vector<Slice> slices_;                       // empty until the first row
  std::array<std::uint64_t, kSlices / 64> used_{};  // which slices have rows
  std::size_t in_slices_ = 0, slice_bytes_ = 0;
  std::vector<TimeTree::Entry> portion_;
};

}  // namespace twinspan::engine
