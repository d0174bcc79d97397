#include "engine/operators/join_side.h"

#include <algorithm>
#include <cstring>

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
  place.row->flags = flags & 255;
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
  place.row->previous = fresh ? 0 : slot->newest();
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
    for (unsigned i = 0; i < n; ++i) at(live[i])->previous = i + 1 < n ? live[i + 1] : 0;
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
  row->flags &= ~unsigned{JoinRow::kWaits} & 255;
  waiting_.erase(row->time, row->sequence);
}

void JoinSide::changed(JoinRow* row, RowAddress address) {
  if (!row->has(JoinRow::kSaved) || row->has(JoinRow::kChanged)) return;
  row->flags |= JoinRow::kChanged;
  changed_.push_back(address);
}

void JoinSide::remove(std::uint64_t hash, RowAddress address) {
  JoinRow* row = at(address);
  row->flags |= JoinRow::kRemoved;
  log_.removed(address);
  ++removed_in_log_;
  if (row->has(JoinRow::kSaved)) erased_.push_back({row->sequence, row->time});
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
  row->flags |= JoinRow::kMatched;
  stop_waiting(row);
  changed(row, address);
}

void JoinSide::set_waited(JoinRow* row, RowAddress address, bool out) {
  row->flags &= ~unsigned{JoinRow::kWaits} & 255;
  if (!out) return;
  row->flags |= JoinRow::kOut;
  changed(row, address);
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
  unsigned flags = row->flags;
  // Written by the next snapshot because of where it lies now.
  if ((flags & JoinRow::kChanged) != 0) flags &= ~unsigned{JoinRow::kChanged | JoinRow::kSaved};
  place.row->flags = flags & 255;
  std::memcpy(place.row->key_data(), row->key_data(), row->size - sizeof(JoinRow));
  row->flags |= JoinRow::kMoved;
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

void JoinSide::begin_restore(EventTime due) {
  waiting_.start_at(due);
  unclosed_.start_at(closed_through_);
}

std::size_t JoinSide::bytes() const {
  return log_.bytes() + index_.bytes() + hot_bytes_ + hot_.size() * (sizeof(HotKey) + sizeof(void*)) +
         waiting_.bytes() + unclosed_.bytes() + changed_.capacity() * sizeof(RowAddress) +
         erased_.capacity() * sizeof(Erased);
}

void JoinSide::put(DeltaWriter& out, const JoinRow* row) {
  const auto flags = static_cast<std::uint8_t>(row->flags & JoinRowEntry::kFlags);
  const std::uint32_t key_size = row->key_size;
  value_.resize(1 + 8 + 4);
  value_[0] = static_cast<char>(flags);
  std::memcpy(value_.data() + 1, &row->time, 8);
  std::memcpy(value_.data() + 9, &key_size, 4);
  value_.append(row->key_data(), row->size - sizeof(JoinRow));
  out.put(space_, JoinRowEntry::group_of(row->sequence), shift(row->time, death_),
          JoinRowEntry::encode_key(row->sequence), value_);
}

void JoinSide::snapshot(DeltaWriter& out) {
  const EventTime below = shift(shift(horizon_, death_), 1);
  if (below > dropped_below_) {
    out.drop_below(space_, 0, below);
    dropped_below_ = below;
  }
  for (const Erased& e : erased_) {
    if (e.time > horizon_) {
      out.erase(space_, JoinRowEntry::group_of(e.sequence), shift(e.time, death_),
                JoinRowEntry::encode_key(e.sequence));
    }
  }
  for (const RowAddress a : changed_) {
    if (in_log(a) == 0) continue;
    JoinRow* row = at(a);
    if (!row->has(JoinRow::kChanged) || !is_live(row)) continue;
    row->flags &= ~unsigned{JoinRow::kChanged} & 255;
    put(out, row);
  }
  log_.for_each(snapshot_from_, [&](RowAddress, JoinRow* row) {
    if (!is_live(row) || row->has(JoinRow::kSaved)) return;
    put(out, row);
    row->flags |= JoinRow::kSaved;
  });
  snapshot_from_ = log_.end();
  changed_.clear();
  changed_.shrink_to_fit();
  erased_.clear();
  erased_.shrink_to_fit();
}

std::string JoinRowEntry::encode_key(std::uint64_t sequence) {
  std::string key(8, '\0');
  sequence = __builtin_bswap64(sequence);
  std::memcpy(key.data(), &sequence, 8);
  return key;
}

Result<JoinRowEntry> JoinRowEntry::decode(std::string_view key, std::string_view value) {
  if (key.size() != 8) return permanent_error("join state holds a row key that is not 8 bytes long");
  if (value.size() < 13) return permanent_error("join state holds a row that ends inside its header");
  JoinRowEntry e;
  std::memcpy(&e.sequence, key.data(), 8);
  e.sequence = __builtin_bswap64(e.sequence);
  e.flags = static_cast<std::uint8_t>(value[0]) & kFlags;
  std::uint32_t key_size = 0;
  std::memcpy(&e.time, value.data() + 1, 8);
  std::memcpy(&key_size, value.data() + 9, 4);
  value.remove_prefix(13);
  if (key_size > value.size() || key_size > JoinRow::kMaxKey || value.size() > JoinRow::kMaxSize) {
    return permanent_error("join state holds a row whose key does not fit into it");
  }
  e.key = value.substr(0, key_size);
  e.kept = value.substr(key_size);
  return e;
}

}  // namespace twinspan::engine
