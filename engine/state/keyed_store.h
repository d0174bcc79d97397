#pragma once
// The cold tier of keyed state, on disk: what the byte budget of a step evicts lies here until it is asked for again or
// expires. One store a shard and step, in a RocksDB without write-ahead log: the epoch deltas are the durability of
// everything, so after a crash a store is opened from a checkpoint of it or begun anew, never repaired.
// Nothing on the path of a record calls it. Callers evict and fetch in batches, sorted here, because that is what makes
// RocksDB bearable (performance.md B.3: single puts cost 3.7 us, unsorted gets 2 us).
//
// Rules of protocol.md 16: only entries last changed in a prepared epoch come here; a value carries that epoch, and of
// two values of one key (here and in a delta) the higher epoch counts; expire_below() gets tags that a *prepared* epoch
// has dropped, since what compaction removes no restore brings back.
//
// Errors: transient (disk full), data (damage), permanent. Owner: the shard's tier. Thread: one at a time;
// compactions and flushes run in threads of RocksDB.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/result.h"
#include "engine/state/state_entry.h"

namespace twinspan::engine {

struct KeyedStoreOptions {
  std::size_t memtable_bytes = 16u << 20;  // small ones are faster: inserts are bound by memory
  std::size_t cache_bytes = 32u << 20;     // of blocks; bloom filters included
  std::size_t file_bytes = 32u << 20;
};

class KeyedStore {
 public:
  // What is asked for, and where the answer goes.
  struct Lookup {
    std::uint8_t space = 0;
    std::uint16_t key_group = 0;
    std::int64_t tag = 0;
    std::string_view key;
    // Answer:
    std::optional<std::string> value;
    Epoch epoch;
  };
  struct Figures {
    std::uint64_t disk_bytes = 0, memory_bytes = 0;  // files; memtables, cache, indexes
    std::uint64_t entries = 0;                       // estimated
    std::uint64_t expired = 0;                       // removed by compaction since open
  };

  // A new store, or the one that lies there. What an earlier process had not flushed is not in it.
  static Result<std::unique_ptr<KeyedStore>> open(const std::string& path, const KeyedStoreOptions& options = {});
  ~KeyedStore();

  // put and erase entries, last changed in `epoch`. In any order; of one key the last one counts.
  Status write(const std::vector<StateEntry>& entries, Epoch epoch);
  // Fills the answers. Sorted and asked for in one call to RocksDB.
  Status get(std::vector<Lookup>& lookups) const;
  // Entries of the space with a smaller tag are not there any more: not for get() and for_each() from now on, and on
  // disk with the next compaction of their files. No tombstones, no timers. Never goes back.
  void expire_below(std::uint8_t space, std::int64_t tag);
  // All entries, ordered by (space, tag, key group, key).
  Status for_each(const std::function<Status(const StateEntry&, Epoch)>& visit) const;

  // Flushes what is in memory. Called some time before checkpoint(), it makes that a matter of milliseconds.
  Status flush();
  // A store of its own at `path` (which must not exist) that shares the files by hard links: all that was written
  // before the call. Its files and their directory are synced.
  Status checkpoint(const std::string& path);
  // Compacts everything: for tests, and for a store that has become mostly expired.
  Status compact();
  Figures figures() const;

 private:
  struct Database;
  explicit KeyedStore(std::unique_ptr<Database> database);
  std::unique_ptr<Database> db_;
};

}  // namespace twinspan::engine
