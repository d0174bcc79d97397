// What operators and clusters do to a running pipeline: pause, rates, routes, clusters that are away.
#include "tests/gateway/pipeline/pipeline_rig.h"

namespace twinspan::gateway {
namespace {

using admin::PipelineState;
using connectors::ClusterState;

std::int64_t positions(const Counting& rig) {
  std::int64_t sum = 0;
  for (const auto& lane : rig.lanes) sum += std::max<std::int64_t>(0, rig.world.position(lane));
  return sum;
}

// Two checkpoints long nothing moves.
void expect_still(Counting& rig) {
  ASSERT_TRUE(rig.checkpointed());
  const std::int64_t before = positions(rig);
  ASSERT_TRUE(rig.checkpointed());
  EXPECT_EQ(positions(rig), before);
}

TEST(PipelineControl, PauseAndResumeAreExact) {
  Counting rig;
  rig.fill(1000);
  ASSERT_TRUE(rig.start(2)) << rig.error;
  for (int round = 0; round < 5; ++round) {
    ASSERT_TRUE(rig.pipeline->pause("maintenance"));
    EXPECT_EQ(rig.pipeline->state(), PipelineState::paused);
    EXPECT_EQ(rig.pipeline->reason(), "maintenance");
    expect_still(rig);
    rig.fill(500);
    expect_still(rig);
    ASSERT_TRUE(rig.pipeline->resume());
    EXPECT_EQ(rig.pipeline->state(), PipelineState::running);
  }
  rig.close();
  EXPECT_TRUE(rig.complete());
  for (const auto& lane : rig.lanes)
    for (std::int64_t o = 0; o < rig.world.end(lane); ++o) EXPECT_EQ(rig.world.read(lane, o), 1u);
  ASSERT_TRUE(rig.pipeline->pause("stop while paused"));
  rig.stop();
}

TEST(PipelineControl, APauseSurvivesARestart) {
  Counting rig;
  rig.fill(200);
  ASSERT_TRUE(rig.start(2)) << rig.error;
  ASSERT_TRUE(rig.drained());
  ASSERT_TRUE(rig.pipeline->pause("until the migration is over"));
  std::vector<std::int64_t> read_to;
  for (const auto& lane : rig.lanes) read_to.push_back(rig.world.end(lane));
  rig.fill(200);
  rig.stop();
  ASSERT_TRUE(rig.start(1)) << rig.error;
  EXPECT_EQ(rig.pipeline->state(), PipelineState::paused);
  EXPECT_EQ(rig.pipeline->reason(), "until the migration is over");
  expect_still(rig);
  for (std::size_t i = 0; i < rig.lanes.size(); ++i)
    for (std::int64_t o = read_to[i]; o < rig.world.end(rig.lanes[i]); ++o)
      EXPECT_EQ(rig.world.read(rig.lanes[i], o), 0u) << "read while paused";
  ASSERT_TRUE(rig.pipeline->resume());
  EXPECT_EQ(rig.pipeline->state(), PipelineState::running);
  rig.close();
  EXPECT_TRUE(rig.complete());
  rig.stop();
  ASSERT_TRUE(rig.start(1)) << rig.error;
  EXPECT_EQ(rig.pipeline->state(), PipelineState::running);
  rig.stop();
}

TEST(PipelineControl, StoppedPipelineRefusesCommands) {
  Counting rig;
  ASSERT_TRUE(rig.start()) << rig.error;
  ASSERT_TRUE(rig.pipeline->stop(5000));
  EXPECT_EQ(rig.pipeline->state(), PipelineState::stopped);
  EXPECT_FALSE(rig.pipeline->pause(""));
  EXPECT_FALSE(rig.pipeline->resume());
  EXPECT_TRUE(rig.pipeline->stop(5000));  // idempotent
  EXPECT_EQ(rig.pipeline->status().state, PipelineState::stopped);
}

TEST(PipelineControl, RateZeroAndBackSurvivesARestart) {
  Counting rig;
  rig.fill(200);
  ASSERT_TRUE(rig.start(2)) << rig.error;
  ASSERT_TRUE(rig.drained());
  EXPECT_FALSE(rig.pipeline->set_throttle("nobody", {}));
  ASSERT_TRUE(rig.pipeline->set_throttle("ev", {0, std::nullopt}));
  ASSERT_TRUE(rig.checkpointed());  // barriers pass every limiter
  rig.fill(200);
  expect_still(rig);
  rig.stop();
  ASSERT_TRUE(rig.start(1)) << rig.error;
  EXPECT_EQ(rig.pipeline->status().sources[0].limits.records_per_s, std::optional<std::uint64_t>(0));
  expect_still(rig);
  ASSERT_TRUE(rig.pipeline->set_throttle("ev", {std::nullopt, 50'000'000}));
  rig.close();
  EXPECT_TRUE(rig.complete());
  rig.stop();
  ASSERT_TRUE(rig.start(1)) << rig.error;
  EXPECT_EQ(rig.pipeline->status().sources[0].limits.records_per_s, std::nullopt);
  EXPECT_EQ(rig.pipeline->status().sources[0].limits.bytes_per_s, std::optional<std::uint64_t>(50'000'000));
  rig.stop();
}

TEST(PipelineControl, RouteIsDurableBeforeTheFirstRecordAndSurvivesAKill) {
  Counting rig;
  rig.every_ms = 60'000;  // no checkpoint knows of the switch
  rig.fill(2000);
  ASSERT_TRUE(rig.start()) << rig.error;
  ASSERT_TRUE(eventually([&] { return rig.world.delivered_count("out") > 0; }));
  EXPECT_EQ(rig.world.delivered("out")[0].cluster, "east");
  // A disk that refuses: no record may go the new way.
  rig.disk.full = true;
  rig.world.switch_route("out", "west");
  rig.fill(2000);
  ASSERT_TRUE(rig.drained());
  const std::size_t count = rig.world.delivered_count("out");
  rig.fill(2000);
  ASSERT_TRUE(eventually([&] { return rig.world.delivered_count("out") > count; }));
  for (const auto& d : rig.world.delivered("out")) EXPECT_EQ(d.cluster, "east");
  rig.disk.full = false;
  ASSERT_TRUE(eventually([&] { return rig.pipeline->status().sinks[0].active_cluster == "west"; }));
  rig.kill();
  rig.disk.disk.crash(testing::FaultFileSystem::Unsynced::lost);
  ASSERT_TRUE(rig.start()) << rig.error;
  EXPECT_EQ(rig.world.last_request("out").route_cluster, "west");
  EXPECT_EQ(rig.world.last_request("out").route_generation, 1u);
  ASSERT_TRUE(rig.drained());
  rig.stop();
  (void)rig.disk.remove_all(std::string(kDirectory) + "/route-out");
  ASSERT_TRUE(rig.start()) << rig.error;  // the checkpoint of the stop knows it too
  EXPECT_EQ(rig.world.last_request("out").route_cluster, "west");
  EXPECT_EQ(rig.world.last_request("out").route_generation, 1u);
  rig.stop();
}

TEST(PipelineControl, FullSinkHoldsTheSourceAndNothingGrows) {
  Counting rig;
  rig.world.close("out", true);
  rig.fill(3000);
  ASSERT_TRUE(rig.start(2)) << rig.error;
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
  while (std::chrono::steady_clock::now() < until) std::this_thread::yield();
  EXPECT_EQ(positions(rig), 0);
  rig.world.close("out", false);
  rig.close();
  EXPECT_TRUE(rig.complete());
  rig.stop();
}

TEST(PipelineControl, BothClustersAwayAtStartIsWaitingAndEndsByItself) {
  Counting rig;
  for (int round = 0; round < 2; ++round) {  // the second time at a restore
    rig.world.set_state("east", ClusterState::down);
    rig.world.set_state("west", ClusterState::down);
    rig.fill(500);
    ASSERT_TRUE(rig.start(2)) << rig.error;
    ASSERT_TRUE(eventually([&] { return rig.pipeline->state() == PipelineState::waiting; }));
    EXPECT_NE(rig.pipeline->reason().find("no source cluster answers"), std::string::npos);
    ASSERT_TRUE(rig.checkpointed());  // positions are repeated
    rig.world.set_state("west", ClusterState::up);
    ASSERT_TRUE(eventually([&] { return rig.pipeline->state() == PipelineState::running; }));
    ASSERT_TRUE(rig.drained());
    rig.world.set_state("east", ClusterState::up);
    ASSERT_TRUE(rig.drained());
    rig.stop();
  }
  rig.close();
  ASSERT_TRUE(rig.start(2)) << rig.error;
  EXPECT_TRUE(rig.complete());
  for (const auto& lane : rig.lanes)
    for (std::int64_t o = 0; o < rig.world.end(lane); ++o) EXPECT_EQ(rig.world.read(lane, o), 1u);
  rig.stop();
}

TEST(PipelineControl, PausedWhileWaitingStaysPausedUntilResumed) {
  Counting rig;
  rig.world.set_state("east", ClusterState::down);
  rig.world.set_state("west", ClusterState::down);
  rig.fill(100);
  ASSERT_TRUE(rig.start()) << rig.error;
  ASSERT_TRUE(eventually([&] { return rig.pipeline->state() == PipelineState::waiting; }));
  ASSERT_TRUE(rig.pipeline->pause("by hand"));
  rig.world.set_state("east", ClusterState::up);
  rig.world.set_state("west", ClusterState::up);
  expect_still(rig);
  EXPECT_EQ(rig.pipeline->state(), PipelineState::paused);
  ASSERT_TRUE(rig.pipeline->resume());
  rig.close();
  EXPECT_TRUE(rig.complete());
  rig.stop();
}

}  // namespace
}  // namespace twinspan::gateway
