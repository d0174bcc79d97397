#include <algorithm>
#include <cmath>

#include "engine/expr/overload.h"

namespace twinspan::engine {

namespace {

std::int64_t integer(const KernelCall& c, std::size_t arg, std::uint32_t i) { return c.args[arg].at<std::int64_t>(i); }
double real(const KernelCall& c, std::size_t arg, std::uint32_t i) { return c.args[arg].at<double>(i); }

void abs_int(KernelCall& call) {
  auto* out = call.result<std::int64_t>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    const std::int64_t v = integer(call, 0, i);
    out[i] = v == INT64_MIN ? 0 : v < 0 ? -v : v;
    if (v == INT64_MIN && call.computes(i)) call.fail(i, "int64 overflow");
  }
}
void same_int(KernelCall& call) {
  call.each<std::int64_t>([&](std::uint32_t i) { return integer(call, 0, i); });
}
void sign_int(KernelCall& call) {
  call.each<std::int64_t>(
      [&](std::uint32_t i) -> std::int64_t { return (integer(call, 0, i) > 0) - (integer(call, 0, i) < 0); });
}

template <double (*f)(double)>
void map_real(KernelCall& call) {
  call.each<double>([&](std::uint32_t i) { return f(real(call, 0, i)); });
}
double abs_of(double v) { return std::fabs(v); }
double ceil_of(double v) { return std::ceil(v); }
double floor_of(double v) { return std::floor(v); }
double round_of(double v) { return std::round(v); }
double sign_of(double v) { return v > 0 ? 1 : v < 0 ? -1 : v; }

// f on rows whose argument is in its domain; others fail.
template <double (*f)(double), bool zero_is_in>
void domain_real(KernelCall& call) {
  auto* out = call.result<double>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    const double v = real(call, 0, i);
    out[i] = 0;
    if (!call.computes(i)) continue;
    if (v < 0 || (!zero_is_in && v == 0))
      call.fail(i, zero_is_in ? "square root of a negative number" : "logarithm of a number that is not positive");
    else
      out[i] = f(v);
  }
}
double sqrt_of(double v) { return std::sqrt(v); }
double ln_of(double v) { return std::log(v); }
double log10_of(double v) { return std::log10(v); }
double exp_of(double v) { return std::exp(v); }

void power(KernelCall& call) {
  call.each<double>([&](std::uint32_t i) { return std::pow(real(call, 0, i), real(call, 1, i)); });
}

void round_real(KernelCall& call) {
  call.each<double>([&](std::uint32_t i) {
    const double v = real(call, 0, i);
    const std::int64_t n = std::clamp<std::int64_t>(integer(call, 1, i), -308, 308);
    const double factor = std::pow(10.0, static_cast<double>(n < 0 ? -n : n));
    const double scaled = n < 0 ? v / factor : v * factor;
    if (!std::isfinite(scaled) || std::fabs(scaled) >= 4503599627370496.0) return v;  // no digits there to round
    return n < 0 ? std::round(scaled) * factor : std::round(scaled) / factor;
  });
}
void round_int(KernelCall& call) {
  auto* out = call.result<std::int64_t>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    const std::int64_t v = integer(call, 0, i), n = integer(call, 1, i);
    out[i] = n >= 0 ? v : 0;
    if (n >= 0 || n < -18 || !call.computes(i)) continue;
    const Decimal factor = power_of_ten(static_cast<unsigned>(-n));
    const Decimal r = divide_half_up(v, factor) * factor;
    if (r > INT64_MAX || r < INT64_MIN)
      call.fail(i, "int64 overflow");
    else
      out[i] = static_cast<std::int64_t>(r);
  }
}

void abs_decimal(KernelCall& call) {
  call.each<Decimal>([&](std::uint32_t i) {
    const Decimal v = call.args[0].at<Decimal>(i);
    return v < 0 ? -v : v;
  });
}
void sign_decimal(KernelCall& call) {
  call.each<std::int64_t>([&](std::uint32_t i) -> std::int64_t {
    return (call.args[0].at<Decimal>(i) > 0) - (call.args[0].at<Decimal>(i) < 0);
  });
}

enum Rounding : int { kDown, kUp, kNearest };
// params: a = digits to drop, b = digits to put back as zeros (round to tens and above)
template <Rounding how>
void round_decimal(KernelCall& call) {
  const Decimal factor = power_of_ten(static_cast<unsigned>(call.params->a)),
                back = power_of_ten(static_cast<unsigned>(call.params->b));
  auto* out = call.result<Decimal>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = 0;
    if (!call.computes(i)) continue;
    const Decimal v = call.args[0].at<Decimal>(i);
    Decimal q = v / factor;
    if (how == kNearest) q = divide_half_up(v, factor);
    if (how == kDown && v % factor < 0) --q;
    if (how == kUp && v % factor > 0) ++q;
    if (__builtin_mul_overflow(q, back, &q) || q >= kDecimalLimit || q <= -kDecimalLimit)
      call.fail(i, "decimal overflow: the result has more than 38 digits");
    else
      out[i] = q;
  }
}

bool keep_decimal_type(std::span<const ArgInfo> args, KernelChoice& k, std::string&, std::size_t&) {
  k.type = args[0].type;
  return true;
}

bool round_type(std::span<const ArgInfo> args, KernelChoice& k, std::string& error, std::size_t& bad) {
  std::int64_t n = 0;
  if (args.size() > 1) {
    if (args[1].constant == nullptr || args[1].constant->is_null(0)) {
      error = "the digits to round a decimal to must be a constant";
      bad = 1;
      return false;
    }
    n = std::clamp<std::int64_t>(args[1].constant->at<std::int64_t>(0), -38, 38);
  }
  const int precision = args[0].type.precision, scale = args[0].type.scale;
  const int to = static_cast<int>(std::clamp<std::int64_t>(n, 0, scale));
  k.params.b = n < 0 ? -n : 0;
  k.params.a = scale - to + k.params.b;
  if (k.params.a > 38) k.params.a = k.params.b = 38;
  k.type = types::decimal(static_cast<std::uint8_t>(std::clamp(precision - scale + to + 1, 1, 38)),
                          static_cast<std::uint8_t>(to));
  return true;
}

template <class T, bool least>
void greatest(KernelCall& call) {
  call.each<T>([&](std::uint32_t i) {
    T best = call.args[0].at<T>(i);
    for (std::uint32_t k = 1; k < call.count; ++k) {
      const T& v = call.args[k].at<T>(i);
      if (least ? v < best : best < v) best = v;
    }
    return best;
  });
}

template <bool least>
Kernel pick_greatest(DataType t) {
  switch (t.kind) {
    case TypeKind::boolean: return greatest<std::uint8_t, least>;
    case TypeKind::float64: return greatest<double, least>;
    case TypeKind::decimal: return greatest<Decimal, least>;
    case TypeKind::string:
    case TypeKind::bytes: return greatest<std::string_view, least>;
    default: return greatest<std::int64_t, least>;
  }
}

}  // namespace

KernelChoice greatest_kernel(DataType type, bool least) {
  KernelChoice k;
  k.run = least ? pick_greatest<true>(type) : pick_greatest<false>(type);
  k.type = type;
  k.cost = 4;
  return k;
}

std::span<const Overload> numeric_functions() {
  static const Overload table[] = {
      {{"abs", "numeric", "abs(x int64) -> int64", "Magnitude."}, "i", 'i', abs_int, 1},
      {{"abs", "numeric", "abs(x decimal) -> decimal", "Magnitude."}, "d", 'd', abs_decimal, 2, keep_decimal_type},
      {{"abs", "numeric", "abs(x float64) -> float64", "Magnitude."}, "f", 'f', map_real<abs_of>, 1},
      {{"ceil", "numeric", "ceil(x int64) -> int64", "The number itself."}, "i", 'i', same_int, 1},
      {{"ceil", "numeric", "ceil(x decimal) -> decimal(p, 0)", "The smallest whole number not below x."},
       "d",
       'd',
       round_decimal<kUp>,
       10,
       [](auto a, auto& k, auto& e, auto& b) { return round_type(a.first(1), k, e, b); }},
      {{"ceil", "numeric", "ceil(x float64) -> float64", "The smallest whole number not below x."},
       "f",
       'f',
       map_real<ceil_of>,
       2},
      {{"floor", "numeric", "floor(x int64) -> int64", "The number itself."}, "i", 'i', same_int, 1},
      {{"floor", "numeric", "floor(x decimal) -> decimal(p, 0)", "The largest whole number not above x."},
       "d",
       'd',
       round_decimal<kDown>,
       10,
       [](auto a, auto& k, auto& e, auto& b) { return round_type(a.first(1), k, e, b); }},
      {{"floor", "numeric", "floor(x float64) -> float64", "The largest whole number not above x."},
       "f",
       'f',
       map_real<floor_of>,
       2},
      {{"round", "numeric", "round(x int64) -> int64", "The number itself."}, "i", 'i', same_int, 1},
      {{"round", "numeric", "round(x int64, n int64) -> int64",
        "Rounded half up (away from zero); n < 0 rounds to tens, hundreds, ..."},
       "ii",
       'i',
       round_int,
       10},
      {{"round", "numeric", "round(x decimal [, n int64]) -> decimal",
        "Rounded half up (away from zero) to n digits (0); n is a constant."},
       "di?",
       'd',
       round_decimal<kNearest>,
       10,
       round_type},
      {{"round", "numeric", "round(x float64) -> float64", "Rounded half up (away from zero)."},
       "f",
       'f',
       map_real<round_of>,
       3},
      {{"round", "numeric", "round(x float64, n int64) -> float64", "Rounded half up (away from zero) to n digits."},
       "fi",
       'f',
       round_real,
       30},
      {{"sign", "numeric", "sign(x int64) -> int64", "-1, 0 or 1."}, "i", 'i', sign_int, 1},
      {{"sign", "numeric", "sign(x decimal) -> int64", "-1, 0 or 1."}, "d", 'i', sign_decimal, 2},
      {{"sign", "numeric", "sign(x float64) -> float64", "-1, 0 or 1."}, "f", 'f', map_real<sign_of>, 2},
      {{"mod", "numeric", "mod(a, b) -> common type", "Remainder of a / b, with the sign of a; the same as a % b."}},
      {{"power", "numeric", "power(x float64, y float64) -> float64", "x to the power of y."}, "ff", 'f', power, 40},
      {{"sqrt", "numeric", "sqrt(x float64) -> float64", "Square root; an error when x < 0."},
       "f",
       'f',
       domain_real<sqrt_of, true>,
       5},
      {{"exp", "numeric", "exp(x float64) -> float64", "e to the power of x."}, "f", 'f', map_real<exp_of>, 15},
      {{"ln", "numeric", "ln(x float64) -> float64", "Natural logarithm; an error when x <= 0."},
       "f",
       'f',
       domain_real<ln_of, false>,
       15},
      {{"log10", "numeric", "log10(x float64) -> float64", "Logarithm to base 10; an error when x <= 0."},
       "f",
       'f',
       domain_real<log10_of, false>,
       15},
      {{"greatest", "numeric", "greatest(a, b, ...) -> common type", "The largest argument; NULL when one is NULL."}},
      {{"least", "numeric", "least(a, b, ...) -> common type", "The smallest argument; NULL when one is NULL."}},
  };
  return table;
}

}  // namespace twinspan::engine
