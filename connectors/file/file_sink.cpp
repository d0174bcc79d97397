#include "connectors/file/file_sink.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>

#include <fmt/format.h>

namespace twinspan::connectors {

// The descriptor all writers share. A line is never torn by another writer's: one write at a time.
struct FileSink::File {
  std::mutex mutex;
  int fd = -1;
  std::string last_error;
  const std::string* torn = nullptr;  // whose line was cut by a full disk: the file is theirs until it is whole

  // Takes what could be written off the front of `text`.
  bool append(std::string& text) {
    std::lock_guard lock(mutex);
    if (torn != nullptr && torn != &text) return text.empty();
    std::size_t done = 0;
    while (fd >= 0 && done < text.size()) {
      const ssize_t n = ::write(fd, text.data() + done, text.size() - done);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) {
        last_error = std::strerror(errno);
        break;
      }
      done += static_cast<std::size_t>(n);
    }
    if (done == text.size()) last_error.clear();
    if (done > 0) torn = text[done - 1] == '\n' ? nullptr : &text;
    text.erase(0, done);
    return text.empty();
  }
};

class FileSink::Writer final : public SinkWriter {
 public:
  Writer(File& file, std::size_t limit, const Clock& clock) : file_(file), limit_(limit), clock_(clock) {}

  bool has_room() const override {
    std::lock_guard lock(mutex_);
    return text_.size() < limit_;
  }
  void write(const OutputRecord& record) override {
    std::lock_guard lock(mutex_);
    if (text_.empty()) since_ms_ = clock_.monotonic_ms();
    text_.append(record.has_value ? record.value : std::string_view("null"));
    text_ += '\n';
    ++written_;
    if (text_.size() >= kWriteBytes) push();
  }
  void step() override {
    std::lock_guard lock(mutex_);
    push();
  }
  std::uint64_t written() const override { return written_; }
  std::uint64_t acknowledged() const override { return acknowledged_; }

  bool empty_after_push() {
    std::lock_guard lock(mutex_);
    push();
    return text_.empty();
  }
  std::size_t waiting_bytes(std::int64_t& age_ms) const {
    std::lock_guard lock(mutex_);
    age_ms = text_.empty() ? 0 : clock_.monotonic_ms() - since_ms_;
    return text_.size();
  }

 private:
  static constexpr std::size_t kWriteBytes = 256 * 1024;
  void push() {
    if (!text_.empty() && file_.append(text_)) acknowledged_ = written_.load();
  }

  File& file_;
  const std::size_t limit_;
  const Clock& clock_;
  mutable std::mutex mutex_;  // flush() comes from another thread
  std::string text_;
  std::int64_t since_ms_ = 0;
  std::atomic<std::uint64_t> written_{0}, acknowledged_{0};
};

FileSink::FileSink(FileSinkOptions options, const Clock& clock)
    : options_(std::move(options)), file_(std::make_unique<File>()) {
  for (unsigned i = 0; i < options_.shards; ++i)
    writers_.push_back(std::make_unique<Writer>(*file_, options_.max_unacknowledged_bytes, clock));
}
FileSink::~FileSink() { stop(); }

Status FileSink::start() {
  std::lock_guard lock(file_->mutex);
  file_->fd = ::open(options_.path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file_->fd < 0) return config_error(fmt::format("cannot write \"{}\": {}", options_.path, std::strerror(errno)));
  return ok();
}

SinkWriter& FileSink::writer(unsigned shard) { return *writers_.at(shard); }

SinkStatus FileSink::status() const {
  SinkStatus s;
  s.sink = options_.name;
  for (const auto& w : writers_) {
    std::int64_t age = 0;
    s.records += w->written();
    s.acknowledged += w->acknowledged();
    s.unacknowledged_bytes += w->waiting_bytes(age);
    s.oldest_unacknowledged_ms = std::max(s.oldest_unacknowledged_ms, age);
  }
  std::lock_guard lock(file_->mutex);
  s.holding = !file_->last_error.empty();
  if (s.holding) s.route_reason = fmt::format("cannot write \"{}\": {}", options_.path, file_->last_error);
  return s;
}

Status FileSink::flush(int) {
  for (const auto& w : writers_)
    if (!w->empty_after_push()) {
      std::lock_guard lock(file_->mutex);
      return transient_error(fmt::format("cannot write \"{}\": {}", options_.path, file_->last_error));
    }
  std::lock_guard lock(file_->mutex);
  if (file_->fd >= 0 && ::fsync(file_->fd) != 0 && errno != EINVAL && errno != ENOTSUP)
    return transient_error(fmt::format("cannot sync \"{}\": {}", options_.path, std::strerror(errno)));
  return ok();
}

void FileSink::stop() {
  std::lock_guard lock(file_->mutex);
  if (file_->fd >= 0) ::close(file_->fd);
  file_->fd = -1;
}

}  // namespace twinspan::connectors
