#pragma once
// A disk in memory that breaks on command. It knows what has reached the platter: file data only when written
// with a sync, directory entries (created, renamed, removed) only when their directory was synced. crash()
// throws the rest away, keeps it, or keeps a random part: of each directory the first k changes, in order, as
// a journal does; a rename within a directory is one change. Calls are counted from the last reset_calls(),
// so a test can break every one of them. Each append and the sync of a FileWriter is a call.
// before_call() runs something at a chosen call, as if another thread had been there first. Thread: any for the
// FileSystem itself; faults, damage and crash() while nobody else is in it.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "engine/checkpoint/file_system.h"

namespace twinspan::testing {

class FaultFileSystem final : public engine::FileSystem {
 public:
  enum class Unsynced { lost, kept, random };

  FaultFileSystem();
  ~FaultFileSystem() override;

  // The power goes: what was not synced follows `unsynced`; all faults end, locks are free.
  void crash(Unsynced unsynced, std::uint32_t seed = 0);

  // Faults, by number of the call (1 = the next one). Reading calls count too.
  void reset_calls() { calls_ = 0; }
  std::uint64_t calls() const { return calls_; }
  void die_after(std::uint64_t call) { die_after_ = call; }    // it succeeds; every later one fails, without effect
  void die_within(std::uint64_t call) { die_within_ = call; }  // it does half of its work, unsynced; then the same
  void fail_call(std::uint64_t call, int code) {
    fail_call_ = call, fail_code_ = code;
  }                                                              // once; half done, like a full disk
  void set_capacity(std::uint64_t bytes) { capacity_ = bytes; }  // of all file data; ENOSPC beyond
  void clear_faults();
  // Runs `action` once, before the call of that number; what it calls itself is counted from there on.
  void before_call(std::uint64_t call, std::function<void()> action) {
    action_call_ = call, action_ = std::move(action);
  }

  // Damage, durable at once.
  void flip_bit(const std::string& path, std::uint64_t bit);
  void truncate(const std::string& path, std::size_t size);
  void swap(const std::string& a, const std::string& b);           // two files, or two directories
  std::vector<std::string> files(const std::string& below) const;  // paths, sorted
  std::size_t size(const std::string& path) const;
  std::uint64_t bytes() const;
  std::string describe() const;  // the tree, for messages of failed tests

  Status make_directories(const std::string& path) override;
  Status write_and_sync(const std::string& path, const std::vector<std::string_view>& pieces) override;
  Result<std::unique_ptr<engine::FileWriter>> create(const std::string& path) override;
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
  Result<std::unique_ptr<engine::DirectoryLock>> lock_directory(const std::string& path) override;

 private:
  struct Node;
  using NodePtr = std::shared_ptr<Node>;
  using Entries = std::map<std::string, NodePtr>;
  using Change = std::vector<std::pair<std::string, NodePtr>>;  // nullptr: the name is gone
  class Lock;
  class Writer;
  enum class Outcome { normal, half, refused };

  Outcome begin_call(int& code);  // counts; what to do with this call
  Status finish_call(Outcome outcome, int code, const char* what, const std::string& path) const;
  NodePtr find(const std::string& path) const;
  static void change(Node& directory, Change changes);
  void remove_tree(Node& parent, const std::string& name, bool half);
  void settle(Node& node, Unsynced unsynced, std::mt19937& random);

  NodePtr root_;
  std::shared_ptr<std::set<std::string>> locks_;
  std::uint64_t calls_ = 0;
  std::uint64_t die_after_ = 0, die_within_ = 0, fail_call_ = 0;
  int fail_code_ = 0;
  bool dead_ = false;
  std::optional<std::uint64_t> capacity_;
  std::uint64_t action_call_ = 0;
  std::function<void()> action_;
  std::shared_ptr<std::recursive_mutex> mutex_ = std::make_shared<std::recursive_mutex>();
};

}  // namespace twinspan::testing
