#include "engine/state/keyed_store.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <limits>
#include <numeric>

#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/compaction_filter.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_batch.h>

namespace twinspan::engine {

namespace {

// Key: space u8, tag i64, key group u16, key; numbers big endian, the tag with its sign bit turned, so that bytes sort
// as entries do and what expires together lies together. Value: epoch u64, value.
constexpr std::size_t kKeyHead = 1 + 8 + 2, kValueHead = 8;

void append_key(std::string& to, std::uint8_t space, std::int64_t tag, std::uint16_t group, std::string_view key) {
  char head[kKeyHead];
  head[0] = static_cast<char>(space);
  const std::uint64_t t = __builtin_bswap64(static_cast<std::uint64_t>(tag) ^ (std::uint64_t{1} << 63));
  std::memcpy(head + 1, &t, 8);
  const std::uint16_t g = __builtin_bswap16(group);
  std::memcpy(head + 9, &g, 2);
  to.append(head, kKeyHead);
  to.append(key);
}

std::int64_t tag_of(const char* key) {
  std::uint64_t t = 0;
  std::memcpy(&t, key + 1, 8);
  return static_cast<std::int64_t>(__builtin_bswap64(t) ^ (std::uint64_t{1} << 63));
}

bool parse(const rocksdb::Slice& key, const rocksdb::Slice& value, StateEntry& entry, Epoch& epoch) {
  if (key.size() < kKeyHead || value.size() < kValueHead) return false;
  entry.kind = StateEntry::Kind::put;
  entry.space = static_cast<std::uint8_t>(key[0]);
  entry.tag = tag_of(key.data());
  std::uint16_t group = 0;
  std::memcpy(&group, key.data() + 9, 2);
  entry.key_group = __builtin_bswap16(group);
  entry.key = {key.data() + kKeyHead, key.size() - kKeyHead};
  std::uint64_t e = 0;
  std::memcpy(&e, value.data(), 8);
  epoch = Epoch(e);
  entry.value = {value.data() + kValueHead, value.size() - kValueHead};
  return entry.key_group < kKeyGroups;
}

Error store_error(const char* what, const std::string& path, const rocksdb::Status& s) {
  ErrorKind kind = ErrorKind::permanent;
  if (s.IsNoSpace() || s.IsBusy() || s.IsTryAgain()) kind = ErrorKind::transient;
  if (s.IsCorruption()) kind = ErrorKind::data;
  return {kind, fmt::format("cannot {} the state store '{}': {}", what, path, s.ToString())};
}

// What has ended, by space. Read by compaction threads.
class Floors {
 public:
  Floors() {
    for (auto& f : below_) f.store(std::numeric_limits<std::int64_t>::min(), std::memory_order_relaxed);
  }
  void raise(std::uint8_t space, std::int64_t tag) {
    std::atomic<std::int64_t>& f = below_[space];
    std::int64_t now = f.load(std::memory_order_relaxed);
    while (tag > now && !f.compare_exchange_weak(now, tag, std::memory_order_relaxed)) {
    }
  }
  bool ended(std::uint8_t space, std::int64_t tag) const { return tag < below_[space].load(std::memory_order_relaxed); }

 private:
  std::array<std::atomic<std::int64_t>, 256> below_;
};

class ExpiryFilter final : public rocksdb::CompactionFilter {
 public:
  ExpiryFilter(const Floors& floors, std::atomic<std::uint64_t>& expired) : floors_(floors), expired_(expired) {}
  const char* Name() const override { return "twinspan.expiry"; }
  bool Filter(int, const rocksdb::Slice& key, const rocksdb::Slice&, std::string*, bool*) const override {
    if (key.size() < kKeyHead || !floors_.ended(static_cast<std::uint8_t>(key[0]), tag_of(key.data()))) return false;
    expired_.fetch_add(1, std::memory_order_relaxed);
    return true;
  }

 private:
  const Floors& floors_;
  std::atomic<std::uint64_t>& expired_;
};

}  // namespace

struct KeyedStore::Database {
  std::string path;
  Floors floors;
  std::atomic<std::uint64_t> expired{0};
  ExpiryFilter filter{floors, expired};
  std::unique_ptr<rocksdb::DB> db;  // last: its threads use the others
};

KeyedStore::KeyedStore(std::unique_ptr<Database> database) : db_(std::move(database)) {}

KeyedStore::~KeyedStore() {
  if (db_ != nullptr && db_->db != nullptr) (void)db_->db->Close();
}

Result<std::unique_ptr<KeyedStore>> KeyedStore::open(const std::string& path, const KeyedStoreOptions& options) {
  auto database = std::make_unique<Database>();
  database->path = path;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(options.cache_bytes);
  table.cache_index_and_filter_blocks = true;  // within the budget, like everything
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.format_version = 5;
  rocksdb::Options o;
  o.create_if_missing = true;
  o.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  o.compaction_filter = &database->filter;
  o.write_buffer_size = options.memtable_bytes;
  o.max_write_buffer_number = 3;
  o.target_file_size_base = options.file_bytes;
  o.max_bytes_for_level_base = 4 * options.file_bytes;
  o.compression = rocksdb::kNoCompression;
  o.max_background_jobs = 2;
  o.max_open_files = 256;
  o.keep_log_file_num = 1;
  o.max_log_file_size = 1u << 20;
  o.info_log_level = rocksdb::WARN_LEVEL;
  o.avoid_flush_during_shutdown = true;  // what was not flushed is in the deltas
  o.avoid_flush_during_recovery = true;
  rocksdb::DB* raw = nullptr;
  if (const auto s = rocksdb::DB::Open(o, path, &raw); !s.ok()) return store_error("open", path, s);
  database->db.reset(raw);
  return std::unique_ptr<KeyedStore>(new KeyedStore(std::move(database)));
}

Status KeyedStore::write(const std::vector<StateEntry>& entries, Epoch epoch) {
  // All keys in one buffer, named by where they begin; sorted, the memtable finds each next to the one before.
  std::string keys;
  std::vector<std::pair<std::size_t, std::size_t>> places;  // begin, size
  places.reserve(entries.size());
  for (const StateEntry& e : entries) {
    TS_CHECK(e.kind != StateEntry::Kind::drop_below);
    places.emplace_back(keys.size(), kKeyHead + e.key.size());
    append_key(keys, e.space, e.tag, e.key_group, e.key);
  }
  const auto key_at = [&](std::uint32_t i) { return std::string_view(keys).substr(places[i].first, places[i].second); };
  std::vector<std::uint32_t> order(entries.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return key_at(a) < key_at(b); });

  rocksdb::WriteOptions options;
  options.disableWAL = true;
  rocksdb::WriteBatch batch;
  char head[kValueHead];
  std::memcpy(head, &epoch.value, 8);
  const auto send = [&]() -> Status {
    if (const auto s = db_->db->Write(options, &batch); !s.ok()) return store_error("write to", db_->path, s);
    batch.Clear();
    return ok();
  };
  for (const std::uint32_t i : order) {
    const std::string_view key = key_at(i);
    const rocksdb::Slice slice(key.data(), key.size());
    if (entries[i].kind == StateEntry::Kind::erase) {
      batch.Delete(slice);
    } else {
      const rocksdb::Slice parts[2] = {{head, kValueHead}, {entries[i].value.data(), entries[i].value.size()}};
      batch.Put(rocksdb::SliceParts(&slice, 1), rocksdb::SliceParts(parts, 2));
    }
    if (batch.GetDataSize() >= 1u << 20) TS_TRYV(send());
  }
  return send();
}

Status KeyedStore::get(std::vector<Lookup>& lookups) const {
  std::vector<std::string> keys(lookups.size());
  for (std::size_t i = 0; i < lookups.size(); ++i) {
    Lookup& l = lookups[i];
    l.value.reset();
    append_key(keys[i], l.space, l.tag, l.key_group, l.key);
  }
  std::vector<std::uint32_t> order(lookups.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return keys[a] < keys[b]; });

  constexpr std::size_t kAtOnce = 1024;
  std::vector<rocksdb::Slice> slices;
  std::vector<rocksdb::PinnableSlice> values(std::min(kAtOnce, lookups.size()));
  std::vector<rocksdb::Status> states(values.size());
  for (std::size_t from = 0; from < order.size(); from += kAtOnce) {
    const std::size_t n = std::min(kAtOnce, order.size() - from);
    slices.clear();
    for (std::size_t i = 0; i < n; ++i) slices.emplace_back(keys[order[from + i]]);
    db_->db->MultiGet(rocksdb::ReadOptions(), db_->db->DefaultColumnFamily(), n, slices.data(), values.data(),
                      states.data(), true);
    for (std::size_t i = 0; i < n; ++i) {
      Lookup& l = lookups[order[from + i]];
      if (states[i].ok() && !db_->floors.ended(l.space, l.tag)) {
        StateEntry entry;
        if (!parse(slices[i], values[i], entry, l.epoch))
          return data_error(fmt::format("the state store '{}' holds a value that is none", db_->path));
        l.value.emplace(entry.value);
      } else if (!states[i].ok() && !states[i].IsNotFound()) {
        return store_error("read", db_->path, states[i]);
      }
      values[i].Reset();
    }
  }
  return ok();
}

void KeyedStore::expire_below(std::uint8_t space, std::int64_t tag) { db_->floors.raise(space, tag); }

Status KeyedStore::for_each(const std::function<Status(const StateEntry&, Epoch)>& visit) const {
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> it(db_->db->NewIterator(options));
  StateEntry entry;
  Epoch epoch;
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    if (!parse(it->key(), it->value(), entry, epoch))
      return data_error(fmt::format("the state store '{}' holds an entry that is none", db_->path));
    if (!db_->floors.ended(entry.space, entry.tag)) TS_TRYV(visit(entry, epoch));
  }
  if (!it->status().ok()) return store_error("read", db_->path, it->status());
  return ok();
}

Status KeyedStore::flush() {
  rocksdb::FlushOptions options;
  options.wait = true;
  if (const auto s = db_->db->Flush(options); !s.ok()) return store_error("flush", db_->path, s);
  return ok();
}

Status KeyedStore::checkpoint(const std::string& path) {
  rocksdb::Checkpoint* raw = nullptr;
  if (const auto s = rocksdb::Checkpoint::Create(db_->db.get(), &raw); !s.ok())
    return store_error("checkpoint", db_->path, s);
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(raw);
  if (const auto s = checkpoint->CreateCheckpoint(path, 0); !s.ok()) return store_error("checkpoint", db_->path, s);
  return ok();
}

Status KeyedStore::compact() {
  TS_TRYV(flush());
  rocksdb::CompactRangeOptions options;
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
  if (const auto s = db_->db->CompactRange(options, nullptr, nullptr); !s.ok())
    return store_error("compact", db_->path, s);
  return ok();
}

KeyedStore::Figures KeyedStore::figures() const {
  Figures f;
  std::uint64_t memtables = 0, readers = 0, cached = 0;
  db_->db->GetIntProperty(rocksdb::DB::Properties::kTotalSstFilesSize, &f.disk_bytes);
  db_->db->GetIntProperty(rocksdb::DB::Properties::kSizeAllMemTables, &memtables);
  db_->db->GetIntProperty(rocksdb::DB::Properties::kEstimateTableReadersMem, &readers);
  db_->db->GetIntProperty(rocksdb::DB::Properties::kEstimateNumKeys, &f.entries);
  // Asked of the database: the Cache class itself is opaque from RocksDB 8 on.
  db_->db->GetIntProperty(rocksdb::DB::Properties::kBlockCacheUsage, &cached);
  f.memory_bytes = memtables + readers + cached;
  f.expired = db_->expired.load(std::memory_order_relaxed);
  return f;
}

}  // namespace twinspan::engine
