#pragma once
// What one input of an interval join has left behind: a log of rows, an index from key hash to the newest row, and for
// hot keys (more than about 64 live rows) a tree by time instead of a chain. Rows die when their time falls to the
// horizon (set by the other input's retention watermark) or when they are removed; dead rows cost nothing until their
// segment goes:
// - a segment at the front whose rows are all dead is dropped whole;
// - when more than half of the log is dead but pinned (by rows far in the future, or by slow ones between fast ones),
// the
//   survivors of the front segment are appended again, a few with each call. So memory is at most about twice what
//   lives, whatever the order of times, and one such copy is paid for by at least one dead row.
// Owner: IntervalJoin. Thread: shard.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/operators/join_archive.h"
#include "engine/operators/join_index.h"
#include "engine/operators/join_log.h"
#include "engine/operators/join_time_tree.h"
#include "engine/operators/join_waiting.h"
#include "engine/state/state_entry.h"

namespace twinspan::engine {

class JoinSide {
 public:
  // `slice_ms`: of the queues of rows that wait.
  JoinSide(std::size_t segment_bytes, std::int64_t slice_ms)
      : log_(segment_bytes), waiting_(log_, JoinRow::kWaits, slice_ms), unclosed_(log_, 0, slice_ms) {}

  // Where the rows of a hash are: a chain from `newest`, or a hot key's tree.
  struct Rows {
    RowAddress newest = 0;
    const TimeTree* tree = nullptr;
  };
  const void* line_of(std::uint64_t hash) const { return index_.line_of(hash); }  // to prefetch
  Rows rows_of(std::uint64_t hash) {
    const JoinIndex::Slot* slot = index_.find(hash);
    if (slot == nullptr) return {};
    if (slot->is_hot()) [[unlikely]]
      return {0, &hot_[slot->hot_id()]->tree};
    return {in_log(slot->newest()), nullptr};
  }
  JoinRow* at(RowAddress address) const { return log_.at(address); }
  const RowLog& log() const { return log_; }
  RowLog& log() { return log_; }
  RowAddress previous(const JoinRow* row) const { return in_log(row->previous); }
  static std::uint64_t hash_of(const JoinRow* row);
  // Whether the row counts (it may be a copy left behind, or removed). Time is the caller's business.
  static bool counts(const JoinRow* row) { return !row->has(JoinRow::kMoved | JoinRow::kRemoved); }

  // Appends a row; the caller writes `kept_size` bytes to row->kept_data(). With kWaits in `flags` it is also in
  // waiting().
  JoinRow* insert(std::uint64_t hash, EventTime time, std::uint64_t sequence, std::string_view key,
                  std::size_t kept_size, unsigned flags);
  // The row has had its one match: gone, as if it had expired.
  void remove(std::uint64_t hash, RowAddress address);
  void set_matched(RowAddress address);
  // The row is not in waiting() any more (the caller drops it there); `out`: it went out unmatched, and a match takes
  // that back.
  void set_waited(JoinRow* row, RowAddress address, bool out);
  // Rows that want to know that they will never match, or which row they match.
  JoinWaiting& waiting() { return waiting_; }
  const JoinWaiting& waiting() const { return waiting_; }

  // `matches: earliest`, right side: rows later than closed_through() are also in unclosed(), until the right side's
  // own retention watermark has passed them.
  void keep_unclosed() { keeps_unclosed_ = true; }
  void set_closed_through(EventTime time) { closed_through_ = time; }
  EventTime closed_through() const { return closed_through_; }
  JoinWaiting& unclosed() { return unclosed_; }
  const JoinWaiting& unclosed() const { return unclosed_; }

  // Rows with time <= horizon are dead. Never goes back.
  void set_horizon(EventTime horizon) { horizon_ = horizon; }
  EventTime horizon() const { return horizon_; }
  // Gives memory back: drops at most `segments` dead segments, moves at most `rows` rows. Row pointers and addresses
  // obtained before are void afterwards. False: there are more dead segments.
  bool collect(unsigned segments, std::size_t rows);

  // What is new since the snapshot before, for the checkpoint writer.
  JoinSideSnapshot snapshot();

  // A restore: first the rows, whose bytes have been checked; once the horizon is known, all of them are linked.
  // A segment of an own checkpoint, in the order of their numbers: no part of the next snapshot.
  // Rows up to `horizon` had ended.
  Status adopt(std::uint64_t number, std::string_view rows, bool sealed, const JoinFlags& flags, EventTime horizon);
  void append_restored(const JoinRow* row, unsigned flags);
  // `due`: what was due then. `waits`: unmatched rows are in waiting(). Returns the largest sequence.
  std::uint64_t link_restored(EventTime due, bool waits);

  std::uint64_t rows() const { return log_.rows() - removed_in_log_; }
  std::size_t bytes() const;

 private:
  struct HotKey {
    TimeTree tree;
    std::uint64_t hash = 0;
  };
  RowAddress in_log(RowAddress address) const { return address < log_.tail() ? 0 : address; }
  bool is_live(const JoinRow* row) const { return row->time > horizon_ && counts(row); }
  bool is_unclosed(const JoinRow* row) const { return keeps_unclosed_ && row->time > closed_through_; }
  void stop_waiting(JoinRow* row);
  void set_flag(JoinRow* row, RowAddress address, unsigned flag);
  void link(std::uint64_t hash, RowLog::Place place);
  void recount(JoinIndex::Slot* slot, std::uint64_t hash);
  void drop_front();
  bool should_clean();
  void clean(std::size_t fuel);
  void move(JoinRow* row);
  void sweep_hot();

  RowLog log_;
  JoinIndex index_;
  std::vector<std::unique_ptr<HotKey>> hot_;
  std::vector<std::uint64_t> free_hot_;
  std::size_t hot_bytes_ = 0, sweep_at_ = 0;
  JoinWaiting waiting_, unclosed_;
  bool keeps_unclosed_ = false;
  EventTime closed_through_ = kMinTime;
  EventTime horizon_ = kMinTime;
  std::uint64_t removed_in_log_ = 0;

  bool cleaning_ = false;
  RowAddress clean_at_ = 0;  // rows of the front segment below it have been moved
  unsigned calls_ = 0;

  // Rows below have been handed over to a checkpoint; of sealed segments below all has been said.
  RowAddress handed_over_ = 0;
  std::uint64_t handed_number_ = 0;
  std::size_t handed_used_ = 0;
  std::vector<FlagChange> changes_;  // of rows that were handed over, since the last snapshot
};

// Sequences of rows. The low bits are the key group, so a sequence is unique among the rows that live, on any shard: a
// key group has one owner, and an owner counts on from what it restored.
struct JoinSequence {
  static constexpr unsigned kGroupBits = 7;
  static_assert(kKeyGroups == 1u << kGroupBits);
  static constexpr std::uint64_t of(std::uint64_t count, std::uint64_t hash) {
    return count << kGroupBits | key_group_of(hash);
  }
  static constexpr std::uint64_t count(std::uint64_t sequence) { return sequence >> kGroupBits; }
  static constexpr std::uint16_t group(std::uint64_t sequence) { return sequence & (kKeyGroups - 1); }
};

}  // namespace twinspan::engine
