#include "tests/support/engine/fault_file_system.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>

#include <fmt/format.h>

namespace twinspan::testing {

struct FaultFileSystem::Node {
  bool directory = false;
  // File.
  std::string content, durable_content;
  // Directory: `entries` is what a reader sees; `durable` plus a part of `changes` is what a crash leaves.
  Entries entries, durable;
  std::vector<Change> changes;
};

class FaultFileSystem::Lock final : public engine::DirectoryLock {
 public:
  Lock(std::shared_ptr<std::set<std::string>> locks, std::string path)
      : locks_(std::move(locks)), path_(std::move(path)) {}
  ~Lock() override { locks_->erase(path_); }

 private:
  std::shared_ptr<std::set<std::string>> locks_;
  std::string path_;
};

namespace {

Error error_of(int code, const char* what, const std::string& path) {
  const auto kind = code == ENOSPC   ? ErrorKind::transient
                    : code == ENOENT ? ErrorKind::not_found
                                     : ErrorKind::permanent;
  return {kind, fmt::format("cannot {} '{}': {}", what, path, std::strerror(code))};
}

std::vector<std::string> parts_of(const std::string& path) {
  std::vector<std::string> parts;
  std::size_t from = 0;
  while (from < path.size()) {
    const std::size_t to = std::min(path.find('/', from), path.size());
    if (to > from) parts.push_back(path.substr(from, to - from));
    from = to + 1;
  }
  return parts;
}

std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }
std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

FaultFileSystem::FaultFileSystem()
    : root_(std::make_shared<Node>()), locks_(std::make_shared<std::set<std::string>>()) {
  root_->directory = true;
}
FaultFileSystem::~FaultFileSystem() = default;

void FaultFileSystem::clear_faults() {
  die_after_ = die_within_ = fail_call_ = 0;
  dead_ = false;
  capacity_.reset();
  action_ = nullptr;
}

void FaultFileSystem::settle(Node& node, Unsynced unsynced, std::mt19937& random) {
  if (!node.directory) {
    if (unsynced == Unsynced::lost) node.content = node.durable_content;
    if (unsynced == Unsynced::random && node.content != node.durable_content) {
      switch (random() % 3) {
        case 0: node.content = node.durable_content; break;
        case 1: node.content.resize(random() % (node.content.size() + 1)); break;
        default: break;
      }
    }
    node.durable_content = node.content;
    return;
  }
  std::size_t keep = unsynced == Unsynced::lost ? 0 : node.changes.size();
  if (unsynced == Unsynced::random) keep = random() % (node.changes.size() + 1);
  for (std::size_t i = 0; i < keep; ++i)
    for (auto& [name, child] : node.changes[i]) {
      if (child)
        node.durable[name] = child;
      else
        node.durable.erase(name);
    }
  node.changes.clear();
  node.entries = node.durable;
  for (auto& [name, child] : node.entries) settle(*child, unsynced, random);
}

void FaultFileSystem::crash(Unsynced unsynced, std::uint32_t seed) {
  std::mt19937 random(seed);
  settle(*root_, unsynced, random);
  locks_ = std::make_shared<std::set<std::string>>();
  clear_faults();
}

FaultFileSystem::Outcome FaultFileSystem::begin_call(int& code) {
  if (action_ && calls_ + 1 == action_call_) std::exchange(action_, nullptr)();
  ++calls_;
  code = EIO;
  if (dead_ || (die_after_ != 0 && calls_ > die_after_)) return Outcome::refused;
  if (die_within_ != 0 && calls_ == die_within_) {
    dead_ = true;
    return Outcome::half;
  }
  if (fail_call_ != 0 && calls_ == fail_call_) {
    code = fail_code_;
    return Outcome::half;
  }
  return Outcome::normal;
}

Status FaultFileSystem::finish_call(Outcome outcome, int code, const char* what, const std::string& path) const {
  if (outcome == Outcome::normal) return ok();
  return error_of(code, what, path);
}

FaultFileSystem::NodePtr FaultFileSystem::find(const std::string& path) const {
  NodePtr node = root_;
  for (const std::string& part : parts_of(path)) {
    const auto it = node->entries.find(part);
    if (it == node->entries.end()) return nullptr;
    node = it->second;
  }
  return node;
}

void FaultFileSystem::change(Node& directory, Change changes) {
  for (const auto& [name, child] : changes) {
    if (child)
      directory.entries[name] = child;
    else
      directory.entries.erase(name);
  }
  directory.changes.push_back(std::move(changes));
}

Status FaultFileSystem::make_directories(const std::string& path) {
  std::lock_guard lock(*mutex_);
  int code = 0;
  const Outcome outcome = begin_call(code);
  if (outcome == Outcome::refused) return finish_call(outcome, code, "create directory", path);
  NodePtr node = root_;
  for (const std::string& part : parts_of(path)) {
    const auto it = node->entries.find(part);
    if (it != node->entries.end()) {
      node = it->second;
      if (!node->directory) return error_of(ENOTDIR, "create directory", path);
      continue;
    }
    if (outcome == Outcome::half) break;
    auto child = std::make_shared<Node>();
    child->directory = true;
    change(*node, {{part, child}});
    node = child;
  }
  return finish_call(outcome, code, "create directory", path);
}

Status FaultFileSystem::write_and_sync(const std::string& path, const std::vector<std::string_view>& pieces) {
  std::lock_guard lock(*mutex_);
  int code = 0;
  const Outcome outcome = begin_call(code);
  if (outcome == Outcome::refused) return finish_call(outcome, code, "write", path);
  const NodePtr parent = find(parent_of(path));
  if (!parent || !parent->directory) return error_of(ENOENT, "create", path);
  NodePtr file = find(path);
  if (!file) {
    file = std::make_shared<Node>();
    change(*parent, {{name_of(path), file}});
  }
  if (file->directory) return error_of(EISDIR, "create", path);
  std::string content;
  for (std::string_view p : pieces) content += p;
  if (outcome == Outcome::half) {
    file->content = content.substr(0, content.size() / 2);
    return finish_call(outcome, code, "write", path);
  }
  file->content.clear();
  if (capacity_ && bytes() + content.size() > *capacity_) {
    file->content = content.substr(0, *capacity_ - std::min(*capacity_, bytes()));
    return error_of(ENOSPC, "write", path);
  }
  file->content = content;
  file->durable_content = std::move(content);
  return ok();
}

// What was appended is seen at once and durable with sync(). A file that is replaced is a new one: its old bytes stay
// behind the old directory entry.
class FaultFileSystem::Writer final : public engine::FileWriter {
 public:
  Writer(FaultFileSystem& disk, NodePtr file, std::string path)
      : disk_(disk), file_(std::move(file)), path_(std::move(path)) {}

  Status append(std::string_view bytes) override {
    std::lock_guard lock(*disk_.mutex_);
    int code = 0;
    const Outcome outcome = disk_.begin_call(code);
    if (outcome == Outcome::refused) return disk_.finish_call(outcome, code, "write", path_);
    if (outcome == Outcome::half) bytes = bytes.substr(0, bytes.size() / 2);
    if (disk_.capacity_ && disk_.bytes() + bytes.size() > *disk_.capacity_) {
      file_->content += bytes.substr(0, *disk_.capacity_ - std::min(*disk_.capacity_, disk_.bytes()));
      return error_of(ENOSPC, "write", path_);
    }
    file_->content += bytes;
    return disk_.finish_call(outcome, code, "write", path_);
  }
  Status sync() override {
    std::lock_guard lock(*disk_.mutex_);
    int code = 0;
    const Outcome outcome = disk_.begin_call(code);
    if (outcome != Outcome::normal) return disk_.finish_call(outcome, code, "sync", path_);
    file_->durable_content = file_->content;
    return ok();
  }

 private:
  FaultFileSystem& disk_;
  const NodePtr file_;
  const std::string path_;
};

Result<std::unique_ptr<engine::FileWriter>> FaultFileSystem::create(const std::string& path) {
  std::lock_guard lock(*mutex_);
  int code = 0;
  const Outcome outcome = begin_call(code);
  if (outcome == Outcome::refused) return error_of(code, "create", path);
  const NodePtr parent = find(parent_of(path));
  if (!parent || !parent->directory) return error_of(ENOENT, "create", path);
  if (const NodePtr there = find(path); there && there->directory) return error_of(EISDIR, "create", path);
  auto file = std::make_shared<Node>();
  change(*parent, {{name_of(path), file}});
  if (outcome == Outcome::half) return error_of(code, "create", path);
  return std::unique_ptr<engine::FileWriter>(std::make_unique<Writer>(*this, std::move(file), path));
}

Result<std::string> FaultFileSystem::read_range(const std::string& path, std::uint64_t offset, std::size_t size) {
  std::lock_guard lock(*mutex_);
  int code = 0;
  if (const Outcome outcome = begin_call(code); outcome != Outcome::normal) return error_of(code, "read", path);
  const NodePtr file = find(path);
  if (!file || file->directory) return error_of(ENOENT, "open", path);
  if (offset > file->content.size() || size > file->content.size() - offset)
    return permanent_error(fmt::format("'{}' ends before byte {}", path, offset + size));
  return file->content.substr(offset, size);
}

Status FaultFileSystem::link(const std::string& from, const std::string& to) {
  std::lock_guard lock(*mutex_);
  int code = 0;
  const Outcome outcome = begin_call(code);
  if (outcome != Outcome::normal) return finish_call(outcome, code, "link", from);
  const NodePtr file = find(from), target = find(parent_of(to));
  if (!file || file->directory || !target) return error_of(ENOENT, "link", from);
  if (find(to)) return error_of(EEXIST, "link", from);
  change(*target, {{name_of(to), file}});
  return ok();
}

Status FaultFileSystem::append_and_sync(const std::string& path, std::string_view bytes) {
  std::lock_guard lock(*mutex_);
  const NodePtr file = find(path);
  const std::string before = file ? file->content : "";
  auto written = write_and_sync(path, {before, bytes});
  if (!written && file && file->content.size() < before.size() + bytes.size()) {
    // A failed append leaves a part of what it added, never less than there was.
    file->content = before + std::string(bytes.substr(0, bytes.size() / 2));
  }
  if (!written) return written;
  return file ? ok() : sync_directory(parent_of(path));
}

Result<std::string> FaultFileSystem::read(const std::string& path) {
  std::lock_guard lock(*mutex_);
  int code = 0;
  if (const Outcome outcome = begin_call(code); outcome != Outcome::normal) return error_of(code, "read", path);
  const NodePtr file = find(path);
  if (!file || file->directory) return error_of(ENOENT, "open", path);
  return file->content;
}

Status FaultFileSystem::rename(const std::string& from, const std::string& to) {
  std::lock_guard lock(*mutex_);
  int code = 0;
  const Outcome outcome = begin_call(code);
  if (outcome != Outcome::normal) return finish_call(outcome, code, "rename", from);  // a rename is whole or not at all
  const NodePtr node = find(from), source = find(parent_of(from)), target = find(parent_of(to));
  if (!node || !target) return error_of(ENOENT, "rename", from);
  if (const NodePtr there = find(to); there && there->directory && !there->entries.empty())
    return error_of(ENOTEMPTY, "rename", from);
  if (source == target) {
    change(*source, {{name_of(from), nullptr}, {name_of(to), node}});
  } else {
    change(*target, {{name_of(to), node}});
    change(*source, {{name_of(from), nullptr}});
  }
  return ok();
}

Status FaultFileSystem::sync_directory(const std::string& path) {
  std::lock_guard lock(*mutex_);
  int code = 0;
  const Outcome outcome = begin_call(code);
  if (outcome != Outcome::normal) return finish_call(outcome, code, "sync directory", path);
  const NodePtr node = find(path);
  if (!node || !node->directory) return error_of(ENOENT, "open directory", path);
  node->durable = node->entries;
  node->changes.clear();
  return ok();
}

Result<std::vector<std::string>> FaultFileSystem::list(const std::string& path) {
  std::lock_guard lock(*mutex_);
  int code = 0;
  if (const Outcome outcome = begin_call(code); outcome != Outcome::normal) return error_of(code, "list", path);
  std::vector<std::string> names;
  if (const NodePtr node = find(path))
    for (const auto& [name, child] : node->entries) names.push_back(name);
  return names;
}

void FaultFileSystem::remove_tree(Node& parent, const std::string& name, bool half) {
  const NodePtr node = parent.entries.at(name);
  if (node->directory) {
    std::vector<std::string> names;
    for (const auto& [child, unused] : node->entries) names.push_back(child);
    if (half) names.resize(names.size() / 2);
    for (const std::string& child : names) remove_tree(*node, child, false);
  }
  if (!half) change(parent, {{name, nullptr}});
}

Status FaultFileSystem::remove_all(const std::string& path) {
  std::lock_guard lock(*mutex_);
  int code = 0;
  const Outcome outcome = begin_call(code);
  if (outcome == Outcome::refused) return finish_call(outcome, code, "remove", path);
  if (find(path)) remove_tree(*find(parent_of(path)), name_of(path), outcome == Outcome::half);
  return finish_call(outcome, code, "remove", path);
}

bool FaultFileSystem::exists(const std::string& path) {
  std::lock_guard lock(*mutex_);
  return find(path) != nullptr;
}

std::uint64_t FaultFileSystem::free_bytes(const std::string&) {
  std::lock_guard lock(*mutex_);
  if (!capacity_) return 1ull << 40;
  return *capacity_ - std::min(*capacity_, bytes());
}

Result<std::unique_ptr<engine::DirectoryLock>> FaultFileSystem::lock_directory(const std::string& path) {
  int code = 0;
  if (const Outcome outcome = begin_call(code); outcome != Outcome::normal) return error_of(code, "lock", path);
  if (!locks_->insert(path).second)
    return conflict_error(fmt::format("data directory '{}' is in use by another process", path));
  return std::unique_ptr<engine::DirectoryLock>(std::make_unique<Lock>(locks_, path));
}

void FaultFileSystem::flip_bit(const std::string& path, std::uint64_t bit) {
  Node& file = *find(path);
  file.content[bit / 8] = static_cast<char>(file.content[bit / 8] ^ (1 << (bit % 8)));
  file.durable_content = file.content;
}

void FaultFileSystem::truncate(const std::string& path, std::size_t size) {
  Node& file = *find(path);
  file.content.resize(size);
  file.durable_content = file.content;
}

void FaultFileSystem::swap(const std::string& a, const std::string& b) {
  const NodePtr in_a = find(parent_of(a)), in_b = find(parent_of(b));
  std::swap(in_a->entries[name_of(a)], in_b->entries[name_of(b)]);
  for (const NodePtr& node : {in_a, in_b}) {
    node->durable = node->entries;
    node->changes.clear();
  }
}

std::vector<std::string> FaultFileSystem::files(const std::string& below) const {
  std::vector<std::string> out;
  const std::function<void(const Node&, const std::string&)> walk = [&](const Node& node, const std::string& path) {
    if (!node.directory) out.push_back(path);
    for (const auto& [name, child] : node.entries) walk(*child, path + "/" + name);
  };
  if (const NodePtr node = find(below)) walk(*node, below);
  return out;
}

std::size_t FaultFileSystem::size(const std::string& path) const { return find(path)->content.size(); }

std::uint64_t FaultFileSystem::bytes() const {
  std::uint64_t total = 0;
  for (const std::string& f : files("")) total += size(f);
  return total;
}

std::string FaultFileSystem::describe() const {
  std::string text;
  for (const std::string& f : files("")) text += fmt::format("{} ({} bytes)\n", f, size(f));
  return text;
}

}  // namespace twinspan::testing
