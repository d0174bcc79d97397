#include "engine/operators/combined_input.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

namespace twinspan::engine {

EventTime CombinedInput::firing_at(const Batch& batch, std::uint32_t row) const {
  return batch.firing == nullptr ? firing_ : std::max({firing_, batch.firing[row], batch.retention[row]});
}

void CombinedInput::process(unsigned input, Batch&& batch, Output& out) {
  const EventTime after = batch.rows == 0 ? firing_ : firing_at(batch, batch.rows - 1);
  if (batch.row_before != nullptr) {  // it has rows of several
    bool apart = false;
    for (std::uint32_t row = 0; row < batch.rows && !apart; ++row)
      apart = batch.combined[row] != nullptr && firing_at(batch, row) >= batch.combined[row]->until;
    if (apart) batch = taken_apart(batch);
  }
  for (std::uint32_t row = 0; batch.combined != nullptr && row < batch.rows; ++row)
    if (batch.combined[row] != nullptr) more_rows_ += std::int64_t{batch.combined[row]->n} - 1;
  firing_ = after;
  window_->process(input, std::move(batch), out);
}

// Every row of the batch at its own place again: whether one of them meets a session depends on those before it.
Batch CombinedInput::taken_apart(const Batch& batch) const {
  struct From {
    const Batch* batch;
    std::uint32_t row, outer;
    std::uint64_t order;
  };
  std::vector<From> from;
  const auto add = [&](const Batch& of, std::uint32_t row, std::uint32_t outer, std::uint32_t before) {
    // The time that a row brought comes before it.
    from.push_back({&of, row, outer, std::uint64_t{before} * 2 + (batch.only_time(outer) ? 0 : 1)});
  };
  for (std::uint32_t row = 0; row < batch.rows; ++row) {
    const CombinedRows* together = batch.combined[row];
    const bool rows = together != nullptr && (together->n > 0 || (together->block == nullptr && !together->only_time));
    if (!rows) {
      add(batch, row, row, batch.row_before[row]);
      continue;
    }
    for (std::uint32_t i = 0; i < together->n; ++i) add(*together->rows, together->which[i], row, together->which[i]);
  }
  std::stable_sort(from.begin(), from.end(), [](const From& a, const From& b) { return a.order < b.order; });
  const auto n = static_cast<std::uint32_t>(from.size());
  Batch out = batch;  // schema, and what keeps it all alive
  Arena& arena = out.add_arena();
  out.rows = n;
  const auto pick = [&]<class T>(T, auto value) {
    T* to = arena.make<T>(n);
    for (std::uint32_t i = 0; i < n; ++i) to[i] = value(from[i]);
    return to;
  };
  for (std::size_t c = 0; c < batch.columns.size(); ++c) {
    Column& column = out.columns[c];
    const std::size_t width = value_width(column.type.kind);
    char* data = static_cast<char*>(arena.allocate(std::max<std::size_t>(1, n * width), 16));
    for (std::uint32_t i = 0; i < n; ++i)
      std::memcpy(data + i * width, static_cast<const char*>(from[i].batch->columns[c].data) + from[i].row * width,
                  width);
    column.data = data;
    column.valid = pick(std::uint8_t{}, [c](const From& f) {
      return static_cast<std::uint8_t>(f.batch->columns[c].is_null(f.row) ? 0 : 1);
    });
  }
  out.time = pick(EventTime{}, [](const From& f) { return f.batch->time[f.row]; });
  out.flags = pick(std::uint8_t{}, [](const From& f) { return f.batch->flag(f.row); });
  if (batch.hash != nullptr) out.hash = pick(std::uint64_t{}, [&](const From& f) { return batch.hash[f.outer]; });
  if (batch.firing != nullptr) {
    Watermark seen;
    out.firing =
        pick(EventTime{}, [&](const From& f) { return seen.firing = std::max(seen.firing, batch.firing[f.outer]); });
    out.retention = pick(EventTime{}, [&](const From& f) {
      return seen.retention = std::max(seen.retention, batch.retention[f.outer]);
    });
  }
  out.combined = pick(static_cast<const CombinedRows*>(nullptr),
                      [&](const From& f) { return f.batch == &batch ? batch.combined[f.outer] : nullptr; });
  // All rows of a batch and of what it was combined from are rows of the same records.
  if (batch.origins != nullptr)
    out.origin_row = pick(std::uint32_t{}, [](const From& f) {
      return f.batch->origin_row != nullptr ? f.batch->origin_row[f.row] : f.row;
    });
  return out;
}

OperatorStats CombinedInput::stats() const {
  OperatorStats s = window_->stats();
  s.rows_in = static_cast<std::uint64_t>(static_cast<std::int64_t>(s.rows_in) + more_rows_);
  return s;
}

}  // namespace twinspan::engine
