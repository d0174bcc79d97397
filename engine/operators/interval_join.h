#pragma once
// left.ts + lower <= right.ts <= left.ts + upper on equal keys (semantics.md, "Interval join"). Input 0 is left, 1
// right.
//
// What happens at a row, in this order:
// 1. The row's input watermark moves to what stood before the row. If that ends rows of the other side, unmatched ones
//    (left join) go out, ordered by (time, arrival), with the output watermark as it was before.
// 2. The output watermark is worked out anew; what follows carries it.
// 3. The row meets the live rows of the other side: results ordered by (time, arrival) of those.
// 4. It is kept if it can still match; else an unmatched left row goes out at once (left join), and a row behind its
// own
//    input's retention watermark that matched nothing is late.
// A row with a NULL in its key matches nothing: of a left join's left input it waits to go out unmatched, else it is
// dropped. A row with time t is dead when: left, t + upper <= R of right; right, t - lower <= R of left (each R less
// `allow`). Rows are taken as inserts; a plan refuses retractions at a join.
//
// State entries: space 0 left rows, 1 right rows; tag = the time of death; see JoinRowEntry.
// Owner: the shard's plan. Thread: shard.

#include <string>
#include <unordered_map>
#include <vector>

#include "engine/operators/join_output.h"
#include "engine/operators/join_side.h"
#include "engine/operators/operator.h"
#include "engine/state/row_codec.h"

namespace twinspan::engine {

struct IntervalJoinSpec {
  enum class Type { inner, left };
  enum class Matches { all, first };  // first: a left row takes at most its first match by arrival
  struct Side {
    std::vector<int> key;             // columns of the input
    std::vector<DataType> key_types;  // the same on both sides: equal keys must be equal bytes
    std::vector<int> kept;            // columns of the input that results have
    std::vector<DataType> kept_types;
  };

  Side left, right;
  std::int64_t lower = 0, upper = 0;  // ms, lower <= upper, either may be negative
  Type type = Type::inner;
  Matches matches = Matches::all;
  enum class Time { left, right } time = Time::left;  // whose event time a result has; an unmatched row has its own
  std::int64_t allow = 0;                             // lateness, ms: everything is kept that much longer
  Schema schema;                                      // of the results: left kept columns, then right kept columns
  std::size_t segment_bytes = RowLog::kSegmentBytes;  // of the row logs; less only in tests
};

class IntervalJoin final : public Operator {
 public:
  explicit IntervalJoin(IntervalJoinSpec spec);

  void process(unsigned input, Batch&& batch, Output& out) override;
  void watermark(unsigned input, Watermark watermark, Output& out) override;
  void finish(Output& out) override;
  void snapshot(DeltaWriter& out) override;
  Status restore(const StateEntry& entry) override;
  void restore_watermark(unsigned input, Watermark watermark) override;
  OperatorStats stats() const override;
  const Schema& schema() const override { return spec_.schema; }

 private:
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
  };
  struct Restored {
    std::int64_t tag;
    std::string value;
  };

  bool left_join() const { return spec_.type == IntervalJoinSpec::Type::left; }
  bool first_only() const { return spec_.matches == IntervalJoinSpec::Matches::first; }
  Watermark output_watermark() const;
  bool advance(unsigned input, Watermark to, Output& out);  // `to`: retention less `allow`; true if it moved
  void update_horizons();
  void emit_unmatched(Output& out);
  void settle(Output& out, std::size_t fuel);

  void look_up(unsigned input, const Batch& batch, std::uint32_t begin, unsigned n);
  void walk_chains(unsigned input, unsigned n);
  void process_row(unsigned input, const Batch& batch, std::uint32_t row, const Probe& probe, Output& out);
  bool match(unsigned input, std::uint32_t row, EventTime time, const Probe& probe, Output& out);
  void gather_matches(unsigned input, const Probe& probe);
  void keep(unsigned input, const Batch& batch, std::uint32_t row, const Probe& probe, bool matched);
  void load_restored();

  const IntervalJoinSpec spec_;
  RowCodec key_codec_[2], kept_codec_[2];
  JoinSide sides_[2];
  Watermark input_[2];  // retention less `allow`
  Watermark told_, current_;
  std::uint64_t arrivals_ = 0;  // rows ever kept, or the largest count restored
  JoinOutput output_;
  OperatorStats stats_;

  std::unordered_map<std::string, Restored> restored_[2];

  Probe probes_[kGroup];
  std::string keys_;
  std::vector<Candidate> candidates_;
  std::vector<Candidate> found_;
  std::vector<std::uint32_t> late_;
};

}  // namespace twinspan::engine
