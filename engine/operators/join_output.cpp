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

void JoinOutput::switch_kind(Output& out) {
  flush(out);
  stored_only_ = !stored_only_;
}

std::vector<Column> JoinOutput::incoming_columns(Batch& result, Arena& arena) const {
  const SideColumns& side = sides_[input_];
  std::vector<Column> out;
  out.reserve(side.columns.size() + sides_[1 - input_].columns.size());
  if (strings_[input_]) result.keep_alive(*batch_);
  if (!missing_) {
    for (const int c : side.columns) out.push_back(gather(batch_->columns[c], incoming_, n_, arena));
    return out;
  }
  // Where there is no incoming part, the batch's first row stands in, and no value is valid.
  auto* rows = arena.make<std::uint32_t>(n_);
  auto* present = arena.make<std::uint8_t>(n_);
  for (std::uint32_t i = 0; i < n_; ++i) {
    present[i] = incoming_[i] != static_cast<std::uint32_t>(kNone);
    rows[i] = present[i] != 0 ? incoming_[i] : 0;
  }
  for (const int c : side.columns) {
    Column column = gather(batch_->columns[c], rows, n_, arena);
    if (column.valid == nullptr) {
      column.valid = present;
    } else {
      auto* valid = arena.make<std::uint8_t>(n_);
      for (std::uint32_t i = 0; i < n_; ++i) valid[i] = column.valid[i] & present[i];
      column.valid = valid;
    }
    out.push_back(column);
  }
  return out;
}

void JoinOutput::flush(Output& out) {
  if (n_ == 0) return;
  Batch result;
  result.schema = schema_;
  result.rows = n_;
  const auto arena = std::make_shared<Arena>(n_ < 64 ? 16u << 10 : 256u << 10);
  for (unsigned s = 0; s < 2; ++s) {
    if (!sides_[s].emitted) continue;
    std::vector<Column> columns = !stored_only_ && s == input_ ? incoming_columns(result, *arena)
                                                               : decode_rows(sides_[s].types, stored_[s], n_, *arena);
    if (result.columns.empty())
      result.columns = std::move(columns);
    else
      result.columns.insert(result.columns.end(), columns.begin(), columns.end());
  }

  const auto copy = [&]<class T>(const T* from) {
    T* to = arena->make<T>(n_);
    std::copy_n(from, n_, to);
    return to;
  };
  result.time = copy(time_);
  result.firing = copy(firing_);
  result.retention = std::equal(firing_, firing_ + n_, retention_) ? result.firing : copy(retention_);
  if (any_flags_ != 0) result.flags = copy(flags_);
  result.arenas.push_back(arena);
  rows_out_ += n_;
  n_ = 0;
  missing_ = false;
  any_flags_ = 0;
  out.emit(std::move(result));
  full_ = !out.has_room();
}

}  // namespace twinspan::engine
