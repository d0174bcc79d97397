#pragma once
// How many different hashes it was given (HyperLogLog: Flajolet et al. 2007). Up to 768 of them lie in a small table,
// so that few values are counted exactly; more go to 2^14 registers, read by the estimator of Ertl (2017), which needs
// no tables of biases at either end: standard error 1.04 / sqrt(2^14) = 0.81 %. The content depends on the set of
// hashes alone, not on their order or on how parts were merged. 16 bytes, and up to 16 KiB of owned memory. Owned by a
// block. Thread: shard.

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/aggregates/block_memory.h"

namespace twinspan::engine {

class HyperLogLog {
 public:
  static constexpr unsigned kPrecision = 14;
  static constexpr std::uint32_t kRegisters = 1u << kPrecision;
  static constexpr std::uint32_t kExact = 768;  // different values that are counted exactly
  static constexpr double kStandardError = 0.008125;

  void add(std::uint64_t hash, BlockMemory& memory) {
    if (capacity_ == kRegisters)
      set_register(hash);
    else
      add_sparse(hash, memory);
  }
  [[gnu::always_inline]] void prefetch(std::uint64_t hash) const {
    if (capacity_ == kRegisters)
      __builtin_prefetch(p_ + (hash >> (64 - kPrecision)), 1);
    else if (capacity_ != 0)
      __builtin_prefetch(slots() + (hash & (capacity_ - 1)), 1);
  }
  void merge(const HyperLogLog& from, BlockMemory& memory);
  double estimate() const;
  void release(BlockMemory& memory) { memory.give(p_, bytes()); }
  void save(std::string& to) const;
  bool load(std::string_view& from, BlockMemory& memory);  // on an empty one

 private:
  static constexpr std::uint32_t kSlots = 1024;  // of the largest table
  std::size_t bytes() const { return capacity_ == kRegisters ? kRegisters : capacity_ * sizeof(std::uint64_t); }
  std::uint64_t* slots() const { return reinterpret_cast<std::uint64_t*>(p_); }
  auto* registers() const { return reinterpret_cast<std::uint8_t*>(p_); }
  void set_register(std::uint64_t hash) {
    const std::uint64_t rest = (hash << kPrecision) | (std::uint64_t{1} << (kPrecision - 1));
    const auto rank = static_cast<std::uint8_t>(__builtin_clzll(rest) + 1);
    std::uint8_t& r = registers()[hash >> (64 - kPrecision)];
    if (rank > r) r = rank;
  }
  void add_sparse(std::uint64_t hash, BlockMemory& memory);
  void resize(std::uint32_t slots, BlockMemory& memory);
  void make_dense(BlockMemory& memory);

  char* p_;                 // all zero: empty
  std::uint32_t count_;     // of the table
  std::uint32_t capacity_;  // its slots; kRegisters: no table, but registers
};

}  // namespace twinspan::engine
