#pragma once
// What checkpoints hold of an interval join, and how. Sealed segments of its row logs are files, written once and
// linked by every later epoch; the rows of the open segments, and flags that were set after a row was handed over, are
// entries:
//
//   space 0/1 (left/right)  rows of an open segment    key = segment, offset u32     value = rows as in the log
//   space 2/3               flags of a segment's rows  key = segment                 value = JoinFlags
//   space 4                 where each side has ended  key = shard u16, shards u16   value = horizons, 2 x i64
//   segment = shard u16, shards u16 (of whoever wrote it), number u64; file number = 2 * number + side
//
// All entries lie in the first key group of their shard, with tag 0; they are erased with their segment. At a barrier
// the shard only notes which segments are new, up to where, and which flags have changed (JoinSnapshot); the checkpoint
// writer turns that into files and entries (JoinArchive), while rows go on being appended behind what was noted.
// Owner: IntervalJoin and the snapshots it made. Thread: checkpoint writer, except the making.

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/operators/join_log.h"
#include "engine/state/state_entry.h"

namespace twinspan::engine {

// A segment of one side of a join, by its name in checkpoints.
struct JoinSegmentId {
  std::uint16_t shard = 0, shards = 1;
  std::uint64_t number = 0;
  static constexpr std::size_t kBytes = 12;

  std::string encode() const;
  static JoinSegmentId decode(std::string_view bytes);  // of kBytes
  friend auto operator<=>(const JoinSegmentId&, const JoinSegmentId&) = default;
};

struct JoinSpaces {
  static constexpr std::uint8_t kRows = 0, kFlags = 2, kHorizons = 4;  // the first two + side
};
// Key and value of space 4.
std::string join_horizon_key(std::uint16_t shard, std::uint16_t shards);
using JoinHorizons = std::array<EventTime, 2>;

// Flags of rows of one segment beside those that the rows were written with. They only grow.
struct JoinFlags {
  struct Row {
    std::uint32_t place;  // offset / 8
    std::uint32_t flags;  // JoinRow::kLaterFlags
  };
  std::uint64_t gone = 0;  // rows at smaller offsets have been moved to a newer segment
  std::vector<Row> rows;   // by place

  std::string encode() const;
  static Result<JoinFlags> decode(std::string_view bytes);
};

// A flag that was set: address | JoinRow::kLaterFlags; addresses are multiples of 8.
using FlagChange = std::uint64_t;

// What one side has to say at a barrier.
struct JoinSideSnapshot {
  struct Rows {
    std::uint64_t number = 0;
    std::size_t from = 0, to = 0;  // new are those from `from` on; of a sealed segment all are written
    bool sealed = false;
    SegmentReading memory;
  };
  std::uint64_t first = 0;  // older segments are gone
  std::vector<Rows> rows;
  std::vector<FlagChange> changes;
  RowAddress moved_below = 0;    // of segment `first`
  EventTime horizon = kMinTime;  // rows up to it have ended
};

class JoinArchive {
 public:
  JoinArchive(unsigned shard, unsigned shards)
      : shard_(static_cast<std::uint16_t>(shard)), shards_(static_cast<std::uint16_t>(shards)) {}

  // What a restored checkpoint holds of this shard, and what is to be erased by the first snapshot: entries of another
  // number of shards, whose rows are all written anew.
  void has_rows(unsigned side, std::uint64_t number, std::uint32_t offset) {
    segments_[side][number].offsets.push_back(offset);
  }
  void has_flags(unsigned side, std::uint64_t number, std::string_view flags) { segments_[side][number].flags = flags; }
  void has_file(unsigned side, std::uint64_t number) { segments_[side][number]; }
  void has_horizons(const JoinHorizons& horizons) { horizons_ = horizons; }
  void has_old(std::uint8_t space, std::uint16_t key_group, std::string_view key) {
    old_.emplace(space, key_group, std::string(key));
  }

  Status write(const std::array<JoinSideSnapshot, 2>& sides, SegmentStore& files, DeltaWriter& delta);

 private:
  struct Segment {
    std::vector<std::uint32_t> offsets;  // of the entries with its rows, until it is sealed
    std::string flags;                   // encoded; empty: none
  };
  void write_side(unsigned side, const JoinSideSnapshot& snapshot, DeltaWriter& delta);
  Status note_flags(unsigned side, const JoinSideSnapshot& snapshot, DeltaWriter& delta);
  void erase_rows(unsigned side, std::uint64_t number, Segment& segment, DeltaWriter& delta);
  std::string key_of(std::uint64_t number) const { return JoinSegmentId{shard_, shards_, number}.encode(); }
  std::string key_of(std::uint64_t number, std::uint32_t offset) const;
  std::uint16_t group() const { return first_group_of(shard_, shards_); }

  const std::uint16_t shard_, shards_;
  std::map<std::uint64_t, Segment> segments_[2];
  JoinHorizons horizons_{kMinTime, kMinTime};
  std::set<std::tuple<std::uint8_t, std::uint16_t, std::string>> old_;
  std::string buffer_;
};

class JoinSnapshot final : public SnapshotPart {
 public:
  JoinSnapshot(std::shared_ptr<JoinArchive> archive, std::array<JoinSideSnapshot, 2> sides)
      : archive_(std::move(archive)), sides_(std::move(sides)) {}
  Status write(SegmentStore& files, DeltaWriter& delta) override { return archive_->write(sides_, files, delta); }
  std::size_t bytes() const override;

 private:
  std::shared_ptr<JoinArchive> archive_;
  std::array<JoinSideSnapshot, 2> sides_;
};

}  // namespace twinspan::engine
