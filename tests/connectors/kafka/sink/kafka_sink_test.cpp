// The failover sink on two mock clusters of librdkafka: real sockets, faults by command.
#include "connectors/kafka/kafka_sink.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "connectors/kafka/rdkafka_handle.h"
#include "tests/support/kafka_io.h"

namespace twinspan::connectors {
namespace {

using testing::read_all;

class FakeHealth final : public ClusterHealth {
 public:
  HealthSnapshot snapshot() const override {
    std::lock_guard lock(mutex_);
    return snapshot_;
  }
  void data_progress() override {}
  void data_failure(const char*) override {}
  void set(ClusterState state) {
    const std::int64_t now = SystemClock().monotonic_ms();
    std::lock_guard lock(mutex_);
    snapshot_ = {state, now, state == ClusterState::up ? now : -1, true, ""};
  }
  FakeHealth() { set(ClusterState::up); }

 private:
  mutable std::mutex mutex_;
  HealthSnapshot snapshot_;
};

// The system's time, and what a test adds to it.
class MovedClock final : public Clock {
 public:
  std::int64_t wall_ms() const override { return system_.wall_ms() + moved_.load(); }
  std::int64_t monotonic_ms() const override { return system_.monotonic_ms() + moved_.load(); }
  void move_on(std::int64_t ms) { moved_ += ms; }

 private:
  SystemClock system_;
  std::atomic<std::int64_t> moved_{0};
};

struct MockCluster {
  explicit MockCluster(const char* name) {
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, nullptr, 0);
    cluster = rd_kafka_mock_cluster_new(rk, 1);
    settings.name = name;
    settings.bootstrap = rd_kafka_mock_cluster_bootstraps(cluster);
    rd_kafka_mock_topic_create(cluster, "out", 4, 1);
  }
  ~MockCluster() {
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(rk);
  }
  void down() { rd_kafka_mock_broker_set_down(cluster, 1), health.set(ClusterState::down); }
  void up() { rd_kafka_mock_broker_set_up(cluster, 1), health.set(ClusterState::up); }

  rd_kafka_t* rk;
  rd_kafka_mock_cluster_t* cluster;
  ClusterSettings settings;
  FakeHealth health;
};

class KafkaSinkTest : public ::testing::Test {
 protected:
  KafkaSinkSettings settings(std::string topic = "out") {
    KafkaSinkSettings s;
    s.name = "result";
    s.unit = "u1";
    s.incarnation = 3;
    s.clusters = {{a.settings, topic, &a.health}, {b.settings, topic, &b.health}};
    s.route.settle_ms = 50;
    s.route.fail_back_after_ms = 300;
    s.persist_route = [this](std::uint64_t generation, const std::string& cluster) {
      std::lock_guard lock(mutex);
      persisted.emplace_back(generation, cluster);
      return ok();
    };
    return s;
  }
  void start(KafkaSinkSettings s) {
    auto made = KafkaSink::make(std::move(s), clock);
    ASSERT_TRUE(made.has_value()) << made.error().message;
    sink = std::move(made).value();
    ASSERT_TRUE(sink->start().has_value());
  }
  void write(int from, int to, unsigned shard = 0) {
    for (int i = from; i < to; ++i) {
      const std::string key = "k" + std::to_string(i % 50), value = fmt::format("{{\"n\":{}}}", i);
      OutputRecord r;
      r.key = key;
      r.has_key = true;
      r.value = value;
      r.timestamp = 1'767'225'600'000 + i;
      const std::pair<std::string_view, std::string_view> header{"op", "+I"};
      r.headers = &header;
      r.header_count = 1;
      sink->writer(shard).write(r);
    }
  }
  void expect_flushed() {
    const auto r = sink->flush(20'000);
    EXPECT_TRUE(r.has_value()) << r.error().message;
  }
  template <class F>
  bool eventually(F condition, int limit_ms = 15'000) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(limit_ms);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::yield();
    }
    return true;
  }
  // Identity -> value over both clusters; repeats must be equal. Returns how many repeats there are.
  std::size_t union_of(std::map<std::string, std::string>& all) {
    std::size_t repeats = 0;
    for (MockCluster* c : {&a, &b}) {
      rd_kafka_mock_broker_set_up(c->cluster, 1);
      for (const auto& r : read_all(c->settings.bootstrap, "out", testing::Isolation::read_uncommitted)) {
        const std::string id = r.header("twinspan-id").value_or("none");
        const std::string content =
            r.key.value_or("-") + "=" + r.value.value_or("-") + "@" + std::to_string(r.timestamp_ms);
        const auto [it, fresh] = all.emplace(id, content);
        if (!fresh) ++repeats;
        EXPECT_EQ(it->second, content) << id;
      }
    }
    return repeats;
  }
  void expect_complete(int n) {
    std::map<std::string, std::string> all;
    const std::size_t repeats = union_of(all);
    EXPECT_EQ(all.size(), static_cast<std::size_t>(n));
    for (int i = 0; i < n; ++i)
      ASSERT_EQ(all[fmt::format("u1/result/3.0/{}", i + 1)],
                fmt::format("k{}={{\"n\":{}}}@{}", i % 50, i, 1'767'225'600'000 + i));
    RecordProperty("repeats", static_cast<int>(repeats));
  }
  // Per key in order within each topic: within one route generation nothing overtakes.
  void expect_ordered(MockCluster& c) {
    std::map<std::string, int> last;
    for (const auto& r : read_all(c.settings.bootstrap, "out", testing::Isolation::read_uncommitted)) {
      const int n = std::stoi(r.value->substr(5));
      auto [it, fresh] = last.emplace(*r.key, n);
      if (!fresh) {
        EXPECT_LT(it->second, n) << *r.key;
        it->second = n;
      }
    }
  }

  MovedClock clock;
  MockCluster a{"east"}, b{"west"};
  std::mutex mutex;
  std::vector<std::pair<std::uint64_t, std::string>> persisted;
  std::unique_ptr<KafkaSink> sink;
};

TEST_F(KafkaSinkTest, WritesToThePrimaryWithIdentityAndHeaders) {
  start(settings());
  write(0, 1000);
  EXPECT_EQ(sink->writer(0).written(), 1000u);
  expect_flushed();
  EXPECT_EQ(sink->writer(0).acknowledged(), 1000u);
  const auto records = read_all(a.settings.bootstrap, "out", testing::Isolation::read_uncommitted);
  ASSERT_EQ(records.size(), 1000u);
  EXPECT_EQ(records[0].header("op"), "+I");
  EXPECT_TRUE(read_all(b.settings.bootstrap, "out", testing::Isolation::read_uncommitted).empty());
  expect_complete(1000);
  expect_ordered(a);
}

TEST_F(KafkaSinkTest, NullKeysEmptyValuesAndTombstonesArriveAsSuch) {
  start(settings());
  OutputRecord r;
  r.value = "no key";
  sink->writer(0).write(r);
  r.key = "";
  r.has_key = true;
  r.value = "";
  sink->writer(0).write(r);
  r.key = "gone";
  r.has_value = false;
  sink->writer(0).write(r);
  expect_flushed();
  std::map<std::string, std::pair<testing::Bytes, testing::Bytes>> got;
  for (const auto& x : read_all(a.settings.bootstrap, "out", testing::Isolation::read_uncommitted))
    got[*x.header("twinspan-id")] = {x.key, x.value};
  EXPECT_EQ(got["u1/result/3.0/1"], std::pair(testing::Bytes(), testing::Bytes("no key")));
  EXPECT_EQ(got["u1/result/3.0/2"], std::pair(testing::Bytes(""), testing::Bytes("")));
  EXPECT_EQ(got["u1/result/3.0/3"], std::pair(testing::Bytes("gone"), testing::Bytes()));
}

TEST_F(KafkaSinkTest, BrokerDownMovesEverythingUnacknowledgedAndFailsBack) {
  start(settings());
  write(0, 2000);
  expect_flushed();
  a.down();
  write(2000, 4000);
  expect_flushed();
  auto s = sink->status();
  EXPECT_EQ(s.switches, 1u);
  EXPECT_GE(s.last_switch_took_ms, 0);
  EXPECT_LT(s.last_switch_took_ms, 5'000);
  EXPECT_EQ(sink->route_generation(), 1u);
  a.up();
  ASSERT_TRUE(eventually([&] {
    s = sink->status();
    return s.active_cluster == "east";
  }));
  write(4000, 5000);
  expect_flushed();
  {
    std::lock_guard lock(mutex);
    EXPECT_EQ(persisted, (std::vector<std::pair<std::uint64_t, std::string>>{{1, "west"}, {2, "east"}}));
  }
  expect_complete(5000);
  expect_ordered(b);
}

TEST_F(KafkaSinkTest, ASwitchWithNothingToWriteIsTimedFromTheNextRecord) {
  start(settings());
  write(0, 100);
  expect_flushed();
  a.down();
  ASSERT_TRUE(eventually([&] { return sink->status().active_cluster == "west"; }));
  clock.move_on(3'600'000);  // nothing comes for an hour
  write(100, 200);
  expect_flushed();
  ASSERT_TRUE(eventually([&] { return sink->status().last_switch_took_ms >= 0; }));
  EXPECT_LT(sink->status().last_switch_took_ms, 3'000) << "the wait for the next record is no part of the switch";
  expect_complete(200);
}

TEST_F(KafkaSinkTest, FailBackUnderLoadDrainsFirstAndRepeatsNothing) {
  start(settings());
  a.down();
  write(0, 1000);
  expect_flushed();
  a.up();
  int n = 1000;
  ASSERT_TRUE(eventually([&] {
    write(n, n + 100);
    n += 100;
    return sink->status().active_cluster == "east" || n > 400'000;
  }));
  write(n, n + 1000);
  n += 1000;
  expect_flushed();
  std::map<std::string, std::string> all;
  EXPECT_EQ(union_of(all), 0u);
  EXPECT_EQ(all.size(), static_cast<std::size_t>(n));
  expect_ordered(b);
}

TEST_F(KafkaSinkTest, LostAcknowledgementsMoveByAgeAndRepeatWithEqualIdentity) {
  auto s = settings();
  s.route.stalled_after_ms = 500;
  start(s);
  write(0, 100);
  expect_flushed();
  // Written, but the answer takes a minute.
  rd_kafka_mock_broker_push_request_error_rtts(a.cluster, 1, 0, 3, RD_KAFKA_RESP_ERR_NO_ERROR, 60'000,
                                               RD_KAFKA_RESP_ERR_NO_ERROR, 60'000, RD_KAFKA_RESP_ERR_NO_ERROR, 60'000);
  write(100, 300);
  expect_flushed();
  EXPECT_EQ(sink->status().switches, 1u);
  EXPECT_GT(sink->status().resent, 0u);
  std::map<std::string, std::string> all;
  EXPECT_GT(union_of(all), 0u);
  expect_complete(300);
}

TEST_F(KafkaSinkTest, BothDownWaitsAndThenEverythingArrives) {
  start(settings());
  a.down();
  b.down();
  write(0, 3000);
  ASSERT_TRUE(eventually([&] { return sink->status().holding; }));
  EXPECT_FALSE(sink->flush(300).has_value());
  EXPECT_EQ(sink->writer(0).acknowledged(), 0u);
  b.up();
  expect_flushed();
  EXPECT_EQ(sink->status().active_cluster, "west");
  EXPECT_FALSE(sink->status().holding && sink->status().switches != 1);
  expect_complete(3000);
}

TEST_F(KafkaSinkTest, NothingReachableAtStartIsNoError) {
  a.down();
  b.down();
  start(settings());
  write(0, 10);
  EXPECT_FALSE(sink->flush(200).has_value());
  a.up();
  expect_flushed();
  expect_complete(10);
}

TEST_F(KafkaSinkTest, SwitchLimitHoldsAndSaysSo) {
  auto s = settings();
  s.route.max_switches = 2;
  start(s);
  int n = 0;
  for (MockCluster* failing : {&a, &b}) {
    failing->down();
    (failing == &a ? b : a).up();
    write(n, n + 100);
    n += 100;
    expect_flushed();
  }
  EXPECT_EQ(sink->status().switches, 2u);
  a.down();
  b.up();
  write(n, n + 100);
  n += 100;
  ASSERT_TRUE(eventually([&] { return sink->status().holding; }));
  EXPECT_THAT(sink->status().route_reason, ::testing::HasSubstr("moved 2 times"));
  EXPECT_EQ(sink->status().switches, 2u);
  ASSERT_TRUE(sink->force_route("west").has_value());  // by hand, beyond the limit
  expect_flushed();
  EXPECT_EQ(sink->status().active_cluster, "west");
  EXPECT_FALSE(sink->force_route("north").has_value());
  expect_complete(n);
}

TEST_F(KafkaSinkTest, MovesOnlyAfterTheNewGenerationIsKept) {
  auto s = settings();
  std::atomic<int> refused{0};
  s.persist_route = [&](std::uint64_t, const std::string&) -> Status {
    if (++refused <= 3) return transient_error("disk full");
    return ok();
  };
  start(s);
  a.down();
  write(0, 100);
  ASSERT_TRUE(eventually([&] { return refused >= 1; }));
  expect_flushed();
  EXPECT_EQ(refused, 4);
  EXPECT_EQ(sink->route_generation(), 1u);
  expect_complete(100);
}

TEST_F(KafkaSinkTest, RestoredRouteIsTakenUp) {
  auto s = settings();
  s.restored_cluster = "west";
  s.restored_generation = 41;
  s.route.fail_back_after_ms = 3'600'000;
  start(s);
  write(0, 100);
  expect_flushed();
  EXPECT_EQ(read_all(b.settings.bootstrap, "out", testing::Isolation::read_uncommitted).size(), 100u);
  b.down();
  write(100, 200);
  expect_flushed();
  EXPECT_EQ(sink->route_generation(), 42u);
}

TEST_F(KafkaSinkTest, TooLargeRecordsAreHandedOutAndTheRestGoesOn) {
  auto s = settings();
  // Mock brokers take any size, so here the client's own limit refuses; real ones are in tests/scenarios_kafka.
  for (auto& member : s.clusters) member.cluster.client["message.max.bytes"] = "1000000";
  std::vector<std::string> rejected;
  s.rejected = [&](unsigned shard, const OutputRecord& r, std::string_view why) {
    EXPECT_EQ(r.header_count, 1u);
    rejected.push_back(fmt::format("{}:{}:{}:{}", shard, r.key, r.value.size(), why));
  };
  start(s);
  write(0, 10);
  const std::string big(3'000'000, 'x');
  OutputRecord r;
  r.key = "big";
  r.has_key = true;
  r.value = big;
  const std::pair<std::string_view, std::string_view> header{"op", "+I"};
  r.headers = &header;
  r.header_count = 1;
  sink->writer(0).write(r);
  write(10, 20);
  EXPECT_FALSE(sink->flush(500).has_value());  // not done before the dead letter is written
  EXPECT_EQ(sink->writer(0).acknowledged(), 10u);
  sink->writer(0).step();
  expect_flushed();
  EXPECT_EQ(sink->writer(0).acknowledged(), 21u);
  ASSERT_EQ(rejected.size(), 1u);
  EXPECT_THAT(rejected[0], ::testing::HasSubstr("0:big:3000000:MSG_SIZE_TOO_LARGE"));
}

TEST_F(KafkaSinkTest, RetriableBrokerErrorsAreSentAgainOnTheSameRoute) {
  start(settings());
  write(0, 100);
  expect_flushed();
  rd_kafka_mock_push_request_errors(a.cluster, 0, 4, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                                    RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
                                    RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR);
  write(100, 1000);
  expect_flushed();
  EXPECT_EQ(sink->status().switches, 0u);
  expect_complete(1000);
}

TEST_F(KafkaSinkTest, BackPressureAtTheByteLimitAndRoomAgainAfterwards) {
  auto s = settings();
  s.max_unacknowledged_bytes = 100'000;
  start(s);
  a.down();
  b.down();
  int n = 0;
  while (sink->writer(0).has_room() && n < 100'000) write(n, n + 1), ++n;
  EXPECT_LT(n, 1500);
  EXPECT_GT(sink->status().unacknowledged_bytes + 1, 0u);
  a.up();
  expect_flushed();
  EXPECT_TRUE(sink->writer(0).has_room());
  expect_complete(n);
}

TEST_F(KafkaSinkTest, ShardsWriteSideBySide) {
  auto s = settings();
  s.shards = 4;
  start(s);
  {
    std::vector<std::jthread> threads;
    for (unsigned shard = 0; shard < 4; ++shard)
      threads.emplace_back([&, shard] {
        for (int i = 0; i < 10; ++i) write(i * 1000, (i + 1) * 1000, shard);
      });
    eventually([&] { return sink->writer(0).written() > 2'000; });
    a.down();
  }
  expect_flushed();
  std::map<std::string, std::string> all;
  union_of(all);
  EXPECT_EQ(all.size(), 40'000u);
}

TEST_F(KafkaSinkTest, StopReturnsSoonAlthoughNothingAnswers) {
  start(settings());
  a.down();
  b.down();
  write(0, 10'000);
  const auto before = std::chrono::steady_clock::now();
  sink->stop();
  sink->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(3));
  EXPECT_LT(sink->writer(0).acknowledged(), 10'000u);
}

TEST_F(KafkaSinkTest, RefusedClientSettingIsAConfigurationError) {
  auto s = settings();
  s.clusters[1].cluster.client["compression.codec"] = "zip";
  const auto made = KafkaSink::make(s, clock);
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().kind, ErrorKind::config);
  EXPECT_THAT(made.error().message, ::testing::HasSubstr("compression.codec"));
}

}  // namespace
}  // namespace twinspan::connectors
