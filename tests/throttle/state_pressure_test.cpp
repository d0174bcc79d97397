#include "throttle/state_pressure.h"

#include <gtest/gtest.h>

#include <random>

namespace twinspan::throttle {
namespace {

TEST(StatePressure, BeginsAtTheBudgetAndEndsWithATenthFree) {
  StatePressure p(1000);
  EXPECT_FALSE(p.update(999));
  EXPECT_TRUE(p.update(1000));
  EXPECT_TRUE(p.update(900));
  EXPECT_FALSE(p.update(899));
  EXPECT_FALSE(p.update(950));
}

TEST(LanesToPause, OnlyThoseAheadOfTheSlowestAndOnlyUnderPressure) {
  const std::vector<PressureLane> lanes{{10'000}, {10'999}, {11'000}, {11'001}, {50'000}};
  EXPECT_EQ(lanes_to_pause(lanes, false), std::vector<bool>(5, false));
  EXPECT_EQ(lanes_to_pause(lanes, true), (std::vector<bool>{false, false, false, true, true}));
}

TEST(LanesToPause, APausedLaneGoesOnAtHalfOfTheDistance) {
  std::vector<PressureLane> lanes{{10'000}, {10'600, true, true}, {10'500, true, true}, {10'600, true, false}};
  EXPECT_EQ(lanes_to_pause(lanes, true), (std::vector<bool>{false, true, false, false}));
}

TEST(LanesToPause, IdleLanesAndThoseOfALostClusterNeitherWaitNorAreWaitedFor) {
  const std::vector<PressureLane> lanes{{1, false}, {10'000}, {90'000, false}, {12'000}};
  EXPECT_EQ(lanes_to_pause(lanes, true), (std::vector<bool>{false, false, false, true}));
  EXPECT_EQ(lanes_to_pause({{1, false}, {9'000, false}}, true), (std::vector<bool>{false, false}));
  EXPECT_TRUE(lanes_to_pause({}, true).empty());
}

TEST(LanesToPause, ALaneWithoutARecordIsTheSlowest) {
  EXPECT_EQ(lanes_to_pause({{kMinTime}, {5}}, true), (std::vector<bool>{false, true}));
}

// Whatever the times: one lane that others wait for always goes on, so pressure never stops a pipeline.
TEST(LanesToPause, NeverTheSlowest) {
  for (std::uint32_t seed = 1; seed <= 500; ++seed) {
    std::mt19937 random(seed);
    std::vector<PressureLane> lanes(1 + random() % 6);
    bool any_counts = false;
    EventTime slowest = kMaxTime;
    for (PressureLane& l : lanes) {
      l = {static_cast<EventTime>(random() % 5000), random() % 4 != 0, random() % 2 == 0};
      if (l.counts) slowest = std::min(slowest, l.at), any_counts = true;
    }
    const auto pause = lanes_to_pause(lanes, true);
    bool goes_on = false;
    for (std::size_t i = 0; i < lanes.size(); ++i) {
      if (lanes[i].counts && lanes[i].at == slowest) goes_on |= !pause[i];
      EXPECT_FALSE(pause[i] && !lanes[i].counts) << "seed " << seed;
    }
    EXPECT_TRUE(goes_on || !any_counts) << "seed " << seed;
  }
}

TEST(OutageBudget, CountsWhatCameSinceTheLossAndStaysSpentUntilTheEnd) {
  OutageBudget b(100);
  EXPECT_FALSE(b.update(false, 5000));
  EXPECT_FALSE(b.update(true, 5050));
  EXPECT_EQ(b.held(), 50u);
  EXPECT_FALSE(b.update(true, 5099));
  EXPECT_EQ(b.held(), 99u);
  EXPECT_TRUE(b.update(true, 5100));
  EXPECT_TRUE(b.update(true, 4000));  // R moved on and state went; not a reason to hold again
  EXPECT_FALSE(b.update(false, 4000));
  EXPECT_FALSE(b.update(true, 4050));
  EXPECT_FALSE(b.spent());
}

TEST(OutageBudget, WhatExpiresMakesRoom) {
  OutageBudget b(100);
  b.update(true, 1000);
  EXPECT_FALSE(b.update(true, 400));
  EXPECT_FALSE(b.update(true, 499));
  EXPECT_TRUE(b.update(true, 500));
}

}  // namespace
}  // namespace twinspan::throttle
