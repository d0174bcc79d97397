#include "connectors/kafka/cluster_health_machine.h"

#include <gtest/gtest.h>

#include <vector>

namespace twinspan::connectors {
namespace {

using Round = HealthMachine::Round;

struct Step {
  std::int64_t started;
  Round result;
  std::int64_t now;
  ClusterState want;
};

void play(HealthMachine& machine, const std::vector<Step>& steps) {
  for (std::size_t i = 0; i < steps.size(); ++i) {
    machine.round(steps[i].started, steps[i].result, steps[i].now);
    EXPECT_EQ(machine.state(), steps[i].want) << "step " << i << ": " << to_string(machine.state());
  }
}

TEST(HealthMachine, TwoBadRoundsSuspectThreeDown) {
  HealthMachine machine({}, 0);
  play(machine, {{0, Round::good, 5, ClusterState::up},
                 {500, Round::bad, 2000, ClusterState::up},
                 {1000, Round::bad, 2500, ClusterState::suspect},
                 {1500, Round::bad, 3000, ClusterState::down}});
  EXPECT_EQ(machine.since(), 3000);
  EXPECT_EQ(machine.healthy_since(), -1);
}

TEST(HealthMachine, OneGoodRoundClearsASuspicion) {
  HealthMachine machine({}, 0);
  play(machine, {{500, Round::bad, 2000, ClusterState::up},
                 {1000, Round::bad, 2500, ClusterState::suspect},
                 {2600, Round::good, 2610, ClusterState::up},
                 {2700, Round::bad, 4200, ClusterState::up},
                 {3200, Round::bad, 4700, ClusterState::suspect}});
}

TEST(HealthMachine, ARoundThatBeganBeforeTheLastSignOfLifeIsVoid) {
  HealthMachine machine({}, 0);
  // One of three brokers is frozen: every other probe hits it and ends after a newer, good one.
  play(machine, {{0, Round::good, 10, ClusterState::up},
                 {500, Round::good, 510, ClusterState::up},
                 {400, Round::bad, 1900, ClusterState::up},
                 {300, Round::bad, 1900, ClusterState::up},
                 {200, Round::bad, 1900, ClusterState::up},
                 {100, Round::bad, 1900, ClusterState::up}});
  machine.progress(2000);
  play(machine, {{1700, Round::bad, 3200, ClusterState::up},
                 {1800, Round::bad, 3300, ClusterState::up},
                 {1900, Round::bad, 3400, ClusterState::up}});
}

TEST(HealthMachine, RoundsUnderWayWhileWeWereNotScheduledAreVoid) {
  HealthMachine machine({}, 0);
  machine.tick(0);
  machine.tick(100);
  machine.tick(5000);  // suspended for 4.9 s
  play(machine, {{50, Round::bad, 5000, ClusterState::up},
                 {60, Round::bad, 5001, ClusterState::up},
                 {70, Round::bad, 5002, ClusterState::up},
                 {5010, Round::bad, 6510, ClusterState::up},
                 {5510, Round::bad, 7010, ClusterState::suspect}});
  HealthMachine on_time({}, 0);
  on_time.tick(0);
  on_time.tick(500);  // late, but within the limit
  play(on_time, {{50, Round::bad, 1550, ClusterState::up}, {60, Round::bad, 1560, ClusterState::suspect}});
}

TEST(HealthMachine, ReturnsThroughRejoiningAfterTheTimeOfHealth) {
  HealthMachine machine({.readmit_after_ms = 5000}, 0);
  play(machine, {{0, Round::bad, 1, ClusterState::up},
                 {1, Round::bad, 2, ClusterState::suspect},
                 {2, Round::bad, 3, ClusterState::down}});
  EXPECT_FALSE(machine.ever_reached());
  play(machine, {{9000, Round::good, 10'000, ClusterState::rejoining}});
  EXPECT_TRUE(machine.ever_reached());
  EXPECT_EQ(machine.healthy_since(), 10'000);
  EXPECT_FALSE(machine.tick(14'999));
  EXPECT_EQ(machine.state(), ClusterState::rejoining);
  EXPECT_TRUE(machine.tick(15'000));
  EXPECT_EQ(machine.state(), ClusterState::up);
}

TEST(HealthMachine, FailsAgainWhileRejoiningGoesDownAtOnce) {
  HealthMachine machine({}, 0);
  play(machine, {{0, Round::bad, 1, ClusterState::up},
                 {1, Round::bad, 2, ClusterState::suspect},
                 {2, Round::bad, 3, ClusterState::down},
                 {10, Round::good, 20, ClusterState::rejoining},
                 {21, Round::bad, 1521, ClusterState::rejoining},
                 {521, Round::bad, 2021, ClusterState::down},
                 {2100, Round::good, 2110, ClusterState::rejoining}});
  EXPECT_EQ(machine.healthy_since(), 2110);
}

TEST(ReadmissionView, ASourceMayWaitLongerThanTheWatchdog) {
  ReadmissionView view(10'000);
  EXPECT_EQ(view.look(ClusterState::up, 0, 100), ClusterState::up);  // no outage seen: no waiting
  EXPECT_EQ(view.look(ClusterState::suspect, -1, 200), ClusterState::suspect);
  EXPECT_EQ(view.look(ClusterState::up, 250, 250), ClusterState::up);
  EXPECT_EQ(view.look(ClusterState::down, -1, 300), ClusterState::down);
  EXPECT_EQ(view.look(ClusterState::rejoining, 1000, 1000), ClusterState::rejoining);
  EXPECT_EQ(view.look(ClusterState::up, 1000, 6000), ClusterState::rejoining);
  EXPECT_EQ(view.look(ClusterState::up, 1000, 11'000), ClusterState::up);
}

TEST(ReadmissionView, ASourceMayTakeItBackEarlierThanTheWatchdog) {
  ReadmissionView view(500);
  EXPECT_EQ(view.look(ClusterState::down, -1, 300), ClusterState::down);
  EXPECT_EQ(view.look(ClusterState::rejoining, 1000, 1400), ClusterState::rejoining);
  EXPECT_EQ(view.look(ClusterState::rejoining, 1000, 1500), ClusterState::up);
  EXPECT_EQ(view.look(ClusterState::rejoining, 1000, 1600), ClusterState::up);
  EXPECT_EQ(view.look(ClusterState::up, 1000, 6000), ClusterState::up);
}

}  // namespace
}  // namespace twinspan::connectors
