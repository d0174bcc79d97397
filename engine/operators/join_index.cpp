#include "engine/operators/join_index.h"

#include <algorithm>
#include <bit>

namespace twinspan::engine {

namespace {
constexpr std::uint64_t kSmallest = 256;
}  // namespace

JoinIndex::JoinIndex() : new_(make(kSmallest)) {}

JoinIndex::Table JoinIndex::make(std::uint64_t slots) {
  Table t;
  t.memory = PageBlock(slots * sizeof(Slot));
  t.slots = reinterpret_cast<Slot*>(t.memory.data());
  t.mask = slots - 1;
  return t;
}

// The slot of `hash`, or a dead or unused one on its way, made its own.
JoinIndex::Slot* JoinIndex::place(Table& table, std::uint64_t hash, RowAddress tail) {
  Slot* dead = nullptr;
  for (std::uint64_t i = hash & table.mask;; i = (i + 1) & table.mask) {
    Slot& s = table.slots[i];
    if (s.hash == hash) return &s;
    if (s.hash == 0) {
      if (dead == nullptr) {
        ++table.used;
        dead = &s;
      }
      dead->hash = hash;
      dead->ref = 0;
      return dead;
    }
    if (dead == nullptr && s.is_dead(tail)) dead = &s;
  }
}

void JoinIndex::start_move(std::uint64_t live_rows) {
  const std::uint64_t live = std::min(live_rows, new_.used);
  old_ = std::move(new_);
  const std::uint64_t from = old_.mask + 1;
  const std::uint64_t to = std::max({kSmallest, std::bit_ceil(live * 5 / 2 + 1), from / 8});
  new_ = make(to);
  moved_ = 0;
  // The move ends within to / 8 inserts: at most 2/5 moved and 1/8 new, so the new table is never full.
  step_ = std::max<std::uint64_t>(16, 8 * from / to);
}

void JoinIndex::step(RowAddress tail) {
  const std::uint64_t end = std::min(moved_ + step_, old_.mask + 1);
  for (; moved_ < end; ++moved_) {
    Slot& s = old_.slots[moved_];
    if (s.hash == 0 || s.is_dead(tail)) continue;
    place(new_, s.hash, tail)->ref = s.ref;
    s.ref = 0;  // find() looks at the new table first; the hash stays so that probing goes on past it
  }
  if (moved_ == old_.mask + 1) old_ = Table();
}

JoinIndex::Slot* JoinIndex::obtain(std::uint64_t hash, RowAddress tail, std::uint64_t live_rows) {
  hash = stored(hash);
  if (old_.slots != nullptr) [[unlikely]] {
    step(tail);
  } else if (new_.used * 8 > (new_.mask + 1) * 5) [[unlikely]] {
    start_move(live_rows);
  }
  Slot* s = place(new_, hash, tail);
  if (s->is_dead(tail) && old_.slots != nullptr) [[unlikely]] {
    if (Slot* before = find(old_, hash); before != nullptr) {
      s->ref = before->ref;
      before->ref = 0;
    }
  }
  return s;
}

}  // namespace twinspan::engine
