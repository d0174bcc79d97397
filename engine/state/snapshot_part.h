#pragma once
// What a step hands over at a barrier without having written it down: the checkpoint writer does that, from memory that
// does not change any more (sealed segments of a join's rows), so the shard goes on after microseconds. New segments
// become files that later epochs only link; the rest becomes entries of the step's delta. Made by the operator, owned
// by the checkpoint cycle until its epoch is prepared. Thread: shard (made), checkpoint writer (the rest).

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace twinspan::engine {

class DeltaWriter;

struct SegmentRead {
  std::uint64_t segment = 0;
  std::uint64_t offset = 0;
  std::size_t size = 0;
  std::string_view bytes;  // the answer; valid until the next read()
};

// Where sealed segments go: files (checkpoint/segment_files.h). Thread: has() and read() one other than the rest.
class SegmentStore {
 public:
  virtual ~SegmentStore() = default;
  virtual Status read(std::vector<SegmentRead>& reads) = 0;
  virtual Status seal(std::uint64_t number, std::string_view bytes) = 0;  // whole and on disk, or not at all
  virtual bool has(std::uint64_t number) const = 0;
  virtual Status drop(std::uint64_t number) = 0;  // of no error if there is none
};

class SnapshotPart {
 public:
  virtual ~SnapshotPart() = default;
  // Parts of one step and shard in the order of their barriers. After an error the same part is written again before
  // any later one, with a new `delta`: what it had sealed by then it does not write twice.
  virtual Status write(SegmentStore& files, DeltaWriter& delta) = 0;
  virtual std::size_t bytes() const = 0;  // about what write() puts on disk
};

}  // namespace twinspan::engine
