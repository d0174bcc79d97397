// Bits that flipped, files that were cut or changed places (F4): noticed before use, and what came before is
// used.
#include "tests/engine/checkpoint/store_fixture.h"

namespace twinspan::engine {
namespace {

class CheckpointDamageTest : public CheckpointStoreTest {
 protected:
  // Epochs 1..9, bases at 3 and 6: kept are bases 3, 6 and epochs 3..9.
  void prepare(Writer& writer) {
    disk = Disk();
    CheckpointStore store(disk, kRoot);
    must(store.open());
    for (std::uint64_t n = 1; n <= 9; ++n) {
      must(store.write(writer.make(n)));
      if (n == 3 || n == 6) must(store.merge());
    }
  }
  std::vector<std::string> all_files() {
    Writer writer;
    prepare(writer);
    return disk.files(kRoot);
  }
  // What must be found when `path` is damaged: before the damaged epoch if the newest base does not hold it.
  static std::uint64_t expected(const std::string& path) {
    for (std::uint64_t n = 7; n <= 9; ++n)
      if (path.starts_with(epoch_path(n))) return n - 1;
    return 9;
  }
  static bool must_be_noticed(const std::string& path) { return path.starts_with(base_path(6)) || expected(path) != 9; }
};

TEST_F(CheckpointDamageTest, AFlippedBitInAnyFileIsNoticedAndThePreviousEpochIsUsed) {
  std::mt19937 random(3);
  for (const std::string& path : all_files()) {
    for (int round = 0; round < 60; ++round) {
      Writer writer;
      prepare(writer);
      disk.flip_bit(path, random() % (disk.size(path) * 8));
      std::vector<std::string> warnings;
      ASSERT_EQ(expect_restored(writer, &warnings), expected(path)) << path;
      EXPECT_EQ(must_be_noticed(path), !warnings.empty()) << path;
      // The damaged one is out of the way: the next start has nothing to say.
      ASSERT_EQ(expect_restored(writer, &warnings), expected(path)) << path;
      EXPECT_TRUE(warnings.empty()) << path << ": " << warnings.front();
    }
  }
}

TEST_F(CheckpointDamageTest, ATruncatedFileIsNoticed) {
  for (const std::string& path : all_files()) {
    for (int part = 0; part < 3; ++part) {
      Writer writer;
      prepare(writer);
      disk.truncate(path, disk.size(path) * static_cast<std::size_t>(part) / 3);
      std::vector<std::string> warnings;
      ASSERT_EQ(expect_restored(writer, &warnings), expected(path)) << path;
      EXPECT_EQ(must_be_noticed(path), !warnings.empty()) << path;
    }
  }
}

TEST_F(CheckpointDamageTest, AMissingFileIsNoticed) {
  for (const std::string& path : all_files()) {
    Writer writer;
    prepare(writer);
    must(disk.remove_all(path));
    std::vector<std::string> warnings;
    ASSERT_EQ(expect_restored(writer, &warnings), expected(path)) << path;
    EXPECT_EQ(must_be_noticed(path), !warnings.empty()) << path;
  }
}

TEST_F(CheckpointDamageTest, SwappedFilesAreNoticed) {
  const std::string first = epoch_path(8) + "/", second = epoch_path(9) + "/";
  const auto files = [&] {
    Writer writer;
    prepare(writer);
    return disk.files(epoch_path(8));
  }();
  ASSERT_GE(files.size(), 4u);
  for (const std::string& path : files) {
    const std::string name = path.substr(first.size());
    Writer writer;
    prepare(writer);
    if (!disk.exists(second + name)) continue;
    disk.swap(first + name, second + name);
    EXPECT_EQ(expect_restored(writer), 7u) << name;
  }
  // Within one epoch.
  Writer writer;
  prepare(writer);
  disk.swap(second + "join@0of2.delta", second + "count@0of2.delta");
  EXPECT_EQ(expect_restored(writer), 8u);
}

TEST_F(CheckpointDamageTest, SwappedDirectoriesAreNoticed) {
  Writer writer;
  prepare(writer);
  disk.swap(epoch_path(8), epoch_path(9));
  EXPECT_EQ(expect_restored(writer), 7u);
  prepare(writer = Writer());
  disk.swap(base_path(3), base_path(6));
  std::vector<std::string> warnings;
  // Both bases lie about their number, and the epochs before 3 are gone.
  CheckpointStore store(disk, kRoot);
  must(store.open());
  EXPECT_FALSE(store.restore());
}

TEST_F(CheckpointDamageTest, OneDamagedBaseIsSurvived) {
  for (const std::uint64_t base : {3, 6}) {
    Writer writer;
    prepare(writer);
    for (const std::string& f : disk.files(base_path(base))) disk.flip_bit(f, 11);
    std::vector<std::string> warnings;
    EXPECT_EQ(expect_restored(writer, &warnings), 9u);
    EXPECT_EQ(warnings.empty(), base == 3);
  }
}

TEST_F(CheckpointDamageTest, ADamagedBaseDoesNotStopMerging) {
  Writer writer;
  prepare(writer);
  CheckpointStore store(disk, kRoot);
  must(store.open());
  ASSERT_TRUE(store.restore());
  disk.flip_bit(base_path(6) + "/join.base", 40);  // while we run
  must(store.write(writer.make(10)));
  must(store.merge());
  std::vector<std::string> warnings;
  EXPECT_EQ(expect_restored(writer, &warnings), 10u);
  EXPECT_TRUE(warnings.empty());
}

TEST_F(CheckpointDamageTest, WhenNothingIsUsableItIsAnErrorNotAnEmptyStart) {
  Writer writer;
  prepare(writer);
  for (const std::uint64_t base : {3, 6}) disk.flip_bit(base_path(base) + "/manifest", 11);
  CheckpointStore store(disk, kRoot);
  must(store.open());
  const auto restored = store.restore();
  ASSERT_FALSE(restored);
  EXPECT_NE(restored.error().message.find("no checkpoint"), std::string::npos);
  // Nor the next time: what was set aside does not make room for a start without state.
  CheckpointStore again(disk, kRoot);
  must(again.open());
  EXPECT_FALSE(again.restore());
}

TEST_F(CheckpointDamageTest, EveryEpochDamagedIsAnErrorAtTheNextStartToo) {
  Writer writer;
  CheckpointStore store(disk, kRoot);
  must(store.open());
  must(store.write(writer.make(1)));
  disk.flip_bit(epoch_path(1) + "/meta.json", 3);
  for (int start = 0; start < 2; ++start) {
    CheckpointStore again(disk, kRoot);
    must(again.open());
    EXPECT_FALSE(again.restore()) << "start " << start;
  }
}

TEST_F(CheckpointDamageTest, DamagedEpochsAreKeptInQuarantine) {
  Writer writer;
  prepare(writer);
  disk.flip_bit(epoch_path(8) + "/manifest", 3);
  EXPECT_EQ(expect_restored(writer), 7u);
  EXPECT_FALSE(disk.exists(epoch_path(8)));
  EXPECT_FALSE(disk.exists(epoch_path(9)));
  EXPECT_FALSE(disk.files(std::string(kRoot) + "/quarantine").empty());
}

// protocol.md 9: never a number again that was prepared once, though its epoch is lost.
TEST_F(CheckpointDamageTest, NumbersGoOnAboveTheDamagedOnes) {
  Writer writer;
  prepare(writer);
  disk.flip_bit(epoch_path(8) + "/manifest", 3);
  CheckpointStore store(disk, kRoot);
  must(store.open());
  const auto restored = store.restore();
  ASSERT_TRUE(restored);
  EXPECT_EQ(restored.value()->epoch, Epoch(7));
  EXPECT_EQ(store.last_epoch(), Epoch(9));
  Writer next;
  for (std::uint64_t n = 1; n <= 7; ++n) next.make(n);
  must(store.write(next.make(10)));
  EXPECT_EQ(expect_restored(next), 10u);
  CheckpointStore after(disk, kRoot);
  must(after.open());
  ASSERT_TRUE(after.restore());
  must(after.write(next.make(11)));
  must(after.merge());
  EXPECT_EQ(expect_restored(next), 11u);
}

// The newest base stands on an epoch that is damaged, and the chain ends there: the base must not outlive its
// lineage.
TEST_F(CheckpointDamageTest, ABaseAboveTheRestoredEpochIsNeverUsedLater) {
  Writer writer;
  prepare(writer);
  {
    CheckpointStore store(disk, kRoot);
    must(store.open());
    ASSERT_TRUE(store.restore());
    must(store.merge());  // bases 6 and 9
  }
  disk.flip_bit(base_path(9) + "/manifest", 5);
  disk.flip_bit(epoch_path(8) + "/manifest", 5);
  Writer next;
  for (std::uint64_t n = 1; n <= 7; ++n) next.make(n);
  EXPECT_EQ(expect_restored(next), 7u);
  CheckpointStore store(disk, kRoot);
  must(store.open());
  ASSERT_TRUE(store.restore());
  for (std::uint64_t n = 10; n <= 12; ++n) must(store.write(next.make(n)));
  must(store.merge());
  EXPECT_EQ(expect_restored(next), 12u);
}

TEST_F(CheckpointDamageTest, DamageOfTheEpochUnderABaseIsSurvivedByTheBase) {
  Writer writer;
  prepare(writer);
  {
    CheckpointStore store(disk, kRoot);
    must(store.open());
    ASSERT_TRUE(store.restore());
    must(store.merge());
  }
  for (const std::string& f : disk.files(epoch_path(9))) disk.flip_bit(f, 2);
  EXPECT_EQ(expect_restored(writer), 9u);
}

TEST(Manifest, ReadsWhatItWrote) {
  Manifest m;
  m.kind = "epoch";
  m.epoch = Epoch(12);
  m.files = {{"meta.json", 3, content_sum("abc")}, {"join@0of1.delta", 0, content_sum("")}};
  const std::string text = to_json(m);
  const auto back = parse_manifest(text);
  ASSERT_TRUE(back);
  EXPECT_EQ(back.value().epoch, Epoch(12));
  EXPECT_EQ(back.value().kind, "epoch");
  ASSERT_EQ(back.value().files.size(), 2u);
  EXPECT_EQ(back.value().files[0].sum, content_sum("abc"));
}

TEST(Manifest, EverySingleBitIsCovered) {
  Manifest m;
  m.kind = "base";
  m.epoch = Epoch(1);
  m.files = {{"join.base", 3, content_sum("abc")}};
  const std::string text = to_json(m);
  for (std::size_t bit = 0; bit < (text.size() - 1) * 8; ++bit) {  // all but the last newline, which says nothing
    std::string bad = text;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(parse_manifest(bad)) << "bit " << bit;
  }
  for (std::size_t size = 0; size < text.size(); ++size) EXPECT_FALSE(parse_manifest(text.substr(0, size)));
}

}  // namespace
}  // namespace twinspan::engine
