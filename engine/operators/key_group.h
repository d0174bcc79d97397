#pragma once
// The keys of a group of rows, encoded and hashed, ready to be looked up: tables load what they need for all of them
// before they look at the first. The bytes are good until the next group. Owned by an operator. Thread: shard.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "engine/base/batch.h"
#include "engine/state/row_codec.h"

namespace twinspan::engine {

// Keys are short: the call of memcmp would cost more than the comparison.
[[gnu::always_inline]] inline bool same_key(std::string_view a, std::string_view b) {
  const std::size_t n = a.size();
  if (n != b.size()) return false;
  const auto differ = [&](std::size_t at) {
    std::uint64_t x, y;
    std::memcpy(&x, a.data() + at, 8);
    std::memcpy(&y, b.data() + at, 8);
    return x ^ y;
  };
  if (n >= 16 && n <= 32) return (differ(0) | differ(8) | differ(n - 16) | differ(n - 8)) == 0;
  if (n >= 8 && n < 16) return (differ(0) | differ(n - 8)) == 0;
  return n == 0 || std::memcmp(a.data(), b.data(), n) == 0;
}

class KeyGroup {
 public:
  static constexpr unsigned kRows = 32;

  // `codec` outlives it.
  explicit KeyGroup(const RowCodec& codec) : codec_(codec) {}

  // At most kRows, `rows` ascending. The hash is the batch's, if it has one.
  void encode(const Batch& batch, const std::uint32_t* rows, std::uint32_t n);

  std::uint64_t hash(std::uint32_t i) const { return hash_[i]; }
  std::string_view key(std::uint32_t i) const { return key_[i]; }

 private:
  const RowCodec& codec_;
  std::uint64_t hash_[kRows];
  std::string_view key_[kRows];
  std::string bytes_;
};

}  // namespace twinspan::engine
