#include "tests/bench/bench_job.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <set>
#include <unordered_map>

#include <fmt/format.h>

namespace twinspan::bench {

const std::vector<Job>& jobs() {
  static const std::vector<Job> all = {
      {"filter",
       R"(steps:
  clicks:
    from: events
    where: type = 'click'
    select: { event_id: event_id, device_id: device_id, ts: ts }
  sampled:
    from: clicks
    where: event_id % 1000 = 0
sinks:
  out: { from: sampled, file: "{SINK}" }
)",
       {0},
       340},
      {"tumbling_count",
       R"(steps:
  counts:
    from: events
    window: { tumbling: 10s }
    key: [device_id]
    aggregate: { n: count(*) }
  many:
    from: counts
    where: n >= 7
sinks:
  out: { from: many, file: "{SINK}" }
)",
       {0},
       475},
      {"uv",
       R"(steps:
  uv:
    from: events
    window: { tumbling: 10s }
    key: [type]
    aggregate: { uv: count(DISTINCT device_id) }
sinks:
  out: { from: uv, file: "{SINK}" }
)",
       {0},
       530},
      {"sliding_count",
       R"(steps:
  counts:
    from: events
    window: { sliding: 60s, every: 1s }
    key: [page]
    aggregate: { n: count(*) }
  some:
    from: counts
    where: n % 25 = 0
sinks:
  out: { from: some, file: "{SINK}" }
)",
       {0},
       500},
      {"session_count",
       R"(steps:
  counts:
    from: events
    window: { session: 5s }
    key: [device_id]
    aggregate: { n: count(*) }
  long:
    from: counts
    where: n >= 5
sinks:
  out: { from: long, file: "{SINK}" }
)",
       {0},
       500},
      {"interval_join",
       R"(steps:
  joined:
    interval_join: { left: left_side, right: right_side, on: [device_id], between: [-10s, 10s] }
    select: { l: left.event_id, r: right.event_id, d: left.dur_ms }
  sampled:
    from: joined
    where: (l + r) % 1000 = 0
sinks:
  out: { from: sampled, file: "{SINK}" }
)",
       {1, 2},
       710},
  };
  return all;
}

std::string pipeline_text(const Job& job, const PipelineEnds& ends) {
  static const char* kNames[] = {"events", "left_side", "right_side"};
  std::string text = fmt::format(
      "version: 1\nname: bench\nshards: {}\ncheckpoint: {{ every: {} }}\nstate: {{ backend: memory }}\nsources:\n",
      ends.shards, ends.checkpoint);
  for (int s : job.streams)
    text += fmt::format(
        "  {}:\n    topic: {}\n    clusters: {}\n    start: earliest\n    format: {{ type: json, on_error: fail }}\n"
        "    fields: {{ event_id: int64, device_id: string, user_id: int64, ts: timestamp_ms, type: string, page: "
        "string, os: string, app_ver: string, dur_ms: int64, net: string }}\n"
        "    event_time: {{ field: ts, out_of_order: {} }}\n",
        kNames[s], ends.topic(s), ends.clusters, ends.out_of_order);
  std::string body = job.pipeline;
  body.replace(body.find("{SINK}"), 6, ends.sink);
  return text + body;
}

std::string difference(const Rows& got, const Rows& expected) {
  if (got == expected) return "";
  std::int64_t n = 0, wanted = 0;
  for (const auto& [row, times] : got) n += times;
  for (const auto& [row, times] : expected) wanted += times;
  std::string text = fmt::format("{} rows, {} wanted", n, wanted);
  int shown = 0;
  for (const auto& [row, times] : expected) {
    const auto found = got.find(row);
    if ((found == got.end() || found->second != times) && shown++ < 3) text += "\n  missing: " + row;
  }
  shown = 0;
  for (const auto& [row, times] : got)
    if (expected.count(row) == 0 && shown++ < 3) text += "\n  wrong: " + row;
  return text;
}

std::string iso_time(std::int64_t ms) {
  using namespace std::chrono;
  const sys_time<milliseconds> at{milliseconds(ms)};
  const auto day = floor<days>(at);
  const year_month_day date(day);
  const hh_mm_ss time(at - day);
  std::string text = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(date.year()),
                                 static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                                 time.hours().count(), time.minutes().count(), time.seconds().count());
  if (time.subseconds().count() != 0) text += fmt::format(".{:03}", time.subseconds().count());
  return text + "Z";
}

Rows expected_rows(const std::string& job, std::int64_t count, Events events) {
  Rows rows;
  if (job == "filter") {
    for (std::int64_t i = 0; i < count; i += 1000) {
      const Event e = events(0, i);
      if (std::strcmp(e.type, "click") != 0) continue;
      ++rows[fmt::format(R"({{"event_id":{},"device_id":"{}","ts":"{}"}})", e.id, e.device_id(), iso_time(e.ts))];
    }
  } else if (job == "tumbling_count") {
    std::map<std::int64_t, std::unordered_map<std::uint32_t, int>> windows;
    for (std::int64_t i = 0; i < count; ++i) {
      const Event e = events(0, i);
      ++windows[e.ts / 10'000][e.device];
    }
    for (const auto& [w, devices] : windows)
      for (const auto& [device, n] : devices)
        if (n >= 7) {
          Event e;
          e.device = device;
          ++rows[fmt::format(R"({{"device_id":"{}","window_start":"{}","window_end":"{}","n":{}}})", e.device_id(),
                             iso_time(w * 10'000), iso_time((w + 1) * 10'000), n)];
        }
  } else if (job == "uv") {
    std::map<std::pair<std::int64_t, std::string>, std::set<std::uint32_t>> windows;
    for (std::int64_t i = 0; i < count; ++i) {
      const Event e = events(0, i);
      windows[{e.ts / 10'000, e.type}].insert(e.device);
    }
    for (const auto& [key, devices] : windows)
      ++rows[fmt::format(R"({{"type":"{}","window_start":"{}","window_end":"{}","uv":{}}})", key.second,
                         iso_time(key.first * 10'000), iso_time((key.first + 1) * 10'000), devices.size())];
  } else if (job == "sliding_count") {
    std::map<std::string, std::map<std::int64_t, int>> seconds;  // by page
    for (std::int64_t i = 0; i < count; ++i) {
      const Event e = events(0, i);
      ++seconds[e.page()][e.ts / 1000];
    }
    for (const auto& [page, counts] : seconds) {
      std::int64_t n = 0;
      auto in = counts.begin(), out = counts.begin();
      for (std::int64_t end = in->first + 1; out != counts.end(); ++end) {  // the window of 60 s before `end`
        for (; in != counts.end() && in->first < end; ++in) n += in->second;
        for (; out != counts.end() && out->first < end - 60; ++out) n -= out->second;
        if (n > 0 && n % 25 == 0)
          ++rows[fmt::format(R"({{"page":"{}","window_start":"{}","window_end":"{}","n":{}}})", page,
                             iso_time((end - 60) * 1000), iso_time(end * 1000), n)];
      }
    }
  } else if (job == "session_count") {
    std::unordered_map<std::uint32_t, std::vector<std::int64_t>> times;
    for (std::int64_t i = 0; i < count; ++i) {
      const Event e = events(0, i);
      times[e.device].push_back(e.ts);
    }
    for (auto& [device, all] : times) {
      std::sort(all.begin(), all.end());
      Event e;
      e.device = device;
      for (std::size_t first = 0, i = 1; i <= all.size(); ++i) {
        if (i < all.size() && all[i] < all[i - 1] + 5'000) continue;
        if (i - first >= 5)
          ++rows[fmt::format(R"({{"device_id":"{}","window_start":"{}","window_end":"{}","n":{}}})", e.device_id(),
                             iso_time(all[first]), iso_time(all[i - 1] + 5'000), i - first)];
        first = i;
      }
    }
  } else if (job == "interval_join") {
    std::unordered_map<std::uint32_t, std::vector<Event>> right;
    for (std::int64_t i = 0; i < count; ++i) {
      Event e = events(2, i);
      right[e.device].push_back(e);
    }
    for (std::int64_t i = 0; i < count; ++i) {
      const Event l = events(1, i);
      for (const Event& r : right[l.device])
        if (r.ts >= l.ts - 10'000 && r.ts <= l.ts + 10'000 && (l.id + r.id) % 1000 == 0)
          ++rows[fmt::format(R"({{"l":{},"r":{},"d":{}}})", l.id, r.id, l.dur_ms)];
    }
  }
  return rows;
}

}  // namespace twinspan::bench
