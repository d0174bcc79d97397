#pragma once
// Lag discard as a decision: from what is known of every lane at the click, which records are to be skipped.
// No broker is asked here; the source looks up offsets first (connectors) and its readers jump afterwards.
// Rules (semantics.md, protocol.md 25-26): nothing produced after the click is ever dropped, so every `to` is
// at most the end seen at the click; a lane never goes backwards; what is unknown is read, not dropped; a
// lane that cannot be reached keeps the cut as pending. Thread: any (pure).

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace twinspan::throttle {

struct DiscardTarget {
  enum class Kind : std::uint8_t { latest, timestamp, keep_last };
  Kind kind = Kind::latest;
  std::int64_t ms = 0;  // timestamp: wall ms since 1970; keep_last: a duration
};

// The record time that has to be located in each lane before planning; nullopt = none (latest). At most
// `click_ms`.
std::optional<std::int64_t> time_to_locate(const DiscardTarget& target, std::int64_t click_ms);

struct PendingCut {
  std::int64_t cut_ms = 0;
  std::int64_t cut_offset = -1;
  friend bool operator==(const PendingCut&, const PendingCut&) = default;
};

// One lane as seen at the click. Offsets: -1 = not known.
struct LaneView {
  std::string source, cluster, topic;
  std::int32_t partition = 0;
  std::int64_t position = 0;  // next record to read
  std::int64_t end = -1;      // last end offset seen before the click
  std::int64_t low = -1;      // first offset the broker still has
  bool reachable = true;
  // First offset whose timestamp is >= time_to_locate(); past_end = all records are older. nullopt = not
  // found out.
  struct Located {
    std::int64_t offset = -1;
    bool past_end = false;
  };
  std::optional<Located> located;
  std::int64_t first_timestamp = -1,
               last_timestamp = -1;  // of the span that would be skipped, as far as known
  std::vector<PendingCut> pending;   // cuts this lane already waits for, oldest first
};

struct LaneDiscard {
  std::string source, cluster, topic;
  std::int32_t partition = 0;
  bool pending = false;  // taken at the cluster's return; `cut` says what
  PendingCut cut;
  std::int64_t from = 0, to = 0;  // [from, to) if not pending; equal = nothing to do
  std::int64_t records = 0;       // to - from, without what retention has already removed
  std::int64_t first_timestamp = -1, last_timestamp = -1;
  std::string note;  // why there is nothing to do, or that it waits
};

struct DiscardPlan {
  DiscardTarget target;
  std::int64_t click_ms = 0;
  std::vector<LaneDiscard> lanes;  // one for each LaneView, same order
  std::int64_t records = 0;        // totals
  std::int64_t first_timestamp = -1, last_timestamp = -1;
  unsigned pending_lanes = 0;
  bool nothing_to_do() const { return records == 0 && pending_lanes == 0; }
};

DiscardPlan plan_discard(const std::vector<LaneView>& lanes, const DiscardTarget& target, std::int64_t click_ms);

// Plans waiting for their execution. Remembers the last kKept, so that it can say why an old id is refused.
// Owned by the pipeline's control; thread: control.
class PlanBook {
 public:
  static constexpr std::int64_t kValidMs = 5 * 60 * 1000;
  static constexpr std::size_t kKept = 256;

  // `seed` makes ids differ between runs of the process.
  explicit PlanBook(std::uint64_t seed) : seed_(seed) {}

  struct Entry {
    std::string id, pipeline;
    std::int64_t created_ms = 0, expires_ms = 0;
    DiscardPlan plan;
    bool executed = false;
  };

  // The reference is valid until the next call.
  const Entry& add(std::string pipeline, DiscardPlan plan, std::int64_t now_ms);

  // Hands a plan out for execution, once. Errors are conflicts with a code: reason_missing (the plan stays
  // valid), plan_unknown, plan_of_another_pipeline, plan_executed, plan_expired.
  Result<Entry> take(const std::string& id, const std::string& pipeline, const std::string& reason,
                     std::int64_t now_ms);

 private:
  std::uint64_t seed_, made_ = 0;
  std::vector<Entry> entries_;  // oldest first; few, so searched
};

}  // namespace twinspan::throttle
