#include "engine/expr/nested_kernels.h"

#include <fmt/format.h>

#include "engine/base/json_reader.h"
#include "engine/base/json_text.h"
#include "engine/base/nested.h"
#include "engine/expr/json_path.h"

namespace twinspan::engine {

namespace {

using View = std::string_view;

const void* value_at(const Value& v, DataType type, std::uint32_t row) {
  return static_cast<const char*>(v.data) + std::size_t{row} * v.stride * value_width(type.kind);
}

// Runs f(row, out + row) -> bool for rows to compute; false: NULL.
template <class T, class F>
void nullable(KernelCall& call, F&& f) {
  T* out = call.result<T>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = T{};
    if (call.computes(i) && !f(i, out[i])) call.set_null(i);
  }
}

// Picks the instance for how values of the type lie in memory.
template <template <class> class K>
Kernel by_width(DataType type) {
  if (type.is_string_like()) return K<View>::run;
  switch (value_width(type.kind)) {
    case 1: return K<std::uint8_t>::run;
    case 8: return K<std::int64_t>::run;
    default: return K<Decimal>::run;
  }
}

template <class T>
T element_of(const ArrayView& array, std::uint32_t i) {
  if constexpr (std::is_same_v<T, View>)
    return array.text(i);
  else
    return array.at<T>(i);
}

// params: a = field; state = type of the row
template <class T>
struct RowField {
  static void run(KernelCall& call) {
    const TypeInfo& info = *call.params->as<DataType>().info;
    const auto field = static_cast<std::size_t>(call.params->a);
    nullable<T>(call, [&](std::uint32_t i, T& out) {
      const RowView row(call.args[0].at<View>(i), info);
      if (row.is_null(field)) return false;
      row.load(field, &out);
      return true;
    });
  }
};

template <class T>
struct ArrayElement {
  static void run(KernelCall& call) {
    nullable<T>(call, [&](std::uint32_t i, T& out) {
      const ArrayView array(call.args[0].at<View>(i), call.type);
      const std::int64_t at = call.args[1].at<std::int64_t>(i);
      if (at < 0 || at >= array.size() || array.is_null(static_cast<std::uint32_t>(at))) return false;
      out = element_of<T>(array, static_cast<std::uint32_t>(at));
      return true;
    });
  }
};

template <class T>
struct MapValue {
  static void run(KernelCall& call) {
    nullable<T>(call, [&](std::uint32_t i, T& out) {
      const MapView map(call.args[0].at<View>(i), call.type);
      const int at = map.find(call.args[1].at<View>(i));
      if (at < 0 || map.values().is_null(static_cast<std::uint32_t>(at))) return false;
      out = element_of<T>(map.values(), static_cast<std::uint32_t>(at));
      return true;
    });
  }
};

bool not_null(const std::optional<View>& found, View& out) {
  if (!found || *found == "null") return false;
  out = *found;
  return true;
}

void json_member_part(KernelCall& call) {
  nullable<View>(call, [&](std::uint32_t i, View& out) {
    return not_null(json_member(json_trimmed(call.args[0].at<View>(i)), call.args[1].at<View>(i)), out);
  });
}
void json_element_part(KernelCall& call) {
  nullable<View>(call, [&](std::uint32_t i, View& out) {
    const std::int64_t at = call.args[1].at<std::int64_t>(i);
    return at >= 0 && not_null(json_element(json_trimmed(call.args[0].at<View>(i)), at), out);
  });
}

// params: a = unknown; state = type of the element
template <class T>
struct ArrayContains {
  static void run(KernelCall& call) {
    const DataType element = call.params->as<DataType>();
    const bool unknown = call.params->a != 0;
    nullable<std::uint8_t>(call, [&](std::uint32_t i, std::uint8_t& out) {
      const ArrayView array(call.args[0].at<View>(i), element);
      T wanted = call.args[1].at<T>(i);
      canonical_value(element, &wanted);
      bool nulls = false;
      for (std::uint32_t k = 0; k < array.size(); ++k) {
        if (array.is_null(k)) {
          nulls = true;
        } else if (element_of<T>(array, k) == wanted) {
          out = 1;
          return true;
        }
      }
      return !(unknown && nulls);
    });
  }
};

void keep(KernelCall& call, std::uint32_t i, View packed) {
  if (packed.size() > kMaxValue)
    call.fail(i, kValueTooLong);
  else
    call.result<View>()[i] = call.bytes->copy(packed);
}

void make_array(KernelCall& call) {
  const DataType element = types::element(call.type);
  ArrayBuilder builder(element);
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    call.result<View>()[i] = {};
    builder.clear();
    for (std::uint32_t k = 0; k < call.count && builder.bytes() <= kMaxValue; ++k) {
      if (call.args[k].is_null(i))
        builder.add_null();
      else
        builder.add(value_at(call.args[k], element, i));
    }
    keep(call, i, builder.finish());
  }
}

void make_map(KernelCall& call) {
  const DataType value = types::map_value(call.type);
  MapBuilder builder(value);
  auto* out = call.result<View>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = {};
    builder.clear();
    bool good = true;
    for (std::uint32_t k = 0; k + 1 < call.count && good; k += 2) {
      good = !call.args[k].is_null(i);
      if (good)
        builder.add(call.args[k].at<View>(i),
                    call.args[k + 1].is_null(i) ? nullptr : value_at(call.args[k + 1], value, i));
    }
    if (good)
      keep(call, i, builder.finish());
    else
      call.fail(i, "the key of a map is NULL");
  }
}

void make_row(KernelCall& call) {
  RowBuilder builder(*call.type.info);
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    call.result<View>()[i] = {};
    builder.clear();
    for (std::uint32_t k = 0; k < call.count; ++k)
      if (!call.args[k].is_null(i)) builder.set(k, value_at(call.args[k], call.type.info->fields[k].type, i));
    keep(call, i, builder.finish());
  }
}

std::string shown(View text) {
  if (text.size() <= 40) return std::string(text);
  std::size_t n = 40;
  while (n > 0 && (static_cast<unsigned char>(text[n]) & 0xC0) == 0x80) --n;
  return std::string(text.substr(0, n)) + "...";
}

template <bool safe>
void text_to_json(KernelCall& call) {
  auto* out = call.result<View>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = {};
    if (!call.computes(i)) continue;
    const View s = json_trimmed(call.args[0].at<View>(i));
    if (!json_valid(s)) {
      if (safe)
        call.set_null(i);
      else
        call.fail(i, fmt::format("cannot cast '{}' to json", shown(s)));
    } else if (s == "null") {
      call.set_null(i);
    } else {
      out[i] = s;
    }
  }
}

void json_to_text(KernelCall& call) {
  call.each<View>([&](std::uint32_t i) -> View {
    const View s = json_trimmed(call.args[0].at<View>(i));
    if (s.front() != '"') return s;
    const View inside = s.substr(1, s.size() - 2);
    return inside.find('\\') == View::npos ? inside : *json_unescape(inside, *call.bytes);
  });
}

template <bool safe>
void json_to_nested(KernelCall& call) {
  JsonReader reader(call.type);
  auto* out = call.result<View>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = {};
    if (!call.computes(i)) continue;
    switch (reader.read(json_trimmed(call.args[0].at<View>(i)), *call.bytes, &out[i])) {
      case JsonReader::Outcome::value: break;
      case JsonReader::Outcome::null: call.set_null(i); break;
      case JsonReader::Outcome::bad:
        out[i] = {};
        if (safe)
          call.set_null(i);
        else
          call.fail(i, fmt::format("cannot cast json to {}: {}{}{}", to_string(call.type), reader.path(),
                                   reader.path().empty() ? "" : ": ", reader.reason()));
    }
  }
}

// params: state = type of the argument
void nested_to_json(KernelCall& call) {
  const DataType from = call.params->as<DataType>();
  std::string out;
  call.each<View>([&](std::uint32_t i) -> View {
    out.clear();
    append_json(from, value_at(call.args[0], from, i), JsonTimestamps::iso8601, out);
    return call.bytes->copy(out);
  });
}

KernelChoice choice(Kernel run, DataType type, int cost, bool strict = true) {
  KernelChoice k;
  k.run = run;
  k.type = type;
  k.cost = cost;
  k.strict = strict;
  return k;
}

}  // namespace

KernelChoice row_field_kernel(DataType row, std::size_t field) {
  const DataType type = row.info->fields[field].type;
  KernelChoice k = choice(by_width<RowField>(type), type, 6);
  k.params.a = static_cast<std::int64_t>(field);
  k.params.state = std::make_shared<const DataType>(row);
  return k;
}

KernelChoice array_element_kernel(DataType array) {
  return choice(by_width<ArrayElement>(types::element(array)), types::element(array), 6);
}

KernelChoice map_value_kernel(DataType map) {
  return choice(by_width<MapValue>(types::map_value(map)), types::map_value(map), 25);
}

KernelChoice json_member_kernel() { return choice(json_member_part, types::json, 80); }
KernelChoice json_element_kernel() { return choice(json_element_part, types::json, 80); }

KernelChoice array_contains_kernel(DataType array, bool unknown) {
  KernelChoice k = choice(by_width<ArrayContains>(types::element(array)), types::boolean, 20);
  k.params.a = unknown;
  k.params.state = std::make_shared<const DataType>(types::element(array));
  return k;
}

KernelChoice array_kernel(DataType element) { return choice(make_array, types::array(element), 60, false); }
KernelChoice map_kernel(DataType value) { return choice(make_map, types::map(value), 120, false); }
KernelChoice row_kernel(DataType row) { return choice(make_row, row, 60, false); }

KernelChoice nested_cast_kernel(DataType from, DataType to, bool safe) {
  const bool text = to.kind == TypeKind::string;
  if (from.kind == TypeKind::json) {
    if (text) return choice(json_to_text, to, 20);
    if (to.is_nested()) return choice(safe ? json_to_nested<true> : json_to_nested<false>, to, 150);
  } else if (to.kind == TypeKind::json && from.kind == TypeKind::string) {
    return choice(safe ? text_to_json<true> : text_to_json<false>, to, 60);
  } else if (to.kind == TypeKind::json || (text && from.is_nested())) {
    KernelChoice k = choice(nested_to_json, to, 100);
    k.params.state = std::make_shared<const DataType>(from);
    return k;
  }
  return {};
}

}  // namespace twinspan::engine
