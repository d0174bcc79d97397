// CAST and TRY_CAST. A value that does not fit is an error of the row (CAST) or NULL (TRY_CAST). Numbers round half up
// when digits of a decimal are lost; to int64 they are cut towards zero, as in Flink.

#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "engine/expr/kernel.h"
#include "engine/expr/nested_kernels.h"

namespace twinspan::engine {

namespace {

std::string_view trimmed(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t' || s.front() == '\n' || s.front() == '\r'))
    s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t' || s.back() == '\n' || s.back() == '\r'))
    s.remove_suffix(1);
  return s;
}

// `text` shortened, so that a bad megabyte does not become a message of a megabyte.
std::string shown(std::string_view text) {
  if (text.size() <= 40) return std::string(text);
  std::size_t n = 40;
  while (n > 0 && (static_cast<unsigned char>(text[n]) & 0xC0) == 0x80) --n;
  return std::string(text.substr(0, n)) + "...";
}

template <bool safe>
void refuse(KernelCall& call, std::uint32_t i, std::string_view text) {
  if constexpr (safe)
    call.set_null(i);
  else
    call.fail(i, fmt::format("cannot cast '{}' to {}", shown(text), to_string(call.type)));
}

// Runs f(text or value, T& out) -> bool on each row; false refuses the row, shown by `text`.
template <bool safe, class From, class To, class F, class Text>
void rows(KernelCall& call, F&& f, Text&& text) {
  auto* out = call.result<To>();
  const Value& a = call.args[0];
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = To{};
    if (!call.computes(i)) continue;
    const From& v = a.at<From>(i);
    if (!f(v, out[i])) {
      out[i] = To{};
      refuse<safe>(call, i, text(v));
    }
  }
}

template <bool safe, class To, class F>
void from_text(KernelCall& call, F&& f) {
  rows<safe, std::string_view, To>(call, f, [](std::string_view s) { return s; });
}

template <bool safe>
void text_to_int(KernelCall& call) {
  from_text<safe, std::int64_t>(call, [](std::string_view s, std::int64_t& out) {
    s = trimmed(s);
    if (s.size() > 1 && s[0] == '+' && s[1] != '-') s.remove_prefix(1);
    const auto r = std::from_chars(s.data(), s.data() + s.size(), out);
    return r.ec == std::errc() && r.ptr == s.data() + s.size();
  });
}

template <bool safe>
void text_to_float(KernelCall& call) {
  from_text<safe, double>(call, [](std::string_view s, double& out) {
    s = trimmed(s);
    if (s.size() > 1 && s[0] == '+' && s[1] != '-') s.remove_prefix(1);
    const auto r = std::from_chars(s.data(), s.data() + s.size(), out);
    return r.ec == std::errc() && r.ptr == s.data() + s.size();
  });
}

template <bool safe>
void text_to_decimal(KernelCall& call) {
  const DataType t = call.type;
  from_text<safe, Decimal>(call, [t](std::string_view s, Decimal& out) {
    const auto v = parse_decimal(trimmed(s), t.precision, t.scale);
    if (v) out = *v;
    return v.has_value();
  });
}

template <bool safe>
void text_to_timestamp(KernelCall& call) {
  from_text<safe, std::int64_t>(call, [](std::string_view s, std::int64_t& out) {
    const auto v = parse_timestamp(trimmed(s));
    if (v) out = *v;
    return v.has_value();
  });
}

template <bool safe>
void text_to_bool(KernelCall& call) {
  from_text<safe, std::uint8_t>(call, [](std::string_view s, std::uint8_t& out) {
    s = trimmed(s);
    const auto same = [&](std::string_view w) {
      if (s.size() != w.size()) return false;
      for (std::size_t i = 0; i < w.size(); ++i)
        if ((s[i] | 0x20) != w[i]) return false;
      return true;
    };
    out = same("true") || s == "1";
    return out != 0 || same("false") || s == "0";
  });
}

template <bool safe>
void bytes_to_text(KernelCall& call) {
  rows<safe, std::string_view, std::string_view>(
      call,
      [](std::string_view s, std::string_view& out) {
        out = s;
        return is_utf8(s);
      },
      [](std::string_view) { return std::string_view("bytes that are not UTF-8"); });
}

template <bool safe>
void float_to_int(KernelCall& call) {
  rows<safe, double, std::int64_t>(
      call,
      [](double v, std::int64_t& out) {
        if (!(v >= -9223372036854775808.0 && v < 9223372036854775808.0)) return false;
        out = static_cast<std::int64_t>(v);
        return true;
      },
      [](double v) { return fmt::format("{}", v); });
}

template <bool safe>
void float_to_decimal(KernelCall& call) {
  const DataType t = call.type;
  rows<safe, double, Decimal>(
      call,
      [t](double v, Decimal& out) {
        if (!std::isfinite(v)) return false;
        const auto d =
            parse_decimal(fmt::format("{}", v), t.precision, t.scale);  // the shortest text that is this double
        if (d) out = *d;
        return d.has_value();
      },
      [](double v) { return fmt::format("{}", v); });
}

// params: a = scale of the argument, b = exclusive bound on the magnitude as a power of ten (38 = kDecimalLimit)
template <bool safe, class From>
void to_decimal(KernelCall& call) {
  const int from = static_cast<int>(call.params->a), to = call.type.scale;
  const Decimal factor = power_of_ten(static_cast<unsigned>(from < to ? to - from : from - to));
  const Decimal bound = power_of_ten(call.type.precision);
  rows<safe, From, Decimal>(
      call,
      [=](const From& v, Decimal& out) {
        out = v;
        if (from < to && __builtin_mul_overflow(out, factor, &out)) return false;
        if (from > to) out = divide_half_up(out, factor);
        return out > -bound && out < bound;
      },
      [from](const From& v) { return decimal_to_string(v, static_cast<unsigned>(from)); });
}

template <bool safe>
void decimal_to_int(KernelCall& call) {
  const auto scale = static_cast<unsigned>(call.params->a);
  const Decimal factor = power_of_ten(scale);
  rows<safe, Decimal, std::int64_t>(
      call,
      [factor](const Decimal& v, std::int64_t& out) {
        const Decimal whole = v / factor;
        out = static_cast<std::int64_t>(whole);
        return whole >= INT64_MIN && whole <= INT64_MAX;
      },
      [scale](const Decimal& v) { return decimal_to_string(v, scale); });
}

void decimal_to_float(KernelCall& call) {
  const auto scale = static_cast<unsigned>(call.params->a);
  const auto factor = static_cast<double>(power_of_ten(scale));
  call.each<double>([&](std::uint32_t i) {
    const Decimal v = call.args[0].at<Decimal>(i);
    if (v > -(Decimal{1} << 53) && v < (Decimal{1} << 53) && scale <= 22)
      return static_cast<double>(v) / factor;  // exact operands: rounded once
    const std::string text = decimal_to_string(v, scale);
    double out = 0;
    std::from_chars(text.data(), text.data() + text.size(), out);
    return out;
  });
}

void int_to_float(KernelCall& call) {
  auto* out = call.result<double>();
  for (std::uint32_t i = 0; i < call.rows; ++i) out[i] = static_cast<double>(call.args[0].at<std::int64_t>(i));
}
void bool_to_int(KernelCall& call) {
  auto* out = call.result<std::int64_t>();
  for (std::uint32_t i = 0; i < call.rows; ++i) out[i] = call.args[0].at<std::uint8_t>(i) != 0;
}
void int_to_bool(KernelCall& call) {
  auto* out = call.result<std::uint8_t>();
  for (std::uint32_t i = 0; i < call.rows; ++i) out[i] = call.args[0].at<std::int64_t>(i) != 0;
}

void int_to_text(KernelCall& call) {
  call.each<std::string_view>([&](std::uint32_t i) {
    char buffer[24];
    const auto r = std::to_chars(buffer, buffer + sizeof buffer, call.args[0].at<std::int64_t>(i));
    return call.bytes->copy({buffer, static_cast<std::size_t>(r.ptr - buffer)});
  });
}
void float_to_text(KernelCall& call) {
  call.each<std::string_view>([&](std::uint32_t i) {
    char buffer[40];
    const auto r = fmt::format_to_n(buffer, sizeof buffer, "{}", call.args[0].at<double>(i));
    return call.bytes->copy({buffer, r.size});
  });
}
void decimal_to_text(KernelCall& call) {
  call.each<std::string_view>([&](std::uint32_t i) {
    return call.bytes->copy(decimal_to_string(call.args[0].at<Decimal>(i), static_cast<unsigned>(call.params->a)));
  });
}
void bool_to_text(KernelCall& call) {
  call.each<std::string_view>(
      [&](std::uint32_t i) -> std::string_view { return call.args[0].at<std::uint8_t>(i) != 0 ? "true" : "false"; });
}
void timestamp_to_text(KernelCall& call) {
  call.each<std::string_view>(
      [&](std::uint32_t i) { return call.bytes->copy(timestamp_to_string(call.args[0].at<std::int64_t>(i))); });
}

void keep(KernelCall&) {}  // reuses_arg: nothing to compute

template <bool safe>
Kernel pick(TypeKind from, TypeKind to) {
  using enum TypeKind;
  if (from == string) {
    switch (to) {
      case boolean: return text_to_bool<safe>;
      case int64: return text_to_int<safe>;
      case float64: return text_to_float<safe>;
      case decimal: return text_to_decimal<safe>;
      case timestamp: return text_to_timestamp<safe>;
      default: return nullptr;
    }
  }
  if (to == string) {
    switch (from) {
      case boolean: return bool_to_text;
      case int64: return int_to_text;
      case float64: return float_to_text;
      case decimal: return decimal_to_text;
      case timestamp: return timestamp_to_text;
      case bytes: return bytes_to_text<safe>;
      default: return nullptr;
    }
  }
  if (from == int64 && to == float64) return int_to_float;
  if (from == int64 && to == decimal) return to_decimal<safe, std::int64_t>;
  if (from == int64 && to == boolean) return int_to_bool;
  if (from == boolean && to == int64) return bool_to_int;
  if (from == float64 && to == int64) return float_to_int<safe>;
  if (from == float64 && to == decimal) return float_to_decimal<safe>;
  if (from == decimal && to == int64) return decimal_to_int<safe>;
  if (from == decimal && to == float64) return decimal_to_float;
  if (from == decimal && to == decimal) return to_decimal<safe, Decimal>;
  return nullptr;
}

}  // namespace

KernelChoice cast_kernel(DataType from, DataType to, bool safe) {
  KernelChoice k;
  k.type = to;
  k.params.a = from.scale;
  // The same memory under another name: string as bytes, a duration as its milliseconds, a decimal that only gains
  // digits.
  const bool same_scale = from.kind == TypeKind::decimal && to.kind == TypeKind::decimal && from.scale == to.scale &&
                          from.precision <= to.precision;
  if (from.kind >= TypeKind::array || to.kind >= TypeKind::array) return nested_cast_kernel(from, to, safe);
  if ((from.kind == to.kind && from.kind != TypeKind::decimal) || same_scale ||
      (from.kind == TypeKind::string && to.kind == TypeKind::bytes) ||
      (from.kind == TypeKind::duration && to.kind == TypeKind::int64) ||
      (from.kind == TypeKind::int64 && to.kind == TypeKind::duration)) {
    k.run = keep;
    k.reuses_arg = true;
    k.cost = 0;
    return k;
  }
  k.run = safe ? pick<true>(from.kind, to.kind) : pick<false>(from.kind, to.kind);
  k.cost = from.kind == TypeKind::string || to.kind == TypeKind::string ? 20 : 3;
  if (from.kind == TypeKind::float64 && to.kind == TypeKind::decimal) k.cost = 60;
  return k;
}

}  // namespace twinspan::engine
