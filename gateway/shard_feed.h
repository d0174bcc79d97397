#pragma once
// A source as one shard reads it: raw records from its reader, within the rate limit, decoded, with the watermark
// before each row. Failing records go to the dead letters; so do rows too far in the future to be believed. Owned by
// the shard's thread object. Thread: shard, except figures(): any.

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "connectors/formats/json_decoder.h"
#include "connectors/source.h"
#include "engine/base/clock.h"
#include "engine/runtime/shard.h"
#include "engine/runtime/watermark_tracker.h"
#include "gateway/dead_letter_desk.h"
#include "gateway/plan.h"
#include "throttle/token_bucket.h"

namespace twinspan::gateway {

// What a checkpoint knows of a lane; survives changes of the shard count because it is by lane.
struct RestoredLane {
  connectors::LanePosition position;
  EventTime max_time = kMinTime;
};
struct RestoredFeed {
  Watermark watermark;
  std::vector<RestoredLane> lanes;
};
// The states of one source in all shards, as barrier_state() wrote them. An error names what is wrong.
Result<RestoredFeed> parse_feed_states(const std::vector<std::string>& states);

struct FeedFigures {
  std::atomic<std::uint64_t> records{0}, bytes{0}, failed{0}, throttled_ms{0};
};

// A range that a lag discard (or on_gap: skip) left out, for the ledger.
struct SkippedRange {
  std::string source;
  connectors::LaneKey lane;
  std::int64_t from = 0, to = 0;
  std::string why;         // "discard <id>: <reason>", "gap: ..."
  bool at_return = false;  // a pending cut, taken when its cluster came back
};

class ShardFeed final : public engine::Feed {
 public:
  ShardFeed(const SourcePlan& plan, connectors::SourceReader& reader, std::unique_ptr<connectors::JsonDecoder> decoder,
            throttle::TokenBucket& bucket, std::atomic<EventTime>& source_firing, DeadLetterDesk& dead_letters,
            ErrorCounts& counts, const Clock& clock);

  void restore(const RestoredFeed& restored);

  bool poll(std::int64_t now_ms, Batch& out) override;
  Watermark watermark(std::int64_t now_ms) override;
  bool idle() const override { return tracker_.idle(); }
  bool idle_firing() const override { return tracker_.idle_firing(); }
  bool ended() const override { return reader_.ended(); }
  std::string barrier_state() override;

  // Lag discard. Returns the skipped range; empty if the lane was already past it.
  SkippedRange jump(LaneIndex lane, std::int64_t to, const std::string& why);
  // Ranges that were skipped without a command (gaps, pending cuts taken at a return). Thread: shard.
  std::vector<SkippedRange> take_skipped() { return std::exchange(skipped_, {}); }

  const FeedFigures& figures() const { return figures_; }
  const std::string& source() const { return plan_.id; }
  struct LaneTime {
    connectors::LaneKey lane;
    EventTime watermark = kMinTime;
    bool idle = false;
    bool counts = false;  // others wait for it (WatermarkTracker::lane_counts)
    bool paused = false;
  };
  std::vector<LaneTime> lane_times() const;
  void set_lane_paused(const connectors::LaneKey& lane, bool paused);
  void give_up_outage() { tracker_.give_up_outage(); }
  bool outage() const { return tracker_.outage(); }

  // For pipelines in virtual time. Every live lane `wanted` names is now where a row with `watermark` as what is left
  // of its time (out_of_order taken off) would have brought it.
  using LaneFilter = std::function<bool(const connectors::LaneKey&)>;
  void reach(EventTime watermark, const LaneFilter& wanted, std::int64_t now_ms);
  // Lanes that `wanted` names had a row just now, as far as idleness goes.
  void keep_alive(const LaneFilter& wanted, std::int64_t now_ms);
  // The watermark is computed again at the next watermark(), although no time has passed.
  void refresh() { due_ = true; }
  // The first stopped lane's reason, if on_gap says that the pipeline must not go on.
  const std::string& stopped_lane() const { return stopped_lane_; }

 private:
  void take_events(std::int64_t now_ms);
  void reject_future_rows(Batch& batch);

  const SourcePlan& plan_;
  connectors::SourceReader& reader_;
  std::unique_ptr<connectors::JsonDecoder> decoder_;
  throttle::TokenBucket& bucket_;
  std::atomic<EventTime>& source_firing_;  // the furthest of all shards
  DeadLetterDesk& dead_letters_;
  ErrorCounts& counts_;
  const Clock& clock_;
  engine::WatermarkTracker tracker_;
  std::map<connectors::LaneKey, EventTime> restored_max_;
  std::map<std::string, connectors::ClusterState> clusters_;
  std::vector<connectors::LaneKey> lanes_;  // by the desk's LaneIndex, which batches carry; others' lanes are empty
  std::vector<LaneIndex> of_source_;        // the source's LaneIndex -> the desk's
  std::map<connectors::LaneKey, LaneIndex> by_key_;  // the source's LaneIndex
  std::set<connectors::LaneKey> paused_;
  std::vector<connectors::RawRecord> records_;
  std::vector<connectors::DecodeFailure> failures_;
  std::vector<connectors::LaneEvent> events_;
  std::vector<SkippedRange> skipped_;
  std::string stopped_lane_;
  FeedFigures figures_;
  std::int64_t advanced_at_ = -1, throttled_since_ = -1;
  bool due_ = false;  // something happened to a lane or cluster: the watermark does not wait for its period
};

}  // namespace twinspan::gateway
