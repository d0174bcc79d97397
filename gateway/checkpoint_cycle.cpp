#include "gateway/checkpoint_cycle.h"

#include <fmt/format.h>
#include <boost/json.hpp>

namespace twinspan::gateway {

namespace json = boost::json;

CheckpointCycle::CheckpointCycle(engine::CheckpointStore& store, Ledger& ledger, engine::FileSystem& files,
                                 std::string directory, unsigned shards, std::int64_t every_ms, const Clock& clock,
                                 Hooks hooks)
    : store_(store),
      ledger_(ledger),
      files_(files),
      directory_(std::move(directory)),
      shards_(shards),
      every_ms_(every_ms),
      clock_(clock),
      hooks_(std::move(hooks)) {}

void CheckpointCycle::barrier_from(engine::ShardBarrier&& barrier) {
  std::lock_guard lock(barriers_mutex_);
  barriers_.push_back(std::move(barrier));
}

void CheckpointCycle::tick() {
  const std::int64_t now = clock_.monotonic_ms();
  if (next_at_ < 0) next_at_ = now + every_ms_;
  if (state_ == State::idle && (requested_ > begun_for_ || now >= next_at_)) {
    begun_for_ = requested_;
    began_at_ = now;
    next_at_ = now + every_ms_;
    state_ = State::collecting;
    meta_ = hooks_.begin(Epoch(last_ + 1));
  }
  if (state_ == State::collecting) {
    std::lock_guard lock(barriers_mutex_);
    if (barriers_.size() == shards_) state_ = State::acknowledging;
  }
  if (state_ != State::acknowledging || !hooks_.acknowledged(barriers_)) return;
  const auto result = write();
  state_ = State::idle;
  barriers_.clear();
  std::lock_guard lock(figures_mutex_);
  if (!result) {
    ++figures_.failures;
    figures_.last_error = result.error().message;
    next_at_ = now + std::min<std::int64_t>(every_ms_, 1000);  // the disk may have room again
    return;
  }
  figures_.epoch = last_;
  figures_.at_ms = clock_.wall_ms();
  figures_.took_ms = clock_.monotonic_ms() - began_at_;
  figures_.bytes = store_.last_epoch_bytes();
  figures_.last_error.clear();
  served_ = begun_for_;
}

Status CheckpointCycle::write() {
  const Epoch epoch(last_ + 1);
  for (engine::ShardBarrier& b : barriers_) {
    for (engine::StepDelta& d : b.deltas) {
      carried_bytes_ += d.bytes.size();
      std::string& all = carried_[{d.step, d.shard}];
      if (all.empty())
        all = std::move(d.bytes);
      else
        all += d.bytes;
    }
  }
  for (SkippedRange& r : hooks_.take_ranges()) ranges_.push_back(std::move(r));

  json::object meta = json::parse(meta_).as_object();
  meta["format"] = engine::kCheckpointFormat;
  meta["epoch"] = epoch.value;
  meta["at"] = clock_.wall_ms();
  meta["shards"] = shards_;
  json::array feeds;
  json::array watermarks;
  std::sort(barriers_.begin(), barriers_.end(), [](const auto& a, const auto& b) { return a.shard < b.shard; });
  for (const engine::ShardBarrier& b : barriers_) {
    json::array of_shard, nodes;
    for (const std::string& f : b.feeds) of_shard.push_back(json::value(f));
    feeds.push_back(std::move(of_shard));
    for (const auto& inputs : b.input_watermarks) {
      json::array node;
      for (const Watermark& w : inputs) node.push_back(json::array{w.firing, w.retention});
      nodes.push_back(std::move(node));
    }
    watermarks.push_back(std::move(nodes));
  }
  meta["feeds"] = std::move(feeds);
  meta["watermarks"] = std::move(watermarks);
  json::array pending;
  for (const SkippedRange& r : ranges_)
    pending.push_back({{"source", r.source},
                       {"cluster", r.lane.cluster},
                       {"topic", r.lane.topic},
                       {"partition", r.lane.partition},
                       {"from", r.from},
                       {"to", r.to},
                       {"why", r.why}});
  meta["ledger"] = std::move(pending);

  const std::uint64_t free = files_.free_bytes(directory_);
  if (free < kDiskReserve + carried_bytes_)
    return transient_error(fmt::format("checkpoint {} is not written: '{}' has {} MiB free, the reserve is {} MiB",
                                       epoch.value, directory_, free >> 20, kDiskReserve >> 20));
  engine::PreparedEpoch prepared;
  prepared.epoch = epoch;
  prepared.meta = json::serialize(meta);
  for (auto& [key, bytes] : carried_) prepared.deltas.push_back({key.first, key.second, shards_, bytes});
  TS_TRYV(store_.write(prepared));
  last_ = epoch.value;
  carried_.clear();
  carried_bytes_ = 0;
  TS_TRYV(ledger_.append(epoch, ranges_, clock_.wall_ms()));
  ranges_.clear();
  hooks_.prepared(epoch);
  if (store_.merge_due()) TS_TRYV(store_.merge());
  return ok();
}

CheckpointFigures CheckpointCycle::figures() const {
  std::lock_guard lock(figures_mutex_);
  return figures_;
}

}  // namespace twinspan::gateway
