#include "gateway/sink_terminal.h"

namespace twinspan::gateway {

void SinkTerminal::write(const Batch& batch) {
  std::vector<Column> computed;
  Arena arena(4096);
  engine::EvalErrors errors;
  if (expressions_.slots() > 0) computed = expressions_.evaluate(batch, arena, errors);
  std::size_t next_error = 0;
  for (std::uint32_t row = 0; row < batch.rows; ++row) {
    const std::uint8_t flags = batch.flag(row);
    if ((flags & kForStepsFlag) != 0) {
      if (next_error < errors.size() && errors[next_error].row == row) ++next_error;
      continue;
    }
    if (next_error < errors.size() && errors[next_error].row == row) {
      dead_letters_.row_failed(on_error_, plan_.id, batch, row, errors[next_error++].message);
      continue;
    }
    connectors::OutputRecord record;
    headers_.clear();
    std::size_t slot = 0;
    if (plan_.has_key) {
      const Column& key = computed[slot++];
      record.has_key = !key.is_null(row);
      if (record.has_key) record.key = key.as<std::string_view>()[row];
    }
    for (const std::string& name : plan_.headers) {
      const Column& header = computed[slot++];
      if (!header.is_null(row)) headers_.emplace_back(name, header.as<std::string_view>()[row]);
    }
    if (op_of(flags) != RowOp::insert) headers_.emplace_back("twinspan-op", connectors::op_text(op_of(flags)));
    if ((flags & kProvisionalFlag) != 0) headers_.emplace_back("twinspan-final", "false");
    value_.clear();
    encoder_.encode(batch, row, value_);
    record.value = value_;
    record.timestamp = batch.time[row];
    record.headers = headers_.data();
    record.header_count = headers_.size();
    writer_.write(record);
  }
}

}  // namespace twinspan::gateway
