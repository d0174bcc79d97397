#pragma once
// A file of state entries: a delta of one step and shard, or a base of one step. Entries lie in the order of
// sorted_delta.h, so that files are merged by streaming; drops come before them. Every block of entries has its sum and
// its range of tags in the index at the end, so a reader can leave out what has expired without reading it, and still
// knows that what it reads is whole. The manifest keeps the sum of the end, which thereby covers everything.
//
//   file  = block* end          block = frames (state_entry.h) of one space, about 64 KiB
//   end   = {offset u64, sum u64, min tag i64, max tag i64, size u32, entries u32, space u32, 0 u32}* of the blocks,
//           {below i64, space u64}* of the drops,
//           trailer: offset of `end` u64, blocks u32, drops u32, magic 8 bytes
//
// Thread: any one.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/checkpoint/file_system.h"
#include "engine/checkpoint/sorted_delta.h"
#include "engine/state/state_entry.h"

namespace twinspan::engine {

struct StateBlock {
  std::uint64_t offset = 0, sum = 0;
  std::int64_t min_tag = 0, max_tag = 0;
  std::uint32_t size = 0, entries = 0, space = 0;
};

struct StateIndex {
  std::vector<StateBlock> blocks;
  std::vector<SpaceDrop> drops;
};

class StateFileWriter {
 public:
  explicit StateFileWriter(std::unique_ptr<FileWriter> file) : file_(std::move(file)) {}

  Status drop(SpaceDrop drop) {
    index_.drops.push_back(drop);
    return ok();
  }
  // In the order of state files. `frame`: the entry's bytes if they lie together already.
  Status add(const StateEntry& entry, std::string_view frame = {});
  // Writes the end and syncs. The sum for the manifest.
  Result<std::string> finish();
  std::uint64_t size() const { return size_; }  // of the whole file, after finish()
  std::uint64_t entries() const { return entries_; }

 private:
  static constexpr std::size_t kBlock = 64u << 10;
  Status end_block();

  std::unique_ptr<FileWriter> file_;
  StateIndex index_;
  std::string block_;
  StateBlock current_;
  std::uint64_t size_ = 0, entries_ = 0;
};

// Writes `delta` sorted; the sum and size for the manifest.
struct WrittenFile {
  std::uint64_t size = 0;
  std::string sum;
};
Result<WrittenFile> write_state_file(FileSystem& files, const std::string& path, const Delta& delta);

// A file in memory, every block of it verified against `sum`: its entries in order.
class StateFileView {
 public:
  static Result<StateFileView> open(std::string_view bytes, std::string_view sum);
  const std::vector<SpaceDrop>& drops() const { return drops_; }
  std::string_view frames() const { return frames_; }

 private:
  std::string_view frames_;
  std::vector<SpaceDrop> drops_;
};

// Reads a file block by block, leaving out those that have expired.
class StateFileCursor {
 public:
  // `expired(space)`: entries with a smaller tag are of no interest.
  using Floor = std::function<std::int64_t(std::uint8_t space)>;

  static Result<std::unique_ptr<StateFileCursor>> open(FileSystem& files, std::string path, std::uint64_t size,
                                                       std::string_view sum);
  void skip_below(Floor floor) { floor_ = std::move(floor); }
  const std::vector<SpaceDrop>& drops() const { return index_.drops; }
  // The next entry; false at the end. What entry() shows is valid until then.
  Result<bool> next();
  const StateEntry& entry() const { return entry_; }
  std::uint64_t hash() const { return hash_; }
  std::uint64_t bytes_read() const { return bytes_read_; }

 private:
  StateFileCursor(FileSystem& files, std::string path) : files_(files), path_(std::move(path)) {}

  FileSystem& files_;
  const std::string path_;
  StateIndex index_;
  Floor floor_;
  std::size_t next_block_ = 0;
  std::string block_;
  DeltaReader reader_{std::string_view{}};
  StateEntry entry_;
  std::uint64_t hash_ = 0, bytes_read_ = 0;
};

}  // namespace twinspan::engine
