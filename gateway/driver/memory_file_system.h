#pragma once
// Files in memory, so that a pipeline in virtual time writes and restores real checkpoints and leaves nothing behind.
// Nothing fails and nothing is lost (the breakable one is in tests/support). Owned by a PipelineDriver. Thread: one.

#include <map>
#include <memory>
#include <set>
#include <string>

#include "engine/checkpoint/file_system.h"

namespace twinspan::gateway {

class MemoryFileSystem final : public engine::FileSystem {
 public:
  Status make_directories(const std::string& path) override;
  Status write_and_sync(const std::string& path, const std::vector<std::string_view>& pieces) override;
  Result<std::unique_ptr<engine::FileWriter>> create(const std::string& path) override;
  Status append_and_sync(const std::string& path, std::string_view bytes) override;
  Result<std::string> read(const std::string& path) override;
  Result<std::string> read_range(const std::string& path, std::uint64_t offset, std::size_t size) override;
  Status link(const std::string& from, const std::string& to) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status sync_directory(const std::string&) override { return ok(); }
  Result<std::vector<std::string>> list(const std::string& path) override;
  Status remove_all(const std::string& path) override;
  bool exists(const std::string& path) override;
  std::uint64_t free_bytes(const std::string&) override { return 1ull << 50; }
  Result<std::unique_ptr<engine::DirectoryLock>> lock_directory(const std::string&) override {
    return std::make_unique<engine::DirectoryLock>();
  }

 private:
  class Writer;
  using Bytes = std::shared_ptr<std::string>;  // shared by the names of one file

  std::map<std::string, Bytes> files_;
  std::set<std::string> directories_;
};

}  // namespace twinspan::gateway
