#include "connectors/kafka/kafka_source.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <future>

#include "connectors/kafka/cluster_consumer.h"
#include "connectors/kafka/cut_pending.h"
#include "connectors/kafka/kafka_source_cluster.h"
#include "connectors/kafka/kafka_source_reader.h"
#include "connectors/kafka/lane_state.h"

namespace twinspan::connectors {

struct KafkaSource::Impl {
  Impl(KafkaSourceSettings s, const Clock& c) : settings(std::move(s)), clock(c) {}

  const KafkaSourceSettings settings;
  const Clock& clock;
  LaneTable table;
  PendingCuts cuts;
  std::vector<std::unique_ptr<KafkaSourceReader>> readers;  // before clusters: they post into them
  std::vector<std::unique_ptr<SourceCluster>> clusters;
  bool started = false;
  bool stopped = false;

  mutable std::mutex view_mutex;
  mutable std::vector<ReadmissionView> views;  // by cluster, for clusters()
};

KafkaSource::KafkaSource(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

KafkaSource::~KafkaSource() { stop(); }

Result<std::unique_ptr<KafkaSource>> KafkaSource::make(KafkaSourceSettings settings, ConsumerSet& consumers,
                                                       HealthRegistry& health, const Clock& clock) {
  TS_CHECK(settings.shards > 0);
  if (settings.clusters.empty()) return config_error("source '" + settings.name + "' names no cluster");
  if (settings.log == nullptr) settings.log = spdlog::default_logger();
  auto impl = std::make_unique<Impl>(std::move(settings), clock);
  const KafkaSourceSettings& s = impl->settings;
  std::vector<KafkaSourceReader*> readers;
  for (unsigned shard = 0; shard < s.shards; ++shard) {
    impl->readers.push_back(std::make_unique<KafkaSourceReader>(clock, impl->cuts, s.readmit_after_ms, s.bounded));
    readers.push_back(impl->readers.back().get());
  }
  for (unsigned member = 0; member < s.clusters.size(); ++member) {
    const auto& cluster = s.clusters[member].cluster;
    if (s.clusters[member].topics.empty())
      return config_error("source '" + s.name + "' names no topic on cluster '" + cluster.name + "'");
    TS_TRY(monitor, health.get(cluster));
    TS_TRY(consumer, consumers.get(cluster, *monitor));
    impl->clusters.push_back(
        std::make_unique<SourceCluster>(s, member, *consumer, impl->table, impl->cuts, readers, clock));
    for (auto* reader : readers) reader->connect(*consumer, impl->clusters.back()->settled());
    impl->views.emplace_back(s.readmit_after_ms);
  }
  return std::unique_ptr<KafkaSource>(new KafkaSource(std::move(impl)));
}

Status KafkaSource::start(const std::vector<LanePosition>& restored) {
  TS_CHECK(!impl_->started);
  impl_->started = true;
  for (const auto& position : restored) {
    const auto member = std::find_if(impl_->clusters.begin(), impl_->clusters.end(),
                                     [&](const auto& c) { return c->consumer().cluster() == position.lane.cluster; });
    const bool ours = member != impl_->clusters.end() && [&] {
      const auto& topics = impl_->settings.clusters[static_cast<std::size_t>(member - impl_->clusters.begin())].topics;
      return std::find(topics.begin(), topics.end(), position.lane.topic) != topics.end();
    }();
    if (ours)
      (*member)->restore(position);
    else
      impl_->readers[0]->keep(position);  // the cluster or topic left the configuration; it may come back
  }
  for (auto& cluster : impl_->clusters) cluster->consumer().add(*cluster);
  return ok();
}

SourceReader& KafkaSource::reader(unsigned shard) { return *impl_->readers.at(shard); }

int KafkaSource::wake_fd(unsigned shard) const { return impl_->readers.at(shard)->inbox().wake_fd(); }

std::vector<LaneStatus> KafkaSource::lanes() const {
  const std::int64_t now = impl_->clock.monotonic_ms();
  std::vector<LaneStatus> all;
  for (const SourceLane* lane : impl_->table.all()) {
    LaneStatus status;
    status.lane = lane->key;
    status.position = lane->position;
    status.end = lane->end;
    status.low = lane->low;
    const std::int64_t seen = lane->end_seen_at;
    status.end_seen_ms_ago = seen < 0 ? -1 : now - seen;
    status.at_end = lane->at_end;
    status.stopped = lane->phase == LanePhase::stopped;
    status.pending_cut = impl_->cuts.any_of(lane->key);
    status.note = lane->note();
    if (status.note.empty() && lane->phase == LanePhase::starting)
      status.note = impl_->clusters[lane->member]->problem();
    all.push_back(std::move(status));
  }
  return all;
}

std::vector<ClusterStatus> KafkaSource::clusters() const {
  const std::int64_t now = impl_->clock.monotonic_ms();
  const std::int64_t wall_offset = impl_->clock.wall_ms() - now;
  std::vector<ClusterStatus> all;
  std::lock_guard lock(impl_->view_mutex);
  for (unsigned member = 0; member < impl_->clusters.size(); ++member) {
    const auto& cluster = *impl_->clusters[member];
    const HealthSnapshot health = cluster.consumer().health().snapshot();
    ClusterStatus status;
    status.cluster = cluster.consumer().cluster();
    status.state = impl_->views[member].look(health.state, health.healthy_since_ms, now);
    status.since_ms = health.since_ms + wall_offset;
    std::int64_t last = cluster.consumer().last_answer_ms();
    for (const auto& reader : impl_->readers) last = std::max(last, reader->last_record_ms(member));
    status.last_data_ms_ago = last < 0 ? -1 : now - last;
    status.last_error = cluster.problem();
    if (status.last_error.empty() && health.healthy_since_ms < 0) {
      status.last_error = !health.last_error.empty() ? health.last_error : cluster.consumer().last_error();
    }
    all.push_back(std::move(status));
  }
  return all;
}

Result<std::vector<LaneCut>> KafkaSource::plan_discard(DiscardTarget target, int timeout_ms) {
  const std::int64_t click_ms = impl_->clock.wall_ms();
  // Side by side: a cluster that does not answer must not use up the time of the other.
  std::vector<std::future<std::vector<LaneCut>>> parts;
  for (auto& cluster : impl_->clusters) {
    parts.push_back(std::async(std::launch::async, [&cluster, target, click_ms, timeout_ms] {
      return cluster->plan(target, click_ms, timeout_ms);
    }));
  }
  std::vector<LaneCut> all;
  for (auto& part : parts) {
    for (auto& cut : part.get()) all.push_back(std::move(cut));
  }
  return all;
}

void KafkaSource::add_pending_cut(const LaneCut& cut) {
  impl_->cuts.add(cut);
  for (SourceLane* lane : impl_->table.all()) {
    if (lane->key == cut.lane) impl_->clusters[lane->member]->hold_for_cut(*lane);
  }
}

std::vector<LaneCut> KafkaSource::pending_cuts() const { return impl_->cuts.all(); }

void KafkaSource::stop() {
  if (std::exchange(impl_->stopped, true)) return;
  for (auto& cluster : impl_->clusters) {
    if (impl_->started) cluster->consumer().remove(*cluster);
    cluster->release_all();
  }
}

}  // namespace twinspan::connectors
