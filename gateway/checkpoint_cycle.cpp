#include "gateway/checkpoint_cycle.h"

#include <algorithm>

#include <pthread.h>

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
  if (state_ == State::acknowledging && hooks_.acknowledged(barriers_)) begin_write();
  if (state_ == State::writing) finish_write();
}

void CheckpointCycle::begin_write() {
  const Epoch epoch(last_ + 1);
  stalls_.resize(shards_);
  for (engine::ShardBarrier& b : barriers_) {
    stalls_[b.shard].add(static_cast<double>(b.stall_us) / 1000);
    for (engine::StepDelta& d : b.deltas) {
      carried_bytes_ += d.bytes.size();
      carried_[{d.step, d.shard}].append(std::move(d.bytes));
    }
    for (engine::StepPart& p : b.parts) {
      carried_bytes_ += p.part->bytes();
      parts_.push_back(std::move(p));
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

  prepared_.epoch = epoch;
  prepared_.meta = json::serialize(meta);
  prepared_.deltas.clear();
  for (auto& [key, bytes] : carried_) prepared_.deltas.push_back({key.first, key.second, shards_, std::move(bytes)});
  carried_.clear();
  state_ = State::writing;
  if (!writer_.joinable()) {
    const std::int64_t began = clock_.monotonic_ms();
    written_ = write();
    write_ms_ = clock_.monotonic_ms() - began;
    return;
  }
  {
    std::lock_guard lock(writer_mutex_);
    write_asked_ = true;
  }
  writer_wake_.notify_one();
}

Status CheckpointCycle::open_segments(const std::vector<engine::StepSegments>& restored) {
  // Whatever counts is linked by a checkpoint.
  TS_TRYV(files_.remove_all(directory_ + "/segments"));
  for (const engine::StepSegments& s : restored) {
    if (s.shards != shards_) continue;  // its rows are taken one by one, and written anew
    TS_TRY(files, segments_of(s.step, s.shard));
    TS_TRYV(files->adopt(s.files));
  }
  return ok();
}

Result<engine::SegmentFiles*> CheckpointCycle::segments_of(const std::string& step, unsigned shard) {
  if (const auto known = segments_.find({step, shard}); known != segments_.end()) return &known->second;
  engine::SegmentFiles& files =
      segments_.try_emplace(std::pair(step, shard), files_, fmt::format("{}/segments/{}@{}", directory_, step, shard))
          .first->second;
  if (auto opened = files.open(); !opened) {
    segments_.erase({step, shard});
    return opened.error();
  }
  return &files;
}

// A part that fails stays first in its queue; what came before it is carried like any delta.
Status CheckpointCycle::write_parts() {
  while (!parts_.empty()) {
    engine::StepPart& p = parts_.front();
    TS_TRY(files, segments_of(p.step, p.shard));
    engine::DeltaWriter delta;
    const std::uint64_t before = files->written_bytes();
    const Status written = p.part->write(*files, delta);
    prepared_.sealed_bytes += files->written_bytes() - before;
    TS_TRYV(written);
    if (delta.bytes() > 0) {
      const auto of = std::find_if(prepared_.deltas.begin(), prepared_.deltas.end(),
                                   [&](const engine::StepDelta& d) { return d.step == p.step && d.shard == p.shard; });
      if (of == prepared_.deltas.end())
        prepared_.deltas.push_back({p.step, p.shard, shards_, delta.take_delta()});
      else
        of->bytes.append(delta.take_delta());
    }
    parts_.pop_front();
  }
  prepared_.segments.clear();
  for (const auto& [key, files] : segments_)
    prepared_.segments.push_back({key.first, key.second, shards_, files.list()});
  return ok();
}

// Thread: writer, or control without one.
Status CheckpointCycle::write() {
  std::uint64_t bytes = 0;
  for (const engine::StepDelta& d : prepared_.deltas) bytes += d.bytes.size();
  for (const engine::StepPart& p : parts_) bytes += p.part->bytes();
  const std::uint64_t free = files_.free_bytes(directory_);
  if (free < kDiskReserve + bytes)
    return transient_error(fmt::format("checkpoint {} is not written: '{}' has {} MiB free, the reserve is {} MiB",
                                       prepared_.epoch.value, directory_, free >> 20, kDiskReserve >> 20));
  TS_TRYV(write_parts());
  return store_.write(prepared_);
}

void CheckpointCycle::finish_write() {
  std::optional<Status> written;
  std::int64_t write_ms = -1;
  {
    std::lock_guard lock(writer_mutex_);
    if (!written_) return;
    written = std::exchange(written_, std::nullopt);
    write_ms = write_ms_;
  }
  Status result = std::move(*written);
  const Epoch epoch = prepared_.epoch;
  if (result) {
    last_ = epoch.value;
    carried_bytes_ = 0;
    prepared_.deltas.clear();
    prepared_.sealed_bytes = 0;
    result = ledger_.append(epoch, ranges_, clock_.wall_ms());
    if (result) {
      ranges_.clear();
      hooks_.prepared(epoch);
    }
  } else {
    for (engine::StepDelta& d : prepared_.deltas) carried_[{d.step, d.shard}] = std::move(d.bytes);
    prepared_.deltas.clear();
  }
  state_ = State::idle;
  barriers_.clear();
  const std::int64_t now = clock_.monotonic_ms();
  std::lock_guard lock(figures_mutex_);
  figures_.stall_p99_ms.clear();
  for (const RecentPercentile& s : stalls_) figures_.stall_p99_ms.push_back(s.p99());
  if (!result) {
    ++figures_.failures;
    figures_.last_error = result.error().message;
    next_at_ = now + std::min<std::int64_t>(every_ms_, 1000);  // the disk may have room again
    return;
  }
  figures_.epoch = last_;
  figures_.at_ms = clock_.wall_ms();
  figures_.took_ms = now - began_at_;
  figures_.write_ms = write_ms;
  figures_.bytes = store_.last_epoch_bytes();
  figures_.bytes_total = store_.bytes_written();
  figures_.last_error.clear();
  served_ = begun_for_;
}

void CheckpointCycle::start() {
  writer_ = std::jthread([this](std::stop_token stop) { run(stop); });
}

void CheckpointCycle::stop() {
  if (!writer_.joinable()) return;
  writer_.request_stop();
  writer_.join();
}

void CheckpointCycle::run(std::stop_token stop) {
  ::pthread_setname_np(::pthread_self(), "checkpoint");
  for (;;) {
    {
      std::unique_lock lock(writer_mutex_);
      if (!writer_wake_.wait(lock, stop, [this] { return write_asked_; })) return;
      write_asked_ = false;
    }
    const std::int64_t began = clock_.monotonic_ms();
    Status result = write();
    std::lock_guard lock(writer_mutex_);
    written_ = std::move(result);
    write_ms_ = clock_.monotonic_ms() - began;
  }
}

void RecentPercentile::add(double value) {
  if (values_.size() < kLast)
    values_.push_back(value);
  else
    values_[next_++ % kLast] = value;
}

double RecentPercentile::p99() const {
  if (values_.empty()) return 0;
  std::vector<double> sorted = values_;
  const std::size_t rank = (sorted.size() * 99 + 99) / 100 - 1;
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(rank), sorted.end());
  return sorted[rank];
}

CheckpointFigures CheckpointCycle::figures() const {
  std::lock_guard lock(figures_mutex_);
  return figures_;
}

}  // namespace twinspan::gateway
