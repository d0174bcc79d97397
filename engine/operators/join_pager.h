#pragma once
// Spilled segments of a row log: the memory of a segment goes back to the kernel, page by page it comes from the
// segment's file again when a row is asked for, to the same address. What the shard may change in a row (its mutable
// word: previous row and flags) is kept here while the row's page is away, so files never change. Pages are read in
// batches: who knows which rows it will need wants them first, then fetches. Pages that came back stay until release(),
// which the join calls where nobody holds pointers to rows; so a pointer to a row is good until then.
//
// Paging by the program instead of by mmap: reads are verified, batched, counted, and an error is an error, no SIGBUS.
//
// Owner: RowLog. Thread: shard.

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "engine/base/result.h"
#include "engine/operators/join_row.h"
#include "engine/state/snapshot_part.h"

namespace twinspan::engine {

// A page that could not be read: thrown up to IntervalJoin::resume, which stops there.
struct SpillFailure {
  Error error;
};

class JoinPager {
 public:
  JoinPager(SegmentStore& store, unsigned side) : store_(store), side_(side) {}

  // Whether the segment's file is there.
  bool can_spill(std::uint64_t number) const { return store_.has(join_file_number(side_, number)); }
  void spill(std::uint64_t number, std::shared_ptr<SegmentMemory> memory, std::size_t used);
  void drop(std::uint64_t number);

  // A row of a spilled segment, with all its pages.
  JoinRow* row(std::uint64_t number, std::size_t offset);
  // The pages of the row's header, and of the rest if rows are not long, with the next fetch().
  void want(std::uint64_t number, std::size_t offset);
  void fetch();
  bool wants() const { return !wanted_.empty(); }

  std::size_t page_bytes() const { return loaded_.size() * kPage; }  // that have come back
  void release();

  std::size_t bytes() const { return side_bytes_ + page_bytes(); }
  std::uint64_t spilled_bytes() const { return spilled_bytes_; }  // of rows that are in files alone
  std::uint64_t pages_read() const { return pages_read_; }

 private:
  static constexpr std::size_t kPage = 4096;
  struct Spilled {
    std::shared_ptr<SegmentMemory> memory;
    std::size_t used = 0, mean_size = 0;
    std::vector<std::uint32_t> places;   // offset / 8 of each row
    std::vector<std::uint64_t> words;    // their mutable words, as long as the page is away
    std::vector<std::uint64_t> present;  // pages, one bit each
    bool has(std::size_t page) const { return (present[page / 64] >> (page % 64) & 1) != 0; }
  };
  struct Page {
    std::uint64_t number;
    std::uint32_t page;
    friend auto operator<=>(const Page&, const Page&) = default;
  };
  template <class F>
  static void for_words_of(const Spilled& s, std::size_t page, F&& f);
  void need(const Spilled& s, std::uint64_t number, std::size_t begin, std::size_t end);

  SegmentStore& store_;
  const unsigned side_;
  std::map<std::uint64_t, Spilled> segments_;
  std::vector<Page> wanted_, loaded_;
  std::vector<SegmentRead> reads_;
  std::size_t side_bytes_ = 0;
  std::uint64_t spilled_bytes_ = 0, pages_read_ = 0;
};

}  // namespace twinspan::engine
