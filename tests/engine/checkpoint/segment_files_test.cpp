// Sealed segments: batches of reads against plain strings, damage, and checkpoints that link instead of writing.
#include "engine/checkpoint/segment_files.h"

#include <algorithm>
#include <set>

#include "tests/engine/checkpoint/store_fixture.h"

namespace twinspan::engine {
namespace {

using Unsynced = twinspan::testing::FaultFileSystem::Unsynced;

std::string random_bytes(std::mt19937& random, std::size_t size) {
  std::string s(size, '\0');
  for (char& c : s) c = static_cast<char>(random());
  return s;
}

class SegmentFilesTest : public CheckpointStoreTest {
 protected:
  SegmentFiles segments{disk, "/data/segments"};
};

TEST_F(SegmentFilesTest, BatchesOfReadsEqualTheBytes) {
  std::mt19937 random(3);
  must(segments.open());
  std::map<std::uint64_t, std::string> model;
  for (std::uint64_t n = 1; n <= 8; ++n) {
    model[n * 7] = random_bytes(random, n == 3 ? 0 : n == 4 ? 4096 : n == 5 ? 8192 : random() % 600'000);
    must(segments.seal(n * 7, model[n * 7]));
  }
  for (int round = 0; round < 200; ++round) {
    std::vector<SegmentFiles::Read> reads(1 + random() % 50);
    for (auto& r : reads) {
      const auto it = std::next(model.begin(), static_cast<long>(random() % model.size()));
      r.segment = it->first;
      r.offset = random() % (it->second.size() + 1);
      r.size = std::min<std::size_t>(it->second.size() - r.offset, random() % (random() % 5 == 0 ? 20'000 : 300));
    }
    const Status got = segments.read(reads);
    ASSERT_TRUE(got) << got.error().message;
    for (const auto& r : reads) ASSERT_TRUE(r.bytes == std::string_view(model[r.segment]).substr(r.offset, r.size));
    if (round == 100) {
      must(segments.drop(14));
      model.erase(14);
      EXPECT_FALSE(segments.has(14));
    }
  }
  for (const auto& [number, bytes] : model) {
    std::string all;
    must(segments.read_all(number, all));
    EXPECT_TRUE(all == bytes);
  }
  std::vector<SegmentFiles::Read> gone{{14, 0, 1, {}}}, beyond{{7, model[7].size(), 1, {}}};
  EXPECT_FALSE(segments.read(gone));
  EXPECT_FALSE(segments.read(beyond));
}

TEST_F(SegmentFilesTest, NeighboursAreReadTogetherAndNothingElseIs) {
  std::mt19937 random(1);
  must(segments.open());
  must(segments.seal(1, random_bytes(random, 4u << 20)));
  std::vector<SegmentFiles::Read> reads;
  for (std::uint64_t i = 0; i < 30; ++i) reads.push_back({1, (29 - i) * 4000, 100, {}});  // all near each other
  reads.push_back({1, 2u << 20, 100, {}});
  reads.push_back({1, 3u << 20, 100, {}});
  must(segments.read(reads));
  EXPECT_EQ(segments.figures().reads, 3u);
  EXPECT_LE(segments.figures().read_bytes, 32u * 4096);
}

TEST_F(SegmentFilesTest, AFlippedBitIsNoticedByWhatReadsIt) {
  std::mt19937 random(5);
  must(segments.open());
  must(segments.seal(1, random_bytes(random, 20'000)));
  const SegmentFile file = segments.list()[0];
  must(verify_segment(disk, file));
  for (int round = 0; round < 400; ++round) {
    const std::uint64_t bit = random() % (file.size * 8);
    disk.flip_bit(file.path, bit);
    const Status whole = verify_segment(disk, file);
    ASSERT_FALSE(whole) << "bit " << bit;
    EXPECT_EQ(whole.error().kind, ErrorKind::data);
    std::vector<SegmentFiles::Read> first{{1, 0, 4096, {}}}, rest{{1, 4096, 15'000, {}}};
    EXPECT_EQ(static_cast<bool>(segments.read(first)), bit >= 4096 * 8) << "bit " << bit;
    // The file's end is in memory.
    EXPECT_EQ(static_cast<bool>(segments.read(rest)), bit < 4096 * 8 || bit >= 5 * 4096 * 8) << "bit " << bit;
    disk.flip_bit(file.path, bit);
  }
  disk.truncate(file.path, file.size - 1);
  EXPECT_FALSE(verify_segment(disk, file));
}

TEST_F(SegmentFilesTest, ACallThatFailsLeavesNoSegment) {
  must(segments.open());
  const std::string bytes(10'000, 'x');
  bool more = true;
  for (std::uint64_t call = 1; more; ++call) {
    disk.reset_calls();
    disk.fail_call(call, ENOSPC);
    const Status sealed = segments.seal(call, bytes);
    more = disk.calls() >= call && !sealed;
    disk.clear_faults();
    EXPECT_EQ(segments.has(call), static_cast<bool>(sealed));
    if (!sealed) {
      EXPECT_EQ(sealed.error().kind, ErrorKind::transient);
      must(segments.seal(call, bytes));
    }
    std::vector<SegmentFiles::Read> reads{{call, 9000, 1000, {}}};
    must(segments.read(reads));
  }
}

// Epochs that link: what was sealed is written once, whatever a checkpoint does, and is there after any crash.
class LinkedSegments : public SegmentFilesTest {
 protected:
  PreparedEpoch epoch(std::uint64_t n) {
    DeltaWriter delta;
    delta.put(0, 1, static_cast<std::int64_t>(n), "changed", std::to_string(n));
    PreparedEpoch e;
    e.epoch = Epoch(n);
    e.meta = "{}";
    e.deltas.push_back({"join", 0, 1, delta.take_delta()});
    e.segments.push_back({"join", 0, 1, segments.list()});
    return e;
  }
  // Sealed bytes of the newest epoch, as a restart finds them.
  std::map<std::uint64_t, std::string> restored(std::uint64_t* number = nullptr) {
    std::map<std::uint64_t, std::string> out;
    CheckpointStore store(disk, kRoot);
    must(store.open());
    auto state = store.restore();
    EXPECT_TRUE(state) << state.error().message;
    if (!state || !state.value()) return out;
    if (number != nullptr) *number = state.value()->epoch.value;
    SegmentFiles mine(disk, "/data/restarted");
    must(mine.open());
    for (const StepSegments& s : state.value()->segments) {
      EXPECT_EQ(s.step, "join");
      must(mine.adopt(s.files));
    }
    for (const SegmentFile& f : mine.list()) {
      const std::uint64_t n = std::stoull(f.name);
      must(mine.read_all(n, out[n]));
    }
    return out;
  }
};

TEST_F(LinkedSegments, WithOnePercentOfChangeAnEpochWritesUnderFivePercent) {
  std::mt19937 random(2);
  CheckpointStore store(disk, kRoot);
  must(store.open());
  must(segments.open());
  std::map<std::uint64_t, std::string> model;
  for (std::uint64_t n = 1; n <= 100; ++n) {
    model[n] = random_bytes(random, 64u << 10);
    must(segments.seal(n, model[n]));
  }
  must(store.write(epoch(1)));
  for (std::uint64_t n = 2; n <= 40; ++n) {
    // One segment in, one out.
    const std::uint64_t sealed_before = segments.figures().written_bytes;
    model[99 + n] = random_bytes(random, 64u << 10);
    must(segments.seal(99 + n, model[99 + n]));
    must(segments.drop(n - 1));
    model.erase(n - 1);
    must(store.write(epoch(n)));
    const std::uint64_t written = segments.figures().written_bytes - sealed_before + store.last_epoch_bytes();
    ASSERT_LT(written, segments.figures().disk_bytes / 20);
    if (n % 10 == 0) {
      const auto before = store.figures().merge_written_bytes;
      must(store.merge());
      EXPECT_LT(store.figures().merge_written_bytes - before, 10'000u);  // linked as well
    }
  }
  EXPECT_TRUE(restored() == model);
}

TEST_F(LinkedSegments, SurviveAnyCrashAroundWriteAndMerge) {
  for (std::uint64_t call = 1; call < 70; ++call) {
    for (const Unsynced unsynced : {Unsynced::lost, Unsynced::random}) {
      disk = Disk();
      std::mt19937 random(4);
      CheckpointStore store(disk, kRoot);
      must(store.open());
      must(segments.open());
      std::map<std::uint64_t, std::map<std::uint64_t, std::string>> after;
      std::map<std::uint64_t, std::string> model;
      const auto change = [&](std::uint64_t n) -> Status {
        model[n] = random_bytes(random, 5000);
        TS_TRYV(segments.seal(n, model[n]));
        if (n > 2) {
          TS_TRYV(segments.drop(n - 2));
          model.erase(n - 2);
        }
        after[n] = model;
        return store.write(epoch(n));
      };
      for (std::uint64_t n = 1; n <= 4; ++n) must(change(n));
      must(store.merge());
      must(change(5));
      disk.reset_calls();
      disk.die_within(call);
      const bool done = change(6) && store.merge();
      disk.crash(unsynced, static_cast<std::uint32_t>(call));
      std::uint64_t number = 0;
      const auto found = restored(&number);
      ASSERT_TRUE(number == 5 || number == 6) << "call " << call;
      if (done) {
        ASSERT_EQ(number, 6u);
      }
      ASSERT_TRUE(found == after[number]) << "call " << call << " epoch " << number << "\n" << disk.describe();
    }
  }
}

TEST_F(LinkedSegments, ADamagedSegmentSetsItsEpochAside) {
  std::mt19937 random(4);
  CheckpointStore store(disk, kRoot);
  must(store.open());
  must(segments.open());
  must(segments.seal(1, random_bytes(random, 5000)));
  must(store.write(epoch(1)));
  must(segments.seal(2, random_bytes(random, 5000)));
  must(store.write(epoch(2)));
  disk.flip_bit(segments.list()[1].path, 999);  // the same bytes under every name
  std::uint64_t number = 0;
  const auto found = restored(&number);
  EXPECT_EQ(number, 1u);
  EXPECT_EQ(found.size(), 1u);
}

// What has expired by the newest epoch need not be whole.
TEST_F(LinkedSegments, ADamagedSegmentThatTheNewestEpochDoesNotLinkDoesNoHarm) {
  std::mt19937 random(5);
  CheckpointStore store(disk, kRoot);
  must(store.open());
  must(segments.open());
  must(segments.seal(1, random_bytes(random, 5000)));
  must(store.write(epoch(1)));
  must(store.merge());
  must(segments.seal(2, random_bytes(random, 5000)));
  must(store.write(epoch(2)));
  disk.flip_bit(segments.list()[0].path, 999);
  must(segments.drop(1));
  must(store.write(epoch(3)));
  std::uint64_t number = 0;
  const auto found = restored(&number);
  EXPECT_EQ(number, 3u);
  EXPECT_EQ(found.size(), 1u);
}

TEST_F(LinkedSegments, WithoutAnEpochWhoseSegmentsAreWholeThereIsNoStart) {
  std::mt19937 random(6);
  CheckpointStore store(disk, kRoot);
  must(store.open());
  must(segments.open());
  must(segments.seal(1, random_bytes(random, 5000)));
  must(store.write(epoch(1)));
  must(store.write(epoch(2)));
  disk.flip_bit(segments.list()[0].path, 999);
  CheckpointStore again(disk, kRoot);
  must(again.open());
  const auto state = again.restore();
  ASSERT_FALSE(state);
  EXPECT_NE(state.error().message.find("no checkpoint"), std::string::npos) << state.error().message;
}

// Epochs keep segments that have expired since: new ones make a base due as deltas do, also after a restart.
TEST_F(LinkedSegments, NewSegmentsMakeABaseDue) {
  std::mt19937 random(8);
  auto store = std::make_unique<CheckpointStore>(disk, kRoot);
  must(store->open());
  must(segments.open());
  std::uint64_t number = 0, most = 0;
  for (std::uint64_t n = 1; n <= 60; ++n) {
    const std::uint64_t before = segments.written_bytes();
    must(segments.seal(n, random_bytes(random, 2u << 20)));
    if (n > 4) must(segments.drop(n - 4));
    PreparedEpoch e = epoch(store->last_epoch().value + 1);
    e.sealed_bytes = segments.written_bytes() - before;
    must(store->write(e));
    if (n % 7 == 0) {
      store = std::make_unique<CheckpointStore>(disk, kRoot);
      must(store->open());
      must(static_cast<bool>(store->restore()) ? Status(ok()) : Status(permanent_error("no restore")));
    }
    if (store->merge_due()) must(store->merge());
    std::set<std::string> kept;
    for (const std::string& f : disk.files(kRoot))
      if (f.ends_with(".seg")) kept.insert(f.substr(f.rfind('@')));
    most = std::max<std::uint64_t>(most, kept.size());
  }
  EXPECT_EQ(restored(&number).size(), 4u);
  EXPECT_LE(most, 4u + 3 * 9);  // two bases, and what came since the older one: never all 60
}

// Each file is read once, however many epochs link it.
TEST_F(LinkedSegments, ARestoreReadsASegmentOnce) {
  std::mt19937 random(7);
  CheckpointStore store(disk, kRoot);
  must(store.open());
  must(segments.open());
  for (std::uint64_t n = 1; n <= 20; ++n) must(segments.seal(n, random_bytes(random, 5000)));
  const auto calls = [&](std::uint64_t epochs) {
    for (std::uint64_t n = 1; n <= epochs; ++n) must(store.write(epoch(store.last_epoch().value + 1)));
    std::uint64_t number = 0;
    disk.reset_calls();
    EXPECT_EQ(restored(&number).size(), 20u);
    return disk.calls();
  };
  const std::uint64_t one = calls(1);
  EXPECT_LT(calls(10) - one, 10 * 10u);
}

}  // namespace
}  // namespace twinspan::engine
