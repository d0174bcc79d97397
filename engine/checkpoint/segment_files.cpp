#include "engine/checkpoint/segment_files.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <numeric>

#include <fmt/format.h>
#include <xxhash.h>

#include "engine/checkpoint/manifest.h"

namespace twinspan::engine {

namespace {

constexpr std::string_view kMagic = "ts-segmt";
constexpr std::size_t kTail = 16;  // size u64, magic

std::string file_name(std::uint64_t number) { return fmt::format("{:020}.seg", number); }

}  // namespace

Result<std::uint64_t> number_of_segment(const std::string& name) {
  std::uint64_t number = 0;
  const auto r = std::from_chars(name.data(), name.data() + std::min<std::size_t>(20, name.size()), number);
  if (r.ec != std::errc() || name != file_name(number))
    return permanent_error(fmt::format("'{}' is no name of a segment", name));
  return number;
}

std::string SegmentFiles::path_of(std::uint64_t number) const { return directory_ + "/" + file_name(number); }

Status SegmentFiles::open() {
  TS_TRYV(files_.remove_all(directory_));
  TS_TRYV(make_durable_directories(files_, directory_));
  std::lock_guard lock(mutex_);
  segments_.clear();
  held_.clear();
  figures_ = {};
  return ok();
}

Result<SegmentFiles::Segment> SegmentFiles::load(FileSystem& files, const std::string& path, std::uint64_t file_size,
                                                 const std::string& sum) {
  const auto damaged = [&] { return data_error(fmt::format("segment '{}' is damaged", path)); };
  if (file_size < kTail) return damaged();
  TS_TRY(tail, files.read_range(path, file_size - kTail, kTail));
  Segment s;
  std::memcpy(&s.size, tail.data(), 8);
  if (std::string_view(tail).substr(8) != kMagic || s.size > file_size) return damaged();
  const std::uint64_t pages = (s.size + kPage - 1) / kPage;
  if (pages * kPage + pages * 8 + kTail != file_size) return damaged();
  TS_TRY(end, files.read_range(path, pages * kPage, pages * 8 + kTail));
  if (content_sum(end) != sum) return damaged();
  s.file_size = file_size;
  s.sum = sum;
  s.pages.resize(pages);
  if (pages > 0) std::memcpy(s.pages.data(), end.data(), pages * 8);
  return s;
}

Status verify_segment(FileSystem& files, const SegmentFile& file) {
  TS_TRY(segment, SegmentFiles::load(files, file.path, file.size, file.sum));
  constexpr std::size_t kPage = SegmentFiles::kPage, kAtOnce = 256;
  for (std::size_t from = 0; from < segment.pages.size(); from += kAtOnce) {
    const std::size_t n = std::min(kAtOnce, segment.pages.size() - from);
    TS_TRY(bytes, files.read_range(file.path, from * kPage, n * kPage));
    for (std::size_t p = 0; p < n; ++p)
      if (XXH3_64bits(bytes.data() + p * kPage, kPage) != segment.pages[from + p])
        return data_error(fmt::format("segment '{}' is damaged at {}", file.path, (from + p) * kPage));
  }
  return ok();
}

Result<std::string> read_segment(FileSystem& files, const SegmentFile& file) {
  TS_TRY(segment, SegmentFiles::load(files, file.path, file.size, file.sum));
  constexpr std::size_t kPage = SegmentFiles::kPage;
  TS_TRY(bytes, files.read_range(file.path, 0, segment.pages.size() * kPage));
  for (std::size_t p = 0; p < segment.pages.size(); ++p)
    if (XXH3_64bits(bytes.data() + p * kPage, kPage) != segment.pages[p])
      return data_error(fmt::format("segment '{}' is damaged at {}", file.path, p * kPage));
  bytes.resize(segment.size);
  return bytes;
}

Status SegmentFiles::adopt(const std::vector<SegmentFile>& from) {
  for (const SegmentFile& f : from) {
    TS_TRY(number, number_of_segment(f.name));
    TS_TRY(segment, load(files_, f.path, f.size, f.sum));
    TS_TRYV(files_.link(f.path, path_of(number)));
    std::lock_guard lock(mutex_);
    segments_[number] = std::move(segment);
  }
  return files_.sync_directory(directory_);
}

const SegmentFiles::Segment* SegmentFiles::find(std::uint64_t number) const {
  std::lock_guard lock(mutex_);
  const auto at = segments_.find(number);
  return at == segments_.end() ? nullptr : &at->second;
}

bool SegmentFiles::has(std::uint64_t number) const { return find(number) != nullptr; }

Status SegmentFiles::seal(std::uint64_t number, std::string_view bytes) {
  TS_CHECK(!has(number));
  Segment s;
  s.size = bytes.size();
  std::string end;
  std::string last(bytes.substr(bytes.size() / kPage * kPage));
  if (!last.empty()) last.resize(kPage);
  for (std::size_t at = 0; at < bytes.size(); at += kPage) {
    const char* page = at + kPage <= bytes.size() ? bytes.data() + at : last.data();
    const std::uint64_t sum = XXH3_64bits(page, kPage);
    s.pages.push_back(sum);
    end.append(reinterpret_cast<const char*>(&sum), 8);
  }
  end.append(reinterpret_cast<const char*>(&s.size), 8);
  end += kMagic;
  const auto write = [&]() -> Status {
    TS_TRY(file, files_.create(path_of(number)));
    TS_TRYV(file->append(bytes.substr(0, bytes.size() - bytes.size() % kPage)));
    if (!last.empty()) TS_TRYV(file->append(last));
    TS_TRYV(file->append(end));
    TS_TRYV(file->sync());
    return files_.sync_directory(directory_);
  };
  if (auto written = write(); !written) {
    (void)files_.remove_all(path_of(number));
    return written;
  }
  s.file_size = s.pages.size() * kPage + end.size();
  s.sum = content_sum(end);
  std::lock_guard lock(mutex_);
  figures_.written_bytes += s.file_size;
  segments_[number] = std::move(s);
  return ok();
}

Status SegmentFiles::read(std::vector<Read>& reads) {
  held_.clear();
  std::vector<std::uint32_t> order(reads.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return std::pair(reads[a].segment, reads[a].offset) < std::pair(reads[b].segment, reads[b].offset);
  });
  for (std::size_t i = 0; i < order.size();) {
    const std::uint64_t number = reads[order[i]].segment;
    const Segment* found = find(number);
    if (found == nullptr) return not_found_error(fmt::format("there is no segment {}", number));
    const Segment& s = *found;
    // From here on as long as the next one begins near what has to be read anyway.
    const std::uint64_t first = reads[order[i]].offset / kPage;
    std::uint64_t last = first;  // one behind
    std::size_t n = i;
    for (; n < order.size() && reads[order[n]].segment == number; ++n) {
      const Read& r = reads[order[n]];
      if (r.size > s.size || r.offset > s.size - r.size)
        return data_error(fmt::format("segment {} has {} bytes, not {} at {}", number, s.size, r.size, r.offset));
      const std::uint64_t begin = r.offset / kPage, end = (r.offset + r.size + kPage - 1) / kPage;
      const bool joins = n == i || (begin <= last + kGapPages && std::max(last, end) - first <= kMostPages);
      if (!joins) break;
      last = std::max(last, end);
    }
    std::string bytes;
    if (last > first) {
      TS_TRY(got, files_.read_range(path_of(number), first * kPage, (last - first) * kPage));
      bytes = std::move(got);
      std::lock_guard lock(mutex_);
      ++figures_.reads;
      figures_.read_bytes += bytes.size();
    }
    for (std::uint64_t p = first; p < last; ++p)
      if (XXH3_64bits(bytes.data() + (p - first) * kPage, kPage) != s.pages[p])
        return data_error(fmt::format("segment '{}' is damaged at {}", path_of(number), p * kPage));
    held_.push_back(std::move(bytes));
    // Where the bytes are does not change when held_ grows: a piece of a page or more is on the heap; an empty one is
    // not looked at.
    const std::string& piece = held_.back();
    for (; i < n; ++i) {
      Read& r = reads[order[i]];
      r.bytes = r.size == 0 ? std::string_view() : std::string_view(piece).substr(r.offset - first * kPage, r.size);
    }
  }
  return ok();
}

Status SegmentFiles::read_all(std::uint64_t number, std::string& bytes) {
  const Segment* found = find(number);
  if (found == nullptr) return not_found_error(fmt::format("there is no segment {}", number));
  const Segment& s = *found;
  TS_TRY(got, files_.read_range(path_of(number), 0, s.pages.size() * kPage));
  for (std::size_t p = 0; p < s.pages.size(); ++p)
    if (XXH3_64bits(got.data() + p * kPage, kPage) != s.pages[p])
      return data_error(fmt::format("segment '{}' is damaged at {}", path_of(number), p * kPage));
  got.resize(s.size);
  bytes = std::move(got);
  std::lock_guard lock(mutex_);
  ++figures_.reads;
  figures_.read_bytes += s.pages.size() * kPage;
  return ok();
}

Status SegmentFiles::drop(std::uint64_t number) {
  {
    std::lock_guard lock(mutex_);
    if (segments_.erase(number) == 0) return ok();
  }
  return files_.remove_all(path_of(number));
}

std::vector<SegmentFile> SegmentFiles::list() const {
  std::lock_guard lock(mutex_);
  std::vector<SegmentFile> out;
  for (const auto& [number, s] : segments_) out.push_back({file_name(number), path_of(number), s.file_size, s.sum});
  return out;
}

std::uint64_t SegmentFiles::written_bytes() const {
  std::lock_guard lock(mutex_);
  return figures_.written_bytes;
}

SegmentFiles::Figures SegmentFiles::figures() const {
  std::lock_guard lock(mutex_);
  Figures f = figures_;
  f.segments = segments_.size();
  for (const auto& [number, s] : segments_) f.disk_bytes += s.file_size;
  return f;
}

}  // namespace twinspan::engine
