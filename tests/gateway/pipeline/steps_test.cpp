// deduplicate and dict_id in a whole pipeline that is killed and started with other numbers of shards.
#include <map>
#include <set>

#include "tests/gateway/pipeline/pipeline_rig.h"

namespace twinspan::gateway {
namespace {

constexpr const char* kSteps = R"y(version: 1
name: p
sources:
  ev:
    topic: t
    clusters: { pair: [east, west] }
    start: earliest
    fields: { dev: string, peer: string, n: int64, ts: timestamp_ms }
    event_time: { field: ts, out_of_order: 1h }
steps:
  once: { from: ev, deduplicate: { by: [n], within: 1d } }
  ids: { from: once, select: { n: n, dev: dev, peer: peer, a: "dict_id('devices', dev)", b: "dict_id('devices', peer)" } }
sinks:
  out: { from: ids, topic: o, clusters: { pair: [east, west] }, key: dev }
)y";

class Steps : public Rig {
 public:
  explicit Steps(std::uint32_t seed) : Rig(kSteps, seed), random_(seed) {
    base_ = clock.wall_ms() - 600'000;
    for (const char* cluster : {"east", "west"}) world.create(cluster, "t", 2);
  }
  // Every event comes twice, on lanes of their own choice.
  void fill(int events) {
    for (int i = 0; i < events; ++i) {
      const std::string text = fmt::format(R"({{"dev":"d{}","peer":"d{}","n":{},"ts":{}}})", random_() % 60,
                                           random_() % 60, sent, base_ + sent);
      ++sent;
      for (int k = 0; k < 2; ++k)
        world.push({random_() % 2 == 0 ? "east" : "west", "t", static_cast<std::int32_t>(random_() % 2)},
                   {base_ + sent, "", text});
    }
  }
  // Every n is there, and a value has one id wherever and whenever it was told.
  void expect_consistent() {
    std::map<std::string, std::int64_t> id_of;
    std::map<std::int64_t, std::string> owner;
    std::set<std::int64_t> ns;
    const auto all = world.delivered("out");
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto v = boost::json::parse(all[i].value);
      ns.insert(v.at("n").to_number<std::int64_t>());
      for (const auto& [name, id] : {std::pair("dev", "a"), std::pair("peer", "b")}) {
        const std::string x(v.at(name).as_string());
        const auto number = v.at(id).to_number<std::int64_t>();
        ASSERT_EQ(id_of.try_emplace(x, number).first->second, number) << x;
        ASSERT_EQ(owner.try_emplace(number, x).first->second, x) << number;
      }
    }
    EXPECT_EQ(static_cast<std::int64_t>(ns.size()), sent);
  }
  bool complete() {
    return eventually([&] {
      std::set<std::int64_t> ns;
      for (const auto& d : world.delivered("out"))
        ns.insert(boost::json::parse(d.value).at("n").to_number<std::int64_t>());
      return static_cast<std::int64_t>(ns.size()) == sent;
    });
  }
  std::int64_t sent = 0;

 private:
  std::mt19937 random_;
  std::int64_t base_ = 0;
};

TEST(PipelineSteps, RepeatsAreDroppedAndIdsStayThroughStopsWithOtherShardCounts) {
  Steps rig(7);
  for (const unsigned shards : {1u, 3u, 2u, 4u}) {
    rig.fill(500);
    ASSERT_TRUE(rig.start(shards)) << rig.error;
    ASSERT_TRUE(rig.complete());
    rig.stop();
  }
  rig.expect_consistent();
  EXPECT_EQ(rig.world.delivered_count("out"), static_cast<std::size_t>(rig.sent));  // each once
}

constexpr const char* kOrders = R"y(version: 1
name: p
sources:
  orders:
    topic: t
    clusters: east
    start: earliest
    fields: { id: int64, items: "array<row<sku string, price decimal(18,2), n int64>>", ts: timestamp_ms }
    event_time: { field: ts }
steps:
  lines:
    from: orders
    unnest: { array: items, as: item, ordinality: line }
    select: { id: id, line: line, sku: item.sku, total: item.price * item.n, share: 100 / item.n }
sinks:
  out: { from: lines, topic: o, clusters: east }
dead_letter: { topic: dlq, clusters: east }
)y";

TEST(PipelineSteps, LinesOfOrdersAndOneThatFailsAlone) {
  Rig rig(kOrders);
  rig.world.create("east", "t", 1);
  const std::int64_t now = rig.clock.wall_ms() - 60'000;
  const auto put = [&](const std::string& items, int id) {
    rig.world.push({"east", "t", 0}, {now, "", fmt::format(R"({{"id":{},"items":{},"ts":{}}})", id, items, now)});
  };
  put(R"([{"sku":"a","price":1.50,"n":2},{"sku":"b","price":"0.01","n":0},{"sku":"c","n":5}])", 1);
  put("[]", 2);
  put("null", 3);
  put(R"([{"sku":"d","price":3,"n":1}])", 4);
  ASSERT_TRUE(rig.start()) << rig.error;
  EXPECT_TRUE(eventually([&] { return rig.world.delivered_count("out") >= 3; }));
  EXPECT_TRUE(eventually([&] { return rig.world.delivered_count("dead_letter") >= 1; }));
  rig.stop();
  std::string out;
  for (const auto& d : rig.world.delivered("out")) out += d.value + " ";
  EXPECT_EQ(out,
            R"({"id":1,"line":1,"sku":"a","total":3.00,"share":50} )"
            R"({"id":1,"line":3,"sku":"c","total":null,"share":20} )"
            R"({"id":4,"line":1,"sku":"d","total":3.00,"share":100} )");
  EXPECT_EQ(rig.world.delivered_count("dead_letter"), 1u);
}

TEST(PipelineSteps, IdsOfCommittedEpochsStayThroughKills) {
  Steps rig(8);
  for (const unsigned shards : {2u, 1u, 3u}) {
    rig.fill(500);
    ASSERT_TRUE(rig.start(shards)) << rig.error;
    ASSERT_TRUE(rig.complete());
    ASSERT_TRUE(rig.drained());
    ASSERT_TRUE(rig.checkpointed());
    rig.kill();
  }
  rig.expect_consistent();
}

}  // namespace
}  // namespace twinspan::gateway
