#pragma once
// The epochs and bases of one unit on disk (architecture.md "Epochs"). An epoch directory holds what its barrier
// caught: `meta` (positions, watermarks, routes: written by the pipeline, opaque here) and one state delta per step and
// shard. write() is the PREPARED decision: when it returns ok the epoch has happened. A base is all state up to an
// epoch, folded from files in the background, never from a shard's memory. Two bases and every delta since the older
// one are kept, so one damaged base takes nothing away; a damaged epoch ends the chain before it and the restore falls
// back. The chain is what the manifests say (each names the epoch before it), not the numbers: those go on above
// everything ever prepared (protocol.md 9) and may leave gaps, and an epoch whose write failed may come back after a
// crash.
//
//   <root>/epochs/<epoch, 20 digits>/{manifest, meta.json, <step>@<shard>of<shards>.delta}
//   <root>/bases/<epoch>/{manifest, meta.json, <step>.base}          <root>/quarantine/...
//
// Owned by the pipeline. Thread: write() and merge() from the checkpoint writer, restore() before it starts.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/result.h"
#include "engine/checkpoint/file_system.h"
#include "engine/checkpoint/manifest.h"
#include "engine/checkpoint/state_image.h"

namespace twinspan::engine {

struct StepDelta {
  std::string step;
  unsigned shard = 0, shards = 1;
  std::string bytes;
};

struct PreparedEpoch {
  Epoch epoch;
  std::string meta;
  std::vector<StepDelta> deltas;
};

struct RestoredState {
  Epoch epoch;
  std::string meta;
  StateImage state;
  std::vector<std::unique_ptr<std::string>> bytes;  // what `state` points into
  std::vector<std::string> warnings;                // what was damaged and set aside
};

class CheckpointStore {
 public:
  CheckpointStore(FileSystem& files, std::string root);

  // Creates the directories; removes what an earlier run left unfinished.
  Status open();
  // The newest state whose every file verifies; nullopt if nothing was ever prepared. An error if epochs exist but none
  // is usable: starting empty then would silently lose state.
  Result<std::optional<RestoredState>> restore();
  // PREPARED(epoch). On an error nothing of the epoch remains visible and the next epoch must carry its deltas as well.
  Status write(const PreparedEpoch& epoch);
  // The highest number ever prepared here, also if that epoch was damaged and set aside: the next one goes above it.
  Epoch last_epoch() const { return highest_; }
  bool merge_due() const;  // the deltas since the newest base outgrew twice the base
  // Folds the newest base and the deltas since into a new base, then removes what is no longer needed.
  Status merge();

  std::uint64_t bytes_written() const { return bytes_written_; }  // by write(), since open
  std::uint64_t last_epoch_bytes() const { return last_epoch_bytes_; }

 private:
  using Contents = std::vector<std::unique_ptr<std::string>>;
  using Chain = std::map<Epoch, Epoch>;  // epoch with a readable manifest -> the one before it

  std::string place(const char* parent, Epoch epoch) const;
  Result<Manifest> read_manifest(const char* parent, Epoch epoch);
  Result<Manifest> verify(const char* parent, Epoch epoch, Contents& contents);
  Result<Chain> read_chain();
  Status write_directory(const char* parent, Manifest manifest,
                         const std::vector<std::pair<std::string, std::string_view>>& files, std::uint64_t& bytes);
  Status load_base(Epoch base, RestoredState& into);
  Status apply_epoch(Epoch epoch, RestoredState& into);
  void quarantine(const char* parent, Epoch epoch, const std::string& why, std::vector<std::string>& warnings);
  Status collect_garbage();

  FileSystem& files_;
  const std::string root_;
  std::vector<Epoch> epochs_, bases_;  // ascending; after restore() epochs_ ends the chain
  Epoch highest_;
  std::uint64_t delta_bytes_since_base_ = 0, base_bytes_ = 0, bytes_written_ = 0, last_epoch_bytes_ = 0;
  std::size_t epochs_since_base_ = 0;
};

}  // namespace twinspan::engine
