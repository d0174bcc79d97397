#pragma once
// What stands before the exchange of a window step with `skew`: rows of hot keys are counted where they were read, a
// batch at a time, and go to the shard of their key as one row a window with what they count (local-global aggregation,
// Flink's mini-batch and two-phase aggregation). So a key with 40 % of all rows costs its shard a few merges a batch.
//
// Results are those without it, record by record: a combined row stands where its first row stood, and holds only rows
// between which nothing is decided about their window, by the watermark here: no firing, early or not, no lateness.
// Where the watermark there is ahead of that (others were not idle), CombinedInput takes them one by one: the rows
// themselves go along by reference. It holds nothing between two calls, so it has no state, and what it combined
// depends on batches but no result does.
// Owned by the shard. Thread: shard.

#include <cstdint>
#include <string>
#include <vector>

#include "engine/aggregates/accumulators.h"
#include "engine/operators/calendar.h"
#include "engine/operators/hot_keys.h"
#include "engine/operators/operator.h"
#include "engine/state/row_codec.h"

namespace twinspan::engine {

class CombineRows final : public Operator {
 public:
  // `window` is valid, its skew not off, its DISTINCT counts split (new_values.h) unless it is updating; `schema` is
  // that of the rows.
  CombineRows(WindowSpec window, const Schema& schema, unsigned shards);

  void process(unsigned input, Batch&& batch, Output& out) override;
  void watermark(unsigned input, Watermark watermark, Output& out) override;
  void restore_watermark(unsigned, Watermark watermark) override { now_ = watermark; }
  OperatorStats stats() const override;
  const Schema& schema() const override { return schema_; }

 private:
  static constexpr std::uint32_t kNoPart = 0xFFFF'FFFF;
  static constexpr std::size_t kParts = 8;  // of a key in a batch: more are not worth looking through

  // Rows of one key that will be one row.
  struct Part {
    EventTime from, to;   // its pane; of session and global windows its first and last time
    EventTime until;      // as CombinedRows
    Watermark at;         // of the first row
    std::int64_t moment;  // which early results have been told of the window
    std::uint32_t rows;
  };
  struct HotKey {
    std::uint64_t batch = 0;           // what follows is of this batch
    bool closed = false;               // no more: what comes goes by itself
    std::string key;                   // encoded
    std::vector<std::uint32_t> parts;  // in the order of their first rows
  };
  struct Placed {
    std::uint32_t row, part;
  };

  bool session() const { return window_.kind == WindowKind::session; }
  void place_rows(const Batch& batch, const std::uint64_t* hash);
  std::uint32_t place(HotKey& hot, EventTime t, Watermark at);
  bool takes(const Part& part, EventTime t, Watermark at);
  bool open(Part& part, EventTime t, Watermark at);
  std::int64_t moment_of(EventTime start, EventTime firing);
  Batch combined(Batch&& batch);

  const WindowSpec window_;
  const Schema& schema_;
  Calendar calendar_;
  RowCodec codec_;
  Accumulators accumulators_;
  const bool passes_;  // one shard: there is none to help it
  HotKeys hot_keys_;
  Watermark now_;

  std::uint64_t batches_ = 0;
  std::vector<HotKey> keys_;  // by number
  std::string key_bytes_;
  // Of the batch.
  std::vector<Part> parts_;
  std::vector<Placed> placed_;       // rows with a part
  std::vector<std::uint32_t> part_;  // of each row; kNoPart
  OperatorStats stats_;
};

}  // namespace twinspan::engine
