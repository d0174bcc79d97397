// A window on the results of a window, as a pipeline: retractions travel between the steps, sinks get what `emit.mode`
// says.
#include <functional>
#include <set>

#include "tests/gateway/pipeline/pipeline_rig.h"

namespace twinspan::gateway {
namespace {

constexpr const char* kCountOfCounts = R"y(version: 1
name: p
sources:
  ev:
    topic: t
    clusters: { pair: [east, west] }
    start: earliest
    fields: { k: string, ts: timestamp_ms }
    event_time: { field: ts, out_of_order: 1s }
steps:
  per_key: { from: ev, window: { tumbling: 10s }, key: [k], aggregate: { n: count(*) }, emit: { every: 1s } }
  often: { from: per_key, where: n >= 3, select: { k: k, n: n, start: window_start } }
  histogram:
    from: per_key
    window: { tumbling: 20s }
    key: [n]
    aggregate: { ks: count(*) }
    emit: { mode: retracting, every: 1s }
sinks:
  counts: { from: per_key, topic: c, clusters: east }
  often_out: { from: often, topic: f, clusters: east, format: { type: json, op_field: true } }
  out: { from: histogram, topic: h, clusters: east, format: { type: json, op_field: true, final_field: true } }
)y";

struct CountOfCounts : Rig {
  explicit CountOfCounts(std::uint32_t seed) : Rig(kCountOfCounts, seed), random(seed) {
    base = clock.wall_ms() / 60'000 * 60'000 - 3'600'000;
    for (const char* cluster : {"east", "west"}) world.create(cluster, "t", 2);
  }
  void fill(int records) {
    for (int i = 0; i < records; ++i) {
      const std::string k = fmt::format("k{}", random() % 12);
      const std::int64_t at = base + now + static_cast<std::int64_t>(random() % 900);
      now += 100;
      ++expected_counts[k + " " + std::to_string((at - base) / 10'000 * 10'000)];
      world.push({random() % 2 == 0 ? "east" : "west", "t", static_cast<std::int32_t>(random() % 2)},
                 {at, "", fmt::format(R"({{"k":"{}","ts":{}}})", k, at)});
    }
  }
  std::int64_t ms(const boost::json::value& v) const {
    return v.is_string() ? *parse_timestamp(std::string(v.as_string())) : v.to_number<std::int64_t>();
  }
  std::mt19937 random;
  std::int64_t base = 0, now = 0;
  std::map<std::string, std::int64_t> expected_counts;
};

TEST(PipelineChain, ACountOfCountsIsRightAfterEveryRetraction) {
  for (const unsigned shards : {1u, 2u}) {
    CountOfCounts rig(7 + shards);
    rig.fill(900);
    ASSERT_TRUE(rig.start(shards, true)) << rig.error;
    ASSERT_TRUE(eventually([&] { return rig.pipeline->finished(); }));
    EXPECT_EQ(rig.pipeline->state(), admin::PipelineState::stopped) << rig.pipeline->reason();

    // The first window's own sink: updates, no old values.
    std::map<std::string, std::int64_t> counts;
    std::set<std::string> ops;
    for (const auto& d : rig.world.delivered("counts")) {
      const auto v = boost::json::parse(d.value);
      counts[fmt::format("{} {}", std::string(v.at("k").as_string()), rig.ms(v.at("window_start")) - rig.base)] =
          v.at("n").to_number<std::int64_t>();
      EXPECT_EQ(v.as_object().if_contains("_op"), nullptr);
      const auto op = d.headers.find("twinspan-op");
      ops.insert(op == d.headers.end() ? "+I" : op->second);
    }
    EXPECT_EQ(counts, rig.expected_counts);
    EXPECT_EQ(ops, (std::set<std::string>{"+I", "+U"}));

    // Behind a filter: a result enters when it grows to three.
    std::map<std::string, std::int64_t> often, expected_often;
    for (const auto& [key, n] : rig.expected_counts)
      if (n >= 3) expected_often[key] = n;
    for (const auto& d : rig.world.delivered("often_out")) {
      const auto v = boost::json::parse(d.value);
      const std::string key =
          fmt::format("{} {}", std::string(v.at("k").as_string()), rig.ms(v.at("start")) - rig.base);
      EXPECT_EQ(v.at("_op").as_string(), often.contains(key) ? "+U" : "+I");
      often[key] = v.at("n").to_number<std::int64_t>();
    }
    EXPECT_EQ(often, expected_often);

    std::map<std::string, std::int64_t> histogram, expected_histogram;
    for (const auto& [key, n] : rig.expected_counts) {
      const std::int64_t start = std::stoll(key.substr(key.find(' ') + 1));
      ++expected_histogram[fmt::format("{} {}", n, start / 20'000 * 20'000)];
    }
    ops.clear();
    for (const auto& d : rig.world.delivered("out")) {
      const auto v = boost::json::parse(d.value);
      const std::string op(v.at("_op").as_string());
      const std::string key =
          fmt::format("{} {}", v.at("n").to_number<std::int64_t>(), rig.ms(v.at("window_start")) - rig.base);
      const auto ks = v.at("ks").to_number<std::int64_t>();
      ops.insert(op);
      EXPECT_TRUE(v.at("_final").as_bool());
      if (op == "-U" || op == "-D") {
        ASSERT_TRUE(histogram.contains(key) && histogram[key] == ks) << op << " " << d.value;
        histogram.erase(key);
      } else {
        ASSERT_FALSE(histogram.contains(key)) << op << " " << d.value;
        histogram[key] = ks;
      }
    }
    EXPECT_EQ(histogram, expected_histogram);
    EXPECT_EQ(ops, (std::set<std::string>{"+I", "+U", "-D", "-U"}));
    rig.kill();
  }
}

constexpr const char* kClocks = R"y(version: 1
name: p
sources:
  ev:
    topic: t
    clusters: { pair: [east, west] }
    start: earliest
    fields: { k: string, ts: timestamp_ms }
    event_time: { field: ts, out_of_order: 1s }
steps:
  hour: { from: ev, window: { tumbling: 1h, time: processing }, key: [k], aggregate: { n: count(*) } }
  all: { from: ev, window: { global: true }, key: [k], emit: { every: 1ms, clock: wall }, aggregate: { n: count(*) } }
  runs: { from: ev, window: { session: 300ms }, key: [k], aggregate: { n: count(*) } }
sinks:
  hours: { from: hour, topic: a, clusters: east }
  totals: { from: all, topic: b, clusters: east }
  sessions: { from: runs, topic: c, clusters: east }
)y";

TEST(PipelineChain, ClocksAndSessionsCountEveryRowOnce) {
  for (const unsigned shards : {1u, 2u}) {
    Rig rig(kClocks, 3);
    const std::int64_t base = rig.clock.wall_ms() / 60'000 * 60'000 - 3'600'000;
    for (const char* cluster : {"east", "west"}) rig.world.create(cluster, "t", 2);
    std::mt19937 random(shards);
    std::map<std::string, std::set<std::int64_t>> times;
    std::map<std::string, std::int64_t> counts;
    for (int i = 0; i < 700; ++i) {
      const std::string k = fmt::format("k{}", random() % 9);
      const std::int64_t at = base + i * 40 + static_cast<std::int64_t>(random() % 900);
      ++counts[k];
      times[k].insert(at);
      rig.world.push({random() % 2 == 0 ? "east" : "west", "t", static_cast<std::int32_t>(random() % 2)},
                     {at, "", fmt::format(R"({{"k":"{}","ts":{}}})", k, at)});
    }
    ASSERT_TRUE(rig.start(shards, true)) << rig.error;
    ASSERT_TRUE(eventually([&] { return rig.pipeline->finished(); }));
    EXPECT_EQ(rig.pipeline->state(), admin::PipelineState::stopped) << rig.pipeline->reason();
    std::map<std::string, std::int64_t> hours, totals, sessions, in_sessions, gaps;
    const auto each = [&](const char* sink, const std::function<void(const std::string&, std::int64_t)>& take) {
      for (const auto& d : rig.world.delivered(sink)) {
        const auto v = boost::json::parse(d.value);
        take(std::string(v.at("k").as_string()), v.at("n").to_number<std::int64_t>());
      }
    };
    each("hours", [&](const std::string& k, std::int64_t n) { hours[k] += n; });
    each("totals", [&](const std::string& k, std::int64_t n) { totals[k] = n; });
    each("sessions", [&](const std::string& k, std::int64_t n) {
      in_sessions[k] += n;
      ++sessions[k];
    });
    for (const auto& [k, all] : times) {
      std::int64_t before = kMinTime;
      for (const std::int64_t t : all) {
        gaps[k] += before == kMinTime || t - before >= 300 ? 1 : 0;
        before = t;
      }
    }
    EXPECT_EQ(hours, counts);
    EXPECT_EQ(totals, counts);
    EXPECT_EQ(in_sessions, counts);
    EXPECT_EQ(sessions, gaps);
    rig.kill();
  }
}

}  // namespace
}  // namespace twinspan::gateway
