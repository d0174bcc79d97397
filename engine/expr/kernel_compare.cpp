// Comparison, IS ..., IN and NOT. The hot ones (fixed-width against a constant, string equal to a constant) are loops
// without a branch on the data where the machine allows.

#include <algorithm>
#include <bit>
#include <compare>
#include <unordered_set>

#include "engine/expr/kernel.h"
#include "engine/expr/short_text.h"

namespace twinspan::engine {

namespace {

template <CompareOp op, class T>
inline std::uint8_t compare(const T& a, const T& b) {
  if constexpr (op == CompareOp::eq) return a == b;
  if constexpr (op == CompareOp::ne) return !(a == b);
  if constexpr (op == CompareOp::lt) return a < b;
  if constexpr (op == CompareOp::le) return a <= b;
  if constexpr (op == CompareOp::gt) return a > b;
  if constexpr (op == CompareOp::ge) return a >= b;
}

template <CompareOp op, class T>
void compare_fixed(KernelCall& call) {
  call.each_pair<T, std::uint8_t>([](const T& a, const T& b) { return compare<op, T>(a, b); });
}

template <CompareOp op>
void compare_strings(KernelCall& call) {
  const Value &a = call.args[0], &b = call.args[1];
  if constexpr (op != CompareOp::eq && op != CompareOp::ne) {
    if (b.stride == 0 && a.stride != 0) {  // mostly the first eight bytes decide
      const auto text = b.at<std::string_view>(0);
      const std::uint64_t key = ordered_prefix(text);
      const auto* x = static_cast<const std::string_view*>(a.data);
      return call.each<std::uint8_t>([&](std::uint32_t i) -> std::uint8_t {
        const std::uint64_t first = ordered_prefix(x[i]);
        return first != key ? compare<op>(first, key) : compare<op, std::string_view>(x[i], text);
      });
    }
  }
  call.each<std::uint8_t>([&](std::uint32_t i) -> std::uint8_t {
    const auto &x = a.at<std::string_view>(i), &y = b.at<std::string_view>(i);
    if constexpr (op == CompareOp::eq || op == CompareOp::ne) return (x == y) == (op == CompareOp::eq);
    return compare<op, std::string_view>(x, y);
  });
}

// Equal lengths are compared by two overlapping loads, so that short constants such as 'click' need no call.
template <class W, bool equal>
void equals_constant_two_loads(KernelCall& call) {
  const auto text = call.args[1].at<std::string_view>(0);
  const std::size_t size = text.size(), last = size - sizeof(W);
  const W first = load_word<W>(text.data()), second = load_word<W>(text.data() + last);
  const auto* a = static_cast<const std::string_view*>(call.args[0].data);
  call.each<std::uint8_t>([&](std::uint32_t i) -> std::uint8_t {
    const std::string_view v = a[i];
    return (v.size() == size && ((load_word<W>(v.data()) ^ first) | (load_word<W>(v.data() + last) ^ second)) == 0) ==
           equal;
  });
}

template <bool equal>
void equals_constant(KernelCall& call) {
  const auto text = call.args[1].at<std::string_view>(0);
  if (call.args[0].stride == 0) return compare_strings < equal ? CompareOp::eq : CompareOp::ne > (call);
  if (text.size() >= 8 && text.size() <= 16) return equals_constant_two_loads<std::uint64_t, equal>(call);
  if (text.size() >= 4 && text.size() < 8) return equals_constant_two_loads<std::uint32_t, equal>(call);
  if (text.size() >= 2 && text.size() < 4) return equals_constant_two_loads<std::uint16_t, equal>(call);
  const auto* a = static_cast<const std::string_view*>(call.args[0].data);
  call.each<std::uint8_t>([&](std::uint32_t i) -> std::uint8_t { return (a[i] == text) == equal; });
}

// params: a, b = powers of ten that bring both sides to one scale.
std::strong_ordering compare_decimals(Decimal x, Decimal y, Decimal scale_x, Decimal scale_y) {
  // Only one side is ever scaled. A product beyond 128 bits is beyond any value of the other side.
  if (__builtin_mul_overflow(x, scale_x, &x)) return std::strong_ordering::greater;
  if (__builtin_mul_overflow(y, scale_y, &y)) return std::strong_ordering::less;
  return x < y ? std::strong_ordering::less : x > y ? std::strong_ordering::greater : std::strong_ordering::equal;
}

template <CompareOp op>
void compare_decimal(KernelCall& call) {
  const Value &a = call.args[0], &b = call.args[1];
  const Decimal sx = power_of_ten(static_cast<unsigned>(call.params->a)),
                sy = power_of_ten(static_cast<unsigned>(call.params->b));
  if (sx == 1 && sy == 1) return compare_fixed<op, Decimal>(call);
  call.each<std::uint8_t>([&](std::uint32_t i) -> std::uint8_t {
    const Decimal x = a.at<Decimal>(i), y = b.at<Decimal>(i);
    std::strong_ordering order = std::strong_ordering::equal;
    if ((x < 0) != (y < 0))
      order = x < 0 ? std::strong_ordering::less : std::strong_ordering::greater;
    else if (x < 0)
      order = compare_decimals(-y, -x, sy, sx);
    else
      order = compare_decimals(x, y, sx, sy);
    if constexpr (op == CompareOp::eq) return order == 0;
    if constexpr (op == CompareOp::ne) return order != 0;
    if constexpr (op == CompareOp::lt) return order < 0;
    if constexpr (op == CompareOp::le) return order <= 0;
    if constexpr (op == CompareOp::gt) return order > 0;
    return order >= 0;
  });
}

template <CompareOp op>
Kernel pick_compare(DataType t, bool b_constant) {
  switch (t.kind) {
    case TypeKind::boolean: return compare_fixed<op, std::uint8_t>;
    case TypeKind::int64:
    case TypeKind::timestamp:
    case TypeKind::duration: return compare_fixed<op, std::int64_t>;
    case TypeKind::float64: return compare_fixed<op, double>;
    case TypeKind::decimal: return compare_decimal<op>;
    case TypeKind::string:
    case TypeKind::bytes:
      if (b_constant && op == CompareOp::eq) return equals_constant<true>;
      if (b_constant && op == CompareOp::ne) return equals_constant<false>;
      return compare_strings<op>;
    case TypeKind::array:  // equal values are equal bytes
    case TypeKind::map:
    case TypeKind::row: return compare_strings<op>;
    default: return nullptr;
  }
}

void logical_not(KernelCall& call) {
  const auto* a = static_cast<const std::uint8_t*>(call.args[0].data);
  auto* out = call.result<std::uint8_t>();
  if (call.args[0].stride == 0) {
    std::memset(out, *a == 0, call.rows);
  } else {
    for (std::uint32_t i = 0; i < call.rows; ++i) out[i] = a[i] == 0;
  }
}

// One unsigned comparison.
void in_range(KernelCall& call) {
  const auto low = call.args[1].at<std::uint64_t>(0), width = call.args[2].at<std::uint64_t>(0) - low;
  const auto* x = static_cast<const std::uint64_t*>(call.args[0].data);
  auto* out = call.result<std::uint8_t>();
  for (std::uint32_t i = 0; i < call.rows; ++i) out[i] = x[i] - low <= width;
}

template <bool negated>
void is_null(KernelCall& call) {
  const auto& a = call.args[0];
  auto* out = call.result<std::uint8_t>();
  if (a.valid == nullptr) {
    std::memset(out, negated, call.rows);
  } else if (a.stride == 0) {
    std::memset(out, (*a.valid != 0) == negated, call.rows);
  } else {
    const std::uint8_t* valid = a.valid;
    for (std::uint32_t i = 0; i < call.rows; ++i) out[i] = (valid[i] != 0) == negated;
  }
}

// params: a = the value looked for, b = negated
void is_bool(KernelCall& call) {
  const auto& a = call.args[0];
  auto* out = call.result<std::uint8_t>();
  for (std::uint32_t i = 0; i < call.rows; ++i)
    out[i] = (!a.is_null(i) && (a.at<std::uint8_t>(i) != 0) == (call.params->a != 0)) != (call.params->b != 0);
}

template <class T>
void is_distinct(KernelCall& call) {
  const Value &a = call.args[0], &b = call.args[1];
  auto* out = call.result<std::uint8_t>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    const bool x = a.is_null(i), y = b.is_null(i);
    const bool distinct = x || y ? x != y : !(a.at<T>(i) == b.at<T>(i));
    out[i] = distinct != (call.params->b != 0);
  }
}

struct DecimalHash {
  std::size_t operator()(Decimal v) const {
    return std::hash<std::uint64_t>()(static_cast<std::uint64_t>(v) * 0x9E3779B97F4A7C15ull ^
                                      static_cast<std::uint64_t>(v >> 64));
  }
};

}  // namespace

struct ConstantSet {
  static constexpr std::size_t kFew = 8;
  bool has_null = false;
  // All of `strings`, if they are few and short, or of `ints`: compared one by one, which beats hashing.
  std::vector<ShortText> few;
  std::vector<std::int64_t> few_ints;
  std::vector<std::string> owned;  // bytes of `strings`; reserved before filling, so the views stay
  std::unordered_set<std::string_view> strings;
  std::unordered_set<std::int64_t> ints;
  std::unordered_set<double> floats;
  std::unordered_set<Decimal, DecimalHash> decimals;
};

namespace {

template <class T, class Set>
void find_in(KernelCall& call, const Set& set, bool has_null) {
  const auto& a = call.args[0];
  auto* out = call.result<std::uint8_t>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    if (!call.computes(i)) {
      out[i] = 0;
      continue;
    }
    out[i] = set.count(a.at<T>(i)) != 0;
    if (has_null && out[i] == 0) call.set_null(i);
  }
}

// Fewer than n are filled up with the last.
template <std::size_t n, class T>
void fill(T (&set)[n], const std::vector<T>& few) {
  for (std::size_t k = 0; k < n; ++k) set[k] = few[std::min(k, few.size() - 1)];
}

template <std::size_t n>
void find_in_few(KernelCall& call, const std::vector<ShortText>& few) {
  ShortText set[n];
  fill(set, few);
  const auto* a = static_cast<const std::string_view*>(call.args[0].data);
  const auto is_one = [&](const ShortText& x) -> std::uint8_t {
    bool found = false;
    for (std::size_t k = 0; k < n; ++k) found |= x.is(set[k]);
    return found;
  };
  // Where all are read by words of one width, most texts need no decision by their length.
  const auto width = [](const ShortText& t) { return std::bit_width(t.size) - (t.size == 16 ? 1 : 0); };
  const bool alike = std::all_of(few.begin(), few.end(), [&](const auto& t) { return width(t) == width(few[0]); });
  const auto of_words = [&]<class W>(W) {
    call.each<std::uint8_t>([&](std::uint32_t i) -> std::uint8_t {
      const std::string_view s = a[i];
      if (s.size() < sizeof(W) || s.size() > (sizeof(W) == 8 ? 16 : 2 * sizeof(W) - 1)) return 0;
      return is_one({load_word<W>(s.data()), load_word<W>(s.data() + s.size() - sizeof(W)), s.size()});
    });
  };
  if (alike && width(few[0]) == 4) return of_words(std::uint64_t{});
  if (alike && width(few[0]) == 3) return of_words(std::uint32_t{});
  if (alike && width(few[0]) == 2) return of_words(std::uint16_t{});
  call.each<std::uint8_t>([&](std::uint32_t i) { return is_one(ShortText::of(a[i])); });
}

template <std::size_t n>
void find_in_few(KernelCall& call, const std::vector<std::int64_t>& few) {
  std::int64_t set[n];
  fill(set, few);
  const auto* a = static_cast<const std::int64_t*>(call.args[0].data);
  auto* out = call.result<std::uint8_t>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    bool found = false;
    for (std::size_t k = 0; k < n; ++k) found |= a[i] == set[k];
    out[i] = found;
  }
}

template <class T>
void find_in_few(KernelCall& call, const std::vector<T>& few) {
  if (few.size() <= 2) return find_in_few<2>(call, few);
  if (few.size() <= 4) return find_in_few<4>(call, few);
  find_in_few<ConstantSet::kFew>(call, few);
}

void in_set(KernelCall& call) {
  const auto& set = call.params->as<ConstantSet>();
  if (call.args[0].stride != 0) {
    if (!set.few.empty()) return find_in_few(call, set.few);
    if (!set.few_ints.empty()) return find_in_few(call, set.few_ints);
  }
  switch (static_cast<TypeKind>(call.params->a)) {
    case TypeKind::string:
    case TypeKind::bytes: return find_in<std::string_view>(call, set.strings, set.has_null);
    case TypeKind::float64: return find_in<double>(call, set.floats, set.has_null);
    case TypeKind::decimal: return find_in<Decimal>(call, set.decimals, set.has_null);
    case TypeKind::boolean: return find_in<std::uint8_t>(call, set.ints, set.has_null);
    default: return find_in<std::int64_t>(call, set.ints, set.has_null);
  }
}

}  // namespace

KernelChoice compare_kernel(CompareOp op, DataType a, DataType b, bool, bool b_constant) {
  KernelChoice k;
  k.type = types::boolean;
  switch (op) {
    case CompareOp::eq: k.run = pick_compare<CompareOp::eq>(a, b_constant); break;
    case CompareOp::ne: k.run = pick_compare<CompareOp::ne>(a, b_constant); break;
    case CompareOp::lt: k.run = pick_compare<CompareOp::lt>(a, b_constant); break;
    case CompareOp::le: k.run = pick_compare<CompareOp::le>(a, b_constant); break;
    case CompareOp::gt: k.run = pick_compare<CompareOp::gt>(a, b_constant); break;
    case CompareOp::ge: k.run = pick_compare<CompareOp::ge>(a, b_constant); break;
  }
  k.cost = a.is_string_like() ? 3 : 1;
  if (a.kind == TypeKind::decimal) {
    const int scale = std::max(a.scale, b.scale);
    k.params.a = scale - a.scale;
    k.params.b = scale - b.scale;
    k.cost = 3;
  }
  return k;
}

KernelChoice range_kernel() { return {.run = in_range, .type = types::boolean}; }

KernelChoice not_kernel() { return {.run = logical_not, .type = types::boolean}; }

KernelChoice is_null_kernel(bool negated) {
  return {.run = negated ? is_null<true> : is_null<false>, .type = types::boolean, .strict = false};
}

KernelChoice is_bool_kernel(bool wanted, bool negated) {
  return {.run = is_bool, .type = types::boolean, .params = {.a = wanted, .b = negated}, .strict = false};
}

KernelChoice is_distinct_kernel(DataType type, bool negated) {
  KernelChoice k{.type = types::boolean, .params = {.b = negated}, .strict = false, .cost = 3};
  switch (type.kind) {
    case TypeKind::boolean: k.run = is_distinct<std::uint8_t>; break;
    case TypeKind::float64: k.run = is_distinct<double>; break;
    case TypeKind::decimal: k.run = is_distinct<Decimal>; break;
    case TypeKind::int64:
    case TypeKind::timestamp:
    case TypeKind::duration: k.run = is_distinct<std::int64_t>; break;
    default: k.run = is_distinct<std::string_view>;
  }
  return k;
}

std::shared_ptr<const ConstantSet> make_set(DataType type, const std::vector<Value>& values, bool has_null) {
  auto set = std::make_shared<ConstantSet>();
  set->has_null = has_null;
  set->owned.reserve(values.size());
  for (const Value& v : values) {
    switch (type.kind) {
      case TypeKind::string:
      case TypeKind::bytes:
        set->owned.emplace_back(v.at<std::string_view>(0));
        set->strings.insert(set->owned.back());
        break;
      case TypeKind::float64: set->floats.insert(v.at<double>(0)); break;
      case TypeKind::decimal: set->decimals.insert(v.at<Decimal>(0)); break;
      case TypeKind::boolean: set->ints.insert(v.at<std::uint8_t>(0)); break;
      default: set->ints.insert(v.at<std::int64_t>(0));
    }
  }
  const auto is_short = [](const std::string& s) { return s.size() <= ShortText::kMost; };
  if (!has_null && type.is_text() && set->owned.size() <= ConstantSet::kFew &&
      std::all_of(set->owned.begin(), set->owned.end(), is_short))
    for (const std::string& s : set->owned) set->few.push_back(ShortText::of(s));
  const bool whole =
      type.kind == TypeKind::int64 || type.kind == TypeKind::timestamp || type.kind == TypeKind::duration;
  if (!has_null && whole && set->ints.size() <= ConstantSet::kFew)
    set->few_ints.assign(set->ints.begin(), set->ints.end());
  return set;
}

KernelChoice in_set_kernel(DataType type, std::shared_ptr<const ConstantSet> set) {
  KernelChoice k{.run = in_set, .type = types::boolean, .cost = 6};
  k.params.a = static_cast<std::int64_t>(type.kind);
  k.params.state = std::move(set);
  return k;
}

}  // namespace twinspan::engine
