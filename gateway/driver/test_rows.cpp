#include "gateway/driver/test_rows.h"

#include <algorithm>
#include <charconv>

#include "config/units.h"
#include "engine/base/json_text.h"
#include "engine/base/types.h"

namespace twinspan::gateway {

using config::Node;
using config::NodeKind;

namespace {

bool is_json_number(std::string_view t) {
  std::size_t i = t.starts_with('-') ? 1 : 0;
  const auto digits = [&] {
    const std::size_t from = i;
    while (i < t.size() && t[i] >= '0' && t[i] <= '9') ++i;
    return i - from;
  };
  const std::size_t first = i;
  const std::size_t whole = digits();
  if (whole == 0 || (whole > 1 && t[first] == '0')) return false;
  if (i < t.size() && t[i] == '.') {
    ++i;
    if (digits() == 0) return false;
  }
  if (i < t.size() && (t[i] == 'e' || t[i] == 'E')) {
    ++i;
    if (i < t.size() && (t[i] == '+' || t[i] == '-')) ++i;
    if (digits() == 0) return false;
  }
  return i == t.size();
}

// ISO 8601 with a zone, or what a wire of milliseconds would have.
std::optional<EventTime> time_of(const std::string& text) {
  if (const auto t = config::parse_timestamp(text)) return t.value();
  EventTime ms = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), ms);
  if (code == std::errc() && end == text.data() + text.size()) return ms;
  return std::nullopt;
}

std::string plain_json(const Node& node) {
  const std::string& text = node.text();
  if (!node.is_quoted() && (text == "true" || text == "false" || is_json_number(text))) return text;
  return json_string(text);
}

std::string json_of(const Node& node, std::string_view type) {
  switch (node.kind) {
    case NodeKind::null: return "null";
    case NodeKind::list: {
      std::string out = "[";
      for (const Node& item : node.items) out += (out.size() > 1 ? "," : "") + json_of(item, "");
      return out + "]";
    }
    case NodeKind::map: {
      std::string out = "{";
      for (const config::MapEntry& e : node.entries)
        out += (out.size() > 1 ? "," : "") + json_string(e.name.value) + ":" + json_of(e.value, "");
      return out + "}";
    }
    case NodeKind::scalar: break;
  }
  const std::string& text = node.text();
  const auto parsed = parse_type(type);
  if (!parsed) return plain_json(node);
  switch (parsed->kind) {
    case TypeKind::string:
    case TypeKind::bytes: return json_string(text);
    case TypeKind::timestamp:
      if (type == "timestamp") return json_string(text);
      if (const auto t = config::parse_timestamp(text)) {
        if (type != "timestamp_s") return std::to_string(t.value());
        const std::int64_t seconds = t.value() / 1000, rest = t.value() % 1000;
        if (rest == 0) return std::to_string(seconds);
        return decimal_to_string(t.value(), 3);
      }
      return plain_json(node);
    case TypeKind::duration:
      if (const auto d = config::parse_duration(text)) return std::to_string(d.value().count());
      return plain_json(node);
    default: return plain_json(node);
  }
}

}  // namespace

VirtualRecord record_of(const Node& row, const config::SourceSpec& source, std::int64_t now_ms) {
  VirtualRecord out;
  // A line of a file has no time of its own.
  out.timestamp = source.file ? -1 : now_ms;
  if (row.kind == NodeKind::null) {
    out.has_value = false;
    return out;
  }
  if (row.kind == NodeKind::scalar) {
    out.value = row.text();
    return out;
  }
  out.value = "{";
  bool whole = false;  // the value is given as it is
  for (const config::MapEntry& e : row.entries) {
    const std::string& name = e.name.value;
    const config::Text* type = source.fields.find(name);
    if (type == nullptr && name == "_key") {
      out.has_key = e.value.kind != NodeKind::null;
      out.key = e.value.text();
    } else if (type == nullptr && name == "_timestamp") {
      out.timestamp = time_of(e.value.text()).value_or(out.timestamp);
    } else if (type == nullptr && name == "_payload") {
      out.value = e.value.text();
      out.has_value = e.value.kind != NodeKind::null;
      whole = true;
    } else if (!whole) {
      if (out.value.size() > 1) out.value += ',';
      out.value += json_string(name) + ":" + json_of(e.value, type == nullptr ? "" : type->value);
    }
  }
  if (!whole) out.value += "}";
  return out;
}

std::optional<EventTime> event_time_of(const Node& row, const config::SourceSpec& source) {
  const Node* value = row.find(source.event_time.field ? source.event_time.field->value : "_timestamp");
  return value == nullptr ? std::nullopt : time_of(value->text());
}

std::string flow_text(const Node& node) {
  switch (node.kind) {
    case NodeKind::null: return "null";
    case NodeKind::list: {
      std::string out = "[";
      for (const Node& item : node.items) out += (out.size() > 1 ? ", " : "") + flow_text(item);
      return out + "]";
    }
    case NodeKind::map: {
      std::string out;
      for (const config::MapEntry& e : node.entries)
        out += (out.empty() ? "" : ", ") + e.name.value + ": " + flow_text(e.value);
      return out.empty() ? "{}" : "{ " + out + " }";
    }
    case NodeKind::scalar: return node.is_quoted() ? json_string(node.text()) : node.text();
  }
  return {};
}

}  // namespace twinspan::gateway
