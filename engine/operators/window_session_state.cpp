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
constexpr std::size_t kAhead = 8;  // sessions that are loaded while one is written

std::uint64_t hash_of(std::string_view key) { return XXH3_64bits(key.data(), key.size()); }

}  // namespace

void SessionWindow::forget_saved(std::uint32_t i) {
  Head& h = sessions_.head(i);
  if ((h.flags & SessionStore::kSaved) == 0) return;
  h.flags &= ~SessionStore::kSaved;
  erase_.push_back({h.start, std::string(sessions_.key(i))});
}

// At the barrier only the lists are turned over; a session that changes or ends before its turn is written at once.
bool SessionWindow::begin_snapshot(DeltaWriter&) {
  TS_CHECK(!saving_);
  if (restoring_) finish_restore();
  save_flags_.turn();
  saving_list_ = std::move(save_list_);
  saving_erase_ = std::move(erase_);
  saving_ = !saving_list_.empty() || !saving_erase_.empty();
  return saving_;
}

bool SessionWindow::snapshot_portion(std::size_t entries, DeltaWriter& out) {
  while (!saving_erase_.empty()) {
    if (entries == 0) return true;
    const auto some = saving_erase_.take(entries);
    entries -= some.size();
    for (const Place& p : some) out.erase(kSessions, key_group_of(hash_of(p.key)), p.start, p.key);
  }
  while (!saving_list_.empty()) {
    if (entries == 0) return true;
    const auto some = saving_list_.take(entries);
    entries -= some.size();
    for (std::size_t k = 0; k < some.size(); ++k) {
      if (k + kAhead < some.size()) sessions_.prefetch_whole(some[k + kAhead]);
      Head& h = sessions_.head(some[k]);
      h.flags &= ~save_flags_.taken;
      if ((h.flags & save_flags_.saving) != 0) save_session(some[k], out);
    }
  }
  out.append(std::move(changed_since_));
  saving_ = false;
  return false;
}

void SessionWindow::first_change(std::uint32_t i) {
  keep_old(i);
  Head& h = sessions_.head(i);
  if ((h.flags & save_flags_.listed) == 0) save_list_.push_back(i);
  h.flags |= save_flags_.due | save_flags_.listed;
}

void SessionWindow::save_session(std::uint32_t i, DeltaWriter& out) {
  Head& h = sessions_.head(i);
  h.flags = (h.flags & ~save_flags_.saving) | SessionStore::kSaved;
  const std::string_view key = sessions_.key(i);
  const std::uint32_t flags = h.flags & kKept;
  value_.clear();
  value_.append(reinterpret_cast<const char*>(&h.end), sizeof h.end);
  value_.append(reinterpret_cast<const char*>(&flags), sizeof flags);
  accumulators_.save(sessions_.block(i), value_);
  if (!distinct_.empty())
    for (const IdentitySet& set : extra_[i].distinct) set.save(value_);
  if ((flags & SessionStore::kEmitted) != 0) accumulators_.save(extra_[i].last.data(), value_);
  out.put(kSessions, key_group_of(hash_of(key)), h.start, key, value_);
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
