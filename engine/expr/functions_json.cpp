// JSON functions. The text is walked, never turned into a tree. A text that is not JSON gives NULL (FALSE where the
// question is whether something is there); what is of type json is known to be valid.

#include "engine/base/json_text.h"
#include "engine/expr/json_path.h"
#include "engine/expr/overload.h"

namespace twinspan::engine {

namespace {

using View = std::string_view;

View text(const KernelCall& c, std::size_t arg, std::uint32_t i) { return c.args[arg].at<View>(i); }

// params: b = 1 when the first argument is of type json
bool readable(const KernelCall& call, View json) { return call.params->b != 0 || json_valid(json); }

bool prepare_json(std::span<const ArgInfo> args, KernelChoice& k, std::string&, std::size_t&) {
  k.params.b = args[0].type.kind == TypeKind::json;
  return true;
}

bool prepare_path(std::span<const ArgInfo> args, KernelChoice& k, std::string& error, std::size_t& bad) {
  bad = 1;
  if (args[1].constant == nullptr || args[1].constant->is_null(0)) {
    error = "the path must be a constant";
    return false;
  }
  auto path = JsonPath::parse(args[1].constant->at<View>(0), error);
  if (!path) return false;
  k.params.state = std::make_shared<const JsonPath>(std::move(*path));
  return prepare_json(args, k, error, bad);
}

std::optional<View> find(const KernelCall& call, std::uint32_t i) {
  const View json = text(call, 0, i);
  if (!readable(call, json)) return std::nullopt;
  return call.params->as<JsonPath>().find(json);
}

// A JSON string's own text; other values as they are written.
View unquoted(View json, Arena& arena) {
  if (json.front() != '"') return json;
  const View inside = json.substr(1, json.size() - 2);
  return inside.find('\\') == View::npos ? inside : *json_unescape(inside, arena);
}

void json_value(KernelCall& call) {
  auto* out = call.result<View>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = {};
    if (!call.computes(i)) continue;
    const auto found = find(call, i);
    if (!found || *found == "null" || found->front() == '{' || found->front() == '[')
      call.set_null(i);
    else
      out[i] = unquoted(*found, *call.bytes);
  }
}

void json_query(KernelCall& call) {
  auto* out = call.result<View>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = {};
    if (!call.computes(i)) continue;
    const auto found = find(call, i);
    if (!found || *found == "null")
      call.set_null(i);
    else
      out[i] = *found;
  }
}

void json_exists(KernelCall& call) {
  call.each<std::uint8_t>([&](std::uint32_t i) -> std::uint8_t { return find(call, i).has_value(); });
}

void is_json(KernelCall& call) {
  call.each<std::uint8_t>(
      [&](std::uint32_t i) -> std::uint8_t { return call.params->b != 0 || json_valid(text(call, 0, i)); });
}

void json_type(KernelCall& call) {
  auto* out = call.result<View>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = {};
    if (!call.computes(i)) continue;
    const View json = text(call, 0, i);
    if (!readable(call, json)) {
      call.set_null(i);
      continue;
    }
    switch (json_trimmed(json).front()) {
      case '{': out[i] = "object"; break;
      case '[': out[i] = "array"; break;
      case '"': out[i] = "string"; break;
      case 't':
      case 'f': out[i] = "boolean"; break;
      case 'n': out[i] = "null"; break;
      default: out[i] = "number";
    }
  }
}

void json_length(KernelCall& call) {
  auto* out = call.result<std::int64_t>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = 0;
    if (!call.computes(i)) continue;
    const View json = text(call, 0, i);
    const View value = readable(call, json) ? json_trimmed(json) : View("0");
    if (value.front() == '{')
      json_each_member(value, [&](View, View) { return ++out[i], true; });
    else if (value.front() == '[')
      json_each_element(value, [&](std::size_t, View) { return ++out[i], true; });
    else
      call.set_null(i);
  }
}

// f(row, out) writes a value; one that became too long is an error.
template <class F>
void written(KernelCall& call, F&& f) {
  std::string out;
  auto* to = call.result<View>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    to[i] = {};
    if (!call.computes(i)) continue;
    out.clear();
    f(i, out);
    if (out.size() > kMaxValue)
      call.fail(i, kValueTooLong);
    else
      to[i] = call.bytes->copy(out);
  }
}

void json_quote(KernelCall& call) {
  written(call, [&](std::uint32_t i, std::string& out) { append_json_string(text(call, 0, i), out); });
}

void json_unquote(KernelCall& call) {
  call.each<View>([&](std::uint32_t i) -> View {
    const View s = text(call, 0, i);
    if (s.size() < 2 || s.front() != '"' || json_string_end(s.data(), s.data() + s.size()) != s.data() + s.size())
      return s;
    return unquoted(s, *call.bytes);
  });
}

using Types = std::vector<DataType>;

bool prepare_types(std::span<const ArgInfo> args, KernelChoice& k, std::string&, std::size_t&) {
  auto types = std::make_shared<Types>();
  for (const ArgInfo& a : args) types->push_back(a.type);
  k.params.state = std::move(types);
  return true;
}

void append_argument(const KernelCall& call, std::size_t arg, std::uint32_t row, std::string& out) {
  const DataType type = call.params->as<Types>()[arg];
  const Value& v = call.args[arg];
  if (v.is_null(row)) {
    out += "null";
    return;
  }
  append_json(type, static_cast<const char*>(v.data) + std::size_t{row} * v.stride * value_width(type.kind),
              JsonTimestamps::iso8601, out);
}

void to_json(KernelCall& call) {
  written(call, [&](std::uint32_t i, std::string& out) { append_argument(call, 0, i, out); });
}

bool prepare_object(std::span<const ArgInfo> args, KernelChoice& k, std::string& error, std::size_t& bad) {
  for (bad = 0; bad < args.size(); bad += 2) {
    if (args[bad].type.kind == TypeKind::string) continue;
    error = "a key is a string";
    return false;
  }
  bad = args.empty() ? 0 : args.size() - 1;
  if (args.size() % 2 != 0) {
    error = "the last key has no value";
    return false;
  }
  return prepare_types(args, k, error, bad);
}

void json_object(KernelCall& call) {
  auto* to = call.result<View>();
  std::string out;
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    to[i] = {};
    out = "{";
    bool good = true;
    for (std::uint32_t k = 0; k + 1 < call.count && good && out.size() <= kMaxValue; k += 2) {
      good = !call.args[k].is_null(i);
      if (!good) break;
      if (k > 0) out += ',';
      append_json_string(text(call, k, i), out);
      out += ':';
      append_argument(call, k + 1, i, out);
    }
    out += '}';
    if (good && out.size() <= kMaxValue)
      to[i] = call.bytes->copy(out);
    else
      call.fail(i, good ? kValueTooLong : "the key of a JSON object is NULL");
  }
}

void json_array(KernelCall& call) {
  written(call, [&](std::uint32_t i, std::string& out) {
    out = "[";
    for (std::uint32_t k = 0; k < call.count && out.size() <= kMaxValue; ++k) {
      if (k > 0) out += ',';
      append_argument(call, k, i, out);
    }
    out += ']';
  });
}

}  // namespace

std::span<const Overload> json_functions() {
  static const Overload table[] = {
      {{"json_value", "json", "json_value(json, path string [RETURNING type]) -> string",
        "The number, text or bool a path such as '$.a.b[0]' names; NULL when there is none or it is no scalar."},
       "Js",
       's',
       json_value,
       100,
       prepare_path},
      {{"json_query", "json", "json_query(json, path string) -> json",
        "The value a path names, as JSON; NULL when there is none."},
       "Js",
       'j',
       json_query,
       100,
       prepare_path},
      {{"json_exists", "json", "json_exists(json, path string) -> bool", "Does the path name a value?"},
       "Js",
       'b',
       json_exists,
       100,
       prepare_path},
      {{"is_json", "json", "is_json(text string) -> bool", "Is the text valid JSON? Also: text IS JSON."},
       "J",
       'b',
       is_json,
       60,
       prepare_json},
      {{"json_type", "json", "json_type(json) -> string",
        "object, array, string, number, boolean or null; NULL when the text is not JSON."},
       "J",
       's',
       json_type,
       60,
       prepare_json},
      {{"json_length", "json", "json_length(json) -> int64",
        "How many members an object or elements an array has; NULL for anything else."},
       "J",
       'i',
       json_length,
       100,
       prepare_json},
      {{"json_quote", "json", "json_quote(text string) -> string", "The text as a JSON string, with quotes."},
       "s",
       's',
       json_quote,
       40},
      {{"json_unquote", "json", "json_unquote(text string) -> string",
        "The text of a JSON string; a text that is none stays as it is."},
       "s",
       's',
       json_unquote,
       30},
      {{"to_json", "json", "to_json(x) -> json", "Any value as JSON."}, "a", 'j', to_json, 100, prepare_types},
      {{"json_string", "json", "json_string(x) -> string", "Any value as the text of its JSON."},
       "a",
       's',
       to_json,
       100,
       prepare_types},
      {{"json_object", "json", "json_object(key string, value, ...) -> json",
        "An object; NULL values become null. Also: json_object(KEY 'k' VALUE v)."},
       "a*",
       'j',
       json_object,
       100,
       prepare_object,
       false},
      {{"json_array", "json", "json_array(value, ...) -> json", "An array; NULL values become null."},
       "a*",
       'j',
       json_array,
       100,
       prepare_types,
       false},
  };
  return table;
}

}  // namespace twinspan::engine
