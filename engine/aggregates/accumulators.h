#pragma once
// The running values of a step's aggregates for one key, as one block of bytes: all zero is "no rows yet". Kernels are
// chosen when the step is made and run over a group of rows per aggregate; nothing is virtual. Aggregates that keep the
// same thing (sum and avg of a column, two percentiles) share it.
//
// Results are a function of the rows that count, their event times, and where times are equal their order: taken one by
// one or in parts that are merged, they are the same (sums are kept in more bits than they need, of float64 too), up to
// the error bound of functions that have one.
//
// Ownership: blocks are 8-aligned and may be moved as bytes. Strings and sketches lie beside them, in the BlockMemory
// that each call on the block must be given; it may be one for many blocks. `merge` copies. A block that is no longer
// used is `reset` first, which gives its memory back for others, or dies with its memory as a whole. Owned by a window
// operator. Thread: shard.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/aggregates/aggregate_spec.h"
#include "engine/aggregates/block_memory.h"
#include "engine/base/batch.h"

namespace twinspan::engine {

struct AggregateKernel;

class Accumulators {
 public:
  // `updating_input`: rows will be taken back, which min, max and DISTINCT keep more for. The specs are valid.
  explicit Accumulators(const std::vector<AggregateSpec>& aggregates, bool updating_input = false);

  std::size_t bytes() const { return bytes_; }  // of one block, a multiple of 8
  std::size_t size() const { return parts_.size(); }
  bool owns_memory() const { return owns_; }  // blocks have something in their BlockMemory

  // Row rows[i] counts in blocks[i]; its event time is batch.time[rows[i]]. DISTINCT counts with `is_distinct` are left
  // to `add_count`. Of rows that were combined (batch.combined) their block is merged, which has those counts too.
  void update(const Batch& batch, const std::uint32_t* rows, char* const* blocks, std::uint32_t n,
              BlockMemory& memory) const;
  // Row rows[i] had counted in blocks[i], or in one that will be merged with it, and no longer does. Rows may be taken
  // back before they come.
  void retract(const Batch& batch, const std::uint32_t* rows, char* const* blocks, std::uint32_t n,
               BlockMemory& memory) const;
  bool retractable(std::size_t aggregate) const;  // with this input; validate() has said why not

  bool is_distinct(std::size_t aggregate) const { return parts_[aggregate].outside; }
  std::int64_t count(const char* block, std::size_t aggregate) const;  // of a count without DISTINCT
  void add_count(char* block, std::size_t aggregate, std::int64_t by) const;

  // As if the rows of `from` had counted in `into`, after its own where event times are equal.
  void merge(const char* from, char* into, BlockMemory& memory) const;
  void reset(char* block, BlockMemory& memory) const;  // no rows yet

  // Result of aggregate `a` into row `row` of an output column's memory; false: it has no value, and `why` (in the
  // arena, or for ever) says the reason.
  bool finish(std::size_t a, const char* block, char* data, std::uint8_t* valid, std::size_t row, Arena& arena,
              std::string_view* why = nullptr) const;
  // The same of many, into rows `first` and on; where blocks[i] has no value `fine[i]` becomes 0 and why[i] is set,
  // unless it is 0 already. false: some have none.
  bool finish(std::size_t a, const char* const* blocks, std::size_t n, char* data, std::uint8_t* valid,
              std::size_t first, Arena& arena, std::uint8_t* fine, std::string_view* why) const;

  // Saved bytes begin with a mark of what they are, so that those of other aggregates are refused.
  void save(const char* block, std::string& to) const;
  // What the block held is given back first. false: not what save wrote; the block is then as after reset().
  bool load(std::string_view& from, char* block, BlockMemory& memory) const;

 private:
  struct State {  // something kept in the block
    AggregateSpec spec;
    const AggregateKernel* kernel;
    std::size_t offset;
    bool outside;  // a count kept up to date by add_count
  };
  struct Part {  // a result
    AggregateSpec spec;
    DataType result;
    const AggregateKernel* kernel;
    std::size_t offset;
    bool outside;
  };
  void update_combined(const Batch& batch, const std::uint32_t* rows, char* const* blocks, std::uint32_t n,
                       BlockMemory& memory) const;

  std::vector<State> states_;
  std::vector<Part> parts_;
  std::size_t bytes_ = 0;
  std::uint16_t mark_ = 0;
  bool owns_ = false;
};

}  // namespace twinspan::engine
