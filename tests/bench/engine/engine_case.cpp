#include "tests/bench/engine/engine_case.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <unordered_map>

#include <fmt/format.h>

namespace twinspan::bench {

namespace {

// --- streams ---

// Ten rows a key in a window of 10 s: the table is found warm more often than in event_at's one row a key.
Event dense_event(int, std::int64_t number) {
  Event e = event_at(0, number);
  e.ts = kEpochMs + number / 1000 + static_cast<std::int64_t>(mix(static_cast<std::uint64_t>(number)) % 900);
  return e;
}

// Ten million keys, each twice or so in one window of 10 minutes.
constexpr std::int64_t kManyKeys = 10'000'000;
Event many_keys_event(int stream, std::int64_t number) {
  Event e = event_at(stream, number);
  e.id = static_cast<std::int64_t>(mix(static_cast<std::uint64_t>(number) + 29) % std::uint64_t{kManyKeys});
  return e;
}

// Zipf with exponent 1.2 over one million devices, and one more that has 40 % of all rows.
Event skewed_event(int stream, std::int64_t number) {
  static const std::vector<double> cumulative = [] {
    std::vector<double> c(1'000'000);
    double sum = 0;
    for (std::size_t i = 0; i < c.size(); ++i) c[i] = sum += std::pow(static_cast<double>(i + 1), -1.2);
    for (double& x : c) x /= sum;
    return c;
  }();
  Event e = event_at(stream, number);
  const std::uint64_t r = mix(static_cast<std::uint64_t>(number) * 7 + 3);
  if (r % 100 < 40) {
    e.device = 0;
    return e;
  }
  const double at = static_cast<double>(r >> 11) * 0x1p-53;
  const auto rank = std::lower_bound(cumulative.begin(), cumulative.end(), at) - cumulative.begin();
  e.device = 1 + static_cast<std::uint32_t>(std::min<std::int64_t>(rank, 999'999));
  return e;
}

// Left: kLive rows, n of each key, one a millisecond. Right: one row at the time of a left one chosen at random.
constexpr std::int64_t kLive = 1'000'000;
template <std::int64_t n>
Event per_key_event(int stream, std::int64_t number) {
  constexpr std::int64_t kKeys = kLive / n;
  const std::int64_t row =
      stream == 1 ? number
                  : static_cast<std::int64_t>(mix(static_cast<std::uint64_t>(number) + 17) % std::uint64_t{kLive});
  Event e = event_at(stream, number);
  e.device = static_cast<std::uint32_t>(row % kKeys);
  e.ts = kEpochMs + row / kKeys;
  return e;
}

template <std::int64_t n>
Rows per_key_rows(std::int64_t count) {
  constexpr std::int64_t kKeys = kLive / n;
  Rows rows;
  for (std::int64_t i = 0; i < count; ++i) {
    const Event r = per_key_event<n>(2, i);
    const std::int64_t left = (r.ts - kEpochMs) * kKeys + r.device;
    if ((left + r.id) % 1000 != 0) continue;
    ++rows[fmt::format(R"({{"l":{},"r":{},"d":{}}})", left, r.id, per_key_event<n>(1, left).dur_ms)];
  }
  return rows;
}

// --- jobs ---

const Job& job(const std::string& name) {
  for (const Job& j : jobs())
    if (j.name == name) return j;
  throw std::runtime_error("no job " + name);
}

Job tumbling(const std::string& name, std::int64_t seconds, int at_least, const std::string& split_keys = "off") {
  return {name,
          fmt::format(R"(steps:
  counts:
    from: events
    window: {{ tumbling: {}s }}
    key: [device_id]
    skew: {{ split_keys: {} }}
    aggregate: {{ n: count(*) }}
  many: {{ from: counts, where: n >= {} }}
sinks:
  out: {{ from: many, file: "{{SINK}}" }}
)",
                      seconds, split_keys, at_least),
          {0},
          0};
}

Rows tumbling_rows(std::int64_t count, Events events, std::int64_t seconds, int at_least) {
  std::map<std::int64_t, std::unordered_map<std::uint32_t, int>> windows;
  const std::int64_t size = seconds * 1000;
  for (std::int64_t i = 0; i < count; ++i) {
    const Event e = events(0, i);
    ++windows[e.ts / size][e.device];
  }
  Rows rows;
  for (const auto& [w, devices] : windows)
    for (const auto& [device, n] : devices) {
      if (n < at_least) continue;
      Event e;
      e.device = device;
      ++rows[fmt::format(R"({{"device_id":"{}","window_start":"{}","window_end":"{}","n":{}}})", e.device_id(),
                         iso_time(w * size), iso_time((w + 1) * size), n)];
    }
  return rows;
}

Job window_1gib() {
  return {"window_1gib",
          R"(steps:
  sums:
    from: events
    window: { tumbling: 10m }
    key: [event_id]
    aggregate: { n: count(*), total: sum(dur_ms), least: min(dur_ms), most: max(dur_ms), mean: avg(dur_ms) }
  many: { from: sums, where: n >= 12, select: { event_id: event_id, n: n, total: total, least: least, most: most } }
sinks:
  out: { from: many, file: "{SINK}" }
)",
          {0},
          0};
}

Rows window_1gib_rows(std::int64_t count) {
  struct Sums {
    std::int64_t n = 0, total = 0, least = 0, most = 0;
  };
  std::map<std::int64_t, std::vector<Sums>> windows;
  for (std::int64_t i = 0; i < count; ++i) {
    const Event e = many_keys_event(0, i);
    auto& keys = windows[e.ts / 600'000];
    keys.resize(static_cast<std::size_t>(kManyKeys));
    Sums& s = keys[static_cast<std::size_t>(e.id)];
    s.least = s.n == 0 ? e.dur_ms : std::min(s.least, e.dur_ms);
    s.most = s.n == 0 ? e.dur_ms : std::max(s.most, e.dur_ms);
    s.total += e.dur_ms;
    ++s.n;
  }
  Rows rows;
  for (const auto& [w, keys] : windows)
    for (std::size_t id = 0; id < keys.size(); ++id)
      if (const Sums& s = keys[id]; s.n >= 12)
        ++rows[fmt::format(R"({{"event_id":{},"n":{},"total":{},"least":{},"most":{}}})", id, s.n, s.total, s.least,
                           s.most)];
  return rows;
}

// `select`: more columns that the join has to keep.
Job join(const std::string& name, const std::string& type, const std::string& between, const std::string& select) {
  return {name,
          fmt::format(R"(steps:
  joined:
    interval_join: {{ left: left_side, right: right_side, on: [device_id], between: {}, type: {} }}
    select: {{ l: left.event_id, r: right.event_id, d: left.dur_ms{} }}
  sampled: {{ from: joined, where: (l + COALESCE(r, 0)) % 1000 = 0, select: {{ l: l, r: r, d: d }} }}
sinks:
  out: {{ from: sampled, file: "{{SINK}}" }}
)",
                      between, type, select),
          {1, 2},
          0};
}

Rows join_rows(std::int64_t count, std::int64_t bound, bool left_join) {
  std::unordered_map<std::uint32_t, std::vector<Event>> right;
  for (std::int64_t i = 0; i < count; ++i) {
    Event e = event_at(2, i);
    right[e.device].push_back(e);
  }
  Rows rows;
  for (std::int64_t i = 0; i < count; ++i) {
    const Event l = event_at(1, i);
    bool matched = false;
    for (const Event& r : right[l.device]) {
      if (r.ts < l.ts - bound || r.ts > l.ts + bound) continue;
      matched = true;
      if ((l.id + r.id) % 1000 == 0) ++rows[fmt::format(R"({{"l":{},"r":{},"d":{}}})", l.id, r.id, l.dur_ms)];
    }
    if (left_join && !matched && l.id % 1000 == 0) ++rows[fmt::format(R"({{"l":{},"r":null,"d":{}}})", l.id, l.dur_ms)];
  }
  return rows;
}

const std::string kWide =
    ", lu: left.user_id, lp: left.page, lt: left.type, lo: left.os, la: left.app_ver, ln: left.net, ru: right.user_id, "
    "rp: right.page, rt: right.type, ro: right.os, ra: right.app_ver, rn: right.net, rd: right.dur_ms";
const std::vector<std::string> kWideColumns = {"device_id", "event_id", "dur_ms",  "user_id", "page",
                                               "type",      "os",       "app_ver", "net"};

EngineCase make(const std::string& name, const std::string& what, Job j, Events events, double must_ns,
                std::function<Rows(std::int64_t)> expected) {
  EngineCase c;
  c.name = name;
  c.what = what;
  c.settings.job = std::move(j);
  c.settings.events = events;
  c.must_ns = must_ns;
  c.expected = std::move(expected);
  return c;
}

EngineCase of_job(const std::string& name, const std::string& what, double must_ns, const std::string& of = "") {
  const std::string& known = of.empty() ? name : of;
  return make(name, what, job(known), event_at, must_ns,
              [known](std::int64_t count) { return expected_rows(known, count); });
}

template <std::int64_t n>
EngineCase per_key() {
  EngineCase c = make(fmt::format("rows_per_key_{}", n), "", join("rows_per_key", "inner", "[0s, 0s]", ""),
                      per_key_event<n>, 0, per_key_rows<n>);
  c.always_count = kLive;
  c.settings.second_after_first = true;
  c.settings.out_of_order = "1h";
  return c;
}

}  // namespace

const std::vector<EngineCase>& engine_cases() {
  static const std::vector<EngineCase> all = [] {
    std::vector<EngineCase> cases;
    cases.push_back(of_job("filter", "type = 'click', three columns", 0));
    cases.push_back(of_job("tumbling_count", "10 s, one million keys, about one row a key and window", 60));
    cases.push_back(make("tumbling_dense", "10 s, one million keys, ten rows a key and window",
                         tumbling("tumbling_dense", 10, 25), dense_event, 60,
                         [](std::int64_t count) { return tumbling_rows(count, dense_event, 10, 25); }));
    cases.push_back(of_job("sliding_count", "60 s every second, by page (9 000)", 80));
    cases.push_back(of_job("session_count", "gap 5 s, one million keys", 90));
    cases.push_back(of_job("uv", "exact, per type and 10 s, one million devices", 90));
    cases.push_back(of_job("uv_split", "the same, values found new in the shard of the value (skew: auto)", 0, "uv"));
    std::string& split = cases.back().settings.job.pipeline;
    split.replace(split.find("key: [type]"), 11, "key: [type]\n    skew: { split_keys: auto }");
    cases.push_back(of_job("interval_join", "inner, +-10 s, about 0.9 matches a row", 300));
    cases.back().kept = {{"device_id", "event_id", "dur_ms"}, {"device_id", "event_id"}};
    cases.push_back(make("join_left", "the same, left: unmatched rows come out",
                         join("join_left", "left", "[-10s, 10s]", ""), event_at, 300,
                         [](std::int64_t count) { return join_rows(count, 10'000, true); }));
    cases.back().kept = {{"device_id", "event_id", "dur_ms"}, {"device_id", "event_id"}};
    cases.push_back(make("join_wide", "inner, all ten fields of both sides kept",
                         join("join_wide", "inner", "[-10s, 10s]", kWide), event_at, 0,
                         [](std::int64_t count) { return join_rows(count, 10'000, false); }));
    cases.back().kept = {kWideColumns, kWideColumns};
    cases.push_back(make("join_1gib", "inner, +-55 s, wide: about 1 GiB of state",
                         join("join_1gib", "inner", "[-55s, 55s]", kWide), event_at, 0,
                         [](std::int64_t count) { return join_rows(count, 55'000, false); }));
    cases.back().kept = {kWideColumns, kWideColumns};
    cases.back().by_name_only = true;
    cases.back().always_count = 8'000'000;
    cases.push_back(make("window_1gib", "tumbling 10 min, five aggregates of ten million keys: about 1 GiB of state",
                         window_1gib(), many_keys_event, 0, window_1gib_rows));
    cases.back().by_name_only = true;
    cases.back().always_count = 2 * kManyKeys;
    for (const std::string split : {"auto", "off"})
      cases.push_back(make(split == "auto" ? "count_skewed" : "count_skewed_off",
                           "tumbling count, zipf 1.2 and one key at 40 %, split_keys: " + split,
                           tumbling("count_skewed", 10, 50, split), skewed_event, 0,
                           [](std::int64_t count) { return tumbling_rows(count, skewed_event, 10, 50); }));
    return cases;
  }();
  return all;
}

const std::vector<EngineSeries>& engine_series() {
  static const std::vector<EngineSeries> all = [] {
    std::vector<EngineSeries> series;
    EngineSeries keys{"rows_per_key",
                      "a join's probe, by rows of its key (one million rows in all, one match each)",
                      "rows a key",
                      {},
                      {}};
    keys.points = {per_key<1>(),      per_key<10>(),      per_key<100>(),      per_key<1'000>(),
                   per_key<10'000>(), per_key<100'000>(), per_key<1'000'000>()};
    keys.at = {1, 10, 100, 1'000, 10'000, 100'000, 1'000'000};
    series.push_back(std::move(keys));
    EngineSeries width{
        "window_width", "tumbling count, by width (100 000 rows a second, one million keys)", "s", {}, {}};
    for (const std::int64_t seconds : {1, 10, 60, 600}) {
      width.points.push_back(
          make(fmt::format("window_width_{}", seconds), "", tumbling("window_width", seconds, 20), event_at, 0,
               [seconds](std::int64_t count) { return tumbling_rows(count, event_at, seconds, 20); }));
      width.at.push_back(static_cast<double>(seconds));
    }
    series.push_back(std::move(width));
    return series;
  }();
  return all;
}

double row_bytes(const EngineCase& c) {
  constexpr std::int64_t kSample = 10'000;
  double bytes = 0;
  for (std::size_t k = 0; k < c.kept.size(); ++k)
    for (std::int64_t i = 0; i < kSample; ++i) {
      const Event e = c.settings.events(c.settings.job.streams[k], i);
      bytes += 8;
      for (const std::string& column : c.kept[k]) {
        if (column == "device_id")
          bytes += static_cast<double>(e.device_id().size());
        else if (column == "page")
          bytes += static_cast<double>(e.page().size());
        else if (column == "app_ver")
          bytes += static_cast<double>(e.app_ver().size());
        else if (column == "type")
          bytes += static_cast<double>(std::string(e.type).size());
        else if (column == "os")
          bytes += static_cast<double>(std::string(e.os()).size());
        else if (column == "net")
          bytes += static_cast<double>(std::string(e.net()).size());
        else
          bytes += 8;
      }
    }
  return bytes / static_cast<double>(kSample * static_cast<std::int64_t>(std::max<std::size_t>(1, c.kept.size())));
}

}  // namespace twinspan::bench
