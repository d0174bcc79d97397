// A source as one shard reads it, polled by hand on a manual clock.
#include "gateway/shard_feed.h"

#include <gtest/gtest.h>

#include <algorithm>

#include <fmt/format.h>

#include "gateway/load.h"
#include "tests/support/fake_connectors.h"

namespace twinspan::gateway {
namespace {

using connectors::ClusterState;
using connectors::LaneKey;

constexpr const char* kYaml = R"y(version: 1
name: p
sources:
  ev:
    topic: t
    clusters: { pair: [east, west] }
    start: earliest
    format: { type: json, on_error: skip }
    fields: { n: int64, ts: timestamp_ms }
    event_time: { field: ts, out_of_order: 1s }
steps:
  s: { from: ev, select: { n: n } }
sinks:
  out: { from: s, topic: o, clusters: east }
)y";

// What a feed needs, on a world that outlives it.
class Reading {
 public:
  Reading(testing::FakeWorld& world, ManualClock& clock, throttle::Limits limits = {},
          const RestoredFeed& restored = {})
      : clock_(clock), bucket_(limits, clock.monotonic_ms() * 1'000'000), desk_("p", nullptr, false, counts_) {
    config::Diagnostics diagnostics;
    loaded_ = load_pipeline(kYaml, "p.yaml", nullptr, {}, diagnostics);
    EXPECT_TRUE(loaded_.has_value()) << diagnostics.render();
    const SourcePlan& plan = loaded_->plan->sources[0];
    source_ = testing::FakeConnectors(world).make_source({&plan, "p", 1, false}).value();
    feed = std::make_unique<ShardFeed>(plan, source_->reader(0), connectors::JsonDecoder::make(plan.decoder).value(),
                                       bucket_, source_firing_, desk_, counts_, clock);
    feed->restore(restored);
    std::vector<connectors::LanePosition> positions;
    for (const auto& l : restored.lanes) positions.push_back(l.position);
    EXPECT_TRUE(source_->start(positions));
  }
  // n and F of every row, until nothing comes.
  std::vector<std::pair<std::int64_t, EventTime>> rows() {
    std::vector<std::pair<std::int64_t, EventTime>> out;
    for (int quiet = 0; quiet < 3;) {
      Batch batch;
      if (!feed->poll(clock_.monotonic_ms(), batch)) {
        ++quiet;
        continue;
      }
      for (std::uint32_t i = 0; i < batch.rows; ++i)
        out.emplace_back(batch.columns[0].as<std::int64_t>()[i], batch.firing[i]);
    }
    return out;
  }
  void limits(throttle::Limits l) { bucket_.set_limits(l, clock_.monotonic_ms() * 1'000'000); }

 private:
  ManualClock& clock_;
  std::optional<LoadedPipeline> loaded_;
  throttle::TokenBucket bucket_;
  std::atomic<EventTime> source_firing_{kMinTime};
  ErrorCounts counts_;
  DeadLetterDesk desk_;
  std::unique_ptr<connectors::Source> source_;

 public:
  std::unique_ptr<ShardFeed> feed;
};

class Feed : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* cluster : {"east", "west"}) world.create(cluster, "t", 1);
    world.set_batch(16);
  }
  void push(const LaneKey& lane, std::int64_t n, std::int64_t ts) {
    world.push(lane, {ts, "", fmt::format(R"({{"n":{},"ts":{}}})", n, ts)});
  }
  ManualClock clock;
  testing::FakeWorld world{clock};
  const LaneKey east{"east", "t", 0}, west{"west", "t", 0};
};

TEST_F(Feed, RateLimitIsKeptOverTime) {
  const std::int64_t base = clock.wall_ms();
  for (int i = 0; i < 1000; ++i) push(i % 2 == 0 ? east : west, i, base + i);
  Reading reading(world, clock, {100, std::nullopt});
  std::size_t total = reading.rows().size();
  EXPECT_LE(total, 11u);
  for (int tick = 1; tick <= 50; ++tick) {
    clock.advance(100);
    total += reading.rows().size();
    EXPECT_NEAR(static_cast<double>(total), 10.0 + 10.0 * tick, 2.0);
  }
  EXPECT_GT(reading.feed->figures().throttled_ms.load(), 4000u);
}

TEST_F(Feed, RateZeroPausesAndGoesOnWhereItWas) {
  for (int i = 0; i < 100; ++i) push(east, i, clock.wall_ms() + i);
  Reading reading(world, clock, {0, std::nullopt});
  EXPECT_TRUE(reading.rows().empty());
  clock.advance(60'000);
  EXPECT_TRUE(reading.rows().empty());
  reading.limits({});
  const auto rows = reading.rows();
  ASSERT_EQ(rows.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(rows[static_cast<std::size_t>(i)].first, i);
}

TEST_F(Feed, RowsFarAheadOfTheWallClockDoNotMoveTime) {
  const std::int64_t now = clock.wall_ms();
  push(east, 1, now);
  push(east, 2, now + 3'600'001);
  push(east, 3, std::numeric_limits<std::int64_t>::max() / 4);
  push(east, 4, now + 3'600'000);
  push(west, 5, now);
  Reading reading(world, clock);
  std::vector<std::int64_t> kept;
  for (const auto& r : reading.rows()) kept.push_back(r.first);
  std::sort(kept.begin(), kept.end());
  EXPECT_EQ(kept, (std::vector<std::int64_t>{1, 4, 5}));
  EXPECT_EQ(reading.feed->figures().failed.load(), 2u);
  EXPECT_EQ(reading.feed->watermark(clock.monotonic_ms()).firing, now - 1001);
}

TEST_F(Feed, WatermarkBeforeARowDoesNotDependOnTheBatch) {
  for (int i = 0; i < 200; ++i) push(east, i, clock.wall_ms() + i * 37 % 900 + i * 10);
  for (int i = 0; i < 50; ++i) push(west, 1000 + i, clock.wall_ms() + 3000);
  const auto run = [&](std::size_t batch) {
    world.set_batch(batch);
    world.limit(west, 1);  // first, so that the order of arrival is the same for every batch size
    world.limit(east, 0);
    Reading reading(world, clock);
    EXPECT_EQ(reading.rows().size(), 1u);
    world.limit(east, -1);
    return reading.rows();
  };
  const auto whole = run(1024);
  EXPECT_EQ(whole.size(), 200u);
  EXPECT_GT(whole.back().second, clock.wall_ms());
  for (std::size_t batch : {1u, 7u, 64u}) EXPECT_EQ(run(batch), whole) << batch;
}

TEST_F(Feed, StateComesBackAsItWas) {
  for (int i = 0; i < 100; ++i) push(i % 3 == 0 ? west : east, i, clock.wall_ms() + i * 100);
  std::string state;
  Watermark before;
  {
    Reading reading(world, clock);
    EXPECT_EQ(reading.rows().size(), 100u);
    before = reading.feed->watermark(clock.monotonic_ms());
    state = reading.feed->barrier_state();
  }
  const auto restored = parse_feed_states({state});
  ASSERT_TRUE(restored) << restored.error().message;
  ASSERT_EQ(restored.value().lanes.size(), 2u);
  EXPECT_EQ(restored.value().watermark.firing, before.firing);
  world.set_state("west", ClusterState::down);
  Reading again(world, clock, {}, restored.value());
  EXPECT_TRUE(again.rows().empty());
  EXPECT_EQ(again.feed->barrier_state(), state);
  // West is away: what it had seen still holds time back.
  push(east, 1, clock.wall_ms() + 60'000);
  EXPECT_EQ(again.rows().size(), 1u);
  EXPECT_LT(again.feed->watermark(clock.monotonic_ms()).firing, clock.wall_ms() + 10'000);
}

TEST_F(Feed, ShardWithoutLanesSaysNothingAboutTime) {
  const auto both = parse_feed_states(
      {R"({"watermark":[-5,-5],"lanes":[]})",
       R"({"watermark":[1000,900],"lanes":[{"cluster":"east","topic":"t","partition":0,"offset":7,"leader_epoch":1,"max_time":2001}]})"});
  ASSERT_TRUE(both) << both.error().message;
  EXPECT_EQ(both.value().watermark.firing, 1000);
  EXPECT_EQ(both.value().watermark.retention, 900);
  EXPECT_EQ(both.value().lanes[0].position.offset, 7);
}

TEST_F(Feed, UnreadableStateIsAnError) {
  for (const char* text : {"", "{", "{}", R"({"watermark":[1]})", R"({"watermark":[1,1],"lanes":[{}]})", "[]",
                           R"({"watermark":["x",1],"lanes":[{"cluster":1}]})"}) {
    const auto state = parse_feed_states({text});
    ASSERT_FALSE(state) << text;
    EXPECT_NE(state.error().message.find("source state"), std::string::npos);
  }
}

TEST_F(Feed, JumpReportsWhatItLeftAndNeverGoesBack) {
  for (int i = 0; i < 10; ++i) push(east, i, clock.wall_ms());
  world.limit(east, 4);
  Reading reading(world, clock);
  EXPECT_EQ(reading.rows().size(), 4u);
  const SkippedRange first = reading.feed->jump(LaneIndex(0), 8, "discard 1: x");
  EXPECT_EQ(first.lane, east);
  EXPECT_EQ(first.from, 4);
  EXPECT_EQ(first.to, 8);
  const SkippedRange back = reading.feed->jump(LaneIndex(0), 2, "discard 2: x");
  EXPECT_EQ(back.from, back.to);
  world.limit(east, -1);
  EXPECT_EQ(reading.rows().size(), 2u);
  EXPECT_EQ(reading.feed->take_skipped().size(), 1u);
  EXPECT_TRUE(reading.feed->take_skipped().empty());
}

}  // namespace
}  // namespace twinspan::gateway
