// The plug-ins of examples/native, allowed by a service file and used by a pipeline.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/gateway/pipeline/pipeline_rig.h"

#include "gateway/reference.h"

namespace twinspan::gateway {
namespace {

namespace fs = std::filesystem;

// A service file with this native directory, loaded.
bool load_with(const std::string& directory, config::Diagnostics& diagnostics) {
  std::string name = (fs::temp_directory_path() / "native_service_XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) return false;
  const std::string path = name + "/service.yaml";
  std::ofstream(path) << "clusters: { east: { bootstrap: [\"127.0.0.1:1\"] } }\nnative: { directory: \"" << directory
                      << "\" }\n";
  const bool good = load_service(path, diagnostics).has_value();
  fs::remove_all(name);
  return good && !diagnostics.has_errors();
}

constexpr const char* kPlaces = R"y(version: 1
name: p
sources:
  ev:
    topic: t
    clusters: east
    start: earliest
    fields: { name: string, lat: float64, lon: float64 }
steps:
  near:
    from: ev
    let: { metres: "geo.distance(lat, lon, 52.52, 13.405)" }
    where: metres < 1000000
    select: { name: name, km: "CAST(metres / 1000 AS int64)", cell: "geo.cell(lat, lon, 1)" }
sinks:
  out: { from: near, topic: o, clusters: east }
dead_letter: { topic: dlq, clusters: east }
)y";

TEST(NativePipeline, ScalarsOfAModuleInLetWhereAndSelect) {
  config::Diagnostics diagnostics;
  ASSERT_TRUE(load_with(TWINSPAN_EXAMPLE_MODULES, diagnostics)) << diagnostics.render();
  Rig rig(kPlaces);
  rig.world.create("east", "t", 1);
  const auto put = [&](const std::string& json) { rig.world.push({"east", "t", 0}, {rig.clock.wall_ms(), "", json}); };
  put(R"({"name":"Potsdam","lat":52.4,"lon":13.06})");
  put(R"({"name":"Lisbon","lat":38.72,"lon":-9.14})");
  put(R"({"name":"nowhere","lat":120.0,"lon":0.0})");
  put(R"({"name":"unknown","lon":0.0})");
  put(R"({"name":"Hamburg","lat":53.55,"lon":10.0})");
  ASSERT_TRUE(rig.start()) << rig.error;
  ASSERT_TRUE(eventually([&] { return rig.world.delivered_count("out") >= 2; }));
  ASSERT_TRUE(eventually([&] { return rig.world.delivered_count("dead_letter") >= 1; }));
  rig.stop();
  const auto out = rig.world.delivered("out");
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[0].value, R"({"name":"Potsdam","km":26,"cell":"524:130"})");
  EXPECT_EQ(out[1].value, R"({"name":"Hamburg","km":254,"cell":"535:100"})");
  const auto letters = rig.world.delivered("dead_letter");
  ASSERT_EQ(letters.size(), 1u);
  EXPECT_NE(letters[0].value.find("nowhere"), std::string::npos) << letters[0].value;
}

constexpr const char* kVisits = R"y(version: 1
name: p
sources:
  views:
    topic: t
    clusters: { pair: [east, west] }
    start: earliest
    fields: { who: string, page: string, ts: timestamp_ms }
    event_time: { field: ts, out_of_order: 10s }
steps:
  visits:
    from: views
    where: page <> '/health'
    window: { tumbling: 1h }
    key: [who]
    apply: visits.cut(upper(page), 60000)
    select: { who: who, hour: window_start, began: began, seconds: "CAST(lasted AS int64) / 1000", views: views, entry: entry_page }
sinks:
  out: { from: visits, topic: o, clusters: east }
)y";

// Page views of an hour, stopped half way and started with another number of shards, against visits cut by hand.
TEST(NativePipeline, AWholeWindowFunctionThroughAStop) {
  config::Diagnostics diagnostics;
  ASSERT_TRUE(load_with(TWINSPAN_EXAMPLE_MODULES, diagnostics)) << diagnostics.render();
  Rig rig(kVisits);
  for (const char* cluster : {"east", "west"}) rig.world.create(cluster, "t", 1);
  constexpr std::int64_t kHour = 3'600'000;
  const std::int64_t base = rig.clock.wall_ms() / kHour * kHour - 5 * kHour;
  std::mt19937 random(5);
  std::map<std::string, std::vector<std::pair<std::int64_t, std::string>>> views;
  std::int64_t at = 0;
  const auto put = [&](const char* cluster, const std::string& who, const std::string& page, std::int64_t time) {
    rig.world.push({cluster, "t", 0},
                   {base + time, "", fmt::format(R"({{"who":"{}","page":"{}","ts":{}}})", who, page, base + time)});
  };
  const auto fill = [&](int n) {
    for (int i = 0; i < n; ++i) {
      at += static_cast<std::int64_t>(random() % 3'000);
      // Times of one person differ, so that their order is fixed whatever lane they come by.
      const std::string who = fmt::format("w{}", random() % 40), page = fmt::format("/p{}", random() % 9);
      const bool health = random() % 10 == 0;
      put(random() % 2 == 0 ? "east" : "west", who, health ? "/health" : page, at);
      if (!health && (views[who].empty() || views[who].back().first != at)) views[who].emplace_back(at, page);
      ++at;
    }
  };
  fill(700);
  ASSERT_TRUE(rig.start(1)) << rig.error;
  ASSERT_TRUE(rig.drained());
  rig.stop();
  fill(700);
  ASSERT_LT(at, kHour);
  for (const char* cluster : {"east", "west"}) put(cluster, "end", "/p", 2 * kHour);

  std::multiset<std::string> expected;
  for (const auto& [who, list] : views)
    for (std::size_t first = 0, i = 0; i < list.size(); ++i) {
      if (i + 1 < list.size() && list[i + 1].first - list[i].first < 60'000) continue;
      expected.insert(fmt::format("{} {} {} {} /P{}", who, list[first].first,
                                  (list[i].first - list[first].first) / 1000, i - first + 1,
                                  list[first].second.substr(2)));
      first = i + 1;
    }
  const auto seen = [&] {
    std::multiset<std::string> out;
    for (const auto& d : rig.world.delivered("out")) {
      const auto v = boost::json::parse(d.value);
      std::int64_t began = 0;
      if (v.at("began").is_string())
        began = *parse_timestamp(std::string(v.at("began").as_string()));
      else
        began = v.at("began").to_number<std::int64_t>();
      out.insert(fmt::format("{} {} {} {} {}", std::string(v.at("who").as_string()), began - base,
                             v.at("seconds").to_number<std::int64_t>(), v.at("views").to_number<std::int64_t>(),
                             std::string(v.at("entry").as_string())));
    }
    return out;
  };
  ASSERT_TRUE(rig.start(3)) << rig.error;
  EXPECT_TRUE(eventually([&] { return seen().size() >= expected.size(); }));
  rig.stop();
  EXPECT_EQ(seen(), expected);
  EXPECT_GT(expected.size(), 100u);
}

TEST(NativePipeline, MistakesOfApplyAreErrorsAtTheirPlace) {
  config::Diagnostics diagnostics;
  ASSERT_TRUE(load_with(TWINSPAN_EXAMPLE_MODULES, diagnostics)) << diagnostics.render();
  const auto errors_of = [](const std::string& from, const std::string& to) {
    std::string yaml = kVisits;
    const auto at = yaml.find(from);
    yaml.replace(at, from.size(), to);
    config::Diagnostics d;
    (void)load_pipeline(yaml, "p.yaml", nullptr, {}, d);
    return d.render();
  };
  const std::string call = "visits.cut(upper(page), 60000)";
  const auto expect = [&](const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  expect(errors_of(call, "visits.cat(page, 1)"), "did you mean `visits.cut`?");
  expect(errors_of(call, "visits.cut(page)"),
         "expected visits.cut(string, int64) -> (began timestamp, lasted duration");
  expect(errors_of(call, "visits.cut(ts, 1)"), "takes string here, and this is timestamp");
  expect(errors_of(call, "page"), "T0454");
  expect(errors_of(call, "visits.cut(pages, 1)"), "did you mean `page`");
  expect(errors_of("tumbling: 1h", "cumulate: 1h, every: 1m"), "needs a tumbling window");
  expect(errors_of("tumbling: 1h", "tumbling: 1h, time: processing"), "needs a window of event time");
  expect(errors_of("key: [who]", "key: [who]\n    emit: { every: 1m }"), "'emit' belongs to aggregates");
  expect(errors_of("key: [who]", "let: { views: who }\n    key: [views]"), "the result has two columns 'views'");
  expect(errors_of("    window: { tumbling: 1h }\n", ""), "has 'apply' but no window");
}

constexpr const char* kStats = R"y(version: 1
name: p
sources:
  sales:
    topic: t
    clusters: { pair: [east, west] }
    start: earliest
    fields: { shop: string, price: int64, pieces: int64, ok: bool, ts: timestamp_ms }
    event_time: { field: ts, out_of_order: 10s }
steps:
  minutes:
    from: sales
    window: { sliding: 2m, every: 1m }
    key: [shop]
    late: { allow: 1m }
    aggregate:
      mean: stats.mean(price, pieces)
      middle: stats.median(price) FILTER (WHERE ok) * 2
      spend: sum(price * pieces)
      pieces: sum(pieces)
  hours:
    from: minutes
    window: { tumbling: 1h }
    aggregate:
      middle_spend: stats.median(spend)
      rows: count(*)
sinks:
  out: { from: minutes, topic: o, clusters: east }
  hourly: { from: hours, topic: h, clusters: east }
)y";

double median_of(std::vector<std::int64_t> v) {
  std::sort(v.begin(), v.end());
  const std::size_t n = v.size();
  return (static_cast<double>(v[(n - 1) / 2]) + static_cast<double>(v[n / 2])) / 2;
}

// Sales of some minutes, stopped half way and started with another number of shards. The hour reads the minutes as they
// change, so its median takes values back.
TEST(NativePipeline, AggregatesThroughAStopAndBehindResultsThatChange) {
  config::Diagnostics diagnostics;
  ASSERT_TRUE(load_with(TWINSPAN_EXAMPLE_MODULES, diagnostics)) << diagnostics.render();
  Rig rig(kStats);
  for (const char* cluster : {"east", "west"}) rig.world.create(cluster, "t", 1);
  constexpr std::int64_t kMinute = 60'000, kHour = 60 * kMinute;
  const std::int64_t base = rig.clock.wall_ms() / kHour * kHour - 5 * kHour;
  std::mt19937 random(7);
  struct Sale {
    std::int64_t price, pieces;
    bool ok;
  };
  std::map<std::pair<std::string, std::int64_t>, std::vector<Sale>> windows;  // by shop and end
  std::int64_t at = 2 * kMinute;
  const auto fill = [&](int n) {
    for (int i = 0; i < n; ++i) {
      at += static_cast<std::int64_t>(random() % 1'000);
      const std::string shop = fmt::format("s{}", random() % 5);
      const Sale sale{static_cast<std::int64_t>(random() % 1'000), static_cast<std::int64_t>(random() % 4),
                      random() % 3 != 0};
      rig.world.push({random() % 2 == 0 ? "east" : "west", "t", 0},
                     {base + at, "",
                      fmt::format(R"({{"shop":"{}","price":{},"pieces":{},"ok":{},"ts":{}}})", shop, sale.price,
                                  sale.pieces, sale.ok, base + at)});
      const std::int64_t end = (at / kMinute + 1) * kMinute;
      for (const std::int64_t e : {end, end + kMinute}) windows[{shop, e}].push_back(sale);
    }
  };
  fill(600);
  ASSERT_TRUE(rig.start(2)) << rig.error;
  ASSERT_TRUE(rig.drained());
  rig.stop();
  fill(600);
  ASSERT_LT(at, kHour - 2 * kMinute);
  for (const char* cluster : {"east", "west"})
    rig.world.push({cluster, "t", 0},
                   {base + 3 * kHour, "", fmt::format(R"({{"shop":"end","ts":{}}})", base + 3 * kHour)});

  std::map<std::pair<std::string, std::int64_t>, std::string> expected, seen;
  std::vector<std::int64_t> spends;
  for (const auto& [place, sales] : windows) {
    std::int64_t spend = 0, pieces = 0;
    std::vector<std::int64_t> ok;
    for (const Sale& s : sales) {
      spend += s.price * s.pieces;
      pieces += s.pieces;
      if (s.ok) ok.push_back(s.price);
    }
    spends.push_back(spend);
    expected[place] =
        fmt::format("{:.9g} {}", pieces == 0 ? -1.0 : static_cast<double>(spend) / static_cast<double>(pieces),
                    ok.empty() ? "NULL" : fmt::format("{:.9g}", 2 * median_of(ok)));
  }
  const auto look = [&] {
    seen.clear();
    for (const auto& d : rig.world.delivered("out")) {
      const auto v = boost::json::parse(d.value);
      const auto number = [&](const char* name) {
        return v.at(name).is_null() ? std::string("NULL") : fmt::format("{:.9g}", v.at(name).to_number<double>());
      };
      if (v.at("shop") == "end") continue;
      const std::int64_t end = v.at("window_end").is_string()
                                   ? *parse_timestamp(std::string(v.at("window_end").as_string()))
                                   : v.at("window_end").to_number<std::int64_t>();
      seen[{std::string(v.at("shop").as_string()), end - base}] =
          fmt::format("{} {}", v.at("mean").is_null() ? "-1" : number("mean"), number("middle"));
    }
    return seen == expected;
  };
  ASSERT_TRUE(rig.start(3)) << rig.error;
  EXPECT_TRUE(eventually(look));
  EXPECT_TRUE(eventually([&] { return rig.world.delivered_count("hourly") >= 1; }));
  rig.stop();
  look();
  EXPECT_EQ(seen, expected);
  EXPECT_GT(expected.size(), 30u);
  const auto hourly = rig.world.delivered("hourly");
  ASSERT_FALSE(hourly.empty());
  const auto hour = boost::json::parse(hourly[0].value);
  EXPECT_EQ(hour.at("rows").to_number<std::size_t>(), spends.size());
  EXPECT_EQ(hour.at("middle_spend").to_number<double>(), median_of(spends));
}

TEST(NativePipeline, MistakesOfAggregatesAreErrorsAtTheirPlace) {
  config::Diagnostics diagnostics;
  ASSERT_TRUE(load_with(TWINSPAN_EXAMPLE_MODULES, diagnostics)) << diagnostics.render();
  const auto errors_of = [](const std::string& from, const std::string& to) {
    std::string yaml = kStats;
    const auto at = yaml.find(from);
    yaml.replace(at, from.size(), to);
    config::Diagnostics d;
    (void)load_pipeline(yaml, "p.yaml", nullptr, {}, d);
    return d.render();
  };
  const std::string call = "stats.mean(price, pieces)";
  const auto expect = [&](const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  EXPECT_EQ(errors_of(call, call), "");
  expect(errors_of(call, "stats.mean(price)"), "`stats.mean` does not take 1 argument");
  expect(errors_of(call, "stats.mean(price)"), "stats.mean(int64, int64) -> float64");
  expect(errors_of(call, "stats.mean(shop, pieces)"), "T0434");
  expect(errors_of(call, "stats.mean(shop, pieces)"), "`stats.mean` takes int64 here, and this is string");
  expect(errors_of(call, "stats.mean(DISTINCT price, pieces)"), "takes no DISTINCT");
  expect(errors_of(call, "stats.mean(sum(price), pieces)"), "an aggregate within an aggregate");
  expect(errors_of(call, "stats.mean(price, peaces)"), "did you mean `pieces`");
}

TEST(NativePipeline, TheReferenceListsTheModule) {
  config::Diagnostics diagnostics;
  ASSERT_TRUE(load_with(TWINSPAN_EXAMPLE_MODULES, diagnostics)) << diagnostics.render();
  EXPECT_NE(reference_markdown().find("visits.cut(string, int64) -> (began timestamp, lasted duration, views int64, "),
            std::string::npos);
  EXPECT_NE(reference_markdown().find("| `stats.mean(int64, int64) -> float64` | The mean of x"), std::string::npos);
  EXPECT_NE(reference_markdown().find("16 to 1048576 bytes | yes |"), std::string::npos) << reference_markdown();
  EXPECT_NE(reference_json().find("\"name\":\"stats.median\""), std::string::npos);
  EXPECT_NE(reference_markdown().find("geo.distance(float64, float64, float64, float64) -> float64"),
            std::string::npos);
}

TEST(NativePipeline, ADirectoryThatIsNoneIsAnErrorAtItsPlace) {
  config::Diagnostics diagnostics;
  EXPECT_FALSE(load_with("/nonexistent/native", diagnostics));
  EXPECT_NE(diagnostics.render().find("service.yaml:2:22: error[T0460]"), std::string::npos) << diagnostics.render();
}

TEST(NativePipeline, WithoutTheModuleTheCallIsAnUnknownFunction) {
  config::Diagnostics diagnostics;
  const std::string yaml = kPlaces;
  const auto at = yaml.find("geo.cell");
  (void)load_pipeline(yaml.substr(0, at) + "geography.cell" + yaml.substr(at + 8), "p.yaml", nullptr, {}, diagnostics);
  EXPECT_NE(diagnostics.render().find("unknown function `geography.cell`"), std::string::npos) << diagnostics.render();
}

}  // namespace
}  // namespace twinspan::gateway
