#include "engine/checkpoint/base_merger.h"

#include <ctime>

#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/format.h>

namespace twinspan::engine {

namespace {

// Best effort, last level (man ioprio_set): the idle class may never be served on a busy disk, and the chain of deltas
// would grow without end. Neither call can do harm if it is refused.
void lower_priority() {
  constexpr int kWhoProcess = 1, kBestEffort = 2, kClassShift = 13, kLastLevel = 7;
  (void)::syscall(SYS_ioprio_set, kWhoProcess, 0, kBestEffort << kClassShift | kLastLevel);
  (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), 15);
  ::pthread_setname_np(::pthread_self(), "base-merger");
}

std::uint64_t thread_cpu_us() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(t.tv_nsec) / 1000;
}

}  // namespace

void BaseMerger::start() {
  thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
}

void BaseMerger::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
}

void BaseMerger::consider() {
  {
    std::lock_guard lock(mutex_);
    if (clock_.monotonic_ms() < not_before_) return;
    asked_ = true;
  }
  wake_.notify_one();
}

BaseMerger::Figures BaseMerger::figures() const {
  std::lock_guard lock(mutex_);
  return figures_;
}

void BaseMerger::run(std::stop_token stop) {
  lower_priority();
  while (!stop.stop_requested()) {
    {
      std::unique_lock lock(mutex_);
      if (!wake_.wait(lock, stop, [this] { return asked_; })) return;
      asked_ = false;
    }
    while (!stop.stop_requested() && store_.merge_due()) {
      merge_once(stop);
      std::lock_guard lock(mutex_);
      if (!figures_.last_error.empty()) break;
    }
  }
}

void BaseMerger::merge_once(std::stop_token stop) {
  const std::int64_t began = clock_.monotonic_ms();
  const CheckpointStore::Figures before = store_.figures();
  const std::uint64_t needs = before.base_bytes + before.delta_bytes;  // no new base is larger
  const Status merged =
      room_(needs)
          ? store_.merge(stop)
          : Status(transient_error(fmt::format("no base is made: the disk has no room for {} MiB more", needs >> 20)));
  std::lock_guard lock(mutex_);
  figures_.cpu_us = thread_cpu_us();
  if (merged) {
    ++figures_.merges;
    figures_.last_took_ms = clock_.monotonic_ms() - began;
    figures_.last_error.clear();
  } else if (merged.error().kind != ErrorKind::shutdown) {
    ++figures_.failures;
    figures_.last_error = merged.error().message;
    not_before_ = clock_.monotonic_ms() + kRetryMs;
  }
}

}  // namespace twinspan::engine
