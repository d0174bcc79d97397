// + - * / % and unary minus over int64, float64, decimal, timestamp and duration. Overflow is found for the whole
// column first; rows are looked at one by one only when there was any.

#include <algorithm>
#include <cmath>

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
  auto* out = call.result<std::int64_t>();
  bool any = false;
  for (std::uint32_t i = 0; i < call.rows; ++i)
    any |= Op::overflows(a.at<std::int64_t>(i), b.at<std::int64_t>(i), out[i]);
  if (!any) return;
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    std::int64_t r = 0;
    if (call.computes(i) && Op::overflows(a.at<std::int64_t>(i), b.at<std::int64_t>(i), r))
      call.fail(i, overflow_text(call.type));
  }
}

template <class Op>
void float_op(KernelCall& call) {
  const Value &a = call.args[0], &b = call.args[1];
  auto* out = call.result<double>();
  for (std::uint32_t i = 0; i < call.rows; ++i) out[i] = Op::of(a.at<double>(i), b.at<double>(i));
}

template <bool modulo>
void int_divide(KernelCall& call) {
  const Value &a = call.args[0], &b = call.args[1];
  auto* out = call.result<std::int64_t>();
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

template <bool modulo>
void float_divide(KernelCall& call) {
  const Value &a = call.args[0], &b = call.args[1];
  auto* out = call.result<double>();
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

// params: a, b = digits to add to each side to reach the common scale
template <bool subtract>
void decimal_add(KernelCall& call) {
  const Decimal sx = power_of_ten(static_cast<unsigned>(call.params->a)),
                sy = power_of_ten(static_cast<unsigned>(call.params->b));
  decimal_rows(call, [&](std::uint32_t i, Decimal x, Decimal y, Decimal& r) {
    const bool over = __builtin_mul_overflow(x, sx, &x) || __builtin_mul_overflow(y, sy, &y) ||
                      (subtract ? __builtin_sub_overflow(x, y, &r) : __builtin_add_overflow(x, y, &r)) || !in_range(r);
    if (over) call.fail(i, overflow_text(call.type));
    return !over;
  });
}

void decimal_multiply(KernelCall& call) {
  decimal_rows(call, [&](std::uint32_t i, Decimal x, Decimal y, Decimal& r) {
    const bool over = __builtin_mul_overflow(x, y, &r) || !in_range(r);
    if (over) call.fail(i, overflow_text(call.type));
    return !over;
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

DataType decimal_of(int precision, int scale) {
  return types::decimal(static_cast<std::uint8_t>(std::clamp(precision, std::max(1, scale), 38)),
                        static_cast<std::uint8_t>(scale));
}

KernelChoice decimal_kernel(char op, DataType a, DataType b) {
  KernelChoice k;
  k.cost = 4;
  const int scale = std::max(a.scale, b.scale);
  const int whole = std::max(a.precision - a.scale, b.precision - b.scale);
  k.params.a = scale - a.scale;
  k.params.b = scale - b.scale;
  switch (op) {
    case '+': k.run = decimal_add<false>, k.type = decimal_of(whole + scale + 1, scale); break;
    case '-': k.run = decimal_add<true>, k.type = decimal_of(whole + scale + 1, scale); break;
    case '%': k.run = decimal_modulo, k.type = decimal_of(whole + scale, scale), k.cost = 20; break;
    case '*':
      if (a.scale + b.scale > 38) return k;
      k.run = decimal_multiply;
      k.type = decimal_of(a.precision + b.precision, a.scale + b.scale);
      break;
    default: {  // Flink's (and Hive's) rule
      int s = std::max(6, a.scale + b.precision + 1);
      const int p = a.precision - a.scale + b.scale + s;
      if (p > 38) s = std::max(std::min(s, 6), 38 - (p - s));
      k.run = decimal_divide;
      k.type = decimal_of(p, s);
      k.params.a = s + b.scale - a.scale;
      k.cost = 25;
    }
  }
  return k;
}

}  // namespace

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
    else
      return k;
    k.run = int_op<Multiply>;
  } else if (op == '/') {
    if (pair(int64, int64) || pair(duration, duration))
      k.type = types::int64;
    else if (pair(duration, int64))
      k.type = types::duration;
    else
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
