#include "gateway/pipeline.h"

#include <algorithm>
#include <future>

#include <fmt/format.h>
#include <boost/json.hpp>

namespace twinspan::gateway {

namespace json = boost::json;
using admin::PipelineState;

namespace {
constexpr int kTickMs = 10;
constexpr std::int64_t kErrorWindowMs = 60'000;
constexpr std::uint64_t kErrorsAtLeast = 100;  // records in the window before a ratio means anything
constexpr std::size_t kPacketsPerRing = 16;
constexpr std::uint64_t kBaseReserve = 256ull << 20;  // bases are for later; epochs and the ledger need room now
}  // namespace

unsigned default_shards() {
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  return std::clamp(cores / 2, 1u, 8u);
}

Pipeline::Pipeline(std::unique_ptr<config::PipelineSpec> spec, std::unique_ptr<Plan> plan,
                   PipelineEnvironment environment)
    : spec_(std::move(spec)),
      plan_(std::move(plan)),
      env_(std::move(environment)),
      store_(env_.files, env_.directory + "/state"),
      ledger_(env_.files, env_.directory + "/ledger.jsonl"),
      operations_(env_.files, env_.directory + "/operations.jsonl"),
      plans_(static_cast<std::uint64_t>(env_.clock.wall_ms())) {
  shards_ = static_cast<unsigned>(spec_->shards.count.value_or(default_shards()));
}

Pipeline::~Pipeline() {
  control_ = {};
  if (cycle_) cycle_->stop();
  if (merger_) merger_->stop();
  for (auto& s : sources_) s->stop();
  for (auto& t : threads_) t->stop();
  for (auto& s : sinks_) s->stop();
  threads_.clear();
  sources_.clear();
  env_.connectors.pipeline_stopped(name());
}

// --- start ---

Status Pipeline::start() {
  set_state(PipelineState::starting, "");
  std::optional<engine::RestoredState> restored;
  if (!env_.bounded) {
    TS_TRYV(open_state());
    TS_TRY(found, store_.restore());
    restored = std::move(found);
    if (restored) TS_TRYV(apply_restored(*restored));
  }
  TS_TRYV(build());
  if (restored) {
    for (unsigned s = 0; s < shards_; ++s) {
      engine::Shard& shard = *threads_[s]->parts().shard;
      TS_TRYV(shard.restore(*restored, env_.files));
      for (unsigned n = 0; n < plan_->graph.nodes.size(); ++n) {
        for (unsigned i = 0; i < plan_->graph.nodes[n].inputs; ++i) {
          // With another number of shards nobody's own watermark is known: the smallest is safe.
          Watermark w{kMaxTime, kMaxTime};
          for (std::size_t from = 0; from < restored_watermarks_.size(); ++from) {
            if (restored_watermarks_.size() == shards_ && from != s) continue;
            if (n >= restored_watermarks_[from].size() || i >= restored_watermarks_[from][n].size()) continue;
            w.firing = std::min(w.firing, restored_watermarks_[from][n][i].firing);
            w.retention = std::min(w.retention, restored_watermarks_[from][n][i].retention);
          }
          if (w.firing != kMaxTime) shard.restore_watermark(n, i, w);
        }
      }
    }
    env_.log->info("restored epoch {} ({} entries)", restored->epoch.value, restored->state.live_entries());
    if (cycle_) TS_TRYV(cycle_->open_segments(restored->segments));
    restored.reset();
  } else if (cycle_) {
    TS_TRYV(cycle_->open_segments({}));
  }
  for (unsigned s = 0; cycle_ && s < shards_; ++s) {
    TS_TRYV(threads_[s]->parts().shard->use_segments([&](const std::string& step) -> Result<engine::SegmentStore*> {
      TS_TRY(files, cycle_->segments_of(step, s));
      return files;
    }));
  }
  restored_ = true;
  TS_TRYV(reapply_operations());
  for (auto& s : sinks_) TS_TRYV(s->start());
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    std::vector<connectors::LanePosition> positions;
    if (i < restored_feeds_.size())
      for (const RestoredLane& l : restored_feeds_[i].lanes) positions.push_back(l.position);
    TS_TRYV(sources_[i]->start(positions));
  }
  if (user_paused_)  // from before the first row is read
    for (auto& t : threads_) t->parts().shard->set_paused(true);
  if (env_.stepped) {  // checkpoints are written within a step
    for (auto& t : threads_) t->start_stepped();
    set_started();
    return ok();
  }
  if (cycle_) cycle_->start();
  if (merger_) merger_->start();
  for (auto& t : threads_) t->start();
  set_started();
  control_ = std::jthread([this](std::stop_token stop) { control_loop(stop); });
  return ok();
}

Status Pipeline::build() {
  const std::int64_t now_ns = env_.clock.monotonic_ms() * 1'000'000;
  buckets_.resize(plan_->sources.size());
  for (std::size_t i = 0; i < plan_->sources.size(); ++i) {
    if (buckets_[i] != nullptr) continue;
    throttle::Limits limits;
    const config::ThrottleSpec& t = plan_->sources[i].spec->throttle;
    if (t.max_rate) limits.records_per_s = static_cast<std::uint64_t>(t.max_rate->per_second);
    if (t.max_bytes) limits.bytes_per_s = static_cast<std::uint64_t>(t.max_bytes->per_second);
    buckets_[i] = std::make_unique<throttle::TokenBucket>(limits, now_ns);
  }
  for (const SourcePlan& s : plan_->sources) {
    TS_TRY(source, env_.connectors.make_source({&s, name(), shards_, env_.bounded}));
    sources_.push_back(std::move(source));
  }
  if (auto it = planned_cuts_.find("restored"); it != planned_cuts_.end()) {
    for (const PlannedCut& p : it->second) {
      const unsigned s = source_index(p.source);
      if (s < sources_.size()) wait_for_cut(p.source, p.cut, p.operation);
    }
    planned_cuts_.erase(it);
  }
  const bool has_dead_letters = spec_->dead_letter.has_value();
  // The dead letters are a terminal without edges, so that barriers wait for their acknowledgements as well.
  if (has_dead_letters && (plan_->graph.terminals.empty() || plan_->graph.terminals.back() != "dead_letter"))
    plan_->graph.terminals.push_back("dead_letter");
  routes_.resize(plan_->graph.terminals.size());
  for (std::size_t i = 0; i < plan_->graph.terminals.size(); ++i) {
    SinkRequest request;
    request.id = plan_->graph.terminals[i];
    request.pipeline = name();
    request.unit = name();
    request.incarnation = incarnation_;
    request.shards = shards_;
    if (i < plan_->sinks.size())
      request.sink = plan_->sinks[i].spec;
    else
      request.dead_letter = &*spec_->dead_letter;
    request.route_generation = routes_[i].first;
    request.route_cluster = routes_[i].second;
    request.persist_route = [this, i](std::uint64_t generation, const std::string& cluster) -> Status {
      if (!env_.bounded)
        TS_TRYV(engine::replace_file(
            env_.files, env_.directory, "route-" + plan_->graph.terminals[i],
            json::serialize(json::object{{"generation", generation}, {"cluster", cluster}}) + "\n"));
      env_.log->warn("sink '{}' goes to cluster '{}' (route generation {})", plan_->graph.terminals[i], cluster,
                     generation);
      std::lock_guard lock(routes_mutex_);
      routes_[i] = {generation, cluster};
      return ok();
    };
    request.rejected = [this, id = request.id](unsigned shard, const connectors::OutputRecord& record,
                                               std::string_view why) {
      env_.log->error("sink '{}': a record was refused: {}", id, why);
      if (id != "dead_letter") threads_[shard]->parts().dead_letters->output_refused(id, record, why);
    };
    // A route that was raised after the last checkpoint is newer than what that knows.
    const std::string route_file = env_.directory + "/route-" + request.id;
    if (!env_.bounded && env_.files.exists(route_file)) {
      TS_TRY(text, env_.files.read(route_file));
      try {
        const json::value v = json::parse(text);
        const auto generation = v.at("generation").to_number<std::uint64_t>();
        if (generation > request.route_generation) routes_[i] = {generation, std::string(v.at("cluster").as_string())};
      } catch (const std::exception& e) {
        return permanent_error(fmt::format(
            "'{}' says which cluster sink '{}' goes to and cannot be read: {}. Remove it to go on where the "
            "last checkpoint was",
            route_file, request.id, e.what()));
      }
      request.route_generation = routes_[i].first;
      request.route_cluster = routes_[i].second;
    }
    TS_TRY(sink, env_.connectors.make_sink(request));
    sinks_.push_back(std::move(sink));
  }
  rates_.resize(sources_.size());
  for (std::size_t i = 0; i < sources_.size(); ++i)
    source_firing_.push_back(std::make_unique<std::atomic<EventTime>>(kMinTime));
  sink_records_.resize(sinks_.size());
  sink_rates_.resize(sinks_.size());

  build_budgets();
  rings_ = std::make_unique<engine::ExchangeRings>(shards_ > 1 ? engine::Shard::count_exchanges(plan_->graph) : 0,
                                                   shards_, kPacketsPerRing);
  std::vector<std::string> node_names;
  for (const auto& n : plan_->graph.nodes) node_names.push_back(n.id);
  std::vector<config::OnError> policies = plan_->node_on_error;
  for (const auto& [step, on_error] : plan_->stage_on_error) {
    node_names.push_back(step);
    policies.push_back(on_error);
  }
  const auto lanes = std::make_shared<LaneNames>();
  for (unsigned s = 0; s < shards_; ++s) {
    ShardParts parts;
    parts.dead_letters =
        std::make_unique<DeadLetterDesk>(name(), has_dead_letters ? &sinks_.back()->writer(s) : nullptr,
                                         has_dead_letters && spec_->dead_letter->file.has_value(), errors_);
    parts.dead_letters->set_node_policies(node_names, policies);
    parts.dead_letters->share_lanes(lanes);
    std::vector<engine::Feed*> feeds;
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      TS_TRY(decoder, connectors::JsonDecoder::make(plan_->sources[i].decoder));
      parts.feeds.push_back(std::make_unique<ShardFeed>(plan_->sources[i], sources_[i]->reader(s), std::move(decoder),
                                                        *buckets_[i], *source_firing_[i], *parts.dead_letters, errors_,
                                                        env_.clock));
      if (i < restored_feeds_.size()) parts.feeds.back()->restore(restored_feeds_[i]);
      parts.wake_fds.push_back(sources_[i]->wake_fd(s));
      feeds.push_back(parts.feeds.back().get());
    }
    std::vector<engine::Terminal*> terminals;
    for (std::size_t i = 0; i < plan_->sinks.size(); ++i) {
      const config::OnError on_error = has_dead_letters ? config::OnError::dead_letter : config::OnError::fail;
      parts.sinks.push_back(
          std::make_unique<SinkTerminal>(plan_->sinks[i], sinks_[i]->writer(s), *parts.dead_letters, on_error));
      terminals.push_back(parts.sinks.back().get());
    }
    if (has_dead_letters) terminals.push_back(parts.dead_letters.get());
    parts.shard = std::make_unique<engine::Shard>(plan_->graph, s, *rings_, feeds, terminals, *parts.dead_letters);
    threads_.push_back(std::make_unique<ShardThread>(s, std::move(parts), env_.clock, [this](engine::ShardBarrier&& b) {
      if (!cycle_) return;
      record_shed(b.shed, *threads_[b.shard]->parts().dead_letters);  // before the cycle asks for ranges
      cycle_->barrier_from(std::move(b));
    }));
  }
  if (!env_.bounded) {
    cycle_ = std::make_unique<CheckpointCycle>(
        store_, ledger_, env_.files, env_.directory, shards_, spec_->checkpoint.every.count(), env_.clock,
        CheckpointCycle::Hooks{[this](Epoch e) { return begin_barrier(e); },
                               [this] {
                                 std::lock_guard lock(mutex_);
                                 return std::exchange(skipped_, {});
                               },
                               [this](const auto& b) { return acknowledged(b); },
                               [this](Epoch e) {
                                 std::lock_guard lock(mutex_);
                                 for (DiscardOperation& o : operations_.operations())
                                   if (!o.durable_in && o.id <= barrier_operation_) o.durable_in = e.value;
                                 merger_->consider();
                               }});
    merger_ = std::make_unique<engine::BaseMerger>(store_, env_.clock, [this](std::uint64_t bytes) {
      return env_.files.free_bytes(env_.directory) >= kBaseReserve + bytes;
    });
    cycle_->resume_after(store_.last_epoch());
  }
  return ok();
}

// --- running ---

void Pipeline::control_loop(std::stop_token stop) {
  while (!stop.stop_requested() && control_tick()) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::milliseconds(kTickMs));
  }
}

bool Pipeline::step() {
  bool progress = false;
  for (auto& t : threads_) progress |= t->run_once();
  if (controlled_) controlled_ = control_tick();
  return progress;
}

void Pipeline::visit_shards(const std::function<void(ShardParts&)>& visit) {
  TS_CHECK(env_.stepped);
  for (auto& t : threads_) visit(t->parts());
}

bool Pipeline::control_tick() {
  const std::int64_t now = env_.clock.monotonic_ms();
  if (cycle_) {
    cycle_->tick();
    if (cycle_->overdue() != held_.load()) {
      held_ = !held_.load();
      set_paused(user_paused_);
      env_.log->warn(held_ ? "sources are held: checkpoints cannot be written"
                           : "checkpoints are written again: sources go on");
    }
  }
  check_budgets(now);
  if (now - sampled_at_ >= 1000) {
    sample_rates(now);
    check_errors(now);
    check_clusters();
  }
  for (auto& t : threads_) {
    const auto snapshot = t->snapshot();
    if (!snapshot->failure.empty()) fail(snapshot->failure);
  }
  if (env_.bounded &&
      std::all_of(threads_.begin(), threads_.end(), [](const auto& t) { return t->snapshot()->ended; })) {
    check_errors(now);
    Status flushed = ok();
    for (auto& s : sinks_)
      if (auto f = s->flush(30'000); !f) flushed = f;
    if (!flushed)
      fail(flushed.error().message);
    else
      set_state(PipelineState::stopped, "read to the end");
    return false;
  }
  if (state() == PipelineState::failed) {
    // No further checkpoint: the record that stopped us must be read again after the cause is mended.
    set_paused(true);
    return false;
  }
  return true;
}

std::string Pipeline::begin_barrier(Epoch epoch) {
  json::array sources, nodes, pending, routes, limits;
  for (const SourcePlan& s : plan_->sources) sources.push_back(json::value(s.id));
  for (const auto& n : plan_->graph.nodes) nodes.push_back(json::value(n.id));
  std::uint64_t last_operation = 0;
  json::value paused;
  {
    std::lock_guard lock(mutex_);
    last_operation = barrier_operation_ = last_operation_;
    if (user_paused_) paused = json::value(pause_reason_);
    // Before the shards record their positions: a cut resolved in between is in both, and skips nothing the second
    // time.
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      const auto cuts = sources_[i]->pending_cuts();
      std::map<connectors::LaneKey, std::size_t> left;  // of the lane; the queue may still hold taken ones, in front
      for (const auto& c : cuts) ++left[c.lane];
      for (const auto& c : cuts) {
        const auto& queue = waiting_cuts_[{plan_->sources[i].id, c.lane}];
        const std::size_t from_back = left[c.lane]--;
        const std::uint64_t operation = from_back <= queue.size() ? queue[queue.size() - from_back] : 0;
        pending.push_back({{"source", plan_->sources[i].id},
                           {"cluster", c.lane.cluster},
                           {"topic", c.lane.topic},
                           {"partition", c.lane.partition},
                           {"cut_time", c.cut_time_ms},
                           {"cut_offset", c.cut_offset},
                           {"by_time", c.by_time},
                           {"operation", operation}});
      }
    }
  }
  {
    std::lock_guard lock(routes_mutex_);
    for (std::size_t i = 0; i < routes_.size(); ++i)
      if (routes_[i].first > 0)
        routes.push_back(
            {{"sink", plan_->graph.terminals[i]}, {"generation", routes_[i].first}, {"cluster", routes_[i].second}});
  }
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    const throttle::Limits l = buckets_[i]->limits();
    limits.push_back({{"source", plan_->sources[i].id},
                      {"records", l.records_per_s ? json::value(*l.records_per_s) : json::value()},
                      {"bytes", l.bytes_per_s ? json::value(*l.bytes_per_s) : json::value()}});
  }
  for (auto& t : threads_) {
    t->post([this, epoch](ShardParts& parts) {
      {
        std::lock_guard lock(mutex_);
        for (auto& f : parts.feeds)
          for (SkippedRange& r : f->take_skipped()) record_skipped(std::move(r));
      }
      // A shard that has given up would record positions past the record it failed on.
      if (!parts.dead_letters->stopped()) parts.shard->begin_barrier(epoch);
    });
  }
  return json::serialize(json::object{{"pipeline", name()},
                                      {"incarnation", incarnation_},
                                      {"sources", sources},
                                      {"nodes", nodes},
                                      {"pending_cuts", pending},
                                      {"routes", routes},
                                      {"throttle", limits},
                                      {"paused", paused},
                                      {"last_operation", last_operation}});
}

// A cut taken at a cluster's return belongs to the discard whose turn it is on that lane. Under mutex_.
void Pipeline::record_skipped(SkippedRange range) {
  if (range.at_return) {
    std::uint64_t id = 0;
    if (auto& queue = waiting_cuts_[{range.source, range.lane}]; !queue.empty()) {
      id = queue.front();
      queue.pop_front();
    }
    if (range.to == range.from) return;
    discarded_ += static_cast<std::uint64_t>(range.to - range.from);
    for (DiscardOperation& o : operations_.operations()) {
      if (o.id != id) continue;
      range.why = fmt::format("discard {}: {}", o.id, o.reason);
      o.ranges.push_back(range);
    }
  }
  skipped_.push_back(std::move(range));
}

bool Pipeline::acknowledged(const std::vector<engine::ShardBarrier>& barriers) const {
  for (const engine::ShardBarrier& b : barriers)
    for (std::size_t i = 0; i < sinks_.size(); ++i)
      if (sinks_[i]->writer(b.shard).acknowledged() < b.written[i]) return false;
  for (unsigned s = 0; s < shards_; ++s) {
    const DeadLetterDesk& desk = threads_[s]->dead_letters();
    // What failed under `on_error: fail` may lie before this barrier, in another shard than the one that read it.
    if (desk.stopped()) return false;
    // A record that was refused counts as acknowledged; the dead letter it became was written after the barrier.
    if (spec_->dead_letter && sinks_.back()->writer(s).acknowledged() < desk.refused_up_to()) return false;
  }
  return true;
}

void Pipeline::sample_rates(std::int64_t now) {
  std::lock_guard lock(mutex_);
  const double seconds = sampled_at_ < 0 ? 0 : static_cast<double>(now - sampled_at_) / 1000.0;
  const auto smooth = [&](double old, std::uint64_t delta) {
    return seconds <= 0 ? 0 : old * 0.5 + 0.5 * static_cast<double>(delta) / seconds;
  };
  for (std::size_t i = 0; i < rates_.size(); ++i) {
    std::uint64_t records = 0, bytes = 0;
    for (auto& t : threads_) {
      records += t->figures(i).records.load(std::memory_order_relaxed);
      bytes += t->figures(i).bytes.load(std::memory_order_relaxed);
    }
    RateSample& r = rates_[i];
    r.records_per_s = smooth(r.records_per_s, records - r.records);
    r.bytes_per_s = smooth(r.bytes_per_s, bytes - r.bytes);
    r.records = records;
    r.bytes = bytes;
  }
  for (std::size_t i = 0; i < sinks_.size(); ++i) {
    const std::uint64_t records = sinks_[i]->status().records;
    sink_rates_[i] = smooth(sink_rates_[i], records - sink_records_[i]);
    sink_records_[i] = records;
  }
  sampled_at_ = now;
}

void Pipeline::check_errors(std::int64_t now) {
  const ErrorWindow current{now, errors_.records.load(), errors_.failed.load()};
  if (error_windows_.empty()) error_windows_.push_back({now, 0, 0});
  error_windows_.push_back(current);
  while (error_windows_.front().at < now - kErrorWindowMs) error_windows_.erase(error_windows_.begin());
  const ErrorWindow& first = error_windows_.front();
  const std::uint64_t records = current.records - first.records, failed = current.failed - first.failed;
  const double limit = spec_->dead_letter ? spec_->dead_letter->max_error_ratio : 0.05;
  if (records >= kErrorsAtLeast && static_cast<double>(failed) > limit * static_cast<double>(records))
    fail(
        fmt::format("{} of {} records failed within a minute, more than max_error_ratio {}: stopped rather than "
                    "draining the source "
                    "into the dead letters",
                    failed, records, limit));
}

void Pipeline::check_clusters() {
  const PipelineState now = state();
  if (now != PipelineState::running && now != PipelineState::waiting) return;
  bool any_up = false, any = false;
  for (const auto& s : sources_) {
    for (const auto& c : s->clusters()) {
      any = true;
      any_up |= c.state != connectors::ClusterState::down;
    }
  }
  if (!any || env_.bounded) return;
  if (!any_up && now == PipelineState::running)
    set_state(PipelineState::waiting, "no source cluster answers; goes on by itself when one does");
  if (any_up && now == PipelineState::waiting) set_state(PipelineState::running, "");
}

void Pipeline::fail(const std::string& why) {
  if (state() == PipelineState::failed) return;
  env_.log->error("stopped: {}", why);
  set_state(PipelineState::failed, why);
}

void Pipeline::set_state(PipelineState state, const std::string& reason) {
  std::lock_guard lock(mutex_);
  if (state_ == PipelineState::failed) return;
  if (state_ != state)
    env_.log->info("{} -> {}{}{}", admin::to_string(state_), admin::to_string(state), reason.empty() ? "" : ": ",
                   reason);
  state_ = state;
  reason_ = reason;
  since_ms_ = env_.clock.wall_ms();
}

PipelineState Pipeline::state() const {
  std::lock_guard lock(mutex_);
  return state_;
}

std::string Pipeline::reason() const {
  std::lock_guard lock(mutex_);
  return reason_;
}

void Pipeline::set_started() {
  set_state(user_paused_ ? PipelineState::paused : PipelineState::running, user_paused_ ? pause_reason_ : "");
}

void Pipeline::set_paused(bool paused) {
  const bool hold = paused || held_.load() || stopping_.load();
  for (auto& t : threads_) t->post([hold](ShardParts& parts) { parts.shard->set_paused(hold); });
}

Status Pipeline::pause(const std::string& reason) {
  const PipelineState now = state();
  if (now == PipelineState::failed || now == PipelineState::stopped)
    return conflict_error(fmt::format("pipeline '{}' is {}", name(), admin::to_string(now)), admin::kWrongState);
  {
    std::lock_guard lock(mutex_);
    pause_reason_ = reason;
  }
  user_paused_ = true;
  set_paused(true);
  set_state(PipelineState::paused, reason);
  return ok();
}

Status Pipeline::resume() {
  const PipelineState now = state();
  if (now == PipelineState::failed || now == PipelineState::stopped)
    return conflict_error(fmt::format("pipeline '{}' is {}", name(), admin::to_string(now)), admin::kWrongState);
  user_paused_ = false;
  set_paused(false);
  if (now == PipelineState::paused) set_state(PipelineState::running, "");
  return ok();
}

Status Pipeline::stop(int deadline_ms) {
  if (stopping_.exchange(true)) return ok();
  set_paused(true);
  Status result = ok();
  if (cycle_ && env_.stepped && state() != PipelineState::failed) {
    const std::uint64_t request = cycle_->request_now();
    for (int quiet = 0; quiet < 100 && !cycle_->served(request) && state() != PipelineState::failed;)
      quiet = step() ? 0 : quiet + 1;
    if (!cycle_->served(request))
      result = transient_error("the last checkpoint could not be finished: " + cycle_->figures().last_error);
  }
  if (cycle_ && control_.joinable() && state() != PipelineState::failed) {
    const std::int64_t deadline = env_.clock.monotonic_ms() + deadline_ms;
    const std::uint64_t request = cycle_->request_now();
    std::unique_lock lock(mutex_);
    while (!cycle_->served(request) && state_ != PipelineState::failed && env_.clock.monotonic_ms() < deadline)
      changed_.wait_for(lock, std::chrono::milliseconds(kTickMs));
    if (!cycle_->served(request))
      result = transient_error(
          "the last checkpoint could not be finished before the deadline: what came after the one before it is read "
          "again");
  }
  control_ = {};
  if (cycle_) cycle_->stop();
  if (merger_) merger_->stop();
  for (auto& s : sources_) s->stop();
  for (auto& t : threads_) t->stop();
  for (auto& s : sinks_) {
    if (auto f = s->flush(result ? 1000 : 0); !f && result) result = f;
    s->stop();
  }
  set_state(PipelineState::stopped, "");
  return result;
}

unsigned Pipeline::source_index(const std::string& source) const {
  for (unsigned i = 0; i < plan_->sources.size(); ++i)
    if (plan_->sources[i].id == source) return i;
  return static_cast<unsigned>(plan_->sources.size());
}

Status Pipeline::set_throttle(const std::string& source, const admin::RateLimits& limits) {
  const unsigned s = source_index(source);
  if (s >= buckets_.size())
    return not_found_error(fmt::format("pipeline '{}' has no source '{}'", name(), source), admin::kSourceNotFound);
  std::lock_guard lock(mutex_);
  buckets_[s]->set_limits({limits.records_per_s, limits.bytes_per_s}, env_.clock.monotonic_ms() * 1'000'000);
  return ok();
}

}  // namespace twinspan::gateway
