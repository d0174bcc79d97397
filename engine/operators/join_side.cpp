#include "engine/operators/join_side.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <xxhash.h>

namespace twinspan::engine {

namespace {

constexpr unsigned kLongChain = 64;
constexpr unsigned kHotLive = 48;  // of a long chain: below, the chain is only cut to what lives

}  // namespace

std::uint64_t JoinSide::hash_of(const JoinRow* row) { return XXH3_64bits(row->key_data(), row->key_size); }

JoinRow* JoinSide::insert(std::uint64_t hash, EventTime time, std::uint64_t sequence, std::string_view key,
                          std::size_t kept_size, unsigned flags) {
  const RowLog::Place place = log_.append(sizeof(JoinRow) + key.size() + kept_size, time);
  place.row->sequence = sequence;
  place.row->key_size = static_cast<std::uint32_t>(key.size()) & JoinRow::kMaxKey;
  place.row->set_flags(flags);
  place.row->first = flags & JoinRow::kSavedFlags & 255;
  std::memcpy(place.row->key_data(), key.data(), key.size());
  if ((flags & JoinRow::kNullKey) == 0) link(hash, place);
  if ((flags & JoinRow::kWaits) != 0) waiting_.insert(time, sequence, place.address);
  if (is_unclosed(place.row)) unclosed_.insert(time, sequence, place.address);
  return place.row;
}

void JoinSide::link(std::uint64_t hash, RowLog::Place place) {
  JoinIndex::Slot* slot = index_.obtain(hash, log_.tail(), log_.rows());
  if (slot->is_hot()) [[unlikely]] {
    TimeTree& tree = hot_[slot->hot_id()]->tree;
    hot_bytes_ -= tree.bytes();
    tree.drop_through(horizon_, 2);
    tree.insert({place.row->time, place.row->sequence, place.address});
    hot_bytes_ += tree.bytes();
    return;
  }
  const bool fresh = slot->is_dead(log_.tail());
  place.row->set_previous(fresh ? 0 : slot->newest());
  slot->set_chain(place.address, fresh ? 1 : slot->length() + 1);
  if (slot->length() >= kLongChain) [[unlikely]]
    recount(slot, hash);
}

// A chain that looks long: keeps only what lives, or turns it into a tree.
void JoinSide::recount(JoinIndex::Slot* slot, std::uint64_t hash) {
  RowAddress live[kLongChain];
  unsigned n = 0;
  for (RowAddress a = in_log(slot->newest()); a != 0; a = previous(at(a))) {
    if (is_live(at(a))) live[n++] = a;
  }
  if (n < kHotLive) {
    for (unsigned i = 0; i < n; ++i) at(live[i])->set_previous(i + 1 < n ? live[i + 1] : 0);
    if (n == 0)
      slot->ref = 0;
    else
      slot->set_chain(live[0], n);
    return;
  }
  std::uint64_t id = hot_.size();
  if (free_hot_.empty()) {
    hot_.push_back(std::make_unique<HotKey>());
  } else {
    id = free_hot_.back();
    free_hot_.pop_back();
    hot_[id] = std::make_unique<HotKey>();
  }
  HotKey& hot = *hot_[id];
  hot.hash = hash;
  for (unsigned i = n; i-- > 0;) hot.tree.insert({at(live[i])->time, at(live[i])->sequence, live[i]});
  hot_bytes_ += hot.tree.bytes();
  slot->set_hot(id);
}

void JoinSide::stop_waiting(JoinRow* row) {
  if (!row->has(JoinRow::kWaits)) return;
  row->set_flags(row->flags & ~unsigned{JoinRow::kWaits});
  waiting_.erase(row->time, row->sequence);
}

// One of kLaterFlags. What a checkpoint has of the row stays as it is.
void JoinSide::set_flag(JoinRow* row, RowAddress address, unsigned flag) {
  row->set_flags(row->flags | flag);
  if (address >= handed_over_)
    row->first = (row->first | flag) & 255;
  else
    changes_.push_back(address | flag);
}

void JoinSide::remove(std::uint64_t hash, RowAddress address) {
  JoinRow* row = at(address);
  set_flag(row, address, JoinRow::kRemoved);
  log_.removed(address);
  ++removed_in_log_;
  stop_waiting(row);
  const JoinIndex::Slot* slot = index_.find(hash);
  if (slot == nullptr || !slot->is_hot()) return;
  TimeTree& tree = hot_[slot->hot_id()]->tree;
  hot_bytes_ -= tree.bytes();
  tree.erase(row->time, row->sequence);
  hot_bytes_ += tree.bytes();
}

void JoinSide::set_matched(RowAddress address) {
  JoinRow* row = at(address);
  if (row->has(JoinRow::kMatched)) return;
  set_flag(row, address, JoinRow::kMatched);
  stop_waiting(row);
}

void JoinSide::set_waited(JoinRow* row, RowAddress address, bool out) {
  row->set_flags(row->flags & ~unsigned{JoinRow::kWaits});
  if (out) set_flag(row, address, JoinRow::kOut);
}

void JoinSide::drop_front() {
  removed_in_log_ -= log_.front().removed;
  log_.drop_front();
  cleaning_ = false;
}

bool JoinSide::should_clean() {
  if (++calls_ % 16 != 0 || log_.front_is_open()) return false;  // the estimate reads a line of every segment
  const std::size_t dead = log_.dead_bytes(horizon_);
  return dead > 4 * log_.smallest() && dead > log_.used_bytes() / 2;
}

void JoinSide::move(JoinRow* row) {
  const RowLog::Place place = log_.append(row->size, row->time);
  place.row->sequence = row->sequence;
  place.row->key_size = row->key_size;
  place.row->set_flags(row->flags);
  place.row->first = row->flags & JoinRow::kSavedFlags & 255;
  std::memcpy(place.row->key_data(), row->key_data(), row->size - sizeof(JoinRow));
  row->set_flags(row->flags | JoinRow::kMoved);
  ++removed_in_log_;
  if (row->has(JoinRow::kWaits)) waiting_.move(row->time, row->sequence, place.address);
  if (is_unclosed(row)) unclosed_.move(row->time, row->sequence, place.address);
  if (row->has(JoinRow::kNullKey)) return;
  const std::uint64_t hash = hash_of(row);
  if (JoinIndex::Slot* slot = index_.find(hash); slot != nullptr && slot->is_hot()) {
    hot_[slot->hot_id()]->tree.move(row->time, row->sequence, place.address);
  } else {
    link(hash, place);
  }
}

void JoinSide::clean(std::size_t fuel) {
  const RowLog::Segment& front = log_.front();
  const RowAddress base = log_.tail();
  const RowAddress end = base + front.used;
  while (clean_at_ < end && fuel > 0) {
    JoinRow* row = at(clean_at_);
    clean_at_ += RowLog::stride(row->size);
    --fuel;
    if (!is_live(row)) continue;
    const RowAddress address = clean_at_ - RowLog::stride(row->size);
    move(row);
    log_.removed(address);
  }
  if (clean_at_ >= end) drop_front();
}

void JoinSide::sweep_hot() {
  for (unsigned i = 0; i < 4 && !hot_.empty(); ++i) {
    if (sweep_at_ >= hot_.size()) sweep_at_ = 0;
    const std::uint64_t id = sweep_at_++;
    if (hot_[id] == nullptr) continue;
    TimeTree& tree = hot_[id]->tree;
    hot_bytes_ -= tree.bytes();
    tree.drop_through(horizon_, 64);
    hot_bytes_ += tree.bytes();
    if (!tree.empty()) continue;
    index_.find(hot_[id]->hash)->ref = 0;
    hot_[id].reset();
    free_hot_.push_back(id);
  }
}

bool JoinSide::collect(unsigned segments, std::size_t rows) {
  const auto front_is_dead = [this] {
    return !log_.empty() && (log_.front().max_time <= horizon_ || log_.front().removed >= log_.front().rows);
  };
  for (; front_is_dead(); --segments) {
    if (segments == 0) return false;
    drop_front();
  }
  sweep_hot();
  if (log_.empty()) return true;
  if (!cleaning_ && should_clean()) {
    cleaning_ = true;
    clean_at_ = log_.tail();
  }
  if (cleaning_) clean(rows);
  return true;
}

std::size_t JoinSide::bytes() const {
  return log_.bytes() + index_.bytes() + hot_bytes_ + hot_.size() * (sizeof(HotKey) + sizeof(void*)) +
         waiting_.bytes() + unclosed_.bytes() + changes_.capacity() * sizeof(FlagChange);
}

JoinSideSnapshot JoinSide::snapshot() {
  JoinSideSnapshot out;
  out.first = log_.first_number();
  if (handed_number_ < out.first) {
    handed_number_ = out.first;
    handed_used_ = 0;
  }
  for (; handed_number_ < log_.end_number(); ++handed_number_, handed_used_ = 0) {
    const RowLog::Segment& s = log_.segment(handed_number_);
    const bool sealed = log_.is_sealed(handed_number_);
    if (sealed || s.used > handed_used_)
      out.rows.push_back({s.number, handed_used_, s.used, sealed, SegmentReading(s.memory)});
    if (sealed) continue;
    handed_used_ = s.used;
    break;
  }
  handed_over_ = log_.end();
  if (cleaning_) out.moved_below = clean_at_;
  out.changes = std::exchange(changes_, {});
  out.horizon = horizon_;
  return out;
}

Status JoinSide::adopt(std::uint64_t number, std::string_view rows, bool sealed, const JoinFlags& flags,
                       EventTime horizon) {
  if (!log_.can_adopt(number))
    return data_error(fmt::format("join state has segment {} where another one is due", number));
  log_.adopt(number, rows, sealed);
  const RowLog::Segment& s = log_.segment(number);
  auto flag = flags.rows.begin();
  for (std::size_t at = 0; at < s.used;) {
    auto* row = reinterpret_cast<JoinRow*>(s.memory->pages.data() + at);
    for (; flag != flags.rows.end() && flag->place <= at / 8; ++flag)
      if (flag->place == at / 8) row->set_flags(row->flags | flag->flags);
    if (at < flags.gone || row->time <= horizon) row->set_flags(row->flags | JoinRow::kMoved);
    at += RowLog::stride(row->size);
  }
  handed_over_ = log_.end();
  handed_number_ = sealed ? number + 1 : number;
  handed_used_ = sealed ? 0 : s.used;
  return ok();
}

void JoinSide::append_restored(const JoinRow* row, unsigned flags) {
  const RowLog::Place place = log_.append(row->size, row->time);
  place.row->sequence = row->sequence;
  place.row->key_size = row->key_size;
  place.row->set_flags(flags);
  place.row->first = flags & JoinRow::kSavedFlags & 255;
  std::memcpy(place.row->key_data(), row->key_data(), row->size - sizeof(JoinRow));
}

std::uint64_t JoinSide::link_restored(EventTime due, bool waits) {
  waiting_.start_at(due);
  unclosed_.start_at(closed_through_);
  std::uint64_t last = 0;
  log_.for_each(0, [&](RowAddress address, JoinRow* row) {
    last = std::max(last, row->sequence);
    if (!counts(row)) {
      log_.removed(address);
      ++removed_in_log_;
      return;
    }
    if (row->time <= horizon_) return;  // ended before the barrier
    if (!row->has(JoinRow::kNullKey)) link(hash_of(row), {address, row});
    if (waits && !row->has(JoinRow::kMatched | JoinRow::kOut)) {
      row->set_flags(row->flags | JoinRow::kWaits);
      waiting_.insert(row->time, row->sequence, address);
    }
    if (is_unclosed(row)) unclosed_.insert(row->time, row->sequence, address);
  });
  return last;
}

}  // namespace twinspan::engine
