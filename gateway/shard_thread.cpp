#include "gateway/shard_thread.h"

#include <cerrno>

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <fmt/format.h>

namespace twinspan::gateway {

namespace {
constexpr std::int64_t kPublishEveryMs = 200;
}

ShardThread::ShardThread(unsigned index, ShardParts parts, const Clock& clock, BarrierListener on_barrier)
    : index_(index),
      parts_(std::move(parts)),
      clock_(clock),
      on_barrier_(std::move(on_barrier)),
      mail_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      snapshot_(std::make_shared<ShardSnapshot>()) {}

ShardThread::~ShardThread() {
  stop();
  if (mail_fd_ >= 0) ::close(mail_fd_);
}

void ShardThread::start() {
  {
    std::lock_guard lock(mail_mutex_);
    accepting_ = true;
  }
  thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
}

void ShardThread::start_stepped() {
  std::lock_guard lock(mail_mutex_);
  accepting_ = true;
}

void ShardThread::stop() {
  {
    std::lock_guard lock(mail_mutex_);
    accepting_ = false;
    mail_.clear();
  }
  if (!thread_.joinable()) return;
  thread_.request_stop();
  ::eventfd_write(mail_fd_, 1);
  thread_.join();
}

bool ShardThread::post(Command command) {
  {
    std::lock_guard lock(mail_mutex_);
    if (!accepting_) return false;
    mail_.push_back(std::move(command));
  }
  ::eventfd_write(mail_fd_, 1);
  return true;
}

std::shared_ptr<const ShardSnapshot> ShardThread::snapshot() const {
  std::lock_guard lock(snapshot_mutex_);
  return snapshot_;
}

void ShardThread::publish() {
  auto next = std::make_shared<ShardSnapshot>();
  engine::Shard& shard = *parts_.shard;
  for (unsigned i = 0; i < shard.node_count(); ++i) {
    next->nodes.push_back(shard.stats(i));
    if (next->failure.empty()) next->failure = next->nodes.back().failure;
    next->late_dropped.push_back(shard.late_dropped(i));
    next->shed.push_back(shard.shed_rows(i));
  }
  for (unsigned i = 0; i < parts_.feeds.size(); ++i) {
    next->sources.push_back(shard.source_watermark(i));
    next->lanes.push_back(parts_.feeds[i]->lane_times());
    next->outage.push_back(parts_.feeds[i]->outage());
    if (next->failure.empty()) next->failure = parts_.feeds[i]->stopped_lane();
  }
  next->ended = shard.ended();
  if (parts_.dead_letters->stopped()) next->failure = parts_.dead_letters->failure();
  std::lock_guard lock(snapshot_mutex_);
  snapshot_ = std::move(next);
}

void ShardThread::wait(int timeout_ms) {
  pollfd fds[32];
  nfds_t n = 0;
  fds[n++] = {mail_fd_, POLLIN, 0};
  for (int fd : parts_.wake_fds)
    if (fd >= 0 && n < 32) fds[n++] = {fd, POLLIN, 0};
  if (::poll(fds, n, timeout_ms) <= 0) return;
  for (nfds_t i = 0; i < n; ++i) {
    std::uint64_t ignored = 0;
    if ((fds[i].revents & POLLIN) != 0 && ::read(fds[i].fd, &ignored, sizeof ignored) < 0 && errno != EAGAIN) continue;
  }
}

bool ShardThread::run_once() {
  engine::Shard& shard = *parts_.shard;
  {
    std::lock_guard lock(mail_mutex_);
    taken_.swap(mail_);
  }
  for (Command& c : taken_) c(parts_);
  const bool had_commands = !taken_.empty();
  taken_.clear();
  const std::int64_t now = clock_.monotonic_ms();
  const bool progress = shard.step(now, clock_.wall_ms());
  const bool passed = shard.barrier_passed();
  if (passed) on_barrier_(shard.take_barrier());
  const bool failed = parts_.dead_letters->stopped() && !std::exchange(told_failure_, parts_.dead_letters->stopped());
  if (published_ < 0 || now - published_ >= kPublishEveryMs || failed || (shard.ended() && !snapshot()->ended)) {
    publish();
    published_ = now;
  }
  return progress || had_commands || passed;
}

void ShardThread::run(std::stop_token stop) {
  ::pthread_setname_np(::pthread_self(), fmt::format("shard-{}", index_).c_str());
  while (!stop.stop_requested()) {
    // Rings of other shards have no descriptor; with several shards the wait is short instead.
    if (!run_once()) wait(parts_.shard->shards() > 1 ? 1 : 5);
  }
  publish();
}

}  // namespace twinspan::gateway
