#include "gateway/driver/virtual_clusters.h"

#include <algorithm>

namespace twinspan::gateway {

using connectors::ClusterState;
using connectors::LaneEvent;
using connectors::LaneKey;
using connectors::LanePosition;

namespace {
constexpr std::int64_t kAtEndAgainMs = 10;  // a real source looks again and again whether the end is still the end
}

LaneKey virtual_lane(const config::SourceSpec& source, const std::string& cluster, std::int32_t partition) {
  if (source.file) return {"file", source.file->value, 0};
  return {cluster, source.topic->on(cluster), partition};
}

std::vector<LaneKey> VirtualClusters::lanes_of(const config::SourceSpec& source) const {
  std::vector<LaneKey> out;
  const auto take = [&](const std::string& cluster) {
    const std::string topic = virtual_lane(source, cluster, 0).topic;
    for (const auto& [lane, log] : logs_)
      if (lane.cluster == cluster && lane.topic == topic) out.push_back(lane);
  };
  if (source.file) {
    take("file");
  } else {
    for (const config::Id& c : source.clusters->names) take(c.value);
  }
  return out;
}

// --- source ---

class VirtualClusters::Reader final : public connectors::SourceReader {
 public:
  struct Lane {
    LaneKey key;
    LaneIndex index;
    std::int64_t position = 0;
    std::int64_t said_end_at = -1;  // when at_end was last reported
    bool told = false;              // `added` is out
  };

  Reader(VirtualClusters& world, std::vector<std::string> clusters) : world_(world), clusters_(std::move(clusters)) {}

  void add(const LaneKey& key, LaneIndex index, std::int64_t position) {
    lanes_.push_back({key, index, position, -1, false});
  }
  void start() { started_ = true; }

  std::size_t poll(connectors::RawRecord* out, std::size_t max) override {
    look();
    if (ordered_event_waits_) return 0;
    max = std::min(max, world_.batch_);
    std::size_t n = 0;
    for (Lane& l : lanes_) {
      if (!l.told || world_.is_down(l.key.cluster)) continue;
      const auto& log = world_.logs_.at(l.key);
      for (; n < max && l.position < static_cast<std::int64_t>(log.size()); ++n, ++l.position) {
        const VirtualRecord& r = log[static_cast<std::size_t>(l.position)];
        out[n] = {l.index, l.position, r.timestamp, r.key, r.value, r.has_key, r.has_value};
        l.said_end_at = -1;
      }
    }
    return n;
  }
  void release() override {}

  void take_events(std::vector<LaneEvent>& out) override {
    look();
    std::move(events_.begin(), events_.end(), std::back_inserter(out));
    events_.clear();
    ordered_event_waits_ = false;
  }

  void positions(std::vector<LanePosition>& out) const override {
    for (const Lane& l : lanes_) out.push_back({l.key, l.position, -1});
  }

  std::int64_t jump(LaneIndex lane, std::int64_t to) override {
    for (Lane& l : lanes_) {
      if (l.index != lane) continue;
      const std::int64_t from = l.position;
      l.position = std::max(from, to);
      return from;
    }
    return to;
  }

  bool ended() const override {
    return world_.ended_ && events_.empty() && std::all_of(lanes_.begin(), lanes_.end(), [&](const Lane& l) {
             return l.position == static_cast<std::int64_t>(world_.logs_.at(l.key).size());
           });
  }
  const std::vector<Lane>& lanes() const { return lanes_; }

 private:
  void raise(LaneEvent::Kind kind, const Lane& lane) {
    LaneEvent e;
    e.kind = kind;
    e.lane = lane.index;
    e.key = lane.key;
    e.cluster = lane.key.cluster;
    e.position = e.to = lane.position;
    events_.push_back(std::move(e));
    ordered_event_waits_ |= kind == LaneEvent::Kind::added;
  }
  void raise(LaneEvent::Kind kind, const std::string& cluster, ClusterState state) {
    LaneEvent e;
    e.kind = kind;
    e.cluster = cluster;
    e.state = state;
    events_.push_back(std::move(e));
  }

  // A cluster's lanes are told when it answers for the first time, all its lanes at once; then where they end.
  void look() {
    if (!started_) return;
    for (const std::string& cluster : clusters_) {
      const bool down = world_.is_down(cluster);
      auto [known, is_new] = states_.try_emplace(cluster, ClusterState::up);
      if (down != (known->second == ClusterState::down)) {
        raise(LaneEvent::Kind::cluster_state, cluster, down ? ClusterState::down : ClusterState::rejoining);
        if (!down) raise(LaneEvent::Kind::cluster_state, cluster, ClusterState::up);
        known->second = down ? ClusterState::down : ClusterState::up;
      }
      if (down || !told_.insert(cluster).second) continue;
      for (Lane& l : lanes_) {
        if (l.key.cluster != cluster) continue;
        l.told = true;
        raise(LaneEvent::Kind::added, l);
      }
      if (cluster != "file") raise(LaneEvent::Kind::lanes_known, cluster, ClusterState::up);
    }
    const std::int64_t now = world_.clock_.monotonic_ms();
    for (Lane& l : lanes_) {
      if (!l.told || world_.is_down(l.key.cluster)) continue;
      const bool at_end = l.position == static_cast<std::int64_t>(world_.logs_.at(l.key).size());
      if (!at_end || (l.said_end_at >= 0 && now - l.said_end_at < kAtEndAgainMs)) continue;
      l.said_end_at = now;
      raise(LaneEvent::Kind::at_end, l);
    }
  }

  VirtualClusters& world_;
  const std::vector<std::string> clusters_;
  std::vector<Lane> lanes_;
  std::map<std::string, ClusterState> states_;
  std::set<std::string> told_;  // clusters whose lanes are out
  std::vector<LaneEvent> events_;
  bool started_ = false, ordered_event_waits_ = false;
};

class VirtualClusters::Source final : public connectors::Source {
 public:
  Source(VirtualClusters& world, const SourceRequest& request) : world_(world), spec_(*request.plan->spec) {
    std::vector<std::string> clusters;
    if (spec_.file)
      clusters.push_back("file");
    else
      for (const config::Id& c : spec_.clusters->names) clusters.push_back(c.value);
    clusters_ = clusters;
    for (unsigned s = 0; s < request.shards; ++s) readers_.push_back(std::make_unique<Reader>(world, clusters));
  }

  // Lanes go to the shards in turn, so that those of a test are on different ones.
  Status start(const std::vector<LanePosition>& restored) override {
    const std::vector<LaneKey> lanes = world_.lanes_of(spec_);
    for (std::uint32_t i = 0; i < lanes.size(); ++i) {
      std::int64_t position = 0;
      for (const LanePosition& p : restored)
        if (p.lane == lanes[i]) position = p.offset;
      readers_[i % readers_.size()]->add(lanes[i], LaneIndex(i), position);
    }
    for (auto& r : readers_) r->start();
    return ok();
  }
  connectors::SourceReader& reader(unsigned shard) override { return *readers_.at(shard); }
  int wake_fd(unsigned) const override { return -1; }

  std::vector<connectors::LaneStatus> lanes() const override {
    std::vector<connectors::LaneStatus> out;
    for (const auto& r : readers_) {
      for (const Reader::Lane& l : r->lanes()) {
        connectors::LaneStatus s;
        s.lane = l.key;
        s.position = l.position;
        s.end = static_cast<std::int64_t>(world_.logs_.at(l.key).size());
        s.low = 0;
        s.at_end = s.position == s.end;
        out.push_back(std::move(s));
      }
    }
    return out;
  }
  std::vector<connectors::ClusterStatus> clusters() const override {
    std::vector<connectors::ClusterStatus> out;
    if (spec_.file) return out;
    for (const std::string& c : clusters_)
      out.push_back({c, world_.is_down(c) ? ClusterState::down : ClusterState::up, 0, -1, ""});
    return out;
  }

  // Nobody asks: a discard is an operator's call to a running node.
  Result<std::vector<connectors::LaneCut>> plan_discard(connectors::DiscardTarget, int) override {
    return conflict_error("a pipeline in virtual time has no lag to discard");
  }
  void add_pending_cut(const connectors::LaneCut&) override {}
  std::vector<connectors::LaneCut> pending_cuts() const override { return {}; }
  void stop() override {}

 private:
  VirtualClusters& world_;
  const config::SourceSpec& spec_;
  std::vector<std::string> clusters_;
  std::vector<std::unique_ptr<Reader>> readers_;
};

// --- sink ---

class VirtualClusters::Writer final : public connectors::SinkWriter {
 public:
  explicit Writer(std::vector<VirtualOutput>& out) : out_(out) {}
  bool has_room() const override { return true; }
  void write(const connectors::OutputRecord& r) override {
    VirtualOutput& o = out_.emplace_back();
    o.key = r.key;
    o.value = r.value;
    o.has_key = r.has_key;
    o.has_value = r.has_value;
    o.timestamp = r.timestamp;
    for (std::size_t i = 0; i < r.header_count; ++i) o.headers.emplace_back(r.headers[i].first, r.headers[i].second);
    ++written_;
  }
  void step() override {}
  std::uint64_t written() const override { return written_; }
  std::uint64_t acknowledged() const override { return written_; }

 private:
  std::vector<VirtualOutput>& out_;
  std::uint64_t written_ = 0;
};

class VirtualClusters::Sink final : public connectors::Sink {
 public:
  Sink(VirtualClusters& world, const SinkRequest& request) : id_(request.id) {
    for (unsigned s = 0; s < request.shards; ++s)
      writers_.push_back(std::make_unique<Writer>(world.outputs_[request.id]));
  }
  Status start() override { return ok(); }
  connectors::SinkWriter& writer(unsigned shard) override { return *writers_.at(shard); }
  connectors::SinkStatus status() const override {
    connectors::SinkStatus s;
    s.sink = id_;
    for (const auto& w : writers_) s.records += w->written();
    s.acknowledged = s.records;
    return s;
  }
  std::uint64_t route_generation() const override { return 0; }
  Status flush(int) override { return ok(); }
  void stop() override {}

 private:
  const std::string id_;
  std::vector<std::unique_ptr<Writer>> writers_;
};

Result<std::unique_ptr<connectors::Source>> VirtualClusters::make_source(const SourceRequest& request) {
  return std::unique_ptr<connectors::Source>(std::make_unique<Source>(*this, request));
}

Result<std::unique_ptr<connectors::Sink>> VirtualClusters::make_sink(const SinkRequest& request) {
  return std::unique_ptr<connectors::Sink>(std::make_unique<Sink>(*this, request));
}

}  // namespace twinspan::gateway
