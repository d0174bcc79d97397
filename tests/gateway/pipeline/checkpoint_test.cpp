#include <cerrno>
#include <filesystem>
#include <set>

#include "tests/gateway/pipeline/pipeline_rig.h"

namespace twinspan::gateway {
namespace {

namespace fs = std::filesystem;

TEST(PipelineCheckpoint, PreparedWaitsForAcknowledgements) {
  Counting rig;
  rig.world.cork("out", true);
  rig.fill(2000);
  ASSERT_TRUE(rig.start());
  ASSERT_TRUE(rig.drained());
  ASSERT_TRUE(eventually([&] { return rig.world.waiting("out") > 0; }));
  // The first epochs may have gone through before there was output; from now on none does.
  const std::uint64_t stuck = rig.epoch();
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
  while (std::chrono::steady_clock::now() < until) ASSERT_LE(rig.epoch(), stuck + 1);
  const std::uint64_t last = rig.epoch();
  rig.world.cork("out", false);
  EXPECT_TRUE(eventually([&] { return rig.epoch() > last; }));
  rig.close();
  EXPECT_TRUE(rig.complete());
  rig.stop();
}

TEST(PipelineCheckpoint, StopWithAnUnansweringSinkSaysSoAndLosesNothing) {
  Counting rig;
  rig.world.cork("out", true);
  rig.fill(1000);
  ASSERT_TRUE(rig.start());
  ASSERT_TRUE(rig.drained());
  ASSERT_TRUE(eventually([&] { return rig.world.waiting("out") > 0; }));
  const Status stopped = rig.pipeline->stop(100);
  ASSERT_FALSE(stopped);
  EXPECT_NE(stopped.error().message.find("read again"), std::string::npos) << stopped.error().message;
  rig.kill();
  rig.world.cork("out", false);
  rig.close();
  ASSERT_TRUE(rig.start()) << rig.error;
  EXPECT_TRUE(rig.complete());
  rig.stop();
}

TEST(PipelineCheckpoint, FullDiskIsReportedAndTheNextEpochCarriesTheDeltas) {
  Counting rig;
  rig.fill(1000);
  ASSERT_TRUE(rig.start(2));
  ASSERT_TRUE(rig.drained());
  ASSERT_TRUE(rig.checkpointed());
  rig.disk.full = true;
  rig.fill(1000);
  ASSERT_TRUE(eventually([&] { return rig.pipeline->status().last_checkpoint.failures > 1; }));
  EXPECT_NE(rig.pipeline->status().last_checkpoint.last_error.find("No space left"), std::string::npos)
      << rig.pipeline->status().last_checkpoint.last_error;
  const std::size_t out = rig.world.delivered_count("out");
  rig.fill(2000);
  ASSERT_TRUE(rig.drained());
  EXPECT_TRUE(eventually([&] { return rig.world.delivered_count("out") > out; }));  // processing goes on
  EXPECT_EQ(rig.pipeline->state(), admin::PipelineState::running);
  rig.disk.full = false;
  ASSERT_TRUE(rig.checkpointed());
  EXPECT_EQ(rig.pipeline->status().last_checkpoint.last_error, "");
  rig.kill();
  rig.close();
  ASSERT_TRUE(rig.start(2)) << rig.error;
  EXPECT_TRUE(rig.complete());
  rig.stop();
}

TEST(PipelineCheckpoint, StopOnAFullDiskDoesNotPretend) {
  Counting rig;
  rig.fill(500);
  ASSERT_TRUE(rig.start());
  ASSERT_TRUE(rig.drained());
  ASSERT_TRUE(rig.checkpointed());
  rig.disk.full = true;
  rig.fill(500);
  ASSERT_TRUE(rig.drained());
  EXPECT_FALSE(rig.pipeline->stop(300));
  rig.kill();
  rig.disk.full = false;
  rig.close();
  ASSERT_TRUE(rig.start()) << rig.error;
  EXPECT_TRUE(rig.complete());
  rig.stop();
}

TEST(PipelineCheckpoint, DamagedNewestEpochFallsBackAndReadsAgain) {
  Counting rig;
  rig.every_ms = 60'000;  // one epoch a stop
  for (int round = 0; round < 3; ++round) {
    rig.fill(500);
    ASSERT_TRUE(rig.start());
    ASSERT_TRUE(rig.drained());
    rig.stop();
  }
  std::string newest;
  for (const std::string& f : rig.disk.disk.files(std::string(kDirectory) + "/state/epochs"))
    if (f.ends_with(".delta") && rig.disk.disk.size(f) > 0) newest = f;
  ASSERT_NE(newest.find("00000003"), std::string::npos) << newest;
  rig.disk.disk.flip_bit(newest, rig.disk.disk.size(newest) * 4);
  rig.close();
  ASSERT_TRUE(rig.start()) << rig.error;
  EXPECT_TRUE(rig.complete());
  EXPECT_EQ(rig.world.read(rig.lanes[0], 0), 1u);                                // of an epoch that was whole
  EXPECT_EQ(rig.world.read(rig.lanes[0], rig.world.end(rig.lanes[0]) - 2), 2u);  // of the damaged one
  rig.stop();
}

TEST(PipelineCheckpoint, IncarnationsNeverRepeatAlsoIfTheirFileIsLost) {
  Counting rig;
  rig.fill(100);
  std::set<std::uint64_t> seen;
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(rig.start()) << rig.error;
    EXPECT_TRUE(seen.insert(rig.world.last_request("out").incarnation).second);
    ASSERT_TRUE(rig.drained());
    rig.stop();
    if (round == 1) (void)rig.disk.remove_all(std::string(kDirectory) + "/incarnation");
  }
}

// --- directories that cannot be used ---

class PipelineDirectory : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "twinspan-pipeline-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root = name;
    rig.real = &files;
    rig.directory = root + "/p";
  }
  void TearDown() override {
    rig.kill();
    fs::remove_all(root);
  }
  engine::PosixFileSystem files;
  std::string root;
  Counting rig;
};

TEST_F(PipelineDirectory, RealDiskStopAndGoOn) {
  rig.fill(500);
  ASSERT_TRUE(rig.start(2)) << rig.error;
  ASSERT_TRUE(rig.drained());
  rig.stop();
  rig.fill(500);
  rig.close();
  ASSERT_TRUE(rig.start(2)) << rig.error;
  EXPECT_TRUE(rig.complete());
  rig.stop();
}

TEST_F(PipelineDirectory, FileInItsPlaceIsNamed) {
  ASSERT_TRUE(files.write_and_sync(root + "/p", {"not a directory"}));
  EXPECT_FALSE(rig.start());
  EXPECT_NE(rig.error.find(root + "/p"), std::string::npos) << rig.error;
  EXPECT_NE(rig.error.find("irectory"), std::string::npos) << rig.error;
}

TEST_F(PipelineDirectory, DirectoryInPlaceOfTheIncarnationIsNamed) {
  ASSERT_TRUE(files.make_directories(root + "/p/incarnation"));
  EXPECT_FALSE(rig.start());
  EXPECT_NE(rig.error.find("incarnation"), std::string::npos) << rig.error;
}

TEST_F(PipelineDirectory, DirectoryInPlaceOfAJournalIsNamed) {
  ASSERT_TRUE(files.make_directories(root + "/p/operations.jsonl"));
  EXPECT_FALSE(rig.start());
  EXPECT_NE(rig.error.find("operations.jsonl"), std::string::npos) << rig.error;
}

TEST_F(PipelineDirectory, DamagedRouteFileIsNoCrash) {
  ASSERT_TRUE(files.make_directories(root + "/p"));
  ASSERT_TRUE(files.write_and_sync(root + "/p/route-out", {R"({"generation":"x"})"}));
  rig.fill(10);
  EXPECT_FALSE(rig.start());
  EXPECT_NE(rig.error.find("route-out"), std::string::npos) << rig.error;
}

// Also what a read-only or failing disk says: whatever call fails, the start says which path and nothing is half
// started.
TEST(PipelineStart, EveryFailingFileCallIsAnErrorWithItsPath) {
  Counting rig;
  rig.every_ms = 60'000;
  rig.fill(200);
  ASSERT_TRUE(rig.start());
  ASSERT_TRUE(rig.drained());
  rig.stop();
  int refused = 0;
  for (std::uint64_t call = 1; call < 40; ++call) {
    {
      std::lock_guard lock(rig.disk.mutex);
      rig.disk.disk.reset_calls();
      rig.disk.disk.fail_call(call, EROFS);
    }
    if (!rig.start()) {
      ++refused;
      EXPECT_NE(rig.error.find(kDirectory), std::string::npos) << call << ": " << rig.error;
    }
    rig.kill();
    rig.disk.disk.clear_faults();
  }
  EXPECT_GT(refused, 3);
  rig.close();
  ASSERT_TRUE(rig.start()) << rig.error;
  EXPECT_TRUE(rig.complete());
  rig.stop();
}

}  // namespace
}  // namespace twinspan::gateway
