// Two million records behind, one call, and every record is either in the output or in the ledger.

#include <algorithm>
#include <future>
#include <tuple>

#include "tests/scenarios_kafka/main_job.h"

namespace twinspan::testing {
namespace {

namespace json = boost::json;
using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

struct Range {
  std::string cluster;
  int partition;
  std::int64_t from, to;
  bool pending;
};

std::vector<Range> ranges_of(const json::value& discard) {
  std::vector<Range> ranges;
  for (const auto& r : discard.at("ranges").as_array()) {
    const bool pending = r.at("pending").as_bool();
    ranges.push_back({std::string(r.at("cluster").as_string()), r.at("partition").to_number<int>(),
                      pending ? -1 : r.at("from").to_number<std::int64_t>(),
                      pending ? -1 : r.at("to").to_number<std::int64_t>(), pending});
  }
  return ranges;
}

std::string text(const std::vector<Range>& ranges) {
  std::vector<std::string> lines;
  for (const Range& r : ranges) {
    lines.push_back(r.cluster + "/" + std::to_string(r.partition) + " [" + std::to_string(r.from) + ", " +
                    std::to_string(r.to) + ")" + (r.pending ? " pending" : ""));
  }
  std::sort(lines.begin(), lines.end());
  std::string all;
  for (const std::string& line : lines) all += line + "\n";
  return all;
}

// A pipeline that writes down of every record where it stood.
struct Trace {
  KafkaPair& pair = shared_kafka_pair();
  std::string in = fresh_topic("in"), out = fresh_topic("out");
  int partitions;

  Trace(int partitions, const std::map<std::string, std::string>& config_of_b) : partitions(partitions) {
    pair.a.create_topic(in, partitions);
    pair.b.create_topic(in, partitions, config_of_b);
    pair.a.create_topic(out, 4);
  }

  std::string yaml(int max_rate) const {
    return "version: 1\n"
           "name: trace\n"
           "sources:\n"
           "  records: { topic: " +
           in +
           ", clusters: { pair: [a, b], mode: split }, start: earliest, format: { type: json }, fields: { n: "
           "int64 },\n"
           "             readmit_after: 500ms, throttle: { max_rate: " +
           std::to_string(max_rate) +
           "/s } }\n"
           "steps:\n"
           "  origin: { from: records, select: { c: _cluster, p: _partition, o: _offset } }\n"
           "sinks:\n"
           "  out: { from: origin, topic: " +
           out +
           ", clusters: a, format: { type: json } }\n"
           "checkpoint: { every: 1s }\n"
           "shards: 1\n";
  }

  TwinspanProcess::Options options() const {
    return {{{"a", pair.a.bootstrap()}, {"b", pair.b.bootstrap()}}, "", 0, {}};
  }

  void fill(KafkaCluster& cluster, int count) const {
    std::vector<Record> records(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) {
      records[static_cast<std::size_t>(i)].partition = i % partitions;
      records[static_cast<std::size_t>(i)].value = "{\"n\":" + std::to_string(i) + "}";
    }
    produce(cluster.bootstrap(), in, records);
  }

  std::vector<std::int64_t> ends(const KafkaCluster& cluster) const {
    std::vector<std::int64_t> all;
    for (const Offsets& o : offsets_of(cluster.bootstrap(), in)) all.push_back(o.end);
    return all;
  }

  void wait_all_read(TwinspanProcess& process) const {
    ASSERT_EQ(process.put("/v1/pipelines/trace/throttle", R"({"records_per_s":null})").status, 200);
    process.wait_read({{{"a", in}, ends(pair.a)}, {{"b", in}, ends(pair.b)}});
    process.wait_checkpoint();
  }

  // Output and skipped ranges together are every record there is, each once.
  void expect_every_record_once(const std::vector<Range>& skipped) const {
    std::map<std::pair<std::string, int>, std::vector<int>> times;  // lane -> per offset
    for (const KafkaCluster* cluster : {&pair.a, &pair.b}) {
      const std::vector<std::int64_t> end = ends(*cluster);
      for (int p = 0; p < partitions; ++p) {
        times[{cluster == &pair.a ? "a" : "b", p}].resize(static_cast<std::size_t>(end[static_cast<std::size_t>(p)]));
      }
    }
    const auto count = [&](const std::string& cluster, int p, std::int64_t from, std::int64_t to) {
      std::vector<int>& lane = times.at({cluster, p});
      ASSERT_LE(to, static_cast<std::int64_t>(lane.size()));
      for (std::int64_t o = from; o < to; ++o) ++lane[static_cast<std::size_t>(o)];
    };
    for (const Range& r : skipped) {
      ASSERT_FALSE(r.pending) << text(skipped);
      count(r.cluster, r.partition, r.from, r.to);
    }
    for (const Record& record : read_all(pair.a.bootstrap(), out)) {
      const auto origin = flat_json(*record.value);
      const std::int64_t offset = std::stoll(origin.at("o"));
      count(origin.at("c"), std::stoi(origin.at("p")), offset, offset + 1);
    }
    for (const auto& [lane, offsets] : times) {
      for (std::size_t o = 0; o < offsets.size(); ++o) {
        ASSERT_EQ(offsets[o], 1) << "record " << lane.first << "/" << lane.second << "/" << o
                                 << " (0: lost, 2: skipped and written)\n"
                                 << text(skipped);
      }
    }
  }
};

// Until something of each cluster was read, far from everything.
void wait_reading(TwinspanProcess& process, std::size_t lanes) {
  process.wait_until("reading on both clusters", [&](const json::value& status) {
    std::map<std::string, std::int64_t> read;
    const auto& all = status.at("sources").at(0).at("lanes").as_array();
    for (const auto& lane : all)
      read[std::string(lane.at("cluster").as_string())] += lane.at("position").to_number<std::int64_t>();
    return all.size() == lanes && read["a"] >= 500 && read["b"] >= 500;
  });
}

std::string plan_discard(TwinspanProcess& process, json::value* plan = nullptr) {
  const HttpReply reply = process.post("/v1/pipelines/trace/lag-discards:plan", R"({"target":"latest"})");
  EXPECT_EQ(reply.status, 200) << reply.body;
  if (plan != nullptr) *plan = reply.json();
  return std::string(reply.json().at("plan").as_string());
}

HttpReply execute_discard(TwinspanProcess& process, const std::string& plan,
                          const std::string& reason = "too far behind") {
  return process.post("/v1/pipelines/trace/lag-discards",
                      json::serialize(json::object{{"plan", plan}, {"reason", reason}}));
}

TEST(LagDiscardTest, TwoMillionRecordsAreSkippedExactlyAndAtOnce) {
  const Trace trace(4, {{"message.timestamp.type", "LogAppendTime"}});
  constexpr int kEach = 1'000'000;
  {
    auto other = std::async(std::launch::async, [&] { trace.fill(trace.pair.b, kEach); });
    trace.fill(trace.pair.a, kEach);
    other.get();
  }
  TwinspanProcess process(trace.yaml(5000), trace.options());
  process.start_and_wait();
  wait_reading(process, 8);

  json::value plan;
  const auto click = Clock::now();
  const std::string id = plan_discard(process, &plan);
  EXPECT_GT(plan.at("records").to_number<std::int64_t>(), 1'900'000);
  EXPECT_EQ(plan.at("ranges").as_array().size(), 8u);
  EXPECT_EQ(execute_discard(process, id, "").status, 409) << "no reason given";
  const HttpReply done = execute_discard(process, id);
  const double seconds = std::chrono::duration<double>(Clock::now() - click).count();
  ASSERT_EQ(done.status, 200) << done.body;
  std::printf("planned and executed in %.3f s, readers jumped in %lld ms, %lld records skipped\n", seconds,
              static_cast<long long>(done.json().at("took_ms").to_number<std::int64_t>()),
              static_cast<long long>(done.json().at("records").to_number<std::int64_t>()));
  EXPECT_LT(seconds, 2.0);
  EXPECT_EQ(execute_discard(process, id).status, 409) << "a plan is executed once";

  process.wait_until(
      "lag gone",
      [](const json::value& status) {
        return status.at("sources").at(0).at("lag_records").to_number<std::int64_t>() == 0;
      },
      2s);
  trace.fill(trace.pair.a, 1000);
  trace.fill(trace.pair.b, 1000);
  trace.wait_all_read(process);

  const json::value ledger = process.pipeline("/lag-discards");
  ASSERT_EQ(ledger.at("discards").as_array().size(), 1u);
  const json::value entry = ledger.at("discards").at(0);
  EXPECT_EQ(entry.at("reason").as_string(), "too far behind");
  EXPECT_TRUE(entry.at("durable_in").is_number());
  const std::vector<Range> skipped = ranges_of(entry);
  EXPECT_EQ(text(skipped), text(ranges_of(done.json())));
  trace.expect_every_record_once(skipped);

  process.kill9();
  process.start_and_wait();
  trace.wait_all_read(process);
  EXPECT_EQ(text(ranges_of(process.pipeline("/lag-discards").at("discards").at(0))), text(skipped))
      << "after a restart";
  trace.expect_every_record_once(skipped);
  EXPECT_EQ(process.stop(), 0) << process.log();
}

TEST(LagDiscardTest, KilledRightAfterTheCallItSkipsTheSameAgain) {
  const Trace trace(2, {});
  trace.fill(trace.pair.a, 100'000);
  trace.fill(trace.pair.b, 100'000);
  TwinspanProcess process(trace.yaml(2000), trace.options());
  process.start_and_wait();
  wait_reading(process, 4);
  process.wait_checkpoint();
  ASSERT_EQ(execute_discard(process, plan_discard(process)).status, 200);
  process.kill9();
  trace.fill(trace.pair.a, 1000);
  trace.fill(trace.pair.b, 1000);
  process.start_and_wait();
  trace.wait_all_read(process);

  // Records between the last checkpoint and the jump may be in the output and in the range: at least once.
  const std::vector<Range> skipped = ranges_of(process.pipeline("/lag-discards").at("discards").at(0));
  ASSERT_EQ(skipped.size(), 4u);
  std::set<std::tuple<std::string, int, std::int64_t>> written;
  for (const Record& record : read_all(trace.pair.a.bootstrap(), trace.out)) {
    const auto origin = flat_json(*record.value);
    written.emplace(origin.at("c"), std::stoi(origin.at("p")), std::stoll(origin.at("o")));
  }
  for (const Range& r : skipped) {
    ASSERT_FALSE(r.pending) << text(skipped);
    EXPECT_EQ(r.to, 50'000) << text(skipped);
    for (std::int64_t o = 0; o < 50'500; ++o) {
      if (o >= r.from && o < r.to) continue;
      ASSERT_TRUE(written.contains({r.cluster, r.partition, o}))
          << "lost: " << r.cluster << "/" << r.partition << "/" << o;
    }
  }
  EXPECT_LT(written.size(), 40'000u) << "the lag was read again";
  EXPECT_EQ(process.stop(), 0) << process.log();
}

class PendingDiscardTest : public ::testing::TestWithParam<std::pair<std::string, bool>> {};

TEST_P(PendingDiscardTest, ADeadClusterTakesTheCutWhenItReturns) {
  const auto& [timestamps, killed] = GetParam();
  const Trace trace(2, {{"message.timestamp.type", timestamps}});
  trace.fill(trace.pair.a, 100'000);
  trace.fill(trace.pair.b, 100'000);
  TwinspanProcess process(trace.yaml(2000), trace.options());
  process.start_and_wait();
  wait_reading(process, 4);
  trace.pair.b.kill9();
  process.wait_until("b down", [](const json::value& status) {
    return status.at("sources").at(0).at("clusters").at(1).at("state").as_string() == "down";
  });

  json::value plan;
  const std::string id = plan_discard(process, &plan);
  EXPECT_EQ(plan.at("pending_lanes").to_number<int>(), 2);
  const HttpReply done = execute_discard(process, id);
  ASSERT_EQ(done.status, 200) << done.body;
  EXPECT_EQ(done.json().at("pending_lanes").to_number<int>(), 2);
  process.wait_until("lag of a gone, b pending", [](const json::value& status) {
    for (const auto& lane : status.at("sources").at(0).at("lanes").as_array()) {
      if (lane.at("cluster").as_string() == "a" && lane.at("lag").to_number<std::int64_t>() != 0) return false;
      if (lane.at("cluster").as_string() == "b" && !lane.at("pending_cut").as_bool()) return false;
    }
    return true;
  });
  if (killed) {
    process.wait_checkpoint();
    process.kill9();
    process.start_and_wait();
  }

  trace.fill(trace.pair.a, 1000);
  trace.pair.b.restart();
  trace.fill(trace.pair.b, 1000);
  trace.wait_all_read(process);
  const std::vector<Range> skipped = ranges_of(process.pipeline("/lag-discards").at("discards").at(0));
  EXPECT_EQ(skipped.size(), 4u) << text(skipped);
  for (const Range& r : skipped) EXPECT_EQ(r.to, 50'000) << text(skipped);
  trace.expect_every_record_once(skipped);
  EXPECT_EQ(process.stop(), 0) << process.log();
}

INSTANTIATE_TEST_SUITE_P(Topics, PendingDiscardTest,
                         ::testing::Values(std::pair("LogAppendTime", false), std::pair("CreateTime", false),
                                           std::pair("LogAppendTime", true)),
                         [](const auto& info) { return info.param.first + (info.param.second ? "AndARestart" : ""); });

}  // namespace
}  // namespace twinspan::testing
