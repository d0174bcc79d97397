// Bad records go to the dead letters and nowhere else; a bad environment gives one clear message. Never a
// crash.

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "tests/scenarios_kafka/main_job.h"

namespace twinspan::testing {
namespace {

namespace json = boost::json;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

std::string copy_yaml(const std::string& in, const std::string& out, const std::string& extra = "",
                      const std::string& topic_of_dead = "") {
  return "version: 1\n"
         "name: copy\n"
         "sources:\n"
         "  in: { topic: " +
         in +
         ", clusters: a, start: earliest, format: { type: json }, fields: { n: int64, s: string, ts: "
         "timestamp_ms }, " +
         extra +
         " }\n"
         "sinks:\n"
         "  out: { from: in, topic: " +
         out + ", clusters: a, format: { type: json } }\n" +
         (topic_of_dead.empty()
              ? ""
              : "dead_letter: { topic: " + topic_of_dead + ", clusters: a, max_error_ratio: 1.0 }\n") +
         "checkpoint: { every: 500ms }\n"
         "shards: 1\n";
}

TwinspanProcess::Options on_a(const KafkaPair& pair) { return {{{"a", pair.a.bootstrap()}}, "", 0, {}}; }

TEST(BadInputTest, EveryBadRecordIsADeadLetterAndEveryGoodOneComesOut) {
  KafkaPair& pair = shared_kafka_pair();
  const std::string in = fresh_topic("in"), out = fresh_topic("out"), dead = fresh_topic("dead");
  const std::map<std::string, std::string> large = {{"max.message.bytes", "33554432"}};
  pair.a.create_topic(in, 1, large);
  pair.a.create_topic(out, 1, large);
  pair.a.create_topic(dead, 1, large);

  const std::string ten_megabytes(10'000'000, 'x');
  const auto in_two_days =
      std::chrono::duration_cast<std::chrono::milliseconds>((std::chrono::system_clock::now() + 48h).time_since_epoch())
          .count();
  struct Case {
    Bytes key, value;
    std::string n;       // good: what the output says of field n; bad: empty
    std::string reason;  // bad: part of it
  };
  const std::vector<Case> cases = {
      {"k1", R"({"n":1,"s":"first","ts":1705277400000})", "1", ""},
      {"k2", R"({"n":2,"s":"cut)", "", "JSON"},
      {"k3", "", "", "empty"},
      {"k4", "[1,2]", "", "object"},
      {"k5", R"({"n":"five","ts":1705277400000})", "", "\"n\""},
      {"k6", R"({"n":6.5,"ts":1705277400000})", "", "\"n\""},
      {"k7", R"({"n":99999999999999999999,"ts":1705277400000})", "", "\"n\""},
      {"k8", R"({"s":"a missing field is NULL","ts":1705277400000})", "null", ""},
      {std::nullopt, R"({"n":9,"s":"no key","ts":1705277400000})", "9", ""},
      {"k10", std::nullopt, "", "value"},
      {"k11", R"({"n":11,"ts":)" + std::to_string(in_two_days) + "}", "", "future"},
      {"k12", R"({"n":12,"ts":9223372036854775807})", "", "ts"},
      {"k13", R"({"n":13,"s":")" + ten_megabytes + R"(","ts":1705277400000})", "13", ""},
      {"k14", R"({"n":"large","s":")" + ten_megabytes + R"(","ts":1705277400000})", "", "\"n\""},
      {"k15", R"({"n":15,"s":null})", "", "ts"},
      {"k16", std::string("{\"n\":16,\"s\":\"\xff\xfe\",\"ts\":1705277400000}"), "", "UTF-8"},
      {"k17", R"({"n":17,"s":"last","ts":1705277400000})", "17", ""},
  };
  std::vector<Record> records;
  for (const Case& c : cases) {
    Record record;
    record.partition = 0;
    record.key = c.key;
    record.value = c.value;
    records.push_back(record);
  }
  produce(pair.a.bootstrap(), in, records);

  TwinspanProcess process(copy_yaml(in, out, "event_time: { field: ts }", dead), on_a(pair));
  process.start_and_wait();
  process.wait_read({{{"a", in}, {static_cast<std::int64_t>(cases.size())}}});
  process.wait_checkpoint();

  std::vector<std::string> want, got;
  for (const Case& c : cases) {
    if (!c.n.empty()) want.push_back(c.n);
  }
  for (const Record& record : read_all(pair.a.bootstrap(), out)) got.push_back(flat_json(*record.value).at("n"));
  EXPECT_EQ(got, want) << process.log();

  std::map<std::int64_t, Record> letters;  // by the offset of origin
  for (const Record& record : read_all(pair.a.bootstrap(), dead)) {
    const std::string origin = record.header("twinspan-origin").value_or("");
    ASSERT_THAT(origin, HasSubstr("a/" + in + "/0/"));
    letters[std::stoll(origin.substr(origin.rfind('/') + 1))] = record;
  }
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const auto letter = letters.find(static_cast<std::int64_t>(i));
    if (!cases[i].n.empty()) {
      EXPECT_EQ(letter, letters.end()) << i;
      continue;
    }
    ASSERT_NE(letter, letters.end()) << "lost: " << cases[i].key.value_or("<null>");
    // One that few brokers would take again is named by its origin.
    const bool large = cases[i].value && cases[i].value->size() > 1'000'000;
    EXPECT_EQ(letter->second.value, large ? Bytes() : cases[i].value) << i;
    EXPECT_EQ(letter->second.header("twinspan-payload").has_value(), large) << i;
    EXPECT_THAT(letter->second.header("twinspan-reason").value_or(""), HasSubstr(cases[i].reason))
        << cases[i].key.value_or("<null>");
    EXPECT_EQ(letter->second.header("twinspan-pipeline"), "copy");
    std::printf("%s: %s\n", cases[i].key.value_or("<null>").c_str(),
                letter->second.header("twinspan-reason").value_or("").c_str());
  }
  EXPECT_EQ(process.pipeline().at("dead_letters").to_number<std::size_t>(), cases.size() - want.size());
  EXPECT_EQ(process.stop(), 0) << process.log();
}

TEST(BadInputTest, ARecordThatTheOutputTopicRefusesIsADeadLetter) {
  KafkaPair& pair = shared_kafka_pair();
  const std::string in = fresh_topic("in"), out = fresh_topic("out"), dead = fresh_topic("dead");
  pair.a.create_topic(in, 1, {{"max.message.bytes", "33554432"}});
  for (const std::string& topic : {out, dead}) pair.a.create_topic(topic, 1);
  const std::string kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string noise;  // does not compress
  std::mt19937 random(1);
  while (noise.size() < 3'000'000) noise += kLetters[random() % kLetters.size()];
  std::vector<Record> records(3);
  for (int i = 0; i < 3; ++i) {
    records[static_cast<std::size_t>(i)].partition = 0;
    records[static_cast<std::size_t>(i)].value =
        "{\"n\":" + std::to_string(i) + ",\"s\":\"" + (i == 1 ? noise : "small") + "\"}";
  }
  produce(pair.a.bootstrap(), in, records);
  TwinspanProcess process(copy_yaml(in, out, "", dead), on_a(pair));
  process.start_and_wait();
  process.wait_read({{{"a", in}, {3}}});
  process.wait_checkpoint();
  std::vector<std::string> got;
  for (const Record& record : read_all(pair.a.bootstrap(), out)) got.push_back(flat_json(*record.value).at("n"));
  EXPECT_EQ(got, (std::vector<std::string>{"0", "2"}));
  const std::vector<Record> letters = read_all(pair.a.bootstrap(), dead);
  ASSERT_EQ(letters.size(), 1u) << process.log();
  EXPECT_EQ(letters[0].header("twinspan-stage"), "out");
  EXPECT_THAT(letters[0].header("twinspan-reason").value_or(""), HasSubstr("too large"));
  EXPECT_EQ(process.stop(), 0) << process.log();
}

TEST(BadInputTest, WithoutDeadLettersABadRecordStopsThePipelineAndIsReadAgain) {
  KafkaPair& pair = shared_kafka_pair();
  const std::string in = fresh_topic("in"), out = fresh_topic("out");
  for (const std::string& topic : {in, out}) pair.a.create_topic(topic, 1);
  produce(pair.a.bootstrap(), in,
          {{.partition = 0, .value = R"({"n":1})"},
           {.partition = 0, .value = "{"},
           {.partition = 0, .value = R"({"n":2})"}});
  TwinspanProcess process(copy_yaml(in, out), on_a(pair));
  for (int attempt = 0; attempt < 2; ++attempt) {
    process.start();
    EXPECT_EQ(process.wait_end(), 1);
    EXPECT_THAT(process.log(), HasSubstr("a/" + in + "/0/1"));
  }
}

TEST(BadInputTest, AnUnknownTopicIsNamedAndReadOnceItExists) {
  KafkaPair& pair = shared_kafka_pair();
  const std::string in = fresh_topic("unknown"), out = fresh_topic("out");
  pair.a.create_topic(out, 1);
  TwinspanProcess process(copy_yaml(in, out), on_a(pair));
  process.start_and_wait();
  process.wait_until("the topic's name in the status",
                     [&](const json::value& status) { return json::serialize(status).find(in) != std::string::npos; });
  EXPECT_THAT(process.log(), HasSubstr(in));
  pair.a.create_topic(in, 1);
  produce(pair.a.bootstrap(), in, {{.partition = 0, .value = R"({"n":1})"}});
  process.wait_read({{{"a", in}, {1}}});
  process.wait_checkpoint();
  EXPECT_EQ(read_all(pair.a.bootstrap(), out).size(), 1u);
  EXPECT_EQ(process.stop(), 0) << process.log();
}

TEST(BadInputTest, AWrongBrokerAddressIsWaitedFor) {
  TwinspanProcess process(copy_yaml("in", "out"), {{{"a", "127.0.0.1:" + std::to_string(free_port())}}, "", 0, {}});
  process.start_and_wait();
  process.wait_until("waiting", [](const json::value& status) {
    const auto& cluster = status.at("sources").at(0).at("clusters").at(0);
    return status.at("state").as_string() == "waiting" && cluster.at("state").as_string() == "down" &&
           !cluster.at("last_error").as_string().empty();
  });
  EXPECT_EQ(process.get("/livez").status, 200);
  EXPECT_EQ(process.stop(), 0) << process.log();
}

// --- The environment ---

TEST(BadEnvironmentTest, APortInUseIsNamed) {
  KafkaPair& pair = shared_kafka_pair();
  const std::string in = fresh_topic("in"), out = fresh_topic("out");
  for (const std::string& topic : {in, out}) pair.a.create_topic(topic, 1);
  TwinspanProcess first(copy_yaml(in, out), on_a(pair));
  first.start_and_wait();
  TwinspanProcess::Options options = on_a(pair);
  options.admin_port = first.admin_port();
  TwinspanProcess second(copy_yaml(in, out), options);
  second.start();
  EXPECT_NE(second.wait_end(), 0);
  EXPECT_THAT(second.log(), HasSubstr(std::to_string(first.admin_port())));
  EXPECT_THAT(second.log(), HasSubstr("in use"));
  EXPECT_EQ(first.stop(), 0) << first.log();
}

TEST(BadEnvironmentTest, TwoProcessesDoNotShareADataDirectory) {
  KafkaPair& pair = shared_kafka_pair();
  const std::string in = fresh_topic("in"), out = fresh_topic("out");
  for (const std::string& topic : {in, out}) pair.a.create_topic(topic, 1);
  TwinspanProcess first(copy_yaml(in, out), on_a(pair));
  first.start_and_wait();
  TwinspanProcess::Options options = on_a(pair);
  options.data_directory = first.data_directory();
  TwinspanProcess second(copy_yaml(in, out), options);
  second.start();
  EXPECT_EQ(second.wait_end(), 1);
  EXPECT_THAT(second.log(), HasSubstr(first.data_directory()));
  EXPECT_THAT(second.log(), HasSubstr("another process"));
  EXPECT_EQ(first.stop(), 0) << first.log();
}

// Tests may run as root, to whom permissions mean nothing: a file where a directory is due cannot be written
// by anybody.
TEST(BadEnvironmentTest, ADataDirectoryThatCannotBeWrittenIsNamed) {
  KafkaPair& pair = shared_kafka_pair();
  const TempDir dir;
  const std::string file = dir.path() + "/file";
  std::ofstream(file) << "not a directory";
  for (const std::string& data : {file, file + "/below"}) {
    TwinspanProcess::Options options = on_a(pair);
    options.data_directory = data;
    TwinspanProcess process(copy_yaml("in", "out"), options);
    process.start();
    EXPECT_EQ(process.wait_end(), 1);
    EXPECT_THAT(process.log(), HasSubstr(file));
    EXPECT_THAT(process.log(), HasSubstr("directory"));
  }
}

TEST(BadEnvironmentTest, StateThatCannotBeReadIsNamedAndNothingIsOverwritten) {
  KafkaPair& pair = shared_kafka_pair();
  const std::string in = fresh_topic("in"), out = fresh_topic("out");
  for (const std::string& topic : {in, out}) pair.a.create_topic(topic, 1);
  produce(pair.a.bootstrap(), in, {{.partition = 0, .value = R"({"n":1})"}});
  TwinspanProcess process(copy_yaml(in, out), on_a(pair));
  process.start_and_wait();
  process.wait_checkpoint();
  ASSERT_EQ(process.stop(), 0) << process.log();
  // Every checkpoint is damaged, so none can be gone back to.
  std::size_t damaged = 0;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(process.data_directory() + "/pipelines/copy/state")) {
    if (!entry.is_regular_file() || entry.file_size() == 0) continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    char first = 0;
    file.read(&first, 1);
    first = static_cast<char>(first ^ 0x55);
    file.seekp(0);
    file.write(&first, 1);
    ++damaged;
  }
  ASSERT_GT(damaged, 0u);
  process.start();
  EXPECT_EQ(process.wait_end(), 1);
  EXPECT_THAT(process.log(), HasSubstr("checkpoint"));
  EXPECT_EQ(read_all(pair.a.bootstrap(), out).size(), 1u) << "started from nothing, without a word";
}

}  // namespace
}  // namespace twinspan::testing
