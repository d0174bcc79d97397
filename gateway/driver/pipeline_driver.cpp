#include "gateway/driver/pipeline_driver.h"

#include <algorithm>

#include <spdlog/sinks/null_sink.h>

#include <fmt/format.h>

namespace twinspan::gateway {

using connectors::LaneKey;

namespace {
constexpr const char* kDirectory = "/pipeline";
constexpr int kQuietRounds = 3;             // a step may leave something for the next although nothing came in
constexpr int kMostRounds = 10'000'000;     // a pipeline that never comes to rest is a bug
constexpr std::int64_t kNever = 1ll << 50;  // checkpoints come when asked for
}  // namespace

PipelineDriver::PipelineDriver(const config::PipelineSpec& spec, DriverOptions options)
    : spec_(spec),
      options_(options),
      clock_(options.clock_ms),
      world_(clock_, std::max<std::size_t>(1, options.batch)) {
  for (const auto& s : spec.sources) {
    if (s.value.file) {
      world_.add_lane(virtual_lane(s.value, "file", 0));
      continue;
    }
    for (const config::Id& cluster : s.value.clusters->names) world_.add_lane(virtual_lane(s.value, cluster.value, 0));
  }
}

PipelineDriver::~PipelineDriver() { pipeline_.reset(); }

void PipelineDriver::add_partition(const std::string& source, const std::string& cluster, std::int32_t partition) {
  world_.add_lane(virtual_lane(source_spec(source), cluster, partition));
}

Status PipelineDriver::start() {
  TS_TRYV(open());
  settle();
  return ok();
}

Status PipelineDriver::open() {
  auto spec = std::make_unique<config::PipelineSpec>(spec_);
  spec->shards.count = options_.shards;
  spec->checkpoint.every = config::Duration(kNever);
  config::Diagnostics diagnostics;
  auto plan = make_plan(*spec, diagnostics);
  if (plan == nullptr) return config_error(diagnostics.render());
  plan_ = plan.get();
  auto log = std::make_shared<spdlog::logger>(spec_.name.value, std::make_shared<spdlog::sinks::null_sink_st>());
  PipelineEnvironment environment{clock_, files_, world_, kDirectory, false, std::move(log), true};
  pipeline_ = std::make_unique<Pipeline>(std::move(spec), std::move(plan), std::move(environment));
  return pipeline_->start();
}

void PipelineDriver::close(bool crash) {
  for (const StepInfo& step : plan_->steps) late_before_[step.id] = late_rows(step.id);
  if (crash) told_.clear();
  pipeline_.reset();
}

void PipelineDriver::settle() {
  // What other shards reached is looked at again, although the clock stands still.
  each_feed([](unsigned, ShardFeed& feed) { feed.refresh(); });
  int quiet = 0;
  for (int rounds = 0; quiet < kQuietRounds; ++rounds) {
    TS_CHECK(rounds < kMostRounds);
    quiet = pipeline_->step() ? 0 : quiet + 1;
  }
  note_watermarks();
}

void PipelineDriver::each_feed(const std::function<void(unsigned, ShardFeed&)>& visit) const {
  pipeline_->visit_shards([&](ShardParts& parts) {
    for (unsigned i = 0; i < parts.feeds.size(); ++i) visit(i, *parts.feeds[i]);
  });
}

std::map<PipelineDriver::LaneOf, bool> PipelineDriver::idle_lanes() const {
  std::map<LaneOf, bool> out;
  each_feed([&](unsigned source, ShardFeed& feed) {
    for (const ShardFeed::LaneTime& l : feed.lane_times()) out[{source, l.lane}] = l.idle;
  });
  return out;
}

void PipelineDriver::pass_time(std::int64_t ms, const std::function<bool(const LaneOf&)>& kept, bool unseen) {
  const auto idle = idle_lanes();
  unseen ? clock_.advance_unseen(ms) : clock_.advance(ms);
  each_feed([&](unsigned source, ShardFeed& feed) {
    feed.keep_alive(
        [&](const LaneKey& key) {
          const auto known = idle.find({source, key});
          return known != idle.end() && !known->second && kept({source, key});
        },
        clock_.monotonic_ms());
  });
}

void PipelineDriver::send(const std::string& source, const std::string& cluster, std::int32_t partition,
                          std::vector<VirtualRecord> records) {
  const LaneKey lane = virtual_lane(source_spec(source), cluster, partition);
  for (VirtualRecord& r : records) world_.push(lane, std::move(r));
  settle();
}

void PipelineDriver::watermark(EventTime to, const LaneFilter& lanes) {
  pass_time(std::max<std::int64_t>(0, to - clock_.wall_ms()), [](const LaneOf&) { return true; });
  each_feed([&](unsigned source, ShardFeed& feed) {
    const std::string& id = plan_->sources[source].id;
    feed.reach(
        to, [&](const LaneKey& key) { return lanes(id, key); }, clock_.monotonic_ms());
  });
  settle();
}

void PipelineDriver::advance(std::int64_t ms) {
  clock_.advance(ms);
  settle();
}

void PipelineDriver::idle(const std::string& source, const std::string& cluster, std::int32_t partition) {
  const LaneKey lane = virtual_lane(source_spec(source), cluster, partition);
  pass_time(source_spec(source).event_time.idle_after.count(),
            [&](const LaneOf& other) { return plan_->sources[other.source].id != source || other.key != lane; });
  settle();
}

void PipelineDriver::cluster_down(const std::string& cluster) {
  world_.set_down(cluster, true);
  down_since_[cluster] = clock_.monotonic_ms();
  settle();
}

void PipelineDriver::cluster_up(const std::string& cluster) {
  world_.set_down(cluster, false);
  down_since_.erase(cluster);
  settle();
}

void PipelineDriver::end() {
  world_.end();
  settle();
}

Status PipelineDriver::checkpoint() {
  const CheckpointFigures before = pipeline_->last_checkpoint();
  pipeline_->checkpoint_now();
  settle();
  const CheckpointFigures after = pipeline_->last_checkpoint();
  if (after.epoch > before.epoch) return ok();
  return transient_error("no checkpoint was made" + (after.last_error.empty() ? "" : ": " + after.last_error));
}

Status PipelineDriver::restart(std::optional<unsigned> shards, bool crash) {
  if (!crash) TS_TRYV(pipeline_->stop(0));
  close(crash);
  if (shards) options_.shards = *shards;
  return start();
}

Status PipelineDriver::restart_unnoticed(unsigned shards) {
  const auto idle = idle_lanes();
  std::int64_t quiet = 0;
  for (const auto& [lane, is_idle] : idle)
    if (is_idle) quiet = std::max(quiet, plan_->sources[lane.source].spec->event_time.idle_after.count());
  // A restart begins the hold of a cluster anew; one that had passed passes again.
  for (const auto& source : spec_.sources) {
    const std::int64_t hold = source.value.on_cluster_down.hold_watermark.count();
    for (const auto& [cluster, since] : down_since_)
      if (clock_.monotonic_ms() - since >= hold) quiet = std::max(quiet, hold);
  }
  TS_TRYV(restart(shards, false));
  if (quiet == 0) return ok();
  const auto kept = [&](const LaneOf& lane) {
    const auto before = idle.find(lane);
    return before == idle.end() || !before->second;
  };
  pass_time(quiet, kept, true);  // windows over processing time see the wall clock: it goes on where it was
  settle();
  return ok();
}

std::optional<std::string> PipelineDriver::failure() const {
  if (pipeline_->state() != admin::PipelineState::failed) return std::nullopt;
  return pipeline_->reason();
}

namespace {

// One stream over the shards: the least of those that are not idle; if all are, what it was before.
class OverShards {
 public:
  void add(Watermark w, engine::Idleness idle) {
    if (!idle.firing) least_.firing = std::min(least_.firing, w.firing);
    if (!idle.retention) least_.retention = std::min(least_.retention, w.retention);
  }
  void raise(Watermark& told) const {
    if (least_.firing != kMaxTime) told.firing = std::max(told.firing, least_.firing);
    if (least_.retention != kMaxTime)
      told.retention = std::max(told.retention, std::min(least_.retention, told.firing));
  }

 private:
  Watermark least_{kMaxTime, kMaxTime};
};

}  // namespace

void PipelineDriver::note_watermarks() {
  std::map<std::string, OverShards> streams;
  pipeline_->visit_shards([&](ShardParts& parts) {
    for (unsigned i = 0; i < plan_->sources.size(); ++i) {
      const ShardFeed& feed = *parts.feeds[i];
      streams[plan_->sources[i].id].add(parts.shard->source_watermark(i), {feed.idle_firing(), feed.idle()});
    }
    for (const StepInfo& step : plan_->steps)
      streams[step.id].add(parts.shard->output_watermark(step.node), parts.shard->output_idle(step.node));
  });
  for (const auto& [id, stream] : streams) stream.raise(told_[id]);
}

Watermark PipelineDriver::watermark_of(const std::string& source_or_step) const { return told_.at(source_or_step); }

std::uint64_t PipelineDriver::late_rows(const std::string& step) const {
  const auto before = late_before_.find(step);
  std::uint64_t out = before == late_before_.end() ? 0 : before->second;
  for (const StepInfo& s : plan_->steps) {
    if (s.id != step) continue;
    pipeline_->visit_shards([&](ShardParts& parts) {
      out += parts.shard->stats(s.node).rows_late;
      for (const auto& [node, column] : s.value_nodes) out += parts.shard->stats(node).rows_late;
    });
  }
  return out;
}

}  // namespace twinspan::gateway
