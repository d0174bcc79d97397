#include "engine/state/state_entry.h"

#include <cstring>

namespace twinspan::engine {

namespace {
constexpr std::size_t kHeader = 1 + 1 + 2 + 4 + 4 + 8;
}

void DeltaWriter::frame(const StateEntry& e) {
  const std::size_t at = bytes_.size();
  bytes_.resize(at + kHeader + e.key.size() + e.value.size());
  char* p = bytes_.data() + at;
  const auto key_size = static_cast<std::uint32_t>(e.key.size());
  const auto value_size = static_cast<std::uint32_t>(e.value.size());
  p[0] = static_cast<char>(e.kind);
  p[1] = static_cast<char>(e.space);
  std::memcpy(p + 2, &e.key_group, 2);
  std::memcpy(p + 4, &key_size, 4);
  std::memcpy(p + 8, &value_size, 4);
  std::memcpy(p + 12, &e.tag, 8);
  if (key_size != 0) std::memcpy(p + kHeader, e.key.data(), key_size);
  if (value_size != 0) std::memcpy(p + kHeader + key_size, e.value.data(), value_size);
  ++entries_;
}

Result<bool> DeltaReader::next(StateEntry& out) {
  if (bytes_.empty()) return false;
  if (bytes_.size() < kHeader) return permanent_error("state delta ends inside a frame header");
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
  if (body > bytes_.size() - kHeader) return permanent_error("state delta ends inside an entry");
  if (out.key_group >= kKeyGroups) return permanent_error("state delta names a key group that does not exist");
  out.key = bytes_.substr(kHeader, key_size);
  out.value = bytes_.substr(kHeader + key_size, value_size);
  bytes_.remove_prefix(kHeader + body);
  return true;
}

}  // namespace twinspan::engine
