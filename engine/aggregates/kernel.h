#pragma once
// How one kind of aggregate keeps its value in a block: what a `K` of kernel_of<K>() says, made into plain function
// pointers that run over a group of rows. A block is a few words, 8-aligned, all zero for "no rows yet", free to be
// moved as bytes; what it owns beside lies in the BlockMemory that every call on it is given. Chosen when a step is
// made. Thread: shard.
//
// K: `Block`; `add(block, row)`; `merge(spec, from, into, memory)`; `finish(spec, block, cell)`; `remove(block, row)`
// if it can take rows back; `prepare(block, row)` if it wants to see a group of rows before, to start loading what they
// will change (its 64 bits are given to `add`); and of blocks that own memory (kOwns) `release`, `save` and `load`
// (which gets a zeroed block, and checks whatever it reads).

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>

#include "engine/aggregates/aggregate_spec.h"
#include "engine/aggregates/block_memory.h"
#include "engine/base/batch.h"

namespace twinspan::engine {

// The row that counts: its argument is not NULL, and it passed the filter.
struct AggregateRow {
  const AggregateSpec& spec;
  const Column* x;   // nullptr: count(*)
  const Column* by;  // nullptr: none
  const EventTime* time;
  std::size_t row;
  BlockMemory& memory;

  template <class T>
  T value() const {
    return x->as<T>()[row];
  }
};

// Where a result goes: one value of an output column.
struct AggregateCell {
  DataType type;
  char* to;
  std::uint8_t& valid;
  Arena& arena;
  std::string_view* why;  // nullptr: nobody asks

  template <class T>
  bool put(const T& v) const {
    std::memcpy(to, &v, sizeof v);
    return true;
  }
  bool null() const {
    valid = 0;
    std::memset(to, 0, value_width(type.kind));
    if (type.is_string_like()) put(std::string_view("", 0));
    return true;
  }
  bool fail() const { return fail("the result of an aggregate is out of the range of its type"); }
  bool fail(std::string_view reason) const {
    null();
    if (why != nullptr) *why = reason;
    return false;
  }
  bool text(std::string_view s) const { return put(arena.copy(s)); }
};

struct AggregateKernel {
  using Rows = void (*)(const AggregateSpec&, const Batch&, const std::uint32_t* rows, char* const* blocks,
                        std::size_t offset, std::uint32_t n, BlockMemory&);
  std::uint32_t bytes;  // of a block
  bool owns;
  Rows update;
  Rows retract;  // nullptr: rows cannot be taken back
  void (*merge)(const AggregateSpec&, const char* from, char* into, BlockMemory&);
  void (*reset)(char* block, BlockMemory&);
  bool (*finish)(const AggregateSpec&, const char* block, const AggregateCell& cell);
  void (*save)(const AggregateSpec&, const char* block, std::string& to);
  bool (*load)(const AggregateSpec&, std::string_view& from, char* block, BlockMemory&);
};

// Kernels by what they compute; `spec` is valid.
const AggregateKernel& count_kernel();
const AggregateKernel& sum_kernel(const AggregateSpec& spec);  // sum and avg
const AggregateKernel& extreme_kernel(const AggregateSpec& spec);
const AggregateKernel& pick_kernel(const AggregateSpec& spec);  // first, last, min_by, max_by
const AggregateKernel& approx_count_distinct_kernel();
const AggregateKernel& percentile_kernel();
const AggregateKernel& top_k_kernel();
const AggregateKernel& list_kernel();                          // string_agg and array_agg
const AggregateKernel& bag_kernel(const AggregateSpec& spec);  // count(DISTINCT), min and max, with rows taken back

// One zero and one NaN, as in GROUP BY (engine/state/row_codec.h).
inline double canonical(double d) {
  return std::isnan(d) ? std::numeric_limits<double>::quiet_NaN() : d == 0 ? 0.0 : d;
}

// A 128-bit value that needs only 8-alignment.
struct Wide {
  std::uint64_t low;
  std::int64_t high;
  Decimal get() const {
    return static_cast<Decimal>((static_cast<UDecimal>(static_cast<std::uint64_t>(high)) << 64) | low);
  }
  void set(Decimal v) {
    low = static_cast<std::uint64_t>(v);
    high = static_cast<std::int64_t>(v >> 64);
  }
};

template <class T>
void append_raw(std::string& to, const T& v) {
  to.append(reinterpret_cast<const char*>(&v), sizeof v);
}
// false: too short.
template <class T>
bool take_raw(std::string_view& from, T& v) {
  if (from.size() < sizeof v) return false;
  std::memcpy(&v, from.data(), sizeof v);
  from.remove_prefix(sizeof v);
  return true;
}
inline bool take_bytes(std::string_view& from, std::size_t n, std::string_view& out) {
  if (from.size() < n) return false;
  out = from.substr(0, n);
  from.remove_prefix(n);
  return true;
}

namespace kernel_detail {

template <class Block>
Block& as(char* p) {
  return *reinterpret_cast<Block*>(p);
}
template <class Block>
const Block& as(const char* p) {
  return *reinterpret_cast<const Block*>(p);
}

template <class K>
constexpr bool kPrepares = requires(const typename K::Block& b, const AggregateRow& r) {
  K::prepare(b, r);
};

template <class K, bool kRemove>
void run(const AggregateSpec& spec, const Batch& batch, const std::uint32_t* rows, char* const* blocks,
         std::size_t offset, std::uint32_t n, BlockMemory& memory) {
  using Block = typename K::Block;
  const Column* x = spec.argument >= 0 ? &batch.columns[static_cast<std::size_t>(spec.argument)] : nullptr;
  const Column* by = spec.by >= 0 ? &batch.columns[static_cast<std::size_t>(spec.by)] : nullptr;
  const Column* f = spec.filter >= 0 ? &batch.columns[static_cast<std::size_t>(spec.filter)] : nullptr;
  AggregateRow r{spec, x, by, batch.time, 0, memory};
  const auto at = [&](std::uint32_t i) -> Block& { return as<Block>(blocks[i] + offset); };
  const auto passes = [&](std::uint32_t row) {
    return (f == nullptr || (!f->is_null(row) && f->as<std::uint8_t>()[row] != 0)) &&
           (x == nullptr || !x->is_null(row)) && (by == nullptr || !by->is_null(row));
  };
  if constexpr (!kRemove && kPrepares<K>) {
    constexpr std::uint32_t kGroup = 32;  // rows looked at together
    std::uint64_t prepared[kGroup];
    std::uint32_t chosen[kGroup];
    for (std::uint32_t from = 0; from < n; from += kGroup) {
      std::uint32_t some = 0;
      for (std::uint32_t i = from; i < n && i < from + kGroup; ++i) {
        if (!passes(rows[i])) continue;
        r.row = rows[i];
        prepared[some] = K::prepare(at(i), r);
        chosen[some++] = i;
      }
      for (std::uint32_t j = 0; j < some; ++j) {
        r.row = rows[chosen[j]];
        K::add(at(chosen[j]), r, prepared[j]);
      }
    }
  } else {
    const auto one = [&](std::uint32_t i) {
      r.row = rows[i];
      if constexpr (kRemove)
        K::remove(at(i), r);
      else
        K::add(at(i), r);
    };
    if (f == nullptr && by == nullptr && (x == nullptr || x->valid == nullptr)) {
      for (std::uint32_t i = 0; i < n; ++i) one(i);
      return;
    }
    for (std::uint32_t i = 0; i < n; ++i)
      if (passes(rows[i])) one(i);
  }
}

template <class K>
constexpr bool kOwns = requires(typename K::Block& b, BlockMemory& m) {
  K::release(b, m);
};
template <class K>
constexpr bool kRemoves = requires(typename K::Block& b, const AggregateRow& r) {
  K::remove(b, r);
};

}  // namespace kernel_detail

template <class K>
const AggregateKernel& kernel_of() {
  using namespace kernel_detail;
  using Block = typename K::Block;
  static_assert(sizeof(Block) % 8 == 0 && alignof(Block) <= 8 && std::is_trivially_copyable_v<Block>);
  static const AggregateKernel kernel = [] {
    AggregateKernel k{};
    k.bytes = sizeof(Block);
    k.owns = kOwns<K>;
    k.update = &run<K, false>;
    if constexpr (kRemoves<K>) k.retract = &run<K, true>;
    k.merge = [](const AggregateSpec& spec, const char* from, char* into, BlockMemory& memory) {
      K::merge(spec, as<Block>(from), as<Block>(into), memory);
    };
    k.reset = [](char* block, BlockMemory& memory) {
      if constexpr (kOwns<K>) K::release(as<Block>(block), memory);
      (void)memory;
      std::memset(block, 0, sizeof(Block));
    };
    k.finish = [](const AggregateSpec& spec, const char* block, const AggregateCell& cell) {
      return K::finish(spec, as<Block>(block), cell);
    };
    k.save = [](const AggregateSpec& spec, const char* block, std::string& to) {
      if constexpr (kOwns<K>)
        K::save(spec, as<Block>(block), to);
      else
        to.append(block, sizeof(Block));
      (void)spec;
    };
    k.load = [](const AggregateSpec& spec, std::string_view& from, char* block, BlockMemory& memory) {
      (void)spec, (void)memory;
      if constexpr (kOwns<K>)
        return K::load(spec, from, as<Block>(block), memory);
      else
        return take_raw(from, as<Block>(block));
    };
    return k;
  }();
  return kernel;
}

}  // namespace twinspan::engine
