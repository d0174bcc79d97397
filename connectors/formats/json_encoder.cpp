#include "connectors/formats/json_encoder.h"

namespace twinspan::connectors {

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
    append_json_string(schema.fields[i].name, key);
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
    append_json(c.type, static_cast<const char*>(c.data) + row * value_width(c.type.kind), options_.timestamps, out);
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
