#include "tests/bench/engine/epoch_writer.h"

#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <utility>

#include <fmt/format.h>

namespace twinspan::bench {

EpochWriter::EpochWriter(unsigned shard)
    : directory_(fmt::format("{}/twinspan_bench_{}_{}", std::filesystem::current_path().string(), ::getpid(), shard)),
      store_(files_, directory_ + "/state") {
  if (auto opened = store_.open(); !opened) figures_.error = opened.error().message;
  thread_ = std::jthread([this] { run(); });
}

EpochWriter::~EpochWriter() {
  finish();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void EpochWriter::give(engine::ShardBarrier&& barrier) {
  {
    std::lock_guard lock(mutex_);
    given_.push_back(std::move(barrier));
  }
  wake_.notify_one();
}

EpochWriter::Figures EpochWriter::finish() {
  {
    std::lock_guard lock(mutex_);
    ended_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
  return figures_;
}

void EpochWriter::run() {
  for (;;) {
    engine::ShardBarrier barrier;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return ended_ || !given_.empty(); });
      if (given_.empty()) break;
      barrier = std::move(given_.front());
      given_.pop_front();
    }
    if (!figures_.error.empty()) continue;
    if (auto written = write(barrier); !written) figures_.error = written.error().message;
  }
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  figures_.cpu_ns = static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
}

Status EpochWriter::write(engine::ShardBarrier& barrier) {
  engine::PreparedEpoch epoch;
  epoch.epoch = barrier.epoch;
  epoch.meta = "{}";
  epoch.deltas = std::move(barrier.deltas);
  for (engine::StepPart& p : barrier.parts) {
    auto files = segments_.find(p.step);
    if (files == segments_.end()) {
      files = segments_.try_emplace(p.step, files_, directory_ + "/segments/" + p.step).first;
      TS_TRYV(files->second.open());
    }
    const std::uint64_t before = files->second.written_bytes();
    engine::DeltaWriter delta;
    TS_TRYV(p.part->write(files->second, delta));
    epoch.sealed_bytes += files->second.written_bytes() - before;
    if (delta.bytes() > 0) epoch.deltas.push_back({p.step, 0, 1, delta.take_delta()});
  }
  for (const auto& [step, files] : segments_) epoch.segments.push_back({step, 0, 1, files.list()});
  TS_TRYV(store_.write(epoch));
  ++figures_.epochs;
  figures_.bytes += store_.last_epoch_bytes();
  figures_.last = store_.last_epoch_bytes();
  figures_.largest = std::max(figures_.largest, store_.last_epoch_bytes());
  return ok();
}

}  // namespace twinspan::bench
