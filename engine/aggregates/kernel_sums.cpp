// count, sum and avg: groups, so that rows can be taken back and parts be merged in any order.

#include "engine/aggregates/exact_float_sum.h"
#include "engine/aggregates/kernel.h"

namespace twinspan::engine {

namespace {

struct Count {
  struct Block {
    std::int64_t n;
  };
  static void add(Block& b, const AggregateRow&) { ++b.n; }
  static void remove(Block& b, const AggregateRow&) { --b.n; }
  static void merge(const AggregateSpec&, const Block& from, Block& into, BlockMemory&) { into.n += from.n; }
  static bool finish(const AggregateSpec&, const Block& b, const AggregateCell& cell) { return cell.put(b.n); }
};

// int64 and duration: 2^64 values fit in 128 bits.
struct IntegerSum {
  struct Block {
    Wide sum;
    std::int64_t n;
  };
  static void add(Block& b, const AggregateRow& r) {
    b.sum.set(b.sum.get() + r.value<std::int64_t>());
    ++b.n;
  }
  static void remove(Block& b, const AggregateRow& r) {
    b.sum.set(b.sum.get() - r.value<std::int64_t>());
    --b.n;
  }
  static void merge(const AggregateSpec&, const Block& from, Block& into, BlockMemory&) {
    into.sum.set(into.sum.get() + from.sum.get());
    into.n += from.n;
  }
  static bool finish(const AggregateSpec& spec, const Block& b, const AggregateCell& cell) {
    if (b.n == 0) return cell.null();
    const Decimal total = b.sum.get();
    if (spec.function == AggregateFunction::avg) return cell.put(static_cast<double>(total) / static_cast<double>(b.n));
    if (total > std::numeric_limits<std::int64_t>::max() || total < std::numeric_limits<std::int64_t>::min())
      return cell.fail();
    return cell.put(static_cast<std::int64_t>(total));
  }
};

// Values have 127 bits: 192 hold 2^65 of them.
struct DecimalSum {
  struct Block {
    std::uint64_t low[2];
    std::int64_t high;
    std::int64_t n;
  };
  static void count(Block& b, UDecimal low, std::int64_t high) {
    const UDecimal before = (static_cast<UDecimal>(b.low[1]) << 64) | b.low[0];
    const UDecimal after = before + low;
    b.low[0] = static_cast<std::uint64_t>(after);
    b.low[1] = static_cast<std::uint64_t>(after >> 64);
    b.high += high + (after < before ? 1 : 0);
  }
  static void add(Block& b, const AggregateRow& r) {
    const auto v = r.value<Decimal>();
    count(b, static_cast<UDecimal>(v), v < 0 ? -1 : 0);
    ++b.n;
  }
  static void remove(Block& b, const AggregateRow& r) {
    const Decimal v = -r.value<Decimal>();
    count(b, static_cast<UDecimal>(v), v < 0 ? -1 : 0);
    --b.n;
  }
  static void merge(const AggregateSpec&, const Block& from, Block& into, BlockMemory&) {
    count(into, (static_cast<UDecimal>(from.low[1]) << 64) | from.low[0], from.high);
    into.n += from.n;
  }
  static bool finish(const AggregateSpec& spec, const Block& b, const AggregateCell& cell) {
    if (b.n == 0) return cell.null();
    const unsigned more = cell.type.scale - spec.argument_type.scale;  // digits; of a sum none
    UDecimal magnitude = (static_cast<UDecimal>(b.low[1]) << 64) | b.low[0];
    auto high = static_cast<std::uint64_t>(b.high);
    const bool negative = b.high < 0;
    if (negative) {
      magnitude = -magnitude;
      high = ~high + (magnitude == 0 ? 1 : 0);
    }
    Decimal v = 0;
    if (spec.function == AggregateFunction::avg) {
      if (b.n < 0 || !divide(high, magnitude, static_cast<std::uint64_t>(b.n), more, v)) return cell.fail();
    } else {
      if (high != 0 || magnitude >= kLimit) return cell.fail();
      v = static_cast<Decimal>(magnitude);
    }
    return cell.put(negative ? -v : v);
  }

 private:
  static constexpr UDecimal kLimit = [] {  // 10^38
    UDecimal p = 1;
    for (int i = 0; i < 38; ++i) p *= 10;
    return p;
  }();

  // (high, low) / n in units of 10^-(scale + more), rounded half up: of a magnitude. Long division, digit by digit.
  static bool divide(std::uint64_t high, UDecimal low, std::uint64_t n, unsigned more, Decimal& out) {
    const std::uint64_t words[3] = {high, static_cast<std::uint64_t>(low >> 64), static_cast<std::uint64_t>(low)};
    UDecimal rest = 0, quotient = 0;
    for (const std::uint64_t w : words) {
      const UDecimal with = (rest << 64) | w;  // rest < n < 2^63
      if ((quotient >> 63) != 0) return false;
      quotient = (quotient << 64) | static_cast<std::uint64_t>(with / n);
      rest = with % n;
    }
    for (unsigned i = 0; i < more; ++i) {
      if (quotient >= kLimit / 10) return false;
      rest *= 10;
      quotient = quotient * 10 + rest / n;
      rest %= n;
    }
    if (rest * 2 >= n) ++quotient;
    if (quotient >= kLimit) return false;
    out = static_cast<Decimal>(quotient);
    return true;
  }
};

struct FloatSum {
  struct Block {
    ExactFloatSum sum;
    std::int64_t n;
  };
  static void add(Block& b, const AggregateRow& r) {
    b.sum.add(r.value<double>(), r.memory);
    ++b.n;
  }
  static void remove(Block& b, const AggregateRow& r) {
    b.sum.remove(r.value<double>(), r.memory);
    --b.n;
  }
  static void merge(const AggregateSpec&, const Block& from, Block& into, BlockMemory& memory) {
    into.sum.merge(from.sum, memory);
    into.n += from.n;
  }
  static bool finish(const AggregateSpec& spec, const Block& b, const AggregateCell& cell) {
    if (b.n == 0) return cell.null();
    const ExactFloatSum::Rounded sum = b.sum.rounded();
    if (!sum.in_range) return cell.fail();
    return cell.put(spec.function == AggregateFunction::avg ? sum.value / static_cast<double>(b.n) : sum.value);
  }
  static void release(Block& b, BlockMemory& memory) { memory.give(b.sum.far, sizeof(ExactFloatSum::Far)); }
  static void save(const AggregateSpec&, const Block& b, std::string& to) {
    append_raw(to, b.n);
    append_raw(to, b.sum.near);
    append_raw(to, b.sum.far != nullptr);
    if (b.sum.far != nullptr) append_raw(to, *b.sum.far);
  }
  static bool load(const AggregateSpec&, std::string_view& from, Block& b, BlockMemory& memory) {
    std::uint8_t far = 0;
    if (!take_raw(from, b.n) || !take_raw(from, b.sum.near) || !take_raw(from, far) || far > 1) return false;
    if (far == 0) return true;
    if (from.size() < sizeof(ExactFloatSum::Far)) return false;
    b.sum.far = reinterpret_cast<ExactFloatSum::Far*>(memory.take(sizeof(ExactFloatSum::Far)));
    return take_raw(from, *b.sum.far);
  }
};

}  // namespace

const AggregateKernel& count_kernel() { return kernel_of<Count>(); }

const AggregateKernel& sum_kernel(const AggregateSpec& spec) {
  switch (spec.argument_type.kind) {
    case TypeKind::decimal: return kernel_of<DecimalSum>();
    case TypeKind::float64: return kernel_of<FloatSum>();
    default: return kernel_of<IntegerSum>();
  }
}

}  // namespace twinspan::engine
