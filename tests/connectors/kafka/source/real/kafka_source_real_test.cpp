#include <librdkafka/rdkafka.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "tests/connectors/kafka/source/source_rig.h"
#include "tests/support/kafka_cluster.h"
#include "tests/support/kafka_io.h"

namespace twinspan::connectors {
namespace {

using namespace std::chrono_literals;
using Start = KafkaSourceSettings::Start;
using OnGap = KafkaSourceSettings::OnGap;
using testing::fresh_topic;
using testing::KafkaCluster;
using testing::KafkaPair;
using testing::shared_kafka_pair;

const std::map<std::string, std::string> kLogAppendTime = {{"message.timestamp.type", "LogAppendTime"}};

KafkaSourceSettings on(const std::vector<std::pair<std::string, const KafkaCluster*>>& clusters,
                       const std::string& topic) {
  KafkaSourceSettings settings;
  settings.name = "s";
  settings.start = Start::earliest;
  settings.readmit_after_ms = 1000;
  for (const auto& [name, kafka] : clusters)
    settings.clusters.push_back({{.name = name, .bootstrap = kafka->bootstrap()}, {topic}});
  return settings;
}

void produce(const KafkaCluster& kafka, const std::string& topic, int partition, int count,
             const testing::ProduceOptions& options = {}, std::int64_t first_timestamp = -1) {
  std::vector<testing::Record> records(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    auto& record = records[static_cast<std::size_t>(i)];
    record.partition = partition;
    record.value = "v" + std::to_string(i);
    record.timestamp_ms = first_timestamp < 0 ? -1 : first_timestamp + i;
  }
  testing::produce(kafka.bootstrap(), topic, records, options);
}

// Writes ten records every 50 ms until it is told to stop.
class Trickle {
 public:
  Trickle(const KafkaCluster& kafka, std::string topic)
      : thread_([this, &kafka, topic = std::move(topic)] {
          while (!stop_) {
            produce(kafka, topic, 0, 10);
            written_ += 10;
            std::this_thread::sleep_for(50ms);
          }
        }) {}
  int finish() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    return written_;
  }
  ~Trickle() { finish(); }

 private:
  std::atomic<bool> stop_ = false;
  std::atomic<int> written_ = 0;
  std::thread thread_;
};

TEST(KafkaSourceReal, KilledClusterReturnsAtItsExactPositionAndTheOtherNeverStalls) {
  KafkaPair& kafka = shared_kafka_pair();
  const std::string topic = fresh_topic("kill");
  for (auto* cluster : {&kafka.a, &kafka.b}) cluster->create_topic(topic, 2);
  produce(kafka.a, topic, 0, 5000);
  produce(kafka.a, topic, 1, 5000);
  Rig rig(on({{"a", &kafka.a}, {"b", &kafka.b}}, topic));
  ASSERT_TRUE(rig.pump_total(10'000));
  Trickle trickle(kafka.b, topic);
  ASSERT_TRUE(rig.pump(5s, [&] { return rig.records_of("b") > 50; }));
  rig.watch_delay = true;
  rig.pump_while([&] { produce(kafka.a, topic, 0, 2000); });
  kafka.a.kill9();
  const auto killed = std::chrono::steady_clock::now();
  ASSERT_TRUE(rig.pump(5s, [&] { return rig.told_of("a") == ClusterState::down; }));
  const auto told = std::chrono::steady_clock::now() - killed;
  std::printf("kill -9: reader told after %ld ms\n",
              static_cast<long>(std::chrono::duration_cast<std::chrono::milliseconds>(told).count()));
  EXPECT_LE(told, 1100ms);
  rig.pump_for(2s);
  rig.pump_while([&] {
    kafka.a.restart();
    produce(kafka.a, topic, 1, 1000);
  });
  ASSERT_TRUE(rig.pump(60s, [&] { return rig.told_of("a") == ClusterState::up; }));
  ASSERT_TRUE(rig.pump(20s, [&] { return rig.records_of("a") >= 13'000; }));
  const int written = trickle.finish();
  ASSERT_TRUE(rig.pump(10s, [&] { return rig.records_of("b") >= static_cast<std::size_t>(written); }));
  Rig::expect_contiguous(rig.lanes.at({"a", topic, 0}), 0, 7000);
  Rig::expect_contiguous(rig.lanes.at({"a", topic, 1}), 0, 6000);
  Rig::expect_contiguous(rig.lanes.at({"b", topic, 0}), 0, static_cast<std::size_t>(written));
  std::printf("oldest record of the living cluster on arrival: %ld ms\n", static_cast<long>(rig.longest_delay["b"]));
  EXPECT_LT(rig.longest_delay["b"], 1000);
}

TEST(KafkaSourceReal, FrozenClusterIsNoticedAndTheOtherNeverStalls) {
  KafkaPair& kafka = shared_kafka_pair();
  const std::string topic = fresh_topic("freeze");
  for (auto* cluster : {&kafka.a, &kafka.b}) cluster->create_topic(topic, 1);
  produce(kafka.a, topic, 0, 1000);
  Rig rig(on({{"a", &kafka.a}, {"b", &kafka.b}}, topic));
  Trickle trickle(kafka.b, topic);
  ASSERT_TRUE(rig.pump(10s, [&] { return rig.records_of("a") == 1000 && rig.records_of("b") > 50; }));
  rig.watch_delay = true;
  kafka.a.sigstop();
  const auto frozen = std::chrono::steady_clock::now();
  ASSERT_TRUE(rig.pump(6s, [&] { return rig.told_of("a") == ClusterState::down; }));
  const auto told = std::chrono::steady_clock::now() - frozen;
  std::printf("SIGSTOP: reader told after %ld ms\n",
              static_cast<long>(std::chrono::duration_cast<std::chrono::milliseconds>(told).count()));
  EXPECT_LE(told, 3100ms);
  rig.pump_for(4s);
  kafka.a.sigcont();
  rig.pump_while([&] { produce(kafka.a, topic, 0, 1000); });
  ASSERT_TRUE(rig.pump(20s, [&] { return rig.records_of("a") == 2000 && rig.told_of("a") == ClusterState::up; }));
  Rig::expect_contiguous(rig.lanes.at({"a", topic, 0}), 0, 2000);
  std::printf("oldest record of the living cluster on arrival: %ld ms\n", static_cast<long>(rig.longest_delay["b"]));
  EXPECT_LT(rig.longest_delay["b"], 1000);
}

TEST(KafkaSourceReal, StoppingWhileAClusterIsFrozenTakesSeconds) {
  KafkaPair& kafka = shared_kafka_pair();
  const std::string topic = fresh_topic("stop");
  kafka.a.create_topic(topic, 1);
  produce(kafka.a, topic, 0, 10);
  auto rig = std::make_unique<Rig>(on({{"a", &kafka.a}}, topic));
  ASSERT_TRUE(rig->pump_total(10));
  kafka.a.sigstop();
  rig->pump_for(500ms);
  const auto before = std::chrono::steady_clock::now();
  rig.reset();
  const auto took = std::chrono::steady_clock::now() - before;
  kafka.a.sigcont();
  EXPECT_LT(took, 5s);
}

TEST(KafkaSourceReal, ANewPartitionIsReadFromItsFirstOffset) {
  KafkaPair& kafka = shared_kafka_pair();
  const std::string topic = fresh_topic("grow");
  kafka.a.create_topic(topic, 1);
  auto settings = on({{"a", &kafka.a}}, topic);
  settings.start = Start::latest;
  Rig rig(settings);
  ASSERT_TRUE(rig.pump(10s, [&] { return rig.lanes.size() == 1; }));
  kafka.a.grow_topic(topic, 3);
  produce(kafka.a, topic, 2, 300);  // before the source can know of it
  ASSERT_TRUE(rig.pump(15s, [&] { return rig.lanes.size() == 3 && rig.total == 300; }));
  Rig::expect_contiguous(rig.lanes.at({"a", topic, 2}), 0, 300);
}

TEST(KafkaSourceReal, ReadCommittedSkipsAbortedRecordsAndEndsBehindTheirMarkers) {
  KafkaPair& kafka = shared_kafka_pair();
  const std::string topic = fresh_topic("tx");
  kafka.a.create_topic(topic, 1);
  produce(kafka.a, topic, 0, 100, {.transactional_id = "t1"});
  produce(kafka.a, topic, 0, 50, {.transactional_id = "t1", .abort = true});
  produce(kafka.a, topic, 0, 100, {.transactional_id = "t1"});
  produce(kafka.a, topic, 0, 50, {.transactional_id = "t1", .abort = true});
  auto settings = on({{"a", &kafka.a}}, topic);
  settings.bounded = true;
  Rig rig(settings);
  ASSERT_TRUE(rig.pump(20s, [&] { return rig.reader().ended(); }));
  EXPECT_EQ(rig.total, 200u);
  const auto end = testing::offsets_of(kafka.a.bootstrap(), topic).at(0).end;
  EXPECT_EQ(end, 304);
  EXPECT_EQ(rig.positions().at(0).offset, end);
}

TEST(KafkaSourceReal, RetentionDuringAnAbsenceIsReportedToTheRecord) {
  KafkaPair& kafka = shared_kafka_pair();
  const std::string topic = fresh_topic("gap");
  kafka.a.create_topic(topic, 1);
  produce(kafka.a, topic, 0, 1000);
  kafka.a.delete_records(topic, 0, 600);
  auto settings = on({{"a", &kafka.a}}, topic);
  settings.on_gap = OnGap::skip;
  Rig rig(settings, {}, {{{"a", topic, 0}, 250, 0}});
  ASSERT_TRUE(rig.pump_total(400));
  ASSERT_EQ(rig.count(LaneEvent::Kind::gap), 1u);
  EXPECT_EQ(rig.last(LaneEvent::Kind::gap)->position, 250);
  EXPECT_EQ(rig.last(LaneEvent::Kind::gap)->to, 600);
  Rig::expect_contiguous(rig.lanes.begin()->second, 600, 400);
}

TEST(KafkaSourceReal, RetentionUnderARunningButHeldSourceIsReportedToTheRecord) {
  KafkaPair& kafka = shared_kafka_pair();
  const std::string topic = fresh_topic("held");
  kafka.a.create_topic(topic, 1);
  produce(kafka.a, topic, 0, 20'000);
  auto settings = on({{"a", &kafka.a}}, topic);
  settings.on_gap = OnGap::skip;
  ConsumerOptions options;
  options.prefetch_messages = 1000;  // the client stays far behind the end while nobody polls
  options.client["max.partition.fetch.bytes"] = "2048";
  options.client["fetch.max.bytes"] = "2048";
  options.client["message.max.bytes"] = "2048";
  Rig rig(settings, options);
  ASSERT_TRUE(rig.pump(10s, [&] { return rig.total > 0; }));
  kafka.a.delete_records(topic, 0, 19'000);
  ASSERT_TRUE(rig.pump(20s, [&] { return rig.positions().at(0).offset == 20'000; }));
  ASSERT_EQ(rig.count(LaneEvent::Kind::gap), 1u);
  const auto* gap = rig.last(LaneEvent::Kind::gap);
  EXPECT_EQ(gap->to, 19'000);
  EXPECT_EQ(rig.total, static_cast<std::size_t>(gap->position) + 1000);
}

TEST(KafkaSourceReal, ADiscardOfTwoMillionRecordsIsEffectiveWithinTwoSeconds) {
  KafkaPair& kafka = shared_kafka_pair();
  const std::string topic = fresh_topic("lag");
  std::vector<std::pair<std::string, const KafkaCluster*>> both{{"a", &kafka.a}, {"b", &kafka.b}};
  for (auto* cluster : {&kafka.a, &kafka.b}) {
    cluster->create_topic(topic, 4, kLogAppendTime);
    for (int p = 0; p < 4; ++p) produce(*cluster, topic, p, 250'000);
  }
  Rig rig(on(both, topic), {}, {}, {}, false);
  ASSERT_TRUE(rig.pump_total(10'000));
  const auto click = std::chrono::steady_clock::now();
  const auto plan = rig.source().plan_discard({DiscardTarget::Kind::latest, 0}, 1500);
  ASSERT_TRUE(plan);
  ASSERT_EQ(plan.value().size(), 8u);
  std::size_t skipped = 0;
  for (const auto& cut : plan.value()) {
    ASSERT_TRUE(cut.reachable) << cut.lane.cluster << " " << cut.lane.partition << " " << cut.cut_offset;
    ASSERT_EQ(cut.to, 250'000);
    skipped += static_cast<std::size_t>(cut.to - rig.reader(cut.shard).jump(cut.index, cut.to));
  }
  const std::size_t before = rig.total;
  EXPECT_EQ(before + skipped, 2'000'000u);
  for (auto* cluster : {&kafka.a, &kafka.b}) produce(*cluster, topic, 1, 100);
  ASSERT_TRUE(rig.pump_total(before + 200, 5s));
  const auto took = std::chrono::steady_clock::now() - click;
  std::printf("2 M records behind: first new records %ld ms after the click\n",
              static_cast<long>(std::chrono::duration_cast<std::chrono::milliseconds>(took).count()));
  EXPECT_LE(took, 2s);
  rig.pump_for(200ms);
  EXPECT_EQ(rig.total, before + 200) << "nothing of the skipped range, everything after the click";
}

TEST(KafkaSourceReal, DiscardToATimestampAndToKeepLast) {
  KafkaPair& kafka = shared_kafka_pair();
  const std::string topic = fresh_topic("when");
  kafka.a.create_topic(topic, 1);
  const std::int64_t start = SystemClock().wall_ms() - 10'000;
  produce(kafka.a, topic, 0, 10'000, {}, start);
  auto settings = on({{"a", &kafka.a}}, topic);
  Rig rig(settings);
  ASSERT_TRUE(rig.pump_total(10));
  auto plan = rig.source().plan_discard({DiscardTarget::Kind::timestamp, start + 4321}, 1500);
  ASSERT_TRUE(plan);
  ASSERT_EQ(plan.value().size(), 1u);
  EXPECT_EQ(plan.value()[0].to, std::max<std::int64_t>(4321, plan.value()[0].from));
  plan = rig.source().plan_discard({DiscardTarget::Kind::keep_last, 3'600'000}, 1500);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan.value()[0].to, plan.value()[0].from) << "all of it is younger";
}

// The cluster dies right after it took more records than anybody has seen the end of.
void cut_while_down(bool log_append_time) {
  KafkaPair& kafka = shared_kafka_pair();
  const std::string topic = fresh_topic("away");
  kafka.a.create_topic(topic, 1, log_append_time ? kLogAppendTime : std::map<std::string, std::string>());
  produce(kafka.a, topic, 0, 1000);
  auto settings = on({{"a", &kafka.a}}, topic);
  ConsumerOptions options;
  options.prefetch_messages = 1000;
  Rig rig(settings, options);
  ASSERT_TRUE(rig.pump_total(1000));
  produce(kafka.a, topic, 0, 500);
  kafka.a.kill9();
  ASSERT_TRUE(rig.pump(5s, [&] { return rig.told_of("a") == ClusterState::down; }));
  const std::int64_t position = rig.positions().at(0).offset;
  const auto plan = rig.source().plan_discard({DiscardTarget::Kind::latest, 0}, 500);
  ASSERT_TRUE(plan);
  ASSERT_EQ(plan.value().size(), 1u);
  ASSERT_FALSE(plan.value()[0].reachable);
  const std::int64_t seen = plan.value()[0].cut_offset;
  EXPECT_GE(seen, 1000);
  EXPECT_LE(seen, 1500);
  rig.source().add_pending_cut(plan.value()[0]);
  kafka.a.restart();
  produce(kafka.a, topic, 0, 100);
  ASSERT_TRUE(rig.pump(20s, [&] { return rig.positions().at(0).offset == 1600; }));
  const auto* cut = rig.last(LaneEvent::Kind::cut);
  ASSERT_TRUE(cut);
  EXPECT_EQ(cut->position, position);
  const std::int64_t to = log_append_time ? 1500 : std::max(seen, position);
  EXPECT_EQ(cut->to, to);
  const auto& lane = rig.lanes.begin()->second;
  EXPECT_EQ(lane.offsets.size(), static_cast<std::size_t>(position + 1600 - to))
      << "nothing produced after the click is dropped";
  EXPECT_EQ(lane.offsets.back(), 1599);
  EXPECT_TRUE(rig.source().pending_cuts().empty());
}

TEST(KafkaSourceReal, CutOfADeadClusterGoesByTheTimeOfTheClickOnLogAppendTime) { cut_while_down(true); }
TEST(KafkaSourceReal, CutOfADeadClusterGoesByTheLastEndSeenOtherwise) { cut_while_down(false); }

}  // namespace
}  // namespace twinspan::connectors
