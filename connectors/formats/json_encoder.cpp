#include "connectors/formats/json_encoder.h"

#include <charconv>
#include <cmath>

#include "connectors/formats/json_value.h"

namespace twinspan::connectors {

namespace {

// Length of the valid UTF-8 sequence at p, 0 if there is none (RFC 3629: no surrogates, no overlong forms).
std::size_t utf8_length(const unsigned char* p, std::size_t left) {
  auto tail = [&](std::size_t i) { return i < left && (p[i] & 0xC0) == 0x80; };
  if (p[0] < 0x80) return 1;
  if (p[0] >= 0xC2 && p[0] <= 0xDF) return tail(1) ? 2 : 0;
  if (p[0] >= 0xE0 && p[0] <= 0xEF) {
    if (!tail(1) || !tail(2)) return 0;
    if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F)) return 0;
    return 3;
  }
  if (p[0] >= 0xF0 && p[0] <= 0xF4) {
    if (!tail(1) || !tail(2) || !tail(3)) return 0;
    if ((p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F)) return 0;
    return 4;
  }
  return 0;
}

void append_string(std::string_view s, std::string& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  const auto* p = reinterpret_cast<const unsigned char*>(s.data());
  std::size_t from = 0, i = 0;
  auto flush = [&] { out.append(s.data() + from, i - from); };
  while (i < s.size()) {
    const unsigned char c = p[i];
    if (c >= 0x20 && c != '"' && c != '\\' && c < 0x80) {
      ++i;
      continue;
    }
    if (c >= 0x80) {
      const std::size_t n = utf8_length(p + i, s.size() - i);
      if (n > 0) {
        i += n;
        continue;
      }
      flush();
      out += "\xEF\xBF\xBD";
    } else {
      flush();
      switch (c) {
        case '"': out += "\\\""; break;
        case '\\': out += "\\\\"; break;
        case '\n': out += "\\n"; break;
        case '\r': out += "\\r"; break;
        case '\t': out += "\\t"; break;
        default:
          out += "\\u00";
          out += kHex[c >> 4];
          out += kHex[c & 15];
      }
    }
    from = ++i;
  }
  flush();
  out += '"';
}

void append_int(std::int64_t v, std::string& out) {
  char text[24];
  out.append(text, std::to_chars(text, text + sizeof text, v).ptr);
}

void append_double(double v, std::string& out) {
  if (!std::isfinite(v)) {
    out += "null";
    return;
  }
  char text[32];
  out.append(text, std::to_chars(text, text + sizeof text, v).ptr);
}

void append_decimal(Decimal v, unsigned scale, std::string& out) {
  if (scale == 0 && v >= INT64_MIN && v <= INT64_MAX) return append_int(static_cast<std::int64_t>(v), out);
  out += decimal_to_string(v, scale);
}

void append_timestamp(std::int64_t ms, JsonEncoderOptions::Timestamps as, std::string& out) {
  if (as == JsonEncoderOptions::Timestamps::millis) return append_int(ms, out);
  out += '"';
  out += timestamp_to_string(ms);
  out += '"';
}

}  // namespace

const char* op_text(RowOp op) {
  switch (op) {
    case RowOp::insert: return "+I";
    case RowOp::update_before: return "-U";
    case RowOp::update_after: return "+U";
    case RowOp::remove: return "-D";
  }
  return "?";
}

JsonEncoder::JsonEncoder(const Schema& schema, JsonEncoderOptions options) : options_(options) {
  for (std::size_t i = 0; i < schema.fields.size(); ++i) {
    std::string key(1, i == 0 ? '{' : ',');
    append_string(schema.fields[i].name, key);
    keys_.push_back(key + ':');
  }
}

void JsonEncoder::encode(const Batch& batch, std::size_t row, std::string& out) const {
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    out += keys_[i];
    const Column& c = batch.columns[i];
    if (c.is_null(row)) {
      out += "null";
      continue;
    }
    switch (c.type.kind) {
      case TypeKind::null: out += "null"; break;
      case TypeKind::boolean: out += c.as<std::uint8_t>()[row] != 0 ? "true" : "false"; break;
      case TypeKind::int64:
      case TypeKind::duration: append_int(c.as<std::int64_t>()[row], out); break;
      case TypeKind::float64: append_double(c.as<double>()[row], out); break;
      case TypeKind::decimal: append_decimal(c.as<Decimal>()[row], c.type.scale, out); break;
      case TypeKind::timestamp: append_timestamp(c.as<std::int64_t>()[row], options_.timestamps, out); break;
      case TypeKind::string: append_string(c.as<std::string_view>()[row], out); break;
      case TypeKind::bytes:
        out += '"';
        json::append_base64(c.as<std::string_view>()[row], out);
        out += '"';
        break;
    }
  }
  char lead = keys_.empty() ? '{' : ',';
  if (options_.op_field) {
    out += lead;
    out += "\"_op\":\"";
    out += op_text(op_of(batch.flag(row)));
    out += '"';
    lead = ',';
  }
  if (options_.final_field) {
    out += lead;
    out += (batch.flag(row) & kProvisionalFlag) != 0 ? "\"_final\":false" : "\"_final\":true";
    lead = ',';
  }
  if (lead == '{') out += '{';
  out += '}';
}

}  // namespace twinspan::connectors
