#pragma once
// left.ts + lower <= right.ts <= left.ts + upper on equal keys (semantics.md, "Interval join"). Input 0 is left, 1
// right. Result rows are pairs; of an outer join also rows of one side that no pair has (the other side's columns are
// NULL); of semi and anti joins left rows alone: those with a match, once, and those without.
//
// What happens at a row, in this order:
// 1. The row's input watermark moves to what stood before the row. That may decide `matches: earliest`, and end rows:
//    unmatched ones of an outer join go out, ordered by (time, arrival), with the output watermark as it was before.
// 2. The output watermark is worked out anew; what follows carries it.
// 3. The row meets the live rows of the other side: results ordered by (time, arrival) of those.
// 4. It is kept if it can still match; else an unmatched row of an outer join goes out at once, and a row behind its
//    own input's retention watermark that matched nothing is late.
// A row with a NULL in its key matches nothing: in an outer join it waits to go out unmatched, else it is dropped. A
// row with time t is dead when: left, t + upper <= R of right; right, t - lower <= R of left (each R less `allow`).
// Rows are taken as inserts; a plan refuses retractions at a join.
//
// `first`: a left row takes the first match to arrive. `earliest`: the match with the smallest (time, arrival); decided
// as the right side's retention watermark reaches the matches' times, one right row after the other ("closing" it), so
// right rows are kept until then, too. With either a right row counts as matched if a left row has taken it.
//
// Unmatched rows before the last word (`unmatched: provisional`: when F of the other side says so, with
// `emit_unmatched_after` already so long after the row): they carry kProvisionalFlag; if a match comes, the row goes
// out again with RowOp::remove in front of the pair.
//
// Work is done in portions (operator.h): one costs `fuel` looks at rows, about.
//
// State: join_archive.h.
// Owner: the shard's plan. Thread: shard.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/operators/join_condition.h"
#include "engine/operators/join_output.h"
#include "engine/operators/join_side.h"
#include "engine/operators/operator.h"
#include "engine/state/row_codec.h"

namespace twinspan::engine {

struct IntervalJoinSpec {
  enum class Type { inner, left, right, full, semi, anti };
  enum class Matches { all, first, earliest };  // of a left row; semi and anti: all
  struct Side {
    std::vector<int> key;             // columns of the input
    std::vector<DataType> key_types;  // the same on both sides: equal keys must be equal bytes
    std::vector<int> kept;            // columns of the input that results or `where` have
    std::vector<DataType> kept_types;
  };
  struct LateColumn {
    int left = -1, right = -1;  // columns of the inputs; -1: NULL in rows of that input
  };

  Side left, right;
  std::int64_t lower = 0, upper = 0;  // ms, lower <= upper, either may be negative
  Type type = Type::inner;
  Matches matches = Matches::all;
  enum class Time { left, right } time = Time::left;  // whose event time a result has; an unmatched row has its own
  std::int64_t allow = 0;                             // lateness, ms: everything is kept that much longer
  std::optional<Predicate> where;                     // part of the match; over left kept, then right kept columns
  bool provisional = false;                           // neither of these two with `earliest`
  std::optional<std::int64_t> emit_unmatched_after;   // ms of event time of the other side
  Schema schema;                         // of the results: left kept columns, then (not semi, anti) right kept columns
  std::vector<LateColumn> late_columns;  // of late rows after the first, which says the side; empty: as they came in
  Schema late_schema;
  std::size_t segment_bytes = RowLog::kSegmentBytes;  // of the row logs; less only in tests
  std::int64_t slice_ms = 0;                          // of the queues of rows that wait; 0: by the bounds
  std::int64_t fuel = 8192;                           // of a portion
  std::size_t spill_bytes = 0;  // with more in memory, old rows are left to their segment files; 0: all stay
};

class IntervalJoin final : public Operator {
 public:
  explicit IntervalJoin(IntervalJoinSpec spec, unsigned shard = 0, unsigned shards = 1);

  void process(unsigned input, Batch&& batch, Output& out) override;
  void watermark(unsigned input, Watermark watermark, Output& out) override;
  void finish(Output& out) override;
  bool pending() const override { return work_.active; }
  void resume(Output& out) override;
  void snapshot(DeltaWriter& out) override;
  Status restore(const StateEntry& entry) override;
  bool restores_all_groups() const override { return true; }  // entries are of segments
  bool wants_segments() const override { return spec_.spill_bytes > 0; }
  void use_segments(SegmentStore& store) override;
  Status restore_segments(const std::vector<SealedSegment>& segments) override;
  void restore_watermark(unsigned input, Watermark watermark) override;
  OperatorStats stats() const override;
  const Schema& schema() const override { return spec_.schema; }

  // Rows looked at so far, in probes and at their ends: what the promises about cost are tested by.
  std::uint64_t visited() const { return visited_; }
  // The width of the slices that rows wait in (JoinWaiting), by side.
  std::int64_t slice_ms(unsigned side) const { return slice_ms_[side]; }

 private:
  using Type = IntervalJoinSpec::Type;
  using Matches = IntervalJoinSpec::Matches;
  using Time = IntervalJoinSpec::Time;
  static constexpr unsigned kGroup = 32;  // rows whose memory accesses overlap

  struct Probe {
    std::string_view key;
    std::uint64_t hash;
    EventTime low, high;   // times of the other side that match
    Watermark before;      // of the own input
    RowAddress at;         // next row of the chain to look at
    const TimeTree* tree;  // or the hot key's tree
    std::int32_t matches;  // first in candidates_, -1 none
    bool null_key;
  };
  struct Candidate {
    RowAddress address;
    JoinRow* row;
    std::int32_t next;
    std::uint32_t incoming;   // row of the batch
    std::int32_t error = -1;  // in condition_errors_
    bool passes = true;
  };
  static bool by_arrival(const Candidate& a, const Candidate& b) { return a.row->sequence < b.row->sequence; }
  static bool by_time(const Candidate& a, const Candidate& b) {
    return a.row->time != b.row->time ? a.row->time < b.row->time : by_arrival(a, b);
  }
  // What restore() was given, by side and segment.
  struct Restored {
    std::map<std::uint32_t, std::string> rows;  // of an open segment, by offset
    JoinFlags flags;
  };
  // A scan of a hot key's tree, over several portions if need be.
  struct Scan {
    EventTime time = kMinTime;
    std::uint64_t sequence = 0;
    bool started = false, ended = false;
    Candidate best{};  // where one match is wanted
  };
  struct Mark {
    unsigned input;
    Watermark watermark;
  };
  // What is left of the last call.
  struct Work {
    enum class Phase : std::uint8_t { enter, expire, match };
    bool active = false, collecting = false;
    unsigned input = 0;
    Batch batch;
    std::uint32_t row = 0, group = 0, group_rows = 0;  // row in hand; the group that probes_ are of
    Mark marks[2];
    unsigned mark = 0, mark_count = 0;
    Phase phase = Phase::enter;
    bool matched = false, failed = false;  // the row in hand has a match; its condition failed
    Scan scan;
    bool closing = false;  // the first row of unclosed() is being closed
  };

  bool pairs() const { return spec_.type != Type::anti; }
  bool left_only() const { return spec_.type == Type::semi || spec_.type == Type::anti; }
  bool earliest() const { return spec_.matches == Matches::earliest; }
  bool once() const { return spec_.matches != Matches::all || left_only(); }  // a left row is gone after one match
  bool outer(unsigned side) const { return outer_[side]; }
  bool waits(unsigned side) const { return outer_[side] || (side == 0 && earliest()); }
  bool stopped() const { return fuel_ <= 0 || output_.full(); }

  // Time (interval_join.cpp)
  Watermark output_watermark();
  void refresh_watermark();
  bool enter(unsigned input, Watermark to);  // `to`: retention less `allow`; true if it moved
  void update_horizons();
  EventTime due_through(unsigned side) const;
  bool expire(Output& out);
  bool expire_side(unsigned side, Output& out);
  bool close_rows(Output& out);
  bool close_row(RowAddress address, Output& out);
  void emit_unmatched(unsigned side, const JoinRow* row, std::uint8_t flags, Output& out);

  // Portions
  void begin(Work&& work);
  bool run(Output& out);
  bool run_rows(Output& out);
  bool collect();
  void spill();
  void release_pages(Output& out);
  void emit_late(Output& out);

  // Rows (interval_join_match.cpp)
  void look_up(std::uint32_t begin, unsigned n);
  void walk_chains(unsigned n);
  void test_candidates();
  bool process_row(Output& out);
  bool match(const Probe& probe, Output& out);
  void match_chain(const Probe& probe, Output& out);
  bool match_tree(const Probe& probe, Output& out);
  void find_in_tree(const TimeTree& tree, unsigned side, std::string_view key, EventTime low, EventTime high,
                    unsigned needs);
  void test_found(const JoinRow* closing, Output& out);
  void take(const Candidate& candidate, Output& out);
  void fail(std::string_view reason, Output& out);
  void settle_row(const Probe& probe, Output& out);
  void keep(const Probe& probe, Output& out);

  // State (interval_join_state.cpp)
  Status check_rows(unsigned side, std::string_view rows) const;
  bool is_own(const JoinSegmentId& id) const { return id.shard == shard_ && id.shards == shards_; }
  Status restore_rows(unsigned side, const JoinSegmentId& id, std::string_view rows, bool sealed);
  void start();  // before the first call

  const IntervalJoinSpec spec_;
  const unsigned shard_, shards_;
  const bool outer_[2];
  const bool early_;
  const std::int64_t slice_ms_[2];
  RowCodec key_codec_[2], kept_codec_[2];
  JoinSide sides_[2];
  std::optional<JoinCondition> condition_;
  Watermark input_[2];  // retention less `allow`
  Watermark told_, current_;
  bool held_ = false;           // current_ is what it is because of a row that waits
  bool hold_changed_ = false;   // and such a row has gone since
  std::uint64_t arrivals_ = 0;  // rows ever kept, or the largest count restored
  JoinOutput output_;
  OperatorStats stats_;
  std::uint64_t visited_ = 0;

  bool started_ = false;
  bool spills_ = false;
  std::string failure_;  // rows could not be read again: nothing goes on, no barrier passes
  std::map<JoinSegmentId, Restored> restored_[2];
  std::map<std::pair<std::uint16_t, std::uint16_t>, JoinHorizons> restored_horizons_;  // by shard, shards
  std::shared_ptr<JoinArchive> archive_;

  Work work_;
  std::int64_t fuel_ = 0;
  Probe probes_[kGroup];
  std::string keys_;
  std::vector<Candidate> candidates_;  // of the group, in chains
  std::vector<Candidate> found_;       // of the row in hand, in order
  std::vector<std::string> condition_errors_;
  EvalErrors errors_;
  std::vector<std::uint32_t> late_;
};

}  // namespace twinspan::engine
