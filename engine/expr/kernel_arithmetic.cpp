// + - * / % and unary minus over int64, float64, decimal, timestamp and duration. Overflow is found for the whole
// column first; rows are looked at one by one only when there was any.

#include <algorithm>
#include <bit>
#include <cmath>

#include "engine/expr/fixed_divisor.h"
#include "engine/expr/kernel.h"

namespace twinspan::engine {

namespace {

struct Add {
  static bool overflows(std::int64_t a, std::int64_t b, std::int64_t& r) { return __builtin_add_overflow(a, b, &r); }
  static double of(double a, double b) { return a + b; }
};
struct Subtract {
  static bool overflows(std::int64_t a, std::int64_t b, std::int64_t& r) { return __builtin_sub_overflow(a, b, &r); }
  static double of(double a, double b) { return a - b; }
};
struct Multiply {
  static bool overflows(std::int64_t a, std::int64_t b, std::int64_t& r) { return __builtin_mul_overflow(a, b, &r); }
  static double of(double a, double b) { return a * b; }
};

const char* overflow_text(DataType t) {
  switch (t.kind) {
    case TypeKind::timestamp: return "timestamp out of range";
    case TypeKind::duration: return "duration out of range";
    case TypeKind::decimal: return "decimal overflow: the result has more than 38 digits";
    default: return "int64 overflow";
  }
}

template <class Op>
void int_op(KernelCall& call) {
  const Value &a = call.args[0], &b = call.args[1];
  bool any = false;
  call.each_pair<std::int64_t, std::int64_t>([&any](std::int64_t x, std::int64_t y) {
    std::int64_t r = 0;
    any |= Op::overflows(x, y, r);
    return r;
  });
  if (!any) return;
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    std::int64_t r = 0;
    if (call.computes(i) && Op::overflows(a.at<std::int64_t>(i), b.at<std::int64_t>(i), r))
      call.fail(i, overflow_text(call.type));
  }
}

template <class Op>
void float_op(KernelCall& call) {
  call.each_pair<double, double>([](double x, double y) { return Op::of(x, y); });
}

template <bool modulo>
void int_divide(KernelCall& call) {
  const Value &a = call.args[0], &b = call.args[1];
  auto* out = call.result<std::int64_t>();
  if (b.stride == 0 && a.stride != 0 && FixedDivisor::takes(b.at<std::int64_t>(0))) {
    const FixedDivisor d(b.at<std::int64_t>(0));
    const auto* x = static_cast<const std::int64_t*>(a.data);
    if (modulo && d.is_power_of_two()) {
      const std::uint64_t mask = d.magnitude() - 1;
      for (std::uint32_t i = 0; i < call.rows; ++i) out[i] = FixedDivisor::remainder_of_power(x[i], mask);
      return;
    }
    for (std::uint32_t i = 0; i < call.rows; ++i) out[i] = modulo ? d.remainder(x[i]) : d.quotient(x[i]);
    return;
  }
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = 0;
    if (!call.computes(i)) continue;
    const std::int64_t x = a.at<std::int64_t>(i), y = b.at<std::int64_t>(i);
    if (y == 0)
      call.fail(i, "division by zero");
    else if (y != -1)
      out[i] = modulo ? x % y : x / y;
    else if (!modulo && x == INT64_MIN)
      call.fail(i, overflow_text(call.type));
    else
      out[i] = modulo ? 0 : -x;
  }
}

// x % d = 0 by one multiplication (Warren: Hacker's Delight, 10-17): multiples of an odd number, and only they, become
// small when they are multiplied with its inverse.
template <bool negated>
void divisible(KernelCall& call) {
  const auto d = call.args[1].at<std::int64_t>(0);
  std::uint64_t odd = d < 0 ? -static_cast<std::uint64_t>(d) : static_cast<std::uint64_t>(d);
  const int twos = std::countr_zero(odd);
  const std::uint64_t low = (std::uint64_t{1} << twos) - 1;
  odd >>= twos;
  const auto* x = static_cast<const std::uint64_t*>(call.args[0].data);
  auto* out = call.result<std::uint8_t>();
  if (odd == 1) {
    for (std::uint32_t i = 0; i < call.rows; ++i) out[i] = ((x[i] & low) == 0) != negated;
    return;
  }
  std::uint64_t inverse = odd;  // right in 3 bits; each round doubles them (Newton)
  for (int round = 0; round < 5; ++round) inverse *= 2 - odd * inverse;
  const std::uint64_t shift = (static_cast<std::uint64_t>(INT64_MAX) / odd) & ~low, most = (2 * shift) >> twos;
  for (std::uint32_t i = 0; i < call.rows; ++i) out[i] = (std::rotr(x[i] * inverse + shift, twos) <= most) != negated;
}

template <bool modulo>
void float_divide(KernelCall& call) {
  const Value &a = call.args[0], &b = call.args[1];
  auto* out = call.result<double>();
  if (!modulo && b.stride == 0 && b.at<double>(0) != 0)
    return call.each_pair<double, double>([](double x, double y) { return x / y; });
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    const double y = b.at<double>(i);
    out[i] = 0;
    if (y != 0)
      out[i] = modulo ? std::fmod(a.at<double>(i), y) : a.at<double>(i) / y;
    else if (call.computes(i))
      call.fail(i, "division by zero");
  }
}

bool in_range(Decimal v) { return v > -kDecimalLimit && v < kDecimalLimit; }

template <class F>
void decimal_rows(KernelCall& call, F&& f) {
  const Value &a = call.args[0], &b = call.args[1];
  auto* out = call.result<Decimal>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = 0;
    if (!call.computes(i)) continue;
    Decimal r = 0;
    if (f(i, a.at<Decimal>(i), b.at<Decimal>(i), r)) out[i] = r;
  }
}

// Magnitudes of up to 256 bits, for what two decimals of 38 digits give before it is rounded to 38.
struct Wide {
  std::uint64_t limb[4] = {};  // the lowest first

  static Wide product(UDecimal a, UDecimal b) {
    const std::uint64_t x[2] = {static_cast<std::uint64_t>(a), static_cast<std::uint64_t>(a >> 64)},
                        y[2] = {static_cast<std::uint64_t>(b), static_cast<std::uint64_t>(b >> 64)};
    Wide w;
    for (int i = 0; i < 2; ++i) {
      std::uint64_t carry = 0;
      for (int k = 0; k < 2; ++k) {
        const UDecimal t = static_cast<UDecimal>(x[i]) * y[k] + w.limb[i + k] + carry;
        w.limb[i + k] = static_cast<std::uint64_t>(t);
        carry = static_cast<std::uint64_t>(t >> 64);
      }
      w.limb[i + 2] = carry;
    }
    return w;
  }
  int compare(const Wide& o) const {
    for (int i = 3; i >= 0; --i)
      if (limb[i] != o.limb[i]) return limb[i] < o.limb[i] ? -1 : 1;
    return 0;
  }
  void add(const Wide& o) {
    std::uint64_t carry = 0;
    for (int i = 0; i < 4; ++i) {
      const UDecimal t = static_cast<UDecimal>(limb[i]) + o.limb[i] + carry;
      limb[i] = static_cast<std::uint64_t>(t);
      carry = static_cast<std::uint64_t>(t >> 64);
    }
  }
  void subtract(const Wide& o) {  // o <= *this
    std::uint64_t borrow = 0;
    for (int i = 0; i < 4; ++i) {
      const UDecimal t = static_cast<UDecimal>(limb[i]) - o.limb[i] - borrow;
      limb[i] = static_cast<std::uint64_t>(t);
      borrow = static_cast<std::uint64_t>(t >> 64) != 0;
    }
  }
  std::uint64_t divide(std::uint64_t d) {  // the remainder
    UDecimal r = 0;
    for (int i = 3; i >= 0; --i) {
      r = r << 64 | limb[i];
      limb[i] = static_cast<std::uint64_t>(r / d);
      r %= d;
    }
    return static_cast<std::uint64_t>(r);
  }
  // Without its last `digits` digits, rounded half up: only the first of them decides. False: more than 38 are left.
  bool rounded(int digits, UDecimal& out) {
    bool up = false;
    for (; digits > 1; --digits) divide(10);
    if (digits == 1) up = divide(10) >= 5;
    if (limb[2] != 0 || limb[3] != 0) return false;
    out = static_cast<UDecimal>(limb[1]) << 64 | limb[0];
    if (up) ++out;
    return out < static_cast<UDecimal>(kDecimalLimit);
  }
};

UDecimal magnitude(Decimal v) { return v < 0 ? -static_cast<UDecimal>(v) : static_cast<UDecimal>(v); }

// params: a, b = digits to add to each side to reach the common scale; c = digits of it that the result does not have
template <bool subtract>
void decimal_add(KernelCall& call) {
  const Decimal sx = power_of_ten(static_cast<unsigned>(call.params->a)),
                sy = power_of_ten(static_cast<unsigned>(call.params->b));
  const auto drop = static_cast<int>(call.params->c);
  decimal_rows(call, [&](std::uint32_t i, Decimal x, Decimal y, Decimal& r) {
    Decimal u = 0, v = 0;
    if (drop == 0 && !__builtin_mul_overflow(x, sx, &u) && !__builtin_mul_overflow(y, sy, &v) &&
        !(subtract ? __builtin_sub_overflow(u, v, &r) : __builtin_add_overflow(u, v, &r)) && in_range(r))
      return true;
    Wide a = Wide::product(magnitude(x), static_cast<UDecimal>(sx)),
         b = Wide::product(magnitude(y), static_cast<UDecimal>(sy));
    bool negative = x < 0;
    if (negative == ((y < 0) != subtract)) {
      a.add(b);
    } else if (a.compare(b) >= 0) {
      a.subtract(b);
    } else {
      b.subtract(a);
      a = b;
      negative = !negative;
    }
    UDecimal m = 0;
    const bool fits = a.rounded(drop, m);
    if (!fits) call.fail(i, overflow_text(call.type));
    r = negative ? -static_cast<Decimal>(m) : static_cast<Decimal>(m);
    return fits;
  });
}

// params: c = digits of the product that the result does not have
void decimal_multiply(KernelCall& call) {
  const auto drop = static_cast<int>(call.params->c);
  decimal_rows(call, [&](std::uint32_t i, Decimal x, Decimal y, Decimal& r) {
    if (drop == 0 && !__builtin_mul_overflow(x, y, &r) && in_range(r)) return true;
    UDecimal m = 0;
    const bool fits = Wide::product(magnitude(x), magnitude(y)).rounded(drop, m);
    if (!fits) call.fail(i, overflow_text(call.type));
    r = (x < 0) != (y < 0) ? -static_cast<Decimal>(m) : static_cast<Decimal>(m);
    return fits;
  });
}

// x / y with `digits` more decimal digits, rounded half up, by long division: x * 10^digits may need more than 128
// bits.
bool long_divide(Decimal x, Decimal y, int digits, Decimal& out) {
  const bool negative = (x < 0) != (y < 0);
  const UDecimal n = x < 0 ? -static_cast<UDecimal>(x) : static_cast<UDecimal>(x);
  const UDecimal d = y < 0 ? -static_cast<UDecimal>(y) : static_cast<UDecimal>(y);
  const auto limit = static_cast<UDecimal>(kDecimalLimit);
  UDecimal q = n / d, r = n % d;
  UDecimal scale = 1;
  for (int k = 0; k < digits && k < 38; ++k) scale *= 10;
  UDecimal wide = 0;
  if (digits <= 38 && !__builtin_mul_overflow(n, scale, &wide)) {
    q = wide / d;
    r = wide % d;
  } else {
    for (int k = 0; k < digits; ++k) {
      unsigned digit = 0;
      UDecimal rest = 0;
      for (int t = 0; t < 10; ++t) {  // rest = r * 10 mod d without leaving 128 bits: r < d < 10^38
        rest += r;
        if (rest >= d) rest -= d, ++digit;
      }
      r = rest;
      if (q > limit / 10) return false;
      q = q * 10 + digit;
    }
  }
  if (r >= d - r) ++q;
  if (q >= limit) return false;
  out = negative ? -static_cast<Decimal>(q) : static_cast<Decimal>(q);
  return true;
}

// params: a = digits to add to the numerator (negative: to the denominator)
void decimal_divide(KernelCall& call) {
  const auto digits = static_cast<int>(call.params->a);
  decimal_rows(call, [&](std::uint32_t i, Decimal x, Decimal y, Decimal& r) {
    if (y == 0) {
      call.fail(i, "division by zero");
      return false;
    }
    bool fits = true;
    if (digits < 0) {
      const bool huge = __builtin_mul_overflow(y, power_of_ten(static_cast<unsigned>(-digits)), &y) || !in_range(y);
      if (huge) return r = 0, true;  // |x| < 10^38 <= |y| / 10: rounds to zero
      fits = long_divide(x, y, 0, r);
    } else {
      fits = long_divide(x, y, digits, r);
    }
    if (!fits) call.fail(i, overflow_text(call.type));
    return fits;
  });
}

void decimal_modulo(KernelCall& call) {
  const Decimal sx = power_of_ten(static_cast<unsigned>(call.params->a)),
                sy = power_of_ten(static_cast<unsigned>(call.params->b));
  decimal_rows(call, [&](std::uint32_t i, Decimal x, Decimal y, Decimal& r) {
    if (y == 0 || __builtin_mul_overflow(x, sx, &x) || __builtin_mul_overflow(y, sy, &y)) {
      call.fail(i, y == 0 ? "division by zero" : overflow_text(call.type));
      return false;
    }
    r = x % y;
    return true;
  });
}

void int_negate(KernelCall& call) {
  auto* out = call.result<std::int64_t>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    const std::int64_t x = call.args[0].at<std::int64_t>(i);
    if (__builtin_sub_overflow(std::int64_t{0}, x, &out[i]) && call.computes(i)) call.fail(i, overflow_text(call.type));
  }
}

void float_negate(KernelCall& call) {
  auto* out = call.result<double>();
  for (std::uint32_t i = 0; i < call.rows; ++i) out[i] = -call.args[0].at<double>(i);
}

void decimal_negate(KernelCall& call) {
  call.each<Decimal>([&](std::uint32_t i) { return -call.args[0].at<Decimal>(i); });
}

// Beyond 38 digits, digits behind the point go, down to six of them: the rule of Flink (and Hive).
DataType decimal_of(int precision, int scale) {
  if (precision > 38) scale = std::max(38 - (precision - scale), std::min(scale, 6));
  return types::decimal(static_cast<std::uint8_t>(std::clamp(precision, std::max(1, scale), 38)),
                        static_cast<std::uint8_t>(scale));
}

KernelChoice decimal_kernel(char op, DataType a, DataType b) {
  KernelChoice k;
  k.cost = 4;
  const int scale = std::max(a.scale, b.scale);
  const int whole_a = a.precision - a.scale, whole_b = b.precision - b.scale;
  k.params.a = scale - a.scale;
  k.params.b = scale - b.scale;
  switch (op) {
    case '+':
    case '-':
      k.run = op == '+' ? decimal_add<false> : decimal_add<true>;
      k.type = decimal_of(std::max(whole_a, whole_b) + scale + 1, scale);
      k.params.c = scale - k.type.scale;
      break;
    case '%':
      k.run = decimal_modulo;
      k.type = decimal_of(std::min(whole_a, whole_b) + scale, scale);
      k.cost = 20;
      break;
    case '*':
      k.run = decimal_multiply;
      k.type = decimal_of(a.precision + b.precision + 1, a.scale + b.scale);
      k.params.c = a.scale + b.scale - k.type.scale;
      break;
    default: {
      const int s = std::max(6, a.scale + b.precision + 1);
      k.run = decimal_divide;
      k.type = decimal_of(whole_a + b.scale + s, s);
      k.params.a = k.type.scale + b.scale - a.scale;
      k.cost = 25;
    }
  }
  return k;
}

// duration * factor, duration / divisor; to the nearest millisecond
template <bool divide>
void scale_duration(KernelCall& call) {
  auto* out = call.result<std::int64_t>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = 0;
    if (!call.computes(i)) continue;
    const bool first = divide || call.params->a == 0;  // where the duration is
    const auto ms = static_cast<double>(call.args[first ? 0 : 1].at<std::int64_t>(i));
    const double by = call.args[first ? 1 : 0].at<double>(i), r = std::round(divide ? ms / by : ms * by);
    if (divide && by == 0)
      call.fail(i, "division by zero");
    else if (!(r >= -9223372036854775808.0 && r < 9223372036854775808.0))
      call.fail(i, overflow_text(call.type));
    else
      out[i] = static_cast<std::int64_t>(r);
  }
}

}  // namespace

bool is_fixed_divisor(std::int64_t d) { return FixedDivisor::takes(d); }

KernelChoice divisible_kernel(bool negated) {
  return {.run = negated ? divisible<true> : divisible<false>, .type = types::boolean};
}

KernelChoice arithmetic_kernel(char op, DataType a, DataType b) {
  using enum TypeKind;
  if (a.kind == decimal && b.kind == decimal) return decimal_kernel(op, a, b);
  KernelChoice k;
  if (a.kind == float64 && b.kind == float64) {
    k.type = types::float64;
    switch (op) {
      case '+': k.run = float_op<Add>; break;
      case '-': k.run = float_op<Subtract>; break;
      case '*': k.run = float_op<Multiply>; break;
      case '/': k.run = float_divide<false>, k.cost = 3; break;
      default: k.run = float_divide<true>, k.cost = 10;
    }
    return k;
  }
  const auto pair = [&](TypeKind x, TypeKind y) { return a.kind == x && b.kind == y; };
  if (op == '+') {
    if (pair(int64, int64))
      k.type = types::int64;
    else if (pair(timestamp, duration) || pair(duration, timestamp))
      k.type = types::timestamp;
    else if (pair(duration, duration))
      k.type = types::duration;
    else
      return k;
    k.run = int_op<Add>;
  } else if (op == '-') {
    if (pair(int64, int64))
      k.type = types::int64;
    else if (pair(timestamp, duration))
      k.type = types::timestamp;
    else if (pair(timestamp, timestamp) || pair(duration, duration))
      k.type = types::duration;
    else
      return k;
    k.run = int_op<Subtract>;
  } else if (op == '*') {
    if (pair(int64, int64))
      k.type = types::int64;
    else if (pair(duration, int64) || pair(int64, duration))
      k.type = types::duration;
    else if (pair(duration, float64) || pair(float64, duration)) {
      k.run = scale_duration<false>;
      k.type = types::duration;
      k.params.a = b.kind == duration;
      k.cost = 4;
      return k;
    } else
      return k;
    k.run = int_op<Multiply>;
  } else if (op == '/') {
    if (pair(int64, int64) || pair(duration, duration))
      k.type = types::int64;
    else if (pair(duration, int64))
      k.type = types::duration;
    else if (pair(duration, float64)) {
      k.run = scale_duration<true>;
      k.type = types::duration;
      k.cost = 4;
      return k;
    } else
      return k;
    k.run = int_divide<false>;
    k.cost = 8;
  } else {
    if (pair(int64, int64))
      k.type = types::int64;
    else if (pair(duration, duration))
      k.type = types::duration;
    else
      return k;
    k.run = int_divide<true>;
    k.cost = 8;
  }
  return k;
}

KernelChoice negate_kernel(DataType x) {
  KernelChoice k;
  k.type = x;
  if (x.kind == TypeKind::int64 || x.kind == TypeKind::duration) k.run = int_negate;
  if (x.kind == TypeKind::float64) k.run = float_negate;
  if (x.kind == TypeKind::decimal) k.run = decimal_negate;
  return k;
}

}  // namespace twinspan::engine
