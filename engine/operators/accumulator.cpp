#include "engine/operators/accumulator.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

namespace twinspan::engine {

namespace {

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

struct CountBlock {
  std::int64_t n;
};
struct ExactSumBlock {  // sum and avg of int64, duration, decimal
  Wide sum;
  std::uint64_t n;  // values; the top bit: 128 bits were not enough
};
struct FloatSumBlock {
  double sum;
  std::int64_t n;
};
template <class T>
struct ExtremeBlock {
  T value;
  std::int64_t has;
};
struct StringExtremeBlock {
  char* p;
  std::uint32_t size_plus_1;  // 0: none
  std::uint32_t capacity;
};

constexpr std::uint64_t kOverflow = std::uint64_t{1} << 63;

template <class T>
T& as(char* block) {
  return *reinterpret_cast<T*>(block);
}
template <class T>
const T& as(const char* block) {
  return *reinterpret_cast<const T*>(block);
}

void add(ExactSumBlock& a, Decimal v) {
  Decimal r = 0;
  if (__builtin_add_overflow(a.sum.get(), v, &r)) a.n |= kOverflow;
  a.sum.set(r);
}
// The number of values is kept modulo 2^63: a block that only holds what was taken back has fewer than none.
void add_values(ExactSumBlock& a, std::uint64_t n) { a.n = (a.n & kOverflow) | ((a.n + n) & ~kOverflow); }

// NaN is larger than every number, as in GROUP BY and ORDER BY.
bool less(double a, double b) { return std::isnan(b) ? !std::isnan(a) : a < b; }
bool less(std::int64_t a, std::int64_t b) { return a < b; }
bool less(const Wide& a, const Wide& b) { return a.get() < b.get(); }

struct CountRows {
  using Block = CountBlock;
  static void add(Block& b, const Column*, std::size_t, Arena&) { ++b.n; }
  static void remove(Block& b, const Column*, std::size_t, Arena&) { --b.n; }
  static void merge(const Block& from, Block& into, Arena&) { into.n += from.n; }
};

template <bool kDecimal>
struct ExactSum {
  using Block = ExactSumBlock;
  static Decimal value(const Column* c, std::size_t row) {
    if constexpr (kDecimal) return c->as<Decimal>()[row];
    return c->as<std::int64_t>()[row];
  }
  static void add(Block& b, const Column* c, std::size_t row, Arena&) {
    engine::add(b, value(c, row));
    add_values(b, 1);
  }
  static void remove(Block& b, const Column* c, std::size_t row, Arena&) {
    engine::add(b, -value(c, row));  // decimals have 38 digits: there is always a negative one
    add_values(b, ~std::uint64_t{0});
  }
  static void merge(const Block& from, Block& into, Arena&) {
    engine::add(into, from.sum.get());
    into.n |= from.n & kOverflow;
    add_values(into, from.n & ~kOverflow);
  }
};

struct FloatSum {
  using Block = FloatSumBlock;
  static void add(Block& b, const Column* c, std::size_t row, Arena&) {
    b.sum += c->as<double>()[row];
    ++b.n;
  }
  // Rounding stays behind. It cannot be wiped when nothing is left: this block may be a part that is merged with
  // others.
  static void remove(Block& b, const Column* c, std::size_t row, Arena&) {
    b.sum -= c->as<double>()[row];
    --b.n;
  }
  static void merge(const Block& from, Block& into, Arena&) {
    into.sum += from.sum;
    into.n += from.n;
  }
};

template <class Stored, class Held, bool kMin>
struct Extreme {
  using Block = ExtremeBlock<Held>;
  static void take(Block& b, const Held& v) {
    if (b.has == 0 || (kMin ? less(v, b.value) : less(b.value, v))) b.value = v;
    b.has = 1;
  }
  static void add(Block& b, const Column* c, std::size_t row, Arena&) {
    Held v;
    if constexpr (std::is_same_v<Held, Wide>) {
      v.set(c->as<Decimal>()[row]);
    } else {
      v = c->as<Stored>()[row];
    }
    take(b, v);
  }
  static void merge(const Block& from, Block& into, Arena&) {
    if (from.has != 0) take(into, from.value);
  }
};

template <bool kMin>
struct StringExtreme {
  using Block = StringExtremeBlock;
  static void take(Block& b, std::string_view v, Arena& strings) {
    if (b.size_plus_1 != 0) {
      const std::string_view now(b.p, b.size_plus_1 - 1);
      if (!(kMin ? v < now : now < v)) return;
    }
    if (v.size() > b.capacity || b.p == nullptr) {
      b.capacity = static_cast<std::uint32_t>(v.size() + v.size() / 2 + 8);
      b.p = static_cast<char*>(strings.allocate(b.capacity, 1));
    }
    if (!v.empty()) std::memcpy(b.p, v.data(), v.size());
    b.size_plus_1 = static_cast<std::uint32_t>(v.size()) + 1;
  }
  static void add(Block& b, const Column* c, std::size_t row, Arena& strings) {
    take(b, c->as<std::string_view>()[row], strings);
  }
  static void merge(const Block& from, Block& into, Arena& strings) {
    if (from.size_plus_1 != 0) take(into, {from.p, from.size_plus_1 - 1}, strings);
  }
};

// sum / n in units of 10^-(scale + more), rounded half away from zero. false: out of range.
bool divide(Decimal sum, std::uint64_t n, unsigned more, Decimal& out) {
  Decimal scaled = sum;
  for (unsigned i = 0; i < more; ++i)
    if (__builtin_mul_overflow(scaled, Decimal{10}, &scaled)) return false;
  const auto d = static_cast<Decimal>(n);
  out = scaled / d;
  const Decimal rest = scaled % d;
  if ((rest < 0 ? -rest : rest) * 2 >= d) out += scaled < 0 ? -1 : 1;
  return true;
}

bool fits_38_digits(Decimal v) {
  static const Decimal limit = [] {
    Decimal p = 1;
    for (int i = 0; i < 38; ++i) p *= 10;
    return p;
  }();
  return v < limit && v > -limit;
}

}  // namespace

template <class Kernel, bool kRetract>
void Accumulators::run(const Part& part, const Batch& batch, const std::uint32_t* rows, char* const* blocks,
                       std::uint32_t n, Arena& strings) {
  using Block = typename Kernel::Block;
  const Column* c = part.spec.argument >= 0 ? &batch.columns[part.spec.argument] : nullptr;
  const Column* f = part.spec.filter >= 0 ? &batch.columns[part.spec.filter] : nullptr;
  const std::uint32_t at = part.offset;
  const auto take = [&](std::uint32_t i) {
    if constexpr (kRetract) {
      Kernel::remove(as<Block>(blocks[i] + at), c, rows[i], strings);
    } else {
      Kernel::add(as<Block>(blocks[i] + at), c, rows[i], strings);
    }
  };
  if (f == nullptr && (c == nullptr || c->valid == nullptr)) {
    for (std::uint32_t i = 0; i < n; ++i) take(i);
    return;
  }
  for (std::uint32_t i = 0; i < n; ++i) {
    const std::uint32_t row = rows[i];
    if (f != nullptr && (f->is_null(row) || f->as<std::uint8_t>()[row] == 0)) continue;
    if (c != nullptr && c->is_null(row)) continue;
    take(i);
  }
}

template <class Kernel>
Accumulators::Part Accumulators::make() {
  Part p;
  p.bytes = sizeof(typename Kernel::Block);
  static_assert(sizeof(typename Kernel::Block) % 8 == 0 && alignof(typename Kernel::Block) <= 8);
  p.update = &Accumulators::run<Kernel, false>;
  if constexpr (requires { &Kernel::remove; }) p.retract = &Accumulators::run<Kernel, true>;
  p.merge = [](const char* from, char* into, Arena& strings) {
    Kernel::merge(as<typename Kernel::Block>(from), as<typename Kernel::Block>(into), strings);
  };
  return p;
}

Accumulators::Accumulators(const std::vector<AggregateSpec>& aggregates) {
  for (const AggregateSpec& a : aggregates) {
    const bool min = a.function == AggregateFunction::min;
    Part p;
    switch (a.function) {
      case AggregateFunction::count: p = make<CountRows>(); break;
      case AggregateFunction::sum:
      case AggregateFunction::avg:
        p = a.argument_type.kind == TypeKind::decimal   ? make<ExactSum<true>>()
            : a.argument_type.kind == TypeKind::float64 ? make<FloatSum>()
                                                        : make<ExactSum<false>>();
        break;
      case AggregateFunction::min:
      case AggregateFunction::max:
        switch (a.argument_type.kind) {
          case TypeKind::boolean:
            p = min ? make<Extreme<std::uint8_t, std::int64_t, true>>()
                    : make<Extreme<std::uint8_t, std::int64_t, false>>();
            break;
          case TypeKind::float64:
            p = min ? make<Extreme<double, double, true>>() : make<Extreme<double, double, false>>();
            break;
          case TypeKind::decimal:
            p = min ? make<Extreme<Decimal, Wide, true>>() : make<Extreme<Decimal, Wide, false>>();
            break;
          case TypeKind::string:
          case TypeKind::bytes:
            p = min ? make<StringExtreme<true>>() : make<StringExtreme<false>>();
            p.string = true;
            break;
          default:
            p = min ? make<Extreme<std::int64_t, std::int64_t, true>>()
                    : make<Extreme<std::int64_t, std::int64_t, false>>();
        }
    }
    auto type = aggregate_result_type(a);
    TS_CHECK(type.has_value());
    p.spec = a;
    p.result = type.value();
    p.distinct = a.distinct && a.function == AggregateFunction::count;
    p.offset = static_cast<std::uint32_t>(bytes_);
    bytes_ += p.bytes;
    parts_.push_back(p);
  }
}

void Accumulators::update(const Batch& batch, const std::uint32_t* rows, char* const* blocks, std::uint32_t n,
                          Arena& strings) const {
  for (const Part& p : parts_)
    if (!p.distinct) p.update(p, batch, rows, blocks, n, strings);
}

void Accumulators::retract(const Batch& batch, const std::uint32_t* rows, char* const* blocks, std::uint32_t n,
                           Arena& strings) const {
  for (const Part& p : parts_) {
    TS_CHECK(p.retract != nullptr);  // the plan has asked retractable()
    p.retract(p, batch, rows, blocks, n, strings);
  }
}

std::int64_t Accumulators::count(const char* block, std::size_t aggregate) const {
  return as<CountBlock>(block + parts_[aggregate].offset).n;
}

void Accumulators::add_count(char* block, std::size_t aggregate, std::int64_t by) const {
  as<CountBlock>(block + parts_[aggregate].offset).n += by;
}

void Accumulators::merge(const char* from, char* into, Arena& strings) const {
  for (const Part& p : parts_) p.merge(from + p.offset, into + p.offset, strings);
}

void Accumulators::reset(char* block) const {
  for (const Part& p : parts_) {
    if (p.string) {
      as<StringExtremeBlock>(block + p.offset).size_plus_1 = 0;
    } else {
      std::memset(block + p.offset, 0, p.bytes);
    }
  }
}

bool Accumulators::finish(std::size_t index, const char* blocks, char* data, std::uint8_t* valid, std::size_t row,
                          Arena& arena) const {
  const Part& p = parts_[index];
  const char* block = blocks + p.offset;
  char* to = data + row * value_width(p.result.kind);
  valid[row] = 1;
  auto null = [&] {
    valid[row] = 0;
    std::memset(to, 0, value_width(p.result.kind));
    return true;
  };
  auto put = [&](auto v) {
    std::memcpy(to, &v, sizeof v);
    return true;
  };
  const TypeKind kind = p.spec.argument_type.kind;
  switch (p.spec.function) {
    case AggregateFunction::count: return put(as<CountBlock>(block).n);
    case AggregateFunction::sum:
    case AggregateFunction::avg: {
      const bool sum = p.spec.function == AggregateFunction::sum;
      if (kind == TypeKind::float64) {
        const auto& b = as<FloatSumBlock>(block);
        if (b.n == 0) return null();
        return put(sum ? b.sum : b.sum / static_cast<double>(b.n));
      }
      const auto& b = as<ExactSumBlock>(block);
      if (b.n == 0) return null();
      if ((b.n & kOverflow) != 0) return !null();
      const Decimal total = b.sum.get();
      if (kind == TypeKind::decimal) {
        Decimal v = total;
        if (!sum && !divide(total, b.n, p.result.scale - p.spec.argument_type.scale, v)) return !null();
        return fits_38_digits(v) ? put(v) : !null();
      }
      if (!sum) return put(static_cast<double>(total) / static_cast<double>(b.n));
      if (total > std::numeric_limits<std::int64_t>::max() || total < std::numeric_limits<std::int64_t>::min())
        return !null();
      return put(static_cast<std::int64_t>(total));
    }
    case AggregateFunction::min:
    case AggregateFunction::max:
      if (p.string) {
        const auto& b = as<StringExtremeBlock>(block);
        if (b.size_plus_1 == 0) {
          null();
          return put(std::string_view("", 0));
        }
        return put(arena.copy({b.p, b.size_plus_1 - 1}));
      }
      if (kind == TypeKind::decimal) {
        const auto& b = as<ExtremeBlock<Wide>>(block);
        return b.has == 0 ? null() : put(b.value.get());
      }
      ExtremeBlock<std::int64_t> b;  // of float64: the bits
      std::memcpy(&b, block, sizeof b);
      if (b.has == 0) return null();
      if (kind == TypeKind::boolean) return put(static_cast<std::uint8_t>(b.value));
      return put(b.value);
  }
  return false;
}

void Accumulators::save(const char* block, std::string& to) const {
  for (const Part& p : parts_) {
    if (!p.string) {
      to.append(block + p.offset, p.bytes);
      continue;
    }
    const auto& b = as<StringExtremeBlock>(block + p.offset);
    to.append(reinterpret_cast<const char*>(&b.size_plus_1), 4);
    if (b.size_plus_1 != 0) to.append(b.p, b.size_plus_1 - 1);
  }
}

bool Accumulators::load(std::string_view& from, char* block, Arena& strings) const {
  reset(block);
  for (const Part& p : parts_) {
    if (!p.string) {
      if (from.size() < p.bytes) return false;
      std::memcpy(block + p.offset, from.data(), p.bytes);
      from.remove_prefix(p.bytes);
      continue;
    }
    std::uint32_t size_plus_1 = 0;
    if (from.size() < 4) return false;
    std::memcpy(&size_plus_1, from.data(), 4);
    from.remove_prefix(4);
    if (size_plus_1 == 0) continue;
    if (from.size() < size_plus_1 - 1) return false;
    StringExtreme<true>::take(as<StringExtremeBlock>(block + p.offset), from.substr(0, size_plus_1 - 1), strings);
    from.remove_prefix(size_plus_1 - 1);
  }
  return true;
}

}  // namespace twinspan::engine
