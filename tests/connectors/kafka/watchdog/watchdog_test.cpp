#include "connectors/kafka/watchdog.h"

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>

#include "tests/support/kafka_cluster.h"

namespace twinspan::connectors {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

std::int64_t ms_until(const ClusterHealth& health, ClusterState state, milliseconds limit) {
  const auto start = steady_clock::now();
  while (health.snapshot().state != state) {
    if (steady_clock::now() - start > limit) return -1;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return std::chrono::duration_cast<milliseconds>(steady_clock::now() - start).count();
}

bool reached(const ClusterHealth& health) {
  const auto start = steady_clock::now();
  while (!health.snapshot().ever_reached) {
    if (steady_clock::now() - start > std::chrono::seconds(10)) return false;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return true;
}

long whole_ms(steady_clock::duration d) {
  return static_cast<long>(std::chrono::duration_cast<milliseconds>(d).count());
}

// The states a cluster goes through, and when each was first seen. Thread: its own looks, the test's asks.
class StateHistory {
 public:
  explicit StateHistory(const ClusterHealth& health)
      : thread_([this, &health](const std::stop_token& stop) {
          std::unique_lock lock(mutex_);
          while (!stop.stop_requested()) {
            if (first_.try_emplace(health.snapshot().state, steady_clock::now()).second) changed_.notify_all();
            changed_.wait_for(lock, stop, milliseconds(5), [] { return false; });
          }
        }) {}

  // Waits for it; nullopt: not within `limit`.
  std::optional<steady_clock::time_point> first(ClusterState state, milliseconds limit) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, limit, [&] { return first_.contains(state); })) return std::nullopt;
    return first_.at(state);
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::map<ClusterState, steady_clock::time_point> first_;
  std::jthread thread_;
};

TEST(Watchdog, NobodyListensIsDownWithinASecond) {
  auto watchdog = Watchdog::start({.name = "nowhere", .bootstrap = "127.0.0.1:1"});
  ASSERT_TRUE(watchdog);
  const auto took = ms_until(*watchdog.value(), ClusterState::down, std::chrono::seconds(3));
  std::printf("refused from the start: down after %ld ms\n", static_cast<long>(took));
  ASSERT_GE(took, 0);
  EXPECT_LE(took, 1000);
  EXPECT_FALSE(watchdog.value()->snapshot().ever_reached);
  EXPECT_NE(watchdog.value()->snapshot().last_error.find("refused"), std::string::npos)
      << watchdog.value()->snapshot().last_error;
}

TEST(Watchdog, ARefusedSettingIsAConfigErrorWithoutItsValue) {
  auto watchdog =
      Watchdog::start({.name = "x", .bootstrap = "127.0.0.1:1", .client = {{"security.protocol", "hunter2"}}});
  ASSERT_FALSE(watchdog);
  EXPECT_EQ(watchdog.error().kind, ErrorKind::config);
  EXPECT_NE(watchdog.error().message.find("security.protocol"), std::string::npos);
  EXPECT_EQ(watchdog.error().message.find("hunter2"), std::string::npos);
}

TEST(Watchdog, RegistryGivesOneMonitorPerCluster) {
  HealthRegistry registry;
  const ClusterSettings one{.name = "one", .bootstrap = "127.0.0.1:1"}, two{.name = "two", .bootstrap = "127.0.0.1:1"};
  auto a = registry.get(one), b = registry.get(one), c = registry.get(two);
  ASSERT_TRUE(a && b && c);
  EXPECT_EQ(a.value(), b.value());
  EXPECT_NE(a.value(), c.value());
}

TEST(Watchdog, KilledBrokerIsDownWithinASecondAndItsReturnIsSeen) {
  auto& kafka = testing::shared_kafka_pair();
  auto watchdog =
      Watchdog::start({.name = "a", .bootstrap = kafka.a.bootstrap()}, {.rules = {.readmit_after_ms = 1000}});
  ASSERT_TRUE(watchdog);
  ASSERT_TRUE(reached(*watchdog.value()));
  EXPECT_EQ(watchdog.value()->snapshot().state, ClusterState::up);
  kafka.a.kill9();
  const auto took = ms_until(*watchdog.value(), ClusterState::down, std::chrono::seconds(5));
  std::printf("kill -9: down after %ld ms\n", static_cast<long>(took));
  ASSERT_GE(took, 0);
  EXPECT_LE(took, 1000);
  // Watched from before the broker is back: it may answer, and be UP again, before restart() says so.
  StateHistory history(*watchdog.value());
  kafka.a.restart();
  const auto ready = steady_clock::now();
  const auto up = history.first(ClusterState::up, std::chrono::seconds(5));
  const auto rejoining = history.first(ClusterState::rejoining, milliseconds(0));
  ASSERT_TRUE(up);
  ASSERT_TRUE(rejoining);
  std::printf("rejoining %ld ms after the broker's ready line, for %ld ms\n", whole_ms(*rejoining - ready),
              whole_ms(*up - *rejoining));
  EXPECT_LE(whole_ms(*rejoining - ready), 1000);
  EXPECT_GE(whole_ms(*up - *rejoining), 900) << "back in service before readmit_after";
}

TEST(Watchdog, StoppedBrokerIsDownWithinThreeSecondsAndItsReturnIsSeen) {
  auto& kafka = testing::shared_kafka_pair();
  auto watchdog = Watchdog::start({.name = "b", .bootstrap = kafka.b.bootstrap()});
  ASSERT_TRUE(watchdog);
  ASSERT_TRUE(reached(*watchdog.value()));
  kafka.b.sigstop();
  const auto took = ms_until(*watchdog.value(), ClusterState::down, std::chrono::seconds(6));
  kafka.b.sigcont();
  std::printf("SIGSTOP: down after %ld ms\n", static_cast<long>(took));
  ASSERT_GE(took, 0);
  EXPECT_LE(took, 3000);
  const auto back = ms_until(*watchdog.value(), ClusterState::rejoining, std::chrono::seconds(5));
  std::printf("SIGCONT: rejoining after %ld ms\n", static_cast<long>(back));
  ASSERT_GE(back, 0);
  EXPECT_LE(back, 1500);
}

TEST(Watchdog, AHealthyClusterStaysUp) {
  auto& kafka = testing::shared_kafka_pair();
  auto watchdog = Watchdog::start({.name = "a", .bootstrap = kafka.a.bootstrap()});
  ASSERT_TRUE(watchdog);
  ASSERT_TRUE(reached(*watchdog.value()));
  for (int i = 0; i < 20; ++i) watchdog.value()->data_failure("a hint is no verdict");
  EXPECT_EQ(ms_until(*watchdog.value(), ClusterState::suspect, std::chrono::seconds(3)), -1);
  EXPECT_EQ(watchdog.value()->snapshot().state, ClusterState::up);
}

}  // namespace
}  // namespace twinspan::connectors
