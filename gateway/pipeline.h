#pragma once
// One running pipeline (today: one unit): its sources, shards, sinks, checkpoints, and the control thread that keeps
// them going. Everything that operators ask of it is here; admin/ reaches it through the service.
//
//   starting ──▶ running ◀──▶ waiting (no source cluster answers)      running ◀──▶ paused
//                   └──▶ finished (bounded) | stopped (asked) | failed (reason says why)
//
// Owned by the service. Thread: control (make, start, stop); the rest any.

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <spdlog/logger.h>

#include "admin/control_plane.h"
#include "engine/base/clock.h"
#include "engine/checkpoint/base_merger.h"
#include "engine/checkpoint/checkpoint_store.h"
#include "gateway/checkpoint_cycle.h"
#include "gateway/connector_factory.h"
#include "gateway/journal.h"
#include "gateway/plan.h"
#include "gateway/shard_thread.h"
#include "throttle/discard_plan.h"
#include "throttle/state_pressure.h"

namespace twinspan::gateway {

struct PipelineEnvironment {
  const Clock& clock;
  engine::FileSystem& files;
  ConnectorFactory& connectors;
  std::string directory;  // of this pipeline, below the data directory
  bool bounded = false;   // read to the end and finish; keeps no checkpoint
  std::shared_ptr<spdlog::logger> log;
  bool stepped = false;  // no threads of its own: the owner moves the clock and calls step() (driver/)
};

class Pipeline {
 public:
  Pipeline(std::unique_ptr<config::PipelineSpec> spec, std::unique_ptr<Plan> plan, PipelineEnvironment environment);
  ~Pipeline();

  const std::string& name() const { return plan_->name; }
  // Restores, connects, starts. An error leaves nothing running.
  Status start();
  // Sources stop, a last barrier passes and is prepared, sinks are flushed. `deadline_ms` bounds the wait for sinks;
  // what is not acknowledged by then is read again after the next start.
  Status stop(int deadline_ms);
  // Stepped pipelines: one step of every shard and of the control loop, in the calling thread. True: there was
  // something to do.
  bool step();
  // Stepped pipelines: the shards, in order.
  void visit_shards(const std::function<void(ShardParts&)>& visit);
  // Stepped pipelines: asks for a checkpoint; last_checkpoint() says when it is there.
  void checkpoint_now() { cycle_->request_now(); }
  CheckpointFigures last_checkpoint() const { return cycle_->figures(); }
  bool finished() const { return state() == admin::PipelineState::stopped || state() == admin::PipelineState::failed; }
  bool restored() const { return restored_.load(); }
  bool bounded() const { return env_.bounded; }

  admin::PipelineState state() const;
  std::string reason() const;
  admin::PipelineStatus status() const;
  Status pause(const std::string& reason);
  Status resume();
  Status set_throttle(const std::string& source, const admin::RateLimits& limits);
  Result<admin::DiscardPlan> plan_discard(const std::optional<std::string>& source, const admin::DiscardTarget& target);
  Result<admin::Discard> execute_discard(const std::string& plan_id, const std::string& reason);
  std::vector<admin::Discard> discards() const;

 private:
  struct RateSample {
    std::uint64_t records = 0, bytes = 0;
    double records_per_s = 0, bytes_per_s = 0;
  };
  struct PlannedCut {
    std::string source;
    connectors::LaneCut cut;
    bool pending = false;
    std::uint64_t operation = 0;  // restored ones
  };
  struct BudgetWatch {
    const StepBudget* budget;
    throttle::StatePressure pressure;
    bool shedding;
  };
  struct ErrorWindow {
    std::int64_t at = 0;
    std::uint64_t records = 0, failed = 0;
  };

  Status open_state();
  Status claim_incarnation(std::uint64_t above);
  void wait_for_cut(const std::string& source, const connectors::LaneCut& cut, std::uint64_t operation);
  Status build();
  Status apply_restored(const engine::RestoredState& state);
  Status reapply_operations();
  void control_loop(std::stop_token stop);
  bool control_tick();  // false: nothing is left to do
  void sample_rates(std::int64_t now);
  void check_errors(std::int64_t now);
  void check_clusters();
  void fail(const std::string& why);
  void set_state(admin::PipelineState state, const std::string& reason);
  std::string begin_barrier(Epoch epoch);
  bool acknowledged(const std::vector<engine::ShardBarrier>& barriers) const;
  void record_skipped(SkippedRange range);
  void set_started();
  void set_paused(bool paused);
  void build_budgets();
  void check_budgets(std::int64_t now);
  std::vector<bool> check_outages(const std::vector<std::shared_ptr<const ShardSnapshot>>& shards,
                                  const std::vector<std::uint64_t>& state);
  void check_steps(const std::vector<std::shared_ptr<const ShardSnapshot>>& shards,
                   const std::vector<std::uint64_t>& state, const std::vector<bool>& outage);
  void record_shed(const std::vector<engine::ShedRows>& shed, const DeadLetterDesk& desk);
  unsigned source_index(const std::string& name) const;  // sources_.size() if there is none
  admin::Discard describe(const DiscardOperation& operation) const;

  std::unique_ptr<config::PipelineSpec> spec_;
  std::unique_ptr<Plan> plan_;
  PipelineEnvironment env_;
  unsigned shards_ = 1;
  std::uint64_t incarnation_ = 0;

  engine::CheckpointStore store_;
  Ledger ledger_;
  OperationLog operations_;
  std::vector<RestoredFeed> restored_feeds_;
  std::vector<std::vector<std::vector<Watermark>>> restored_watermarks_;  // [shard][node][input]

  ErrorCounts errors_;
  std::vector<std::unique_ptr<throttle::TokenBucket>> buckets_;         // by source
  std::vector<std::unique_ptr<std::atomic<EventTime>>> source_firing_;  // by source: the furthest of all shards
  std::vector<std::unique_ptr<connectors::Source>> sources_;
  std::vector<std::unique_ptr<connectors::Sink>> sinks_;  // by Graph::terminals; the dead letters are the last, if any
  std::vector<std::pair<std::uint64_t, std::string>> routes_;  // by sink: generation, cluster
  std::unique_ptr<engine::ExchangeRings> rings_;
  std::vector<std::unique_ptr<ShardThread>> threads_;
  std::vector<BudgetWatch> budgets_;             // Thread: control, as the next three
  std::vector<throttle::OutageBudget> outages_;  // by source
  std::set<std::pair<unsigned, connectors::LaneKey>> paused_lanes_;
  std::int64_t next_budget_look_ = 0;
  std::unique_ptr<CheckpointCycle> cycle_;
  std::unique_ptr<engine::BaseMerger> merger_;

  mutable std::mutex mutex_;  // state, rates, plans, operations, skipped ranges
  std::condition_variable changed_;
  admin::PipelineState state_ = admin::PipelineState::starting;
  std::string reason_;
  std::int64_t since_ms_ = -1;
  std::string pause_reason_;  // of user_paused_; kept in checkpoints
  std::vector<RateSample> rates_;
  std::vector<std::uint64_t> sink_records_;
  std::vector<double> sink_rates_;
  std::int64_t sampled_at_ = -1;
  std::vector<ErrorWindow> error_windows_;
  throttle::PlanBook plans_;
  std::map<std::string, std::vector<PlannedCut>> planned_cuts_;  // by plan id
  // Operations whose cut of a lane is pending, oldest first: the order in which the source takes them.
  std::map<std::pair<std::string, connectors::LaneKey>, std::deque<std::uint64_t>> waiting_cuts_;
  std::vector<SkippedRange> skipped_;
  std::vector<std::uint64_t> outage_held_;  // by source: bytes kept for a lost cluster
  std::uint64_t last_operation_ = 0;
  std::uint64_t barrier_operation_ = 0;  // the last one before the barrier under way. Thread: control
  std::mutex executing_;                 // discards one after the other: last_operation_ never runs ahead of a jump
  std::uint64_t discarded_ = 0;
  std::mutex routes_mutex_;

  std::atomic<bool> restored_{false}, stopping_{false}, held_{false}, user_paused_{false};
  bool controlled_ = true;  // stepped: control_tick() still has something to do
  std::jthread control_;
};

}  // namespace twinspan::gateway
