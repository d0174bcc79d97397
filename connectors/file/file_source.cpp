#include "connectors/file/file_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace twinspan::connectors {

namespace {
constexpr std::size_t kChunk = 256 * 1024;
}

// Reads the file in chunks; a chunk that a record points into is kept until release().
class FileSource::Reader final : public SourceReader {
 public:
  Reader(const FileSourceOptions& options, bool has_lane) : options_(options), has_lane_(has_lane) {}
  ~Reader() override { close(); }

  Status open(std::int64_t from) {
    const std::string& path = options_.path;
    fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd_ < 0) return config_error(fmt::format("cannot read \"{}\": {}", path, std::strerror(errno)));
    struct stat s {};
    if (::fstat(fd_, &s) != 0 || !S_ISREG(s.st_mode))
      return config_error(
          fmt::format("cannot read \"{}\": it is {}", path, S_ISDIR(s.st_mode) ? "a directory" : "not a regular file"));
    if (from > s.st_size)
      return permanent_error(fmt::format("\"{}\" has {} bytes, but the checkpoint has read {}: it is not the same file",
                                         path, s.st_size, from));
    end_ = s.st_size;
    position_ = read_at_ = from;
    events_.push_back({LaneEvent::Kind::added, LaneIndex(0), key(), from});
    note_end();
    return ok();
  }

  std::size_t poll(RawRecord* out, std::size_t max) override {
    std::size_t n = 0;
    while (n < max && fd_ >= 0 && position_ < end_ && !stopped_) {
      const char* line = data_ + (position_ - data_at_);
      const auto held = static_cast<std::size_t>(read_at_ - position_);
      const char* stop = held == 0 ? nullptr : static_cast<const char*>(std::memchr(line, '\n', held));
      if (stop == nullptr && read_at_ < end_) {
        if (n > 0) break;  // what is found already goes out before more is read
        if (!fill()) break;
        continue;
      }
      std::size_t length = stop == nullptr ? held : static_cast<std::size_t>(stop - line);
      const std::int64_t at = position_;
      position_ = at + static_cast<std::int64_t>(length) + (stop == nullptr ? 0 : 1);
      if (length > 0 && line[length - 1] == '\r') --length;
      if (length == 0) continue;
      out[n++] = {LaneIndex(0), at, -1, {}, {line, length}, false, true};
    }
    note_end();
    return n;
  }

  void release() override { kept_.clear(); }

  void take_events(std::vector<LaneEvent>& out) override {
    for (LaneEvent& e : events_) out.push_back(std::move(e));
    events_.clear();
  }

  void positions(std::vector<LanePosition>& out) const override {
    if (has_lane_ && opened()) out.push_back({key(), position_});
  }

  std::int64_t jump(LaneIndex, std::int64_t to) override {
    const std::int64_t from = position_;
    to = std::min<std::int64_t>(to, end_);
    if (to <= from) return from;
    position_ = read_at_ = data_at_ = to;
    char before = 0;
    if (::pread(fd_, &before, 1, to - 1) == 1 && before != '\n') {  // inside a line: the next one
      while (position_ < end_) {
        if (position_ == read_at_ && !fill()) break;
        const auto held = static_cast<std::size_t>(read_at_ - position_);
        const char* line = data_ + (position_ - data_at_);
        const auto* stop = static_cast<const char*>(std::memchr(line, '\n', held));
        position_ += stop == nullptr ? static_cast<std::int64_t>(held) : stop - line + 1;
        if (stop != nullptr) break;
      }
    }
    note_end();
    return from;
  }

  bool ended() const override { return !has_lane_ || stopped_ || position_ >= end_; }

  bool opened() const { return fd_ >= 0; }
  LaneKey key() const { return {"file", options_.path, 0}; }
  std::int64_t seen_position() const { return seen_position_; }
  std::int64_t end() const { return end_; }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  // Reads on behind read_at_, keeping the part of a line that is already here.
  bool fill() {
    const auto tail = static_cast<std::size_t>(read_at_ - position_);
    if (tail > options_.max_line_bytes)
      return stop_lane(fmt::format("line at byte {} is longer than {} bytes", position_, options_.max_line_bytes));
    const std::size_t size = std::max(kChunk, 2 * tail);
    auto chunk = std::make_unique<char[]>(size);
    if (tail > 0) std::memcpy(chunk.get(), data_ + (position_ - data_at_), tail);
    const auto want = std::min<std::int64_t>(static_cast<std::int64_t>(size - tail), end_ - read_at_);
    ssize_t got = 0;
    do got = ::pread(fd_, chunk.get() + tail, static_cast<std::size_t>(want), read_at_);
    while (got < 0 && errno == EINTR);
    if (got <= 0)
      return stop_lane(got < 0 ? fmt::format("cannot read \"{}\": {}", options_.path, std::strerror(errno))
                               : fmt::format("\"{}\" became shorter while it was read", options_.path));
    if (current_) kept_.push_back(std::move(current_));
    current_ = std::move(chunk);
    data_ = current_.get();
    data_at_ = position_;
    read_at_ += got;
    return true;
  }

  bool stop_lane(std::string why) {
    stopped_ = true;
    events_.push_back(
        {LaneEvent::Kind::stopped, LaneIndex(0), key(), position_, position_, {}, ClusterState::up, std::move(why)});
    return false;
  }

  void note_end() {
    seen_position_ = position_;
    if (at_end_ || stopped_ || position_ < end_) return;
    at_end_ = true;
    events_.push_back({LaneEvent::Kind::at_end, LaneIndex(0), key(), position_});
  }

  const FileSourceOptions& options_;
  const bool has_lane_;
  int fd_ = -1;
  std::int64_t end_ = 0, position_ = 0;     // position_: of the next line
  std::int64_t data_at_ = 0, read_at_ = 0;  // the chunk holds [data_at_, read_at_)
  const char* data_ = nullptr;
  std::unique_ptr<char[]> current_;
  std::vector<std::unique_ptr<char[]>> kept_;
  std::vector<LaneEvent> events_;
  bool at_end_ = false;
  std::atomic<bool> stopped_{false};
  std::atomic<std::int64_t> seen_position_{0};
};

FileSource::FileSource(FileSourceOptions options) : options_(std::move(options)) {
  for (unsigned i = 0; i < std::max(1u, options_.shards); ++i)
    readers_.push_back(std::make_unique<Reader>(options_, i == 0));
}
FileSource::~FileSource() = default;

Status FileSource::start(const std::vector<LanePosition>& restored) {
  std::int64_t from = 0;
  for (const LanePosition& p : restored)
    if (p.lane == readers_[0]->key()) from = p.offset;
  return readers_[0]->open(from);
}

SourceReader& FileSource::reader(unsigned shard) { return *readers_.at(shard); }
int FileSource::wake_fd(unsigned) const { return -1; }

std::vector<LaneStatus> FileSource::lanes() const {
  const Reader& r = *readers_[0];
  LaneStatus s;
  s.lane = r.key();
  s.position = r.seen_position();
  s.end = r.end();
  s.low = 0;
  s.end_seen_ms_ago = 0;
  s.at_end = s.position >= s.end;
  return {s};
}
std::vector<ClusterStatus> FileSource::clusters() const { return {}; }

Result<std::vector<LaneCut>> FileSource::plan_discard(DiscardTarget target, int) {
  if (target.kind != DiscardTarget::Kind::latest)
    return conflict_error(fmt::format(
        "\"{}\" is a file: its lines have no timestamps, only `latest` can be discarded to", options_.path));
  LaneCut cut;
  cut.lane = readers_[0]->key();
  cut.reachable = true;
  cut.from = readers_[0]->seen_position();
  cut.to = cut.cut_offset = readers_[0]->end();
  return std::vector<LaneCut>{cut};
}
void FileSource::add_pending_cut(const LaneCut&) {}  // a file is never away
std::vector<LaneCut> FileSource::pending_cuts() const { return {}; }
void FileSource::stop() {}

}  // namespace twinspan::connectors
