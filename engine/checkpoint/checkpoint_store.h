#pragma once
// The epochs and bases of one unit on disk (architecture.md "Epochs"). An epoch directory holds what its barrier
// caught: `meta` (positions, watermarks, routes: written by the pipeline, opaque here) and one state delta per step and
// shard. write() is the PREPARED decision: when it returns ok the epoch has happened. A base is all state up to an
// epoch, folded from files beside the writing of new epochs, never from a shard's memory. Two bases and every delta
// since the older one are kept, so one damaged base takes nothing away; a damaged epoch ends the chain before it and
// the restore falls back. The chain is what the manifests say (each names the epoch before it), not the numbers: those
// go on above everything ever prepared (protocol.md 9) and may leave gaps, and an epoch whose write failed may come
// back after a crash.
//
//   <root>/epochs/<epoch, 20 digits>/{manifest, meta.json, <step>@<shard>of<shards>.{delta,<number>.seg}}
//   <root>/bases/<epoch>/{manifest, meta.json, <step>.base, <step>@...seg}          <root>/quarantine/...
//
// Deltas and bases are state files (state_file.h). An epoch and a base that are being made share nothing but the lists
// in memory: each is a directory of its own until its rename, and what a merge removes is older than what anybody
// reads.
//
// Owned by the pipeline. Thread: write() from the checkpoint writer, merge() from the base merger (BaseMerger) beside
// it, one call of each at a time; restore() before both; the rest any.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/result.h"
#include "engine/checkpoint/file_system.h"
#include "engine/checkpoint/manifest.h"
#include "engine/checkpoint/segment_files.h"
#include "engine/checkpoint/state_image.h"
#include "engine/state/state_entry.h"

namespace twinspan::engine {

struct StepDelta {
  std::string step;
  unsigned shard = 0, shards = 1;
  Delta bytes;
};

// Sealed parts of a step's state that lie in files of their own (segment_files.h). An epoch names all that belong to it
// and links them: nothing of them is written again.
struct StepSegments {
  std::string step;
  unsigned shard = 0, shards = 1;
  std::vector<SegmentFile> files;
};

// What a step left to the checkpoint writer to write down.
struct StepPart {
  std::string step;
  unsigned shard = 0, shards = 1;
  std::unique_ptr<SnapshotPart> part;
};

struct PreparedEpoch {
  Epoch epoch;
  std::string meta;
  std::vector<StepDelta> deltas;
  std::vector<StepSegments> segments;
  std::uint64_t sealed_bytes = 0;  // of the segments that are new in this epoch, for the figures
};

struct RestoredState {
  Epoch epoch;
  std::string meta;
  StateImage state;
  std::vector<StepSegments> segments;  // of `epoch`, verified; paths within the checkpoint, for SegmentFiles::adopt
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
  Epoch last_epoch() const;
  // The deltas or the segments since the newest base outgrew twice what that has, or epochs have become many: they keep
  // segments on disk that have expired since.
  bool merge_due() const;
  // Folds the newest base and the deltas since into a new base, then removes what is no longer needed. Up to
  // kMergeFiles at a time: with more, the new base is not the newest epoch's and another merge is due. Asked to stop it
  // leaves nothing behind and returns an error of kind `shutdown`.
  Status merge(std::stop_token stop = {});

  struct Figures {
    std::uint64_t epoch_bytes = 0,
                  last_epoch_bytes = 0;  // written by write(), since open; without links of older segments
    std::uint64_t merges = 0, merge_read_bytes = 0, merge_written_bytes = 0;
    std::uint64_t base_bytes = 0, delta_bytes = 0;  // the newest base, and the epochs since
  };
  Figures figures() const;
  std::uint64_t bytes_written() const { return figures().epoch_bytes; }
  std::uint64_t last_epoch_bytes() const { return figures().last_epoch_bytes; }

 private:
  static constexpr std::size_t kMergeFiles = 1000;  // of one step
  using Contents = std::vector<std::unique_ptr<std::string>>;
  using Chain = std::map<Epoch, Epoch>;  // epoch with a readable manifest -> the one before it
  struct Draft {                         // a directory that is being written
    std::string directory;
    std::vector<ManifestFile> files;
  };
  struct Since {
    std::uint64_t bytes = 0, sealed = 0;
    std::size_t epochs = 0;
  };
  struct Size {
    std::uint64_t bytes = 0, sealed = 0;  // sealed: of segments that are new in the epoch
  };

  std::string place(const char* parent, Epoch epoch) const;
  Result<Manifest> read_manifest(const char* parent, Epoch epoch);
  Result<Manifest> verify(const char* parent, Epoch epoch, Contents& contents);
  // Every segment that the epoch or base links, each read once a restore.
  using Verified = std::map<std::pair<std::string, std::string>, std::string>;  // name and sum -> "", or what is wrong
  Status verify_segments(const char* parent, Epoch epoch, Verified& verified);
  Result<Chain> read_chain(const std::vector<Epoch>& epochs);
  Status write_plain(Draft& draft, const std::string& name, std::string_view content);
  Status write_directory(const char* parent, Manifest manifest, const std::function<Status(Draft&)>& fill,
                         std::uint64_t& bytes);
  Status load(const char* parent, Epoch epoch, RestoredState& into);
  Result<Epoch> merge_from(Epoch base, const std::vector<Epoch>& epochs, std::stop_token stop);
  void quarantine(const char* parent, Epoch epoch, const std::string& why, std::vector<std::string>& warnings);
  Status collect_garbage();
  Since since_base() const;  // under mutex_

  FileSystem& files_;
  const std::string root_;

  mutable std::mutex mutex_;
  std::vector<Epoch> epochs_, bases_;  // ascending; after restore() epochs_ ends the chain
  std::map<Epoch, Size> sizes_;        // of epochs_
  std::uint64_t base_sealed_ = 0;      // of the segments that the newest base links
  Epoch highest_;
  Figures figures_;
};

}  // namespace twinspan::engine
