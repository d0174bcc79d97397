#pragma once
// Rate limits of one source, in records/s and bytes/s, over all its lanes, shards and clusters. Owned by the
// pipeline, borrowed by every shard that reads the source. Only a decision: the caller brings the time and
// does the waiting.
//
// Each of the two limits is a virtual clock (GCRA, ITU-T I.371; the "virtual scheduling" form of the token
// bucket): one atomic holds the time up to which the allowance is used, so taking is one compare-and-swap and
// a rate is changed without touching it. Allowance left unused is kept for kBurst (or one token, where that
// is longer), so an idle source does not come back with a flood. What was used beyond a grant is a debt that
// later grants wait for: over time the rate is exact whatever the size of single records.
//
// Thread: any for acquire, settle, ready_in (lock-free); set_limits from one thread at a time.
// Times are monotonic nanoseconds of one clock.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <optional>

namespace twinspan::throttle {

// nullopt = unlimited, 0 = paused.
struct Limits {
  std::optional<std::uint64_t> records_per_s, bytes_per_s;
  bool paused() const { return records_per_s == 0u || bytes_per_s == 0u; }
  friend bool operator==(const Limits&, const Limits&) = default;
};

inline constexpr std::int64_t kBurst = 100'000'000;  // ns
inline constexpr std::int64_t kForever = std::numeric_limits<std::int64_t>::max();

// One limit in one unit.
class RateClock {
 public:
  static constexpr std::int64_t kUnlimited = -1;

  RateClock(std::int64_t rate_per_s, std::int64_t now_ns) : rate_(rate_per_s), used_until_(now_ns - burst(rate_per_s)) {
    if (rate_per_s == 0) stopped_at_ = now_ns;
  }

  // Up to `want` tokens, 0 if none is left. Thread: any.
  std::uint64_t take(std::uint64_t want, std::int64_t now_ns) {
    const std::int64_t rate = rate_.load(std::memory_order_relaxed);
    if (rate == kUnlimited) return want;
    if (rate == 0 || want == 0) return 0;
    std::int64_t used = used_until_.load(std::memory_order_relaxed);
    while (true) {
      const std::int64_t start = std::max(used, now_ns - burst(rate));
      if (start >= now_ns) return 0;
      const std::uint64_t left = static_cast<std::uint64_t>(static_cast<Wide>(now_ns - start) * rate / kSecond);
      const std::uint64_t n = std::min(want, left);
      if (n == 0) return 0;
      if (used_until_.compare_exchange_weak(used, start + cost(n, rate), std::memory_order_relaxed)) return n;
    }
  }

  // Gives back (n > 0) or charges (n < 0) tokens after the fact. Thread: any.
  void give_back(std::int64_t n) {
    const std::int64_t rate = rate_.load(std::memory_order_relaxed);
    if (n == 0 || rate == kUnlimited || rate == 0) return;
    if (n > 0)
      used_until_.fetch_sub(cost(static_cast<std::uint64_t>(n), rate), std::memory_order_relaxed);
    else
      used_until_.fetch_add(cost(static_cast<std::uint64_t>(-n), rate), std::memory_order_relaxed);
  }

  // Nanoseconds until a token is there; 0 = now. Thread: any.
  std::int64_t ready_in(std::int64_t now_ns) const {
    const std::int64_t rate = rate_.load(std::memory_order_relaxed);
    if (rate == kUnlimited) return 0;
    if (rate == 0) return kForever;
    const std::int64_t start = std::max(used_until_.load(std::memory_order_relaxed), now_ns - burst(rate));
    return std::max<std::int64_t>(0, start + cost(1, rate) - now_ns);
  }

  // Effective for the next take(). A debt keeps its size in tokens, not in time, so a raised rate is felt at
  // once; a pause keeps allowance and debt as they were. Thread: one at a time.
  void set_rate(std::int64_t rate, std::int64_t now_ns) {
    const std::int64_t old = rate_.load(std::memory_order_relaxed);
    if (old == rate) return;
    if (old == 0) {
      used_until_.fetch_add(now_ns - stopped_at_, std::memory_order_relaxed);
    } else if (old == kUnlimited) {
      used_until_.store(now_ns, std::memory_order_relaxed);
    }
    if (rate == 0) {
      stopped_at_ = now_ns;
      if (old > 0) rate_before_stop_ = old;
    } else if (rate > 0) {
      const std::int64_t priced = old > 0 ? old : rate_before_stop_;
      rescale_debt(priced, rate, now_ns);
      rate_before_stop_ = rate;
    }
    rate_.store(rate, std::memory_order_relaxed);
  }

  std::int64_t rate() const { return rate_.load(std::memory_order_relaxed); }

 private:
  __extension__ typedef __int128 Wide;
  static constexpr std::int64_t kSecond = 1'000'000'000;

  static std::int64_t cost(std::uint64_t n, std::int64_t rate) {
    return static_cast<std::int64_t>(std::min<Wide>((static_cast<Wide>(n) * kSecond + rate / 2) / rate, kForever / 4));
  }
  // A rate below 10/s would never save up one token within kBurst.
  static std::int64_t burst(std::int64_t rate) { return rate > 0 ? std::max(kBurst, cost(1, rate)) : kBurst; }

  void rescale_debt(std::int64_t from_rate, std::int64_t to_rate, std::int64_t now_ns) {
    if (from_rate <= 0) return;
    std::int64_t used = used_until_.load(std::memory_order_relaxed);
    std::int64_t scaled = 0;
    do {
      if (used <= now_ns) return;
      scaled = now_ns + static_cast<std::int64_t>(
                            std::min<Wide>(static_cast<Wide>(used - now_ns) * from_rate / to_rate, kForever / 4));
    } while (!used_until_.compare_exchange_weak(used, scaled, std::memory_order_relaxed));
  }

  std::atomic<std::int64_t> rate_;        // tokens/s, kUnlimited, or 0
  std::atomic<std::int64_t> used_until_;  // allowance is used up to this time; in the future = debt
  std::int64_t stopped_at_ = 0;           // set_rate's own
  std::int64_t rate_before_stop_ = 0;
};

struct Grant {
  std::uint64_t records = 0, bytes = 0;
};

// The pair. A reader asks before it polls, reads at most grant.records and stops when grant.bytes are passed,
// then says what it used:
//   Grant g = bucket.acquire(1024, 256 * 1024, now);
//   ... poll ...
//   bucket.settle(g, read_records, read_bytes);
class TokenBucket {
 public:
  TokenBucket(const Limits& limits, std::int64_t now_ns)
      : records_(rate_of(limits.records_per_s), now_ns), bytes_(rate_of(limits.bytes_per_s), now_ns) {}

  // Both are > 0 or both are 0: nothing may be read now. Thread: any.
  Grant acquire(std::uint64_t want_records, std::uint64_t want_bytes, std::int64_t now_ns) {
    Grant grant{records_.take(want_records, now_ns), 0};
    if (grant.records == 0) return grant;
    grant.bytes = bytes_.take(want_bytes, now_ns);
    if (grant.bytes == 0) {
      records_.give_back(static_cast<std::int64_t>(grant.records));
      return {};
    }
    return grant;
  }

  void settle(const Grant& grant, std::uint64_t used_records, std::uint64_t used_bytes) {
    records_.give_back(static_cast<std::int64_t>(grant.records) - static_cast<std::int64_t>(used_records));
    bytes_.give_back(static_cast<std::int64_t>(grant.bytes) - static_cast<std::int64_t>(used_bytes));
  }

  // How long a reader may sleep; kForever while paused (a change of limits must wake it). Thread: any.
  std::int64_t ready_in(std::int64_t now_ns) const {
    return std::max(records_.ready_in(now_ns), bytes_.ready_in(now_ns));
  }

  void set_limits(const Limits& limits, std::int64_t now_ns) {
    records_.set_rate(rate_of(limits.records_per_s), now_ns);
    bytes_.set_rate(rate_of(limits.bytes_per_s), now_ns);
  }

  Limits limits() const { return {limit_of(records_.rate()), limit_of(bytes_.rate())}; }

 private:
  static std::int64_t rate_of(const std::optional<std::uint64_t>& limit) {
    if (!limit) return RateClock::kUnlimited;
    return static_cast<std::int64_t>(std::min<std::uint64_t>(*limit, 1'000'000'000'000));
  }
  static std::optional<std::uint64_t> limit_of(std::int64_t rate) {
    if (rate == RateClock::kUnlimited) return std::nullopt;
    return static_cast<std::uint64_t>(rate);
  }

  RateClock records_, bytes_;
};

}  // namespace twinspan::throttle
