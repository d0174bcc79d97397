#pragma once
// Sealed parts of state as files: written once, never changed, dropped whole. One file is at the same time the spill
// (its memory may go), the incremental checkpoint (an epoch links it, no byte is written again) and the unit of expiry.
// Made for the row logs of joins, whose sealed segments are immutable but for flags, which stay in memory and go
// through deltas; knows nothing of rows.
//
// Reads come in batches, since one random read costs tens of microseconds: they are sorted by place, and neighbours are
// read together. Every page has its sum, kept in memory (0.2 % of the bytes) and in the file's end, so that what a
// batch reads is verified without reading the file; the manifest of a checkpoint keeps the sum of the end.
//
//   file = bytes, zeros up to whole pages of 4 KiB, end          end = sum u64 of each page, size of the bytes u64,
//   magic
//
// Errors: transient (disk full), data (damage), not_found. Owner: one step of one shard. Thread: one at a time;
// has() and read() also another one, beside it, for segments that are not dropped meanwhile.

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/checkpoint/file_system.h"
#include "engine/state/snapshot_part.h"

namespace twinspan::engine {

// What a checkpoint needs to know of a file that it links.
struct SegmentFile {
  std::string name;  // "<number, 20 digits>.seg"
  std::string path;
  std::uint64_t size = 0;  // of the file
  std::string sum;         // XXH3-128 of its end
};

// Reads a whole segment file and compares every page. For a restore, before anything is built on it.
Status verify_segment(FileSystem& files, const SegmentFile& file);
// Its bytes, every page verified.
Result<std::string> read_segment(FileSystem& files, const SegmentFile& file);
Result<std::uint64_t> number_of_segment(const std::string& name);

class SegmentFiles final : public SegmentStore {
 public:
  using Read = SegmentRead;
  struct Figures {
    std::uint64_t segments = 0, disk_bytes = 0;
    std::uint64_t written_bytes = 0, read_bytes = 0,
                  reads = 0;  // reads: of the disk, after putting neighbours together
  };

  SegmentFiles(FileSystem& files, std::string directory) : files_(files), directory_(std::move(directory)) {}

  // Creates the directory and removes what lies there: whatever counts is linked by a checkpoint, see adopt().
  Status open();
  // Takes over the files a restored checkpoint names (links, so that the checkpoint keeps its own), each with its end
  // verified. Before anything else.
  Status adopt(const std::vector<SegmentFile>& from);

  // Writes `bytes` as segment `number`, whole and synced when it returns ok; then the memory may go. A number is never
  // used twice. After an error there is no such segment.
  Status seal(std::uint64_t number, std::string_view bytes) override;
  bool has(std::uint64_t number) const override;
  Status read(std::vector<Read>& reads) override;
  Status read_all(std::uint64_t number, std::string& bytes);
  // Expired: the file goes. A checkpoint that links it keeps its own name for it.
  Status drop(std::uint64_t number) override;

  // All segments, in the order of their numbers: what an epoch links.
  std::vector<SegmentFile> list() const;
  Figures figures() const;
  std::uint64_t written_bytes() const;

 private:
  static constexpr std::size_t kPage = 4096;
  // Pages between two wanted ones that are cheaper to read than to leave out.
  static constexpr std::size_t kGapPages = 4, kMostPages = 64;
  struct Segment {
    std::uint64_t size = 0;  // of the bytes
    std::uint64_t file_size = 0;
    std::string sum;
    std::vector<std::uint64_t> pages;  // their sums
  };
  std::string path_of(std::uint64_t number) const;
  friend Status verify_segment(FileSystem& files, const SegmentFile& file);
  friend Result<std::string> read_segment(FileSystem& files, const SegmentFile& file);
  static Result<Segment> load(FileSystem& files, const std::string& path, std::uint64_t file_size,
                              const std::string& sum);

  FileSystem& files_;
  const std::string directory_;
  const Segment* find(std::uint64_t number) const;  // stays where it is until it is dropped
  mutable std::mutex mutex_;                        // of the next two
  std::map<std::uint64_t, Segment> segments_;
  Figures figures_;
  std::vector<std::string> held_;  // what the last read() answers point into
};

}  // namespace twinspan::engine
