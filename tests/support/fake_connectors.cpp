#include "tests/support/fake_connectors.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <thread>

#include <fmt/format.h>

namespace twinspan::testing {

using connectors::ClusterState;
using connectors::LaneCut;
using connectors::LaneEvent;
using connectors::LaneKey;
using connectors::LanePosition;

namespace {
constexpr std::int64_t kAtEndAgainMs = 10;  // a real source looks again and again whether the end is still the end
}

// --- the world ---

ClusterState FakeWorld::state(const std::string& cluster) const {
  const auto it = states_.find(cluster);
  return it == states_.end() ? ClusterState::up : it->second;
}

void FakeWorld::create(const std::string& cluster, const std::string& topic, int partitions) {
  std::lock_guard lock(mutex_);
  for (int p = 0; p < partitions; ++p) lanes_[{cluster, topic, p}];
}

std::int64_t FakeWorld::push(const LaneKey& lane, FakeRecord record) {
  std::lock_guard lock(mutex_);
  Lane& l = lanes_[lane];
  l.log.push_back(std::make_shared<FakeRecord>(std::move(record)));
  l.read.push_back(0);
  if (state(lane.cluster) != ClusterState::down) l.end_seen = static_cast<std::int64_t>(l.log.size());
  return static_cast<std::int64_t>(l.log.size()) - 1;
}

void FakeWorld::set_state(const std::string& cluster, ClusterState state) {
  std::lock_guard lock(mutex_);
  states_[cluster] = state;
  since_[cluster] = clock_.wall_ms();
  if (state == ClusterState::down) return;
  for (auto& [key, lane] : lanes_)
    if (key.cluster == cluster) lane.end_seen = static_cast<std::int64_t>(lane.log.size());
}

void FakeWorld::retain_from(const LaneKey& lane, std::int64_t offset) {
  with([&] { lanes_.at(lane).low = offset; });
}

void FakeWorld::limit(const LaneKey& lane, std::int64_t up_to) {
  with([&] { lanes_.at(lane).limit = up_to; });
}

std::int64_t FakeWorld::end(const LaneKey& lane) const {
  return with([&] { return static_cast<std::int64_t>(lanes_.at(lane).log.size()); });
}

std::int64_t FakeWorld::position(const LaneKey& lane) const {
  return with([&] { return lanes_.at(lane).position; });
}

bool FakeWorld::drained() const {
  return with([&] {
    return std::all_of(lanes_.begin(), lanes_.end(), [&](const auto& item) {
      const Lane& l = item.second;
      const std::int64_t to = l.limit >= 0 ? l.limit : static_cast<std::int64_t>(l.log.size());
      return state(item.first.cluster) == ClusterState::down || l.position >= to;
    });
  });
}

std::uint64_t FakeWorld::read(const LaneKey& lane, std::int64_t offset) const {
  return with([&] { return lanes_.at(lane).read.at(static_cast<std::size_t>(offset)); });
}

void FakeWorld::cork(const std::string& sink, bool corked) {
  with([&] { sinks_[sink].corked = corked; });
}
void FakeWorld::close(const std::string& sink, bool closed) {
  with([&] { sinks_[sink].closed = closed; });
}
void FakeWorld::refuse(const std::string& sink, std::function<bool(const std::string&)> refused) {
  with([&] { sinks_[sink].refused = std::move(refused); });
}
void FakeWorld::switch_route(const std::string& sink, const std::string& cluster) {
  with([&] { sinks_[sink].route = cluster; });
}
std::vector<Delivered> FakeWorld::delivered(const std::string& sink) const {
  return with([&] {
    const auto it = sinks_.find(sink);
    return it == sinks_.end() ? std::vector<Delivered>() : it->second.delivered;
  });
}
std::size_t FakeWorld::delivered_count(const std::string& sink) const {
  return with([&] {
    const auto it = sinks_.find(sink);
    return it == sinks_.end() ? 0 : it->second.delivered.size();
  });
}
std::size_t FakeWorld::waiting(const std::string& sink) const {
  return with([&] {
    const auto it = sinks_.find(sink);
    return it == sinks_.end() ? 0 : it->second.waiting;
  });
}
gateway::SinkRequest FakeWorld::last_request(const std::string& sink) const {
  return with([&] { return sinks_.at(sink).request; });
}

// --- source ---

struct FakeLane {
  LaneKey key;
  LaneIndex index;
  unsigned shard = 0;
  std::int64_t position = 0, bound = -1;
  std::int64_t said_end_at = -1;  // when at_end was last reported
  bool halted = false, paused = false;
};

// What the shards of one source share. Everything under the world's lock.
struct FakeShared {
  FakeWorld& world;
  std::vector<std::unique_ptr<FakeLane>> lanes;  // by LaneIndex
  std::vector<LaneCut> cuts;                     // pending, oldest first
  config::OnGap on_gap = config::OnGap::fail;
  bool bounded = false, started = false;
};

class FakeReader final : public connectors::SourceReader {
 public:
  FakeReader(FakeShared& shared, unsigned shard, std::vector<std::string> clusters)
      : shared_(shared), shard_(shard), clusters_(std::move(clusters)) {}

  std::size_t poll(connectors::RawRecord* out, std::size_t max) override {
    FakeWorld& w = shared_.world;
    std::lock_guard lock(w.mutex_);
    look();
    if (ordered_event_waits_) return 0;
    std::size_t n = 0;
    max = std::min(max, w.batch_ > 0 ? w.batch_ : 1 + w.random_() % 64);
    const auto mine = my_lanes();
    for (std::size_t i = 0; i < mine.size() && n < max; ++i)
      n += read(*mine[(turn_ + i) % mine.size()], out + n, max - n);
    ++turn_;
    return n;
  }

  void release() override { held_.clear(); }

  void take_events(std::vector<LaneEvent>& out) override {
    std::lock_guard lock(shared_.world.mutex_);
    look();
    std::move(events_.begin(), events_.end(), std::back_inserter(out));
    events_.clear();
    ordered_event_waits_ = false;
  }

  void positions(std::vector<LanePosition>& out) const override {
    std::lock_guard lock(shared_.world.mutex_);
    for (const FakeLane* l : my_lanes()) out.push_back({l->key, l->position, 7});
  }

  std::int64_t jump(LaneIndex lane, std::int64_t to) override {
    std::lock_guard lock(shared_.world.mutex_);
    FakeLane& l = *shared_.lanes.at(lane.value);
    const std::int64_t from = l.position;
    move(l, std::max(from, to));
    return from;
  }

  void set_paused(LaneIndex lane, bool paused) override {
    std::lock_guard lock(shared_.world.mutex_);
    shared_.lanes.at(lane.value)->paused = paused;
  }

  bool ended() const override {
    std::lock_guard lock(shared_.world.mutex_);
    const auto mine = my_lanes();
    return shared_.bounded && events_.empty() && std::all_of(mine.begin(), mine.end(), [](const FakeLane* l) {
             return l->halted || l->position >= l->bound;
           });
  }

  // Under the world's lock.
  void lanes_known(const std::string& cluster) {
    LaneEvent event;
    event.kind = LaneEvent::Kind::lanes_known;
    event.cluster = cluster;
    events_.push_back(std::move(event));
  }
  void added(const FakeLane& lane) { raise(LaneEvent::Kind::added, lane, lane.position, lane.position, {}); }

 private:
  std::vector<FakeLane*> my_lanes() const {
    std::vector<FakeLane*> out;
    for (const auto& l : shared_.lanes)
      if (l->shard == shard_) out.push_back(l.get());
    return out;
  }

  void move(FakeLane& lane, std::int64_t to) {
    lane.position = to;
    shared_.world.lanes_[lane.key].position = to;
  }

  void raise(LaneEvent::Kind kind, const FakeLane& lane, std::int64_t position, std::int64_t to, std::string detail) {
    LaneEvent e;
    e.kind = kind;
    e.lane = lane.index;
    e.key = lane.key;
    e.cluster = lane.key.cluster;
    e.position = position;
    e.to = to;
    e.state = shared_.world.state(lane.key.cluster);
    e.detail = std::move(detail);
    events_.push_back(std::move(e));
    ordered_event_waits_ |=
        kind == LaneEvent::Kind::added || kind == LaneEvent::Kind::gap || kind == LaneEvent::Kind::cut;
  }

  // States of clusters, cuts and gaps that are due, ends.
  void look() {
    FakeWorld& w = shared_.world;
    for (const std::string& cluster : clusters_) {
      const ClusterState now = w.state(cluster);
      ClusterState& before = states_.try_emplace(cluster, ClusterState::up).first->second;
      if (now == before) continue;
      before = now;
      LaneEvent e;
      e.kind = LaneEvent::Kind::cluster_state;
      e.cluster = cluster;
      e.state = now;
      events_.push_back(std::move(e));
    }
    const std::int64_t now = w.clock_.monotonic_ms();
    for (FakeLane* l : my_lanes()) {
      if (w.state(l->key.cluster) == ClusterState::down || l->halted || !shared_.started) continue;
      const FakeWorld::Lane& log = w.lanes_[l->key];
      const auto end = static_cast<std::int64_t>(log.log.size());
      for (auto cut = shared_.cuts.begin(); cut != shared_.cuts.end();) {
        if (cut->lane != l->key) {
          ++cut;
          continue;
        }
        std::int64_t to = cut->cut_offset;
        if (cut->by_time) {
          to = 0;
          while (to < end && log.log[static_cast<std::size_t>(to)]->timestamp < cut->cut_time_ms) ++to;
        }
        const std::int64_t from = l->position;
        move(*l, std::max(from, std::min(to, end)));
        raise(LaneEvent::Kind::cut, *l, from, l->position, "by offset");
        cut = shared_.cuts.erase(cut);
      }
      if (l->position < log.low) {
        if (shared_.on_gap == config::OnGap::fail) {
          l->halted = true;
          raise(LaneEvent::Kind::stopped, *l, l->position, log.low,
                "older than what the broker keeps; on_gap is 'fail'");
          continue;
        }
        const std::int64_t from = l->position;
        move(*l, log.low);
        raise(LaneEvent::Kind::gap, *l, from, log.low, "older than what the broker keeps");
      }
      if (l->position == end && (l->said_end_at < 0 || now - l->said_end_at >= kAtEndAgainMs)) {
        l->said_end_at = now;
        raise(LaneEvent::Kind::at_end, *l, end, end, {});
      }
    }
  }

  std::size_t read(FakeLane& lane, connectors::RawRecord* out, std::size_t max) {
    FakeWorld& w = shared_.world;
    if (w.state(lane.key.cluster) == ClusterState::down || lane.halted || lane.paused) return 0;
    FakeWorld::Lane& log = w.lanes_[lane.key];
    std::int64_t to = static_cast<std::int64_t>(log.log.size());
    if (log.limit >= 0) to = std::min(to, log.limit);
    if (shared_.bounded) to = std::min(to, lane.bound);
    std::size_t n = 0;
    for (; n < max && lane.position < to; ++n, move(lane, lane.position + 1)) {
      const auto at = static_cast<std::size_t>(lane.position);
      ++log.read[at];
      const auto& record = held_.emplace_back(log.log[at]);
      out[n] = {lane.index, lane.position, record->timestamp, record->key, record->value, !record->key.empty(), true};
      lane.said_end_at = -1;
    }
    return n;
  }

  FakeShared& shared_;
  const unsigned shard_;
  const std::vector<std::string> clusters_;
  std::map<std::string, ClusterState> states_;
  std::vector<LaneEvent> events_;
  std::vector<std::shared_ptr<const FakeRecord>> held_;
  bool ordered_event_waits_ = false;
  std::size_t turn_ = 0;
};

class FakeSource final : public connectors::Source {
 public:
  FakeSource(FakeWorld& world, const gateway::SourceRequest& request)
      : shared_{world, {}, {}, request.plan->spec->on_gap, request.bounded, false},
        spec_(*request.plan->spec),
        shards_(request.shards) {
    for (const auto& name : spec_.clusters->names) clusters_.push_back(name.value);
    for (unsigned s = 0; s < shards_; ++s) readers_.push_back(std::make_unique<FakeReader>(shared_, s, clusters_));
  }

  Status start(const std::vector<LanePosition>& restored) override {
    std::lock_guard lock(shared_.world.mutex_);
    for (const LanePosition& p : restored) add(p.lane, p.offset);
    for (const auto& [key, lane] : shared_.world.lanes_) {
      const bool ours = std::find(clusters_.begin(), clusters_.end(), key.cluster) != clusters_.end() &&
                        key.topic == spec_.topic->on(key.cluster);
      const bool known =
          std::any_of(shared_.lanes.begin(), shared_.lanes.end(), [&, &k = key](const auto& l) { return l->key == k; });
      if (ours && !known)
        add(key, spec_.start.at == config::StartAt::latest ? static_cast<std::int64_t>(lane.log.size()) : lane.low);
    }
    shared_.started = true;
    for (auto& reader : readers_)
      for (const std::string& cluster : clusters_) reader->lanes_known(cluster);
    return ok();
  }

  connectors::SourceReader& reader(unsigned shard) override { return *readers_.at(shard); }
  int wake_fd(unsigned) const override { return -1; }

  std::vector<connectors::LaneStatus> lanes() const override {
    std::lock_guard lock(shared_.world.mutex_);
    std::vector<connectors::LaneStatus> out;
    for (const auto& l : shared_.lanes) {
      const FakeWorld::Lane& log = shared_.world.lanes_[l->key];
      connectors::LaneStatus s;
      s.lane = l->key;
      s.position = l->position;
      s.end = log.end_seen;
      s.low = log.low;
      s.at_end = l->position == static_cast<std::int64_t>(log.log.size());
      s.stopped = l->halted;
      s.pending_cut =
          std::any_of(shared_.cuts.begin(), shared_.cuts.end(), [&](const LaneCut& c) { return c.lane == l->key; });
      out.push_back(std::move(s));
    }
    return out;
  }

  std::vector<connectors::ClusterStatus> clusters() const override {
    std::lock_guard lock(shared_.world.mutex_);
    std::vector<connectors::ClusterStatus> out;
    for (const std::string& c : clusters_) out.push_back({c, shared_.world.state(c), shared_.world.since_[c], -1, ""});
    return out;
  }

  Result<std::vector<LaneCut>> plan_discard(connectors::DiscardTarget target, int) override {
    using Kind = connectors::DiscardTarget::Kind;
    std::lock_guard lock(shared_.world.mutex_);
    const std::int64_t click = shared_.world.clock_.wall_ms();
    std::vector<LaneCut> out;
    for (const auto& l : shared_.lanes) {
      const FakeWorld::Lane& log = shared_.world.lanes_[l->key];
      LaneCut cut;
      cut.lane = l->key;
      cut.index = l->index;
      cut.shard = l->shard;
      cut.by_time = target.kind != Kind::latest;
      cut.cut_time_ms = target.kind == Kind::timestamp   ? target.ms
                        : target.kind == Kind::keep_last ? click - target.ms
                                                         : click;
      cut.cut_offset = log.end_seen;
      cut.from = l->position;
      cut.reachable = shared_.world.state(l->key.cluster) != ClusterState::down;
      if (cut.reachable) {
        cut.to = static_cast<std::int64_t>(log.log.size());
        for (std::int64_t o = log.low; cut.by_time && o < cut.to; ++o)
          if (log.log[static_cast<std::size_t>(o)]->timestamp >= cut.cut_time_ms) cut.to = o;
        cut.to = std::max(cut.to, cut.from);
      }
      out.push_back(std::move(cut));
    }
    return out;
  }

  void add_pending_cut(const LaneCut& cut) override {
    std::lock_guard lock(shared_.world.mutex_);
    shared_.cuts.push_back(cut);
  }
  std::vector<LaneCut> pending_cuts() const override {
    std::lock_guard lock(shared_.world.mutex_);
    return shared_.cuts;
  }
  void stop() override {}

 private:
  void add(const LaneKey& key, std::int64_t position) {
    auto lane = std::make_unique<FakeLane>();
    lane->key = key;
    lane->index = LaneIndex(static_cast<std::uint32_t>(shared_.lanes.size()));
    lane->shard = static_cast<unsigned>(
        (std::hash<std::string>()(key.cluster) + static_cast<std::size_t>(key.partition)) % shards_);
    lane->position = position;
    FakeWorld::Lane& log = shared_.world.lanes_[key];
    log.position = position;
    lane->bound = static_cast<std::int64_t>(log.log.size());
    readers_[lane->shard]->added(*lane);
    shared_.lanes.push_back(std::move(lane));
  }

  mutable FakeShared shared_;
  const config::SourceSpec& spec_;
  const unsigned shards_;
  std::vector<std::string> clusters_;
  std::vector<std::unique_ptr<FakeReader>> readers_;
};

// --- sink ---

// What the shards of one sink share. Under the world's lock.
struct FakeRoute {
  std::uint64_t generation = 0, switches = 0;
  std::string cluster;
};

class FakeWriter final : public connectors::SinkWriter {
 public:
  FakeWriter(FakeWorld& world, const gateway::SinkRequest& request, unsigned shard, FakeRoute& route)
      : world_(world), request_(request), shard_(shard), route_(route) {}

  ~FakeWriter() override {
    std::lock_guard lock(world_.mutex_);
    world_.sinks_[request_.id].waiting -= queue_.size();
  }

  bool has_room() const override {
    std::lock_guard lock(world_.mutex_);
    return !world_.sinks_[request_.id].closed;
  }

  void write(const connectors::OutputRecord& record) override {
    std::lock_guard lock(world_.mutex_);
    Delivered d;
    d.sink = request_.id;
    d.unit = request_.unit;
    d.incarnation = request_.incarnation;
    d.shard = shard_;
    d.sequence = ++written_;
    d.key = record.key;
    d.value = record.value;
    d.has_key = record.has_key;
    d.has_value = record.has_value;
    d.timestamp = record.timestamp;
    for (std::size_t i = 0; i < record.header_count; ++i)
      d.headers.emplace(record.headers[i].first, record.headers[i].second);
    queue_.push_back(std::move(d));
    ++world_.sinks_[request_.id].waiting;
  }

  void step() override {
    follow_route();
    acknowledge(false);
  }

  std::uint64_t written() const override { return written_; }
  std::uint64_t acknowledged() const override { return acknowledged_.load(); }

  void acknowledge(bool all) {
    while (true) {
      Delivered d;
      {
        std::lock_guard lock(world_.mutex_);
        FakeWorld::SinkState& s = world_.sinks_[request_.id];
        if (queue_.empty() || s.corked || (!all && world_.slowly_ && world_.random_() % 4 == 0)) return;
        d = std::move(queue_.front());
        queue_.pop_front();
        --s.waiting;
        d.cluster = route_.cluster;
        if (!s.refused || !s.refused(d.value)) {
          s.delivered.push_back(std::move(d));
          acknowledged_.store(s.delivered.back().sequence);
          continue;
        }
      }
      // The answer must be out before the record counts as done.
      std::vector<std::pair<std::string_view, std::string_view>> headers(d.headers.begin(), d.headers.end());
      connectors::OutputRecord record;
      record.key = d.key;
      record.has_key = d.has_key;
      record.value = d.value;
      record.has_value = d.has_value;
      record.timestamp = d.timestamp;
      record.headers = headers.data();
      record.header_count = headers.size();
      if (request_.rejected) request_.rejected(shard_, record, "larger than the cluster takes");
      acknowledged_.store(d.sequence);
    }
  }

  bool empty() const {
    std::lock_guard lock(world_.mutex_);
    return queue_.empty();
  }

 private:
  void follow_route() {
    std::uint64_t generation = 0;
    std::string cluster;
    {
      std::lock_guard lock(world_.mutex_);
      cluster = world_.sinks_[request_.id].route;
      if (cluster.empty() || cluster == route_.cluster || shard_ != 0) return;
      generation = route_.generation + 1;
    }
    if (!request_.persist_route(generation, cluster)) return;
    std::lock_guard lock(world_.mutex_);
    route_.generation = generation;
    route_.cluster = cluster;
    ++route_.switches;
  }

  FakeWorld& world_;
  const gateway::SinkRequest& request_;
  const unsigned shard_;
  FakeRoute& route_;
  std::deque<Delivered> queue_;
  std::uint64_t written_ = 0;
  std::atomic<std::uint64_t> acknowledged_{0};
};

class FakeSink final : public connectors::Sink {
 public:
  FakeSink(FakeWorld& world, const gateway::SinkRequest& request) : world_(world), request_(request) {
    const config::RouteSpec& route = request.sink != nullptr ? *request.sink->clusters : *request.dead_letter->clusters;
    route_.generation = request.route_generation;
    route_.cluster = request.route_cluster.empty() ? route.names.front().value : request.route_cluster;
    for (unsigned s = 0; s < request.shards; ++s)
      writers_.push_back(std::make_unique<FakeWriter>(world, request_, s, route_));
    std::lock_guard lock(world.mutex_);
    world.sinks_[request.id].request = request;
    world.sinks_[request.id].route.clear();
  }

  Status start() override { return ok(); }
  connectors::SinkWriter& writer(unsigned shard) override { return *writers_.at(shard); }

  connectors::SinkStatus status() const override {
    std::lock_guard lock(world_.mutex_);
    connectors::SinkStatus out;
    out.sink = request_.id;
    out.active_cluster = route_.cluster;
    out.route_generation = route_.generation;
    out.switches = route_.switches;
    const auto& s = world_.sinks_[request_.id];
    out.acknowledged = s.delivered.size();
    out.records = s.delivered.size() + s.waiting;
    return out;
  }

  std::uint64_t route_generation() const override {
    std::lock_guard lock(world_.mutex_);
    return route_.generation;
  }

  // The shards are still or gone, or (bounded runs) idle: the writers' own queues are under the world's lock.
  Status flush(int timeout_ms) override {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
    while (true) {
      for (auto& w : writers_) w->acknowledge(true);
      if (std::all_of(writers_.begin(), writers_.end(), [](const auto& w) { return w->empty(); })) return ok();
      if (std::chrono::steady_clock::now() >= deadline)
        return transient_error(fmt::format("sink '{}' has not acknowledged everything in time", request_.id));
      std::this_thread::yield();
    }
  }
  void stop() override {}

 private:
  FakeWorld& world_;
  const gateway::SinkRequest request_;
  FakeRoute route_;
  std::vector<std::unique_ptr<FakeWriter>> writers_;
};

Result<std::unique_ptr<connectors::Source>> FakeConnectors::make_source(const gateway::SourceRequest& request) {
  return std::unique_ptr<connectors::Source>(std::make_unique<FakeSource>(world_, request));
}

Result<std::unique_ptr<connectors::Sink>> FakeConnectors::make_sink(const gateway::SinkRequest& request) {
  return std::unique_ptr<connectors::Sink>(std::make_unique<FakeSink>(world_, request));
}

}  // namespace twinspan::testing
