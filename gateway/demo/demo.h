#pragma once
// The demo as a thing: two mock clusters, their traffic, the pipeline run by the real Service with its API,
// and a reader of the results; with the deeds a newcomer may do to it. Members are in the order in which they
// start; stop() goes backwards. Owned by the command. Thread: main. Deeds that ask brokers run on a thread of
// their own, in order, and tell the event log.

#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "config/service_spec.h"
#include "engine/base/clock.h"
#include "engine/checkpoint/file_system.h"
#include "gateway/demo/demo_view.h"
#include "gateway/demo/event_log.h"
#include "gateway/demo/generator.h"
#include "gateway/demo/mock_cluster.h"
#include "gateway/demo/observer.h"
#include "gateway/demo/results_reader.h"
#include "gateway/registry.h"
#include "gateway/service.h"

namespace twinspan::gateway {

// A directory of its own below TMPDIR, gone with the object.
class TemporaryDirectory {
 public:
  static Result<std::unique_ptr<TemporaryDirectory>> make();
  ~TemporaryDirectory();
  const std::string& path() const { return path_; }

 private:
  explicit TemporaryDirectory(std::string path) : path_(std::move(path)) {}
  const std::string path_;
};

class Demo {
 public:
  static constexpr unsigned kEast = 0, kWest = 1;
  static constexpr double kSpeed = 30;  // a minute of event time every 2 s

  // Running when it returns. Errors say what could not start.
  static Result<std::unique_ptr<Demo>> start(const Clock& clock);
  ~Demo();

  void set_broken(unsigned cluster, bool broken);
  bool broken(unsigned cluster) const { return clusters_[cluster]->broken(); }
  void set_held(bool held);
  bool held() const { return held_; }
  void set_paused(bool paused);
  bool paused() const;
  void discard();

  DemoView observe();
  EventLog& events() { return events_; }
  std::int64_t elapsed_ms() const { return clock_.monotonic_ms() - started_ms_; }
  const std::string& bootstrap(unsigned cluster) const { return clusters_[cluster]->bootstrap(); }
  std::string address() const { return service_->address(); }
  std::string failure() const { return service_->failure(); }
  std::string log_tail() const;

  // Mends what is broken, stops traffic, then the pipeline with a last checkpoint. Idempotent.
  Status stop();

 private:
  explicit Demo(const Clock& clock);
  Status begin();
  void later(std::function<void()> deed);
  void work(std::stop_token stop);
  void say(DemoEvent::Kind kind, std::string text) { events_.add(elapsed_ms(), kind, std::move(text)); }
  void discard_now();
  void limit_now(bool held);

  const Clock& clock_;
  const std::int64_t started_ms_;
  engine::PosixFileSystem files_;
  EventLog events_;
  std::unique_ptr<TemporaryDirectory> directory_;
  std::string log_file_;
  std::array<std::unique_ptr<MockCluster>, 2> clusters_;
  config::ServiceSpec service_spec_;
  std::unique_ptr<ConnectorRegistry> connectors_;
  std::unique_ptr<Service> service_;
  std::unique_ptr<Generator> generator_;
  std::unique_ptr<ResultsReader> results_;
  std::unique_ptr<Observer> observer_;
  std::string pipeline_;
  bool held_ = false, stopped_ = false;
  std::atomic<std::uint64_t> discards_{0}, discarded_records_{0}, failed_deeds_{0};

  std::mutex deeds_mutex_;
  std::condition_variable_any deeds_changed_;
  std::deque<std::function<void()>> deeds_;
  std::jthread worker_;
};

}  // namespace twinspan::gateway
