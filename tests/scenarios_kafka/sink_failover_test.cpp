// The cluster that takes the output dies.

#include "tests/scenarios_kafka/main_job.h"

namespace twinspan::testing {
namespace {

using namespace std::chrono_literals;

TEST(SinkFailoverTest, TheUnionOfBothTopicsIsCompleteWhenThePrimaryIsKilled) {
  KafkaPair& pair = shared_kafka_pair();
  const std::string in = fresh_topic("in"), out = fresh_topic("out");
  pair.b.create_topic(in, 2);
  for (KafkaCluster* cluster : {&pair.a, &pair.b}) cluster->create_topic(out, 2);
  const std::string yaml =
      "version: 1\n"
      "name: copy\n"
      "sources:\n"
      "  numbers: { topic: " +
      in +
      ", clusters: b, start: earliest, format: { type: json }, fields: { n: int64 }, throttle: { max_rate: "
      "2000/s } }\n"
      "sinks:\n"
      "  out: { from: numbers, topic: " +
      out +
      ", clusters: { pair: [a, b], fail_back_after: 60s }, format: { type: json }, key: CAST(n % 10 AS "
      "string) }\n"
      "checkpoint: { every: 500ms }\n"
      "shards: 1\n";
  constexpr int kRecords = 16'000;
  std::vector<Record> records(kRecords);
  for (int i = 0; i < kRecords; ++i) {
    records[static_cast<std::size_t>(i)].partition = i % 2;
    records[static_cast<std::size_t>(i)].value = "{\"n\":" + std::to_string(i) + "}";
  }
  produce(pair.b.bootstrap(), in, records);

  TwinspanProcess process(yaml, {{{"a", pair.a.bootstrap()}, {"b", pair.b.bootstrap()}}, "", 0, {}});
  process.start_and_wait();
  const auto sink = [](const boost::json::value& status) -> const boost::json::value& {
    return status.at("sinks").at(0);
  };
  process.wait_until("a quarter written", [&](const auto& status) {
    return sink(status).at("acknowledged").template to_number<int>() > kRecords / 4;
  });
  pair.a.kill9();
  const auto killed = std::chrono::steady_clock::now();
  process.wait_until(
      "the switch", [&](const auto& status) { return sink(status).at("active_cluster").as_string() == "b"; }, 10s);
  std::printf("switched %.2f s after the kill\n",
              std::chrono::duration<double>(std::chrono::steady_clock::now() - killed).count());
  EXPECT_LT(std::chrono::steady_clock::now() - killed, 5s);
  process.wait_read({{{"b", in}, {kRecords / 2, kRecords / 2}}});
  process.wait_checkpoint();
  const boost::json::value status = process.pipeline();
  std::printf("last switch took %lld ms, %lld resent: %s\n",
              static_cast<long long>(sink(status).at("last_switch_took_ms").to_number<std::int64_t>()),
              static_cast<long long>(sink(status).at("resent").to_number<std::int64_t>()),
              sink(status).at("route_reason").as_string().c_str());
  EXPECT_EQ(sink(status).at("switches").to_number<int>(), 1);
  EXPECT_EQ(sink(status).at("generation").to_number<int>(), 1);
  EXPECT_EQ(process.stop(), 0) << process.log();

  pair.restore();
  std::map<int, int> seen;
  std::map<std::string, std::string> by_identity;
  std::size_t repeats = 0, on_a = 0;
  for (KafkaCluster* cluster : {&pair.a, &pair.b}) {
    std::map<std::pair<int, std::string>, std::uint64_t> order;  // (partition, key) -> sequence, of one cluster
    for (const Record& record : read_all(cluster->bootstrap(), out)) {
      on_a += cluster == &pair.a;
      const std::string id = record.header("twinspan-id").value_or("");
      const Identity identity = parse_identity(id);
      std::uint64_t& before = order[{record.partition, record.key.value_or("")}];
      EXPECT_LT(before, identity.sequence) << "out of order on " << cluster->name();
      before = identity.sequence;
      const auto [at, added] = by_identity.emplace(id, *record.value);
      EXPECT_EQ(at->second, *record.value) << "two records are " << id;
      if (added)
        ++seen[std::stoi(flat_json(*record.value).at("n"))];
      else
        ++repeats;
    }
  }
  std::printf("%zu records on the first cluster, %zu repeats with equal identity\n", on_a, repeats);
  EXPECT_GT(on_a, 0u);
  ASSERT_EQ(seen.size(), static_cast<std::size_t>(kRecords)) << "something is missing from the union";
  for (const auto& [n, times] : seen) ASSERT_EQ(times, 1) << n << " under different identities";
}

}  // namespace
}  // namespace twinspan::testing
