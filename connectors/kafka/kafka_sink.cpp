#include "connectors/kafka/kafka_sink.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <fmt/format.h>

namespace twinspan::connectors {

namespace {
constexpr int kPollMs = 20;  // also how often the route is asked
constexpr int kPurgeMs = 500;
constexpr std::int64_t kReopenMs = 500;  // between two attempts to make a client
}  // namespace

struct KafkaSink::Impl {
  Impl(KafkaSinkSettings s, const Clock& c, std::size_t active)
      : settings(std::move(s)),
        clock(c),
        route(settings.route, settings.clusters.size(), active, settings.restored_generation) {}

  KafkaSinkSettings settings;
  const Clock& clock;
  std::vector<std::unique_ptr<KafkaSinkWriter>> writers;

  // The sink's thread only.
  Route route;
  std::unique_ptr<ClusterProducer> producer;
  std::vector<ClusterProducer::Report> reports;
  std::vector<std::string> errors;
  std::int64_t last_ack_ms = 0;  // monotonic; of the present producer, or when it was made, or when it last was idle
  std::int64_t route_started_ms = 0;  // monotonic
  std::int64_t first_bad_ms = -1;     // of the trouble that caused the last move, until its first acknowledgement
  std::int64_t reopen_at_ms = 0;
  bool draining = false;
  std::string persist_error, move_reason;

  // Shared.
  mutable std::mutex mutex;
  std::condition_variable progress;
  SinkStatus published;
  std::optional<std::size_t> force_to;
  bool force_release = false;
  std::atomic<std::uint64_t> generation{0};

  std::jthread thread;
  std::once_flag stopped;

  const KafkaSinkSettings::Member& active() const { return settings.clusters[route.active()]; }

  void run(std::stop_token stop);
  void open_producer();
  void close_producer();
  void take_reports(int timeout_ms);
  void decide();
  void move(const RouteVerdict& verdict, std::int64_t now);
  void distribute();
  void publish(bool holding, const std::string& why);
};

void KafkaSink::Impl::distribute() {
  if (reports.empty()) return;
  bool acknowledged = false;
  for (const auto& r : reports) acknowledged |= r.outcome == ClusterProducer::Report::Outcome::acknowledged;
  std::int64_t oldest_ms = clock.monotonic_ms();  // of what waited for an acknowledgement until now
  if (acknowledged && first_bad_ms >= 0) {
    for (const auto& w : writers)
      if (const auto s = w->snapshot(); s.oldest_ms >= 0) oldest_ms = std::min(oldest_ms, s.oldest_ms);
  }
  for (auto& w : writers) w->report(reports);
  reports.clear();
  if (!acknowledged) return;
  const std::int64_t now = clock.monotonic_ms();
  last_ack_ms = now;
  active().health->data_progress();
  std::lock_guard lock(mutex);
  if (first_bad_ms >= 0) {
    // A sink that had nothing to write waited for its next record, not for the switch.
    published.last_switch_took_ms = now - std::max(first_bad_ms, oldest_ms);
    first_bad_ms = -1;
    settings.log->info("cluster={} sink={} the switch held output back for {} ms", active().cluster.name, settings.name,
                       published.last_switch_took_ms);
  }
  progress.notify_all();
}

void KafkaSink::Impl::take_reports(int timeout_ms) {
  producer->poll(timeout_ms, reports, errors);
  distribute();
  for (const std::string& e : errors) active().health->data_failure(e.c_str());
  errors.clear();
}

void KafkaSink::Impl::open_producer() {
  const std::int64_t now = clock.monotonic_ms();
  if (now < reopen_at_ms) return;
  reopen_at_ms = now + kReopenMs;
  ProducerTuning tuning = settings.producer;
  tuning.queue_bytes = std::max(tuning.queue_bytes, 2 * settings.max_unacknowledged_bytes * settings.shards);
  auto opened = ClusterProducer::open(active().cluster, active().topic, tuning);
  if (!opened) {
    settings.log->error("cluster={} sink={} {}", active().cluster.name, settings.name, opened.error().message);
    return;
  }
  producer = std::move(opened).value();
  last_ack_ms = route_started_ms = now;
  for (auto& w : writers) w->attach(producer.get());
}

// The producer is never used again; acknowledgements that came meanwhile count.
void KafkaSink::Impl::close_producer() {
  if (!producer) return;
  for (auto& w : writers) w->detach();
  const std::int64_t before = first_bad_ms;
  first_bad_ms = -1;  // late acknowledgements of the old cluster end no switch
  producer->purge(reports, kPurgeMs);
  distribute();
  first_bad_ms = before;
  producer.reset();
}

void KafkaSink::Impl::move(const RouteVerdict& verdict, std::int64_t now) {
  const std::string from = active().cluster.name;
  const std::string& to = settings.clusters[verdict.target].cluster.name;
  const std::int64_t bad_since = route.first_bad_sign_ms();
  // Nothing may go anywhere between the old generation and the new one.
  close_producer();
  if (settings.persist_route) {
    const Status kept = settings.persist_route(route.generation() + 1, to);
    if (!kept) {
      if (persist_error != kept.error().message)
        settings.log->error("cluster={} sink={} the route cannot move here: {}", to, settings.name,
                            kept.error().message);
      persist_error = kept.error().message;
      return;  // the loop opens the old cluster's producer again, and the next decision tries once more
    }
  }
  persist_error.clear();
  route.moved(verdict.target, now);
  generation.store(route.generation(), std::memory_order_release);
  draining = false;
  first_bad_ms = bad_since;  // -1 for a move without a fault: it ends no outage
  move_reason = verdict.reason;
  {
    std::lock_guard lock(mutex);
    published.route_since_ms = clock.wall_ms();
    ++published.switches;
  }
  settings.log->warn("cluster={} sink={} route generation {}: moved from {} ({})", to, settings.name,
                     route.generation(), from, verdict.reason);
  reopen_at_ms = 0;
  open_producer();
}

void KafkaSink::Impl::decide() {
  const std::int64_t now = clock.monotonic_ms();
  {
    std::lock_guard lock(mutex);
    if (force_to) route.force(*force_to);
    if (force_release) route.release();
    force_to.reset();
    force_release = false;
  }
  RouteInput in;
  in.now = now;
  for (const auto& m : settings.clusters) in.members.push_back(m.health->snapshot());
  bool client_failed = false;
  std::string note;
  for (const auto& w : writers) {
    const auto s = w->snapshot();
    in.idle = in.idle && s.sent == 0;
    in.topic_missing = in.topic_missing || s.topic_missing;
    client_failed = client_failed || s.client_failed;
    if (s.oldest_sent_ms >= 0)
      in.oldest_ms = std::max(in.oldest_ms, now - std::max(s.oldest_sent_ms, route_started_ms));
    if (!s.note.empty()) note = s.note;
  }
  if (in.idle)
    last_ack_ms = now;
  else
    in.stalled_ms = now - last_ack_ms;
  const RouteVerdict verdict = route.decide(in);
  if (verdict.action == RouteVerdict::Action::move) {
    move(verdict, now);
    return publish(false, {});
  }
  const bool drain = verdict.action == RouteVerdict::Action::drain;
  if (drain != draining) {
    for (auto& w : writers) w->drain(drain);
    draining = drain;
  }
  const std::string fatal = producer ? producer->fatal() : std::string();
  if (client_failed || !fatal.empty()) {
    settings.log->warn("cluster={} sink={} new client: {}", active().cluster.name, settings.name,
                       fatal.empty() ? note : fatal);
    close_producer();
    open_producer();
  }
  std::string why = verdict.reason;
  if (!persist_error.empty())
    why = "the route cannot move: " + persist_error;
  else if (in.topic_missing)
    why = fmt::format("cluster {} has no topic {}: waiting for it", active().cluster.name, active().topic);
  publish(verdict.holding || !persist_error.empty() || in.topic_missing, why);
}

void KafkaSink::Impl::publish(bool holding, const std::string& why) {
  const std::int64_t now = clock.monotonic_ms();
  SinkStatus s;
  for (const auto& w : writers) {
    const auto snap = w->snapshot();
    s.records += w->written();
    s.acknowledged += w->acknowledged();
    s.resent += snap.resent;
    s.unacknowledged_bytes += w->bytes();
    if (snap.oldest_ms >= 0) s.oldest_unacknowledged_ms = std::max(s.oldest_unacknowledged_ms, now - snap.oldest_ms);
  }
  for (const auto& m : settings.clusters) s.clusters.emplace_back(m.cluster.name, m.health->snapshot().state);
  std::lock_guard lock(mutex);
  if (holding && !published.holding)
    settings.log->warn("cluster={} sink={} output waits: {}", active().cluster.name, settings.name, why);
  s.sink = settings.name;
  s.active_cluster = active().cluster.name;
  s.route_generation = route.generation();
  s.route_reason = holding ? why : move_reason;
  s.route_since_ms = published.route_since_ms;
  s.switches = published.switches;
  s.last_switch_took_ms = published.last_switch_took_ms;
  s.holding = holding;
  published = std::move(s);
  progress.notify_all();
}

void KafkaSink::Impl::run(std::stop_token stop) {
  std::int64_t asked_ms = 0;
  while (!stop.stop_requested()) {
    if (producer) {
      take_reports(kPollMs);
    } else {
      open_producer();
      std::unique_lock lock(mutex);
      if (!producer) progress.wait_for(lock, std::chrono::milliseconds(kPollMs));
    }
    for (auto& w : writers) w->pump();
    const std::int64_t now = clock.monotonic_ms();
    if (now - asked_ms >= kPollMs || now < asked_ms) {
      asked_ms = now;
      decide();
    }
  }
  close_producer();
}

KafkaSink::KafkaSink(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
KafkaSink::~KafkaSink() { stop(); }

Result<std::unique_ptr<KafkaSink>> KafkaSink::make(KafkaSinkSettings settings, const Clock& clock) {
  if (settings.clusters.empty() || settings.clusters.size() > 2)
    return config_error(
        fmt::format("sink \"{}\" names {} clusters: one or two are possible", settings.name, settings.clusters.size()));
  if (settings.log == nullptr) settings.log = spdlog::default_logger();
  std::size_t active = 0;
  for (std::size_t i = 0; i < settings.clusters.size(); ++i) {
    const auto& m = settings.clusters[i];
    TS_CHECK(m.health != nullptr);
    if (m.cluster.name == settings.restored_cluster) active = i;
    TS_TRY(tried, ClusterProducer::open(m.cluster, m.topic,
                                        settings.producer));  // settings are refused now, not at a failover
    tried.reset();
  }
  auto impl = std::make_unique<Impl>(std::move(settings), clock, active);
  const KafkaSinkSettings& s = impl->settings;
  for (unsigned i = 0; i < s.shards; ++i)
    impl->writers.push_back(
        std::make_unique<KafkaSinkWriter>(i, fmt::format("{}/{}/{}.{}/", s.unit, s.name, s.incarnation, i),
                                          s.max_unacknowledged_bytes, clock, s.rejected));
  impl->generation = s.restored_generation;
  impl->published.sink = s.name;
  impl->published.active_cluster = impl->active().cluster.name;
  impl->published.route_generation = s.restored_generation;
  impl->published.route_since_ms = clock.wall_ms();
  return std::unique_ptr<KafkaSink>(new KafkaSink(std::move(impl)));
}

Status KafkaSink::start() {
  TS_CHECK(!impl_->thread.joinable());
  impl_->thread = std::jthread([impl = impl_.get()](std::stop_token stop) { impl->run(stop); });
  return ok();
}

SinkWriter& KafkaSink::writer(unsigned shard) { return *impl_->writers.at(shard); }

SinkStatus KafkaSink::status() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->published;
}

std::uint64_t KafkaSink::route_generation() const { return impl_->generation.load(std::memory_order_acquire); }

Status KafkaSink::flush(int timeout_ms) {
  auto done = [&] {
    return std::all_of(impl_->writers.begin(), impl_->writers.end(),
                       [](const auto& w) { return w->acknowledged() >= w->written(); });
  };
  std::unique_lock lock(impl_->mutex);
  if (impl_->progress.wait_for(lock, std::chrono::milliseconds(timeout_ms), done)) return ok();
  const SinkStatus& s = impl_->published;
  return transient_error(fmt::format("sink \"{}\": {} of {} records are not acknowledged after {} ms (cluster {}{}{})",
                                     s.sink, s.records - s.acknowledged, s.records, timeout_ms, s.active_cluster,
                                     s.holding ? ": " : "", s.holding ? s.route_reason : ""));
}

void KafkaSink::stop() {
  std::call_once(impl_->stopped, [&] {
    if (!impl_->thread.joinable()) return;
    impl_->thread.request_stop();
    impl_->thread.join();
  });
}

Status KafkaSink::force_route(const std::string& cluster) {
  std::lock_guard lock(impl_->mutex);
  if (cluster.empty()) {
    impl_->force_release = true;
    return ok();
  }
  for (std::size_t i = 0; i < impl_->settings.clusters.size(); ++i)
    if (impl_->settings.clusters[i].cluster.name == cluster) {
      impl_->force_to = i;
      return ok();
    }
  return not_found_error(fmt::format("sink \"{}\" has no cluster \"{}\"", impl_->settings.name, cluster));
}

}  // namespace twinspan::connectors
