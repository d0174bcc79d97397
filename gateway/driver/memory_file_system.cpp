#include "gateway/driver/memory_file_system.h"

#include <fmt/format.h>

namespace twinspan::gateway {

namespace {

bool below(const std::string& path, const std::string& directory) {
  return path.size() > directory.size() && path.starts_with(directory) && path[directory.size()] == '/';
}

}  // namespace

Status MemoryFileSystem::make_directories(const std::string& path) {
  for (std::size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1))
    directories_.insert(path.substr(0, at));
  directories_.insert(path);
  return ok();
}

class MemoryFileSystem::Writer final : public engine::FileWriter {
 public:
  explicit Writer(Bytes bytes) : bytes_(std::move(bytes)) {}
  Status append(std::string_view bytes) override {
    *bytes_ += bytes;
    return ok();
  }
  Status sync() override { return ok(); }

 private:
  const Bytes bytes_;
};

Status MemoryFileSystem::write_and_sync(const std::string& path, const std::vector<std::string_view>& pieces) {
  const Bytes& file = files_[path] = std::make_shared<std::string>();
  for (const std::string_view p : pieces) *file += p;
  return ok();
}

Result<std::unique_ptr<engine::FileWriter>> MemoryFileSystem::create(const std::string& path) {
  const Bytes& file = files_[path] = std::make_shared<std::string>();
  return std::unique_ptr<engine::FileWriter>(std::make_unique<Writer>(file));
}

Status MemoryFileSystem::append_and_sync(const std::string& path, std::string_view bytes) {
  Bytes& file = files_[path];
  if (file == nullptr) file = std::make_shared<std::string>();
  *file += bytes;
  return ok();
}

Result<std::string> MemoryFileSystem::read(const std::string& path) {
  const auto it = files_.find(path);
  if (it == files_.end()) return not_found_error(fmt::format("cannot read '{}': no such file", path));
  return *it->second;
}

Result<std::string> MemoryFileSystem::read_range(const std::string& path, std::uint64_t offset, std::size_t size) {
  TS_TRY(whole, read(path));
  if (offset + size > whole.size())
    return permanent_error(fmt::format("'{}' has {} bytes, fewer than {}", path, whole.size(), offset + size));
  return whole.substr(offset, size);
}

Status MemoryFileSystem::link(const std::string& from, const std::string& to) {
  const auto it = files_.find(from);
  if (it == files_.end()) return not_found_error(fmt::format("cannot link '{}': no such file", from));
  files_[to] = Bytes(it->second);
  return ok();
}

Status MemoryFileSystem::rename(const std::string& from, const std::string& to) {
  if (!exists(from)) return permanent_error(fmt::format("cannot rename '{}': no such file", from));
  TS_TRYV(remove_all(to));
  std::map<std::string, Bytes> files;
  for (auto& [path, bytes] : files_) {
    if (path == from)
      files[to] = std::move(bytes);
    else if (below(path, from))
      files[to + path.substr(from.size())] = std::move(bytes);
    else
      files[path] = std::move(bytes);
  }
  files_ = std::move(files);
  std::set<std::string> directories;
  for (const std::string& path : directories_)
    directories.insert(path == from || below(path, from) ? to + path.substr(from.size()) : path);
  directories_ = std::move(directories);
  return ok();
}

Result<std::vector<std::string>> MemoryFileSystem::list(const std::string& path) {
  std::set<std::string> names;
  const auto add = [&](const std::string& entry) {
    if (!below(entry, path)) return;
    const std::string rest = entry.substr(path.size() + 1);
    names.insert(rest.substr(0, rest.find('/')));
  };
  for (const auto& [file, bytes] : files_) add(file);
  for (const std::string& directory : directories_) add(directory);
  return std::vector<std::string>(names.begin(), names.end());
}

Status MemoryFileSystem::remove_all(const std::string& path) {
  std::erase_if(files_, [&](const auto& f) { return f.first == path || below(f.first, path); });
  std::erase_if(directories_, [&](const std::string& d) { return d == path || below(d, path); });
  return ok();
}

bool MemoryFileSystem::exists(const std::string& path) { return files_.contains(path) || directories_.contains(path); }

}  // namespace twinspan::gateway
