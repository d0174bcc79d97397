#pragma once
// The most frequent of many values, in a fixed number of counters (Space-Saving: Metwally, Agrawal, El Abbadi 2005;
// merged as in "Mergeable Summaries", Agarwal et al. 2012). With m counters and N rows a count is too high by at most
// N / m, never too low, and every value with more than N / m rows has a counter; as long as no more than m different
// values came, counts are exact. Which counter a new value takes over is decided by counts and values alone, so the
// content does not depend on how it lies in memory. Owned by a block. Thread: shard.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/aggregates/block_memory.h"

namespace twinspan::engine {

class SpaceSaving {
 public:
  void add(std::string_view value, std::uint32_t counters, BlockMemory& memory);
  void merge(const SpaceSaving& from, std::uint32_t counters, BlockMemory& memory);
  void release(BlockMemory& memory);
  void save(std::string& to) const;
  bool load(std::string_view& from, std::uint32_t counters, BlockMemory& memory);  // on an empty one

  struct Counted {
    std::string_view value;
    std::int64_t count;  // the true one is at most this,
    std::int64_t error;  // and at least `error` less
  };
  // The k first by count; values of equal counts in their order.
  std::vector<Counted> top(std::size_t k) const;

  template <class Visit>  // every Counted
  void for_each(Visit visit) const {
    for (std::uint32_t i = 0; i < size_; ++i) visit(Counted{text(entries_[i]), entries_[i].count, entries_[i].error});
  }

 private:
  struct Entry {
    std::uint64_t hash;
    char* p;
    std::uint32_t size, at;  // at: in the heap
    std::int64_t count, error;
  };
  static std::string_view text(const Entry& e) { return {e.p, e.size}; }
  static bool before(const Entry& a, const Entry& b);  // is taken over first
  std::uint32_t slots() const { return capacity_ * 2; }
  std::uint32_t find(std::uint64_t hash, std::string_view value) const;  // kNone
  void append(std::uint64_t hash, std::string_view value, std::int64_t count, std::int64_t error, BlockMemory& memory);
  void grow(std::uint32_t counters, BlockMemory& memory);
  void index(std::uint32_t entry);
  void unindex(std::uint32_t entry);
  void up(std::uint32_t at);
  void down(std::uint32_t at);

  static constexpr std::uint32_t kNone = 0xFFFF'FFFF;
  Entry* entries_;        // all zero: empty
  std::uint32_t* heap_;   // of entries: the one to take over first on top
  std::uint32_t* table_;  // hash -> entry + 1
  std::uint32_t size_, capacity_;
  std::int64_t unseen_;  // what a value without a counter can have had, at most
};

}  // namespace twinspan::engine
