// Checkpoints of a session window: one entry a session, in the key group of its key. Tag: start; key: the encoded key;
// value: end i64, flags u32, block, sets of DISTINCT values, and while it is told the block of the last values. A
// session that ends, or whose start moves, has its entry erased. Whether it has fired is not stored: it has exactly if
// F has passed its end - 1.

#include <algorithm>

#include <xxhash.h>

#include "engine/operators/window_session.h"

namespace twinspan::engine {

namespace {

constexpr std::uint32_t kKept = SessionStore::kEmitted | SessionStore::kFireDue;
constexpr std::size_t kHead = 12;

std::uint64_t hash_of(std::string_view key) { return XXH3_64bits(key.data(), key.size()); }

}  // namespace

void SessionWindow::forget_saved(std::uint32_t i) {
  Head& h = sessions_.head(i);
  if ((h.flags & SessionStore::kSaved) == 0) return;
  h.flags &= ~SessionStore::kSaved;
  erase_.push_back({h.start, std::string(sessions_.key(i))});
}

void SessionWindow::snapshot(DeltaWriter& out) {
  if (restoring_) finish_restore();
  for (const Place& p : erase_) out.erase(kSessions, key_group_of(hash_of(p.key)), p.start, p.key);
  erase_.clear();
  for (const std::uint32_t i : save_list_) {
    Head& h = sessions_.head(i);
    h.flags &= ~SessionStore::kListed;
    if ((h.flags & SessionStore::kFree) != 0 || (h.flags & SessionStore::kSaveDue) == 0) continue;
    h.flags = (h.flags & ~SessionStore::kSaveDue) | SessionStore::kSaved;
    save_session(i, out);
  }
  save_list_.clear();
}

void SessionWindow::save_session(std::uint32_t i, DeltaWriter& out) {
  const Head& h = sessions_.head(i);
  const std::string_view key = sessions_.key(i);
  const std::uint32_t flags = h.flags & kKept;
  std::string value;
  value.append(reinterpret_cast<const char*>(&h.end), sizeof h.end);
  value.append(reinterpret_cast<const char*>(&flags), sizeof flags);
  accumulators_.save(sessions_.block(i), value);
  if (!distinct_.empty())
    for (const IdentitySet& set : extra_[i].distinct) set.save(value);
  if ((flags & SessionStore::kEmitted) != 0) accumulators_.save(extra_[i].last.data(), value);
  out.put(kSessions, key_group_of(hash_of(key)), h.start, key, value);
}

Status SessionWindow::restore(const StateEntry& e) {
  restoring_ = true;
  const auto damaged = [&] { return data_error("session state: an entry does not fit this step"); };
  if (e.space != kSessions || e.kind != StateEntry::Kind::put) return damaged();
  const std::uint64_t hash = hash_of(e.key);
  if (!codec_.well_formed(e.key) || e.value.size() < kHead) return damaged();
  EventTime end = 0;
  std::uint32_t flags = 0;
  std::memcpy(&end, e.value.data(), sizeof end);
  std::memcpy(&flags, e.value.data() + sizeof end, sizeof flags);
  std::string_view value = e.value.substr(kHead);
  const std::uint32_t i = sessions_.add(hash, e.key, sessions_.find(hash, e.key));
  Head& h = sessions_.head(i);
  h.start = e.tag;
  h.end = end;
  h.flags = (flags & kKept) | SessionStore::kSaved;
  bool good = (flags & ~kKept) == 0 && accumulators_.load(value, sessions_.block(i), memory_);
  if (!distinct_.empty()) {
    extra_[i].distinct.resize(distinct_.size());
    for (IdentitySet& set : extra_[i].distinct) good = good && set.load(value);
  }
  if ((flags & SessionStore::kEmitted) != 0) {
    extra_[i].last.assign(accumulators_.bytes(), 0);
    good = good && accumulators_.load(value, extra_[i].last.data(), memory_);
  }
  return good && value.empty() ? ok() : damaged();
}

void SessionWindow::restore_watermark(unsigned, Watermark watermark) {
  now_ = watermark;
  now_.firing = std::max(now_.firing, now_.retention);
  if (restoring_) finish_restore();
}

void SessionWindow::finish_restore() {
  restoring_ = false;
  for (std::uint32_t i = 0; i < sessions_.records(); ++i) {
    Head& h = sessions_.head(i);
    if ((h.flags & SessionStore::kFree) != 0) continue;
    wait_for_firing(i);
    if ((h.flags & SessionStore::kFireDue) == 0) continue;
    h.flags &= ~SessionStore::kFireDue;
    mark_changed(i);
  }
}

}  // namespace twinspan::engine
