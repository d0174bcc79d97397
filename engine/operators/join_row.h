#pragma once
// A row of a join as it lies in the row log and in segment files, and the memory of a segment. Owner: RowLog. Thread:
// shard, but for SegmentReading.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "engine/base/ids.h"
#include "engine/operators/join_memory.h"

namespace twinspan::engine {

using RowAddress = std::uint64_t;  // segment number << 22 | offset; 0 = none

// A row as it lies in the log and in segment files; the encoded key and the encoded kept columns follow.
struct JoinRow {
  enum Flag : std::uint8_t {
    kMatched = 1,  // needs no unmatched output any more
    kOut = 2,      // went out unmatched before the last word was spoken: a match takes that back
    kRemoved = 4,  // has had its one match
    kNullKey = 8,  // in no chain
    kMoved = 16,   // copied to a newer address; this one no longer counts
    kWaits = 32,   // in JoinSide::waiting()
  };
  static constexpr unsigned kSavedFlags = kMatched | kOut | kRemoved | kNullKey;
  static constexpr unsigned kLaterFlags = kMatched | kOut | kRemoved;  // may be set after the row was handed over
  static constexpr std::size_t kMaxKey = (1u << 24) - 1;
  static constexpr std::size_t kMaxSize = 1u << 30;

  EventTime time;
  std::uint64_t sequence;       // arrival order within the join, kept through restarts; low 7 bits: the key group
  std::uint64_t previous : 56;  // address of the next older row with this hash
  std::uint64_t flags : 8;
  std::uint32_t size;  // of the whole row in bytes
  std::uint32_t key_size : 24;
  std::uint32_t first : 8;  // the saved flags when it was handed over to a checkpoint; they only grow

  void set_previous(RowAddress address) { previous = address & ((std::uint64_t{1} << 56) - 1); }
  void set_flags(unsigned to) { flags = to & 255; }
  const char* key_data() const { return reinterpret_cast<const char*>(this + 1); }
  char* key_data() { return reinterpret_cast<char*>(this + 1); }
  char* kept_data() { return key_data() + key_size; }
  const char* kept_data() const { return key_data() + key_size; }
  std::string_view key() const { return {key_data(), key_size}; }
  std::string_view kept() const { return {kept_data(), size - sizeof(JoinRow) - key_size}; }
  bool has(unsigned flag) const { return (flags & flag) != 0; }
};
static_assert(sizeof(JoinRow) == 32);

// The memory of a segment. A checkpoint that reads it keeps it alive.
struct SegmentMemory {
  explicit SegmentMemory(std::size_t bytes) : pages(bytes) {}
  PageBlock pages;
  std::atomic<unsigned> readers{0};
};

// The checkpoint writer's hold of a segment. Thread: shard (made), checkpoint writer.
class SegmentReading {
 public:
  explicit SegmentReading(std::shared_ptr<SegmentMemory> memory) : memory_(std::move(memory)) {
    memory_->readers.fetch_add(1, std::memory_order_relaxed);
  }
  ~SegmentReading() {
    if (memory_) memory_->readers.fetch_sub(1, std::memory_order_release);
  }
  SegmentReading(SegmentReading&&) noexcept = default;
  SegmentReading& operator=(SegmentReading&&) = delete;
  const char* data() const { return memory_->pages.data(); }

 private:
  std::shared_ptr<SegmentMemory> memory_;
};

// Segments of both sides lie in one store.
constexpr std::uint64_t join_file_number(unsigned side, std::uint64_t segment) { return 2 * segment + side; }

}  // namespace twinspan::engine
