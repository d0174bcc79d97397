// State: snapshots, restore, figures.
#include <algorithm>

#include <xxhash.h>

#include "engine/operators/interval_join.h"

namespace twinspan::engine {

void IntervalJoin::snapshot(DeltaWriter& out) {
  TS_CHECK(!work_.active);
  start();
  for (JoinSide& side : sides_) side.snapshot(out);
}

Status IntervalJoin::restore(const StateEntry& entry) {
  if (entry.space > 1) return permanent_error("join state holds an entry of an unknown space");
  auto& rows = restored_[entry.space];
  switch (entry.kind) {
    case StateEntry::Kind::drop_below:
      std::erase_if(rows, [&](const auto& r) { return r.second.tag < entry.tag; });
      return ok();
    case StateEntry::Kind::erase: rows.erase(std::string(entry.key)); return ok();
    case StateEntry::Kind::put: break;
  }
  TS_TRY(row, JoinRowEntry::decode(entry.key, entry.value));
  if (!key_codec_[entry.space].well_formed(row.key) || !kept_codec_[entry.space].well_formed(row.kept)) {
    return permanent_error("join state holds a row that does not have the columns of this join");
  }
  rows.insert_or_assign(std::string(entry.key), Restored{entry.tag, std::string(entry.value)});
  return ok();
}

void IntervalJoin::restore_watermark(unsigned input, Watermark watermark) {
  input_[input] = {watermark.firing, shift(watermark.retention, -spec_.allow)};
  update_horizons();
}

// Entries come in any order of rows; arrival order is their sequence. Before anything else happens after a restore.
void IntervalJoin::start() {
  if (started_) return;
  started_ = true;
  sides_[1].set_closed_through(input_[1].retention);
  for (unsigned s = 0; s < 2; ++s) {
    sides_[s].begin_restore(due_through(s));
    if (restored_[s].empty()) continue;
    std::vector<JoinRowEntry> rows;
    rows.reserve(restored_[s].size());
    for (const auto& [key, r] : restored_[s]) rows.push_back(JoinRowEntry::decode(key, r.value).value());
    std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.sequence < b.sequence; });
    for (const JoinRowEntry& row : rows) {
      arrivals_ = std::max(arrivals_, JoinRowEntry::count_of(row.sequence));
      if (row.time <= sides_[s].horizon()) continue;  // ended before the barrier
      unsigned flags = row.flags | JoinRow::kSaved;
      if (waits(s) && (row.flags & (JoinRow::kMatched | JoinRow::kOut)) == 0) flags |= JoinRow::kWaits;
      JoinRow* kept = sides_[s].insert(XXH3_64bits(row.key.data(), row.key.size()), row.time, row.sequence, row.key,
                                       row.kept.size(), flags);
      std::copy(row.kept.begin(), row.kept.end(), kept->kept_data());
    }
    sides_[s].restored();
    restored_[s] = {};
  }
  refresh_watermark();
}

OperatorStats IntervalJoin::stats() const {
  OperatorStats s = stats_;
  s.rows_out = output_.rows_out();
  for (const JoinSide& side : sides_) {
    s.state_rows += side.rows();
    s.state_bytes += side.bytes();
  }
  return s;
}

}  // namespace twinspan::engine
