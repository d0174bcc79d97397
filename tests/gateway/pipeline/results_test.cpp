// The whole way: filter -> join -> cumulate window -> sink, against loops; stops, kills and other shard counts in
// between.
#include <set>

#include "tests/gateway/pipeline/pipeline_rig.h"

namespace twinspan::gateway {
namespace {

constexpr const char* kAdUv = R"y(version: 1
name: p
sources:
  imp:
    topic: imp
    clusters: { pair: [east, west] }
    start: earliest
    fields: { dev: string, ad: int64, region: string, price: int64, ts: timestamp_ms }
    event_time: { field: ts, out_of_order: 5s }
  clk:
    topic: clk
    clusters: { pair: [east, west] }
    start: earliest
    fields: { dev: string, ad: int64, ts: timestamp_ms }
    event_time: { field: ts, out_of_order: 5s }
steps:
  valid: { from: imp, where: price >= 0, select: { dev: dev, ad: ad, region: upper(region), price: price } }
  joined:
    interval_join: { left: valid, right: clk, on: [ad, dev], between: [0s, 10s] }
    select: { dev: left.dev, region: left.region, price: left.price }
  uv:
    from: joined
    window: { cumulate: 60s, every: 10s }
    key: [region]
    aggregate: { uv: count(DISTINCT dev), n: count(*), spend: sum(price) }
sinks:
  out: { from: uv, topic: o, clusters: { pair: [east, west] }, key: region }
)y";

class AdUv : public Rig {
 public:
  explicit AdUv(std::uint32_t seed) : Rig(kAdUv, seed), random_(seed) {
    base_ = clock.wall_ms() / 60'000 * 60'000 - 3'600'000;
    for (const char* topic : {"imp", "clk"})
      for (const char* cluster : {"east", "west"}) world.create(cluster, topic, 2);
  }

  connectors::LaneKey some_lane(const char* topic) {
    return {random_() % 2 == 0 ? "east" : "west", topic, static_cast<std::int32_t>(random_() % 2)};
  }
  // 200 s of events, out of order by up to 5 s within a lane.
  void fill(int events) {
    for (int i = 0; i < events; ++i) {
      const std::int64_t at = base_ + clock_ + static_cast<std::int64_t>(random_() % 4'000);
      clock_ += 200'000 / 4000;
      const std::string dev = fmt::format("d{}", random_() % 40);
      const std::int64_t ad = random_() % 3;
      if (random_() % 2 == 0) {
        const std::string region = random_() % 2 == 0 ? "n" : "s";
        const std::int64_t price = static_cast<std::int64_t>(random_() % 20) - 2;
        if (price >= 0) left_.push_back({dev, ad, at, region == "n" ? "N" : "S", price});
        world.push(some_lane("imp"), {at, "",
                                      fmt::format(R"({{"dev":"{}","ad":{},"region":"{}","price":{},"ts":{}}})", dev, ad,
                                                  region, price, at)});
      } else {
        right_.push_back({dev, ad, at, "", 0});
        world.push(some_lane("clk"), {at, "", fmt::format(R"({{"dev":"{}","ad":{},"ts":{}}})", dev, ad, at)});
      }
    }
  }
  void close() {
    const std::int64_t at = base_ + 3'000'000;
    for (const char* cluster : {"east", "west"})
      for (int p = 0; p < 2; ++p) {
        world.push({cluster, "imp", p},
                   {at, "", fmt::format(R"({{"dev":"x","ad":9,"region":"z","price":-1,"ts":{}}})", at)});
        world.push({cluster, "clk", p}, {at, "", fmt::format(R"({{"dev":"y","ad":9,"ts":{}}})", at)});
      }
  }

  using Result = std::map<std::string, std::string>;  // region, window -> figures
  // Every joined row is in every pane of its minute that ends after it; a pane is shown when something changed in it.
  Result expected() const {
    struct Row {
      std::string dev, region;
      std::int64_t price, at;
    };
    std::vector<Row> rows;
    for (const Event& l : left_)
      for (const Event& r : right_)
        if (l.dev == r.dev && l.ad == r.ad && r.at >= l.at && r.at <= l.at + 10'000)
          rows.push_back({l.dev, l.region, l.price, l.at});
    Result out;
    std::set<std::pair<std::string, std::int64_t>> changed;
    for (const Row& r : rows) changed.insert({r.region, r.at / 10'000 * 10'000 + 10'000});
    for (const auto& [region, end] : changed) {
      const std::int64_t start = (end - 1) / 60'000 * 60'000;
      std::set<std::string> devices;
      std::int64_t n = 0, spend = 0;
      for (const Row& r : rows) {
        if (r.region != region || r.at < start || r.at >= end) continue;
        devices.insert(r.dev);
        ++n;
        spend += r.price;
      }
      out[fmt::format("{} {}..{}", region, start - base_, end - base_)] =
          fmt::format("{} {} {}", devices.size(), n, spend);
    }
    return out;
  }
  // Last one of each window; `repeats` counts further records for the same window.
  Result result(std::size_t* repeats = nullptr) const {
    Result out;
    for (const auto& d : world.delivered("out")) {
      const auto v = boost::json::parse(d.value);
      const auto ms = [&](const char* name) {
        return v.at(name).is_string() ? *parse_time(std::string(v.at(name).as_string()))
                                      : v.at(name).to_number<std::int64_t>();
      };
      const std::string key = fmt::format("{} {}..{}", std::string(v.at("region").as_string()),
                                          ms("window_start") - base_, ms("window_end") - base_);
      if (repeats != nullptr && out.contains(key)) ++*repeats;
      out[key] = fmt::format("{} {} {}", v.at("uv").to_number<std::int64_t>(), v.at("n").to_number<std::int64_t>(),
                             v.at("spend").to_number<std::int64_t>());
    }
    return out;
  }
  static std::optional<std::int64_t> parse_time(const std::string& text) {
    std::tm t{};
    if (strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &t) == nullptr &&
        strptime(text.c_str(), "%Y-%m-%d %H:%M:%S", &t) == nullptr)
      return std::nullopt;
    return static_cast<std::int64_t>(timegm(&t)) * 1000;
  }
  void expect_complete() {
    const Result want = expected();
    EXPECT_TRUE(eventually([&] { return result().size() >= want.size() && result() == want; }))
        << "windows " << result().size() << " of " << want.size();
    if (HasFailure()) {
      const Result got = result();
      for (const auto& [k, v] : want)
        if (!got.contains(k) || got.at(k) != v) {
          ADD_FAILURE() << k << ": want " << v << ", got " << (got.contains(k) ? got.at(k) : "nothing");
          break;
        }
    }
  }
  static bool HasFailure() { return ::testing::Test::HasFailure(); }

  std::mt19937 random_;

 private:
  struct Event {
    std::string dev;
    std::int64_t ad, at;
    std::string region;
    std::int64_t price;
  };
  std::int64_t base_ = 0, clock_ = 0;
  std::vector<Event> left_, right_;
};

TEST(PipelineResults, JoinAndCumulateEqualTheReference) {
  for (unsigned shards : {1u, 2u}) {
    AdUv rig(7 + shards);
    rig.fill(3000);
    rig.close();
    ASSERT_TRUE(rig.start(shards)) << rig.error;
    rig.expect_complete();
    std::size_t repeats = 0;
    (void)rig.result(&repeats);
    EXPECT_EQ(repeats, 0u);
    rig.stop();
  }
}

TEST(PipelineResults, StopAndSecondStartGoOnExactly) {
  for (unsigned shards : {1u, 2u}) {
    AdUv rig(20 + shards);
    for (int round = 0; round < 4; ++round) {
      rig.fill(700);
      ASSERT_TRUE(rig.start(shards)) << rig.error;
      if (round % 2 == 0) {
        ASSERT_TRUE(rig.drained());
      }
      rig.stop();
    }
    rig.close();
    ASSERT_TRUE(rig.start(shards)) << rig.error;
    rig.expect_complete();
    std::size_t repeats = 0;
    (void)rig.result(&repeats);
    EXPECT_EQ(repeats, 0u);  // also the output went on where it was
    rig.stop();
    for (const char* topic : {"imp", "clk"})
      for (const char* cluster : {"east", "west"})
        for (int p = 0; p < 2; ++p)
          for (std::int64_t o = 0; o < rig.world.end({cluster, topic, p}); ++o)
            EXPECT_EQ(rig.world.read({cluster, topic, p}, o), 1u);
  }
}

TEST(PipelineResults, KilledAnywhereNothingIsLost) {
  for (std::uint32_t seed = 1; seed <= 12; ++seed) {
    AdUv rig(100 + seed);
    rig.world.acknowledge_slowly(true);
    rig.every_ms = 5;
    const unsigned shards = 1 + seed % 2;
    for (int round = 0; round < 5; ++round) {
      rig.fill(500);
      ASSERT_TRUE(rig.start(shards)) << rig.error;
      const std::size_t from = rig.world.delivered_count("out"), more = rig.random_() % 6;
      const std::uint64_t epoch = rig.epoch() + rig.random_() % 4;
      eventually([&] {
        return rig.world.drained() || rig.world.delivered_count("out") >= from + more || rig.epoch() > epoch;
      });
      rig.kill();
      rig.disk.disk.crash(testing::FaultFileSystem::Unsynced::random, seed);
    }
    rig.close();
    ASSERT_TRUE(rig.start(shards)) << rig.error;
    rig.expect_complete();
    rig.kill();
  }
}

TEST(PipelineResults, AnotherShardCountAtRestore) {
  AdUv rig(55);
  for (unsigned shards : {2u, 1u, 3u}) {
    rig.fill(900);
    ASSERT_TRUE(rig.start(shards)) << rig.error;
    ASSERT_TRUE(rig.drained());
    rig.stop();
  }
  rig.fill(300);
  rig.close();
  ASSERT_TRUE(rig.start(2)) << rig.error;
  rig.expect_complete();
  std::size_t repeats = 0;
  (void)rig.result(&repeats);
  EXPECT_EQ(repeats, 0u);
  rig.stop();
}

TEST(PipelineResults, BoundedRunFiresOpenWindowsAndFinishes) {
  for (unsigned shards : {1u, 2u}) {
    AdUv rig(70 + shards);
    rig.fill(2000);
    ASSERT_TRUE(rig.start(shards, true)) << rig.error;
    ASSERT_TRUE(eventually([&] { return rig.pipeline->finished(); }));
    EXPECT_EQ(rig.pipeline->state(), admin::PipelineState::stopped) << rig.pipeline->reason();
    EXPECT_EQ(rig.result(), rig.expected());
    EXPECT_TRUE(rig.disk.disk.files("/").empty()) << rig.disk.disk.describe();
  }
}

TEST(PipelineResults, OutageShorterThanTheHoldChangesNothing) {
  for (unsigned shards : {1u, 2u}) {
    AdUv rig(80 + shards);
    rig.fill(500);
    ASSERT_TRUE(rig.start(shards)) << rig.error;
    ASSERT_TRUE(rig.drained());
    rig.world.set_state("west", connectors::ClusterState::down);
    rig.fill(1500);
    ASSERT_TRUE(rig.drained());
    ASSERT_TRUE(rig.checkpointed());
    rig.kill();  // and a restart while west is away
    ASSERT_TRUE(rig.start(shards)) << rig.error;
    rig.fill(500);
    ASSERT_TRUE(rig.drained());
    rig.world.set_state("west", connectors::ClusterState::rejoining);
    ASSERT_TRUE(rig.drained());
    rig.world.set_state("west", connectors::ClusterState::up);
    rig.fill(500);
    rig.close();
    rig.expect_complete();
    rig.stop();
  }
}

}  // namespace
}  // namespace twinspan::gateway
