// Functions on arrays and maps. Indices count from 0, as a[0] does. NULL elements stay where they are unless it says
// otherwise.

#include <algorithm>

#include <fmt/format.h>

#include "engine/base/nested.h"
#include "engine/expr/overload.h"

namespace twinspan::engine {

namespace {

using View = std::string_view;
constexpr std::size_t kMaxElements = 1 << 20;
constexpr const char* kTooMany = "the array would have more than 1048576 elements";

View bytes(const KernelCall& c, std::size_t arg, std::uint32_t i) { return c.args[arg].at<View>(i); }
ArrayView array(const KernelCall& c, std::size_t arg, std::uint32_t i) {
  return {bytes(c, arg, i), types::element(c.params->as<DataType>())};
}

template <class T>
T element_of(const ArrayView& a, std::uint32_t i) {
  if constexpr (std::is_same_v<T, View>)
    return a.text(i);
  else
    return a.at<T>(i);
}

// state: type of the first argument; the result has it too.
bool same_type(std::span<const ArgInfo> args, KernelChoice& k, std::string& error, std::size_t& bad) {
  k.params.state = std::make_shared<const DataType>(args[0].type);
  k.type = args[0].type;
  for (bad = 0; bad < args.size(); ++bad) {
    if (args[bad].type == args[0].type || args[bad].type.kind != TypeKind::array) continue;
    error = fmt::format("{} and {} are different types", to_string(args[0].type), to_string(args[bad].type));
    return false;
  }
  return true;
}

// state: type of the first argument; the result's type is the table's.
bool first_type(std::span<const ArgInfo> args, KernelChoice& k, std::string&, std::size_t&) {
  k.params.state = std::make_shared<const DataType>(args[0].type);
  return true;
}

void array_cardinality(KernelCall& call) {
  call.each<std::int64_t>([&](std::uint32_t i) -> std::int64_t { return array(call, 0, i).size(); });
}
void map_cardinality(KernelCall& call) {
  call.each<std::int64_t>([&](std::uint32_t i) -> std::int64_t {
    return MapView(bytes(call, 0, i), types::map_value(call.params->as<DataType>())).keys().size();
  });
}

void split(KernelCall& call) {
  ArrayBuilder out(types::string);
  auto* to = call.result<View>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    to[i] = {};
    if (!call.computes(i)) continue;
    View s = bytes(call, 0, i);
    const View mark = bytes(call, 1, i);
    out.clear();
    while (out.size() < kMaxElements) {
      const std::size_t at = mark.empty() ? View::npos : s.find(mark);
      const View part = s.substr(0, at);
      out.add(&part);
      if (at == View::npos) break;
      s.remove_prefix(at + mark.size());
    }
    if (out.size() >= kMaxElements)
      call.fail(i, kTooMany);
    else
      to[i] = call.bytes->copy(out.finish());
  }
}

void array_join(KernelCall& call) {
  std::string out;
  auto* to = call.result<View>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    to[i] = {};
    if (!call.computes(i)) continue;
    const ArrayView a(bytes(call, 0, i), types::string);
    out.clear();
    bool first = true;
    for (std::uint32_t k = 0; k < a.size() && out.size() <= kMaxValue; ++k) {
      if (a.is_null(k) && call.count < 3) continue;
      if (!first) out += bytes(call, 1, i);
      out += a.is_null(k) ? bytes(call, 2, i) : a.text(k);
      first = false;
    }
    if (out.size() > kMaxValue)
      call.fail(i, kValueTooLong);
    else
      to[i] = call.bytes->copy(out);
  }
}

bool join_type(std::span<const ArgInfo> args, KernelChoice&, std::string& error, std::size_t& bad) {
  bad = 0;
  if (args[0].type == types::array(types::string)) return true;
  error = fmt::format("array<string> is due here, this is {}", to_string(args[0].type));
  return false;
}

void put(ArrayBuilder& out, const ArrayView& from, std::uint32_t i) {
  alignas(Decimal) char value[sizeof(Decimal)];
  if (from.is_null(i)) return out.add_null();
  from.load(i, value);
  out.add(value);
}

void array_reverse(KernelCall& call) {
  ArrayBuilder out(types::element(call.type));
  call.each<View>([&](std::uint32_t i) -> View {
    const ArrayView a = array(call, 0, i);
    out.clear();
    for (std::uint32_t k = a.size(); k-- > 0;) put(out, a, k);
    return call.bytes->copy(out.finish());
  });
}

void array_concat(KernelCall& call) {
  ArrayBuilder out(types::element(call.type));
  auto* to = call.result<View>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    to[i] = {};
    if (!call.computes(i)) continue;
    out.clear();
    std::size_t total = 0;
    for (std::uint32_t n = 0; n < call.count; ++n) total += array(call, n, i).size();
    std::size_t size = 0;
    for (std::uint32_t n = 0; n < call.count; ++n) size += bytes(call, n, i).size();
    if (total > kMaxElements || size > kMaxValue) {
      call.fail(i, size > kMaxValue ? kValueTooLong : kTooMany);
      continue;
    }
    for (std::uint32_t n = 0; n < call.count; ++n) {
      const ArrayView a = array(call, n, i);
      for (std::uint32_t k = 0; k < a.size(); ++k) put(out, a, k);
    }
    to[i] = call.bytes->copy(out.finish());
  }
}

void array_slice(KernelCall& call) {
  ArrayBuilder out(types::element(call.type));
  call.each<View>([&](std::uint32_t i) -> View {
    const ArrayView a = array(call, 0, i);
    const auto size = static_cast<std::int64_t>(a.size());
    std::int64_t from = call.args[1].at<std::int64_t>(i);
    const std::int64_t n = call.count > 2 ? call.args[2].at<std::int64_t>(i) : size;
    if (from < 0) from = std::max<std::int64_t>(from, -size) + size;
    out.clear();
    for (std::int64_t k = from; k < size && k - from < n; ++k) put(out, a, static_cast<std::uint32_t>(k));
    return call.bytes->copy(out.finish());
  });
}

// Values ascending, NULLs last; equal ones next to each other.
template <class T>
void sorted_of(const ArrayView& a, std::vector<std::uint32_t>& order) {
  order.resize(a.size());
  for (std::uint32_t k = 0; k < a.size(); ++k) order[k] = k;
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t x, std::uint32_t y) {
    if (a.is_null(x) || a.is_null(y)) return !a.is_null(x) && a.is_null(y);
    const T u = element_of<T>(a, x), v = element_of<T>(a, y);
    if constexpr (std::is_same_v<T, double>) {
      if (u != u || v != v) return u == u && v != v;  // NaN behind all numbers
    }
    return u < v;
  });
}

template <class T>
struct Sort {
  static void run(KernelCall& call) {
    ArrayBuilder out(types::element(call.type));
    std::vector<std::uint32_t> order;
    call.each<View>([&](std::uint32_t i) -> View {
      const ArrayView a = array(call, 0, i);
      sorted_of<T>(a, order);
      out.clear();
      for (std::uint32_t k : order) put(out, a, k);
      return call.bytes->copy(out.finish());
    });
  }
};

// The first of each value, in the order of the array.
template <class T>
struct Distinct {
  static void run(KernelCall& call) {
    ArrayBuilder out(types::element(call.type));
    std::vector<std::uint32_t> order;
    std::vector<std::uint8_t> keep;
    call.each<View>([&](std::uint32_t i) -> View {
      const ArrayView a = array(call, 0, i);
      sorted_of<T>(a, order);
      keep.assign(a.size(), 1);
      for (std::size_t k = 1; k < order.size(); ++k) {
        const std::uint32_t x = order[k - 1], y = order[k];  // stable: x stands before y
        const bool nulls = a.is_null(x) && a.is_null(y);
        if (nulls || (!a.is_null(y) && !a.is_null(x) && same(element_of<T>(a, x), element_of<T>(a, y)))) keep[y] = 0;
      }
      out.clear();
      for (std::uint32_t k = 0; k < a.size(); ++k)
        if (keep[k] != 0) put(out, a, k);
      return call.bytes->copy(out.finish());
    });
  }
  static bool same(const T& x, const T& y) { return x == y || (x != x && y != y); }
};

template <class T, bool least>
void extreme(KernelCall& call) {
  T* out = call.result<T>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = T{};
    if (!call.computes(i)) continue;
    const ArrayView a = array(call, 0, i);
    bool any = false;
    for (std::uint32_t k = 0; k < a.size(); ++k) {
      if (a.is_null(k)) continue;
      const T v = element_of<T>(a, k);
      if (!any || (least ? v < out[i] : out[i] < v)) out[i] = v;
      any = true;
    }
    if (!any) call.set_null(i);
  }
}
template <class T>
struct Least {
  static void run(KernelCall& call) { extreme<T, true>(call); }
};
template <class T>
struct Greatest {
  static void run(KernelCall& call) { extreme<T, false>(call); }
};

template <template <class> class K>
Kernel by_type(DataType t) {
  switch (t.kind) {
    case TypeKind::boolean: return K<std::uint8_t>::run;
    case TypeKind::float64: return K<double>::run;
    case TypeKind::decimal: return K<Decimal>::run;
    case TypeKind::int64:
    case TypeKind::timestamp:
    case TypeKind::duration: return K<std::int64_t>::run;
    default: return K<View>::run;
  }
}

template <template <class> class K, bool to_element>
bool ordered(std::span<const ArgInfo> args, KernelChoice& k, std::string& error, std::size_t& bad) {
  bad = 0;
  const DataType element = types::element(args[0].type);
  if (!element.is_key()) {
    error = fmt::format("{} has no order", to_string(element));
    return false;
  }
  k.params.state = std::make_shared<const DataType>(args[0].type);
  k.type = to_element ? element : args[0].type;
  k.run = by_type<K>(element);
  return true;
}

bool extended(std::span<const ArgInfo> args, KernelChoice& k, std::string& error, std::size_t& bad) {
  bad = 1;
  k.params.state = std::make_shared<const DataType>(args[0].type);
  k.type = args[0].type;
  if (args[1].type == types::element(args[0].type)) return true;
  error = fmt::format("{} is due here, this is {}", to_string(types::element(args[0].type)), to_string(args[1].type));
  return false;
}

template <bool front>
void array_add(KernelCall& call) {
  const DataType element = types::element(call.type);
  ArrayBuilder out(element);
  auto* to = call.result<View>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    to[i] = {};
    if (call.args[0].is_null(i)) {
      call.set_null(i);
      continue;
    }
    const ArrayView a = array(call, 0, i);
    if (a.size() >= kMaxElements) {
      call.fail(i, kTooMany);
      continue;
    }
    const Value& v = call.args[1];
    const auto add = [&] {
      if (v.is_null(i))
        out.add_null();
      else
        out.add(static_cast<const char*>(v.data) + std::size_t{i} * v.stride * value_width(element.kind));
    };
    out.clear();
    if (front) add();
    for (std::uint32_t k = 0; k < a.size(); ++k) put(out, a, k);
    if (!front) add();
    to[i] = call.bytes->copy(out.finish());
  }
}

void map_keys(KernelCall& call) {
  call.each<View>([&](std::uint32_t i) -> View {
    const View m = bytes(call, 0, i);
    return m.substr(4, MapView::keys_size(m));
  });
}
void map_values(KernelCall& call) {
  call.each<View>([&](std::uint32_t i) -> View {
    const View m = bytes(call, 0, i);
    return m.substr(4 + MapView::keys_size(m));
  });
}
bool keys_type(std::span<const ArgInfo>, KernelChoice& k, std::string&, std::size_t&) {
  k.type = types::array(types::string);
  return true;
}
bool values_type(std::span<const ArgInfo> args, KernelChoice& k, std::string&, std::size_t&) {
  k.type = types::array(types::map_value(args[0].type));
  return true;
}

void map_from_arrays(KernelCall& call) {
  const DataType value = types::map_value(call.type);
  MapBuilder out(value);
  auto* to = call.result<View>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    to[i] = {};
    if (!call.computes(i)) continue;
    const ArrayView keys(bytes(call, 0, i), types::string), values(bytes(call, 1, i), value);
    bool good = keys.size() == values.size();
    out.clear();
    for (std::uint32_t k = 0; k < keys.size() && good; ++k) {
      alignas(Decimal) char v[sizeof(Decimal)];
      good = !keys.is_null(k);
      if (!good) break;
      if (!values.is_null(k)) values.load(k, v);
      out.add(keys.text(k), values.is_null(k) ? nullptr : v);
    }
    if (good)
      to[i] = call.bytes->copy(out.finish());
    else
      call.fail(i, keys.size() != values.size() ? "keys and values differ in number" : "the key of a map is NULL");
  }
}
bool from_arrays_type(std::span<const ArgInfo> args, KernelChoice& k, std::string& error, std::size_t& bad) {
  if (!join_type(args, k, error, bad)) return false;
  k.type = types::map(types::element(args[1].type));
  return true;
}

void str_to_map(KernelCall& call) {
  MapBuilder out(types::string);
  call.each<View>([&](std::uint32_t i) -> View {
    View s = bytes(call, 0, i);
    const View pair = call.count > 1 ? bytes(call, 1, i) : View(","),
               equals = call.count > 2 ? bytes(call, 2, i) : View("=");
    out.clear();
    for (bool more = !s.empty(); more;) {
      const std::size_t end = pair.empty() ? View::npos : s.find(pair);
      const View part = s.substr(0, end);
      const std::size_t at = equals.empty() ? View::npos : part.find(equals);
      const View value = at == View::npos ? View() : part.substr(at + equals.size());
      out.add(part.substr(0, at), at == View::npos ? nullptr : &value);
      more = end != View::npos;
      if (more) s.remove_prefix(end + pair.size());
    }
    return call.bytes->copy(out.finish());
  });
}
bool str_to_map_type(std::span<const ArgInfo>, KernelChoice& k, std::string&, std::size_t&) {
  k.type = types::map(types::string);
  return true;
}

bool text_array(std::span<const ArgInfo>, KernelChoice& k, std::string&, std::size_t&) {
  k.type = types::array(types::string);
  return true;
}

}  // namespace

std::span<const Overload> nested_functions() {
  static const Overload table[] = {
      {{"cardinality", "array", "cardinality(a array) -> int64", "Number of elements."},
       "A",
       'i',
       array_cardinality,
       3,
       first_type},
      {{"cardinality", "array", "cardinality(m map) -> int64", "Number of keys."},
       "M",
       'i',
       map_cardinality,
       4,
       first_type},
      {{"array_contains", "array", "array_contains(a array, x) -> bool",
        "Is one of the elements x? (x IN a is NULL instead of FALSE when a has NULLs.)"}},
      {{"split", "array", "split(text string, separator string) -> array<string>", "The parts between separators."},
       "ss",
       'A',
       split,
       80,
       text_array},
      {{"array_join", "array", "array_join(a array<string>, separator string [, null string]) -> string",
        "The elements as one text; NULLs are left out, or written as the third argument."},
       "Ass?",
       's',
       array_join,
       60,
       join_type},
      {{"array_reverse", "array", "array_reverse(a array) -> array", "The elements backwards."},
       "A",
       'A',
       array_reverse,
       60,
       same_type},
      {{"array_concat", "array", "array_concat(a array, b array, ...) -> array", "The arrays one after the other."},
       "AA*",
       'A',
       array_concat,
       80,
       same_type},
      {{"array_slice", "array", "array_slice(a array, start int64 [, length int64]) -> array",
        "Part of an array; start counts from 0, from the end when negative."},
       "Aii?",
       'A',
       array_slice,
       60,
       same_type},
      {{"array_sort", "array", "array_sort(a array) -> array", "The elements ascending, NULLs last."},
       "A",
       'A',
       Sort<View>::run,
       150,
       ordered<Sort, false>},
      {{"array_distinct", "array", "array_distinct(a array) -> array", "Each value once, where it stands first."},
       "A",
       'A',
       Distinct<View>::run,
       150,
       ordered<Distinct, false>},
      {{"array_min", "array", "array_min(a array) -> element", "The smallest element that is not NULL."},
       "A",
       'a',
       Least<View>::run,
       20,
       ordered<Least, true>},
      {{"array_max", "array", "array_max(a array) -> element", "The largest element that is not NULL."},
       "A",
       'a',
       Greatest<View>::run,
       20,
       ordered<Greatest, true>},
      {{"array_append", "array", "array_append(a array, x) -> array", "The array with x behind it."},
       "Aa",
       'A',
       array_add<false>,
       60,
       extended,
       false},
      {{"array_prepend", "array", "array_prepend(a array, x) -> array", "The array with x before it."},
       "Aa",
       'A',
       array_add<true>,
       60,
       extended,
       false},
      {{"map_keys", "map", "map_keys(m map) -> array<string>", "The keys, ascending."},
       "M",
       'A',
       map_keys,
       3,
       keys_type},
      {{"map_values", "map", "map_values(m map) -> array", "The values, in the order of the keys."},
       "M",
       'A',
       map_values,
       3,
       values_type},
      {{"map_from_arrays", "map", "map_from_arrays(keys array<string>, values array) -> map",
        "A map of keys and their values; an error when they differ in number."},
       "AA",
       'M',
       map_from_arrays,
       120,
       from_arrays_type},
      {{"str_to_map", "map", "str_to_map(text string [, pairs string [, equals string]]) -> map<string, string>",
        "'a=1,b=2' as a map; the separators are ',' and '='."},
       "ss?s?",
       'M',
       str_to_map,
       150,
       str_to_map_type},
  };
  return table;
}

}  // namespace twinspan::engine
