// Every call of write() and merge() as the last one before the power goes (F3), and as the one that fails
// (F1, F2).
#include <cerrno>

#include "tests/engine/checkpoint/store_fixture.h"

namespace twinspan::engine {
namespace {

using Unsynced = twinspan::testing::FaultFileSystem::Unsynced;

struct Loss {
  Unsynced unsynced;
  std::uint32_t seed;
};
std::vector<Loss> losses() {
  std::vector<Loss> out{{Unsynced::lost, 0}, {Unsynced::kept, 0}};
  for (std::uint32_t seed = 1; seed <= 8; ++seed) out.push_back({Unsynced::random, seed});
  return out;
}

class CheckpointCrashTest : public CheckpointStoreTest {
 protected:
  // Three epochs, one base, and one more epoch: what was there before.
  void prepare(Writer& writer, CheckpointStore& store) {
    must(store.open());
    for (std::uint64_t n = 1; n <= 3; ++n) must(store.write(writer.make(n)));
    must(store.merge());
    must(store.write(writer.make(4)));
  }
};

TEST_F(CheckpointCrashTest, WhatWasPreparedFirstOfAllSurvives) {
  for (const Loss& loss : losses()) {
    disk = Disk();
    Writer writer;
    CheckpointStore store(disk, kRoot);
    must(store.open());
    must(store.write(writer.make(1)));
    disk.crash(loss.unsynced, loss.seed);
    EXPECT_EQ(expect_restored(writer), 1u) << disk.describe();
  }
}

TEST_F(CheckpointCrashTest, CrashAtAnyCallOfWriteGivesTheOldOrTheNewEpoch) {
  bool more = true;
  int old_seen = 0, new_seen = 0;
  for (std::uint64_t call = 1; more; ++call) {
    for (const bool within : {false, true}) {
      for (const Loss& loss : losses()) {
        disk = Disk();
        Writer writer;
        CheckpointStore store(disk, kRoot);
        prepare(writer, store);
        disk.reset_calls();
        if (within)
          disk.die_within(call);
        else
          disk.die_after(call);
        const bool written = static_cast<bool>(store.write(writer.make(5)));
        more = !written || disk.calls() >= call;
        disk.crash(loss.unsynced, loss.seed);
        const std::uint64_t found = expect_restored(writer);
        ASSERT_TRUE(found == 5 || (found == 4 && !written))
            << "call " << call << (within ? " within" : " after") << ": " << found;
        (found == 5 ? new_seen : old_seen) += 1;
        EXPECT_TRUE(leftovers(kRoot).empty());
        // Life goes on from either.
        CheckpointStore next(disk, kRoot);
        must(next.open());
        ASSERT_TRUE(next.restore());
        if (found == 4) {
          Writer again;
          for (std::uint64_t n = 1; n <= 4; ++n) again.make(n);
          must(next.write(again.make(5)));
          ASSERT_EQ(expect_restored(again), 5u);
        }
      }
    }
  }
  EXPECT_GT(old_seen, 50);
  EXPECT_GT(new_seen, 10);
}

TEST_F(CheckpointCrashTest, CrashAtAnyCallOfMergeLosesNothing) {
  bool more = true;
  for (std::uint64_t call = 1; more; ++call) {
    for (const bool within : {false, true}) {
      for (const Loss& loss : losses()) {
        disk = Disk();
        Writer writer;
        CheckpointStore store(disk, kRoot);
        prepare(writer, store);
        must(store.write(writer.make(5)));
        must(store.merge());
        must(store.write(writer.make(6)));
        disk.reset_calls();
        if (within)
          disk.die_within(call);
        else
          disk.die_after(call);
        const bool merged = static_cast<bool>(store.merge());  // a third base: the oldest goes, and epochs with it
        more = !merged || disk.calls() >= call;
        disk.crash(loss.unsynced, loss.seed);
        ASSERT_EQ(expect_restored(writer), 6u) << "call " << call << "\n" << disk.describe();
        CheckpointStore next(disk, kRoot);
        must(next.open());
        ASSERT_TRUE(next.restore());
        must(next.write(writer.make(7)));
        must(next.merge());
        ASSERT_EQ(expect_restored(writer), 7u);
      }
    }
  }
}

// An epoch is written, by its own thread, at any point of a merge; and the power goes at any point of either.
TEST_F(CheckpointCrashTest, CrashAtAnyCallOfAMergeBesideAWriteLosesNothing) {
  std::uint64_t merge_calls = 0, write_calls = 0;
  const auto start = [&](Writer& writer, CheckpointStore& store) {
    prepare(writer, store);
    must(store.write(writer.make(5)));
    must(store.merge());
    must(store.write(writer.make(6)));
    disk.reset_calls();
  };
  {
    Writer writer;
    CheckpointStore store(disk, kRoot);
    start(writer, store);
    must(store.merge());
    merge_calls = disk.calls();
    disk.reset_calls();
    must(store.write(writer.make(7)));
    write_calls = disk.calls();
  }
  int died = 0, whole = 0;
  for (std::uint64_t between = 1; between <= merge_calls; ++between) {
    for (std::uint64_t last = between; last <= merge_calls + write_calls + 3; last += 1 + (between + last) % 3) {
      for (const Loss& loss : {Loss{Unsynced::lost, 0}, Loss{Unsynced::kept, 0}, Loss{Unsynced::random, 7}}) {
        disk = Disk();
        Writer writer;
        CheckpointStore store(disk, kRoot);
        start(writer, store);
        bool written = false;
        disk.before_call(between, [&] { written = static_cast<bool>(store.write(writer.make(7))); });
        disk.die_within(last);
        const bool merged = static_cast<bool>(store.merge());
        (merged && written ? whole : died) += 1;
        disk.crash(loss.unsynced, loss.seed);
        const std::uint64_t found = expect_restored(writer);
        ASSERT_TRUE(found == 7 || (found == 6 && !written))
            << "write before call " << between << ", death within " << last << ": " << found << "\n"
            << disk.describe();
        EXPECT_TRUE(leftovers(kRoot).empty());
        CheckpointStore next(disk, kRoot);
        must(next.open());
        ASSERT_TRUE(next.restore());
        if (found == 6) {
          Writer again;
          for (std::uint64_t n = 1; n <= 6; ++n) again.make(n);
          must(next.write(again.make(7)));
        }
        must(next.merge());
        ASSERT_EQ(expect_restored(writer), 7u);
      }
    }
  }
  EXPECT_GT(died, 500);
  EXPECT_GT(whole, 50);
}

TEST_F(CheckpointCrashTest, AMergeThatIsStoppedLeavesNothing) {
  Writer writer;
  CheckpointStore store(disk, kRoot);
  prepare(writer, store);
  std::stop_source stop;
  disk.reset_calls();
  disk.before_call(8, [&] { stop.request_stop(); });
  const auto merged = store.merge(stop.get_token());
  ASSERT_FALSE(merged);
  EXPECT_EQ(merged.error().kind, ErrorKind::shutdown);
  EXPECT_TRUE(leftovers(kRoot).empty()) << disk.describe();
  EXPECT_FALSE(disk.exists(base_path(4)));
  must(store.merge());
  EXPECT_TRUE(disk.exists(base_path(4)));
  EXPECT_EQ(expect_restored(writer), 4u);
}

TEST_F(CheckpointCrashTest, CrashAtAnyCallOfOpenAndRestoreLosesNothing) {
  bool more = true;
  for (std::uint64_t call = 1; more; ++call) {
    disk = Disk();
    Writer writer;
    CheckpointStore store(disk, kRoot);
    prepare(writer, store);
    must(disk.make_directories(epoch_path(5) + ".tmp"));
    must(disk.write_and_sync(epoch_path(5) + ".tmp/meta.json", {"{}"}));
    disk.reset_calls();
    disk.die_within(call);
    CheckpointStore second(disk, kRoot);
    const bool done = second.open() && second.restore();
    more = !done || disk.calls() >= call;
    disk.crash(Unsynced::random, static_cast<std::uint32_t>(call));
    ASSERT_EQ(expect_restored(writer), 4u) << "call " << call << "\n" << disk.describe();
  }
}

TEST_F(CheckpointCrashTest, ACallThatFailsLeavesNothingAndALaterWriteWorks) {
  for (const int code : {ENOSPC, EIO}) {
    bool more = true;
    for (std::uint64_t call = 1; more; ++call) {
      disk = Disk();
      Writer writer;
      CheckpointStore store(disk, kRoot);
      prepare(writer, store);
      const PreparedEpoch epoch = writer.make(5);
      disk.reset_calls();
      disk.fail_call(call, code);
      const auto result = store.write(epoch);
      more = disk.calls() >= call;
      disk.clear_faults();
      if (!result) {
        EXPECT_EQ(result.error().kind, code == ENOSPC ? ErrorKind::transient : ErrorKind::permanent);
        EXPECT_EQ(store.last_epoch(), Epoch(4));
        EXPECT_TRUE(disk.files(epoch_path(5)).empty()) << "call " << call << "\n" << disk.describe();
        EXPECT_TRUE(leftovers(kRoot).empty());
        ASSERT_EQ(expect_restored(writer), 4u) << "call " << call;
        must(store.write(epoch));  // the same number: it was never prepared
      }
      ASSERT_EQ(expect_restored(writer), 5u) << "call " << call;
      disk.crash(Unsynced::lost);
      ASSERT_EQ(expect_restored(writer), 5u) << "call " << call;
    }
  }
}

TEST_F(CheckpointCrashTest, AnEpochWhoseCleanUpFailedTooDoesNotStandInTheWay) {
  for (std::uint64_t call = 1; call < 40; ++call) {
    disk = Disk();
    Writer writer;
    CheckpointStore store(disk, kRoot);
    prepare(writer, store);
    const PreparedEpoch epoch = writer.make(5);
    disk.reset_calls();
    disk.die_within(call);  // nothing can be removed any more
    if (store.write(epoch)) continue;
    disk.clear_faults();
    const auto again = store.write(epoch);
    ASSERT_TRUE(again) << "call " << call << ": " << again.error().message << "\n" << disk.describe();
    ASSERT_EQ(expect_restored(writer), 5u) << "call " << call;
  }
}

// The write of 5 failed, the next barrier was 6 and carried its changes; after a power cut the directory of 5
// is back.
TEST_F(CheckpointCrashTest, AFailedEpochThatComesBackIsPassedOver) {
  Writer writer;
  CheckpointStore store(disk, kRoot);
  prepare(writer, store);
  const PreparedEpoch failed = writer.make(5);
  must(store.write(failed));
  must(disk.rename(epoch_path(5), "/data/unit/aside"));  // it failed after all
  {
    CheckpointStore at_four(disk, kRoot);
    must(at_four.open());
    PreparedEpoch next = writer.make(6);
    for (std::size_t i = 0; i < next.deltas.size(); ++i)
      next.deltas[i].bytes = failed.deltas[i].bytes.joined() + next.deltas[i].bytes.joined();
    must(at_four.write(next));
  }
  must(disk.rename("/data/unit/aside", epoch_path(5)));
  std::vector<std::string> warnings;
  EXPECT_EQ(expect_restored(writer, &warnings), 6u);
  EXPECT_EQ(warnings.size(), 1u);
}

TEST_F(CheckpointCrashTest, DiskFullAtAnyByteLeavesTheOldEpoch) {
  std::uint64_t before = 0, after = 0;
  {
    Writer writer;
    CheckpointStore store(disk, kRoot);
    prepare(writer, store);
    before = disk.bytes();
    must(store.write(writer.make(5)));
    after = disk.bytes();
  }
  for (std::uint64_t room = 0; room < after - before; room += 7) {
    disk = Disk();
    Writer writer;
    CheckpointStore store(disk, kRoot);
    prepare(writer, store);
    const PreparedEpoch epoch = writer.make(5);
    disk.set_capacity(before + room);
    const auto result = store.write(epoch);
    ASSERT_FALSE(result) << room;
    EXPECT_EQ(result.error().kind, ErrorKind::transient);
    EXPECT_EQ(disk.bytes(), before);
    disk.clear_faults();
    must(store.write(epoch));
    ASSERT_EQ(expect_restored(writer), 5u);
  }
}

TEST_F(CheckpointCrashTest, AFailingMergeKeepsTheBasesAndCanBeDoneAgain) {
  bool more = true;
  for (std::uint64_t call = 1; more; ++call) {
    disk = Disk();
    Writer writer;
    CheckpointStore store(disk, kRoot);
    prepare(writer, store);
    disk.reset_calls();
    disk.fail_call(call, ENOSPC);
    (void)store.merge();
    more = disk.calls() >= call;
    disk.clear_faults();
    ASSERT_EQ(expect_restored(writer), 4u) << "call " << call << "\n" << disk.describe();
    must(store.write(writer.make(5)));
    must(store.merge());
    ASSERT_EQ(expect_restored(writer), 5u) << "call " << call;
  }
}

}  // namespace
}  // namespace twinspan::engine
