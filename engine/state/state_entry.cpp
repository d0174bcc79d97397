#include "engine/state/state_entry.h"

#include <cstring>

namespace twinspan::engine {

std::string Delta::joined() const {
  if (pieces_.size() == 1) return pieces_.front();
  std::string out;
  out.reserve(size_);
  for (const std::string& p : pieces_) out += p;
  return out;
}

Delta DeltaWriter::take_delta() {
  entries_ = 0;
  return {std::exchange(pieces_, {}), std::exchange(bytes_, 0)};
}

void append_frame(std::string& to, const StateEntry& e) {
  char head[kFrameHeader];
  const auto key_size = static_cast<std::uint32_t>(e.key.size());
  const auto value_size = static_cast<std::uint32_t>(e.value.size());
  head[0] = static_cast<char>(e.kind);
  head[1] = static_cast<char>(e.space);
  std::memcpy(head + 2, &e.key_group, 2);
  std::memcpy(head + 4, &key_size, 4);
  std::memcpy(head + 8, &value_size, 4);
  std::memcpy(head + 12, &e.tag, 8);
  to.append(head, kFrameHeader);
  to.append(e.key);
  to.append(e.value);
}

void DeltaWriter::frame(const StateEntry& e) {
  const std::size_t size = kFrameHeader + e.key.size() + e.value.size();
  // The first piece grows by itself: most steps change little. One that is full is followed by a whole one.
  if (pieces_.empty() || pieces_.back().size() + size > kPiece) [[unlikely]] {
    pieces_.emplace_back();
    if (pieces_.size() > 1) pieces_.back().reserve(kPiece > size ? kPiece : size);
  }
  append_frame(pieces_.back(), e);
  bytes_ += size;
  ++entries_;
}

Result<bool> DeltaReader::next(StateEntry& out) {
  if (bytes_.empty()) return false;
  if (bytes_.size() < kFrameHeader) return permanent_error("state delta ends inside a frame header");
  const char* p = bytes_.data();
  std::uint32_t key_size = 0, value_size = 0;
  const auto kind = static_cast<std::uint8_t>(p[0]);
  if (kind < 1 || kind > 3) return permanent_error("state delta holds an unknown kind of entry");
  out.kind = static_cast<StateEntry::Kind>(kind);
  out.space = static_cast<std::uint8_t>(p[1]);
  std::memcpy(&out.key_group, p + 2, 2);
  std::memcpy(&key_size, p + 4, 4);
  std::memcpy(&value_size, p + 8, 4);
  std::memcpy(&out.tag, p + 12, 8);
  const std::uint64_t body = static_cast<std::uint64_t>(key_size) + value_size;
  if (body > bytes_.size() - kFrameHeader) return permanent_error("state delta ends inside an entry");
  if (out.key_group >= kKeyGroups) return permanent_error("state delta names a key group that does not exist");
  out.key = bytes_.substr(kFrameHeader, key_size);
  out.value = bytes_.substr(kFrameHeader + key_size, value_size);
  bytes_.remove_prefix(kFrameHeader + body);
  return true;
}

}  // namespace twinspan::engine
