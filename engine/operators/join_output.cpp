#include "engine/operators/join_output.h"

#include <algorithm>

#include "engine/state/row_codec.h"

namespace twinspan::engine {

JoinOutput::JoinOutput(const Schema* schema, SideColumns left, SideColumns right)
    : schema_(schema), sides_{std::move(left), std::move(right)} {
  for (unsigned s = 0; s < 2; ++s) {
    strings_[s] =
        std::any_of(sides_[s].types.begin(), sides_[s].types.end(), [](DataType t) { return t.is_string_like(); });
  }
}

std::vector<Column> JoinOutput::incoming_columns(Batch& result, Arena& arena) const {
  const SideColumns& side = sides_[input_];
  if (missing_) {  // expiry between matches of one call, or no batch at all: rare, so row by row
    const RowCodec codec(side.columns, side.types);
    RowColumns columns(side.types, n_, arena);
    std::string row;
    for (std::uint32_t i = 0; i < n_; ++i) {
      if (incoming_[i] == static_cast<std::uint32_t>(kNone)) {
        columns.append_nulls();
        continue;
      }
      row.clear();
      codec.append(*batch_, incoming_[i], row);
      columns.append(row);
    }
    return columns.finish();
  }
  std::vector<Column> out;
  out.reserve(side.columns.size() + sides_[1 - input_].columns.size());
  for (const int c : side.columns) out.push_back(gather(batch_->columns[c], incoming_, n_, arena));
  if (strings_[input_]) result.keep_alive(*batch_);
  return out;
}

void JoinOutput::flush(Output& out) {
  if (n_ == 0) return;
  Batch result;
  result.schema = schema_;
  result.rows = n_;
  const auto arena = std::make_shared<Arena>(n_ < 64 ? 16u << 10 : 256u << 10);
  std::vector<Column> incoming = incoming_columns(result, *arena);
  std::vector<Column> stored = decode_rows(sides_[1 - input_].types, stored_, n_, *arena);
  result.columns = std::move(input_ == 0 ? incoming : stored);
  const std::vector<Column>& right = input_ == 0 ? stored : incoming;
  result.columns.insert(result.columns.end(), right.begin(), right.end());

  const auto copy = [&](const EventTime* from) {
    auto* to = arena->make<EventTime>(n_);
    std::copy_n(from, n_, to);
    return to;
  };
  result.time = copy(time_);
  result.firing = copy(firing_);
  result.retention = std::equal(firing_, firing_ + n_, retention_) ? result.firing : copy(retention_);
  result.arenas.push_back(arena);
  rows_out_ += n_;
  n_ = 0;
  missing_ = false;
  out.emit(std::move(result));
}

}  // namespace twinspan::engine
