// What the demo says of a status: events, lines, frames, verdict.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "gateway/demo/observer.h"
#include "gateway/demo/plain_text.h"
#include "gateway/demo/screen.h"
#include "gateway/demo/script.h"

namespace twinspan::gateway {
namespace {

using testing::HasSubstr;
using testing::Not;

DemoView steady() {
  DemoView v;
  v.address = "127.0.0.1:8480";
  v.elapsed_ms = 12'345;
  v.status.name = "ad-uv";
  v.status.state = admin::PipelineState::running;
  for (const char* name : {"impressions", "clicks"}) {
    admin::SourceStatus s;
    s.name = name;
    for (const char* cluster : {"east", "west"}) {
      admin::ClusterStatus c;
      c.name = cluster;
      s.clusters.push_back(c);
      admin::LaneStatus lane;
      lane.cluster = cluster;
      lane.topic = name;
      s.lanes.push_back(lane);
    }
    v.status.sources.push_back(s);
  }
  admin::SinkStatus sink;
  sink.name = "uv_out";
  sink.active_cluster = "east";
  v.status.sinks.push_back(sink);
  v.clusters[0].name = "east";
  v.clusters[1].name = "west";
  return v;
}

void set_state(DemoView& v, const std::string& cluster, const std::string& state) {
  for (auto& s : v.status.sources)
    for (auto& c : s.clusters)
      if (c.name == cluster) c.state = state;
}

class Watching : public ::testing::Test {
 protected:
  std::string see(DemoView v, std::int64_t now) {
    observer.observe(v, now, now);
    tally = v.tally;
    last = v;
    std::string out;
    for (const auto& e : log.take_new()) out += e.text + "\n";
    return out;
  }
  EventLog log;
  Observer observer{{"east", "west"}, "uv_out", log};
  DemoTally tally;
  DemoView last;
};

TEST_F(Watching, TellsAFailoverAndTheReturn) {
  DemoView v = steady();
  see(v, 0);
  EXPECT_EQ(see(v, 100), "") << "nothing changed";
  observer.cluster_broken(0, 1'000);
  set_state(v, "east", "down");
  EXPECT_THAT(see(v, 1'600), HasSubstr("source cluster east is lost, noticed 600 ms after it broke; west is read on"));
  v.status.sinks[0].active_cluster = "west";
  v.status.sinks[0].generation = 1;
  v.status.sinks[0].route_reason = "the active cluster is down";
  EXPECT_THAT(see(v, 1'900), HasSubstr("sink uv_out switches to west (route generation 1), 900 ms after east broke"));
  v.status.sinks[0].last_switch_took_ms = 1'200;
  EXPECT_THAT(see(v, 2'200), HasSubstr("acknowledged on west, 1.2 s after the first bad sign"));
  observer.cluster_mended(0);
  set_state(v, "east", "rejoining");
  EXPECT_THAT(see(v, 5'000), HasSubstr("east rejoins"));
  set_state(v, "east", "up");
  EXPECT_THAT(see(v, 6'600), HasSubstr("east has caught up and counts again, 5.0 s after it was lost"));
  v.status.sinks[0].active_cluster = "east";
  v.status.sinks[0].generation = 2;
  EXPECT_THAT(see(v, 9'000), HasSubstr("fails back to east"));
  EXPECT_EQ(tally.failovers, 1u);
  EXPECT_EQ(tally.rejoins, 1u);
  EXPECT_EQ(tally.switches, 1u);
  EXPECT_EQ(tally.fail_backs, 1u);
  EXPECT_EQ(tally.slowest_detection_ms, 600);
  EXPECT_EQ(tally.slowest_route_ms, 900);
  EXPECT_EQ(tally.slowest_acknowledgement_ms, 1'200);
}

TEST_F(Watching, ShowsTheWorseOfTheTwoSources) {
  DemoView v = steady();
  v.status.sources[1].clusters[1].state = "suspect";
  see(v, 0);
  EXPECT_EQ(last.clusters[1].state, "suspect");
  EXPECT_EQ(last.clusters[0].state, "up");
}

TEST_F(Watching, CountsRatesAndLagByCluster) {
  DemoView v = steady();
  see(v, 0);
  v.status.sources[0].lanes[1].position = 1'000;
  v.status.sources[0].lanes[1].lag = 30;
  v.status.sources[1].lanes[1].lag = -1;  // not known yet
  see(v, 1'000);
  EXPECT_DOUBLE_EQ(last.clusters[1].records_per_s[0], 500);  // half of the newest, half of what was
  EXPECT_EQ(last.clusters[1].lag, 30);
  EXPECT_EQ(last.clusters[0].lag, 0);
}

TEST(Screen, NeverLeavesItsSize) {
  DemoView v = steady();
  for (int i = 0; i < 50; ++i) v.events.push_back({i * 100, DemoEvent::Kind::bad, std::string(300, 'x')});
  ResultTable table;
  table.add("east",
            {R"({"region":"\u001b[2JGD","window_end":"2026-01-01T00:01:00Z","uv":1,"click_uv":1,"spend":1})", "u/1"});
  v.results = table.summary();
  for (const TerminalSize size : {TerminalSize{80, 24}, {132, 50}, {20, 5}, {300, 200}, {1, 2}}) {
    const std::string frame = render_screen(v, size);
    EXPECT_THAT(frame, Not(HasSubstr("\x1b[2J"))) << "text from records moves no cursor";
    int rows = 1, column = 0;
    for (std::size_t i = 0; i < frame.size(); ++i) {
      if (frame[i] == '\x1b') {
        while (!std::isalpha(static_cast<unsigned char>(frame[i]))) ++i;
      } else if (frame[i] == '\n') {
        ++rows, column = 0;
      } else if (frame[i] != '\r') {
        ++column;
        EXPECT_LE(column, size.columns);
      }
    }
    EXPECT_EQ(rows, size.rows);
  }
}

TEST(Lines, ShowAWindowOnceAndAgainWhenItChanged) {
  ResultLines lines;
  ResultTable table;
  DemoView v = steady();
  const auto add = [&](const char* region, int uv, int minute, int sequence, bool final) {
    const std::string value = std::string(R"({"region":")") + region + R"(","window_end":"2026-01-01T00:0)" +
                              std::to_string(minute) + R"(:00Z","uv":)" + std::to_string(uv) +
                              R"(,"click_uv":0,"spend":1})";
    table.add("east", {value, "u/s/1.0/" + std::to_string(sequence), final});
    v.results = table.summary();
  };
  add("GD", 5, 1, 1, false);
  EXPECT_THAT(lines.take_new(v), testing::ElementsAre(HasSubstr("to 08:01 (not final): GD uv 5")));
  EXPECT_TRUE(lines.take_new(v).empty());
  add("GD", 6, 1, 2, true);
  EXPECT_THAT(lines.take_new(v), testing::ElementsAre(HasSubstr("to 08:01 again: GD uv 6")));
}

TEST(Verdict, WantsWhatTheScriptShows) {
  DemoView v = steady();
  EXPECT_THAT(verdict(v, {.scripted = true}), HasSubstr("not seen: results, a source failover"));
  EXPECT_EQ(verdict(v, {.scripted = true, .whole = false}), "") << "ended by a key";
  EXPECT_EQ(verdict(v, {.failure = "disk full"}), "disk full");
  v.results.windows_seen = 3;
  v.results.by_cluster = {{"east", 5}, {"west", 5}};
  v.tally = {.failovers = 1, .rejoins = 1, .switches = 1, .discards = 1, .discarded_records = 10};
  EXPECT_EQ(verdict(v, {.scripted = true}), "");
  v.tally.discarded_records = 0;
  EXPECT_EQ(verdict(v, {.scripted = true}), "not seen: a lag discard");
}

TEST(DemoScript, ScalesWithTheLengthAndPlaysEachStepOnce) {
  using Step = Script::Step;
  Script script(20'000);
  EXPECT_EQ(script.next(4'999), std::nullopt);
  EXPECT_EQ(script.next(5'000), Step::break_east);
  EXPECT_EQ(script.next(5'000), std::nullopt);
  EXPECT_EQ(script.next(16'500), Step::mend_east);  // late steps come one after the other
  EXPECT_EQ(script.next(16'500), Step::hold);
  EXPECT_EQ(script.next(16'500), Step::discard);
  EXPECT_EQ(script.next(16'500), Step::release);
  EXPECT_TRUE(script.done());
}

}  // namespace
}  // namespace twinspan::gateway
