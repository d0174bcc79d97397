#include "engine/checkpoint/state_file.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>
#include <xxhash.h>

#include "engine/checkpoint/manifest.h"

namespace twinspan::engine {

namespace {

constexpr std::string_view kMagic = "ts-state";
constexpr std::size_t kBlockRecord = 48, kDropRecord = 16, kTrailer = 24;

template <class T>
void append(std::string& to, T v) {
  to.append(reinterpret_cast<const char*>(&v), sizeof v);
}
template <class T>
T take(std::string_view& from) {
  T v;
  std::memcpy(&v, from.data(), sizeof v);
  from.remove_prefix(sizeof v);
  return v;
}

// How long the end of a file of `size` bytes is, by its trailer.
Result<std::size_t> end_size(std::string_view trailer, std::uint64_t size) {
  if (trailer.size() != kTrailer || trailer.substr(16) != kMagic) return data_error("has no trailer of a state file");
  const auto offset = take<std::uint64_t>(trailer);
  const std::uint64_t blocks = take<std::uint32_t>(trailer), drops = take<std::uint32_t>(trailer);
  const std::uint64_t length = blocks * kBlockRecord + drops * kDropRecord + kTrailer;
  if (offset > size || size - offset != length) return data_error("has a trailer that does not fit its size");
  return static_cast<std::size_t>(length);
}

Result<StateIndex> parse_end(std::string_view end, std::uint64_t size, std::string_view sum) {
  if (content_sum(end) != sum) return data_error("does not match its checksum");
  TS_TRY(length, end_size(end.substr(end.size() - kTrailer), size));
  std::string_view counts = end.substr(end.size() - kTrailer + 8);
  const auto blocks = take<std::uint32_t>(counts), drops = take<std::uint32_t>(counts);
  StateIndex index;
  std::uint64_t at = 0;
  for (std::uint32_t i = 0; i < blocks; ++i) {
    StateBlock b;
    b.offset = take<std::uint64_t>(end);
    b.sum = take<std::uint64_t>(end);
    b.min_tag = take<std::int64_t>(end);
    b.max_tag = take<std::int64_t>(end);
    b.size = take<std::uint32_t>(end);
    b.entries = take<std::uint32_t>(end);
    b.space = take<std::uint32_t>(end);
    take<std::uint32_t>(end);
    if (b.offset != at || b.size > size - length - at) return data_error("has an index that does not fit its size");
    at += b.size;
    index.blocks.push_back(b);
  }
  if (at != size - length) return data_error("has an index that does not fit its size");
  for (std::uint32_t i = 0; i < drops; ++i) {
    SpaceDrop d;
    d.below = take<std::int64_t>(end);
    d.space = static_cast<std::uint8_t>(take<std::uint64_t>(end));
    index.drops.push_back(d);
  }
  return index;
}

}  // namespace

Status StateFileWriter::end_block() {
  if (block_.empty()) return ok();
  current_.sum = XXH3_64bits(block_.data(), block_.size());
  current_.size = static_cast<std::uint32_t>(block_.size());
  current_.offset = size_;
  TS_TRYV(file_->append(block_));
  size_ += block_.size();
  index_.blocks.push_back(current_);
  current_ = {};
  block_.clear();
  return ok();
}

Status StateFileWriter::add(const StateEntry& e, std::string_view frame) {
  if (!block_.empty() && (current_.space != e.space || block_.size() >= kBlock)) TS_TRYV(end_block());
  if (block_.empty()) {
    block_.reserve(kBlock + 4096);
    current_.space = e.space;
    current_.min_tag = e.tag;
  }
  current_.max_tag = e.tag;  // tags ascend
  ++current_.entries;
  ++entries_;
  if (frame.empty())
    append_frame(block_, e);
  else
    block_.append(frame);
  return ok();
}

Result<std::string> StateFileWriter::finish() {
  TS_TRYV(end_block());
  std::string end;
  for (const StateBlock& b : index_.blocks) {
    append(end, b.offset);
    append(end, b.sum);
    append(end, b.min_tag);
    append(end, b.max_tag);
    append(end, b.size);
    append(end, b.entries);
    append(end, b.space);
    append(end, std::uint32_t{0});
  }
  for (const SpaceDrop& d : index_.drops) {
    append(end, d.below);
    append(end, std::uint64_t{d.space});
  }
  append(end, size_);
  append(end, static_cast<std::uint32_t>(index_.blocks.size()));
  append(end, static_cast<std::uint32_t>(index_.drops.size()));
  end += kMagic;
  TS_TRYV(file_->append(end));
  TS_TRYV(file_->sync());
  size_ += end.size();
  return content_sum(end);
}

Result<WrittenFile> write_state_file(FileSystem& files, const std::string& path, const Delta& delta) {
  TS_TRY(sorted, SortedDelta::make(delta));
  TS_TRY(file, files.create(path));
  StateFileWriter writer(std::move(file));
  for (const SpaceDrop& d : sorted.drops()) TS_TRYV(writer.drop(d));
  constexpr std::size_t kAhead = 16;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    sorted.prefetch(i + kAhead);
    const StateEntry e = sorted[i];
    TS_TRYV(writer.add(e, SortedDelta::frame_of(e)));
  }
  TS_TRY(sum, writer.finish());
  return WrittenFile{writer.size(), std::move(sum)};
}

Result<StateFileView> StateFileView::open(std::string_view bytes, std::string_view sum) {
  if (bytes.size() < kTrailer) return data_error("is too short for a state file");
  TS_TRY(length, end_size(bytes.substr(bytes.size() - kTrailer), bytes.size()));
  TS_TRY(index, parse_end(bytes.substr(bytes.size() - length), bytes.size(), sum));
  for (const StateBlock& b : index.blocks)
    if (XXH3_64bits(bytes.data() + b.offset, b.size) != b.sum) return data_error("does not match its checksum");
  StateFileView view;
  view.frames_ = bytes.substr(0, bytes.size() - length);
  view.drops_ = std::move(index.drops);
  return view;
}

Result<std::unique_ptr<StateFileCursor>> StateFileCursor::open(FileSystem& files, std::string path, std::uint64_t size,
                                                               std::string_view sum) {
  const auto damaged = [&](const Error& e) { return Error{e.kind, fmt::format("'{}' {}", path, e.message)}; };
  if (size < kTrailer) return data_error(fmt::format("'{}' is too short for a state file", path));
  TS_TRY(trailer, files.read_range(path, size - kTrailer, kTrailer));
  auto length = end_size(trailer, size);
  if (!length) return damaged(length.error());
  TS_TRY(end, files.read_range(path, size - length.value(), length.value()));
  auto index = parse_end(end, size, sum);
  if (!index) return damaged(index.error());
  auto cursor = std::unique_ptr<StateFileCursor>(new StateFileCursor(files, std::move(path)));
  cursor->index_ = std::move(index).value();
  cursor->bytes_read_ = end.size();
  return cursor;
}

Result<bool> StateFileCursor::next() {
  for (;;) {
    TS_TRY(more, reader_.next(entry_));
    if (more) {
      hash_ = order_hash(entry_.key);
      return true;
    }
    // The blocks of what has ended lie together: tags ascend within a space.
    while (next_block_ < index_.blocks.size() && floor_ &&
           index_.blocks[next_block_].max_tag < floor_(static_cast<std::uint8_t>(index_.blocks[next_block_].space)))
      ++next_block_;
    if (next_block_ == index_.blocks.size()) return false;
    const StateBlock& b = index_.blocks[next_block_++];
    TS_TRY(bytes, files_.read_range(path_, b.offset, b.size));
    if (XXH3_64bits(bytes.data(), bytes.size()) != b.sum)
      return data_error(fmt::format("'{}' does not match its checksum", path_));
    block_ = std::move(bytes);
    bytes_read_ += block_.size();
    reader_ = DeltaReader(block_);
  }
}

}  // namespace twinspan::engine
