// The failover sink and the real watchdog on two real Kafka clusters.
#include <chrono>
#include <map>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "connectors/kafka/kafka_sink.h"
#include "connectors/kafka/watchdog.h"
#include "tests/support/kafka_cluster.h"
#include "tests/support/kafka_io.h"

namespace twinspan::connectors {
namespace {

using testing::fresh_topic;
using testing::KafkaPair;
using testing::read_all;
using testing::shared_kafka_pair;

ClusterSettings settings_of(const char* name, const testing::KafkaCluster& c) { return {name, c.bootstrap(), {}}; }

class KafkaSinkRealTest : public ::testing::Test {
 protected:
  KafkaSinkRealTest() : pair(shared_kafka_pair()) {}
  void make(const std::string& topic, KafkaSinkSettings s = {}) {
    s.name = "result";
    s.unit = "u1";
    s.incarnation = 3;
    s.clusters = {{settings_of("east", pair.a), topic, nullptr}, {settings_of("west", pair.b), topic, nullptr}};
    for (auto& m : s.clusters) {
      auto h = health.get(m.cluster);
      ASSERT_TRUE(h.has_value());
      m.health = h.value();
    }
    auto made = KafkaSink::make(std::move(s), clock);
    ASSERT_TRUE(made.has_value()) << made.error().message;
    sink = std::move(made).value();
    ASSERT_TRUE(sink->start().has_value());
  }
  template <class F>
  bool eventually(F condition, int limit_ms) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(limit_ms);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::yield();
    }
    return true;
  }
  static std::string value_of(int i) { return fmt::format("{{\"n\":{},\"pad\":\"{:0>60}\"}}", i, i * 7919 % 1000003); }
  void write(int i) {
    const std::string key = "k" + std::to_string(i % 1000), value = value_of(i);
    OutputRecord r;
    r.key = key;
    r.has_key = true;
    r.value = value;
    r.timestamp = 1'767'225'600'000 + i;
    sink->writer(0).write(r);
  }
  // Complete over both clusters, and repeats only with equal identity and equal bytes.
  void expect_union(const std::string& topic, int n) {
    std::map<std::string, std::string> all;
    std::size_t sizes[2] = {}, repeats = 0;
    for (int c = 0; c < 2; ++c) {
      const auto records = read_all((c == 0 ? pair.a : pair.b).bootstrap(), topic);
      sizes[c] = records.size();
      for (const auto& r : records) {
        const std::string content = *r.key + "=" + *r.value + "@" + std::to_string(r.timestamp_ms);
        const auto [it, fresh] = all.emplace(r.header("twinspan-id").value_or("none"), content);
        repeats += fresh ? 0 : 1;
        ASSERT_EQ(it->second, content);
      }
    }
    ASSERT_EQ(all.size(), static_cast<std::size_t>(n));
    for (int i = 0; i < n; ++i)
      ASSERT_EQ(all[fmt::format("u1/result/3.0/{}", i + 1)],
                fmt::format("k{}={}@{}", i % 1000, value_of(i), 1'767'225'600'000 + i));
    fmt::print("  east {} + west {} records, {} repeats with equal identity\n", sizes[0], sizes[1], repeats);
  }

  KafkaPair& pair;
  SystemClock clock;
  HealthRegistry health;
  std::unique_ptr<KafkaSink> sink;
};

TEST_F(KafkaSinkRealTest, KillOfThePrimaryWhileWriting) {
  const std::string topic = fresh_topic("sink-kill");
  pair.a.create_topic(topic, 4);
  pair.b.create_topic(topic, 4);
  KafkaSinkSettings s;
  s.max_unacknowledged_bytes = 8u << 20;
  make(topic, s);
  constexpr int kRecords = 200'000;
  std::chrono::steady_clock::time_point killed;
  for (int i = 0; i < kRecords; ++i) {
    if (i == kRecords / 3) {
      ASSERT_TRUE(eventually([&] { return sink->writer(0).acknowledged() > 10'000; }, 20'000));
      pair.a.kill9();
      killed = std::chrono::steady_clock::now();
    }
    ASSERT_TRUE(eventually([&] { return sink->writer(0).has_room(); }, 30'000));
    sink->writer(0).step();
    write(i);
  }
  ASSERT_TRUE(sink->flush(30'000).has_value());
  const auto status = sink->status();
  EXPECT_EQ(status.active_cluster, "west");
  EXPECT_EQ(status.switches, 1u);
  EXPECT_LT(status.last_switch_took_ms, 5'000);
  fmt::print(
      "  kill -9: first bad sign to first acknowledgement {} ms; kill to everything acknowledged {} ms; resent {}; "
      "{}\n",
      status.last_switch_took_ms,
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - killed).count(),
      status.resent, status.route_reason);
  pair.restore();
  expect_union(topic, kRecords);
}

TEST_F(KafkaSinkRealTest, FrozenPrimaryMovesWithinFiveSecondsAndFailsBack) {
  const std::string topic = fresh_topic("sink-freeze");
  pair.a.create_topic(topic, 4);
  pair.b.create_topic(topic, 4);
  KafkaSinkSettings s;
  s.route.fail_back_after_ms = 1'000;
  make(topic, s);
  int n = 0;
  for (; n < 5'000; ++n) write(n);
  ASSERT_TRUE(sink->flush(20'000).has_value());
  pair.a.sigstop();
  const auto frozen = std::chrono::steady_clock::now();
  for (; n < 10'000; ++n) write(n);
  ASSERT_TRUE(sink->flush(20'000).has_value());
  const auto took =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - frozen).count();
  EXPECT_LT(took, 5'000);
  fmt::print("  SIGSTOP to everything acknowledged on the other cluster {} ms ({})\n", took,
             sink->status().route_reason);
  pair.a.sigcont();
  ASSERT_TRUE(eventually([&] { return sink->status().active_cluster == "east"; }, 40'000));
  for (; n < 15'000; ++n) write(n);
  ASSERT_TRUE(sink->flush(20'000).has_value());
  EXPECT_EQ(sink->route_generation(), 2u);
  expect_union(topic, n);
}

TEST_F(KafkaSinkRealTest, MissingTopicIsWaitedForWithANote) {
  const std::string topic = fresh_topic("sink-later");
  make(topic);
  for (int i = 0; i < 100; ++i) write(i);
  ASSERT_TRUE(eventually([&] { return sink->status().holding; }, 20'000));
  EXPECT_THAT(sink->status().route_reason, ::testing::HasSubstr("has no topic " + topic));
  pair.b.create_topic(topic, 4);
  pair.a.create_topic(topic, 4);
  ASSERT_TRUE(sink->flush(30'000).has_value());
  EXPECT_EQ(sink->status().switches, 0u);
  expect_union(topic, 100);
}

TEST_F(KafkaSinkRealTest, RecordsTheTopicRefusesAreHandedOut) {
  const std::string topic = fresh_topic("sink-small");
  for (auto* c : {&pair.a, &pair.b}) c->create_topic(topic, 1, {{"max.message.bytes", "20000"}});
  KafkaSinkSettings s;
  int rejected = 0;
  s.rejected = [&](unsigned, const OutputRecord& r, std::string_view why) {
    ++rejected;
    EXPECT_EQ(r.key, "big");
    EXPECT_THAT(std::string(why), ::testing::HasSubstr("MSG_SIZE_TOO_LARGE"));
  };
  make(topic, s);
  for (int i = 0; i < 10; ++i) write(i);
  ASSERT_TRUE(sink->flush(20'000).has_value());
  std::string noise;
  for (unsigned x = 1; noise.size() < 200'000; x = x * 1664525 + 1013904223)
    noise += static_cast<char>('!' + (x >> 24) % 90);
  OutputRecord r;
  r.key = "big";
  r.has_key = true;
  r.value = noise;
  sink->writer(0).write(r);
  ASSERT_TRUE(eventually([&] { return sink->writer(0).step(), rejected == 1; }, 20'000));
  EXPECT_EQ(sink->writer(0).acknowledged(), 11u);
  for (int i = 11; i < 20; ++i) write(i);
  EXPECT_TRUE(sink->flush(20'000).has_value());
  EXPECT_EQ(sink->status().switches, 0u);
}

// The client makes batches of up to 1 MB; a topic with a smaller limit refuses them whole. Not the records' fault.
TEST_F(KafkaSinkRealTest, SmallRecordsPassATopicWithASmallBatchLimit) {
  const std::string topic = fresh_topic("sink-batches");
  for (auto* c : {&pair.a, &pair.b}) c->create_topic(topic, 1, {{"max.message.bytes", "3000"}});
  KafkaSinkSettings s;
  int rejected = 0;
  s.rejected = [&](unsigned, const OutputRecord&, std::string_view) { ++rejected; };
  make(topic, s);
  for (int i = 0; i < 5'000; ++i) write(i);
  ASSERT_TRUE(eventually([&] { return sink->writer(0).step(), sink->writer(0).acknowledged() == 5'000; }, 40'000));
  EXPECT_EQ(rejected, 0);
  expect_union(topic, 5'000);
}

}  // namespace
}  // namespace twinspan::connectors
