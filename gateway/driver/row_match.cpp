#include "gateway/driver/row_match.h"

#include <algorithm>
#include <charconv>
#include <functional>

#include <simdjson.h>

#include "config/units.h"
#include "engine/base/json_text.h"
#include "engine/base/types.h"
#include "gateway/driver/test_rows.h"

namespace twinspan::gateway {

using config::Node;
using config::NodeKind;
using Kind = ResultValue::Kind;

namespace {

ResultValue text_value(std::string text) { return {Kind::text, std::move(text), {}, {}}; }

std::string trimmed(std::string_view token) {
  const std::size_t last = token.find_last_not_of(" \t\r\n");
  return std::string(token.substr(0, last == std::string_view::npos ? 0 : last + 1));
}

ResultValue value_of(simdjson::ondemand::value json) {
  namespace od = simdjson::ondemand;
  ResultValue out;
  switch (json.type().value()) {
    case od::json_type::null: return out;
    case od::json_type::boolean:
      out.kind = Kind::boolean;
      out.text = json.get_bool().value() ? "true" : "false";
      return out;
    case od::json_type::number:
      out.kind = Kind::number;
      out.text = trimmed(json.raw_json_token());
      return out;
    case od::json_type::string:
      out.kind = Kind::text;
      out.text = std::string(json.get_string().value());
      return out;
    case od::json_type::array:
      out.kind = Kind::list;
      for (auto item : json.get_array()) out.items.push_back(value_of(item.value()));
      return out;
    case od::json_type::object:
      out.kind = Kind::map;
      for (auto field : json.get_object()) {
        std::string name(field.unescaped_key().value());
        out.fields.emplace_back(std::move(name), value_of(field.value()));
      }
      return out;
    default: return out;
  }
}

// -0012.500 -> -12.5; empty if it is no plain number.
std::string normal_number(std::string_view t) {
  const bool negative = t.starts_with('-');
  if (negative) t.remove_prefix(1);
  if (t.empty() || t.find_first_not_of("0123456789.") != std::string_view::npos) return {};
  while (t.size() > 1 && t[0] == '0' && t[1] != '.') t.remove_prefix(1);
  if (t.find('.') != std::string_view::npos) {
    while (t.ends_with('0')) t.remove_suffix(1);
    if (t.ends_with('.')) t.remove_suffix(1);
  }
  return (negative && t != "0" ? "-" : "") + std::string(t);
}

bool equal_numbers(const std::string& expected, const std::string& actual) {
  const std::string a = normal_number(expected), b = normal_number(actual);
  if (!a.empty() && !b.empty()) return a == b;
  double x = 0, y = 0;
  const auto ex = std::from_chars(expected.data(), expected.data() + expected.size(), x);
  const auto ey = std::from_chars(actual.data(), actual.data() + actual.size(), y);
  return ex.ec == std::errc() && ey.ec == std::errc() && ex.ptr == expected.data() + expected.size() && x == y;
}

std::size_t equal_fields(const Node& expected, const ResultValue& actual) {
  return static_cast<std::size_t>(
      std::count_if(expected.entries.begin(), expected.entries.end(), [&](const config::MapEntry& e) {
        const ResultValue* field = actual.find(e.name.value);
        return field != nullptr && matches(e.value, *field);
      }));
}

RowComplaint pair_of(const Node& expected, const ResultValue& actual) {
  RowComplaint out{&expected, &actual, {}};
  for (const config::MapEntry& e : expected.entries) {
    const ResultValue* field = actual.find(e.name.value);
    out.fields.push_back({e.name.value, flow_text(e.value), field == nullptr ? "(no such field)" : to_string(*field),
                          field != nullptr && matches(e.value, *field)});
  }
  return out;
}

// Kuhn's augmenting paths: as many expected rows as possible get an actual one of their own, also where one row fits
// several.
std::vector<int> assign(const std::vector<Node>& expected, const std::vector<ResultValue>& actual) {
  std::vector<int> owner(actual.size(), -1), given(expected.size(), -1);
  std::vector<std::vector<std::size_t>> fits(expected.size());
  for (std::size_t e = 0; e < expected.size(); ++e)
    for (std::size_t a = 0; a < actual.size(); ++a)
      if (matches(expected[e], actual[a])) fits[e].push_back(a);
  std::vector<char> seen;
  const std::function<bool(std::size_t)> place = [&](std::size_t e) {
    for (const std::size_t a : fits[e]) {
      if (seen[a] != 0) continue;
      seen[a] = 1;
      if (owner[a] >= 0 && !place(static_cast<std::size_t>(owner[a]))) continue;
      owner[a] = static_cast<int>(e);
      given[e] = static_cast<int>(a);
      return true;
    }
    return false;
  };
  for (std::size_t e = 0; e < expected.size(); ++e) {
    seen.assign(actual.size(), 0);
    place(e);
  }
  return given;
}

}  // namespace

const ResultValue* ResultValue::find(std::string_view name) const {
  for (const auto& [n, v] : fields)
    if (n == name) return &v;
  return nullptr;
}

std::string to_string(const ResultValue& v) {
  switch (v.kind) {
    case Kind::null: return "null";
    case Kind::boolean:
    case Kind::number: return v.text;
    case Kind::text: {
      // As one would write it: quotes only where YAML would read something else.
      const bool plain = !v.text.empty() &&
                         v.text.find_first_not_of(
                             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                             "_-./+:") == std::string::npos &&
                         v.text.back() != ':' && v.text != "null" && v.text != "true" && v.text != "false" &&
                         normal_number(v.text).empty();
      return plain ? v.text : json_string(v.text);
    }
    case Kind::list: {
      std::string out = "[";
      for (const ResultValue& i : v.items) out += (out.size() > 1 ? ", " : "") + to_string(i);
      return out + "]";
    }
    case Kind::map: {
      std::string out;
      for (const auto& [name, field] : v.fields) {
        // What every row has is no news.
        if (name == "_timestamp" || (name == "_op" && field.text == "+I") || (name == "_final" && field.text == "true"))
          continue;
        if ((name == "_key" && field.kind == Kind::null) || (name == "_headers" && field.fields.empty())) continue;
        out += (out.empty() ? "" : ", ") + name + ": " + to_string(field);
      }
      return out.empty() ? "{}" : "{ " + out + " }";
    }
  }
  return {};
}

ResultValue result_of(const VirtualOutput& output) {
  ResultValue row;
  row.kind = Kind::map;
  if (output.has_value) {
    simdjson::padded_string padded(output.value);
    simdjson::ondemand::parser parser;
    simdjson::ondemand::document document;
    simdjson::ondemand::value value;
    if (parser.iterate(padded).get(document) == simdjson::SUCCESS &&
        document.get_value().get(value) == simdjson::SUCCESS) {
      ResultValue parsed = value_of(value);
      if (parsed.kind == Kind::map) row = std::move(parsed);
    }
  }
  const auto header = [&](std::string_view name) -> const std::string* {
    for (const auto& [n, v] : output.headers)
      if (n == name) return &v;
    return nullptr;
  };
  row.fields.emplace_back("_key", output.has_key ? text_value(output.key) : ResultValue{});
  const std::string* op = header("twinspan-op");
  row.fields.emplace_back("_op", text_value(op == nullptr ? "+I" : *op));
  const std::string* final = header("twinspan-final");
  row.fields.emplace_back("_final",
                          ResultValue{Kind::boolean, final != nullptr && *final == "false" ? "false" : "true", {}, {}});
  row.fields.emplace_back("_timestamp", text_value(timestamp_to_string(output.timestamp)));
  ResultValue headers;
  headers.kind = Kind::map;
  for (const auto& [n, v] : output.headers)
    if (n != "twinspan-op" && n != "twinspan-final") headers.fields.emplace_back(n, text_value(v));
  row.fields.emplace_back("_headers", std::move(headers));
  return row;
}

bool matches(const Node& expected, const ResultValue& actual) {
  switch (expected.kind) {
    case NodeKind::null: return actual.kind == Kind::null;
    case NodeKind::list:
      if (actual.kind != Kind::list || actual.items.size() != expected.items.size()) return false;
      for (std::size_t i = 0; i < expected.items.size(); ++i)
        if (!matches(expected.items[i], actual.items[i])) return false;
      return true;
    case NodeKind::map: return actual.kind == Kind::map && equal_fields(expected, actual) == expected.entries.size();
    case NodeKind::scalar: break;
  }
  const std::string& text = expected.text();
  switch (actual.kind) {
    case Kind::boolean: return !expected.is_quoted() && text == actual.text;
    case Kind::number: {
      if (expected.is_quoted()) return false;
      if (equal_numbers(text, actual.text)) return true;
      // A duration is a number of milliseconds.
      const auto duration = config::parse_duration(text);
      return duration && std::to_string(duration.value().count()) == actual.text;
    }
    case Kind::text: {
      if (text == actual.text) return true;
      const auto a = config::parse_timestamp(text), b = config::parse_timestamp(actual.text);
      return a && b && a.value() == b.value();
    }
    default: return false;
  }
}

std::vector<RowComplaint> compare_rows(const std::vector<Node>& expected, const std::vector<ResultValue>& actual,
                                       bool exact, bool ordered) {
  std::vector<RowComplaint> out;
  std::vector<const Node*> missing;
  std::vector<const ResultValue*> extra;
  if (ordered) {
    std::size_t a = 0;
    for (const Node& e : expected) {
      std::size_t found = a;
      if (!exact)
        while (found < actual.size() && !matches(e, actual[found])) ++found;
      if (found < actual.size() && matches(e, actual[found])) {
        a = found + 1;
      } else if (exact && a < actual.size()) {
        out.push_back(pair_of(e, actual[a++]));
      } else {
        missing.push_back(&e);
      }
    }
    if (exact)
      for (; a < actual.size(); ++a) extra.push_back(&actual[a]);
    for (const Node* e : missing) out.push_back({e, nullptr, {}});
    for (const ResultValue* r : extra) out.push_back({nullptr, r, {}});
    return out;
  }
  const std::vector<int> given = assign(expected, actual);
  std::vector<char> taken(actual.size(), 0);
  for (std::size_t e = 0; e < expected.size(); ++e) {
    if (given[e] >= 0)
      taken[static_cast<std::size_t>(given[e])] = 1;
    else
      missing.push_back(&expected[e]);
  }
  for (std::size_t a = 0; a < actual.size(); ++a)
    if (taken[a] == 0) extra.push_back(&actual[a]);
  // The nearest pairs first.
  while (!missing.empty() && !extra.empty()) {
    std::size_t best_m = 0, best_x = 0, best = 0;
    for (std::size_t m = 0; m < missing.size(); ++m) {
      for (std::size_t x = 0; x < extra.size(); ++x) {
        const std::size_t equal = equal_fields(*missing[m], *extra[x]);
        if (equal > best) best = equal, best_m = m, best_x = x;
      }
    }
    out.push_back(pair_of(*missing[best_m], *extra[best_x]));
    missing.erase(missing.begin() + static_cast<std::ptrdiff_t>(best_m));
    extra.erase(extra.begin() + static_cast<std::ptrdiff_t>(best_x));
  }
  for (const Node* e : missing) out.push_back({e, nullptr, {}});
  if (exact)
    for (const ResultValue* r : extra) out.push_back({nullptr, r, {}});
  return out;
}

}  // namespace twinspan::gateway
