#include "engine/checkpoint/file_system.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <fmt/format.h>

namespace twinspan::engine {

namespace {

Error file_error(const char* what, const std::string& path, int code) {
  // A full disk or a lost mount may mend; the caller decides how long to wait.
  ErrorKind kind = ErrorKind::permanent;
  switch (code) {
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EACCES:
    case EPERM: kind = ErrorKind::transient; break;
    case ENOENT: kind = ErrorKind::not_found; break;
    default: break;
  }
  return {kind, fmt::format("cannot {} '{}': {}", what, path, std::strerror(code))};
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Status write_all(int fd, const std::string& path, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      return file_error("write", path, errno);
    }
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return ok();
}

// Large files go past the page cache: the copy into it costs up to 2.2 CPU seconds a gigabyte, and throws out what
// others would read (performance.md B.6). Where the file system does not take that, they go through it like small ones.
class PosixFileWriter final : public FileWriter {
 public:
  PosixFileWriter(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~PosixFileWriter() override { std::free(buffer_); }

  Status append(std::string_view bytes) override {
    while (!bytes.empty()) {
      if (buffer_ == nullptr) {
        buffer_ = static_cast<char*>(std::aligned_alloc(kAlign, kBuffer));
        if (buffer_ == nullptr) return file_error("write", path_, ENOMEM);
      }
      const std::size_t n = std::min(bytes.size(), kBuffer - used_);
      std::memcpy(buffer_ + used_, bytes.data(), n);
      used_ += n;
      bytes.remove_prefix(n);
      if (used_ == kBuffer) TS_TRYV(flush());
    }
    return ok();
  }
  Status sync() override {
    const std::uint64_t size = at_ + used_;
    if (used_ > 0) {
      if (direct_) {
        const std::size_t padded = (used_ + kAlign - 1) & ~(kAlign - 1);
        std::memset(buffer_ + used_, 0, padded - used_);
        used_ = padded;
      }
      TS_TRYV(flush());
    }
    if (at_ != size && ::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0)
      return file_error("truncate", path_, errno);
    if (::fsync(fd_.get()) != 0) return file_error("sync", path_, errno);
    return ok();
  }

 private:
  static constexpr std::size_t kAlign = 4096, kBuffer = 1u << 20;

  Status flush() {
    if (at_ == 0 && used_ == kBuffer) direct_ = ::fcntl(fd_.get(), F_SETFL, O_DIRECT) == 0;
    std::size_t done = 0;
    while (done < used_) {
      const ssize_t n = ::pwrite(fd_.get(), buffer_ + done, used_ - done, static_cast<off_t>(at_ + done));
      if (n < 0) {
        if (errno == EINTR) continue;
        if (errno == EINVAL && direct_) {
          direct_ = false;
          if (::fcntl(fd_.get(), F_SETFL, 0) == 0) continue;
        }
        return file_error("write", path_, errno);
      }
      done += static_cast<std::size_t>(n);
      if (direct_ && done % kAlign != 0) {  // cut short, as at the end of the disk: the rest is no longer aligned
        direct_ = false;
        if (::fcntl(fd_.get(), F_SETFL, 0) != 0) return file_error("write", path_, errno);
      }
    }
    at_ += used_;
    used_ = 0;
    return ok();
  }

  Descriptor fd_;
  const std::string path_;
  char* buffer_ = nullptr;
  std::size_t used_ = 0;
  std::uint64_t at_ = 0;
  bool direct_ = false;
};

class PosixLock final : public DirectoryLock {
 public:
  explicit PosixLock(int fd) : fd_(fd) {}

 private:
  Descriptor fd_;
};

}  // namespace

Status PosixFileSystem::make_directories(const std::string& path) {
  std::error_code code;
  std::filesystem::create_directories(path, code);
  if (code) return file_error("create directory", path, code.value());
  return ok();
}

Status PosixFileSystem::write_and_sync(const std::string& path, const std::vector<std::string_view>& pieces) {
  Descriptor fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
  if (fd.get() < 0) return file_error("create", path, errno);
  for (std::string_view piece : pieces) TS_TRYV(write_all(fd.get(), path, piece));
  if (::fsync(fd.get()) != 0) return file_error("sync", path, errno);
  return ok();
}

Result<std::unique_ptr<FileWriter>> PosixFileSystem::create(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (fd < 0) return file_error("create", path, errno);
  return std::unique_ptr<FileWriter>(std::make_unique<PosixFileWriter>(fd, path));
}

Result<std::string> PosixFileSystem::read_range(const std::string& path, std::uint64_t offset, std::size_t size) {
  Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return file_error("open", path, errno);
  std::string bytes(size, '\0');
  std::size_t at = 0;
  while (at < size) {
    const ssize_t n = ::pread(fd.get(), bytes.data() + at, size - at, static_cast<off_t>(offset + at));
    if (n < 0) {
      if (errno == EINTR) continue;
      return file_error("read", path, errno);
    }
    if (n == 0) return permanent_error(fmt::format("'{}' ends before byte {}", path, offset + size));
    at += static_cast<std::size_t>(n);
  }
  return bytes;
}

Status PosixFileSystem::link(const std::string& from, const std::string& to) {
  if (::link(from.c_str(), to.c_str()) != 0) return file_error("link", from, errno);
  return ok();
}

Status PosixFileSystem::append_and_sync(const std::string& path, std::string_view bytes) {
  const bool fresh = !exists(path);
  Descriptor fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
  if (fd.get() < 0) return file_error("open", path, errno);
  TS_TRYV(write_all(fd.get(), path, bytes));
  if (::fsync(fd.get()) != 0) return file_error("sync", path, errno);
  if (fresh) return sync_directory(std::filesystem::path(path).parent_path().string());
  return ok();
}

Result<std::string> PosixFileSystem::read(const std::string& path) {
  Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return file_error("open", path, errno);
  struct stat about {};
  if (::fstat(fd.get(), &about) == 0 && S_ISDIR(about.st_mode))
    return file_error("read", path, EISDIR);  // its "size" is no size
  std::string bytes;
  const off_t size = ::lseek(fd.get(), 0, SEEK_END);
  if (size < 0) return file_error("size", path, errno);
  bytes.resize(static_cast<std::size_t>(size));
  std::size_t at = 0;
  while (at < bytes.size()) {
    const ssize_t n = ::pread(fd.get(), bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
    if (n < 0) {
      if (errno == EINTR) continue;
      return file_error("read", path, errno);
    }
    if (n == 0) break;
    at += static_cast<std::size_t>(n);
  }
  bytes.resize(at);
  return bytes;
}

Status PosixFileSystem::rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return file_error("rename", from, errno);
  return ok();
}

Status PosixFileSystem::sync_directory(const std::string& path) {
  Descriptor fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) return file_error("open directory", path, errno);
  if (::fsync(fd.get()) != 0) return file_error("sync directory", path, errno);
  return ok();
}

Result<std::vector<std::string>> PosixFileSystem::list(const std::string& path) {
  std::vector<std::string> names;
  std::error_code code;
  std::filesystem::directory_iterator it(path, code), end;
  if (code) {
    if (code.value() == ENOENT) return names;
    return file_error("list", path, code.value());
  }
  for (; it != end; it.increment(code)) names.push_back(it->path().filename().string());
  if (code) return file_error("list", path, code.value());  // an error ends the walk: the list would be short
  return names;
}

Status PosixFileSystem::remove_all(const std::string& path) {
  std::error_code code;
  std::filesystem::remove_all(path, code);
  if (code) return file_error("remove", path, code.value());
  return ok();
}

bool PosixFileSystem::exists(const std::string& path) {
  std::error_code code;
  return std::filesystem::exists(path, code);
}

std::uint64_t PosixFileSystem::free_bytes(const std::string& path) {
  struct statvfs info {};
  if (::statvfs(path.c_str(), &info) != 0) return 0;
  return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
}

Result<std::unique_ptr<DirectoryLock>> PosixFileSystem::lock_directory(const std::string& path) {
  const std::string file = path + "/LOCK";
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) return file_error("open", file, errno);
  auto lock = std::make_unique<PosixLock>(fd);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK)
      return conflict_error(fmt::format("data directory '{}' is in use by another process", path));
    return file_error("lock", file, errno);
  }
  return std::unique_ptr<DirectoryLock>(std::move(lock));
}

Status make_durable_directories(FileSystem& files, const std::string& path) {
  std::vector<std::pair<std::string, bool>> parents;  // deepest first; whether the entry in it is new
  for (std::string at = path;;) {
    while (at.size() > 1 && at.back() == '/') at.pop_back();
    const std::size_t slash = at.rfind('/');
    std::string parent = slash == std::string::npos ? "." : slash == 0 ? "/" : at.substr(0, slash);
    const bool fresh = !files.exists(at);
    parents.emplace_back(parent, fresh);
    if (!fresh || parent == "." || parent == "/") break;
    at = std::move(parent);
  }
  TS_TRYV(files.make_directories(path));
  for (auto it = parents.rbegin(); it != parents.rend(); ++it) {
    // An entry that was there may be one of a run that died before its sync; but its parent need not be ours to open.
    if (auto synced = files.sync_directory(it->first); !synced && it->second) return synced;
  }
  return ok();
}

Status replace_file(FileSystem& files, const std::string& directory, const std::string& name, std::string_view bytes) {
  const std::string temporary = directory + "/" + name + ".tmp";
  TS_TRYV(files.write_and_sync(temporary, {bytes}));
  TS_TRYV(files.rename(temporary, directory + "/" + name));
  return files.sync_directory(directory);
}

}  // namespace twinspan::engine
