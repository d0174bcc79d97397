#pragma once
// The first values by event time, where times are equal by arrival: at most so many, and so many bytes. What does not
// fit is cut off, from the first value that exceeded a limit on, so the content is that prefix of all values in order,
// however they came and were merged. With `distinct` a value stands at its first time only. 40 bytes, and up to the
// limits in owned memory. Owned by a block. Thread: shard.

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/aggregates/block_memory.h"
#include "engine/base/ids.h"

namespace twinspan::engine {

struct ListLimits {
  std::uint32_t count;
  std::uint64_t bytes;
  bool distinct;
};

class ValueList {
 public:
  void add(EventTime time, std::string_view value, const ListLimits& limits, BlockMemory& memory);
  // Where times are equal, values of `from` come after those here.
  void merge(const ValueList& from, const ListLimits& limits, BlockMemory& memory);
  std::uint32_t size() const { return size_; }
  void release(BlockMemory& memory);
  void save(std::string& to) const;
  bool load(std::string_view& from, const ListLimits& limits, BlockMemory& memory);  // on an empty one

  template <class Visit>  // (value), in order
  void for_each(Visit visit) const {
    for (std::uint32_t i = 0; i < size_; ++i) visit(text(items_[i]));
  }

 private:
  struct Item {
    EventTime time;
    char* p;
    std::uint64_t size;
  };
  static std::string_view text(const Item& i) { return {i.p, i.size}; }
  void put(EventTime time, std::string_view value, bool distinct, BlockMemory& memory);
  void remove(std::uint32_t at, BlockMemory& memory);
  void cut_at(std::uint32_t at, BlockMemory& memory);
  void apply(const ListLimits& limits, BlockMemory& memory);

  Item* items_;  // in order; all zero: empty
  std::uint32_t size_, capacity_;
  std::uint64_t bytes_;
  EventTime cut_;  // values of this time and later that come now have no place
  std::uint64_t is_cut_;
};

}  // namespace twinspan::engine
