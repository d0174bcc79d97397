#include "engine/operators/join_archive.h"

#include <algorithm>
#include <cstring>

namespace twinspan::engine {

namespace {

void append_number(std::string& to, std::uint64_t value) {
  for (; value >= 128; value >>= 7) to.push_back(static_cast<char>(value | 128));
  to.push_back(static_cast<char>(value));
}

Result<std::uint64_t> take_number(std::string_view& from) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && !from.empty(); shift += 7) {
    const auto byte = static_cast<std::uint8_t>(from.front());
    from.remove_prefix(1);
    value |= std::uint64_t{byte & 127u} << shift;
    if (byte < 128) return value;
  }
  return data_error("the flags of a join's rows end inside a number");
}

// Rows as they are in files: nothing that the shard may still change.
void append_rows(std::string& to, const char* from, std::size_t begin, std::size_t end) {
  std::size_t at = to.size();
  to.resize(at + (end - begin));
  for (std::size_t i = begin; i < end;) {
    const auto* row = reinterpret_cast<const JoinRow*>(from + i);
    JoinRow head;
    head.time = row->time;
    head.sequence = row->sequence;
    head.previous = 0;
    head.flags = row->first;
    head.size = row->size;
    head.key_size = row->key_size;
    head.first = row->first;
    std::memcpy(to.data() + at, &head, sizeof(JoinRow));
    std::memcpy(to.data() + at + sizeof(JoinRow), row->key_data(), row->size - sizeof(JoinRow));
    const std::size_t step = RowLog::stride(row->size);
    at += step;
    i += step;
  }
}

}  // namespace

std::string JoinSegmentId::encode() const {
  std::string key(kBytes, '\0');
  std::memcpy(key.data(), &shard, 2);
  std::memcpy(key.data() + 2, &shards, 2);
  std::memcpy(key.data() + 4, &number, 8);
  return key;
}

JoinSegmentId JoinSegmentId::decode(std::string_view bytes) {
  TS_CHECK(bytes.size() >= kBytes);
  JoinSegmentId id;
  std::memcpy(&id.shard, bytes.data(), 2);
  std::memcpy(&id.shards, bytes.data() + 2, 2);
  std::memcpy(&id.number, bytes.data() + 4, 8);
  return id;
}

std::string join_horizon_key(std::uint16_t shard, std::uint16_t shards) {
  std::string key(4, '\0');
  std::memcpy(key.data(), &shard, 2);
  std::memcpy(key.data() + 2, &shards, 2);
  return key;
}

std::string JoinFlags::encode() const {
  std::string out;
  append_number(out, gone);
  std::uint32_t last = 0;
  for (const Row& r : rows) {
    append_number(out, std::uint64_t{r.place - last} << 3 | r.flags);
    last = r.place;
  }
  return out;
}

Result<JoinFlags> JoinFlags::decode(std::string_view bytes) {
  JoinFlags out;
  if (bytes.empty()) return out;
  TS_TRY(gone, take_number(bytes));
  out.gone = gone;
  std::uint64_t place = 0;
  while (!bytes.empty()) {
    TS_TRY(number, take_number(bytes));
    place += number >> 3;
    if (place > JoinRow::kMaxSize) return data_error("the flags of a join's rows are of a row outside its segment");
    out.rows.push_back({static_cast<std::uint32_t>(place), static_cast<std::uint32_t>(number & 7)});
  }
  return out;
}

std::string JoinArchive::key_of(std::uint64_t number, std::uint32_t offset) const {
  std::string key = key_of(number);
  key.append(reinterpret_cast<const char*>(&offset), 4);
  return key;
}

// First everything that may fail; what it has done stays done, and is not done again.
Status JoinArchive::write(const std::array<JoinSideSnapshot, 2>& sides, SegmentStore& files, DeltaWriter& delta) {
  for (unsigned s = 0; s < 2; ++s) {
    for (const JoinSideSnapshot::Rows& r : sides[s].rows) {
      const std::uint64_t number = join_file_number(s, r.number);
      if (!r.sealed || files.has(number)) continue;
      buffer_.clear();
      append_rows(buffer_, r.memory.data(), 0, r.to);
      TS_TRYV(files.seal(number, buffer_));
    }
    for (const auto& [number, segment] : segments_[s])
      if (number < sides[s].first) TS_TRYV(files.drop(join_file_number(s, number)));
  }
  for (const auto& [space, key_group, key] : old_) delta.erase(space, key_group, 0, key);
  old_.clear();
  for (unsigned s = 0; s < 2; ++s) {
    write_side(s, sides[s], delta);
    TS_TRYV(note_flags(s, sides[s], delta));
  }
  const JoinHorizons horizons{std::max(sides[0].horizon, horizons_[0]), std::max(sides[1].horizon, horizons_[1])};
  if (horizons != horizons_) {
    horizons_ = horizons;
    delta.put(JoinSpaces::kHorizons, group(), 0, join_horizon_key(shard_, shards_),
              {reinterpret_cast<const char*>(horizons.data()), sizeof horizons});
  }
  return ok();
}

void JoinArchive::erase_rows(unsigned side, std::uint64_t number, Segment& segment, DeltaWriter& delta) {
  for (const std::uint32_t offset : segment.offsets)
    delta.erase(static_cast<std::uint8_t>(JoinSpaces::kRows + side), group(), 0, key_of(number, offset));
  segment.offsets.clear();
}

void JoinArchive::write_side(unsigned side, const JoinSideSnapshot& snapshot, DeltaWriter& delta) {
  auto& segments = segments_[side];
  while (!segments.empty() && segments.begin()->first < snapshot.first) {
    auto& [number, segment] = *segments.begin();
    erase_rows(side, number, segment, delta);
    if (!segment.flags.empty())
      delta.erase(static_cast<std::uint8_t>(JoinSpaces::kFlags + side), group(), 0, key_of(number));
    segments.erase(segments.begin());
  }
  for (const JoinSideSnapshot::Rows& r : snapshot.rows) {
    Segment& segment = segments[r.number];
    if (r.sealed) {
      erase_rows(side, r.number, segment, delta);
      continue;
    }
    buffer_.clear();
    append_rows(buffer_, r.memory.data(), r.from, r.to);
    const auto offset = static_cast<std::uint32_t>(r.from);
    delta.put(static_cast<std::uint8_t>(JoinSpaces::kRows + side), group(), 0, key_of(r.number, offset), buffer_);
    segment.offsets.push_back(offset);
  }
}

Status JoinArchive::note_flags(unsigned side, const JoinSideSnapshot& snapshot, DeltaWriter& delta) {
  std::vector<FlagChange> changes = snapshot.changes;
  std::sort(changes.begin(), changes.end());
  const auto add = [&](std::uint64_t number, std::size_t begin, std::size_t end, std::uint64_t gone) -> Status {
    const auto at = segments_[side].find(number);
    if (at == segments_[side].end()) return ok();  // gone since
    TS_TRY(old, JoinFlags::decode(at->second.flags));
    JoinFlags now;
    now.gone = std::max(gone, old.gone);
    auto o = old.rows.begin();
    const auto put = [&now](JoinFlags::Row row) {
      if (!now.rows.empty() && now.rows.back().place == row.place)
        now.rows.back().flags |= row.flags;
      else
        now.rows.push_back(row);
    };
    for (std::size_t i = begin; i < end; ++i) {
      const JoinFlags::Row row{static_cast<std::uint32_t>((changes[i] & (RowLog::kSegmentBytes - 1)) >> 3),
                               static_cast<std::uint32_t>(changes[i] & 7)};
      for (; o != old.rows.end() && o->place <= row.place; ++o) put(*o);
      put(row);
    }
    for (; o != old.rows.end(); ++o) put(*o);
    std::string encoded = now.encode();
    if (encoded == at->second.flags) return ok();
    at->second.flags = std::move(encoded);
    delta.put(static_cast<std::uint8_t>(JoinSpaces::kFlags + side), group(), 0, key_of(number), at->second.flags);
    return ok();
  };
  const std::uint64_t moved = snapshot.moved_below >> RowLog::kSegmentBits;
  const std::uint64_t gone = snapshot.moved_below & (RowLog::kSegmentBytes - 1);
  bool told = gone == 0;
  for (std::size_t i = 0; i < changes.size();) {
    const std::uint64_t number = changes[i] >> RowLog::kSegmentBits;
    std::size_t end = i + 1;
    while (end < changes.size() && changes[end] >> RowLog::kSegmentBits == number) ++end;
    TS_TRYV(add(number, i, end, number == moved ? gone : 0));
    told |= number == moved;
    i = end;
  }
  return told ? ok() : add(moved, 0, 0, gone);
}

std::size_t JoinSnapshot::bytes() const {
  std::size_t total = 0;
  for (const JoinSideSnapshot& s : sides_) {
    for (const JoinSideSnapshot::Rows& r : s.rows) total += r.to - (r.sealed ? 0 : r.from);
    total += s.changes.size() * 2;
  }
  return total;
}

}  // namespace twinspan::engine
