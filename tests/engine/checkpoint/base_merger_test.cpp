// Bases made by their thread beside a writer of epochs, on the real file system and on one that breaks.
#include "engine/checkpoint/base_merger.h"

#include <atomic>
#include <cstdlib>
#include <filesystem>

#include "tests/engine/checkpoint/store_fixture.h"

namespace twinspan::engine {
namespace {

template <class F>
bool eventually(F condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

TEST(BaseMerger, MakesBasesWhileEpochsAreWritten) {
  std::string name = (std::filesystem::temp_directory_path() / "twinspan-XXXXXX").string();
  const std::string root = ::mkdtemp(name.data());
  PosixFileSystem files;
  SystemClock clock;
  std::uint64_t seen = 0;
  {
    CheckpointStore store(files, root + "/state");
    ASSERT_TRUE(store.open());
    BaseMerger merger(store, clock, [](std::uint64_t) { return true; });
    merger.start();
    // 4 MiB a time of 6 MiB of state: a merge is due every few epochs, and some end while an epoch is being written.
    for (std::uint64_t n = 1; n <= 60; ++n) {
      DeltaWriter delta;
      for (int i = 0; i < 4000; ++i)
        delta.put(0, static_cast<std::uint16_t>((n * 2000 + i) % 6000 % kKeyGroups), 1,
                  fmt::format("key{}", (n * 2000 + i) % 6000),
                  std::string(1000, static_cast<char>('a' + n % 26)) + std::to_string(n));
      const Status written = store.write({Epoch(n), "{}", {{"s", 0, 1, delta.take_delta()}}});
      ASSERT_TRUE(written) << written.error().message;
      merger.consider();
      if (n % 20 == 0) {
        ASSERT_TRUE(eventually([&] { return merger.figures().merges > seen; }));
      }
      seen = merger.figures().merges;
    }
    merger.stop();
    EXPECT_EQ(merger.figures().failures, 0u) << merger.figures().last_error;
    EXPECT_GE(merger.figures().merges, 2u);
    EXPECT_GT(merger.figures().cpu_us, 0u);
  }
  CheckpointStore again(files, root + "/state");
  ASSERT_TRUE(again.open());
  auto restored = again.restore();
  ASSERT_TRUE(restored) << restored.error().message;
  EXPECT_TRUE(restored.value()->warnings.empty());
  EXPECT_EQ(restored.value()->epoch, Epoch(60));
  EXPECT_EQ(restored.value()->state.live_entries(), 6000u);
  std::filesystem::remove_all(root);
}

TEST(BaseMerger, AFailureIsTriedAgainLaterAndEpochsGoOn) {
  twinspan::testing::FaultFileSystem disk;
  ManualClock clock;
  CheckpointStore store(disk, kRoot);
  ASSERT_TRUE(store.open());
  std::atomic<bool> room{false};
  BaseMerger merger(store, clock, [&](std::uint64_t) { return room.load(); });
  merger.start();
  std::uint64_t epoch = 0;
  const auto write = [&] {
    DeltaWriter delta;
    delta.put(0, 1, 1, "key", std::string(17u << 20, 'x'));
    ASSERT_TRUE(store.write({Epoch(++epoch), "{}", {{"s", 0, 1, delta.take_delta()}}}));
    merger.consider();
  };
  write();
  ASSERT_TRUE(eventually([&] { return merger.figures().failures == 1; }));
  EXPECT_NE(merger.figures().last_error.find("no room"), std::string::npos);
  room = true;
  write();  // not at once again: the disk would be busy with nothing else
  clock.advance(10'000);
  write();
  ASSERT_TRUE(eventually([&] { return merger.figures().merges == 1; }));
  EXPECT_EQ(merger.figures().failures, 1u);
  EXPECT_EQ(merger.figures().last_error, "");
  merger.stop();
}

// An unchanged gigabyte is not written again: scaled down a hundred times, a hundredth of the state changes with each
// epoch, and all that reaches the disk, bases included, is under 5 % of the state an epoch.
TEST(BaseMerger, OnePercentOfChangeWritesUnderFivePercentABaseIncluded) {
  twinspan::testing::FaultFileSystem disk;
  CheckpointStore store(disk, kRoot);
  ASSERT_TRUE(store.open());
  constexpr int kKeys = 100'000;
  std::uint64_t epoch = 0;
  const auto write = [&](int from, int n) {
    DeltaWriter delta;
    for (int i = 0; i < n; ++i)
      delta.put(0, static_cast<std::uint16_t>((from + i) % kKeys % kKeyGroups), 1,
                fmt::format("key{:06}", (from + i) % kKeys), std::string(100, static_cast<char>('a' + epoch % 26)));
    ASSERT_TRUE(store.write({Epoch(++epoch), "{}", {{"s", 0, 1, delta.take_delta()}}}));
    while (store.merge_due()) ASSERT_TRUE(store.merge());
  };
  write(0, kKeys);
  ASSERT_TRUE(store.merge());
  const CheckpointStore::Figures before = store.figures();
  constexpr int kEpochs = 400;
  for (int i = 0; i < kEpochs; ++i) {
    write(i * 997, kKeys / 100);
    ASSERT_LT(store.last_epoch_bytes(), before.base_bytes / 50) << "epoch " << epoch;
  }
  const CheckpointStore::Figures after = store.figures();
  EXPECT_GE(after.merges, before.merges + 1);
  const std::uint64_t written =
      after.epoch_bytes - before.epoch_bytes + after.merge_written_bytes - before.merge_written_bytes;
  EXPECT_LT(written / kEpochs, before.base_bytes / 20);
}

}  // namespace
}  // namespace twinspan::engine
