// min and max of rows that only come: the best value so far.

#include "engine/aggregates/kernel.h"

namespace twinspan::engine {

namespace {

// NaN is larger than every number, as in GROUP BY and ORDER BY.
bool less(double a, double b) { return std::isnan(b) ? !std::isnan(a) : a < b; }
bool less(std::int64_t a, std::int64_t b) { return a < b; }
bool less(const Wide& a, const Wide& b) { return a.get() < b.get(); }

template <class Stored, class Held, bool kMin>
struct Extreme {
  struct Block {
    Held value;
    std::int64_t has;
  };
  static void take(Block& b, const Held& v) {
    if (b.has == 0 || (kMin ? less(v, b.value) : less(b.value, v))) b.value = v;
    b.has = 1;
  }
  static void add(Block& b, const AggregateRow& r) {
    Held v;
    if constexpr (std::is_same_v<Held, Wide>)
      v.set(r.value<Decimal>());
    else
      v = r.value<Stored>();
    take(b, v);
  }
  static void merge(const AggregateSpec&, const Block& from, Block& into, BlockMemory&) {
    if (from.has != 0) take(into, from.value);
  }
  static bool finish(const AggregateSpec&, const Block& b, const AggregateCell& cell) {
    if (b.has == 0) return cell.null();
    if constexpr (std::is_same_v<Held, Wide>)
      return cell.put(b.value.get());
    else
      return cell.put(static_cast<Stored>(b.value));
  }
};

template <bool kMin>
struct StringExtreme {
  struct Block {
    char* p;
    std::uint32_t size_plus_1;  // 0: none
    std::uint32_t capacity;
  };
  static std::string_view text(const Block& b) { return {b.p, b.size_plus_1 - 1}; }
  static void take(Block& b, std::string_view v, BlockMemory& memory) {
    if (b.size_plus_1 != 0 && !(kMin ? v < text(b) : text(b) < v)) return;
    if (v.size() > b.capacity || b.p == nullptr) {
      if (b.p != nullptr) memory.give(b.p, b.capacity);
      b.capacity = static_cast<std::uint32_t>(BlockMemory::rounded(v.size() + v.size() / 2));
      b.p = memory.take(b.capacity);
    }
    if (!v.empty()) std::memcpy(b.p, v.data(), v.size());
    b.size_plus_1 = static_cast<std::uint32_t>(v.size()) + 1;
  }
  static void add(Block& b, const AggregateRow& r) { take(b, r.value<std::string_view>(), r.memory); }
  static void merge(const AggregateSpec&, const Block& from, Block& into, BlockMemory& memory) {
    if (from.size_plus_1 != 0) take(into, text(from), memory);
  }
  static bool finish(const AggregateSpec&, const Block& b, const AggregateCell& cell) {
    return b.size_plus_1 == 0 ? cell.null() : cell.text(text(b));
  }
  static void release(Block& b, BlockMemory& memory) { memory.give(b.p, b.capacity); }
  static void save(const AggregateSpec&, const Block& b, std::string& to) {
    append_raw(to, b.size_plus_1);
    if (b.size_plus_1 != 0) to.append(text(b));
  }
  static bool load(const AggregateSpec&, std::string_view& from, Block& b, BlockMemory& memory) {
    std::uint32_t size_plus_1 = 0;
    if (!take_raw(from, size_plus_1)) return false;
    if (size_plus_1 == 0) return true;
    std::string_view v;
    if (!take_bytes(from, size_plus_1 - 1, v)) return false;
    take(b, v, memory);
    return true;
  }
};

template <bool kMin>
const AggregateKernel& kernel(TypeKind kind) {
  switch (kind) {
    case TypeKind::boolean: return kernel_of<Extreme<std::uint8_t, std::int64_t, kMin>>();
    case TypeKind::float64: return kernel_of<Extreme<double, double, kMin>>();
    case TypeKind::decimal: return kernel_of<Extreme<Decimal, Wide, kMin>>();
    case TypeKind::string:
    case TypeKind::bytes: return kernel_of<StringExtreme<kMin>>();
    default: return kernel_of<Extreme<std::int64_t, std::int64_t, kMin>>();
  }
}

}  // namespace

const AggregateKernel& extreme_kernel(const AggregateSpec& spec) {
  const TypeKind kind = spec.argument_type.kind;
  return spec.function == AggregateFunction::min ? kernel<true>(kind) : kernel<false>(kind);
}

}  // namespace twinspan::engine
