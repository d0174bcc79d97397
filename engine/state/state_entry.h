#pragma once
// What state looks like in a checkpoint: entries, each with a space (one logical map of a step), a key group, a tag (an
// event time that orders expiry: window end, row time, dictionary generation), a key and a value. The latest entry of
// (space, tag, key group, key) wins; `drop_below` ends all entries of a space whose tag is smaller. That is enough to
// write deltas, to merge them into bases without asking an operator, and to restore with another number of shards.
// Thread: shard (DeltaWriter), any one (the rest).

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/state/snapshot_part.h"

namespace twinspan::engine {

inline constexpr std::uint16_t kKeyGroups = 128;
// Key groups come from the top bits of the key's hash, table slots from the low ones.
constexpr std::uint16_t key_group_of(std::uint64_t hash) { return static_cast<std::uint16_t>(hash >> 57); }
constexpr unsigned shard_of_group(std::uint16_t group, unsigned shards) {
  return static_cast<unsigned>(group) * shards / kKeyGroups;
}
// The first group of a shard.
constexpr std::uint16_t first_group_of(unsigned shard, unsigned shards) {
  return static_cast<std::uint16_t>((shard * kKeyGroups + shards - 1) / shards);
}
constexpr unsigned shard_of_hash(std::uint64_t hash, unsigned shards) {
  return shard_of_group(key_group_of(hash), shards);
}

struct StateEntry {
  enum class Kind : std::uint8_t { put = 1, erase = 2, drop_below = 3 };
  Kind kind = Kind::put;
  std::uint8_t space = 0;
  std::uint16_t key_group = 0;  // of drop_below: ignored, it applies to all groups of the writing shard
  std::int64_t tag = 0;
  std::string_view key;
  std::string_view value;
};

// The bytes of a frame's fixed part.
inline constexpr std::size_t kFrameHeader = 1 + 1 + 2 + 4 + 4 + 8;
void append_frame(std::string& to, const StateEntry& entry);

// The frames of one delta, in pieces of up to about a mebibyte, none of which lies in two: growing copies nothing, and
// the shard's pages go back to the allocator in sizes that it can use again.
class Delta {
 public:
  Delta() = default;
  Delta(std::string frames) {  // implicit: a delta in one piece
    size_ = frames.size();
    if (!frames.empty()) pieces_.push_back(std::move(frames));
  }
  Delta(std::vector<std::string> pieces, std::size_t size) : pieces_(std::move(pieces)), size_(size) {}

  bool empty() const { return pieces_.empty(); }
  std::size_t size() const { return size_; }
  const std::vector<std::string>& pieces() const { return pieces_; }
  void append(Delta&& later) {
    for (std::string& p : later.pieces_) pieces_.push_back(std::move(p));
    size_ += std::exchange(later.size_, 0);
    later.pieces_.clear();
  }
  std::string joined() const;

 private:
  std::vector<std::string> pieces_;
  std::size_t size_ = 0;
};

// The state delta of one step of one shard for one epoch, framed in memory by the shard; sorted and written to disk by
// the checkpoint writer. Frame: kind u8, space u8, key_group u16, key length u32, value length u32, tag i64, key,
// value.
class DeltaWriter {
 public:
  void put(std::uint8_t space, std::uint16_t key_group, std::int64_t tag, std::string_view key,
           std::string_view value) {
    frame({StateEntry::Kind::put, space, key_group, tag, key, value});
  }
  void erase(std::uint8_t space, std::uint16_t key_group, std::int64_t tag, std::string_view key) {
    frame({StateEntry::Kind::erase, space, key_group, tag, key, {}});
  }
  void drop_below(std::uint8_t space, std::uint16_t key_group, std::int64_t tag) {
    frame({StateEntry::Kind::drop_below, space, key_group, tag, {}, {}});
  }
  void frame(const StateEntry& entry);
  // Behind what is here; `later` is empty afterwards.
  void append(DeltaWriter&& later) {
    for (std::string& p : later.pieces_) pieces_.push_back(std::move(p));
    bytes_ += std::exchange(later.bytes_, 0);
    entries_ += std::exchange(later.entries_, 0);
    later.pieces_.clear();
  }
  // More of the same snapshot, to be written by the checkpoint writer (snapshot_part.h).
  void hand_over(std::unique_ptr<SnapshotPart> part) { part_ = std::move(part); }
  std::unique_ptr<SnapshotPart> take_part() { return std::move(part_); }

  std::uint64_t entries() const { return entries_; }
  std::size_t bytes() const { return bytes_; }
  Delta take_delta();
  std::string take() { return take_delta().joined(); }

 private:
  static constexpr std::size_t kPiece = 1u << 20;
  std::vector<std::string> pieces_;
  std::size_t bytes_ = 0;
  std::uint64_t entries_ = 0;
  std::unique_ptr<SnapshotPart> part_;
};

// Reads frames back; every length is checked against the bytes left.
class DeltaReader {
 public:
  explicit DeltaReader(std::string_view bytes) : bytes_(bytes) {}
  // false at the end; an error if the bytes are not frames. Views point into the given bytes.
  Result<bool> next(StateEntry& out);

 private:
  std::string_view bytes_;
};

}  // namespace twinspan::engine
