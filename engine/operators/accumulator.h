#pragma once
// The running values of a step's aggregates for one key, as one block of bytes: all zero is "no rows yet".
// Kernels are chosen when the step is made and run over a group of rows per aggregate; nothing is virtual and
// nothing allocates but min and max of strings. Integer and decimal sums are kept in 128 bits, so that the
// order of rows never matters and only a result can be out of range. Blocks are 8-aligned. Owned by a window
// operator. Thread: shard.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/batch.h"
#include "engine/operators/window_spec.h"

namespace twinspan::engine {

class Accumulators {
 public:
  explicit Accumulators(const std::vector<AggregateSpec>& aggregates);

  std::size_t bytes() const { return bytes_; }  // of one block, a multiple of 8
  std::size_t size() const { return parts_.size(); }

  // Row rows[i] counts in blocks[i]. DISTINCT counts are left to `add_count`. `strings` keeps bytes of min
  // and max.
  void update(const Batch& batch, const std::uint32_t* rows, char* const* blocks, std::uint32_t n,
              Arena& strings) const;
  // As `update` of rows that are taken back, those that had counted there (or, in another block that is merged with
  // this one, will have). Every aggregate must be `retractable` (window_spec.h).
  void retract(const Batch& batch, const std::uint32_t* rows, char* const* blocks, std::uint32_t n,
               Arena& strings) const;
  bool is_distinct(std::size_t aggregate) const { return parts_[aggregate].distinct; }
  std::int64_t count(const char* block, std::size_t aggregate) const;  // of a `count`
  void add_count(char* block, std::size_t aggregate, std::int64_t by) const;

  void merge(const char* from, char* into,
             Arena& strings) const;  // as if the rows of `from` had counted in `into`
  void reset(char* block) const;     // no rows yet; keeps string buffers

  // Result of aggregate `a` into row `row` of an output column's memory; false: it has no value in its type.
  bool finish(std::size_t a, const char* block, char* data, std::uint8_t* valid, std::size_t row, Arena& arena) const;

  void save(const char* block, std::string& to) const;
  bool load(std::string_view& from, char* block, Arena& strings) const;  // false: not what save wrote

 private:
  struct Part;
  using Update = void (*)(const Part&, const Batch&, const std::uint32_t*, char* const*, std::uint32_t, Arena&);
  using Merge = void (*)(const char* from, char* into, Arena&);
  struct Part {
    AggregateSpec spec;
    DataType result;
    bool distinct = false;
    bool string = false;  // min or max of a string: the block holds a pointer
    std::uint32_t offset = 0, bytes = 0;
    Update update = nullptr;
    Update retract = nullptr;  // nullptr: not retractable
    Merge merge = nullptr;
  };
  template <class Kernel, bool kRetract>
  static void run(const Part&, const Batch&, const std::uint32_t*, char* const*, std::uint32_t, Arena&);
  template <class Kernel>
  static Part make();

  std::vector<Part> parts_;
  std::size_t bytes_ = 0;
};

}  // namespace twinspan::engine
