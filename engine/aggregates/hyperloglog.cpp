#include "engine/aggregates/hyperloglog.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "engine/aggregates/kernel.h"

namespace twinspan::engine {

namespace {

constexpr unsigned kRanks = 64 - HyperLogLog::kPrecision + 1;  // the greatest: no bit was set

// Ertl 2017, section 2: the parts of the estimate for registers that are still 0, and for those that are full.
double sigma(double x) {
  if (x == 1) return std::numeric_limits<double>::infinity();
  double y = 1, z = x, before = 0;
  do {
    x *= x;
    before = z;
    z += x * y;
    y += y;
  } while (z != before);
  return z;
}

double tau(double x) {
  if (x == 0 || x == 1) return 0;
  double y = 1, z = 1 - x, before = 0;
  do {
    x = std::sqrt(x);
    before = z;
    y *= 0.5;
    z -= (1 - x) * (1 - x) * y;
  } while (z != before);
  return z / 3;
}

}  // namespace

void HyperLogLog::add_sparse(std::uint64_t hash, BlockMemory& memory) {
  if (hash == 0) hash = 1;  // 0 is an empty slot
  if (capacity_ == 0) resize(8, memory);
  std::uint64_t* s = slots();
  std::uint32_t i = static_cast<std::uint32_t>(hash) & (capacity_ - 1);
  for (; s[i] != 0; i = (i + 1) & (capacity_ - 1))
    if (s[i] == hash) return;
  if (count_ == kExact) {
    make_dense(memory);
    set_register(hash);
    return;
  }
  if ((count_ + 1) * 4 > capacity_ * 3) {
    resize(capacity_ * 2, memory);
    s = slots();
    i = static_cast<std::uint32_t>(hash) & (capacity_ - 1);
    while (s[i] != 0) i = (i + 1) & (capacity_ - 1);
  }
  s[i] = hash;
  ++count_;
}

void HyperLogLog::resize(std::uint32_t to, BlockMemory& memory) {
  const HyperLogLog old = *this;
  capacity_ = to;
  p_ = memory.take(bytes());
  std::memset(p_, 0, bytes());
  for (std::uint32_t i = 0; i < old.capacity_; ++i) {
    const std::uint64_t hash = old.slots()[i];
    if (hash == 0) continue;
    std::uint32_t at = static_cast<std::uint32_t>(hash) & (to - 1);
    while (slots()[at] != 0) at = (at + 1) & (to - 1);
    slots()[at] = hash;
  }
  memory.give(old.p_, old.bytes());
}

void HyperLogLog::make_dense(BlockMemory& memory) {
  const HyperLogLog old = *this;
  capacity_ = kRegisters;
  count_ = 0;
  p_ = memory.take(kRegisters);
  std::memset(p_, 0, kRegisters);
  for (std::uint32_t i = 0; i < old.capacity_; ++i)
    if (old.slots()[i] != 0) set_register(old.slots()[i]);
  memory.give(old.p_, old.bytes());
}

void HyperLogLog::merge(const HyperLogLog& from, BlockMemory& memory) {
  if (from.capacity_ != kRegisters) {
    for (std::uint32_t i = 0; i < from.capacity_; ++i)
      if (from.slots()[i] != 0) add(from.slots()[i], memory);
    return;
  }
  if (capacity_ != kRegisters) make_dense(memory);
  std::uint8_t *to = registers(), *other = from.registers();
  for (std::uint32_t i = 0; i < kRegisters; ++i) to[i] = to[i] < other[i] ? other[i] : to[i];
}

double HyperLogLog::estimate() const {
  if (capacity_ != kRegisters) return count_;
  std::uint32_t with_rank[kRanks + 1] = {};
  for (std::uint32_t i = 0; i < kRegisters; ++i) ++with_rank[registers()[i]];
  constexpr double m = kRegisters;
  double z = m * tau(1 - with_rank[kRanks] / m);
  for (unsigned k = kRanks - 1; k >= 1; --k) z = 0.5 * (z + with_rank[k]);
  z += m * sigma(with_rank[0] / m);
  return m * m / (2 * std::log(2.0) * z);
}

void HyperLogLog::save(std::string& to) const {
  append_raw(to, static_cast<std::uint16_t>(capacity_ == kRegisters ? 0xFFFF : count_));
  if (capacity_ == kRegisters) {
    to.append(p_, kRegisters);
    return;
  }
  for (std::uint32_t i = 0; i < capacity_; ++i)
    if (slots()[i] != 0) append_raw(to, slots()[i]);
}

bool HyperLogLog::load(std::string_view& from, BlockMemory& memory) {
  std::uint16_t count = 0;
  if (!take_raw(from, count)) return false;
  if (count == 0xFFFF) {
    std::string_view bytes;
    if (!take_bytes(from, kRegisters, bytes)) return false;
    for (const char r : bytes)
      if (static_cast<unsigned char>(r) > kRanks) return false;
    make_dense(memory);
    std::memcpy(p_, bytes.data(), kRegisters);
    return true;
  }
  if (count > kExact) return false;
  for (std::uint16_t i = 0; i < count; ++i) {
    std::uint64_t hash = 0;
    if (!take_raw(from, hash) || hash == 0) return false;
    add(hash, memory);
  }
  return count_ == count;
}

}  // namespace twinspan::engine
