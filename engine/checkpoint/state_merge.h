#pragma once
// Folds state files of one step into one: of every key the newest entry, without what was erased or has ended. Streams
// all files side by side, so memory is one block a file; blocks that a later drop ends as a whole are not read.
// Thread: any one (base merger).

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/checkpoint/file_system.h"
#include "engine/checkpoint/state_file.h"

namespace twinspan::engine {

struct MergeInput {
  std::string path;
  std::uint64_t size = 0;
  std::string sum;
  std::uint64_t order = 0;         // the epoch; a later file wins, and its drops end what earlier ones hold
  unsigned shard = 0, shards = 1;  // whose key groups its drops are for
};

struct MergeResult {
  std::uint64_t entries = 0, size = 0;  // 0 entries: no file was made
  std::uint64_t bytes_read = 0;
  std::string sum;
};

// `out`: path of the file to make. An error of kind `data` says that an input is damaged; `shutdown`: `stop` was asked
// for.
Result<MergeResult> merge_state_files(FileSystem& files, const std::vector<MergeInput>& inputs, const std::string& out,
                                      std::stop_token stop);

}  // namespace twinspan::engine
