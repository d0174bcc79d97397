// State: snapshots, restore, figures.
#include <algorithm>
#include <cstddef>
#include <cstring>

#include <fmt/format.h>

#include "engine/operators/interval_join.h"

namespace twinspan::engine {

namespace {
constexpr std::size_t kRowsKey = JoinSegmentId::kBytes + 4, kHorizonKey = 4;
}  // namespace

void IntervalJoin::snapshot(DeltaWriter& out) {
  TS_CHECK(!work_.active);
  start();
  out.hand_over(std::make_unique<JoinSnapshot>(
      archive_, std::array<JoinSideSnapshot, 2>{sides_[0].snapshot(), sides_[1].snapshot()}));
}

// ---- restore -------------------------------------------------------------------------------------------------------

// Rows of another number of shards are taken one by one, and written anew by the first snapshot.

Status IntervalJoin::restore(const StateEntry& entry) {
  const bool horizons = entry.space == JoinSpaces::kHorizons, flags = !horizons && entry.space >= JoinSpaces::kFlags;
  if (entry.kind != StateEntry::Kind::put || entry.space > JoinSpaces::kHorizons)
    return permanent_error("join state holds an entry of an unknown kind");
  if (entry.key.size() != (horizons ? kHorizonKey : flags ? JoinSegmentId::kBytes : kRowsKey))
    return permanent_error("join state holds an entry whose key does not have its size");
  const unsigned side = entry.space % 2;
  JoinSegmentId id;
  std::memcpy(&id.shard, entry.key.data(), 2);
  std::memcpy(&id.shards, entry.key.data() + 2, 2);
  if (!is_own(id) && shard_of_group(entry.key_group, shards_) == shard_)
    archive_->has_old(entry.space, entry.key_group, entry.key);
  if (horizons) {
    JoinHorizons ended;
    if (entry.value.size() != sizeof ended) return data_error("join state holds horizons that are not two times");
    std::memcpy(ended.data(), entry.value.data(), sizeof ended);
    restored_horizons_[{id.shard, id.shards}] = ended;
    if (is_own(id)) archive_->has_horizons(ended);
    return ok();
  }
  id = JoinSegmentId::decode(entry.key);
  if (flags) {
    TS_TRY(decoded, JoinFlags::decode(entry.value));
    restored_[side][id].flags = std::move(decoded);
    if (is_own(id)) archive_->has_flags(side, id.number, entry.value);
    return ok();
  }
  TS_TRYV(check_rows(side, entry.value));
  std::uint32_t offset = 0;
  std::memcpy(&offset, entry.key.data() + JoinSegmentId::kBytes, 4);
  restored_[side][id].rows.insert_or_assign(offset, std::string(entry.value));
  if (is_own(id)) archive_->has_rows(side, id.number, offset);
  return ok();
}

Status IntervalJoin::check_rows(unsigned side, std::string_view rows) const {
  while (!rows.empty()) {
    JoinRow head;
    if (rows.size() < sizeof(JoinRow)) return data_error("join state holds a row that ends inside its header");
    std::memcpy(&head, rows.data(), sizeof(JoinRow));
    if (head.size < sizeof(JoinRow) || head.size > sizeof(JoinRow) + JoinRow::kMaxSize ||
        RowLog::stride(head.size) > rows.size() || head.key_size > head.size - sizeof(JoinRow) ||
        head.flags != head.first || (head.first & ~JoinRow::kSavedFlags) != 0 || head.previous != 0)
      return data_error("join state holds a row whose header cannot be right");
    const std::string_view body = rows.substr(sizeof(JoinRow), head.size - sizeof(JoinRow));
    if (!key_codec_[side].well_formed(body.substr(0, head.key_size)) ||
        !kept_codec_[side].well_formed(body.substr(head.key_size)))
      return permanent_error("join state holds a row that does not have the columns of this join");
    rows.remove_prefix(RowLog::stride(head.size));
  }
  return ok();
}

Status IntervalJoin::restore_rows(unsigned side, const JoinSegmentId& id, std::string_view rows, bool sealed) {
  std::uint32_t first_size = 0;
  if (rows.size() < sizeof(JoinRow)) return data_error("join state holds a segment without rows");
  std::memcpy(&first_size, rows.data() + offsetof(JoinRow, size), 4);
  if (rows.size() > RowLog::kSegmentBytes && RowLog::stride(first_size) != rows.size())
    return data_error("join state holds a segment that is too long");
  const auto known = restored_[side].find(id);
  const JoinFlags flags = known == restored_[side].end() ? JoinFlags() : known->second.flags;
  const auto ended = restored_horizons_.find({id.shard, id.shards});
  const EventTime horizon = ended == restored_horizons_.end() ? kMinTime : ended->second[side];
  if (is_own(id)) return sides_[side].adopt(id.number, rows, sealed, flags, horizon);
  auto flag = flags.rows.begin();
  for (std::size_t at = 0; at < rows.size();) {
    const auto* row = reinterpret_cast<const JoinRow*>(rows.data() + at);
    unsigned all = row->first;
    for (; flag != flags.rows.end() && flag->place <= at / 8; ++flag)
      if (flag->place == at / 8) all |= flag->flags;
    const bool lives = at >= flags.gone && row->time > horizon && (all & JoinRow::kRemoved) == 0;
    if (lives && shard_of_group(JoinSequence::group(row->sequence), shards_) == shard_)
      sides_[side].append_restored(row, all);
    at += RowLog::stride(row->size);
  }
  return ok();
}

Status IntervalJoin::restore_segments(const std::vector<SealedSegment>& segments) {
  std::vector<const SealedSegment*> order;
  for (const SealedSegment& s : segments) order.push_back(&s);
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return a->number < b->number; });
  for (const SealedSegment* s : order) {
    const auto side = static_cast<unsigned>(s->number % 2);
    const JoinSegmentId id{static_cast<std::uint16_t>(s->shard), static_cast<std::uint16_t>(s->shards), s->number / 2};
    TS_TRY(rows, s->read());
    TS_TRYV(check_rows(side, rows));
    TS_TRYV(restore_rows(side, id, rows, true));
    if (is_own(id)) archive_->has_file(side, id.number);
  }
  for (unsigned side = 0; side < 2; ++side) {
    for (const auto& [id, restored] : restored_[side]) {
      std::string rows;
      for (const auto& [offset, piece] : restored.rows) {
        if (offset != rows.size())
          return data_error(fmt::format("join state lacks rows of segment {} at {}", id.number, rows.size()));
        rows += piece;
      }
      if (!rows.empty()) TS_TRYV(restore_rows(side, id, rows, false));
    }
    restored_[side].clear();
  }
  restored_horizons_.clear();
  return ok();
}

void IntervalJoin::restore_watermark(unsigned input, Watermark watermark) {
  input_[input] = {watermark.firing, shift(watermark.retention, -spec_.allow)};
  update_horizons();
}

// Before anything else happens, after a restore as well.
void IntervalJoin::start() {
  if (started_) return;
  started_ = true;
  sides_[1].set_closed_through(input_[1].retention);
  for (unsigned s = 0; s < 2; ++s)
    arrivals_ = std::max(arrivals_, JoinSequence::count(sides_[s].link_restored(due_through(s), waits(s))));
  refresh_watermark();
}

void IntervalJoin::use_segments(SegmentStore& store) {
  spills_ = spec_.spill_bytes > 0;
  if (!spills_) return;
  for (unsigned s = 0; s < 2; ++s) sides_[s].log().spill_to(store, s);
}

OperatorStats IntervalJoin::stats() const {
  OperatorStats s = stats_;
  s.rows_out = output_.rows_out();
  for (const JoinSide& side : sides_) {
    s.state_rows += side.rows();
    s.state_bytes += side.bytes();
    s.spilled_bytes += side.log().spilled_bytes();
  }
  s.failure = failure_;
  return s;
}

}  // namespace twinspan::engine
