#include "throttle/token_bucket.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace twinspan::throttle {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000, kMs = 1'000'000;
constexpr std::int64_t kStart = 5'000 * kSecond;

// Reads greedily every `every` ns for `duration`; records of `size` bytes.
struct Reader {
  std::uint64_t records = 0, bytes = 0;
  void run(TokenBucket& bucket, std::int64_t from, std::int64_t duration, std::int64_t every, std::uint64_t size) {
    for (std::int64_t now = from; now < from + duration; now += every) once(bucket, now, size);
  }
  void once(TokenBucket& bucket, std::int64_t now, std::uint64_t size) {
    const Grant grant = bucket.acquire(1024, 256 * 1024, now);
    std::uint64_t n = 0, b = 0;
    while (n < grant.records && b < grant.bytes) ++n, b += size;
    bucket.settle(grant, n, b);
    records += n;
    bytes += b;
  }
};

void expect_within(double value, double expected, double share) {
  EXPECT_NEAR(value, expected, expected * share) << "off by " << 100 * (value / expected - 1) << " %";
}

TEST(TokenBucket, LongRunRecordRateIsExactToOnePercent) {
  for (const std::uint64_t rate : {7u, 333u, 20'000u, 200'000u, 3'000'000u}) {
    TokenBucket bucket({rate, std::nullopt}, kStart);
    Reader reader;
    reader.run(bucket, kStart, 60 * kSecond, 97'001, 198);  // an awkward period
    expect_within(static_cast<double>(reader.records), 60.0 * static_cast<double>(rate), 0.01);
  }
}

TEST(TokenBucket, LongRunByteRateIsExactWithRecordsLargerThanTheBurst) {
  TokenBucket bucket({std::nullopt, 50'000}, kStart);
  Reader reader;
  reader.run(bucket, kStart, 100 * kSecond, kMs, 9'999);  // burst is 5 000 bytes
  expect_within(static_cast<double>(reader.bytes), 5'000'000, 0.01);
}

TEST(TokenBucket, TheTighterOfTheTwoLimitsDecides) {
  TokenBucket bucket({10'000, 100'000}, kStart);
  Reader small, large;
  small.run(bucket, kStart, 20 * kSecond, kMs, 5);
  expect_within(static_cast<double>(small.records), 200'000, 0.01);
  large.run(bucket, kStart + 20 * kSecond, 20 * kSecond, kMs, 200);
  expect_within(static_cast<double>(large.bytes), 2'000'000, 0.01);
}

TEST(TokenBucket, UnlimitedGrantsEverything) {
  TokenBucket bucket({}, kStart);
  const Grant grant = bucket.acquire(1'000'000, 1ull << 40, kStart);
  EXPECT_EQ(grant.records, 1'000'000u);
  EXPECT_EQ(grant.bytes, 1ull << 40);
  EXPECT_EQ(bucket.ready_in(kStart), 0);
}

TEST(TokenBucket, AnIdleSourceSavesAtMostTheBurst) {
  TokenBucket bucket({10'000, std::nullopt}, kStart);
  EXPECT_EQ(bucket.acquire(100'000, 1, kStart + 3'600 * kSecond).records, 1'000u);  // 100 ms of 10 000/s
  EXPECT_EQ(bucket.acquire(100'000, 1, kStart + 3'600 * kSecond).records, 0u);
}

TEST(TokenBucket, ARateBelowOneTokenABurstStillPassesOneByOne) {
  TokenBucket bucket({2, std::nullopt}, kStart);
  EXPECT_EQ(bucket.acquire(10, 10, kStart).records, 1u);
  EXPECT_EQ(bucket.acquire(10, 10, kStart + 499 * kMs).records, 0u);
  EXPECT_EQ(bucket.ready_in(kStart + 499 * kMs), kMs);
  EXPECT_EQ(bucket.acquire(10, 10, kStart + 500 * kMs).records, 1u);
}

TEST(TokenBucket, ReadyInIsExactlyWhenTheNextTokenComes) {
  TokenBucket bucket({1'000, std::nullopt}, kStart);
  while (bucket.acquire(7, 1, kStart).records > 0) {
  }
  const std::int64_t wait = bucket.ready_in(kStart);
  EXPECT_GT(wait, 0);
  EXPECT_EQ(bucket.acquire(1, 1, kStart + wait - 1).records, 0u);
  EXPECT_EQ(bucket.acquire(1, 1, kStart + wait).records, 1u);
}

TEST(TokenBucket, AChangedRateHoldsFromTheNextAcquire) {
  TokenBucket bucket({100'000, std::nullopt}, kStart);
  Reader fast, slow, open;
  fast.run(bucket, kStart, 10 * kSecond, kMs, 1);
  bucket.set_limits({5'000, std::nullopt}, kStart + 10 * kSecond);
  slow.run(bucket, kStart + 10 * kSecond, 10 * kSecond, kMs, 1);
  bucket.set_limits({}, kStart + 20 * kSecond);
  open.run(bucket, kStart + 20 * kSecond, kSecond, kMs, 1);
  expect_within(static_cast<double>(fast.records), 1'000'000, 0.011);
  expect_within(static_cast<double>(slow.records), 50'000, 0.011);
  EXPECT_EQ(open.records, 1'000u * 1024u);
  EXPECT_EQ(bucket.limits(), Limits{});
}

TEST(TokenBucket, RaisingTheRateShortensADebt) {
  TokenBucket bucket({std::nullopt, 10}, kStart);
  const Grant grant = bucket.acquire(1, 1, kStart);
  bucket.settle(grant, 1, 10'000);  // one record of 10 kB at 10 B/s: 1 000 s
  EXPECT_GT(bucket.ready_in(kStart), 900 * kSecond);
  bucket.set_limits({std::nullopt, 1'000'000}, kStart);
  EXPECT_LT(bucket.ready_in(kStart), 11 * kMs);
}

TEST(TokenBucket, RateZeroPausesAndResumesWithWhatWasLeft) {
  TokenBucket bucket({1'000, std::nullopt}, kStart);
  EXPECT_EQ(bucket.acquire(60, 1, kStart).records, 60u);  // 40 of the burst of 100 are left
  bucket.set_limits({0, std::nullopt}, kStart);
  EXPECT_TRUE(bucket.limits().paused());
  EXPECT_EQ(bucket.acquire(1, 1, kStart + 3'600 * kSecond).records, 0u);
  EXPECT_EQ(bucket.ready_in(kStart + 3'600 * kSecond), kForever);
  bucket.set_limits({1'000, std::nullopt}, kStart + 7'200 * kSecond);
  EXPECT_EQ(bucket.acquire(1'000, 1, kStart + 7'200 * kSecond).records, 40u);
}

TEST(TokenBucket, APausedBucketCanStartPausedAndBecomeUnlimited) {
  TokenBucket bucket({0, 0}, kStart);
  EXPECT_EQ(bucket.acquire(1, 1, kStart + kSecond).records, 0u);
  bucket.set_limits({}, kStart + 2 * kSecond);
  EXPECT_EQ(bucket.acquire(5, 5, kStart + 2 * kSecond).records, 5u);
}

TEST(TokenBucket, RecordsAreGivenBackWhenNoBytesAreLeft) {
  TokenBucket bucket({1'000, 1'000}, kStart);
  const Grant all = bucket.acquire(1, 100, kStart);  // all 100 bytes of the burst
  bucket.settle(all, 1, 100);
  for (int i = 0; i < 1'000; ++i) EXPECT_EQ(bucket.acquire(50, 50, kStart).records, 0u);
  EXPECT_EQ(bucket.acquire(99, 100, kStart + 100 * kMs).records, 99u);
}

TEST(TokenBucket, TwoConsumersShareOneRate) {
  TokenBucket bucket({100'000, std::nullopt}, kStart);
  Reader a, b;
  for (std::int64_t now = kStart; now < kStart + 20 * kSecond; now += kMs) {
    a.once(bucket, now, 1);
    b.once(bucket, now + kMs / 2, 1);
  }
  expect_within(static_cast<double>(a.records + b.records), 2'000'000, 0.01);
  expect_within(static_cast<double>(a.records), 1'000'000, 0.02);
}

TEST(TokenBucket, ThreadsNeverTakeMoreThanTheRateBetweenThem) {
  TokenBucket bucket({1'000'000, std::nullopt}, kStart);
  std::atomic<std::int64_t> clock{kStart};
  std::atomic<std::uint64_t> taken{0};
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      std::uint64_t mine = 0;
      for (std::int64_t now = clock += 500; now < kStart + 2 * kSecond; now = clock += 500) {
        const Grant grant = bucket.acquire(3, 3, now);
        mine += grant.records;
      }
      taken += mine;
    });
  }
  threads.clear();
  expect_within(static_cast<double>(taken), 2'100'000, 0.01);  // 2 s and the burst
}

TEST(TokenBucket, HugeNumbersDoNotOverflow) {
  TokenBucket bucket({~0ull, ~0ull}, 0);
  EXPECT_GT(bucket.acquire(1 << 20, 1 << 30, kSecond).records, 0u);
  bucket.settle({0, 0}, 1ull << 62, 1ull << 62);
  EXPECT_EQ(bucket.acquire(1, 1, 2 * kSecond).records, 0u);
  bucket.set_limits({1, 1}, 2 * kSecond);
  EXPECT_EQ(bucket.acquire(1, 1, 3 * kSecond).records, 0u);
}

}  // namespace
}  // namespace twinspan::throttle
