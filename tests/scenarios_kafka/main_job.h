#pragma once
// The main job on topics of its own, and the steps every scenario takes: produce, wait for the last word,
// compare with the reference. Thread: the test's.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include <cstdio>
#include <string>
#include <vector>

#include "tests/support/event_stream.h"
#include "tests/support/kafka_cluster.h"
#include "tests/support/kafka_io.h"
#include "tests/support/reference.h"
#include "tests/support/twinspan_process.h"

namespace twinspan::testing {

inline constexpr int kPartitions = 2;
inline constexpr std::int64_t kOutOfOrder = 10'000;
// Results carry their event time, which lies years back: the broker's retention would take them for old.
inline const std::map<std::string, std::string> kKeep = {{"retention.ms", "-1"}};

struct MainJob {
  KafkaPair& pair = shared_kafka_pair();
  std::string impressions = fresh_topic("ad_impression"), clicks = fresh_topic("ad_click");
  std::string uv = fresh_topic("ad_uv_minute"), views = fresh_topic("ad_views"), late = fresh_topic("ad_late"),
              dead = fresh_topic("ad_dlq");
  // The closing events lie so far behind the last click that every join and window is over.
  std::int64_t closing_ts = EventStreamOptions{}.start_ms + 2 * 3'600'000;

  MainJob() {
    for (KafkaCluster* cluster : {&pair.a, &pair.b}) {
      for (const std::string* topic : {&impressions, &clicks}) cluster->create_topic(*topic, kPartitions);
      for (const std::string* topic : {&uv, &views, &late, &dead}) cluster->create_topic(*topic, 2, kKeep);
    }
  }

  // The same input, and topics of its own for what another run of the job says.
  MainJob with_fresh_output() const {
    MainJob other = *this;
    for (std::string* topic : {&other.uv, &other.views, &other.late, &other.dead}) {
      *topic = fresh_topic("again");
      for (KafkaCluster* cluster : {&pair.a, &pair.b}) cluster->create_topic(*topic, 2, kKeep);
    }
    return other;
  }

  std::string yaml(int shards = 1, const std::string& hold = "3s") const {
    const std::string source_tail =
        "    clusters: { pair: [a, b], mode: split }\n"
        "    start: earliest\n"
        "    format: { type: json }\n"
        "    event_time: { field: ts, out_of_order: 10s }\n"
        "    on_cluster_down: { hold_watermark: " +
        hold +
        ", late_backlog: merge }\n"
        "    readmit_after: 500ms\n";
    const std::string sink_tail =
        "    clusters: { pair: [a, b], policy: primary_backup, fail_back_after: 3s }\n"
        "    format: { type: json }\n";
    return "version: 1\n"
           "name: ad-uv\n"
           "sources:\n"
           "  impressions:\n"
           "    topic: " +
           impressions +
           "\n"
           "    fields: { device_id: string, ad_id: int64, region: string, price: \"decimal(18,4)\", ts: "
           "timestamp_ms }\n" +
           source_tail +
           "  clicks:\n"
           "    topic: " +
           clicks +
           "\n"
           "    fields: { device_id: string, ad_id: int64, ts: timestamp_ms }\n" +
           source_tail +
           "steps:\n"
           "  valid_impressions:\n"
           "    from: impressions\n"
           "    where: device_id IS NOT NULL AND price >= 0\n"
           "    select: { device_id: device_id, ad_id: ad_id, region: upper(trim(region)), price: price, ts: "
           "ts }\n"
           "  joined:\n"
           "    interval_join: { left: valid_impressions, right: clicks, on: [ad_id, device_id], between: "
           "[0s, 10m], type: left, matches: first }\n"
           "    select: { device_id: left.device_id, region: left.region, price: left.price, clicked: "
           "right.ad_id IS NOT NULL, ts: left.ts }\n"
           "  uv:\n"
           "    from: joined\n"
           "    window: { cumulate: 1d, every: 60s, timezone: Asia/Shanghai }\n"
           "    key: [region]\n"
           "    emit: { mode: accumulating }\n"
           "    late: { allow: 10m, then: late_rows }\n"
           "    aggregate:\n"
           "      uv: count(DISTINCT device_id)\n"
           "      click_uv: count(DISTINCT device_id) FILTER (WHERE clicked)\n"
           "      spend: sum(price)\n"
           "  views:\n"
           "    from: valid_impressions\n"
           "    window: { tumbling: 60s }\n"
           "    key: [region]\n"
           "    aggregate: { views: count(*), devices: count(DISTINCT device_id) }\n"
           "sinks:\n"
           "  uv_out:\n"
           "    from: uv\n"
           "    topic: " +
           uv +
           "\n"
           "    key: region || '|' || CAST(window_start AS string)\n" +
           sink_tail +
           "  views_out:\n"
           "    from: views\n"
           "    topic: " +
           views +
           "\n"
           "    key: region\n" +
           sink_tail +
           "  late_rows:\n"
           "    topic: " +
           late + "\n" + sink_tail + "dead_letter: { topic: " + dead +
           ", clusters: { pair: [b, a] }, max_error_ratio: 0.5 }\n"
           "checkpoint: { every: 1s }\n"
           "shards: " +
           std::to_string(shards) + "\n";
  }

  TwinspanProcess::Options options(std::vector<std::string> arguments = {}) const {
    return {{{"a", pair.a.bootstrap()}, {"b", pair.b.bootstrap()}}, "", 0, std::move(arguments)};
  }

  PacedProducer::Settings producer(int events_per_second) const {
    return {{pair.a.bootstrap(), pair.b.bootstrap()}, impressions, clicks, events_per_second};
  }

  // Moves event time past everything, on every lane.
  void close_event_time() const {
    for (const Event& event : closing_events(kPartitions, closing_ts)) {
      Record record;
      record.partition = event.partition;
      record.key = event.id;
      record.value = event.json;
      produce((event.cluster == 0 ? pair.a : pair.b).bootstrap(),
              event.stream == Event::Stream::impression ? impressions : clicks, {record});
    }
  }

  // Until both watermarks are past everything and what that made is written and acknowledged.
  void wait_final(TwinspanProcess& process) const {
    process.wait_until("event time past the last window", [&](const boost::json::value& status) {
      for (const auto& source : status.at("sources").as_array()) {
        for (const char* mark : {"firing", "retention"}) {
          const auto& time = source.at("watermark").at(mark);
          if (!time.is_number() || time.to_number<std::int64_t>() < closing_ts - kOutOfOrder - 1) return false;
        }
      }
      return true;
    });
    process.wait_checkpoint();
    const boost::json::value status = process.pipeline();
    for (const auto& step : status.at("steps").as_array()) {
      EXPECT_EQ(step.at("rows_late").to_number<int>(), 0) << boost::json::serialize(step);
    }
  }

  std::vector<std::vector<Record>> output(const std::string& topic) const {
    return {read_all(pair.a.bootstrap(), topic), read_all(pair.b.bootstrap(), topic)};
  }

  // What the source topics hold, whoever wrote it how often.
  std::vector<Event> input(std::vector<Event> written) const {
    const std::vector<Event> closing = closing_events(kPartitions, closing_ts);
    written.insert(written.end(), closing.begin(), closing.end());
    std::vector<std::vector<Record>> topics;
    for (const std::string* topic : {&impressions, &clicks}) {
      for (std::vector<Record>& records : output(*topic)) topics.push_back(std::move(records));
    }
    return events_in_topics(written, topics);
  }

  // Nothing acknowledged may be missing from the topics: else the test bed, not the program, lost it.
  void expect_all_in_topics(const std::vector<Event>& events, const std::vector<Event>& input) const {
    std::multiset<std::string> ids;
    for (const Event& event : input) ids.insert(event.id);
    for (const Event& event : events)
      ASSERT_TRUE(ids.contains(event.id)) << event.id << " was acknowledged and is not there";
  }

  struct Said {
    Folded uv, views;
  };

  // "got ..., want ..." of every window and key that is not as it must be.
  static std::vector<std::string> differences(const Results& got, const Results& want) {
    std::vector<std::string> out;
    Results all = got;
    all.insert(want.begin(), want.end());
    for (const auto& [key, value] : all) {
      const auto g = got.find(key), w = want.find(key);
      const std::string said = g == got.end() ? "nothing" : g->second, due = w == want.end() ? "nothing" : w->second;
      if (said != due)
        out.push_back(key.region + " " + key.window_start + " " + key.window_end + ": got " + said + ", want " + due);
    }
    return out;
  }

  // Compares everything that was said with the reference, after folding. `exact`: nothing was ever said
  // twice.
  Said expect_reference(const std::vector<Event>& events, bool exact) const {
    Said said{fold(output(uv)), fold(output(views))};
    const Results want_uv = reference_uv(events), want_views = reference_views(events);
    EXPECT_GT(want_uv.size(), 20u) << "too little input to prove anything";
    EXPECT_THAT(differences(said.uv.results, want_uv), ::testing::IsEmpty());
    EXPECT_THAT(differences(said.views.results, want_views), ::testing::IsEmpty());
    EXPECT_THAT(said.uv.problems, ::testing::IsEmpty());
    EXPECT_THAT(said.views.problems, ::testing::IsEmpty());
    if (exact) {
      EXPECT_EQ(said.uv.records, want_uv.size()) << "some result was said more or less than once";
      EXPECT_EQ(said.views.records, want_views.size()) << "some result was said more or less than once";
      EXPECT_EQ(said.uv.repeats + said.views.repeats, 0u);
    }
    for (const std::vector<Record>& records : output(late))
      EXPECT_THAT(records, ::testing::IsEmpty()) << "a row was late";
    return said;
  }

  // Every record that does not decode, and nothing else, with its bytes, where it came from, and why.
  void expect_dead_letters(const std::vector<Event>& events, bool exact) const {
    std::multiset<std::string> want, got;
    for (const Event& event : events) {
      if (!event.decodes) want.insert(event.id + " " + event.json);
    }
    for (const std::vector<Record>& records : output(dead)) {
      for (const Record& record : records) {
        got.insert(record.key.value_or("<null>") + " " + record.value.value_or("<null>"));
        EXPECT_THAT(record.header("twinspan-origin").value_or(""),
                    ::testing::MatchesRegex("[ab]/ad_(impression|click)-[0-9]+/[0-9]+/[0-9]+"));
        EXPECT_NE(record.header("twinspan-reason").value_or(""), "");
      }
    }
    if (exact) {
      EXPECT_EQ(got, want);
    } else {
      EXPECT_EQ(std::set<std::string>(got.begin(), got.end()), std::set<std::string>(want.begin(), want.end()));
    }
  }
};

}  // namespace twinspan::testing
