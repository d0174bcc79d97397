#include "tests/support/kafka_cluster.h"

#include "tests/support/kafka_io.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <signal.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <set>

namespace twinspan::testing {
namespace {

class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

std::vector<Record> numbered(int first, int count) {
  std::vector<Record> records;
  for (int i = first; i < first + count; ++i) {
    Record record;
    record.partition = i % 4;
    record.key = "k" + std::to_string(i);
    record.value = "v" + std::to_string(i);
    record.timestamp_ms = 1'700'000'000'000 + i;
    records.push_back(record);
  }
  return records;
}

std::multiset<std::string> values(const std::vector<Record>& records) {
  std::multiset<std::string> all;
  for (const Record& record : records) all.insert(record.value.value_or("<null>"));
  return all;
}

TEST(KafkaClusterTest, StartsTwoAndLosesNothingWhenOneIsKilled) {
  Stopwatch start;
  KafkaPair& pair = shared_kafka_pair();
  std::printf("two clusters ready after %.2f s\n", start.seconds());
  const std::string topic = fresh_topic("killed");
  pair.a.create_topic(topic, 4);
  pair.b.create_topic(topic, 4);
  const std::vector<Record> first = numbered(0, 1000);
  produce(pair.a.bootstrap(), topic, first);
  produce(pair.b.bootstrap(), topic, first);

  pair.a.kill9();
  EXPECT_FALSE(pair.a.running());
  EXPECT_EQ(read_all(pair.b.bootstrap(), topic).size(), 1000u) << "the other cluster does not notice";
  Stopwatch restart;
  pair.a.restart();
  std::printf("restarted after kill -9 in %.2f s\n", restart.seconds());

  produce(pair.a.bootstrap(), topic, numbered(1000, 500));
  EXPECT_EQ(values(read_all(pair.a.bootstrap(), topic)), values(numbered(0, 1500)));
}

TEST(KafkaClusterTest, FreezesAndGoesOn) {
  KafkaPair& pair = shared_kafka_pair();
  const std::string topic = fresh_topic("frozen");
  pair.a.create_topic(topic, 1);
  pair.a.sigstop();
  EXPECT_THROW(pair.a.wait_ready(std::chrono::milliseconds(300)), std::runtime_error);
  pair.a.sigcont();
  pair.a.wait_ready();
  EXPECT_EQ(offsets_of(pair.a.bootstrap(), topic).at(0).end, 0);
}

TEST(KafkaClusterTest, StopsCleanlyAndStartsOnTheSamePortWithTheSameData) {
  KafkaPair& pair = shared_kafka_pair();
  const std::string topic = fresh_topic("stopped");
  const std::string bootstrap = pair.b.bootstrap();
  pair.b.create_topic(topic, 4);
  produce(bootstrap, topic, numbered(0, 100));
  const pid_t before = pair.b.pid();
  pair.b.stop();
  EXPECT_EQ(::kill(before, 0), -1);
  Stopwatch restart;
  pair.b.restart();
  std::printf("restarted after a clean stop in %.2f s\n", restart.seconds());
  EXPECT_EQ(pair.b.bootstrap(), bootstrap);
  EXPECT_EQ(values(read_all(bootstrap, topic)), values(numbered(0, 100)));
}

TEST(KafkaIoTest, KeepsKeyValueTimestampHeadersAndNulls) {
  KafkaPair& pair = shared_kafka_pair();
  const std::string topic = fresh_topic("fields");
  pair.a.create_topic(topic, 2);
  Record full;
  full.partition = 1;
  full.key = std::string("k\0y", 3);
  full.value = "value";
  full.timestamp_ms = 1'234'567'890'123;
  full.headers = {{"a", "1"}, {"b", std::nullopt}, {"a", std::string()}};
  Record tombstone;
  tombstone.partition = 0;
  tombstone.key = "gone";
  Record empty;
  empty.partition = 0;
  empty.value = "";
  const std::vector<Position> at = produce(pair.a.bootstrap(), topic, {full, tombstone, empty});
  EXPECT_THAT(at, ::testing::ElementsAre(Position{1, 0}, Position{0, 0}, Position{0, 1}));

  const std::vector<Record> read = read_all(pair.a.bootstrap(), topic);
  ASSERT_EQ(read.size(), 3u);
  EXPECT_EQ(read[0].key, Bytes("gone"));
  EXPECT_EQ(read[0].value, std::nullopt);
  EXPECT_EQ(read[1].key, std::nullopt);
  EXPECT_EQ(read[1].value, Bytes(""));
  EXPECT_EQ(read[2].partition, 1);
  EXPECT_EQ(read[2].offset, 0);
  EXPECT_EQ(read[2].key, full.key);
  EXPECT_EQ(read[2].value, full.value);
  EXPECT_EQ(read[2].timestamp_ms, full.timestamp_ms);
  EXPECT_EQ(read[2].headers, full.headers);
  EXPECT_EQ(read[2].header("a"), Bytes("1"));
}

TEST(KafkaIoTest, TopicSettingsReachTheBroker) {
  KafkaPair& pair = shared_kafka_pair();
  const std::string topic = fresh_topic("append-time");
  pair.a.create_topic(topic, 1, {{"message.timestamp.type", "LogAppendTime"}});
  Record record;
  record.value = "x";
  record.timestamp_ms = 1000;
  produce(pair.a.bootstrap(), topic, {record});
  EXPECT_GT(read_all(pair.a.bootstrap(), topic).at(0).timestamp_ms, 1'600'000'000'000);
}

TEST(KafkaIoTest, ReadCommittedLeavesOutAborted) {
  KafkaPair& pair = shared_kafka_pair();
  const std::string topic = fresh_topic("transactions");
  pair.a.create_topic(topic, 4);
  produce(pair.a.bootstrap(), topic, numbered(0, 10), {.transactional_id = topic, .abort = true});
  produce(pair.a.bootstrap(), topic, numbered(10, 10), {.transactional_id = topic});
  EXPECT_EQ(values(read_all(pair.a.bootstrap(), topic)), values(numbered(10, 10)));
  EXPECT_EQ(values(read_all(pair.a.bootstrap(), topic, Isolation::read_uncommitted)), values(numbered(0, 20)));
}

TEST(KafkaIoTest, ReadsFromGivenOffsetsAndAfterDeletedRecords) {
  KafkaPair& pair = shared_kafka_pair();
  const std::string topic = fresh_topic("deleted");
  pair.a.create_topic(topic, 4);
  produce(pair.a.bootstrap(), topic, numbered(0, 40));
  EXPECT_EQ(read_all(pair.a.bootstrap(), topic, Isolation::read_committed, {9, 10, 8, 0}).size(), 1u + 0 + 2 + 10);
  pair.a.delete_records(topic, 3, 6);
  EXPECT_EQ(offsets_of(pair.a.bootstrap(), topic).at(3).start, 6);
  EXPECT_EQ(read_all(pair.a.bootstrap(), topic).size(), 34u);
}

TEST(KafkaIoTest, MovesAMillionRecordsInSeconds) {
  KafkaPair& pair = shared_kafka_pair();
  const std::string topic = fresh_topic("million");
  pair.a.create_topic(topic, 4);
  std::vector<Record> records = numbered(0, 1'000'000);
  for (Record& record : records) record.value->resize(198, '.');
  Stopwatch writing;
  produce(pair.a.bootstrap(), topic, records);
  const double written = writing.seconds();
  Stopwatch reading;
  const std::vector<Record> read = read_all(pair.a.bootstrap(), topic);
  std::printf("1 M records of 198 B: written in %.2f s, read in %.2f s\n", written, reading.seconds());
  EXPECT_EQ(read.size(), records.size());
}

TEST(KafkaIoTest, UnknownTopicIsAnError) {
  EXPECT_THROW(read_all(shared_kafka_pair().a.bootstrap(), "no-such-topic"), std::runtime_error);
}

TEST(TempDirTest, LeavesNothing) {
  std::string path;
  {
    TempDir dir;
    path = dir.path();
    EXPECT_TRUE(std::filesystem::is_directory(path));
    const TempDir other;  // its sweep spares the one in use
    EXPECT_TRUE(std::filesystem::is_directory(path));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace twinspan::testing
