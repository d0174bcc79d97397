#pragma once
// The keys of one window: encoded key -> dense number (kid, in order of arrival) and an entry with room for
// flags and accumulators. Small keys lie in the entry itself, so that a row costs two cache misses: slot and
// entry; both are prefetched for a group of rows. Key bytes are always compared. Owned by a window. Thread:
// shard.

#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

#include "engine/base/batch.h"
#include "engine/operators/key_group.h"
#include "engine/operators/pane_probe.h"

namespace twinspan::engine {

// Of an entry: first four bytes of every entry of a window or pane.
inline constexpr std::uint32_t kFireDue = 1;  // changed since the last firing of the pane; in its fire list
inline constexpr std::uint32_t kEmitted = 4;  // a record of this (pane, key) went out

// Two flags take turns, so that a snapshot in portions costs rows nothing: an entry that has `due` has changed since
// the last barrier and is in a save list; `saving`, changed before it and not in the delta yet. An entry that is to get
// `due` and has `saving` is written first, as it was at the barrier.
struct SaveFlags {
  std::uint32_t due = 2, saving = 8;
  void turn() { std::swap(due, saving); }  // at the barrier, when no entry has `saving`
};

inline std::uint32_t& entry_flags(char* entry) { return *reinterpret_cast<std::uint32_t*>(entry); }

class PaneKeys {
 public:
  static constexpr unsigned kGroup = KeyGroup::kRows;  // rows prefetched together

  // `fixed_key`: encoded size of every key, or 0 if it varies. `payload`: bytes after the key.
  PaneKeys(std::size_t fixed_key, std::size_t payload)
      : fixed_(fixed_key <= kInline ? fixed_key : 0),
        key_at_(fixed_ != 0 ? 4 : 8),
        payload_at_((key_at_ + (fixed_ != 0 ? fixed_ : kInline) + 7) & ~std::size_t{7}),
        chunks_(payload_at_ + payload) {}

  std::uint32_t size() const { return chunks_.size(); }
  std::size_t bytes() const { return chunks_.bytes() + table_.bytes(); }
  char* entry(std::uint32_t kid) const { return chunks_.at(kid); }
  char* payload(char* entry) const { return entry + payload_at_; }
  std::string_view key(const char* entry) const {
    if (fixed_ != 0) return {entry + 4, fixed_};
    std::uint32_t size = 0;
    std::memcpy(&size, entry + 4, 4);
    if (size <= kInline) return {entry + 8, size};
    const char* p = nullptr;
    std::memcpy(&p, entry + 8, sizeof p);
    return {p, size};
  }

  [[gnu::always_inline]] void prefetch(std::uint64_t hash) const { table_.prefetch(hash); }
  // After the slot was prefetched: starts loading the entry that is probably meant; its kid + 1, or 0.
  [[gnu::always_inline]] std::uint32_t prefetch_entry(std::uint64_t hash) const {
    const auto tag = static_cast<std::uint32_t>(hash);
    const Slot* s = table_.find(hash, [&](const Slot& slot) { return slot.tag == tag; });
    if (s == nullptr) return 0;
    const char* entry = chunks_.at(s->kid_plus_1 - 1);
    __builtin_prefetch(entry, 1);
    __builtin_prefetch(entry + payload_at_ + 7, 1);  // the first accumulator may lie in the next line
    return s->kid_plus_1;
  }
  // The entry of this key, or nullptr.
  const char* find(std::uint64_t hash, std::string_view key_bytes) const {
    const Slot* s = slot_of(hash, key_bytes);
    return s == nullptr ? nullptr : chunks_.at(s->kid_plus_1 - 1);
  }
  // kid + 1; 0: not there.
  std::uint32_t find_kid(std::uint64_t hash, std::string_view key_bytes) const {
    const Slot* s = slot_of(hash, key_bytes);
    return s == nullptr ? 0 : s->kid_plus_1;
  }
  // `probable`: as prefetch_entry said of this hash, since when keys may have come; 0: nothing.
  std::uint32_t find_or_add(std::uint64_t hash, std::string_view key_bytes, Arena& strings,
                            std::uint32_t probable = 0) {
    if (probable != 0 && same_key(key(chunks_.at(probable - 1)), key_bytes)) return probable - 1;
    if (const std::uint32_t known = find_kid(hash, key_bytes); known != 0) return known - 1;
    const std::uint32_t kid = chunks_.add();
    char* entry = chunks_.at(kid);
    if (fixed_ != 0) {
      std::memcpy(entry + 4, key_bytes.data(), fixed_);
    } else {
      const auto size = static_cast<std::uint32_t>(key_bytes.size());
      std::memcpy(entry + 4, &size, 4);
      if (size <= kInline) {
        std::memcpy(entry + 8, key_bytes.data(), size);
      } else {
        const char* p = strings.copy(key_bytes).data();
        std::memcpy(entry + 8, &p, sizeof p);
      }
    }
    table_.insert({static_cast<std::uint32_t>(hash), kid + 1});
    return kid;
  }

 private:
  static constexpr std::size_t kInline = 24;  // bytes; holds an encoded string of 19
  struct Slot {
    std::uint32_t tag;
    std::uint32_t kid_plus_1;
    bool empty() const { return kid_plus_1 == 0; }
    std::uint64_t hash() const { return tag; }
  };

  [[gnu::always_inline]] const Slot* slot_of(std::uint64_t hash, std::string_view key_bytes) const {
    const auto tag = static_cast<std::uint32_t>(hash);
    return table_.find(hash, [&](const Slot& slot) {
      return slot.tag == tag && same_key(key(chunks_.at(slot.kid_plus_1 - 1)), key_bytes);
    });
  }

  std::size_t fixed_, key_at_, payload_at_;
  PaneChunks chunks_;
  ProbeTable<Slot> table_;
};

}  // namespace twinspan::engine
