// Joins of every type, from the YAML to what a sink has: the same two inputs, six steps.
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/gateway/pipeline/pipeline_rig.h"

namespace twinspan::gateway {
namespace {

std::string yaml() {
  std::string text = R"y(version: 1
name: p
sources:
  l: { topic: l, clusters: { pair: [east, west] }, start: earliest, fields: { k: int64, id: int64, ts: timestamp_ms }, event_time: { field: ts } }
  r: { topic: r, clusters: { pair: [east, west] }, start: earliest, fields: { k: int64, id: int64, ts: timestamp_ms }, event_time: { field: ts } }
steps:
)y";
  std::string sinks = "sinks:\n";
  for (const char* type : {"inner", "left", "right", "full", "semi", "anti"}) {
    const bool left_only = std::string(type) == "semi" || std::string(type) == "anti";
    text += fmt::format(
        "  {0}_join:\n    interval_join: {{ left: l, right: r, on: [k], between: [-2s, 5s], type: {0}, where: left.id "
        "% 3 <> right.id % 3 }}\n    select: {{ l: left.id{1} }}\n",
        type, left_only ? "" : ", r: right.id");
    sinks += fmt::format("  {0}: {{ from: {0}_join, topic: o_{0}, clusters: east }}\n", type);
  }
  return text + sinks;
}

struct Row {
  std::int64_t k, id, at;
};

TEST(JoinTypes, SinksHaveWhatLoopsSay) {
  std::mt19937 random(5);
  Rig rig(yaml(), 5);
  std::vector<Row> left, right;
  const std::int64_t base = rig.clock.wall_ms() / 1000 * 1000 - 3'600'000;
  for (const char* topic : {"l", "r"})
    for (const char* cluster : {"east", "west"}) rig.world.create(cluster, topic, 1);
  for (std::int64_t id = 1; id <= 400; ++id) {
    const bool is_left = random() % 2 == 0;
    const Row row{static_cast<std::int64_t>(random() % 12), id, base + id * 300};
    (is_left ? left : right).push_back(row);
    rig.world.push({id % 4 < 2 ? "east" : "west", is_left ? "l" : "r", 0},
                   {row.at, "", fmt::format(R"({{"k":{},"id":{},"ts":{}}})", row.k, row.id, row.at)});
  }

  using Ids = std::multiset<std::pair<std::int64_t, std::int64_t>>;  // 0: NULL
  std::map<std::string, Ids> want;
  std::set<std::int64_t> matched;
  for (const Row& l : left)
    for (const Row& r : right) {
      if (l.k != r.k || l.id % 3 == r.id % 3 || r.at < l.at - 2000 || r.at > l.at + 5000) continue;
      for (const char* type : {"inner", "left", "right", "full"}) want[type].emplace(l.id, r.id);
      if (!matched.contains(l.id)) want["semi"].emplace(l.id, 0);
      matched.insert({l.id, r.id});
    }
  for (const Row& l : left)
    if (!matched.contains(l.id))
      for (const char* type : {"left", "full", "anti"}) want[type].emplace(l.id, 0);
  for (const Row& r : right)
    if (!matched.contains(r.id))
      for (const char* type : {"right", "full"}) want[type].emplace(0, r.id);

  ASSERT_TRUE(rig.start(2, true)) << rig.error;
  ASSERT_TRUE(eventually([&] { return rig.pipeline->finished(); }));
  rig.stop();
  for (const auto& [type, ids] : want) {
    Ids got;
    const auto id_of = [](const boost::json::object& row, const char* name) -> std::int64_t {
      const boost::json::value* v = row.if_contains(name);
      return v == nullptr || v->is_null() ? 0 : v->to_number<std::int64_t>();
    };
    for (const auto& d : rig.world.delivered(type)) {
      const auto row = boost::json::parse(d.value).as_object();
      got.emplace(id_of(row, "l"), id_of(row, "r"));
    }
    EXPECT_GT(ids.size(), 20u) << type;
    EXPECT_EQ(got, ids) << type;
  }
}

}  // namespace
}  // namespace twinspan::gateway
