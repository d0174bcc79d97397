#include "tests/engine/checkpoint/store_fixture.h"

namespace twinspan::engine {
namespace {

TEST_F(CheckpointStoreTest, NothingWrittenRestoresNothing) {
  Writer writer;
  EXPECT_EQ(expect_restored(writer), 0u);
}

TEST_F(CheckpointStoreTest, RestoresWhatWasWritten) {
  Writer writer;
  CheckpointStore store(disk, kRoot);
  must(store.open());
  for (std::uint64_t n = 1; n <= 6; ++n) must(store.write(writer.make(n)));
  EXPECT_EQ(store.last_epoch(), Epoch(6));
  EXPECT_GT(store.bytes_written(), store.last_epoch_bytes());
  std::vector<std::string> warnings;
  EXPECT_EQ(expect_restored(writer, &warnings), 6u);
  EXPECT_TRUE(warnings.empty());
}

TEST_F(CheckpointStoreTest, WritesOnAfterARestore) {
  Writer writer;
  for (std::uint64_t n = 1; n <= 8; ++n) {
    CheckpointStore store(disk, kRoot);
    must(store.open());
    ASSERT_TRUE(store.restore());
    EXPECT_EQ(store.last_epoch(), Epoch(n - 1));
    must(store.write(writer.make(n)));
    if (n % 3 == 0) must(store.merge());
  }
  EXPECT_EQ(expect_restored(writer), 8u);
}

TEST_F(CheckpointStoreTest, AnEpochWithoutChangesIsAnEpoch) {
  Writer writer;
  CheckpointStore store(disk, kRoot);
  must(store.open());
  must(store.write(writer.make(1)));
  must(store.write(writer.make(2, 0)));
  EXPECT_EQ(expect_restored(writer), 2u);
}

// protocol.md 9: numbers go on above everything ever prepared, so they may leave gaps.
TEST_F(CheckpointStoreTest, EpochNumbersMayLeaveGaps) {
  Writer writer;
  CheckpointStore store(disk, kRoot);
  must(store.open());
  for (std::uint64_t n : {3, 4, 9, 12}) must(store.write(writer.make(n)));
  EXPECT_EQ(expect_restored(writer), 12u);
}

TEST_F(CheckpointStoreTest, MergeEqualsReplay) {
  for (std::uint32_t seed = 1; seed <= 20; ++seed) {
    disk = Disk();
    Writer writer(seed, 1 + seed % 3);
    CheckpointStore store(disk, kRoot);
    must(store.open());
    for (std::uint64_t n = 1; n <= 30; ++n) {
      must(store.write(writer.make(n, 20)));
      if (n % (3 + seed % 4) == 0) must(store.merge());
      if (n == 15) writer.set_shards(1 + (seed + 1) % 4);  // a restart with another number of shards
    }
    ASSERT_EQ(expect_restored(writer), 30u) << "seed " << seed;
  }
}

TEST_F(CheckpointStoreTest, MergeTwiceChangesNothing) {
  Writer writer;
  CheckpointStore store(disk, kRoot);
  must(store.open());
  must(store.merge());
  for (std::uint64_t n = 1; n <= 3; ++n) must(store.write(writer.make(n)));
  must(store.merge());
  must(store.merge());
  EXPECT_TRUE(disk.exists(base_path(3)));
  EXPECT_EQ(expect_restored(writer), 3u);
}

TEST_F(CheckpointStoreTest, KeepsTwoBasesAndTheEpochsSinceTheOlder) {
  Writer writer;
  CheckpointStore store(disk, kRoot);
  must(store.open());
  for (std::uint64_t n = 1; n <= 12; ++n) {
    must(store.write(writer.make(n)));
    if (n % 4 == 0) must(store.merge());
  }
  EXPECT_FALSE(disk.exists(base_path(4)));
  EXPECT_TRUE(disk.exists(base_path(8)));
  EXPECT_TRUE(disk.exists(base_path(12)));
  EXPECT_FALSE(disk.exists(epoch_path(7)));
  EXPECT_TRUE(disk.exists(epoch_path(8)));
  EXPECT_EQ(expect_restored(writer), 12u);
}

TEST_F(CheckpointStoreTest, MergeIsDueByCountAndByBytes) {
  CheckpointStore store(disk, kRoot);
  must(store.open());
  Writer writer;
  for (std::uint64_t n = 1; n < 120; ++n) must(store.write(writer.make(n, 1)));
  EXPECT_FALSE(store.merge_due());
  must(store.write(writer.make(120, 1)));
  EXPECT_TRUE(store.merge_due());
  must(store.merge());
  EXPECT_FALSE(store.merge_due());
  DeltaWriter delta;
  delta.put(0, 5, 1, "big", std::string(17u << 20, 'x'));
  must(store.write({Epoch(121), "{}", {{"join", 0, 1, delta.take()}}}));
  EXPECT_TRUE(store.merge_due());
  must(store.merge());

  // The base is known after a restart as well: a few more bytes do not make a merge due.
  CheckpointStore again(disk, kRoot);
  must(again.open());
  ASSERT_TRUE(again.restore());
  EXPECT_FALSE(again.merge_due());
}

TEST_F(CheckpointStoreTest, RestoresForAnotherNumberOfShards) {
  Writer writer(7, 2);
  CheckpointStore store(disk, kRoot);
  must(store.open());
  for (std::uint64_t n = 1; n <= 5; ++n) must(store.write(writer.make(n)));
  auto restored = store.restore();
  ASSERT_TRUE(restored);
  for (unsigned shards : {1u, 3u}) {
    std::size_t entries = 0;
    for (unsigned s = 0; s < shards; ++s)
      for (const std::string& step : restored.value()->state.steps())
        must(restored.value()->state.for_each(step, [&](const StateEntry& e) -> Status {
          if (shard_of_group(e.key_group, shards) == s) ++entries;
          return ok();
        }));
    EXPECT_EQ(entries, writer.after(5).size());
  }
}

TEST_F(CheckpointStoreTest, OpenRemovesWhatWasNeverFinished) {
  Writer writer;
  CheckpointStore store(disk, kRoot);
  must(store.open());
  must(store.write(writer.make(1)));
  must(disk.make_directories(epoch_path(2) + ".tmp"));
  must(disk.write_and_sync(epoch_path(2) + ".tmp/meta.json", {"{}"}));
  must(disk.make_directories(base_path(2) + ".tmp"));
  EXPECT_EQ(expect_restored(writer), 1u);
  EXPECT_FALSE(disk.exists(epoch_path(2) + ".tmp"));
  EXPECT_FALSE(disk.exists(base_path(2) + ".tmp"));
}

}  // namespace
}  // namespace twinspan::engine
