#include "connectors/kafka/watchdog.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "connectors/kafka/rdkafka_handle.h"
#include "engine/base/clock.h"

namespace twinspan::connectors {
namespace {

constexpr int kTickMs = 40;
constexpr std::size_t kMostProbes = 8;

}  // namespace

class Watchdog::Impl {
 public:
  Impl(std::string name, WatchdogSettings settings)
      : name_(std::move(name)), settings_(settings), machine_(settings.rules, clock_.monotonic_ms()) {}

  ~Impl() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
      work_.notify_all();
    }
    timing_ = {};  // joins
    workers_.clear();
  }

  Status start(const ClusterSettings& cluster) {
    TS_TRY(conf, make_client_conf(cluster, "watchdog"));
    // Its own pace of reconnecting, so that a return is seen at once. One probe is one request: nothing else to wait
    // for.
    TS_TRYV(set_conf(conf, "reconnect.backoff.ms", "50"));
    TS_TRYV(set_conf(conf, "reconnect.backoff.max.ms", "100"));
    rd_kafka_conf_set_opaque(conf.get(), this);
    rd_kafka_conf_set_error_cb(conf.get(), [](rd_kafka_t*, int err, const char* reason, void* opaque) {
      static_cast<Impl*>(opaque)->on_error(static_cast<rd_kafka_resp_err_t>(err), reason);
    });
    TS_TRY(handle, make_client(RD_KAFKA_PRODUCER, std::move(conf), cluster));
    handle_ = std::move(handle);
    timing_ = std::jthread([this](std::stop_token stop) { run(stop); });
    return ok();
  }

  HealthSnapshot snapshot() const {
    std::lock_guard lock(mutex_);
    return {machine_.state(), machine_.since(), machine_.healthy_since(), machine_.ever_reached(), last_error_};
  }

  void data_progress() {
    std::lock_guard lock(mutex_);
    machine_.progress(clock_.monotonic_ms());
  }

  void data_failure(const char* what) {
    {
      std::lock_guard lock(mutex_);
      last_error_ = what;
    }
    hard_ = true;
  }

 private:
  struct Probe {
    std::int64_t started;
    bool hard;
  };

  // Called from rd_kafka_poll in run(): the timing thread.
  void on_error(rd_kafka_resp_err_t err, const char* reason) {
    if (err == RD_KAFKA_RESP_ERR__PURGE_QUEUE || err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT) return;
    if (err != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
      std::lock_guard lock(mutex_);
      last_error_ = reason;
    }
    // A single lost connection may be an idle one that the broker closed; a refused one, or no broker left, is worth
    // asking.
    if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || err == RD_KAFKA_RESP_ERR__RESOLVE ||
        (err == RD_KAFKA_RESP_ERR__TRANSPORT && std::strstr(reason, "refused") != nullptr)) {
      hard_ = true;
    }
  }

  void run(std::stop_token stop) {
    std::int64_t next = 0, last = 0;
    while (!stop.stop_requested()) {
      rd_kafka_poll(handle_.get(), kTickMs);
      const std::int64_t now = clock_.monotonic_ms();
      std::unique_lock lock(mutex_);
      changed(machine_.tick(now), now);
      // Once it is down, its return is what matters: a waiting probe sees that by itself, a short one is as good.
      const bool hard = hard_ && machine_.state() != ClusterState::down;
      if (hard && !was_hard_) next = now;
      was_hard_ = hard;
      const bool waiting = !under_way_.empty() && now - under_way_.front().started >= settings_.hurry_after_ms;
      if (waiting && !hard && machine_.state() != ClusterState::down)
        next = std::min(next, last + settings_.hurry_every_ms);
      if (now < next || under_way_.size() >= kMostProbes) continue;
      last = now;
      next = now + (hard ? settings_.hard_every_ms : settings_.probe_every_ms);
      launch({now, hard});
    }
  }

  void launch(Probe probe) {  // locked
    under_way_.push_back(probe);
    queued_.push_back(probe);
    if (idle_ < queued_.size() && workers_.size() < kMostProbes) workers_.emplace_back([this] { work(); });
    work_.notify_one();
  }

  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      ++idle_;
      work_.wait(lock, [this] { return stopping_ || !queued_.empty(); });
      --idle_;
      if (stopping_) return;
      const Probe probe = queued_.front();
      queued_.pop_front();
      lock.unlock();
      const rd_kafka_metadata_t* answer = nullptr;
      const auto err = rd_kafka_metadata(handle_.get(), 0, nullptr, &answer,
                                         probe.hard ? settings_.hard_deadline_ms : settings_.deadline_ms);
      const RdMetadata owned(answer);
      lock.lock();
      finish(probe, err);
    }
  }

  void finish(Probe probe, rd_kafka_resp_err_t err) {  // locked
    const auto mine = std::find_if(under_way_.begin(), under_way_.end(),
                                   [&](const Probe& p) { return p.started == probe.started && p.hard == probe.hard; });
    if (mine != under_way_.end()) under_way_.erase(mine);
    const std::int64_t now = clock_.monotonic_ms();
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      hard_ = false;
      last_error_.clear();
      changed(machine_.round(probe.started, HealthMachine::Round::good, now), now);
      return;
    }
    // A short probe that has a connection but no answer yet says nothing: brokers may take longer than that.
    if (probe.hard && err == RD_KAFKA_RESP_ERR__TIMED_OUT) return;
    if (last_error_.empty()) last_error_ = error_text(err);
    changed(machine_.round(probe.started, HealthMachine::Round::bad, now), now);
  }

  void changed(bool state_changed, std::int64_t now) {  // locked
    if (!state_changed) return;
    const auto level = machine_.state() == ClusterState::up || machine_.state() == ClusterState::rejoining
                           ? spdlog::level::info
                           : spdlog::level::warn;
    spdlog::log(level, "cluster={} is {}{}{}", name_, to_string(machine_.state()), last_error_.empty() ? "" : ": ",
                last_error_);
    if (machine_.state() == ClusterState::down) hard_ = false;
    (void)now;
  }

  const std::string name_;
  const WatchdogSettings settings_;
  SystemClock clock_;
  RdHandle handle_;

  mutable std::mutex mutex_;
  std::condition_variable work_;
  HealthMachine machine_;
  std::string last_error_;
  std::deque<Probe> queued_;
  std::vector<Probe> under_way_;  // by start, oldest first
  std::size_t idle_ = 0;
  bool stopping_ = false;
  bool was_hard_ = false;
  std::atomic<bool> hard_ = false;
  std::vector<std::jthread> workers_;
  std::jthread timing_;
};

Watchdog::Watchdog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Watchdog::~Watchdog() = default;

Result<std::unique_ptr<Watchdog>> Watchdog::start(const ClusterSettings& cluster, WatchdogSettings settings) {
  auto impl = std::make_unique<Impl>(cluster.name, settings);
  TS_TRYV(impl->start(cluster));
  return std::unique_ptr<Watchdog>(new Watchdog(std::move(impl)));
}

HealthSnapshot Watchdog::snapshot() const { return impl_->snapshot(); }
void Watchdog::data_progress() { impl_->data_progress(); }
void Watchdog::data_failure(const char* what) { impl_->data_failure(what); }

struct HealthRegistry::Impl {
  WatchdogSettings settings;
  std::mutex mutex;
  std::map<std::string, std::unique_ptr<Watchdog>> watchdogs;
};

HealthRegistry::HealthRegistry(WatchdogSettings settings) : impl_(std::make_unique<Impl>()) {
  impl_->settings = settings;
}
HealthRegistry::~HealthRegistry() = default;

Result<ClusterHealth*> HealthRegistry::get(const ClusterSettings& cluster) {
  std::lock_guard lock(impl_->mutex);
  auto& slot = impl_->watchdogs[cluster.name];
  if (!slot) {
    auto started = Watchdog::start(cluster, impl_->settings);
    if (!started) return std::move(started).error();
    slot = std::move(started).value();
  }
  return slot.get();
}

}  // namespace twinspan::connectors
