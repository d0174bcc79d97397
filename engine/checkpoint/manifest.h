#pragma once
// The list of a checkpoint directory's files with their sizes and XXH3-128 sums. It is written last, under a temporary
// name, so a directory without one was never finished; what does not match it is not used (reliability.md 3.1).
// Thread: any one.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/result.h"

namespace twinspan::engine {

inline constexpr int kCheckpointFormat = 2;

struct ManifestFile {
  std::string name;
  std::uint64_t size = 0;
  std::string
      sum;  // XXH3-128, 32 hex digits; of a state file: of its end (state_file.h), which has those of its blocks
};

struct Manifest {
  int format = kCheckpointFormat;
  std::string kind;  // "epoch" or "base"
  Epoch epoch;
  Epoch previous;  // of an epoch: the one its deltas stand on; 0 = it is the first
  std::vector<ManifestFile> files;
};

std::string content_sum(std::string_view bytes);
std::string to_json(const Manifest& manifest);  // ends in its own sum, so that a damaged manifest is noticed too
Result<Manifest> parse_manifest(std::string_view json);

}  // namespace twinspan::engine
