#pragma once
// The files of checkpoints come through here, so that tests can fill the disk, tear writes and lose unsynced directory
// entries. Every call that says `sync` has reached the disk when it returns ok. An error of fsync is final for that
// file: it is never retried (Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020). Thread: any.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace twinspan::engine {

// Holds an exclusive claim on a directory until destroyed.
class DirectoryLock {
 public:
  virtual ~DirectoryLock() = default;
};

// A new file, written from front to end. Destroyed before sync() returned ok, it is of no use to anybody.
class FileWriter {
 public:
  virtual ~FileWriter() = default;
  virtual Status append(std::string_view bytes) = 0;
  virtual Status sync() = 0;  // once, at the end: the file is whole and has reached the disk (not its directory)
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual Status make_directories(const std::string& path) = 0;
  // Creates or replaces the file, writes the pieces in order, syncs the file (not its directory).
  virtual Status write_and_sync(const std::string& path, const std::vector<std::string_view>& pieces) = 0;
  virtual Result<std::unique_ptr<FileWriter>> create(const std::string& path) = 0;  // replaces what is there
  virtual Status append_and_sync(const std::string& path, std::string_view bytes) = 0;
  virtual Result<std::string> read(const std::string& path) = 0;  // not_found if there is none
  // Exactly `size` bytes from `offset`; permanent if the file is shorter.
  virtual Result<std::string> read_range(const std::string& path, std::uint64_t offset, std::size_t size) = 0;
  // A second name for the same bytes.
  virtual Status link(const std::string& from, const std::string& to) = 0;
  virtual Status rename(const std::string& from, const std::string& to) = 0;
  virtual Status sync_directory(const std::string& path) = 0;
  virtual Result<std::vector<std::string>> list(const std::string& path) = 0;  // names; empty if there is no directory
  virtual Status remove_all(const std::string& path) = 0;
  virtual bool exists(const std::string& path) = 0;
  virtual std::uint64_t free_bytes(const std::string& path) = 0;
  // conflict if another process holds it.
  virtual Result<std::unique_ptr<DirectoryLock>> lock_directory(const std::string& path) = 0;
};

class PosixFileSystem final : public FileSystem {
 public:
  Status make_directories(const std::string& path) override;
  Status write_and_sync(const std::string& path, const std::vector<std::string_view>& pieces) override;
  Result<std::unique_ptr<FileWriter>> create(const std::string& path) override;
  Status append_and_sync(const std::string& path, std::string_view bytes) override;
  Result<std::string> read(const std::string& path) override;
  Result<std::string> read_range(const std::string& path, std::uint64_t offset, std::size_t size) override;
  Status link(const std::string& from, const std::string& to) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status sync_directory(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& path) override;
  Status remove_all(const std::string& path) override;
  bool exists(const std::string& path) override;
  std::uint64_t free_bytes(const std::string& path) override;
  Result<std::unique_ptr<DirectoryLock>> lock_directory(const std::string& path) override;
};

// The directory and every entry that leads to it have reached the disk. Without it a checkpoint below a new directory
// can be lost as a whole, however well it was synced itself.
Status make_durable_directories(FileSystem& files, const std::string& path);

// Replaces a small file so that a reader sees the old or the new one, whole: temporary name, sync, rename, sync
// directory.
Status replace_file(FileSystem& files, const std::string& directory, const std::string& name, std::string_view bytes);

}  // namespace twinspan::engine
