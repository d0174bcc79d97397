// More numeric functions: trigonometry, logarithms, bits.

#include <algorithm>
#include <cmath>
#include <numbers>

#include <fmt/format.h>

#include "engine/expr/overload.h"

namespace twinspan::engine {

namespace {

template <double (*f)(double)>
void map_real(KernelCall& call) {
  call.each<double>([&](std::uint32_t i) { return f(call.args[0].at<double>(i)); });
}

// A result that is no number is an error; so is what goes to infinity from a number that is none.
template <double (*f)(double)>
void checked_real(KernelCall& call) {
  auto* out = call.result<double>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = 0;
    if (!call.computes(i)) continue;
    const double v = call.args[0].at<double>(i), r = f(v);
    if (std::isfinite(v) && !std::isfinite(r))
      call.fail(i, fmt::format("the function has no value at {}", v));
    else
      out[i] = r;
  }
}

double sin_of(double v) { return std::sin(v); }
double cos_of(double v) { return std::cos(v); }
double tan_of(double v) { return std::tan(v); }
double cot_of(double v) { return 1 / std::tan(v); }
double asin_of(double v) { return std::asin(v); }
double acos_of(double v) { return std::acos(v); }
double atan_of(double v) { return std::atan(v); }
double sinh_of(double v) { return std::sinh(v); }
double cosh_of(double v) { return std::cosh(v); }
double tanh_of(double v) { return std::tanh(v); }
double cbrt_of(double v) { return std::cbrt(v); }
double log2_of(double v) { return std::log2(v); }
double degrees_of(double v) { return v * (180 / std::numbers::pi); }
double radians_of(double v) { return v * (std::numbers::pi / 180); }

void atan2_of(KernelCall& call) {
  call.each<double>(
      [&](std::uint32_t i) { return std::atan2(call.args[0].at<double>(i), call.args[1].at<double>(i)); });
}
void log_of_base(KernelCall& call) {
  auto* out = call.result<double>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = 0;
    if (!call.computes(i)) continue;
    const double base = call.args[0].at<double>(i), v = call.args[1].at<double>(i);
    if (!(base > 0) || base == 1 || !(v > 0))
      call.fail(i, "logarithm of a number that is not positive, or to a base that is none");
    else
      out[i] = std::log(v) / std::log(base);
  }
}
void pi_of(KernelCall& call) {
  call.each<double>([](std::uint32_t) { return std::numbers::pi; });
}
void e_of(KernelCall& call) {
  call.each<double>([](std::uint32_t) { return std::numbers::e; });
}

void truncate_real(KernelCall& call) {
  call.each<double>([&](std::uint32_t i) {
    const double v = call.args[0].at<double>(i);
    const std::int64_t n = call.count > 1 ? std::clamp<std::int64_t>(call.args[1].at<std::int64_t>(i), -308, 308) : 0;
    const double factor = std::pow(10.0, static_cast<double>(n < 0 ? -n : n));
    const double scaled = n < 0 ? v / factor : v * factor;
    if (!std::isfinite(scaled) || std::fabs(scaled) >= 4503599627370496.0) return v;
    // What a text of 15 digits would lose by the multiplication is no digit of the number.
    const double near = std::round(scaled);
    const double cut = std::fabs(scaled - near) < 1e-12 * std::fmax(1, std::fabs(scaled)) ? near : std::trunc(scaled);
    return n < 0 ? cut * factor : cut / factor;
  });
}
void truncate_int(KernelCall& call) {
  call.each<std::int64_t>([&](std::uint32_t i) -> std::int64_t {
    const std::int64_t v = call.args[0].at<std::int64_t>(i), n = call.count > 1 ? call.args[1].at<std::int64_t>(i) : 0;
    if (n >= 0) return v;
    if (n < -18) return 0;
    const auto factor = static_cast<std::int64_t>(power_of_ten(static_cast<unsigned>(-n)));
    return v / factor * factor;
  });
}
// params: a = digits to drop, b = digits to put back as zeros
void truncate_decimal(KernelCall& call) {
  const Decimal factor = power_of_ten(static_cast<unsigned>(call.params->a)),
                back = power_of_ten(static_cast<unsigned>(call.params->b));
  call.each<Decimal>([&](std::uint32_t i) { return call.args[0].at<Decimal>(i) / factor * back; });
}
bool truncate_type(std::span<const ArgInfo> args, KernelChoice& k, std::string& error, std::size_t& bad) {
  std::int64_t n = 0;
  if (args.size() > 1) {
    bad = 1;
    if (args[1].constant == nullptr || args[1].constant->is_null(0)) {
      error = "the digits to cut a decimal to must be a constant";
      return false;
    }
    n = std::clamp<std::int64_t>(args[1].constant->at<std::int64_t>(0), -38, 38);
  }
  const int precision = args[0].type.precision, scale = args[0].type.scale;
  const int to = static_cast<int>(std::clamp<std::int64_t>(n, 0, scale));
  k.params.b = n < 0 ? -n : 0;
  k.params.a = std::min<std::int64_t>(scale - to + k.params.b, 38);
  k.type =
      types::decimal(static_cast<std::uint8_t>(std::max(precision - scale + to, 1)), static_cast<std::uint8_t>(to));
  return true;
}

template <class F>
void pairs(KernelCall& call, F&& f) {
  call.each<std::int64_t>([&](std::uint32_t i) {
    return static_cast<std::int64_t>(f(static_cast<std::uint64_t>(call.args[0].at<std::int64_t>(i)),
                                       static_cast<std::uint64_t>(call.args[1].at<std::int64_t>(i))));
  });
}
void bit_and(KernelCall& call) {
  pairs(call, [](std::uint64_t a, std::uint64_t b) { return a & b; });
}
void bit_or(KernelCall& call) {
  pairs(call, [](std::uint64_t a, std::uint64_t b) { return a | b; });
}
void bit_xor(KernelCall& call) {
  pairs(call, [](std::uint64_t a, std::uint64_t b) { return a ^ b; });
}
void shift_left(KernelCall& call) {
  pairs(call, [](std::uint64_t a, std::uint64_t n) { return n > 63 ? 0 : a << n; });
}
void shift_right(KernelCall& call) {  // keeps the sign
  call.each<std::int64_t>([&](std::uint32_t i) -> std::int64_t {
    const std::int64_t v = call.args[0].at<std::int64_t>(i), n = call.args[1].at<std::int64_t>(i);
    return v >> (n < 0 || n > 63 ? 63 : n);
  });
}
void bit_not(KernelCall& call) {
  call.each<std::int64_t>([&](std::uint32_t i) { return ~call.args[0].at<std::int64_t>(i); });
}
void bit_count(KernelCall& call) {
  call.each<std::int64_t>([&](std::uint32_t i) -> std::int64_t {
    return __builtin_popcountll(static_cast<std::uint64_t>(call.args[0].at<std::int64_t>(i)));
  });
}

constexpr Overload real(std::string_view name, std::string_view signature, std::string_view doc, Kernel run) {
  return {{name, "numeric", signature, doc}, "f", 'f', run, 25};
}
constexpr Overload bits(std::string_view name, std::string_view signature, std::string_view doc, Kernel run) {
  return {{name, "numeric", signature, doc}, "ii", 'i', run, 1};
}

}  // namespace

std::span<const Overload> math_functions() {
  static const Overload table[] = {
      real("sin", "sin(x float64) -> float64", "Sine of an angle in radians.", map_real<sin_of>),
      real("cos", "cos(x float64) -> float64", "Cosine of an angle in radians.", map_real<cos_of>),
      real("tan", "tan(x float64) -> float64", "Tangent of an angle in radians.", map_real<tan_of>),
      real("cot", "cot(x float64) -> float64", "Cotangent of an angle in radians; an error at 0.",
           checked_real<cot_of>),
      real("asin", "asin(x float64) -> float64", "Arc sine; an error outside of -1 to 1.", checked_real<asin_of>),
      real("acos", "acos(x float64) -> float64", "Arc cosine; an error outside of -1 to 1.", checked_real<acos_of>),
      real("atan", "atan(x float64) -> float64", "Arc tangent.", map_real<atan_of>),
      real("sinh", "sinh(x float64) -> float64", "Hyperbolic sine.", checked_real<sinh_of>),
      real("cosh", "cosh(x float64) -> float64", "Hyperbolic cosine.", checked_real<cosh_of>),
      real("tanh", "tanh(x float64) -> float64", "Hyperbolic tangent.", map_real<tanh_of>),
      real("cbrt", "cbrt(x float64) -> float64", "Cube root.", map_real<cbrt_of>),
      real("log2", "log2(x float64) -> float64", "Logarithm to base 2; an error when x <= 0.", checked_real<log2_of>),
      real("degrees", "degrees(x float64) -> float64", "Radians as degrees.", map_real<degrees_of>),
      real("radians", "radians(x float64) -> float64", "Degrees as radians.", map_real<radians_of>),
      {{"atan2", "numeric", "atan2(y float64, x float64) -> float64", "Angle of the point (x, y)."},
       "ff",
       'f',
       atan2_of,
       40},
      {{"log", "numeric", "log(base float64, x float64) -> float64", "Logarithm of x to a base."},
       "ff",
       'f',
       log_of_base,
       40},
      {{"pi", "numeric", "pi() -> float64", "3.14159..."}, "0", 'f', pi_of, 1},
      {{"e", "numeric", "e() -> float64", "2.71828..."}, "0", 'f', e_of, 1},
      {{"truncate", "numeric", "truncate(x int64 [, n int64]) -> int64",
        "Digits behind place n made zero; n < 0 are tens."},
       "ii?",
       'i',
       truncate_int,
       8},
      {{"truncate", "numeric", "truncate(x decimal [, n int64]) -> decimal", "Cut to n digits (0); n is a constant."},
       "di?",
       'd',
       truncate_decimal,
       10,
       truncate_type},
      {{"truncate", "numeric", "truncate(x float64 [, n int64]) -> float64", "Cut to n digits (0)."},
       "fi?",
       'f',
       truncate_real,
       30},
      bits("bit_and", "bit_and(a int64, b int64) -> int64", "Bits that both have.", bit_and),
      bits("bit_or", "bit_or(a int64, b int64) -> int64", "Bits that either has.", bit_or),
      bits("bit_xor", "bit_xor(a int64, b int64) -> int64", "Bits that one of them has.", bit_xor),
      bits("shift_left", "shift_left(a int64, n int64) -> int64", "The bits moved n places up; 0 from 64 on.",
           shift_left),
      bits("shift_right", "shift_right(a int64, n int64) -> int64", "The bits moved n places down, the sign kept.",
           shift_right),
      {{"bit_not", "numeric", "bit_not(a int64) -> int64", "The other bits."}, "i", 'i', bit_not, 1},
      {{"bit_count", "numeric", "bit_count(a int64) -> int64", "How many bits are set."}, "i", 'i', bit_count, 1},
  };
  return table;
}

}  // namespace twinspan::engine
